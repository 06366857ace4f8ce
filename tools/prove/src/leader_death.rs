//! Experiment 2, its half about monitors: the leader of the outage monitor dies (SIGKILL) at every step of its cycle, and
//! after the take-over the third parties hold what they hold after an undisturbed run.
//!
//! The points are given from outside: a tap on NATS sees the request of a step, and the process dies while the request is
//! on its way to the third party, which is slow and carries it out nevertheless. Each VeloCloud host has its own lease, so
//! one stage serves many points beside each other.
//!
//! `points` says where leaders die, `stage` has the peers and the replicas, `account` is what is compared, `comparing`
//! plays the scenes. All points are a test too (`tests/leader_death.rs`).

mod account;
mod comparing;
pub mod points;
mod stage;

use std::time::Duration;

use futures::future::BoxFuture;
use measure::figures::{count, time};

pub use self::account::Account;
pub use self::comparing::{Comparison, Death, compare};
use crate::experiment::{Effort, Experiment, Lab, Outcome, Promise};

/// Within this another replica leads (P5).
const TAKEOVER: Duration = Duration::from_secs(15);

/// See the module.
pub(crate) struct LeaderDeath;

impl Experiment for LeaderDeath {
    fn name(&self) -> &'static str {
        "leader-death"
    }

    fn about(&self) -> &'static str {
        "the leader of the outage monitor is killed (SIGKILL) at every step of its cycle, each time on a VeloCloud host of \
         its own; tickets, notes, severities, queues and reboots are compared with an undisturbed run"
    }

    fn promises(&self) -> &'static [Promise] {
        &[Promise::P1, Promise::P5]
    }

    fn run<'a>(&'a self, lab: &'a Lab) -> BoxFuture<'a, anyhow::Result<Outcome>> {
        Box::pin(run(lab))
    }
}

async fn run(lab: &Lab) -> anyhow::Result<Outcome> {
    let rounds = lab.effort.pick(1, 2);
    let parts = lab.effort.pick(vec![points::some()], points::all());
    let mut deaths = Vec::new();
    for round in 0..rounds {
        // Other edges, in another world.
        let lab = Lab { seed: lab.seed.wrapping_add(round), ..lab.clone() };
        for scenes in &parts {
            deaths.extend(compare(&lab, scenes).await?.into_iter().flat_map(|comparison| comparison.deaths));
        }
    }
    let mut outcome = Outcome::default();
    outcome.figure("rounds", rounds);
    tell(lab.effort, &deaths, &mut outcome);
    Ok(outcome)
}

fn tell(effort: Effort, deaths: &[Death], outcome: &mut Outcome) {
    let sum = |of: fn(&Account) -> usize| count(deaths.iter().map(|death| of(&death.account)).sum::<usize>());
    outcome.figure("leaders killed", count(deaths.len()));
    let compared = format!(
        "{} tickets, {} notes, {} reboots",
        sum(|account| account.tickets),
        sum(|account| account.notes),
        sum(|account| account.reboots)
    );
    outcome.figure("compared", compared);
    let slowest = deaths.iter().map(|death| death.takeover).max().unwrap_or_default();
    let takeover = "the slowest take-over takes less than 15 s";
    outcome.in_time(effort, takeover, slowest < TAKEOVER, time(slowest));
    let different: Vec<String> = deaths
        .iter()
        .filter(|death| !death.differences.is_empty())
        .map(|death| format!("killed at {}: {}", death.at, death.differences.join(", ")))
        .collect();
    let found = if different.is_empty() { "none".to_owned() } else { different.join("; ") };
    outcome.check("differences to an undisturbed run", different.is_empty(), found);
    let several = deaths.iter().filter(|death| death.account.tickets > 1).count();
    outcome.none("devices with several tickets", several);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_and_a_slow_takeover_fail() {
        let death = |seconds, differences: &[&str]| Death {
            at: "reboot",
            takeover: Duration::from_secs(seconds),
            account: Account { tickets: 1, notes: 4, reboots: 1, ..Account::default() },
            differences: differences.iter().map(ToString::to_string).collect(),
        };
        let holds = |deaths: &[Death]| {
            let mut outcome = Outcome::default();
            tell(Effort::Full, deaths, &mut outcome);
            outcome.holds()
        };
        assert!(holds(&[death(12, &[]), death(14, &[])]));
        assert!(!holds(&[death(12, &[]), death(12, &["besides: a reboot: started"])]));
        assert!(!holds(&[death(12, &[]), death(15, &[])]));
    }
}
