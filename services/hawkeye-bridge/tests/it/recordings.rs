//! Every recorded exchange of the existing deployment.

use testkit::recordings::{Exchange, Stage};

async fn play(chosen: impl Fn(&Exchange) -> bool) {
    let (stage, _running) = Stage::with(&hawkeye_bridge::service(), &[]).await;
    stage.play_where(chosen).await.assert_clean();
}

/// Those in which Hawkeye is in trouble: the pauses between repetitions take their time.
fn slow(exchange: &Exchange) -> bool {
    exchange.name.contains("500")
}

#[tokio::test]
async fn the_recordings_are_answered_alike() {
    play(|exchange| !slow(exchange)).await;
}

#[tokio::test]
async fn probes_are_read_when_hawkeye_recovers() {
    play(|exchange| slow(exchange) && exchange.name.starts_with("probes")).await;
}

#[tokio::test]
async fn test_results_are_given_up_when_it_does_not() {
    play(|exchange| slow(exchange) && exchange.name.starts_with("tests")).await;
}
