//! Payloads above 1 MiB travel through Redis, in both directions and both token formats.

use std::time::Duration;

use bus::{BusOptions, Limits, Reply, RequestError};
use serde_json::{Value, json};
use testkit::{Nats, NatsOptions, Redis};

use crate::support::*;

const LIMIT: usize = 1_048_576;
const KEY: &str = "7GkPq2mWvX9cRtYbN4hJsE";
const LEGACY: [&str; 2] = [
    r#"{"token":"7GkPq2mWvX9cRtYbN4hJsE","is_stored":true}"#,
    r#"{"is_stored": true, "token": "7GkPq2mWvX9cRtYbN4hJsE", "extra": [NaN]}"#,
];
const PREFIX: &str = "_NATS_TMP 7GkPq2mWvX9cRtYbN4hJsE";

/// The key in a legacy token exactly as we emit it.
fn key_of(token: &str) -> String {
    let key =
        token.strip_prefix(r#"{"token":""#).and_then(|rest| rest.strip_suffix(r#"","is_stored":true}"#));
    let key = key.unwrap_or_else(|| panic!("not a token: {}", &token[..token.len().min(80)]));
    assert_eq!(key.len(), 22);
    key.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn request_tokens_are_read_and_their_keys_kept() {
    let world = World::start().await;
    let (bus, peer) = (world.bus().await, world.peer().await);
    bus.serve::<Read, _, _>(async |call| Reply::ok(&call.request)).await.unwrap();
    let envelope = r#"{"request_id":"a","body":{"n":1}}"#;
    world.store(KEY, envelope.as_bytes()).await;
    world.store(PREFIX, envelope.as_bytes()).await;
    for token in LEGACY.into_iter().chain([PREFIX]) {
        // Twice: an old requester sends the same token again.
        for _ in 0..2 {
            let reply = peer.ask("test.read", token).await;
            assert_eq!(reply, r#"{"request_id":"a","body":{"n":1},"status":200}"#, "{token}");
        }
    }
    assert!(world.stored(KEY).await.is_some() && world.stored(PREFIX).await.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn reply_tokens_are_read_and_their_keys_deleted() {
    let world = World::start().await;
    let (bus, peer) = (world.bus().await, world.peer().await);
    let replies: Vec<_> = LEGACY.into_iter().chain([PREFIX]).collect();
    let turn = Counter::default();
    peer.answers("test.read", move |_| Some(replies[(turn.add() - 1) % 3].as_bytes().to_vec())).await;
    for key in [KEY, KEY, PREFIX] {
        world.store(key, br#"{"request_id":"a","body":{"n":1},"status":200}"#).await;
        assert_eq!(bus.request::<Read>(&any(json!({}))).await.unwrap(), json!({"n": 1}));
        until("deleted", async || world.stored(key).await.is_none()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_payload_is_an_error_on_both_sides() {
    let world = World::start().await;
    let (bus, peer) = (world.bus().await, world.peer().await);
    bus.serve::<Read, _, _>(async |_| Reply::status(200)).await.unwrap();
    peer.answers("test.other", |_| Some(PREFIX.as_bytes().to_vec())).await;
    for token in LEGACY.into_iter().chain([PREFIX]) {
        let reply = peer.ask("test.read", token).await;
        assert_eq!(reply, r#"{"request_id":null,"body":"stored payload expired or missing","status":500}"#);
    }
    let error = bus.request::<Other>(&any(json!({}))).await.unwrap_err();
    assert!(matches!(error, RequestError::PayloadStore { sent: true, .. }), "{error}");
    assert!(error.maybe_executed() && error.status() == 503);
}

#[tokio::test(flavor = "multi_thread")]
async fn is_stored_without_a_token_is_malformed_and_is_stored_false_is_ordinary() {
    let world = World::start().await;
    let (bus, peer) = (world.bus().await, world.peer().await);
    bus.serve::<Read, _, _>(async |_| Reply::status(200)).await.unwrap();
    for payload in
        [r#"{"is_stored":true}"#, r#"{"is_stored":true,"token":null}"#, r#"{"is_stored":true,"token":5}"#]
    {
        assert_eq!(peer.ask_json("test.read", payload).await["status"], 400);
    }
    for stored in ["false", "\"true\""] {
        let payload = format!(r#"{{"request_id":"a","body":{{}},"is_stored":{stored},"token":"x"}}"#);
        assert_eq!(peer.ask_json("test.read", payload).await["status"], 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_of_exactly_the_limit_goes_inline_and_one_byte_more_through_redis() {
    let world = World::start().await;
    let (bus, peer) = (world.bus().await, world.peer().await);
    bus.serve::<Read, _, _>(async |call| {
        let size = call.request.0["size"].as_u64().unwrap();
        Reply::text(200, &"x".repeat(usize::try_from(size).unwrap()))
    })
    .await
    .unwrap();
    let around = r#"{"request_id":"a","body":"","status":200}"#.len();
    let ask = async |size: usize| {
        let request = json!({"request_id": "a", "body": {"size": size - around}}).to_string();
        peer.ask("test.read", request).await
    };
    assert_eq!(ask(LIMIT).await.len(), LIMIT);
    assert_eq!(world.keys().await, [""; 0]);
    let key = key_of(&ask(LIMIT + 1).await);
    assert_eq!(world.stored(&key).await.unwrap().len(), LIMIT + 1);
    let ttl = world.ttl(&key).await;
    assert!((290..=300).contains(&ttl), "{ttl}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_above_the_limit_goes_through_redis_and_headers_count() {
    let world = World::start().await;
    let old = Headerless::before(&world.nats).await;
    let (bus, peer) = (connected(old.options(world.options())).await.0, world.peer().await);
    let (sizes, mut received) = tokio::sync::mpsc::unbounded_channel();
    peer.answers("test.read", move |message| {
        sizes.send((message.payload.clone(), message.headers.is_some())).unwrap();
        Some(br#"{"status":200}"#.to_vec())
    })
    .await;
    let around = format!(r#"{{"request_id":"{KEY}","body":{{"x":""}}}}"#).len();
    for (size, inline) in [(LIMIT, true), (LIMIT + 1, false)] {
        bus.request::<Read>(&any(json!({"x": "y".repeat(size - around)}))).await.unwrap();
        let (payload, headers) = received.recv().await.unwrap();
        assert!(!headers, "a server without headers gets none");
        if inline {
            assert_eq!(payload.len(), size);
        } else {
            let key = key_of(std::str::from_utf8(&payload).unwrap());
            assert_eq!(world.stored(&key).await.unwrap().len(), size);
            assert!((290..=300).contains(&world.ttl(&key).await));
        }
    }

    // With headers the same request of exactly the limit is above it.
    let world = World::start().await;
    let (bus, peer) = (world.bus().await, world.peer().await);
    let (sizes, mut received) = tokio::sync::mpsc::unbounded_channel();
    peer.answers("test.read", move |message| {
        sizes.send((message.payload.clone(), message.headers.is_some())).unwrap();
        Some(br#"{"status":200}"#.to_vec())
    })
    .await;
    bus.request::<Read>(&any(json!({"x": "y".repeat(LIMIT - around)}))).await.unwrap();
    let (payload, headers) = received.recv().await.unwrap();
    assert!(headers);
    key_of(std::str::from_utf8(&payload).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn large_payloads_travel_both_ways_between_two_buses() {
    let world = World::start().await;
    let (server, metrics) = connected(world.options()).await;
    let client = world.bus().await;
    server.serve::<Read, _, _>(async |call| Reply::ok(&call.request)).await.unwrap();
    let large = json!({"x": "é\u{0}\"".repeat(1_000_000)});
    let back = client.request::<Read>(&any(large.clone())).await.unwrap();
    assert!(back == large);
    let text = text(&metrics);
    assert!(text.contains(r#"bus_offloads_total{direction="fetched"} 1"#), "{text}");
    assert!(text.contains(r#"bus_offloads_total{direction="stored"} 1"#), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_limit_follows_a_server_that_takes_less() {
    let nats = Nats::start_with(NatsOptions { max_payload: Some(10_000), ..NatsOptions::default() }).await;
    let world = World { nats, redis: Redis::start().await };
    let (server, client) = (world.bus().await, world.bus().await);
    server.serve::<Read, _, _>(async |call| Reply::ok(&call.request)).await.unwrap();
    for size in [9_000, 10_000, 11_000] {
        let body = json!({"x": "y".repeat(size)});
        assert!(client.request::<Read>(&any(body.clone())).await.unwrap() == body, "{size}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_larger_than_the_bound_is_refused() {
    let world = World::start().await;
    let bus = world.bus_with(Limits { max_payload_in: 2_000_000, ..Limits::default() }).await;
    let peer = world.peer().await;
    bus.serve::<Read, _, _>(async |_| Reply::text(200, &"x".repeat(3_000_000))).await.unwrap();
    peer.answers("test.other", |_| Some(LEGACY[0].as_bytes().to_vec())).await;
    world.store(KEY, &vec![b' '; 2_000_001]).await;
    assert_eq!(peer.ask_json("test.read", LEGACY[0]).await["status"], 413);
    let reply = peer.ask_json("test.read", r#"{"request_id":"a","body":{}}"#).await;
    assert_eq!(reply, json!({"request_id": "a", "body": "the reply is too large", "status": 500}));
    let error = bus.request::<Other>(&any(json!({}))).await.unwrap_err();
    assert!(matches!(error, RequestError::TooLarge { sent: true, .. }), "{error}");
    let error = bus.request::<Other>(&any(json!({"x": "y".repeat(2_000_000)}))).await.unwrap_err();
    assert!(matches!(error, RequestError::TooLarge { sent: false, .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_small_messages_go_on_and_large_ones_fail_with_a_reason() {
    let world = World::start().await;
    let limits = Limits { store_within: Duration::from_secs(1), ..Limits::default() };
    let bus = world.bus_with(limits).await;
    let peer = world.peer().await;
    bus.serve::<Read, _, _>(async |call| {
        let size = call.request.0.get("size").and_then(Value::as_u64).unwrap_or_default();
        Reply::text(200, &"x".repeat(usize::try_from(size).unwrap()))
    })
    .await
    .unwrap();
    // Frozen (connections stay) and gone.
    for freeze in [true, false] {
        if freeze {
            world.redis.pause();
        } else {
            world.redis.resume();
            world.redis.kill9();
        }
        let large = peer.ask("test.read", r#"{"request_id":"a","body":{"size":2000000}}"#);
        let small = async {
            for _ in 0..50 {
                assert_eq!(
                    peer.ask_json("test.read", r#"{"request_id":"a","body":{}}"#).await["status"],
                    200
                );
            }
        };
        let (large, ()) = tokio::join!(large, small);
        assert_eq!(large, r#"{"request_id":"a","body":"the reply could not be stored","status":500}"#);
        let body = any(json!({"x": "y".repeat(2_000_000)}));
        let error = bus.request::<Read>(&body).await.unwrap_err();
        assert!(matches!(error, RequestError::PayloadStore { sent: false, .. }), "{error}");
        assert!(!error.maybe_executed());
        assert_eq!(peer.ask_json("test.read", LEGACY[0]).await["status"], 500);
    }
    // Back again, it works again.
    world.redis.restart().await;
    let large = any(json!({"size": 2_000_000}));
    until("stored again", async || bus.request::<Read>(&large).await.is_ok()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_redis_does_not_hold_a_request_beyond_its_deadline() {
    let world = World::start().await;
    let bus = world.bus().await;
    bus.serve::<Read, _, _>(async |_| Reply::status(200)).await.unwrap();
    world.redis.pause();
    let body = any(json!({"x": "y".repeat(2_000_000)}));
    let within = Duration::from_millis(300);
    let request = bus.request_within::<Read>(&body, within);
    let error = tokio::time::timeout(Duration::from_secs(5), request).await.expect("bounded").unwrap_err();
    assert!(matches!(error, RequestError::PayloadStore { sent: false, .. }), "{error}");
    world.redis.resume();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_at_the_start_connecting_fails_and_says_where() {
    let world = World::start().await;
    world.redis.kill9();
    let options: BusOptions = world.options();
    let error = bus::Bus::connect(options, &prometheus::Registry::new()).await.unwrap_err().to_string();
    assert!(error.contains(&world.redis.port().to_string()) && error.contains("REDIS_HOSTNAME"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_with_a_password_is_used() {
    let options =
        testkit::RedisOptions { password: Some("s3cret".to_owned()), ..testkit::RedisOptions::default() };
    let redis = Redis::start_with(options).await;
    let world = World { nats: Nats::start().await, redis };
    let mut options = world.options();
    let wrong = bus::Bus::connect(options.clone(), &prometheus::Registry::new()).await;
    assert!(wrong.is_err());
    options.redis.password = Some("s3cret".into());
    let (bus, _) = connected(options).await;
    bus.serve::<Read, _, _>(async |_| Reply::text(200, &"x".repeat(2_000_000))).await.unwrap();
    let back: Value = bus.request::<Read>(&any(json!({}))).await.unwrap();
    assert_eq!(back.as_str().map(str::len), Some(2_000_000));
}

/// While a server starts, or a password is changed, it may refuse for a moment.
#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_was_refused_once_is_tried_again() {
    let options =
        testkit::RedisOptions { password: Some("s3cret".to_owned()), ..testkit::RedisOptions::default() };
    let redis = Redis::start_with(options).await;
    let mut options =
        bus::RedisOptions { host: redis.host(), port: redis.port(), ..bus::RedisOptions::default() };
    options.password = Some("s3cret".into());
    let link = bus::RedisLink::open(&options).unwrap();
    link.ping().await.unwrap();
    let mut other = redis.connection().await;
    let mut tell = async |command: &[&str]| {
        let (name, arguments) = command.split_first().unwrap();
        redis::cmd(name).arg(arguments).query_async::<redis::Value>(&mut other).await.unwrap()
    };
    tell(&["CONFIG", "SET", "requirepass", "other"]).await;
    tell(&["CLIENT", "KILL", "TYPE", "normal"]).await;
    until("the login is refused", async || {
        link.ping().await.is_err_and(|error| matches!(error, bus::StoreError::Redis(_)))
    })
    .await;
    tell(&["CONFIG", "SET", "requirepass", "s3cret"]).await;
    until("Redis is used again", async || link.ping().await.is_ok()).await;
}
