//! The Salesforce organisation of CTS, as `cts-bridge` calls it: queries of `Service__c` records, creation and changes.

mod generate;
pub mod records;
pub mod schema;
pub mod soql;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::response::Response;
use axum::routing::{get, patch, post};
use bytes::Bytes;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::Simulation;
use crate::http::{json, json_with, not_found};
use crate::salesforce::{self, Refusal};

pub use records::{Record, RecordError, Records};

const OBJECTS: &str = "/services/data/v42.0/sobjects/Service__c";
const LARGEST_BODY: usize = 16 << 20;

/// The routes, below `/cts`.
pub fn router(simulation: &Simulation) -> Router<Simulation> {
    let api = Router::new()
        .route("/services/data/v42.0/query/", get(query))
        .route("/services/data/v42.0/query/{locator}", get(next_page))
        .route(&format!("{OBJECTS}/"), post(create))
        .route(&format!("{OBJECTS}/{{id}}"), patch(update))
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .fallback(not_found);
    salesforce::CTS.router(simulation, api)
}

impl From<RecordError> for Refusal {
    fn from(error: RecordError) -> Self {
        let (status, code) = match &error {
            RecordError::Unknown => (StatusCode::NOT_FOUND, "NOT_FOUND"),
            RecordError::NoSuchField(_) => (StatusCode::BAD_REQUEST, "INVALID_FIELD"),
            RecordError::ReadOnly(_) => (StatusCode::BAD_REQUEST, "INVALID_FIELD_FOR_INSERT_UPDATE"),
            RecordError::Malformed(_) => (StatusCode::BAD_REQUEST, "MALFORMED_QUERY"),
            RecordError::NoSuchObject(_) => (StatusCode::BAD_REQUEST, "INVALID_TYPE"),
            RecordError::NoSuchCursor => (StatusCode::BAD_REQUEST, "INVALID_QUERY_LOCATOR"),
        };
        Self(status, code, error.to_string())
    }
}

#[derive(Deserialize)]
struct Question {
    #[serde(default)]
    q: String,
}

/// A query: the first page of its result.
async fn query(
    State(simulation): State<Simulation>,
    Query(question): Query<Question>,
) -> Result<Response, Refusal> {
    let now = simulation.world.now();
    Ok(json(&simulation.cts.query(&question.q, now)?))
}

/// A further page of a result.
async fn next_page(
    State(simulation): State<Simulation>,
    Path(locator): Path<String>,
) -> Result<Response, Refusal> {
    Ok(json(&simulation.cts.next_page(&locator)?))
}

fn fields(body: &Bytes) -> Result<Map<String, Value>, Refusal> {
    serde_json::from_slice(body).map_err(|error| Refusal::unreadable(&error))
}

/// Creates a record. Without a ticket it is not saved, and the answer says so.
async fn create(State(simulation): State<Simulation>, body: Bytes) -> Result<Response, Refusal> {
    let created = simulation.cts.create(&fields(&body)?, simulation.world.now())?;
    Ok(match created {
        Some(record) => {
            json_with(StatusCode::CREATED, &json!({"id": record.id(), "success": true, "errors": []}))
        }
        None => json(&json!({"id": null, "success": false, "errors": [{
            "statusCode": "REQUIRED_FIELD_MISSING",
            "message": "Required fields are missing: [Ext_Ref_Num__c]",
            "fields": ["Ext_Ref_Num__c"],
        }]})),
    })
}

/// Changes fields of a record.
async fn update(
    State(simulation): State<Simulation>,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<StatusCode, Refusal> {
    simulation.cts.update(&id, &fields(&body)?)?;
    Ok(StatusCode::NO_CONTENT)
}
