//! Which events the notes of a line tell of already (spec "Improve" 6).
//!
//! The notes in Bruin are the only memory of what was written, so they are read back: notes of events name each event;
//! an initial triage note names the newest one of each kind.

use std::collections::HashSet;

use chrono::{DateTime, SubsecRound, Utc};
use chrono_tz::Tz;
use ticketing::{Note, time};

/// An event as notes show it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Told {
    /// Its name, e.g. `LINK_DEAD`.
    pub event: String,
    /// `Edge` or `Interface GE1`.
    pub device: String,
    /// When, to the microsecond, as notes show it.
    pub at: DateTime<Utc>,
}

impl Told {
    /// As it stands in a note.
    pub fn new(event: impl Into<String>, device: impl Into<String>, at: DateTime<Utc>) -> Self {
        Self { event: event.into(), device: device.into(), at: at.trunc_subsecs(6) }
    }
}

/// What notes tell.
#[derive(Debug, Default)]
pub struct Documented {
    events: HashSet<Told>,
    latest: Option<DateTime<Utc>>,
}

impl Documented {
    /// What these notes tell.
    pub fn by(notes: &[Note]) -> Self {
        let mut documented = Self::default();
        for note in notes {
            documented.read(&note.text);
        }
        documented
    }

    /// The latest moment up to which the notes show events.
    pub fn latest(&self) -> Option<DateTime<Utc>> {
        self.latest
    }

    /// Whether the notes tell of this event.
    pub fn has(&self, event: &Told) -> bool {
        self.events.contains(event)
    }

    fn read(&mut self, text: &str) {
        let (mut event, mut device) = ("", "");
        for line in text.lines() {
            if let Some(name) = line.strip_prefix("New event: ") {
                event = name;
            } else if let Some(name) = line.strip_prefix("Device: ") {
                device = name;
            } else if let Some(at) = line.strip_prefix("Event time: ") {
                self.add(at, Some((event, device)));
            } else if let Some(at) = line.strip_prefix("Timestamp: ") {
                self.add(at, None);
            } else if let Some(rest) = line.strip_prefix("Last ") {
                self.read_last(rest);
            }
        }
    }

    /// `Edge Online: {T}` or `GE1 Interface Offline: {T}`, as in an initial note.
    fn read_last(&mut self, line: &str) {
        let Some((what, at)) = line.split_once(": ") else { return };
        match what.rsplit_once(' ') {
            Some(("Edge", "Online")) => self.add(at, Some(("EDGE_UP", "Edge"))),
            Some(("Edge", "Offline")) => self.add(at, Some(("EDGE_DOWN", "Edge"))),
            Some((link, state)) => {
                let Some(interface) = link.strip_suffix(" Interface") else { return };
                let event = match state {
                    "Online" => "LINK_ALIVE",
                    "Offline" => "LINK_DEAD",
                    _ => return,
                };
                self.add(at, Some((event, &format!("Interface {interface}"))));
            }
            None => {}
        }
    }

    /// A moment that a note shows, perhaps that of an event. `Unknown` is none.
    fn add(&mut self, at: &str, event: Option<(&str, &str)>) {
        let Some(at) = time::read(at, Tz::UTC) else { return };
        self.latest = self.latest.max(Some(at));
        if let Some((event, device)) = event {
            self.events.insert(Told::new(event, device, at));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        edges::Device,
        events::{Event, Happened},
        rules::{creation::Title, documentation},
        sample,
    };

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn note(text: &str) -> Note {
        Note { text: text.to_owned(), serials: vec![], created: None }
    }

    #[test]
    fn an_initial_note_tells_of_the_newest_event_of_each_kind() {
        let event = |happened, time: &str| Event { at: at(time), happened };
        let events = [
            event(Happened::LinkDead("GE1".into()), "2022-01-31T14:51:00.5Z"),
            event(Happened::LinkAlive("GE1".into()), "2022-01-31T14:00:00Z"),
            event(Happened::EdgeUp, "2022-01-30T09:00:00Z"),
            event(Happened::EdgeDown, "2022-01-30T08:00:00Z"),
            event(Happened::LinkDead("GE1".into()), "2022-01-29T00:00:00Z"),
        ];
        let device = Device { edge: sample::edge("VC1").into(), record: sample::link_down("VC1") };
        let kind = device.record.outage();
        let now = at("2022-01-31T15:00:00Z");
        let text = documentation::text(Title::Triage, kind, &device, &events, now, Tz::US__Eastern);
        let documented = Documented::by(&[note(&text)]);
        assert_eq!(documented.latest(), Some(at("2022-01-31T14:51:00.5Z")));
        for (event, device, time, told) in [
            ("LINK_DEAD", "Interface GE1", "2022-01-31T14:51:00.5Z", true),
            ("LINK_ALIVE", "Interface GE1", "2022-01-31T14:00:00Z", true),
            ("EDGE_UP", "Edge", "2022-01-30T09:00:00Z", true),
            ("EDGE_DOWN", "Edge", "2022-01-30T08:00:00Z", true),
            ("LINK_DEAD", "Interface GE1", "2022-01-29T00:00:00Z", false),
            ("LINK_DEAD", "Interface GE2", "2022-01-31T14:51:00.5Z", false),
        ] {
            assert_eq!(documented.has(&Told::new(event, device, at(time))), told, "{event} {device} {time}");
        }
    }

    #[test]
    fn the_moment_at_which_a_standby_was_seen_offline_counts_but_is_no_event() {
        let documented =
            Documented::by(&[note("Last Edge Online: Unknown\nTimestamp: 2022-01-31 10:03:12.004512-05:00")]);
        assert_eq!(documented.latest(), Some(at("2022-01-31T15:03:12.004512Z")));
        assert!(documented.events.is_empty());
    }

    #[test]
    fn texts_of_people_and_unknown_moments_tell_nothing() {
        let text = "Last call: 2022-01-31 10:00:00\nLast Edge Online: Unknown\nLast \nEvent time: soon\nTimestamp:\n\
                    Last GE1 Interface Restored: 2022-01-31 10:00:00-05:00";
        let documented = Documented::by(&[note(text)]);
        assert_eq!((documented.latest(), documented.events.len()), (None, 0));
        assert_eq!(Documented::by(&[]).latest(), None);
    }
}
