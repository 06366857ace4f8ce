//! Resolving the tickets of edges that are healthy again (spec "Behaviour" 11).
//!
//! First every healthy edge is judged on what this job knows. Only for those whose line would be resolved the edges and the
//! line are read again right before it is done ("Improve" 16).

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use contracts::id::{ClientId, TicketId};
use decisions::Decision;
use futures::{StreamExt, stream};
use indexmap::IndexMap;
use ticketing::{OpenTicket, TicketDetails};

use crate::{
    action::Action,
    edges::Device,
    hands::{Because, Hands},
    monitor::{Job, Monitor},
    question::Question,
    reads::Unanswered,
    rules::autoresolve::{self, SecondLook, Tickets},
    seen::Seen,
    shell::{because, refused},
    slack::text,
    unfinished::Entry,
};

/// How old the second look at the edges may be when a line is resolved.
const FRESH: TimeDelta = TimeDelta::seconds(60);

/// A line that would be resolved.
struct Candidate {
    device: Device,
    ticket: OpenTicket,
}

/// What was judged of some edges.
#[derive(Default)]
struct Judged {
    candidates: Vec<Candidate>,
    refusals: Vec<Decision<Action>>,
}

impl Judged {
    /// Whether what is known of the tickets lets the judging of a device go on.
    fn go_on(&mut self, device: &Device, facts: Tickets) -> bool {
        match autoresolve::tickets(&facts) {
            Ok(()) => true,
            Err(refusal) => {
                self.refusals.push(refused(device.serial(), &Question::Tickets(facts), refusal));
                false
            }
        }
    }
}

impl Monitor {
    /// Auto-resolves what may be resolved of healthy edges.
    pub(crate) async fn heal(self: &Arc<Self>, job: &Job, host: &str, healthy: Vec<Device>) {
        let mut clients: IndexMap<ClientId, Vec<Device>> = IndexMap::new();
        for device in healthy {
            if self.lost_creations.lock().remove(device.serial()).is_some() {
                self.unfinished.forget_lost(device.serial()).await;
            }
            clients.entry(device.edge.client.clone()).or_default().push(device);
        }
        let judged: Vec<Judged> = stream::iter(clients)
            .map(|(client, devices)| async move {
                let judged = async {
                    let _place = self.places.acquire().await;
                    self.judge_client(job, &client, devices).await
                };
                self.shell.isolated(&format!("client {client}"), judged).await.unwrap_or_default()
            })
            .buffer_unordered(self.config.concurrency)
            .collect()
            .await;
        let mut candidates = Vec::new();
        let mut refusals = Vec::new();
        for judged in judged {
            candidates.extend(judged.candidates);
            refusals.extend(judged.refusals);
        }
        self.shell.hands.executor().abstain(refusals).await;
        self.resolve_all(job, host, candidates).await;
    }

    /// Judges the edges of a client. Several edges share one question for the client's open tickets: most clients have
    /// none, and the tickets of the others are fewer than their edges.
    async fn judge_client(&self, job: &Job, client: &ClientId, devices: Vec<Device>) -> Judged {
        let mut judged = Judged::default();
        let (devices, others): (Vec<Device>, Vec<Device>) =
            devices.into_iter().partition(|device| job.whitelist.contains(device.serial()));
        for device in &others {
            judged.go_on(device, Tickets { unmonitored: true, ..Tickets::default() });
        }
        if devices.len() > 1 {
            let (facts, own) = self.own_tickets(job.reads.open_tickets(client, None).await);
            if autoresolve::tickets(&facts).is_err() {
                for device in &devices {
                    judged.go_on(device, facts);
                }
                return judged;
            }
            if own.len() <= devices.len() {
                self.judge_by_lines(job, facts, &own, &devices, &mut judged).await;
                return judged;
            }
        }
        self.judge_each(job, client, &devices, &mut judged).await;
        judged
    }

    /// Judges devices one by one, with a question for the open tickets of each: where there is one device only, and where
    /// the client has more tickets than devices.
    async fn judge_each(&self, job: &Job, client: &ClientId, devices: &[Device], judged: &mut Judged) {
        for device in devices {
            let (facts, own) = self.own_tickets(job.reads.open_tickets(client, Some(device.serial())).await);
            if judged.go_on(device, facts) {
                self.judge_tickets(job, device, facts, own, judged).await;
            }
        }
    }

    /// What open tickets tell, and those of our own.
    fn own_tickets(&self, open: Result<Vec<OpenTicket>, Unanswered>) -> (Tickets, Vec<OpenTicket>) {
        let Ok(tickets) = open else {
            return (Tickets { unanswered: true, ..Tickets::default() }, Vec::new());
        };
        let open = tickets.len();
        let own = autoresolve::own_tickets(tickets, &self.config.autoresolve);
        (Tickets { open, ours: own.len(), ..Tickets::default() }, own)
    }

    /// Judges devices by the lines of the client's own tickets. Those of which nothing can be said, because a ticket's
    /// details cannot be had, are refused too.
    async fn judge_by_lines(
        &self,
        job: &Job,
        known: Tickets,
        own: &[OpenTicket],
        devices: &[Device],
        judged: &mut Judged,
    ) {
        let mut lines: Vec<(&OpenTicket, Arc<TicketDetails>)> = Vec::new();
        let mut complete = true;
        for ticket in own {
            match job.reads.details(&ticket.id).await {
                Ok(details) => lines.push((ticket, details)),
                Err(_) => complete = false,
            }
        }
        for device in devices {
            let has_line = |details: &TicketDetails| details.line(device.serial()).is_some();
            let tickets: Vec<OpenTicket> = lines
                .iter()
                .filter(|(_, details)| has_line(details))
                .map(|(ticket, _)| (*ticket).clone())
                .collect();
            let unanswered = tickets.is_empty() && !complete;
            let facts = Tickets { with_line: Some(tickets.len()), unanswered, ..known };
            if judged.go_on(device, facts) {
                self.judge_tickets(job, device, facts, tickets, judged).await;
            }
        }
    }

    async fn judge_tickets(
        &self,
        job: &Job,
        device: &Device,
        known: Tickets,
        tickets: Vec<OpenTicket>,
        judged: &mut Judged,
    ) {
        for ticket in tickets {
            let Ok(details) = job.reads.details(&ticket.id).await else {
                judged.go_on(device, Tickets { unanswered: true, ..known });
                continue;
            };
            let facts = self.facts(device, &ticket, &details);
            match autoresolve::decide(&facts, &self.config.autoresolve) {
                Ok(()) => judged.candidates.push(Candidate { device: device.clone(), ticket }),
                Err(refusal) => {
                    judged.refusals.push(refused(device.serial(), &Question::Autoresolve(facts), refusal));
                }
            }
        }
    }

    fn facts(&self, device: &Device, ticket: &OpenTicket, details: &TicketDetails) -> autoresolve::Facts {
        let (serial, site) = (device.serial(), device.edge.offset_hours);
        autoresolve::Facts::of(
            ticket,
            details,
            serial,
            site,
            self.shell.clock.now(),
            &self.config.autoresolve,
        )
    }

    /// Resolves the candidates' lines, several at a time, with a look at the edges that is not older than a minute.
    async fn resolve_all(self: &Arc<Self>, job: &Job, host: &str, candidates: Vec<Candidate>) {
        let edges: Vec<_> = candidates.iter().map(|candidate| candidate.device.edge.clone()).collect();
        let mut look: Option<(DateTime<Utc>, Vec<Device>)> = None;
        for batch in candidates.chunks(self.config.concurrency) {
            let now = self.shell.clock.now();
            if look.as_ref().is_none_or(|(at, _)| now - *at > FRESH) {
                let Ok(devices) = self.devices_now(job, host, &edges).await else {
                    for candidate in batch {
                        let facts = SecondLook { unanswered: true, edge: None };
                        let ruling = autoresolve::look_again(&facts);
                        let asked = Question::LookAgain(facts);
                        self.shell.ruled(candidate.device.serial(), &asked, ruling).await;
                    }
                    continue;
                };
                look = Some((now, devices));
            }
            let devices = look.as_ref().map(|(_, devices)| devices.as_slice()).unwrap_or_default();
            stream::iter(batch)
                .for_each_concurrent(self.config.concurrency, |candidate| async move {
                    let _place = self.places.acquire().await;
                    let present = devices.iter().find(|device| device.serial() == candidate.device.serial());
                    self.resolve(job, candidate, present).await;
                })
                .await;
        }
    }

    /// Looks at edge and line once more and resolves the line.
    async fn resolve(self: &Arc<Self>, job: &Job, candidate: &Candidate, present: Option<&Device>) {
        let Candidate { device, ticket } = candidate;
        let serial = device.serial();
        let facts = SecondLook { unanswered: false, edge: present.map(|now| Seen::of(&now.record)) };
        let ruling = autoresolve::look_again(&facts);
        if self.shell.ruled(serial, &Question::LookAgain(facts), ruling).await.is_none() {
            return;
        }
        let _lock = self.lock(&ticket.id).await;
        let Ok(details) = job.reads.fresh_details(&ticket.id).await else { return };
        let facts = self.facts(device, ticket, &details);
        let ruling = autoresolve::decide(&facts, &self.config.autoresolve);
        let asked = Question::Autoresolve(facts);
        if self.shell.ruled(serial, &asked, ruling).await.is_none() {
            return;
        }
        let Some(line) = details.line(serial) else { return };
        let line = Hands::line(&ticket.id, &line.id, serial);
        let facts = asked.facts();
        let entry = Entry::resolution(line.clone(), facts.clone(), self.shell.clock.now());
        let Some(work) = self.unfinished.begin(entry).await else { return };
        let because = || because(serial, "autoresolve", &facts);
        // Whether it was paused is not known, so the outcome does not matter.
        let _ = self.shell.hands.unpause_line(&job.reads, because(), line.clone()).await;
        let resolved = self.shell.hands.resolve_line(&job.reads, because().part_of(&work), line).await;
        if resolved.is_ok() {
            self.after_resolving(job, &ticket.id, because().part_of(&work)).await;
        }
        work.finish().await;
    }

    /// What follows when a line was resolved.
    pub(crate) async fn after_resolving(&self, job: &Job, ticket: &TicketId, because: Because) {
        let serial = because.serial.clone();
        self.forget_forward(ticket, &serial).await;
        let note = Action::AppendNote {
            ticket: Some(ticket.clone()),
            serial: serial.clone(),
            lines: vec![serial.clone()],
            about: "auto-resolve".to_owned(),
            text: autoresolve::note_text(&serial, self.shell.clock.now(), self.config.common.zone),
        };
        // The line is resolved, whatever becomes of the note; a failure was reported.
        let _ = self.shell.hands.append_note(&job.reads, because, note).await;
        if !self.shell.is_shadow() {
            self.shell.slack.say(text::autoresolved(&serial, ticket));
            self.shell.metrics.autoresolved.inc();
            tracing::info!(%serial, %ticket, "Ticket linked to edge was autoresolved!");
        }
    }
}

#[cfg(test)]
#[path = "healing_tests.rs"]
mod tests;
