//! Measures the fleet beside its practical limits, each pair in the same run, and writes the table of
//! `docs/benchmarks.md`. Run it by `scripts/bench`, which builds the release binaries first.
//!
//! | file | what it measures |
//! | --- | --- |
//! | `echo` | libs/bus against a bare NATS client; large payloads against bare Redis |
//! | `bridge` | bruin-bridge against `bare_loop`, both in front of `canned`, an HTTP server with one answer |
//! | `cycle` | one cycle of the outage monitor among `neighbours`, against `bare_cycle` |
//! | `refresh` | one refresh of the customer cache, for `tools/prove` |
//! | `start` | start to ready and idle memory of the services of the outage path in front of the sandbox |
//!
//! `load` keeps requests in flight and takes the time, `report` is the table with its verdicts; processes and figures
//! are `libs/measure`. What a service talks to runs as a process of its own: this program again, see [`Helper`].

mod bare_cycle;
mod bare_loop;
mod bridge;
mod canned;
pub mod cycle;
mod echo;
mod load;
pub mod neighbours;
pub mod network;
pub mod refresh;
mod report;
mod start;

use std::path::PathBuf;
use std::process::ExitCode;
use std::thread::available_parallelism;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};

use crate::report::Report;

/// As many threads as a service has (libs/runtime).
const MOST_THREADS: usize = 4;

/// Measures the fleet beside its practical limits.
#[derive(Parser)]
#[command(version)]
struct Options {
    /// A minute instead of four: shorter, fewer sizes; the page is not written.
    #[arg(long)]
    quick: bool,
    /// Only these parts. The page is not written.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Part>,
    /// Where the release binaries are. Default: where this program is.
    #[arg(long)]
    binaries: Option<PathBuf>,
    /// The page whose table is written.
    #[arg(long, default_value = "docs/benchmarks.md")]
    page: PathBuf,
    #[command(subcommand)]
    helper: Option<Helper>,
}

/// What can be measured by itself.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Start to ready, and idle memory.
    Start,
    /// One cycle of the outage monitor.
    Cycle,
    /// Throughput and latency of a bridge.
    Bridge,
    /// Request and reply by the bus.
    Echo,
    /// Large payloads.
    Payloads,
}

/// The other side of a measurement, started by it as a process of its own. It ends with its standard input.
#[derive(Subcommand)]
#[command(hide = true)]
pub enum Helper {
    /// An HTTP server that answers every call at once.
    Canned,
    /// NATS to HTTP to NATS with as little as possible in between.
    BareLoop(bare_loop::Options),
    /// Every service that the outage monitor talks to.
    Neighbours(neighbours::Options),
    /// What a cycle cannot do without, and nothing else.
    BareCycle(bare_cycle::Options),
}

impl Helper {
    /// Helps until its work or its standard input ends.
    ///
    /// # Errors
    /// What the work ends with.
    pub async fn run(&self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Canned => measure::helping(canned::serve()).await,
            Self::BareLoop(options) => measure::helping(bare_loop::run(options)).await,
            Self::Neighbours(options) => measure::helping(neighbours::run(options)).await,
            Self::BareCycle(options) => measure::helping(bare_cycle::run(options)).await,
        }
    }
}

/// How long and how often things are measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Effort {
    pub(crate) quick: bool,
    /// One measurement of a load.
    pub(crate) measure: Duration,
    /// What passes before it counts.
    pub(crate) warm_up: Duration,
    /// How often each pair is measured; the median counts.
    pub(crate) rounds: usize,
}

impl Effort {
    fn new(quick: bool) -> Self {
        let milliseconds = Duration::from_millis;
        if quick {
            Self { quick, measure: milliseconds(800), warm_up: milliseconds(300), rounds: 1 }
        } else {
            Self { quick, measure: milliseconds(2_000), warm_up: milliseconds(400), rounds: 3 }
        }
    }
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let options = Options::parse();
    // It fails when there is one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let threads = available_parallelism().map_or(1, usize::from).clamp(1, MOST_THREADS);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build();
    let result = match runtime {
        Ok(runtime) => runtime.block_on(run(options)),
        Err(error) => Err(error.into()),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> anyhow::Result<ExitCode> {
    if let Some(helper) = &options.helper {
        return helper.run().await;
    }
    let binaries = match &options.binaries {
        Some(folder) => folder.clone(),
        None => measure::own_folder()?,
    };
    let effort = Effort::new(options.quick);
    let wanted = |part: Part| options.only.is_empty() || options.only.contains(&part);
    let mut report = Report::new();
    if wanted(Part::Start) {
        start::measure(&mut report, effort, &binaries).await?;
    }
    if wanted(Part::Cycle) {
        cycle::measure(&mut report, effort, &binaries).await?;
    }
    if wanted(Part::Bridge) {
        bridge::measure(&mut report, effort, &binaries).await?;
    }
    if wanted(Part::Echo) {
        echo::measure(&mut report, effort).await?;
    }
    if wanted(Part::Payloads) {
        echo::measure_payloads(&mut report, effort).await?;
    }
    let table = report.table();
    println!("\n{table}");
    if !options.quick && options.only.is_empty() {
        measure::page::write(&options.page, &table)?;
        println!("written to {}", options.page.display());
    }
    println!("{}", report.summary());
    Ok(ExitCode::SUCCESS)
}
