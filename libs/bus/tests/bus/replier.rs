//! Every request gets exactly one reply, whatever it is.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bus::{BusOptions, Limits, Reply, ServeError};
use futures::StreamExt;
use serde_json::{Value, json};

use crate::support::*;

#[tokio::test(flavor = "multi_thread")]
async fn any_request_id_is_echoed_and_a_missing_one_is_null() {
    let world = World::start().await;
    let (bus, peer) = (world.bus().await, world.peer().await);
    bus.serve::<Read, _, _>(async |call| Reply::ok(&call.request)).await.unwrap();
    for id in [
        r#""nKzS8XwYQe3m5Rf7UjPb2v""#,
        "7",
        "1.50",
        "null",
        "[1,{\"a\":null}]",
        "{\"x\":\"é\"}",
        "true",
        "\"\"",
    ] {
        let reply = peer.ask("test.read", format!(r#"{{"request_id":{id},"body":{{"a":1}}}}"#)).await;
        assert_eq!(reply, format!(r#"{{"request_id":{id},"body":{{"a":1}},"status":200}}"#));
    }
    let reply = peer.ask("test.read", r#"{ "response_topic": "x", "body": {}, "extra": 1 }"#).await;
    assert_eq!(reply, r#"{"request_id":null,"body":{},"status":200}"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_old_peers_send_is_read() {
    let world = World::start().await;
    let (bus, peer) = (world.bus().await, world.peer().await);
    bus.serve::<Read, _, _>(async |call| Reply::ok(&call.request)).await.unwrap();
    for (sent, read) in [
        (r#"{"mos":NaN,"x":[Infinity,-Infinity]}"#, json!({"mos": null, "x": [null, null]})),
        (r#"{"a":"\ud83d\ude00 \udc00"}"#, json!({"a": "😀 \u{fffd}"})),
        (r#"{"a":1,"a":2}"#, json!({"a": 2})),
    ] {
        let reply = peer.ask_json("test.read", format!(r#"{{"request_id":"a","body":{sent}}}"#)).await;
        assert_eq!(reply, json!({"request_id": "a", "body": read, "status": 200}));
    }
    let twice = peer.ask_json("test.read", r#"{"request_id":"a","body":1,"request_id":"b","body":{}}"#).await;
    assert_eq!(twice, json!({"request_id": "b", "body": {}, "status": 200}));
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_requests_are_answered_400() {
    let world = World::start().await;
    let (bus, peer) = (world.bus().await, world.peer().await);
    bus.serve::<Read, _, _>(async |_| Reply::status(200)).await.unwrap();
    bus.serve::<Notify, _, _>(async |_| Reply::status(200)).await.unwrap();
    for payload in [&b"hello"[..], b"[1,2]", b"", b"3", b"\"x\"", b"{\"a\":", b"{\"a\":\"\xff\"}", b"null"] {
        let reply = peer.ask("test.read", payload).await;
        assert_eq!(reply, r#"{"request_id":null,"body":"request is not a JSON object","status":400}"#);
    }
    for payload in
        [r#"{"request_id":"a"}"#, r#"{"request_id":"a","body":null}"#, r#"{"request_id":"a","body":[]}"#]
    {
        let reply = peer.ask("test.read", payload).await;
        assert_eq!(reply, r#"{"request_id":"a","body":"Must include \"body\" in request","status":400}"#);
    }
    // Replies of subjects whose parameters lie beside the id have no body.
    assert_eq!(peer.ask("test.notify", r#"{"request_id":"a"}"#).await, r#"{"request_id":"a","status":400}"#);
    let good = r#"{"request_id":"a","message":"x"}"#;
    assert_eq!(peer.ask("test.notify", good).await, r#"{"request_id":"a","status":200}"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_is_answered_500_and_the_next_request_works() {
    let world = World::start().await;
    let (bus, peer) = (world.bus().await, world.peer().await);
    let handler = async |call: bus::Call<Any>| {
        assert!(!call.request.0.contains_key("panic"), "asked to");
        Reply::status(200)
    };
    bus.serve::<Read, _, _>(handler).await.unwrap();
    bus.serve::<Write, _, _>(handler).await.unwrap();
    for subject in ["test.read", "test.write"] {
        for _ in 0..3 {
            let reply = peer.ask(subject, r#"{"request_id":"p","body":{"panic":1}}"#).await;
            assert_eq!(reply, r#"{"request_id":"p","body":"internal error","status":500}"#);
        }
        let reply = peer.ask_json(subject, r#"{"request_id":"q","body":{}}"#).await;
        assert_eq!(reply["status"], 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_takes_too_long_is_answered_for() {
    let world = World::start().await;
    let (bus, peer) = (world.bus().await, world.peer().await);
    bus.serve::<Hasty, _, _>(|_| std::future::pending()).await.unwrap();
    let reply = peer.ask("test.hasty", r#"{"request_id":"a","body":{}}"#).await;
    assert_eq!(reply, r#"{"request_id":"a","body":"no result in time","status":500}"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_whose_deadline_has_passed_is_not_executed() {
    let world = World::start().await;
    let (bus, peer) = (world.bus().await, world.peer().await);
    let executed = Counter::default();
    let count = executed.clone();
    bus.serve::<Read, _, _>(move |_| {
        count.add();
        async { Reply::status(200) }
    })
    .await
    .unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    for (deadline, status) in [(now - 1, 500), (now + 60_000, 200)] {
        let mut headers = async_nats::HeaderMap::new();
        headers.insert("Request-Deadline", deadline.to_string().as_str());
        let payload = r#"{"request_id":"late","body":{}}"#;
        let reply = peer.0.request_with_headers("test.read", headers, payload.into()).await.unwrap();
        let reply: Value = serde_json::from_slice(&reply.payload).unwrap();
        assert_eq!((&reply["status"], &reply["request_id"]), (&json!(status), &json!("late")));
    }
    assert_eq!(executed.get(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn beyond_the_bound_requests_are_answered_503_at_once() {
    let world = World::start().await;
    let limits = Limits { in_flight: 2, queued: 3, ..Limits::default() };
    let (bus, metrics) = connected(BusOptions { limits, ..world.options() }).await;
    let peer = world.peer().await;
    let (open, gate) = tokio::sync::watch::channel(false);
    bus.serve::<Read, _, _>(move |_| {
        let mut gate = gate.clone();
        async move {
            let _ = gate.wait_for(|open| *open).await;
            Reply::status(200)
        }
    })
    .await
    .unwrap();
    let inbox = peer.0.new_inbox();
    let mut replies = peer.0.subscribe(inbox.clone()).await.unwrap();
    let send = async |ids: std::ops::Range<u32>| {
        for id in ids {
            let payload = format!(r#"{{"request_id":{id},"body":{{}}}}"#);
            peer.0.publish_with_reply("test.read", inbox.clone(), payload.into()).await.unwrap();
        }
    };
    let figure = async |line: &str| until(line, async || text(&metrics).contains(line)).await;
    send(0..2).await;
    figure(r#"bus_requests_in_flight{subject="test.read"} 2"#).await;
    send(2..5).await;
    figure(r#"bus_requests_queued{subject="test.read"} 3"#).await;
    send(5..20).await;
    let mut statuses = Vec::new();
    for _ in 0..15 {
        let reply: Value = serde_json::from_slice(&replies.next().await.unwrap().payload).unwrap();
        assert!(reply["request_id"].is_number(), "{reply}");
        statuses.push(reply["status"].as_u64().unwrap());
    }
    assert_eq!(statuses, [503; 15]);
    open.send_replace(true);
    for _ in 0..5 {
        let reply: Value = serde_json::from_slice(&replies.next().await.unwrap().payload).unwrap();
        assert_eq!(reply["status"], 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_subject_does_not_stop_a_quick_one() {
    let world = World::start().await;
    let bus = world.bus_with(Limits { in_flight: 8, ..Limits::default() }).await;
    let peer = world.peer().await;
    bus.serve::<Read, _, _>(|_| std::future::pending()).await.unwrap();
    bus.serve::<Other, _, _>(async |_| Reply::status(200)).await.unwrap();
    for _ in 0..100 {
        peer.0.publish_with_reply("test.read", "nobody.reads", r#"{"body":{}}"#.into()).await.unwrap();
    }
    for _ in 0..20 {
        assert_eq!(peer.ask_json("test.other", r#"{"body":{}}"#).await["status"], 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_without_reply_subject_is_executed() {
    let world = World::start().await;
    let (bus, peer) = (world.bus().await, world.peer().await);
    let executed = Counter::default();
    let count = executed.clone();
    bus.serve::<Read, _, _>(move |_| {
        count.add();
        async { Reply::status(200) }
    })
    .await
    .unwrap();
    peer.0.publish("test.read", r#"{"body":{}}"#.into()).await.unwrap();
    until("executed", async || executed.get() == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subject_is_served_once_for_each_process() {
    let world = World::start().await;
    let bus = world.bus().await;
    bus.serve::<Read, _, _>(async |_| Reply::status(200)).await.unwrap();
    let again = bus.serve::<Read, _, _>(async |_| Reply::status(200)).await;
    assert!(matches!(again, Err(ServeError::Twice { subject: "test.read" })));
}

/// Random bytes, and envelopes with random bytes in them: the malformed kinds a parser meets.
fn random_payload() -> Vec<u8> {
    let mut bytes: Vec<u8> = match rand::random_range(0..4) {
        0 => Vec::new(),
        1 => br#"{"request_id":"a","body":{"x":[1,2,{"y":null}]}}"#.to_vec(),
        2 => br#"{"token":"7GkPq2mWvX9cRtYbN4hJsE","is_stored":true}"#.to_vec(),
        _ => b"_NATS_TMP 7GkPq2mWvX9cRtYbN4hJsE".to_vec(),
    };
    for _ in 0..rand::random_range(0..12) {
        let at = rand::random_range(0..=bytes.len());
        if rand::random() && at < bytes.len() {
            bytes.remove(at);
        } else {
            let interesting = br#"{}[]":,\ntNI-0 "#;
            let byte = if rand::random() {
                rand::random()
            } else {
                interesting[rand::random_range(0..interesting.len())]
            };
            bytes.insert(at, byte);
        }
    }
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_thousand_random_payloads_get_one_reply_each() {
    const ALL: usize = 20_000;
    let world = World::start().await;
    let (bus, peer) = (world.bus().await, world.peer().await);
    bus.serve::<Read, _, _>(async |call| Reply::ok(&call.request)).await.unwrap();
    let prefix = peer.0.new_inbox();
    let mut replies = peer.0.subscribe(format!("{prefix}.*")).await.unwrap();
    let sender = peer.0.clone();
    let permits = std::sync::Arc::new(tokio::sync::Semaphore::new(500));
    let window = permits.clone();
    tokio::spawn(async move {
        for index in 0..ALL {
            window.acquire().await.unwrap().forget();
            let inbox = format!("{prefix}.{index}");
            sender.publish_with_reply("test.read", inbox, random_payload().into()).await.unwrap();
        }
    });
    let mut answered = vec![0u8; ALL];
    for _ in 0..ALL {
        let reply = tokio::time::timeout(Duration::from_secs(20), replies.next())
            .await
            .expect("a reply for each")
            .unwrap();
        permits.add_permits(1);
        let index: usize = reply.subject.rsplit('.').next().unwrap().parse().unwrap();
        answered[index] += 1;
        let envelope: Value = serde_json::from_slice(&reply.payload).unwrap();
        assert!(envelope["status"].is_u64() && envelope.get("request_id").is_some(), "{envelope}");
    }
    assert!(answered.iter().all(|&count| count == 1));
    round_trip(&peer.0).await;
    assert!(futures::FutureExt::now_or_never(replies.next()).is_none(), "no reply came twice");
}
