//! Bridges, slow third parties, and two replicas of the monitor for each of many VeloCloud hosts.

use std::time::{Duration, Instant};

use anyhow::Context;
use futures::StreamExt;
use measure::Service;
use runtime::{Bucket, Buckets, DecisionMode, LEASE_BUCKET, Lease, Values};
use sandbox::world::generate::{Oddity, oddity};
use sandbox::world::network::{Edge, Link, LinkType};
use sandbox::world::notes::NewNote;
use sandbox::world::tickets::{ENGINE, NewTicket, Topic};
use sandbox::{Fault, SandboxOptions, ThirdParty, World};
use serde_json::{Value, json};

use super::points::{Plot, Point};
use crate::experiment::Lab;
use crate::stage;

/// A limit for what should come within seconds. Nothing waits for it unless something is broken.
pub(super) const PATIENCE: Duration = Duration::from_secs(120);
/// How often the holder of a lease is looked up.
const LOOK: Duration = Duration::from_millis(100);
/// Edges of each host: some of them have a wired link and a DiGi unit.
const EDGES: usize = 40;

const MONITOR: &str = "service-outage-monitor";
/// The monitor asks them, those first whom others ask at their start.
const PEERS: [&str; 5] = ["bruin-bridge", "velocloud-bridge", "digi-bridge", "notifier", "customer-cache"];

/// How fast things go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// What the third parties take for an answer: long enough to kill the requester while they work.
    slow: Duration,
    /// The monitor's interval, in seconds.
    interval: &'static str,
    /// When nothing has changed for so long, which is at least two cycles, nothing more comes.
    pub(super) rest: Duration,
}

impl Pace {
    fn of(lab: &Lab) -> Self {
        let short = Self { slow: Duration::from_millis(200), interval: "2", rest: Duration::from_secs(6) };
        let full = Self { slow: Duration::from_millis(400), interval: "6", rest: Duration::from_secs(20) };
        lab.effort.pick(short, full)
    }
}

/// Everything but the monitors.
pub(super) struct Stage {
    stage: stage::Stage,
    client: async_nats::Client,
    leases: Values,
    pub(super) pace: Pace,
    _peers: Vec<Service>,
}

/// An edge, its plain wired link, and its link over a DiGi unit.
pub(super) struct Device {
    pub(super) serial: String,
    host: String,
    edge_id: i64,
    wired: String,
    digi: String,
}

impl Stage {
    /// With so many hosts; returns when all can be monitored.
    pub(super) async fn with_hosts(lab: &Lab, hosts: usize) -> anyhow::Result<Self> {
        let world = SandboxOptions {
            edges: hosts * EDGES,
            hosts: (1..=hosts).map(|number| format!("vco{number}.sandbox.example")).collect(),
            // What is rebooted stays down.
            digi_heals_after: Duration::from_secs(3_600),
            ..stage::world(lab)
        };
        let stage = stage::Stage::in_world(lab, world).await?;
        let peers = futures::future::try_join_all(PEERS.map(|peer| stage.start(peer, peer, &[]))).await?;
        let [cache, _] = stage::CACHES;
        for host in stage.sandbox.hosts() {
            stage.until_cached_for(cache, json!({ host.as_str(): [] })).await?;
        }
        let pace = Pace::of(lab);
        for third_party in [ThirdParty::Bruin, ThirdParty::VeloCloud, ThirdParty::Digi] {
            stage.sandbox.faults().inject(third_party, Fault::latency(pace.slow));
        }
        let client = async_nats::connect(stage.nats_url()).await?;
        let bucket = Bucket { name: LEASE_BUCKET, about: "", keep: Duration::ZERO };
        let leases = bucket.open(&Buckets::from(client.clone()), stage::PATIENCE).await?;
        Ok(Self { stage, client, leases, pace, _peers: peers })
    }

    pub(super) fn world(&self) -> &World {
        self.stage.sandbox.world()
    }

    pub(super) fn hosts(&self) -> &[String] {
        self.stage.sandbox.hosts()
    }

    /// A replica of the monitor of a host, as a process of its own.
    pub(super) async fn monitor(&self, host: &str, replica: &str) -> anyhow::Result<Service> {
        let mut settings = vec![
            ("MONITORING__VELOCLOUD_HOST", host),
            ("LEADER_ELECTION", "jetstream"),
            ("MONITORING__MONITORING_JOB_INTERVAL", self.pace.interval),
            ("MONITORING__GRACE_PERIOD_BEFORE_ATTEMPTING_NEW_DIGI_REBOOTS", "3600"),
        ];
        settings.extend(QUARANTINES.map(|quarantine| (quarantine, "1")));
        self.stage.begin(MONITOR, &format!("{host}-{replica}"), &settings).await
    }

    /// Waits until another replica of a host than `former` leads; says who, and when that was seen.
    pub(super) async fn until_led(
        &self,
        host: &str,
        former: Option<&str>,
    ) -> anyhow::Result<(String, Instant)> {
        let key = Lease::key("sandbox", MONITOR, DecisionMode::Live, host);
        let led = async {
            loop {
                // A look in vain is repeated, as long as there is patience.
                if let Ok(Some(runtime::Value { bytes: Some(entry), .. })) = self.leases.look(&key).await
                    && let Some(holder) = holder(&entry)
                    && former != Some(holder.as_str())
                {
                    return (holder, Instant::now());
                }
                tokio::time::sleep(LOOK).await;
            }
        };
        let nobody = || format!("{host}: no replica but {former:?} leads");
        tokio::time::timeout(PATIENCE, led).await.with_context(nobody)
    }

    /// An ordinary edge of a host with a plain wired link and one over a DiGi unit.
    pub(super) fn device(&self, host: &str) -> anyhow::Result<Device> {
        let found = self.world().network(|network| {
            network.edges.iter().enumerate().find_map(|(place, edge)| {
                let ordinary =
                    oddity(place) == Oddity::None && edge.standby.is_none() && network.host_of(edge) == host;
                ordinary.then(|| device(host, edge)).flatten()
            })
        });
        found.with_context(|| format!("{host} has no edge with a wired link and one over a DiGi unit"))
    }

    /// Sets the scene of a plot.
    pub(super) fn play(&self, plot: Plot, device: &Device) -> anyhow::Result<()> {
        let (world, serial) = (self.world(), device.serial.as_str());
        if plot != Plot::NewOutage {
            let ticket = self.ticket(serial)?;
            if let Plot::Again(policy) = plot {
                let there = world.ticket(ticket).context("the ticket is gone")?;
                let line = there.line_of(serial).context("the ticket has no line")?.id;
                self.note(ticket, serial, &format!("Auto-resolving detail for serial: {serial}"))?;
                let now = world.now();
                world.with_tickets(|tickets| tickets.set_line(ticket, line, true, now))?;
                world.with_tickets(|tickets| tickets.policy.serials.insert(serial.to_owned(), policy));
            }
        }
        if plot != Plot::Healed {
            // More than one page.
            let label = format!("ACME Cable, {}", "second floor, behind the counter, ".repeat(26));
            world.relabel_link(serial, &device.wired, &label)?;
            world.break_link(serial, &device.wired)?;
            world.break_link(serial, &device.digi)?;
        }
        Ok(())
    }

    /// A ticket of the engine for the edge, with its first note.
    fn ticket(&self, serial: &str) -> anyhow::Result<i64> {
        let world = self.world();
        let asset = world.inventory(|inventory| inventory.assets(serial).first().cloned());
        let asset = asset.with_context(|| format!("Bruin does not know {serial}"))?;
        let new = NewTicket {
            client: asset.client,
            site: Some(asset.site),
            topic: Topic::Outage,
            serials: vec![serial.to_owned()],
            created_by: ENGINE.to_owned(),
            severity: 2,
            description: None,
        };
        let now = world.now();
        let id = world.with_tickets(|tickets| tickets.create(new, now));
        self.note(id, serial, "Triage (VeloCloud)\n\nOrchestrator Instance: before")?;
        Ok(id)
    }

    fn note(&self, ticket: i64, serial: &str, text: &str) -> anyhow::Result<()> {
        let (now, value) = (self.world().now(), format!("#*MetTel's IPA*#\n{text}"));
        let note = NewNote { value, serials: vec![serial.to_owned()], ..NewNote::default() };
        self.world().with_tickets(|tickets| tickets.add_notes(ticket, &[note], now))?;
        Ok(())
    }

    /// Listens from now on to the messages among which a point is.
    pub(super) async fn tap(&self, point: Point) -> anyhow::Result<async_nats::Subscriber> {
        let messages = self.client.subscribe(point.subject).await?;
        self.client.flush().await?;
        Ok(messages)
    }

    /// Kills the leader at a point; says when.
    pub(super) async fn kill_at(
        &self,
        point: Point,
        mut messages: async_nats::Subscriber,
        device: &Device,
        leader: Service,
    ) -> anyhow::Result<Instant> {
        let waiting = async {
            let mut seen = 0;
            while let Some(message) = messages.next().await {
                let found = self.concerns(&message.subject, &message.payload, device)
                    && String::from_utf8_lossy(&message.payload).contains(point.containing);
                seen += usize::from(found);
                if found && seen == point.nth {
                    let now = Instant::now();
                    return leader.program.kill().await.map(|()| now);
                }
            }
            anyhow::bail!("the messages end")
        };
        let killed = tokio::time::timeout(PATIENCE, waiting).await;
        killed.context("never seen").flatten().with_context(|| point.what)
    }

    /// Whether a message is about an edge.
    fn concerns(&self, subject: &str, payload: &[u8], device: &Device) -> bool {
        let serial = device.serial.as_str();
        if subject.starts_with("$KV") {
            return subject.contains(serial);
        }
        let Ok(message) = serde_json::from_slice::<Value>(payload) else { return false };
        let Some(body) = message.get("body") else { return false };
        let is_edge = || {
            body.pointer("/edge/edge_id").is_some_and(|id| *id == device.edge_id)
                && body.pointer("/edge/host").is_some_and(|host| *host == *device.host)
        };
        let is_ticket = || {
            let id = body.get("ticket_id").and_then(Value::as_i64);
            id.and_then(|id| self.world().ticket(id)).is_some_and(|ticket| ticket.line_of(serial).is_some())
        };
        body.to_string().contains(&format!("\"{serial}\"")) || is_edge() || is_ticket()
    }
}

/// How long an edge that is down is watched before anything is done, by kind of outage.
const QUARANTINES: [&str; 5] = [
    "MONITORING__QUARANTINE_FOR_EDGES_IN_LINK_DOWN_OUTAGE",
    "MONITORING__QUARANTINE_FOR_EDGES_IN_HARD_DOWN_OUTAGE",
    "MONITORING__QUARANTINE_FOR_EDGES_IN_HA_LINK_DOWN_OUTAGE",
    "MONITORING__QUARANTINE_FOR_EDGES_IN_HA_SOFT_DOWN_OUTAGE",
    "MONITORING__QUARANTINE_FOR_EDGES_IN_HA_HARD_DOWN_OUTAGE",
];

fn device(host: &str, edge: &Edge) -> Option<Device> {
    let of = |fits: &dyn Fn(&Link) -> bool| edge.links.iter().find(|link| fits(link));
    let wired = of(&|link| link.kind == LinkType::Wired && !link.is_digi())?.interface.clone();
    let digi = of(&Link::is_digi)?.interface.clone();
    Some(Device { serial: edge.serial.clone(), host: host.to_owned(), edge_id: edge.id, wired, digi })
}

/// Who holds a lease, by its entry.
fn holder(entry: &[u8]) -> Option<String> {
    let entry: Value = serde_json::from_slice(entry).ok()?;
    entry.get("holder")?.as_str().map(str::to_owned)
}
