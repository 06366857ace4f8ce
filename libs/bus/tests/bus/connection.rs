//! Connections come and go.

use std::time::Duration;

use bus::{Bus, BusOptions, NatsOptions, Reply, RequestError, State};
use prometheus::Registry;
use serde_json::json;
use testkit::{Nats, NatsCluster, Redis};
use tokio::sync::watch;

use crate::support::*;

async fn echo(bus: &Bus) {
    bus.serve::<Read, _, _>(async |call| Reply::ok(&call.request)).await.unwrap();
}

/// Waits until a sixth of the 300 requests has been sent.
async fn in_full_swing(mut sending: watch::Receiver<u32>) {
    sending.wait_for(|sent| *sent >= 50).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_comes_later_is_waited_for() {
    let world = World::start().await;
    world.nats.kill9();
    let bus = Bus::connect(world.options(), &Registry::new()).await.unwrap();
    assert_eq!(*bus.state().borrow(), State::Connecting);
    let error = bus.request_within::<Read>(&any(json!({})), Duration::from_millis(200)).await.unwrap_err();
    assert!(matches!(error, RequestError::Disconnected { sent: false, .. }), "{error}");
    assert!(!error.maybe_executed());
    let serving = tokio::spawn({
        let bus = bus.clone();
        async move { echo(&bus).await }
    });
    world.nats.restart().await;
    serving.await.unwrap();
    assert_eq!(bus.request::<Read>(&any(json!({"n": 1}))).await.unwrap(), json!({"n": 1}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_is_survived_and_requests_wait_for_its_return() {
    let world = World::start().await;
    let (client, metrics) = connected(world.options()).await;
    let server = world.bus().await;
    echo(&server).await;
    for n in 0..3 {
        world.nats.kill9();
        until("disconnected", async || !client.connected() && !server.connected()).await;
        let waiting = tokio::spawn({
            let client = client.clone();
            async move { client.request::<Read>(&any(json!({"n": n}))).await }
        });
        world.nats.restart().await;
        assert_eq!(waiting.await.unwrap().unwrap(), json!({"n": n}));
    }
    assert!(text(&metrics).contains("bus_reconnects_total 3"), "{}", text(&metrics));
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_given_up_while_disconnected_are_never_sent() {
    let world = World::start().await;
    let (client, server) = (world.bus().await, world.bus().await);
    let executed = Counter::default();
    let count = executed.clone();
    server
        .serve::<Write, _, _>(move |_| {
            count.add();
            async { Reply::status(200) }
        })
        .await
        .unwrap();
    world.nats.kill9();
    until("disconnected", async || !client.connected()).await;
    let body = any(json!({}));
    let stale = (0..50).map(|_| client.request_within::<Write>(&body, Duration::from_millis(50)));
    for outcome in futures::future::join_all(stale).await {
        assert!(matches!(outcome, Err(RequestError::Disconnected { sent: false, .. })), "{outcome:?}");
    }
    world.nats.restart().await;
    client.request::<Write>(&body).await.unwrap();
    assert_eq!(executed.get(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_lost_connection_a_read_is_sent_again_and_a_write_is_not() {
    let world = World::start().await;
    let client = world.bus().await;
    let peer = world.peer().await;
    // The first request of each kind gets no answer.
    let reads = Counter::default();
    let turn = reads.clone();
    let read = peer
        .answers("test.read", move |_| (turn.add() > 1).then(|| br#"{"body":1,"status":200}"#.to_vec()))
        .await;
    let write = peer.answers("test.write", |_| None).await;
    let asked = tokio::spawn({
        let client = client.clone();
        async move {
            let body = any(json!({}));
            let write = client.request_within::<Write>(&body, Duration::from_secs(4));
            tokio::join!(client.request::<Read>(&body), write)
        }
    });
    until("asked", async || read.get() == 1 && write.get() == 1).await;
    world.nats.restart().await;
    let (read_outcome, write_outcome) = asked.await.unwrap();
    assert_eq!(read_outcome.unwrap(), json!(1));
    let error = write_outcome.unwrap_err();
    assert!(matches!(error, RequestError::Disconnected { sent: true, .. }), "{error}");
    assert!(error.maybe_executed());
    assert_eq!((read.get(), write.get()), (2, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_that_is_ready_while_disconnected_is_sent_after_the_return() {
    let world = World::start().await;
    let (client, server) = (world.bus().await, world.bus().await);
    let started = Counter::default();
    let (count, (open, gate)) = (started.clone(), watch::channel(false));
    server
        .serve::<Write, _, _>(move |_| {
            count.add();
            let mut gate = gate.clone();
            async move {
                let _ = gate.wait_for(|open| *open).await;
                Reply::ok("done")
            }
        })
        .await
        .unwrap();
    let asked = tokio::spawn({
        let client = client.clone();
        async move { client.request::<Write>(&any(json!({}))).await }
    });
    until("started", async || started.get() == 1).await;
    world.nats.kill9();
    until("disconnected", async || !server.connected() && !client.connected()).await;
    world.nats.restart().await;
    until("connected", async || server.connected() && client.connected()).await;
    round_trip(&client.client().unwrap()).await;
    open.send_replace(true);
    assert_eq!(asked.await.unwrap().unwrap(), json!("done"));
    assert_eq!(started.get(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_cluster_the_death_of_a_node_costs_no_request() {
    let (cluster, redis) = tokio::join!(NatsCluster::start(3), Redis::start());
    let options = BusOptions {
        nats: NatsOptions { servers: vec![cluster.url()], ..NatsOptions::default() },
        ..BusOptions::new("test-bridge", "", redis.host(), redis.port())
    };
    // Requester on the node that dies, repliers elsewhere: what was lost is what the requester can send again.
    let at = |node: usize| BusOptions {
        nats: NatsOptions { servers: vec![cluster.nodes()[node].url()], ..NatsOptions::default() },
        ..options.clone()
    };
    let (client, metrics) = connected(at(0)).await;
    let (server, _) = connected(at(1)).await;
    echo(&server).await;
    let (sent, sending) = watch::channel(0_u32);
    let asked = tokio::spawn({
        let client = client.clone();
        async move {
            let mut lost = Vec::new();
            for n in 0..300 {
                sent.send_replace(n);
                if let Err(error) = client.request::<Read>(&any(json!({"n": n}))).await {
                    lost.push(error);
                }
                tokio::time::sleep(Duration::from_millis(3)).await;
            }
            lost
        }
    });
    in_full_swing(sending).await;
    cluster.nodes()[0].kill9();
    let lost = asked.await.unwrap();
    assert!(lost.is_empty(), "{lost:?}");
    assert!(text(&metrics).contains("bus_reconnects_total 1"));
    assert_ne!(client.client().unwrap().server_info().port, cluster.nodes()[0].port());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_in_lame_duck_mode_is_left_without_losing_a_request() {
    let (cluster, redis) = tokio::join!(NatsCluster::start(3), Redis::start());
    let at = |node: usize| BusOptions {
        nats: NatsOptions { servers: vec![cluster.nodes()[node].url()], ..NatsOptions::default() },
        ..BusOptions::new("test-bridge", "", redis.host(), redis.port())
    };
    let ((client, _), (first, _), (second, _)) =
        (connected(at(0)).await, connected(at(0)).await, connected(at(1)).await);
    echo(&first).await;
    echo(&second).await;
    let (sent, sending) = watch::channel(0_u32);
    let asked = tokio::spawn({
        let client = client.clone();
        async move {
            let mut lost = Vec::new();
            for n in 0..300 {
                sent.send_replace(n);
                let body = any(json!({"n": n}));
                if let Err(error) = client.request_within::<Read>(&body, Duration::from_secs(4)).await {
                    lost.push(error);
                }
                tokio::time::sleep(Duration::from_millis(3)).await;
            }
            lost
        }
    });
    in_full_swing(sending).await;
    let port = cluster.nodes()[0].port();
    cluster.nodes()[0].lame_duck();
    until("moved", async || {
        client.client().unwrap().server_info().port != port
            && first.client().unwrap().server_info().port != port
    })
    .await;
    let lost = asked.await.unwrap();
    assert!(lost.is_empty(), "{lost:?}");
    // The moved replica serves again.
    second.drain(Duration::from_secs(5)).await;
    assert_eq!(client.request::<Read>(&any(json!({"n": 1}))).await.unwrap(), json!({"n": 1}));
}

#[tokio::test(flavor = "multi_thread")]
async fn user_and_password_are_given_and_wrong_ones_do_not_end_the_process() {
    let secured = testkit::NatsOptions {
        user: Some(("fleet".to_owned(), "s3cret".to_owned())),
        ..testkit::NatsOptions::default()
    };
    let world = World { nats: Nats::start_with(secured).await, redis: Redis::start().await };
    let mut options = world.options();
    let refused = Bus::connect(options.clone(), &Registry::new()).await.unwrap();
    options.nats.user = Some("fleet".to_owned());
    options.nats.password = Some("s3cret".into());
    let (bus, _) = connected(options).await;
    echo(&bus).await;
    assert_eq!(bus.request::<Read>(&any(json!({"n": 1}))).await.unwrap(), json!({"n": 1}));
    assert!(!refused.connected());
}

#[tokio::test(flavor = "multi_thread")]
async fn options_that_are_of_no_use_are_named() {
    let redis = Redis::start().await;
    let with =
        |nats: NatsOptions| BusOptions { nats, ..BusOptions::new("x", "", redis.host(), redis.port()) };
    for (nats, name) in [
        (NatsOptions { servers: vec!["::".to_owned()], ..NatsOptions::default() }, "NATS_SERVER1"),
        (
            NatsOptions { creds_file: Some("no/such/file".into()), ..NatsOptions::default() },
            "NATS_CREDS_FILE",
        ),
        (NatsOptions { ca_file: Some("no/such/file".into()), ..NatsOptions::default() }, "NATS_CA_FILE"),
    ] {
        let error = Bus::connect(with(nats), &Registry::new()).await.unwrap_err().to_string();
        assert!(error.starts_with(name), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_with_an_authority_of_ones_own_is_spoken_and_an_unknown_one_refused() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let certify =
        || rcgen::generate_simple_self_signed(["127.0.0.1".to_owned(), "localhost".to_owned()]).unwrap();
    let (ours, other) = (certify(), certify());
    let certificate = write("cert.pem", ours.cert.pem());
    let key = write("key.pem", ours.signing_key.serialize_pem());
    let secured =
        testkit::NatsOptions { tls: Some((certificate.clone(), key)), ..testkit::NatsOptions::default() };
    let world = World { nats: Nats::start_with(secured).await, redis: Redis::start().await };
    let mut options = world.options();
    options.nats.ca_file = Some(write("other.pem", other.cert.pem()));
    let refused = Bus::connect(options.clone(), &Registry::new()).await.unwrap();
    options.nats.ca_file = Some(certificate);
    let (bus, _) = connected(options).await;
    echo(&bus).await;
    assert_eq!(bus.request::<Read>(&any(json!({"n": 1}))).await.unwrap(), json!({"n": 1}));
    assert!(!refused.connected());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_server_is_left_and_what_it_swallowed_is_read_elsewhere() {
    let (cluster, redis) = tokio::join!(NatsCluster::start(3), Redis::start());
    let at = |node: usize| {
        let servers = vec![cluster.nodes()[node].url()];
        let nats =
            NatsOptions { servers, ping_interval: Duration::from_millis(300), ..NatsOptions::default() };
        BusOptions { nats, ..BusOptions::new("test-bridge", "", redis.host(), redis.port()) }
    };
    let ((client, _), (server, _)) = (connected(at(0)).await, connected(at(1)).await);
    echo(&server).await;
    assert_eq!(client.request::<Read>(&any(json!({"n": 1}))).await.unwrap(), json!({"n": 1}));
    cluster.nodes()[0].pause();
    // Written to a connection that still looks well.
    assert!(client.connected());
    assert_eq!(client.request::<Read>(&any(json!({"n": 2}))).await.unwrap(), json!({"n": 2}));
    assert_ne!(client.client().unwrap().server_info().port, cluster.nodes()[0].port());
    cluster.nodes()[0].resume();
}
