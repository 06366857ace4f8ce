//! The HTTP servers of a service: health, readiness, jobs and the service's own routes on one port, metrics on another
//! (spec `00-messaging`, "HTTP health server" and "Metrics server").

use std::future::IntoFuture;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use parking_lot::RwLock;
use prometheus::{Registry, TextEncoder};
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tower::Service as _;
use tracing::Instrument;

use crate::openmetrics;
use crate::readiness::Readiness;
use crate::schedule::Schedule;

/// Routes that a service adds while it starts. They are asked for whatever the runtime does not answer itself.
#[derive(Clone)]
pub(crate) struct Routes {
    router: Arc<RwLock<Router>>,
    /// Names the service in what its handlers log.
    span: tracing::Span,
}

impl Routes {
    pub(crate) fn new(span: tracing::Span) -> Self {
        Self { router: Arc::default(), span }
    }

    pub(crate) fn add(&self, router: Router) {
        let mut routes = self.router.write();
        let known = std::mem::take(&mut *routes);
        *routes = known.merge(router);
    }

    async fn answer(self, request: Request) -> Response {
        let mut routes = self.router.read().clone();
        match routes.call(request).instrument(self.span).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}

/// Everything on the HTTP port.
pub(crate) fn service_router(readiness: Readiness, schedule: Schedule, routes: Routes) -> Router {
    Router::new()
        .route("/_health", get(health).with_state(readiness.clone()))
        .route("/_ready", get(ready).with_state(readiness))
        .route("/_jobs", get(async move || axum::Json(schedule.report())))
        .fallback(async move |request: Request| routes.answer(request).await)
}

/// Every path answers with the metrics.
pub(crate) fn metrics_router(registry: Registry) -> Router {
    Router::new().fallback(metrics).with_state(registry)
}

/// The metrics at `/metrics` of the HTTP port, for one port for everything.
pub(crate) fn metrics_route(registry: Registry) -> Router {
    Router::new().route("/metrics", get(metrics).with_state(registry))
}

/// 200 once the subscriptions exist, whatever happens to NATS later. The body is `null`, as old probes have it.
async fn health(State(readiness): State<Readiness>) -> Response {
    let status = if readiness.is_started() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, axum::Json(())).into_response()
}

#[derive(Serialize)]
struct Ready {
    ready: bool,
    reasons: Vec<String>,
}

async fn ready(State(readiness): State<Readiness>) -> Response {
    let reasons = readiness.reasons();
    let ready = reasons.is_empty();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, axum::Json(Ready { ready, reasons })).into_response()
}

/// In the older text format, or in OpenMetrics for those who prefer it.
async fn metrics(State(registry): State<Registry>, headers: HeaderMap) -> Response {
    let families = registry.gather();
    let written = if openmetrics::is_preferred(&headers) {
        openmetrics::encode(&families)
            .map(|text| (openmetrics::CONTENT_TYPE, text))
            .map_err(anyhow::Error::from)
    } else {
        let text = TextEncoder::new().encode_to_string(&families);
        text.map(|text| (prometheus::TEXT_FORMAT, text)).map_err(anyhow::Error::from)
    };
    match written {
        Ok((kind, text)) => ([(header::CONTENT_TYPE, kind)], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "cannot write the metrics");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// A server that listens. Dropped, it stops at once.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Server {
    /// Listens on an address of this machine, or on all; port 0 is any free port.
    ///
    /// # Errors
    /// When the port is taken; `setting` is named.
    pub(crate) async fn start(
        setting: &str,
        address: IpAddr,
        port: u16,
        router: Router,
    ) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((address, port)).await.with_context(|| {
            format!("cannot listen on port {port} ({setting}) of {address} (LISTEN_ADDRESS)")
        })?;
        let address = listener.local_addr().with_context(|| format!("port {port} ({setting})"))?;
        let stop = CancellationToken::new();
        let serve = axum::serve(listener, router).with_graceful_shutdown(stop.clone().cancelled_owned());
        let task = tokio::spawn(async move {
            if let Err(error) = serve.into_future().await {
                tracing::error!(%error, "the HTTP server ended");
            }
        });
        Ok(Self { address, stop, task })
    }

    /// Takes no more connections and lets requests under way finish. The port is free afterwards.
    pub(crate) async fn close(mut self, within: Duration) {
        self.stop.cancel();
        if tokio::time::timeout(within, &mut self.task).await.is_err() {
            self.task.abort();
            let _ = (&mut self.task).await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}
