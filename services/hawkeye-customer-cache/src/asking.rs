//! Asking other services, patiently (spec `hawkeye-customer-cache`, "Requests" and Improve 11): a request without a reply
//! is sent again for two minutes.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bus::{Bus, RequestError};
use contracts::Rpc;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep};

/// How long one call may take with all its repetitions.
const PATIENCE: Duration = Duration::from_secs(120);
/// A repetition with less time than this is of no use.
const LEAST: Duration = Duration::from_secs(5);
/// After so many calls without a reply in one refresh each further call is made once: a service that is gone must not
/// hold up the refresh for hours.
const UNANSWERED: u32 = 10;

/// Asks on behalf of one refresh. Only reads are asked: to repeat them is harmless.
pub struct Asking<'a> {
    bus: &'a Bus,
    unanswered: AtomicU32,
}

impl<'a> Asking<'a> {
    /// For a new refresh.
    pub fn new(bus: &'a Bus) -> Self {
        Self { bus, unanswered: AtomicU32::new(0) }
    }

    /// The body of a success.
    ///
    /// # Errors
    /// The refusal, or why there was no reply.
    pub async fn ask<R: Rpc>(&self, request: &R::Request) -> Result<R::Reply, RequestError> {
        self.ask_fields::<R, R::Reply>(request).await
    }

    /// Like [`Self::ask`], with the body read as `T`.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub async fn ask_fields<R: Rpc, T: DeserializeOwned + Send + 'static>(
        &self,
        request: &R::Request,
    ) -> Result<T, RequestError> {
        self.patiently(R::TIMEOUT, |within| self.bus.request_fields::<R, T>(request, within)).await
    }

    /// Like [`Self::ask`] for a list of which odd elements are left out; see [`Bus::request_rows`].
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub async fn ask_rows<R: Rpc, T: DeserializeOwned + Send + 'static>(
        &self,
        request: &R::Request,
        about: &str,
    ) -> Result<Vec<T>, RequestError> {
        self.patiently(R::TIMEOUT, |within| self.bus.request_rows::<R, T>(request, within, about)).await
    }

    async fn patiently<T, F>(
        &self,
        timeout: Duration,
        ask: impl FnMut(Duration) -> F,
    ) -> Result<T, RequestError>
    where
        F: Future<Output = Result<T, RequestError>>,
    {
        let impatient = self.unanswered.load(Ordering::Relaxed) >= UNANSWERED;
        let outcome = repeated(timeout, if impatient { timeout } else { PATIENCE }, ask).await;
        if outcome.as_ref().is_err_and(is_silence) {
            self.unanswered.fetch_add(1, Ordering::Relaxed);
        }
        outcome
    }
}

/// Whether there was no reply, so that another attempt may bring one.
fn is_silence(error: &RequestError) -> bool {
    match error {
        RequestError::Timeout { .. }
        | RequestError::NoResponders { .. }
        | RequestError::Disconnected { .. }
        | RequestError::PayloadStore { .. } => true,
        RequestError::Refused { .. }
        | RequestError::Unreadable { .. }
        | RequestError::Unwritable { .. }
        | RequestError::TooLarge { .. } => false,
    }
}

/// Asks, each time for `timeout` at most, and after the n-th silence again after 2^n seconds, for `patience` altogether.
async fn repeated<T, F>(
    timeout: Duration,
    patience: Duration,
    mut ask: impl FnMut(Duration) -> F,
) -> Result<T, RequestError>
where
    F: Future<Output = Result<T, RequestError>>,
{
    let end = Instant::now() + patience;
    let mut wait = Duration::from_secs(1);
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let outcome = ask(timeout.min(left)).await;
        wait = wait.saturating_mul(2);
        match &outcome {
            Err(error) if is_silence(error) && Instant::now() + wait + LEAST <= end => sleep(wait).await,
            _ => return outcome,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn silence() -> RequestError {
        RequestError::NoResponders { subject: "s".to_owned() }
    }

    /// The seconds at which attempts begin when none is answered within `timeout`.
    async fn attempts(timeout: u64, patience: u64) -> Vec<u64> {
        let (began, mut at) = (Instant::now(), Vec::new());
        let outcome: Result<(), _> =
            repeated(Duration::from_secs(timeout), Duration::from_secs(patience), |within| {
                at.push(began.elapsed().as_secs());
                async move {
                    sleep(within).await;
                    Err(silence())
                }
            })
            .await;
        assert!(outcome.is_err());
        assert!(began.elapsed() <= Duration::from_secs(patience));
        at
    }

    #[tokio::test(start_paused = true)]
    async fn silence_is_asked_again_for_two_minutes() {
        assert_eq!(attempts(30, 120).await, [0, 32, 66, 104]);
        assert_eq!(attempts(60, 120).await, [0, 62]);
        assert_eq!(attempts(30, 30).await, [0]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_is_an_answer() {
        let mut asked = 0;
        let outcome: Result<(), _> = repeated(PATIENCE, PATIENCE, |_| {
            asked += 1;
            let refused =
                RequestError::Refused { subject: "s".to_owned(), status: Some(500), body: "x".to_owned() };
            async move { Err(if asked < 3 { silence() } else { refused }) }
        })
        .await;
        assert_eq!((outcome.unwrap_err().status(), asked), (500, 3));
    }
}
