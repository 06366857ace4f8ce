//! A write is executed once, however often it is delivered.

use std::sync::Arc;
use std::time::Duration;

use bus::{Bus, Limits, Reply};
use serde_json::json;

use crate::support::*;

const REQUEST: &str = r#"{"request_id":"r9","body":{}}"#;
const KEY: &str = "test-bridge:dedupe:test.write:r9";

/// Serves [`Write`]: counts executions and answers the count, after a pause.
async fn counting(bus: &Bus, pause: Duration) -> Counter {
    let executed = Counter::default();
    let count = executed.clone();
    bus.serve::<Write, _, _>(move |_| {
        let n = count.add();
        async move {
            tokio::time::sleep(pause).await;
            Reply::json(201, &n)
        }
    })
    .await
    .unwrap();
    executed
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repetition_gets_the_reply_of_the_first_delivery() {
    let world = World::start().await;
    let (bus, metrics) = connected(world.options()).await;
    let peer = world.peer().await;
    let executed = counting(&bus, Duration::ZERO).await;
    for _ in 0..3 {
        let reply = peer.ask("test.write", REQUEST).await;
        assert_eq!(reply, r#"{"request_id":"r9","body":1,"status":201}"#);
    }
    assert_eq!(executed.get(), 1);
    let ttl = world.ttl(KEY).await;
    assert!((590..=600).contains(&ttl), "{ttl}");
    assert!(text(&metrics).contains(r#"bus_dedupe_hits_total{subject="test.write"} 2"#));
}

#[tokio::test(flavor = "multi_thread")]
async fn repetitions_join_the_delivery_in_flight_in_the_process_and_across_replicas() {
    let world = World::start().await;
    let (one, two) = (world.bus().await, world.bus().await);
    let peer = world.peer().await;
    let first = counting(&one, Duration::from_millis(300)).await;
    let second = counting(&two, Duration::from_millis(300)).await;
    // Sixteen at once reach both replicas.
    let asked = futures::future::join_all((0..16).map(|_| peer.ask("test.write", REQUEST))).await;
    assert!(asked.iter().all(|reply| reply == r#"{"request_id":"r9","body":1,"status":201}"#), "{asked:?}");
    assert_eq!(first.get() + second.get(), 1);
}

/// Writes are rare, so a connection that Redis has closed is often found out by the look at what is known.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_was_lost_while_nobody_used_it_hides_nothing() {
    let world = World::start().await;
    let (bus, peer) = (world.bus().await, world.peer().await);
    let executed = counting(&bus, Duration::ZERO).await;
    peer.ask("test.write", r#"{"request_id":"r1","body":{}}"#).await;
    world.store(KEY, b"D201 7").await;
    let mut other = world.redis.connection().await;
    let lost: i64 =
        redis::cmd("CLIENT").arg(&["KILL", "TYPE", "normal"]).query_async(&mut other).await.unwrap();
    assert!(lost > 0);
    let reply = peer.ask("test.write", REQUEST).await;
    assert_eq!(reply, r#"{"request_id":"r9","body":7,"status":201}"#);
    assert_eq!(executed.get(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_executed_is_tried_again() {
    let world = World::start().await;
    let (bus, peer) = (world.bus().await, world.peer().await);
    let executed = Counter::default();
    let count = executed.clone();
    bus.serve::<Write, _, _>(move |_| {
        let n = count.add();
        async move { if n < 20 { Reply::text(503, "not now").not_executed() } else { Reply::status(200) } }
    })
    .await
    .unwrap();
    // Each with the answer to the one before in hand, none of which may be the answer again.
    for n in 1..=21 {
        assert_eq!(peer.ask_json("test.write", REQUEST).await["status"], if n < 20 { 503 } else { 200 });
        assert_eq!(executed.get(), n.min(20));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_and_ids_that_are_no_text_are_not_remembered() {
    let world = World::start().await;
    let (bus, peer) = (world.bus().await, world.peer().await);
    let writes = counting(&bus, Duration::ZERO).await;
    let reads = Counter::default();
    let count = reads.clone();
    bus.serve::<Read, _, _>(move |_| {
        count.add();
        async { Reply::status(200) }
    })
    .await
    .unwrap();
    for id in ["7", "null", "\"\"", "[\"a\"]"] {
        for _ in 0..2 {
            peer.ask("test.write", format!(r#"{{"request_id":{id},"body":{{}}}}"#)).await;
        }
    }
    for _ in 0..2 {
        peer.ask("test.read", REQUEST).await;
    }
    assert_eq!((writes.get(), reads.get()), (8, 2));
    assert_eq!(world.keys().await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_write_leaves_no_trace() {
    let world = World::start().await;
    let (bus, peer) = (world.bus().await, world.peer().await);
    let executed = counting(&bus, Duration::ZERO).await;
    assert_eq!(peer.ask_json("test.write", r#"{"request_id":"r9"}"#).await["status"], 400);
    assert_eq!(peer.ask_json("test.write", REQUEST).await["status"], 201);
    assert_eq!(executed.get(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_outcome_is_answered_500_and_not_executed_again() {
    let world = World::start().await;
    let (bus, peer) = (world.bus().await, world.peer().await);
    let executed = Counter::default();
    let count = executed.clone();
    bus.serve::<HastyWrite, _, _>(move |_| {
        count.add();
        async { Reply::status(200) }
    })
    .await
    .unwrap();
    // The marker of a replica that was killed in the middle.
    world.store("test-bridge:dedupe:test.hasty.write:r9", b"P").await;
    let reply = peer.ask_json("test.hasty.write", REQUEST).await;
    assert_eq!((&reply["status"], &reply["request_id"]), (&json!(500), &json!("r9")));
    assert_eq!(executed.get(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_is_slower_than_its_requester_ends_and_its_repetition_gets_the_result() {
    let world = World::start().await;
    let (bus, peer) = (world.bus().await, world.peer().await);
    let executed = Counter::default();
    let (count, (open, gate)) = (executed.clone(), tokio::sync::watch::channel(false));
    bus.serve::<HastyWrite, _, _>(move |_| {
        count.add();
        let mut gate = gate.clone();
        async move {
            let _ = gate.wait_for(|open| *open).await;
            Reply::ok("done")
        }
    })
    .await
    .unwrap();
    assert_eq!(peer.ask_json("test.hasty.write", REQUEST).await["status"], 500);
    open.send_replace(true);
    let key = "test-bridge:dedupe:test.hasty.write:r9";
    until("kept", async || world.stored(key).await.is_some_and(|value| value.starts_with(b"D"))).await;
    let reply = peer.ask("test.hasty.write", REQUEST).await;
    assert_eq!(reply, r#"{"request_id":"r9","body":"done","status":200}"#);
    assert_eq!(executed.get(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_store_writes_are_executed() {
    let world = World::start().await;
    let (bus, peer) = (world.bus().await, world.peer().await);
    let executed = counting(&bus, Duration::ZERO).await;
    world.redis.kill9();
    assert_eq!(peer.ask_json("test.write", REQUEST).await["status"], 201);
    world.redis.restart().await;
    world.redis.pause();
    assert_eq!(peer.ask_json("test.write", r#"{"request_id":"r10","body":{}}"#).await["status"], 201);
    world.redis.resume();
    assert_eq!(executed.get(), 2);
}

/// Also when Redis comes back and knows nothing.
#[tokio::test(flavor = "multi_thread")]
async fn without_the_store_a_process_still_executes_a_write_once() {
    let world = World::start().await;
    let (bus, peer) = (world.bus().await, world.peer().await);
    let executed = counting(&bus, Duration::ZERO).await;
    world.redis.kill9();
    for _ in 0..3 {
        assert_eq!(peer.ask("test.write", REQUEST).await, r#"{"request_id":"r9","body":1,"status":201}"#);
    }
    world.redis.restart().await;
    assert_eq!(peer.ask("test.write", REQUEST).await, r#"{"request_id":"r9","body":1,"status":201}"#);
    assert_eq!(executed.get(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_lost_during_or_after_a_write_does_not_bring_it_about_again() {
    let world = World::start().await;
    let (bus, peer) = (world.bus().await, world.peer().await);
    let executed = Counter::default();
    let (count, (open, gate)) = (executed.clone(), tokio::sync::watch::channel(false));
    bus.serve::<Write, _, _>(move |_| {
        let (n, mut gate) = (count.add(), gate.clone());
        async move {
            let _ = gate.wait_for(|open| *open).await;
            // The first one is larger than what a process remembers.
            if n == 1 { Reply::text(200, &"x".repeat(300_000)) } else { Reply::json(201, &n) }
        }
    })
    .await
    .unwrap();
    let lose = async {
        until("begun", async || executed.get() == 1).await;
        world.redis.kill9();
        open.send_replace(true);
    };
    let (first, ()) = tokio::join!(peer.ask_json("test.write", REQUEST), lose);
    assert_eq!(first["status"], 200);
    // As long as the reply is on its way to the store, a repetition gets it from there.
    until("all that is known is that it was executed", async || {
        let repeated = peer.ask_json("test.write", REQUEST).await["status"].clone();
        assert!(repeated == 200 || repeated == 500, "{repeated}");
        repeated == 500
    })
    .await;

    world.redis.restart().await;
    let other = r#"{"request_id":"r10","body":{}}"#;
    assert_eq!(peer.ask_json("test.write", other).await["status"], 201);
    world.redis.kill9();
    assert_eq!(peer.ask_json("test.write", other).await["status"], 201);
    assert_eq!(executed.get(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_store_what_was_not_executed_is_tried_again() {
    let world = World::start().await;
    let (bus, peer) = (world.bus().await, world.peer().await);
    let executed = Counter::default();
    let count = executed.clone();
    bus.serve::<Write, _, _>(move |_| {
        let n = count.add();
        async move { if n < 3 { Reply::text(503, "not now").not_executed() } else { Reply::status(200) } }
    })
    .await
    .unwrap();
    world.redis.kill9();
    for status in [503, 503, 200, 200] {
        assert_eq!(peer.ask_json("test.write", REQUEST).await["status"], status);
    }
    assert_eq!(executed.get(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_marker_that_redis_sets_too_late_for_the_write_is_taken_back() {
    let world = World::start().await;
    let patient = Limits { dedupe_within: Duration::from_secs(20), ..Limits::default() };
    let (bus, peer) = (world.bus_with(patient).await, world.peer().await);
    let executed = Counter::default();
    let count = executed.clone();
    bus.serve::<HastyWrite, _, _>(move |_| {
        count.add();
        async { Reply::status(200) }
    })
    .await
    .unwrap();
    // With a connection that stands.
    assert_eq!(peer.ask_json("test.hasty.write", r#"{"request_id":"r1","body":{}}"#).await["status"], 200);
    world.redis.pause();
    let late = peer.ask_json("test.hasty.write", REQUEST).await;
    assert_eq!((&late["status"], &late["body"]), (&json!(500), &json!("no result in time")));
    world.redis.resume();
    until("executed", async || peer.ask_json("test.hasty.write", REQUEST).await["status"] == 200).await;
    assert_eq!(executed.get(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_replica_has_begun_is_not_begun_again_because_the_store_is_lost() {
    const KEY: &str = "test-bridge:dedupe:test.patient.write:r9";
    for comes_back in [false, true] {
        let world = World::start().await;
        let (bus, peer) = (world.bus().await, Arc::new(world.peer().await));
        let executed = Counter::default();
        let count = executed.clone();
        bus.serve::<PatientWrite, _, _>(move |_| {
            count.add();
            async { Reply::status(200) }
        })
        .await
        .unwrap();
        world.store(KEY, b"P").await;
        let (first, again) = (Arc::clone(&peer), peer);
        let asked = tokio::spawn(async move { first.ask_json("test.patient.write", REQUEST).await });
        // It has looked, as the count of commands tells.
        until("looked", async || world.redis_commands("get").await >= 1).await;
        world.redis.kill9();
        if comes_back {
            // A look in between fails, which nothing outside tells.
            tokio::time::sleep(Duration::from_secs(1)).await;
            world.redis.restart().await;
        }
        assert_eq!(asked.await.unwrap()["status"], 500);
        assert_eq!(executed.get(), 0);
        if comes_back {
            // Nor is a repetition that finds nothing of the other replica any more.
            assert_eq!(again.ask_json("test.patient.write", REQUEST).await["status"], 500);
            assert_eq!(executed.get(), 0);
        }
    }
}

/// The store was slow when it was asked, so that another replica executes the write as well.
#[tokio::test(flavor = "multi_thread")]
async fn what_another_replica_has_written_is_not_forgotten_with_a_write_of_ones_own() {
    let world = Arc::new(World::start().await);
    let (bus, peer) = (world.bus().await, world.peer().await);
    let store = Arc::clone(&world);
    bus.serve::<Write, _, _>(move |_| {
        let store = Arc::clone(&store);
        async move {
            store.store(KEY, b"Panother").await;
            Reply::text(503, "not now").not_executed()
        }
    })
    .await
    .unwrap();
    assert_eq!(peer.ask_json("test.write", REQUEST).await["status"], 503);
    until("forgotten", async || world.redis_commands("eval").await >= 1).await;
    assert_eq!(world.stored(KEY).await.as_deref(), Some(&b"Panother"[..]));
}
