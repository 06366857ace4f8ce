//! The real service on a stage.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests")]
#![allow(dead_code, reason = "not every test file uses all of it")]

use std::time::Duration;

use runtime::{Clock, Environment, Hosted, Runnable};
use serde_json::{Value, json};
use testkit::recordings::Stage;
use velocloud_bridge::VelocloudBridge;

/// A generous limit for what should come at once.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Starts the service with the stage's environment and some settings more.
pub(crate) async fn start(stage: &Stage, settings: &[(&str, &str)]) -> Hosted {
    let environment = Environment::from_iter(stage.environment()).merged(&settings.iter().copied().collect());
    let mut running = Hosted::start(&Runnable::of::<VelocloudBridge>(), environment, Clock::system());
    running.started().await.unwrap();
    running
}

/// Asks as an old requester does; status and body of the reply.
pub(crate) async fn ask(stage: &Stage, subject: &str, body: Value) -> (i64, Value) {
    let envelope = json!({"request_id": "r-1", "body": body});
    let mut reply = stage.requester.request(subject, &envelope, PATIENCE).await.envelope();
    assert_eq!(reply["request_id"], "r-1");
    (reply["status"].as_i64().unwrap(), reply["body"].take())
}

/// The lines of the service's metrics which begin so.
pub(crate) fn metrics(running: &Hosted, beginning: &str) -> Vec<String> {
    let text = prometheus::TextEncoder::new().encode_to_string(&running.host.metrics.gather()).unwrap();
    text.lines().filter(|line| line.starts_with(beginning)).map(str::to_owned).collect()
}
