//! Bruin's tickets as its people see and change them.

use axum::Json;
use axum::extract::{Path, Query, State};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Body, Problem};
use crate::Simulation;
use crate::world::repair::RepairPolicy;
use crate::world::tickets::{NewTicket, Status, Ticket, Topic};

/// Which tickets to list.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
pub(super) struct Selection {
    /// Service number of a line.
    serial: Option<String>,
    /// Client id.
    client: Option<i64>,
    /// `true`: only those not resolved.
    open: Option<bool>,
    /// At most so many, default 100.
    limit: Option<usize>,
    /// Skip so many.
    offset: Option<usize>,
}

/// Tickets.
#[derive(Serialize, ToSchema)]
pub(super) struct TicketList {
    /// How many match.
    total: usize,
    /// Newest first.
    tickets: Vec<Ticket>,
}

/// Lists tickets with lines and notes.
#[utoipa::path(get, path = "/control/tickets", tag = "tickets", params(Selection), responses((status = 200, body = TicketList)))]
pub(super) async fn list(
    State(simulation): State<Simulation>,
    Query(selection): Query<Selection>,
) -> Json<TicketList> {
    let now = simulation.world.now();
    let (limit, offset) = (selection.limit.unwrap_or(100), selection.offset.unwrap_or(0));
    Json(simulation.world.read_tickets(|tickets| {
        let matches = |ticket: &&Ticket| {
            selection.serial.as_deref().is_none_or(|serial| ticket.line_of(serial).is_some())
                && selection.client.is_none_or(|client| client == ticket.client)
                && selection.open.is_none_or(|open| open == ticket.status(now).is_open())
        };
        let found: Vec<&Ticket> = tickets.newest_first().filter(matches).collect();
        let page = found
            .iter()
            .skip(offset)
            .take(limit)
            .map(|ticket| Ticket { status: ticket.status(now), ..(*ticket).clone() });
        TicketList { total: found.len(), tickets: page.collect() }
    }))
}

/// One ticket.
#[utoipa::path(
    get, path = "/control/tickets/{id}", tag = "tickets",
    responses((status = 200, body = Ticket), (status = 404, body = Problem)),
)]
pub(super) async fn one(
    State(simulation): State<Simulation>,
    Path(id): Path<i64>,
) -> Result<Json<Ticket>, Problem> {
    let ticket = simulation.world.ticket(id).ok_or_else(|| Problem::unknown(format!("no ticket {id}")))?;
    let status: Status = ticket.status(simulation.world.now());
    Ok(Json(Ticket { status, ..ticket }))
}

/// A ticket that a person creates.
#[derive(Deserialize, ToSchema)]
pub(super) struct ManualTicket {
    /// Service numbers, at least one.
    serials: Vec<String>,
    /// Who creates it, default `A. Person`.
    created_by: Option<String>,
    /// `true`: service affecting instead of service outage.
    #[serde(default)]
    affecting: bool,
    /// 1 to 4, default 2.
    severity: Option<i64>,
}

/// Creates a ticket as a person would.
#[utoipa::path(
    post, path = "/control/tickets", tag = "tickets", request_body = ManualTicket,
    responses((status = 200, body = Ticket), (status = 404, body = Problem)),
)]
pub(super) async fn create(
    State(simulation): State<Simulation>,
    Body(body): Body<ManualTicket>,
) -> Result<Json<Ticket>, Problem> {
    let world = &simulation.world;
    let first = body.serials.first().ok_or_else(|| Problem::refused("serials must not be empty"))?;
    let asset = world.inventory(|inventory| inventory.assets(first).first().cloned());
    let asset = asset.ok_or_else(|| Problem::unknown(format!("no inventory item for {first}")))?;
    let new = NewTicket {
        client: asset.client,
        site: Some(asset.site),
        topic: if body.affecting { Topic::Affecting } else { Topic::Outage },
        created_by: body.created_by.unwrap_or_else(|| "A. Person".to_owned()),
        severity: body.severity.unwrap_or(2),
        description: None,
        serials: body.serials,
    };
    let now = world.now();
    let id = world.with_tickets(|tickets| tickets.create(new, now));
    one(State(simulation), Path(id)).await
}

/// Closes a ticket.
#[utoipa::path(
    post, path = "/control/tickets/{id}/close", tag = "tickets",
    responses((status = 200, body = Ticket), (status = 404, body = Problem), (status = 409, body = Problem)),
)]
pub(super) async fn close(
    State(simulation): State<Simulation>,
    Path(id): Path<i64>,
) -> Result<Json<Ticket>, Problem> {
    let now = simulation.world.now();
    simulation.world.with_tickets(|tickets| tickets.close(id, now))?;
    one(State(simulation), Path(id)).await
}

/// What to do to a line.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum LineAction {
    /// Resolves it.
    Resolve,
    /// Opens it.
    Open,
    /// Pauses it.
    Pause,
    /// Ends its pause.
    Unpause,
}

/// Changes a line: `resolve`, `open`, `pause`, `unpause`.
#[utoipa::path(
    post, path = "/control/tickets/{id}/lines/{line}/{action}", tag = "tickets",
    responses((status = 200, body = Ticket), (status = 404, body = Problem), (status = 409, body = Problem)),
)]
pub(super) async fn change_line(
    State(simulation): State<Simulation>,
    Path((id, line, action)): Path<(i64, i64, LineAction)>,
) -> Result<Json<Ticket>, Problem> {
    let now = simulation.world.now();
    simulation.world.with_tickets(|tickets| match action {
        LineAction::Resolve => tickets.set_line(id, line, true, now),
        LineAction::Open => tickets.set_line(id, line, false, now),
        LineAction::Pause => tickets.pause(id, line, now),
        LineAction::Unpause => tickets.unpause(id, Some(line), None, now),
    })?;
    one(State(simulation), Path(id)).await
}

/// What Bruin does about resolved tickets.
#[utoipa::path(get, path = "/control/repair-policy", tag = "tickets", responses((status = 200, body = RepairPolicy)))]
pub(super) async fn policy(State(simulation): State<Simulation>) -> Json<RepairPolicy> {
    Json(simulation.world.read_tickets(|tickets| tickets.policy.clone()))
}

/// Chooses between 471 (`leave_resolved`), 472 (`reopen`), 473 (`join_site`) and a new ticket (`create_new`),
/// by default, per client and per service number; `zero`: service numbers answered with ticket id 0.
#[utoipa::path(
    put, path = "/control/repair-policy", tag = "tickets", request_body = RepairPolicy,
    responses((status = 200, body = RepairPolicy), (status = 400, body = Problem)),
)]
pub(super) async fn set_policy(
    State(simulation): State<Simulation>,
    Body(policy): Body<RepairPolicy>,
) -> Json<RepairPolicy> {
    simulation.world.with_tickets(|tickets| tickets.policy = policy.clone());
    Json(policy)
}
