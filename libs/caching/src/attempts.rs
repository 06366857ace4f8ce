//! A refresh that is repeated until it succeeds, by one replica at a time.

use std::time::Duration;

use bus::RedisLock;
use chrono::{DateTime, Utc};
use runtime::Clock;
use tokio_util::sync::CancellationToken;

/// Wait between attempts, in seconds: random within this range.
const WAIT: std::ops::Range<u64> = 120..300;

/// How one attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// Nothing is left to do.
    Yes,
    /// To be repeated after a while.
    No,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// An attempt was done.
    Done,
    /// Another replica has the lock.
    Elsewhere,
    /// The process is to stop.
    Stopped,
}

/// What surrounds the attempts of one run.
pub struct Attempts<'a> {
    /// Held while an attempt is under way.
    pub lock: &'a RedisLock,
    /// By which the waits are measured.
    pub clock: &'a Clock,
    /// Ends the run.
    pub stop: &'a CancellationToken,
    /// The run ends at this instant, an attempt under way too.
    pub until: Option<DateTime<Utc>>,
}

/// Runs `attempt` under the lock, with its number from 1, until it is done: again after a random wait of 2 to 5 minutes,
/// the lock being free meanwhile. Ends at once when another replica has the lock.
///
/// # Errors
/// When the lock cannot be asked for or given back, or there is no time for another attempt.
pub async fn refresh_until_done<A, F>(surroundings: Attempts<'_>, mut attempt: A) -> anyhow::Result<Ended>
where
    A: FnMut(u32) -> F,
    F: Future<Output = anyhow::Result<Done>>,
{
    let Attempts { lock, clock, stop, until } = surroundings;
    let mut number = 0;
    loop {
        if !lock.hold().await? {
            return Ok(Ended::Elsewhere);
        }
        number += 1;
        let done = tokio::select! {
            done = attempt(number) => done,
            lost = lock.keep() => {
                lost?;
                tracing::warn!("another replica has the lease now; this refresh ends here");
                return Ok(Ended::Elsewhere);
            }
            () = at(clock, until) => Err(anyhow::anyhow!("the run's time is over")),
            () = stop.cancelled() => {
                lock.release().await?;
                return Ok(Ended::Stopped);
            }
        };
        lock.release().await?;
        match done {
            Ok(Done::Yes) => return Ok(Ended::Done),
            Ok(Done::No) => {}
            Err(error) => tracing::error!(%error, attempt = number, "the refresh failed; it is tried again"),
        }
        let wait = Duration::from_secs(rand::random_range(WAIT));
        if until.is_some_and(|until| clock.now() + wait >= until) {
            anyhow::bail!("no refresh in {number} attempts within the run's time");
        }
        tokio::select! {
            () = clock.sleep(wait) => {}
            () = stop.cancelled() => return Ok(Ended::Stopped),
        }
    }
}

/// Waits for an instant; for ever without one.
async fn at(clock: &Clock, instant: Option<DateTime<Utc>>) {
    match instant {
        Some(instant) => clock.sleep_until(instant).await,
        None => std::future::pending().await,
    }
}
