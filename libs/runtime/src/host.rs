//! Running services inside of a process: [`Runnable`] is a service as a value, [`Host`] what a process gives to one run of
//! it. `runtime::main` runs one; the fleet runs several side by side.

use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use prometheus::{IntGaugeVec, Opts, Registry};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use crate::clock::Clock;
use crate::environment::{ConfigErrors, Environment, FromEnvironment, Reader, Setting};
use crate::http::{self, Routes, Server};
use crate::readiness::Readiness;
use crate::schedule::{Schedule, panic_text};
use crate::service::{Context, Inner, Leases, Service};
use crate::settings::{Needs, ProcessSettings};
use crate::{process, telemetry};

/// How long a service's stop may take (of the process's 10 s).
const STOP_WITHIN: Duration = Duration::from_millis(7_500);

/// How long HTTP requests under way may take at the stop.
const CLOSE_WITHIN: Duration = Duration::from_millis(500);

/// A service as a value.
#[derive(Clone)]
pub struct Runnable {
    name: &'static str,
    about: &'static str,
    check: fn(&Environment) -> Result<ProcessSettings, ConfigErrors>,
    settings: fn() -> Vec<Setting>,
    run: fn(Environment, Host) -> BoxFuture<'static, anyhow::Result<()>>,
}

impl Runnable {
    /// The service `S`.
    pub fn of<S: Service>() -> Self {
        Self {
            name: S::NAME,
            about: S::ABOUT,
            check: |environment| Ok(read::<S>(environment)?.0),
            settings: || {
                let nothing = Environment::default();
                let mut reader = Reader::new(&nothing);
                // Everything is missing; what is of interest is what was asked for.
                let _ = S::Config::read(&mut reader);
                let _ = ProcessSettings::read(&mut reader, S::NAME, needs::<S>());
                reader.settings().to_vec()
            },
            run: |environment, host| run::<S>(environment, host).boxed(),
        }
    }

    /// The same service under another name: of a program with several modes each is a deployable of its own. The name is
    /// for those who choose and show services; the service itself keeps its own.
    #[must_use]
    pub fn called(self, name: &'static str, about: &'static str) -> Self {
        Self { name, about, ..self }
    }

    /// The service's name, e.g. `bruin-bridge`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// One line about it.
    pub fn about(&self) -> &'static str {
        self.about
    }

    /// The settings it reads, its own first.
    pub fn settings(&self) -> Vec<Setting> {
        (self.settings)()
    }

    /// Whether it could start with these variables.
    ///
    /// # Errors
    /// All that are missing or wrong, at once.
    pub fn check(&self, environment: &Environment) -> Result<(), ConfigErrors> {
        (self.check)(environment).map(|_| ())
    }

    /// [`Self::check`], with the shared settings.
    pub(crate) fn process_settings(
        &self,
        environment: &Environment,
    ) -> Result<ProcessSettings, ConfigErrors> {
        (self.check)(environment)
    }

    /// Runs until `host.stop` is cancelled (then `Ok`) or the service fails. A panic while it starts is an error, too. Its
    /// ports are free and its background tasks ended when this returns. The process's logs should be set up before
    /// ([`crate::run_process`]); each record of the run carries the service's name.
    ///
    /// # Errors
    /// What made it fail.
    pub async fn run(&self, environment: Environment, host: Host) -> anyhow::Result<()> {
        (self.run)(environment, host).await
    }
}

/// `service!(Greeter)` writes the library's `pub fn service() -> Runnable` for its [`Service`](crate::Service) `Greeter`.
///
/// It belongs beside the service: the tasks of a service are compiled where the first [`Runnable`] of it is made, so they
/// are in its library, not once more in each program that runs or tests it.
#[macro_export]
macro_rules! service {
    ($service:ty) => {
        /// The service as a value.
        #[must_use]
        pub fn service() -> $crate::Runnable {
            $crate::Runnable::of::<$service>()
        }
    };
}

impl std::fmt::Debug for Runnable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Runnable").field(&self.name).finish()
    }
}

/// What a process gives to one run of a service, and how it learns of it. A restarted service gets a new one
/// ([`Self::again`]). Clones share it.
#[derive(Clone)]
pub struct Host {
    /// Ends the run.
    pub stop: CancellationToken,
    /// The time; one clock may be shared by all services.
    pub clock: Clock,
    /// The metrics of this run.
    pub metrics: Registry,
    readiness: Readiness,
    status: watch::Sender<Status>,
}

/// How far a run is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Status {
    /// Where the HTTP server listens; the address is `0.0.0.0`.
    pub http: Option<SocketAddr>,
    /// Where the metrics server listens; the HTTP server's when they are one.
    pub metrics: Option<SocketAddr>,
    /// Whether `start` has returned.
    pub started: bool,
    /// Whether the run is over.
    pub ended: bool,
}

impl Status {
    /// The HTTP server's port.
    pub fn http_port(&self) -> Option<u16> {
        self.http.map(|address| address.port())
    }

    /// The metrics server's port.
    pub fn metrics_port(&self) -> Option<u16> {
        self.metrics.map(|address| address.port())
    }
}

impl Host {
    /// A host with metrics of its own.
    pub fn new(clock: Clock, stop: CancellationToken) -> Self {
        Self {
            stop,
            clock,
            metrics: Registry::new(),
            readiness: Readiness::default(),
            status: watch::Sender::new(Status::default()),
        }
    }

    /// The same clock and stop for another run, with fresh metrics and status.
    #[must_use]
    pub fn again(&self) -> Self {
        Self::new(self.clock.clone(), self.stop.clone())
    }

    /// Follows the run.
    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// Waits until the service has started; `None` when the run is over before.
    pub async fn started(&self) -> Option<Status> {
        let mut status = self.status.subscribe();
        let status = status.wait_for(|status| status.started || status.ended).await.ok()?.clone();
        status.started.then_some(status)
    }

    /// Why the service is not ready (as `/_ready` says it); empty when it is.
    pub fn not_ready(&self) -> Vec<String> {
        self.readiness.reasons()
    }
}

fn needs<S: Service>() -> Needs {
    Needs { bus: S::MESSAGING, environment_name: S::NAMES_ENVIRONMENT }
}

/// All settings of a service, with the problems of its own and of the shared ones in one error.
fn read<S: Service>(environment: &Environment) -> Result<(ProcessSettings, S::Config), ConfigErrors> {
    let mut reader = Reader::new(environment);
    let config = S::Config::read(&mut reader);
    let process = ProcessSettings::read(&mut reader, S::NAME, needs::<S>());
    reader.finish(process.and_then(|process| Ok((process, config?))))
}

async fn run<S: Service>(environment: Environment, host: Host) -> anyhow::Result<()> {
    let span = tracing::info_span!(parent: None, telemetry::SERVICE_SPAN, service = S::NAME);
    let _end = End(&host);
    run_in_span::<S>(environment, &host, span.clone()).instrument(span).await
}

/// Says that the run is over, also when it was dropped or panicked.
struct End<'a>(&'a Host);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.status.send_modify(|status| status.ended = true);
    }
}

async fn run_in_span<S: Service>(
    environment: Environment,
    host: &Host,
    span: tracing::Span,
) -> anyhow::Result<()> {
    let (settings, config) = read::<S>(&environment)?;
    process::install_crypto();
    let info = IntGaugeVec::new(
        Opts::new("service_info", "Always 1; the labels say what runs"),
        &["service_name", "version", "environment", "write_mode"],
    )?;
    let write_mode = settings.write_mode.to_string();
    info.with_label_values(&[S::NAME, process::VERSION, &settings.environment_name, &write_mode]).set(1);
    host.metrics.register(Box::new(info))?;

    // The service's own stop: its failure is no reason to stop its neighbours.
    let stop = host.stop.child_token();
    let tasks = TaskTracker::new();
    let schedule = Schedule::new(S::NAME, host.clock.clone(), stop.clone(), tasks.clone(), &host.metrics)?;
    let routes = Routes::new(span.clone());
    let servers = Servers::start(&settings, host, &schedule, &routes).await?;
    let context = Context {
        name: S::NAME,
        env: environment,
        process: Arc::new(settings),
        clock: host.clock.clone(),
        metrics: host.metrics.clone(),
        stop,
        tasks,
        inner: Arc::new(Inner {
            readiness: host.readiness.clone(),
            routes,
            schedule,
            span,
            cut: CancellationToken::new(),
            failed: CancellationToken::new(),
            failure: Mutex::new(None),
            buses: Mutex::default(),
            leases: Leases::default(),
        }),
    };
    // A run that is dropped ends without grace, its tasks, jobs and leases too.
    let _cut = (context.inner.cut.clone().drop_guard(), context.inner.schedule.cut_when_dropped());
    let result = live::<S>(&context, config, host).await;
    context.wind_down(STOP_WITHIN).await;
    servers.close().await;
    if result.is_ok() {
        tracing::info!("stopped");
    }
    result
}

/// From the start to the moment when the service has to stop.
async fn live<S: Service>(context: &Context, config: S::Config, host: &Host) -> anyhow::Result<()> {
    let start = AssertUnwindSafe(S::start(context.clone(), config)).catch_unwind();
    tokio::select! {
        biased;
        () = context.stop.cancelled() => return Ok(()),
        () = context.inner.failed.cancelled() => return failure(context),
        started = start => match started {
            Ok(started) => started?,
            Err(panic) => anyhow::bail!("panic while starting: {}", panic_text(&*panic)),
        },
    }
    host.readiness.start_returned();
    host.status.send_modify(|status| status.started = true);
    tracing::info!(version = process::VERSION, "started");
    tokio::select! {
        () = context.stop.cancelled() => Ok(()),
        () = context.inner.failed.cancelled() => failure(context),
    }
}

fn failure(context: &Context) -> anyhow::Result<()> {
    context.inner.failure.lock().take().map_or(Ok(()), Err)
}

/// The servers of one run.
struct Servers {
    http: Server,
    metrics: Option<Server>,
}

impl Servers {
    async fn start(
        settings: &ProcessSettings,
        host: &Host,
        schedule: &Schedule,
        routes: &Routes,
    ) -> anyhow::Result<Self> {
        let mut router = http::service_router(host.readiness.clone(), schedule.clone(), routes.clone());
        let one_port = settings.http_port == settings.metrics_port && settings.http_port != 0;
        if one_port {
            router = router.merge(http::metrics_route(host.metrics.clone()));
        }
        let http = Server::start("HTTP_PORT", settings.listen_address, settings.http_port, router).await?;
        let metrics = if one_port {
            None
        } else {
            let router = http::metrics_router(host.metrics.clone());
            Some(Server::start("METRICS_PORT", settings.listen_address, settings.metrics_port, router).await?)
        };
        let metrics_address = metrics.as_ref().unwrap_or(&http).address;
        tracing::info!(http_port = http.address.port(), metrics_port = metrics_address.port(), "listening");
        host.status.send_modify(|status| {
            status.http = Some(http.address);
            status.metrics = Some(metrics_address);
        });
        Ok(Self { http, metrics })
    }

    async fn close(self) {
        let metrics = async {
            if let Some(metrics) = self.metrics {
                metrics.close(CLOSE_WITHIN).await;
            }
        };
        tokio::join!(self.http.close(CLOSE_WITHIN), metrics);
    }
}
