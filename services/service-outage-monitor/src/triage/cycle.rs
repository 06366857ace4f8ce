//! The triage cycle: gathers the facts and hands over line by line (spec "Behaviour" 1, 2 and 6).

use std::{collections::HashMap, sync::Arc};

use contracts::{
    customer_cache::CacheFilter,
    id::{Serial, TicketId},
};
use decisions::Decision;
use futures::{StreamExt, stream};
use runtime::AtStart;

use super::{
    Triage,
    lines::{self, Line, Monitored},
};
use crate::{
    action::Action,
    edges::{EdgeRecord, MonitoredEdge},
    reads::Reads,
};

/// How the edges are, by serial. An edge without entry is unknown in this cycle ("Improve" 1).
type Records = HashMap<Serial, EdgeRecord>;

impl Triage {
    /// Schedules the cycle: now, then at every interval from now; a tick during a running cycle is skipped.
    pub fn start(self: Arc<Self>) {
        let schedule = self.shell.schedule.clone();
        let interval = self.config.interval;
        schedule.every("triage_cycle", interval, AtStart::Yes, {
            let triage = self.clone();
            move || {
                let triage = triage.clone();
                async move {
                    triage.shell.while_leading("triage_cycle", Box::pin(triage.clone().cycle())).await;
                }
            }
        });
        self.shell.wake_when_leading("triage_cycle");
    }

    async fn cycle(self: Arc<Self>) {
        if !self.shell.connected().await {
            return;
        }
        self.shell.hands.executor().tell_settings().await;
        let reads = self.shell.reads("triage cycle");
        // All hosts, however long ago VeloCloud heard of an edge.
        let Some(cached) = self.shell.cached_edges(&reads, &CacheFilter::default()).await else { return };
        let monitored = Monitored::new(cached.into_iter().map(MonitoredEdge::from));
        let Ok(open) = reads.all_open_tickets().await else {
            self.shell.metrics.open_ticket_errors.inc();
            return;
        };
        let tickets = self.tickets(&reads, lines::tickets(open, &monitored), &monitored).await;
        let records = self.records(&reads, &tickets).await;
        let lines: usize = tickets.iter().map(Vec::len).sum();
        tracing::info!(tickets = tickets.len(), lines, "open tickets looked at");
        let abstained: Vec<Vec<Decision<Action>>> = stream::iter(tickets)
            .map(|lines| self.ticket(&reads, lines, &records))
            .buffer_unordered(self.config.concurrency)
            .collect()
            .await;
        self.shell.hands.executor().abstain(abstained.into_iter().flatten()).await;
        // A marker of log searches (`deployment.md` 8.1).
        tracing::info!("Triage process finished!");
    }

    /// The relevant lines of each ticket. A ticket whose details cannot be had, or which has no such line, is left out.
    async fn tickets(&self, reads: &Reads, tickets: Vec<TicketId>, monitored: &Monitored) -> Vec<Vec<Line>> {
        stream::iter(tickets)
            .map(|ticket| async move {
                let details = reads.fresh_details(&ticket).await.ok()?;
                Some(lines::relevant(&ticket, &details, monitored))
            })
            .buffered(self.config.concurrency)
            .filter_map(async |lines| lines.filter(|lines| !lines.is_empty()))
            .collect()
            .await
    }

    /// How the edges of all hosts are. Only lines without triage note need it, so nobody is asked when there is none. A
    /// host that does not answer contributes nothing.
    async fn records(&self, reads: &Reads, tickets: &[Vec<Line>]) -> Records {
        if tickets.iter().flatten().all(|line| !line.notes.is_empty()) {
            return Records::new();
        }
        let hosts: Vec<Vec<EdgeRecord>> = stream::iter(self.config.hosts.clone())
            .map(|host| async move { reads.records(&host).await.unwrap_or_default() })
            .buffered(self.config.concurrency)
            .collect()
            .await;
        let mut records = Records::new();
        for record in hosts.into_iter().flatten() {
            records.entry(record.serial.clone()).or_insert(record);
        }
        records
    }

    /// Handles the lines of one ticket in order. What happens to one does not concern the others. Gives the decisions to
    /// do nothing.
    async fn ticket(&self, reads: &Reads, lines: Vec<Line>, records: &Records) -> Vec<Decision<Action>> {
        let mut abstained = Vec::new();
        for line in lines {
            let what = format!("line {} of ticket {}", line.id, line.ticket);
            let handled = Box::pin(self.handle(reads, &line, records.get(line.serial())));
            abstained.extend(self.shell.isolated(&what, handled).await.flatten());
        }
        abstained
    }
}
