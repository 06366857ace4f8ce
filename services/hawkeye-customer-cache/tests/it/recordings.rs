//! The exchanges recorded from the existing deployment, played against this service.
//!
//! The file does not tell what was stored before each request. What it does tell are the replies; so each exchange finds
//! the list stored which makes its expected reply right, beside devices that its filter has to keep out.

use crate::running::{LIST, device};
use redis::AsyncCommands;
use runtime::Clock;
use serde_json::{Value, json};
use testkit::recordings::{Exchange, Report, Stage};

/// What is stored, so that `exchange` is answered as recorded; `None` for nothing.
fn list(exchange: &Exchange) -> Option<Vec<Value>> {
    const RECENT: &str = "2021-01-05T13:57:07Z";
    let reply = exchange.expect.reply.as_ref();
    let mut devices = match reply.map(|reply| reply["body"].clone()) {
        Some(Value::Array(devices)) => devices,
        Some(Value::String(text)) if text.starts_with("Cache is still") => {
            return exchange.name.starts_with("empty").then(Vec::new);
        }
        // Nothing is recent enough: all of it is kept out.
        Some(Value::String(_)) => Vec::new(),
        // 1.5 MB of anything.
        Some(Value::Object(_)) => return Some((0..7_000).map(|number| device(number, RECENT)).collect()),
        // No reply then, because of a device that is kept out now.
        _ => vec![device(1, RECENT)],
    };
    let body = exchange.message.as_ref().map(|message| message["body"].clone()).unwrap_or_default();
    if let Some(filter) = body["last_contact_filter"].as_str() {
        let many = if exchange.name.starts_with("1.5 MB") { 7_000 } else { 1 };
        let old = (0..many).map(|number| device(number, "2021-01-01T00:00:00Z"));
        let mut unreadable = device(9, "");
        unreadable["last_contact"] = Value::Null;
        devices.extend(old.chain([device(2, filter), device(9, "never"), unreadable]));
    }
    Some(devices)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_recorded_request_is_answered_right() {
    let stage = Stage::start("hawkeye-customer-cache").await;
    let service = stage.run_at(&hawkeye_customer_cache::service(), &Clock::system(), &[]).await;
    let all = stage.exchanges();
    let mut report = Report::default();
    for exchange in &all {
        match list(exchange) {
            Some(devices) => stage.store(LIST, &json!(devices).to_string()).await,
            None => {
                let () = stage.redis.connection().await.del(LIST).await.unwrap();
            }
        }
        report.add(stage.play(exchange, &all).await);
    }
    service.stop().await.unwrap();
    assert!(report.played >= 20);
    report.assert_clean();
}
