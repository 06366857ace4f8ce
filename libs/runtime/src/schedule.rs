//! What runs when: at an interval, by a cron expression, or once.
//!
//! - A job never overlaps itself: a tick that comes while it runs is skipped and counted.
//! - A job that fails or panics is logged and counted, and runs again at its next tick.
//! - At the stop no run begins any more; those under way are waited for.
//! - Jobs are told the time by the service's [`Clock`], so tests decide when they are due.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use croner::Cron;
use futures::FutureExt;
use prometheus::Registry;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use crate::clock::Clock;
use crate::jobs::{Board, Ended, Handle, Report, Run, Ticket};

/// Whether an interval job also runs at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtStart {
    /// At once, then at each tick.
    Yes,
    /// First at the first tick, one interval from now.
    No,
}

/// What happens when an id is scheduled that is pending already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replace {
    /// The pending job is dropped, the new one takes its place.
    Yes,
    /// The pending job stays, the caller gets [`AlreadyPending`].
    No,
}

/// A job with this id is pending; the new one was not scheduled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a job {id} is pending already")]
pub struct AlreadyPending {
    /// The job's id.
    pub id: String,
}

/// A cron expression that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cron expression {expression:?}: {reason}")]
pub struct BadCron {
    /// The expression.
    pub expression: String,
    /// Why it cannot be read.
    pub reason: String,
}

/// What a job returns: nothing, or a `Result` whose error is logged.
pub trait Outcome {
    /// The error with its causes, as text.
    fn error(self) -> Option<String>;
}

impl Outcome for () {
    fn error(self) -> Option<String> {
        None
    }
}

impl<E: Into<anyhow::Error>> Outcome for Result<(), E> {
    fn error(self) -> Option<String> {
        self.err().map(|error| format!("{:#}", error.into()))
    }
}

/// The jobs of a service. Clones share them.
#[derive(Clone)]
pub struct Schedule(Arc<Inner>);

struct Inner {
    service: &'static str,
    clock: Clock,
    stop: CancellationToken,
    tasks: TaskTracker,
    board: Board,
    /// Cancelled when the time of the stop is over: runs under way end where they are.
    cut: CancellationToken,
    /// Names the service in records between the runs.
    span: tracing::Span,
}

impl Schedule {
    /// A schedule of its own; services get theirs from [`crate::Context::schedule`].
    ///
    /// # Errors
    /// When `metrics` has the metrics of a schedule already.
    pub fn new(
        service: &'static str,
        clock: Clock,
        stop: CancellationToken,
        tasks: TaskTracker,
        metrics: &Registry,
    ) -> Result<Self, prometheus::Error> {
        let (board, span) = (Board::new(metrics)?, tracing::Span::current());
        let cut = CancellationToken::new();
        Ok(Self(Arc::new(Inner { service, clock, stop, tasks, board, cut, span })))
    }

    /// Runs a job every `interval`, counted from now: a long run does not shift the ticks after it. An id that is
    /// scheduled already is replaced.
    pub fn every<J, F>(&self, id: impl Into<String>, interval: Duration, at_start: AtStart, job: J)
    where
        J: Fn() -> F + Send + Sync + 'static,
        F: Future<Output: Outcome> + Send + 'static,
    {
        let start = self.0.clock.now();
        let text = format!("every {} s", interval.as_secs_f64());
        // A zero interval would spin.
        let milliseconds = i64::try_from(interval.as_millis()).unwrap_or(i64::MAX).max(1);
        self.repeat(id.into(), text, Plan::Every { start, milliseconds }, at_start, job);
    }

    /// Runs a job by a cron expression (five fields, or six with seconds in front) on the wall clock of `zone`. An id
    /// that is scheduled already is replaced.
    ///
    /// When clocks are put forward, a fixed time in the gap runs right after it; when they are put back, a fixed time in
    /// the repeated hour runs once.
    ///
    /// # Errors
    /// [`BadCron`] when the expression cannot be read or never comes true.
    pub fn cron<J, F>(&self, id: impl Into<String>, expression: &str, zone: Tz, job: J) -> Result<(), BadCron>
    where
        J: Fn() -> F + Send + Sync + 'static,
        F: Future<Output: Outcome> + Send + 'static,
    {
        let bad = |error: croner::errors::CronError| BadCron {
            expression: expression.to_owned(),
            reason: error.to_string(),
        };
        let cron: Cron = expression.parse().map_err(bad)?;
        cron.find_next_occurrence(&self.0.clock.now_in(zone), false).map_err(bad)?;
        let plan = Plan::Cron { cron: Box::new(cron), zone };
        self.repeat(id.into(), format!("cron {expression} in {zone}"), plan, AtStart::No, job);
        Ok(())
    }

    /// Runs a job once at `at`; at once when that has passed, but not if it has passed for more than `late_by`. The id is
    /// pending until the run begins: during it, the id may be scheduled again.
    ///
    /// # Errors
    /// [`AlreadyPending`] with [`Replace::No`] when the id is pending.
    pub fn once<J, F>(
        &self,
        id: impl Into<String>,
        at: DateTime<Utc>,
        replace: Replace,
        late_by: Duration,
        job: J,
    ) -> Result<(), AlreadyPending>
    where
        J: FnOnce() -> F + Send + 'static,
        F: Future<Output: Outcome> + Send + 'static,
    {
        let id = id.into();
        let added = self.0.board.add(&id, "once".to_owned(), Some(at), replace == Replace::Yes);
        let Some((ticket, handle)) = added else { return Err(AlreadyPending { id }) };
        let inner = self.0.clone();
        let run = async move { inner.run_once(&id, ticket, handle, at, late_by, job).await };
        self.0.tasks.spawn(run.instrument(self.0.span.clone()));
        Ok(())
    }

    /// Drops a job: its next run does not begin; one under way goes on. `false` when there is no such job.
    pub fn cancel(&self, id: &str) -> bool {
        self.0.board.cancel(id)
    }

    /// Whether a job of this id is scheduled: a one-shot job until its run begins, others until they are cancelled.
    pub fn pending(&self, id: &str) -> bool {
        self.0.board.handle(id).is_some()
    }

    /// Starts the next run of a job now; while it runs, right after that run. The ticks stay where they are. `false` when
    /// there is no such job.
    pub fn wake(&self, id: &str) -> bool {
        self.0.board.handle(id).map(|handle| handle.wake.notify_one()).is_some()
    }

    pub(crate) fn report(&self) -> Report {
        self.0.board.report()
    }

    /// Ends the runs under way where they are.
    pub(crate) fn cut(&self) {
        self.0.cut.cancel();
    }

    /// [`Self::cut`] when what this gives is dropped.
    pub(crate) fn cut_when_dropped(&self) -> DropGuard {
        self.0.cut.clone().drop_guard()
    }

    fn repeat<J, F>(&self, id: String, text: String, plan: Plan, at_start: AtStart, job: J)
    where
        J: Fn() -> F + Send + Sync + 'static,
        F: Future<Output: Outcome> + Send + 'static,
    {
        let added = self.0.board.add(&id, text, None, true);
        let Some((ticket, handle)) = added else { return };
        if at_start == AtStart::Yes {
            handle.wake.notify_one();
        }
        let inner = self.0.clone();
        let runs = async move {
            inner.run_repeatedly(&id, ticket, handle, &plan, job).await;
            inner.board.remove(&id, ticket);
        };
        self.0.tasks.spawn(runs.instrument(self.0.span.clone()));
    }
}

/// When a repeated job is due.
enum Plan {
    Every { start: DateTime<Utc>, milliseconds: i64 },
    Cron { cron: Box<Cron>, zone: Tz },
}

impl Plan {
    /// The first tick after `now`; `None` when there is none any more.
    fn after(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match self {
            Self::Every { start, milliseconds } => {
                let ticks = self.ticks(*start, now).checked_add(1)?;
                start.checked_add_signed(TimeDelta::try_milliseconds(milliseconds.checked_mul(ticks)?)?)
            }
            Self::Cron { cron, zone } => {
                let next = cron.find_next_occurrence(&now.with_timezone(zone), false).ok()?;
                Some(next.with_timezone(&Utc))
            }
        }
    }

    /// How many ticks lie after `from`, up to and with `to`. For cron one at most: enough to say that some were skipped.
    fn ticks(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> i64 {
        match self {
            Self::Every { start, milliseconds } => {
                let count = |at: DateTime<Utc>| (at - start).num_milliseconds().div_euclid(*milliseconds);
                count(to) - count(from)
            }
            Self::Cron { .. } => i64::from(self.after(from).is_some_and(|tick| tick <= to)),
        }
    }
}

impl Inner {
    async fn run_repeatedly<J, F>(&self, id: &str, ticket: Ticket, handle: Handle, plan: &Plan, job: J)
    where
        J: Fn() -> F,
        F: Future<Output: Outcome>,
    {
        loop {
            let Some(next) = plan.after(self.clock.now()) else {
                tracing::warn!(job = id, "the job is never due again");
                return;
            };
            self.board.planned(id, ticket, next);
            tokio::select! {
                biased;
                () = handle.cancel.cancelled() => return,
                () = self.stop.cancelled() => return,
                () = handle.wake.notified() => {}
                () = self.clock.sleep_until(next) => {}
            }
            let began = self.clock.now();
            self.board.started(id, ticket, began);
            let run = self.run(id, began, async { job().await.error() }).await;
            self.board.finished(id, ticket, run);
            let skipped = plan.ticks(began, self.clock.now());
            if skipped > 0 {
                tracing::warn!(job = id, skipped, "ticks passed while the job ran");
                self.board.skipped(id, ticket, u64::try_from(skipped).unwrap_or_default());
            }
        }
    }

    async fn run_once<J, F>(
        &self,
        id: &str,
        ticket: Ticket,
        handle: Handle,
        at: DateTime<Utc>,
        late_by: Duration,
        job: J,
    ) where
        J: FnOnce() -> F,
        F: Future<Output: Outcome>,
    {
        tokio::select! {
            biased;
            () = handle.cancel.cancelled() => return,
            () = self.stop.cancelled() => return,
            () = handle.wake.notified() => {}
            () = self.clock.sleep_until(at) => {}
        }
        // Off the board first: whoever cancelled or replaced it until now wins.
        if !self.board.remove(id, ticket) {
            return;
        }
        let began = self.clock.now();
        let late = (began - at).to_std().unwrap_or_default();
        if late > late_by {
            tracing::warn!(job = id, late_seconds = late.as_secs(), "the job is too late and does not run");
            let run = Run::new(Ended::Missed, began, Duration::ZERO, None);
            self.board.once_finished(id, ticket, run);
            return;
        }
        self.board.once_started(id, ticket, began);
        let run = self.run(id, began, async { job().await.error() }).await;
        self.board.once_finished(id, ticket, run);
    }

    /// One run, in a trace of its own; a panic ends the run only.
    async fn run(&self, id: &str, began: DateTime<Utc>, job: impl Future<Output = Option<String>>) -> Run {
        let span = tracing::info_span!(parent: None, "job", service = self.service, job = id);
        let watch = Instant::now();
        let job = AssertUnwindSafe(job).catch_unwind().instrument(span.clone());
        let outcome = tokio::select! {
            outcome = job => outcome,
            () = self.cut.cancelled() => Ok(Some("cut off at the stop".to_owned())),
        };
        let took = watch.elapsed();
        let _entered = span.enter();
        let milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        match outcome {
            Ok(None) => {
                tracing::debug!(milliseconds, "job done");
                Run::new(Ended::Success, began, took, None)
            }
            Ok(Some(error)) => {
                tracing::error!(milliseconds, error, "job failed");
                Run::new(Ended::Failure, began, took, Some(&error))
            }
            Err(panic) => {
                let reason = panic_text(&*panic);
                tracing::error!(milliseconds, error = reason, "job panicked");
                Run::new(Ended::Panic, began, took, Some(&reason))
            }
        }
    }
}

/// What a panic said.
pub(crate) fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "panic".to_owned())
}
