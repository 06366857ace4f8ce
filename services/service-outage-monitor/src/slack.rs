//! Texts for people on Slack: best effort, nobody waits for them (spec "Improve" 1 and 17).

use std::sync::Arc;

use bus::{Bus, RequestError};
use contracts::{
    id::{DetailId, Serial, TicketId},
    notifier::{SendSlack, SlackRequest},
};
use indexmap::IndexMap;
use parking_lot::Mutex;
use ticketing::{Severity, WorkQueue, ticket_link};
use tokio_util::task::TaskTracker;
use tracing::Instrument;

/// Sends texts in the background. In shadow mode it says nothing.
#[derive(Clone)]
pub struct Slack {
    bus: Bus,
    tasks: TaskTracker,
    silent: bool,
}

impl Slack {
    /// A sender whose work `tasks` keeps track of.
    pub fn new(bus: Bus, tasks: TaskTracker, silent: bool) -> Self {
        Self { bus, tasks, silent }
    }

    /// Sends a text and forgets about it.
    pub fn say(&self, message: String) {
        if self.silent {
            return;
        }
        let bus = self.bus.clone();
        let post = async move {
            if let Err(error) = bus.request::<SendSlack>(&SlackRequest::new(message)).await {
                // The existing notifier answers with a text as status: it has posted nevertheless.
                if !matches!(error, RequestError::Refused { status: None, .. }) {
                    tracing::warn!(%error, "a Slack message was not delivered");
                }
            }
        };
        self.tasks.spawn(post.in_current_span());
    }
}

/// What failed in one job (a cycle, a re-check, a forward): one Slack text for each kind of failure.
pub struct Report {
    slack: Slack,
    job: String,
    failed: Mutex<IndexMap<&'static str, Failed>>,
}

/// The first failure of a kind.
struct Failed {
    text: String,
    link: Option<String>,
    /// How many more there were.
    more: usize,
}

impl Report {
    /// A report of `job`, to be used by everything that the job does.
    pub fn new(slack: Slack, job: impl Into<String>) -> Arc<Self> {
        Arc::new(Self { slack, job: job.into(), failed: Mutex::default() })
    }

    /// Notes a failed request. `what` is its kind; `text` says what failed, for what, where and why; `ticket` is the one with
    /// whose link it ends.
    pub fn failed(&self, what: &'static str, text: String, ticket: Option<&TicketId>) {
        tracing::error!(job = self.job, "{text}");
        let link = ticket.map(ticket_link);
        let mut failed = self.failed.lock();
        failed.entry(what).and_modify(|first| first.more += 1).or_insert(Failed { text, link, more: 0 });
    }

    /// Sends what was noted since the last call.
    pub fn send(&self) {
        for (what, failed) in std::mem::take(&mut *self.failed.lock()) {
            self.slack.say(failed.told(what, &self.job));
        }
    }
}

impl Failed {
    /// As people get it.
    fn told(self, what: &str, job: &str) -> String {
        let text = match self.more {
            0 => self.text,
            more => format!("{} ({more} more failures to {what} in the same {job})", self.text),
        };
        match self.link {
            Some(link) => format!("{}. {link}", text.trim_end_matches('.')),
            None => text,
        }
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        self.send();
    }
}

/// The success texts. Each names what happened, the serial and the ticket, and ends with the link (README, decision 13).
pub mod text {
    use super::{DetailId, Serial, Severity, TicketId, WorkQueue, ticket_link};

    /// Operators' log searches know the beginning of this text.
    pub fn created(serial: &Serial, ticket: &TicketId, kind: &str) -> String {
        format!(
            "Successfully created outage ticket for edge {serial}: ticket {ticket}, {kind}. {}",
            ticket_link(ticket)
        )
    }

    /// A line was re-opened.
    pub fn reopened(serial: &Serial, ticket: &TicketId) -> String {
        format!("The line of edge {serial} in ticket {ticket} was re-opened. {}", ticket_link(ticket))
    }

    /// Operators' log searches know a part of this text.
    pub fn autoresolved(serial: &Serial, ticket: &TicketId) -> String {
        format!(
            "Ticket linked to edge was autoresolved! The line of edge {serial} in ticket {ticket} is resolved. {}",
            ticket_link(ticket)
        )
    }

    /// A task was moved.
    pub fn forwarded(serial: &Serial, ticket: &TicketId, queue: WorkQueue) -> String {
        format!(
            "The line of edge {serial} in ticket {ticket} was forwarded to {queue}. {}",
            ticket_link(ticket)
        )
    }

    /// A reboot was started.
    pub fn rebooting(serial: &Serial, ticket: &TicketId, interface: &str) -> String {
        format!(
            "DiGi reboot started for faulty edge {serial}, interface {interface}, ticket {ticket}. {}",
            ticket_link(ticket)
        )
    }

    /// Triage: events were written down.
    pub fn events_told(line: &DetailId, serial: &Serial, ticket: &TicketId) -> String {
        format!(
            "Triage was appended to line {line} of edge {serial} in ticket {ticket}. {}",
            ticket_link(ticket)
        )
    }

    /// Triage, not in production: events would have been written down.
    pub fn events_untold(line: &DetailId, serial: &Serial, ticket: &TicketId, environment: &str) -> String {
        format!(
            "Triage would have been appended to line {line} of edge {serial} in ticket {ticket}, but tickets are not \
             changed in {} environment. {}",
            environment.to_uppercase(),
            ticket_link(ticket)
        )
    }

    /// Triage, in `dev`: this note would have been written.
    pub fn note_unwritten(
        line: &DetailId,
        serial: &Serial,
        ticket: &TicketId,
        environment: &str,
        note: &str,
    ) -> String {
        format!(
            "This note would have been appended to line {line} of edge {serial} in ticket {ticket}, but tickets are \
             not changed in {} environment:\n{note}\n{}",
            environment.to_uppercase(),
            ticket_link(ticket)
        )
    }

    /// A severity was changed.
    pub fn severity(serial: &Serial, ticket: &TicketId, level: Severity) -> String {
        format!(
            "The severity of Service Outage ticket {ticket} of edge {serial} was changed to {level} ({}). {}",
            level.name(),
            ticket_link(ticket)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_ends_with_the_link_also_when_there_were_more() {
        let failed = |link: Option<&str>, more| {
            let failed = Failed { text: "It failed: no.".to_owned(), link: link.map(str::to_owned), more };
            failed.told("get it", "cycle")
        };
        assert_eq!(failed(None, 0), "It failed: no.");
        assert_eq!(failed(None, 2), "It failed: no. (2 more failures to get it in the same cycle)");
        assert_eq!(failed(Some("link"), 0), "It failed: no. link");
        assert_eq!(
            failed(Some("link"), 2),
            "It failed: no. (2 more failures to get it in the same cycle). link"
        );
    }

    #[test]
    fn every_text_names_serial_and_ticket_and_ends_with_the_link() {
        let (serial, ticket, line) = (Serial::from("VC1234567"), TicketId::from(555), DetailId::from(77));
        let texts = [
            text::created(&serial, &ticket, "Link Down Outage (no HA)"),
            text::reopened(&serial, &ticket),
            text::autoresolved(&serial, &ticket),
            text::forwarded(&serial, &ticket, WorkQueue::HnocInvestigate),
            text::rebooting(&serial, &ticket, "GE3"),
            text::severity(&serial, &ticket, Severity(2)),
            text::events_told(&line, &serial, &ticket),
            text::events_untold(&line, &serial, &ticket, "dev"),
            text::note_unwritten(&line, &serial, &ticket, "dev", "the note"),
        ];
        for text in &texts {
            assert!(text.contains("VC1234567") && text.contains("ticket 555"), "{text}");
            assert!(text.ends_with("https://app.bruin.com/t/555"), "{text}");
        }
        insta::assert_snapshot!(texts.join("\n"));
    }
}
