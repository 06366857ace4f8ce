//! Notes of events: which events are new, how they are spread over notes, and the text (spec "Behaviour" 9, "Formats").

use askama::Template;
use chrono::{DateTime, SubsecRound, Utc};
use chrono_tz::Tz;
use contracts::velocloud;
use ticketing::{
    note::{MARKER, TRIAGE},
    paging::PAGE_LIMIT,
    time,
};

use super::documented::{Documented, Told};
use crate::events;

/// Names of events and interfaces are cut to so many characters: then any one event fits into a note.
const NAME_LIMIT: usize = 120;

/// The events since a moment of which no note tells yet, newest first by instant. An event without readable time cannot
/// be told, nor ordered.
pub fn news(events: &[velocloud::Event], since: DateTime<Utc>, documented: &Documented) -> Vec<Told> {
    let mut news: Vec<Told> = events
        .iter()
        .filter_map(|event| {
            let at = time::read(event.event_time.as_deref()?, Tz::UTC)?;
            Some(Told::new(name(event.event.as_deref().unwrap_or("None")), device(event), at))
        })
        .filter(|event| event.at >= since.trunc_subsecs(6) && !documented.has(event))
        .collect();
    news.sort_by_key(|event| std::cmp::Reverse(event.at));
    news
}

/// `Edge`, or the interface that the message names.
fn device(event: &velocloud::Event) -> String {
    if event.category.as_deref() == Some("EDGE") {
        return "Edge".to_owned();
    }
    let message = event.message.as_deref().unwrap_or_default();
    let interface = events::interface(message).or_else(|| raw_interface(message)).unwrap_or("Unknown");
    format!("Interface {}", name(interface))
}

/// What stands in an interface's place in a message of unknown shape ("Improve" 3).
fn raw_interface(message: &str) -> Option<&str> {
    let rest = ["Interface ", "Link "].iter().find_map(|before| message.strip_prefix(before))?;
    let (interface, _) = rest.split_once(" is ")?;
    let interface = interface.trim();
    (!interface.is_empty()).then_some(interface)
}

/// A name of a third party on one line of reasonable length.
fn name(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(NAME_LIMIT)
        .collect::<String>()
        .trim()
        .to_owned()
}

/// The notes that tell of `news` (newest first), in the order in which they are appended: oldest first, so that what was
/// written when one fails is complete up to a moment ("Improve" 6). A note has at most `max_events` events and stays
/// below 1,500 characters ("Improve" 9).
pub fn notes(news: &[Told], max_events: usize, zone: Tz) -> Vec<String> {
    let mut notes = Vec::new();
    let mut rest = news;
    while !rest.is_empty() {
        let (mut split, mut note) = (rest.len() - 1, String::new());
        for from in (0..rest.len()).rev().take(max_events.max(1)) {
            let (_, chunk) = rest.split_at(from);
            let longer = text(chunk, zone);
            if !note.is_empty() && longer.chars().count() >= PAGE_LIMIT {
                break;
            }
            (split, note) = (from, longer);
        }
        notes.push(note);
        (rest, _) = rest.split_at(split);
    }
    notes
}

#[derive(Template)]
#[template(path = "events.txt")]
struct Note<'a> {
    marker: &'static str,
    title: &'static str,
    events: Vec<Line<'a>>,
    timestamp: String,
}

struct Line<'a> {
    name: &'a str,
    device: &'a str,
    time: String,
}

/// The note of some events, newest first.
fn text(events: &[Told], zone: Tz) -> String {
    let lines = events.iter().map(|event| Line {
        name: &event.event,
        device: &event.device,
        time: time::stamp(event.at, zone),
    });
    let timestamp = events.last().map(|oldest| time::stamp(oldest.at, zone)).unwrap_or_default();
    let note = Note { marker: MARKER, title: TRIAGE, events: lines.collect(), timestamp };
    note.render().unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
#[path = "events_note_tests.rs"]
mod tests;
