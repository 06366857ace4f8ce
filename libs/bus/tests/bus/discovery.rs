//! `$SRV` as the `nats` command line asks it.

use bus::Reply;
use serde_json::{Value, json};

use crate::support::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_serving_process_can_be_discovered_and_shows_its_figures() {
    let world = World::start().await;
    let (bus, peer) = (world.bus().await, world.peer().await);
    bus.serve::<Read, _, _>(async |_| Reply::status(200)).await.unwrap();
    bus.serve::<Other, _, _>(async |_| Reply::status(502)).await.unwrap();
    // A message without reply subject must not end it.
    peer.0.publish("$SRV.PING", "".into()).await.unwrap();
    for _ in 0..3 {
        peer.ask("test.read", r#"{"body":{}}"#).await;
    }
    peer.ask("test.other", r#"{"body":{}}"#).await;

    let ping = peer.ask_json("$SRV.PING", "").await;
    assert_eq!(
        (&ping["type"], &ping["name"]),
        (&json!("io.nats.micro.v1.ping_response"), &json!("test-bridge"))
    );
    let id = ping["id"].as_str().unwrap();
    let info = peer.ask_json("$SRV.INFO.test-bridge", "").await;
    assert_eq!(info["type"], "io.nats.micro.v1.info_response");
    assert_eq!(
        info["endpoints"],
        json!([
            {"name": "test-read", "subject": "test.read", "queue_group": "test_bridge", "metadata": {}},
            {"name": "test-other", "subject": "test.other", "queue_group": "test_bridge", "metadata": {}},
        ])
    );
    until("counted", async || {
        let stats = peer.ask_json(&format!("$SRV.STATS.test-bridge.{id}"), "").await;
        let endpoint = |index: usize, field: &str| -> Value { stats["endpoints"][index][field].clone() };
        stats["started"].is_string()
            && endpoint(0, "num_requests") == 3
            && endpoint(0, "num_errors") == 0
            && endpoint(1, "num_errors") == 1
            && endpoint(1, "last_error") == "status 502"
            && endpoint(0, "average_processing_time").as_u64() > Some(0)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_name_subjects_and_classes() {
    let world = World::start().await;
    let (bus, metrics) = connected(world.options()).await;
    bus.serve::<Read, _, _>(async |_| Reply::status(200)).await.unwrap();
    bus.request::<Read>(&any(json!({}))).await.unwrap();
    until("counted", async || {
        let text = text(&metrics);
        text.contains(r#"bus_requests_sent_total{status="2xx",subject="test.read"} 1"#)
            && text.contains(r#"bus_requests_served_total{status="2xx",subject="test.read"} 1"#)
            && text.contains(r#"bus_request_duration_seconds_count{subject="test.read"} 1"#)
            && text.contains(r#"bus_serve_duration_seconds_count{subject="test.read"} 1"#)
            && text.contains(r#"bus_requests_in_flight{subject="test.read"} 0"#)
            && text.contains(r#"bus_requests_queued{subject="test.read"} 0"#)
            && text.contains("bus_reconnects_total 0")
            && text.contains("bus_slow_consumer_drops_total 0")
    })
    .await;
}
