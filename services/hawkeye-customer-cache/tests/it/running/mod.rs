//! What the tests of this service ask and store.

use serde_json::{Value, json};
use testkit::recordings::Stage;

/// The subject.
pub(crate) const SUBJECT: &str = "hawkeye.customer.cache.get";
/// The key of the list.
pub(crate) const LIST: &str = "dev-hawkeye";

/// Asks for cached devices; status and body.
pub(crate) async fn ask(stage: &Stage, body: Value) -> (i64, Value) {
    stage.ask(SUBJECT, body).await
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
