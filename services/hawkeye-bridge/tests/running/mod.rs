//! The real service on a stage.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]
#![allow(dead_code, reason = "not every test file uses all of it")]

use std::time::Duration;

use hawkeye_bridge::HawkeyeBridge;
use runtime::{Clock, Environment, Hosted, Runnable};
use testkit::recordings::Stage;

/// A generous limit for what should come at once.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Starts the service with the stage's environment.
pub(crate) async fn start(stage: &Stage) -> Hosted {
    let environment = Environment::from_iter(stage.environment());
    let mut running = Hosted::start(&Runnable::of::<HawkeyeBridge>(), environment, Clock::system());
    running.started().await.unwrap();
    running
}
