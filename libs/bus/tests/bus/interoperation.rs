//! Beside services of the existing deployment, in both roles and in one queue group.

use std::time::Duration;

use bus::Reply;
use contracts::Rpc;
use serde_json::{Value, json};
use testkit::{OldPeer, OldReply};

use crate::support::*;

const WITHIN: Duration = Duration::from_secs(10);

async fn old_peer(world: &World) -> OldPeer {
    OldPeer::connect(&world.nats.url(), &world.redis.url()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_requester_exchanges_small_and_large_payloads_with_a_new_replier() {
    let world = World::start().await;
    let (bus, old) = (world.bus().await, old_peer(&world).await);
    bus.serve::<Read, _, _>(async |call| Reply::ok(&call.request)).await.unwrap();
    for (size, large) in [(1, false), (2_000_000, true)] {
        let body = json!({"x": "y".repeat(size)});
        let reply = old.request("test.read", &json!({"request_id": "a", "body": body}), WITHIN).await;
        let OldReply::Envelope { value, via_redis } = reply else { panic!("{reply:?}") };
        assert_eq!(via_redis, large);
        assert!(value == json!({"request_id": "a", "body": body, "status": 200}));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_requester_exchanges_small_and_large_payloads_with_an_old_replier() {
    let world = World::start().await;
    let (bus, old) = (world.bus().await, old_peer(&world).await);
    old.serve("test.read", Read::QUEUE, async |envelope: Value| {
        Some(
            json!({"request_id": envelope["request_id"], "body": envelope["body"], "status": 200})
                .to_string(),
        )
    })
    .await;
    for size in [1, 2_000_000] {
        let body = json!({"x": "y".repeat(size)});
        assert!(bus.request::<Read>(&any(body.clone())).await.unwrap() == body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_an_impatient_old_requester_repeats_is_executed_once() {
    let world = World::start().await;
    let (bus, old) = (world.bus().await, old_peer(&world).await);
    let executed = Counter::default();
    let count = executed.clone();
    bus.serve::<Write, _, _>(move |_| {
        let n = count.add();
        async move {
            tokio::time::sleep(Duration::from_millis(600)).await;
            Reply::ok(&n)
        }
    })
    .await
    .unwrap();
    let timeouts = [Duration::from_millis(100), Duration::from_millis(100), WITHIN];
    let reply =
        old.request_patiently("test.write", &json!({"request_id": "r9", "body": {}}), &timeouts).await;
    assert_eq!(reply.envelope(), json!({"request_id": "r9", "body": 1, "status": 200}));
    assert_eq!(executed.get(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn old_and_new_replicas_share_their_subject() {
    let world = World::start().await;
    let (server, client, old) = (world.bus().await, world.bus().await, old_peer(&world).await);
    let by_new = Counter::default();
    let count = by_new.clone();
    server
        .serve::<Read, _, _>(move |_| {
            count.add();
            async { Reply::ok("new") }
        })
        .await
        .unwrap();
    old.serve("test.read", Read::QUEUE, async |_| Some(r#"{"body":"old","status":200}"#.to_owned())).await;
    let mut by_old = 0;
    for _ in 0..100 {
        by_old += usize::from(client.request::<Read>(&any(json!({}))).await.unwrap() == "old");
    }
    assert_eq!(by_old + by_new.get(), 100, "each request is executed once");
    assert!(by_old > 0 && by_new.get() > 0);
}
