//! What the shells of both modes stand on: connections, clock, Slack, metrics, hands; how a job asks, and how it records
//! why nothing is done.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use bus::Bus;
use contracts::{
    customer_cache::{CacheFilter, CachedEdge},
    id::Serial,
};
use decisions::{Decision, Executor, Ledger, Mode};
use futures::FutureExt;
use runtime::{Clock, Context, DecisionMode, Leadership, Schedule};
use serde_json::{Value, json};

use crate::{
    action::Action,
    config::Common,
    edges::EdgeRecord,
    hands::{Because, Hands},
    metrics::Metrics,
    reads::{Cache, Reads},
    rules::{Refusal, Ruling},
    slack::{Report, Slack},
};

/// See the module.
pub struct Shell {
    pub(crate) common: Arc<Common>,
    pub(crate) bus: Bus,
    pub(crate) clock: Clock,
    pub(crate) schedule: Schedule,
    pub(crate) slack: Slack,
    pub(crate) metrics: Metrics,
    pub(crate) hands: Hands,
    leadership: Leadership,
    pub(crate) ctx: Context,
}

impl Shell {
    /// Wires a shell; `name` stands in the ledger, `shard` is what one replica leads: a host, or all of triage.
    ///
    /// # Errors
    /// When metrics are registered twice.
    pub fn new(ctx: Context, bus: Bus, common: Arc<Common>, name: &str, shard: &str) -> anyhow::Result<Self> {
        let mode = match ctx.process.decision_mode {
            DecisionMode::Live => Mode::Live,
            DecisionMode::Shadow => Mode::Shadow,
        };
        let clock = ctx.clock.clone();
        let now = clock.clone();
        let ledger = Ledger::stream(bus.client());
        let executor = Executor::new(name, mode, ledger, move || now.now(), &ctx.metrics)?;
        Ok(Self {
            slack: Slack::new(bus.clone(), ctx.tasks.clone(), mode == Mode::Shadow),
            metrics: Metrics::register(&ctx.metrics)?,
            hands: Hands::new(bus.clone(), executor, common.clone(), clock.clone()),
            leadership: ctx.leadership(&bus, shard)?,
            schedule: ctx.schedule(),
            common,
            bus,
            clock,
            ctx,
        })
    }

    /// Whether decisions are only recorded.
    pub(crate) fn is_shadow(&self) -> bool {
        self.hands.executor().mode() == Mode::Shadow
    }

    /// The questions of a new job; `name` says what it is in texts about failures.
    pub(crate) fn reads(&self, name: &str) -> Reads {
        Reads::new(self.bus.clone(), self.common.clone(), Report::new(self.slack.clone(), name))
    }

    /// The cached edges; `None` when nothing can be said of them. A cache that is still being built is told on Slack.
    pub(crate) async fn cached_edges(&self, reads: &Reads, filter: &CacheFilter) -> Option<Vec<CachedEdge>> {
        match reads.customer_cache(filter).await {
            Cache::Ready(cached) => Some(cached),
            Cache::Building(text) => {
                tracing::warn!("the customer cache is not ready yet");
                self.slack.say(text);
                None
            }
            Cache::Unavailable => None,
        }
    }

    /// Runs what concerns one host, client or edge: a panic in it is logged and counted, and ends nothing else.
    pub(crate) async fn isolated<T>(&self, what: &str, run: impl Future<Output = T>) -> Option<T> {
        let outcome = AssertUnwindSafe(run).catch_unwind().await;
        if outcome.is_err() {
            tracing::error!(what, "the handling failed unexpectedly");
            self.metrics.failures.inc();
        }
        outcome.ok()
    }

    /// Runs a job as long as this replica leads (`LEADER_ELECTION`): not at all when another one does, and cut off when
    /// another one takes over. A job may be cut anywhere: whoever leads looks before it does anything again.
    pub(crate) async fn while_leading(&self, job: &str, work: impl Future<Output = ()>) {
        if !self.leadership.is_leader() {
            tracing::debug!(job, "another replica leads");
            return;
        }
        tokio::select! {
            () = work => {}
            () = self.leadership.until_lost() => tracing::warn!(job, "cut off: this replica does not lead any more"),
        }
    }

    /// Wakes a job whenever this replica takes the lead over, so that nothing waits for the next tick.
    pub(crate) fn wake_when_leading(&self, job: &'static str) {
        let (mut changes, schedule) = (self.leadership.changes(), self.schedule.clone());
        self.ctx.spawn("wake when leading", {
            let stop = self.ctx.stop.clone();
            async move {
                while let Some(Ok(())) = stop.run_until_cancelled(changes.changed()).await {
                    if *changes.borrow_and_update() {
                        schedule.wake(job);
                    }
                }
            }
        });
    }

    /// Waits on the service's clock; `false` when the service stops.
    pub(crate) async fn wait(&self, span: Duration) -> bool {
        tokio::select! {
            () = self.ctx.stop.cancelled() => false,
            () = self.clock.sleep(span) => true,
        }
    }

    /// Waits for NATS; `false` when the service stops.
    pub(crate) async fn connected(&self) -> bool {
        let mut state = self.bus.state();
        tokio::select! {
            () = self.ctx.stop.cancelled() => false,
            found = state.wait_for(|state| *state == bus::State::Connected) => found.is_ok(),
        }
    }

    /// Records why nothing is done for a device.
    pub(crate) async fn abstain(&self, serial: &Serial, facts: Value, refusal: Refusal) {
        self.hands.executor().abstain([refused(serial, facts, refusal)]).await;
    }

    /// The value of a ruling, or `None` after recording why nothing is done.
    pub(crate) async fn ruled<T>(&self, serial: &Serial, facts: Value, ruling: Ruling<T>) -> Option<T> {
        match ruling {
            Ok(value) => Some(value),
            Err(refusal) => {
                self.abstain(serial, facts, refusal).await;
                None
            }
        }
    }
}

/// A decision to do nothing.
pub(crate) fn refused(serial: &Serial, facts: Value, refusal: Refusal) -> Decision<Action> {
    Decision::abstain(serial.as_str(), refusal.rule, facts, refusal.reason)
}

/// What is recorded of a record as the facts of a decision: states, no labels and addresses.
pub(crate) fn facts_of(record: &EdgeRecord) -> Value {
    let links = record.links.iter().map(|link| json!({"interface": link.interface, "state": link.state}));
    json!({
        "state": record.state,
        "partner": record.partner,
        "primary": record.primary,
        "links": links.collect::<Vec<_>>(),
        "kind": record.outage(),
    })
}

/// Why something is done for a device.
pub(crate) fn because(serial: &Serial, rule: &'static str, facts: Value) -> Because {
    Because { serial: serial.clone(), rule, facts }
}
