//! What the rules say to a recorded question.

use chrono::{DateTime, Utc};
use serde::Serialize;
use ticketing::WorkQueue;

use super::settings::Rules;
use crate::{
    action::unit,
    question::Question,
    rules::{
        Next, Refusal, Ruling, asr, autoresolve,
        creation::{self, Title},
        detection,
        digi::{self, DigiLink, Remedy},
        documentation, hnoc, severity,
    },
    triage::rules::{self as triage, Task},
};

/// Something that is done, by what the ledger calls it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Deed {
    /// The action's name.
    pub action: String,
    /// What it is done to; of a note, without the number of its page.
    pub target: String,
    /// When it is due, of a forward.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due: Option<DateTime<Utc>>,
}

impl Deed {
    fn new(action: &str, target: impl Into<String>) -> Self {
        Self { action: action.to_owned(), target: target.into(), due: None }
    }
}

/// What the rules say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// Do all of this.
    Act(Vec<Deed>),
    /// Do the first of this that succeeds.
    InTurn(Vec<Deed>),
    /// Do nothing.
    Nothing {
        /// The rule that stops the work.
        rule: String,
        /// Completes "nothing, because ...".
        reason: String,
    },
    /// Go on: what the next rule would have seen is not recorded.
    GoOn,
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        Self::Nothing { rule: refusal.rule.to_owned(), reason: refusal.reason }
    }
}

/// The answer when a rule has decided all.
fn all<T>(ruling: Ruling<T>, deed: impl FnOnce(T) -> Deed) -> Answer {
    ruling.map_or_else(Answer::from, |value| Answer::Act(vec![deed(value)]))
}

/// The answer when a rule may lack facts.
fn so_far<T>(ruling: Ruling<Next<T>>, deed: impl FnOnce(T) -> Deed) -> Answer {
    match ruling {
        Ok(Next::Act(value)) => Answer::Act(vec![deed(value)]),
        Ok(Next::Ask) => Answer::GoOn,
        Err(refusal) => refusal.into(),
    }
}

impl Question {
    /// What the rules say of a device, with these settings.
    pub fn answer(&self, device: &str, rules: &Rules) -> Answer {
        let config = &rules.outage;
        let environment = &config.common.environment;
        let forward = |queue: WorkQueue| Deed::new("forward", format!("{device}: {queue}"));
        let reboot = |link: &DigiLink| {
            Deed::new("reboot_digi", format!("{device}: {}", unit(&link.interface, &link.mac)))
        };
        let note = |about: &str| Deed::new("append_note", format!("{device}: {about}"));
        match self {
            Self::Look(facts) => match detection::look(facts) {
                Ok(Some(kind)) => detection::quarantine(kind, config.quarantines.of(kind)).into(),
                Ok(None) => Answer::GoOn,
                Err(refusal) => refusal.into(),
            },
            Self::Recheck(facts) => match detection::recheck(facts, environment) {
                Ok(Some(kind)) => Answer::Act(vec![Deed::new("create_ticket", format!("{device}: {kind}"))]),
                Ok(None) => Answer::GoOn,
                Err(refusal) => refusal.into(),
            },
            Self::Reopen(facts) => all(creation::reopen(facts), |()| Deed::new("open_line", device)),
            Self::Document(facts) => all(documentation::decide(facts), |_| {
                note(match facts.title {
                    Title::Triage => "triage",
                    Title::Reopening => "re-opening",
                })
            }),
            Self::Severity(facts) => so_far(severity::decide(facts, config.levels), |level| {
                Deed::new("set_severity", format!("{device}: severity {level}"))
            }),
            Self::Schedule(facts) => all(hnoc::decide(facts, &config.window, config.common.zone), |due| {
                let target = format!("{device}: {}", WorkQueue::HnocInvestigate);
                Deed { due: Some(due), ..Deed::new("schedule_forward", target) }
            }),
            Self::Forward(facts) => {
                all(hnoc::forward(facts, environment), |()| forward(WorkQueue::HnocInvestigate))
            }
            Self::Reboot(facts) => match digi::reboots(facts, &config.digi) {
                Ok(links) => Answer::Act(links.iter().map(reboot).collect()),
                Err(refusal) => refusal.into(),
            },
            Self::CheckReboots(facts) => match digi::check(facts, &config.digi) {
                Ok(Next::Act(remedies)) => in_turn(remedies, reboot, forward),
                Ok(Next::Ask) => Answer::GoOn,
                Err(refusal) => refusal.into(),
            },
            Self::Asr(facts) => {
                so_far(asr::decide(facts, &config.asr), |()| forward(WorkQueue::CarrierIssue))
            }
            Self::Tickets(facts) => autoresolve::tickets(facts).map_or_else(Answer::from, |()| Answer::GoOn),
            Self::LookAgain(facts) => {
                autoresolve::look_again(facts).map_or_else(Answer::from, |()| Answer::GoOn)
            }
            Self::Autoresolve(facts) => {
                all(autoresolve::decide(facts, &config.autoresolve), |()| Deed::new("resolve_line", device))
            }
            Self::Triage(facts) => {
                let (interval, common) = (rules.triage.last_note_interval, &rules.triage.common);
                so_far(triage::decide(facts, interval, &common.environment), |task| {
                    note(match task {
                        Task::Document(_) => "triage",
                        Task::TellEvents { .. } => "events",
                    })
                })
            }
        }
    }

    /// The actions that the rule decides; others only go with them.
    pub fn actions(&self) -> &'static [&'static str] {
        match self {
            Self::Look(_) | Self::Tickets(_) | Self::LookAgain(_) => &[],
            Self::Recheck(_) => &["create_ticket"],
            Self::Reopen(_) => &["open_line"],
            Self::Document(_) | Self::Triage(_) => &["append_note"],
            Self::Severity(_) => &["set_severity"],
            Self::Schedule(_) => &["schedule_forward"],
            Self::Forward(_) | Self::Asr(_) => &["forward"],
            Self::Reboot(_) => &["reboot_digi"],
            Self::CheckReboots(_) => &["reboot_digi", "forward"],
            Self::Autoresolve(_) => &["resolve_line"],
        }
    }
}

fn in_turn(
    remedies: Vec<Remedy>,
    reboot: impl Fn(&DigiLink) -> Deed,
    forward: impl Fn(WorkQueue) -> Deed,
) -> Answer {
    let mut deeds = Vec::new();
    for remedy in remedies {
        match remedy {
            Remedy::Reboot(link) => deeds.push(reboot(&link)),
            Remedy::WirelessTeam(_) => deeds.push(forward(WorkQueue::WirelessRepair)),
            Remedy::Stop(refusal) if deeds.is_empty() => return refusal.into(),
            Remedy::Stop(_) => break,
        }
    }
    Answer::InTurn(deeds)
}

/// The facts (by their names in the ledger) that a rule looks at: those which matter when it decides otherwise.
#[allow(clippy::match_same_arms, reason = "a table by rule")]
pub fn matters(rule: &str) -> &'static [&'static str] {
    match rule {
        "edges.record" | "outage.primary" => &["state", "partner", "primary", "links"],
        "outage.quarantine" => &["state", "partner", "links"],
        "recheck.kind" | "outage.ticket" => &["waited", "state", "partner", "links"],
        "recheck.environment" | "hnoc.environment" | "hnoc.lookup" | "triage.environment" => &[],
        "reopen.line" | "reopen" | "autoresolve.line" => &["has_line"],
        "documentation.once" => &["ticket", "documented"],
        "documentation.line" | "documentation" => &["line"],
        "severity.tasks" => &["unresolved_lines"],
        "severity.same" | "severity" => &["edge", "present"],
        "hnoc.pending" => &["trigger", "pending"],
        "hnoc.done" => &["trigger", "settled"],
        "hnoc.schedule" => &["kind", "now", "site"],
        "hnoc.late" => &["due", "now"],
        "hnoc.resolved" | "hnoc.forward" => &["resolved"],
        "digi.links" | "digi.reboot" => &["units"],
        "digi.edge_offline" | "asr.edge_offline" => &["edge"],
        "digi.grace" => &["history", "now"],
        "digi.line" | "digi.first" | "digi.wireless" | "asr.line" | "asr.once" => &["history"],
        "asr.wired" | "asr.label" => &["wired"],
        "asr" => &["wired", "history"],
        "autoresolve.whitelist" => &["unmonitored"],
        "autoresolve.unanswered" => &["unanswered"],
        "autoresolve.ticket" => &["open", "with_line"],
        "autoresolve.creator" => &["open", "ours"],
        "autoresolve.reread" => &["edge"],
        "autoresolve.grace" => &["last_outage", "now", "site"],
        "autoresolve.limit" => &["autoresolves"],
        "autoresolve.resolved" => &["resolved"],
        "autoresolve" => &["last_outage", "autoresolves", "now", "site"],
        "triage.last_note" => &["newest", "now"],
        "triage.record" | "triage.primary" | "triage.document" => &["edge", "triage_notes"],
        "triage.events" => &["news", "again"],
        "triage.line" | "triage.second_look" => &["again"],
        _ => &[],
    }
}
