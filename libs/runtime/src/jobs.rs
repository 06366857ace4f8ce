//! The board of all scheduled jobs: what is pending, what runs, how the last runs went. Shown at `GET /_jobs` and in the
//! metrics; [`crate::Schedule`] does the scheduling.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use parking_lot::Mutex;
use prometheus::{GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry};
use serde::Serialize;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::redact;

/// Finished one-shot jobs which the board remembers.
const REMEMBERED: usize = 100;

/// How much of an error the board shows, in characters.
const SHOWN: usize = 300;

/// The metrics' label of one-shot jobs: their ids hold tickets and serial numbers, which must not become labels.
pub(crate) const ONCE: &str = "once";

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Ended {
    Success,
    Failure,
    Panic,
    /// A one-shot job that was not started: its time had passed for too long.
    Missed,
}

impl Ended {
    fn label(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Panic => "panic",
            Self::Missed => "missed",
        }
    }
}

/// One finished run.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Run {
    pub(crate) outcome: Ended,
    #[serde(serialize_with = "instant")]
    pub(crate) started: DateTime<Utc>,
    /// How long it really took, whatever the clock.
    pub(crate) seconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
}

/// How others reach a job's task.
#[derive(Debug, Clone, Default)]
pub(crate) struct Handle {
    /// Ends it before its next run.
    pub(crate) cancel: CancellationToken,
    /// Starts its next run now.
    pub(crate) wake: std::sync::Arc<Notify>,
}

/// Names one scheduling of an id; a later scheduling of the same id has another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ticket(u64);

/// A job that is scheduled.
struct Entry {
    ticket: Ticket,
    plan: String,
    handle: Handle,
    next: Option<DateTime<Utc>>,
    running: Option<DateTime<Utc>>,
    last: Option<Run>,
    runs: u64,
    skipped: u64,
}

#[derive(Default)]
struct Jobs {
    tickets: u64,
    scheduled: BTreeMap<String, Entry>,
    /// One-shot jobs that have left `scheduled` and run.
    once_running: BTreeMap<Ticket, (String, DateTime<Utc>)>,
    once_finished: VecDeque<(String, Run)>,
}

/// All jobs of one service.
pub(crate) struct Board {
    jobs: Mutex<Jobs>,
    metrics: Metrics,
}

impl Board {
    pub(crate) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        Ok(Self { jobs: Mutex::default(), metrics: Metrics::new(registry)? })
    }

    /// Puts a job on the board. One that has the same id is cancelled if `replace`, else it stays: `None`.
    pub(crate) fn add(
        &self,
        id: &str,
        plan: String,
        next: Option<DateTime<Utc>>,
        replace: bool,
    ) -> Option<(Ticket, Handle)> {
        let mut jobs = self.jobs.lock();
        if let Some(known) = jobs.scheduled.get(id) {
            if !replace {
                return None;
            }
            known.handle.cancel.cancel();
        }
        jobs.tickets += 1;
        let ticket = Ticket(jobs.tickets);
        let handle = Handle::default();
        let entry = Entry {
            ticket,
            plan,
            handle: handle.clone(),
            next,
            running: None,
            last: None,
            runs: 0,
            skipped: 0,
        };
        jobs.scheduled.insert(id.to_owned(), entry);
        Some((ticket, handle))
    }

    pub(crate) fn handle(&self, id: &str) -> Option<Handle> {
        self.jobs.lock().scheduled.get(id).map(|entry| entry.handle.clone())
    }

    /// Takes a job off the board; its next run does not start. `false` when there is none.
    pub(crate) fn cancel(&self, id: &str) -> bool {
        self.jobs.lock().scheduled.remove(id).map(|entry| entry.handle.cancel.cancel()).is_some()
    }

    /// Takes this scheduling of the job off the board, if it is still on it.
    pub(crate) fn remove(&self, id: &str, ticket: Ticket) -> bool {
        let mut jobs = self.jobs.lock();
        let ours = jobs.scheduled.get(id).is_some_and(|entry| entry.ticket == ticket);
        if ours {
            jobs.scheduled.remove(id);
        }
        ours
    }

    pub(crate) fn planned(&self, id: &str, ticket: Ticket, next: DateTime<Utc>) {
        self.update(id, ticket, |entry| entry.next = Some(next));
    }

    /// Ticks that passed during a run.
    pub(crate) fn skipped(&self, id: &str, ticket: Ticket, ticks: u64) {
        self.metrics.skipped.with_label_values(&[id]).inc_by(ticks);
        self.update(id, ticket, |entry| entry.skipped += ticks);
    }

    pub(crate) fn started(&self, id: &str, ticket: Ticket, at: DateTime<Utc>) {
        self.metrics.running.with_label_values(&[id]).inc();
        self.update(id, ticket, |entry| entry.running = Some(at));
    }

    pub(crate) fn finished(&self, id: &str, ticket: Ticket, run: Run) {
        self.metrics.running.with_label_values(&[id]).dec();
        self.metrics.observe(id, &run);
        self.update(id, ticket, |entry| {
            entry.running = None;
            entry.runs += 1;
            entry.last = Some(run);
        });
    }

    pub(crate) fn once_started(&self, id: &str, ticket: Ticket, at: DateTime<Utc>) {
        self.metrics.running.with_label_values(&[ONCE]).inc();
        self.jobs.lock().once_running.insert(ticket, (id.to_owned(), at));
    }

    pub(crate) fn once_finished(&self, id: &str, ticket: Ticket, run: Run) {
        self.metrics.observe(ONCE, &run);
        let mut jobs = self.jobs.lock();
        if jobs.once_running.remove(&ticket).is_some() {
            self.metrics.running.with_label_values(&[ONCE]).dec();
        }
        if jobs.once_finished.len() == REMEMBERED {
            jobs.once_finished.pop_front();
        }
        jobs.once_finished.push_back((id.to_owned(), run));
    }

    fn update(&self, id: &str, ticket: Ticket, change: impl FnOnce(&mut Entry)) {
        let mut jobs = self.jobs.lock();
        if let Some(entry) = jobs.scheduled.get_mut(id).filter(|entry| entry.ticket == ticket) {
            change(entry);
        }
    }

    /// What `GET /_jobs` answers.
    pub(crate) fn report(&self) -> Report {
        let jobs = self.jobs.lock();
        let scheduled = jobs.scheduled.iter().map(|(id, entry)| Scheduled {
            id: id.clone(),
            plan: entry.plan.clone(),
            next: entry.next.map(text),
            running_since: entry.running.map(text),
            runs: entry.runs,
            skipped_ticks: entry.skipped,
            last: entry.last.clone(),
        });
        let running =
            jobs.once_running.values().map(|(id, at)| OnceRunning { id: id.clone(), since: text(*at) });
        let finished = jobs.once_finished.iter().rev();
        Report {
            scheduled: scheduled.collect(),
            once_running: running.collect(),
            once_finished: finished
                .map(|(id, run)| OnceFinished { id: id.clone(), run: run.clone() })
                .collect(),
        }
    }
}

impl Run {
    pub(crate) fn new(outcome: Ended, started: DateTime<Utc>, took: Duration, error: Option<&str>) -> Self {
        let error = error.map(|error| redact::shortened(error, SHOWN));
        Self { outcome, started, seconds: took.as_secs_f64(), error }
    }
}

/// The body of `GET /_jobs`.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Report {
    /// Interval, cron and pending one-shot jobs, by id.
    pub(crate) scheduled: Vec<Scheduled>,
    /// One-shot jobs that run.
    pub(crate) once_running: Vec<OnceRunning>,
    /// The last one-shot jobs, the latest first.
    pub(crate) once_finished: Vec<OnceFinished>,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct Scheduled {
    pub(crate) id: String,
    pub(crate) plan: String,
    pub(crate) next: Option<String>,
    pub(crate) running_since: Option<String>,
    pub(crate) runs: u64,
    pub(crate) skipped_ticks: u64,
    pub(crate) last: Option<Run>,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct OnceRunning {
    pub(crate) id: String,
    pub(crate) since: String,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct OnceFinished {
    pub(crate) id: String,
    #[serde(flatten)]
    pub(crate) run: Run,
}

fn text(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

fn instant<S: serde::Serializer>(at: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&text(*at))
}

/// By job: the id of interval and cron jobs, [`ONCE`] for all others.
struct Metrics {
    runs: IntCounterVec,
    seconds: HistogramVec,
    running: IntGaugeVec,
    skipped: IntCounterVec,
    last_run: GaugeVec,
    last_success: GaugeVec,
}

impl Metrics {
    fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let buckets = vec![0.01, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3_600.0];
        let job = &["job_id"];
        let metrics = Self {
            runs: IntCounterVec::new(
                Opts::new("scheduled_job_runs_total", "Finished runs of scheduled jobs by outcome"),
                &["job_id", "outcome"],
            )?,
            seconds: HistogramVec::new(
                HistogramOpts::new("scheduled_job_duration_seconds", "How long runs of scheduled jobs took")
                    .buckets(buckets),
                job,
            )?,
            running: IntGaugeVec::new(Opts::new("scheduled_job_running", "Runs under way"), job)?,
            skipped: IntCounterVec::new(
                Opts::new("scheduled_job_skipped_ticks_total", "Ticks that passed during a run"),
                job,
            )?,
            last_run: GaugeVec::new(
                Opts::new("scheduled_job_last_run_timestamp_seconds", "When the last finished run started"),
                job,
            )?,
            last_success: GaugeVec::new(
                Opts::new(
                    "scheduled_job_last_success_timestamp_seconds",
                    "When the last successful run started",
                ),
                job,
            )?,
        };
        registry.register(Box::new(metrics.runs.clone()))?;
        registry.register(Box::new(metrics.seconds.clone()))?;
        registry.register(Box::new(metrics.running.clone()))?;
        registry.register(Box::new(metrics.skipped.clone()))?;
        registry.register(Box::new(metrics.last_run.clone()))?;
        registry.register(Box::new(metrics.last_success.clone()))?;
        Ok(metrics)
    }

    fn observe(&self, job: &str, run: &Run) {
        self.runs.with_label_values(&[job, run.outcome.label()]).inc();
        if run.outcome == Ended::Missed {
            return;
        }
        #[allow(clippy::cast_precision_loss)] // Milliseconds since 1970 fit.
        let at = run.started.timestamp_millis() as f64 / 1_000.0;
        self.seconds.with_label_values(&[job]).observe(run.seconds);
        self.last_run.with_label_values(&[job]).set(at);
        if run.outcome == Ended::Success {
            self.last_success.with_label_values(&[job]).set(at);
        }
    }
}
