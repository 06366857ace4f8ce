//! A third party that answers by rules and remembers what it was asked.

use std::{
    convert::Infallible,
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures::{StreamExt, stream};
use http::{HeaderMap, Method, Request, Response, header};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    body::{Frame, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::{net::TcpListener, sync::watch, task::JoinSet};
use url::Url;

use crate::{
    ports::Port,
    rule::{End, Rule},
};

type Body = UnsyncBoxBody<Bytes, io::Error>;

/// A stub third party on a free port (HTTP/1.1). The first rule that fits answers; without one the answer is 404.
#[derive(Debug)]
pub struct StubUpstream {
    port: Port,
    shared: Arc<Shared>,
    accepting: tokio::sync::Mutex<Option<tokio::task::JoinHandle<()>>>,
}

#[derive(Debug, Default)]
struct Shared {
    rules: Mutex<Vec<Rule>>,
    fallback: Mutex<Vec<Rule>>,
    received: Mutex<Vec<Received>>,
    changed: watch::Sender<usize>,
    held: watch::Sender<bool>,
    in_flight: AtomicUsize,
    most_in_flight: AtomicUsize,
}

/// A call as the third party received it.
#[derive(Debug, Clone)]
pub struct Received {
    /// The method.
    pub method: Method,
    /// The path as sent, percent-encoded.
    pub path: String,
    /// The query's pairs, decoded, in the order sent.
    pub query: Vec<(String, String)>,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Received {
    /// A header as text; `None` when there is none.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body in the form of the recordings: null for none, `{"form": [[name, value], ..]}`, JSON, or else a text.
    pub fn json(&self) -> Value {
        if self.body.is_empty() {
            return Value::Null;
        }
        if self
            .header("content-type")
            .is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"))
        {
            let pairs: Vec<_> = url::form_urlencoded::parse(&self.body).collect();
            return serde_json::json!({"form": pairs});
        }
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&self.body).into_owned()))
    }
}

/// While it lives, calls are received but not answered.
#[derive(Debug)]
pub struct Hold<'a>(&'a StubUpstream);

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        self.0.shared.held.send_replace(false);
    }
}

impl StubUpstream {
    /// Starts listening, without rules.
    pub async fn start() -> Self {
        let port = match Port::reserve() {
            Ok(port) => port,
            Err(error) => panic!("{error:#}"),
        };
        let stub = Self { port, shared: Arc::default(), accepting: tokio::sync::Mutex::default() };
        stub.up().await;
        stub
    }

    /// `http://127.0.0.1:<port>`, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.port.address())
    }

    /// The address as a URL.
    pub fn base(&self) -> Url {
        match Url::parse(&self.url()) {
            Ok(url) => url,
            Err(error) => panic!("{error}"),
        }
    }

    /// Adds a rule after the present ones.
    pub fn answer(&self, rule: Rule) -> &Self {
        self.shared.rules.lock().push(rule);
        self
    }

    /// Replaces the rules. Those of [`StubUpstream::fallback`] stay.
    pub fn rules(&self, rules: Vec<Rule>) -> &Self {
        *self.shared.rules.lock() = rules;
        self
    }

    /// Replaces the rules which are tried after all others, e.g. logins.
    pub fn fallback(&self, rules: Vec<Rule>) -> &Self {
        *self.shared.fallback.lock() = rules;
        self
    }

    /// All calls so far, also those that are not answered yet.
    pub fn calls(&self) -> Vec<Received> {
        self.shared.received.lock().clone()
    }

    /// The calls to paths that end so.
    pub fn calls_to(&self, end_of_path: &str) -> Vec<Received> {
        self.calls().into_iter().filter(|call| call.path.ends_with(end_of_path)).collect()
    }

    /// Forgets the calls so far and returns them.
    pub fn take_calls(&self) -> Vec<Received> {
        std::mem::take(&mut *self.shared.received.lock())
    }

    /// Waits until `enough` is true of the calls; false after `patience`.
    pub async fn until(&self, patience: Duration, enough: impl Fn(&[Received]) -> bool) -> bool {
        let mut changed = self.shared.changed.subscribe();
        let waiting = async {
            while !enough(&self.shared.received.lock()) {
                if changed.changed().await.is_err() {
                    return;
                }
            }
        };
        tokio::time::timeout(patience, waiting).await.is_ok()
    }

    /// The most calls that were being answered at the same time.
    pub fn most_in_flight(&self) -> usize {
        self.shared.most_in_flight.load(Ordering::SeqCst)
    }

    /// Receives calls but answers none until the guard is dropped.
    #[must_use]
    pub fn hold(&self) -> Hold<'_> {
        self.shared.held.send_replace(true);
        Hold(self)
    }

    /// Refuses connections from now on and breaks the present ones.
    pub async fn down(&self) {
        if let Some(task) = self.accepting.lock().await.take() {
            task.abort();
            let _ = task.await;
        }
    }

    /// Accepts connections (again), on the same port.
    pub async fn up(&self) {
        let mut accepting = self.accepting.lock().await;
        if accepting.is_some() {
            return;
        }
        let listener = match TcpListener::bind(self.port.address()).await {
            Ok(listener) => listener,
            Err(error) => panic!("cannot listen on {}: {error}", self.port.address()),
        };
        *accepting = Some(tokio::spawn(accept(listener, Arc::clone(&self.shared))));
    }
}

impl Drop for StubUpstream {
    fn drop(&mut self) {
        if let Some(task) = self.accepting.get_mut().take() {
            task.abort();
        }
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    // Aborted with this task, so that `down` breaks connections too.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Ok((stream, _)) = listener.accept() => {
                let _ = stream.set_nodelay(true);
                let shared = Arc::clone(&shared);
                connections.spawn(async move {
                    let service = service_fn(|request| answer(&shared, request));
                    // Fails when the peer breaks off or a rule says so.
                    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Counts a call as in flight until dropped.
struct InFlight<'a>(&'a Shared);

impl<'a> InFlight<'a> {
    fn new(shared: &'a Shared) -> Self {
        let now = shared.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
        shared.most_in_flight.fetch_max(now, Ordering::SeqCst);
        Self(shared)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn answer(shared: &Shared, request: Request<Incoming>) -> io::Result<Response<Body>> {
    let _in_flight = InFlight::new(shared);
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let query =
        url::form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
    let path = head.uri.path().to_owned();
    let received = Received { method: head.method, path, query, headers: head.headers, body };
    // Chosen before the call is visible, so that a test which waits for it can change the rules.
    let rule = choose(shared, &received);
    shared.received.lock().push(received);
    shared.changed.send_modify(|count| *count += 1);
    let mut held = shared.held.subscribe();
    let _ = held.wait_for(|held| !held).await;
    let Some(rule) = rule else {
        return Ok(response(404, Full::default().map_err(never).boxed_unsync()));
    };
    tokio::time::sleep(rule.wait()).await;
    if rule.drops {
        return Err(io::Error::other("the rule drops the connection"));
    }
    Ok(by_rule(&rule))
}

fn choose(shared: &Shared, call: &Received) -> Option<Rule> {
    for rules in [&shared.rules, &shared.fallback] {
        let mut rules = rules.lock();
        if let Some(rule) = rules.iter_mut().find(|rule| rule.fits(&call.method, &call.path, &call.query)) {
            rule.times = rule.times.map(|times| times.saturating_sub(1));
            return Some(rule.clone());
        }
    }
    None
}

fn by_rule(rule: &Rule) -> Response<Body> {
    let (body, content_type) = rule.body();
    let announced = body.len() + 1;
    let chunk = Bytes::from(body);
    let body: Body = match rule.end {
        End::Complete => Full::new(chunk).map_err(never).boxed_unsync(),
        End::CutOff => {
            let parts = [Ok(Frame::data(chunk)), Err(io::Error::other("the rule cuts the body off"))];
            // The pause lets the first part out before the connection breaks.
            let parts = stream::iter(parts).then(async |part| {
                if part.is_err() {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                part
            });
            BodyExt::boxed_unsync(StreamBody::new(Box::pin(parts)))
        }
        End::Never => {
            let parts = stream::repeat_with(move || Ok(Frame::data(chunk.clone())));
            BodyExt::boxed_unsync(StreamBody::new(parts))
        }
    };
    let mut response = response(rule.status, body);
    if let Some(value) = content_type.and_then(|kind| kind.parse().ok()) {
        response.headers_mut().insert(header::CONTENT_TYPE, value);
    }
    if matches!(rule.end, End::CutOff) {
        response.headers_mut().insert(header::CONTENT_LENGTH, announced.into());
    }
    for (name, value) in &rule.headers {
        match (header::HeaderName::try_from(name), header::HeaderValue::try_from(value)) {
            (Ok(name), Ok(value)) => {
                response.headers_mut().insert(name, value);
            }
            _ => panic!("header {name} of a rule cannot be sent"),
        }
    }
    response
}

fn response(status: u16, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    match http::StatusCode::from_u16(status) {
        Ok(status) => *response.status_mut() = status,
        Err(error) => panic!("status {status} of a rule: {error}"),
    }
    response
}

fn never(never: Infallible) -> io::Error {
    match never {}
}
