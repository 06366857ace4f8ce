//! The sandbox's page: edges with buttons, tickets with notes, what was sent, third parties and their faults.
//!
//! Rendered on the server and complete without script; forms change the world and lead back. With script, the marked
//! parts follow the stream of changes.

mod actions;
mod views;

use askama::Template;
use axum::Router;
use axum::extract::{Query, State};
use axum::middleware::from_fn;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use http::{StatusCode, header};

use crate::Simulation;
use crate::control::{same_site, select};

pub(crate) use views::PageQuery;

/// Edges on one page.
const EDGES: usize = 25;
/// Tickets shown.
const TICKETS: usize = 30;
/// Messages of each kind shown.
const MESSAGES: usize = 20;

/// The page, its style sheet and script, and its forms.
pub fn router(simulation: &Simulation) -> Router {
    let text = |kind: &'static str, text: &'static str| {
        get(move || async move { ([(header::CONTENT_TYPE, kind)], text) })
    };
    Router::new()
        .route("/", get(show))
        .route("/page/style.css", text("text/css; charset=utf-8", include_str!("../../templates/style.css")))
        .route(
            "/page/live.js",
            text("text/javascript; charset=utf-8", include_str!("../../templates/live.js")),
        )
        .route("/page/edges/{serial}/{action}", post(actions::edge))
        .route("/page/links/{serial}/{interface}/{action}", post(actions::link))
        .route("/page/heal", post(actions::heal))
        .route("/page/clock", post(actions::clock))
        .route("/page/third-parties/{name}/fault", post(actions::fault))
        .route("/page/third-parties/{name}/clear", post(actions::clear))
        .route("/page/third-parties/{name}/expire", post(actions::expire))
        .with_state(simulation.clone())
        .layer(from_fn(same_site))
}

async fn show(State(simulation): State<Simulation>, Query(query): Query<PageQuery>) -> Response {
    let selection = query.selection(EDGES);
    let edges = select(&simulation, &selection);
    let page = views::Page::new(&simulation, query, edges, TICKETS, MESSAGES);
    match page.render() {
        Ok(html) => ([(header::CACHE_CONTROL, "no-store")], Html(html)).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
