//! `worlds`: runs random worlds and tells of the first in which a promise is broken, or runs a kept scenario again.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use worlds::{Failure, Options, Scenario, prove, run};

/// Runs random worlds: the outage monitor over bridges in memory and in simulated time.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// How many.
    #[arg(long, default_value_t = 10_000)]
    runs: u64,
    /// The seed of the first; the others follow.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// With how many failures to stop.
    #[arg(long, default_value_t = 1)]
    failures: usize,
    /// Name the seed before each run.
    #[arg(long)]
    verbose: bool,
    /// Runs this scenario (JSON, as a failure is told) and says what happens in it.
    #[arg(long, value_name = "FILE")]
    replay: Option<PathBuf>,
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    if let Some(file) = &arguments.replay {
        let text = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        let scenario: Scenario = serde_json::from_slice(&text).context("the file holds no scenario")?;
        let ran = run(&scenario)?;
        println!("{}", ran.log.join("\n"));
        return Ok(if ran.broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    let Arguments { runs, seed, failures, verbose, .. } = arguments;
    let report = prove(Options { runs, seed, failures }, |seed| {
        if verbose {
            println!("seed {seed}");
        }
    })?;
    for Failure { seed, scenario, broken, log } in &report.failures {
        println!("{}", log.join("\n"));
        println!("seed {seed}: {} is broken at {}: {}", broken.promise, broken.at, broken.how);
        println!("{}\n", serde_json::to_string(scenario)?);
    }
    println!("{report}");
    Ok(if report.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
