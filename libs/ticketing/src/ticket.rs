//! Tickets, their lines and notes as the rules see them.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use contracts::{
    bruin,
    id::{ClientId, DetailId, Serial, TicketId},
};

use crate::{Note, Severity, time};

/// A ticket as the light ticket list has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenTicket {
    /// The ticket.
    pub id: TicketId,
    /// The client.
    pub client: Option<ClientId>,
    /// Who created it.
    pub created_by: Option<String>,
    /// When it was created.
    pub created: Option<DateTime<Utc>>,
    /// How severe it is.
    pub severity: Option<Severity>,
}

impl OpenTicket {
    /// From the wire; `None` without a ticket id. Dates without a zone are taken in `assumed`.
    pub fn read(ticket: bruin::Ticket, assumed: Tz) -> Option<Self> {
        Some(Self {
            id: ticket.ticket_id?,
            client: ticket.client_id,
            created_by: ticket.created_by,
            created: ticket.create_date.and_then(|text| time::read(&text, assumed)),
            severity: ticket.severity.and_then(|level| level.as_i64()).map(Severity),
        })
    }

    /// Whether the engine's own user created it. Only such tickets may be resolved by the engine.
    pub fn is_by(&self, system_user: &str) -> bool {
        self.created_by.as_deref() == Some(system_user)
    }
}

/// A line (detail) of a ticket: one device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The line.
    pub id: DetailId,
    /// The device.
    pub serial: Option<Serial>,
    /// `I` in progress, `O` open, `R` resolved.
    pub status: Option<String>,
    /// The present task, i.e. the work queue the line is in, when Bruin tells it.
    pub task: Option<String>,
}

impl Line {
    /// Whether it is resolved.
    pub fn is_resolved(&self) -> bool {
        self.status.as_deref() == Some("R")
    }
}

/// The lines and notes of a ticket.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TicketDetails {
    /// The lines in Bruin's order.
    pub lines: Vec<Line>,
    /// The notes which have a text, in Bruin's order.
    pub notes: Vec<Note>,
}

impl TicketDetails {
    /// From the wire. Lines without id and notes without text match nothing, so they are left out.
    pub fn read(reply: bruin::TicketDetailsReply, assumed: Tz) -> Self {
        let lines = reply.ticket_details.into_iter().filter_map(|line| {
            Some(Line {
                id: line.detail_id?,
                serial: line.detail_value,
                status: line.detail_status,
                task: line.current_task_name.map(|name| name.trim().to_owned()),
            })
        });
        let notes = reply.ticket_notes.into_iter().filter_map(|note| {
            Some(Note {
                text: note.note_value?,
                serials: note.service_number.unwrap_or_default(),
                created: note.created_date.and_then(|text| time::read(&text, assumed)),
            })
        });
        Self { lines: lines.collect(), notes: notes.collect() }
    }

    /// The first line of a device.
    pub fn line(&self, serial: &Serial) -> Option<&Line> {
        self.lines.iter().find(|line| line.serial.as_ref() == Some(serial))
    }

    /// The relevant notes of a device: those which name it, in Bruin's order.
    pub fn notes_of<'a>(&'a self, serial: &Serial) -> Vec<&'a Note> {
        self.notes.iter().filter(|note| note.concerns(serial)).collect()
    }

    /// How many lines are not resolved.
    pub fn unresolved_lines(&self) -> usize {
        self.lines.iter().filter(|line| !line.is_resolved()).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn details() -> TicketDetails {
        let reply = serde_json::from_value(json!({
            "ticketDetails": [
                {"detailID": 1, "detailValue": null, "detailStatus": "I"},
                {"detailID": 77, "detailValue": "VC1", "detailStatus": "I", "currentTaskName": "HNOC Investigate "},
                {"detailID": 78, "detailValue": "VC1", "detailStatus": "R"},
                {"detailValue": "VC2"}
            ],
            "ticketNotes": [
                {"noteId": 1, "noteValue": null, "serviceNumber": ["VC1"], "createdDate": "2022-01-31T09:00:00-05:00"},
                {"noteId": 2, "noteValue": "a", "serviceNumber": null, "createdDate": "2022-01-31T09:00:00-05:00"},
                {"noteId": 3, "noteValue": "b", "serviceNumber": ["VC2", "VC1"], "createdDate": "yesterday"},
                {"noteId": 4, "noteValue": "c", "serviceNumber": ["VC2"]}
            ]
        }));
        TicketDetails::read(reply.unwrap(), Tz::UTC)
    }

    #[test]
    fn the_line_of_a_device_is_the_first_with_its_serial() {
        let details = details();
        let line = details.line(&Serial::from("VC1")).unwrap();
        assert_eq!((&line.id, line.task.as_deref()), (&DetailId::from(77), Some("HNOC Investigate")));
        assert_eq!(details.line(&Serial::from("VC3")), None);
        assert_eq!(details.unresolved_lines(), 2);
    }

    #[test]
    fn relevant_notes_name_the_device_and_have_a_text() {
        let details = details();
        let texts: Vec<_> =
            details.notes_of(&Serial::from("VC1")).iter().map(|note| note.text.clone()).collect();
        assert_eq!(texts, ["b"]);
        assert_eq!(details.notes_of(&Serial::from("VC1"))[0].created, None);
        assert_eq!(details.notes.len(), 3);
    }

    #[test]
    fn a_ticket_is_read_with_its_date_in_the_assumed_zone() {
        let ticket = |zone| {
            let wire = json!({"ticketID": 555, "clientID": 11111, "createDate": "9/25/2020 6:31:54 AM",
                "createdBy": "Intelygenz Ai", "severity": "2"});
            OpenTicket::read(serde_json::from_value(wire).unwrap(), zone).unwrap()
        };
        assert_eq!(ticket(Tz::UTC).created, Some("2020-09-25T06:31:54Z".parse().unwrap()));
        assert_eq!(ticket(Tz::US__Eastern).created, Some("2020-09-25T10:31:54Z".parse().unwrap()));
        assert_eq!(ticket(Tz::UTC).severity, Some(Severity(2)));
        assert!(ticket(Tz::UTC).is_by("Intelygenz Ai"));
        assert!(!ticket(Tz::UTC).is_by("Ann"));
        assert_eq!(OpenTicket::read(bruin::Ticket::default(), Tz::UTC), None);
    }
}
