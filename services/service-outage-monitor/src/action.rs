//! What this monitor does at third parties. The `decisions` crate carries these out, or records them in shadow mode.

use chrono::{DateTime, Utc};
use contracts::id::{ClientId, DetailId, Serial, TicketId};
use serde::Serialize;
use ticketing::{OutageKind, Severity, WorkQueue};

/// Something to be done. A ticket is `None` only in shadow mode, for one that the live twin is about to create.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Action {
    /// Ask for a ticket that covers the device.
    CreateTicket {
        /// The client.
        client: ClientId,
        /// The device.
        serial: Serial,
        /// What is down.
        kind: OutageKind,
    },
    /// Append a note. Its text stays out of the ledger, which may end in the log.
    AppendNote {
        /// The ticket.
        ticket: Option<TicketId>,
        /// The device on whose account.
        serial: Serial,
        /// The lines it belongs to; none = the whole ticket.
        lines: Vec<Serial>,
        /// What it is about, e.g. `triage 1/2`.
        about: String,
        /// The text.
        #[serde(skip)]
        text: String,
    },
    /// Open a resolved line again.
    OpenLine(Line),
    /// End a line's pause.
    UnpauseLine(Line),
    /// Resolve a line.
    ResolveLine(Line),
    /// Change the severity.
    SetSeverity {
        /// The ticket.
        ticket: Option<TicketId>,
        /// The device on whose account.
        serial: Serial,
        /// The new level.
        level: Severity,
        /// Why, as it will stand in the ticket.
        #[serde(skip)]
        reason: String,
    },
    /// Remember a forward to HNOC.
    ScheduleForward {
        /// The ticket.
        ticket: Option<TicketId>,
        /// The device.
        serial: Serial,
        /// When it is due.
        due: DateTime<Utc>,
    },
    /// Move the device's task to a work queue.
    Forward {
        /// The ticket.
        ticket: Option<TicketId>,
        /// The device.
        serial: Serial,
        /// The line, except for HNOC.
        line: Option<DetailId>,
        /// Where to.
        queue: WorkQueue,
    },
    /// Reboot a link by its DiGi unit.
    RebootDigi {
        /// The ticket.
        ticket: Option<TicketId>,
        /// The device.
        serial: Serial,
        /// The link's interface.
        interface: String,
        /// The unit.
        mac: String,
    },
}

impl Action {
    /// The ticket on which it is done; `None` for a creation, and where a shadow does not know it.
    pub fn ticket(&self) -> Option<&TicketId> {
        match self {
            Self::CreateTicket { .. } => None,
            Self::OpenLine(line) | Self::UnpauseLine(line) | Self::ResolveLine(line) => Some(&line.ticket),
            Self::AppendNote { ticket, .. }
            | Self::SetSeverity { ticket, .. }
            | Self::ScheduleForward { ticket, .. }
            | Self::Forward { ticket, .. }
            | Self::RebootDigi { ticket, .. } => ticket.as_ref(),
        }
    }

    /// The client for whom a ticket is asked for.
    pub fn client(&self) -> Option<&ClientId> {
        match self {
            Self::CreateTicket { client, .. } => Some(client),
            _ => None,
        }
    }
}

/// A DiGi unit in texts that tell actions apart: an interface may have several units.
pub fn unit(interface: &str, mac: &str) -> String {
    format!("{interface} ({mac})")
}

/// A line of a ticket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// The ticket.
    pub ticket: TicketId,
    /// The line.
    pub line: DetailId,
    /// The device.
    pub serial: Serial,
}

impl decisions::Action for Action {
    fn name(&self) -> &'static str {
        match self {
            Self::CreateTicket { .. } => "create_ticket",
            Self::AppendNote { .. } => "append_note",
            Self::OpenLine(_) => "open_line",
            Self::UnpauseLine(_) => "unpause_line",
            Self::ResolveLine(_) => "resolve_line",
            Self::SetSeverity { .. } => "set_severity",
            Self::ScheduleForward { .. } => "schedule_forward",
            Self::Forward { .. } => "forward",
            Self::RebootDigi { .. } => "reboot_digi",
        }
    }

    /// Without the ticket's number, which a shadow cannot know of a ticket that its live twin is about to create: at most
    /// one open ticket covers a device, so the serial says as much.
    fn target(&self) -> String {
        match self {
            Self::CreateTicket { serial, kind, .. } => format!("{serial}: {kind}"),
            Self::AppendNote { serial, about, .. } => format!("{serial}: {about}"),
            Self::OpenLine(line) | Self::UnpauseLine(line) | Self::ResolveLine(line) => {
                line.serial.to_string()
            }
            Self::SetSeverity { serial, level, .. } => format!("{serial}: severity {level}"),
            Self::ScheduleForward { serial, .. } => format!("{serial}: {}", WorkQueue::HnocInvestigate),
            Self::Forward { serial, queue, .. } => format!("{serial}: {queue}"),
            Self::RebootDigi { serial, interface, mac, .. } => {
                format!("{serial}: {}", unit(interface, mac))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use decisions::Action as _;

    #[test]
    fn a_note_is_recorded_without_its_text() {
        let action = Action::AppendNote {
            ticket: Some(555.into()),
            serial: Serial::from("VC1"),
            lines: vec![],
            about: "triage 1/2".into(),
            text: "secret".into(),
        };
        assert_eq!(action.target(), "VC1: triage 1/2");
        assert!(!serde_json::to_string(&action).unwrap().contains("secret"));
    }

    #[test]
    fn two_units_of_one_interface_are_two_targets() {
        let reboot = |mac: &str| Action::RebootDigi {
            ticket: Some(555.into()),
            serial: Serial::from("VC1"),
            interface: "GE1".into(),
            mac: mac.into(),
        };
        assert_eq!(reboot("00:04:2d:00:00:01").target(), "VC1: GE1 (00:04:2d:00:00:01)");
        assert_ne!(reboot("00:04:2d:00:00:01").target(), reboot("00:04:2d:00:00:02").target());
    }

    #[test]
    fn an_action_names_its_ticket_or_the_client_who_is_to_get_one() {
        let line = Line { ticket: 555.into(), line: 77.into(), serial: Serial::from("VC1") };
        assert_eq!(Action::OpenLine(line).ticket(), Some(&TicketId::from(555)));
        let creation = Action::CreateTicket {
            client: 9.into(),
            serial: Serial::from("VC1"),
            kind: OutageKind::LinkDown,
        };
        assert_eq!((creation.ticket(), creation.client()), (None, Some(&ClientId::from(9))));
    }

    #[test]
    fn a_shadow_names_its_targets_like_the_live_twin() {
        let severity = |ticket| Action::SetSeverity {
            ticket,
            serial: Serial::from("VC1"),
            level: Severity(2),
            reason: String::new(),
        };
        assert_eq!(severity(None).target(), severity(Some(555.into())).target());
    }
}
