//! Servers, the sandbox, and the services as processes of their own.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context;
use bus::{Bus, BusOptions};
use measure::Service;
use rand::{SeedableRng, rngs::Xoshiro256PlusPlus};
use runtime::Clock;
use sandbox::world::network::Edge;
use sandbox::world::tickets::{NewTicket, Topic};
use sandbox::{Running, Sandbox, SandboxOptions};
use serde_json::{Value, json};
use testkit::{Nats, NatsCluster, NatsOptions, Redis, RedisOptions};

use crate::experiment::Lab;

/// Whatever takes longer has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Every service which a fleet consists of, those first whom others ask at their start.
pub(crate) const SERVICES: [&str; 14] = [
    "bruin-bridge",
    "velocloud-bridge",
    "digi-bridge",
    "notifier",
    "hawkeye-bridge",
    "t7-bridge",
    "dri-bridge",
    "cts-bridge",
    "lit-bridge",
    "email-tagger-kre-bridge",
    "repair-tickets-kre-bridge",
    "customer-cache",
    "hawkeye-customer-cache",
    "service-outage-monitor",
];

/// The subject of the customer cache, and that of the Hawkeye customer cache.
pub(crate) const CACHES: [&str; 2] = ["customer.cache.get", "hawkeye.customer.cache.get"];

/// The NATS servers of a stage.
pub(crate) enum Messaging {
    /// One server.
    One(Box<Nats>),
    /// Three of them.
    Cluster(NatsCluster),
}

/// Real servers and a simulated world, in which programs run.
pub(crate) struct Stage {
    pub(crate) nats: Messaging,
    pub(crate) redis: Redis,
    pub(crate) sandbox: Running,
    binaries: PathBuf,
    logs: PathBuf,
}

impl Stage {
    /// One NATS server with JetStream, one Redis, and a world of so many edges on one host.
    pub(crate) async fn new(lab: &Lab, edges: usize) -> anyhow::Result<Self> {
        Self::in_world(lab, SandboxOptions { edges, ..world(lab) }).await
    }

    /// One NATS server with JetStream, one Redis, and a world as it is wanted.
    pub(crate) async fn in_world(lab: &Lab, world: SandboxOptions) -> anyhow::Result<Self> {
        let options = NatsOptions { jetstream: true, ..NatsOptions::default() };
        Self::with(lab, world, Messaging::One(Box::new(Nats::try_start(options).await?))).await
    }

    /// With a cluster of three NATS servers.
    pub(crate) async fn with_cluster(lab: &Lab, edges: usize) -> anyhow::Result<Self> {
        let world = SandboxOptions { edges, ..world(lab) };
        Self::with(lab, world, Messaging::Cluster(NatsCluster::try_start(3).await?)).await
    }

    async fn with(lab: &Lab, world: SandboxOptions, nats: Messaging) -> anyhow::Result<Self> {
        let redis = Redis::try_start(RedisOptions::default()).await?;
        let sandbox = Sandbox::start(world).await?;
        Ok(Self { nats, redis, sandbox, binaries: lab.binaries.clone(), logs: lab.logs.clone() })
    }

    /// The addresses for `NATS_SERVER1`.
    pub(crate) fn nats_url(&self) -> String {
        match &self.nats {
            Messaging::One(server) => server.url(),
            Messaging::Cluster(cluster) => cluster.url(),
        }
    }

    /// What a service needs in its environment, and nothing more.
    pub(crate) fn environment(&self, service: &str) -> Vec<(String, String)> {
        let mut environment = self.sandbox.environment_for(service);
        set(&mut environment, "NATS_SERVER1", self.nats_url());
        for prefix in ["REDIS", "REDIS_CUSTOMER_CACHE"] {
            set(&mut environment, &format!("{prefix}_HOSTNAME"), self.redis.host());
            set(&mut environment, &format!("{prefix}_PORT"), self.redis.port().to_string());
        }
        environment
    }

    /// Starts a service with some settings more and waits until it is ready. `instance` names its log.
    pub(crate) async fn start(
        &self,
        service: &str,
        instance: &str,
        settings: &[(&str, &str)],
    ) -> anyhow::Result<Service> {
        let started = self.begin(service, instance, settings).await?;
        started.until_ready().await.with_context(|| instance.to_owned())?;
        Ok(started)
    }

    /// As [`Self::start`], but returns as soon as it listens.
    pub(crate) async fn begin(
        &self,
        service: &str,
        instance: &str,
        settings: &[(&str, &str)],
    ) -> anyhow::Result<Service> {
        let mut environment = self.environment(service);
        for (name, value) in settings {
            set(&mut environment, name, (*value).to_owned());
        }
        let log = self.logs.join(format!("{instance}.log"));
        Service::start(&self.binaries, service, &environment, Some(&log)).await
    }

    /// Of all services those whose programs were built, and those whose were not.
    pub(crate) fn built(&self) -> (Vec<&'static str>, Vec<&'static str>) {
        SERVICES.into_iter().partition(|service| self.binaries.join(service).is_file())
    }

    /// A requester.
    pub(crate) async fn bus(&self, name: &str) -> anyhow::Result<Bus> {
        let options = BusOptions::new(name, self.nats_url(), self.redis.host(), self.redis.port());
        let bus = Bus::connect(options, &prometheus::Registry::new()).await?;
        let connected = bus.clone();
        until("the requester is connected", || connected.connected()).await?;
        Ok(bus)
    }

    /// Waits until the cache that answers this subject has edges of any host.
    pub(crate) async fn until_cached(&self, subject: &str) -> anyhow::Result<()> {
        self.until_cached_for(subject, json!({})).await
    }

    /// Waits until the cache that answers this subject has edges which a filter selects.
    pub(crate) async fn until_cached_for(&self, subject: &str, filter: Value) -> anyhow::Result<()> {
        let bus = self.bus("prove").await?;
        let began = Instant::now();
        // Ten thousand edges are some ten thousand questions.
        while began.elapsed() < PATIENCE * 10 {
            let envelope = json!({"request_id": "r-1", "body": {"filter": filter}});
            let answer = bus.exchange_raw(subject, envelope, PATIENCE).await;
            if answer.is_ok_and(|answer| answer.status == Some(200)) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        anyhow::bail!("the cache behind {subject} is not built")
    }

    /// The one VeloCloud host.
    pub(crate) fn host(&self) -> String {
        self.sandbox.hosts().first().cloned().unwrap_or_default()
    }

    /// The ordinary edges which are monitored: in service, alone, with links.
    pub(crate) fn edges(&self) -> Vec<Edge> {
        sandbox::samples::ordinary_edges(&self.sandbox)
    }

    /// Creates so many tickets, each of another edge.
    pub(crate) fn tickets(&self, count: usize) -> anyhow::Result<Vec<i64>> {
        let world = self.sandbox.world();
        let tickets = self.edges().into_iter().cycle().take(count).map(|edge| {
            let client = world.network(|network| network.enterprise_of(&edge).map(|one| one.client));
            let new = NewTicket {
                client: client.context("an edge without enterprise")?,
                site: Some(edge.site),
                topic: Topic::Outage,
                serials: vec![edge.serial],
                created_by: "Ann Example".to_owned(),
                severity: 2,
                description: None,
            };
            let now = world.now();
            Ok(world.with_tickets(|tickets| tickets.create(new, now)))
        });
        tickets.collect()
    }
}

/// A world on one host, from the seed.
pub(crate) fn world(lab: &Lab) -> SandboxOptions {
    SandboxOptions {
        clock: Clock::shifted(),
        seed: lab.seed,
        hosts: vec!["vco1.sandbox.example".to_owned()],
        ..SandboxOptions::default()
    }
}

/// Sets a variable, instead of the present one if there is one.
pub(crate) fn set(environment: &mut Vec<(String, String)>, name: &str, value: String) {
    environment.retain(|(present, _)| present != name);
    environment.push((name.to_owned(), value));
}

/// What random choices are made from.
pub(crate) fn random(seed: u64) -> Xoshiro256PlusPlus {
    Xoshiro256PlusPlus::seed_from_u64(seed)
}

/// Waits until something is so.
pub(crate) async fn until(what: &str, mut condition: impl FnMut() -> bool) -> anyhow::Result<()> {
    let waiting = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.with_context(|| format!("did not happen: {what}"))
}
