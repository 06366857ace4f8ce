//! The SMS provider: any path below `/sms` is an account's messages resource; its SMS go to the outbox.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Form, Router};
use serde::Deserialize;
use serde_json::json;

use crate::Simulation;
use crate::http::{header_text, json as json_answer};

/// Its routes, nested under `/sms`.
pub fn router() -> Router<Simulation> {
    Router::new().route("/{*resource}", post(receive))
}

/// The provider's form.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Message {
    from: String,
    to: String,
    body: String,
}

async fn receive(
    State(simulation): State<Simulation>,
    headers: HeaderMap,
    Form(message): Form<Message>,
) -> Response {
    let basic = header_text(&headers, header::AUTHORIZATION).is_some_and(|value| value.starts_with("Basic "));
    if !basic {
        return (StatusCode::UNAUTHORIZED, "Authentication failed").into_response();
    }
    if message.to.is_empty() || message.body.is_empty() {
        return (StatusCode::BAD_REQUEST, "To and Body are required").into_response();
    }
    let Message { from, to, body } = message;
    let now = simulation.world.now();
    let number =
        simulation.world.with_outbox("sms", |outbox| outbox.sms(now, from.clone(), to.clone(), body.clone()));
    let date = now.to_rfc2822();
    json_answer(&json!({
        "sid": format!("SM{number:032x}"), "date_created": date, "date_updated": date, "account_sid": "sandbox",
        "from": from, "to": to, "body": body, "status": "queued", "direction": "outbound-api",
        "price": "0.0", "price_unit": "USD", "api_version": "2012-04-24", "uri": format!("/sms/{number}.json"),
    }))
}
