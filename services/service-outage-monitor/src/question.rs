//! What a rule was asked, with all it looked at: recorded with each decision, so that it can be made again.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    rules::{asr, autoresolve, creation, detection, digi, documentation, hnoc, severity},
    triage,
};

/// The facts of a decision, by what was asked. The same facts (and settings) lead to the same decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "asked", rename_all = "snake_case")]
pub enum Question {
    /// What the cycle makes of an edge.
    Look(detection::Look),
    /// What is done after quarantine.
    Recheck(detection::Recheck),
    /// Whether a line is re-opened.
    Reopen(creation::Reopening),
    /// Which line gets the documentation note.
    Document(documentation::Facts),
    /// Which severity a ticket is to have.
    Severity(severity::Facts),
    /// When a line is forwarded to HNOC.
    Schedule(hnoc::Scheduling),
    /// Whether a forward that is due is carried out.
    Forward(hnoc::Forwarding),
    /// Which DiGi units are rebooted for a new ticket.
    Reboot(digi::Reboots),
    /// What is done when reboots did not help.
    CheckReboots(digi::Check),
    /// Whether a line is forwarded to ASR.
    Asr(asr::Facts),
    /// Whether a healthy edge has tickets that may be resolved.
    Tickets(autoresolve::Tickets),
    /// Whether an edge is still healthy right before its line is resolved.
    LookAgain(autoresolve::SecondLook),
    /// Whether a line is resolved.
    Autoresolve(autoresolve::Facts),
    /// What triage does for a line.
    Triage(triage::rules::Facts),
}

impl Question {
    /// As it stands in the ledger.
    pub fn facts(&self) -> Value {
        // Only texts, numbers and lists: writing them can not fail.
        serde_json::to_value(self).unwrap_or_default()
    }
}
