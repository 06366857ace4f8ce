//! Calls to a vendor's organisation, within the time that callers have.

use std::time::Duration;

use contracts::json;
use runtime::Context;
use serde_json::value::RawValue;
use tokio::time::{Instant, sleep};
use upstream::{Call, CallError, Response, Retry, Settings, Upstream};

use crate::account::{Account, Vendor};
use crate::failure::Failure;
use crate::login::PartnerLogin;

/// The time for everything that a read needs (Improve).
const READ_WITHIN: Duration = Duration::from_secs(25);
/// The time for one call of a read, the login that it may need included (Improve).
const CALL_WITHIN: Duration = Duration::from_secs(10);
/// What is left of a caller's time for the reply.
const FOR_THE_REPLY: Duration = Duration::from_secs(1);
/// How often a read is tried.
const TRIES: u32 = 3;
/// Before a read is tried again; doubled, and varied by up to half in either direction.
const PAUSE: Duration = Duration::from_millis(500);
/// Calls at the same time (Improve of `cts-bridge`).
const IN_FLIGHT: usize = 8;

/// When a read that was asked now must be over, for a request whose reply is due at `deadline`.
pub fn read_until(deadline: Instant) -> Instant {
    let now = Instant::now();
    (now + READ_WITHIN).min(deadline.checked_sub(FOR_THE_REPLY).unwrap_or(now))
}

/// The JSON of an answer, unparsed; nothing in it is changed but what no JSON reader takes.
///
/// # Errors
/// When it is not JSON, in words for [`crate::Failure::Unusable`].
pub fn json_of(response: &Response) -> Result<Box<RawValue>, &'static str> {
    serde_json::from_str(&json::legal(&response.text())).map_err(|_| "not JSON")
}

/// A vendor's organisation. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Organisation {
    upstream: Upstream,
    vendor: Vendor,
    dry_run: bool,
}

impl Organisation {
    /// Prepares the calls; nothing is sent yet.
    ///
    /// # Errors
    /// When the CA file is of no use.
    pub fn new(ctx: &Context, vendor: Vendor, account: Account) -> anyhow::Result<Self> {
        let settings = Settings {
            overrides: ctx.process.overrides.clone(),
            login_timeout: CALL_WITHIN,
            in_flight: IN_FLIGHT,
            response_limit: ctx.process.max_payload,
            verify_tls: account.verify_tls,
            ca_file: account.ca_file.clone(),
            ..Settings::new(vendor.name, account.login_url.clone())
        };
        let upstream = Upstream::new(settings, PartnerLogin::new(vendor, account), &ctx.metrics)?;
        Ok(Self { upstream, vendor, dry_run: ctx.process.is_dry_run() })
    }

    /// Logs in now and keeps a session until the service stops. Nobody waits for it.
    pub fn keep_session(&self, ctx: &Context) {
        ctx.spawn("login", self.upstream.login_in_background(ctx.stop.clone()));
    }

    /// Whose organisation it is.
    pub fn vendor(&self) -> Vendor {
        self.vendor
    }

    /// Sends a call that changes nothing and has `understand` read the answer. What may be a passing trouble (no
    /// connection, no session, no answer, an unusable one) is tried again, altogether not after `until`.
    ///
    /// # Errors
    /// The last try's.
    pub async fn read<T>(
        &self,
        call: Call,
        until: Instant,
        understand: impl Fn(&Response) -> Result<T, &'static str>,
    ) -> Result<T, Failure> {
        let call = call.read().retry(Retry::NEVER).within(CALL_WITHIN).until(until);
        tried(until, || self.send(call.clone(), &understand)).await
    }

    /// Sends a call that changes something, once, and has `understand` read the answer. (A refused session means that
    /// nothing was done: then it is renewed and the call repeated.) With `WRITE_MODE=dry-run` nothing is sent, and
    /// `accepted` is the answer.
    ///
    /// # Errors
    /// Why there is no usable answer. Unless [`Failure`] says so, the outcome is not known.
    pub async fn write<T>(
        &self,
        call: Call,
        deadline: Instant,
        understand: impl Fn(&Response) -> Result<T, &'static str>,
        accepted: impl FnOnce() -> T,
    ) -> Result<T, Failure> {
        if self.dry_run {
            self.upstream.url_of(&call)?;
            tracing::info!(vendor = self.vendor.name, route = call.route_name(), "dry run: not sent");
            return Ok(accepted());
        }
        let until = deadline.checked_sub(FOR_THE_REPLY).unwrap_or(deadline);
        self.send(call.write().retry(Retry::NEVER).until(until), &understand).await
    }

    async fn send<T>(
        &self,
        call: Call,
        understand: impl Fn(&Response) -> Result<T, &'static str>,
    ) -> Result<T, Failure> {
        let (vendor, route) = (self.vendor.name, call.route_name());
        let outcome = match self.upstream.send(call.clone()).await {
            Ok(response) if response.status < 300 => understand(&response).map_err(Failure::Unusable),
            Ok(response) => {
                tracing::warn!(vendor, route, status = response.status, "refused");
                return Err(Failure::refused(&response, self.upstream.url_of(&call).ok().as_ref()));
            }
            Err(error) => Err(Failure::NoAnswer(error)),
        };
        if let Err(failure) = &outcome {
            tracing::warn!(vendor, route, %failure, "no usable answer");
        }
        outcome
    }
}

/// Tries until something is understood, trouble does not pass or `until` is near.
async fn tried<T, F>(until: Instant, mut attempt: impl FnMut() -> F) -> Result<T, Failure>
where
    F: Future<Output = Result<T, Failure>>,
{
    let mut tries = 0;
    let mut last = None;
    loop {
        let failure = match (attempt().await, last) {
            (Ok(understood), _) => return Ok(understood),
            // That a try was not sent says less than what went wrong before.
            (Err(Failure::NoAnswer(CallError::Deadline)), Some(last)) => last,
            (Err(failure), _) => failure,
        };
        tries += 1;
        let pause = PAUSE.saturating_mul(1 << (tries - 1)).mul_f64(rand::random_range(0.5..1.5));
        if tries >= TRIES || !failure.may_pass() || Instant::now() + pause >= until {
            return Err(failure);
        }
        sleep(pause).await;
        last = Some(failure);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOT_SENT: Failure = Failure::NoAnswer(CallError::Deadline);

    /// What comes of these tries, which take so many seconds each, and when.
    async fn outcome(tries: Vec<(u64, Result<&'static str, Failure>)>) -> (String, u64) {
        let begun = Instant::now();
        let mut tries = tries.into_iter();
        let outcome = tried(begun + READ_WITHIN, || {
            let (seconds, outcome) = tries.next().unwrap();
            async move {
                sleep(Duration::from_secs(seconds)).await;
                outcome
            }
        });
        let text = outcome.await.map_or_else(|failure| failure.to_string(), str::to_owned);
        (text, begun.elapsed().as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn a_try_that_was_not_sent_in_its_time_is_not_the_last_one() {
        let timeout = || Failure::NoAnswer(CallError::Timeout);
        // A login that hangs, or no place: the time of the try is over, not that of the read.
        let (text, seconds) = outcome(vec![(10, Err(NOT_SENT)), (1, Ok("read"))]).await;
        assert_eq!(text, "read");
        assert!((11..13).contains(&seconds), "{seconds}");
        let (text, _) = outcome(vec![(10, Err(NOT_SENT)), (10, Err(NOT_SENT)), (1, Ok("read"))]).await;
        assert_eq!(text, "read");
        // The time of the read is over: what went wrong before says more.
        let (text, seconds) = outcome(vec![(10, Err(timeout())), (15, Err(NOT_SENT))]).await;
        assert_eq!((text.as_str(), seconds), ("no answer in time", 25));
        let (text, _) = outcome(vec![(1, Err(timeout())), (1, Err(NOT_SENT)), (1, Err(NOT_SENT))]).await;
        assert_eq!(text, "no answer in time");
        let (text, _) = outcome(vec![(25, Err(NOT_SENT))]).await;
        assert_eq!(text, "out of time before the call was sent");
    }
}
