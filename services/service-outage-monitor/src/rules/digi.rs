//! Reboots of faulty links by their DiGi units (spec "Behaviour" 10, "Improve" 7).

use std::time::Duration;

use askama::Template;
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use contracts::id::Serial;
use serde::{Deserialize, Serialize};
use ticketing::{Note, TicketDetails, WorkQueue, note, note::MARKER, time};

use super::{Next, Refusal, Ruling};
use crate::{
    edges::Device,
    seen::{self, Covering},
};

/// The settings of this rule.
#[derive(Debug, Clone)]
pub struct Settings {
    /// MAC prefixes of DiGi units, in the order in which they are looked at (lower case).
    pub headers: Vec<String>,
    /// How long a reboot may take to help.
    pub grace: Duration,
    /// How often an interface is rebooted in one documentation cycle, i.e. until the line is re-opened.
    pub reboots_per_cycle: usize,
}

/// A link with a DiGi unit, or another link with a logical id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DigiLink {
    /// The interface, e.g. `GE3`.
    pub interface: String,
    /// The unit's logical id.
    pub mac: String,
}

/// What the reboots for a new or re-opened ticket look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reboots {
    /// The device and its ticket.
    #[serde(flatten)]
    pub covering: Covering,
    /// The logical ids of disconnected links.
    pub units: Vec<DigiLink>,
    /// What the ticket tells of reboots, when its line could not be re-opened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Before>,
}

/// Reboots since the last re-opening, while the line stays resolved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Before {
    /// The moment of the decision.
    pub now: DateTime<Utc>,
    /// The notes of reboots.
    pub reboots: Vec<Rebooted>,
}

/// The logical ids of an edge's disconnected links.
pub fn units(device: &Device) -> Vec<DigiLink> {
    let ids = device.edge.logical_ids.iter();
    ids.filter_map(|id| {
        let (interface, mac) = (id.interface_name.clone()?, id.logical_id.clone()?);
        let link = device.record.links.iter().find(|link| link.interface.as_ref() == Some(&interface))?;
        link.is_down().then_some(DigiLink { interface, mac })
    })
    .collect()
}

/// The DiGi links which are disconnected, those of the first prefix first: all of them are rebooted for a new or
/// re-opened ticket.
pub fn down_links(units: &[DigiLink], settings: &Settings) -> Ruling<Vec<DigiLink>> {
    let of_prefix = |header: &String| {
        let header = header.clone();
        units.iter().filter(move |unit| unit.mac.contains(&header)).cloned()
    };
    let down: Vec<DigiLink> = settings.headers.iter().flat_map(of_prefix).collect();
    if down.is_empty() { Err(Refusal::new("digi.links", "no DiGi link is disconnected")) } else { Ok(down) }
}

/// The links that are rebooted for a new or re-opened ticket. While the line cannot be re-opened every re-check comes here
/// anew, and an interface is rebooted at most once per grace period ("Improve" 7).
pub fn reboots(facts: &Reboots, settings: &Settings) -> Ruling<Vec<DigiLink>> {
    let mut links = down_links(&facts.units, settings)?;
    if let Some(Before { now, reboots }) = &facts.before {
        links.retain(|link| {
            !reboots.iter().any(|reboot| {
                let own = reboot.interface.as_deref() == Some(link.interface.as_str());
                own && reboot.at.is_some_and(|at| is_recent(at, *now, settings))
            })
        });
    }
    if links.is_empty() { Err(in_grace(settings)) } else { Ok(links) }
}

fn is_recent(reboot: DateTime<Utc>, now: DateTime<Utc>, settings: &Settings) -> bool {
    (now - reboot).to_std().unwrap_or_default() < settings.grace
}

fn in_grace(settings: &Settings) -> Refusal {
    let reason = format!("less than {} s have passed since the last reboot", settings.grace.as_secs());
    Refusal::new("digi.grace", reason)
}

/// What the check of a ticket in progress looks at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// The device and its ticket.
    #[serde(flatten)]
    pub covering: Covering,
    /// The logical ids of disconnected links.
    pub units: Vec<DigiLink>,
    /// The moment of the decision.
    pub now: DateTime<Utc>,
    /// What the ticket tells, when it was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<History>,
}

/// What a ticket tells of reboots since its last re-opening.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// Whether it has a line of the serial.
    pub has_line: bool,
    /// The notes of reboots.
    pub reboots: Vec<Rebooted>,
    /// Whether the wireless team has the task.
    #[serde(default, skip_serializing_if = "seen::no")]
    pub wireless: bool,
}

/// A note of a reboot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rebooted {
    /// The interface, when the note names one.
    pub interface: Option<String>,
    /// When it was written, when that can be read.
    pub at: Option<DateTime<Utc>>,
}

impl History {
    /// What `details` tell of `serial`.
    pub fn of(details: &TicketDetails, serial: &Serial) -> Self {
        let relevant = details.notes_of(serial);
        let notes = note::since_last_reopening(&relevant);
        // The note of a failed reboot belongs to the whole ticket, so it names no serial.
        let start = note::last_reopening(relevant);
        let wireless = details.notes.iter().any(|note| {
            note.is_wireless_forward()
                && (note.serials.is_empty() || note.concerns(serial))
                && start.is_none_or(|start| note.created.is_some_and(|created| created >= start))
        });
        let reboots = notes.into_iter().filter(|note| note.is_about_digi()).map(Rebooted::of).collect();
        Self { has_line: details.line(serial).is_some(), reboots, wireless }
    }
}

impl Rebooted {
    fn of(note: &Note) -> Self {
        Self { interface: note.digi_interface().map(str::to_owned), at: note.created }
    }
}

/// What to do about disconnected DiGi links of a ticket in progress; only edges that are online are looked at.
pub fn check(facts: &Check, settings: &Settings) -> Ruling<Next<Vec<Remedy>>> {
    if facts.covering.edge.state.is_offline() {
        return Err(Refusal::new("digi.edge_offline", "the edge is offline"));
    }
    let links = down_links(&facts.units, settings)?;
    match &facts.history {
        None => Ok(Next::Ask),
        Some(history) => remedies(links, history, facts.now, settings).map(Next::Act),
    }
}

/// What to do about one link whose ticket is in progress. They are tried in order until one is carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remedy {
    /// Reboot it.
    Reboot(DigiLink),
    /// The reboots did not help: the wireless team.
    WirelessTeam(DigiLink),
    /// Stop here.
    Stop(Refusal),
}

/// What to do about disconnected DiGi links.
///
/// Only notes since the last re-open count. Without any reboot note nothing is done (the first reboot belongs to the
/// ticket's creation). An interface is rebooted at most once per grace period and a limited number of times, then the
/// wireless team gets the task. A list ends with its first `Stop`.
fn remedies(
    links: Vec<DigiLink>,
    history: &History,
    now: DateTime<Utc>,
    settings: &Settings,
) -> Ruling<Vec<Remedy>> {
    if !history.has_line {
        return Err(Refusal::new("digi.line", "the ticket has no line of the serial"));
    }
    let mut remedies = Vec::new();
    for link in links {
        let remedy = remedy(link, history, now, settings);
        let ends = matches!(remedy, Remedy::Stop(_));
        remedies.push(remedy);
        if ends {
            break;
        }
    }
    Ok(remedies)
}

fn remedy(link: DigiLink, history: &History, now: DateTime<Utc>, settings: &Settings) -> Remedy {
    let reboots = &history.reboots;
    if reboots.is_empty() {
        return Remedy::Stop(Refusal::new("digi.first", "no reboot is on record"));
    }
    let own: Vec<&Rebooted> = reboots
        .iter()
        .filter(|reboot| reboot.interface.as_deref() == Some(link.interface.as_str()))
        .collect();
    // An interface without a reboot of its own waits for the latest of the others.
    let latest = if own.is_empty() {
        reboots.iter().filter_map(|reboot| reboot.at).max()
    } else {
        own.iter().filter_map(|reboot| reboot.at).max()
    };
    if latest.is_some_and(|at| is_recent(at, now, settings)) {
        return Remedy::Stop(in_grace(settings));
    }
    if own.len() < settings.reboots_per_cycle {
        return Remedy::Reboot(link);
    }
    if history.wireless {
        return Remedy::Stop(Refusal::new("digi.wireless", "the wireless team has the task already"));
    }
    Remedy::WirelessTeam(link)
}

#[derive(Template)]
#[template(path = "digi_reboot.txt")]
struct RebootNote<'a> {
    marker: &'static str,
    serial: &'a Serial,
    interface: &'a str,
    at: String,
}

/// The note which says that a link was rebooted.
pub fn reboot_note(serial: &Serial, interface: &str, now: DateTime<Utc>, zone: Tz) -> String {
    let note = RebootNote { marker: MARKER, serial, interface, at: time::stamp(now, zone) };
    note.render().unwrap_or_default().trim().to_owned()
}

#[derive(Template)]
#[template(path = "digi_reboot_failed.txt")]
struct FailedNote {
    marker: &'static str,
    queue: WorkQueue,
    at: String,
}

/// The note which says that reboots did not help; it belongs to the whole ticket.
pub fn failed_note(now: DateTime<Utc>, zone: Tz) -> String {
    let note = FailedNote { marker: MARKER, queue: WorkQueue::WirelessRepair, at: time::stamp(now, zone) };
    note.render().unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
#[path = "digi_tests.rs"]
mod tests;
