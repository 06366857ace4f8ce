//! Every recorded exchange of the existing deployment.

use notifier::Notifier;
use testkit::recordings::Stage;

#[tokio::test]
async fn the_recordings_are_answered_alike() {
    let (stage, _running) = Stage::with::<Notifier>(&[]).await;
    stage.play_all().await.assert_clean();
}
