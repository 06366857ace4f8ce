//! Scheduling forwards to HNOC, and carrying them out when they are due (spec "Behaviour" 8).

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use contracts::id::TicketId;
use decisions::Failure;
use runtime::Replace;
use ticketing::WorkQueue;

use crate::{
    action::Action,
    forwards::{self, Entry, Key, State},
    monitor::{Job, Monitor},
    question::Question,
    recheck::Case,
    rules::{Refusal, hnoc},
    shell::because,
    slack::text,
    unfinished::Begun,
};

/// What came of one attempt.
enum Attempt {
    /// The line was forwarded, or it was in the queue already: over.
    Done,
    /// Nothing is to be done now; a later outage may schedule a forward again.
    Forget,
    /// Something could not be looked up: once more.
    Retry,
}

impl Monitor {
    /// Schedules the forward of a case, when the rule says so.
    pub(crate) async fn schedule_hnoc(self: &Arc<Self>, job: &Job, case: &Case, trigger: hnoc::Trigger) {
        let (device, serial) = (&case.device, case.device.serial());
        let key = self.forwards.key(case.ticket.as_ref(), serial);
        // A former leader that stopped here began it at this moment.
        let begun = case.work.first("schedule_forward");
        if begun.is_none() && case.work.winds_up() {
            return;
        }
        let now = begun.map_or_else(|| self.shell.clock.now(), |deed| deed.at);
        if !self.forwards.were_read() {
            // Without those of former runs and other replicas this would look like the first one.
            self.recover_forwards().await;
        }
        let facts = hnoc::Scheduling {
            kind: case.kind,
            trigger,
            history: self.forwards.history_on(&key, case.ticket.as_ref()),
            now,
            site: device.edge.offset_hours,
        };
        let ruling = hnoc::decide(&facts, &self.config.window, self.config.common.zone);
        let asked = Question::Schedule(facts);
        let Some(due) = self.shell.ruled(serial, &asked, ruling).await else { return };
        let action = Action::ScheduleForward { ticket: case.ticket.clone(), serial: serial.clone(), due };
        match case.work.begin(&action, now, Duration::ZERO).await {
            Begun::First => {}
            Begun::Again(_) if self.forwards.get(&key).map(|entry| entry.due) != Some(due) => {}
            Begun::Again(_) | Begun::Ended(_) | Begun::NotOurs => return,
        }
        let entry = Entry {
            ticket: case.ticket.clone(),
            serial: serial.clone(),
            client: device.edge.client.clone(),
            due,
            state: State::Pending,
        };
        let because = because(serial, "hnoc.schedule", &asked.facts());
        self.shell.hands.remember(&job.reads, because, action.clone()).await;
        self.forwards.put(&key, entry).await;
        case.work.ended(&action, true);
        self.schedule_forward(key, due);
    }

    fn schedule_forward(self: &Arc<Self>, key: Key, at: DateTime<Utc>) {
        let monitor = self.clone();
        let id = key.job();
        // A follower's entry stays in the store, where the leader finds it.
        let job = move || async move {
            let job = key.job();
            monitor.shell.while_leading(&job, Box::pin(monitor.clone().forward_due(key))).await;
        };
        // The rule itself knows what is too late.
        if let Err(error) = self.shell.schedule.once(id, at, Replace::Yes, Duration::MAX, job) {
            tracing::error!(%error, "a forward could not be scheduled");
        }
    }

    /// Forgets the forward of a line that was resolved.
    pub(crate) async fn forget_forward(&self, ticket: &TicketId, serial: &contracts::id::Serial) {
        let key = self.forwards.key(Some(ticket), serial);
        self.shell.schedule.cancel(&key.job());
        self.forwards.delete(&key).await;
    }

    /// Schedules what former runs and other replicas have left pending.
    pub(crate) async fn recover_forwards(self: &Arc<Self>) {
        match self.forwards.refresh(|| self.open_store(forwards::BUCKET), self.shell.clock.now()).await {
            Ok(entries) => {
                for (key, entry) in entries {
                    match entry.runs_at() {
                        Some(at) => self.schedule_forward(key, at),
                        None => {
                            self.shell.schedule.cancel(&key.job());
                        }
                    }
                }
            }
            Err(error) => tracing::error!(%error, "pending forwards could not be read"),
        }
        // What is known already, but whose timer has run out without an end: it came when another replica led, its run was cut
        // off or panicked, or the store failed. A forward that is being carried out is claimed, and claimed it stays.
        for (key, entry) in self.forwards.pending() {
            if let Some(at) = entry.runs_at().filter(|_| !self.shell.schedule.pending(&key.job())) {
                self.schedule_forward(key, at);
            }
        }
    }

    /// A forward whose time has come. Failed look-ups are repeated until 300 s have passed.
    async fn forward_due(self: Arc<Self>, key: Key) {
        let began = self.shell.clock.now();
        let known = self.forwards.get(&key);
        let Some(known) = known.filter(|known| known.runs_at().is_some_and(|at| at <= began)) else {
            tracing::debug!(job = key.job(), "a forward is over, or postponed");
            return;
        };
        if let Some((asked, refusal)) = self.not_in_production(&known, began) {
            // Left as it is: in production it is carried out, unless it is too late by then.
            return self.shell.abstain(&known.serial, &asked, refusal).await;
        }
        let Some(mut entry) = self.forwards.claim(&key, began).await else {
            tracing::debug!(job = key.job(), "a forward is somebody else's");
            return;
        };
        if hnoc::is_too_late(entry.due, began) {
            let facts = hnoc::Forwarding { due: entry.due, now: began, resolved: None };
            self.dropped(&entry, facts).await;
            self.forwards.delete(&key).await;
            return;
        }
        let job = self.job("forward to HNOC", Arc::default());
        for attempt in 1.. {
            match self.forward_attempt(&job, &entry, began).await {
                Attempt::Done => return self.forwards.finish(&key, entry, self.shell.clock.now()).await,
                Attempt::Forget => return self.forwards.delete(&key).await,
                Attempt::Retry => {}
            }
            let passed = (self.shell.clock.now() - began).to_std().unwrap_or_default();
            let Some(wait) = hnoc::wait_after(attempt, passed) else { break };
            if !self.shell.wait(wait).await {
                return self.forwards.release(&key, entry).await;
            }
            match self.forwards.renew(&key, entry, self.shell.clock.now()).await {
                Some(renewed) => entry = renewed,
                // Replaced or resolved meanwhile.
                None => return,
            }
        }
        tracing::error!(serial = %entry.serial, "a forward to HNOC was given up");
        let facts = hnoc::Forwarding { due: entry.due, now: began, resolved: None };
        self.dropped(&entry, facts).await;
        self.forwards.delete(&key).await;
    }

    /// Why a forward is not carried out in this environment.
    fn not_in_production(&self, entry: &Entry, now: DateTime<Utc>) -> Option<(Question, Refusal)> {
        let facts = hnoc::Forwarding { due: entry.due, now, resolved: None };
        let refusal = hnoc::forward(&facts, &self.config.common.environment).err()?;
        (refusal.rule == hnoc::ENVIRONMENT).then_some((Question::Forward(facts), refusal))
    }

    /// Records why a forward is not carried out.
    async fn dropped(&self, entry: &Entry, facts: hnoc::Forwarding) {
        if let Err(refusal) = hnoc::forward(&facts, &self.config.common.environment) {
            self.shell.abstain(&entry.serial, &Question::Forward(facts), refusal).await;
        }
    }

    async fn forward_attempt(&self, job: &Job, entry: &Entry, began: DateTime<Utc>) -> Attempt {
        let serial = &entry.serial;
        let ticket = match &entry.ticket {
            Some(ticket) => ticket.clone(),
            // A shadow's prediction: by now the live twin has created the ticket.
            None => match job.reads.open_tickets(&entry.client, Some(serial)).await {
                Ok(open) => match open.into_iter().next() {
                    Some(ticket) => ticket.id,
                    None => return Attempt::Retry,
                },
                Err(_) => return Attempt::Retry,
            },
        };
        let _lock = self.lock(&ticket).await;
        let Ok(details) = job.reads.fresh_details(&ticket).await else { return Attempt::Retry };
        // Whether it is too late was asked when the attempts began.
        let facts = hnoc::Forwarding::of(entry.due, began, &details, serial);
        let ruling = hnoc::forward(&facts, &self.config.common.environment);
        let asked = Question::Forward(facts);
        match ruling {
            Err(refusal) if refusal.rule == hnoc::LOOKUP => Attempt::Retry,
            Err(refusal) => {
                self.shell.abstain(serial, &asked, refusal).await;
                Attempt::Forget
            }
            Ok(()) => {
                let queue = WorkQueue::HnocInvestigate;
                let action = Action::Forward {
                    ticket: Some(ticket.clone()),
                    serial: serial.clone(),
                    line: None,
                    queue,
                };
                let because = because(serial, "hnoc.forward", &asked.facts());
                match self.shell.hands.forward(&job.reads, because, action, Some(&details)).await {
                    Ok(_) => {
                        if !self.shell.is_shadow() {
                            self.shell.slack.say(text::forwarded(serial, &ticket, queue));
                        }
                        Attempt::Done
                    }
                    // It is in the queue already.
                    Err(Failure::Refused { status: 400, .. }) => Attempt::Done,
                    // Not repeated; but as it was not done, an outage that lasts may schedule it again.
                    Err(_) => Attempt::Forget,
                }
            }
        }
    }
}

#[cfg(test)]
#[path = "forwarding_tests.rs"]
mod tests;
