//! Every recorded exchange of the existing deployment.

use testkit::recordings::Stage;

#[tokio::test]
async fn the_recordings_are_answered_alike() {
    let (stage, _running) = Stage::with(&notifier::service(), &[]).await;
    stage.play_all().await.assert_clean();
}
