//! The real service on a stage.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests")]
#![allow(dead_code, reason = "not every test file uses all of it")]

use std::time::Duration;

use digi_bridge::DigiBridge;
use runtime::{Clock, Environment, Hosted, Runnable};
use testkit::recordings::Stage;

/// A generous limit for what should come at once.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Starts the service with the stage's environment and some settings more.
pub(crate) async fn start(stage: &Stage, settings: &[(&str, &str)]) -> Hosted {
    let environment = Environment::from_iter(stage.environment()).merged(&settings.iter().copied().collect());
    let mut running = Hosted::start(&Runnable::of::<DigiBridge>(), environment, Clock::system());
    running.started().await.unwrap();
    running
}
