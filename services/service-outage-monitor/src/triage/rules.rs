//! What is to be done for one line (spec "Behaviour" 7 and 8).

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use contracts::id::{DetailId, TicketId};
use serde::{Deserialize, Serialize};
use ticketing::{Note, OutageKind};

use super::documented::Documented;
use crate::{
    rules::{Environment, Next, Refusal, Ruling},
    seen::Seen,
};

/// How far back events are told of a line without triage note whose edge is healthy again.
const LAST_DAY: TimeDelta = TimeDelta::hours(24);

/// What is to be done for a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// Write the initial triage note.
    Document(OutageKind),
    /// Write down the events since a moment that are not documented yet.
    TellEvents {
        /// The moment.
        since: DateTime<Utc>,
    },
}

/// What the rule looks at, as far as it is needed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// The ticket, for readers.
    pub ticket: TicketId,
    /// The line, for readers.
    pub line: DetailId,
    /// The triage notes of the line.
    #[serde(flatten)]
    pub notes: Known,
    /// How the edge is; only a line without triage note asks for it. `None` = nobody knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edge: Option<Seen>,
    /// The moment of the decision.
    pub now: DateTime<Utc>,
    /// How many events no note tells of, when they were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub news: Option<usize>,
    /// What the second look at the line shows, right before writing ("Improve" 10).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again: Option<SecondLook>,
}

/// What is known of the triage notes of a line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// How many there are.
    pub triage_notes: usize,
    /// When the newest one was written, of those with a readable date.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest: Option<DateTime<Utc>>,
    /// Up to when they tell of events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told: Option<DateTime<Utc>>,
}

impl Known {
    /// What these notes tell.
    pub fn of(notes: &[Note]) -> Self {
        Self {
            triage_notes: notes.len(),
            newest: notes.iter().filter_map(|note| note.created).max(),
            told: Documented::by(notes).latest(),
        }
    }
}

/// A second look at a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecondLook {
    /// The moment.
    pub now: DateTime<Utc>,
    /// The triage notes; `None` when the ticket has no line of the serial any more.
    pub notes: Option<Known>,
    /// How many events no note tells of by now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub news: Option<usize>,
}

/// The rule that stops all writing outside production.
pub const ENVIRONMENT: &str = "triage.environment";

/// The task of a line, before anything is asked for.
pub fn task(facts: &Facts, last_note_interval: Duration) -> Ruling<Task> {
    task_with(&facts.notes, facts.edge.as_ref(), facts.now, last_note_interval)
}

/// What is to be done for a line.
pub fn decide(facts: &Facts, last_note_interval: Duration, environment: &Environment) -> Ruling<Next<Task>> {
    let task = task(facts, last_note_interval)?;
    let nothing_new = |since| Refusal::new("triage.events", format!("no note lacks an event since {since}"));
    if let Task::TellEvents { since } = task {
        match facts.news {
            None => return Ok(Next::Ask),
            Some(0) => return Err(nothing_new(since)),
            Some(_) => {}
        }
    }
    if !environment.is_production() {
        return Err(Refusal::new(ENVIRONMENT, "notes are appended in production only"));
    }
    let Some(again) = &facts.again else { return Ok(Next::Ask) };
    let notes = again
        .notes
        .ok_or_else(|| Refusal::new("triage.line", "the ticket has no line of the serial any more"))?;
    still(task, task_with(&notes, facts.edge.as_ref(), again.now, last_note_interval))?;
    match (task, again.news) {
        (Task::TellEvents { since }, Some(0)) => Err(nothing_new(since)),
        _ => Ok(Next::Act(task)),
    }
}

/// The task of a line with these triage notes, whose edge is as `edge` says (`None`: nobody knows how it is).
fn task_with(
    notes: &Known,
    edge: Option<&Seen>,
    now: DateTime<Utc>,
    last_note_interval: Duration,
) -> Ruling<Task> {
    if notes.triage_notes == 0 { first_task(edge, now) } else { next_task(notes, now, last_note_interval) }
}

/// Of a line which has triage notes ("Behaviour" 7).
fn next_task(notes: &Known, now: DateTime<Utc>, last_note_interval: Duration) -> Ruling<Task> {
    const RULE: &str = "triage.last_note";
    let Some(newest) = notes.newest else {
        return Err(Refusal::new(RULE, "no triage note has a readable date"));
    };
    let age = now - newest;
    if age <= TimeDelta::from_std(last_note_interval).unwrap_or(TimeDelta::MAX) {
        return Err(Refusal::new(RULE, format!("the newest triage note is {} s old", age.num_seconds())));
    }
    // What is written down was seen; a note's creation is later than the look at the events it tells of ("Improve" 6).
    // An event in the future comes from a wrong clock.
    let since = notes.told.map_or(newest, |told| told.min(newest));
    Ok(Task::TellEvents { since })
}

/// Of a line which has none ("Behaviour" 8).
fn first_task(edge: Option<&Seen>, now: DateTime<Utc>) -> Ruling<Task> {
    let Some(edge) = edge else {
        return Err(Refusal::new("triage.record", "it is not known how the edge is"));
    };
    match edge.outage() {
        None => Ok(Task::TellEvents { since: now - LAST_DAY }),
        Some(kind) if kind.is_documented_for(edge.primary) => Ok(Task::Document(kind)),
        Some(_) => Err(Refusal::new("triage.primary", "the primary of the pair documents the outage")),
    }
}

/// Whether a task still stands after a second look at the line right before writing ("Improve" 10): the outage mode or
/// another replica may have written meanwhile.
fn still(task: Task, again: Ruling<Task>) -> Ruling<()> {
    match (task, again?) {
        (Task::Document(_), Task::Document(_)) | (Task::TellEvents { .. }, Task::TellEvents { .. }) => Ok(()),
        _ => Err(Refusal::new("triage.second_look", "a note was written meanwhile")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        edges::{EdgeRecord, State},
        sample::{self, SERIAL, STANDBY},
    };

    const INTERVAL: Duration = Duration::from_secs(1_800);

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn triage(body: &str, created: &str) -> Note {
        sample::note(&format!("Triage (VeloCloud)\n\n{body}"), created)
    }

    /// The task of a line with these notes, whose edge is so.
    fn of(notes: &[Note], record: Option<&EdgeRecord>, now: DateTime<Utc>) -> Ruling<Task> {
        task(&facts(notes, record, now), INTERVAL)
    }

    fn facts(notes: &[Note], record: Option<&EdgeRecord>, now: DateTime<Utc>) -> Facts {
        Facts {
            ticket: 555.into(),
            line: 77.into(),
            notes: Known::of(notes),
            edge: record.map(Seen::of),
            now,
            news: None,
            again: None,
        }
    }

    fn next(notes: &[Note], now: &str) -> Ruling<Task> {
        of(notes, None, at(now))
    }

    fn rule<T: std::fmt::Debug>(ruling: Ruling<T>) -> &'static str {
        ruling.unwrap_err().rule
    }

    /// Spec "Examples" 3.
    #[test]
    fn a_note_of_30_minutes_age_is_recent_and_one_second_later_it_is_not() {
        let notes = [triage("Orchestrator", "2022-01-31T09:00:00.000-05:00")];
        assert_eq!(rule(next(&notes, "2022-01-31T14:00:00Z")), "triage.last_note");
        assert_eq!(rule(next(&notes, "2022-01-31T14:30:00Z")), "triage.last_note");
        let since = at("2022-01-31T14:00:00Z");
        assert_eq!(next(&notes, "2022-01-31T14:30:01Z"), Ok(Task::TellEvents { since }));
    }

    /// Spec "Improve" 5: clocks went back between the two notes.
    #[test]
    fn the_newest_note_is_found_by_instant() {
        let notes =
            [triage("later", "2022-11-06T01:10:00-05:00"), triage("earlier", "2022-11-06T01:50:00-04:00")];
        assert_eq!(rule(next(&notes, "2022-11-06T06:40:00Z")), "triage.last_note");
        assert_eq!(
            next(&notes, "2022-11-06T06:40:01Z"),
            Ok(Task::TellEvents { since: at("2022-11-06T06:10:00Z") })
        );
    }

    /// Spec "Improve" 6.
    #[test]
    fn the_look_up_starts_at_what_is_documented() {
        let created = "2022-01-31T09:05:00-05:00";
        for (body, since) in [
            ("Orchestrator", "2022-01-31T14:05:00Z"),
            ("Last GE1 Interface Offline: 2022-01-31 08:51:00-05:00", "2022-01-31T13:51:00Z"),
            (
                "Last Edge Online: Unknown\nTimestamp: 2022-01-31 09:04:58.000001-05:00",
                "2022-01-31T14:04:58.000001Z",
            ),
            (
                "New event: LINK_ALIVE\nDevice: Interface GE1\nEvent time: 2022-01-31 09:04:00-05:00\n\n\
                 New event: LINK_DEAD\nDevice: Interface GE1\nEvent time: 2022-01-31 09:00:00-05:00\n\n\
                 Timestamp: 2022-01-31 09:00:00-05:00",
                "2022-01-31T14:04:00Z",
            ),
            ("Last Edge Online: 2030-01-31 09:04:00-05:00", "2022-01-31T14:05:00Z"),
        ] {
            let since = at(since);
            assert_eq!(
                next(&[triage(body, created)], "2022-01-31T16:00:00Z"),
                Ok(Task::TellEvents { since }),
                "{body}"
            );
        }
    }

    #[test]
    fn without_a_readable_date_nothing_is_written_for_ever_more() {
        let note = Note { created: None, ..triage("x", "2022-01-31T14:00:00Z") };
        assert_eq!(rule(next(&[note], "2022-01-31T16:00:00Z")), "triage.last_note");
    }

    #[test]
    fn a_line_without_note_is_handled_by_the_state_of_its_edge() {
        let now = at("2022-01-31T15:00:00Z");
        let pair = |record: EdgeRecord, other: &str, state, primary| EdgeRecord {
            partner: Some(sample::partner(other, state)),
            primary,
            ..record
        };
        let (up, down) = (State::connected, State::offline);
        let day = Ok(Task::TellEvents { since: at("2022-01-30T15:00:00Z") });
        let document = |kind| Ok(Task::Document(kind));
        for (record, expected) in [
            (None, Err("triage.record")),
            (Some(sample::record(SERIAL)), day),
            (Some(sample::link_down(SERIAL)), document(OutageKind::LinkDown)),
            (Some(sample::offline(SERIAL)), document(OutageKind::HardDown)),
            (Some(pair(sample::link_down(SERIAL), STANDBY, up(), true)), document(OutageKind::HaLinkDown)),
            (Some(pair(sample::link_down(STANDBY), SERIAL, up(), false)), Err("triage.primary")),
            (Some(pair(sample::offline(SERIAL), STANDBY, down(), true)), document(OutageKind::HaHardDown)),
            // Spec "Examples" 4.
            (Some(pair(sample::offline(STANDBY), SERIAL, down(), false)), Err("triage.primary")),
            (Some(pair(sample::offline(STANDBY), SERIAL, up(), false)), document(OutageKind::HaSoftDown)),
        ] {
            let ruling = of(&[], record.as_ref(), now).map_err(|refusal| refusal.rule);
            assert_eq!(ruling, expected, "{record:?}");
        }
    }

    #[test]
    fn what_was_written_meanwhile_ends_the_task() {
        let (now, offline) = (at("2022-01-31T15:00:00Z"), sample::offline(SERIAL));
        let again = |notes: &[Note]| of(notes, Some(&offline), now);
        let document = again(&[]).unwrap();
        assert_eq!(still(document, again(&[])), Ok(()));
        assert_eq!(rule(still(document, again(&[triage("x", "2022-01-31T14:59:59Z")]))), "triage.last_note");
        assert_eq!(
            rule(still(document, again(&[triage("x", "2022-01-31T13:00:00Z")]))),
            "triage.second_look"
        );
        let tell = again(&[triage("x", "2022-01-31T13:00:00Z")]).unwrap();
        assert_eq!(rule(still(tell, again(&[]))), "triage.second_look");
    }

    #[test]
    fn notes_are_written_in_production_after_a_second_look() {
        let now = at("2022-01-31T15:00:00Z");
        let (production, dev) = (Environment("production".into()), Environment("dev".into()));
        let old = [triage("x", "2022-01-31T13:00:00Z")];
        let rule = |facts: &Facts, environment: &Environment| {
            let ruling = decide(facts, INTERVAL, environment);
            ruling.map(|next| matches!(next, Next::Act(_))).map_err(|refusal| refusal.rule)
        };
        let document = facts(&[], Some(&sample::offline(SERIAL)), now);
        let tell = facts(&old, None, now);
        let look = |notes: Option<&[Note]>, news| SecondLook { now, notes: notes.map(Known::of), news };
        for (name, facts, environment, expected) in [
            ("nothing is known of the line yet", document.clone(), &production, Ok(false)),
            ("not in production", document.clone(), &dev, Err("triage.environment")),
            (
                "still without note",
                Facts { again: Some(look(Some(&[]), None)), ..document.clone() },
                &production,
                Ok(true),
            ),
            (
                "the line is gone",
                Facts { again: Some(look(None, None)), ..document.clone() },
                &production,
                Err("triage.line"),
            ),
            (
                "written meanwhile",
                Facts { again: Some(look(Some(&old), None)), ..document },
                &production,
                Err("triage.second_look"),
            ),
            ("events are asked for", tell.clone(), &dev, Ok(false)),
            ("no news", Facts { news: Some(0), ..tell.clone() }, &dev, Err("triage.events")),
            ("news", Facts { news: Some(2), ..tell.clone() }, &dev, Err("triage.environment")),
            (
                "news are told meanwhile",
                Facts { news: Some(2), again: Some(look(Some(&old), Some(0))), ..tell.clone() },
                &production,
                Err("triage.events"),
            ),
            (
                "news are still news",
                Facts { news: Some(2), again: Some(look(Some(&old), Some(2))), ..tell },
                &production,
                Ok(true),
            ),
        ] {
            assert_eq!(rule(&facts, environment), expected, "{name}");
        }
    }
}
