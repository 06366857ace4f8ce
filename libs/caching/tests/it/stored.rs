//! Lists in a real Redis.

use std::sync::Arc;

use bus::RedisOptions;
use caching::{Entry, StoredLists, open, read_list, write_list};
use serde_json::value::RawValue;
use testkit::Redis;

/// An entry is any object.
#[derive(Debug, Clone)]
struct Object(Arc<RawValue>);

impl Entry for Object {
    fn read(text: Box<RawValue>) -> Option<Self> {
        text.get().starts_with('{').then(|| Self(text.into()))
    }

    fn text(&self) -> &RawValue {
        &self.0
    }
}

fn options(redis: &Redis) -> RedisOptions {
    RedisOptions { host: redis.host(), port: redis.port(), ..RedisOptions::default() }
}

#[test]
fn entries_are_written_as_they_were_read() {
    let (entries, unreadable) = read_list::<Object>(r#"[{"a": 1.50, "b":NaN}, 7, {}]"#).unwrap();
    assert_eq!((entries.len(), unreadable), (2, 1));
    assert_eq!(write_list(&entries), r#"[{"a": 1.50, "b":null},{}]"#);
    assert_eq!(write_list::<Object>(&[]), "[]");
    for text in ["{}", "", "null", "[1"] {
        assert!(read_list::<Object>(text).is_err(), "{text}");
    }
}

#[tokio::test]
async fn what_is_read_is_always_what_redis_holds() {
    let redis = Redis::start().await;
    let lists = StoredLists::<Object>::new(open(&options(&redis), "X").await.unwrap());
    let count = async || lists.entries("list").await.unwrap().len();
    assert_eq!(count().await, 0);
    lists.put("list", &read_list(r#"[{"a":1},{"a":2}]"#).unwrap().0).await.unwrap();
    assert_eq!(lists.text("list").await.unwrap().unwrap(), r#"[{"a":1},{"a":2}]"#);
    let (one, two) = (lists.entries("list").await.unwrap(), lists.entries("list").await.unwrap());
    assert!(Arc::ptr_eq(&one, &two), "an unchanged list is parsed once");

    let mut connection = redis.connection().await;
    for (stored, entries) in [(r"[{},{},{}]", 3), ("damaged", 0), (r"[{}]", 1), ("{}", 0)] {
        let () = redis::cmd("SET").arg("list").arg(stored).query_async(&mut connection).await.unwrap();
        assert_eq!(count().await, entries, "{stored}");
    }
    let () = redis::cmd("DEL").arg("list").query_async(&mut connection).await.unwrap();
    assert_eq!(count().await, 0);
    redis.kill9();
    assert!(lists.entries("list").await.is_err());
}

#[tokio::test]
async fn a_redis_that_does_not_answer_is_named() {
    let redis = Redis::start().await;
    redis.kill9();
    let error = open(&options(&redis), "REDIS_CUSTOMER_CACHE_HOSTNAME").await.err().unwrap();
    assert!(format!("{error:#}").contains("check REDIS_CUSTOMER_CACHE_HOSTNAME"), "{error:#}");
}
