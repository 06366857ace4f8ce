//! What the tests of this service ask and store.

use serde_json::Value;
use testkit::recordings::Stage;

/// Asks for cached edges; status and body.
pub(crate) async fn ask(stage: &Stage, body: Value) -> (i64, Value) {
    stage.ask("customer.cache.get", body).await
}

/// The serials of a reply's edges.
pub(crate) fn serials(body: &Value) -> Vec<&str> {
    body.as_array().into_iter().flatten().map(|edge| edge["serial_number"].as_str().unwrap()).collect()
}

/// Puts the next refresh off, so that the service only serves.
pub(crate) async fn no_refresh(stage: &Stage) {
    stage.store("dev-next_refresh_date", "01/01/2099, 00:00:00").await;
}
