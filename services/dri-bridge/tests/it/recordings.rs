//! Every recorded exchange of the existing deployment.
//!
//! The file does not tell which task ids were stored before; what was asked of DRI and is stored afterwards does.

use crate::running::store;
use testkit::recordings::{Exchange, Report, Stage};

/// The serial and the task id that was stored before: one that outlives the exchange without an end, or else the one
/// that DRI was asked for first.
fn stored_before(exchange: &Exchange) -> Option<(String, String)> {
    let kept = exchange.expect.redis.iter().find(|(_, stored)| stored["expires"] == 0);
    if let Some((key, stored)) = kept {
        return Some((key.strip_prefix("dev-dri-serial-")?.to_owned(), stored["value"].as_str()?.to_owned()));
    }
    let first = exchange.expect.upstream.first().filter(|call| call.path.ends_with("/parameter_tid"))?;
    let serial = first.path.split('/').nth(3)?.to_owned();
    Some((serial, first.query[0].1.clone()))
}

#[tokio::test]
async fn the_recordings_are_answered_alike() {
    let (stage, _running) = Stage::with(&dri_bridge::service(), &[]).await;
    let all = stage.exchanges();
    let mut report = Report::default();
    for exchange in &all {
        if let Some((serial, task)) = stored_before(exchange) {
            store(&stage, &serial, &task).await;
        }
        report.add(stage.play(exchange, &all).await);
    }
    assert!(report.played > 30);
    report.assert_clean();
}
