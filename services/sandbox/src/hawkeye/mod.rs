//! The Hawkeye (Ixia) API, as `hawkeye-bridge` calls it: login, probes, results of tests.
//!
//! A session is the cookie `PHPSESSID`; a call without a valid one is answered 401. Lists come in pages.

mod probes;
mod results;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::Simulation;
use crate::environment::{HAWKEYE_PASSWORD, HAWKEYE_USER};
use crate::faults::ThirdParty;
use crate::http::{header_text, json as answer, json_with, not_found};

/// The session's cookie.
const COOKIE: &str = "PHPSESSID";
/// Records of a page when the caller names no limit, and the most it may name.
const PAGE: usize = 100;
const LARGEST_PAGE: usize = 500;

/// The routes, below `/hawkeye`.
pub fn router() -> Router<Simulation> {
    Router::new()
        .route("/api/login", post(login))
        .route("/api/probes", get(probes::list))
        .route("/api/testsresults", get(results::list))
        .route("/api/testsresults/{id}", get(results::one))
        .fallback(not_found)
}

#[derive(Deserialize)]
struct Credentials {
    username: String,
    password: String,
}

/// `POST login`: a cookie, or 401 when the credentials are wrong.
async fn login(State(simulation): State<Simulation>, body: Bytes) -> Response {
    let right = serde_json::from_slice::<Credentials>(&body)
        .is_ok_and(|given| given.username == HAWKEYE_USER && given.password == HAWKEYE_PASSWORD);
    if !right {
        return Refusal(StatusCode::UNAUTHORIZED, "wrong username or password".to_owned()).into_response();
    }
    let session = simulation.sessions.open(ThirdParty::Hawkeye, "", simulation.options.hawkeye_session_life);
    let cookie = [(header::SET_COOKIE, format!("{COOKIE}={session}; path=/; HttpOnly; Secure"))];
    (cookie, answer(&json!({"status": "ok", "username": HAWKEYE_USER}))).into_response()
}

/// An error of the API.
struct Refusal(StatusCode, String);

impl Refusal {
    fn bad(message: impl Into<String>) -> Self {
        Self(StatusCode::BAD_REQUEST, message.into())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        json_with(self.0, &json!({"error": self.1}))
    }
}

/// Refuses a call without a valid session.
fn check(simulation: &Simulation, headers: &HeaderMap) -> Result<(), Refusal> {
    let cookies = header_text(headers, header::COOKIE).unwrap_or_default();
    let session = cookies.split(';').find_map(|cookie| cookie.trim().strip_prefix(COOKIE)?.strip_prefix('='));
    match session {
        Some(session) if simulation.sessions.valid(ThirdParty::Hawkeye, "", session) => Ok(()),
        _ => Err(Refusal(StatusCode::UNAUTHORIZED, "not logged in".to_owned())),
    }
}

/// The query of a call; an empty value counts as absent.
struct Query(Vec<(String, String)>);

impl Query {
    fn of(text: Option<String>) -> Self {
        Self(url::form_urlencoded::parse(text.unwrap_or_default().as_bytes()).into_owned().collect())
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(known, value)| known == name && !value.is_empty())
            .map(|(_, value)| value.as_str())
    }

    fn number(&self, name: &str, default: usize) -> Result<usize, Refusal> {
        let bad = |_| Refusal::bad(format!("{name} must be a number"));
        self.text(name).map_or(Ok(default), |text| text.trim().parse().map_err(bad))
    }

    fn window(&self) -> Result<Window, Refusal> {
        let limit = self.number("limit", PAGE)?.clamp(1, LARGEST_PAGE);
        Ok(Window { limit, offset: self.number("offset", 0)? })
    }
}

/// Which part of a list is asked for.
#[derive(Clone, Copy)]
struct Window {
    limit: usize,
    offset: usize,
}

/// A page as Hawkeye writes it: the total is a text, whether there is more a number.
#[derive(Serialize)]
struct Page {
    total_count: String,
    count: usize,
    limit: String,
    offset: usize,
    has_more: u8,
    records: Vec<Value>,
}

impl Page {
    fn of(window: Window, total: usize, records: Vec<Value>) -> Response {
        let Window { limit, offset } = window;
        let has_more = u8::from(offset + records.len() < total);
        let (total_count, count, limit) = (total.to_string(), records.len(), limit.to_string());
        answer(&Self { total_count, count, limit, offset, has_more, records })
    }
}
