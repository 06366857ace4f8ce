//! The domain shared by the monitors that keep trouble tickets in Bruin.
//!
//! - [`note`]: the markers which tell our notes from people's, and the recognisers of each kind of note;
//! - [`ticket`]: a ticket, its lines and notes as the rules see them (made from the wire types of `contracts`);
//! - [`time`]: how instants are written in notes and read from third parties;
//! - [`paging`]: how a long note is cut into pages;
//! - [`outage`]: the kinds of outage of an edge;
//! - [`window`]: day, night and the grace period that goes with each;
//! - [`severity`], [`queue`]: severities and work queues; [`ticket_link`]: where people find a ticket.
//!
//! Everything here is pure: no I/O, no clock, no logging.

pub mod note;
pub mod outage;
pub mod paging;
pub mod queue;
pub mod severity;
pub mod ticket;
pub mod time;
pub mod window;

use contracts::id::TicketId;

pub use note::Note;
pub use outage::OutageKind;
pub use queue::WorkQueue;
pub use severity::Severity;
pub use ticket::{Line, OpenTicket, TicketDetails};
pub use window::{GraceWindow, SiteOffset};

/// Where people find a ticket; every Slack text about a ticket ends with it.
pub fn ticket_link(ticket: &TicketId) -> String {
    format!("https://app.bruin.com/t/{ticket}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_link_names_the_ticket() {
        assert_eq!(ticket_link(&TicketId::from(555)), "https://app.bruin.com/t/555");
    }
}
