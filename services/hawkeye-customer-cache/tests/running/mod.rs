//! The real service on a stage: real NATS and Redis, stubs for the services it asks.
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test ends by panicking"
)]

use std::time::Duration;

use hawkeye_customer_cache::HawkeyeCustomerCache;
use redis::AsyncCommands;
use runtime::{Clock, Environment, Hosted, Runnable};
use serde_json::{Value, json};
use testkit::recordings::Stage;

/// A generous limit for what should come at once.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// The subject.
pub(crate) const SUBJECT: &str = "hawkeye.customer.cache.get";
/// The key of the list.
pub(crate) const LIST: &str = "dev-hawkeye";

/// A stage without anything in it.
pub(crate) async fn stage() -> Stage {
    Stage::start("hawkeye-customer-cache").await
}

/// Starts the service with the stage's environment and some settings more.
pub(crate) async fn start(stage: &Stage, clock: &Clock, settings: &[(&str, &str)]) -> Hosted {
    let environment = Environment::from_iter(stage.environment()).merged(&settings.iter().copied().collect());
    let mut service = Hosted::start(&Runnable::of::<HawkeyeCustomerCache>(), environment, clock.clone());
    service.started().await.expect("the service starts");
    service
}

/// Asks for cached devices; status and body.
pub(crate) async fn ask(stage: &Stage, body: Value) -> (i64, Value) {
    stage.ask(SUBJECT, body).await
}

/// Stores something in the cache's Redis.
pub(crate) async fn store(stage: &Stage, key: &str, value: &str) {
    let () = stage.redis.connection().await.set(key, value).await.unwrap();
}

/// Reads from the cache's Redis.
pub(crate) async fn stored(stage: &Stage, key: &str) -> Option<String> {
    stage.redis.connection().await.get(key).await.unwrap()
}

/// A cached device as the recordings have it.
pub(crate) fn device(number: u32, contact: &str) -> Value {
    json!({
        "bruin_client_info": {"client_id": 30_000, "client_name": "Acme", "site_id": 900 + number},
        "device_type_name": "xr_pi", "last_contact": contact, "probe_group": "GROUP",
        "probe_id": number.to_string(), "probe_uid": format!("aa:bb:cc:00:00:{number:02x}"),
        "serial_number": format!("AABBCC{number:06}")
    })
}
