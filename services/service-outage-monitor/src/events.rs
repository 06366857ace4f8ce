//! What happened to an edge and its links, from VeloCloud's events.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use contracts::velocloud;

/// What an event is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happened {
    /// The edge came up.
    EdgeUp,
    /// The edge went down.
    EdgeDown,
    /// The link on this interface came up.
    LinkAlive(String),
    /// The link on this interface went down.
    LinkDead(String),
}

/// An event with its instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// When.
    pub at: DateTime<Utc>,
    /// What.
    pub happened: Happened,
}

/// The names of the events asked for.
pub const FILTER: [&str; 4] = ["EDGE_UP", "EDGE_DOWN", "LINK_ALIVE", "LINK_DEAD"];

/// The events that can be understood, newest first by instant. Others (no readable time, a message of an unknown
/// shape) are left out (spec "Improve" 6, 10).
pub fn newest_first(events: &[velocloud::Event], assumed: Tz) -> Vec<Event> {
    let mut known: Vec<Event> = events
        .iter()
        .filter_map(|event| {
            let at = ticketing::time::read(event.event_time.as_deref()?, assumed)?;
            let link = || interface(event.message.as_deref()?).map(str::to_owned);
            let happened = match event.event.as_deref()? {
                "EDGE_UP" => Happened::EdgeUp,
                "EDGE_DOWN" => Happened::EdgeDown,
                "LINK_ALIVE" => Happened::LinkAlive(link()?),
                "LINK_DEAD" => Happened::LinkDead(link()?),
                _ => return None,
            };
            Some(Event { at, happened })
        })
        .collect();
    known.sort_by_key(|event| std::cmp::Reverse(event.at));
    known
}

/// The instant of the newest of `events` (newest first) that is `wanted`.
pub fn latest(events: &[Event], wanted: &Happened) -> Option<DateTime<Utc>> {
    events.iter().find(|event| event.happened == *wanted).map(|event| event.at)
}

/// The interface which an event's message names. The whole message must have a known shape; names may also have `-`
/// and `_` (spec "Improve" 6).
pub fn interface(message: &str) -> Option<&str> {
    const SHAPES: [(&str, &str); 4] = [
        ("Interface ", " is up"),
        ("Interface ", " is down"),
        ("Link ", " is no longer DEAD"),
        ("Link ", " is now DEAD"),
    ];
    SHAPES
        .iter()
        .filter_map(|(before, after)| message.strip_prefix(before)?.strip_suffix(after))
        .find(|name| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(name: &str, at: &str, message: &str) -> velocloud::Event {
        velocloud::Event {
            event: Some(name.into()),
            event_time: Some(at.into()),
            message: Some(message.into()),
            ..velocloud::Event::default()
        }
    }

    #[test]
    fn the_interface_is_read_from_four_shapes_of_message() {
        for (message, expected) in [
            ("Interface GE1 is up", Some("GE1")),
            ("Interface GE1 is down", Some("GE1")),
            ("Link SFP2 is no longer DEAD", Some("SFP2")),
            ("Link INTERNET3 is now DEAD", Some("INTERNET3")),
            ("Link USB-1 is now DEAD", Some("USB-1")),
            ("Link GE1 is now DEAD!", None),
            ("The Link GE1 is now DEAD", None),
            ("Link GE1 GE2 is now DEAD", None),
            ("Link  is now DEAD", None),
            ("Edge up", None),
            ("", None),
        ] {
            assert_eq!(interface(message), expected, "{message}");
        }
    }

    #[test]
    fn events_are_ordered_by_instant_and_strange_ones_left_out() {
        let events = newest_first(
            &[
                event("LINK_DEAD", "2022-01-31T14:51:00.000Z", "Link GE1 is now DEAD"),
                event("LINK_ALIVE", "2022-01-31T10:20:00.000-05:00", "Link GE1 is no longer DEAD"),
                event("LINK_DEAD", "2022-01-31T16:00:00.000Z", "something new"),
                event("EDGE_UP", "not a time", "Edge up"),
                event("EDGE_NEW", "2022-01-31T16:00:00.000Z", "x"),
                velocloud::Event::default(),
            ],
            Tz::UTC,
        );
        let names: Vec<_> = events.iter().map(|event| event.happened.clone()).collect();
        assert_eq!(names, [Happened::LinkAlive("GE1".into()), Happened::LinkDead("GE1".into())]);
        assert_eq!(
            latest(&events, &Happened::LinkDead("GE1".into())),
            Some("2022-01-31T14:51:00Z".parse().unwrap())
        );
        assert_eq!(latest(&events, &Happened::EdgeUp), None);
    }
}
