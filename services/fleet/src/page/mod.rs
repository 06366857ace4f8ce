//! The page of `fleet up`: the simulated world and the real engine side by side.
//!
//! The page consists of parts ([`parts`]), each with an id. `GET /` renders all of them into a document that is complete
//! without script; [`live`] sends those that changed to readers with script. What one reader looks at is a
//! [`view::View`], which stands in the address. [`actions`] are the buttons.
//!
//! The page has two halves: the network with its tickets, and the [`capabilities`]: what the other simulated third parties
//! hold, one subject a file ([`probes`], [`models`], [`dri`], [`dispatches`]), each with its buttons. [`asking`] asks a
//! bridge what it makes of them, as a service would.
//!
//! The facts come from where they are: the sandbox's world, the services' metrics ([`meters`]), their jobs ([`jobs`]), the
//! decisions as they are recorded ([`ledger`]), and the spans kept in memory ([`traces`]).

mod actions;
mod asking;
mod capabilities;
mod desk;
mod device;
mod dispatches;
mod dri;
mod engine;
mod jobs;
mod ledger;
mod live;
mod meters;
mod models;
mod network;
mod parts;
mod probes;
mod story;
mod times;
mod traces;
mod view;
mod watching;
mod words;

use std::{
    collections::HashMap,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use anyhow::Context as _;
use axum::{
    Router,
    extract::{Path, Query, Request, State},
    middleware::{Next, from_fn},
    response::{Html, IntoResponse, Response},
    routing::{get, post},
};
use http::{HeaderName, StatusCode, header};
use parking_lot::Mutex;
use runtime::{Clock, Environment, SpanLog};
use sandbox::Simulation;
use tokio::{net::TcpListener, sync::watch};
use tokio_util::sync::CancellationToken;

use crate::supervisor::Views;
use asking::Asking;
use jobs::Job;
use ledger::Ledger;
use meters::Meters;
use view::View;

/// What the page may load: nothing from elsewhere.
const RULES: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                     connect-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; \
                     frame-ancestors 'self'";

/// What the page shows.
pub struct Sources {
    /// The simulated world; none: the engine only.
    pub simulation: Option<Simulation>,
    /// The services.
    pub services: Views,
    /// Their spans.
    pub spans: SpanLog,
    /// The world's clock.
    pub clock: Clock,
    /// How the decisions' ledger is reached: `NATS_*`.
    pub environment: Environment,
}

/// Everything behind the page. Clones share it.
#[derive(Clone)]
struct Page(Arc<Inner>);

struct Inner {
    sources: Sources,
    ledger: Mutex<Ledger>,
    meters: Mutex<Meters>,
    jobs: Mutex<Vec<Job>>,
    /// Calls per second at each third party.
    rates: Mutex<Vec<f64>>,
    /// What bridges were asked with a button, and what they answered.
    asking: Asking,
    /// Counts what happened; readers wake up.
    changes: watch::Sender<u64>,
    /// What the readers with an open stream look at.
    readers: Mutex<HashMap<String, watch::Sender<View>>>,
    stop: CancellationToken,
}

/// Starts the page on loopback and returns its address. It ends with `stop`.
///
/// # Errors
/// The port is taken.
pub async fn start(port: u16, sources: Sources, stop: CancellationToken) -> anyhow::Result<SocketAddr> {
    let wanted = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let listener = TcpListener::bind(wanted).await;
    let listener = listener.with_context(|| format!("the page's port {port} is taken; see --port"))?;
    let address = listener.local_addr()?;
    let page = Page(Arc::new(Inner {
        sources,
        ledger: Mutex::default(),
        meters: Mutex::default(),
        jobs: Mutex::default(),
        rates: Mutex::default(),
        asking: Asking::default(),
        changes: watch::Sender::new(0),
        readers: Mutex::default(),
        stop: stop.clone(),
    }));
    watching::start(&page);
    let router = router(page);
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await
        {
            tracing::error!(%error, "the page ended");
        }
    });
    Ok(address)
}

impl Page {
    fn changed(&self) {
        self.0.changes.send_modify(|count| *count += 1);
    }
}

fn router(page: Page) -> Router {
    let text = |kind: &'static str, text: &'static str| {
        get(
            move || async move { ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-cache")], text) },
        )
    };
    Router::new()
        .route("/", get(document))
        .route("/page.css", text("text/css; charset=utf-8", include_str!("../../templates/page.css")))
        .route("/page.js", text("text/javascript; charset=utf-8", include_str!("../../templates/page.js")))
        .route("/events", get(live::stream))
        .route("/events/{reader}", post(live::look))
        .route("/mail/{number}", get(mail))
        .merge(actions::router())
        .merge(capabilities::router())
        .with_state(page)
        .layer(from_fn(guard))
}

async fn document(State(page): State<Page>, Query(view): Query<View>) -> Response {
    match parts::document(&page, &view) {
        Ok(html) => ([(header::CACHE_CONTROL, "no-store")], Html(html)).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// A mail's body, as a document that may do nothing.
async fn mail(State(page): State<Page>, Path(number): Path<u64>) -> Response {
    let body = page.0.sources.simulation.as_ref().and_then(|simulation| {
        simulation.world.read_outbox(|outbox| {
            let mail = outbox.mails.iter().find(|mail| mail.number == number)?;
            Some((mail.html.clone(), mail.text.clone()))
        })
    });
    let rules = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:";
    match body {
        None => (StatusCode::NOT_FOUND, "there is no such mail (any more)").into_response(),
        Some((Some(html), _)) => ([(header::CONTENT_SECURITY_POLICY, rules)], Html(html)).into_response(),
        Some((None, text)) => ([(header::CONTENT_SECURITY_POLICY, rules)], text).into_response(),
    }
}

/// Whoever reaches the page may do everything, so it answers under loopback's names only, and not to other sites.
async fn guard(request: Request, next: Next) -> Response {
    if !is_from_here(&request) {
        return (StatusCode::FORBIDDEN, "this page is for this machine only").into_response();
    }
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(http::HeaderValue::from_static(RULES));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, http::HeaderValue::from_static("nosniff"));
    response
}

fn is_from_here(request: &Request) -> bool {
    let text = |name: HeaderName| {
        let value = request.headers().get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    };
    let host = text(header::HOST);
    let name = host.rsplit_once(':').map_or(host.as_str(), |(name, _)| name);
    let foreign = text(HeaderName::from_static("sec-fetch-site")) == "cross-site";
    matches!(name, "127.0.0.1" | "localhost" | "[::1]") && !(foreign && request.method() != http::Method::GET)
}
