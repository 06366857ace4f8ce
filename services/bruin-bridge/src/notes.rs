//! Notes (subjects 7 and 8). Texts are sent byte for byte.

use bus::Reply;
use contracts::bruin::{AppendNote, AppendNoteRequest, AppendNotes, AppendNotesRequest};
use contracts::id::{Id, Serial};
use serde::Serialize;
use serde_json::{Value, json};
use upstream::Call;

use crate::bruin::Bruin;
use crate::outcome::{Failures, Malformed, Success};
use crate::subject::OneCall;

/// The body of one note.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NotePayload<'a> {
    note: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    service_numbers: &'a [Serial],
}

/// The body of several notes.
#[derive(Serialize)]
struct NotesPayload<'a> {
    notes: Vec<AdvancedNote<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AdvancedNote<'a> {
    note_value: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_number: Option<&'a Serial>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail_id: Option<&'a Id>,
    /// `ADN` for everybody, `CON` private.
    note_type: &'static str,
}

impl OneCall for AppendNote {
    const FAILURES: Failures = Failures::STANDARD;

    fn call(_: &Bruin, request: &AppendNoteRequest) -> Call {
        Call::post("/api/Ticket/{ticket_id}/notes")
            .segment("ticket_id", &request.ticket_id)
            .json(&NotePayload { note: &request.note, service_numbers: &request.service_numbers })
    }

    fn accepted(request: &AppendNoteRequest) -> Value {
        json!({"ticketNotes": [{"noteValue": request.note}]})
    }
}

impl OneCall for AppendNotes {
    const FAILURES: Failures = Failures::STANDARD.connection("Connection error in Bruin API. Cause: ");

    fn call(_: &Bruin, request: &AppendNotesRequest) -> Call {
        let notes = request.notes.iter().map(|note| AdvancedNote {
            note_value: &note.text,
            service_number: note.service_number.as_ref(),
            detail_id: note.detail_id.as_ref(),
            note_type: if note.is_private { "CON" } else { "ADN" },
        });
        Call::post("/api/Ticket/{ticket_id}/notes/advanced")
            .segment("ticket_id", &request.ticket_id)
            .json(&NotesPayload { notes: notes.collect() })
    }

    fn success(_: &AppendNotesRequest, answer: &Success) -> Result<Reply, Malformed> {
        Ok(answer.passing(answer.fields()?.need("ticketNotes")?))
    }

    fn accepted(request: &AppendNotesRequest) -> Value {
        let notes: Vec<_> = request.notes.iter().map(|note| json!({"noteValue": note.text})).collect();
        json!({"ticketNotes": notes})
    }
}
