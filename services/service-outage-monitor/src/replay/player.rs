//! Goes through a recording, decision by decision, in memory that does not grow with it.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use chrono::{DateTime, Utc};
use decisions::{Entry, Record, Step};
use runtime::ConfigErrors;
use serde_json::Value;

use super::{
    OUTAGE, TRIAGE,
    answer::{Answer, Deed, matters},
    quarantine::{Sight, Timeline},
    recorded::{Decided, Gathering, Whose},
    report::{Change, Difference, Report},
    settings::Rules,
};
use crate::question::Question;

/// Makes the decisions of a recording again.
pub struct Player {
    /// The settings which are other than recorded; `None`: the rules alone are asked again.
    other: Option<BTreeMap<String, String>>,
    rules: HashMap<String, Arc<Both>>,
    defaults: Arc<Both>,
    gathering: Gathering,
    timeline: Timeline,
    report: Report,
}

/// The rules with the recorded settings, and with the others.
struct Both {
    recorded: Rules,
    other: Option<Rules>,
}

impl Both {
    fn read(
        recorded: &BTreeMap<String, String>,
        other: Option<&BTreeMap<String, String>>,
    ) -> Result<Self, ConfigErrors> {
        let other = other.map(|other| {
            let mut values = recorded.clone();
            values.extend(other.clone());
            Rules::read(&values)
        });
        Ok(Self { recorded: Rules::read(recorded)?, other: other.transpose()? })
    }
}

impl Player {
    /// Asks today's rules, with the recorded settings; when `other` are given, with those over them too, and then the
    /// differences are between both.
    ///
    /// # Errors
    /// When one of the settings has a value that the service would not take.
    pub fn new(other: Option<BTreeMap<String, String>>) -> Result<Self, ConfigErrors> {
        let defaults = Both::read(&BTreeMap::new(), other.as_ref())?;
        Ok(Self {
            other,
            rules: HashMap::new(),
            defaults: Arc::new(defaults),
            gathering: Gathering::default(),
            timeline: Timeline::default(),
            report: Report::default(),
        })
    }

    /// Takes the next line of a recording. Settings stand before what was decided with them.
    pub fn add(&mut self, entry: Entry) {
        match entry {
            Entry::Settings(settings) => {
                // The service started with them; if today's does not, the defaults are what is left.
                if let Ok(both) = Both::read(&settings.values, self.other.as_ref()) {
                    self.rules.insert(settings.id, Arc::new(both));
                }
            }
            Entry::Record(record) => {
                if record.service != OUTAGE && record.service != TRIAGE {
                    self.report.not_replayed += usize::from(!matches!(record.step, Step::Outcome { .. }));
                    return;
                }
                self.report.saw(record.at);
                self.watch(&record);
                for decided in self.gathering.add(record) {
                    self.decide(&decided);
                }
            }
        }
    }

    /// What came of it.
    pub fn finish(mut self) -> Report {
        for decided in std::mem::take(&mut self.gathering).finish() {
            self.decide(&decided);
        }
        self.report.differences.sort_by(|one, two| (one.at, &one.device).cmp(&(two.at, &two.device)));
        self.report
    }

    fn rules_of(&self, id: &str) -> Option<Arc<Both>> {
        self.rules.get(id).cloned()
    }

    /// Makes one decision again.
    fn decide(&mut self, decided: &Decided) {
        let Ok(question) = serde_json::from_value::<Question>(decided.facts.clone()) else {
            self.report.not_replayed += 1;
            return;
        };
        let rules = self.rules_of(&decided.settings).unwrap_or_else(|| {
            self.report.without_settings += 1;
            self.defaults.clone()
        });
        let device = decided.whose.device.as_str();
        let today = question.answer(device, &rules.recorded);
        let recorded = own(&question, &decided.answer);
        if recorded == Answer::Act(Vec::new()) {
            // What goes with an action, made up for after a crash: the decision stands elsewhere.
            return;
        }
        let (before, after) = match &rules.other {
            None => (recorded, today),
            Some(other) => {
                self.report.rules_differ += usize::from(compared(&recorded, &today).is_some());
                (today, question.answer(device, other))
            }
        };
        match compared(&before, &after) {
            None => self.report.same += 1,
            Some(change) => {
                let facts = facts_that_matter(&decided.facts, &decided.rule, &before, &after);
                let difference = Difference::new(
                    decided.at,
                    &decided.whose,
                    &decided.rule,
                    change,
                    (before, after),
                    facts,
                );
                self.report.differs(difference);
            }
        }
    }

    /// With other settings: whether another quarantine changes something.
    fn watch(&mut self, record: &Record) {
        if self.other.is_none() {
            return;
        }
        let Some((sight, at)) = sight(record) else { return };
        let rules = self.rules_of(&record.settings).unwrap_or_else(|| self.defaults.clone());
        let Some(other) = &rules.other else { return };
        let whose =
            Whose { service: record.service.clone(), mode: record.mode, device: record.device.clone() };
        let found = self.timeline.see(&whose, at, sight, &rules.recorded.outage, &other.outage);
        if let Some(difference) = found {
            self.report.differs(difference);
        }
    }
}

/// What a record tells of how a device was.
fn sight(record: &Record) -> Option<(Sight, DateTime<Utc>)> {
    let (facts, act) = match &record.step {
        Step::Abstained { facts, .. } => (facts, false),
        Step::Intent { facts, .. } => (facts, true),
        Step::Outcome { .. } => return None,
    };
    // Most records are of healthy devices: those are not read for this.
    let sight = match facts.get("asked").and_then(Value::as_str)? {
        "tickets" | "autoresolve" => Sight::Healthy,
        "look" | "recheck" | "look_again" => match serde_json::from_value::<Question>(facts.clone()).ok()? {
            Question::Look(look) if record.rule == "outage.quarantine" => Sight::Down(look.edge?.outage()?),
            Question::Recheck(recheck) if act => Sight::Asked(recheck.edge.outage()?),
            Question::Recheck(_) => Sight::Changed,
            Question::LookAgain(look) if look.edge.as_ref().is_some_and(|edge| edge.outage().is_none()) => {
                Sight::Healthy
            }
            _ => return None,
        },
        _ => return None,
    };
    Some((sight, record.at))
}

/// Of what was recorded, what the rule decides itself.
fn own(question: &Question, answer: &Answer) -> Answer {
    match answer {
        Answer::Act(deeds) => {
            let names = question.actions();
            Answer::Act(deeds.iter().filter(|deed| names.contains(&deed.action.as_str())).cloned().collect())
        }
        other => other.clone(),
    }
}

/// How two answers differ; `None` when they are the same.
fn compared(before: &Answer, after: &Answer) -> Option<Change> {
    use Answer::{Act, GoOn, InTurn, Nothing};
    let same =
        |one: &[Deed], two: &[Deed]| one.len() == two.len() && one.iter().all(|deed| two.contains(deed));
    match (before, after) {
        (Nothing { rule: one, .. }, Nothing { rule: two, .. }) => (one != two).then_some(Change::OtherReason),
        (Nothing { .. }, Act(_) | InTurn(_)) => Some(Change::Done),
        (Act(_) | InTurn(_), Nothing { .. }) => Some(Change::NotDone),
        // All, or all that were tried until one succeeded.
        (Act(one), InTurn(two)) => (!two.starts_with(one)).then_some(Change::Otherwise),
        (Act(one) | InTurn(one), Act(two)) | (InTurn(one), InTurn(two)) => {
            (!same(one, two)).then_some(Change::Otherwise)
        }
        (GoOn, GoOn) => None,
        (GoOn, _) | (_, GoOn) => Some(Change::Unclear),
    }
}

/// The facts which the rules look at that decide before and after.
fn facts_that_matter(facts: &Value, rule: &str, before: &Answer, after: &Answer) -> BTreeMap<String, Value> {
    let refusals: Vec<&str> = [before, after]
        .into_iter()
        .filter_map(|answer| match answer {
            Answer::Nothing { rule, .. } => Some(rule.as_str()),
            _ => None,
        })
        .collect();
    let rules = if refusals.is_empty() { vec![rule] } else { refusals };
    let names = rules.into_iter().flat_map(matters);
    names.filter_map(|name| Some(((*name).to_owned(), facts.get(*name)?.clone()))).collect()
}
