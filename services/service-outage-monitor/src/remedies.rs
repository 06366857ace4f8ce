//! What is tried beside the ticket: reboots of DiGi units, the wireless team, ASR (spec "Behaviour" 9 and 10).

use contracts::id::{DetailId, Serial};
use serde_json::Value;
use ticketing::WorkQueue;

use crate::{
    action::{Action, unit},
    monitor::{Job, Monitor},
    question::Question,
    recheck::Case,
    rules::{
        Next, asr,
        digi::{self, DigiLink, Remedy},
    },
    shell::because,
    slack::text,
};

impl Monitor {
    /// Reboots the DiGi units of all links that are down (spec "Behaviour" 10a). `is_open`: whether the ticket's line is.
    pub(crate) async fn reboot_digi(&self, job: &Job, case: &Case, is_open: bool) {
        let serial = case.device.serial();
        let mut facts =
            digi::Reboots { covering: case.covering(), units: digi::units(&case.device), before: None };
        if let (false, Some(ticket)) = (is_open || facts.units.is_empty(), &case.ticket) {
            // Without the former reboots this would look like the first one, at every re-check.
            let Ok(details) = job.reads.details(ticket).await else { return };
            let reboots = digi::History::of(&details, serial).reboots;
            facts.before = Some(digi::Before { now: self.shell.clock.now(), reboots });
        }
        let links = digi::reboots(&facts, &self.config.digi);
        let asked = Question::Reboot(facts);
        let links = self.shell.ruled(serial, &asked, links).await.unwrap_or_default();
        let facts = asked.facts();
        for link in links {
            self.reboot(job, case, link, &facts).await;
        }
    }

    /// Reboots one link and notes it. Whether the reboot was accepted.
    async fn reboot(&self, job: &Job, case: &Case, link: DigiLink, facts: &Value) -> bool {
        let serial = case.device.serial();
        let about = format!("DiGi reboot of {}", unit(&link.interface, &link.mac));
        let action = Action::RebootDigi {
            ticket: case.ticket.clone(),
            serial: serial.clone(),
            interface: link.interface.clone(),
            mac: link.mac,
        };
        let because = because(serial, "digi.reboot", facts).part_of(&case.work);
        if self.shell.hands.reboot(&job.reads, because, action).await.is_err() {
            return false;
        }
        let note =
            digi::reboot_note(serial, &link.interface, self.shell.clock.now(), self.config.common.zone);
        self.note(job, case, ("digi.reboot", facts), vec![serial.clone()], about, note).await;
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
        (rule, facts): (&'static str, &Value),
        lines: Vec<Serial>,
        about: String,
        text: String,
    ) {
        let serial = case.device.serial().clone();
        let because = because(&serial, rule, facts).part_of(&case.work);
        let action = Action::AppendNote { ticket: case.ticket.clone(), serial, lines, about, text };
        // A failure was reported; what was done stays done.
        let _ = self.shell.hands.append_note(&job.reads, because, action).await;
    }

    /// Sees whether reboots helped (spec "Behaviour" 10b).
    pub(crate) async fn check_failed_reboots(&self, job: &Job, case: &Case) {
        let (Some(ticket), serial) = (&case.ticket, case.device.serial()) else { return };
        let mut facts = digi::Check {
            covering: case.covering(),
            units: digi::units(&case.device),
            now: self.shell.clock.now(),
            history: None,
        };
        let (asked, ruling) = (Question::CheckReboots(facts.clone()), digi::check(&facts, &self.config.digi));
        if self.shell.ruled(serial, &asked, ruling).await.is_none() {
            return;
        }
        let Ok(details) = job.reads.details(ticket).await else { return };
        facts.history = Some(digi::History::of(&details, serial));
        facts.now = self.shell.clock.now();
        let ruling = digi::check(&facts, &self.config.digi);
        let asked = Question::CheckReboots(facts);
        let Some(Next::Act(remedies)) = self.shell.ruled(serial, &asked, ruling).await else { return };
        let Some(line) = details.line(serial) else { return };
        let facts = asked.facts();
        for remedy in remedies {
            let helped = match remedy {
                Remedy::Stop(refusal) => {
                    self.shell.abstain(serial, &asked, refusal).await;
                    true
                }
                Remedy::Reboot(link) => self.reboot(job, case, link, &facts).await,
                Remedy::WirelessTeam(_) => {
                    let queue = WorkQueue::WirelessRepair;
                    let why = ("digi.wireless", &facts);
                    let moved = self.forward_now(job, case, why, line.id.clone(), queue).await;
                    if moved {
                        let note = digi::failed_note(self.shell.clock.now(), self.config.common.zone);
                        self.note(job, case, why, vec![], "DiGi reboot failed".to_owned(), note).await;
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
    pub(crate) async fn forward_to_asr(&self, job: &Job, case: &Case) {
        let (Some(ticket), serial) = (&case.ticket, case.device.serial()) else { return };
        let mut facts =
            asr::Facts { covering: case.covering(), wired: asr::wired(&case.device), history: None };
        let (asked, ruling) = (Question::Asr(facts.clone()), asr::decide(&facts, &self.config.asr));
        if self.shell.ruled(serial, &asked, ruling).await.is_none() {
            return;
        }
        let Ok(details) = job.reads.details(ticket).await else { return };
        facts.history = Some(asr::History::of(&details, serial));
        let ruling = asr::decide(&facts, &self.config.asr);
        let asked = Question::Asr(facts);
        let (Some(Next::Act(())), Some(line)) =
            (self.shell.ruled(serial, &asked, ruling).await, details.line(serial))
        else {
            return;
        };
        let (facts, rule) = (asked.facts(), "asr");
        if self.forward_now(job, case, (rule, &facts), line.id.clone(), WorkQueue::CarrierIssue).await {
            let links = asr::links(&case.device, &self.config.asr);
            let note = asr::note_text(&links, self.shell.clock.now(), self.config.common.zone);
            self.note(job, case, (rule, &facts), vec![serial.clone()], "ASR forward".to_owned(), note).await;
        }
    }

    /// Moves the task of the device's line. Whether it was moved.
    async fn forward_now(
        &self,
        job: &Job,
        case: &Case,
        (rule, facts): (&'static str, &Value),
        line: DetailId,
        queue: WorkQueue,
    ) -> bool {
        let serial = case.device.serial();
        let action =
            Action::Forward { ticket: case.ticket.clone(), serial: serial.clone(), line: Some(line), queue };
        let because = because(serial, rule, facts).part_of(&case.work);
        let moved = self.shell.hands.forward(&job.reads, because, action, None).await.is_ok();
        if let (true, Some(ticket), false) = (moved, &case.ticket, self.shell.is_shadow()) {
            self.shell.slack.say(text::forwarded(serial, ticket, queue));
        }
        moved
    }
}
