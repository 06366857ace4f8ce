//! Notes (subjects 7 and 8). Texts reach Bruin byte for byte: the bridge never splits or trims.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::QUEUE;
use super::path::in_path;
use crate::fields::Fields;
use crate::id::{Id, Serial, TicketId};
use crate::subjects::subjects;
use crate::{Incoming, Rejected, Request, json};

subjects! {
    /// 7. Appends one note.
    AppendNote: "bruin.ticket.note.append.request", Write, wait 60, answer 12, AppendNoteRequest => Value;
    /// 8. Appends several notes in one call; answers the array of notes that Bruin made.
    AppendNotes: "bruin.ticket.multiple.notes.append.request", Write, wait 45, answer 12,
        AppendNotesRequest => Value;
}

const NO_BODY: &str = r#"Must include "body" in request"#;

/// Appends by [`AppendNote`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AppendNoteRequest {
    /// The ticket.
    pub ticket_id: TicketId,
    /// The text, below about 1 500 characters: callers split longer ones.
    pub note: String,
    /// The devices it is about; none for the whole ticket.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub service_numbers: Vec<Serial>,
}

impl Request for AppendNoteRequest {
    fn parse(incoming: &Incoming<'_>) -> Result<Self, Rejected> {
        const KEYS: &str =
            r#"You must include "ticket_id" and "note" in the "body" field of the response request"#;
        let mut body = Fields::of(incoming, NO_BODY)?;
        Ok(Self {
            ticket_id: in_path(body.required("ticket_id", KEYS)?, KEYS)?,
            note: body.required("note", KEYS)?,
            service_numbers: body.if_truthy("service_numbers", KEYS)?.unwrap_or_default(),
        })
    }
}

/// Appends by [`AppendNotes`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AppendNotesRequest {
    /// The ticket.
    pub ticket_id: TicketId,
    /// The notes, posted in this order.
    pub notes: Vec<NewNote>,
}

/// One note of [`AppendNotesRequest`], about a device or a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NewNote {
    /// The text.
    pub text: String,
    /// The device it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_number: Option<Serial>,
    /// The line it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail_id: Option<Id>,
    /// Not to be seen by the customer.
    pub is_private: bool,
}

impl Request for AppendNotesRequest {
    fn parse(incoming: &Incoming<'_>) -> Result<Self, Rejected> {
        const KEYS: &str = r#"You must include "ticket_id" and "notes" in the body of the request"#;
        let mut body = Fields::of(incoming, NO_BODY)?;
        let ticket_id = in_path(body.required("ticket_id", KEYS)?, KEYS)?;
        let notes: Vec<Value> = body.required("notes", KEYS)?;
        Ok(Self { ticket_id, notes: notes.into_iter().map(NewNote::read).collect::<Result<_, _>>()? })
    }
}

impl NewNote {
    fn read(note: Value) -> Result<Self, Rejected> {
        /// A note as it is received. Null means absent.
        #[derive(Deserialize)]
        struct Wire {
            text: String,
            service_number: Option<Serial>,
            detail_id: Option<Id>,
            #[serde(default)]
            is_private: Value,
        }
        const NOTES: &str = r#"You must include "text" and any of "service_number" and "detail_id" for every note in the "notes" field"#;
        serde_json::from_value(note)
            .ok()
            .filter(|wire: &Wire| wire.service_number.is_some() || wire.detail_id.is_some())
            .map(|wire| Self {
                text: wire.text,
                service_number: wire.service_number,
                detail_id: wire.detail_id,
                is_private: json::truthy(&wire.is_private),
            })
            .ok_or_else(|| Rejected::text(NOTES))
    }
}
