//! E-mails in Bruin: tags, state, links to tickets.

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

use super::{Refusal, read};
use crate::Simulation;
use crate::http::{json, json_with};

/// `POST /api/Email/{email}/tag/{tag}`: 204, the second time 409.
pub(super) async fn tag(
    State(simulation): State<Simulation>,
    Path((email, tag)): Path<(i64, i64)>,
) -> Response {
    if simulation.world.with_emails(|emails| emails.tag(email, tag)) {
        StatusCode::NO_CONTENT.into_response()
    } else {
        json_with(StatusCode::CONFLICT, &json!({"message": "The e-mail already has this tag"}))
    }
}

/// `POST /api/Email/status`. The id may be a number or text.
pub(super) async fn status(State(simulation): State<Simulation>, body: Bytes) -> Result<Response, Refusal> {
    let body: Value = read(&body)?;
    let id = body.get("emailId").and_then(|id| id.as_i64().or_else(|| id.as_str()?.parse().ok()));
    let (Some(id), Some(status)) = (id, body.get("status").and_then(Value::as_str)) else {
        return Err(Refusal::bad("emailId and status are required"));
    };
    simulation.world.with_emails(|emails| emails.set_status(id, status));
    Ok(json(&json!({"success": true, "emailId": id})))
}

/// `POST /api/Email/{email}/link/ticket/{ticket}`.
pub(super) async fn link(
    State(simulation): State<Simulation>,
    Path((email, ticket)): Path<(i64, i64)>,
) -> Response {
    let known = simulation.world.read_tickets(|tickets| tickets.get(ticket).is_some());
    if known {
        simulation.world.with_emails(|emails| emails.link(email, ticket));
    }
    json(&json!({
        "success": known,
        "emailId": email,
        "ticketId": ticket,
        "totalEmailAffected": i32::from(known),
        "warnings": [],
    }))
}
