//! The decisions of a recording: what is recorded of one decision stands in several records.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use decisions::{Mode, Record, Step};
use serde_json::Value;

use super::answer::{Answer, Deed};
use crate::action::unit;

/// Whose decision it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Whose {
    /// The service.
    pub service: String,
    /// Whether it was carried out.
    pub mode: Mode,
    /// The device.
    pub device: String,
}

/// A decision as it was recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct Decided {
    /// Whose.
    pub whose: Whose,
    /// When.
    pub at: DateTime<Utc>,
    /// The rule that decided.
    pub rule: String,
    /// What it looked at.
    pub facts: Value,
    /// The id of the settings in force.
    pub settings: String,
    /// What it decided: to do nothing, or this.
    pub answer: Answer,
    /// What was done, word for word.
    targets: Vec<String>,
}

/// Gathers records. An action and what goes with it (a forward and its note) have the same facts.
#[derive(Default)]
pub struct Gathering(HashMap<Whose, Decided>);

impl Gathering {
    /// Adds a record in the order of the recording; the decisions that are complete now.
    pub fn add(&mut self, record: Record) -> Vec<Decided> {
        let whose = Whose { service: record.service, mode: record.mode, device: record.device };
        match record.step {
            Step::Outcome { .. } => Vec::new(),
            Step::Abstained { reason, facts } => {
                let before = self.0.get(&whose);
                if before.is_some_and(|before| before.facts == facts) {
                    // Of several remedies none was left: the decision was to try them.
                    return Vec::new();
                }
                let mut complete: Vec<Decided> = self.0.remove(&whose).into_iter().collect();
                complete.push(Decided {
                    whose,
                    at: record.at,
                    facts,
                    settings: record.settings,
                    answer: Answer::Nothing { rule: record.rule.clone(), reason },
                    rule: record.rule,
                    targets: Vec::new(),
                });
                complete
            }
            Step::Intent { action, target, details, facts } => {
                let raw = format!("{action} {target}");
                let due = details.get("due").and_then(Value::as_str).and_then(|due| due.parse().ok());
                let target = with_unit(&action, without_page(&target), &details);
                let deed = Deed { action, target, due };
                if let Some(open) = self.0.get_mut(&whose)
                    && open.facts == facts
                    && !open.targets.contains(&raw)
                {
                    open.targets.push(raw);
                    if let Answer::Act(deeds) = &mut open.answer
                        && !deeds.contains(&deed)
                    {
                        deeds.push(deed);
                    }
                    return Vec::new();
                }
                let begun = Decided {
                    whose: whose.clone(),
                    at: record.at,
                    rule: record.rule,
                    facts,
                    settings: record.settings,
                    answer: Answer::Act(vec![deed]),
                    targets: vec![raw],
                };
                self.0.insert(whose, begun).into_iter().collect()
            }
        }
    }

    /// The decisions that were still open.
    pub fn finish(self) -> Vec<Decided> {
        self.0.into_values().collect()
    }
}

/// `VC1: triage 1/2` is `VC1: triage`.
fn without_page(target: &str) -> &str {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match target.rsplit_once(' ') {
        Some((rest, page)) if page.split_once('/').is_some_and(|(one, all)| digits(one) && digits(all)) => {
            rest
        }
        _ => target,
    }
}

/// Former versions named only the interface as the target of a reboot; its unit stood in the details.
fn with_unit(action: &str, target: &str, details: &Value) -> String {
    match details.get("mac").and_then(Value::as_str) {
        Some(mac) if action == "reboot_digi" && !target.ends_with(')') => unit(target, mac),
        _ => target.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn record(second: i64, step: Step) -> Record {
        Record {
            at: DateTime::from_timestamp(second, 0).unwrap(),
            service: "monitor".into(),
            mode: Mode::Live,
            device: "VC1".into(),
            rule: "rule".into(),
            settings: String::new(),
            step,
        }
    }

    fn intent(action: &str, target: &str, facts: Value) -> Step {
        Step::Intent { action: action.into(), target: target.into(), details: json!({}), facts }
    }

    fn nothing(facts: Value) -> Step {
        Step::Abstained { reason: "so".into(), facts }
    }

    fn gathered(steps: Vec<Step>) -> Vec<(i64, usize)> {
        let mut gathering = Gathering::default();
        let mut decided = Vec::new();
        for (second, step) in (0..).zip(steps) {
            decided.extend(gathering.add(record(second, step)));
        }
        decided.extend(gathering.finish());
        let count = |answer: &Answer| match answer {
            Answer::Act(deeds) => deeds.len(),
            _ => 0,
        };
        decided.iter().map(|decided| (decided.at.timestamp(), count(&decided.answer))).collect()
    }

    #[test]
    fn what_goes_with_an_action_and_the_pages_of_a_note_belong_to_one_decision() {
        let facts = json!({"ticket": 1});
        let steps = vec![
            intent("forward", "VC1: ASR", facts.clone()),
            intent("append_note", "VC1: triage 1/2", facts.clone()),
            intent("append_note", "VC1: triage 2/2", facts.clone()),
            nothing(facts.clone()),
            nothing(json!({"ticket": 2})),
            // The same once more is another decision.
            intent("forward", "VC1: ASR", facts.clone()),
            intent("forward", "VC1: ASR", facts),
        ];
        assert_eq!(gathered(steps), [(0, 2), (4, 0), (5, 1), (6, 1)]);
    }

    #[test]
    fn equal_abstentions_are_decisions_of_their_own() {
        assert_eq!(gathered(vec![nothing(json!({})), nothing(json!({}))]), [(0, 0), (1, 0)]);
    }

    #[test]
    fn a_reboot_that_names_its_interface_only_is_of_the_unit_in_the_details() {
        let details = json!({"interface": "GE1", "mac": "00:04:2d:00:00:01"});
        for target in ["VC1: GE1", "VC1: GE1 (00:04:2d:00:00:01)"] {
            assert_eq!(with_unit("reboot_digi", target, &details), "VC1: GE1 (00:04:2d:00:00:01)");
        }
        assert_eq!(with_unit("reboot_digi", "VC1: GE1", &json!({})), "VC1: GE1");
        assert_eq!(with_unit("append_note", "VC1: triage", &details), "VC1: triage");
    }

    #[test]
    fn the_page_is_cut_off_a_target() {
        for (target, expected) in [
            ("VC1: triage 1/2", "VC1: triage"),
            ("VC1: events 12/13", "VC1: events"),
            ("VC1: severity 2", "VC1: severity 2"),
            ("VC1: ASR forward", "VC1: ASR forward"),
            ("VC1: a/b", "VC1: a/b"),
            ("VC1", "VC1"),
        ] {
            assert_eq!(without_page(target), expected);
        }
    }
}
