//! LIT's dispatch portal, as `lit-bridge` calls it: Apex REST resources in a Salesforce organisation.

mod generate;
pub mod portal;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::response::Response;
use axum::routing::{get, post};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, StatusCode, header};
use serde_json::{Map, Value, json};

use crate::Simulation;
use crate::http::{header_text, json, not_found};
use crate::salesforce::{self, Refusal};

pub use portal::{File, LARGEST_FILE, LitDispatch, Portal, PortalError};

/// More than any file that is attached, base64 and all.
const LARGEST_BODY: usize = 64 << 20;

/// The routes, below `/lit`.
pub fn router(simulation: &Simulation) -> Router<Simulation> {
    let api = Router::new()
        .route("/services/apexrest/NewDispatch", post(create))
        .route("/services/apexrest/CancelDispatch", post(cancel))
        .route("/services/apexrest/UpdateDispatch", post(update))
        .route("/services/apexrest/GetDispatch/{number}", get(one))
        .route("/services/apexrest/GetOpenDispatchList", get(list))
        .route("/services/apexrest/UploadDispatchFile/{number}", post(upload))
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .fallback(not_found);
    salesforce::LIT.router(simulation, api)
}

/// The object under `name` in a body.
fn wrapped(body: &Bytes, name: &str) -> Result<Map<String, Value>, Refusal> {
    let body: Value = serde_json::from_slice(body).map_err(|error| Refusal::unreadable(&error))?;
    body.get(name).and_then(Value::as_object).cloned().ok_or_else(|| {
        let text = "System.NullPointerException: Attempt to de-reference a null object";
        Refusal(StatusCode::INTERNAL_SERVER_ERROR, "APEX_ERROR", text.to_owned())
    })
}

/// The usual answer: a dispatch, or why there is none.
fn answer(portal: &Portal, outcome: Result<LitDispatch, PortalError>) -> Response {
    let call = portal.next_call();
    match outcome {
        Ok(dispatch) => json(&json!({
            "Status": "Success", "Message": null, "Dispatch": dispatch.0, "APIRequestID": call,
        })),
        Err(error) => json(&json!({
            "Status": "error", "Message": error.to_string(), "Dispatch": null, "APIRequestID": call,
        })),
    }
}

async fn create(State(simulation): State<Simulation>, body: Bytes) -> Result<Response, Refusal> {
    let order = wrapped(&body, "RequestDispatch")?;
    Ok(answer(&simulation.lit, simulation.lit.create(&order)))
}

async fn update(State(simulation): State<Simulation>, body: Bytes) -> Result<Response, Refusal> {
    let change = wrapped(&body, "RequestDispatch")?;
    Ok(answer(&simulation.lit, simulation.lit.update(&change)))
}

async fn one(State(simulation): State<Simulation>, Path(number): Path<String>) -> Response {
    answer(&simulation.lit, simulation.lit.named(&number))
}

async fn list(State(simulation): State<Simulation>) -> Response {
    let open = simulation.lit.open();
    json(&json!({
        "Status": "Success",
        "Message": format!("Total Number of Dispatches: {}", open.len()),
        "DispatchList": open.into_iter().map(|dispatch| dispatch.0).collect::<Vec<_>>(),
        "APIRequestID": simulation.lit.next_call(),
    }))
}

async fn cancel(State(simulation): State<Simulation>, body: Bytes) -> Result<Response, Refusal> {
    let request = wrapped(&body, "CancelDispatchRequest")?;
    let (status, message) = match simulation.lit.request_cancellation(&request) {
        Ok(number) => ("Success", format!("Cancellation Request Submitted for {number}")),
        Err(error) => ("error", error.to_string()),
    };
    let inner = json!({"Status": status, "APIRequestID": simulation.lit.next_call(), "Message": message});
    Ok(json(&json!({"CancelDispatchServiceResponse": inner})))
}

async fn upload(
    State(simulation): State<Simulation>,
    Path(number): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let name = headers.get(HeaderName::from_static("filename"));
    let name = name.map(|name| String::from_utf8_lossy(name.as_bytes()).into_owned()).unwrap_or_default();
    let kind = header_text(&headers, header::CONTENT_TYPE).unwrap_or_default();
    let (status, message) = match simulation.lit.attach(&number, &name, kind, body) {
        Ok(file) => ("Success", format!("File ID:{}", file.id)),
        Err(error) => ("error", error.to_string()),
    };
    json(&json!({"Status": status, "Message": message, "Dispatch": null, "APIRequestID": null}))
}
