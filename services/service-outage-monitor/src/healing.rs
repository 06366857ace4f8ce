//! Resolving the tickets of edges that are healthy again (spec "Behaviour" 11).
//!
//! First every healthy edge is judged on what this job knows. Only for those whose line would be resolved the edges and the
//! line are read again right before it is done ("Improve" 16).

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use contracts::id::ClientId;
use decisions::Decision;
use futures::{StreamExt, stream};
use indexmap::IndexMap;
use serde_json::json;
use ticketing::{OpenTicket, TicketDetails};

use crate::{
    action::Action,
    edges::Device,
    hands::Hands,
    monitor::{Job, Monitor},
    rules::{Refusal, Ruling, autoresolve},
    shell::{because, facts_of, refused},
    slack::text,
};

/// How old the second look at the edges may be when a line is resolved.
const FRESH: Duration = Duration::from_secs(60);

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
    fn refuse(&mut self, device: &Device, refusal: Refusal) {
        self.refusals.push(refused(device.serial(), json!({"edge": "healthy"}), refusal));
    }
}

impl Monitor {
    /// Auto-resolves what may be resolved of healthy edges.
    pub(crate) async fn heal(self: &Arc<Self>, job: &Job, host: &str, healthy: Vec<Device>) {
        let mut clients: IndexMap<ClientId, Vec<Device>> = IndexMap::new();
        for device in healthy {
            self.lost_creations.lock().remove(device.serial());
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
        let devices: Vec<Device> = devices
            .into_iter()
            .filter(|device| {
                let ruling = autoresolve::is_whitelisted(job.whitelist.contains(device.serial()));
                ruling.map_err(|refusal| judged.refuse(device, refusal)).is_ok()
            })
            .collect();
        if devices.len() > 1 {
            let Ok(open) = job.reads.open_tickets(client, None).await else {
                for device in &devices {
                    judged.refuse(device, unanswered());
                }
                return judged;
            };
            match autoresolve::own_tickets(open, &self.config.autoresolve) {
                Err(refusal) => {
                    for device in &devices {
                        judged.refuse(device, refusal.clone());
                    }
                    return judged;
                }
                Ok(own) if own.len() <= devices.len() => {
                    self.judge_by_lines(job, &own, &devices, &mut judged).await;
                    return judged;
                }
                Ok(_) => {}
            }
        }
        for device in devices {
            let tickets = match job.reads.open_tickets(client, Some(device.serial())).await {
                Ok(open) => autoresolve::own_tickets(open, &self.config.autoresolve),
                Err(_) => Err(unanswered()),
            };
            self.judge_tickets(job, &device, tickets, &mut judged).await;
        }
        judged
    }

    /// Judges devices by the lines of the client's own tickets. Those of which nothing can be said, because a ticket's
    /// details cannot be had, are refused too.
    async fn judge_by_lines(&self, job: &Job, own: &[OpenTicket], devices: &[Device], judged: &mut Judged) {
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
            let ruling = match (tickets.is_empty(), complete) {
                (false, _) => Ok(tickets),
                (true, true) => Err(Refusal::new("autoresolve.ticket", "there is no open ticket")),
                (true, false) => Err(unanswered()),
            };
            self.judge_tickets(job, device, ruling, judged).await;
        }
    }

    async fn judge_tickets(
        &self,
        job: &Job,
        device: &Device,
        tickets: Ruling<Vec<OpenTicket>>,
        judged: &mut Judged,
    ) {
        let tickets = match tickets {
            Ok(tickets) => tickets,
            Err(refusal) => return judged.refuse(device, refusal),
        };
        for ticket in tickets {
            let Ok(details) = job.reads.details(&ticket.id).await else {
                judged.refuse(device, unanswered());
                continue;
            };
            let facts = self.facts(device, &ticket, &details);
            match autoresolve::decide(&facts, &self.config.autoresolve) {
                Ok(()) => judged.candidates.push(Candidate { device: device.clone(), ticket }),
                Err(refusal) => {
                    judged.refusals.push(refused(device.serial(), json!(facts), refusal));
                }
            }
        }
    }

    fn facts(&self, device: &Device, ticket: &OpenTicket, details: &TicketDetails) -> autoresolve::Facts {
        let (serial, site) = (device.serial(), self.site(device));
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
        let mut look: Option<(Instant, Vec<Device>)> = None;
        for batch in candidates.chunks(self.config.concurrency) {
            if look.as_ref().is_none_or(|(at, _)| at.elapsed() > FRESH) {
                let Ok(devices) = self.devices_now(job, host, &edges).await else {
                    for candidate in batch {
                        self.shell.abstain(candidate.device.serial(), json!({}), unanswered()).await;
                    }
                    continue;
                };
                look = Some((Instant::now(), devices));
            }
            let now = look.as_ref().map(|(_, devices)| devices.as_slice()).unwrap_or_default();
            stream::iter(batch)
                .for_each_concurrent(self.config.concurrency, |candidate| async move {
                    let _place = self.places.acquire().await;
                    let present = now.iter().find(|device| device.serial() == candidate.device.serial());
                    self.resolve(job, candidate, present).await;
                })
                .await;
        }
    }

    /// Looks at edge and line once more and resolves the line.
    async fn resolve(self: &Arc<Self>, job: &Job, candidate: &Candidate, present: Option<&Device>) {
        let Candidate { device, ticket } = candidate;
        let serial = device.serial();
        let edge = match present {
            None => Err(Refusal::new("autoresolve.reread", "VeloCloud does not list the edge any more")),
            Some(now) if now.record.outage().is_some() => {
                Err(Refusal::new("autoresolve.reread", "the edge is down again"))
            }
            Some(_) => Ok(()),
        };
        let facts = json!({"edge": present.map(|now| facts_of(&now.record))});
        if self.shell.ruled(serial, facts, edge).await.is_none() {
            return;
        }
        let _lock = self.lock(&ticket.id).await;
        let Ok(details) = job.reads.fresh_details(&ticket.id).await else { return };
        let facts = self.facts(device, ticket, &details);
        let ruling = autoresolve::decide(&facts, &self.config.autoresolve);
        let facts = json!(facts);
        if self.shell.ruled(serial, facts.clone(), ruling).await.is_none() {
            return;
        }
        let Some(line) = details.line(serial) else { return };
        let line = Hands::line(&ticket.id, &line.id, serial);
        let because = |facts: &serde_json::Value| because(serial, "autoresolve", facts.clone());
        // Whether it was paused is not known, so the outcome does not matter.
        let _ = self.shell.hands.unpause_line(&job.reads, because(&facts), line.clone()).await;
        if self.shell.hands.resolve_line(&job.reads, because(&facts), line).await.is_err() {
            return;
        }
        self.forget_forward(&ticket.id, serial).await;
        let note = Action::AppendNote {
            ticket: Some(ticket.id.clone()),
            serial: serial.clone(),
            lines: vec![serial.clone()],
            about: "auto-resolve".to_owned(),
            text: autoresolve::note_text(serial, self.shell.clock.now(), self.config.common.zone),
        };
        // The line is resolved, whatever becomes of the note; a failure was reported.
        let _ = self.shell.hands.append_note(&job.reads, because(&facts), note).await;
        if !self.shell.is_shadow() {
            self.shell.slack.say(text::autoresolved(serial, &ticket.id));
            self.shell.metrics.autoresolved.inc();
            tracing::info!(%serial, ticket = %ticket.id, "Ticket linked to edge was autoresolved!");
        }
    }
}

fn unanswered() -> Refusal {
    Refusal::new("autoresolve.unanswered", "a request for the tickets or the edge got no answer")
}
