//! The monitoring cycle (spec "Behaviour" 3).

use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::{DateTime, TimeDelta, Utc};
use contracts::{customer_cache::CacheFilter, id::Serial};
use decisions::Decision;
use indexmap::IndexMap;
use runtime::{AtStart, Replace};
use ticketing::OutageKind;

use crate::{
    action::Action,
    edges::{self, Device, MonitoredEdge},
    monitor::{Job, Monitor},
    quarantine::{Added, Batch},
    question::Question,
    reads::Unanswered,
    rules::detection::{self, Look},
    seen::Seen,
    shell::refused,
    unfinished::Entry,
};

/// Only edges which VeloCloud has heard of in this time are monitored.
const LAST_CONTACT: TimeDelta = TimeDelta::days(7);

impl Monitor {
    /// Schedules the cycle: now, then at every interval from now; a tick during a running cycle is skipped.
    pub fn start(self: Arc<Self>) {
        let schedule = self.shell.schedule.clone();
        let interval = self.config.interval;
        schedule.every("monitoring_cycle", interval, AtStart::Yes, {
            let monitor = self.clone();
            move || {
                let monitor = monitor.clone();
                async move {
                    monitor.shell.while_leading("monitoring_cycle", Box::pin(monitor.clone().cycle())).await;
                }
            }
        });
        self.shell.wake_when_leading("monitoring_cycle");
    }

    async fn cycle(self: Arc<Self>) {
        if !self.shell.connected().await {
            return;
        }
        let began = Instant::now();
        self.shell.hands.executor().tell_settings().await;
        self.recover_forwards().await;
        let now = self.shell.clock.now();
        let mut job = self.job("monitoring cycle", Arc::default());
        let since = (now - LAST_CONTACT).naive_utc();
        let filter = CacheFilter {
            filter: IndexMap::from([(self.config.host.clone(), Vec::new())]),
            last_contact_filter: Some(since.format("%Y-%m-%d %H:%M:%S%.6f").to_string()),
        };
        let Some(cached) = self.shell.cached_edges(&job.reads, &filter).await else { return };
        let monitored = edges::monitored(cached, &self.config.blacklist);
        job.whitelist = Arc::new(whitelist(&monitored, &self.config.host));
        let mut hosts: IndexMap<String, Vec<Arc<MonitoredEdge>>> = IndexMap::new();
        for edge in monitored {
            hosts.entry(edge.identity.host.clone()).or_default().push(edge);
        }
        let edges = hosts.values().flatten().map(|edge| (edge.serial.clone(), edge.clone())).collect();
        self.take_up(Arc::new(edges), &job.whitelist).await;
        let hosts = hosts.iter().map(|(host, edges)| self.shell.isolated(host, self.host(&job, host, edges)));
        futures::future::join_all(hosts).await;
        let minutes = began.elapsed().as_secs_f64() / 60.0;
        self.shell.metrics.cycle_minutes.set((minutes * 100.0).round() / 100.0);
    }

    async fn host(self: &Arc<Self>, job: &Job, host: &str, edges: &[Arc<MonitoredEdge>]) {
        let Ok(records) = job.reads.records(host).await else { return };
        let now = self.shell.clock.now();
        let (devices, unknown) = edges::join(edges, records);
        self.shell.metrics.edges.inc_by(devices.len() as u64);
        tracing::info!(host, edges = devices.len(), without_record = unknown.len(), "edges looked at");
        self.sightings.see(&devices, now);
        let mut abstained: Vec<Decision<Action>> = unknown
            .iter()
            .filter_map(|serial| {
                let facts = Look { edge: None };
                let refusal = detection::look(&facts).err()?;
                Some(refused(serial, &Question::Look(facts), refusal))
            })
            .collect();
        for kind in OutageKind::ALL {
            let mut documented = Vec::new();
            for device in devices.iter().filter(|device| device.record.outage() == Some(kind)) {
                let facts = Look { edge: Some(Seen::of(&device.record)) };
                let refusal = if let Err(refusal) = detection::look(&facts) {
                    refusal
                } else {
                    documented.push(device.clone());
                    detection::quarantine(kind, self.config.quarantines.of(kind))
                };
                abstained.push(refused(device.serial(), &Question::Look(facts), refusal));
            }
            if !documented.is_empty() {
                let batch = Batch { host: host.to_owned(), kind };
                self.quarantine(batch, documented, now, &job.whitelist).await;
            }
        }
        self.shell.hands.executor().abstain(abstained).await;
        let healthy: Vec<Device> =
            devices.into_iter().filter(|device| device.record.outage().is_none()).collect();
        self.heal(job, host, healthy).await;
    }

    /// Puts devices into quarantine and schedules the re-check.
    async fn quarantine(
        self: &Arc<Self>,
        batch: Batch,
        devices: Vec<Device>,
        now: DateTime<Utc>,
        whitelist: &Arc<HashSet<Serial>>,
    ) {
        let span = self.config.quarantines.of(batch.kind);
        let Added { new, until, due } = self.quarantine.add(&batch, devices, now, span);
        let waiting = new.into_iter().map(|serial| Entry::quarantine(serial, batch.kind, now, until));
        self.unfinished.keep(waiting.collect()).await;
        if let Some(due) = due {
            self.schedule_recheck(batch, due, whitelist.clone());
        }
    }

    pub(crate) fn schedule_recheck(
        self: &Arc<Self>,
        batch: Batch,
        due: DateTime<Utc>,
        whitelist: Arc<HashSet<Serial>>,
    ) {
        let monitor = self.clone();
        let id = batch.job();
        let job = move || async move {
            let job = batch.job();
            monitor.shell.while_leading(&job, Box::pin(monitor.clone().recheck(batch, whitelist))).await;
        };
        // However late: the re-check looks at the present state before it does anything.
        if let Err(error) = self.shell.schedule.once(id, due, Replace::Yes, Duration::MAX, job) {
            tracing::error!(%error, "a re-check could not be scheduled");
        }
    }

    /// Asks for the records of a host once more.
    pub(crate) async fn devices_now(
        &self,
        job: &Job,
        host: &str,
        edges: &[Arc<MonitoredEdge>],
    ) -> Result<Vec<Device>, Unanswered> {
        Ok(edges::join(edges, job.reads.records(host).await?).0)
    }
}

/// The serials of the monitored host.
fn whitelist(edges: &[Arc<MonitoredEdge>], host: &str) -> HashSet<Serial> {
    edges.iter().filter(|edge| edge.identity.host == host).map(|edge| edge.serial.clone()).collect()
}
