//! Time as an input.
//!
//! Rules take `now` as a value; schedules and waiting go through a [`Clock`], so that a test (or the sandbox) decides how
//! time passes. Four kinds: the system's, the system's shifted by an offset that can be moved, a frozen one, and one that
//! goes with the timers of the async runtime, which a simulation pauses.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use tokio::sync::watch;

/// The longest sleep without a look at the clock: the system's time may be set, and a machine may be suspended.
const LOOK: Duration = Duration::from_secs(30);

/// Tells the time and lets wait for it. Clones share the time.
#[derive(Clone)]
pub struct Clock(Arc<Kind>);

enum Kind {
    System,
    Shifted { offset: watch::Sender<TimeDelta>, sleepers: watch::Sender<usize> },
    Frozen { now: watch::Sender<DateTime<Utc>>, sleepers: watch::Sender<usize> },
    Simulated { from: DateTime<Utc>, since: tokio::time::Instant },
}

impl Clock {
    /// The system's time.
    pub fn system() -> Self {
        Self(Arc::new(Kind::System))
    }

    /// The system's time plus an offset, zero at first, which [`Self::advance`] makes larger.
    pub fn shifted() -> Self {
        let offset = watch::Sender::new(TimeDelta::zero());
        Self(Arc::new(Kind::Shifted { offset, sleepers: watch::Sender::new(0) }))
    }

    /// Stands at `at` until [`Self::advance`] moves it.
    pub fn frozen(at: DateTime<Utc>) -> Self {
        Self(Arc::new(Kind::Frozen { now: watch::Sender::new(at), sleepers: watch::Sender::new(0) }))
    }

    /// Shows `at` now and goes with tokio's timers. In a runtime whose time is paused all waiting, on this clock or for a
    /// time limit, is in one simulated time.
    pub fn simulated(at: DateTime<Utc>) -> Self {
        Self(Arc::new(Kind::Simulated { from: at, since: tokio::time::Instant::now() }))
    }

    /// The present instant.
    pub fn now(&self) -> DateTime<Utc> {
        match &*self.0 {
            Kind::System => Utc::now(),
            Kind::Shifted { offset, .. } => plus(Utc::now(), *offset.borrow()),
            Kind::Frozen { now, .. } => *now.borrow(),
            Kind::Simulated { from, since } => {
                plus(*from, TimeDelta::from_std(since.elapsed()).unwrap_or(TimeDelta::MAX))
            }
        }
    }

    /// The present instant on the wall clock of a time zone.
    pub fn now_in(&self, zone: Tz) -> DateTime<Tz> {
        self.now().with_timezone(&zone)
    }

    /// Moves a shifted or frozen clock forward and wakes whoever's time has come. The system's clock and a simulated one
    /// cannot be moved: `false`, nothing happens.
    pub fn advance(&self, by: Duration) -> bool {
        let by = TimeDelta::from_std(by).unwrap_or(TimeDelta::MAX);
        match &*self.0 {
            Kind::System | Kind::Simulated { .. } => return false,
            Kind::Shifted { offset, .. } => {
                offset.send_modify(|offset| *offset = offset.checked_add(&by).unwrap_or(TimeDelta::MAX));
            }
            Kind::Frozen { now, .. } => now.send_modify(|now| *now = plus(*now, by)),
        }
        true
    }

    /// Waits for a span of time.
    pub async fn sleep(&self, span: Duration) {
        match &*self.0 {
            Kind::System | Kind::Simulated { .. } => tokio::time::sleep(span).await,
            _ => {
                self.sleep_until(plus(self.now(), TimeDelta::from_std(span).unwrap_or(TimeDelta::MAX))).await;
            }
        }
    }

    /// Waits until the clock shows `at` or more; at once when that has passed.
    pub async fn sleep_until(&self, at: DateTime<Utc>) {
        match &*self.0 {
            Kind::System => {
                while let Some(left) = until(at, Utc::now()) {
                    tokio::time::sleep(left.min(LOOK)).await;
                }
            }
            Kind::Shifted { offset, sleepers } => {
                let mut moved = offset.subscribe();
                let _sleeper = Sleeper::new(sleepers);
                loop {
                    let now = plus(Utc::now(), *moved.borrow_and_update());
                    let Some(left) = until(at, now) else { break };
                    tokio::select! {
                        () = tokio::time::sleep(left.min(LOOK)) => {}
                        _ = moved.changed() => {}
                    }
                }
            }
            Kind::Frozen { now, sleepers } => {
                let mut moved = now.subscribe();
                let _sleeper = Sleeper::new(sleepers);
                // The sender lives as long as `self`, so this cannot fail.
                let _ = moved.wait_for(|now| *now >= at).await;
            }
            Kind::Simulated { .. } => {
                while let Some(left) = until(at, self.now()) {
                    tokio::time::sleep(left).await;
                }
            }
        }
    }

    /// For tests: waits until at least `count` sleeps are under way on this shifted or frozen clock, so that the test
    /// may advance it. Returns at once on the system's clock.
    pub async fn sleepers(&self, count: usize) {
        if let Kind::Shifted { sleepers, .. } | Kind::Frozen { sleepers, .. } = &*self.0 {
            let _ = sleepers.subscribe().wait_for(|sleeping| *sleeping >= count).await;
        }
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::system()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match &*self.0 {
            Kind::System => "system",
            Kind::Shifted { .. } => "shifted",
            Kind::Frozen { .. } => "frozen",
            Kind::Simulated { .. } => "simulated",
        };
        write!(f, "Clock({kind}, {})", self.now())
    }
}

/// One sleep under way; counted until it ends or is given up.
struct Sleeper<'a>(&'a watch::Sender<usize>);

impl<'a> Sleeper<'a> {
    fn new(count: &'a watch::Sender<usize>) -> Self {
        count.send_modify(|count| *count += 1);
        Self(count)
    }
}

impl Drop for Sleeper<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count = count.saturating_sub(1));
    }
}

fn plus(at: DateTime<Utc>, span: TimeDelta) -> DateTime<Utc> {
    at.checked_add_signed(span).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

/// What is left from `now` to `at`; `None` when nothing.
fn until(at: DateTime<Utc>, now: DateTime<Utc>) -> Option<Duration> {
    (at - now).to_std().ok().filter(|left| !left.is_zero())
}
