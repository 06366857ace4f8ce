//! CTS's dispatches as its people see and change them.

use axum::Json;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::{Body, Changed, Problem};
use crate::Simulation;
use crate::cts::records::Step;
use crate::cts::{Record, RecordError};

impl From<RecordError> for Problem {
    fn from(error: RecordError) -> Self {
        match error {
            RecordError::Unknown => Self::unknown(error.to_string()),
            _ => Self::refused(error.to_string()),
        }
    }
}

fn shown(record: Record) -> Json<Value> {
    Json(Value::Object(record.0))
}

/// Lists the `Service__c` records, oldest first.
#[utoipa::path(get, path = "/control/cts/dispatches", tag = "dispatches", responses((status = 200, body = Vec<Object>)))]
pub(super) async fn list(State(simulation): State<Simulation>) -> Json<Vec<Map<String, Value>>> {
    Json(simulation.cts.all().into_iter().map(|record| record.0).collect())
}

/// One record.
#[utoipa::path(
    get, path = "/control/cts/dispatches/{number}", tag = "dispatches",
    responses((status = 200, body = Object), (status = 404, body = Problem)),
)]
pub(super) async fn one(
    State(simulation): State<Simulation>,
    Path(number): Path<String>,
) -> Result<Json<Value>, Problem> {
    Ok(shown(simulation.cts.named(&number).ok_or(RecordError::Unknown)?))
}

/// Enters a dispatch, as CTS's people do when an order comes by mail. The body holds fields of `Service__c`; `Status__c`
/// is `Open` and `Open_Date__c` is now unless it says otherwise.
#[utoipa::path(
    post, path = "/control/cts/dispatches", tag = "dispatches", request_body = Object,
    responses((status = 200, body = Object), (status = 400, body = Problem)),
)]
pub(super) async fn enter(
    State(simulation): State<Simulation>,
    Body(fields): Body<Map<String, Value>>,
) -> Result<Json<Value>, Problem> {
    let opened = simulation.world.now().format("%Y-%m-%dT%H:%M:%S.000+0000").to_string();
    let mut all =
        Map::from_iter([("Status__c".to_owned(), json!("Open")), ("Open_Date__c".to_owned(), json!(opened))]);
    all.extend(fields);
    Ok(shown(simulation.cts.add(all)?))
}

/// Changes fields of a record.
#[utoipa::path(
    patch, path = "/control/cts/dispatches/{number}", tag = "dispatches", request_body = Object,
    responses((status = 200, body = Object), (status = 400, body = Problem), (status = 404, body = Problem)),
)]
pub(super) async fn change(
    State(simulation): State<Simulation>,
    Path(number): Path<String>,
    Body(fields): Body<Map<String, Value>>,
) -> Result<Json<Value>, Problem> {
    Ok(shown(simulation.cts.change(&number, &fields)?))
}

/// Removes a record.
#[utoipa::path(
    delete, path = "/control/cts/dispatches/{number}", tag = "dispatches",
    responses((status = 200, body = Changed)),
)]
pub(super) async fn remove(
    State(simulation): State<Simulation>,
    Path(number): Path<String>,
) -> Json<Changed> {
    Json(Changed { changed: simulation.cts.remove(&number) })
}

/// Takes a dispatch further: `schedule`, `arrive`, `complete`, `cancel`.
#[utoipa::path(
    post, path = "/control/cts/dispatches/{number}/{step}", tag = "dispatches",
    responses((status = 200, body = Object), (status = 404, body = Problem)),
)]
pub(super) async fn step(
    State(simulation): State<Simulation>,
    Path((number, step)): Path<(String, Step)>,
) -> Result<Json<Value>, Problem> {
    Ok(shown(simulation.cts.step(&number, step, simulation.world.now())?))
}

/// How much a page of a query's result holds.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PageSize {
    /// Records, at least 1; Salesforce's own is 2000.
    records: usize,
}

/// Chooses the page size, so that few records make several pages.
#[utoipa::path(
    put, path = "/control/cts/page-size", tag = "dispatches", request_body = PageSize,
    responses((status = 200, body = PageSize), (status = 400, body = Problem)),
)]
pub(super) async fn page_size(
    State(simulation): State<Simulation>,
    Body(size): Body<PageSize>,
) -> Result<Json<PageSize>, Problem> {
    if size.records == 0 {
        return Err(Problem::refused("records must be at least 1"));
    }
    simulation.cts.set_page(size.records);
    Ok(Json(size))
}
