//! Experiment 8: what a cycle of the outage monitor and a refresh of the customer cache cost over networks of several
//! sizes, and whether that grows with the size and no faster.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use bench::cycle::{self, Cycle};
use bench::network::Network;
use bench::refresh;
use futures::future::BoxFuture;
use measure::figures::{Line, count, number, time};

use crate::experiment::{Effort, Experiment, Lab, Outcome, Promise};

/// How much more the largest network may cost than the fit says, as a factor.
const WORSE: f64 = 1.25;
/// The page whose table is written by the full form.
const PAGE: &str = "docs/scaling.md";
/// The size that is told from the fit.
const MILLION: f64 = 1_000_000.0;

/// See the module.
pub(crate) struct Scale;

impl Experiment for Scale {
    fn name(&self) -> &'static str {
        "scale"
    }

    fn about(&self) -> &'static str {
        "an outage cycle and a customer-cache refresh over 1,000, 10,000 and 100,000 edges, among neighbours that answer \
         at once"
    }

    fn promises(&self) -> &'static [Promise] {
        &[]
    }

    fn run<'a>(&'a self, lab: &'a Lab) -> BoxFuture<'a, anyhow::Result<Outcome>> {
        Box::pin(run(lab))
    }
}

/// The measurements of one kind of work.
struct Series {
    name: &'static str,
    measured: Vec<(usize, Cycle)>,
}

impl Series {
    fn line(&self, of: impl Fn(&Cycle) -> f64) -> Option<Line> {
        let points: Vec<(f64, f64)> =
            self.measured.iter().map(|(edges, cycle)| (number(*edges), of(cycle))).collect();
        Line::through(&points)
    }

    fn requests(cycle: &Cycle) -> f64 {
        number(cycle.requests.values().sum())
    }

    /// Whether the largest costs what the smaller ones promise: a cost that grows faster than the size does not.
    fn is_linear(&self, of: impl Fn(&Cycle) -> f64) -> (bool, String) {
        let [.., (medium, before), (large, after)] = &self.measured[..] else {
            return (false, "too few sizes".to_owned());
        };
        let (grown, times) = (of(after) / of(before).max(1e-9), number(*large) / number(*medium));
        (grown <= times * WORSE, format!("{grown:.1} times for {times:.0} times the edges"))
    }
}

async fn run(lab: &Lab) -> anyhow::Result<Outcome> {
    let cycles: &[usize] = lab.effort.pick(&[500, 2_000], &[1_000, 10_000, 100_000]);
    let refreshes: &[usize] = lab.effort.pick(&[200, 1_000], &[1_000, 10_000, 100_000]);
    let mut all = Vec::new();
    let mut series = Series { name: "outage cycle", measured: Vec::new() };
    for &edges in cycles {
        let log = lab.logs.join("service-outage-monitor.log");
        series.measured.push((edges, cycle::once(Network { edges }, &lab.binaries, &log).await?));
    }
    all.push(series);
    let mut series = Series { name: "cache refresh", measured: Vec::new() };
    for &edges in refreshes {
        let log = lab.logs.join("customer-cache.log");
        series.measured.push((edges, refresh::once(Network { edges }, &lab.binaries, &log).await?));
    }
    all.push(series);

    let mut outcome = Outcome::default();
    for series in &all {
        for (edges, cycle) in &series.measured {
            outcome.figure(&format!("{} of {}", series.name, count(*edges)), shown(cycle));
        }
        if let Some(line) = series.line(|cycle| cycle.cpu) {
            let text = format!("{:.2} s + {:.0} µs each (fit {:.3})", line.base, line.slope * 1e6, line.fit);
            outcome.figure(&format!("{}: CPU", series.name), text);
        }
        let (linear, found) = series.is_linear(|cycle| cycle.cpu);
        outcome.check(format!("{}: CPU is linear", series.name), linear, found);
        let (linear, found) = series.is_linear(|cycle| cycle.peak);
        outcome.check(format!("{}: memory is linear", series.name), linear, found);
        let (linear, found) = series.is_linear(Series::requests);
        outcome.check(format!("{}: requests are linear", series.name), linear, found);
    }
    if lab.effort == Effort::Full && Path::new(PAGE).is_file() {
        measure::page::write(Path::new(PAGE), &table(&all))?;
        outcome.figure("written to", PAGE);
    }
    Ok(outcome)
}

fn shown(cycle: &Cycle) -> String {
    format!(
        "CPU {:.2} s, {}, {:.0} MB, {} requests",
        cycle.cpu,
        time(Duration::from_secs_f64(cycle.seconds)),
        cycle.peak,
        count(cycle.requests.values().sum::<usize>())
    )
}

/// The table of `docs/scaling.md`: what was measured, the fit, and what it says of a million edges.
fn table(all: &[Series]) -> String {
    let mut text =
        "| what | edges | CPU | wall | peak memory | requests |\n| --- | --- | --- | --- | --- | --- |\n"
            .to_owned();
    for series in all {
        for (edges, cycle) in &series.measured {
            let _ = writeln!(
                text,
                "| {} | {} | {:.2} s | {} | {:.0} MB | {} |",
                series.name,
                count(*edges),
                cycle.cpu,
                time(Duration::from_secs_f64(cycle.seconds)),
                cycle.peak,
                count(cycle.requests.values().sum::<usize>())
            );
        }
        let million = |of: fn(&Cycle) -> f64| series.line(of).map_or(f64::NAN, |line| line.at(MILLION));
        let fit = series.line(|cycle| cycle.cpu).map_or(f64::NAN, |line| line.fit);
        let _ = writeln!(
            text,
            "| {}, from the fit (R² of CPU {fit:.4}) | 1,000,000 | {:.0} s | {} | {:.1} GB | {} |",
            series.name,
            million(|cycle| cycle.cpu),
            time(Duration::from_secs_f64(million(|cycle| cycle.seconds).max(0.0))),
            million(|cycle| cycle.peak) / 1_000.0,
            measure::figures::thousands(million(Series::requests))
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(costs: &[(usize, f64)]) -> Series {
        let measured = costs.iter().map(|(edges, cpu)| (*edges, Cycle { cpu: *cpu, ..Cycle::default() }));
        Series { name: "work", measured: measured.collect() }
    }

    #[test]
    fn what_grows_faster_than_the_size_is_not_linear() {
        let cpu = |cycle: &Cycle| cycle.cpu;
        assert!(series(&[(1_000, 0.3), (10_000, 1.2), (100_000, 10.2)]).is_linear(cpu).0);
        assert!(!series(&[(1_000, 0.1), (10_000, 1.0), (100_000, 20.0)]).is_linear(cpu).0);
        assert!(!series(&[(1_000, 0.1)]).is_linear(cpu).0);
    }

    #[test]
    fn the_table_tells_of_a_million() {
        let table = table(&[series(&[(1_000, 1.0), (10_000, 10.0), (100_000, 100.0)])]);
        assert!(table.contains("| work, from the fit (R² of CPU 1.0000) | 1,000,000 | 1000 s |"), "{table}");
    }
}
