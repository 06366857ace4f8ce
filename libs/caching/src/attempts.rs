//! A refresh that is repeated until it succeeds, by one replica at a time.

use std::time::Duration;

use bus::RedisLock;
use chrono::{DateTime, Utc};
use runtime::Clock;
use tokio_util::sync::CancellationToken;

/// Wait between attempts, in seconds: random within this range.
const WAIT: std::ops::Range<u64> = 120..300;
/// How long the lock of a refresh should last without being renewed. With [`LOOK`] it bounds the time from a holder's
/// death to the take-over: less than 15 s.
pub const LEASE: Duration = Duration::from_secs(10);
/// How often it is looked whether another replica's lock is free.
const LOOK: Duration = Duration::from_secs(3);
/// After so long a lock is renewed once more when Redis did not answer: well before [`LEASE`] is over.
const AGAIN: Duration = Duration::from_secs(1);

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
    /// Another replica refreshed, or has the lock until the run's time is over.
    Elsewhere,
    /// The process is to stop.
    Stopped,
}

/// What surrounds the attempts of one run.
#[derive(Clone, Copy)]
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

/// Runs `attempt` under the lock, with its number from 1, until it is done: again after a random wait of 2 to 5 minutes.
/// The lock is kept while it waits, so that replicas do not take turns at a third party in trouble. While another replica
/// has the lock this one stands by, so that a refresh goes on when the other dies; `due` tells whether anything is left to
/// do once another may have done it. A Redis that does not answer ends an attempt, but not the run.
///
/// # Errors
/// When the run's time is over before an attempt was done.
pub async fn refresh_until_done<D, W, A, F>(
    surroundings: Attempts<'_>,
    due: D,
    mut attempt: A,
) -> anyhow::Result<Ended>
where
    D: Fn() -> W,
    W: Future<Output = anyhow::Result<bool>>,
    A: FnMut(u32) -> F,
    F: Future<Output = anyhow::Result<Done>>,
{
    let Attempts { lock, clock, stop, until } = surroundings;
    let mut number = 0;
    loop {
        if let Some(ended) = stand_by(&surroundings, &due, number > 0).await {
            return Ok(ended);
        }
        let attempts = async {
            loop {
                number += 1;
                match attempt(number).await {
                    Ok(Done::Yes) => return Ok(Ended::Done),
                    Ok(Done::No) => {}
                    Err(error) => {
                        tracing::error!(%error, attempt = number, "the refresh failed; it is tried again");
                    }
                }
                let wait = Duration::from_secs(rand::random_range(WAIT));
                if until.is_some_and(|until| clock.now() + wait >= until) {
                    anyhow::bail!("no refresh in {number} attempts within the run's time");
                }
                clock.sleep(wait).await;
            }
        };
        let ended = tokio::select! {
            ended = attempts => ended,
            () = lost(lock) => {
                tracing::warn!("another replica has the lease now, or may have it; this attempt ends here");
                continue;
            }
            () = at(clock, until) => Err(anyhow::anyhow!("no refresh within the run's time: an attempt took too long")),
            () = stop.cancelled() => Ok(Ended::Stopped),
        };
        release(lock).await;
        return ended;
    }
}

/// Takes the lock, or waits for it as long as the refresh is due. How the run ends when the lock is not taken; `None` with
/// the lock. `shared` says that the lock was free since the run began: then, too, another may have refreshed.
async fn stand_by<D, W>(surroundings: &Attempts<'_>, due: &D, mut shared: bool) -> Option<Ended>
where
    D: Fn() -> W,
    W: Future<Output = anyhow::Result<bool>>,
{
    let Attempts { lock, clock, stop, until } = *surroundings;
    let mut told = false;
    loop {
        let look = async {
            let held = lock.hold().await?;
            shared |= !held;
            if shared && !due().await? {
                release(lock).await;
                return Ok(Some(Some(Ended::Elsewhere)));
            }
            Ok::<_, anyhow::Error>(held.then_some(None))
        };
        match look.await {
            Ok(Some(end)) => return end,
            Ok(None) => {}
            Err(error) => {
                shared = true;
                if !std::mem::replace(&mut told, true) {
                    tracing::error!(%error, "it cannot be told whose turn the refresh is; looking again");
                }
            }
        }
        tokio::select! {
            () = clock.sleep(LOOK) => {}
            () = at(clock, until) => return Some(Ended::Elsewhere),
            () = stop.cancelled() => return Some(Ended::Stopped),
        }
    }
}

/// Renews the lock; returns when another replica has it, or may have it. One late answer, or a Redis that restarts, does
/// not cost the work under way: there is time for a second look before the lock ends.
async fn lost(lock: &RedisLock) {
    loop {
        let Err(error) = lock.keep().await else { return };
        tracing::warn!(%error, "the lease could not be renewed; once more");
        tokio::time::sleep(AGAIN).await;
        match lock.hold().await {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => {
                tracing::warn!(%error, "the lease could not be renewed");
                return;
            }
        }
    }
}

/// Gives the lock back. When that fails it ends by itself after [`LEASE`].
async fn release(lock: &RedisLock) {
    if let Err(error) = lock.release().await {
        tracing::warn!(%error, "the lease could not be given back");
    }
}

/// Waits for an instant; for ever without one.
async fn at(clock: &Clock, instant: Option<DateTime<Utc>>) {
    match instant {
        Some(instant) => clock.sleep_until(instant).await,
        None => std::future::pending().await,
    }
}
