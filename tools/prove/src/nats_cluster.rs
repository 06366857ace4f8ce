//! Experiment 1: servers of a NATS cluster are killed, frozen and sent into lame duck mode, while bridges with two
//! replicas each answer a steady load.

use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use measure::figures::time;
use rand::seq::SliceRandom;
use tokio_util::sync::CancellationToken;

use crate::experiment::{Experiment, Lab, Outcome, Promise};
use crate::stage::{Messaging, Stage, random};
use crate::traffic::{Plan, Probe, Traffic, failing};

/// How long the engine may be silent after a server was killed (P7).
const RECOVERY: Duration = Duration::from_secs(5);
/// Edges of the host, so that the list of its links is larger than 1 MiB.
const EDGES: usize = 1_500;

/// How often each requester sends a request to see whether it comes back.
const PACE: Duration = Duration::from_millis(50);
/// How long requesters wait: the shortest time limit of a read.
const WITHIN: Duration = Duration::from_secs(15);
/// What a request takes at most while nothing is wrong.
const AT_MOST_IN_FLIGHT: Duration = Duration::from_secs(1);
/// What befalls a server.
const KILL: usize = 0;
const LAME_DUCK: usize = 1;
const FREEZE: usize = 2;

/// See the module.
pub(crate) struct NatsCluster;

impl Experiment for NatsCluster {
    fn name(&self) -> &'static str {
        "nats-cluster"
    }

    fn about(&self) -> &'static str {
        "each of three NATS servers is killed (SIGKILL) and restarted, frozen (SIGSTOP), and put into lame duck mode, \
         while two replicas of two bridges answer small requests, replies above 1 MiB and writes"
    }

    fn promises(&self) -> &'static [Promise] {
        &[Promise::P3, Promise::P4, Promise::P7]
    }

    fn run<'a>(&'a self, lab: &'a Lab) -> BoxFuture<'a, anyhow::Result<Outcome>> {
        Box::pin(run(lab))
    }
}

async fn run(lab: &Lab) -> anyhow::Result<Outcome> {
    let stage = Stage::with_cluster(lab, EDGES).await?;
    let Messaging::Cluster(cluster) = &stage.nats else { anyhow::bail!("no cluster") };
    let mut bridges = Vec::new();
    for service in ["bruin-bridge", "velocloud-bridge"] {
        for replica in ["a", "b"] {
            bridges.push(stage.start(service, &format!("{service}-{replica}"), &[]).await?);
        }
    }
    let buses = [stage.bus("prove-1").await?, stage.bus("prove-2").await?];
    let milliseconds = Duration::from_millis;
    let plan = Plan {
        small: (8, milliseconds(10)),
        large: (2, milliseconds(250)),
        host: stage.host(),
        writes: (4, milliseconds(50)),
        tickets: stage.tickets(40)?,
        within: WITHIN,
    };
    let stop = CancellationToken::new();
    let (traffic, mut workers) = Traffic::start(&plan, &buses, &stop);
    let hold = lab.effort.pick(Duration::from_millis(1_200), Duration::from_secs(8));
    tokio::time::sleep(hold).await;

    let probe = Probe::start(&buses, plan.tickets.first().copied().unwrap_or(1), PACE, plan.within);
    let mut order: Vec<_> = cluster.nodes().iter().collect();
    order.shuffle(&mut random(lab.seed));
    // Kind of event, when it was, and when the next one was.
    let mut events: Vec<(usize, Instant, Instant)> = Vec::new();
    let some = lab.effort.pick(1, order.len());
    for (kind, nodes) in [order.len(), some, some].into_iter().enumerate() {
        for node in order.iter().take(nodes) {
            let began = Instant::now();
            match kind {
                KILL => node.kill9(),
                LAME_DUCK => node.lame_duck(),
                _ => node.pause(),
            }
            if kind == FREEZE {
                tokio::time::sleep(lab.effort.pick(Duration::from_secs(3), Duration::from_secs(30))).await;
                node.resume();
            } else {
                tokio::time::sleep(hold).await;
                node.restart().await;
            }
            tokio::time::sleep(hold).await;
            events.push((kind, began, Instant::now()));
            // What is in flight at the next event is hit by that.
            tokio::time::sleep(AT_MOST_IN_FLIGHT).await;
        }
    }
    stop.cancel();
    while workers.join_next().await.is_some() {}
    let failed = probe.stop().await;

    let mut outcome = Outcome::default();
    traffic.tell(stage.sandbox.world(), &mut outcome);
    let longest = |kind: usize| {
        let of_kind = events.iter().filter(|event| event.0 == kind);
        of_kind.map(|(_, began, end)| failing(&failed, *began, *end)).max().unwrap_or_default()
    };
    let (killed, lame, frozen) = (longest(KILL), longest(LAME_DUCK), longest(FREEZE));
    outcome.figure("after a server froze requests failed for", time(frozen));
    let after = "after a kill requests fail for less than 5 s";
    outcome.in_time(lab.effort, after, killed < RECOVERY, time(killed));
    outcome.in_time(lab.effort, "in lame duck mode for less than 5 s", lame < RECOVERY, time(lame));
    for bridge in bridges {
        bridge.program.stop().await?;
    }
    Ok(outcome)
}
