//! Third parties: faults, logins, and what they received.

use axum::Json;
use axum::extract::{Path, Query, State};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Body, Changed, Problem};
use crate::Simulation;
use crate::faults::{Fault, Standing, ThirdParty};
use crate::received::{Count, Received};

/// A third party and what is wrong with it.
#[derive(Serialize, ToSchema)]
pub(crate) struct ThirdPartyView {
    /// Name in this API.
    pub(crate) name: &'static str,
    /// Name for people.
    pub(crate) title: &'static str,
    /// Calls received.
    pub(crate) calls: u64,
    /// Sessions or tokens that are valid.
    pub(crate) sessions: usize,
    /// Faults in force.
    pub(crate) faults: Vec<Standing>,
}

pub(crate) fn views(simulation: &Simulation) -> Vec<ThirdPartyView> {
    let view = |third_party: ThirdParty| ThirdPartyView {
        name: third_party.name(),
        title: third_party.title(),
        calls: simulation.received.count(third_party, ""),
        sessions: simulation.sessions.count(third_party),
        faults: simulation.faults.standing(third_party),
    };
    ThirdParty::ALL.into_iter().map(view).collect()
}

pub(crate) fn named(name: &str) -> Result<ThirdParty, Problem> {
    let known = || ThirdParty::ALL.map(ThirdParty::name).join(", ");
    ThirdParty::named(name)
        .ok_or_else(|| Problem::unknown(format!("no third party {name}; there are {}", known())))
}

/// Lists the third parties with the faults in force.
#[utoipa::path(get, path = "/control/third-parties", tag = "third parties", responses((status = 200, body = Vec<ThirdPartyView>)))]
pub(super) async fn list(State(simulation): State<Simulation>) -> Json<Vec<ThirdPartyView>> {
    Json(views(&simulation))
}

/// A fault's number.
#[derive(Serialize, ToSchema)]
pub(super) struct Injected {
    /// For its removal.
    id: u64,
}

/// Checks and injects; also used by the page.
pub(crate) fn put(simulation: &Simulation, third_party: ThirdParty, fault: Fault) -> Result<u64, Problem> {
    if !(0.0..=1.0).contains(&fault.rate) {
        return Err(Problem::refused("rate must be between 0 and 1"));
    }
    if fault.status.is_some_and(|status| !(200..=599).contains(&status)) {
        return Err(Problem::refused("status must be between 200 and 599"));
    }
    Ok(simulation.faults.inject(third_party, fault))
}

/// Injects a fault, e.g. `{"mode": "status", "status": 503, "rate": 0.5, "for": 60}`.
#[utoipa::path(
    post, path = "/control/third-parties/{name}/faults", tag = "third parties", request_body = Fault,
    responses((status = 200, body = Injected), (status = 400, body = Problem), (status = 404, body = Problem)),
)]
pub(super) async fn inject(
    State(simulation): State<Simulation>,
    Path(name): Path<String>,
    Body(fault): Body<Fault>,
) -> Result<Json<Injected>, Problem> {
    let id = put(&simulation, named(&name)?, fault)?;
    Ok(Json(Injected { id }))
}

/// Removes all faults of a third party; `all` of every one.
#[utoipa::path(
    delete, path = "/control/third-parties/{name}/faults", tag = "third parties",
    responses((status = 200, body = Vec<ThirdPartyView>), (status = 404, body = Problem)),
)]
pub(super) async fn clear(
    State(simulation): State<Simulation>,
    Path(name): Path<String>,
) -> Result<Json<Vec<ThirdPartyView>>, Problem> {
    let third_party = if name == "all" { None } else { Some(named(&name)?) };
    simulation.faults.clear(third_party);
    Ok(Json(views(&simulation)))
}

/// Removes one fault.
#[utoipa::path(
    delete, path = "/control/third-parties/{name}/faults/{id}", tag = "third parties",
    responses((status = 200, body = Changed), (status = 404, body = Problem)),
)]
pub(super) async fn remove(
    State(simulation): State<Simulation>,
    Path((name, id)): Path<(String, u64)>,
) -> Result<Json<Changed>, Problem> {
    Ok(Json(Changed { changed: simulation.faults.remove(named(&name)?, id) }))
}

/// How many logins ended.
#[derive(Serialize, ToSchema)]
pub(super) struct Expired {
    /// Tokens or sessions.
    expired: usize,
}

/// Ends all tokens or sessions of a third party at once.
#[utoipa::path(
    post, path = "/control/third-parties/{name}/expire-logins", tag = "third parties",
    responses((status = 200, body = Expired), (status = 404, body = Problem)),
)]
pub(super) async fn expire(
    State(simulation): State<Simulation>,
    Path(name): Path<String>,
) -> Result<Json<Expired>, Problem> {
    Ok(Json(Expired { expired: simulation.sessions.expire(named(&name)?) }))
}

/// What to list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// Name of a third party; absent: all.
    third_party: Option<String>,
    /// At most so many calls, default 100.
    limit: Option<usize>,
}

/// What was received.
#[derive(Serialize, ToSchema)]
pub(super) struct ReceivedList {
    /// Counts by third party, method, path and status.
    counts: Vec<Count>,
    /// The last calls, newest first.
    last: Vec<Received>,
}

/// What the third parties received.
#[utoipa::path(
    get, path = "/control/received", tag = "third parties", params(Which),
    responses((status = 200, body = ReceivedList), (status = 404, body = Problem)),
)]
pub(super) async fn received(
    State(simulation): State<Simulation>,
    Query(which): Query<Which>,
) -> Result<Json<ReceivedList>, Problem> {
    let third_party = which.third_party.as_deref().map(named).transpose()?;
    let mut counts = simulation.received.counts();
    counts.retain(|count| third_party.is_none_or(|one| one == count.third_party));
    let last = simulation.received.last(third_party, which.limit.unwrap_or(100));
    Ok(Json(ReceivedList { counts, last }))
}

/// Forgets what was received.
#[utoipa::path(delete, path = "/control/received", tag = "third parties", responses((status = 204)))]
pub(super) async fn forget_received(State(simulation): State<Simulation>) -> http::StatusCode {
    simulation.received.clear();
    http::StatusCode::NO_CONTENT
}
