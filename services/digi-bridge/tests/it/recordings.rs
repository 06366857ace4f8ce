//! Every recorded exchange of the existing deployment.

use testkit::recordings::Stage;

async fn play(file: &str) {
    let stage = Stage::start(file).await;
    let _running = stage.run(&digi_bridge::service(), &[]).await;
    stage.play_all().await.assert_clean();
}

#[tokio::test]
async fn the_recordings_are_answered_alike() {
    play("digi-bridge").await;
}

#[tokio::test]
async fn the_token_is_renewed_ahead_of_its_end() {
    play("digi-bridge.relogin").await;
}
