//! What the shells of both modes stand on: connections, clock, Slack, metrics, hands; how a job asks, and how it records
//! why nothing is done.

use std::{collections::BTreeMap, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use bus::Bus;
use contracts::{
    customer_cache::{CacheFilter, CachedEdge},
    id::Serial,
};
use decisions::{Decision, Executor, Ledger, Mode};
use futures::FutureExt;
use runtime::{Clock, Context, DecisionMode, Leadership, Schedule};
use serde_json::Value;
use tokio::time::Instant;

use crate::{
    action::Action,
    config::Common,
    hands::{Because, Hands},
    metrics::Metrics,
    question::Question,
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
    /// Wires a shell; `settings` and `name` stand in the ledger, `shard` is what one replica leads: a host, or all of triage.
    ///
    /// # Errors
    /// When metrics are registered twice.
    pub fn new(
        ctx: Context,
        bus: Bus,
        common: Arc<Common>,
        settings: BTreeMap<String, String>,
        name: &str,
        shard: &str,
    ) -> anyhow::Result<Self> {
        let mode = match ctx.process.decision_mode {
            DecisionMode::Live => Mode::Live,
            DecisionMode::Shadow => Mode::Shadow,
        };
        let clock = ctx.clock.clone();
        let now = clock.clone();
        let ledger = bus.client().map_or_else(Ledger::memory, Ledger::stream);
        let executor = Executor::new(name, mode, ledger, move || now.now(), &ctx.metrics)?;
        let executor = executor.with_settings(settings);
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

    /// Whether this replica is the one that acts.
    pub(crate) fn leads(&self) -> bool {
        self.leadership.is_leader()
    }

    /// Whether this replica, by what it knows now, led at that instant and has led since.
    pub(crate) fn led_at(&self, at: Instant) -> bool {
        self.leadership.led_at(at)
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
            // Whoever does not lead any more begins nothing.
            biased;
            () = self.leadership.until_lost() => tracing::warn!(job, "cut off: this replica does not lead any more"),
            () = work => {}
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
    pub(crate) async fn abstain(&self, serial: &Serial, asked: &Question, refusal: Refusal) {
        self.hands.executor().abstain([refused(serial, asked, refusal)]).await;
    }

    /// The value of a ruling, or `None` after recording why nothing is done.
    pub(crate) async fn ruled<T>(&self, serial: &Serial, asked: &Question, ruling: Ruling<T>) -> Option<T> {
        match ruling {
            Ok(value) => Some(value),
            Err(refusal) => {
                self.abstain(serial, asked, refusal).await;
                None
            }
        }
    }
}

/// A decision to do nothing.
pub(crate) fn refused(serial: &Serial, asked: &Question, refusal: Refusal) -> Decision<Action> {
    Decision::abstain(serial.as_str(), refusal.rule, asked.facts(), refusal.reason)
}

/// Why something is done for a device.
pub(crate) fn because(serial: &Serial, rule: &'static str, facts: &Value) -> Because {
    Because { serial: serial.clone(), rule, facts: facts.clone(), work: None }
}
