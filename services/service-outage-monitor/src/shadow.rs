//! What a shadow expects its live twin to find.
//!
//! In shadow mode no ticket is created, yet the flow goes on: the answer of ticket creation is predicted from the tickets
//! that are there. A ticket of our own created after the outage was first seen is the fresh creation of the live twin.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use contracts::id::Serial;
use parking_lot::Mutex;
use ticketing::{OpenTicket, Severity, TicketDetails, note};

use crate::{
    edges::Device,
    hands::Covered,
    reads::{Reads, Unanswered},
    rules::creation::Creation,
};

/// The severity with which Bruin creates tickets.
pub const SEVERITY_OF_NEW_TICKETS: Severity = Severity(2);
/// Bruin writes whole seconds.
const GRAIN: TimeDelta = TimeDelta::seconds(1);

/// The present outage of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sighting {
    /// When it was first seen.
    pub since: DateTime<Utc>,
    /// Whether its ticket was predicted already: what is open by now is known.
    pub predicted: bool,
}

/// What a shadow expects ticket creation to answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prediction {
    /// The answer.
    pub covered: Covered,
    /// Whether its ticket was created by the live twin, as far as its creator tells.
    pub by_twin: bool,
}

/// The present outages.
#[derive(Default)]
pub struct Sightings(Mutex<HashMap<Serial, Sighting>>);

impl Sightings {
    /// Notes which devices are down and which are not.
    pub fn see(&self, devices: &[Device], now: DateTime<Utc>) {
        let mut seen = self.0.lock();
        for device in devices {
            if device.record.outage().is_some() {
                seen.entry(device.serial().clone()).or_insert(Sighting { since: now, predicted: false });
            } else {
                seen.remove(device.serial());
            }
        }
    }

    /// Predicts how a ticket covers the device once the live twin has asked for one. `system_user` is whose tickets are
    /// the twin's.
    ///
    /// # Errors
    /// When the tickets cannot be had.
    pub async fn predict(
        &self,
        reads: &Reads,
        device: &Device,
        now: DateTime<Utc>,
        system_user: &str,
    ) -> Result<Prediction, Unanswered> {
        let (client, serial) = (&device.edge.client, device.serial());
        let default = Sighting { since: now, predicted: false };
        let sighting = self.0.lock().get(serial).copied().unwrap_or(default);
        let open = reads.open_tickets(client, Some(serial)).await?.into_iter().next();
        let resolved = match open {
            Some(_) => None,
            None => reads.tickets(&["Resolved"], client, Some(serial)).await?.into_iter().next(),
        };
        let details = match &open {
            Some(ticket) => Some(reads.details(&ticket.id).await?),
            None => None,
        };
        let by_twin = open.as_ref().or(resolved.as_ref()).is_some_and(|ticket| ticket.is_by(system_user));
        let covered = expected(sighting, open.zip(details.as_deref()), resolved, serial, system_user);
        self.0.lock().insert(serial.clone(), Sighting { predicted: true, ..sighting });
        Ok(Prediction { covered, by_twin })
    }
}

/// A ticket's details as the live twin finds them after it has re-opened the line of `serial`.
pub fn as_reopened(details: &TicketDetails, serial: &Serial) -> TicketDetails {
    let mut details = details.clone();
    for line in details.lines.iter_mut().filter(|line| line.serial.as_ref() == Some(serial)).take(1) {
        line.status = Some("I".to_owned());
    }
    details
}

fn expected(
    sighting: Sighting,
    open: Option<(OpenTicket, &TicketDetails)>,
    resolved: Option<OpenTicket>,
    serial: &Serial,
    system_user: &str,
) -> Covered {
    let Some((ticket, details)) = open else {
        return match resolved {
            Some(ticket) => Covered { creation: Creation::Resolved, ticket: Some(ticket.id) },
            None => Covered { creation: Creation::New, ticket: None },
        };
    };
    let in_this_outage =
        |at: Option<DateTime<Utc>>| !sighting.predicted && at.is_some_and(|at| at >= sighting.since - GRAIN);
    let line_resolved = details.line(serial).is_some_and(ticketing::Line::is_resolved);
    // People may be quicker than the twin, which then finds their ticket in progress.
    let creation = if in_this_outage(ticket.created) && ticket.is_by(system_user) {
        Creation::New
    } else if line_resolved || in_this_outage(note::last_reopening(details.notes_of(serial))) {
        Creation::Resolved
    } else {
        Creation::InProgress
    };
    Covered { creation, ticket: Some(ticket.id) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{self, SERIAL};

    const USER: &str = "Intelygenz Ai";

    fn ticket(created: &str) -> OpenTicket {
        OpenTicket {
            id: 555.into(),
            client: None,
            created_by: Some(USER.into()),
            created: Some(created.parse().unwrap()),
            severity: None,
        }
    }

    #[test]
    fn the_answer_of_ticket_creation_is_predicted() {
        let first = Sighting { since: "2022-01-31T15:00:00.5Z".parse().unwrap(), predicted: false };
        let later = Sighting { predicted: true, ..first };
        let open = sample::details(vec![sample::line(77, SERIAL, "I")], vec![]);
        let resolved = sample::details(vec![sample::line(77, SERIAL, "R")], vec![]);
        let reopened = sample::details(
            vec![sample::line(77, SERIAL, "I")],
            vec![sample::note("Re-opening ticket.", "2022-01-31T15:03:00Z")],
        );
        let old = || ticket("2022-01-30T15:00:00Z");
        let twins = || ticket("2022-01-31T15:00:00Z");
        let anns = || OpenTicket { created_by: Some("Ann".into()), ..twins() };
        for (sighting, open, resolved, creation) in [
            (first, None, None, Creation::New),
            (first, None, Some(old()), Creation::Resolved),
            (first, Some((twins(), &open)), None, Creation::New),
            (first, Some((anns(), &open)), None, Creation::InProgress),
            (later, Some((twins(), &open)), None, Creation::InProgress),
            (first, Some((old(), &open)), None, Creation::InProgress),
            (first, Some((old(), &resolved)), None, Creation::Resolved),
            (first, Some((old(), &reopened)), None, Creation::Resolved),
            (later, Some((old(), &reopened)), None, Creation::InProgress),
        ] {
            let covered = expected(sighting, open, resolved, &Serial::from(SERIAL), USER);
            assert_eq!(covered.creation, creation, "{sighting:?} {covered:?}");
        }
    }

    #[test]
    fn the_line_that_the_twin_reopens_counts_as_unresolved() {
        let details =
            sample::details(vec![sample::line(1, "VC2", "I"), sample::line(77, SERIAL, "R")], vec![]);
        assert_eq!(details.unresolved_lines(), 1);
        assert_eq!(as_reopened(&details, &Serial::from(SERIAL)).unresolved_lines(), 2);
    }

    #[test]
    fn an_outage_is_seen_from_its_first_cycle_until_the_device_is_healthy() {
        let at = |seconds| DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds);
        let device = |record| Device { edge: std::sync::Arc::new(sample::edge(SERIAL)), record };
        let sightings = Sightings::default();
        let since = || sightings.0.lock().get(&Serial::from(SERIAL)).map(|sighting| sighting.since);
        sightings.see(&[device(sample::link_down(SERIAL))], at(0));
        sightings.see(&[device(sample::offline(SERIAL))], at(600));
        assert_eq!(since(), Some(at(0)));
        sightings.see(&[device(sample::record(SERIAL))], at(1_200));
        assert_eq!(since(), None);
    }
}
