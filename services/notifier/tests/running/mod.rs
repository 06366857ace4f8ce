//! The real service on a stage of the recordings.
#![allow(dead_code, reason = "not every test file uses all of it")]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use notifier::Notifier;
use runtime::{Clock, Environment, Hosted, Runnable};
use testkit::recordings::Stage;

/// Starts the service with the stage's environment and some settings more.
pub(crate) async fn start(stage: &Stage, settings: &[(&str, &str)]) -> Hosted {
    let environment = Environment::from_iter(stage.environment()).merged(&settings.iter().copied().collect());
    let mut running = Hosted::start(&Runnable::of::<Notifier>(), environment, Clock::system());
    running.started().await.unwrap();
    running
}
