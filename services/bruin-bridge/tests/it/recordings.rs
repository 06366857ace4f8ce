//! The exchanges recorded from the existing deployment, played against this bridge.

use crate::common::Bridge;
use testkit::recordings::{Report, Stage};

#[tokio::test(flavor = "multi_thread")]
async fn every_recorded_exchange_comes_out_right() {
    let bridge = Bridge::start().await;
    let report = bridge.stage.play_all().await;
    bridge.stop().await;
    report.assert_clean();
}

/// The rows tell what a request meets while no token is held, so each has a bridge that has just started.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_login_requests_fail_and_recover() {
    let mut report = Report::default();
    let mut stage = Stage::start("bruin-bridge.nologin").await;
    let exchanges = stage.exchanges();
    for exchange in &exchanges {
        stage.upstream.rules(Vec::new()); // the start must not find the login of the exchange before
        let bridge = Bridge::start_on(stage, &[]).await;
        report.add(bridge.stage.play(exchange, &exchanges).await);
        stage = bridge.stop().await;
    }
    report.assert_clean();
}
