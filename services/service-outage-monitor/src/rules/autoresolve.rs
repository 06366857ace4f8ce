//! Whether a line is resolved because its edge is healthy again (spec "Behaviour" 11).

use askama::Template;
use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use contracts::id::Serial;
use serde::{Deserialize, Serialize};
use ticketing::{GraceWindow, OpenTicket, SiteOffset, TicketDetails, note, note::MARKER, time};

use super::{Environment, Refusal, Ruling};

/// The settings of this rule.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Day and night with their grace periods.
    pub window: GraceWindow,
    /// How often a line may be resolved by the engine.
    pub limit: usize,
    /// The user whose tickets may be resolved.
    pub system_user: String,
    /// The gate of ticket changes.
    pub environment: Environment,
}

/// From which moment the outage counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Since {
    /// The latest re-open note.
    Reopening,
    /// The earliest triage note.
    Triage,
    /// The ticket's creation.
    Creation,
}

/// What the rule looks at, and nothing else: the same facts lead to the same decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// Whether the ticket was created by the system's own user.
    pub ours: bool,
    /// Whether the ticket has a line of the serial.
    pub has_line: bool,
    /// From when the outage counts; `None` when no date can be read.
    pub last_outage: Option<(Since, DateTime<Utc>)>,
    /// How often the line was resolved by the engine.
    pub autoresolves: usize,
    /// Whether the line is resolved.
    pub resolved: bool,
    /// The moment of the decision.
    pub now: DateTime<Utc>,
    /// The grace period at the site at that moment, in seconds.
    pub grace_seconds: i64,
}

impl Facts {
    /// The facts about a ticket and the line of `serial`.
    pub fn of(
        ticket: &OpenTicket,
        details: &TicketDetails,
        serial: &Serial,
        site: SiteOffset,
        now: DateTime<Utc>,
        settings: &Settings,
    ) -> Self {
        let notes = details.notes_of(serial);
        let line = details.line(serial);
        Self {
            ours: ticket.is_by(&settings.system_user),
            has_line: line.is_some(),
            last_outage: note::last_reopening(notes.iter().copied())
                .map(|at| (Since::Reopening, at))
                .or_else(|| note::first_triage(notes.iter().copied()).map(|at| (Since::Triage, at)))
                .or_else(|| ticket.created.map(|at| (Since::Creation, at))),
            autoresolves: notes.iter().filter(|note| note.is_autoresolve()).count(),
            resolved: line.is_some_and(ticketing::Line::is_resolved),
            now,
            grace_seconds: i64::try_from(settings.window.grace(now, site).as_secs()).unwrap_or(i64::MAX),
        }
    }
}

/// Whether a serial is one of the monitored ones (step 1).
pub fn is_whitelisted(whitelisted: bool) -> Ruling<()> {
    if whitelisted {
        Ok(())
    } else {
        Err(Refusal::new("autoresolve.whitelist", "the edge is not monitored any more"))
    }
}

/// The tickets that may be resolved (steps 2 and 3): those created by the system's own user.
pub fn own_tickets(tickets: Vec<OpenTicket>, settings: &Settings) -> Ruling<Vec<OpenTicket>> {
    if tickets.is_empty() {
        return Err(Refusal::new("autoresolve.ticket", "there is no open ticket"));
    }
    let own: Vec<OpenTicket> =
        tickets.into_iter().filter(|ticket| ticket.is_by(&settings.system_user)).collect();
    if own.is_empty() {
        return Err(Refusal::new(
            "autoresolve.creator",
            "the open ticket was not created by the system's own user",
        ));
    }
    Ok(own)
}

/// Whether the line is to be resolved (steps 3 to 8).
pub fn decide(facts: &Facts, settings: &Settings) -> Ruling<()> {
    let refuse = |rule, reason: &str| Err(Refusal::new(rule, reason));
    if !facts.ours {
        return refuse("autoresolve.creator", "the ticket was not created by the system's own user");
    }
    if !facts.has_line {
        return refuse("autoresolve.line", "the ticket has no line of the serial");
    }
    let Some((_, since)) = facts.last_outage else {
        return refuse("autoresolve.grace", "nothing tells when the outage was documented");
    };
    if facts.now - since > TimeDelta::seconds(facts.grace_seconds) {
        let reason = format!("the last documented outage is more than {} s ago", facts.grace_seconds);
        return Err(Refusal::new("autoresolve.grace", reason));
    }
    if facts.autoresolves >= settings.limit {
        let reason = format!("the line was auto-resolved {} times", facts.autoresolves);
        return Err(Refusal::new("autoresolve.limit", reason));
    }
    if facts.resolved {
        return refuse("autoresolve.resolved", "the line is resolved already");
    }
    if !settings.environment.is_production() {
        return refuse("autoresolve.environment", "tickets are changed in production only");
    }
    Ok(())
}

#[derive(Template)]
#[template(path = "autoresolve.txt")]
struct AutoresolveNote<'a> {
    marker: &'static str,
    serial: &'a Serial,
    at: String,
}

/// The note which says that the line was resolved.
pub fn note_text(serial: &Serial, now: DateTime<Utc>, zone: Tz) -> String {
    let note = AutoresolveNote { marker: MARKER, serial, at: time::stamp(now, zone) };
    note.render().unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
#[path = "autoresolve_tests.rs"]
mod tests;
