//! Bruin's tickets: lines, notes, severity, work queues, and the states they go through.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use super::notes::{NewNote, Note};
use super::queues::{self, Queue};
use super::repair::RepairPolicy;

/// The name under which the engine works in Bruin.
pub const ENGINE: &str = "Intelygenz Ai";
/// Bruin closes a ticket that was resolved this long ago; a closed one is never reopened.
pub const CLOSES_AFTER: TimeDelta = TimeDelta::hours(72);

/// What a ticket is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub enum Topic {
    /// Service Outage Trouble.
    #[serde(rename = "VOO")]
    Outage,
    /// Service Affecting Trouble.
    #[serde(rename = "VAS")]
    Affecting,
}

impl Topic {
    /// The code in queries.
    pub fn code(self) -> &'static str {
        match self {
            Self::Outage => "VOO",
            Self::Affecting => "VAS",
        }
    }

    /// The name in tickets.
    pub fn title(self) -> &'static str {
        match self {
            Self::Outage => "Service Outage Trouble",
            Self::Affecting => "Service Affecting Trouble",
        }
    }
}

/// Where a ticket stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub enum Status {
    /// Just created.
    New,
    /// Somebody has worked on it.
    InProgress,
    /// All lines are resolved.
    Resolved,
    /// Over.
    Closed,
}

impl Status {
    /// As written in tickets.
    pub fn title(self) -> &'static str {
        match self {
            Self::New => "New",
            Self::InProgress => "In-Progress",
            Self::Resolved => "Resolved",
            Self::Closed => "Closed",
        }
    }

    /// Whether a query's status names this one; both spellings of `InProgress` are in use.
    pub fn named(self, wanted: &str) -> bool {
        self.title().replace('-', "").eq_ignore_ascii_case(&wanted.replace('-', ""))
    }

    /// Whether work goes on.
    pub fn is_open(self) -> bool {
        matches!(self, Self::New | Self::InProgress)
    }
}

/// A line (detail) of a ticket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Line {
    /// Id.
    pub id: i64,
    /// Service number.
    pub serial: String,
    /// Whether it is resolved.
    pub resolved: bool,
    /// Whether it is paused.
    pub paused: bool,
    /// Work queue, trimmed.
    #[serde(serialize_with = "queue_name")]
    #[schema(value_type = String)]
    pub queue: Queue,
    /// Last change.
    pub updated: DateTime<Utc>,
}

fn queue_name<S: serde::Serializer>(queue: &Queue, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(queue.name.trim())
}

impl Line {
    /// The letter of `detailStatus`.
    pub fn status(&self) -> &'static str {
        if self.resolved { "R" } else { "I" }
    }
}

/// A ticket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Ticket {
    /// Id.
    pub id: i64,
    /// Client.
    pub client: i64,
    /// Site of the first line.
    pub site: Option<i64>,
    /// Topic.
    pub topic: Topic,
    /// Status when last changed; see [`Ticket::status`].
    pub status: Status,
    /// 1 High, 2 Medium High, 3 Medium Low, 4 Low.
    pub severity: i64,
    /// When it was created.
    pub created: DateTime<Utc>,
    /// Who created it.
    pub created_by: String,
    /// When all lines were resolved.
    pub resolved_at: Option<DateTime<Utc>>,
    /// The description given at creation.
    pub description: Option<String>,
    /// Lines.
    pub lines: Vec<Line>,
    /// Notes, oldest first.
    pub notes: Vec<Note>,
}

impl Ticket {
    /// The status now: a ticket which has been resolved for [`CLOSES_AFTER`] is closed.
    pub fn status(&self, now: DateTime<Utc>) -> Status {
        match (self.status, self.resolved_at) {
            (Status::Resolved, Some(at)) if now >= at + CLOSES_AFTER => Status::Closed,
            (status, _) => status,
        }
    }

    /// The line of a service number; of several, the newest.
    pub fn line_of(&self, serial: &str) -> Option<&Line> {
        self.lines.iter().rev().find(|line| line.serial == serial)
    }

    /// A line by its id or its service number, as Bruin's calls name it: the id counts when both are given.
    pub fn line(&self, detail: Option<i64>, serial: Option<&str>) -> Option<&Line> {
        match (detail, serial) {
            (Some(id), _) => self.lines.iter().find(|line| line.id == id),
            (None, Some(serial)) => self.line_of(serial),
            (None, None) => None,
        }
    }

    pub(super) fn line_mut(&mut self, detail: i64) -> Option<&mut Line> {
        self.lines.iter_mut().find(|line| line.id == detail)
    }

    /// Brings the ticket's status in line with its lines.
    pub(super) fn follow_lines(&mut self, now: DateTime<Utc>) {
        if !self.lines.is_empty() && self.lines.iter().all(|line| line.resolved) {
            if self.status.is_open() {
                self.status = Status::Resolved;
                self.resolved_at = Some(now);
            }
        } else if self.status == Status::Resolved {
            self.status = Status::InProgress;
            self.resolved_at = None;
        }
    }

    fn worked_on(&mut self) {
        if self.status == Status::New {
            self.status = Status::InProgress;
        }
    }
}

/// Why a change of a ticket is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TicketError {
    /// No such ticket.
    #[error("ticket {0} does not exist")]
    UnknownTicket(i64),
    /// The ticket has no such line.
    #[error("ticket {0} has no such detail")]
    UnknownLine(i64),
    /// A closed ticket cannot be changed.
    #[error("ticket {0} is closed")]
    Closed(i64),
    /// No such task result.
    #[error("result type {0} does not exist")]
    UnknownResult(i64),
}

/// What a new ticket is made of.
#[derive(Debug, Clone)]
pub struct NewTicket {
    /// Client.
    pub client: i64,
    /// Site of the first line.
    pub site: Option<i64>,
    /// Topic.
    pub topic: Topic,
    /// Service numbers of the lines.
    pub serials: Vec<String>,
    /// Who creates it.
    pub created_by: String,
    /// Severity.
    pub severity: i64,
    /// Description.
    pub description: Option<String>,
}

/// All tickets, indexed by client and service number.
#[derive(Debug, Clone)]
pub struct Tickets {
    pub(super) all: BTreeMap<i64, Ticket>,
    by_client: HashMap<i64, Vec<i64>>,
    by_serial: HashMap<String, Vec<i64>>,
    by_site: HashMap<i64, Vec<i64>>,
    next_ticket: i64,
    next_line: i64,
    next_note: i64,
    changed: Vec<i64>,
    /// What `POST /api/Ticket/repair` does about resolved tickets.
    pub policy: RepairPolicy,
}

impl Default for Tickets {
    fn default() -> Self {
        Self {
            all: BTreeMap::new(),
            by_client: HashMap::new(),
            by_serial: HashMap::new(),
            by_site: HashMap::new(),
            next_ticket: 5_200_000,
            next_line: 2_700_000,
            next_note: 41_800_000,
            changed: Vec::new(),
            policy: RepairPolicy::default(),
        }
    }
}

impl Tickets {
    /// A ticket.
    pub fn get(&self, id: i64) -> Option<&Ticket> {
        self.all.get(&id)
    }

    /// All, newest first.
    pub fn newest_first(&self) -> impl Iterator<Item = &Ticket> {
        self.all.values().rev()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Those of a client, newest first.
    pub fn of_client(&self, client: i64) -> impl Iterator<Item = &Ticket> {
        self.among(self.by_client.get(&client))
    }

    /// Those with a line for a service number, newest first.
    pub fn of_serial(&self, serial: &str) -> impl Iterator<Item = &Ticket> {
        self.among(self.by_serial.get(serial))
    }

    /// Those of a site, newest first.
    pub fn of_site(&self, site: i64) -> impl Iterator<Item = &Ticket> {
        self.among(self.by_site.get(&site))
    }

    fn among<'t>(&'t self, ids: Option<&'t Vec<i64>>) -> impl Iterator<Item = &'t Ticket> {
        ids.map_or(&[][..], Vec::as_slice).iter().rev().filter_map(|id| self.all.get(id))
    }

    /// Creates a ticket and returns its id.
    pub fn create(&mut self, new: NewTicket, now: DateTime<Utc>) -> i64 {
        let id = self.next_ticket;
        self.next_ticket += 1;
        let ticket = Ticket {
            id,
            client: new.client,
            site: new.site,
            topic: new.topic,
            status: Status::New,
            severity: new.severity,
            created: now,
            created_by: new.created_by,
            resolved_at: None,
            description: new.description,
            lines: Vec::new(),
            notes: Vec::new(),
        };
        self.all.insert(id, ticket);
        self.by_client.entry(new.client).or_default().push(id);
        if let Some(site) = new.site {
            self.by_site.entry(site).or_default().push(id);
        }
        for serial in &new.serials {
            self.add_line(id, serial, now);
        }
        self.changed.push(id);
        id
    }

    /// Adds a line to a ticket.
    pub(super) fn add_line(&mut self, ticket: i64, serial: &str, now: DateTime<Utc>) {
        let id = self.next_line;
        self.next_line += 1;
        let line = Line {
            id,
            serial: serial.to_owned(),
            resolved: false,
            paused: false,
            queue: queues::IPA,
            updated: now,
        };
        if let Some(ticket) = self.all.get_mut(&ticket) {
            ticket.lines.push(line);
            let known = self.by_serial.entry(serial.to_owned()).or_default();
            if known.last() != Some(&ticket.id) {
                known.push(ticket.id);
                // A line added to an old ticket: the index stays in order of age.
                known.sort_unstable();
                known.dedup();
            }
            self.changed.push(ticket.id);
        }
    }

    /// Changes a ticket that is not closed.
    pub(super) fn change<R>(
        &mut self,
        id: i64,
        now: DateTime<Utc>,
        change: impl FnOnce(&mut Ticket) -> Result<R, TicketError>,
    ) -> Result<R, TicketError> {
        let ticket = self.all.get_mut(&id).ok_or(TicketError::UnknownTicket(id))?;
        if ticket.status(now) == Status::Closed {
            return Err(TicketError::Closed(id));
        }
        let result = change(ticket)?;
        ticket.follow_lines(now);
        self.changed.push(id);
        Ok(result)
    }

    /// Opens or resolves a line.
    pub fn set_line(
        &mut self,
        ticket: i64,
        detail: i64,
        resolved: bool,
        now: DateTime<Utc>,
    ) -> Result<(), TicketError> {
        self.change(ticket, now, |ticket| {
            let id = ticket.id;
            let line = ticket.line_mut(detail).ok_or(TicketError::UnknownLine(id))?;
            line.resolved = resolved;
            line.updated = now;
            ticket.worked_on();
            Ok(())
        })
    }

    /// Ends a line's pause.
    pub fn unpause(
        &mut self,
        ticket: i64,
        detail: Option<i64>,
        serial: Option<&str>,
        now: DateTime<Utc>,
    ) -> Result<(), TicketError> {
        self.change_line(ticket, detail, serial, now, |line| line.paused = false)
    }

    /// Pauses a line, as people do in Bruin.
    pub fn pause(&mut self, ticket: i64, detail: i64, now: DateTime<Utc>) -> Result<(), TicketError> {
        self.change_line(ticket, Some(detail), None, now, |line| line.paused = true)
    }

    /// Moves a line to the queue that a task result leads to.
    pub fn give_result(
        &mut self,
        ticket: i64,
        detail: Option<i64>,
        serial: Option<&str>,
        result: i64,
        now: DateTime<Utc>,
    ) -> Result<(), TicketError> {
        let queue = queues::after_result(result).ok_or(TicketError::UnknownResult(result))?;
        self.change_line(ticket, detail, serial, now, |line| line.queue = queue)
    }

    fn change_line(
        &mut self,
        ticket: i64,
        detail: Option<i64>,
        serial: Option<&str>,
        now: DateTime<Utc>,
        change: impl FnOnce(&mut Line),
    ) -> Result<(), TicketError> {
        self.change(ticket, now, |ticket| {
            let detail =
                ticket.line(detail, serial).map(|line| line.id).ok_or(TicketError::UnknownLine(ticket.id))?;
            if let Some(line) = ticket.line_mut(detail) {
                change(line);
                line.updated = now;
            }
            ticket.worked_on();
            Ok(())
        })
    }

    /// Changes the severity.
    pub fn set_severity(
        &mut self,
        ticket: i64,
        severity: i64,
        now: DateTime<Utc>,
    ) -> Result<(), TicketError> {
        self.change(ticket, now, |ticket| {
            ticket.severity = severity;
            Ok(())
        })
    }

    /// Closes a ticket, as Bruin and people do.
    pub fn close(&mut self, ticket: i64, now: DateTime<Utc>) -> Result<(), TicketError> {
        self.change(ticket, now, |ticket| {
            ticket.lines.iter_mut().for_each(|line| line.resolved = true);
            Ok(())
        })?;
        self.change(ticket, now, |ticket| {
            ticket.status = Status::Closed;
            Ok(())
        })
    }

    /// Posts notes, all or none, in order. A note without lines belongs to all lines of the ticket.
    pub fn add_notes(
        &mut self,
        ticket: i64,
        notes: &[NewNote],
        now: DateTime<Utc>,
    ) -> Result<Vec<Note>, TicketError> {
        let mut next = self.next_note;
        let added = self.change(ticket, now, |ticket| {
            let mut added = Vec::new();
            for note in notes {
                added.push(note.posted(ticket, next, now)?);
                next += 1;
            }
            ticket.notes.extend(added.iter().cloned());
            if !added.is_empty() {
                ticket.worked_on();
            }
            Ok(added)
        })?;
        self.next_note = next;
        Ok(added)
    }

    pub(super) fn take_changed(&mut self) -> Vec<i64> {
        let mut changed = std::mem::take(&mut self.changed);
        changed.dedup();
        changed
    }
}
