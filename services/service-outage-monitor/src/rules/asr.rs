//! Which lines are forwarded to ASR (spec "Behaviour" 9).

use std::net::IpAddr;

use askama::Template;
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use ticketing::{Line, TicketDetails, WorkQueue, note, note::MARKER, time};

use super::{Refusal, Ruling};
use crate::edges::{Device, Link};

/// The settings of this rule.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Links whose label contains one of these never go to ASR.
    pub blacklisted_labels: Vec<String>,
    /// Whether a line may be forwarded again after it was re-opened.
    pub again_after_reopening: bool,
}

/// The wired links that are down and may go to ASR.
pub fn links<'a>(device: &'a Device, settings: &Settings) -> Ruling<Vec<&'a Link>> {
    if device.record.state.is_offline() {
        return Err(Refusal::new("asr.edge_offline", "the edge is offline"));
    }
    let wired: Vec<&Link> = device.record.down_links().filter(|link| is_wired(device, link)).collect();
    if wired.is_empty() {
        return Err(Refusal::new("asr.wired", "no wired link is disconnected"));
    }
    let left: Vec<&Link> = wired.into_iter().filter(|link| !is_excluded(link, settings)).collect();
    if left.is_empty() {
        return Err(Refusal::new("asr.label", "the labels of the wired links are blacklisted or addresses"));
    }
    Ok(left)
}

fn is_wired(device: &Device, link: &Link) -> bool {
    link.interface
        .as_deref()
        .and_then(|interface| device.edge.configuration_of(interface))
        .is_some_and(|entry| entry.kind.as_deref() == Some("WIRED"))
}

/// A link without label has no blacklisted word in it.
fn is_excluded(link: &Link, settings: &Settings) -> bool {
    link.label.as_deref().is_some_and(|label| {
        label.parse::<IpAddr>().is_ok() || settings.blacklisted_labels.iter().any(|word| label.contains(word))
    })
}

/// The line to forward, unless it was forwarded before.
pub fn line<'a>(device: &Device, details: &'a TicketDetails, settings: &Settings) -> Ruling<&'a Line> {
    let serial = device.serial();
    let line = details
        .line(serial)
        .ok_or_else(|| Refusal::new("asr.line", "the ticket has no line of the serial"))?;
    let mut notes = details.notes_of(serial);
    if settings.again_after_reopening {
        notes = note::since_last_reopening(&notes);
    }
    if notes.iter().any(|note| note.is_asr_forward()) {
        return Err(Refusal::new("asr.once", "a note says that the line was forwarded before"));
    }
    Ok(line)
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

    fn stopped_by<T: std::fmt::Debug>(ruling: Ruling<T>) -> Option<&'static str> {
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
            assert_eq!(stopped_by(links(&labelled(label), &settings())), expected, "{label:?}");
        }
    }

    #[test]
    fn the_edge_must_be_online_and_a_wired_link_disconnected() {
        let mut offline = sample::offline(sample::SERIAL);
        offline.links = vec![sample::link("GE1", "DISCONNECTED")];
        assert_eq!(stopped_by(links(&device(offline), &settings())), Some("asr.edge_offline"));
        assert_eq!(stopped_by(links(&device(sample::record("VC1")), &settings())), Some("asr.wired"));
        for interface in [Some("GE9"), None] {
            let mut record = sample::link_down("VC1");
            record.links[0].interface = interface.map(str::to_owned);
            assert_eq!(stopped_by(links(&device(record), &settings())), Some("asr.wired"), "{interface:?}");
        }
    }

    #[test]
    fn the_first_configuration_entry_of_an_interface_decides() {
        let mut edge = sample::edge("VC1");
        let wireless =
            LinkConfiguration { interfaces: vec!["GE1".into()], mode: None, kind: Some("WIRELESS".into()) };
        edge.links_configuration.insert(0, wireless);
        let device = Device { edge: Arc::new(edge), record: sample::link_down("VC1") };
        assert_eq!(stopped_by(links(&device, &settings())), Some("asr.wired"));
    }

    #[test]
    fn a_line_is_forwarded_once_for_ever_or_once_after_each_reopening() {
        let device = device(sample::link_down(sample::SERIAL));
        let forwarded = sample::note("Moving task to: ASR Investigate", "2022-01-31T10:00:00-05:00");
        let reopened = sample::note("Re-opening ticket.", "2022-01-31T11:00:00-05:00");
        let mut others = forwarded.clone();
        others.serials = vec![contracts::id::Serial::from("VC2")];
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
            assert_eq!(stopped_by(line(&device, &line_of(notes), &settings)), expected);
        }
        assert_eq!(stopped_by(line(&device, &TicketDetails::default(), &settings())), Some("asr.line"));
    }

    /// Spec "Examples" 4.
    #[test]
    fn the_note() {
        let device = device(sample::link_down(sample::SERIAL));
        let links = links(&device, &settings()).unwrap();
        let text = note_text(&links, "2022-01-31T15:13:20.000123Z".parse().unwrap(), Tz::US__Eastern);
        assert_eq!(
            text,
            "#*MetTel's IPA*#\nStatus of Wired Link GE1 (ACME Cable) is DISCONNECTED.\n\
             Moving task to: ASR Investigate\nTimeStamp: 2022-01-31 10:13:20.000123-05:00"
        );
    }
}
