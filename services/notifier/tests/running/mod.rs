//! The real service on a stage of the recordings.
#![allow(dead_code, reason = "not every test file uses all of it")]

use notifier::Notifier;
use runtime::{Clock, Environment, Host, Runnable};
use testkit::recordings::Stage;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// The service, running until dropped.
pub(crate) struct Running {
    pub(crate) host: Host,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Running {
    /// Starts the service with the stage's environment and some settings more.
    pub(crate) async fn start(stage: &Stage, settings: &[(&str, &str)]) -> Self {
        let mut environment = Environment::from_iter(stage.environment());
        for (name, value) in settings {
            environment = environment.with(*name, *value);
        }
        let host = Host::new(Clock::system(), CancellationToken::new());
        let task = tokio::spawn({
            let host = host.clone();
            async move { Runnable::of::<Notifier>().run(environment, host).await }
        });
        let running = Self { host, task };
        assert!(running.host.started().await.is_some(), "the service did not start");
        running
    }

    /// Stops the service and waits for its end.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        self.host.stop.cancel();
        (&mut self.task).await.unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.host.stop.cancel();
        self.task.abort();
    }
}
