//! What is done to a ticket and its lines: status, pause, severity, work queues, closing.

use axum::extract::{Path, State};
use axum::response::Response;
use bytes::Bytes;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::query::Query;
use super::tickets::find;
use super::{Refusal, read, success};
use crate::Simulation;
use crate::http::json;
use crate::world::queues::{RESULTS, TaskResult};

/// An id that callers write as a number or as text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Id {
    Number(i64),
    Text(String),
}

impl Id {
    /// Unreadable text names nothing.
    fn number(&self) -> i64 {
        match self {
            Self::Number(number) => *number,
            Self::Text(text) => text.trim().parse().unwrap_or(-1),
        }
    }
}

fn number(text: &str) -> Result<i64, Refusal> {
    text.parse().map_err(|_| Refusal(StatusCode::NOT_FOUND, format!("{text} does not exist")))
}

#[derive(Deserialize)]
struct StatusBody {
    #[serde(rename = "Status")]
    status: String,
}

/// `PUT /api/Ticket/{ticket}/details/{detail}/status`: `O` opens, `R` resolves.
pub(super) async fn set_status(
    State(simulation): State<Simulation>,
    Path((ticket, detail)): Path<(String, String)>,
    body: Bytes,
) -> Result<Response, Refusal> {
    let body: StatusBody = read(&body)?;
    let resolved = match body.status.as_str() {
        "R" => true,
        "O" => false,
        other => return Err(Refusal::bad(format!("Status {other} is unknown"))),
    };
    let (ticket, detail) = (number(&ticket)?, number(&detail)?);
    let now = simulation.world.now();
    simulation.world.with_tickets(|tickets| tickets.set_line(ticket, detail, resolved, now))?;
    Ok(success())
}

#[derive(Deserialize)]
struct UnpauseBody {
    #[serde(rename = "serviceNumber")]
    serial: Option<String>,
    #[serde(rename = "DetailId")]
    detail: Option<Id>,
}

/// `POST /api/Ticket/{ticket}/detail/unpause`.
pub(super) async fn unpause(
    State(simulation): State<Simulation>,
    Path(ticket): Path<String>,
    body: Bytes,
) -> Result<Response, Refusal> {
    let body: UnpauseBody = read(&body)?;
    let ticket = number(&ticket)?;
    let now = simulation.world.now();
    let detail = body.detail.as_ref().map(Id::number);
    simulation.world.with_tickets(|tickets| tickets.unpause(ticket, detail, body.serial.as_deref(), now))?;
    Ok(success())
}

#[derive(Deserialize)]
struct SeverityBody {
    #[serde(rename = "Severity")]
    severity: i64,
    #[serde(rename = "Reason")]
    reason: String,
}

/// `PUT /api/Ticket/{ticket}/severity`. The reason becomes a note, as people see it in Bruin.
pub(super) async fn set_severity(
    State(simulation): State<Simulation>,
    Path(ticket): Path<String>,
    body: Bytes,
) -> Result<Response, Refusal> {
    let body: SeverityBody = read(&body)?;
    if !(1..=4).contains(&body.severity) {
        return Err(Refusal::bad(format!("Severity {} is unknown", body.severity)));
    }
    let ticket = number(&ticket)?;
    let now = simulation.world.now();
    let note = crate::world::notes::NewNote { value: body.reason, ..Default::default() };
    simulation.world.with_tickets(|tickets| {
        tickets.set_severity(ticket, body.severity, now)?;
        tickets.add_notes(ticket, &[note], now)
    })?;
    Ok(json(&json!({"TicketId": ticket, "Result": true})))
}

/// `PUT /api/Ticket/{ticket}/close`.
pub(super) async fn close(
    State(simulation): State<Simulation>,
    Path(ticket): Path<String>,
) -> Result<Response, Refusal> {
    let ticket = number(&ticket)?;
    let now = simulation.world.now();
    simulation.world.with_tickets(|tickets| tickets.close(ticket, now))?;
    Ok(success())
}

/// `GET /api/Ticket/{ticket}/nextresult`.
pub(super) async fn next_results(
    State(simulation): State<Simulation>,
    Path(ticket): Path<String>,
    query: Query,
) -> Result<Response, Refusal> {
    let ticket = find(&simulation, &ticket)?;
    let detail = query.number("DetailId").map(|id| id.unwrap_or(-1));
    let line = ticket
        .line(detail, query.first("ServiceNumber"))
        .ok_or_else(|| Refusal::bad(format!("ticket {} has no such detail", ticket.id)))?;
    let results: Vec<Value> = RESULTS.iter().map(result_row).collect();
    Ok(json(&json!({
        "currentTaskId": 10_000_000 + line.id,
        "currentTaskKey": line.queue.id.to_string(),
        "currentTaskName": line.queue.name,
        "nextResults": results,
    })))
}

fn result_row(result: &TaskResult) -> Value {
    let notes = json!([{"noteType": "Notes", "noteDescription": "Notes", "availableValueOptions": null}]);
    json!({"resultTypeId": result.id, "resultName": result.name, "notes": notes})
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WorkBody {
    details: Vec<WorkDetail>,
    result_type_id: Id,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WorkDetail {
    detail_id: Option<Id>,
    service_number: Option<String>,
}

/// `PUT /api/Ticket/{ticket}/details/work`.
pub(super) async fn change_work(
    State(simulation): State<Simulation>,
    Path(ticket): Path<String>,
    body: Bytes,
) -> Result<Response, Refusal> {
    let body: WorkBody = read(&body)?;
    let ticket = number(&ticket)?;
    let result = body.result_type_id.number();
    let now = simulation.world.now();
    simulation.world.with_tickets(|tickets| {
        body.details.iter().try_for_each(|line| {
            let detail = line.detail_id.as_ref().map(Id::number);
            tickets.give_result(ticket, detail, line.service_number.as_deref(), result, now)
        })
    })?;
    Ok(success())
}
