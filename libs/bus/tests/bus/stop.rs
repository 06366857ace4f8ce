//! Stopping loses nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bus::{Bus, Reply, RequestError, ServeError, State};
use serde_json::json;

use crate::support::*;

async fn replica(world: &World) -> Bus {
    let bus = world.bus().await;
    bus.serve::<Read, _, _>(async |call| {
        tokio::time::sleep(Duration::from_millis(rand::random_range(0..5))).await;
        Reply::ok(&call.request)
    })
    .await
    .unwrap();
    bus
}

#[tokio::test(flavor = "multi_thread")]
async fn rolling_restarts_under_load_lose_nothing() {
    let world = World::start().await;
    let client = world.bus().await;
    let mut replicas = [replica(&world).await, replica(&world).await];
    let running = Arc::new(AtomicBool::new(true));
    let load: Vec<_> = (0..24)
        .map(|worker| {
            let (client, running) = (client.clone(), Arc::clone(&running));
            tokio::spawn(async move {
                let (mut asked, mut lost) = (0, Vec::new());
                while running.load(Ordering::Relaxed) {
                    let body = json!({"worker": worker, "n": asked});
                    match client.request_within::<Read>(&any(body.clone()), Duration::from_secs(4)).await {
                        Ok(reply) => assert_eq!(reply, body),
                        Err(error) => lost.push(error),
                    }
                    asked += 1;
                }
                (asked, lost)
            })
        })
        .collect();
    for restart in 0..20 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let index = restart % 2;
        replicas[index].drain(Duration::from_secs(10)).await;
        replicas[index] = replica(&world).await;
    }
    running.store(false, Ordering::Relaxed);
    let mut total = 0;
    for worker in load {
        let (asked, lost) = worker.await.unwrap();
        assert!(lost.is_empty(), "lost: {lost:?}");
        total += asked;
    }
    assert!(total > 1_000, "only {total} requests: no load");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_flight_is_finished_and_nothing_new_is_taken() {
    let world = World::start().await;
    let bus = world.bus().await;
    let peer = world.peer().await;
    let started = Counter::default();
    let (count, (open, gate)) = (started.clone(), tokio::sync::watch::channel(false));
    bus.serve::<Read, _, _>(move |_| {
        count.add();
        let mut gate = gate.clone();
        async move {
            let _ = gate.wait_for(|open| *open).await;
            Reply::ok("finished")
        }
    })
    .await
    .unwrap();
    let asked =
        tokio::spawn(async move { peer.ask_json("test.read", r#"{"request_id":"a","body":{}}"#).await });
    until("started", async || started.get() == 1).await;
    let draining = tokio::spawn({
        let bus = bus.clone();
        async move { bus.drain(Duration::from_secs(10)).await }
    });
    // Nobody serves the subject any more, while the request is still being handled.
    let other = world.bus().await;
    until("unsubscribed", async || {
        let answer = other.request_within::<Read>(&any(json!({})), Duration::from_millis(100)).await;
        matches!(answer, Err(RequestError::NoResponders { .. }))
    })
    .await;
    open.send_replace(true);
    assert_eq!(asked.await.unwrap()["body"], "finished");
    draining.await.unwrap();
    assert_eq!(*bus.state().borrow(), State::Closed);
    let error = bus.request::<Read>(&any(json!({}))).await.unwrap_err();
    assert!(matches!(error, RequestError::Disconnected { sent: false, .. }), "{error}");
    let error = bus.serve::<Other, _, _>(async |_| Reply::status(200)).await.unwrap_err();
    assert!(matches!(error, ServeError::Closing { .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_end_in_time_is_refused() {
    let world = World::start().await;
    let bus = world.bus_with(bus::Limits { in_flight: 2, ..bus::Limits::default() }).await;
    let peer = Arc::new(world.peer().await);
    bus.serve::<Read, _, _>(|_| std::future::pending()).await.unwrap();
    let asked: Vec<_> = (0..6)
        .map(|_| {
            let peer = Arc::clone(&peer);
            tokio::spawn(async move { peer.ask_json("test.read", r#"{"request_id":"a","body":{}}"#).await })
        })
        .collect();
    round_trip(&peer.0).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    bus.drain(Duration::from_millis(500)).await;
    for reply in asked {
        let reply = reply.await.unwrap();
        assert_eq!((&reply["status"], &reply["body"]), (&json!(503), &json!("the service is stopping")));
    }
}

/// The first delivery is being executed, its repetition waits for that, and a third request for its payload.
#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_something_else_is_answered_too() {
    let world = World::start().await;
    let ((bus, metrics), peer) = (connected(world.options()).await, world.peer().await);
    bus.serve::<Write, _, _>(async |_| std::future::pending::<Reply>().await).await.unwrap();
    bus.serve::<Read, _, _>(async |_| Reply::status(200)).await.unwrap();
    let ask = |subject: &'static str, payload: &'static str| {
        let peer = Peer(peer.0.clone());
        tokio::spawn(async move { peer.ask_json(subject, payload).await })
    };
    let write = r#"{"request_id":"r9","body":{}}"#;
    let delivered = [ask("test.write", write), ask("test.write", write)];
    let here = |figure| text(&metrics).contains(figure);
    until("both are here", async || here(r#"bus_requests_in_flight{subject="test.write"} 2"#)).await;
    world.redis.pause();
    let token = ask("test.read", r#"{"token":"2222222222222222222222","is_stored":true}"#);
    until("it is here", async || here(r#"bus_requests_in_flight{subject="test.read"} 1"#)).await;
    bus.drain(Duration::from_secs(1)).await;
    for delivery in delivered {
        let reply = delivery.await.unwrap();
        assert_eq!((&reply["status"], &reply["body"]), (&json!(500), &json!("the service is stopping")));
    }
    assert_eq!(token.await.unwrap()["status"], 503);
}

#[tokio::test(flavor = "multi_thread")]
async fn draining_ends_in_time_without_a_server() {
    let world = World::start().await;
    let bus = world.bus().await;
    bus.serve::<Read, _, _>(async |_| Reply::status(200)).await.unwrap();
    world.nats.kill9();
    until("disconnected", async || !bus.connected()).await;
    let drained = tokio::time::timeout(Duration::from_secs(8), bus.drain(Duration::from_secs(20))).await;
    assert!(drained.is_ok());
}
