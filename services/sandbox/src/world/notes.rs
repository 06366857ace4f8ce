//! Notes of tickets.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use super::tickets::{Ticket, TicketError};

/// A note of a ticket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Note {
    /// Id.
    pub id: i64,
    /// The text, byte for byte as posted.
    pub value: String,
    /// The lines (service numbers) it belongs to.
    pub serials: Vec<String>,
    /// The line's id when the note was posted for one.
    pub detail: Option<i64>,
    /// When it was posted.
    pub at: DateTime<Utc>,
    /// Private notes have the type `CON`, public ones `ADN`.
    pub private: bool,
}

/// A note to be posted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NewNote {
    /// The text.
    pub value: String,
    /// The lines; empty together with `detail`: all lines of the ticket.
    pub serials: Vec<String>,
    /// A line by id.
    pub detail: Option<i64>,
    /// Whether it is private.
    pub private: bool,
}

impl NewNote {
    /// The note as it stands in a ticket; a line that the ticket does not have is refused.
    pub(super) fn posted(&self, ticket: &Ticket, id: i64, now: DateTime<Utc>) -> Result<Note, TicketError> {
        let unknown = TicketError::UnknownLine(ticket.id);
        let serials = match self.detail {
            Some(detail) => vec![ticket.line(Some(detail), None).ok_or(unknown)?.serial.clone()],
            None if self.serials.is_empty() => {
                let mut all: Vec<String> = ticket.lines.iter().map(|line| line.serial.clone()).collect();
                all.dedup();
                all
            }
            None if self.serials.iter().all(|serial| ticket.line_of(serial).is_some()) => {
                self.serials.clone()
            }
            None => return Err(unknown),
        };
        let value = self.value.clone();
        Ok(Note { id, value, serials, detail: self.detail, at: now, private: self.private })
    }
}
