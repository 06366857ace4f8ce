//! What is kept of unfinished work.

use chrono::{DateTime, TimeDelta, Utc};
use contracts::id::{DetailId, Serial, TicketId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use ticketing::OutageKind;

use crate::{
    action::{Action, Line},
    edges::EdgeRecord,
    rules::creation::Creation,
    store::token,
};

/// Work that began longer ago is not taken up again: what the existing deployment's scheduler calls a missed start.
pub const LATEST: TimeDelta = TimeDelta::seconds(9_999);

/// Something begun for a device. One for each device and kind of outage, or ticket that is resolved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The device.
    pub serial: Serial,
    /// When it began.
    pub since: DateTime<Utc>,
    /// What it is.
    #[serde(flatten)]
    pub task: Task,
    /// What was begun of it at third parties, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deeds: Vec<Deed>,
}

/// What was begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "task", rename_all = "snake_case")]
pub enum Task {
    /// The edge is waited for.
    Quarantine {
        /// What is down.
        kind: OutageKind,
        /// When it is looked at again.
        due: DateTime<Utc>,
        /// When a ticket was asked for before with an outcome that never became known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lost: Option<DateTime<Utc>>,
    },
    /// It is still down: a ticket is asked for, documented, ...
    Outage {
        /// What is down.
        kind: OutageKind,
        /// The edge as it was then.
        record: Box<EdgeRecord>,
        /// The ticket, once it is known.
        covered: Option<(Creation, TicketId)>,
        /// The documentation note as it is to be written, once it was put together: all pages.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pages: Vec<String>,
        /// When an earlier creation was asked for whose outcome never became known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lost: Option<DateTime<Utc>>,
    },
    /// A ticket was asked for, and nobody knows what came of it: the next re-check tells.
    LostCreation {
        /// What was down.
        kind: OutageKind,
    },
    /// A line is being resolved.
    Resolution {
        /// The ticket.
        ticket: TicketId,
        /// The line.
        line: DetailId,
        /// What the rule looked at that decided it.
        facts: Value,
    },
}

/// An action whose intent is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deed {
    /// The action's name and target.
    pub what: String,
    /// When it was begun.
    pub at: DateTime<Utc>,
    /// Until when the request may still be under way, whatever became of the requester.
    pub until: DateTime<Utc>,
    /// The text of a note, to be found again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Whether it was done; absent while that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub done: Option<bool>,
}

impl Deed {
    /// What tells deeds apart: the name and target of their action.
    pub fn of(action: &Action) -> String {
        format!("{} {}", decisions::Action::name(action), decisions::Action::target(action))
    }
}

impl Entry {
    /// The name in the store.
    pub fn name(&self) -> String {
        let serial = token(self.serial.as_str());
        match &self.task {
            Task::Quarantine { kind, .. } | Task::Outage { kind, .. } | Task::LostCreation { kind } => {
                format!("{serial}.{}", token(kind.name()))
            }
            Task::Resolution { ticket, .. } => format!("{serial}.ticket-{}", token(&ticket.to_string())),
        }
    }

    /// The name of what is kept for a device and kind of outage.
    pub fn name_of(serial: &Serial, kind: OutageKind) -> String {
        let (since, task) = (DateTime::UNIX_EPOCH, Task::LostCreation { kind });
        Self { serial: serial.clone(), since, task, deeds: Vec::new() }.name()
    }

    /// An edge in quarantine.
    pub fn quarantine(serial: Serial, kind: OutageKind, since: DateTime<Utc>, due: DateTime<Utc>) -> Self {
        Self { serial, since, task: Task::Quarantine { kind, due, lost: None }, deeds: Vec::new() }
    }

    /// An outage for which a ticket is about to be asked; `lost` is when that was done before with unknown outcome.
    pub fn outage(
        record: EdgeRecord,
        kind: OutageKind,
        now: DateTime<Utc>,
        lost: Option<DateTime<Utc>>,
    ) -> Self {
        let serial = record.serial.clone();
        let task = Task::Outage { kind, record: Box::new(record), covered: None, pages: Vec::new(), lost };
        Self { serial, since: now, task, deeds: Vec::new() }
    }

    /// A line that is about to be resolved.
    pub fn resolution(line: Line, facts: Value, now: DateTime<Utc>) -> Self {
        let Line { ticket, line, serial } = line;
        Self { serial, since: now, task: Task::Resolution { ticket, line, facts }, deeds: Vec::new() }
    }

    /// When a ticket was asked for before with an outcome that never became known; not once the ticket is.
    pub fn lost(&self) -> Option<DateTime<Utc>> {
        match &self.task {
            Task::Outage { covered: Some(_), .. } | Task::Resolution { .. } => None,
            Task::Quarantine { lost, .. } | Task::Outage { lost, .. } => *lost,
            Task::LostCreation { .. } => Some(self.since),
        }
    }

    /// Whether something may have been done on its account.
    pub fn is_under_way(&self) -> bool {
        matches!(self.task, Task::Outage { .. } | Task::Resolution { .. })
    }

    /// Whether it is an edge whose quarantine is over.
    pub fn has_waited(&self, now: DateTime<Utc>) -> bool {
        matches!(self.task, Task::Quarantine { due, .. } if due <= now)
    }

    /// A deed by its name and target.
    pub fn deed(&self, what: &str) -> Option<&Deed> {
        self.deeds.iter().find(|deed| deed.what == what)
    }
}
