//! Decisions as an engineer reads them at a glance: when, by which rule, what was done or why nothing, what came of it,
//! and the facts.

use std::fmt::Write;

use chrono::{DateTime, Utc};
use decisions::{Mode, Outcome, Record, Step, Story};
use serde_json::Value;

/// The last cycle of each service, and what was done before.
pub(crate) fn last(device: &str, stories: &[Story]) -> String {
    let mut text = String::new();
    for story in stories {
        heading(&mut text, &format!("{device}: last cycle of {}, {}", story.service, story.mode));
        let entries = entries(&story.cycle);
        let acted = entries.iter().any(|entry| entry.intent);
        for entry in &entries {
            entry.write(&mut text);
        }
        let before = self::entries(&story.before);
        if acted || before.is_empty() {
            continue;
        }
        heading(&mut text, "The last thing that was done for it");
        for entry in &before {
            entry.write(&mut text);
        }
    }
    text
}

/// All that was ever decided, oldest first; what was decided again and again stands there once.
pub(crate) fn history(device: &str, records: &[Record]) -> String {
    let mut text = String::new();
    let mut whose: Vec<(&str, Mode)> = Vec::new();
    for record in records {
        let service = (record.service.as_str(), record.mode);
        if !whose.contains(&service) {
            whose.push(service);
        }
    }
    for (service, mode) in whose {
        heading(&mut text, &format!("{device}: all decisions of {service}, {mode}"));
        let own: Vec<Record> = records
            .iter()
            .filter(|record| record.service == service && record.mode == mode)
            .cloned()
            .collect();
        for entry in entries(&own) {
            entry.write(&mut text);
        }
    }
    text
}

fn heading(text: &mut String, heading: &str) {
    let gap = if text.is_empty() { "" } else { "\n" };
    // Writing to a String can not fail.
    let _ = writeln!(text, "{gap}{heading}\n");
}

/// One decision with what came of it.
struct Entry<'a> {
    record: &'a Record,
    intent: bool,
    outcome: Option<&'a Outcome>,
    /// How often in a row, and when for the last time.
    times: usize,
    until: DateTime<Utc>,
}

/// Joins each intent with its outcome, and decisions in a row that are the same.
fn entries(records: &[Record]) -> Vec<Entry<'_>> {
    let mut entries: Vec<Entry<'_>> = Vec::new();
    for record in records {
        if let Step::Outcome { outcome, .. } = &record.step
            && let Some(entry) = entries.iter_mut().rev().find(|entry| entry.awaits(record))
        {
            entry.outcome = Some(outcome);
            continue;
        }
        if let Some(last) = entries.last_mut()
            && last.says_the_same(record)
        {
            last.times += 1;
            last.until = record.at;
            continue;
        }
        let intent = matches!(record.step, Step::Intent { .. });
        entries.push(Entry { record, intent, outcome: None, times: 1, until: record.at });
    }
    entries
}

impl Entry<'_> {
    fn awaits(&self, outcome: &Record) -> bool {
        let of = |record: &Record| match &record.step {
            Step::Intent { action, target, .. } | Step::Outcome { action, target, .. } => {
                Some((action.clone(), target.clone()))
            }
            Step::Abstained { .. } => None,
        };
        self.intent && self.outcome.is_none() && of(self.record) == of(outcome)
    }

    fn says_the_same(&self, record: &Record) -> bool {
        self.record.rule == record.rule
            && matches!(record.step, Step::Abstained { .. })
            && self.record.step == record.step
    }

    fn write(&self, text: &mut String) {
        let at = |at: DateTime<Utc>| at.format("%Y-%m-%d %H:%M:%S").to_string();
        let repeated = if self.times > 1 {
            format!("  ({} times until {})", self.times, at(self.until))
        } else {
            String::new()
        };
        let _ = writeln!(text, "  {} UTC  {}{repeated}", at(self.record.at), self.record.rule);
        let shadow = self.record.mode == Mode::Shadow;
        let (details, facts) = match &self.record.step {
            Step::Abstained { reason, facts } => {
                let _ = writeln!(text, "      nothing was done, because {}", one_line(reason));
                (None, Some(facts))
            }
            Step::Intent { action, target, details, facts } => {
                let would = if shadow { "would " } else { "" };
                let _ =
                    writeln!(text, "      {would}{action} ({}): {}", one_line(target), self.ending(shadow));
                (Some(details), Some(facts))
            }
            Step::Outcome { action, target, outcome } => {
                let _ = writeln!(text, "      {action} ({}): {}", one_line(target), came_of(outcome));
                (None, None)
            }
        };
        for (title, value) in [("with", details), ("facts", facts)] {
            if let Some(value) = value {
                write_value(text, title, value);
            }
        }
    }

    fn ending(&self, shadow: bool) -> String {
        match self.outcome {
            Some(outcome) => came_of(outcome),
            None if shadow => "not done, as it is a shadow".to_owned(),
            None => "no outcome on record (under way, or the process died; the next cycle looks)".to_owned(),
        }
    }
}

fn came_of(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Done => "done".to_owned(),
        Outcome::FoundDone => "found that it had been done already".to_owned(),
        Outcome::Refused { status, reason } => format!("refused with status {status}: {}", one_line(reason)),
        Outcome::Unknown { reason } => {
            format!("outcome unknown, {} (the next cycle looks)", one_line(reason))
        }
    }
}

/// The members of an object below each other, each in one line.
fn write_value(text: &mut String, title: &str, value: &Value) {
    let members: Vec<(&str, String)> = match value {
        Value::Null => return,
        Value::Object(members) => members.iter().map(|(name, value)| (name.as_str(), plain(value))).collect(),
        other => vec![("", plain(other))],
    };
    let width = members.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let mut title = title;
    for (name, value) in members {
        let line = format!("        {title:<6}{name:<width$}  {value}");
        let _ = writeln!(text, "{}", line.trim_end());
        title = "";
    }
}

/// A value in words, without the punctuation of JSON.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => one_line(text),
        Value::Array(items) if items.is_empty() => "none".to_owned(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join("; "),
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| format!("{name} {}", plain(value)))
            .collect::<Vec<_>>()
            .join(", "),
    }
}

/// Without line breaks, and without characters that would do something to a terminal.
fn one_line(text: &str) -> String {
    text.split(|c: char| c.is_control()).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}
