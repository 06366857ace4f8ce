//! Random worlds: the outage monitor's own code over bridges in memory and in simulated time, with a crash, a lost reply or
//! a refusal at any step (the crate `worlds`).

use anyhow::Context;
use futures::future::BoxFuture;
use measure::figures::{count, time};

use crate::experiment::{Experiment, Lab, Outcome, Promise};

/// Worlds of the full experiment.
const FULL: u64 = 10_000;
/// Worlds of the short one, with debug binaries about ten seconds.
const SHORT: u64 = 40;

/// See the module.
pub(crate) struct Worlds;

impl Experiment for Worlds {
    fn name(&self) -> &'static str {
        "worlds"
    }

    fn about(&self) -> &'static str {
        "the outage monitor runs for hours in random worlds, in memory, while edges break, replies get lost and replicas die"
    }

    fn promises(&self) -> &'static [Promise] {
        &[Promise::P1, Promise::P2, Promise::P4, Promise::P5, Promise::P8]
    }

    fn run<'a>(&'a self, lab: &'a Lab) -> BoxFuture<'a, anyhow::Result<Outcome>> {
        Box::pin(run(lab))
    }
}

async fn run(lab: &Lab) -> anyhow::Result<Outcome> {
    let options = ::worlds::Options { runs: lab.effort.pick(SHORT, FULL), seed: lab.seed, failures: 1 };
    // It has a runtime of its own, whose time is simulated.
    let report = tokio::task::spawn_blocking(move || ::worlds::prove(options, |_| {}));
    let report = report.await.context("the worlds ended early")??;
    let mut outcome = Outcome::default();
    outcome.figure("worlds", count(report.runs));
    outcome.figure("simulated hours", count(report.simulated.as_secs() / 3_600));
    outcome.figure("requests", count(report.requests));
    outcome.figure("of these writes", count(report.writes));
    outcome.figure("took", time(report.took));
    for failure in &report.failures {
        let file = lab.logs.join(format!("seed-{}.json", failure.seed));
        std::fs::write(&file, serde_json::to_vec(&failure.scenario)?)?;
        std::fs::write(file.with_extension("log"), failure.log.join("\n"))?;
        let broken = &failure.broken;
        let found = format!("seed {}: {} at {}: {}", failure.seed, broken.promise, broken.at, broken.how);
        outcome.check("no promise is broken", false, found);
    }
    if report.failures.is_empty() {
        outcome.check("no promise is broken", true, format!("in {} worlds", count(report.runs)));
    }
    Ok(outcome)
}
