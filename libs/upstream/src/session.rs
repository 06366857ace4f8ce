//! When logins happen: one at a time for all callers, ahead of expiry, again after a refusal, with a back-off after
//! failures.

use std::{sync::Arc, time::Duration};

use futures::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use http::HeaderMap;
use parking_lot::Mutex;
use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until, timeout, timeout_at},
};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;
use url::Url;

use crate::{CallError, Http, Login, LoginError, Response, Session, login::LONGEST_LIFE, metrics::Metrics};

/// On demand, after failed logins: this pause, doubled up to [`DEMAND_MOST`].
const DEMAND_FIRST: Duration = Duration::from_millis(500);
const DEMAND_MOST: Duration = Duration::from_secs(30);
/// In the background, after failed logins.
const BACKGROUND_FIRST: Duration = Duration::from_secs(5);
const BACKGROUND_MOST: Duration = Duration::from_secs(300);
/// After so many logins that were [`LoginError::Denied`] all further ones wait so long: the account could be locked.
const DENIED: u32 = 5;
const DENIED_PAUSE: Duration = BACKGROUND_MOST;
/// A caller waits for a pause that ends this soon rather than fail.
const WORTH_WAITING: Duration = Duration::from_secs(1);
/// So many new sessions in a row that are refused at once are no accident: logins slow down.
const REFUSED_IN_A_ROW: u32 = 5;
/// The part of its life after which a session is renewed.
const RENEW_AFTER: f64 = 0.8;

/// A session that is or was in use. Sessions are numbered so that of many callers refused with the same one only the
/// first starts a login.
pub(crate) struct Held {
    session: Session,
    number: u64,
    since: Instant,
}

impl Held {
    /// Where calls with this session go, if the login says so.
    pub(crate) fn base_url(&self) -> Option<&Url> {
        self.session.base_url.as_ref()
    }

    fn over(&self, part: f64) -> bool {
        self.after(part).is_some_and(|instant| instant <= Instant::now())
    }

    fn after(&self, part: f64) -> Option<Instant> {
        let life = self.session.expires_in?.min(LONGEST_LIFE);
        self.since.checked_add(life.mul_f64(part))
    }
}

type Flight = Shared<BoxFuture<'static, Result<Arc<Held>, LoginError>>>;

/// The sessions of one third party. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Sessions(Arc<Inner>);

struct Inner {
    name: &'static str,
    login: Box<dyn AnyLogin>,
    http: Http,
    timeout: Duration,
    metrics: Metrics,
    state: Mutex<State>,
    /// The number of the held session, 0 for none.
    changed: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    held: Option<Arc<Held>>,
    flight: Option<Flight>,
    failures: u32,
    /// The failures that were [`LoginError::Denied`].
    denials: u32,
    refusals: u32,
    trouble: Option<(Instant, LoginError)>,
}

impl Sessions {
    pub(crate) fn new<L: Login>(
        name: &'static str,
        login: L,
        http: Http,
        timeout: Duration,
        metrics: Metrics,
    ) -> Self {
        let inner = Inner {
            name,
            login: Box::new(login),
            http,
            timeout,
            metrics,
            state: Mutex::default(),
            changed: watch::Sender::new(0),
        };
        Self(Arc::new(inner))
    }

    pub(crate) fn needed(&self) -> bool {
        self.0.login.needed()
    }

    pub(crate) fn logged_in(&self) -> bool {
        !self.needed() || self.0.state.lock().held.as_ref().is_some_and(|held| !held.over(1.0))
    }

    /// The session which is held, valid or not.
    pub(crate) fn held(&self) -> Option<Arc<Held>> {
        self.0.state.lock().held.clone()
    }

    pub(crate) fn authorize(&self, held: &Held, headers: &mut HeaderMap) {
        self.0.login.authorize_any(&held.session, headers);
    }

    pub(crate) fn refused(&self, response: &Response) -> bool {
        self.0.login.refused_any(response)
    }

    /// A session for a call: the held one, or the result of a login. One whose time is over is still used while logins
    /// fail: its end may be our own limit, and whether it is good only the third party knows.
    pub(crate) async fn current(&self, deadline: Instant) -> Result<Arc<Held>, CallError> {
        let held = self.0.state.lock().held.clone();
        match held {
            Some(held) if !held.over(1.0) => {
                if held.over(RENEW_AFTER) {
                    // Nobody waits for it: the held one is still good.
                    let _ = self.flight(held.number);
                }
                Ok(held)
            }
            Some(held) if self.in_trouble() => {
                let _ = self.flight(held.number);
                Ok(held)
            }
            Some(held) => match self.wait(held.number, deadline).await {
                Err(CallError::NoSession(reason)) => {
                    tracing::debug!(upstream = self.0.name, %reason, "not renewed, the old session is used");
                    Ok(held)
                }
                renewed => renewed,
            },
            None => self.wait(0, deadline).await,
        }
    }

    /// A session newer than `refused`.
    pub(crate) async fn renewed(&self, refused: &Held, deadline: Instant) -> Result<Arc<Held>, CallError> {
        self.wait(refused.number, deadline).await
    }

    /// Whether the last login failed.
    fn in_trouble(&self) -> bool {
        self.0.state.lock().failures > 0
    }

    /// The third party took the session: logins work.
    pub(crate) fn accepted(&self) {
        let mut state = self.0.state.lock();
        state.refusals = 0;
    }

    /// The third party refused a session that was new.
    pub(crate) fn refused_again(&self) {
        let mut state = self.0.state.lock();
        state.refusals = state.refusals.saturating_add(1);
        state.trouble = Some((Instant::now(), LoginError::Unreadable("the new session was refused")));
    }

    /// Logs in now unless a session is held.
    pub(crate) async fn login_now(&self) -> Result<(), LoginError> {
        if !self.needed() || self.logged_in() {
            return Ok(());
        }
        match self.flight(0) {
            Ok(flight) => flight.await.map(|_| ()),
            Err((_, reason)) => Err(reason),
        }
    }

    /// Keeps a session until `stop`.
    pub(crate) async fn keep(self, stop: CancellationToken) {
        if self.needed() {
            let _ = stop.run_until_cancelled(self.keep_forever()).await;
        } else {
            stop.cancelled().await;
        }
    }

    async fn keep_forever(&self) {
        let mut changed = self.0.changed.subscribe();
        let mut failures = 0;
        loop {
            let number = *changed.borrow_and_update();
            let held = self.0.state.lock().held.clone();
            let due = match &held {
                None => Some(Instant::now()),
                Some(held) => held.after(RENEW_AFTER),
            };
            // After a failure the next try is due later, unless a caller succeeds in between.
            let due =
                due.map(|due| if failures == 0 { due } else { Instant::now() + background_pause(failures) });
            tokio::select! {
                () = async { match due { Some(due) => sleep_until(due).await, None => std::future::pending().await } } => {
                    let outcome = match self.flight(number) {
                        Ok(flight) => flight.await.map(|_| ()),
                        Err((_, reason)) => Err(reason),
                    };
                    failures = if outcome.is_ok() { 0 } else { failures.saturating_add(1) };
                }
                _ = changed.changed() => failures = 0,
            }
        }
    }

    async fn wait(&self, older_than: u64, deadline: Instant) -> Result<Arc<Held>, CallError> {
        let flight = match self.flight(older_than) {
            Ok(flight) => flight,
            Err((pause, reason)) if pause <= WORTH_WAITING && Instant::now() + pause < deadline => {
                sleep(pause).await;
                self.flight(older_than).map_err(|_| CallError::NoSession(Box::new(reason)))?
            }
            Err((_, reason)) => {
                return Err(CallError::NoSession(Box::new(LoginError::TooSoon(Box::new(reason)))));
            }
        };
        match timeout_at(deadline, flight).await {
            Ok(outcome) => outcome.map_err(|reason| CallError::NoSession(Box::new(reason))),
            Err(_) => Err(CallError::Deadline),
        }
    }

    /// The login in flight, or a new one; an already held session newer than `older_than` counts as a finished one.
    /// Refused with the remaining pause while logins are in trouble.
    fn flight(&self, older_than: u64) -> Result<Flight, (Duration, LoginError)> {
        let mut state = self.0.state.lock();
        if let Some(held) = state.held.as_ref().filter(|held| held.number > older_than) {
            return Ok(std::future::ready(Ok(Arc::clone(held))).boxed().shared());
        }
        if let Some(flight) = &state.flight {
            return Ok(flight.clone());
        }
        if let Some((since, reason)) = &state.trouble {
            let pause = (*since + demand_pause(&state)).saturating_duration_since(Instant::now());
            if !pause.is_zero() {
                return Err((pause, reason.clone()));
            }
        }
        let number = state.held.as_ref().map_or(0, |held| held.number) + 1;
        // A task of its own: a login must not end because the caller that needed it first gave up.
        let task = tokio::spawn(self.clone().log_in(number).in_current_span());
        let flight = async move { task.await.unwrap_or(Err(LoginError::Unreadable("the login broke off"))) }
            .boxed()
            .shared();
        state.flight = Some(flight.clone());
        Ok(flight)
    }

    async fn log_in(self, number: u64) -> Result<Arc<Held>, LoginError> {
        let landing = Landing(&self);
        let outcome = match timeout(self.0.timeout, self.0.login.login_any(&self.0.http)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(LoginError::Call(CallError::Timeout)),
        };
        let outcome = outcome.map(|session| Arc::new(Held { session, number, since: Instant::now() }));
        {
            let mut state = self.0.state.lock();
            state.flight = None;
            match &outcome {
                Ok(held) => {
                    state.held = Some(Arc::clone(held));
                    state.failures = 0;
                    state.denials = 0;
                    if state.refusals == 0 {
                        state.trouble = None;
                    }
                }
                Err(error) => {
                    state.failures = state.failures.saturating_add(1);
                    state.denials = state.denials.saturating_add(u32::from(error.is_denied()));
                    state.trouble = Some((Instant::now(), error.clone()));
                }
            }
        }
        drop(landing);
        self.0.metrics.login(outcome.is_ok(), self.logged_in());
        match &outcome {
            Ok(held) => {
                self.0.changed.send_replace(number);
                tracing::info!(upstream = self.0.name, valid_for = ?held.session.expires_in, "logged in");
            }
            Err(error) => tracing::warn!(upstream = self.0.name, %error, "login failed"),
        }
        outcome
    }
}

/// A login that panics must not leave its flight behind, or nobody could ever log in again.
struct Landing<'a>(&'a Sessions);

impl Drop for Landing<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.0.state.lock().flight = None;
        }
    }
}

fn demand_pause(state: &State) -> Duration {
    let denied = state.trouble.as_ref().is_some_and(|(_, reason)| reason.is_denied());
    if denied && state.denials >= DENIED {
        return DENIED_PAUSE;
    }
    let troubles = state.failures.max(state.refusals.saturating_sub(REFUSED_IN_A_ROW));
    match troubles {
        0 => Duration::ZERO,
        troubles => doubled(DEMAND_FIRST, troubles - 1).min(DEMAND_MOST),
    }
}

fn background_pause(failures: u32) -> Duration {
    let pause = doubled(BACKGROUND_FIRST, failures.saturating_sub(1)).min(BACKGROUND_MOST);
    pause.mul_f64(rand::random_range(0.9..1.1))
}

fn doubled(first: Duration, times: u32) -> Duration {
    first.saturating_mul(1_u32.checked_shl(times).unwrap_or(u32::MAX))
}

/// [`Login`] without its generic future, so that [`crate::Upstream`] has no type parameter.
trait AnyLogin: Send + Sync {
    fn needed(&self) -> bool;
    fn login_any<'a>(&'a self, http: &'a Http) -> BoxFuture<'a, Result<Session, LoginError>>;
    fn authorize_any(&self, session: &Session, headers: &mut HeaderMap);
    fn refused_any(&self, response: &Response) -> bool;
}

impl<L: Login> AnyLogin for L {
    fn needed(&self) -> bool {
        L::NEEDED
    }

    fn login_any<'a>(&'a self, http: &'a Http) -> BoxFuture<'a, Result<Session, LoginError>> {
        self.login(http).boxed()
    }

    fn authorize_any(&self, session: &Session, headers: &mut HeaderMap) {
        self.authorize(session, headers);
    }

    fn refused_any(&self, response: &Response) -> bool {
        self.refused(response)
    }
}
