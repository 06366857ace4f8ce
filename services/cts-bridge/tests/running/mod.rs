//! The real service on a stage.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests")]

use std::time::Duration;

use cts_bridge::CtsBridge;
use runtime::{Clock, Environment, Hosted, Runnable};
use testkit::recordings::Stage;
use testkit::{Received, Rule};

/// A generous limit for what should come at once.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// Where logins go.
pub(crate) const LOGIN: &str = "^/services/Soap/u/42.0$";

/// Starts the service with the stage's environment and some settings more.
pub(crate) async fn start(stage: &Stage, settings: &[(&str, &str)]) -> Hosted {
    let environment = Environment::from_iter(stage.environment()).merged(&settings.iter().copied().collect());
    let mut running = Hosted::start(&Runnable::of::<CtsBridge>(), environment, Clock::system());
    running.started().await.unwrap();
    running
}

/// A stage with the service on it.
pub(crate) async fn stage(settings: &[(&str, &str)]) -> (Stage, Hosted) {
    let stage = Stage::start("cts-bridge").await;
    let running = start(&stage, settings).await;
    (stage, running)
}

/// A login that gives this session; its instance is at `/cts` of the stub.
pub(crate) fn login(session: &str) -> Rule {
    Rule::on("POST", LOGIN).text(&format!(
        "<result><serverUrl>https://cts-api.example.test/services/Soap/u/42.0/00D1</serverUrl>\
         <sessionId>{session}</sessionId></result>"
    ))
}

/// How many logins there are among these calls.
pub(crate) fn logins(calls: &[Received]) -> usize {
    calls.iter().filter(|call| call.path.ends_with("/Soap/u/42.0")).count()
}

/// The bearer tokens of the calls to paths that end so.
pub(crate) fn sessions(stage: &Stage, end_of_path: &str) -> Vec<String> {
    let session = |call: &Received| call.header("authorization").unwrap().replace("Bearer ", "");
    stage.upstream.calls_to(end_of_path).iter().map(session).collect()
}
