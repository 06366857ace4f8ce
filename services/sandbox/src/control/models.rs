//! The models behind gRPC: prepared answers, and what they were asked.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, Query, State};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Body, Problem, named};
use crate::Simulation;
use crate::faults::ThirdParty;
use crate::kre::{ALL, ModelCall, Prepared, contract};

/// A model and what is prepared for it.
#[derive(Serialize, ToSchema)]
pub(super) struct ModelView {
    /// Name in this API.
    name: &'static str,
    /// Name for people.
    title: &'static str,
    /// Prepared answers by method.
    prepared: BTreeMap<String, Prepared>,
}

fn views(simulation: &Simulation) -> Vec<ModelView> {
    let view = |(model, _): (ThirdParty, _)| ModelView {
        name: model.name(),
        title: model.title(),
        prepared: simulation.models.prepared(model),
    };
    ALL.into_iter().map(view).collect()
}

fn model(name: &str) -> Result<ThirdParty, Problem> {
    let model = named(name)?;
    contract(model).map(|_| model).ok_or_else(|| Problem::unknown(format!("{name} is no model")))
}

/// Lists the models with the answers that are prepared.
#[utoipa::path(get, path = "/control/models", tag = "models", responses((status = 200, body = Vec<ModelView>)))]
pub(super) async fn list(State(simulation): State<Simulation>) -> Json<Vec<ModelView>> {
    Json(views(&simulation))
}

/// Prepares how a model answers one of its methods, e.g. `{"code": "UNAVAILABLE", "details": "busy", "times": 1}` or
/// `{"answer": {"prediction": [{"tag_id": 1002, "probability": 0.67}]}, "latency_ms": 500}`.
#[utoipa::path(
    put, path = "/control/models/{name}/rpcs/{rpc}", tag = "models", request_body = Prepared,
    responses((status = 200, body = Vec<ModelView>), (status = 400, body = Problem), (status = 404, body = Problem)),
)]
pub(super) async fn prepare(
    State(simulation): State<Simulation>,
    Path((name, rpc)): Path<(String, String)>,
    Body(prepared): Body<Prepared>,
) -> Result<Json<Vec<ModelView>>, Problem> {
    simulation.models.prepare(model(&name)?, &rpc, prepared).map_err(Problem::refused)?;
    Ok(Json(views(&simulation)))
}

/// Lets a model make its own answers to a method again.
#[utoipa::path(
    delete, path = "/control/models/{name}/rpcs/{rpc}", tag = "models",
    responses((status = 200, body = Vec<ModelView>), (status = 404, body = Problem)),
)]
pub(super) async fn clear(
    State(simulation): State<Simulation>,
    Path((name, rpc)): Path<(String, String)>,
) -> Result<Json<Vec<ModelView>>, Problem> {
    simulation.models.clear(model(&name)?, Some(&rpc));
    Ok(Json(views(&simulation)))
}

/// What to list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// Only calls of this method, e.g. `SaveMetrics`.
    rpc: Option<String>,
    /// At most so many, default 100.
    limit: Option<usize>,
}

/// The calls that a model received, newest first: what was asked and what was saved.
#[utoipa::path(
    get, path = "/control/models/{name}/calls", tag = "models", params(Which),
    responses((status = 200, body = Vec<ModelCall>), (status = 404, body = Problem)),
)]
pub(super) async fn calls(
    State(simulation): State<Simulation>,
    Path(name): Path<String>,
    Query(which): Query<Which>,
) -> Result<Json<Vec<ModelCall>>, Problem> {
    let mut calls = simulation.models.calls(model(&name)?);
    calls.reverse();
    calls.retain(|call| which.rpc.as_ref().is_none_or(|rpc| *rpc == call.rpc));
    calls.truncate(which.limit.unwrap_or(100));
    Ok(Json(calls))
}

/// Forgets the calls to all models.
#[utoipa::path(delete, path = "/control/models/calls", tag = "models", responses((status = 204)))]
pub(super) async fn forget(State(simulation): State<Simulation>) -> http::StatusCode {
    simulation.models.forget();
    http::StatusCode::NO_CONTENT
}
