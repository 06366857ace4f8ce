//! A shadow monitor beside its live twin on one simulated world: the same decisions, and nothing touched (promise P8).
//!
//! Both run in lock-step, the shadow first, so that it never sees what its twin is about to do. Each has a clock of its
//! own; a turn is over when no job runs and none is due.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use decisions::{Ledger, Mode, Outcome, Record, Step};
use runtime::{Clock, Host, Hosted};
use sandbox::{
    ThirdParty, World,
    world::{
        generate::{Oddity, oddity},
        network::{Edge, Link, LinkType},
        tickets::ENGINE,
    },
};
use serde_json::Value;

use crate::stage::{BRIDGES, PATIENCE, Setting, Stage, assert_no_restarts, http, run_of, runnable, series};

/// How far the clocks move at once.
const STEP: Duration = Duration::from_secs(60);
/// The settings of production, which the sandbox shortens.
const PRODUCTION: [(&str, &str); 7] = [
    ("MONITORING__MONITORING_JOB_INTERVAL", "600"),
    ("MONITORING__QUARANTINE_FOR_EDGES_IN_LINK_DOWN_OUTAGE", "180"),
    ("MONITORING__QUARANTINE_FOR_EDGES_IN_HARD_DOWN_OUTAGE", "180"),
    ("MONITORING__QUARANTINE_FOR_EDGES_IN_HA_LINK_DOWN_OUTAGE", "180"),
    ("MONITORING__QUARANTINE_FOR_EDGES_IN_HA_SOFT_DOWN_OUTAGE", "180"),
    ("MONITORING__QUARANTINE_FOR_EDGES_IN_HA_HARD_DOWN_OUTAGE", "180"),
    ("MONITORING__GRACE_PERIOD_BEFORE_ATTEMPTING_NEW_DIGI_REBOOTS", "1800"),
];
/// All that a shadow may ask of others.
const READS: [&str; 8] = [
    "alert.request.event.edge",
    "bruin.single_ticket.basic.request",
    "bruin.ticket.basic.request",
    "bruin.ticket.details.request",
    "customer.cache.get",
    "get.digi.recovery.logs",
    "get.links.with.edge.info",
    "request.network.enterprise.edges",
];
const SLACK: &str = "notification.slack.request";

#[tokio::test]
async fn a_shadow_records_what_its_live_twin_carries_out_and_writes_nowhere() {
    // Monday, ten in the morning at the sites.
    let begin: DateTime<Utc> = "2022-01-31T15:00:00Z".parse().unwrap();
    let stage = Stage::with(Setting { edges: 80, clock: Clock::frozen(begin), ..Setting::default() }).await;
    let cast = Cast::of(&stage);
    let others = stage.run(&[&BRIDGES[..], &["customer-cache"]].concat()).await;
    stage.until_cached().await;
    let shadow = Twin::start(&stage, "shadow", begin).await;
    let live = Twin::start(&stage, "live", begin).await;
    let mut received = 0;

    let minutes = |at: DateTime<Utc>| (at - begin).num_minutes();
    while minutes(stage.clock.now()) < 125 {
        stage.clock.advance(STEP);
        cast.play(&stage, minutes(stage.clock.now()));
        let before = writes(&stage);
        shadow.turn().await;
        // Slack texts come when they like, the live twin's too.
        assert_eq!(writes(&stage), before, "somebody wrote during the shadow's turn");
        live.turn().await;
        received = writes(&stage);
    }

    let records = Ledger::stream(stage.nats.client().await).read(None).await.unwrap();
    let (recorded, done) = (intents(&records, Mode::Shadow), intents(&records, Mode::Live));
    assert_eq!(difference(&done, &recorded), [], "only the live twin decided so");
    assert_eq!(difference(&recorded, &done), [], "only the shadow decided so");
    assert_eq!(by_device(&recorded), by_device(&done), "in the same order for each device");
    let actions: BTreeSet<&str> = done.iter().map(|intent| intent.action.as_str()).collect();
    let expected = [
        "append_note",
        "create_ticket",
        "forward",
        "open_line",
        "reboot_digi",
        "resolve_line",
        "schedule_forward",
        "set_severity",
        "unpause_line",
    ];
    assert_eq!(actions, BTreeSet::from(expected), "the scenario has every action");
    let of_edge: Vec<&str> =
        by_device(&done)[cast.edge.as_str()].iter().map(|intent| intent.action.as_str()).collect();
    let reopened =
        of_edge.iter().skip_while(|action| **action != "resolve_line").any(|it| *it == "open_line");
    assert!(reopened, "the edge goes down again after its ticket was resolved: {of_edge:?}");
    let mut forwards = Vec::new();
    for record in &records {
        if let Step::Outcome { action, target, outcome } = &record.step {
            assert_eq!(record.mode, Mode::Live, "{action} of {target}");
            if action == "forward" && record.device == cast.edge {
                forwards.push(outcome.clone());
            } else {
                assert_eq!(outcome, &Outcome::Done, "{action} of {target}");
            }
        }
    }

    // The ticket that is opened again is in the queue of its first forward still.
    assert_eq!(forwards, [Outcome::Done, Outcome::FoundDone]);

    let asked = shadow.asked();
    let beyond: Vec<_> = asked.keys().filter(|subject| !READS.contains(&subject.as_str())).collect();
    assert!(beyond.is_empty() && !asked.is_empty(), "the shadow asked {beyond:?}");
    let asked = live.asked();
    let sent: u64 = asked.iter().filter(|(subject, _)| is_write(subject)).map(|(_, count)| count).sum();
    assert_eq!(sent, received, "the third parties received what the live twin sent, and nothing else");
    let told = |asked: &BTreeMap<String, u64>| asked.get(SLACK).copied().unwrap_or_default();
    let by_cache = told(&asked_by(&run_of(&others, "customer-cache")));
    assert!(told(&asked) > 0);
    assert_eq!(stage.world().outbox().slack.total(), told(&asked) + by_cache);
    for twin in [shadow, live] {
        twin.hosted.stop().await.unwrap();
    }
    assert_no_restarts(&others);
}

/// One of both monitors.
struct Twin {
    hosted: Hosted,
    clock: Clock,
    jobs: String,
}

impl Twin {
    /// Starts it and waits for the end of its first cycle.
    async fn start(stage: &Stage, mode: &str, begin: DateTime<Utc>) -> Self {
        let environment = stage
            .environment("service-outage-monitor")
            .merged(&PRODUCTION.into())
            .with("DECISION_MODE", mode);
        let clock = Clock::frozen(begin);
        let mut hosted = Hosted::start(&runnable("service-outage-monitor"), environment, clock.clone());
        let port = hosted.started().await.unwrap().http_port().unwrap();
        let twin = Self { hosted, clock, jobs: format!("http://127.0.0.1:{port}/_jobs") };
        twin.until_idle().await;
        twin
    }

    async fn turn(&self) {
        self.clock.advance(STEP);
        self.until_idle().await;
    }

    /// Waits until no job runs and none is due.
    async fn until_idle(&self) {
        let (client, now) = (http(), self.clock.now());
        let waiting = async {
            loop {
                let answer = client.get(&self.jobs).send().await.unwrap().text().await.unwrap();
                let jobs: Value = serde_json::from_str(&answer).unwrap();
                let is_over = |job: &Value| {
                    let next = job["next"].as_str().and_then(|next| next.parse::<DateTime<Utc>>().ok());
                    job["running_since"].is_null() && next.is_none_or(|next| next > now)
                };
                let scheduled = jobs["scheduled"].as_array().unwrap();
                let cycled = scheduled.iter().any(|job| job["id"] == "monitoring_cycle" && job["runs"] != 0);
                let none_runs = jobs["once_running"].as_array().unwrap().is_empty();
                if cycled && none_runs && scheduled.iter().all(is_over) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        assert!(tokio::time::timeout(PATIENCE, waiting).await.is_ok(), "a turn has no end");
    }

    /// How often it has asked each subject.
    fn asked(&self) -> BTreeMap<String, u64> {
        asked_by(&self.hosted.host)
    }
}

fn asked_by(host: &Host) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for (labels, count) in series(host, "bus_requests_sent_total") {
        let (_, subject) = labels.split_once("subject=\"").unwrap();
        let (subject, _) = subject.split_once('"').unwrap();
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
        let count = count as u64;
        *counts.entry(subject.to_owned()).or_default() += count;
    }
    counts
}

/// Whether a subject changes something at Bruin or DiGi.
fn is_write(subject: &str) -> bool {
    !READS.contains(&subject) && !subject.starts_with("notification.")
}

/// How many calls that change something Bruin and DiGi have let in; one with a session that is over is made again.
fn writes(stage: &Stage) -> u64 {
    let counts = stage.sandbox.received().counts().into_iter().filter(|count| count.status != 401);
    let changing = counts.filter(|count| match count.third_party {
        ThirdParty::Bruin => count.method != "GET" && !count.path.contains("connect/token"),
        ThirdParty::Digi => count.path.contains("Recovery") && !count.path.contains("Logs"),
        _ => false,
    });
    changing.map(|count| count.count).sum()
}

/// A decision to act.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Intent {
    device: String,
    rule: String,
    action: String,
    target: String,
}

fn intents(records: &[Record], mode: Mode) -> Vec<Intent> {
    let of_mode = records.iter().filter(|record| record.mode == mode);
    of_mode
        .filter_map(|record| match &record.step {
            Step::Intent { action, target, .. } => Some(Intent {
                device: record.device.clone(),
                rule: record.rule.clone(),
                action: action.clone(),
                target: target.clone(),
            }),
            _ => None,
        })
        .collect()
}

/// The decisions about each device, in order.
fn by_device(intents: &[Intent]) -> BTreeMap<&str, Vec<&Intent>> {
    let mut devices = BTreeMap::<_, Vec<_>>::new();
    for intent in intents {
        devices.entry(intent.device.as_str()).or_default().push(intent);
    }
    devices
}

/// What is in `some` more often than in `others`.
fn difference(some: &[Intent], others: &[Intent]) -> Vec<Intent> {
    let mut left = others.to_vec();
    let missing = |intent: &&Intent| match left.iter().position(|other| other == *intent) {
        Some(place) => {
            left.swap_remove(place);
            false
        }
        None => true,
    };
    some.iter().filter(missing).cloned().collect()
}

/// The devices to which something happens.
struct Cast {
    /// Loses power; its DiGi unit is rebooted. Loses it again after its ticket was resolved.
    edge: String,
    /// Loses a link which may go to ASR.
    link: (String, String),
    /// Its standby loses power.
    pair: String,
    /// Has a ticket of Ann's (409).
    anns: String,
    /// Has a ticket that was resolved yesterday (471).
    resolved: String,
}

impl Cast {
    fn of(stage: &Stage) -> Self {
        let mut edges = stage.edges();
        let mut take = |fits: &dyn Fn(&Edge) -> bool| {
            let place = edges.iter().position(fits).unwrap();
            edges.remove(place)
        };
        let link = take(&|edge| asr_link(edge).is_some());
        let edge = take(&|edge| edge.links.iter().any(Link::is_digi));
        let (anns, resolved) = (take(&|_| true), take(&|_| true));
        let pair = stage.world().network(|network| {
            let mut edges = network.edges.iter().enumerate();
            edges.find(|(place, _)| oddity(*place) == Oddity::Pair).unwrap().1.serial.clone()
        });
        stage.ticket(&anns, "Ann Example", 4);
        let id = stage.ticket(&resolved, ENGINE, 2);
        let line = stage.world().ticket(id).unwrap().lines[0].id;
        let yesterday = stage.clock.now() - TimeDelta::days(1);
        stage.world().with_tickets(|tickets| tickets.set_line(id, line, true, yesterday)).unwrap();
        let interface = asr_link(&link).unwrap();
        Self {
            edge: edge.serial,
            link: (link.serial, interface),
            pair,
            anns: anns.serial,
            resolved: resolved.serial,
        }
    }

    /// What happens in this minute.
    fn play(&self, stage: &Stage, minute: i64) {
        let world: &World = stage.world();
        let (edge, interface) = &self.link;
        match minute {
            2 => {
                world.break_edge(&self.edge).unwrap();
                world.break_link(edge, interface).unwrap();
                world.break_edge(&self.anns).unwrap();
            }
            12 => {
                world.break_standby(&self.pair).unwrap();
                world.break_edge(&self.resolved).unwrap();
            }
            45 => {
                world.heal_edge(&self.edge).unwrap();
                world.heal_standby(&self.pair).unwrap();
            }
            55 => drop(world.heal_edge(&self.resolved).unwrap()),
            // The ticket that the engine opened and resolved.
            75 => drop(world.break_edge(&self.edge).unwrap()),
            _ => {}
        }
    }
}

/// The interface of a wired link, one of several, whose label does not keep it from ASR.
fn asr_link(edge: &Edge) -> Option<String> {
    const KEPT_FROM_ASR: [&str; 4] = ["BYOB", "Customer Owned", "customer owned", "PIAB"];
    let plain = |label: &str| {
        label.parse::<std::net::IpAddr>().is_err() && !KEPT_FROM_ASR.iter().any(|word| label.contains(word))
    };
    let fits = |link: &&Link| link.kind == LinkType::Wired && !link.is_digi() && plain(&link.label);
    let link = edge.links.iter().find(fits)?;
    (edge.links.len() > 1).then(|| link.interface.clone())
}
