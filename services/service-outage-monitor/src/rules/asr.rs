//! Which lines are forwarded to ASR (spec "Behaviour" 9).

use std::net::IpAddr;

use askama::Template;
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use contracts::id::Serial;
use serde::{Deserialize, Serialize};
use ticketing::{TicketDetails, WorkQueue, note, note::MARKER, time};

use super::{Next, Refusal, Ruling};
use crate::{
    edges::{Device, Link},
    seen::{self, Covering},
};

/// The settings of this rule.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Links whose label contains one of these never go to ASR.
    pub blacklisted_labels: Vec<String>,
    /// Whether a line may be forwarded again after it was re-opened.
    pub again_after_reopening: bool,
}

/// What the rule looks at, as far as it is needed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// The device and its ticket.
    #[serde(flatten)]
    pub covering: Covering,
    /// The wired links that are disconnected.
    pub wired: Vec<Wired>,
    /// What the ticket tells, when it was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<History>,
}

/// A wired link as far as the rule needs it: of a label that is an address only that it is one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wired {
    /// The interface.
    pub interface: Option<String>,
    /// The label people gave it, unless it is an address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Whether the label is an address.
    #[serde(default, skip_serializing_if = "seen::no")]
    pub address: bool,
}

impl Wired {
    fn of(link: &Link) -> Self {
        let address = link.label.as_deref().is_some_and(|label| label.parse::<IpAddr>().is_ok());
        let label = link.label.clone().filter(|_| !address);
        Self { interface: link.interface.clone(), label, address }
    }

    /// A link without label has no blacklisted word in it.
    fn is_excluded(&self, settings: &Settings) -> bool {
        let blacklisted = |label: &str| settings.blacklisted_labels.iter().any(|word| label.contains(word));
        self.address || self.label.as_deref().is_some_and(blacklisted)
    }
}

/// What a ticket tells of forwards to ASR.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// Whether it has a line of the serial.
    pub has_line: bool,
    /// Whether the line was ever forwarded.
    #[serde(default, skip_serializing_if = "seen::no")]
    pub forwarded: bool,
    /// Whether it was forwarded since it was last re-opened.
    #[serde(default, skip_serializing_if = "seen::no")]
    pub since_reopening: bool,
}

impl History {
    /// What `details` tell of `serial`.
    pub fn of(details: &TicketDetails, serial: &Serial) -> Self {
        let notes = details.notes_of(serial);
        Self {
            has_line: details.line(serial).is_some(),
            forwarded: notes.iter().any(|note| note.is_asr_forward()),
            since_reopening: note::since_last_reopening(&notes).iter().any(|note| note.is_asr_forward()),
        }
    }
}

/// The wired links of a device that are disconnected.
pub fn wired(device: &Device) -> Vec<Wired> {
    down_wired(device).map(Wired::of).collect()
}

fn down_wired(device: &Device) -> impl Iterator<Item = &Link> {
    device.record.down_links().filter(|link| is_wired(device, link))
}

/// The wired links that are disconnected and may go to ASR.
pub fn links<'a>(device: &'a Device, settings: &Settings) -> Vec<&'a Link> {
    down_wired(device).filter(|link| !Wired::of(link).is_excluded(settings)).collect()
}

/// Whether the line is to be forwarded.
pub fn decide(facts: &Facts, settings: &Settings) -> Ruling<Next<()>> {
    if facts.covering.edge.state.is_offline() {
        return Err(Refusal::new("asr.edge_offline", "the edge is offline"));
    }
    if facts.wired.is_empty() {
        return Err(Refusal::new("asr.wired", "no wired link is disconnected"));
    }
    if facts.wired.iter().all(|link| link.is_excluded(settings)) {
        return Err(Refusal::new("asr.label", "the labels of the wired links are blacklisted or addresses"));
    }
    let Some(history) = facts.history else { return Ok(Next::Ask) };
    if !history.has_line {
        return Err(Refusal::new("asr.line", "the ticket has no line of the serial"));
    }
    let before = if settings.again_after_reopening { history.since_reopening } else { history.forwarded };
    if before {
        return Err(Refusal::new("asr.once", "a note says that the line was forwarded before"));
    }
    Ok(Next::Act(()))
}

fn is_wired(device: &Device, link: &Link) -> bool {
    link.interface
        .as_deref()
        .and_then(|interface| device.edge.configuration_of(interface))
        .is_some_and(|entry| entry.kind.as_deref() == Some("WIRED"))
}

#[derive(Template)]
#[template(path = "asr_forward.txt")]
struct AsrNote<'a> {
    marker: &'static str,
    links: Vec<LinkText<'a>>,
    task: &'static str,
    at: String,
}

struct LinkText<'a> {
    interface: &'a str,
    label: &'a str,
    state: &'a str,
}

/// The note which says that the line was forwarded.
pub fn note_text(links: &[&Link], now: DateTime<Utc>, zone: Tz) -> String {
    fn or_none(text: Option<&String>) -> &str {
        text.map_or("None", String::as_str)
    }
    let links = links.iter().map(|link| LinkText {
        interface: or_none(link.interface.as_ref()),
        label: or_none(link.label.as_ref()),
        state: or_none(link.state.as_ref()),
    });
    let note = AsrNote {
        marker: MARKER,
        links: links.collect(),
        task: WorkQueue::CarrierIssue.leads_to(),
        at: time::stamp(now, zone),
    };
    note.render().unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{edges::EdgeRecord, sample};
    use contracts::customer_cache::LinkConfiguration;

    fn settings() -> Settings {
        Settings {
            blacklisted_labels: ["BYOB", "Customer Owned", "customer owned", "PIAB"]
                .map(str::to_owned)
                .to_vec(),
            again_after_reopening: false,
        }
    }

    fn device(record: EdgeRecord) -> Device {
        Device { edge: Arc::new(sample::edge(sample::SERIAL)), record }
    }

    fn labelled(label: Option<&str>) -> Device {
        let mut record = sample::link_down(sample::SERIAL);
        record.links[0].label = label.map(str::to_owned);
        device(record)
    }

    /// Which rule stops the forward, after or before a look at the ticket.
    fn stopped_by(
        device: &Device,
        details: Option<&TicketDetails>,
        settings: &Settings,
    ) -> Option<&'static str> {
        let covering = Covering {
            edge: seen::Seen::of(&device.record),
            kind: ticketing::OutageKind::LinkDown,
            ticket: crate::rules::creation::Creation::InProgress,
        };
        let history = details.map(|details| History::of(details, device.serial()));
        let ruling = decide(&Facts { covering, wired: wired(device), history }, settings);
        ruling.err().map(|refusal| refusal.rule)
    }

    #[test]
    fn labels_decide_about_wired_links() {
        for (label, expected) in [
            (Some("ACME Cable"), None),
            (None, None),
            (Some("ACME byob"), None),
            (Some("ACME 192.0.2.7"), None),
            (Some("ACME BYOB"), Some("asr.label")),
            (Some("Customer Owned line"), Some("asr.label")),
            (Some("x customer owned"), Some("asr.label")),
            (Some("PIABs"), Some("asr.label")),
            (Some("192.0.2.7"), Some("asr.label")),
            (Some("2001:db8::1"), Some("asr.label")),
        ] {
            assert_eq!(stopped_by(&labelled(label), None, &settings()), expected, "{label:?}");
        }
    }

    #[test]
    fn the_edge_must_be_online_and_a_wired_link_disconnected() {
        let mut offline = sample::offline(sample::SERIAL);
        offline.links = vec![sample::link("GE1", "DISCONNECTED")];
        assert_eq!(stopped_by(&device(offline), None, &settings()), Some("asr.edge_offline"));
        assert_eq!(stopped_by(&device(sample::record("VC1")), None, &settings()), Some("asr.wired"));
        for interface in [Some("GE9"), None] {
            let mut record = sample::link_down("VC1");
            record.links[0].interface = interface.map(str::to_owned);
            assert_eq!(stopped_by(&device(record), None, &settings()), Some("asr.wired"), "{interface:?}");
        }
    }

    #[test]
    fn the_first_configuration_entry_of_an_interface_decides() {
        let mut edge = sample::edge("VC1");
        let wireless =
            LinkConfiguration { interfaces: vec!["GE1".into()], mode: None, kind: Some("WIRELESS".into()) };
        edge.links_configuration.insert(0, wireless);
        let device = Device { edge: Arc::new(edge), record: sample::link_down("VC1") };
        assert_eq!(stopped_by(&device, None, &settings()), Some("asr.wired"));
    }

    #[test]
    fn a_line_is_forwarded_once_for_ever_or_once_after_each_reopening() {
        let device = device(sample::link_down(sample::SERIAL));
        let forwarded = sample::note("Moving task to: ASR Investigate", "2022-01-31T10:00:00-05:00");
        let reopened = sample::note("Re-opening ticket.", "2022-01-31T11:00:00-05:00");
        let mut others = forwarded.clone();
        others.serials = vec![Serial::from("VC2")];
        let again = Settings { again_after_reopening: true, ..settings() };
        let line_of = |notes| sample::details(vec![sample::line(77, sample::SERIAL, "I")], notes);
        for (notes, settings, expected) in [
            (vec![], settings(), None),
            (vec![others], settings(), None),
            (vec![forwarded.clone()], settings(), Some("asr.once")),
            (vec![forwarded.clone(), reopened.clone()], settings(), Some("asr.once")),
            (vec![forwarded.clone(), reopened], again.clone(), None),
            (vec![forwarded], again, Some("asr.once")),
        ] {
            assert_eq!(stopped_by(&device, Some(&line_of(notes)), &settings), expected);
        }
        assert_eq!(stopped_by(&device, Some(&TicketDetails::default()), &settings()), Some("asr.line"));
    }

    /// Spec "Examples" 4.
    #[test]
    fn the_note() {
        let device = device(sample::link_down(sample::SERIAL));
        let links = links(&device, &settings());
        let text = note_text(&links, "2022-01-31T15:13:20.000123Z".parse().unwrap(), Tz::US__Eastern);
        assert_eq!(
            text,
            "#*MetTel's IPA*#\nStatus of Wired Link GE1 (ACME Cable) is DISCONNECTED.\n\
             Moving task to: ASR Investigate\nTimeStamp: 2022-01-31 10:13:20.000123-05:00"
        );
    }
}
