//! The VeloCloud Orchestrators, as `velocloud-bridge` calls them: one portal per host below `/velocloud/<host>`.
//!
//! A session is a cookie. A call without a valid one is answered 200 with a `tokenError` and `Expires: 0`, as the real
//! portal does.

mod configuration;
mod events;
mod interval;
mod listings;
mod metrics;
mod rows;

use axum::Router;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::Simulation;
use crate::environment::{VELOCLOUD_PASSWORD, VELOCLOUD_USER};
use crate::faults::ThirdParty;
use crate::http::{header_text, json_with, not_found};
use crate::world::network::Network;

/// The session's cookie.
const COOKIE: &str = "velocloud.session";

/// The routes, below `/velocloud`.
pub fn router() -> Router<Simulation> {
    let portal = Router::new()
        .route("/login/operatorLogin", post(login))
        .route("/event/getEnterpriseEvents", post(events::enterprise_events))
        .route("/monitoring/getAggregates", post(listings::aggregates))
        .route("/monitoring/getEnterpriseEdgeLinkStatus", post(listings::link_status))
        .route("/monitoring/getAggregateEdgeLinkMetrics", post(metrics::link_metrics))
        .route("/metrics/getEdgeLinkSeries", post(metrics::link_series))
        .route("/enterprise/getEnterpriseEdges", post(listings::enterprise_edges))
        .route("/edge/getEdgeConfigurationModules", post(configuration::modules))
        .route("/network/getNetworkEnterprises", post(listings::network_enterprises))
        .route("/network/getNetworkGateways", post(listings::gateways))
        .route("/metrics/getGatewayStatusMetrics", post(metrics::gateway_metrics));
    Router::new().nest("/{host}/portal/rest", portal).fallback(not_found)
}

#[derive(Deserialize)]
struct Credentials {
    username: String,
    password: String,
}

/// `login/operatorLogin`: a cookie, or a redirect when the credentials are wrong.
async fn login(State(simulation): State<Simulation>, Path(host): Path<String>, body: Bytes) -> Response {
    let known = simulation.world.network(|network| network.host(&host).is_some());
    if !known {
        return unknown_host(&host);
    }
    let right = serde_json::from_slice::<Credentials>(&body)
        .is_ok_and(|given| given.username == VELOCLOUD_USER && given.password == VELOCLOUD_PASSWORD);
    if !right {
        return (StatusCode::FOUND, [(header::LOCATION, "/login/failed.html")]).into_response();
    }
    let life = simulation.options.velocloud_session_life;
    let session = simulation.sessions.open(ThirdParty::VeloCloud, &host, life);
    let cookies = axum::response::AppendHeaders([
        (header::SET_COOKIE, "velocloud.message=; Path=/".to_owned()),
        (header::SET_COOKIE, format!("{COOKIE}={session}; Path=/; HttpOnly; Secure")),
    ]);
    (StatusCode::OK, cookies).into_response()
}

fn unknown_host(host: &str) -> Response {
    json_with(StatusCode::NOT_FOUND, &json!({"message": format!("no orchestrator {host}")}))
}

fn expired() -> Response {
    let error = json!({"error": {"code": -32000, "message": "tokenError [expired session cookie]"}});
    let mut response = json_with(StatusCode::OK, &error);
    response.headers_mut().insert(header::EXPIRES, http::HeaderValue::from_static("0"));
    response
}

/// A refusal of the portal: 400 with an error object.
fn refused(message: &str) -> Response {
    json_with(StatusCode::BAD_REQUEST, &json!({"error": {"code": -32600, "message": message}}))
}

fn session_of(headers: &HeaderMap) -> Option<&str> {
    let cookies = header_text(headers, header::COOKIE)?;
    cookies.split(';').find_map(|cookie| cookie.trim().strip_prefix(COOKIE)?.strip_prefix('='))
}

/// Answers one portal call: checks the session, reads the body, and makes the answer away from the async threads,
/// because the listing of a large host takes its time.
async fn answer<T, F>(
    simulation: Simulation,
    host: String,
    headers: HeaderMap,
    body: Bytes,
    make: F,
) -> Response
where
    T: DeserializeOwned + Send + 'static,
    F: FnOnce(&Portal<'_>, T) -> Response + Send + 'static,
{
    let valid = session_of(&headers)
        .is_some_and(|session| simulation.sessions.valid(ThirdParty::VeloCloud, &host, session));
    if !valid {
        return expired();
    }
    let body = if body.is_empty() { Bytes::from_static(b"{}") } else { body };
    let body: T = match serde_json::from_slice(&body) {
        Ok(body) => body,
        Err(error) => return refused(&format!("invalid request: {error}")),
    };
    let made = tokio::task::spawn_blocking(move || {
        let now = simulation.world.now();
        simulation.world.network(|network| match network.host(&host) {
            Some((index, _)) => make(&Portal { network, host: index, now }, body),
            None => unknown_host(&host),
        })
    });
    made.await.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

/// What a portal call sees.
struct Portal<'n> {
    network: &'n Network,
    host: usize,
    now: chrono::DateTime<chrono::Utc>,
}
