//! A [`Service`], and the [`Context`] it is given.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use bus::{Bus, BusOptions, ConnectError, Limits};
use futures::FutureExt;
use parking_lot::Mutex;
use prometheus::{IntGauge, IntGaugeVec, Opts, Registry};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use crate::clock::Clock;
use crate::environment::{Environment, FromEnvironment, Reader};
use crate::http::Routes;
use crate::leadership::Leadership;
use crate::lease::{Lease, Periods};
use crate::readiness::Readiness;
use crate::schedule::{Schedule, panic_text};
use crate::settings::{LeaderElection, Needs, ProcessSettings};

/// How long tasks and job runs under way may go on at the stop while the bus is still open for their requests.
const HEAD_START: Duration = Duration::from_secs(3);

/// How long leases may take to be given back.
const GIVE_BACK_WITHIN: Duration = Duration::from_secs(1);

/// How long cut tasks may take to disappear.
const CUT_WITHIN: Duration = Duration::from_millis(100);

/// One service of the fleet.
///
/// ```
/// use runtime::{Context, Environment, Service};
///
/// struct Greeter;
///
/// runtime::service!(Greeter);
///
/// impl Service for Greeter {
///     const NAME: &'static str = "greeter";
///     const ABOUT: &'static str = "Greets";
///     const MESSAGING: bool = false;
///     type Config = ();
///
///     async fn start(ctx: Context, _: ()) -> anyhow::Result<()> {
///         ctx.http(axum::Router::new().route("/", axum::routing::get(async || "hello")));
///         Ok(())
///     }
/// }
///
/// // main.rs: fn main() -> std::process::ExitCode { runtime::main(&greeter::service()) }
/// service().check(&Environment::default()).unwrap();
/// ```
pub trait Service: Send + Sync + 'static {
    /// Its name as the specification has it, e.g. `bruin-bridge`.
    const NAME: &'static str;
    /// One line for `--help`.
    const ABOUT: &'static str;
    /// Whether it talks over the bus. If not, `NATS_SERVER1`, `REDIS_HOSTNAME` and `ENVIRONMENT_NAME` may be absent.
    const MESSAGING: bool = true;
    /// Whether `ENVIRONMENT_NAME` must be set. Not where the specification makes it optional and only the logs have it.
    const NAMES_ENVIRONMENT: bool = Self::MESSAGING;
    /// Its own settings.
    type Config: FromEnvironment + Send;

    /// Wires the service and returns: connects, subscribes, schedules, spawns. `/_health` answers 200 from then on.
    ///
    /// Stays in the background whatever was given to [`Context::spawn`], [`Context::schedule`] and the bus. An error ends
    /// the service (exit code 1).
    fn start(ctx: Context, config: Self::Config) -> impl Future<Output = anyhow::Result<()>> + Send;
}

/// What a running service is given. Clones share everything.
#[derive(Clone)]
pub struct Context {
    /// The service's name.
    pub name: &'static str,
    /// All variables; the service's own settings are parsed already.
    pub env: Environment,
    /// The settings which all services share.
    pub process: Arc<ProcessSettings>,
    /// The time.
    pub clock: Clock,
    /// What `/metrics` shows.
    pub metrics: Registry,
    /// Cancelled when the service is to stop: take no new work, end what you wait for.
    pub stop: CancellationToken,
    /// Tasks which are waited for at the stop. Prefer [`Self::spawn`], which also keeps the service's name in the logs.
    pub tasks: TaskTracker,
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) readiness: Readiness,
    pub(crate) routes: Routes,
    pub(crate) schedule: Schedule,
    pub(crate) span: tracing::Span,
    /// Cancelled at the end of the stop: nothing may outlive the run.
    pub(crate) cut: CancellationToken,
    pub(crate) failed: CancellationToken,
    pub(crate) failure: Mutex<Option<anyhow::Error>>,
    pub(crate) buses: Mutex<Vec<Bus>>,
    pub(crate) leases: Leases,
}

/// The campaigns for leases. They go on while tasks finish their work at the stop, so they are not among the tasks.
#[derive(Default)]
pub(crate) struct Leases {
    campaigns: TaskTracker,
    release: CancellationToken,
    gauges: Mutex<Option<IntGaugeVec>>,
}

impl Leases {
    /// `leader{shard}`: 1 while this replica leads.
    fn gauge(&self, shard: &str, metrics: &Registry) -> Result<IntGauge, prometheus::Error> {
        let mut gauges = self.gauges.lock();
        if let Some(gauges) = &*gauges {
            return gauges.get_metric_with_label_values(&[shard]);
        }
        let opts = Opts::new("leader", "1 while this replica acts, by its part of the work");
        let fresh = IntGaugeVec::new(opts, &["shard"])?;
        metrics.register(Box::new(fresh.clone()))?;
        gauges.insert(fresh).get_metric_with_label_values(&[shard])
    }

    async fn give_back(&self, end: Instant) {
        self.release.cancel();
        self.campaigns.close();
        if timeout_at(end.min(Instant::now() + GIVE_BACK_WITHIN), self.campaigns.wait()).await.is_err() {
            tracing::warn!(
                "a lease was not given back in time: another replica takes over when it has run out"
            );
        }
    }
}

impl Context {
    /// A context without host and servers, for simulations: `name` runs with these variables by this clock. What it
    /// schedules and spawns runs on the present runtime until [`Self::kill`].
    ///
    /// # Errors
    /// When a shared setting is missing or wrong.
    pub fn simulated(name: &'static str, env: Environment, clock: Clock) -> anyhow::Result<Self> {
        let mut reader = Reader::new(&env);
        let process = ProcessSettings::read(&mut reader, name, Needs::NOTHING);
        let process = Arc::new(reader.finish(process)?);
        let (stop, tasks, metrics) = (CancellationToken::new(), TaskTracker::new(), Registry::new());
        let schedule = Schedule::new(name, clock.clone(), stop.clone(), tasks.clone(), &metrics)?;
        let inner = Inner {
            readiness: Readiness::default(),
            routes: Routes::new(tracing::Span::none()),
            schedule,
            span: tracing::Span::none(),
            cut: CancellationToken::new(),
            failed: CancellationToken::new(),
            failure: Mutex::new(None),
            buses: Mutex::default(),
            leases: Leases::default(),
        };
        Ok(Self { name, env, process, clock, metrics, stop, tasks, inner: Arc::new(inner) })
    }

    /// Ends a simulated service where it is, as SIGKILL does: nothing is finished and no lease is given back.
    pub fn kill(&self) {
        self.inner.cut.cancel();
        self.inner.schedule.cut();
        self.stop.cancel();
    }

    /// Connects to the bus: Redis must answer, NATS is waited for in the background. The service is ready only while
    /// connected, and the bus is drained at the stop.
    ///
    /// # Errors
    /// When Redis does not answer or an option cannot be used: return it from [`Service::start`].
    pub async fn connect(&self) -> Result<Bus, ConnectError> {
        let max_payload_in = self.process.max_payload;
        self.connect_with(Limits { max_payload_in, ..Limits::default() }).await
    }

    /// [`Self::connect`] with other limits than the default ones.
    pub async fn connect_with(&self, limits: Limits) -> Result<Bus, ConnectError> {
        let options = BusOptions {
            service: self.name.to_owned(),
            nats: self.process.nats.clone(),
            redis: self.process.redis.clone(),
            limits,
        };
        let bus = Bus::connect(options, &self.metrics).await?;
        // A monitor serves nothing, and is to be found as well.
        bus.announce().await;
        let watched = bus.clone();
        self.ready_when("connected to NATS", move || watched.connected());
        self.inner.buses.lock().push(bus.clone());
        Ok(bus)
    }

    /// The service is not ready while `condition` is false. `/_ready` then says `not <name>`, e.g. `logged in at Bruin`.
    pub fn ready_when(&self, name: impl Into<String>, condition: impl Fn() -> bool + Send + Sync + 'static) {
        self.inner.readiness.require(name, condition);
    }

    /// Serves routes on the HTTP port, beside `/_health`, `/_ready` and `/_jobs`. May be called repeatedly.
    ///
    /// # Panics
    /// As [`axum::Router::merge`]: when a route is added twice, or a second fallback.
    pub fn http(&self, router: axum::Router) {
        self.inner.routes.add(router);
    }

    /// The service's jobs.
    pub fn schedule(&self) -> Schedule {
        self.inner.schedule.clone()
    }

    /// Whether this replica is the one that acts: at once always so with `LEADER_ELECTION=off`; with `jetstream` only while
    /// it holds the lease of the service and `shard` (its part of the work, e.g. the monitored host; empty: all of it). At
    /// the stop the lease is given back when the tasks have ended.
    ///
    /// # Errors
    /// When the service has a metric `leader` of its own.
    pub fn leadership(&self, bus: &Bus, shard: &str) -> Result<Leadership, prometheus::Error> {
        let leases = &self.inner.leases;
        let gauge = leases.gauge(shard, &self.metrics)?;
        if self.process.leader_election == LeaderElection::Off {
            gauge.set(1);
            return Ok(Leadership::always());
        }
        let host =
            self.env.get("HOSTNAME").map_or_else(|| format!("pid{}", std::process::id()), str::to_owned);
        let lease = Lease {
            key: Lease::key(&self.process.environment_name, self.name, self.process.decision_mode, shard),
            holder: format!("{host}-{:08x}", rand::random::<u32>()),
            periods: Periods::default(),
        };
        tracing::info!(lease = lease.key, holder = lease.holder, "campaigning for the lead");
        let (leadership, campaign) =
            lease.campaign(bus.into(), self.clock.clone(), gauge, leases.release.clone());
        let cut = self.inner.cut.clone();
        let campaign = async move {
            // Boxed: seldom polled, and large.
            let _ = cut.run_until_cancelled_owned(Box::pin(campaign)).await;
        };
        leases.campaigns.spawn(campaign.instrument(self.inner.span.clone()));
        Ok(leadership)
    }

    /// Runs a task in the background. It should end when [`Self::stop`] is cancelled; it is cut off at the end of the
    /// stop. A panic ends the service: without its task it would only look alive.
    pub fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let ctx = self.clone();
        let guarded = async move {
            tokio::select! {
                ended = AssertUnwindSafe(task).catch_unwind() => {
                    if let Err(panic) = ended {
                        ctx.fail(anyhow::anyhow!("the task {name} panicked: {}", panic_text(&*panic)));
                    }
                }
                () = ctx.inner.cut.cancelled() => {
                    tracing::warn!(task = name, "the task was cut off at the stop");
                }
            }
        };
        self.tasks.spawn(guarded.instrument(self.inner.span.clone()));
    }

    /// Ends the service with an error (exit code 1). The first one counts.
    pub fn fail(&self, error: anyhow::Error) {
        self.inner.failure.lock().get_or_insert(error);
        self.inner.failed.cancel();
    }

    /// Stops in order: no new work, what is under way finishes, the bus is drained.
    pub(crate) async fn wind_down(&self, within: Duration) {
        let end = Instant::now() + within;
        self.inner.readiness.stopping();
        self.stop.cancel();
        self.tasks.close();
        // Runs under way still need the bus for their last requests.
        let _ = timeout_at(end.min(Instant::now() + HEAD_START), self.tasks.wait()).await;
        // Whoever takes over finds what is under way finished.
        self.inner.leases.give_back(end).await;
        let buses = std::mem::take(&mut *self.inner.buses.lock());
        let left = end.saturating_duration_since(Instant::now());
        // A little less than all that is left, for the tasks which notice it.
        let drains = buses.iter().map(|bus| bus.drain(left.mul_f32(0.8)));
        let _ = timeout_at(end, futures::future::join_all(drains)).await;
        if timeout_at(end, self.tasks.wait()).await.is_err() {
            tracing::warn!(tasks = self.tasks.len(), "tasks did not end in time");
        }
        self.inner.cut.cancel();
        self.inner.schedule.cut();
        // A cut takes no time, unless a task computes without end.
        let _ = timeout(CUT_WITHIN, self.tasks.wait()).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::schedule::AtStart;

    fn context() -> Context {
        Context::simulated("test", Environment::default(), Clock::system()).unwrap()
    }

    /// Tells when a task is gone, however it went.
    struct Gone(Arc<AtomicUsize>);

    impl Drop for Gone {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[tokio::test]
    async fn what_ignores_the_stop_is_cut_off_at_its_end() {
        let (context, gone) = (context(), Arc::new(AtomicUsize::new(0)));
        let endless = |gone: &Arc<AtomicUsize>| {
            let gone = Gone(gone.clone());
            async move {
                let _gone = gone;
                std::future::pending::<()>().await;
            }
        };
        context.spawn("endless", endless(&gone));
        let of_job = gone.clone();
        let interval = Duration::from_secs(600);
        context.schedule().every("endless", interval, AtStart::Yes, move || endless(&of_job));
        while context.schedule().report().scheduled.iter().all(|job| job.running_since.is_none()) {
            tokio::task::yield_now().await;
        }

        context.wind_down(Duration::from_millis(50)).await;

        assert_eq!(gone.load(Ordering::SeqCst), 2);
        assert!(context.tasks.is_empty());
        assert_eq!(context.inner.readiness.reasons(), ["starting", "stopping"]);
    }

    #[tokio::test]
    async fn what_heeds_the_stop_ends_in_peace() {
        let (context, ended) = (context(), Arc::new(AtomicUsize::new(0)));
        let (stop, count) = (context.stop.clone(), ended.clone());
        context.spawn("heedful", async move {
            stop.cancelled().await;
            count.fetch_add(1, Ordering::SeqCst);
        });
        context.wind_down(Duration::from_secs(60)).await;
        assert_eq!(ended.load(Ordering::SeqCst), 1);
    }
}
