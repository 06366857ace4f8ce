//! Sending: [`Upstream`] is what services call, [`Http`] is one exchange.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method};
use parking_lot::Mutex;
use prometheus::Registry;
use tokio::{
    sync::{AcquireError, OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep, timeout, timeout_at},
};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;
use url::{Host, Url};

use crate::{
    BuildError, Call, CallError, Login, LoginError, Response, Retry, Settings,
    metrics::{Metrics, class},
    retry,
    session::{Held, Sessions},
    trust,
};

/// How long a start waits for the first session.
const FIRST_LOGIN_WITHIN: Duration = Duration::from_secs(5);
/// From so many bytes on an answer is large: the rest of it is read when there is a place. As for messages, which leave
/// NATS for Redis from there on.
const LARGE: usize = 1024 * 1024;
/// Up to here the buffer of an answer of unknown length grows step by step; from here it has [`LARGE`] bytes.
const SMALL: usize = 64 * 1024;
/// Large answers that are read at the same time, so that memory is bounded whatever a third party sends.
const LARGE_AT_A_TIME: usize = 4;

/// A third party. Cheap to clone; all clones share connections, session and limits.
#[derive(Clone)]
pub struct Upstream(Arc<Inner>);

struct Inner {
    http: Http,
    sessions: Sessions,
    retry: Retry,
    /// Places at the host of the base URL, where nearly all calls go.
    home: (String, Places),
    elsewhere: Mutex<HashMap<String, Places>>,
}

/// Places for the calls in flight to one host.
#[derive(Clone)]
struct Places {
    all: Arc<Semaphore>,
    /// What reads need besides: they queue here, so that the places kept for writes stay free.
    reads: Arc<Semaphore>,
}

impl Places {
    fn new(settings: &Settings) -> Self {
        let all = settings.in_flight.max(1);
        let reads = all.saturating_sub(settings.kept_for_writes).max(1);
        Self { all: Arc::new(Semaphore::new(all)), reads: Arc::new(Semaphore::new(reads)) }
    }

    /// A place, if one is free and nobody waits for it.
    fn take_free(&self, read: bool) -> Option<Place> {
        let free = |places: &Arc<Semaphore>| Arc::clone(places).try_acquire_owned().ok();
        let as_read = if read { Some(free(&self.reads)?) } else { None };
        Some(Place { _any: free(&self.all)?, _as_read: as_read })
    }

    async fn take(self, read: bool) -> Result<Place, AcquireError> {
        let as_read = if read { Some(self.reads.acquire_owned().await?) } else { None };
        Ok(Place { _any: self.all.acquire_owned().await?, _as_read: as_read })
    }
}

/// A place that is taken until it is dropped.
struct Place {
    _any: OwnedSemaphorePermit,
    _as_read: Option<OwnedSemaphorePermit>,
}

/// What an observer is told about each call that is about to be sent to the third party, repetitions included, logins
/// excluded.
#[derive(Debug, Clone, Copy)]
pub struct Started<'a> {
    /// The method.
    pub method: &'a Method,
    /// The route: a template without ids, see [`Call::route_name`].
    pub route: &'static str,
}

/// What an observer is told about each exchange with the third party, repetitions included, logins excluded.
#[derive(Debug, Clone, Copy)]
pub struct Answered<'a> {
    /// The method.
    pub method: &'a Method,
    /// The route: a template without ids, see [`Call::route_name`].
    pub route: &'static str,
    /// The status; `None` when there was no answer.
    pub status: Option<u16>,
}

type Observer = Box<dyn Fn(Answered<'_>) + Send + Sync>;
type StartObserver = Box<dyn Fn(Started<'_>) + Send + Sync>;

impl Upstream {
    /// Prepares the client; nothing is sent yet. Its metrics are `upstream_*` with the labels `upstream` (the name) and
    /// `host` (of the base URL), so a registry takes several third parties and several hosts of one.
    ///
    /// # Errors
    /// [`BuildError`]: CA file, base URL, or the same name and host twice in one registry.
    pub fn new<L: Login>(settings: Settings, login: L, registry: &Registry) -> Result<Self, BuildError> {
        let host = match (settings.base_url.scheme(), settings.base_url.host_str()) {
            ("http" | "https", Some(host)) => host.to_owned(),
            _ => return Err(BuildError::BaseUrl(settings.name)),
        };
        let client = client(&settings)?;
        let metrics = Metrics::register(registry, settings.name, &host)
            .map_err(|error| BuildError::Metrics(settings.name, error))?;
        let (name, login_timeout) = (settings.name, settings.login_timeout);
        let (retry, home) = (settings.retry, (host, Places::new(&settings)));
        let verified = (settings.always_verify_login && !settings.verify_tls)
            .then(|| Settings { verify_tls: true, ..settings.clone() });
        let http = Http::new(settings, client, metrics.clone());
        let for_logins = match verified {
            Some(verified) => {
                let client = self::client(&verified)?;
                Http::new(verified, client, metrics.clone())
            }
            None => http.clone(),
        };
        let sessions = Sessions::new(name, login, for_logins, login_timeout, metrics);
        Ok(Self(Arc::new(Inner { http, sessions, retry, home, elsewhere: Mutex::default() })))
    }

    /// Tells `observer` about every call when it is started. The first one set stays.
    pub fn on_start(&self, observer: impl Fn(Started<'_>) + Send + Sync + 'static) {
        let _ = self.0.http.0.start_observer.set(Box::new(observer));
    }

    /// Tells `observer` about every exchange. The first one set stays.
    pub fn on_answer(&self, observer: impl Fn(Answered<'_>) + Send + Sync + 'static) {
        let _ = self.0.http.0.observer.set(Box::new(observer));
    }

    /// Sends a call and reads the answer, whatever its status.
    ///
    /// A refused session is renewed and the call repeated once (a refusal means that nothing was executed). If the
    /// renewal fails or the new session is refused too, the refusal is the answer, marked by
    /// [`Response::session_refused`].
    ///
    /// # Errors
    /// [`CallError`] when there is no answer; [`CallError::surely_not_executed`] says whether a write can be forgotten.
    pub fn send(&self, call: Call) -> impl Future<Output = Result<Response, CallError>> + Send {
        // A call is large, and each function on its way would keep two copies of it in its future.
        self.deliver(Box::new(call))
    }

    async fn deliver(&self, call: Box<Call>) -> Result<Response, CallError> {
        let Inner { http, sessions, retry, .. } = &*self.0;
        let settings = &http.0.settings;
        let deadline = call.deadline.instant(settings.timeout);
        let mut url = call.url(&settings.base_url)?;
        let retry = call.retry.unwrap_or(if call.read { *retry } else { Retry::NEVER });
        let mut renewed = false;
        let mut tried = 0;
        loop {
            let held = if sessions.needed() && !call.anonymous {
                Some(sessions.current(deadline).await?)
            } else {
                None
            };
            if let Some(base) = held.as_deref().and_then(Held::base_url) {
                url = call.url(base)?;
            }
            let mut outcome = self.attempt(&call, &url, held.as_deref(), deadline).await;
            if let (Some(held), Ok(response)) = (&held, &mut outcome) {
                if !sessions.refused(response) {
                    sessions.accepted();
                } else if renewed {
                    sessions.refused_again();
                    response.session_refused = true;
                    return outcome;
                } else if let Err(reason) = sessions.renewed(held, deadline).await {
                    tracing::debug!(upstream = settings.name, %reason, "session refused and not renewed");
                    response.session_refused = true;
                    return outcome;
                } else {
                    renewed = true;
                    continue;
                }
            }
            match retry::pause(retry, tried, call.read, &outcome, rand::random_range(0.0..1.0)) {
                Some(pause) if Instant::now() + pause < deadline => {
                    tracing::debug!(upstream = settings.name, ?call, ?outcome, ?pause, "repeating");
                    http.0.metrics.retried(call.route_name());
                    sleep(pause).await;
                    tried += 1;
                }
                _ => return outcome,
            }
        }
    }

    /// Where a call goes with the session that is held now, before overrides; for texts about failures.
    ///
    /// # Errors
    /// [`CallError::Invalid`] when the call cannot be sent as given.
    pub fn url_of(&self, call: &Call) -> Result<Url, CallError> {
        let held = self.0.sessions.held();
        let base = held.as_deref().and_then(Held::base_url);
        call.url(base.unwrap_or(&self.0.http.0.settings.base_url))
    }

    /// Whether a valid session is held, or none is needed.
    pub fn logged_in(&self) -> bool {
        self.0.sessions.logged_in()
    }

    /// Logs in unless a session is held; joins a login that is under way.
    ///
    /// # Errors
    /// The login's. Calls will try again on demand, [`Upstream::login_in_background`] without.
    pub async fn login_now(&self) -> Result<(), LoginError> {
        self.0.sessions.login_now().await
    }

    /// Waits a moment for the first session. A failure is logged and no reason not to start: calls will try again on
    /// demand, [`Upstream::login_in_background`] without.
    pub async fn first_login(&self) {
        let upstream = self.0.http.0.settings.name;
        match timeout(FIRST_LOGIN_WITHIN, self.login_now()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::error!(upstream, %error, "no session yet, trying on in the background");
            }
            Err(_) => tracing::warn!(upstream, "the login takes long, starting without a session"),
        }
    }

    /// Keeps a session until `stop`: logs in, repeats a failed login with growing pauses (5 s to 5 min, longer ones after
    /// several [`LoginError::Denied`]), renews at 80 % of its life. To be spawned.
    pub fn login_in_background(&self, stop: CancellationToken) -> impl Future<Output = ()> + Send + 'static {
        self.0.sessions.clone().keep(stop)
    }

    async fn attempt(
        &self,
        call: &Call,
        url: &Url,
        held: Option<&Held>,
        deadline: Instant,
    ) -> Result<Response, CallError> {
        let _place = self.place(url, call.read, deadline).await?;
        let mut headers = call.headers();
        if let Some(held) = held {
            self.0.sessions.authorize(held, &mut headers);
        }
        if deadline <= Instant::now() {
            return Err(CallError::Deadline);
        }
        let http = &self.0.http;
        if let Some(observer) = http.0.start_observer.get() {
            observer(Started { method: &call.method, route: call.route_name() });
        }
        let outcome = http.exchange(call, url, headers, deadline).await;
        if let Some(observer) = http.0.observer.get() {
            let status = outcome.as_ref().ok().map(|response| response.status);
            observer(Answered { method: &call.method, route: call.route_name(), status });
        }
        outcome
    }

    /// A free place among the calls in flight to the URL's host.
    async fn place(&self, url: &Url, read: bool, deadline: Instant) -> Result<Place, CallError> {
        let places = {
            let Inner { http, home, elsewhere, .. } = &*self.0;
            let host = url.host_str().unwrap_or_default();
            if host == home.0 {
                home.1.clone()
            } else {
                let mut places = elsewhere.lock();
                let new = || Places::new(&http.0.settings);
                places.entry(host.to_owned()).or_insert_with(new).clone()
            }
        };
        // The usual case needs no timer.
        if let Some(place) = places.take_free(read) {
            return Ok(place);
        }
        match timeout_at(deadline, places.take(read)).await {
            Ok(Ok(place)) => Ok(place),
            _ => Err(CallError::Deadline),
        }
    }
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "upstream {}", self.0.http.0.settings.name)
    }
}

/// Single exchanges without session, repetition or places: what a [`Login`] uses.
#[derive(Clone)]
pub struct Http(Arc<Connection>);

struct Connection {
    settings: Settings,
    client: reqwest::Client,
    metrics: Metrics,
    start_observer: OnceLock<StartObserver>,
    observer: OnceLock<Observer>,
    /// Places for large answers while they are read.
    large: Semaphore,
}

impl Http {
    fn new(settings: Settings, client: reqwest::Client, metrics: Metrics) -> Self {
        let (start_observer, observer) = (OnceLock::new(), OnceLock::new());
        let large = Semaphore::new(LARGE_AT_A_TIME);
        Self(Arc::new(Connection { settings, client, metrics, start_observer, observer, large }))
    }

    /// Sends a call as it is and reads the answer.
    ///
    /// # Errors
    /// [`CallError`] when there is no answer.
    pub async fn send(&self, call: Call) -> Result<Response, CallError> {
        let settings = &self.0.settings;
        let url = call.url(&settings.base_url)?;
        let deadline = call.deadline.instant(settings.login_timeout);
        self.exchange(&call, &url, call.headers(), deadline).await
    }

    async fn exchange(
        &self,
        call: &Call,
        url: &Url,
        mut headers: HeaderMap,
        deadline: Instant,
    ) -> Result<Response, CallError> {
        let Connection { settings, client, metrics, large, .. } = &*self.0;
        if deadline <= Instant::now() {
            return Err(CallError::Deadline);
        }
        // Of level DEBUG: made only where spans are kept, and no cost elsewhere.
        let span = tracing::debug_span!(
            "call",
            otel.name = format_args!("{} {}", call.method, call.route_name()),
            otel.kind = "client",
            http.request.method = %call.method,
            url.template = call.route_name(),
            server.address = url.host_str(),
            http.response.status_code = tracing::field::Empty,
            error.type = tracing::field::Empty,
        );
        let request = client.request(call.method.clone(), settings.overrides.apply(url)).build();
        let mut request = request.map_err(|error| CallError::from_client(&error))?;
        for (name, value) in std::mem::take(request.headers_mut()) {
            // Credentials in the URL; those of the session come first.
            if let Some(name) = name {
                headers.entry(name).or_insert(value);
            }
        }
        *request.headers_mut() = headers;
        *request.body_mut() = call.body().map(reqwest::Body::from);
        let begun = Instant::now();
        let in_flight = metrics.sent();
        let answer = receive(client, request, settings.response_limit, large).instrument(span.clone());
        let outcome = match timeout_at(deadline, answer).await {
            Ok(outcome) => outcome,
            Err(_) => Err(CallError::Timeout),
        };
        drop(in_flight);
        let label = match &outcome {
            Ok(response) => {
                span.record("http.response.status_code", response.status);
                class(response.status)
            }
            Err(error) => {
                span.record("error.type", error.kind());
                error.kind()
            }
        };
        metrics.finished(call.method.as_str(), call.route_name(), label, begun.elapsed());
        outcome
    }
}

async fn receive(
    client: &reqwest::Client,
    request: reqwest::Request,
    limit: usize,
    large: &Semaphore,
) -> Result<Response, CallError> {
    let mut answer = client.execute(request).await.map_err(|error| CallError::from_client(&error))?;
    let announced = match answer.content_length().map(usize::try_from) {
        None => None,
        Some(Ok(length)) if length <= limit => Some(length),
        Some(_) => return Err(CallError::TooLarge(limit)),
    };
    let first = next(&mut answer).await?.unwrap_or_default();
    let body = if announced == Some(first.len()) {
        first
    } else {
        rest(&mut answer, first, announced, limit, large).await?
    };
    let (status, headers) = (answer.status().as_u16(), std::mem::take(answer.headers_mut()));
    Ok(Response { status, headers, body, session_refused: false })
}

/// The next piece of an answer's body.
async fn next(answer: &mut reqwest::Response) -> Result<Option<Bytes>, CallError> {
    answer.chunk().await.map_err(|error| CallError::from_client(&error))
}

/// The body of an answer that came in pieces.
async fn rest(
    answer: &mut reqwest::Response,
    first: Bytes,
    announced: Option<usize>,
    limit: usize,
    large: &Semaphore,
) -> Result<Bytes, CallError> {
    let mut body = BytesMut::with_capacity(announced.unwrap_or_default().min(LARGE));
    let mut place = None;
    let mut piece = Some(first);
    while let Some(chunk) = piece {
        let needed = body.len() + chunk.len();
        if needed > limit {
            return Err(CallError::TooLarge(limit));
        }
        // In few steps, for a buffer that grows is there twice each time. What is not used takes no memory.
        if place.is_none() && needed > LARGE {
            // Never closed, so a place always comes, or the deadline does.
            place = large.acquire().await.ok();
            body.reserve(announced.unwrap_or(limit).saturating_sub(body.len()));
        } else if needed > SMALL && body.capacity() < needed {
            body.reserve(LARGE.max(needed) - body.len());
        }
        body.extend_from_slice(&chunk);
        piece = next(answer).await?;
    }
    Ok(body.freeze())
}

fn client(settings: &Settings) -> Result<reqwest::Client, BuildError> {
    let redirects = if settings.follow_redirects {
        reqwest::redirect::Policy::limited(10)
    } else {
        reqwest::redirect::Policy::none()
    };
    let mut builder = reqwest::Client::builder()
        .tls_backend_preconfigured(trust::tls(settings)?)
        .http1_only()
        .connect_timeout(settings.connect_timeout)
        .redirect(redirects)
        .referer(false)
        .retry(reqwest::retry::never())
        .tcp_nodelay(true)
        .pool_idle_timeout(Duration::from_secs(60));
    let local = match settings.base_url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    if local || !settings.overrides.is_empty() {
        // Development and tests: a proxy cannot know these addresses.
        builder = builder.no_proxy();
    }
    builder.build().map_err(|error| BuildError::Tls(settings.name, error.without_url().to_string()))
}
