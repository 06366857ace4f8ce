//! The engine at a glance: the bar on top, the services, and the third parties with what the engine does about them.

use askama::Template;
use chrono::{DateTime, Utc};
use sandbox::{Mode, Simulation, ThirdParty};

use super::{
    jobs::Job,
    meters::{Calls, Figures},
    times::Now,
};

/// A monitor's cycle.
struct Cycle {
    name: String,
    last: Option<DateTime<Utc>>,
    took: String,
    next: Option<DateTime<Utc>>,
    running: bool,
    failed: bool,
}

/// The bar on top.
#[derive(Template)]
#[template(path = "topbar.html")]
pub(super) struct TopBar {
    now: Now,
    simulated: bool,
    ready: usize,
    services: usize,
    rate: String,
    errors: u64,
    open: usize,
    cycles: Vec<Cycle>,
    /// What stands before the address of a part of the network's half: nothing when it is shown.
    home: &'static str,
    /// How far the world's clock is ahead of the system's, in milliseconds.
    ahead: i64,
    ahead_text: String,
}

impl TopBar {
    pub(super) fn new(
        figures: &[Figures],
        jobs: &[Job],
        simulated: bool,
        home: &'static str,
        open: usize,
        now: Now,
    ) -> Self {
        let cycles = jobs.iter().filter(|job| job.is_cycle() && job.id != "forwards").map(|job| Cycle {
            name: name(&job.service, &job.id),
            last: job.last().map(|(at, _)| at),
            took: job.last().map(|(_, seconds)| format!("{seconds:.2} s")).unwrap_or_default(),
            next: job.next,
            running: job.running_since.is_some(),
            failed: job.failed(),
        });
        // Rounded, so that the bar stays as it is while both clocks run.
        let ahead = (now.at - Utc::now()).num_milliseconds();
        let ahead = (ahead + 500).div_euclid(1_000) * 1_000;
        let ahead_text = match ahead / 60_000 {
            0 => "on real time".to_owned(),
            minutes if minutes < 60 => format!("{minutes} min ahead"),
            minutes if minutes < 48 * 60 => format!("{} h {:02} min ahead", minutes / 60, minutes % 60),
            minutes => format!("{} d ahead", minutes / 1_440),
        };
        Self {
            now,
            simulated,
            ready: figures.iter().filter(|one| one.state == "ready").count(),
            services: figures.len(),
            rate: rate(figures.iter().map(|one| one.served).sum()),
            errors: count(figures.iter().map(Figures::failed).sum()),
            open,
            cycles: cycles.collect(),
            home,
            ahead,
            ahead_text,
        }
    }
}

/// `outage monitor vco1` from `service-outage-monitor vco1.sandbox.example`.
fn name(service: &str, job: &str) -> String {
    let (service, host) = service.split_once(' ').unwrap_or((service, ""));
    let service = service.strip_prefix("service-").unwrap_or(service).replace('-', " ");
    let host = host.split('.').next().unwrap_or_default();
    let name = if host.is_empty() { service } else { format!("{service} {host}") };
    if job.ends_with("cycle") || job == "refresh" {
        name
    } else {
        format!("{name} {}", job.replace('_', " "))
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small and not negative")]
fn count(value: f64) -> u64 {
    value.round() as u64
}

fn rate(value: f64) -> String {
    if value >= 10.0 { format!("{value:.0}") } else { format!("{value:.1}") }
}

struct ServiceRow {
    label: String,
    state: &'static str,
    reason: String,
    rate: String,
    errors: u64,
    median: String,
    high: String,
    restarts: u32,
}

struct ErrorRow {
    service: String,
    subject: String,
    kind: String,
    count: u64,
}

/// The services.
#[derive(Template)]
#[template(path = "services.html")]
pub(super) struct Services {
    rows: Vec<ServiceRow>,
    errors: Vec<ErrorRow>,
}

impl Services {
    pub(super) fn new(figures: &[Figures]) -> Self {
        let milliseconds =
            |value: f64| if value >= 10.0 { format!("{value:.0} ms") } else { format!("{value:.1} ms") };
        let row = |one: &Figures| ServiceRow {
            label: one.label.clone(),
            state: one.state,
            reason: one.reason.clone(),
            rate: rate(one.rate),
            errors: count(one.failed()),
            median: one.latency.map_or_else(|| "–".to_owned(), |(median, _)| milliseconds(median)),
            high: one.latency.map_or_else(|| "–".to_owned(), |(_, high)| milliseconds(high)),
            restarts: one.restarts,
        };
        let errors = figures.iter().flat_map(|one| {
            one.errors.iter().map(|(subject, kind, failed)| ErrorRow {
                service: one.label.clone(),
                subject: subject.clone(),
                kind: kind.clone(),
                count: count(*failed),
            })
        });
        let mut errors: Vec<ErrorRow> = errors.collect();
        errors.sort_by_key(|row| std::cmp::Reverse(row.count));
        errors.truncate(12);
        Self { rows: figures.iter().map(row).collect(), errors }
    }
}

/// A fault that a button puts in force and takes back.
pub(super) struct Switch {
    /// Its name in addresses.
    pub(super) name: &'static str,
    /// What the button says.
    pub(super) title: &'static str,
    /// What it injects.
    pub(super) mode: Mode,
}

/// The buttons of every third party.
pub(super) const SWITCHES: [Switch; 5] = [
    Switch { name: "refuse-logins", title: "refuse logins", mode: Mode::RefuseLogins },
    Switch { name: "answer-500", title: "answer 500", mode: Mode::Status },
    Switch { name: "rate-limit", title: "rate limit", mode: Mode::RateLimit },
    Switch { name: "reset", title: "reset connections", mode: Mode::Reset },
    Switch { name: "garbage", title: "send garbage", mode: Mode::Garbage },
];

struct SwitchView {
    name: &'static str,
    title: &'static str,
    on: bool,
}

struct Party {
    name: &'static str,
    title: &'static str,
    rate: String,
    calls: u64,
    latency: u64,
    switches: Vec<SwitchView>,
    faults: usize,
    struck: u64,
    logins: bool,
    sessions: usize,
    reaction: Vec<String>,
    troubled: bool,
}

/// The third parties.
#[derive(Template)]
#[template(path = "parties.html")]
pub(super) struct Parties {
    parties: Vec<Party>,
}

/// Calls received by the third parties so far, in the order of [`ThirdParty::ALL`].
pub(super) fn received(simulation: &Simulation) -> Vec<u64> {
    ThirdParty::ALL.into_iter().map(|party| simulation.received.count(party, "")).collect()
}

impl Parties {
    /// `rates` are calls received per second, in the order of [`ThirdParty::ALL`].
    pub(super) fn new(simulation: &Simulation, figures: &[Figures], rates: &[f64]) -> Self {
        let party = |(index, party): (usize, ThirdParty)| {
            let standing = simulation.faults.standing(party);
            let on = |mode| standing.iter().any(|one| one.fault.mode() == mode);
            let switches =
                SWITCHES.iter().filter(|switch| switch.mode != Mode::RefuseLogins || logs_in(party));
            let calls = figures.iter().filter_map(|one| one.third_parties.get(party.name()));
            let calls =
                calls.fold(None, |sum: Option<Calls>, calls| Some(sum.unwrap_or_default().and(*calls)));
            Party {
                name: party.name(),
                title: party.title(),
                rate: rate(rates.get(index).copied().unwrap_or_default()),
                calls: simulation.received.count(party, ""),
                latency: standing.iter().map(|one| one.fault.latency_ms).sum(),
                switches: switches
                    .map(|switch| SwitchView { name: switch.name, title: switch.title, on: on(switch.mode) })
                    .collect(),
                faults: standing.len(),
                struck: standing.iter().map(|one| one.strikes).sum(),
                logins: has_sessions(party),
                sessions: simulation.sessions.count(party),
                troubled: calls.is_some_and(|calls| calls.failed + calls.logins_failed > 0.0),
                reaction: calls.map(|calls| reaction(calls, has_sessions(party))).unwrap_or_default(),
            }
        };
        Self { parties: ThirdParty::ALL.into_iter().enumerate().map(party).collect() }
    }
}

fn has_sessions(party: ThirdParty) -> bool {
    use ThirdParty::{Bruin, Cts, Digi, Dri, Hawkeye, Lit, VeloCloud};
    matches!(party, Bruin | VeloCloud | Digi | Hawkeye | Dri | Cts | Lit)
}

fn logs_in(party: ThirdParty) -> bool {
    has_sessions(party) || matches!(party, ThirdParty::Smtp | ThirdParty::Imap)
}

/// What the engine did in the last minute, most important first.
fn reaction(calls: Calls, has_sessions: bool) -> Vec<String> {
    let mut said = Vec::new();
    let mut say = |value: f64, one: &str, more: &str| {
        if value > 0.0 {
            said.push(format!("{} {}", count(value), if count(value) == 1 { one } else { more }));
        }
    };
    say(calls.failed, "call failed", "calls failed");
    say(calls.repeated, "retry", "retries");
    say(calls.logins_failed, "login failed", "logins failed");
    say(calls.logins, "login", "logins");
    if has_sessions && calls.sessions.1 > 0.0 && calls.sessions.0 < calls.sessions.1 {
        said.push("logged out; it logs in with growing pauses".to_owned());
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn monitors_have_short_names() {
        for (service, job, expected) in [
            ("service-outage-monitor vco1.sandbox.example", "monitoring_cycle", "outage monitor vco1"),
            ("customer-cache", "refresh", "customer cache"),
            ("tnba-monitor", "daily_report", "tnba monitor daily report"),
        ] {
            assert_eq!(name(service, job), expected);
        }
    }

    #[test]
    fn the_engine_s_reaction_is_told_by_its_counters() {
        let calls = Calls { failed: 3.0, repeated: 1.0, sessions: (0.0, 1.0), ..Calls::default() };
        assert_eq!(
            reaction(calls, true),
            ["3 calls failed", "1 retry", "logged out; it logs in with growing pauses"]
        );
        assert!(reaction(Calls { sent: 9.0, sessions: (1.0, 1.0), ..Calls::default() }, true).is_empty());
    }
}
