//! The Hawkeye API: the two kinds of calls that the bridge makes, lists and details.

use std::time::Duration;

use contracts::{RawFields, id::Id};
use runtime::Context;
use serde_json::value::RawValue;
use tokio::time::{Instant, sleep};
use upstream::{BuildError, Call, CallError, Response, Retry, Settings, Upstream};

use crate::config::Config;
use crate::failure::{Failure, may_log_in, settle, transient};
use crate::login::UserLogin;
use crate::paging::{LIMIT, Page, Progress};

/// Calls at the same time, of all requests together (Improve 6).
pub const IN_FLIGHT: usize = 10;
/// Limit of one call; each has its request's deadline besides.
const CALL_WITHIN: Duration = Duration::from_secs(60);
/// How the page of a list is repeated (Improve 4).
const RETRY: Retry =
    Retry::times(5, Duration::from_millis(500)).at_most(Duration::from_secs(8)).again_after(transient);
/// So often the page of a list waits for a login that failed in passing, with the pauses of [`RETRY`]. Logins have pauses
/// of their own, as long as these: a further one would not be due within the next.
const LOGIN_REPEATED: u32 = 3;
/// A call is sent so often while Hawkeye refuses one session after the other. Each time is two GETs, one before and one
/// after a login: the 6 GETs in all of the specification ("Mapping of a data call").
const TIMES_REFUSED: u32 = 3;

/// Hawkeye.
#[derive(Debug)]
pub struct Hawkeye {
    /// Session, limits, calls.
    pub upstream: Upstream,
}

/// A list, as far as it could be read.
#[derive(Debug)]
pub struct Listing {
    /// The records, in the order of the pages.
    pub records: Vec<Box<RawValue>>,
    /// Why it is not complete.
    pub cut: Option<Failure>,
}

impl Hawkeye {
    /// For the API in `config`; nothing is sent yet.
    ///
    /// # Errors
    /// When TLS cannot be set up or the URL cannot be used.
    pub fn new(ctx: &Context, config: &Config) -> Result<Self, BuildError> {
        let settings = Settings {
            overrides: ctx.process.overrides.clone(),
            timeout: CALL_WITHIN,
            in_flight: IN_FLIGHT,
            response_limit: ctx.process.max_payload,
            ..Settings::new("hawkeye", config.base_url.clone())
        };
        Ok(Self { upstream: Upstream::new(settings, UserLogin::from(config), &ctx.metrics)? })
    }

    /// Reads a list to its end, or until `until`.
    ///
    /// # Errors
    /// When not even its first page could be read (Improve 3).
    pub async fn list(&self, call: &Call, until: Instant) -> Result<Listing, Failure> {
        let mut progress = Progress::default();
        let mut records = Vec::new();
        loop {
            let page = call.clone().query("limit", LIMIT).query("offset", progress.offset());
            match self.page(page.retry(RETRY).until(until), until, &mut progress, &mut records).await {
                Ok(true) => {}
                Ok(false) => {
                    if progress.is_short() {
                        tracing::error!(records = records.len(), "a list ended before its total was reached");
                    }
                    return Ok(Listing { records, cut: None });
                }
                Err(failure) if progress.is_empty() => return Err(failure),
                Err(failure) => return Ok(Listing { records, cut: Some(failure) }),
            }
        }
    }

    /// Reads a page; whether there is another one.
    async fn page(
        &self,
        call: Call,
        until: Instant,
        progress: &mut Progress,
        records: &mut Vec<Box<RawValue>>,
    ) -> Result<bool, Failure> {
        let response = settle(self.send_when_logged_in(call, until).await)?;
        let text = response.text();
        let page = Page::read(&text)?;
        let more = progress.count(&page)?;
        records.extend(page.records.into_iter().map(RawValue::to_owned));
        Ok(more)
    }

    /// Sends a call; again after a pause while the login fails in passing.
    async fn send_when_logged_in(&self, call: Call, until: Instant) -> Result<Response, CallError> {
        let mut tried = 0;
        loop {
            let sent = self.send(call.clone()).await;
            let again = matches!(&sent, Err(CallError::NoSession(reason)) if may_log_in(reason));
            let pause = RETRY.pause.saturating_mul(1 << tried).min(RETRY.longest);
            if !again || tried == LOGIN_REPEATED || Instant::now() + pause >= until {
                return sent;
            }
            sleep(pause).await;
            tried += 1;
        }
    }

    /// Sends a call; at once again while each new session is refused.
    async fn send(&self, call: Call) -> Result<Response, CallError> {
        let mut times = 1;
        loop {
            let sent = self.upstream.send(call.clone()).await;
            let refused = sent.as_ref().is_ok_and(|response| response.session_refused);
            if !refused || times == TIMES_REFUSED {
                return sent;
            }
            times += 1;
        }
    }

    /// What the result of a test with this id measured: the list `metrics` of its details. Not repeated.
    ///
    /// # Errors
    /// When the details cannot be read.
    pub async fn metrics(&self, id: &Id, until: Instant) -> Result<Box<RawValue>, Failure> {
        let call = Call::get("/testsresults/{id}").segment("id", id).until(until);
        let response = settle(self.send(call).await)?;
        let text = response.text();
        let details: RawFields<'_> =
            serde_json::from_str(&text).map_err(|_| Failure::unexpected("not the details of a result"))?;
        let metrics = details.get("metrics").filter(|metrics| metrics.get().starts_with('['));
        metrics.map(RawValue::to_owned).ok_or_else(|| Failure::unexpected("details without metrics"))
    }
}
