//! Experiment 0, random worlds: the outage monitor's own code (rules, executor, ledger, lease, stores) runs for simulated
//! hours over bridges in memory, while edges break, replies get lost and replicas die; after each step the promises must
//! hold.
//!
//! | promise | what is looked at |
//! | --- | --- |
//! | P1 | at most one open ticket has an unresolved line of a device |
//! | P2 | what has been down in one way for two cycles and the quarantine, undisturbed, is covered by a ticket |
//! | P4 | nothing is carried out after its requester's deadline |
//! | P5 | nothing is done twice (notes, re-openings, queues, severities, reboots), deaths lose no note; one replica leads, within 15 s of a death |
//! | P8 | a shadow records exactly what its live twin carries out |
//! | resolve | only lines of tickets of our own, of devices that were healthy a moment ago |
//! | ledger | each intent has an outcome |
//! | pace | no more cycles than ticks |
//!
//! [`operation`] is what happens, by chance from a seed; [`stage`] plays it; [`bridges`] and [`answering`] are the bridges,
//! [`replies`] what they answer; [`account`] keeps the promises; [`shrink`] makes a failing list short.

pub mod account;
pub mod answering;
pub mod bridges;
pub mod operation;
pub mod replies;
pub mod shrink;
pub mod stage;

use std::fmt;
use std::time::{Duration, Instant};

pub use account::Broken;
pub use operation::Scenario;
pub use stage::{Ran, run};

/// How many scenarios a shrinking may run.
const TRIES: usize = 400;

/// What is to be run.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// How many random worlds.
    pub runs: u64,
    /// The seed of the first; the others follow.
    pub seed: u64,
    /// With how many failures to stop.
    pub failures: usize,
}

/// A world in which a promise was broken.
#[derive(Debug, Clone)]
pub struct Failure {
    /// Its seed.
    pub seed: u64,
    /// The shortest list of operations that still breaks it.
    pub scenario: Scenario,
    /// What was broken there, first of all.
    pub broken: Broken,
    /// What happened there.
    pub log: Vec<String>,
}

/// What came of the runs.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Worlds that were run.
    pub runs: u64,
    /// Requests that the bridges carried out.
    pub requests: u64,
    /// Writes among them.
    pub writes: u64,
    /// Simulated time.
    pub simulated: Duration,
    /// Real time.
    pub took: Duration,
    /// The failures.
    pub failures: Vec<Failure>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} worlds, {} requests, {} writes, {} simulated hours in {:.1} s: {} broken",
            self.runs,
            self.requests,
            self.writes,
            self.simulated.as_secs() / 3_600,
            self.took.as_secs_f64(),
            self.failures.len()
        )
    }
}

/// Runs random worlds until promises were broken in so many of them. `tell` is called with the seed before each run.
///
/// # Errors
/// When a stage cannot be set.
pub fn prove(options: Options, mut tell: impl FnMut(u64)) -> anyhow::Result<Report> {
    let began = Instant::now();
    let mut report = Report::default();
    for seed in options.seed..options.seed.saturating_add(options.runs) {
        tell(seed);
        let scenario = Scenario::random(seed);
        let ran = run(&scenario)?;
        report.runs += 1;
        report.requests += ran.requests;
        report.writes += ran.writes;
        report.simulated += ran.simulated;
        if let Some(broken) = ran.broken.first() {
            report.failures.push(shortened(seed, &scenario, broken)?);
            if report.failures.len() >= options.failures {
                break;
            }
        }
    }
    report.took = began.elapsed();
    Ok(report)
}

/// The shortest form of a failure.
fn shortened(seed: u64, scenario: &Scenario, broken: &Broken) -> anyhow::Result<Failure> {
    let fails = |candidate: &Scenario| {
        run(candidate)
            .is_ok_and(|ran| ran.broken.first().is_some_and(|found| found.promise == broken.promise))
    };
    let shortest = shrink::shrink(scenario, TRIES, fails);
    let ran = run(&shortest)?;
    let broken = ran.broken.into_iter().next().unwrap_or_else(|| broken.clone());
    Ok(Failure { seed, scenario: shortest, broken, log: ran.log })
}
