//! The world at a glance, and its clock.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Body, Problem};
use crate::Simulation;
use crate::world::network::Health;
use crate::world::outages::OutageCounts;

/// The world at a glance.
#[derive(Serialize, ToSchema)]
pub(super) struct Info {
    /// Seed of the network.
    seed: u64,
    /// VeloCloud hosts.
    hosts: Vec<String>,
    /// Number of edges.
    edges: usize,
    /// Number of edges per state.
    states: Vec<StateCount>,
    /// Number of clients.
    clients: usize,
    /// Number of tickets.
    tickets: usize,
    /// Number of tickets that are not resolved.
    open_tickets: usize,
    /// The sandbox's own account of the outages it made.
    outages: OutageCounts,
    /// The world's time.
    now: DateTime<Utc>,
}

/// How many edges are in a state.
#[derive(Serialize, ToSchema)]
pub(super) struct StateCount {
    /// The state.
    health: Health,
    /// How many.
    count: usize,
}

/// Seed, size and state of the world.
#[utoipa::path(get, path = "/control/info", tag = "world", responses((status = 200, body = Info)))]
pub(super) async fn info(State(simulation): State<Simulation>) -> Json<Info> {
    let world = &simulation.world;
    let now = world.now();
    let (edges, states, outages) =
        world.network(|network| (network.edges.len(), network.census(), network.outages.counts()));
    let (tickets, open_tickets) = world.read_tickets(|tickets| {
        let open = tickets.newest_first().filter(|ticket| ticket.status(now).is_open()).count();
        (tickets.len(), open)
    });
    Json(Info {
        seed: simulation.options.seed,
        hosts: simulation.options.hosts.clone(),
        edges,
        states: states.into_iter().map(|(health, count)| StateCount { health, count }).collect(),
        clients: world.inventory(|inventory| inventory.clients.len()),
        tickets,
        open_tickets,
        outages,
        now,
    })
}

/// The world's time.
#[derive(Serialize, ToSchema)]
pub(super) struct Now {
    /// The present instant.
    now: DateTime<Utc>,
}

/// The world's time.
#[utoipa::path(get, path = "/control/clock", tag = "world", responses((status = 200, body = Now)))]
pub(super) async fn clock(State(simulation): State<Simulation>) -> Json<Now> {
    Json(Now { now: simulation.world.now() })
}

/// How far to move.
#[derive(Deserialize, ToSchema)]
pub(super) struct Advance {
    /// Seconds, also with a fraction.
    seconds: f64,
}

/// Moves time forward: tokens expire, DiGi units come back, resolved tickets are closed.
#[utoipa::path(
    post, path = "/control/clock/advance", tag = "world", request_body = Advance,
    responses((status = 200, body = Now), (status = 400, body = Problem), (status = 409, body = Problem)),
)]
pub(super) async fn advance(
    State(simulation): State<Simulation>,
    Body(body): Body<Advance>,
) -> Result<Json<Now>, Problem> {
    let by = Duration::try_from_secs_f64(body.seconds)
        .ok()
        .filter(|by| by.as_secs() <= 10 * 365 * 86_400)
        .ok_or_else(|| Problem::refused("seconds must be between 0 and ten years"))?;
    if !simulation.world.advance(by) {
        return Err(Problem {
            status: http::StatusCode::CONFLICT,
            problem: "this clock cannot be moved".to_owned(),
        });
    }
    Ok(Json(Now { now: simulation.world.now() }))
}
