//! Starting a sandbox, as a service of its own or inside a test or `fleet up`, and the handle of a running one.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use runtime::{Context, Service};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::environment::{self, Addresses};
use crate::faults::{Faults, ThirdParty};
use crate::http::{Connection, Wire, guarded};
use crate::received::CallLog;
use crate::sessions::Sessions;
use crate::world::World;
use crate::{
    SandboxOptions, Simulation, bruin, control, cts, digi, dri, hawkeye, kre, lit, messaging, page, velocloud,
};

/// How long a stop waits for calls in flight.
const GRACE: Duration = Duration::from_secs(2);

/// The sandbox; see [`Sandbox::start`].
#[derive(Debug, Clone, Copy)]
pub struct Sandbox;

impl Sandbox {
    /// Starts every simulator on free ports of loopback and returns the handle; dropping it stops them.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// use sandbox::{Sandbox, SandboxOptions};
    ///
    /// let sandbox = Sandbox::start(SandboxOptions { edges: 20, ..Default::default() }).await.unwrap();
    /// let serial = sandbox.world().network(|network| network.edges[0].serial.clone());
    /// sandbox.world().break_edge(&serial).unwrap();
    /// assert!(sandbox.world().tickets_of(&serial).is_empty());
    /// # });
    /// ```
    ///
    /// # Errors
    /// A port is taken.
    pub async fn start(options: SandboxOptions) -> anyhow::Result<Running> {
        let listen = async |name: &str, port: u16| {
            let address = SocketAddr::new(options.address, port);
            TcpListener::bind(address).await.with_context(|| format!("listening on {address} for {name}"))
        };
        let http = listen("HTTP", options.port).await?;
        let smtp = listen("SMTP", options.smtp_port).await?;
        let imap = listen("IMAP", options.imap_port).await?;
        let mut models = Vec::new();
        for (model, contract) in kre::ALL {
            models.push((model, contract, listen(model.title(), options.model_port(model)).await?));
        }
        let address = |(model, _, listener): &(ThirdParty, _, TcpListener)| {
            anyhow::Ok((*model, reachable(listener.local_addr()?)))
        };
        let addresses = Addresses {
            models: models.iter().map(address).collect::<Result<_, _>>()?,
            http: reachable(http.local_addr()?),
            smtp: reachable(smtp.local_addr()?),
            imap: reachable(imap.local_addr()?),
        };

        let clock = options.clock.clone();
        let plan = options.plan();
        let generated = clock.clone();
        // A large world takes seconds to make.
        let world = tokio::task::spawn_blocking(move || World::new(generated, &plan)).await?;
        world.with_mailboxes(|mailboxes| {
            mailboxes.open(environment::INBOX_ACCOUNT, environment::INBOX_PASSWORD);
        });
        let (cts, lit) = (cts::Records::new(&world), lit::Portal::new(&world));
        let simulation = Simulation {
            world,
            cts,
            lit,
            faults: Faults::new(clock.clone(), options.seed),
            received: CallLog::default(),
            sessions: Sessions::new(clock),
            models: kre::Models::default(),
            options: Arc::new(options),
            stop: CancellationToken::new(),
        };

        let stop = simulation.stop.clone();
        let tasks = TaskTracker::new();
        tasks.spawn(serve("HTTP", http, router(&simulation), stop.clone()));
        for (model, contract, listener) in models {
            let router = kre::router(&simulation, model, contract)?;
            tasks.spawn(serve(model.title(), listener, router, stop.clone()));
        }
        tasks.spawn(messaging::smtp::serve(smtp, simulation.clone(), stop.clone()));
        tasks.spawn(messaging::imap::serve(imap, simulation.clone(), stop.clone()));
        tasks.spawn(settle(simulation.world.clone(), stop.clone()));
        tracing::info!(
            page = %format!("http://{}/", addresses.http),
            smtp = %addresses.smtp,
            imap = %addresses.imap,
            models = ?addresses.models,
            edges = simulation.options.edges,
            seed = simulation.options.seed,
            "sandbox listening"
        );
        Ok(Running { simulation, addresses, tasks })
    }
}

/// Serves until `stop`.
async fn serve(name: &'static str, listener: TcpListener, router: Router, stop: CancellationToken) {
    let router = router.into_make_service_with_connect_info::<Connection>();
    let serve = axum::serve(Wire(listener), router).with_graceful_shutdown(stop.cancelled_owned());
    if let Err(error) = serve.await {
        tracing::error!(name, %error, "a side of the sandbox ended");
    }
}

/// A listener on all addresses is reached over loopback.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    }
    address
}

fn router(simulation: &Simulation) -> Router {
    let third_party = |third_party, router| guarded(simulation, third_party, router);
    Router::new()
        .nest("/bruin", third_party(ThirdParty::Bruin, bruin::router(simulation)))
        .nest("/velocloud", third_party(ThirdParty::VeloCloud, velocloud::router()))
        .nest("/digi", third_party(ThirdParty::Digi, digi::router()))
        .nest("/slack", third_party(ThirdParty::Slack, messaging::slack::router()))
        .nest("/sms", third_party(ThirdParty::Sms, messaging::sms::router()))
        .nest("/hawkeye", third_party(ThirdParty::Hawkeye, hawkeye::router()))
        .nest("/dri", third_party(ThirdParty::Dri, dri::router()))
        .nest("/cts", third_party(ThirdParty::Cts, cts::router(simulation)))
        .nest("/lit", third_party(ThirdParty::Lit, lit::router(simulation)))
        .merge(control::router(simulation))
        .merge(page::router(simulation))
}

/// Lets what is due happen even while nobody looks, for those who watch the changes.
async fn settle(world: World, stop: CancellationToken) {
    let mut tick = tokio::time::interval(Duration::from_millis(500));
    while stop.run_until_cancelled(tick.tick()).await.is_some() {
        world.settle();
    }
}

/// A running sandbox. Dropping it stops it.
pub struct Running {
    simulation: Simulation,
    addresses: Addresses,
    tasks: TaskTracker,
}

impl Running {
    /// `http://127.0.0.1:<port>`: the page; `/control/...` is below it.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.addresses.http)
    }

    /// Base of Bruin's login server and API.
    pub fn bruin_url(&self) -> String {
        format!("{}/bruin", self.base_url())
    }

    /// Base of one VeloCloud host; `/portal/rest/...` follows.
    pub fn velocloud_url(&self, host: &str) -> String {
        format!("{}/velocloud/{host}", self.base_url())
    }

    /// Base of the DiGi service.
    pub fn digi_url(&self) -> String {
        format!("{}/digi", self.base_url())
    }

    /// Base of the DRI API.
    pub fn dri_url(&self) -> String {
        format!("{}/dri", self.base_url())
    }

    /// Base of CTS's organisation, login server and instance.
    pub fn cts_url(&self) -> String {
        format!("{}/cts", self.base_url())
    }

    /// Base of LIT's organisation, login server and instance.
    pub fn lit_url(&self) -> String {
        format!("{}/lit", self.base_url())
    }

    /// The Slack webhook.
    pub fn slack_url(&self) -> String {
        format!("{}/slack{}", self.base_url(), environment::SLACK_PATH)
    }

    /// Base of the SMS provider.
    pub fn sms_url(&self) -> String {
        format!("{}/sms", self.base_url())
    }

    /// Where everything listens.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// The simulated VeloCloud hosts.
    pub fn hosts(&self) -> &[String] {
        &self.simulation.options.hosts
    }

    /// The value of `UPSTREAM_OVERRIDES`.
    pub fn overrides(&self) -> String {
        environment::overrides(&self.addresses, &self.simulation.options.hosts)
    }

    /// What a service needs in its environment, apart from NATS, Redis and ports. Names: those of the deployables,
    /// `service-outage-monitor-triage` included.
    pub fn environment_for(&self, service: &str) -> Vec<(String, String)> {
        let plan = self.simulation.options.plan();
        environment::environment_for(service, &self.addresses, &plan, &self.simulation.world)
    }

    /// World, faults, calls and logins in one, for whoever shows them.
    pub fn simulation(&self) -> &Simulation {
        &self.simulation
    }

    /// The simulated world.
    pub fn world(&self) -> &World {
        &self.simulation.world
    }

    /// The faults in force.
    pub fn faults(&self) -> &Faults {
        &self.simulation.faults
    }

    /// What the third parties received.
    pub fn received(&self) -> &CallLog {
        &self.simulation.received
    }

    /// What the models behind gRPC shall answer and were asked.
    pub fn models(&self) -> &kre::Models {
        &self.simulation.models
    }

    /// The logins that are valid.
    pub fn sessions(&self) -> &Sessions {
        &self.simulation.sessions
    }

    /// Stops listening and waits for calls in flight, at most two seconds.
    pub async fn stop(self) {
        self.simulation.stop.cancel();
        self.tasks.close();
        // What still hangs (a struck call with a long latency) is cut off with the process.
        let _ = tokio::time::timeout(GRACE, self.tasks.wait()).await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.simulation.stop.cancel();
    }
}

runtime::service!(Sandbox);

impl Service for Sandbox {
    const NAME: &'static str = "sandbox";
    const ABOUT: &'static str = "Simulates every third party, with a control API and a page";
    const MESSAGING: bool = false;
    type Config = SandboxOptions;

    async fn start(ctx: Context, config: SandboxOptions) -> anyhow::Result<()> {
        // A process of its own runs on the system's clock, which nobody can move: the sandbox brings one that can be.
        let clock = if ctx.clock.advance(Duration::ZERO) { ctx.clock.clone() } else { config.clock.clone() };
        let running = Sandbox::start(SandboxOptions { clock, ..config }).await?;
        let stop = ctx.stop.clone();
        ctx.spawn("sandbox", async move {
            stop.cancelled().await;
            running.stop().await;
        });
        Ok(())
    }
}
