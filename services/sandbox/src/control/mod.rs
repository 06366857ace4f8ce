//! The control API: everything that a test, a script or the page does to the simulated world, under `/control`.
//!
//! Documented by OpenAPI at `/control/openapi.json`. It belongs to development and tests; whoever reaches it may do
//! everything, so it listens on loopback only.

#![allow(unused_qualifications, reason = "utoipa repeats the handlers' types in what it generates")]

mod changes;
mod cts;
mod dri;
mod edges;
mod hawkeye;
mod lit;
mod messages;
mod models;
mod third_parties;
mod tickets;
mod time;

use axum::Router;
use axum::extract::{FromRequest, Request};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{HeaderName, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{OpenApi, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(crate) use edges::{
    EdgeAction, EdgePage, EdgeView, LinkAction, LinkView, Selection, act, act_on_link, select,
};
pub(crate) use third_parties::{ThirdPartyView, named, put, views};

use crate::Simulation;
use crate::http::header_text;
use crate::world::states::StateError;
use crate::world::tickets::TicketError;

#[derive(OpenApi)]
#[openapi(info(
    title = "Sandbox control",
    description = "Breaks and heals the simulated network, moves time, injects faults, and shows what was received."
))]
struct Documentation;

/// The API and its documentation.
pub fn router(simulation: &Simulation) -> Router {
    let (router, api) = OpenApiRouter::with_openapi(Documentation::openapi())
        .routes(routes!(time::info))
        .routes(routes!(time::clock))
        .routes(routes!(time::advance))
        .routes(routes!(edges::list))
        .routes(routes!(edges::one))
        .routes(routes!(edges::change))
        .routes(routes!(edges::change_link))
        .routes(routes!(edges::heal_all))
        .routes(routes!(edges::outages))
        .routes(routes!(edges::set_assets))
        .routes(routes!(third_parties::list))
        .routes(routes!(third_parties::inject, third_parties::clear))
        .routes(routes!(third_parties::remove))
        .routes(routes!(third_parties::expire))
        .routes(routes!(third_parties::received, third_parties::forget_received))
        .routes(routes!(tickets::list, tickets::create))
        .routes(routes!(tickets::one))
        .routes(routes!(tickets::close))
        .routes(routes!(tickets::change_line))
        .routes(routes!(tickets::policy, tickets::set_policy))
        .routes(routes!(messages::outbox, messages::forget))
        .routes(routes!(messages::raw_mail))
        .routes(routes!(messages::mailboxes))
        .routes(routes!(messages::deliver))
        .routes(routes!(hawkeye::list))
        .routes(routes!(hawkeye::change))
        .routes(routes!(hawkeye::change_test))
        .routes(routes!(dri::list))
        .routes(routes!(dri::one, dri::set))
        .routes(routes!(models::list))
        .routes(routes!(models::prepare, models::clear))
        .routes(routes!(models::calls))
        .routes(routes!(models::forget))
        .routes(routes!(cts::list, cts::enter))
        .routes(routes!(cts::one, cts::change, cts::remove))
        .routes(routes!(cts::step))
        .routes(routes!(cts::page_size))
        .routes(routes!(lit::list, lit::enter))
        .routes(routes!(lit::one, lit::change, lit::remove))
        .routes(routes!(lit::step))
        .routes(routes!(lit::files))
        .routes(routes!(lit::file))
        .routes(routes!(changes::stream))
        .with_state(simulation.clone())
        .split_for_parts();
    let document = api.to_json().unwrap_or_default();
    let document = get(move || async move { ([(http::header::CONTENT_TYPE, "application/json")], document) });
    router.route("/control/openapi.json", document).layer(from_fn(same_site))
}

/// Refuses requests that another web site makes a browser send.
pub(crate) async fn same_site(request: Request, next: Next) -> Response {
    let site = header_text(request.headers(), HeaderName::from_static("sec-fetch-site"));
    if site.is_some_and(|site| site == "cross-site") {
        return (StatusCode::FORBIDDEN, "requests from other sites are refused").into_response();
    }
    next.run(request).await
}

/// Why a request is refused.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Problem {
    #[serde(skip)]
    status: StatusCode,
    /// The reason.
    problem: String,
}

impl Problem {
    pub(crate) fn unknown(what: impl Into<String>) -> Self {
        Self { status: StatusCode::NOT_FOUND, problem: what.into() }
    }

    pub(crate) fn refused(why: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, problem: why.into() }
    }
}

impl From<StateError> for Problem {
    fn from(error: StateError) -> Self {
        match error {
            StateError::UnknownSerial(_) | StateError::UnknownLink { .. } => Self::unknown(error.to_string()),
            _ => Self { status: StatusCode::CONFLICT, problem: error.to_string() },
        }
    }
}

impl From<TicketError> for Problem {
    fn from(error: TicketError) -> Self {
        match error {
            TicketError::Closed(_) => Self { status: StatusCode::CONFLICT, problem: error.to_string() },
            _ => Self::unknown(error.to_string()),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        (self.status, axum::Json(json!({"problem": self.problem}))).into_response()
    }
}

/// A JSON body whose problems are answered as every other problem here; the content type is not looked at.
pub(crate) struct Body<T>(T);

impl<T: serde::de::DeserializeOwned, S: Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let body = axum::body::to_bytes(request.into_body(), 16 << 20).await;
        let body = body.map_err(|error| Problem::refused(error.to_string()))?;
        serde_json::from_slice(&body).map(Self).map_err(|error| Problem::refused(error.to_string()))
    }
}

/// Whether something changed.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Changed {
    /// False: it was so already.
    changed: bool,
}
