//! The experiments that prove what the engine promises (nats.md, P1 to P8), each with real servers on loopback and the
//! programs that operators deploy. Run them by `scripts/prove`, which builds the programs first.
//!
//! An [`Experiment`](experiment::Experiment) gets a [`Lab`](experiment::Lab) (effort, seed, programs, a folder for logs)
//! and comes to an [`Outcome`](experiment::Outcome): figures, and what must be so with what was found. `report` prints a
//! line for each and writes the table of `docs/proof.md`; `stage` has servers, sandbox and services; `traffic` asks and
//! keeps account; `secrets` searches every log afterwards.
//!
//! | file | experiment |
//! | --- | --- |
//! | `worlds` | random worlds in simulated time (`tools/worlds`) |
//! | `nats_cluster` | servers of a cluster are killed and frozen under load |
//! | `replicas` | bridges are killed and restarted under load |
//! | `leader_death` | the leader of the outage monitor is killed at every step of its cycle |
//! | `unanswered` | a million requests that nobody answers |
//! | `redis_faults` | Redis stopped, full, slow |
//! | `third_parties` | every way in which a third party misbehaves |
//! | `overload` | ten times what can be done |
//! | `hostile` | malformed messages on every subject |
//! | `scale` | what size costs |
//! | `security` | TLS, credentials, dependencies |
//! | `soak` | a large network with random outages |

pub mod experiment;
mod hostile;
pub mod leader_death;
mod nats_cluster;
mod overload;
mod redis_faults;
mod replicas;
mod report;
mod scale;
mod secrets;
mod security;
mod soak;
mod stage;
mod third_parties;
mod traffic;
mod unanswered;
mod worlds;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

use crate::experiment::{Effort, Experiment, Lab, Outcome};
use crate::report::Report;

/// The seed of the short form, which is a test and the same each time.
const SEED: u64 = 20_220_131;

/// How long experiments may take to end when they are told to.
const END_WITHIN: Duration = Duration::from_secs(5);

/// Makes the experiments that prove what the engine promises.
#[derive(Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Options {
    /// The experiments to make; none named: all.
    experiments: Vec<String>,
    /// Less of everything: all experiments together in three minutes. The page is not written.
    #[arg(long)]
    short: bool,
    /// What everything random is made from. Default: another one each time; with --short always the same.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Where the services' programs are. Default: where this program is.
    #[arg(long, value_name = "FOLDER")]
    binaries: Option<PathBuf>,
    /// Keep the services' logs there.
    #[arg(long, value_name = "FOLDER")]
    logs: Option<PathBuf>,
    /// The page whose table is written; rows of experiments that are not made stay. Default: docs/proof.md when all are
    /// made, else none.
    #[arg(long, value_name = "FILE")]
    page: Option<PathBuf>,
    /// Name the experiments with what they do.
    #[arg(long)]
    list: bool,
    #[command(subcommand)]
    helper: Option<Helper>,
}

/// This program as a process of its own beside an experiment.
#[derive(Subcommand)]
#[command(hide = true)]
enum Helper {
    #[command(flatten)]
    Bench(bench::Helper),
    /// Sends requests that nobody answers.
    Unanswered(unanswered::Options),
}

/// All experiments, in the order in which they are made; last the only one that may run beside other work.
pub fn all() -> Vec<Box<dyn Experiment>> {
    vec![
        Box::new(worlds::Worlds),
        Box::new(nats_cluster::NatsCluster),
        Box::new(replicas::Killed),
        Box::new(leader_death::LeaderDeath),
        Box::new(replicas::Restarted),
        Box::new(unanswered::Unanswered),
        Box::new(redis_faults::RedisFaults),
        Box::new(third_parties::ThirdParties),
        Box::new(overload::Overload),
        Box::new(hostile::Hostile),
        Box::new(scale::Scale),
        Box::new(security::Security),
        Box::new(soak::Soak),
    ]
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let options = Options::parse();
    // It fails when there is one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let result = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(anyhow::Error::from)
        .and_then(|runtime| {
            let result = runtime.block_on(async {
                tokio::select! {
                    result = run(options) => result,
                    // What is dropped now takes its services and servers along.
                    () = told_to_end() => Err(anyhow::anyhow!("told to end")),
                }
            });
            runtime.shutdown_timeout(END_WITHIN);
            result
        });
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("prove: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Returns at Ctrl-C and at SIGTERM.
async fn told_to_end() {
    let Ok(mut terminated) = signal(SignalKind::terminate()) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminated.recv() => {}
        Ok(()) = tokio::signal::ctrl_c() => {}
    }
}

async fn run(options: Options) -> anyhow::Result<ExitCode> {
    match &options.helper {
        None => {}
        Some(Helper::Bench(helper)) => return helper.run().await,
        Some(Helper::Unanswered(options)) => return measure::helping(unanswered::ask(options)).await,
    }
    if options.list {
        for experiment in all() {
            println!("{:<18} {}", experiment.name(), experiment.about());
        }
        return Ok(ExitCode::SUCCESS);
    }
    let chosen = chosen(&options.experiments)?;
    let binaries = match &options.binaries {
        Some(folder) => folder.canonicalize().with_context(|| format!("no folder {}", folder.display()))?,
        None => measure::own_folder()?,
    };
    let effort = if options.short { Effort::Short } else { Effort::Full };
    let seed =
        options.seed.unwrap_or_else(|| if options.short { SEED } else { rand::random::<u32>().into() });
    let temporary = tempfile::Builder::new().prefix("prove-").tempdir()?;
    let logs = options.logs.as_deref().unwrap_or(temporary.path());
    let mut report = Report::new(effort);
    for experiment in chosen {
        let lab = Lab { effort, seed, binaries: binaries.clone(), logs: logs.join(experiment.name()) };
        let began = Instant::now();
        let experiment: std::sync::Arc<dyn Experiment> = experiment.into();
        let outcome = make(std::sync::Arc::clone(&experiment), lab).await;
        report.add(&*experiment, seed, began.elapsed(), outcome);
    }
    let all_in_full = effort == Effort::Full && options.experiments.is_empty();
    if let Some(page) = options.page.or_else(|| all_in_full.then(|| PathBuf::from("docs/proof.md"))) {
        // Of one that was all made anew nothing is kept.
        let before = if options.experiments.is_empty() { String::new() } else { measure::page::read(&page)? };
        measure::page::write(&page, &report.table(&before))?;
        println!("written to {}", page.display());
    }
    println!("{}", report.summary());
    Ok(if report.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn chosen(names: &[String]) -> anyhow::Result<Vec<Box<dyn Experiment>>> {
    let known: Vec<&str> = all().iter().map(|experiment| experiment.name()).collect();
    let unknown: Vec<&str> = names.iter().map(String::as_str).filter(|name| !known.contains(name)).collect();
    anyhow::ensure!(
        unknown.is_empty(),
        "no such experiment: {}; there are {}",
        unknown.join(", "),
        known.join(", ")
    );
    let wanted = |name: &str| names.is_empty() || names.iter().any(|wanted| wanted == name);
    Ok(all().into_iter().filter(|experiment| wanted(experiment.name())).collect())
}

/// Makes one experiment; what goes wrong is a verdict, and its logs hold no secret.
async fn make(experiment: std::sync::Arc<dyn Experiment>, lab: Lab) -> Outcome {
    let logs = lab.logs.clone();
    if let Err(error) = std::fs::create_dir_all(&logs) {
        let mut outcome = Outcome::default();
        outcome.check("there is a folder for logs", false, error);
        return outcome;
    }
    // In a task of its own: what panics there (a test server that does not start) ends the experiment only.
    let made = tokio::spawn(async move { experiment.run(&lab).await }).await;
    let mut outcome = match made {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(error)) => failed(&format!("{error:#}")),
        Err(panic) => failed(&panic.to_string()),
    };
    search_logs(&logs, &mut outcome);
    outcome
}

fn failed(why: &str) -> Outcome {
    let mut outcome = Outcome::default();
    outcome.check("the experiment can be made", false, why);
    outcome
}

fn search_logs(logs: &Path, outcome: &mut Outcome) {
    match secrets::search(logs) {
        Ok(found) => {
            let lines = measure::figures::count(found.lines);
            let leaks = if found.leaks.is_empty() {
                format!("none in {lines} lines")
            } else {
                found.leaks.join(", ")
            };
            outcome.check("secrets in the logs", found.leaks.is_empty(), leaks);
            if !found.panics.is_empty() {
                outcome.check("no service panics", false, found.panics.join(", "));
            }
        }
        Err(error) => outcome.check("the logs can be searched", false, format!("{error:#}")),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Options::command().debug_assert();
    }

    #[test]
    fn experiments_are_chosen_by_name() {
        let names = |chosen: Vec<Box<dyn Experiment>>| -> Vec<&str> {
            chosen.iter().map(|experiment| experiment.name()).collect()
        };
        assert_eq!(names(chosen(&["soak".to_owned()]).unwrap()), ["soak"]);
        assert_eq!(chosen(&[]).unwrap().len(), all().len());
        let error = chosen(&["x".to_owned()]).map(|_| ()).unwrap_err().to_string();
        assert!(error.starts_with("no such experiment: x; there are worlds, "), "{error}");
    }
}
