//! What was last decided about one device.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use crate::record::{Mode, Record, Step};

/// The same rule deciding the same so much later is another cycle. Within a cycle a rule may decide repeatedly, e.g. for
/// each link.
const SAME_CYCLE: TimeDelta = TimeDelta::seconds(5);

/// The last decisions of one service about one device.
///
/// A cycle is not one moment: a device is looked at, waits in quarantine, is looked at again, gets a ticket. So the last
/// cycle goes back from the newest record to the point where a rule would decide the same for the second time.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Story {
    /// The service that decided.
    pub service: String,
    /// Whether its decisions were carried out.
    pub mode: Mode,
    /// The last cycle, oldest first.
    pub cycle: Vec<Record>,
    /// The last thing that was done before it, with its outcome; empty when nothing is known to have been done.
    pub before: Vec<Record>,
}

/// The stories in a device's records, which are in the order in which they were written.
pub(crate) fn stories(records: Vec<Record>) -> Vec<Story> {
    let mut services: Vec<((String, Mode), Vec<Record>)> = Vec::new();
    for record in records {
        let whose = (record.service.clone(), record.mode);
        match services.iter_mut().find(|(known, _)| *known == whose) {
            Some((_, records)) => records.push(record),
            None => services.push((whose, vec![record])),
        }
    }
    services
        .into_iter()
        .map(|((service, mode), mut records)| {
            let cycle = records.split_off(cycle_begins(&records).unwrap_or(0));
            Story { service, mode, cycle, before: last_done(records) }
        })
        .collect()
}

/// Whether these records, the newest of one device, hold a whole cycle of each service: older ones would change nothing.
pub(crate) fn is_whole(records: &[Record]) -> bool {
    let services: Vec<_> = records.iter().map(|record| (&record.service, record.mode)).collect();
    !records.is_empty()
        && services.iter().all(|service| {
            let own: Vec<Record> =
                records.iter().filter(|record| (&record.service, record.mode) == *service).cloned().collect();
            cycle_begins(&own).is_some()
        })
}

/// The index of the first record of the last cycle; `None` when it may begin before all of these.
fn cycle_begins(records: &[Record]) -> Option<usize> {
    let mut seen: HashMap<(&str, &str, &str, &str), DateTime<Utc>> = HashMap::new();
    for (index, record) in records.iter().enumerate().rev() {
        let (kind, action, target) = match &record.step {
            Step::Abstained { .. } => ("abstained", "", ""),
            Step::Intent { action, target, .. } => ("intent", action.as_str(), target.as_str()),
            Step::Outcome { action, target, .. } => ("outcome", action.as_str(), target.as_str()),
        };
        let last = *seen.entry((record.rule.as_str(), kind, action, target)).or_insert(record.at);
        if last - record.at > SAME_CYCLE {
            return Some(index + 1);
        }
    }
    None
}

/// The last intent and its outcome.
fn last_done(mut records: Vec<Record>) -> Vec<Record> {
    let Some(index) = records.iter().rposition(|record| matches!(record.step, Step::Intent { .. })) else {
        return Vec::new();
    };
    let mut done = records.split_off(index);
    let intent = done.first().and_then(action_of);
    let mut first = true;
    done.retain(|record| std::mem::take(&mut first) || (is_outcome(record) && action_of(record) == intent));
    done.truncate(2);
    done
}

/// The action and target which an intent or an outcome is about.
fn action_of(record: &Record) -> Option<(String, String)> {
    match &record.step {
        Step::Intent { action, target, .. } | Step::Outcome { action, target, .. } => {
            Some((action.clone(), target.clone()))
        }
        Step::Abstained { .. } => None,
    }
}

fn is_outcome(record: &Record) -> bool {
    matches!(record.step, Step::Outcome { .. })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Outcome;
    use serde_json::json;

    fn record(seconds: i64, rule: &str, step: Step) -> Record {
        Record {
            at: DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds),
            service: "monitor".into(),
            mode: Mode::Live,
            device: "VC1".into(),
            rule: rule.into(),
            settings: String::new(),
            step,
        }
    }

    fn nothing(seconds: i64, rule: &str) -> Record {
        record(seconds, rule, Step::Abstained { reason: "so".into(), facts: json!({}) })
    }

    fn done(seconds: i64, rule: &str, target: &str) -> [Record; 2] {
        let (action, target) = ("act".to_owned(), target.to_owned());
        let intent = Step::Intent {
            action: action.clone(),
            target: target.clone(),
            details: json!({}),
            facts: json!({}),
        };
        let outcome = Step::Outcome { action, target, outcome: Outcome::Done };
        [record(seconds, rule, intent), record(seconds + 1, rule, outcome)]
    }

    #[test]
    fn the_last_cycle_goes_back_to_where_a_rule_repeats_itself() {
        let mut records = vec![nothing(0, "healthy"), nothing(600, "healthy"), nothing(1_200, "quarantine")];
        records.extend(done(1_380, "creation", "ticket"));
        records.extend(done(1_381, "documentation", "note 1"));
        records.extend(done(1_381, "documentation", "note 2"));
        records.push(nothing(1_800, "quarantine"));
        let stories = stories(records.clone());
        assert_eq!(stories.len(), 1);
        // From the creation on: the quarantine of 1,800 s is the one of 1,200 s again.
        assert_eq!(stories[0].cycle, records[3..]);
        assert!(stories[0].before.is_empty());
        assert!(is_whole(&records) && !is_whole(&records[3..]));
    }

    #[test]
    fn of_a_healthy_device_one_decision_and_what_was_done_last() {
        let mut records = Vec::from(done(0, "creation", "ticket"));
        records.extend(done(7, "creation", "ticket"));
        records.extend([nothing(20, "healthy"), nothing(600, "healthy"), nothing(1_200, "healthy")]);
        let story = stories(records.clone()).remove(0);
        assert_eq!(story.cycle, records[6..]);
        assert_eq!(story.before, records[2..4]);
    }

    #[test]
    fn a_rule_may_decide_for_each_link_within_a_cycle() {
        let records = [nothing(600, "link"), nothing(603, "link"), nothing(604, "link")];
        assert_eq!(stories(records.to_vec())[0].cycle, records);
    }

    #[test]
    fn each_service_and_mode_has_its_own_story() {
        let mut shadow = nothing(1, "healthy");
        shadow.mode = Mode::Shadow;
        let stories = stories(vec![nothing(0, "healthy"), shadow, nothing(600, "healthy")]);
        let modes: Vec<_> = stories.iter().map(|story| (story.mode, story.cycle.len())).collect();
        assert_eq!(modes, [(Mode::Live, 1), (Mode::Shadow, 1)]);
    }
}
