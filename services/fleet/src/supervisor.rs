//! Runs services beside each other and restarts those that crash.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use runtime::{Clock, Environment, Host, Hosted, Runnable, Status};
use tokio::{sync::watch, task::JoinSet};
use tokio_util::sync::CancellationToken;

/// Wait before the first restart; doubled for each further crash up to [`LONGEST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// Upper bound of the wait before a restart.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// A run that lasted so long was healthy: the next crash counts as the first one.
const HEALTHY_AFTER: Duration = Duration::from_secs(60);

/// One service to run, with its own environment.
#[derive(Clone)]
pub struct Instance {
    /// How it is called in the table: the service's name, with the host where there is one instance for each.
    pub label: String,
    /// The service.
    pub runnable: Runnable,
    /// Its environment.
    pub environment: Environment,
}

/// What is known of a running instance.
#[derive(Clone)]
pub struct View {
    /// See [`Instance::label`].
    pub label: String,
    /// How often it was restarted after a crash.
    pub restarts: u32,
    /// Why it crashed last.
    pub last_error: Option<String>,
    /// The present run: its metrics and status. `None` between two runs.
    pub host: Option<Host>,
}

impl View {
    /// The status of the present run.
    pub fn status(&self) -> Option<watch::Receiver<Status>> {
        self.host.as_ref().map(Host::status)
    }

    /// Whether the present run has started.
    pub fn is_started(&self) -> bool {
        self.status().is_some_and(|status| status.borrow().started)
    }
}

/// What is known of every instance, for whoever shows it. Cheap to clone.
#[derive(Clone)]
pub struct Views(Arc<[Arc<Mutex<View>>]>);

impl Views {
    /// The present state, in the order in which the instances were given.
    pub fn now(&self) -> Vec<View> {
        self.0.iter().map(|view| view.lock().clone()).collect()
    }
}

/// Runs instances until it is stopped. Dropping it stops them too.
pub struct Supervisor {
    views: Vec<Arc<Mutex<View>>>,
    runs: JoinSet<()>,
    stop: CancellationToken,
}

impl Supervisor {
    /// Starts all instances; returns at once.
    pub fn start(instances: Vec<Instance>, clock: &Clock) -> Self {
        let stop = CancellationToken::new();
        let mut runs = JoinSet::new();
        let mut views = Vec::with_capacity(instances.len());
        for instance in instances {
            let label = instance.label.clone();
            let view = Arc::new(Mutex::new(View { label, restarts: 0, last_error: None, host: None }));
            views.push(view.clone());
            runs.spawn(keep_running(instance, clock.clone(), stop.clone(), view));
        }
        Self { views, runs, stop }
    }

    /// What is known of every instance, in the order in which they were given.
    pub fn views(&self) -> Vec<View> {
        self.views.iter().map(|view| view.lock().clone()).collect()
    }

    /// The same to keep.
    pub fn watched(&self) -> Views {
        Views(self.views.iter().cloned().collect())
    }

    /// Waits until every instance has started, at most for `patience`.
    ///
    /// # Errors
    /// Names the instances that have not, with their last errors.
    pub async fn started(&self, patience: Duration) -> Result<(), NotStarted> {
        let until = tokio::time::Instant::now() + patience;
        loop {
            let waiting: Vec<View> = self.views().into_iter().filter(|view| !view.is_started()).collect();
            if waiting.is_empty() {
                return Ok(());
            }
            if tokio::time::Instant::now() >= until {
                let why = |view: View| {
                    format!("{} ({})", view.label, view.last_error.unwrap_or_else(|| "starting".into()))
                };
                return Err(NotStarted(waiting.into_iter().map(why).collect()));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Stops all instances gracefully.
    pub async fn stop(mut self) {
        self.stop.cancel();
        while self.runs.join_next().await.is_some() {}
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Services that did not start in time.
#[derive(Debug, thiserror::Error)]
#[error("not started: {}", .0.join(", "))]
pub struct NotStarted(pub Vec<String>);

async fn keep_running(instance: Instance, clock: Clock, stop: CancellationToken, view: Arc<Mutex<View>>) {
    let mut wait = FIRST_WAIT;
    while !stop.is_cancelled() {
        let since = tokio::time::Instant::now();
        let environment = instance.environment.clone();
        let mut run = Hosted::start_under(&instance.runnable, environment, clock.clone(), stop.child_token());
        view.lock().host = Some(run.host.clone());
        let ended = run.ended().await;
        if stop.is_cancelled() {
            break;
        }
        let reason = match ended {
            Ok(()) => "ended by itself".to_owned(),
            Err(error) => format!("{error:#}"),
        };
        if since.elapsed() >= HEALTHY_AFTER {
            wait = FIRST_WAIT;
        }
        tracing::error!(
            service = instance.label,
            reason,
            wait_ms = wait.as_millis(),
            "crashed; it is restarted"
        );
        {
            let mut view = view.lock();
            view.restarts += 1;
            view.last_error = Some(reason);
            view.host = None;
        }
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = stop.cancelled() => {}
        }
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use runtime::{Context, Service};
    use std::sync::atomic::{AtomicU32, Ordering};

    static STARTS: AtomicU32 = AtomicU32::new(0);

    /// Crashes at its first two starts: once by an error, once by a panic.
    struct Shaky;

    impl Service for Shaky {
        const NAME: &'static str = "shaky";
        const ABOUT: &'static str = "crashes twice";
        const MESSAGING: bool = false;
        type Config = ();

        async fn start(_: Context, (): ()) -> anyhow::Result<()> {
            match STARTS.fetch_add(1, Ordering::SeqCst) {
                0 => anyhow::bail!("not yet"),
                1 => panic!("no"),
                _ => Ok(()),
            }
        }
    }

    /// Never crashes.
    struct Steady;

    impl Service for Steady {
        const NAME: &'static str = "steady";
        const ABOUT: &'static str = "runs";
        const MESSAGING: bool = false;
        type Config = ();

        async fn start(_: Context, (): ()) -> anyhow::Result<()> {
            Ok(())
        }
    }

    fn instance<S: Service>() -> Instance {
        let environment = Environment::from([("HTTP_PORT", "0"), ("METRICS_PORT", "0")]);
        Instance { label: S::NAME.to_owned(), runnable: Runnable::of::<S>(), environment }
    }

    #[tokio::test]
    async fn a_crashed_service_restarts_and_the_others_go_on() {
        let supervisor = Supervisor::start(vec![instance::<Steady>(), instance::<Shaky>()], &Clock::system());
        supervisor.started(Duration::from_secs(30)).await.unwrap();
        let restarts: Vec<(String, u32)> =
            supervisor.views().into_iter().map(|view| (view.label, view.restarts)).collect();
        assert_eq!(restarts, [("steady".to_owned(), 0), ("shaky".to_owned(), 2)]);
        supervisor.stop().await;
    }
}
