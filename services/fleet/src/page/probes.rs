//! The probes at Hawkeye: how each reaches what it measures against, whether its tests fail, and the buttons for both.

use askama::Template;
use axum::{
    Router,
    extract::{Path, State},
    routing::post,
};
use chrono::{DateTime, Utc};
use http::HeaderMap;
use sandbox::{
    Simulation,
    world::probes::{Outcome, Probe, ProbeService, Probes, TestKind, Trouble},
};

use super::{
    Page,
    actions::{Done, back, unknown, world},
    times::Now,
    view::View,
};

/// Probes shown; those in trouble come on top of them.
const SHOWN: usize = 60;
/// Probes in trouble shown beyond those.
const TROUBLED: usize = 40;
/// Results of an opened probe.
const RESULTS: usize = 9;

/// Something about a probe that can fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Part {
    /// Its name in addresses.
    name: &'static str,
    /// What it is called.
    title: &'static str,
    trouble: Trouble,
}

static PARTS: [Part; 5] = [
    Part {
        name: "node-to-node",
        title: "reaches other probes",
        trouble: Trouble::Down(ProbeService::NodeToNode),
    },
    Part {
        name: "real-service",
        title: "reaches servers",
        trouble: Trouble::Down(ProbeService::RealService),
    },
    Part { name: "icmp", title: "ICMP Test", trouble: Trouble::Failing(TestKind::Icmp) },
    Part { name: "network-kpi", title: "Network KPI", trouble: Trouble::Failing(TestKind::NetworkKpi) },
    Part { name: "voice", title: "Voice bidirectional", trouble: Trouble::Failing(TestKind::Voice) },
];

struct PartRow {
    name: &'static str,
    title: &'static str,
    /// Since when it is wrong.
    since: Option<DateTime<Utc>>,
    /// What that is called: `failing`, `no`.
    word: &'static str,
}

struct ResultRow {
    at: DateTime<Utc>,
    test: &'static str,
    outcome: &'static str,
    class: &'static str,
    /// What exceeded its threshold.
    why: String,
}

struct ProbeRow {
    id: i64,
    uid: String,
    serial: String,
    name: String,
    class: &'static str,
    word: &'static str,
    since: Option<DateTime<Utc>>,
    /// Whether there is something to heal.
    wrong: bool,
    active: bool,
    last_contact: Option<DateTime<Utc>>,
    /// Of an opened probe.
    parts: Vec<PartRow>,
    results: Vec<ResultRow>,
    open: bool,
    address: String,
}

/// The probes.
#[derive(Template)]
#[template(path = "probes.html")]
pub(super) struct ProbeList {
    now: Now,
    total: usize,
    wrong: usize,
    found: usize,
    search: String,
    all: String,
    rows: Vec<ProbeRow>,
}

impl ProbeList {
    pub(super) fn new(simulation: &Simulation, view: &View, now: Now) -> Self {
        let search = view.search.trim().to_lowercase();
        let fits = |probe: &&Probe| {
            let texts = [&probe.name, &probe.serial, &probe.uid];
            search.is_empty() || texts.iter().any(|text| text.to_lowercase().contains(&search))
        };
        simulation.world.probes(|probes| {
            let found: Vec<&Probe> = probes.list().iter().filter(fits).collect();
            let (first, others) = found.split_at(found.len().min(SHOWN));
            let others = others.iter().filter(|probe| is_wrong(probe)).take(TROUBLED);
            let shown = first.iter().chain(others);
            Self {
                now,
                total: probes.list().len(),
                wrong: probes.list().iter().filter(|probe| is_wrong(probe)).count(),
                found: found.len(),
                search: view.search.clone(),
                all: View { search: String::new(), ..view.clone() }.address(""),
                rows: shown.map(|probe| row(probes, probe, view, now)).collect(),
            }
        })
    }
}

/// Since when something is wrong with a probe.
fn since(probe: &Probe, trouble: Trouble) -> Option<DateTime<Utc>> {
    match trouble {
        Trouble::Down(service) => probe.down(service).since(),
        Trouble::Failing(test) => probe.failing(test).since(),
    }
}

/// What concerns a probe: what it never measures cannot fail.
fn parts(probe: &Probe) -> impl Iterator<Item = &'static Part> {
    PARTS.iter().filter(|part| match part.trouble {
        Trouble::Down(service) => probe.contacted(service),
        Trouble::Failing(test) => probe.tests().any(|known| known == test),
    })
}

fn is_wrong(probe: &Probe) -> bool {
    PARTS.iter().any(|part| since(probe, part.trouble).is_some())
}

/// Class, word and since when it is so.
fn state(probe: &Probe) -> (&'static str, &'static str, Option<DateTime<Utc>>) {
    let services = [ProbeService::NodeToNode, ProbeService::RealService];
    let contacted = || services.into_iter().filter(|service| probe.contacted(*service));
    let down = || contacted().filter_map(|service| probe.down(service).since());
    let failing = || probe.tests().filter_map(|test| probe.failing(test).since());
    match () {
        () if !probe.active => ("never", "switched off", None),
        () if contacted().next().is_none() => ("never", "never reported", None),
        () if down().count() == contacted().count() => ("down", "fails: it reaches nothing", down().min()),
        () if down().next().is_some() => ("degraded", "reaches only a part", down().min()),
        () if failing().next().is_some() => ("degraded", "its tests fail", failing().min()),
        () => ("up", "well", None),
    }
}

fn row(probes: &Probes, probe: &Probe, view: &View, now: Now) -> ProbeRow {
    let (class, word, begin) = state(probe);
    let open = view.probe == probe.id.to_string();
    let part = |part: &Part| PartRow {
        name: part.name,
        title: part.title,
        since: since(probe, part.trouble),
        word: if matches!(part.trouble, Trouble::Down(_)) { "no" } else { "fails" },
    };
    let contacts = [ProbeService::NodeToNode, ProbeService::RealService];
    ProbeRow {
        id: probe.id,
        uid: probe.uid.clone(),
        serial: probe.serial.clone(),
        name: probe.name.clone(),
        class,
        word,
        since: begin,
        wrong: is_wrong(probe),
        active: probe.active,
        last_contact: contacts.into_iter().filter_map(|service| probe.last_update(service, now.at)).max(),
        parts: if open { parts(probe).map(part).collect() } else { Vec::new() },
        results: if open { results(probes, probe, now.at) } else { Vec::new() },
        open,
        address: view.probe(probe.id).address(&format!("probe-{}", probe.id)),
    }
}

/// The newest results.
fn results(probes: &Probes, probe: &Probe, now: DateTime<Utc>) -> Vec<ResultRow> {
    let runs = probes.runs(Some(&probe.uid), None, None, now);
    let rows = runs.page(0, RESULTS).map(|run| {
        let outcome = run.outcome();
        let metrics = run.metrics();
        let beyond = metrics.iter().filter(|metric| metric.status == Outcome::Failed.name());
        let beyond = beyond.map(|metric| {
            format!("{} {} where {} is the limit", metric.name, metric.value, metric.threshold)
        });
        ResultRow {
            at: run.at,
            test: run.test.name(),
            outcome: outcome.name(),
            class: if outcome == Outcome::Passed { "done" } else { "bad" },
            why: beyond.collect::<Vec<_>>().join(", "),
        }
    });
    rows.collect()
}

pub(super) fn router() -> Router<Page> {
    Router::new().route("/do/probe/{serial}/{part}/{action}", post(change))
}

/// Lets a part of a probe fail or heal, or all of it; switches it on or off.
async fn change(
    State(page): State<Page>,
    Path((serial, part, action)): Path<(String, String, String)>,
    headers: HeaderMap,
) -> Done {
    let world = &world(&page)?.world;
    let changed = match (part.as_str(), action.as_str()) {
        ("all", "fail") => {
            let services = [ProbeService::NodeToNode, ProbeService::RealService];
            let changed = services.map(|service| world.trouble_probe(&serial, Trouble::Down(service), true));
            changed.into_iter().flatten().reduce(|one, other| one | other)
        }
        ("all", "heal") => world.heal_probe(&serial),
        ("power", "on") => world.activate_probe(&serial, true),
        ("power", "off") => world.activate_probe(&serial, false),
        (name, "fail" | "heal") => {
            let part = PARTS.iter().find(|part| part.name == name).ok_or_else(|| unknown("such button"))?;
            world.trouble_probe(&serial, part.trouble, action == "fail")
        }
        _ => return Err(unknown("such button")),
    };
    changed.ok_or_else(|| unknown(&format!("probe with the serial number {serial}")))?;
    let id = world.probes(|probes| probes.by_serial(&serial).next().map(|probe| probe.id));
    Ok(back(&page, &headers, &format!("probe-{}", id.unwrap_or_default())))
}
