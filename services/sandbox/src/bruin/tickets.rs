//! Ticket queries and creation.

use axum::extract::{Path, State};
use axum::response::Response;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::query::Query;
use super::{Refusal, read, shapes};
use crate::Simulation;
use crate::http::json;
use crate::world::tickets::{ENGINE, NewTicket, Ticket, Tickets, Topic};

/// The page size of a query that names none.
const PAGE: usize = 100;

/// `GET /api/Ticket`.
pub(super) async fn full(State(simulation): State<Simulation>, query: Query) -> Response {
    let now = simulation.world.now();
    let found: Vec<Ticket> =
        simulation.world.read_tickets(|tickets| matching(tickets, &query, now).cloned().collect());
    let responses: Vec<_> = simulation
        .world
        .inventory(|inventory| found.iter().map(|ticket| shapes::full(ticket, inventory, now)).collect());
    json(&json!({"responses": responses}))
}

/// `GET /api/Ticket/basic`: newest first, in pages.
pub(super) async fn basic(State(simulation): State<Simulation>, query: Query) -> Response {
    let now = simulation.world.now();
    let size = match query.number("PageSize") {
        Some(Ok(size)) => usize::try_from(size).unwrap_or(PAGE).clamp(1, 1_000),
        _ => PAGE,
    };
    let page = match query.number("PageNumber") {
        Some(Ok(page)) => usize::try_from(page).unwrap_or(1).max(1),
        _ => 1,
    };
    let start = (page - 1).saturating_mul(size);
    let (total, found): (usize, Vec<Ticket>) = simulation.world.read_tickets(|tickets| {
        let mut total = 0;
        let mut found = Vec::new();
        for ticket in matching(tickets, &query, now) {
            if total >= start && found.len() < size {
                found.push(ticket.clone());
            }
            total += 1;
        }
        (total, found)
    });
    let responses: Vec<_> = simulation
        .world
        .inventory(|inventory| found.iter().map(|ticket| shapes::basic(ticket, inventory, now)).collect());
    json(&json!({
        "total": total, "start": start, "currentPageSize": responses.len(), "responses": responses,
    }))
}

/// The tickets that a query selects, newest first. The narrowest index is used.
fn matching<'t>(
    tickets: &'t Tickets,
    query: &'t Query,
    now: DateTime<Utc>,
) -> Box<dyn Iterator<Item = &'t Ticket> + 't> {
    let candidates: Box<dyn Iterator<Item = &Ticket>> =
        match (query.number("TicketId"), query.first("ServiceNumber"), query.number("ClientId")) {
            (Some(id), _, _) => Box::new(id.ok().and_then(|id| tickets.get(id)).into_iter()),
            (None, Some(serial), _) => Box::new(tickets.of_serial(serial)),
            (None, None, Some(Ok(client))) => Box::new(tickets.of_client(client)),
            (None, None, Some(Err(()))) => Box::new(std::iter::empty()),
            (None, None, None) => Box::new(tickets.newest_first()),
        };
    let client = query.number("ClientId");
    let site = query.number("SiteId");
    let serial = query.first("ServiceNumber");
    let topic = query.first("TicketTopic");
    let statuses: Vec<&str> = query.all("TicketStatus").collect();
    let product = query.first("ProductCategory");
    let (from, to) = (query.instant("StartDate"), query.instant("EndDate"));
    Box::new(candidates.filter(move |ticket| {
        client.is_none_or(|client| client == Ok(ticket.client))
            && site.is_none_or(|site| site.ok() == ticket.site)
            && serial.is_none_or(|serial| ticket.line_of(serial).is_some())
            && topic.is_none_or(|topic| topic.eq_ignore_ascii_case(ticket.topic.code()))
            && product.is_none_or(|product| product.eq_ignore_ascii_case(shapes::PRODUCT))
            && (statuses.is_empty() || statuses.iter().any(|status| ticket.status(now).named(status)))
            && from.is_none_or(|from| ticket.created >= from)
            && to.is_none_or(|to| ticket.created <= to)
    }))
}

/// `GET /api/Ticket/{ticket}/details`.
pub(super) async fn details(
    State(simulation): State<Simulation>,
    Path(ticket): Path<String>,
) -> Result<Response, Refusal> {
    let ticket = find(&simulation, &ticket)?;
    Ok(json(&shapes::details(&ticket)))
}

/// `GET /api/Ticket/AITicketData`.
pub(super) async fn history(State(simulation): State<Simulation>, query: Query) -> Result<Response, Refusal> {
    let id = query.first("ticketId").ok_or_else(|| Refusal::bad("ticketId is required"))?;
    let now = simulation.world.now();
    let ticket = id.parse().ok().and_then(|id| simulation.world.ticket(id));
    let rows = simulation.world.inventory(|inventory| {
        ticket.iter().flat_map(|ticket| shapes::history(ticket, inventory, now)).collect::<Vec<_>>()
    });
    Ok(json(&json!({"result": rows})))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NewTicketBody {
    client_id: i64,
    category: String,
    services: Vec<Service>,
    #[serde(default)]
    notes: Vec<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Service {
    service_number: String,
}

/// `POST /api/Ticket/`.
pub(super) async fn create(State(simulation): State<Simulation>, body: Bytes) -> Result<Response, Refusal> {
    let body: NewTicketBody = read(&body)?;
    let topic = match body.category.as_str() {
        "VOO" => Topic::Outage,
        "VAS" => Topic::Affecting,
        other => return Err(Refusal::bad(format!("category {other} is unknown"))),
    };
    let serials: Vec<String> = body.services.into_iter().map(|service| service.service_number).collect();
    let site = simulation.world.inventory(|inventory| {
        let asset = serials.iter().find_map(|serial| inventory.asset_of(serial, body.client_id));
        asset.map(|asset| asset.site)
    });
    if site.is_none() {
        return Err(Refusal::bad("None of the services was found in the client's active inventory"));
    }
    let new = NewTicket {
        client: body.client_id,
        site,
        topic,
        serials,
        created_by: ENGINE.to_owned(),
        severity: 2,
        description: body.notes.first().map(ToString::to_string),
    };
    let now = simulation.world.now();
    let id = simulation.world.with_tickets(|tickets| tickets.create(new, now));
    Ok(json(&json!({"ticketIds": [id]})))
}

/// The ticket that a path names.
pub(super) fn find(simulation: &Simulation, id: &str) -> Result<Ticket, Refusal> {
    let ticket = id.parse().ok().and_then(|id| simulation.world.ticket(id));
    ticket.ok_or_else(|| Refusal(StatusCode::NOT_FOUND, format!("ticket {id} does not exist")))
}
