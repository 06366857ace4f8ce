//! What came of a replay.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use decisions::Mode;
use serde::Serialize;
use serde_json::Value;

use super::{answer::Answer, recorded::Whose};

/// How many differences a report tells; further ones are only counted.
pub const MOST: usize = 10_000;

/// How a decision differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// Something would be done that was not.
    Done,
    /// Something would not be done that was.
    NotDone,
    /// Something else would be done.
    Otherwise,
    /// Nothing would be done either way, for another reason.
    OtherReason,
    /// The decision would go on, or turn on, something that is not recorded.
    Unclear,
}

/// A decision that differs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Difference {
    /// When it was made.
    pub at: DateTime<Utc>,
    /// The service.
    pub service: String,
    /// Whether it was carried out.
    pub mode: Mode,
    /// The device.
    pub device: String,
    /// The rule that decided.
    pub rule: String,
    /// How it differs.
    pub change: Change,
    /// What was decided: as recorded, or with the recorded settings.
    pub before: Answer,
    /// What is decided now: by today's rules, or with the other settings.
    pub after: Answer,
    /// The facts that matter.
    pub facts: BTreeMap<String, Value>,
}

/// What came of a replay.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Report {
    /// Decisions that are the same.
    pub same: usize,
    /// Decisions that differ.
    pub different: usize,
    /// How many there are of each kind.
    pub changes: BTreeMap<Change, usize>,
    /// How often each action would be done more (first) and less (second) often.
    pub actions: BTreeMap<String, (usize, usize)>,
    /// Records without facts that could be asked again: of another service, or of an older version.
    pub not_replayed: usize,
    /// Decisions of which the settings in force are not recorded: the defaults were taken.
    pub without_settings: usize,
    /// With other settings: decisions which today's rules make otherwise already with the recorded ones.
    pub rules_differ: usize,
    /// The first and the last decision.
    pub span: Option<(DateTime<Utc>, DateTime<Utc>)>,
    /// Those that differ, oldest first; at most [`MOST`].
    pub differences: Vec<Difference>,
}

impl Report {
    pub(super) fn saw(&mut self, at: DateTime<Utc>) {
        let (first, last) = self.span.unwrap_or((at, at));
        self.span = Some((first.min(at), last.max(at)));
    }

    pub(super) fn differs(&mut self, difference: Difference) {
        self.different += 1;
        *self.changes.entry(difference.change).or_default() += 1;
        let names = |answer: &Answer| match answer {
            Answer::Act(deeds) | Answer::InTurn(deeds) => {
                deeds.iter().map(|deed| (deed.action.clone(), deed.target.clone())).collect()
            }
            Answer::Nothing { .. } | Answer::GoOn => Vec::new(),
        };
        if difference.change != Change::Unclear {
            let (before, after) = (names(&difference.before), names(&difference.after));
            for (action, _) in after.iter().filter(|deed| !before.contains(deed)) {
                self.actions.entry(action.clone()).or_default().0 += 1;
            }
            for (action, _) in before.iter().filter(|deed| !after.contains(deed)) {
                self.actions.entry(action.clone()).or_default().1 += 1;
            }
        }
        if self.differences.len() < MOST {
            self.differences.push(difference);
        }
    }
}

impl Difference {
    pub(super) fn new(
        at: DateTime<Utc>,
        whose: &Whose,
        rule: &str,
        change: Change,
        (before, after): (Answer, Answer),
        facts: BTreeMap<String, Value>,
    ) -> Self {
        let Whose { service, mode, device } = whose.clone();
        Self { at, service, mode, device, rule: rule.to_owned(), change, before, after, facts }
    }
}
