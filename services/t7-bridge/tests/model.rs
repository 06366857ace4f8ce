//! What the bridge makes of a model that refuses, is slow, is gone, or stands behind TLS.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "helpers of tests")]

mod running;

use std::time::Duration;

use futures::future::join_all;
use running::{PATIENCE, Stage};
use sandbox::ThirdParty;
use sandbox::environment::T7_HOST;
use sandbox::kre::Prepared;
use serde_json::{Value, json};
use testkit::Front;

const PREDICTION: &str = "t7.prediction.request";
const LIVE: &str = "t7.live.automation.metrics";

fn question() -> Value {
    json!({"ticket_id": 5_100_001, "ticket_rows": [{"Asset": "VC1"}], "assets_to_predict": ["VC1"]})
}

fn outcome() -> Value {
    json!({"ticket_id": 5_100_001, "asset_id": "VC1", "automated_successfully": true})
}

fn prepare(stage: &Stage, rpc: &str, prepared: Prepared) {
    stage.sandbox.models().prepare(ThirdParty::T7, rpc, prepared).unwrap();
}

/// Repeats an outcome under its id until it is saved: for a moment after a refusal the bus still answers with that.
async fn until_saved(stage: &Stage) {
    let saved = async { while stage.ask(LIVE, outcome()).await.0 != 200 {} };
    tokio::time::timeout(PATIENCE, saved).await.unwrap();
}

#[tokio::test]
async fn every_grpc_status_becomes_that_of_the_specification() {
    let stage = Stage::start().await;
    let _running = stage.run(&[]).await;
    for (code, status) in [
        ("INTERNAL", 400),
        ("UNAUTHENTICATED", 401),
        ("PERMISSION_DENIED", 403),
        ("UNIMPLEMENTED", 404),
        ("DEADLINE_EXCEEDED", 408),
        ("UNAVAILABLE", 500),
        ("DATA_LOSS", 500),
        ("UNKNOWN", 500),
        ("INVALID_ARGUMENT", 500),
        ("RESOURCE_EXHAUSTED", 500),
    ] {
        let expected = (status, json!("Grpc error details: Method not found"));
        for (rpc, subject, body) in
            [("Prediction", PREDICTION, question()), ("SaveLiveMetrics", LIVE, outcome())]
        {
            prepare(&stage, rpc, Prepared::status(code, "Method not found"));
            assert_eq!(stage.ask_as(code, subject, body).await, expected, "{code}");
        }
    }
}

#[tokio::test]
async fn what_the_model_surely_did_not_save_may_be_sent_again_under_the_same_id() {
    let stage = Stage::start().await;
    let _running = stage.run(&[]).await;
    prepare(&stage, "SaveLiveMetrics", Prepared::status("PERMISSION_DENIED", "not now").times(1));
    assert_eq!(stage.ask(LIVE, outcome()).await.0, 403);
    until_saved(&stage).await;
    // What may have been saved is not sent again.
    prepare(&stage, "SaveLiveMetrics", Prepared::status("UNKNOWN", "who knows").times(1));
    let first = stage.ask_as("r-2", LIVE, outcome()).await;
    assert_eq!(first.0, 500);
    assert_eq!(stage.ask_as("r-2", LIVE, outcome()).await, first);
    assert_eq!(stage.received("SaveLiveMetrics").len(), 3);
}

#[tokio::test]
async fn a_slow_model_is_a_408_and_keeps_nobody_else_waiting() {
    let stage = Stage::start().await;
    let _running = stage.run(&[("KRE_DEADLINE", "1.5")]).await;
    prepare(&stage, "Prediction", Prepared::default().after(Duration::from_secs(60)));
    let slow = join_all((0..4).map(|_| stage.ask(PREDICTION, question())));
    let quick = async {
        let mut answered = 0;
        for id in 0..10 {
            answered += i32::from(stage.ask_as(&id.to_string(), LIVE, outcome()).await.0 == 200);
        }
        answered
    };
    let (slow, quick) = tokio::join!(slow, quick);
    assert_eq!(quick, 10);
    for reply in slow {
        assert_eq!(reply, (408, json!("Grpc error details: Deadline Exceeded")));
    }
}

#[tokio::test]
async fn a_model_that_is_gone_is_a_500_until_it_is_back() {
    let stage = Stage::start().await;
    let front = Front::plain(stage.sandbox.addresses().models[&ThirdParty::T7]).await;
    let there = format!("{T7_HOST}=grpc://{}", front.address());
    front.down().await;
    // It is not there at the start either.
    let running = stage.run(&[("UPSTREAM_OVERRIDES", &there)]).await;
    assert_eq!(running.host.not_ready(), Vec::<String>::new());
    let (status, text) = stage.ask(PREDICTION, question()).await;
    assert_eq!(status, 500);
    assert!(text.as_str().unwrap().starts_with("Grpc error details: cannot connect"), "{text}");
    assert_eq!(stage.ask(LIVE, outcome()).await.0, 500);
    front.up().await;
    let back = async { while stage.ask(PREDICTION, question()).await.0 != 200 {} };
    tokio::time::timeout(PATIENCE, back).await.unwrap();
    until_saved(&stage).await;
    front.down().await;
    assert_eq!(stage.ask(PREDICTION, question()).await.0, 500);
    assert_eq!(stage.received("SaveLiveMetrics").len(), 1);
}

#[tokio::test]
async fn certificates_are_checked_and_a_file_adds_an_authority() {
    let stage = Stage::start().await;
    let front = Front::tls(stage.sandbox.addresses().models[&ThirdParty::T7], T7_HOST, "h2").await;
    let there = format!("{T7_HOST}=grpcs://{}", front.address());
    let running = stage.run(&[("UPSTREAM_OVERRIDES", &there)]).await;
    let (status, text) = stage.ask(PREDICTION, question()).await;
    assert_eq!(status, 500);
    assert!(text.as_str().unwrap().starts_with("Grpc error details: TLS: "), "{text}");
    running.stop().await.unwrap();
    let file = front.ca_file().display().to_string();
    let _running = stage.run(&[("UPSTREAM_OVERRIDES", &there), ("KRE_ROOT_CERTIFICATES", &file)]).await;
    assert_eq!(stage.ask(PREDICTION, question()).await.0, 200);
}

#[tokio::test]
async fn calls_are_counted_by_method_and_status() {
    let stage = Stage::start().await;
    let running = stage.run(&[]).await;
    stage.ask(PREDICTION, question()).await;
    prepare(&stage, "SaveLiveMetrics", Prepared::status("INTERNAL", "no"));
    stage.ask(LIVE, outcome()).await;
    let counts = running.metrics("kre_calls_total").join("\n");
    for (rpc, code) in [("Prediction", "OK"), ("SaveLiveMetrics", "INTERNAL")] {
        let expected = format!(r#"code="{code}",model="t7",rpc="{rpc}"}} 1"#);
        assert!(counts.contains(&expected), "{counts}");
    }
}
