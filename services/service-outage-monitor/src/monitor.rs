//! The outage mode around the rules: gathers facts, asks the rules, acts through the [`Shell`]'s hands.
//!
//! Three kinds of jobs run at the same time: the monitoring cycle, re-checks after quarantine, and due forwards to HNOC.
//! Each has its own [`Job`]: its snapshot of what is monitored, its answers, its report of failures. The steps of each are
//! in files of their own: [`cycle`](crate::cycle), [`recheck`](crate::recheck), [`healing`](crate::healing),
//! [`forwarding`](crate::forwarding).

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Weak},
};

use bus::{Bus, Reach, RedisLink};
use chrono::{DateTime, Utc};
use contracts::id::{Serial, TicketId};
use decisions::Ledger;
use parking_lot::Mutex;
use runtime::{Bucket, Context};
use tokio::sync::{OwnedMutexGuard, Semaphore};

use crate::{
    config::Config,
    forwards::Forwards,
    quarantine::Quarantine,
    reads::Reads,
    shadow::Sightings,
    shell::Shell,
    store::{Store, StoreError},
    unfinished::Unfinished,
};

/// The monitor of one VeloCloud host.
pub struct Monitor {
    pub(crate) shell: Shell,
    pub(crate) config: Config,
    pub(crate) forwards: Forwards,
    pub(crate) quarantine: Quarantine,
    pub(crate) unfinished: Arc<Unfinished>,
    pub(crate) sightings: Sightings,
    /// Creations whose reply was lost and could not be settled, with the moment of the first request.
    pub(crate) lost_creations: Mutex<HashMap<Serial, DateTime<Utc>>>,
    /// How many edges are handled at the same time, over all jobs.
    pub(crate) places: Semaphore,
    locks: Mutex<HashMap<TicketId, Weak<tokio::sync::Mutex<()>>>>,
}

/// One run of a job, with everything that must not change under it.
pub struct Job {
    /// Its questions and their answers.
    pub(crate) reads: Reads,
    /// The serials which may be auto-resolved.
    pub(crate) whitelist: Arc<HashSet<Serial>>,
}

impl Monitor {
    /// Wires a monitor.
    ///
    /// # Errors
    /// When metrics are registered twice.
    pub fn new(ctx: Context, bus: Bus, config: Config) -> anyhow::Result<Self> {
        let (common, set) = (config.common.clone(), config.set.clone());
        let shell = Shell::new(ctx, bus, common, set, crate::replay::OUTAGE, &config.host)?;
        Ok(Self {
            forwards: Forwards::new(shell.is_shadow()),
            quarantine: Quarantine::default(),
            unfinished: Arc::default(),
            sightings: Sightings::default(),
            lost_creations: Mutex::default(),
            places: Semaphore::new(config.concurrency),
            locks: Mutex::default(),
            shell,
            config,
        })
    }

    /// What it decided, to be read.
    pub fn ledger(&self) -> &Ledger {
        self.shell.hands.executor().ledger()
    }

    /// Whether this replica is the one that acts.
    pub fn leads(&self) -> bool {
        self.shell.leads()
    }

    /// A new job; `name` says what it is in texts about failures.
    pub(crate) fn job(&self, name: &str, whitelist: Arc<HashSet<Serial>>) -> Job {
        Job { reads: self.shell.reads(name), whitelist }
    }

    /// Waits until nobody else works on a ticket: steps of several devices on one ticket keep their order.
    pub(crate) async fn lock(&self, ticket: &TicketId) -> OwnedMutexGuard<()> {
        let lock = {
            let mut locks = self.locks.lock();
            locks.retain(|_, lock| lock.strong_count() > 0);
            let known = locks.get(ticket).and_then(Weak::upgrade);
            known.unwrap_or_else(|| {
                let lock = Arc::new(tokio::sync::Mutex::new(()));
                locks.insert(ticket.clone(), Arc::downgrade(&lock));
                lock
            })
        };
        lock.lock_owned().await
    }

    /// Opens a store of what is pending.
    pub(crate) async fn open_store(&self, bucket: Bucket) -> Result<Store, StoreError> {
        if self.shell.is_shadow() {
            return Ok(Store::nowhere());
        }
        let scope = format!("{}-{}", self.config.common.environment_name, self.config.host);
        let redis = match self.shell.bus.reach() {
            Reach::Nats(_) => RedisLink::open(&self.shell.ctx.process.redis),
            Reach::Memory(_) => return Store::open(bucket, &self.shell.bus, None, &scope).await,
        };
        match redis {
            Ok(redis) => Store::open(bucket, &self.shell.bus, Some(redis), &scope).await,
            Err(error) => {
                tracing::error!(%error, "what is pending is kept in memory only");
                Ok(Store::nowhere())
            }
        }
    }
}
