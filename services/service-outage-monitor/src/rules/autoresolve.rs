//! Whether a line is resolved because its edge is healthy again (spec "Behaviour" 11).

use askama::Template;
use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use contracts::id::Serial;
use serde::{Deserialize, Serialize};
use ticketing::{GraceWindow, OpenTicket, SiteOffset, TicketDetails, note, note::MARKER, time};

use super::{Environment, Refusal, Ruling};
use crate::seen::{self, Seen};

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
    /// The zone of sites whose offset is unknown.
    pub zone: Tz,
}

/// What is known of a healthy edge and its client's open tickets. Nearly all edges are healthy and have none, so what is
/// usual is not recorded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tickets {
    /// The edge is not monitored any more.
    #[serde(default, skip_serializing_if = "seen::no")]
    pub unmonitored: bool,
    /// A request for the tickets got no answer.
    #[serde(default, skip_serializing_if = "seen::no")]
    pub unanswered: bool,
    /// How many tickets are open, of the edge or of its whole client.
    #[serde(default, skip_serializing_if = "seen::zero")]
    pub open: usize,
    /// How many of them the system's own user created. Who created the others is not recorded.
    #[serde(default, skip_serializing_if = "seen::zero")]
    pub ours: usize,
    /// How many of these have a line of the edge, where the client's were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub with_line: Option<usize>,
}

/// Whether an edge has tickets that may be resolved (steps 1 to 3).
pub fn tickets(facts: &Tickets) -> Ruling<()> {
    let refuse = |rule, reason: &str| Err(Refusal::new(rule, reason));
    let none = || refuse("autoresolve.ticket", "there is no open ticket");
    match facts {
        Tickets { unmonitored: true, .. } => {
            refuse("autoresolve.whitelist", "the edge is not monitored any more")
        }
        Tickets { unanswered: true, .. } => Err(unanswered()),
        Tickets { open: 0, .. } => none(),
        Tickets { ours: 0, .. } => {
            refuse("autoresolve.creator", "the open ticket was not created by the system's own user")
        }
        Tickets { with_line: Some(0), .. } => none(),
        Tickets { .. } => Ok(()),
    }
}

fn unanswered() -> Refusal {
    Refusal::new("autoresolve.unanswered", "a request for the tickets or the edge got no answer")
}

/// What the second look at an edge shows, right before its line is resolved ("Improve" 16).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecondLook {
    /// The request got no answer.
    #[serde(default, skip_serializing_if = "seen::no")]
    pub unanswered: bool,
    /// The edge; `None` when VeloCloud does not list it any more.
    pub edge: Option<Seen>,
}

/// Whether the edge is still healthy.
pub fn look_again(facts: &SecondLook) -> Ruling<()> {
    match &facts.edge {
        _ if facts.unanswered => Err(unanswered()),
        None => Err(Refusal::new("autoresolve.reread", "VeloCloud does not list the edge any more")),
        Some(edge) if edge.outage().is_some() => {
            Err(Refusal::new("autoresolve.reread", "the edge is down again"))
        }
        Some(_) => Ok(()),
    }
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
    /// The offset of the edge's site from UTC in hours, when it is known.
    pub site: Option<i32>,
}

impl Facts {
    /// The facts about a ticket and the line of `serial`.
    pub fn of(
        ticket: &OpenTicket,
        details: &TicketDetails,
        serial: &Serial,
        site: Option<i32>,
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
            site,
        }
    }
}

/// Those of open tickets which may be resolved: created by the system's own user.
pub fn own_tickets(tickets: Vec<OpenTicket>, settings: &Settings) -> Vec<OpenTicket> {
    tickets.into_iter().filter(|ticket| ticket.is_by(&settings.system_user)).collect()
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
    let grace = settings.window.grace(facts.now, SiteOffset::of_site(facts.site, settings.zone));
    if facts.now - since > TimeDelta::from_std(grace).unwrap_or(TimeDelta::MAX) {
        let reason = format!("the last documented outage is more than {} s ago", grace.as_secs());
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
