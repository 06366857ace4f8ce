//! LIT's dispatches as its people see and change them.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};
use serde_json::{Map, Value};

use super::{Body, Changed, Problem};
use crate::Simulation;
use crate::lit::portal::Step;
use crate::lit::{File, LitDispatch, PortalError};

impl From<PortalError> for Problem {
    fn from(error: PortalError) -> Self {
        match error {
            PortalError::Unknown => Self::unknown("no such dispatch"),
            _ => Self::refused(error.to_string()),
        }
    }
}

fn shown(dispatch: LitDispatch) -> Json<Value> {
    Json(Value::Object(dispatch.0))
}

/// Lists the dispatches, oldest first, closed ones too.
#[utoipa::path(get, path = "/control/lit/dispatches", tag = "dispatches", responses((status = 200, body = Vec<Object>)))]
pub(super) async fn list(State(simulation): State<Simulation>) -> Json<Vec<Map<String, Value>>> {
    Json(simulation.lit.all().into_iter().map(|dispatch| dispatch.0).collect())
}

/// One dispatch.
#[utoipa::path(
    get, path = "/control/lit/dispatches/{number}", tag = "dispatches",
    responses((status = 200, body = Object), (status = 404, body = Problem)),
)]
pub(super) async fn one(
    State(simulation): State<Simulation>,
    Path(number): Path<String>,
) -> Result<Json<Value>, Problem> {
    Ok(shown(simulation.lit.named(&number)?))
}

/// Enters a dispatch. The body holds LIT's fields, `MetTel_Bruin_TicketID` at least.
#[utoipa::path(
    post, path = "/control/lit/dispatches", tag = "dispatches", request_body = Object,
    responses((status = 200, body = Object), (status = 400, body = Problem)),
)]
pub(super) async fn enter(
    State(simulation): State<Simulation>,
    Body(fields): Body<Map<String, Value>>,
) -> Result<Json<Value>, Problem> {
    Ok(shown(simulation.lit.create(&fields)?))
}

/// Changes fields of a dispatch, also those which customers cannot change.
#[utoipa::path(
    patch, path = "/control/lit/dispatches/{number}", tag = "dispatches", request_body = Object,
    responses((status = 200, body = Object), (status = 400, body = Problem), (status = 404, body = Problem)),
)]
pub(super) async fn change(
    State(simulation): State<Simulation>,
    Path(number): Path<String>,
    Body(fields): Body<Map<String, Value>>,
) -> Result<Json<Value>, Problem> {
    Ok(shown(simulation.lit.change(&number, fields)?))
}

/// Removes a dispatch.
#[utoipa::path(
    delete, path = "/control/lit/dispatches/{number}", tag = "dispatches",
    responses((status = 200, body = Changed)),
)]
pub(super) async fn remove(
    State(simulation): State<Simulation>,
    Path(number): Path<String>,
) -> Json<Changed> {
    Json(Changed { changed: simulation.lit.remove(&number) })
}

/// Takes a dispatch further: `confirm`, `arrive`, `close`, `cancel`.
#[utoipa::path(
    post, path = "/control/lit/dispatches/{number}/{step}", tag = "dispatches",
    responses((status = 200, body = Object), (status = 404, body = Problem)),
)]
pub(super) async fn step(
    State(simulation): State<Simulation>,
    Path((number, step)): Path<(String, Step)>,
) -> Result<Json<Value>, Problem> {
    let time = simulation.world.now().format("%-H:%M").to_string();
    Ok(shown(simulation.lit.step(&number, step, &time)?))
}

/// The files attached to a dispatch, oldest first.
#[utoipa::path(
    get, path = "/control/lit/dispatches/{number}/files", tag = "dispatches",
    responses((status = 200, body = Vec<File>)),
)]
pub(super) async fn files(
    State(simulation): State<Simulation>,
    Path(number): Path<String>,
) -> Json<Vec<File>> {
    Json(simulation.lit.files(&number))
}

/// The content of a file as it was sent.
#[utoipa::path(
    get, path = "/control/lit/dispatches/{number}/files/{id}", tag = "dispatches",
    responses((status = 200, description = "The content"), (status = 404, body = Problem)),
)]
pub(super) async fn file(
    State(simulation): State<Simulation>,
    Path((number, id)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let file = simulation.lit.files(&number).into_iter().find(|file| file.id == id);
    let file = file.ok_or_else(|| Problem::unknown(format!("no file {id}")))?;
    // Never as a page of this site, whatever its sender calls it.
    let kind = HeaderValue::from_static("application/octet-stream");
    Ok(([(header::CONTENT_TYPE, kind)], file.content).into_response())
}
