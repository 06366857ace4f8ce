//! Servers, the sandbox, and any of the services in this process.

use std::time::Duration;

use bus::{Bus, BusOptions};
use chrono::TimeDelta;
use fleet::{
    catalogue,
    supervisor::{Instance, Supervisor},
};
use prometheus::Registry;
use runtime::{Clock, Environment, Host, Runnable};
use sandbox::{
    Running, Sandbox, SandboxOptions, World,
    world::{
        network::Edge,
        tickets::{NewTicket, Ticket, Topic},
    },
};
use serde_json::json;
use testkit::{Nats, NatsOptions, OldPeer, Redis, RedisOptions};

/// A generous limit for what should come soon. Nothing waits for it unless it is broken.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks at a condition.
const LOOK: Duration = Duration::from_millis(10);

/// Bridges and notifier: what the caches and monitors ask.
pub(crate) const BRIDGES: [&str; 4] = ["bruin-bridge", "velocloud-bridge", "digi-bridge", "notifier"];

/// Real servers and a simulated world.
pub(crate) struct Stage {
    pub(crate) nats: Nats,
    pub(crate) redis: Redis,
    pub(crate) sandbox: Running,
    pub(crate) clock: Clock,
}

/// How a stage differs from an ordinary one.
pub(crate) struct Setting {
    pub(crate) edges: usize,
    pub(crate) hosts: usize,
    pub(crate) clock: Clock,
    pub(crate) nats: NatsOptions,
    pub(crate) redis: RedisOptions,
}

impl Default for Setting {
    fn default() -> Self {
        Self {
            edges: 40,
            hosts: 1,
            clock: Clock::shifted(),
            nats: NatsOptions { jetstream: true, ..NatsOptions::default() },
            redis: RedisOptions::default(),
        }
    }
}

impl Stage {
    /// An ordinary stage: 40 edges on one host.
    pub(crate) async fn new() -> Self {
        Self::with(Setting::default()).await
    }

    pub(crate) async fn with(setting: Setting) -> Self {
        let Setting { edges, hosts, clock, nats, redis } = setting;
        let hosts = (1..=hosts).map(|number| format!("vco{number}.sandbox.example")).collect();
        let (nats, redis) = tokio::join!(Nats::start_with(nats), Redis::start_with(redis));
        let sandbox = SandboxOptions { clock: clock.clone(), edges, hosts, ..SandboxOptions::default() };
        let sandbox = Sandbox::start(sandbox).await.unwrap();
        Self { nats, redis, sandbox, clock }
    }

    pub(crate) fn world(&self) -> &World {
        self.sandbox.world()
    }

    /// The one VeloCloud host.
    pub(crate) fn host(&self) -> &str {
        &self.sandbox.hosts()[0]
    }

    /// What a service needs in its environment, and nothing more.
    pub(crate) fn environment(&self, service: &str) -> Environment {
        let mut environment: Environment = self.sandbox.environment_for(service).into_iter().collect();
        environment = environment
            .with("NATS_SERVER1", self.nats.url())
            .with("REDIS_HOSTNAME", self.redis.host())
            .with("REDIS_PORT", self.redis.port().to_string())
            .with("HTTP_PORT", "0")
            .with("METRICS_PORT", "0");
        if service.ends_with("customer-cache") {
            environment = environment
                .with("REDIS_CUSTOMER_CACHE_HOSTNAME", self.redis.host())
                .with("REDIS_CUSTOMER_CACHE_PORT", self.redis.port().to_string());
        }
        if service == "cts-bridge" {
            // It writes nowhere else.
            environment = environment.with("CURRENT_ENVIRONMENT", "dev");
        }
        environment
    }

    /// A service of the catalogue with its environment and some settings more.
    pub(crate) fn instance(&self, service: &str, settings: &[(&str, &str)]) -> Instance {
        let environment = self.environment(service).merged(&settings.iter().copied().collect());
        Instance { label: service.to_owned(), runnable: runnable(service), environment }
    }

    /// Runs services in this process and waits until they have started.
    pub(crate) async fn run(&self, services: &[&str]) -> Supervisor {
        self.run_all(services.iter().map(|service| self.instance(service, &[])).collect()).await
    }

    pub(crate) async fn run_all(&self, instances: Vec<Instance>) -> Supervisor {
        let supervisor = Supervisor::start(instances, &self.clock);
        supervisor.started(PATIENCE).await.unwrap();
        supervisor
    }

    /// A requester of the existing deployment.
    pub(crate) async fn old_peer(&self) -> OldPeer {
        OldPeer::connect(&self.nats.url(), &self.redis.url()).await
    }

    /// Waits until the customer cache serves its lists.
    pub(crate) async fn until_cached(&self) {
        let old = self.old_peer().await;
        let envelope = json!({"request_id": "r-1", "body": {"filter": {}}});
        while old.request("customer.cache.get", &envelope, PATIENCE).await.envelope()["status"] != 200 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// A requester of ours.
    pub(crate) async fn bus(&self) -> Bus {
        let options =
            BusOptions::new("acceptance-test", self.nats.url(), self.redis.host(), self.redis.port());
        let bus = Bus::connect(options, &Registry::new()).await.unwrap();
        let connected = bus.clone();
        until("the requester is connected", || connected.connected()).await;
        bus
    }

    /// The ordinary edges which are monitored: in service, alone, with links.
    pub(crate) fn edges(&self) -> Vec<Edge> {
        sandbox::samples::ordinary_edges(&self.sandbox)
    }

    pub(crate) fn client_of(&self, edge: &Edge) -> i64 {
        self.world().network(|network| network.enterprise_of(edge).unwrap().client)
    }

    /// A ticket of an edge which somebody opened yesterday.
    pub(crate) fn ticket(&self, edge: &Edge, by: &str, severity: i64) -> i64 {
        let new = NewTicket {
            client: self.client_of(edge),
            site: Some(edge.site),
            topic: Topic::Outage,
            serials: vec![edge.serial.clone()],
            created_by: by.to_owned(),
            severity,
            description: None,
        };
        let yesterday = self.clock.now() - TimeDelta::days(1);
        self.world().with_tickets(|tickets| tickets.create(new, yesterday))
    }

    /// Lets the world's time pass, 20 s for each 30 ms, until something is so.
    pub(crate) async fn pass_until<T>(&self, what: &str, mut look: impl FnMut(&World) -> Option<T>) -> T {
        let began = tokio::time::Instant::now();
        loop {
            if let Some(found) = look(self.world()) {
                return found;
            }
            assert!(began.elapsed() < PATIENCE, "did not happen: {what}");
            self.clock.advance(Duration::from_secs(20));
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }

    /// Lets so much of the world's time pass, at the pace of [`Self::pass_until`].
    pub(crate) async fn pass(&self, span: Duration) {
        let end = self.clock.now() + span;
        while self.clock.now() < end {
            self.clock.advance(Duration::from_secs(20));
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }
}

/// A service of the catalogue.
pub(crate) fn runnable(service: &str) -> Runnable {
    catalogue::all().into_iter().find(|known| known.name() == service).unwrap()
}

/// The present run of an instance.
pub(crate) fn run_of(supervisor: &Supervisor, service: &str) -> Host {
    let view = supervisor.views().into_iter().find(|view| view.label == service).unwrap();
    view.host.unwrap()
}

/// The series of a metric: labels, as they are written, and value.
pub(crate) fn series(host: &Host, name: &str) -> Vec<(String, f64)> {
    let text = prometheus::TextEncoder::new().encode_to_string(&host.metrics.gather()).unwrap();
    let of_name = text.lines().filter_map(|line| {
        let (labels, value) = line.strip_prefix(name)?.rsplit_once(' ')?;
        let whole = labels.is_empty() || labels.starts_with('{');
        whole.then(|| (labels.to_owned(), value.parse().unwrap()))
    });
    of_name.collect()
}

/// The sum of a counter or gauge over its labels.
pub(crate) fn metric(host: &Host, name: &str) -> f64 {
    series(host, name).iter().map(|(_, value)| value).sum()
}

/// Asserts that no service has crashed.
pub(crate) fn assert_no_restarts(supervisor: &Supervisor) {
    for view in supervisor.views() {
        assert_eq!(view.restarts, 0, "{} crashed: {:?}", view.label, view.last_error);
        assert!(view.is_started(), "{} does not run", view.label);
    }
}

/// Waits until something is so.
pub(crate) async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::time::sleep(LOOK).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, waiting).await.is_ok(), "did not happen: {what}");
}

/// The tickets with a line for a serial.
pub(crate) fn tickets(world: &World, serial: &str) -> Vec<Ticket> {
    world.tickets_of(serial)
}

/// How many notes of a ticket contain a text.
pub(crate) fn notes_with(ticket: &Ticket, text: &str) -> usize {
    ticket.notes.iter().filter(|note| note.value.contains(text)).count()
}

/// An HTTP client for what listens on loopback.
pub(crate) fn http() -> reqwest::Client {
    // There may be one already, which then is the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap()
}
