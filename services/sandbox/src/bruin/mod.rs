//! Bruin: its login server and its REST API, as `bruin-bridge` calls them.
//!
//! Login and API share the base `/bruin`. Every API call needs a bearer token that has not expired.

mod emails;
mod inventory;
mod notes;
mod query;
mod repair;
mod shapes;
mod tickets;
mod work;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use serde::Serialize;
use serde_json::json;

pub(crate) use inventory::circuit_id;

use crate::Simulation;
use crate::environment::{BRUIN_CLIENT_ID, BRUIN_CLIENT_SECRET};
use crate::faults::ThirdParty;
use crate::http::{header_text, json, json_with, not_found};

/// The routes, below `/bruin`.
pub fn router(simulation: &Simulation) -> Router<Simulation> {
    let api = Router::new()
        .route("/api/Ticket", get(tickets::full))
        .route("/api/Ticket/", post(tickets::create))
        .route("/api/Ticket/basic", get(tickets::basic))
        .route("/api/Ticket/repair", post(repair::repair))
        .route("/api/Ticket/AITicketData", get(tickets::history))
        .route("/api/Ticket/Contacts", get(inventory::contacts))
        .route("/api/Ticket/{ticket}/details", get(tickets::details))
        .route("/api/Ticket/{ticket}/notes", post(notes::single))
        .route("/api/Ticket/{ticket}/notes/advanced", post(notes::several))
        .route("/api/Ticket/{ticket}/details/{detail}/status", put(work::set_status))
        .route("/api/Ticket/{ticket}/detail/unpause", post(work::unpause))
        .route("/api/Ticket/{ticket}/severity", put(work::set_severity))
        .route("/api/Ticket/{ticket}/close", put(work::close))
        .route("/api/Ticket/{ticket}/nextresult", get(work::next_results))
        .route("/api/Ticket/{ticket}/details/work", put(work::change_work))
        .route("/api/Inventory", get(inventory::assets))
        .route("/api/Inventory/Attribute", get(inventory::attributes))
        .route("/api/Inventory/phoneNumber/Lines", get(inventory::phone_line))
        .route("/api/Inventory/circuit", get(inventory::circuit))
        .route("/api/Site", get(inventory::site))
        .route("/api/Email/{email}/tag/{tag}", post(emails::tag))
        .route("/api/Email/status", post(emails::status))
        .route("/api/Email/{email}/link/ticket/{ticket}", post(emails::link))
        .fallback(not_found)
        .layer(from_fn_with_state(simulation.clone(), with_token));
    Router::new().route("/identity/connect/token", post(login)).merge(api)
}

/// OAuth2 client credentials.
async fn login(State(simulation): State<Simulation>, headers: HeaderMap, body: Bytes) -> Response {
    let expected = BASE64_STANDARD.encode(format!("{BRUIN_CLIENT_ID}:{BRUIN_CLIENT_SECRET}"));
    let given = header_text(&headers, header::AUTHORIZATION).and_then(|text| text.strip_prefix("Basic "));
    let form: Vec<_> = url::form_urlencoded::parse(&body).collect();
    let asks = |name: &str, value: &str| form.iter().any(|(key, is)| key == name && is == value);
    if given != Some(expected.as_str()) {
        return json_with(StatusCode::BAD_REQUEST, &json!({"error": "invalid_client"}));
    }
    if !asks("grant_type", "client_credentials") {
        return json_with(StatusCode::BAD_REQUEST, &json!({"error": "unsupported_grant_type"}));
    }
    if !asks("scope", "public_api") {
        return json_with(StatusCode::BAD_REQUEST, &json!({"error": "invalid_scope"}));
    }
    let life = simulation.options.bruin_token_life;
    let token = simulation.sessions.open(ThirdParty::Bruin, "", life);
    json(&json!({
        "access_token": token, "expires_in": life.as_secs(), "token_type": "Bearer", "scope": "public_api",
    }))
}

async fn with_token(State(simulation): State<Simulation>, request: Request, next: Next) -> Response {
    let token = header_text(request.headers(), header::AUTHORIZATION).and_then(|text| {
        let (scheme, token) = text.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(token)
    });
    if token.is_some_and(|token| simulation.sessions.valid(ThirdParty::Bruin, "", token)) {
        return next.run(request).await;
    }
    (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, r#"Bearer error="invalid_token""#)])
        .into_response()
}

/// A refusal with a text, as Bruin words them.
#[derive(Debug)]
struct Refusal(StatusCode, String);

impl Refusal {
    fn bad(text: impl Into<String>) -> Self {
        Self(StatusCode::BAD_REQUEST, text.into())
    }
}

impl From<crate::world::tickets::TicketError> for Refusal {
    fn from(error: crate::world::tickets::TicketError) -> Self {
        use crate::world::tickets::TicketError;
        let status = match error {
            TicketError::UnknownTicket(_) => StatusCode::NOT_FOUND,
            _ => StatusCode::BAD_REQUEST,
        };
        Self(status, error.to_string())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        #[derive(Serialize)]
        struct Body {
            message: String,
            #[serde(rename = "messageDetail")]
            detail: Option<String>,
            data: Option<String>,
        }
        json_with(self.0, &Body { message: self.1, detail: None, data: None })
    }
}

/// Reads a JSON body; content types are not looked at, as in Bruin.
fn read<T: serde::de::DeserializeOwned>(body: &Bytes) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| Refusal::bad(format!("The request is invalid: {error}")))
}

/// The answer of calls that have nothing to say.
fn success() -> Response {
    json(&json!({"message": "success"}))
}
