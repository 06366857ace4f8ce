//! What is done after a ticket was asked for, by the answer's status (spec "Behaviour" 5).

use contracts::{bruin::OutageTicket, id::TicketId};
use serde::{Deserialize, Serialize};

use super::{Refusal, Ruling};
use crate::seen::Covering;

/// How a ticket came to cover the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Creation {
    /// 2xx: a new ticket.
    New,
    /// 409: a ticket in progress covers it already.
    InProgress,
    /// 471: a resolved ticket covers it, to be re-opened by us.
    Resolved,
    /// 472: a resolved ticket covered it, Bruin has re-opened it.
    Reopened,
    /// 473: a resolved ticket of the same location was re-opened by Bruin and got a line for it.
    ReopenedForSite,
}

/// What the re-opening of a line looks at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reopening {
    /// The device and its ticket.
    #[serde(flatten)]
    pub covering: Covering,
    /// Whether the ticket has a line of the serial.
    pub has_line: bool,
}

/// Whether a line is to be re-opened (spec "Behaviour" 12).
pub fn reopen(facts: &Reopening) -> Ruling<()> {
    if facts.has_line {
        Ok(())
    } else {
        Err(Refusal::new("reopen.line", "the ticket has no line of the serial"))
    }
}

impl Creation {
    /// From a reply; `None` without a ticket number.
    pub fn of(reply: &OutageTicket) -> Option<(Self, TicketId)> {
        let creation = match reply {
            OutageTicket::Created(_) => Self::New,
            OutageTicket::InProgress(_) => Self::InProgress,
            OutageTicket::Resolved(_) => Self::Resolved,
            OutageTicket::Reopened(_) => Self::Reopened,
            OutageTicket::ReopenedForSite(_) => Self::ReopenedForSite,
        };
        Some((creation, reply.ticket()?.clone()))
    }
}

/// The second line of a documentation note.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Title {
    /// A new outage.
    Triage,
    /// An outage after a resolved one.
    Reopening,
}

/// One step of handling a ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Count the new ticket and say so on Slack.
    Announce,
    /// Re-open the line; when that worked: say so, document it as a re-opening, count it.
    Reopen,
    /// Append the documentation note.
    Document(Title),
    /// Set the severity; with `check_tasks` only while at most one line is unresolved.
    SetSeverity {
        /// Whether the ticket's other lines are looked at.
        check_tasks: bool,
    },
    /// Schedule the forward to HNOC.
    ScheduleHnoc,
    /// Schedule it only if the severity was changed, or if a forward got lost.
    RescheduleHnoc,
    /// Reboot the DiGi units of disconnected links.
    RebootDigi,
    /// See whether earlier reboots helped.
    CheckFailedReboots,
    /// Forward to ASR.
    ForwardToAsr,
}

/// The steps, in this order.
pub fn steps(creation: Creation) -> &'static [Step] {
    match creation {
        Creation::New => &[
            Step::Announce,
            Step::Document(Title::Triage),
            Step::SetSeverity { check_tasks: false },
            Step::ScheduleHnoc,
            Step::RebootDigi,
        ],
        Creation::InProgress => &[
            Step::SetSeverity { check_tasks: true },
            Step::RescheduleHnoc,
            Step::CheckFailedReboots,
            Step::ForwardToAsr,
        ],
        Creation::Resolved => {
            &[Step::Reopen, Step::SetSeverity { check_tasks: true }, Step::ScheduleHnoc, Step::RebootDigi]
        }
        Creation::Reopened => {
            &[Step::Document(Title::Reopening), Step::SetSeverity { check_tasks: true }, Step::ScheduleHnoc]
        }
        Creation::ReopenedForSite => {
            &[Step::Document(Title::Triage), Step::SetSeverity { check_tasks: false }, Step::ScheduleHnoc]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_status_leads_to_its_steps() {
        type Row = (u16, &'static [Step]);
        let table: [Row; 5] = [
            (
                200,
                &[
                    Step::Announce,
                    Step::Document(Title::Triage),
                    Step::SetSeverity { check_tasks: false },
                    Step::ScheduleHnoc,
                    Step::RebootDigi,
                ],
            ),
            (
                409,
                &[
                    Step::SetSeverity { check_tasks: true },
                    Step::RescheduleHnoc,
                    Step::CheckFailedReboots,
                    Step::ForwardToAsr,
                ],
            ),
            (
                471,
                &[
                    Step::Reopen,
                    Step::SetSeverity { check_tasks: true },
                    Step::ScheduleHnoc,
                    Step::RebootDigi,
                ],
            ),
            (
                472,
                &[
                    Step::Document(Title::Reopening),
                    Step::SetSeverity { check_tasks: true },
                    Step::ScheduleHnoc,
                ],
            ),
            (
                473,
                &[
                    Step::Document(Title::Triage),
                    Step::SetSeverity { check_tasks: false },
                    Step::ScheduleHnoc,
                ],
            ),
        ];
        for (status, expected) in table {
            let (creation, ticket) = Creation::of(&OutageTicket::of(status, "555").unwrap()).unwrap();
            assert_eq!(ticket, TicketId::from(555));
            assert_eq!(steps(creation), expected, "{status}");
        }
    }

    #[test]
    fn any_other_status_or_no_ticket_is_a_failure() {
        for status in [400, 401, 403, 404, 500, 503] {
            assert_eq!(OutageTicket::of(status, "555"), None, "{status}");
        }
        assert_eq!(Creation::of(&OutageTicket::of(200, "null").unwrap()), None);
    }
}
