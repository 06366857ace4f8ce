//! Scheduling forwards to HNOC, and carrying them out when they are due (spec "Behaviour" 8).

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use contracts::id::TicketId;
use decisions::Failure;
use runtime::Replace;
use serde_json::json;
use ticketing::WorkQueue;

use crate::{
    action::Action,
    forwards::{Entry, Key, State},
    monitor::{Job, Monitor},
    recheck::Case,
    rules::{Refusal, hnoc},
    shell::{because, facts_of},
    slack::text,
};

/// What came of one attempt.
enum Attempt {
    /// The line was forwarded, or Bruin refused: over.
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
        let now = self.shell.clock.now();
        let grace = self.config.window.grace(now, self.site(device));
        let delay = hnoc::delay(case.kind, grace);
        let history = self.forwards.history(&key);
        let facts = json!({
            "edge": facts_of(&device.record),
            "pending": history.pending,
            "done_before": history.settled,
            "delay_seconds": delay.as_secs(),
        });
        let ruling = hnoc::schedule(trigger, history, now, delay);
        let Some(due) = self.shell.ruled(serial, facts.clone(), ruling).await else { return };
        let entry = Entry {
            ticket: case.ticket.clone(),
            serial: serial.clone(),
            client: device.edge.client.clone(),
            due,
            state: State::Pending,
        };
        let action = Action::ScheduleForward { ticket: case.ticket.clone(), serial: serial.clone(), due };
        self.shell.hands.remember(&job.reads, because(serial, "hnoc.schedule", facts), action).await;
        self.forwards.put(&key, entry).await;
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
        match self.forwards.refresh(|| self.open_store(), self.shell.clock.now()).await {
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
    }

    /// A forward whose time has come. Failed look-ups are repeated until 300 s have passed.
    async fn forward_due(self: Arc<Self>, key: Key) {
        let began = self.shell.clock.now();
        let Some(mut entry) = self.forwards.claim(&key, began).await else {
            tracing::debug!(job = key.job(), "a forward is somebody else's, or over");
            return;
        };
        if hnoc::is_too_late(entry.due, began) {
            let refusal = Refusal::new("hnoc.late", format!("the forward was due at {}", entry.due));
            self.shell.abstain(&entry.serial, json!({"due": entry.due}), refusal).await;
            self.forwards.delete(&key).await;
            return;
        }
        let job = self.job("forward to HNOC", Arc::default());
        for attempt in 1.. {
            match self.forward_attempt(&job, &entry).await {
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
        let refusal = Refusal::new("hnoc.lookup", "the line could not be looked up for 300 s");
        self.shell.abstain(&entry.serial, json!({"due": entry.due}), refusal).await;
        self.forwards.delete(&key).await;
    }

    async fn forward_attempt(&self, job: &Job, entry: &Entry) -> Attempt {
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
        let facts = json!({"due": entry.due, "line": details.line(serial).map(|line| &line.status)});
        match hnoc::due(&details, serial) {
            hnoc::Due::NoLine => Attempt::Retry,
            hnoc::Due::Nothing(refusal) => {
                self.shell.abstain(serial, facts, refusal).await;
                Attempt::Forget
            }
            hnoc::Due::Forward(_) => {
                let queue = WorkQueue::HnocInvestigate;
                let action = Action::Forward {
                    ticket: Some(ticket.clone()),
                    serial: serial.clone(),
                    line: None,
                    queue,
                };
                match self
                    .shell
                    .hands
                    .forward(&job.reads, because(serial, "hnoc.forward", facts), action)
                    .await
                {
                    Ok(_) => {
                        if !self.shell.is_shadow() {
                            self.shell.slack.say(text::forwarded(serial, &ticket, queue));
                        }
                        Attempt::Done
                    }
                    // Not repeated; but as it was not done, an outage that lasts may schedule it again.
                    Err(Failure::Unknown { .. } | Failure::Refused { status: 500.., .. }) => Attempt::Forget,
                    Err(Failure::Refused { .. }) => Attempt::Done,
                }
            }
        }
    }
}
