//! The note which documents an outage (spec "Behaviour" 6, "Formats" 1).

use askama::Template;
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use contracts::{customer_cache::LinkConfiguration, id::Serial};
use serde::{Deserialize, Serialize};
use ticketing::{
    OutageKind, TicketDetails,
    note::{MARKER, REOPENING, TRIAGE},
    time,
};

use super::{Refusal, Ruling, creation::Title};
use crate::{
    edges::{Device, Link, MonitoredEdge, State},
    events::{self, Event, Happened},
    seen::{self, Covering},
};

/// What the rule looks at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// The device and its ticket.
    #[serde(flatten)]
    pub covering: Covering,
    /// What the note is about.
    pub title: Title,
    /// Whether triage has documented the new ticket already (spec triage, "Improve" 10).
    #[serde(default, skip_serializing_if = "seen::no")]
    pub documented: bool,
    /// The serial whose line gets the note: the device's own, or the first line's when the ticket has none of it
    /// (spec "Improve" 2).
    pub line: Option<Serial>,
}

/// Whether triage was quicker with the note of a new ticket. `own` are pages of ours, some of which may be there.
pub fn is_documented(details: &TicketDetails, serial: &Serial, own: &[String]) -> bool {
    let mut notes = details.notes_of(serial).into_iter();
    notes.any(|note| note.is_triage() && !own.iter().any(|page| note.says(page)))
}

/// The serial whose line gets the note, when the ticket has any line.
pub fn target(details: &TicketDetails, serial: &Serial) -> Option<Serial> {
    details.line(serial).or_else(|| details.lines.first()).and_then(|line| line.serial.clone())
}

/// The serial whose line is to get the note.
pub fn decide(facts: &Facts) -> Ruling<Serial> {
    if facts.documented {
        return Err(Refusal::new("documentation.once", "triage has documented the new ticket already"));
    }
    facts.line.clone().ok_or_else(|| Refusal::new("documentation.line", "the ticket has no line"))
}

#[derive(Template)]
#[template(path = "documentation.txt")]
struct Note<'a> {
    marker: &'static str,
    title: &'static str,
    headline: Option<&'static str>,
    host: &'a str,
    name: &'a str,
    base: String,
    edge_id: i64,
    both_down: bool,
    serial: &'a Serial,
    state: &'a State,
    online: String,
    offline: String,
    standby: Option<Standby<'a>>,
    links: Vec<LinkBlock<'a>>,
}

struct Standby<'a> {
    serial: &'a Serial,
    status: String,
    timestamp: Option<String>,
}

struct LinkBlock<'a> {
    interface: &'a str,
    label: &'a str,
    ip: &'a str,
    kind: String,
    state: &'a str,
    online: String,
    offline: String,
}

/// The text of the note, not yet cut into pages. `events` are newest first.
pub fn text(
    title: Title,
    kind: Option<OutageKind>,
    device: &Device,
    events: &[Event],
    now: DateTime<Utc>,
    zone: Tz,
) -> String {
    let record = &device.record;
    let identity = &device.edge.identity;
    let since = |happened: &Happened| {
        events::latest(events, happened).map_or_else(|| "Unknown".to_owned(), |at| time::stamp(at, zone))
    };
    // The pair of an HA outage: the primary first, whichever member the record is.
    let pair = record.partner.as_ref().filter(|_| kind.is_some_and(OutageKind::is_ha)).map(|partner| {
        let own = (&record.serial, &record.state);
        let other = (&partner.serial, &partner.state);
        if record.primary { (own, other) } else { (other, own) }
    });
    let (serial, state) = pair.map_or((&record.serial, &record.state), |(primary, _)| primary);
    let note = Note {
        marker: MARKER,
        title: match title {
            Title::Triage => TRIAGE,
            Title::Reopening => REOPENING,
        },
        headline: match kind {
            Some(OutageKind::HaSoftDown) => Some("High Availability - Edge Offline"),
            Some(OutageKind::HaHardDown) => Some("High Availability - Location Offline"),
            _ => None,
        },
        host: &identity.host,
        name: or_none(record.name.as_ref()),
        base: format!("https://{}/#!/operator/customer/{}/monitor", identity.host, identity.enterprise_id),
        edge_id: identity.edge_id,
        both_down: kind == Some(OutageKind::HaHardDown),
        serial,
        state,
        online: since(&Happened::EdgeUp),
        offline: since(&Happened::EdgeDown),
        standby: pair.map(|(_, (serial, state))| Standby {
            serial,
            status: if state.is_connected() { "STANDBY READY".to_owned() } else { state.to_string() },
            timestamp: state.is_offline().then(|| time::stamp(now, zone)),
        }),
        links: record.links.iter().map(|link| link_block(link, &device.edge, since)).collect(),
    };
    note.render().unwrap_or_default().trim().to_owned()
}

fn link_block<'a>(
    link: &'a Link,
    edge: &MonitoredEdge,
    since: impl Fn(&Happened) -> String,
) -> LinkBlock<'a> {
    let interface = link.interface.as_deref();
    let last = |happened: fn(String) -> Happened| {
        interface.map_or_else(|| "Unknown".to_owned(), |name| since(&happened(name.to_owned())))
    };
    LinkBlock {
        interface: interface.unwrap_or("None"),
        label: or_none(link.label.as_ref()),
        ip: or_none(link.ip.as_ref()),
        kind: interface
            .and_then(|name| edge.configuration_of(name))
            .map_or_else(|| "Unknown".to_owned(), link_type),
        state: or_none(link.state.as_ref()),
        online: last(Happened::LinkAlive),
        offline: last(Happened::LinkDead),
    }
}

/// E.g. `Public Wired`.
fn link_type(entry: &LinkConfiguration) -> String {
    let words: Vec<String> =
        [&entry.mode, &entry.kind].into_iter().flatten().map(|word| capitalized(word)).collect();
    if words.is_empty() { "Unknown".to_owned() } else { words.join(" ") }
}

fn capitalized(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters.flat_map(char::to_lowercase)).collect()
    })
}

/// Null values print as `None`.
fn or_none(text: Option<&String>) -> &str {
    text.map_or("None", String::as_str)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{edges::EdgeRecord, sample};

    fn device(record: EdgeRecord) -> Device {
        Device { edge: Arc::new(sample::edge(sample::SERIAL)), record }
    }

    fn render(title: Title, record: EdgeRecord, events: &[Event]) -> String {
        let device = device(record);
        let now = "2022-01-31T15:03:12.004512Z".parse().unwrap();
        text(title, device.record.outage(), &device, events, now, Tz::US__Eastern)
    }

    fn event(happened: Happened, at: &str) -> Event {
        Event { at: at.parse().unwrap(), happened }
    }

    /// A standby that is offline while its primary is connected.
    fn soft_down() -> EdgeRecord {
        EdgeRecord {
            partner: Some(sample::partner(sample::SERIAL, State::connected())),
            ..sample::offline(sample::STANDBY)
        }
    }

    /// Spec "Examples" 2.
    #[test]
    fn a_link_down_by_day() {
        let events = [
            event(Happened::LinkDead("GE1".into()), "2022-01-31T14:51:00Z"),
            event(Happened::LinkDead("GE1".into()), "2022-01-30T14:51:00Z"),
            event(Happened::EdgeUp, "2022-01-30T09:00:00Z"),
        ];
        let note = render(Title::Triage, sample::link_down(sample::SERIAL), &events);
        assert_eq!(
            note,
            "#*MetTel's IPA*#\nTriage (VeloCloud)\n\nOrchestrator Instance: vco1.example.net\nEdge Name: Store 7\n\
             Links: [Edge|https://vco1.example.net/#!/operator/customer/12/monitor/edge/345/] - \
             [QoE|https://vco1.example.net/#!/operator/customer/12/monitor/edge/345/qoe/] - \
             [Transport|https://vco1.example.net/#!/operator/customer/12/monitor/edge/345/links/] - \
             [Events|https://vco1.example.net/#!/operator/customer/12/monitor/events/]\n\n\
             Serial: VC1234567\nEdge Status: CONNECTED\nLast Edge Online: 2022-01-30 04:00:00-05:00\n\
             Last Edge Offline: Unknown\n\nInterface GE1\nInterface GE1 Label: ACME Cable\n\
             Interface GE1 IP Address: 192.0.2.7\nInterface GE1 Type: Public Wired\n\
             Interface GE1 Status: DISCONNECTED\nLast GE1 Interface Online: Unknown\n\
             Last GE1 Interface Offline: 2022-01-31 09:51:00-05:00"
        );
    }

    /// Spec "Examples" 12: record = standby.
    #[test]
    fn an_ha_soft_down() {
        insta::assert_snapshot!(render(Title::Triage, soft_down(), &[]));
    }

    #[test]
    fn an_ha_hard_down() {
        let record = EdgeRecord {
            partner: Some(sample::partner(sample::STANDBY, State::offline())),
            primary: true,
            ..sample::offline(sample::SERIAL)
        };
        insta::assert_snapshot!(render(
            Title::Triage,
            record,
            &[event(Happened::EdgeDown, "2022-07-31T14:00:00.5Z")]
        ));
    }

    #[test]
    fn an_ha_link_down_with_a_ready_standby_and_a_second_link() {
        let mut record = EdgeRecord {
            partner: Some(sample::partner(sample::STANDBY, State::connected())),
            primary: true,
            ..sample::link_down(sample::SERIAL)
        };
        record.links.push(Link { state: Some("STABLE".into()), ..Link::default() });
        record.links.push(Link { interface: Some("SFP1".into()), ..sample::link("SFP1", "STABLE") });
        insta::assert_snapshot!(render(Title::Reopening, record, &[]));
    }

    #[test]
    fn a_primary_with_a_kind_of_its_own_shows_no_partner_outside_ha_kinds() {
        let note = render(Title::Triage, sample::offline(sample::SERIAL), &[]);
        assert!(!note.contains("HA Role"));
        assert!(note.ends_with("Last GE1 Interface Offline: Unknown"));
    }

    #[test]
    fn a_null_name_prints_as_none_and_no_links_leave_no_trailing_lines() {
        let note =
            render(Title::Triage, EdgeRecord { name: None, links: vec![], ..sample::offline("VC1") }, &[]);
        assert!(note.contains("\nEdge Name: None\n"));
        assert!(note.ends_with("Last Edge Offline: Unknown"));
    }

    #[test]
    fn the_note_belongs_to_the_serials_own_line_or_else_to_the_first() {
        let both = sample::details(vec![sample::line(1, "VC2", "I"), sample::line(2, "VC1", "I")], vec![]);
        assert_eq!(target(&both, &Serial::from("VC1")), Some(Serial::from("VC1")));
        assert_eq!(target(&both, &Serial::from("VC3")), Some(Serial::from("VC2")));
        assert_eq!(target(&TicketDetails::default(), &Serial::from("VC1")), None);
    }

    #[test]
    fn a_new_ticket_is_documented_once() {
        let serial = Serial::from(sample::SERIAL);
        let with = |body| sample::details(vec![], vec![sample::note(body, "2022-01-31T15:00:00Z")]);
        assert!(!is_documented(&TicketDetails::default(), &serial, &[]));
        assert!(!is_documented(&with("Re-opening ticket."), &serial, &[]));
        assert!(!is_documented(&with("Triage (VeloCloud)"), &Serial::from("VC0000000"), &[]));
        assert!(is_documented(&with("Triage (VeloCloud)"), &serial, &[]));
        let own = [format!("{MARKER}\nTriage (VeloCloud)")];
        assert!(!is_documented(&with("Triage (VeloCloud)"), &serial, &own));
    }

    #[test]
    fn a_note_needs_a_line_and_is_written_once() {
        let covering = Covering {
            edge: seen::Seen::of(&sample::offline(sample::SERIAL)),
            kind: OutageKind::HardDown,
            ticket: crate::rules::creation::Creation::New,
        };
        let facts = |documented, line: Option<&str>| Facts {
            covering: covering.clone(),
            title: Title::Triage,
            documented,
            line: line.map(Serial::from),
        };
        let rule = |facts| decide(&facts).map_err(|refusal| refusal.rule);
        assert_eq!(rule(facts(false, Some("VC1"))), Ok(Serial::from("VC1")));
        assert_eq!(rule(facts(false, None)), Err("documentation.line"));
        assert_eq!(rule(facts(true, Some("VC1"))), Err("documentation.once"));
    }

    #[test]
    fn link_types_are_capitalised() {
        let entry = |mode: Option<&str>, kind: Option<&str>| LinkConfiguration {
            interfaces: vec![],
            mode: mode.map(str::to_owned),
            kind: kind.map(str::to_owned),
        };
        assert_eq!(link_type(&entry(Some("PRIVATE"), Some("WIRELESS"))), "Private Wireless");
        assert_eq!(link_type(&entry(None, Some("wired"))), "Wired");
        assert_eq!(link_type(&entry(None, None)), "Unknown");
    }
}
