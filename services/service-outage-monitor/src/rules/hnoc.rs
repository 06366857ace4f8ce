//! When a line is forwarded to HNOC (spec "Behaviour" 8, "Improve" 3 and 4).

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use contracts::id::Serial;
use serde::{Deserialize, Serialize};
use ticketing::{GraceWindow, OutageKind, SiteOffset, TicketDetails};

use super::{Environment, Refusal, Ruling};
use crate::seen;

/// How long after the ticket an edge-down outage is forwarded.
const EDGE_DOWN_DELAY: Duration = Duration::from_secs(60);
/// How late a forward may start.
pub const LATEST: Duration = Duration::from_secs(9_999);

/// The rule that gives a forward up whose line cannot be looked up.
pub const LOOKUP: &str = "hnoc.lookup";

/// The rule that carries no forward out outside production.
pub const ENVIRONMENT: &str = "hnoc.environment";

/// The time between the ticket and the forward: the grace period of the record's own site for link outages, a minute
/// for all others.
fn delay(kind: OutageKind, grace: Duration) -> Duration {
    if kind.is_link_outage() { grace } else { EDGE_DOWN_DELAY }
}

/// Why a forward is to be scheduled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// A new or re-opened ticket.
    NewOutage,
    /// The severity of a ticket in progress was changed.
    SeverityChanged,
    /// A ticket in progress, nothing changed.
    StillDown,
}

/// What is known of former forwards of a ticket and serial.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct History {
    /// When the pending one is due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<DateTime<Utc>>,
    /// Whether one was carried out before.
    #[serde(default, skip_serializing_if = "seen::no")]
    pub settled: bool,
}

/// What scheduling looks at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scheduling {
    /// What is down.
    pub kind: OutageKind,
    /// Why.
    pub trigger: Trigger,
    /// Former forwards.
    #[serde(flatten)]
    pub history: History,
    /// The moment of the decision.
    pub now: DateTime<Utc>,
    /// The offset of the device's site from UTC in hours, when it is known.
    pub site: Option<i32>,
}

/// When to forward, by the settings: the grace periods, and the zone of sites whose offset is unknown.
pub fn decide(facts: &Scheduling, window: &GraceWindow, zone: Tz) -> Ruling<DateTime<Utc>> {
    let grace = window.grace(facts.now, SiteOffset::of_site(facts.site, zone));
    schedule(facts.trigger, facts.history, facts.now, delay(facts.kind, grace))
}

/// What a forward that is due looks at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forwarding {
    /// When it is due.
    pub due: DateTime<Utc>,
    /// The moment of the decision.
    pub now: DateTime<Utc>,
    /// Whether the line is resolved; `None` when the ticket has no line of the serial (yet), or none can be looked up.
    pub resolved: Option<bool>,
}

impl Forwarding {
    /// What a ticket says of the line of `serial`.
    pub fn of(due: DateTime<Utc>, now: DateTime<Utc>, details: &TicketDetails, serial: &Serial) -> Self {
        Self { due, now, resolved: details.line(serial).map(ticketing::Line::is_resolved) }
    }
}

/// Whether the line is to be forwarded. [`LOOKUP`] is final only when it was looked for long enough.
pub fn forward(facts: &Forwarding, environment: &Environment) -> Ruling<()> {
    if is_too_late(facts.due, facts.now) {
        return Err(Refusal::new("hnoc.late", format!("the forward was due at {}", facts.due)));
    }
    // It may have been scheduled by a former run, in production.
    if !environment.is_production() {
        return Err(Refusal::new(ENVIRONMENT, "tickets are changed in production only"));
    }
    match facts.resolved {
        None => Err(Refusal::new(LOOKUP, "the line could not be looked up for 300 s")),
        Some(true) => Err(Refusal::new("hnoc.resolved", "the line is resolved")),
        Some(false) => Ok(()),
    }
}

/// When to forward. A new outage or a changed severity replaces what is pending; a ticket that is simply still open
/// keeps the earlier due time, and gets a forward only when none is pending and none was ever done (a lost one).
fn schedule(
    trigger: Trigger,
    history: History,
    now: DateTime<Utc>,
    delay: Duration,
) -> Ruling<DateTime<Utc>> {
    let due = now + TimeDelta::from_std(delay).unwrap_or(TimeDelta::MAX);
    match (trigger, history) {
        (Trigger::NewOutage | Trigger::SeverityChanged, _)
        | (Trigger::StillDown, History { pending: None, settled: false }) => Ok(due),
        (Trigger::StillDown, History { pending: Some(at), .. }) => Err(Refusal::new(
            "hnoc.pending",
            format!("a forward is due at {} UTC already", at.format("%Y-%m-%d %H:%M")),
        )),
        (Trigger::StillDown, History { pending: None, settled: true }) => {
            Err(Refusal::new("hnoc.done", "the line was forwarded before"))
        }
    }
}

/// Whether a due time lies so far back that the forward is dropped.
pub fn is_too_late(due: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    (now - due).to_std().is_ok_and(|late| late > LATEST)
}

/// The wait after the failed attempt `attempt` (1, 2, ...), or `None` when 300 s have passed since the first.
pub fn wait_after(attempt: u32, since_first: Duration) -> Option<Duration> {
    (since_first < Duration::from_secs(300))
        .then(|| Duration::from_secs(5 * 2_u64.saturating_pow(attempt.min(10))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn link_outages_wait_for_the_grace_period_and_others_a_minute() {
        let window = GraceWindow {
            day_start: 8,
            day_end: 0,
            by_day: Duration::from_secs(5_400),
            by_night: Duration::from_secs(10_800),
        };
        let site = SiteOffset::Hours(-5);
        for (kind, now, minutes) in [
            (OutageKind::LinkDown, "2022-01-31T15:00:00Z", 90),
            (OutageKind::HaLinkDown, "2022-01-31T15:00:00Z", 90),
            (OutageKind::LinkDown, "2022-01-31T07:00:00Z", 180),
            (OutageKind::HardDown, "2022-01-31T07:00:00Z", 1),
            (OutageKind::HaSoftDown, "2022-01-31T15:00:00Z", 1),
            (OutageKind::HaHardDown, "2022-01-31T15:00:00Z", 1),
        ] {
            assert_eq!(delay(kind, window.grace(at(now), site)).as_secs(), minutes * 60, "{kind} {now}");
        }
    }

    #[test]
    fn a_pending_forward_is_postponed_only_by_a_new_outage_or_a_changed_severity() {
        let now = at("2022-01-31T15:20:00Z");
        let pending = History { pending: Some(at("2022-01-31T16:30:00Z")), settled: false };
        let done = History { pending: None, settled: true };
        let minute = Duration::from_secs(60);
        for (trigger, history, expected) in [
            (Trigger::NewOutage, History::default(), Ok(())),
            (Trigger::NewOutage, pending, Ok(())),
            (Trigger::NewOutage, done, Ok(())),
            // Spec "Examples" 10: at 10:20 the severity changes, due 10:21 instead of 11:30.
            (Trigger::SeverityChanged, pending, Ok(())),
            (Trigger::SeverityChanged, done, Ok(())),
            (Trigger::StillDown, pending, Err("hnoc.pending")),
            (Trigger::StillDown, done, Err("hnoc.done")),
            (Trigger::StillDown, History::default(), Ok(())),
        ] {
            let expected = expected.map(|()| at("2022-01-31T15:21:00Z"));
            let result = schedule(trigger, history, now, minute).map_err(|refusal| refusal.rule);
            assert_eq!(result, expected, "{trigger:?} {history:?}");
        }
    }

    #[test]
    fn a_due_forward_looks_at_the_line() {
        let serial = Serial::from("VC1");
        let now = at("2022-01-31T15:00:00Z");
        let rule_in = |details: &TicketDetails, due, environment: &str| {
            let facts = Forwarding::of(due, now, details, &serial);
            forward(&facts, &Environment(environment.to_owned())).map_err(|refusal| refusal.rule)
        };
        let rule = |details: &TicketDetails, due| rule_in(details, due, "production");
        let open = sample::details(vec![sample::line(77, "VC1", "I")], vec![]);
        let resolved = sample::details(vec![sample::line(77, "VC1", "R")], vec![]);
        assert_eq!(rule(&open, now), Ok(()));
        assert_eq!(rule(&resolved, now), Err("hnoc.resolved"));
        assert_eq!(rule(&TicketDetails::default(), now), Err(LOOKUP));
        assert_eq!(rule(&open, at("2022-01-31T12:00:00Z")), Err("hnoc.late"));
        assert_eq!(rule_in(&open, now, "dev"), Err(ENVIRONMENT));
        assert_eq!(rule_in(&TicketDetails::default(), now, "dev"), Err(ENVIRONMENT));
        assert_eq!(rule_in(&open, at("2022-01-31T12:00:00Z"), "dev"), Err("hnoc.late"));
    }

    #[test]
    fn the_grace_period_is_that_of_the_devices_own_site() {
        let window = GraceWindow {
            day_start: 8,
            day_end: 0,
            by_day: Duration::from_secs(5_400),
            by_night: Duration::from_secs(10_800),
        };
        let facts = |kind, site| Scheduling {
            kind,
            trigger: Trigger::NewOutage,
            history: History::default(),
            now: at("2022-01-31T12:00:00Z"),
            site,
        };
        let due = |kind, site| decide(&facts(kind, site), &window, Tz::US__Pacific).unwrap();
        assert_eq!(due(OutageKind::LinkDown, Some(-4)), at("2022-01-31T13:30:00Z"));
        assert_eq!(due(OutageKind::LinkDown, Some(-5)), at("2022-01-31T15:00:00Z"));
        assert_eq!(due(OutageKind::LinkDown, None), at("2022-01-31T15:00:00Z"));
        assert_eq!(due(OutageKind::HardDown, None), at("2022-01-31T12:01:00Z"));
    }

    #[test]
    fn a_forward_may_start_9999_seconds_late() {
        let due = at("2022-01-31T15:00:00Z");
        assert!(!is_too_late(due, due - TimeDelta::hours(1)));
        assert!(!is_too_late(due, due + TimeDelta::seconds(9_999)));
        assert!(is_too_late(due, due + TimeDelta::seconds(10_000)));
    }

    #[test]
    fn failures_are_repeated_after_10_20_40_80_160_seconds_until_300_have_passed() {
        let mut passed = Duration::ZERO;
        let mut waits = Vec::new();
        for attempt in 1.. {
            let Some(wait) = wait_after(attempt, passed) else { break };
            waits.push(wait.as_secs());
            passed += wait;
        }
        assert_eq!(waits, [10, 20, 40, 80, 160]);
    }
}
