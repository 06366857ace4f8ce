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

use bus::{Bus, RedisLink};
use chrono::{DateTime, Utc};
use contracts::id::{Serial, TicketId};
use parking_lot::Mutex;
use runtime::Context;
use ticketing::SiteOffset;
use tokio::sync::{OwnedMutexGuard, Semaphore};

use crate::{
    config::Config,
    edges::Device,
    forwards::{Forwards, Store},
    quarantine::Quarantine,
    reads::Reads,
    shadow::Sightings,
    shell::Shell,
};

/// The monitor of one VeloCloud host.
pub struct Monitor {
    pub(crate) shell: Shell,
    pub(crate) config: Config,
    pub(crate) forwards: Forwards,
    pub(crate) quarantine: Quarantine,
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
        let shell = Shell::new(ctx, bus, config.common.clone(), "service-outage-monitor", &config.host)?;
        Ok(Self {
            forwards: Forwards::new(shell.is_shadow()),
            quarantine: Quarantine::default(),
            sightings: Sightings::default(),
            lost_creations: Mutex::default(),
            places: Semaphore::new(config.concurrency),
            locks: Mutex::default(),
            shell,
            config,
        })
    }

    /// A new job; `name` says what it is in texts about failures.
    pub(crate) fn job(&self, name: &str, whitelist: Arc<HashSet<Serial>>) -> Job {
        Job { reads: self.shell.reads(name), whitelist }
    }

    /// The offset of a device's own site.
    pub(crate) fn site(&self, device: &Device) -> SiteOffset {
        SiteOffset::of_site(device.edge.offset_hours, self.config.common.zone)
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

    /// Opens the store of pending forwards.
    pub(crate) async fn open_store(&self) -> Store {
        if self.shell.is_shadow() {
            return Store::nowhere();
        }
        let scope = format!("{}-{}", self.config.common.environment_name, self.config.host);
        match RedisLink::open(&self.shell.ctx.process.redis) {
            Ok(redis) => Store::open(&self.shell.bus.client(), redis, &scope).await,
            Err(error) => {
                tracing::error!(%error, "pending forwards are kept in memory only");
                Store::nowhere()
            }
        }
    }
}
