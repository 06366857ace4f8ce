//! The real service on a stage: real NATS and Redis, stubs for the services it asks.
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test ends by panicking"
)]

use std::time::Duration;

use customer_cache::CustomerCache;
use redis::AsyncCommands;
use runtime::{Clock, Environment, Hosted, Runnable};
use serde_json::{Value, json};
use testkit::recordings::Stage;

/// A generous limit for what should come at once.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Starts the service with the stage's environment and some settings more.
pub(crate) async fn start(stage: &Stage, clock: &Clock, settings: &[(&str, &str)]) -> Hosted {
    let environment = Environment::from_iter(stage.environment()).merged(&settings.iter().copied().collect());
    let mut service = Hosted::start(&Runnable::of::<CustomerCache>(), environment, clock.clone());
    service.started().await.expect("the service starts");
    service
}

/// Asks for cached edges; status and body.
pub(crate) async fn ask(stage: &Stage, body: Value) -> (i64, Value) {
    let envelope = json!({"request_id": "r-1", "body": body});
    let mut reply = stage.requester.request("customer.cache.get", &envelope, PATIENCE).await.envelope();
    assert_eq!(reply["request_id"], "r-1");
    (reply["status"].as_i64().unwrap(), reply["body"].take())
}

/// The serials of a reply's edges.
pub(crate) fn serials(body: &Value) -> Vec<&str> {
    body.as_array().into_iter().flatten().map(|edge| edge["serial_number"].as_str().unwrap()).collect()
}

/// Stores something in the cache's Redis.
pub(crate) async fn store(stage: &Stage, key: &str, value: &str) {
    let () = stage.redis.connection().await.set(key, value).await.unwrap();
}

/// Reads from the cache's Redis.
pub(crate) async fn stored(stage: &Stage, key: &str) -> Option<String> {
    stage.redis.connection().await.get(key).await.unwrap()
}

/// Puts the next refresh off, so that the service only serves.
pub(crate) async fn no_refresh(stage: &Stage) {
    store(stage, "dev-next_refresh_date", "01/01/2099, 00:00:00").await;
}
