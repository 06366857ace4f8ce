//! The page's forms: each changes the world and leads back to where it was.

use std::time::Duration;

use axum::Form;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use http::{HeaderMap, header};
use serde::Deserialize;

use crate::Simulation;
use crate::control::{EdgeAction, LinkAction, Problem, act, act_on_link, named, put};
use crate::faults::{Fault, Mode};
use crate::http::header_text;

/// Back to the page the form was on, at the part it belongs to.
fn back(headers: &HeaderMap, part: &str) -> Response {
    let referer = header_text(headers, header::REFERER).and_then(|text| url::Url::parse(text).ok());
    let query =
        referer.as_ref().and_then(url::Url::query).map(|query| format!("?{query}")).unwrap_or_default();
    Redirect::to(&format!("/{query}#{part}")).into_response()
}

pub(super) async fn edge(
    State(simulation): State<Simulation>,
    Path((serial, action)): Path<(String, EdgeAction)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    act(&simulation, &serial, action)?;
    Ok(back(&headers, &format!("edge-{serial}")))
}

pub(super) async fn link(
    State(simulation): State<Simulation>,
    Path((serial, interface, action)): Path<(String, String, LinkAction)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    act_on_link(&simulation, &serial, &interface, action)?;
    Ok(back(&headers, &format!("edge-{serial}")))
}

pub(super) async fn heal(State(simulation): State<Simulation>, headers: HeaderMap) -> Response {
    simulation.world.heal_all();
    back(&headers, "edges")
}

#[derive(Deserialize)]
pub(super) struct ClockForm {
    minutes: u32,
}

pub(super) async fn clock(
    State(simulation): State<Simulation>,
    headers: HeaderMap,
    Form(form): Form<ClockForm>,
) -> Response {
    let minutes = form.minutes.min(60 * 24 * 31);
    simulation.world.advance(Duration::from_secs(u64::from(minutes) * 60));
    back(&headers, "top")
}

#[derive(Deserialize)]
pub(super) struct FaultForm {
    mode: Mode,
    /// Empty fields arrive as empty text.
    latency_ms: String,
    status: String,
}

pub(super) async fn fault(
    State(simulation): State<Simulation>,
    Path(name): Path<String>,
    headers: HeaderMap,
    Form(form): Form<FaultForm>,
) -> Result<Response, Problem> {
    let number = |text: &str, what: &str| match text.trim() {
        "" => Ok(None),
        text => {
            text.parse::<u64>().map(Some).map_err(|_| Problem::refused(format!("{what} must be a number")))
        }
    };
    let latency_ms = number(&form.latency_ms, "latency")?.unwrap_or(0).min(600_000);
    let status = number(&form.status, "status")?;
    let status = status.map(|status| u16::try_from(status).unwrap_or(u16::MAX));
    put(&simulation, named(&name)?, Fault { latency_ms, status, ..Fault::new(form.mode) })?;
    Ok(back(&headers, &format!("party-{name}")))
}

pub(super) async fn clear(
    State(simulation): State<Simulation>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    simulation.faults.clear(Some(named(&name)?));
    Ok(back(&headers, &format!("party-{name}")))
}

pub(super) async fn expire(
    State(simulation): State<Simulation>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    simulation.sessions.expire(named(&name)?);
    Ok(back(&headers, &format!("party-{name}")))
}
