//! The HTTP side that all simulators share: a listener whose connections can be reset, and the guard that stands in
//! front of each third party, records its calls and lets faults strike.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::serve::{IncomingStream, Listener};
use http::{HeaderName, StatusCode, header};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

use crate::Simulation;
use crate::faults::{Effect, Step, Strike, ThirdParty};
use crate::received::Received;

/// Answers larger than this are never built; a bound for the truncating fault only.
const LARGEST_ANSWER: usize = 1 << 30;

/// Puts the guard in front of a third party's router. The router sees paths below its base only.
pub fn guarded(simulation: &Simulation, third_party: ThirdParty, router: Router<Simulation>) -> Router {
    let guard = from_fn_with_state((simulation.clone(), third_party), guard);
    router.with_state(simulation.clone()).layer(guard)
}

async fn guard(
    State((simulation, third_party)): State<(Simulation, ThirdParty)>,
    request: Request,
    next: Next,
) -> Response {
    let connection = request.extensions().get::<ConnectInfo<Connection>>().cloned();
    let method = request.method().to_string();
    let path = request.uri().path().to_owned();
    let query = request.uri().query().unwrap_or_default().to_owned();
    let step = if is_login(&path) { Step::Login } else { Step::Call };

    simulation.world.settle();
    let strike = simulation.faults.strike(third_party, step, &path);
    tokio::time::sleep(strike.latency).await;
    let response = answer(third_party, strike, request, next, connection).await;

    let reset = response.extensions().get::<Reset>().is_some();
    simulation.received.add(Received {
        number: 0,
        at: simulation.world.now(),
        third_party,
        method,
        path,
        query,
        status: if reset { 0 } else { response.status().as_u16() },
        fault: strike.effect.map(|effect| format!("{effect:?}")),
    });
    response
}

fn is_login(path: &str) -> bool {
    [
        "/identity/connect/token",
        "/Identity/rest/oauth/token",
        "/login/operatorLogin",
        "/api/login",
        "/auth/login",
        "/services/Soap/u/42.0",
    ]
    .iter()
    .any(|login| path.ends_with(login))
}

/// Marks an answer whose connection is reset instead.
#[derive(Clone, Copy)]
struct Reset;

async fn answer(
    third_party: ThirdParty,
    strike: Strike,
    request: Request,
    next: Next,
    connection: Option<ConnectInfo<Connection>>,
) -> Response {
    let reset = || {
        if let Some(ConnectInfo(connection)) = &connection {
            connection.reset.store(true, Ordering::Release);
        }
        let mut response = StatusCode::BAD_GATEWAY.into_response();
        response.extensions_mut().insert(Reset);
        response
    };
    match strike.effect {
        None => next.run(request).await,
        Some(Effect::RefuseLogin) => refused_login(third_party),
        Some(Effect::Status(status)) => plain_status(status),
        Some(Effect::Garbage) => garbage(),
        Some(Effect::Reset) => reset(),
        Some(Effect::LoseAnswer) => {
            next.run(request).await;
            reset()
        }
        Some(Effect::Truncate) => truncated(next.run(request).await).await,
    }
}

fn refused_login(third_party: ThirdParty) -> Response {
    let json = [(header::CONTENT_TYPE, "application/json")];
    match third_party {
        ThirdParty::VeloCloud => {
            (StatusCode::FOUND, [(header::LOCATION, "/login/failed.html")]).into_response()
        }
        ThirdParty::Bruin => (StatusCode::BAD_REQUEST, json, r#"{"error":"invalid_client"}"#).into_response(),
        ThirdParty::Cts | ThirdParty::Lit => crate::salesforce::invalid_login(),
        _ => (StatusCode::UNAUTHORIZED, json, r#"{"error":"invalid_client"}"#).into_response(),
    }
}

fn plain_status(status: u16) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = format!(
        r#"{{"error":{{"code":-32000,"message":"injected fault {}"}},"message":"injected fault"}}"#,
        status.as_u16()
    );
    let mut response = (status, [(header::CONTENT_TYPE, "application/json")], body).into_response();
    if status == StatusCode::TOO_MANY_REQUESTS {
        response.headers_mut().insert(header::RETRY_AFTER, http::HeaderValue::from_static("1"));
    }
    response
}

fn garbage() -> Response {
    let page = "<!DOCTYPE html><html><head><title>Maintenance</title></head><body>We will be back shortly &#";
    (StatusCode::OK, [(header::CONTENT_TYPE, "text/html; charset=utf-8")], page).into_response()
}

/// Announces the whole answer, sends half of it and breaks off.
async fn truncated(response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    let body = to_bytes(body, LARGEST_ANSWER).await.unwrap_or_default();
    let half = body.slice(..body.len() / 2);
    // An answer without content has nothing to cut: announce what never comes.
    let announced = body.len().max(16);
    parts.headers.remove(header::TRANSFER_ENCODING);
    parts.headers.insert(header::CONTENT_LENGTH, announced.into());
    let pieces: [Result<Bytes, io::Error>; 2] =
        [Ok(half), Err(io::Error::new(io::ErrorKind::ConnectionAborted, "injected fault"))];
    Response::from_parts(parts, Body::from_stream(futures::stream::iter(pieces)))
}

/// A JSON answer from a typed value, with status 200.
pub(crate) fn json(value: &impl serde::Serialize) -> Response {
    json_with(StatusCode::OK, value)
}

/// A JSON array written item by item: a listing of a large network is never held twice.
pub(crate) struct List {
    text: Vec<u8>,
    broken: Option<serde_json::Error>,
}

impl List {
    /// An empty array.
    pub(crate) fn new() -> Self {
        Self { text: vec![b'['], broken: None }
    }

    /// Adds an item.
    pub(crate) fn push(&mut self, item: &impl serde::Serialize) {
        if self.text.len() > 1 {
            self.text.push(b',');
        }
        if let Err(error) = serde_json::to_writer(&mut self.text, item) {
            self.broken = Some(error);
        }
    }
}

impl IntoResponse for List {
    fn into_response(mut self) -> Response {
        if let Some(error) = self.broken {
            return (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response();
        }
        self.text.push(b']');
        ([(header::CONTENT_TYPE, "application/json; charset=utf-8")], self.text).into_response()
    }
}

/// A JSON answer from a typed value.
pub(crate) fn json_with(status: StatusCode, value: &impl serde::Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(body) => {
            (status, [(header::CONTENT_TYPE, "application/json; charset=utf-8")], body).into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// A header's text; `None` when absent or not text.
pub(crate) fn header_text(headers: &http::HeaderMap, name: impl Into<HeaderName>) -> Option<&str> {
    headers.get(name.into())?.to_str().ok()
}

/// What a request knows of its connection: enough to reset it.
#[derive(Debug, Clone)]
pub(crate) struct Connection {
    reset: Arc<AtomicBool>,
}

impl Connected<IncomingStream<'_, Wire>> for Connection {
    fn connect_info(stream: IncomingStream<'_, Wire>) -> Self {
        Self { reset: Arc::clone(&stream.io().reset) }
    }
}

/// A TCP listener whose connections can be reset from inside a handler.
pub(crate) struct Wire(pub TcpListener);

/// A connection of [`Wire`].
pub(crate) struct WireStream {
    stream: TcpStream,
    reset: Arc<AtomicBool>,
}

impl Listener for Wire {
    type Io = WireStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        let (stream, address) = Listener::accept(&mut self.0).await;
        // Small answers leave at once; without this the delayed acknowledgement costs 40 ms each.
        let _ = stream.set_nodelay(true);
        (WireStream { stream, reset: Arc::new(AtomicBool::new(false)) }, address)
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.0.local_addr()
    }
}

impl WireStream {
    /// The error that makes the server drop the connection, with a TCP reset instead of an orderly end.
    fn struck(&self) -> Option<io::Error> {
        self.reset.load(Ordering::Acquire).then(|| {
            let _ = self.stream.set_zero_linger();
            io::ErrorKind::ConnectionReset.into()
        })
    }
}

impl AsyncRead for WireStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for WireStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.struck() {
            Some(error) => Poll::Ready(Err(error)),
            None => Pin::new(&mut self.stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.struck() {
            Some(error) => Poll::Ready(Err(error)),
            None => Pin::new(&mut self.stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// A fallback that names what was asked for, so that a wrong path shows in the caller's log.
pub(crate) async fn not_found(request: Request) -> Result<Response, Infallible> {
    let text = format!(r#"{{"message":"no resource {}"}}"#, request.uri().path());
    Ok((StatusCode::NOT_FOUND, [(header::CONTENT_TYPE, "application/json")], text).into_response())
}
