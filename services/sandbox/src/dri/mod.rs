//! The DRI API, as `dri-bridge` calls it: login, and tasks that fetch parameters from a device in their own time.

use axum::Router;
use axum::extract::{Path, RawQuery, State};
use axum::response::Response;
use axum::routing::{get, post};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::Simulation;
use crate::environment::{DRI_PASSWORD, DRI_USER};
use crate::faults::ThirdParty;
use crate::http::{header_text, json, json_with, not_found};
use crate::world::dri::{TaskOutcome, TaskState};

/// The `ErrorCode` of everything that went well.
const GOOD: u32 = 100;
/// The `ErrorCode` of a parameter that the device does not know, as TR-069 has it.
const NO_SUCH_PARAMETER: u32 = 9005;

/// The routes, below `/dri`.
pub fn router() -> Router<Simulation> {
    Router::new()
        .route("/auth/login", post(login))
        .route("/acs/device/{serial}/taskpending", get(pending))
        .route("/acs/device/{serial}/parameter_returnid", get(create))
        .route("/acs/device/{serial}/parameter_tid", get(result))
        .fallback(not_found)
}

/// `auth/login`: a token, or 401 when the credentials are wrong.
async fn login(State(simulation): State<Simulation>, body: Bytes) -> Response {
    let form: Vec<_> = url::form_urlencoded::parse(&body).collect();
    let given = |name: &str, value: &str| form.iter().any(|(key, is)| key == name && is == value);
    if !given("email", DRI_USER) || !given("password", DRI_PASSWORD) {
        let refusal = json!({"status": "FAILED", "message": "Invalid email or password"});
        return json_with(StatusCode::UNAUTHORIZED, &refusal);
    }
    let token = simulation.sessions.open(ThirdParty::Dri, "", simulation.options.dri_token_life);
    json(&json!({"status": "SUCCESS", "authorization_token": token}))
}

/// The answer without a valid token; `None` with one.
fn refused(simulation: &Simulation, headers: &HeaderMap) -> Option<Response> {
    let token = header_text(headers, header::AUTHORIZATION).and_then(|text| text.strip_prefix("Bearer "));
    let valid = token.is_some_and(|token| simulation.sessions.valid(ThirdParty::Dri, "", token));
    let refusal = json!({"status": "FAILED", "message": "Token is invalid or expired"});
    (!valid).then(|| json_with(StatusCode::UNAUTHORIZED, &refusal))
}

fn good(data: &Value) -> Response {
    json(&json!({"status": "SUCCESS", "message": "All Good!", "data": data}))
}

fn failed(message: &str) -> Response {
    json(&json!({"status": "FAILED", "message": message}))
}

fn unknown_device(serial: &str) -> Response {
    failed(&format!("There is no device with serial number {serial}"))
}

/// A query parameter, percent-decoded. A `+` stays one: DRI does not read queries as forms.
fn parameter(query: Option<&str>, name: &str) -> Option<String> {
    let pairs = query?.split('&').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.into_iter().find(|(key, _)| *key == name)?;
    percent_encoding::percent_decode_str(value).decode_utf8().ok().map(Into::into)
}

/// `taskpending`: the tasks that the device has not done yet.
async fn pending(
    State(simulation): State<Simulation>,
    Path(serial): Path<String>,
    headers: HeaderMap,
) -> Response {
    if let Some(refusal) = refused(&simulation, &headers) {
        return refusal;
    }
    let Some(tasks) = simulation.world.pending_dri_tasks(&serial) else { return unknown_device(&serial) };
    let transactions: Vec<Value> = tasks.into_iter().map(|id| json!({"Id": id})).collect();
    good(&json!({"Transactions": transactions, "ErrorCode": GOOD, "Message": ""}))
}

/// What is asked for.
#[derive(Deserialize)]
struct ParameterSet {
    #[serde(rename = "ParameterNames")]
    names: Vec<String>,
}

/// `parameter_returnid`: starts a task.
async fn create(
    State(simulation): State<Simulation>,
    Path(serial): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    if let Some(refusal) = refused(&simulation, &headers) {
        return refusal;
    }
    let set = parameter(query.as_deref(), "data").unwrap_or_default();
    let Ok(ParameterSet { names }) = serde_json::from_str(&set) else {
        return json_with(
            StatusCode::BAD_REQUEST,
            &json!({"status": "FAILED", "message": "data is no parameter set"}),
        );
    };
    let outcome = simulation.world.dri_device(&serial).map(|device| device.outcome);
    let takes = simulation.options.dri_task_takes;
    let Some(task) = simulation.world.start_dri_task(&serial, names, takes) else {
        return unknown_device(&serial);
    };
    if outcome == Some(TaskOutcome::CreationTimesOut) {
        return json_with(StatusCode::GATEWAY_TIMEOUT, &json!({"message": "Endpoint request timed out"}));
    }
    good(&json!({"Id": task.id, "ErrorCode": GOOD, "Message": ""}))
}

/// `parameter_tid`: what came of a task.
async fn result(
    State(simulation): State<Simulation>,
    Path(serial): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    if let Some(refusal) = refused(&simulation, &headers) {
        return refusal;
    }
    let id = parameter(query.as_deref(), "transactionid").unwrap_or_default();
    let state = match id.parse() {
        Ok(number) => simulation.world.dri_task_state(&serial, number),
        Err(_) => TaskState::Unknown,
    };
    let unfinished = |message: &str| good(&json!({"Parameters": [], "ErrorCode": GOOD, "Message": message}));
    match state {
        TaskState::Unknown => failed(&format!("There are no tasks in transaction ID={id}")),
        TaskState::Pending => unfinished("Pending"),
        TaskState::Rejected => unfinished("Rejected"),
        TaskState::Done(values) => {
            let element = |(name, value): (String, Option<String>)| match value {
                Some(value) => json!({"Name": name, "Value": value, "ErrorCode": GOOD, "Message": ""}),
                None => {
                    json!({"Name": name, "Value": "", "ErrorCode": NO_SUCH_PARAMETER, "Message": "Invalid parameter name"})
                }
            };
            let parameters: Vec<Value> = values.into_iter().map(element).collect();
            good(&json!({"Parameters": parameters, "ErrorCode": GOOD, "Message": ""}))
        }
    }
}
