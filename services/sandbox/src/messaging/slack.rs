//! The Slack webhook: any path below `/slack` is a channel's webhook; its messages go to the outbox.

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use serde_json::Value;

use crate::Simulation;

/// The longest text that Slack takes, in characters.
const LONGEST_TEXT: usize = 40_000;

/// Its routes, nested under `/slack`.
pub fn router() -> Router<Simulation> {
    Router::new().route("/{*webhook}", post(receive))
}

/// Slack's answers: `ok`, or 400 with a word that says what is wrong.
async fn receive(State(simulation): State<Simulation>, body: Bytes) -> (StatusCode, &'static str) {
    let Ok(Value::Object(message)) = serde_json::from_slice::<Value>(&body) else {
        return (StatusCode::BAD_REQUEST, "invalid_payload");
    };
    match message.get("text") {
        Some(Value::String(text)) if text.chars().count() > LONGEST_TEXT => {
            (StatusCode::BAD_REQUEST, "msg_too_long")
        }
        Some(Value::String(text)) if !text.is_empty() => {
            let now = simulation.world.now();
            simulation.world.with_outbox("slack", |outbox| outbox.slack(now, text.clone()));
            (StatusCode::OK, "ok")
        }
        _ => (StatusCode::BAD_REQUEST, "no_text"),
    }
}
