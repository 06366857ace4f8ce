//! Locks in a real Redis.

use std::sync::Arc;
use std::time::Duration;

use bus::{RedisLink, RedisLock, RedisOptions, StoreError};
use testkit::Redis;

use crate::support::until;

const LIFE: Duration = Duration::from_secs(30);

async fn link() -> (Redis, Arc<RedisLink>) {
    let redis = Redis::start().await;
    let options = RedisOptions { host: redis.host(), port: redis.port(), ..RedisOptions::default() };
    let link = Arc::new(RedisLink::open(&options).unwrap());
    (redis, link)
}

#[tokio::test]
async fn one_holds_a_lock_until_it_gives_it_back() {
    let (_redis, link) = link().await;
    let (one, two) = (RedisLock::new(link.clone(), "lock", LIFE), RedisLock::new(link.clone(), "lock", LIFE));
    assert!(one.hold().await.unwrap());
    assert!(one.hold().await.unwrap(), "the holder prolongs it");
    assert!(!two.hold().await.unwrap());
    two.release().await.unwrap();
    assert!(!two.hold().await.unwrap(), "only the holder gives it back");
    assert!(RedisLock::new(link, "another", LIFE).hold().await.unwrap());
    one.release().await.unwrap();
    assert!(two.hold().await.unwrap());
}

#[tokio::test]
async fn a_lock_ends_with_its_life_unless_it_is_kept() {
    let (redis, link) = link().await;
    let short = Duration::from_millis(300);
    let (dead, next) =
        (RedisLock::new(link.clone(), "dead", short), RedisLock::new(link.clone(), "dead", LIFE));
    let kept = RedisLock::new(link.clone(), "kept", short);
    assert!(dead.hold().await.unwrap() && kept.hold().await.unwrap());
    let keeping = tokio::spawn(async move { kept.keep().await });
    until("the dead holder's lock is free", async || next.hold().await.unwrap()).await;
    assert!(!RedisLock::new(link, "kept", LIFE).hold().await.unwrap());

    // Somebody takes it away: the holder hears of it.
    let mut connection = redis.connection().await;
    redis::cmd("SET").arg("kept").arg("somebody").exec_async(&mut connection).await.unwrap();
    assert!(keeping.await.unwrap().is_ok());
}

#[tokio::test]
async fn without_redis_nothing_is_held() {
    let (redis, link) = link().await;
    redis.kill9();
    let lock = RedisLock::new(link, "lock", LIFE);
    assert!(matches!(lock.hold().await, Err(StoreError::Lost(_) | StoreError::Timeout)));
    assert!(lock.release().await.is_err());
}
