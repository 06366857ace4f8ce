//! Every recorded exchange of the existing deployment.

use testkit::recordings::Stage;

async fn play(file: &str) {
    let stage = Stage::start(file).await;
    let _running = stage.run(&velocloud_bridge::service(), &[]).await;
    stage.play_all().await.assert_clean();
}

#[tokio::test]
async fn the_recordings_are_answered_alike() {
    play("velocloud-bridge").await;
}

#[tokio::test]
async fn the_recordings_with_hosts_that_are_down_are_answered_alike() {
    play("velocloud-bridge.down").await;
}
