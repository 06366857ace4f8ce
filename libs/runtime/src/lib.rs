//! What makes a process a good citizen of the fleet: typed settings, logs, metrics, health, a clock, schedules, a leader's
//! lease and a graceful stop.
//!
//! A service implements [`Service`] and its `main.rs` calls [`main`]. It is given a [`Context`]: the parsed settings, a
//! [`Clock`], a metrics registry, the bus ([`Context::connect`]), a [`Schedule`], and the token that tells it to stop.
//!
//! ```text
//! main / fleet
//!   process       command line, logs, export of spans, signals, exit code: once in a process
//!   host          one run of a service: its servers, start, stop; hosted: as a background task
//!     service     what the service is given (Context)
//!     http        /_health /_ready /_jobs and own routes; /metrics (openmetrics: one of its formats); readiness and jobs are what they show
//!     schedule    intervals, cron, one-shot jobs; told the time by the clock
//!     leadership  which replica acts; lease: how they find out; bucket: where
//!   environment   typed settings with all problems at once; settings: the shared ones
//!   spans         what happened when, kept in memory for a process that shows it
//!   logs          records, redacted, as json, line or pretty; Papertrail; redact, telemetry
//! ```

mod bucket;
mod clock;
mod environment;
mod host;
mod hosted;
mod http;
mod jobs;
mod leadership;
mod lease;
mod logs;
mod openmetrics;
mod process;
mod readiness;
pub mod redact;
mod schedule;
mod service;
mod settings;
mod spans;
mod telemetry;

/// Small messages are many small allocations: this allocator serves them in about half of the time glibc's takes.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

pub use bucket::{Bucket, BucketError, Buckets, Value, ValueError, Values};
pub use clock::Clock;
pub use environment::{
    ConfigErrors, Environment, Found, FromEnvironment, Invalid, LONGEST_SECONDS, Problem, Reader, Setting,
};
pub use host::{Host, Runnable, Status};
pub use hosted::Hosted;
pub use leadership::Leadership;
pub use lease::{LEASE_BUCKET, Lease, Periods};
pub use process::{Spans, main, run_alone, run_process};
pub use schedule::{AlreadyPending, AtStart, BadCron, Outcome, Replace, Schedule};
pub use service::{Context, Service};
pub use settings::{
    DecisionMode, LeaderElection, LogFormat, LogSettings, Needs, PapertrailSettings, ProcessSettings,
    UnknownWord, WriteMode,
};
pub use spans::{KeptSpan, SpanLog};
