//! A service that runs in the background of this process: what the fleet supervises and what tests talk to.

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{Clock, Environment, Host, Runnable, Status};

/// One run of a service as a background task. Dropping it ends the run without grace; [`Self::stop`] is the kind way.
pub struct Hosted {
    /// What was given to the run: its stop token, clock, metrics and status.
    pub host: Host,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Hosted {
    /// Starts a run; returns at once.
    pub fn start(service: &Runnable, environment: Environment, clock: Clock) -> Self {
        Self::start_under(service, environment, clock, CancellationToken::new())
    }

    /// Starts a run which `stop` ends; returns at once.
    pub fn start_under(
        service: &Runnable,
        environment: Environment,
        clock: Clock,
        stop: CancellationToken,
    ) -> Self {
        let host = Host::new(clock, stop);
        let (service, running) = (service.clone(), host.clone());
        // A task of its own: a panic ends this run and nothing else.
        let task = tokio::spawn(async move { service.run(environment, running).await });
        Self { host, task }
    }

    /// Waits until the service has started.
    ///
    /// # Errors
    /// Why it did not start.
    pub async fn started(&mut self) -> anyhow::Result<Status> {
        if let Some(status) = self.host.started().await {
            return Ok(status);
        }
        self.ended().await?;
        anyhow::bail!("the service ended while it started")
    }

    /// The lines of its metrics which begin so.
    pub fn metrics(&self, beginning: &str) -> Vec<String> {
        let families = self.host.metrics.gather();
        let text = prometheus::TextEncoder::new().encode_to_string(&families).unwrap_or_default();
        text.lines().filter(|line| line.starts_with(beginning)).map(str::to_owned).collect()
    }

    /// Waits for the end of the run.
    ///
    /// # Errors
    /// What made it fail; a panic too.
    pub async fn ended(&mut self) -> anyhow::Result<()> {
        (&mut self.task).await?
    }

    /// Stops the service gracefully and waits for its end.
    ///
    /// # Errors
    /// What made it fail.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        self.host.stop.cancel();
        self.ended().await
    }
}

impl Drop for Hosted {
    fn drop(&mut self) {
        self.host.stop.cancel();
        self.task.abort();
    }
}
