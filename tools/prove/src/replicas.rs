//! Experiment 2: replicas of bridges die (SIGKILL) and are restarted in good order (SIGTERM), under load.

use std::time::Duration;

use futures::future::BoxFuture;
use measure::figures::count;
use rand::RngExt;
use sandbox::{Fault, ThirdParty};
use tokio_util::sync::CancellationToken;

use crate::experiment::{Experiment, Lab, Outcome, Promise};
use crate::stage::{Stage, random};
use crate::traffic::{Plan, Traffic};

/// What a third party takes for an answer, so that requests are in flight when a replica goes.
const UPSTREAM: Duration = Duration::from_millis(20);

/// Replicas are killed.
pub(crate) struct Killed;

impl Experiment for Killed {
    fn name(&self) -> &'static str {
        "replica-death"
    }

    fn about(&self) -> &'static str {
        "one of two replicas of a bridge is killed (SIGKILL) again and again under load; as in the engine, a read without \
         reply is asked again, and a write of unknown outcome is looked for before it is repeated"
    }

    fn promises(&self) -> &'static [Promise] {
        &[Promise::P4, Promise::P5]
    }

    fn run<'a>(&'a self, lab: &'a Lab) -> BoxFuture<'a, anyhow::Result<Outcome>> {
        Box::pin(killed(lab))
    }
}

/// Replicas are restarted.
pub(crate) struct Restarted;

impl Experiment for Restarted {
    fn name(&self) -> &'static str {
        "rolling-restarts"
    }

    fn about(&self) -> &'static str {
        "the replicas of two bridges are restarted in turn (SIGTERM) under load; every request is answered at its first \
         attempt"
    }

    fn promises(&self) -> &'static [Promise] {
        &[Promise::P3, Promise::P4]
    }

    fn run<'a>(&'a self, lab: &'a Lab) -> BoxFuture<'a, anyhow::Result<Outcome>> {
        Box::pin(restarted(lab))
    }
}

async fn killed(lab: &Lab) -> anyhow::Result<Outcome> {
    let stage = Stage::new(lab, 40).await?;
    stage.sandbox.faults().inject(ThirdParty::Bruin, Fault::latency(UPSTREAM));
    let name = |replica: usize| format!("bruin-bridge-{replica}");
    let mut replicas = Vec::new();
    for replica in 0..2 {
        replicas.push(stage.start("bruin-bridge", &name(replica), &[]).await?);
    }
    let buses = [stage.bus("prove").await?];
    let plan = Plan {
        small: (16, Duration::from_millis(5)),
        large: (0, Duration::ZERO),
        host: stage.host(),
        writes: (8, Duration::from_millis(5)),
        tickets: stage.tickets(40)?,
        within: Duration::from_secs(2),
    };
    let stop = CancellationToken::new();
    let (traffic, mut workers) = Traffic::start(&plan, &buses, &stop);
    let mut random = random(lab.seed);
    let rounds = lab.effort.pick(4, 40);
    for _ in 0..rounds {
        tokio::time::sleep(Duration::from_millis(random.random_range(200..1_000))).await;
        let replica = random.random_range(0..replicas.len());
        replicas.remove(replica).program.kill().await?;
        tokio::time::sleep(Duration::from_millis(random.random_range(100..500))).await;
        replicas.insert(replica, stage.start("bruin-bridge", &name(replica), &[]).await?);
    }
    stop.cancel();
    while workers.join_next().await.is_some() {}

    let mut outcome = Outcome::default();
    outcome.figure("replicas killed", rounds);
    traffic.tell(stage.sandbox.world(), &mut outcome);
    for replica in replicas {
        replica.program.stop().await?;
    }
    Ok(outcome)
}

async fn restarted(lab: &Lab) -> anyhow::Result<Outcome> {
    let stage = Stage::new(lab, 1_500).await?;
    let mut replicas = Vec::new();
    for service in ["bruin-bridge", "velocloud-bridge"] {
        for replica in 0..2 {
            let instance = format!("{service}-{replica}");
            replicas.push((service, instance.clone(), stage.start(service, &instance, &[]).await?));
        }
    }
    let buses = [stage.bus("prove-1").await?, stage.bus("prove-2").await?];
    let plan = Plan {
        small: (lab.effort.pick(8, 32), lab.effort.pick(Duration::from_millis(2), Duration::ZERO)),
        large: (1, Duration::from_millis(250)),
        host: stage.host(),
        writes: (4, Duration::from_millis(10)),
        tickets: stage.tickets(200)?,
        within: Duration::from_secs(8),
    };
    let stop = CancellationToken::new();
    let (traffic, mut workers) = Traffic::start(&plan, &buses, &stop);
    let (enough, restarts) = lab.effort.pick((1_000, 6), (200_000, 100));
    let asked = |traffic: &Traffic| {
        [&traffic.small, &traffic.large, &traffic.writes]
            .iter()
            .map(|account| account.requests())
            .sum::<usize>()
    };
    let (mut done, mut unclean) = (0, 0);
    while done < restarts || asked(&traffic) < enough {
        let (service, instance, old) = replicas.remove(0);
        unclean += usize::from(old.program.stop().await.is_err());
        let new = stage.start(service, &instance, &[]).await?;
        replicas.push((service, instance, new));
        done += 1;
    }
    stop.cancel();
    while workers.join_next().await.is_some() {}

    let mut outcome = Outcome::default();
    outcome.figure("restarts", done);
    outcome.figure("requests", count(asked(&traffic)));
    traffic.tell(stage.sandbox.world(), &mut outcome);
    let unanswered =
        [&traffic.small, &traffic.large, &traffic.writes].iter().map(|account| account.seen().failed()).sum();
    outcome.none("requests not answered at the first attempt", unanswered);
    outcome.none("replicas that did not stop within 10 s or not with 0", unclean);
    for (_, _, replica) in replicas {
        replica.program.stop().await?;
    }
    Ok(outcome)
}
