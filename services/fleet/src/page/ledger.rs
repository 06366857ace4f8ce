//! The decisions of the monitors as they are recorded, by device, in bounded memory.
//!
//! A monitor says the same of a device in every cycle. What is repeated while the device's state stays as it is becomes
//! one entry that knows how often and when last.

use std::collections::{HashMap, VecDeque};

use chrono::{DateTime, Utc};
use decisions::{Outcome, Record, Step};
use serde_json::Value;

/// Entries kept of one device.
const OF_DEVICE: usize = 120;
/// Entries of all devices kept for the list of the latest.
const LATEST: usize = 60;
/// Facts longer than this are not kept, in bytes.
const FACTS: usize = 8 * 1024;

/// Where an entry was written: a span of a trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// 32 hexadecimal digits.
    pub(super) trace: String,
    /// 16 hexadecimal digits.
    pub(super) span: String,
}

impl Place {
    /// Reads `traceparent`.
    pub(super) fn of(header: &str) -> Option<Self> {
        let mut parts = header.split('-').skip(1);
        let (trace, span) = (parts.next()?, parts.next()?);
        (trace.len() == 32 && span.len() == 16)
            .then(|| Self { trace: trace.to_owned(), span: span.to_owned() })
    }
}

/// What was decided.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum What {
    /// Nothing is done.
    Nothing {
        /// Why.
        reason: String,
    },
    /// An action.
    Action {
        /// Its name.
        action: String,
        /// What it is done to.
        target: String,
        /// Its parameters.
        details: Value,
        /// How it ended; `None` while it is under way, and in shadow mode.
        outcome: Option<Outcome>,
    },
}

/// A decision, or several that are the same.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    /// Number in order of arrival over all devices.
    pub(super) number: u64,
    /// The device.
    pub(super) device: String,
    /// When it was first recorded.
    pub(super) first: DateTime<Utc>,
    /// When it was last recorded.
    pub(super) last: DateTime<Utc>,
    /// How often.
    pub(super) times: u32,
    /// The service.
    pub(super) service: String,
    /// The rule.
    pub(super) rule: String,
    /// What the rule looked at.
    pub(super) facts: Value,
    /// What was decided.
    pub(super) what: What,
    /// Whether it was only recorded (shadow mode).
    pub(super) shadow: bool,
    /// Where it was last recorded.
    pub(super) place: Option<Place>,
}

impl Entry {
    fn says_the_same(&self, other: &Self) -> bool {
        let what = match (&self.what, &other.what) {
            (What::Nothing { reason: one }, What::Nothing { reason: two }) => same_but_figures(one, two),
            (
                What::Action { action: one, target: to, outcome: Some(ended), .. },
                What::Action { action: two, target: too, outcome: Some(finished), .. },
            ) => one == two && to == too && ended == finished,
            _ => false,
        };
        what && self.rule == other.rule && self.service == other.service
    }
}

/// `the note is 60 s old` says the same as `the note is 70 s old`.
fn same_but_figures(one: &str, two: &str) -> bool {
    let words = |text: &str| text.replace(|c: char| c.is_ascii_digit(), "");
    one == two || words(one) == words(two)
}

/// Whether a device is seen healthy or down; what is said in one phase is not merged into an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Healthy,
    Down,
}

fn phase(rule: &str) -> Option<Phase> {
    match rule.split('.').next() {
        Some("autoresolve") => Some(Phase::Healthy),
        Some("outage" | "recheck") => Some(Phase::Down),
        _ => None,
    }
}

#[derive(Default)]
struct Device {
    entries: VecDeque<Entry>,
    phase: Option<Phase>,
    /// Number of the first entry of the present phase.
    since: u64,
}

/// The entries of all devices.
#[derive(Default)]
pub(super) struct Ledger {
    devices: HashMap<String, Device>,
    /// Actions of all devices, oldest first.
    latest: VecDeque<Entry>,
    next: u64,
    heard: Option<DateTime<Utc>>,
}

impl Ledger {
    /// When anything was recorded last.
    pub(super) fn heard(&self) -> Option<DateTime<Utc>> {
        self.heard
    }

    /// Adds a record.
    pub(super) fn add(&mut self, record: Record, place: Option<Place>) {
        let number = self.next;
        self.next += 1;
        self.heard = self.heard.max(Some(record.at));
        let device = self.devices.entry(record.device.clone()).or_default();
        if let Some(phase) = phase(&record.rule)
            && device.phase != Some(phase)
        {
            device.phase = Some(phase);
            device.since = number;
        }
        let shadow = record.mode == decisions::Mode::Shadow;
        let (what, facts) = match record.step {
            Step::Abstained { reason, facts } => (What::Nothing { reason }, facts),
            Step::Intent { action, target, details, facts } => {
                (What::Action { action, target, details, outcome: None }, facts)
            }
            Step::Outcome { action, target, outcome } => {
                if let Some(ended) = device.end(&action, &target, &outcome) {
                    let known = self.latest.iter_mut().rev().find(|entry| entry.number == ended.number);
                    if let Some(known) = known {
                        known.what = ended.what;
                    }
                }
                return;
            }
        };
        let facts = if facts.to_string().len() > FACTS { Value::Null } else { facts };
        let entry = Entry {
            number,
            device: record.device,
            first: record.at,
            last: record.at,
            times: 1,
            service: record.service,
            rule: record.rule,
            facts,
            what,
            shadow,
            place,
        };
        if matches!(entry.what, What::Action { .. }) {
            if self.latest.len() >= LATEST {
                self.latest.pop_front();
            }
            self.latest.push_back(entry.clone());
        }
        device.put(entry);
    }

    /// What is known of a device, oldest first.
    pub(super) fn of(&self, device: &str) -> Vec<Entry> {
        self.devices.get(device).map(|device| device.entries.iter().cloned().collect()).unwrap_or_default()
    }

    /// The latest actions, newest first.
    pub(super) fn latest(&self, most: usize) -> Vec<Entry> {
        self.latest.iter().rev().take(most).cloned().collect()
    }
}

impl Device {
    fn put(&mut self, entry: Entry) {
        let since = self.since;
        let same =
            self.entries.iter_mut().rev().find(|known| known.number >= since && known.says_the_same(&entry));
        if let Some(known) = same {
            known.times += entry.times;
            known.last = entry.last;
            known.place = entry.place;
            known.facts = entry.facts;
            known.what = entry.what;
            return;
        }
        if self.entries.len() >= OF_DEVICE {
            self.entries.pop_front();
        }
        self.entries.push_back(entry);
    }

    /// Completes the action under way; what it has become.
    fn end(&mut self, action: &str, target: &str, ended: &Outcome) -> Option<Entry> {
        let under_way = self.entries.iter().rposition(|entry| {
            matches!(&entry.what, What::Action { action: a, target: t, outcome: None, .. } if a == action && t == target)
        })?;
        let mut entry = self.entries.remove(under_way)?;
        if let What::Action { outcome, .. } = &mut entry.what {
            *outcome = Some(ended.clone());
        }
        let done = entry.clone();
        let since = self.since;
        let repeated = self.entries.iter().any(|known| known.number >= since && known.says_the_same(&entry));
        if repeated {
            self.put(entry);
        } else {
            self.entries.insert(under_way, entry);
        }
        Some(done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeDelta;
    use decisions::Mode;
    use serde_json::json;

    fn record(second: i64, rule: &str, step: Step) -> Record {
        Record {
            at: DateTime::UNIX_EPOCH + TimeDelta::seconds(second),
            service: "monitor".into(),
            mode: Mode::Live,
            device: "VC1".into(),
            rule: rule.into(),
            settings: String::new(),
            step,
        }
    }

    fn nothing(reason: &str) -> Step {
        Step::Abstained { reason: reason.into(), facts: json!({}) }
    }

    fn intent() -> Step {
        let (action, target) = ("append_note".into(), "VC1: triage".into());
        Step::Intent { action, target, details: json!({}), facts: json!({}) }
    }

    fn outcome(outcome: Outcome) -> Step {
        Step::Outcome { action: "append_note".into(), target: "VC1: triage".into(), outcome }
    }

    fn told(records: Vec<Record>) -> Vec<(String, u32)> {
        let mut ledger = Ledger::default();
        for record in records {
            ledger.add(record, None);
        }
        ledger.of("VC1").into_iter().map(|entry| (entry.rule, entry.times)).collect()
    }

    #[test]
    fn what_is_said_in_every_cycle_is_one_entry() {
        let cycle = |second| record(second, "autoresolve.ticket", nothing("there is no open ticket"));
        assert_eq!(told(vec![cycle(0), cycle(10), cycle(20)]), [("autoresolve.ticket".to_owned(), 3)]);
    }

    #[test]
    fn figures_that_change_make_no_new_entry() {
        let cycle = |second, reason: &str| record(second, "triage.last_note", nothing(reason));
        let mut ledger = Ledger::default();
        for (second, reason) in [(0, "it is 60 s old"), (10, "it is 170 s old"), (20, "it is gone")] {
            ledger.add(cycle(second, reason), None);
        }
        let reasons: Vec<_> = ledger.of("VC1").into_iter().map(|entry| (entry.what, entry.times)).collect();
        let nothing = |reason: &str| What::Nothing { reason: reason.into() };
        assert_eq!(reasons, [(nothing("it is 170 s old"), 2), (nothing("it is gone"), 1)]);
    }

    #[test]
    fn a_second_outage_has_entries_of_its_own() {
        let down = |second| record(second, "outage.quarantine", nothing("waits"));
        let up = |second| record(second, "autoresolve.ticket", nothing("none"));
        let told = told(vec![down(0), down(10), up(20), down(30)]);
        assert_eq!(told.iter().map(|(_, times)| *times).collect::<Vec<_>>(), [2, 1, 1]);
    }

    #[test]
    fn an_outcome_completes_its_intent() {
        let mut ledger = Ledger::default();
        ledger.add(record(0, "documentation", intent()), None);
        ledger.add(record(1, "documentation", outcome(Outcome::Done)), None);
        let entries = ledger.of("VC1");
        assert_eq!(entries.len(), 1);
        assert_eq!(ledger.latest(5), entries);
        assert!(matches!(&entries[0].what, What::Action { outcome: Some(Outcome::Done), .. }));
    }

    #[test]
    fn an_action_that_ends_otherwise_is_an_entry_of_its_own() {
        let refused = Outcome::Refused { status: 500, reason: "no".into() };
        let told = told(vec![
            record(0, "documentation", intent()),
            record(1, "documentation", outcome(refused.clone())),
            record(2, "documentation", intent()),
            record(3, "documentation", outcome(refused)),
            record(4, "documentation", intent()),
            record(5, "documentation", outcome(Outcome::Done)),
        ]);
        assert_eq!(told, [("documentation".to_owned(), 2), ("documentation".to_owned(), 1)]);
    }

    #[test]
    fn memory_is_bounded() {
        let records =
            (0..500).map(|n| record(n, "rule", nothing(&"x".repeat(usize::try_from(n).unwrap())))).collect();
        assert_eq!(told(records).len(), OF_DEVICE);
    }

    #[test]
    fn a_trace_context_leads_to_its_span() {
        let (trace, span) = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331");
        let place = Place::of(&format!("00-{trace}-{span}-01")).unwrap();
        assert_eq!((place.trace.as_str(), place.span.as_str()), (trace, span));
        assert_eq!(Place::of("nonsense"), None);
    }
}
