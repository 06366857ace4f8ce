//! Posting notes.

use axum::extract::{Path, State};
use axum::response::Response;
use bytes::Bytes;
use serde::Deserialize;

use super::tickets::find;
use super::{Refusal, read, shapes};
use crate::Simulation;
use crate::http::json;
use crate::world::notes::NewNote;

/// Longer notes are refused.
const LONGEST: usize = 8_000;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Single {
    note: String,
    #[serde(default)]
    service_numbers: Vec<String>,
}

/// `POST /api/Ticket/{ticket}/notes`.
pub(super) async fn single(
    State(simulation): State<Simulation>,
    Path(ticket): Path<String>,
    body: Bytes,
) -> Result<Response, Refusal> {
    let body: Single = read(&body)?;
    let note = NewNote { value: body.note, serials: body.service_numbers, ..NewNote::default() };
    post(&simulation, &ticket, &[note])
}

#[derive(Deserialize)]
struct Several {
    notes: Vec<One>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct One {
    note_value: String,
    note_type: String,
    service_number: Option<String>,
    detail_id: Option<i64>,
}

/// `POST /api/Ticket/{ticket}/notes/advanced`.
pub(super) async fn several(
    State(simulation): State<Simulation>,
    Path(ticket): Path<String>,
    body: Bytes,
) -> Result<Response, Refusal> {
    let body: Several = read(&body)?;
    let mut notes = Vec::new();
    for note in body.notes {
        let private = match note.note_type.as_str() {
            "CON" => true,
            "ADN" => false,
            other => return Err(Refusal::bad(format!("noteType {other} is unknown"))),
        };
        let serials = note.service_number.into_iter().collect();
        notes.push(NewNote { value: note.note_value, serials, detail: note.detail_id, private });
    }
    post(&simulation, &ticket, &notes)
}

fn post(simulation: &Simulation, ticket: &str, notes: &[NewNote]) -> Result<Response, Refusal> {
    let ticket = find(simulation, ticket)?;
    if notes.iter().any(|note| note.value.chars().count() > LONGEST) {
        return Err(Refusal::bad("The note is too long"));
    }
    let now = simulation.world.now();
    let posted = simulation.world.with_tickets(|tickets| tickets.add_notes(ticket.id, notes, now))?;
    Ok(json(&shapes::PostedNotes {
        client_id: ticket.client,
        ticket_notes: posted.iter().map(|note| shapes::posted(&ticket, note)).collect(),
    }))
}
