//! The chapter of the replicas: the one that acts is killed in mid-cycle, the other goes on.
//!
//! It has a stage of its own, in real time: two processes of this program, `fleet run service-outage-monitor`, which have
//! no part in the story's clock.

use std::{process::Stdio, sync::Arc, time::Duration};

use anyhow::Context;
use contracts::customer_cache::{CacheFilter, GetCustomerCache};
use parking_lot::Mutex;
use runtime::{Bucket, Buckets, Clock, DecisionMode, Environment, LEASE_BUCKET, Lease, Values};
use sandbox::{
    Fault, Running, Sandbox, SandboxOptions, ThirdParty, World,
    world::{
        generate::{Oddity, oddity},
        tickets::Ticket,
    },
};
use tokio::{
    process::{Child, Command},
    time::Instant,
};

use super::Story;
use crate::{
    beacon, catalogue,
    place::Place,
    servers::Servers,
    supervisor::{Instance, Supervisor},
    up,
};

/// The service of which there are two.
const MONITOR: &str = "service-outage-monitor";
/// What it asks, directly or not.
const OTHERS: [&str; 5] = ["bruin-bridge", "velocloud-bridge", "digi-bridge", "notifier", "customer-cache"];
const EDGES: usize = 20;
const HOST: &str = "vco1.sandbox.example";
/// How long a step may take.
const SOON: Duration = Duration::from_secs(30);
/// What is promised of a take-over.
const TAKE_OVER: Duration = Duration::from_secs(15);
/// How long VeloCloud takes to tell events: in this time there is a ticket without a note.
const SLOW: Duration = Duration::from_secs(2);
/// How long it is watched that nothing more comes.
const AFTERWARDS: Duration = Duration::from_secs(4);

/// The chapter's title.
pub(super) const TITLE: &str = "Meanwhile, in real time: the acting one of two replicas is killed";

/// The whole chapter.
pub(super) async fn tell(seed: u64) -> anyhow::Result<Story> {
    let replicas = Replicas::start(seed).await?;
    let mut story = Story::aside(replicas.sandbox.world().clone());
    let told = replicas.tell(&mut story).await;
    replicas.supervisor.stop().await;
    replicas.sandbox.stop().await;
    told.map(|()| story)
}

/// The stage.
struct Replicas {
    servers: Servers,
    sandbox: Running,
    supervisor: Supervisor,
}

/// A process of the monitor.
struct Replica {
    name: &'static str,
    process: Child,
}

impl Replicas {
    /// Everything but the monitor.
    async fn start(seed: u64) -> anyhow::Result<Self> {
        let clock = Clock::system();
        let servers = Servers::start(Environment::default()).await?;
        let sandbox = SandboxOptions {
            clock: clock.clone(),
            edges: EDGES,
            seed,
            hosts: vec![HOST.to_owned()],
            ..SandboxOptions::default()
        };
        let sandbox = Sandbox::start(sandbox).await.context("the second sandbox does not start")?;
        let none = Environment::default();
        let services = catalogue::chosen(&OTHERS.map(str::to_owned))?;
        let instances = services.into_iter().map(|runnable| Instance {
            label: runnable.name().to_owned(),
            environment: up::environment_of(runnable.name(), &none, &servers, Some(&sandbox)),
            runnable,
        });
        let supervisor = Supervisor::start(instances.collect(), &clock);
        Ok(Self { servers, sandbox, supervisor })
    }

    async fn tell(&self, story: &mut Story) -> anyhow::Result<()> {
        self.supervisor.started(SOON).await?;
        let world = self.sandbox.world();
        let serial = ordinary_edge(world).context("the simulated network has no ordinary edge")?;
        let serial = serial.as_str();
        // A cycle for which the cache is not ready ends at once, and the next one comes ten minutes later.
        tokio::time::timeout(SOON, self.cached(serial))
            .await
            .context("the customer cache is not filled")??;
        let leases = Leases::watch(&self.servers).await?;
        self.sandbox.faults().inject(ThirdParty::VeloCloud, Fault::latency(SLOW).on("getEnterpriseEvents"));
        world.break_edge(serial)?;
        story.tell(&format!("{serial} loses power; two processes of the outage monitor start"));
        let mut replicas = [self.replica("replica-a")?, self.replica("replica-b")?];
        story.until("one of them leads", SOON, |_| leases.holder()).await;
        story.until("it opens a ticket", SOON, |world| Some(ticket(world, serial)?.id.to_string())).await;
        let leader = leases.holder().unwrap_or_default();
        let acting = replicas.iter_mut().find(|replica| leader.starts_with(replica.name));
        acting.context("one of the two leads")?.process.kill().await?;
        let killed = Instant::now();
        story.tell(&format!("kill -9 of {leader}, before it has written the note"));
        let other = |_: &World| {
            let holder = leases.holder().filter(|holder| *holder != leader)?;
            (killed.elapsed() <= TAKE_OVER)
                .then(|| format!("{holder}, {:.1} s later", killed.elapsed().as_secs_f64()))
        };
        story.until("the other takes over within 15 s", TAKE_OVER, other).await;
        story
            .until("it finds the ticket without its note, and writes it", SOON, |world| {
                let notes = notes(&ticket(world, serial)?);
                (notes > 0).then(|| format!("{:.1} s after the death", killed.elapsed().as_secs_f64()))
            })
            .await;
        let wrong = |world: &World| match world.tickets_of(serial).as_slice() {
            [only] if notes(only) == 1 => None,
            [only] => Some(format!("there are {} notes", notes(only))),
            all => Some(format!("there are {} tickets", all.len())),
        };
        story.meanwhile("there is one ticket, and one note on it", AFTERWARDS, wrong).await;
        Ok(())
    }

    /// Waits until the customer cache has the edge.
    async fn cached(&self, serial: &str) -> anyhow::Result<()> {
        const LOOK: Duration = Duration::from_millis(100);
        let place = Place::find(None, &self.servers.environment(), &beacon::folder())?;
        let bus = place.bus().await?;
        let host = CacheFilter { filter: [(HOST.to_owned(), vec![])].into(), last_contact_filter: None };
        loop {
            let answer = bus.exchange::<GetCustomerCache>(&host, SOON).await;
            if answer.is_ok_and(|answer| answer.status == Some(200) && answer.body().contains(serial)) {
                return Ok(());
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// A process of this program that runs the monitor and nothing else. It ends with the handle.
    fn replica(&self, name: &'static str) -> anyhow::Result<Replica> {
        let none = Environment::default();
        let mut environment = up::environment_of(MONITOR, &none, &self.servers, Some(&self.sandbox))
            .with("LEADER_ELECTION", "jetstream")
            .with("MONITORING__VELOCLOUD_HOST", HOST)
            .with("MONITORING__MONITORING_JOB_INTERVAL", "600")
            // The holder of a lease is called after its host.
            .with("HOSTNAME", name);
        for kind in ["LINK_DOWN", "HARD_DOWN", "HA_LINK_DOWN", "HA_SOFT_DOWN", "HA_HARD_DOWN"] {
            environment = environment.with(format!("MONITORING__QUARANTINE_FOR_EDGES_IN_{kind}_OUTAGE"), "1");
        }
        let program = std::env::current_exe().context("where this program is")?;
        let mut command = Command::new(program);
        command.args(["run", MONITOR]).env_clear().kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        for variable in environment.names() {
            command.env(variable, environment.get(variable).unwrap_or_default());
        }
        let process = command.spawn().context("a second process of this program")?;
        Ok(Replica { name, process })
    }
}

/// Who leads, looked at all the time.
struct Leases {
    holder: Arc<Mutex<Option<String>>>,
    _watch: tokio_util::task::AbortOnDropHandle<()>,
}

impl Leases {
    async fn watch(servers: &Servers) -> anyhow::Result<Self> {
        const LOOK: Duration = Duration::from_millis(100);
        let environment = servers.environment();
        let url = environment.get("NATS_SERVER1").context("the second NATS server")?;
        let client = async_nats::connect(url).await.context("the second NATS server")?;
        let bucket = Bucket { name: LEASE_BUCKET, about: "", keep: Duration::ZERO };
        let values = bucket.open(&Buckets::from(client), SOON).await?;
        let key = Lease::key("sandbox", MONITOR, DecisionMode::Live, HOST);
        let holder: Arc<Mutex<Option<String>>> = Arc::default();
        let seen = holder.clone();
        let watch = tokio::spawn(async move {
            loop {
                *seen.lock() = holder_of(&values, &key).await;
                tokio::time::sleep(LOOK).await;
            }
        });
        Ok(Self { holder, _watch: tokio_util::task::AbortOnDropHandle::new(watch) })
    }

    fn holder(&self) -> Option<String> {
        self.holder.lock().clone()
    }
}

async fn holder_of(values: &Values, key: &str) -> Option<String> {
    let entry = values.look(key).await.ok()??.bytes?;
    let entry: serde_json::Value = serde_json::from_slice(&entry).ok()?;
    entry.get("holder")?.as_str().map(str::to_owned)
}

/// The serial of a monitored single edge.
fn ordinary_edge(world: &World) -> Option<String> {
    world.network(|network| {
        let mut edges = network.edges.iter().enumerate();
        let fits = |(place, edge): &(usize, &sandbox::world::network::Edge)| {
            oddity(*place) == Oddity::None && edge.standby.is_none() && !edge.links.is_empty()
        };
        edges.find(fits).map(|(_, edge)| edge.serial.clone())
    })
}

fn ticket(world: &World, serial: &str) -> Option<Ticket> {
    world.tickets_of(serial).into_iter().next()
}

fn notes(ticket: &Ticket) -> usize {
    ticket.notes.iter().filter(|note| note.value.contains("Triage (VeloCloud)")).count()
}
