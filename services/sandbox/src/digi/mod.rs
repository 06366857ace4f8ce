//! The DiGi reboot service, as `digi-bridge` calls it: OAuth, reboots of out-of-band units, and their log.
//!
//! Parameters travel as HTTP headers.

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{get, post};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::{HeaderMap, HeaderName, StatusCode, header};
use serde::Serialize;
use serde_json::{Value, json};

use crate::Simulation;
use crate::environment::{DIGI_CLIENT_ID, DIGI_CLIENT_SECRET};
use crate::faults::ThirdParty;
use crate::http::{header_text, json, json_with, not_found};
use crate::world::states::{RebootOutcome, RecoveryLog};

/// Lines of the log that are sent when the caller names no size.
const PAGE: usize = 50;

/// The routes, below `/digi`.
pub fn router() -> Router<Simulation> {
    Router::new()
        .route("/Identity/rest/oauth/token", post(login))
        .route("/DeviceManagement_API/rest/Recovery/RecoverDevice", post(recover))
        .route("/DeviceManagement_API/rest/Recovery/Logs", get(logs))
        .fallback(not_found)
}

async fn login(State(simulation): State<Simulation>, headers: HeaderMap, body: Bytes) -> Response {
    let expected = BASE64_STANDARD.encode(format!("{DIGI_CLIENT_ID}:{DIGI_CLIENT_SECRET}"));
    let given = header_text(&headers, header::AUTHORIZATION).and_then(|text| text.strip_prefix("Basic "));
    let form: Vec<_> = url::form_urlencoded::parse(&body).collect();
    let asks = |name: &str, value: &str| form.iter().any(|(key, is)| key == name && is == value);
    if given != Some(expected.as_str()) {
        return json_with(StatusCode::UNAUTHORIZED, &json!({"error": "invalid_client"}));
    }
    if !asks("grant_type", "client_credentials") || !asks("scope", "write:dms") {
        return json_with(StatusCode::BAD_REQUEST, &json!({"error": "invalid_request"}));
    }
    let life = simulation.options.digi_token_life;
    let token = simulation.sessions.open(ThirdParty::Digi, "", life);
    json(
        &json!({"access_token": token, "token_type": "Bearer", "expires_in": life.as_secs(), "scope": "write:dms"}),
    )
}

fn logged_in(simulation: &Simulation, headers: &HeaderMap) -> bool {
    let token = header_text(headers, header::AUTHORIZATION).and_then(|text| text.strip_prefix("Bearer "));
    token.is_some_and(|token| simulation.sessions.valid(ThirdParty::Digi, "", token))
}

fn parameter(headers: &HeaderMap, name: &'static str) -> Option<String> {
    header_text(headers, HeaderName::from_static(name)).map(str::to_owned)
}

/// An element of the answer to a reboot.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Element {
    message: &'static str,
    velo_serial: String,
    site_name: String,
    velo_interface: Value,
    #[serde(rename = "DiscoveredIP")]
    discovered_ip: Value,
    carrier: Value,
    #[serde(rename = "DiscoveredMAC")]
    discovered_mac: Value,
    ticket: String,
}

/// `Recovery/RecoverDevice`.
async fn recover(State(simulation): State<Simulation>, headers: HeaderMap) -> Response {
    if !logged_in(&simulation, &headers) {
        return json_with(StatusCode::UNAUTHORIZED, &json!([{"Message": "unauthorized"}]));
    }
    let parameters =
        (parameter(&headers, "veloserial"), parameter(&headers, "ticket"), parameter(&headers, "mac"));
    let (Some(serial), Some(ticket), Some(mac)) = parameters else {
        return json(&json!([{"error": "VeloSerial, Ticket and MAC are required"}]));
    };
    let igz_id = parameter(&headers, "igzid");
    let after = simulation.options.digi_heals_after;
    match simulation.world.reboot(&serial, &mac, &ticket, igz_id.as_deref(), after) {
        RebootOutcome::Started { site, interface, ip, carrier } => json(&[Element {
            message: "DiGi Device Recovery started",
            velo_serial: serial,
            site_name: site,
            velo_interface: json!({"Interface": interface}),
            discovered_ip: json!({"IPAddress": ip}),
            carrier: json!({"Carrier": carrier}),
            discovered_mac: json!({"MAC": mac}),
            ticket,
        }]),
        RebootOutcome::AlreadyRunning => json(&json!([
            {"Message": "Aborted: recovery already running", "VeloSerial": serial, "Ticket": ticket},
        ])),
        RebootOutcome::UnknownDevice => {
            json(&json!([{"error": "no device", "VeloSerial": serial, "Ticket": ticket}]))
        }
    }
}

#[derive(Serialize)]
struct LogLine {
    #[serde(rename = "Id")]
    id: i64,
    #[serde(rename = "igzID")]
    igz_id: String,
    #[serde(rename = "RequestID")]
    request_id: String,
    #[serde(rename = "Method")]
    method: &'static str,
    #[serde(rename = "System")]
    system: &'static str,
    #[serde(rename = "VeloSerial")]
    velo_serial: String,
    #[serde(rename = "TicketID")]
    ticket: String,
    #[serde(rename = "DeviceSN")]
    device: String,
    #[serde(rename = "Notes")]
    notes: &'static str,
    #[serde(rename = "Success", skip_serializing_if = "Option::is_none")]
    success: Option<bool>,
    #[serde(rename = "TimestampSTART")]
    start: String,
    #[serde(rename = "TimestampEND", skip_serializing_if = "Option::is_none")]
    end: Option<String>,
}

impl From<RecoveryLog> for LogLine {
    fn from(line: RecoveryLog) -> Self {
        let time = |at: DateTime<Utc>| at.format("%Y-%m-%dT%H:%M:%SZ").to_string();
        Self {
            id: line.id,
            igz_id: line.igz_id,
            request_id: line.request_id,
            method: line.method,
            system: "DRAC",
            velo_serial: line.serial,
            ticket: line.ticket,
            device: line.device,
            notes: line.notes,
            success: line.success,
            start: time(line.start),
            end: line.end.map(time),
        }
    }
}

fn error(code: &str, message: &str) -> Response {
    json(&json!({"Error": {"Code": code, "Message": message}}))
}

/// `Recovery/Logs`: oldest first, filtered by request id and begin, in pages.
async fn logs(State(simulation): State<Simulation>, headers: HeaderMap) -> Response {
    if !logged_in(&simulation, &headers) {
        return json_with(StatusCode::UNAUTHORIZED, &json!({"Message": "unauthorized"}));
    }
    let start = match parameter(&headers, "startdatetime").map(|text| instant(&text)) {
        Some(None) => return error("40002", "StartDateTime is no timestamp"),
        start => start.flatten(),
    };
    let number = |name, default: usize| match parameter(&headers, name) {
        None => Ok((default.to_string(), default)),
        Some(text) => text.trim().parse().map(|number| (text, number)).map_err(drop),
    };
    let (Ok((size_text, size)), Ok((offset_text, offset))) = (number("size", PAGE), number("offset", 0))
    else {
        return error("40001", "Size and Offset must be numbers");
    };
    let igz_id = parameter(&headers, "igzid");
    let wanted = |line: &RecoveryLog| {
        start.is_none_or(|start| line.start >= start) && igz_id.as_ref().is_none_or(|id| *id == line.igz_id)
    };
    let all = simulation.world.recovery_logs().into_iter().filter(wanted);
    let lines: Vec<LogLine> = all.skip(offset).take(size).map(Into::into).collect();
    json(&json!({"Logs": lines, "Count": lines.len(), "Size": size_text, "Offset": offset_text}))
}

/// ISO text, with `T` or a blank, with or without offset.
fn instant(text: &str) -> Option<DateTime<Utc>> {
    let text = text.trim().replacen(' ', "T", 1);
    let local = || text.parse::<chrono::NaiveDateTime>().map(|time| time.and_utc());
    DateTime::parse_from_rfc3339(&text).map(Into::into).or_else(|_| local()).ok()
}
