//! What a requester makes of replies, silence and nobody.

use std::sync::atomic::Ordering;
use std::time::Duration;

use bus::{Reply, RequestError};
use futures::future::join_all;
use serde_json::{Value, json};

use crate::support::*;

#[tokio::test(flavor = "multi_thread")]
async fn the_replies_of_old_peers_are_understood() {
    let world = World::start().await;
    let (bus, peer) = (world.bus().await, world.peer().await);
    let replies = [
        r#"{"request_id":"a","body":{"mos":NaN},"status":200}"#,
        r#"{"body":{"ticketDetails":[]},"status":200}"#,
        r#"{"request_id":"a","body":null,"status":null}"#,
        r#"{"request_id":"a","body":"no such ticket","status":404}"#,
        r#"{"request_id":"a","body":{}}"#,
        "hello",
        r#"{"request_id":"a","body":{"a":1,"a":2},"status":202}"#,
    ];
    let turn = Counter::default();
    peer.answers("test.read", move |_| Some(replies[turn.add() - 1].as_bytes().to_vec())).await;
    let ask = async || bus.request::<Read>(&any(json!({}))).await;
    assert_eq!(ask().await.unwrap(), json!({"mos": null}));
    assert_eq!(ask().await.unwrap(), json!({"ticketDetails": []}));
    let error = ask().await.unwrap_err();
    assert!(matches!(error, RequestError::Refused { status: None, .. }), "{error}");
    assert_eq!((error.status(), error.is_messaging()), (503, false));
    let error = ask().await.unwrap_err();
    assert_eq!(error.status(), 404);
    assert!(matches!(&error, RequestError::Refused { body, .. } if body == "no such ticket"), "{error}");
    assert!(matches!(ask().await, Err(RequestError::Refused { status: None, .. })));
    let error = ask().await.unwrap_err();
    assert!(matches!(error, RequestError::Unreadable { .. }), "{error}");
    assert_eq!((error.status(), error.is_messaging(), error.maybe_executed()), (503, true, true));
    assert_eq!(ask().await.unwrap(), json!({"a": 2}));
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_look_as_every_peer_expects() {
    let world = World::start().await;
    let (bus, peer) = (world.bus().await, world.peer().await);
    let echo = |message: async_nats::Message| {
        let envelope: Value = serde_json::from_slice(&message.payload).unwrap();
        Some(json!({"body": envelope, "status": 200}).to_string().into_bytes())
    };
    peer.answers("test.read", echo).await;
    peer.answers("test.notify", echo).await;
    let seen = bus.request::<Read>(&any(json!({"ticket_id": 7}))).await.unwrap();
    assert_eq!(seen["body"], json!({"ticket_id": 7}));
    assert_eq!(seen["request_id"].as_str().map(str::len), Some(22));
    let seen = bus.request::<Notify>(&beside(json!({"message": "x"}))).await.unwrap();
    assert_eq!((&seen["message"], seen.get("body")), (&json!("x"), None));
    let answer = bus
        .exchange_raw("test.read", json!({"request_id": [1], "other": 2}), Duration::from_secs(5))
        .await
        .unwrap();
    assert_eq!(answer.body_as::<Value>().unwrap(), json!({"request_id": [1], "other": 2}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subject_that_nobody_serves_yet_is_tried_again() {
    let world = World::start().await;
    let (client, server) = (world.bus().await, world.bus().await);
    let executed = Counter::default();
    let count = executed.clone();
    let waiting = tokio::spawn({
        let client = client.clone();
        async move {
            let (read, write) = (any(json!({})), any(json!({})));
            tokio::join!(client.request::<Read>(&read), client.request::<Write>(&write))
        }
    });
    // Both have been tried, and one of them again.
    let sent = client.client().unwrap().statistics();
    until("tried again", async || sent.out_messages.load(Ordering::Relaxed) > 2).await;
    let handler = move |_| {
        count.add();
        async { Reply::ok(&1) }
    };
    server.serve::<Read, _, _>(handler.clone()).await.unwrap();
    server.serve::<Write, _, _>(handler).await.unwrap();
    let (read, write) = waiting.await.unwrap();
    assert_eq!((read.unwrap(), write.unwrap()), (json!(1), json!(1)));
    assert_eq!(executed.get(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subject_that_nobody_ever_serves_is_named() {
    let world = World::start().await;
    let bus = world.bus().await;
    let error = bus.request_within::<Write>(&any(json!({})), Duration::from_millis(700)).await.unwrap_err();
    assert!(matches!(&error, RequestError::NoResponders { subject } if subject == "test.write"), "{error}");
    assert_eq!((error.status(), error.maybe_executed()), (503, false));
}

#[tokio::test(flavor = "multi_thread")]
async fn unanswered_requests_time_out_once_and_leave_nothing_behind() {
    let world = World::start().await;
    let (bus, metrics) = connected(world.options()).await;
    let peer = world.peer().await;
    let (inboxes, mut received) = tokio::sync::mpsc::unbounded_channel();
    let asked = peer
        .answers("test.read", move |message| {
            inboxes.send(message.reply.unwrap()).unwrap();
            None
        })
        .await;
    let body = any(json!({}));
    let requests = (0..1_000).map(|_| bus.request_within::<Read>(&body, Duration::from_millis(500)));
    for outcome in join_all(requests).await {
        assert!(matches!(outcome, Err(RequestError::Timeout { .. })), "{outcome:?}");
    }
    assert_eq!(bus.requests_waiting(), 0);
    until("received", async || asked.get() == 1_000).await;
    // Late replies have nobody and disturb nobody.
    while let Ok(inbox) = received.try_recv() {
        peer.0.publish(inbox, r#"{"status":200,"body":"late"}"#.into()).await.unwrap();
    }
    round_trip(&peer.0).await;
    assert_eq!((asked.get(), bus.requests_waiting()), (1_000, 0));
    let text = text(&metrics);
    assert!(text.contains(r#"bus_requests_sent_total{status="timeout",subject="test.read"} 1000"#), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_given_up_leaves_nothing_behind() {
    let world = World::start().await;
    let (bus, peer) = (world.bus().await, world.peer().await);
    peer.answers("test.read", |_| None).await;
    let body = any(json!({}));
    for _ in 0..20 {
        let request = bus.request::<Read>(&body);
        assert!(tokio::time::timeout(Duration::from_millis(10), request).await.is_err());
    }
    assert_eq!(bus.requests_waiting(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_without_headers_are_spared_them() {
    let world = World::start().await;
    let old = Headerless::before(&world.nats).await;
    let (client, _) = connected(old.options(world.options())).await;
    let server = world.bus().await;
    server.serve::<Read, _, _>(async |call| Reply::ok(&call.request)).await.unwrap();
    for n in 0..10 {
        assert_eq!(client.request::<Read>(&any(json!({"n": n}))).await.unwrap(), json!({"n": n}));
    }
    assert!(!old.saw_headers());
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_carry_their_deadline_where_headers_are_known() {
    let world = World::start().await;
    let (bus, peer) = (world.bus().await, world.peer().await);
    peer.answers("test.read", |message| {
        let deadline = message.headers.unwrap().get("Request-Deadline").unwrap().as_str().to_owned();
        Some(json!({"body": deadline, "status": 200}).to_string().into_bytes())
    })
    .await;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let deadline = bus.request_within::<Read>(&any(json!({})), Duration::from_secs(20)).await.unwrap();
    let deadline: u128 = deadline.as_str().unwrap().parse().unwrap();
    assert!(deadline >= now.as_millis() + 20_000, "{deadline}");
}
