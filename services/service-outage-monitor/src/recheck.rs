//! The re-check after quarantine, and what is done for each edge that is still down (spec "Behaviour" 4 and 5).

use std::{collections::HashSet, sync::Arc};

use contracts::id::{Serial, TicketId};
use futures::{StreamExt, stream};
use indexmap::IndexMap;
use ticketing::{OutageKind, paging};
use tokio::sync::OwnedMutexGuard;

use crate::{
    action::Action,
    edges::Device,
    hands::{self, Covered, Hands},
    monitor::{Job, Monitor},
    quarantine::Batch,
    question::Question,
    rules::{
        Next,
        creation::{self, Creation, Reopening, Step, Title},
        detection::{self, Recheck},
        documentation, hnoc, severity,
    },
    seen::{Covering, Seen},
    shadow,
    shell::because,
    slack::text,
    unfinished::{Entry, Work},
};
use decisions::Failure;

/// A device that is still down, with the ticket that covers it.
pub(crate) struct Case {
    pub(crate) device: Device,
    pub(crate) kind: OutageKind,
    pub(crate) creation: Creation,
    /// `None` only in shadow mode.
    pub(crate) ticket: Option<TicketId>,
    /// What is done about it is kept here, for whoever goes on after a crash.
    pub(crate) work: Arc<Work>,
}

impl Case {
    pub(crate) fn covering(&self) -> Covering {
        Covering { edge: Seen::of(&self.device.record), kind: self.kind, ticket: self.creation }
    }
}

impl Monitor {
    /// One re-check: what is still down in the same way gets a ticket, what is healthy is auto-resolved.
    pub(crate) async fn recheck(self: Arc<Self>, batch: Batch, whitelist: Arc<HashSet<Serial>>) {
        let now = self.shell.clock.now();
        let (edges, next) = self.quarantine.take(&batch, now);
        if let Some(due) = next {
            self.schedule_recheck(batch.clone(), due, whitelist.clone());
        }
        if edges.is_empty() || !self.shell.connected().await {
            return;
        }
        let job = self.job(&format!("re-check of {}", batch.kind), whitelist);
        if let Ok(devices) = self.devices_now(&job, &batch.host, &edges).await {
            self.judge_again(&job, &batch, devices).await;
        }
        // What is not handled now has served its quarantine all the same.
        let names = edges.iter().map(|edge| Entry::name_of(&edge.serial, batch.kind)).collect();
        self.unfinished.remove(names, |entry| entry.has_waited(now)).await;
    }

    /// Handles what is still down, heals what is not.
    async fn judge_again(self: &Arc<Self>, job: &Job, batch: &Batch, devices: Vec<Device>) {
        let (mut down, mut healthy) = (Vec::new(), Vec::new());
        for device in devices {
            let facts = recheck_of(&device, batch.kind);
            match detection::recheck(&facts, &self.config.common.environment) {
                Ok(Some(_)) => down.push(device),
                Ok(None) => healthy.push(device),
                Err(refusal) => {
                    self.shell.abstain(device.serial(), &Question::Recheck(facts), refusal).await;
                }
            }
        }
        self.handle_all(job, batch.kind, down).await;
        self.heal(job, &batch.host, healthy).await;
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
        let lost = self.lost_creations.lock().get(device.serial()).copied();
        let entry = Entry::outage(device.record.clone(), kind, self.shell.clock.now(), lost);
        let Some(work) = self.unfinished.begin(entry).await else {
            tracing::info!(serial = %device.serial(), "handled already, or by another replica");
            return;
        };
        self.carry_on(job, kind, device, work).await;
    }

    /// Handles an outage, or goes on with it where a former leader stopped: each step sees for itself what is done.
    pub(crate) async fn carry_on(
        self: &Arc<Self>,
        job: &Job,
        kind: OutageKind,
        device: Device,
        work: Arc<Work>,
    ) {
        let announced = work.ticket().is_some();
        let Some(Covered { creation, ticket }) = self.cover(job, kind, &device, &work).await else { return };
        tracing::info!(serial = %device.serial(), ticket = ticket.as_ref().map(ToString::to_string), ?creation, "covered");
        let _lock: Option<OwnedMutexGuard<()>> = match &ticket {
            Some(ticket) => Some(self.lock(ticket).await),
            None => None,
        };
        let case = Case { device, kind, creation, ticket, work };
        let (mut severity_changed, mut is_open) = (false, true);
        for step in creation::steps(creation) {
            if case.work.is_stopped() {
                return;
            }
            match step {
                Step::Announce if announced => {}
                Step::Announce => self.announce(&case),
                Step::Reopen => is_open = self.reopen(job, &case).await,
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
                Step::RebootDigi => self.reboot_digi(job, &case, is_open).await,
                Step::CheckFailedReboots => self.check_failed_reboots(job, &case).await,
                Step::ForwardToAsr => self.forward_to_asr(job, &case).await,
            }
        }
        case.work.finish().await;
    }

    /// Asks for a ticket, unless it is known from before a crash; in shadow mode predicts the answer. `None` ends the work.
    async fn cover(&self, job: &Job, kind: OutageKind, device: &Device, work: &Arc<Work>) -> Option<Covered> {
        let serial = device.serial().clone();
        if let Some((creation, ticket)) = work.ticket() {
            self.creation_is_settled(&serial).await;
            return Some(Covered { creation, ticket: Some(ticket) });
        }
        let facts = Question::Recheck(recheck_of(device, kind)).facts();
        let mut predicted = None;
        if self.shell.is_shadow() {
            let (now, user) = (self.shell.clock.now(), &self.config.autoresolve.system_user);
            let Ok(prediction) = self.sightings.predict(&job.reads, device, now, user).await else {
                work.finish().await;
                return None;
            };
            if let (Some(ticket), true) = (&prediction.covered.ticket, prediction.by_twin) {
                self.forwards.name(&serial, ticket);
            }
            predicted = Some(prediction.covered);
        }
        let action =
            Action::CreateTicket { client: device.edge.client.clone(), serial: serial.clone(), kind };
        let now = self.shell.clock.now();
        let lost = work.asked_before();
        let because = because(&serial, "outage.ticket", &facts);
        let user = &self.config.autoresolve.system_user;
        match self.shell.hands.create(&job.reads, because, action, lost, user).await {
            Ok(covered) => {
                self.creation_is_settled(&serial).await;
                if let Some(Covered { creation, ticket: Some(ticket) }) = &covered {
                    // It may have a line more than when another device of this job saw it.
                    job.reads.changed(ticket);
                    work.covered(*creation, ticket).await;
                }
                covered.or(predicted)
            }
            // Bruin may have created it nevertheless, now or while the bridge gave up: the next 409 tells.
            Err(
                Failure::Unknown { .. }
                | Failure::Refused { status: 500.., .. }
                | Failure::Undelivered { status: 500.., .. },
            ) => {
                let asked = lost.unwrap_or(now);
                self.lost_creations.lock().entry(serial).or_insert(asked);
                work.lose_creation(asked).await;
                None
            }
            Err(Failure::Refused { .. } | Failure::Undelivered { .. }) => {
                work.finish().await;
                None
            }
        }
    }

    /// The outcome of a creation is known: the next conflict is no answer to a lost request.
    async fn creation_is_settled(&self, serial: &Serial) {
        let was_lost = self.lost_creations.lock().remove(serial).is_some();
        if was_lost {
            self.unfinished.forget_lost(serial).await;
        }
    }

    fn announce(&self, case: &Case) {
        if let (Some(ticket), false) = (&case.ticket, self.shell.is_shadow()) {
            self.shell.metrics.tickets.inc();
            self.shell.slack.say(text::created(case.device.serial(), ticket, case.kind.name()));
            tracing::info!(serial = %case.device.serial(), %ticket, "Successfully created outage ticket for edge");
        }
    }

    /// Re-opens the line (spec "Behaviour" 12). Whether it is open then.
    async fn reopen(&self, job: &Job, case: &Case) -> bool {
        let Some(ticket) = &case.ticket else { return false };
        let serial = case.device.serial();
        let Ok(details) = job.reads.details(ticket).await else { return false };
        let line = details.line(serial);
        let facts = Reopening { covering: case.covering(), has_line: line.is_some() };
        let ruling = creation::reopen(&facts);
        let asked = Question::Reopen(facts);
        let (Some(()), Some(line)) = (self.shell.ruled(serial, &asked, ruling).await, line) else {
            return false;
        };
        let line = Hands::line(ticket, &line.id, serial);
        let because = because(serial, "reopen", &asked.facts()).part_of(&case.work);
        if self.shell.hands.open_line(&job.reads, because, line).await.is_err() {
            return false;
        }
        if !self.shell.is_shadow() {
            self.shell.slack.say(text::reopened(serial, ticket));
            self.shell.metrics.reopened.inc();
        }
        self.document(job, case, Title::Reopening).await;
        true
    }

    /// Appends the documentation note (spec "Behaviour" 6).
    async fn document(&self, job: &Job, case: &Case, title: Title) {
        let serial = case.device.serial();
        let now = self.shell.clock.now();
        // What a former leader has begun to write is brought to its end, word for word.
        let kept = case.work.pages();
        let events = if kept.is_empty() {
            let Ok(events) = job.reads.events(&case.device.edge.identity, now).await else { return };
            events
        } else {
            Vec::new()
        };
        let (documented, line) = match &case.ticket {
            Some(ticket) => {
                let Ok(details) = job.reads.details(ticket).await else { return };
                // A shadow may see the note of its live twin.
                let once = case.creation == Creation::New && !self.shell.is_shadow();
                let documented = once && documentation::is_documented(&details, serial, &kept);
                (documented, documentation::target(&details, serial))
            }
            None => (false, Some(serial.clone())),
        };
        let facts = documentation::Facts { covering: case.covering(), title, documented, line };
        let ruling = documentation::decide(&facts);
        let asked = Question::Document(facts);
        let Some(line) = self.shell.ruled(serial, &asked, ruling).await else { return };
        let facts = asked.facts();
        let pages = if kept.is_empty() {
            let zone = self.config.common.zone;
            let note = documentation::text(title, Some(case.kind), &case.device, &events, now, zone);
            paging::pages(&note)
        } else {
            kept
        };
        case.work.set_pages(&pages);
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
            let because = because(serial, "documentation", &facts).part_of(&case.work);
            if let Err(failure) = self.shell.hands.append_note(&job.reads, because, action).await {
                let given_up = !case.work.is_stopped() && case.work.postponed().is_none();
                if hands::is_503(&failure) && given_up {
                    self.shell.metrics.first_triage_errors.inc();
                }
                return;
            }
        }
    }

    /// Sets the severity (spec "Behaviour" 7). Whether it was changed.
    async fn set_severity(&self, job: &Job, case: &Case, check_tasks: bool) -> bool {
        let serial = case.device.serial();
        let mut facts = severity::Facts {
            edge: Seen::of(&case.device.record),
            check_tasks: check_tasks && case.ticket.is_some(),
            unresolved_lines: None,
            present: None,
        };
        if let (true, Some(ticket)) = (facts.asks_for_lines(), &case.ticket) {
            let Ok(mut details) = job.reads.details(ticket).await else { return false };
            if self.shell.is_shadow() && case.creation == Creation::Resolved {
                details = Arc::new(shadow::as_reopened(&details, serial));
            }
            facts.unresolved_lines = Some(details.unresolved_lines());
        }
        let levels = self.config.levels;
        let (asked, ruling) = (Question::Severity(facts.clone()), severity::decide(&facts, levels));
        if self.shell.ruled(serial, &asked, ruling).await.is_none() {
            return false;
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
        facts.present = Some(present.into());
        let ruling = severity::decide(&facts, levels);
        if ruling.is_err() && case.work.first("set_severity").is_some() {
            // Changed by us, before a crash.
            return true;
        }
        let asked = Question::Severity(facts);
        let Some(Next::Act(level)) = self.shell.ruled(serial, &asked, ruling).await else { return false };
        let action = Action::SetSeverity {
            ticket: case.ticket.clone(),
            serial: serial.clone(),
            level,
            reason: severity::reason(&case.device.record, level),
        };
        let because = because(serial, "severity", &asked.facts()).part_of(&case.work);
        let changed = self.shell.hands.set_severity(&job.reads, because, action).await.is_ok();
        if let (true, Some(ticket), false) = (changed, &case.ticket, self.shell.is_shadow()) {
            self.shell.slack.say(text::severity(serial, ticket, level));
        }
        changed
    }
}

/// What a re-check sees of a device.
fn recheck_of(device: &Device, waited: OutageKind) -> Recheck {
    Recheck { edge: Seen::of(&device.record), waited }
}
