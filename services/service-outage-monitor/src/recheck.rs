//! The re-check after quarantine, and what is done for each edge that is still down (spec "Behaviour" 4 and 5).

use std::{collections::HashSet, sync::Arc};

use contracts::id::{Serial, TicketId};
use futures::{StreamExt, stream};
use indexmap::IndexMap;
use serde_json::json;
use ticketing::{OutageKind, paging};
use tokio::sync::OwnedMutexGuard;

use crate::{
    action::Action,
    edges::Device,
    hands::{self, Covered, Hands},
    monitor::{Job, Monitor},
    quarantine::Batch,
    rules::{
        Refusal, Ruling, asr,
        creation::{self, Creation, Step, Title},
        digi::{self, DigiLink, Remedy},
        documentation, hnoc, severity,
    },
    shadow,
    shell::{because, facts_of},
    slack::text,
};
use decisions::Failure;
use ticketing::WorkQueue;

/// A device that is still down, with the ticket that covers it.
pub(crate) struct Case {
    pub(crate) device: Device,
    pub(crate) kind: OutageKind,
    creation: Creation,
    /// `None` only in shadow mode.
    pub(crate) ticket: Option<TicketId>,
}

impl Case {
    fn facts(&self) -> serde_json::Value {
        json!({"edge": facts_of(&self.device.record), "kind": self.kind, "ticket": self.creation})
    }
}

impl Monitor {
    /// One re-check: what is still down in the same way gets a ticket, what is healthy is auto-resolved.
    pub(crate) async fn recheck(self: Arc<Self>, batch: Batch, whitelist: Arc<HashSet<Serial>>) {
        let now = self.shell.clock.now();
        let (devices, next) = self.quarantine.take(&batch, now);
        if let Some(due) = next {
            self.schedule_recheck(batch.clone(), due, whitelist.clone());
        }
        if devices.is_empty() || !self.shell.connected().await {
            return;
        }
        let job = self.job(&format!("re-check of {}", batch.kind), whitelist);
        let edges: Vec<_> = devices.into_iter().map(|device| device.edge).collect();
        let Ok(devices) = self.devices_now(&job, &batch.host, &edges).await else { return };
        let (mut down, mut healthy) = (Vec::new(), Vec::new());
        for device in devices {
            match device.record.outage() {
                Some(kind) if kind == batch.kind => down.push(device),
                None => healthy.push(device),
                Some(other) => {
                    let reason = format!("the outage became {other}, which the next cycle detects");
                    let refusal = Refusal::new("recheck.kind", reason);
                    self.shell.abstain(device.serial(), facts_of(&device.record), refusal).await;
                }
            }
        }
        if self.config.common.environment.is_production() {
            self.handle_all(&job, batch.kind, down).await;
        } else {
            for device in &down {
                let refusal = Refusal::new("recheck.environment", "tickets are changed in production only");
                self.shell.abstain(device.serial(), facts_of(&device.record), refusal).await;
            }
        }
        self.heal(&job, &batch.host, healthy).await;
    }

    /// Handles edges that are still down, several at a time; those of one site (whose lines may share a ticket) one after
    /// the other, in order. What happens to one does not concern the others.
    async fn handle_all(self: &Arc<Self>, job: &Job, kind: OutageKind, down: Vec<Device>) {
        let mut sites: IndexMap<(String, String), Vec<Device>> = IndexMap::new();
        for device in down {
            let site =
                device.edge.site.as_ref().map_or_else(|| device.serial().to_string(), ToString::to_string);
            sites.entry((device.edge.client.to_string(), site)).or_default().push(device);
        }
        stream::iter(sites.into_values())
            .for_each_concurrent(self.config.concurrency, |devices| async move {
                for device in devices {
                    let what = device.serial().to_string();
                    let run = async {
                        let _place = self.places.acquire().await;
                        self.handle(job, kind, device).await;
                    };
                    Box::pin(self.shell.isolated(&what, run)).await;
                }
            })
            .await;
    }

    async fn handle(self: &Arc<Self>, job: &Job, kind: OutageKind, device: Device) {
        let Some(Covered { creation, ticket }) = self.cover(job, kind, &device).await else { return };
        tracing::info!(serial = %device.serial(), ticket = ticket.as_ref().map(ToString::to_string), ?creation, "covered");
        let _lock: Option<OwnedMutexGuard<()>> = match &ticket {
            Some(ticket) => Some(self.lock(ticket).await),
            None => None,
        };
        let case = Case { device, kind, creation, ticket };
        let mut severity_changed = false;
        for step in creation::steps(creation) {
            match step {
                Step::Announce => self.announce(&case),
                Step::Reopen => self.reopen(job, &case).await,
                Step::Document(title) => self.document(job, &case, *title).await,
                Step::SetSeverity { check_tasks } => {
                    severity_changed = self.set_severity(job, &case, *check_tasks).await;
                }
                Step::ScheduleHnoc => self.schedule_hnoc(job, &case, hnoc::Trigger::NewOutage).await,
                Step::RescheduleHnoc => {
                    let trigger = if severity_changed {
                        hnoc::Trigger::SeverityChanged
                    } else {
                        hnoc::Trigger::StillDown
                    };
                    self.schedule_hnoc(job, &case, trigger).await;
                }
                Step::RebootDigi => self.reboot_digi(job, &case).await,
                Step::CheckFailedReboots => self.check_failed_reboots(job, &case).await,
                Step::ForwardToAsr => self.forward_to_asr(job, &case).await,
            }
        }
    }

    /// Asks for a ticket; in shadow mode predicts the answer.
    async fn cover(&self, job: &Job, kind: OutageKind, device: &Device) -> Option<Covered> {
        let serial = device.serial().clone();
        let facts = facts_of(&device.record);
        let predicted = if self.shell.is_shadow() {
            Some(self.sightings.predict(&job.reads, device, self.shell.clock.now()).await.ok()?)
        } else {
            None
        };
        let action =
            Action::CreateTicket { client: device.edge.client.clone(), serial: serial.clone(), kind };
        let now = self.shell.clock.now();
        let lost = self.lost_creations.lock().get(&serial).copied();
        let created =
            self.shell.hands.create(&job.reads, because(&serial, "outage.ticket", facts), action, lost).await;
        match created {
            Ok(covered) => {
                self.lost_creations.lock().remove(&serial);
                covered.or(predicted)
            }
            // Bruin may have created it nevertheless, now or while the bridge gave up: the next 409 tells.
            Err(Failure::Unknown { .. } | Failure::Refused { status: 500.., .. }) => {
                self.lost_creations.lock().entry(serial).or_insert(now);
                None
            }
            Err(Failure::Refused { .. }) => None,
        }
    }

    fn announce(&self, case: &Case) {
        if let (Some(ticket), false) = (&case.ticket, self.shell.is_shadow()) {
            self.shell.metrics.tickets.inc();
            self.shell.slack.say(text::created(case.device.serial(), ticket, case.kind.name()));
            tracing::info!(serial = %case.device.serial(), %ticket, "Successfully created outage ticket for edge");
        }
    }

    /// Re-opens the line (spec "Behaviour" 12).
    async fn reopen(&self, job: &Job, case: &Case) {
        let Some(ticket) = &case.ticket else { return };
        let serial = case.device.serial();
        let Ok(details) = job.reads.details(ticket).await else { return };
        let line: Ruling<_> = details
            .line(serial)
            .ok_or_else(|| Refusal::new("reopen.line", "the ticket has no line of the serial"));
        let Some(line) = self.shell.ruled(serial, case.facts(), line).await else { return };
        let line = Hands::line(ticket, &line.id, serial);
        if self
            .shell
            .hands
            .open_line(&job.reads, because(serial, "reopen", case.facts()), line)
            .await
            .is_err()
        {
            return;
        }
        if !self.shell.is_shadow() {
            self.shell.slack.say(text::reopened(serial, ticket));
            self.shell.metrics.reopened.inc();
        }
        self.document(job, case, Title::Reopening).await;
    }

    /// Appends the documentation note (spec "Behaviour" 6).
    async fn document(&self, job: &Job, case: &Case, title: Title) {
        let serial = case.device.serial();
        let now = self.shell.clock.now();
        let Ok(events) = job.reads.events(&case.device.edge.identity, now).await else { return };
        let line = match &case.ticket {
            Some(ticket) => {
                let Ok(details) = job.reads.details(ticket).await else { return };
                // A shadow may see the note of its live twin.
                let once = case.creation == Creation::New && !self.shell.is_shadow();
                let missing = if once { documentation::is_missing(&details, serial) } else { Ok(()) };
                missing.and_then(|()| documentation::target(&details, serial))
            }
            None => Ok(serial.clone()),
        };
        let Some(line) = self.shell.ruled(serial, case.facts(), line).await else { return };
        let note =
            documentation::text(title, Some(case.kind), &case.device, &events, now, self.config.common.zone);
        let pages = paging::pages(&note);
        let about = match title {
            Title::Triage => "triage",
            Title::Reopening => "re-opening",
        };
        for (page, text) in (1..).zip(&pages) {
            let action = Action::AppendNote {
                ticket: case.ticket.clone(),
                serial: serial.clone(),
                lines: vec![line.clone()],
                about: format!("{about} {page}/{}", pages.len()),
                text: text.clone(),
            };
            let because = because(serial, "documentation", case.facts());
            if let Err(failure) = self.shell.hands.append_note(&job.reads, because, action).await {
                if hands::is_503(&failure) {
                    self.shell.metrics.first_triage_errors.inc();
                }
                return;
            }
        }
    }

    /// Sets the severity (spec "Behaviour" 7). Whether it was changed.
    async fn set_severity(&self, job: &Job, case: &Case, check_tasks: bool) -> bool {
        let serial = case.device.serial();
        let target = severity::target(&case.device.record, self.config.levels);
        if let (true, false, Some(ticket)) = (check_tasks, target.edge_offline, &case.ticket) {
            let Ok(mut details) = job.reads.details(ticket).await else { return false };
            if self.shell.is_shadow() && case.creation == Creation::Resolved {
                details = Arc::new(shadow::as_reopened(&details, serial));
            }
            let facts = json!({"unresolved_lines": details.unresolved_lines(), "target": target.level});
            if self.shell.ruled(serial, facts, severity::other_lines_allow(&details)).await.is_none() {
                return false;
            }
        }
        let present = match &case.ticket {
            // The live twin finds its new ticket as Bruin creates it.
            _ if self.shell.is_shadow() && case.creation == Creation::New => {
                Some(shadow::SEVERITY_OF_NEW_TICKETS)
            }
            Some(ticket) => match job.reads.ticket(ticket).await {
                Ok(found) => found.severity,
                Err(_) => return false,
            },
            None => None,
        };
        let facts =
            json!({"edge": facts_of(&case.device.record), "present": present, "target": target.level});
        let Some(target) = self.shell.ruled(serial, facts.clone(), severity::change(target, present)).await
        else {
            return false;
        };
        let action = Action::SetSeverity {
            ticket: case.ticket.clone(),
            serial: serial.clone(),
            level: target.level,
            reason: target.reason,
        };
        let changed = self
            .shell
            .hands
            .set_severity(&job.reads, because(serial, "severity", facts), action)
            .await
            .is_ok();
        if let (true, Some(ticket), false) = (changed, &case.ticket, self.shell.is_shadow()) {
            self.shell.slack.say(text::severity(serial, ticket, target.level));
        }
        changed
    }

    /// Reboots the DiGi units of all links that are down (spec "Behaviour" 10a).
    async fn reboot_digi(&self, job: &Job, case: &Case) {
        let serial = case.device.serial();
        let links = digi::down_links(&case.device, &self.config.digi);
        for link in self.shell.ruled(serial, case.facts(), links).await.unwrap_or_default() {
            self.reboot(job, case, link).await;
        }
    }

    /// Reboots one link and notes it. Whether the reboot was accepted.
    async fn reboot(&self, job: &Job, case: &Case, link: DigiLink) -> bool {
        let serial = case.device.serial();
        let action = Action::RebootDigi {
            ticket: case.ticket.clone(),
            serial: serial.clone(),
            interface: link.interface.clone(),
            mac: link.mac,
        };
        if self
            .shell
            .hands
            .reboot(&job.reads, because(serial, "digi.reboot", case.facts()), action)
            .await
            .is_err()
        {
            return false;
        }
        let note =
            digi::reboot_note(serial, &link.interface, self.shell.clock.now(), self.config.common.zone);
        let about = format!("DiGi reboot of {}", link.interface);
        self.note(job, case, "digi.reboot", vec![serial.clone()], about, note).await;
        if let (Some(ticket), false) = (&case.ticket, self.shell.is_shadow()) {
            self.shell.slack.say(text::rebooting(serial, ticket, &link.interface));
        }
        true
    }

    /// Appends a note that tells of something just done.
    async fn note(
        &self,
        job: &Job,
        case: &Case,
        rule: &'static str,
        lines: Vec<Serial>,
        about: String,
        text: String,
    ) {
        let serial = case.device.serial().clone();
        let because = because(&serial, rule, case.facts());
        let action = Action::AppendNote { ticket: case.ticket.clone(), serial, lines, about, text };
        // A failure was reported; what was done stays done.
        let _ = self.shell.hands.append_note(&job.reads, because, action).await;
    }

    /// Sees whether reboots helped (spec "Behaviour" 10b).
    async fn check_failed_reboots(&self, job: &Job, case: &Case) {
        let (Some(ticket), serial) = (&case.ticket, case.device.serial()) else { return };
        let links = digi::links_to_check(&case.device, &self.config.digi);
        let Some(links) = self.shell.ruled(serial, case.facts(), links).await else { return };
        let Ok(details) = job.reads.details(ticket).await else { return };
        let remedies =
            digi::failed_reboots(links, &details, serial, self.shell.clock.now(), &self.config.digi);
        let Some((line, remedies)) = self.shell.ruled(serial, case.facts(), remedies).await else { return };
        for remedy in remedies {
            let helped = match remedy {
                Remedy::Stop(refusal) => {
                    self.shell.abstain(serial, case.facts(), refusal).await;
                    true
                }
                Remedy::Reboot(link) => self.reboot(job, case, link).await,
                Remedy::WirelessTeam(_) => {
                    let queue = WorkQueue::WirelessRepair;
                    let moved = self.forward_now(job, case, "digi.wireless", line.id.clone(), queue).await;
                    if moved {
                        let note = digi::failed_note(self.shell.clock.now(), self.config.common.zone);
                        self.note(job, case, "digi.wireless", vec![], "DiGi reboot failed".to_owned(), note)
                            .await;
                    }
                    moved
                }
            };
            if helped {
                return;
            }
        }
    }

    /// Forwards to ASR (spec "Behaviour" 9).
    async fn forward_to_asr(&self, job: &Job, case: &Case) {
        let (Some(ticket), serial) = (&case.ticket, case.device.serial()) else { return };
        let links = asr::links(&case.device, &self.config.asr);
        let Some(links) = self.shell.ruled(serial, case.facts(), links).await else { return };
        let Ok(details) = job.reads.details(ticket).await else { return };
        let line = asr::line(&case.device, &details, &self.config.asr);
        let Some(line) = self.shell.ruled(serial, case.facts(), line).await else { return };
        if self.forward_now(job, case, "asr", line.id.clone(), WorkQueue::CarrierIssue).await {
            let note = asr::note_text(&links, self.shell.clock.now(), self.config.common.zone);
            self.note(job, case, "asr", vec![serial.clone()], "ASR forward".to_owned(), note).await;
        }
    }

    /// Moves the task of the device's line. Whether it was moved.
    async fn forward_now(
        &self,
        job: &Job,
        case: &Case,
        rule: &'static str,
        line: contracts::id::DetailId,
        queue: WorkQueue,
    ) -> bool {
        let serial = case.device.serial();
        let action =
            Action::Forward { ticket: case.ticket.clone(), serial: serial.clone(), line: Some(line), queue };
        let moved =
            self.shell.hands.forward(&job.reads, because(serial, rule, case.facts()), action).await.is_ok();
        if let (true, Some(ticket), false) = (moved, &case.ticket, self.shell.is_shadow()) {
            self.shell.slack.say(text::forwarded(serial, ticket, queue));
        }
        moved
    }
}
