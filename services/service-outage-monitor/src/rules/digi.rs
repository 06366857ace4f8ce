//! Reboots of faulty links by their DiGi units (spec "Behaviour" 10, "Improve" 7).

use std::time::Duration;

use askama::Template;
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use contracts::id::Serial;
use ticketing::{Line, Note, TicketDetails, WorkQueue, note, note::MARKER, time};

use super::{Refusal, Ruling};
use crate::edges::{Device, MonitoredEdge};

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

/// A link with a DiGi unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DigiLink {
    /// The interface, e.g. `GE3`.
    pub interface: String,
    /// The unit's logical id.
    pub mac: String,
}

/// The DiGi links of an edge, those of the first prefix first.
fn digi_links<'a>(edge: &'a MonitoredEdge, headers: &'a [String]) -> impl Iterator<Item = DigiLink> + 'a {
    headers.iter().flat_map(|header| {
        edge.logical_ids.iter().filter_map(move |entry| {
            let (interface, mac) = (entry.interface_name.clone()?, entry.logical_id.clone()?);
            mac.contains(header.as_str()).then_some(DigiLink { interface, mac })
        })
    })
}

/// The DiGi links which are disconnected: all of them are rebooted for a new or re-opened ticket.
pub fn down_links(device: &Device, settings: &Settings) -> Ruling<Vec<DigiLink>> {
    let down: Vec<DigiLink> = digi_links(&device.edge, &settings.headers)
        .filter(|digi| {
            let link =
                device.record.links.iter().find(|link| link.interface.as_ref() == Some(&digi.interface));
            link.is_some_and(crate::edges::Link::is_down)
        })
        .collect();
    if down.is_empty() { Err(Refusal::new("digi.links", "no DiGi link is disconnected")) } else { Ok(down) }
}

/// The same for a ticket in progress, where only edges that are online are looked at.
pub fn links_to_check(device: &Device, settings: &Settings) -> Ruling<Vec<DigiLink>> {
    if device.record.state.is_offline() {
        return Err(Refusal::new("digi.edge_offline", "the edge is offline"));
    }
    down_links(device, settings)
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

/// What to do about disconnected DiGi links of a ticket in progress, and the ticket's line of the device.
///
/// Only notes since the last re-open count. Without any reboot note nothing is done (the first reboot belongs to the
/// ticket's creation). An interface is rebooted at most once per grace period and a limited number of times, then the
/// wireless team gets the task. A list ends with its first `Stop`.
pub fn failed_reboots<'a>(
    links: Vec<DigiLink>,
    details: &'a TicketDetails,
    serial: &Serial,
    now: DateTime<Utc>,
    settings: &Settings,
) -> Ruling<(&'a Line, Vec<Remedy>)> {
    let line = details
        .line(serial)
        .ok_or_else(|| Refusal::new("digi.line", "the ticket has no line of the serial"))?;
    let relevant = details.notes_of(serial);
    let notes = note::since_last_reopening(&relevant);
    // The note of a failed reboot belongs to the whole ticket, so it names no serial.
    let start = note::last_reopening(relevant);
    let with_wireless = details.notes.iter().any(|note| {
        note.is_wireless_forward()
            && (note.serials.is_empty() || note.concerns(serial))
            && start.is_none_or(|start| note.created.is_some_and(|created| created >= start))
    });
    let reboots: Vec<&Note> = notes.into_iter().filter(|note| note.is_about_digi()).collect();
    let mut remedies = Vec::new();
    for link in links {
        let remedy = remedy(link, &reboots, with_wireless, now, settings);
        let ends = matches!(remedy, Remedy::Stop(_));
        remedies.push(remedy);
        if ends {
            break;
        }
    }
    Ok((line, remedies))
}

fn remedy(
    link: DigiLink,
    reboots: &[&Note],
    with_wireless: bool,
    now: DateTime<Utc>,
    settings: &Settings,
) -> Remedy {
    if reboots.is_empty() {
        return Remedy::Stop(Refusal::new("digi.first", "no reboot is on record"));
    }
    let own: Vec<&&Note> =
        reboots.iter().filter(|note| note.digi_interface() == Some(link.interface.as_str())).collect();
    // An interface without a reboot of its own waits for the latest of the others.
    let latest = if own.is_empty() {
        reboots.iter().filter_map(|note| note.created).max()
    } else {
        own.iter().filter_map(|note| note.created).max()
    };
    let recent = latest.is_some_and(|at| (now - at).to_std().unwrap_or_default() < settings.grace);
    if recent {
        let reason = format!("less than {} s have passed since the last reboot", settings.grace.as_secs());
        return Remedy::Stop(Refusal::new("digi.grace", reason));
    }
    if own.len() < settings.reboots_per_cycle {
        return Remedy::Reboot(link);
    }
    if with_wireless {
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
