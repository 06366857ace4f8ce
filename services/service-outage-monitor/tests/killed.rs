//! `kill -9` of the acting replica at every step of its work, two processes of the built program for each VeloCloud host:
//! the tickets, notes, severities, queues and reboots are those of an undisturbed run.
//!
//! The crash points are given from outside: a tap on NATS sees the request of a step, and the process dies while the
//! request is on its way to the third party, which is slow and carries it out nevertheless. Each host has its own lease, so
//! one stage serves many crash points beside each other.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use std::{
    process::Stdio,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{StreamExt, stream::BoxStream};
use runtime::{Clock, Environment, Hosted, Runnable};
use sandbox::{
    Fault, Running, Sandbox, SandboxOptions, ThirdParty, World,
    world::{
        generate::{Oddity, oddity},
        network::{Edge, LinkType},
        notes::NewNote,
        repair::OnResolved,
        tickets::{ENGINE, NewTicket, Topic},
    },
};
use serde_json::{Value, json};
use testkit::{Nats, Redis};
use tokio::process::{Child, Command};

/// A limit for what should come within seconds. Nothing waits for it unless something is broken.
const PATIENCE: Duration = Duration::from_secs(120);
/// How slow the third parties are: long enough to kill the requester while they work.
const SLOW: Duration = Duration::from_millis(400);
const INTERVAL: &str = "6";

const CREATE: &str = "bruin.ticket.creation.outage.request";
const EVENTS: &str = "alert.request.event.edge";
const NOTE: &str = "bruin.ticket.note.append.request";
/// What the monitor keeps of unfinished work.
const KEPT: &str = "$KV.service-outage-monitor-unfinished.>";

/// When the acting replica dies: with the so-manieth message on a subject about the edge, that contains a text.
#[derive(Clone, Copy)]
struct Point {
    what: &'static str,
    subject: &'static str,
    nth: usize,
    containing: &'static str,
}

const fn at(what: &'static str, subject: &'static str, nth: usize) -> Point {
    Point { what, subject, nth, containing: "" }
}

const fn note(what: &'static str, containing: &'static str) -> Point {
    Point { what, subject: NOTE, nth: 1, containing }
}

/// What happens to the edge.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Plot {
    /// Links go down: a wired one under a very long label, and one with a DiGi unit.
    NewOutage,
    /// The same, on a ticket that the engine resolved: 471 or 472.
    Again(OnResolved),
    /// It is healthy, and its ticket can be resolved.
    Healed,
}

struct Stage {
    nats: Nats,
    redis: Redis,
    sandbox: Running,
    services: Vec<Hosted>,
}

impl Stage {
    async fn with_hosts(hosts: usize) -> Self {
        let clock = Clock::system();
        let options = SandboxOptions {
            clock: clock.clone(),
            edges: hosts * 40,
            hosts: (1..=hosts).map(|number| format!("vco{number}.sandbox.example")).collect(),
            // What is rebooted stays down.
            digi_heals_after: Duration::from_secs(3_600),
            ..SandboxOptions::default()
        };
        let (nats, redis) = tokio::join!(Nats::start_with_jetstream(), Redis::start());
        let mut stage =
            Self { nats, redis, sandbox: Sandbox::start(options).await.unwrap(), services: vec![] };
        for service in [
            Runnable::of::<bruin_bridge::BruinBridge>(),
            Runnable::of::<velocloud_bridge::VelocloudBridge>(),
            Runnable::of::<digi_bridge::DigiBridge>(),
            Runnable::of::<notifier::Notifier>(),
            Runnable::of::<customer_cache::CustomerCache>(),
        ] {
            let environment = stage.environment(service.name());
            stage.services.push(Hosted::start(&service, environment, clock.clone()));
        }
        stage
    }

    fn world(&self) -> &World {
        self.sandbox.world()
    }

    fn environment(&self, service: &str) -> Environment {
        let environment: Environment = self.sandbox.environment_for(service).into_iter().collect();
        environment
            .with("NATS_SERVER1", self.nats.url())
            .with("REDIS_HOSTNAME", self.redis.host())
            .with("REDIS_PORT", self.redis.port().to_string())
            .with("REDIS_CUSTOMER_CACHE_HOSTNAME", self.redis.host())
            .with("REDIS_CUSTOMER_CACHE_PORT", self.redis.port().to_string())
            .with("HTTP_PORT", "0")
            .with("METRICS_PORT", "0")
    }

    async fn until_cached(&self) {
        let client = self.nats.client().await;
        for host in self.sandbox.hosts() {
            let request = json!({"request_id": "r", "body": {"filter": {host: []}}}).to_string();
            let built = async {
                loop {
                    if let Ok(reply) = client.request("customer.cache.get", request.clone().into()).await {
                        let reply: Value = serde_json::from_slice(&reply.payload).unwrap();
                        if reply["status"] == 200 {
                            return;
                        }
                    }
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            };
            tokio::time::timeout(PATIENCE, built).await.expect("the customer cache is built");
        }
    }

    /// A replica of the monitor of a host, as a process of its own.
    fn monitor(&self, host: &str) -> Child {
        let mut environment = self
            .environment("service-outage-monitor")
            .with("MONITORING__VELOCLOUD_HOST", host)
            .with("LEADER_ELECTION", "jetstream")
            .with("MONITORING__MONITORING_JOB_INTERVAL", INTERVAL)
            .with("MONITORING__GRACE_PERIOD_BEFORE_ATTEMPTING_NEW_DIGI_REBOOTS", "3600");
        for kind in ["LINK_DOWN", "HARD_DOWN", "HA_LINK_DOWN", "HA_SOFT_DOWN", "HA_HARD_DOWN"] {
            let quarantine = format!("MONITORING__QUARANTINE_FOR_EDGES_IN_{kind}_OUTAGE");
            environment = environment.with(quarantine, "1");
        }
        let mut command = Command::new(env!("CARGO_BIN_EXE_service-outage-monitor"));
        command.env_clear().stdout(Stdio::null()).stderr(Stdio::inherit()).kill_on_drop(true);
        for name in environment.names() {
            command.env(name, environment.get(name).unwrap_or_default());
        }
        command.spawn().unwrap()
    }

    /// An ordinary edge of a host with a plain wired link and one over a DiGi unit: their interfaces.
    fn edge(&self, host: &str) -> (Edge, [String; 2]) {
        let found = self.world().network(|network| {
            network.edges.iter().enumerate().find_map(|(place, edge)| {
                let ordinary =
                    oddity(place) == Oddity::None && edge.standby.is_none() && network.host_of(edge) == host;
                let of = |fits: &dyn Fn(&sandbox::world::network::Link) -> bool| {
                    edge.links.iter().find(|link| fits(link)).map(|link| link.interface.clone())
                };
                let wired = of(&|link| link.kind == LinkType::Wired && !link.is_digi())?;
                let digi = of(&|link| link.is_digi())?;
                ordinary.then(|| (edge.clone(), [wired, digi]))
            })
        });
        found.unwrap_or_else(|| panic!("{host} has no edge with a wired link and one over a DiGi unit"))
    }

    /// A ticket of the engine for the edge.
    fn ticket(&self, serial: &str) -> i64 {
        let world = self.world();
        let (client, site) = world.inventory(|inventory| {
            let asset = inventory.assets(serial).first().unwrap();
            (asset.client, asset.site)
        });
        let new = NewTicket {
            client,
            site: Some(site),
            topic: Topic::Outage,
            serials: vec![serial.to_owned()],
            created_by: ENGINE.to_owned(),
            severity: 2,
            description: None,
        };
        let now = world.now();
        let id = world.with_tickets(|tickets| tickets.create(new, now));
        self.note(id, serial, "Triage (VeloCloud)\n\nOrchestrator Instance: before");
        id
    }

    fn note(&self, ticket: i64, serial: &str, text: &str) {
        let (now, value) = (self.world().now(), format!("#*MetTel's IPA*#\n{text}"));
        let note = NewNote { value, serials: vec![serial.to_owned()], ..NewNote::default() };
        self.world().with_tickets(|tickets| tickets.add_notes(ticket, &[note], now)).unwrap();
    }

    /// Sets the scene of a plot.
    fn play(&self, plot: Plot, edge: &Edge, [wired, digi]: &[String; 2]) {
        let (world, serial) = (self.world(), edge.serial.as_str());
        if plot != Plot::NewOutage {
            let ticket = self.ticket(serial);
            if let Plot::Again(policy) = plot {
                let line = world.ticket(ticket).unwrap().line_of(serial).unwrap().id;
                self.note(ticket, serial, &format!("Auto-resolving detail for serial: {serial}"));
                let now = world.now();
                world.with_tickets(|tickets| tickets.set_line(ticket, line, true, now)).unwrap();
                world.with_tickets(|tickets| tickets.policy.serials.insert(serial.to_owned(), policy));
            }
        }
        if plot != Plot::Healed {
            // More than one page.
            let label = format!("ACME Cable, {}", "second floor, behind the counter, ".repeat(26));
            world.relabel_link(serial, wired, &label).unwrap();
            world.break_link(serial, wired).unwrap();
            world.break_link(serial, digi).unwrap();
        }
    }

    /// All that the third parties know of an edge, without numbers and times.
    fn summary(&self, serial: &str) -> Vec<String> {
        const KINDS: [&str; 6] = [
            "Auto-resolving detail",
            "Offline DiGi interface identified",
            "Changing to Severity",
            "Moving task to: ASR Investigate",
            "Re-opening ticket.",
            "Triage (VeloCloud)",
        ];
        let mut all = Vec::new();
        for ticket in self.world().tickets_of(serial) {
            let line = ticket.line_of(serial).unwrap();
            let queue = line.queue.name.trim();
            all.push(format!(
                "a ticket of severity {}, resolved: {}, {queue}",
                ticket.severity, line.resolved
            ));
            let (mut wanted, mut further) = (Vec::new(), Vec::new());
            for note in &ticket.notes {
                let kind = KINDS.into_iter().find(|kind| note.value.contains(kind)).unwrap_or(&note.value);
                let page = note.value.lines().last().and_then(|line| line.strip_prefix("Triage note: "));
                match page.and_then(|page| page.split_once('/')) {
                    // How many there are is a matter of the edge.
                    Some(("1", pages)) => {
                        all.push(format!("a note: {kind}, first of its pages"));
                        wanted.extend(
                            (2..=pages.parse().unwrap()).map(|page: usize| format!("{page}/{pages}")),
                        );
                    }
                    Some((page, pages)) => further.push(format!("{page}/{pages}")),
                    None => all.push(format!("a note: {kind}")),
                }
            }
            further.sort();
            let whole = if further == wanted { "each once" } else { "not each once" };
            all.push(format!("further pages: {whole}"));
        }
        let reboots = self.world().read_outbox(|outbox| {
            outbox
                .reboots
                .iter()
                .filter(|reboot| reboot.serial == serial)
                .map(|r| r.outcome.clone())
                .collect()
        });
        let reboots: Vec<String> = reboots;
        all.extend(reboots.into_iter().map(|outcome| format!("a reboot: {outcome}")));
        all.sort();
        all
    }

    /// Whether a message is about an edge.
    fn concerns(&self, subject: &str, payload: &[u8], serial: &str) -> bool {
        if subject.starts_with("$KV") {
            return subject.contains(serial);
        }
        let Ok(message) = serde_json::from_slice::<Value>(payload) else { return false };
        let body = &message["body"];
        let edge = || {
            self.world().network(|network| {
                let edge = network.by_serial(serial).unwrap().0;
                body["edge"]["edge_id"] == edge.id && body["edge"]["host"] == network.host_of(edge)
            })
        };
        let ticket = || {
            let id = body["ticket_id"].as_i64();
            id.and_then(|id| self.world().ticket(id)).is_some_and(|ticket| ticket.line_of(serial).is_some())
        };
        body.to_string().contains(&format!("\"{serial}\"")) || edge() || ticket()
    }

    /// The messages among which a crash point is.
    async fn tap(&self, point: Point) -> BoxStream<'static, (String, Vec<u8>)> {
        let client = self.nats.client().await;
        let messages = client.subscribe(point.subject).await.unwrap();
        client.flush().await.unwrap();
        // The client lives as long as its messages are listened to.
        messages
            .map(move |message| {
                let _ = &client;
                (message.subject.to_string(), message.payload.to_vec())
            })
            .boxed()
    }

    /// Kills the leader of a host at a point; says when.
    async fn kill_at(
        &self,
        point: Point,
        mut messages: BoxStream<'static, (String, Vec<u8>)>,
        serial: &str,
        mut leader: Child,
    ) -> Instant {
        let mut seen = 0;
        let waiting = async {
            while let Some((subject, payload)) = messages.next().await {
                let found = self.concerns(&subject, &payload, serial)
                    && String::from_utf8_lossy(&payload).contains(point.containing);
                seen += usize::from(found);
                if found && seen == point.nth {
                    leader.start_kill().unwrap();
                    return;
                }
            }
        };
        let killed = tokio::time::timeout(PATIENCE, waiting).await;
        assert!(killed.is_ok(), "{}: never seen", point.what);
        leader.wait().await.unwrap();
        Instant::now()
    }
}

/// Waits until nothing has changed about an edge for two cycles.
async fn at_rest(stage: &Stage, serial: &str) -> Vec<String> {
    let (mut last, mut since) = (stage.summary(serial), Instant::now());
    while since.elapsed() < Duration::from_secs(20) {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let now = stage.summary(serial);
        if now != last {
            (last, since) = (now, Instant::now());
        }
    }
    last
}

/// Plays a plot undisturbed and once for each crash point, each on a host of its own, all at the same time.
async fn compare(plots: &[(Plot, &[Point])]) {
    let runs = || {
        plots.iter().flat_map(|(plot, points)| {
            std::iter::once((*plot, None)).chain(points.iter().map(|point| (*plot, Some(*point))))
        })
    };
    let stage = Arc::new(Stage::with_hosts(runs().count()).await);
    stage.until_cached().await;
    for third_party in [ThirdParty::Bruin, ThirdParty::VeloCloud, ThirdParty::Digi] {
        stage.sandbox.faults().inject(third_party, Fault::latency(SLOW));
    }
    let played = runs().zip(stage.sandbox.hosts().to_vec()).map(|((plot, point), host)| {
        let stage = stage.clone();
        tokio::spawn(async move {
            let (edge, links) = stage.edge(&host);
            let leader = stage.monitor(&host);
            until_led(&stage, &host).await;
            let follower = stage.monitor(&host);
            // Listen before it can happen.
            let tap = match point {
                Some(point) => Some((point, stage.tap(point).await)),
                None => None,
            };
            stage.play(plot, &edge, &links);
            let mut replicas = vec![follower];
            let killed = if let Some((point, tap)) = tap {
                Some(stage.kill_at(point, tap, &edge.serial, leader).await)
            } else {
                replicas.push(leader);
                None
            };
            Run {
                plot,
                what: point.map(|point| point.what),
                serial: edge.serial,
                killed,
                _replicas: replicas,
            }
        })
    });
    let mut runs = Vec::new();
    for run in played.collect::<Vec<_>>() {
        runs.push(run.await.unwrap());
    }
    for (plot, _) in plots {
        let (undisturbed, disturbed): (Vec<&Run>, Vec<&Run>) =
            runs.iter().filter(|run| run.plot == *plot).partition(|run| run.what.is_none());
        let expected = at_rest(&stage, &undisturbed[0].serial).await;
        println!("undisturbed: {expected:#?}");
        assert!(expected.len() > 2, "{expected:#?}");
        for run in &disturbed {
            let what = run.what.unwrap();
            while stage.summary(&run.serial) != expected && run.killed.unwrap().elapsed() < PATIENCE {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            assert_eq!(stage.summary(&run.serial), expected, "killed at: {what}");
        }
    }
    // Nothing more comes, in two cycles.
    let all = || runs.iter().map(|run| (run.what, stage.summary(&run.serial))).collect::<Vec<_>>();
    let before = all();
    tokio::time::sleep(Duration::from_secs(14)).await;
    assert_eq!(all(), before);
}

/// What was played on a host.
struct Run {
    plot: Plot,
    /// Where it was killed; `None`: undisturbed.
    what: Option<&'static str>,
    serial: String,
    killed: Option<Instant>,
    _replicas: Vec<Child>,
}

/// Waits until a replica of a host leads.
async fn until_led(stage: &Stage, host: &str) {
    let client = stage.nats.client().await;
    let buckets = runtime::Buckets::from(client);
    let bucket = runtime::Bucket { name: runtime::LEASE_BUCKET, about: "", keep: Duration::ZERO };
    let key = runtime::Lease::key("sandbox", "service-outage-monitor", runtime::DecisionMode::Live, host);
    let led = async {
        loop {
            if let Ok(values) = bucket.open(&buckets, Duration::from_secs(1)).await
                && let Ok(Some(_)) = values.look(&key).await
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, led).await.expect("it leads");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_outage_up_to_its_note() {
    let points = [
        Point { what: "in quarantine", subject: KEPT, nth: 1, containing: "quarantine" },
        Point { what: "before the creation", subject: KEPT, nth: 1, containing: "outage" },
        at("creation", CREATE, 1),
        at("after the creation, before the note", EVENTS, 1),
        Point { what: "before the first page", subject: KEPT, nth: 1, containing: "append_note" },
        note("first page", "Triage note: 1/"),
        note("second page", "Triage note: 2/"),
    ];
    compare(&[(Plot::NewOutage, &points)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_outage_after_its_note() {
    let points = [
        at("after the note, before the severity", "bruin.single_ticket.basic.request", 1),
        at("severity", "bruin.change.ticket.severity", 1),
        Point { what: "forward to HNOC", subject: KEPT, nth: 1, containing: "schedule_forward" },
        at("reboot", "digi.reboot", 1),
        note("note of the reboot", "Offline DiGi"),
        at("second cycle", CREATE, 2),
        at("forward to ASR", "bruin.ticket.change.work", 1),
        note("note of ASR", "ASR Investigate"),
    ];
    compare(&[(Plot::NewOutage, &points)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_on_a_resolved_ticket_and_a_resolution() {
    let left_resolved = [
        at("creation (471)", CREATE, 1),
        at("re-opening", "bruin.ticket.status.open", 1),
        at("after the re-opening, before the note", EVENTS, 1),
        note("second page (471)", "Triage note: 2/"),
    ];
    let reopened = [at("creation (472)", CREATE, 1), note("first page (472)", "Triage note: 1/")];
    let resolved = [
        at("before the resolution", "bruin.ticket.details.request", 2),
        at("unpause", "bruin.ticket.unpause", 1),
        at("resolution", "bruin.ticket.status.resolve", 1),
        note("note of the resolution", "Auto-resolving"),
    ];
    compare(&[
        (Plot::Again(OnResolved::LeaveResolved), &left_resolved),
        (Plot::Again(OnResolved::Reopen), &reopened),
        (Plot::Healed, &resolved),
    ])
    .await;
}
