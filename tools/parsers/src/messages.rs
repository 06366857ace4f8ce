//! What travels over NATS, and what the ledger keeps.

use contracts::{Incoming, bruin, catalogue, json};
use kre::{Contract, Reading, Unknown};
use serde_json::{Map, Value};
use ticketing::ticket::{OpenTicket, TicketDetails};

/// Envelopes of any peer: legal text stays, what is made legal is legal, an id is echoed as it came.
pub fn envelopes(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let legal = json::legal(text);
    assert_eq!(json::legal(&legal), legal, "legal text stays as it is");
    if let Ok(incoming) = Incoming::read(&legal) {
        let id = incoming.request_id().get();
        assert!(id == "null" || text.len() < id.len() || legal.contains(id), "the id is a part of the text");
        let _ = (incoming.body_object(), incoming.top_level());
    }
}

/// Requests on every subject: taken or refused with a status.
pub fn requests(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let legal = json::legal(text);
    let Ok(incoming) = Incoming::read(&legal) else { return };
    for entry in catalogue::all() {
        if let Err(refused) = entry.check(&incoming) {
            assert!(
                (400..600).contains(&refused.status),
                "{} refuses with {}",
                entry.subject,
                refused.status
            );
        }
    }
}

/// Tickets and their details as monitors read them out of replies.
pub fn tickets(bytes: &[u8]) {
    let zone = chrono_tz::US::Eastern;
    if let Ok(ticket) = serde_json::from_slice::<bruin::Ticket>(bytes) {
        let _ = OpenTicket::read(ticket, zone).map(|ticket| ticket.is_by("system"));
    }
    if let Ok(reply) = serde_json::from_slice::<bruin::TicketDetailsReply>(bytes) {
        let details = TicketDetails::read(reply, zone);
        let unresolved = details.lines.iter().filter(|line| !line.is_resolved()).count();
        assert_eq!(details.unresolved_lines(), unresolved);
    }
}

/// Requests to the models: what fits the contract is a message, which reads back.
pub fn models(bytes: &[u8]) {
    let Ok(request) = serde_json::from_slice::<Map<String, Value>>(bytes) else { return };
    for contract in Contract::ALL {
        let Ok(service) = contract.service() else { continue };
        for method in service.methods() {
            for unknown in [Unknown::Ignored, Unknown::Refused] {
                let reading = Reading { unknown, lone_elements: true, ids: &["ticket_id", "email_id"] };
                if let Ok(message) = reading.message(&method.input(), &request) {
                    let again = kre::json(&message);
                    let strict = Reading { unknown: Unknown::Refused, lone_elements: false, ids: &[] };
                    assert!(strict.message(&method.input(), &again).is_ok(), "what was written can be read");
                }
            }
        }
    }
}

/// Lines of the ledger, of any version.
pub fn ledger(bytes: &[u8]) {
    if let Some(entry) = decisions::Entry::read(bytes) {
        let _ = entry.record();
    }
}
