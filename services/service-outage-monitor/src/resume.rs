//! Taking over: what a former leader, or this process before its restart, has left unfinished.
//!
//! Edges in quarantine are looked at when they would have been. Outages and resolutions that were being handled are brought
//! to their end, so that tickets have the notes which they would have had. What is too old is left to the next cycle.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use contracts::id::{DetailId, Serial, TicketId};
use futures::{StreamExt, stream};
use indexmap::IndexMap;
use runtime::Replace;
use serde_json::Value;
use ticketing::OutageKind;

use crate::{
    edges::{Device, EdgeRecord, MonitoredEdge},
    hands::is_from_request,
    monitor::{Job, Monitor},
    quarantine::Batch,
    question::Question,
    rules::{
        autoresolve,
        creation::Creation,
        detection::{self, Recheck},
    },
    seen::Seen,
    shell::because,
    unfinished::{BUCKET, Entry, LATEST, Task, Work},
};

/// The scheduler's id.
const JOB: &str = "unfinished_work";
/// The scheduler's id of another try to take over.
const TAKE_UP: &str = "take_up";

/// The monitored edges by serial.
pub(crate) type Edges = HashMap<Serial, Arc<MonitoredEdge>>;

impl Monitor {
    /// Takes over, when this process has begun to lead, and takes up what is unfinished. `edges` are the monitored ones of
    /// this cycle.
    pub(crate) async fn take_up(self: &Arc<Self>, edges: Arc<Edges>, whitelist: &Arc<HashSet<Serial>>) {
        if self.unfinished.new_lead(|at| self.shell.led_at(at)) {
            // Another one may have led meanwhile.
            self.quarantine.clear();
            self.lost_creations.lock().clear();
        }
        let found = self.unfinished.take_over(|| self.open_store(BUCKET)).await;
        let now = self.shell.clock.now();
        let mut over = HashSet::new();
        for entry in found {
            if let Some(asked) = entry.lost().filter(|asked| now - *asked <= LATEST) {
                self.lost_creations.lock().insert(entry.serial.clone(), asked);
            }
            match (&entry.task, edges.get(&entry.serial)) {
                (Task::Quarantine { kind, due, .. }, Some(edge)) if self.is_in_time(*due, now) => {
                    let batch = Batch { host: edge.identity.host.clone(), kind: *kind };
                    if let Some(due) = self.quarantine.restore(&batch, edge.clone(), *due) {
                        self.schedule_recheck(batch, due, whitelist.clone());
                    }
                    tracing::info!(serial = %entry.serial, %kind, %due, "its quarantine goes on");
                }
                (Task::Outage { .. } | Task::Resolution { .. } | Task::LostCreation { .. }, Some(_))
                    if now - entry.since <= LATEST => {}
                _ => {
                    tracing::info!(serial = %entry.serial, since = %entry.since, "too old, or not monitored");
                    over.insert(entry.name());
                }
            }
        }
        self.unfinished.remove(over, |_| true).await;
        if !self.unfinished.idle().is_empty() {
            self.schedule_resumption(edges.clone(), whitelist.clone(), now);
        }
        if let Some(span) = self.unfinished.again_in() {
            self.schedule_taking_up(edges, whitelist.clone(), span);
        }
    }

    /// Tries again to take over: what a former leader has left is not to wait for the next cycle.
    fn schedule_taking_up(
        self: &Arc<Self>,
        edges: Arc<Edges>,
        whitelist: Arc<HashSet<Serial>>,
        span: Duration,
    ) {
        let monitor = self.clone();
        let at = self.shell.clock.now() + TimeDelta::from_std(span).unwrap_or(TimeDelta::MAX);
        let job = move || async move {
            let run = async { monitor.take_up(edges, &whitelist).await };
            monitor.shell.while_leading(TAKE_UP, Box::pin(run)).await;
        };
        if let Err(error) = self.shell.schedule.once(TAKE_UP, at, Replace::Yes, Duration::MAX, job) {
            tracing::error!(%error, "what is unfinished could not be taken up");
        }
    }

    /// Whether a quarantine goes on: a whole cycle later nobody knows whether the edge was down all the while.
    fn is_in_time(&self, due: DateTime<Utc>, now: DateTime<Utc>) -> bool {
        now - due <= TimeDelta::from_std(self.config.interval).unwrap_or(TimeDelta::MAX)
    }

    fn schedule_resumption(
        self: &Arc<Self>,
        edges: Arc<Edges>,
        whitelist: Arc<HashSet<Serial>>,
        at: DateTime<Utc>,
    ) {
        let monitor = self.clone();
        let job = move || async move {
            monitor.shell.while_leading(JOB, Box::pin(monitor.clone().resume(edges, whitelist))).await;
        };
        if let Err(error) = self.shell.schedule.once(JOB, at, Replace::Yes, Duration::MAX, job) {
            tracing::error!(%error, "unfinished work could not be scheduled");
        }
    }

    /// Brings to its end what nobody works on.
    async fn resume(self: Arc<Self>, edges: Arc<Edges>, whitelist: Arc<HashSet<Serial>>) {
        let idle = self.unfinished.idle();
        if !self.config.common.environment.is_production() {
            return self.leave(idle).await;
        }
        let job = self.job("resumption of unfinished work", whitelist.clone());
        let mut hosts: IndexMap<&str, Vec<Arc<MonitoredEdge>>> = IndexMap::new();
        for entry in &idle {
            if let (Task::Outage { .. }, Some(edge)) = (&entry.task, edges.get(&entry.serial)) {
                hosts.entry(&edge.identity.host).or_default().push(edge.clone());
            }
        }
        let mut present: HashMap<Serial, Option<Device>> = HashMap::new();
        for (host, edges) in hosts {
            // Otherwise the next cycle takes them up.
            if let Ok(devices) = self.devices_now(&job, host, &edges).await {
                present.extend(edges.iter().map(|edge| (edge.serial.clone(), None)));
                present.extend(devices.into_iter().map(|device| (device.serial().clone(), Some(device))));
            }
        }
        let later: Vec<DateTime<Utc>> = stream::iter(idle)
            .map(|entry| {
                let (monitor, job, edges, present) = (&self, &job, &edges, &present);
                async move {
                    let what = entry.serial.to_string();
                    let run = async {
                        let _place = monitor.places.acquire().await;
                        Box::pin(monitor.resume_one(job, entry, edges, present)).await
                    };
                    monitor.shell.isolated(&what, run).await.flatten()
                }
            })
            .buffer_unordered(self.config.concurrency)
            .filter_map(std::future::ready)
            .collect()
            .await;
        if let Some(at) = later.into_iter().min() {
            self.schedule_resumption(edges, whitelist, at);
        }
    }

    /// Records that nothing is done outside production. What was begun there stays, and is brought to its end there unless it is
    /// too old by then.
    async fn leave(&self, idle: Vec<Entry>) {
        let environment = &self.config.common.environment;
        for Entry { serial, task, .. } in idle {
            let (asked, ruling) = match task {
                Task::Outage { kind, record, .. } => {
                    let facts = Recheck { edge: Seen::of(&record), waited: kind };
                    let ruling = detection::recheck(&facts, environment).map(drop);
                    (Question::Recheck(facts), ruling)
                }
                Task::Resolution { facts, .. } => {
                    let Ok(Question::Autoresolve(facts)) = serde_json::from_value(facts) else { continue };
                    let ruling = autoresolve::decide(&facts, &self.config.autoresolve);
                    (Question::Autoresolve(facts), ruling)
                }
                Task::Quarantine { .. } | Task::LostCreation { .. } => continue,
            };
            tracing::info!(%serial, "left unfinished: tickets are changed in production only");
            self.shell.ruled(&serial, &asked, ruling).await;
        }
    }

    /// Brings an entry to its end; says when to come back for it.
    async fn resume_one(
        self: &Arc<Self>,
        job: &Job,
        entry: Entry,
        edges: &Edges,
        present: &HashMap<Serial, Option<Device>>,
    ) -> Option<DateTime<Utc>> {
        let serial = entry.serial.clone();
        let edge = edges.get(&serial).filter(|_| self.shell.clock.now() - entry.since <= LATEST);
        let Some(edge) = edge else {
            tracing::info!(%serial, "too old, or not monitored any more");
            self.unfinished.remove(HashSet::from([entry.name()]), |_| true).await;
            return None;
        };
        match entry.task.clone() {
            Task::Outage { kind, record, .. } => {
                let present = present.get(&serial)?.as_ref();
                let work = self.unfinished.begin(entry).await?;
                self.resume_outage(job, kind, *record, edge, present, &work).await;
                work.postponed()
            }
            Task::Resolution { ticket, line, facts } => {
                let work = self.unfinished.begin(entry).await?;
                self.resume_resolution(job, &serial, &ticket, &line, &facts, &work).await;
                work.postponed()
            }
            Task::Quarantine { .. } | Task::LostCreation { .. } => None,
        }
    }

    /// Goes on with an outage. When it is over meanwhile, or is another one, only what was begun is brought to its end.
    async fn resume_outage(
        self: &Arc<Self>,
        job: &Job,
        kind: OutageKind,
        before: EdgeRecord,
        edge: &Arc<MonitoredEdge>,
        present: Option<&Device>,
        work: &Arc<Work>,
    ) {
        let lasting = present.filter(|device| device.record.outage() == Some(kind)).cloned();
        if lasting.is_none() {
            work.wind_up();
        }
        let device = lasting.unwrap_or_else(|| Device { edge: edge.clone(), record: before });
        if work.winds_up() && work.ticket().is_none() {
            match self.look_for_ticket(job, &device, work).await {
                Some(true) => {}
                Some(false) => return work.finish().await,
                None => return,
            }
        }
        tracing::info!(serial = %device.serial(), %kind, "goes on where the handling of this outage stopped");
        self.carry_on(job, kind, device, work.clone()).await;
    }

    /// Whether the ticket that was asked for was created before everything stopped; `None` when that cannot be said.
    async fn look_for_ticket(&self, job: &Job, device: &Device, work: &Work) -> Option<bool> {
        let asked = work.asked_before()?;
        let open = job.reads.open_tickets(&device.edge.client, Some(device.serial())).await.ok()?;
        let user = &self.config.autoresolve.system_user;
        let Some(ticket) = open.into_iter().find(|ticket| is_from_request(ticket, asked, user)) else {
            return Some(false);
        };
        work.covered(Creation::New, &ticket.id).await;
        Some(true)
    }

    /// Goes on with a resolution: when the line is resolved, its note may be missing; else a cycle decides anew.
    async fn resume_resolution(
        self: &Arc<Self>,
        job: &Job,
        serial: &Serial,
        ticket: &TicketId,
        line: &DetailId,
        facts: &Value,
        work: &Arc<Work>,
    ) {
        let _lock = self.lock(ticket).await;
        let Some(begun) = work.first("resolve_line") else { return work.finish().await };
        let Ok(details) = job.reads.fresh_details(ticket).await else { return };
        let resolved = details.lines.iter().any(|found| found.id == *line && found.is_resolved());
        if !resolved {
            if self.shell.clock.now() < begun.until {
                work.postpone(begun.until);
            }
            return work.finish().await;
        }
        tracing::info!(%serial, %ticket, "goes on where a resolution stopped");
        self.after_resolving(job, ticket, because(serial, "autoresolve", facts).part_of(work)).await;
        work.finish().await;
    }
}

#[cfg(test)]
#[path = "resume_tests.rs"]
mod tests;
