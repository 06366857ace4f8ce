//! What travels over NATS, and what the ledger keeps.

use contracts::{Incoming, bruin, catalogue, json::legal};
use kre::{Contract, Reading, Unknown};
use serde_json::{Map, Value, json};
use ticketing::ticket::{OpenTicket, TicketDetails};

/// Envelopes of any peer: legal text stays, and what is taken out of one is what a whole parse finds in it.
pub fn envelopes(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let made = legal(text);
    assert_eq!(legal(&made), made, "legal text stays as it is");
    if serde_json::from_str::<Value>(text).is_ok() {
        assert_eq!(made, text, "what any parser takes is legal");
    }
    let incoming = Incoming::read(&made);
    // The envelope takes more than a tree does, whose numbers and depth are limited.
    let Ok(tree) = serde_json::from_str::<Value>(&made) else { return };
    let Value::Object(mut fields) = tree else {
        assert!(incoming.is_err(), "an envelope is an object");
        return;
    };
    let Ok(incoming) = incoming else { panic!("every object is an envelope") };
    assert_eq!(incoming.body_object().as_ref(), fields.get("body").and_then(Value::as_object));
    let id = serde_json::from_str::<Value>(incoming.request_id().get()).ok();
    assert_eq!(id, Some(fields.shift_remove("request_id").unwrap_or_default()), "the id is echoed");
    assert_eq!(incoming.top_level(), fields);
}

/// Requests on every subject: taken or refused with a status.
pub fn requests(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let text = legal(text);
    let Ok(incoming) = Incoming::read(&text) else { return };
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

/// Tickets and their details as monitors read them out of replies: what is listed as resolved counts as that, nothing else.
pub fn tickets(bytes: &[u8]) {
    let zone = chrono_tz::US::Eastern;
    if let Ok(ticket) = serde_json::from_slice::<bruin::Ticket>(bytes) {
        let _ = OpenTicket::read(ticket, zone).map(|ticket| ticket.is_by("system"));
    }
    let (Ok(reply), Ok(tree)) = (
        serde_json::from_slice::<bruin::TicketDetailsReply>(bytes),
        serde_json::from_slice::<Map<String, Value>>(bytes),
    ) else {
        return;
    };
    let details = TicketDetails::read(reply, zone);
    let Some(listed) = tree.get("ticketDetails").and_then(Value::as_array) else {
        assert!(details.lines.is_empty(), "no line comes from nowhere");
        return;
    };
    // serde takes an array for a line as well.
    let Some(listed) = listed.iter().map(Value::as_object).collect::<Option<Vec<_>>>() else { return };
    let count = |resolved: bool, with_id: bool| {
        let is_resolved = |line: &Map<String, Value>| line.get("detailStatus") == Some(&json!("R"));
        let has_id =
            |line: &Map<String, Value>| line.get("detailID").and_then(Value::as_i64).is_some_and(|id| id > 0);
        listed.iter().filter(|line| is_resolved(line) == resolved && (!with_id || has_id(line))).count()
    };
    let unresolved = details.unresolved_lines();
    let resolved = details.lines.len() - unresolved;
    assert!((count(true, true)..=count(true, false)).contains(&resolved), "{resolved} resolved lines");
    assert!(
        (count(false, true)..=count(false, false)).contains(&unresolved),
        "{unresolved} unresolved lines"
    );
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

/// Lines of the ledger, of any version: what was read can be written and read again.
pub fn ledger(bytes: &[u8]) {
    if let Some(entry) = decisions::Entry::read(bytes) {
        let line = serde_json::to_vec(&entry).unwrap_or_default();
        assert_eq!(decisions::Entry::read(&line).as_ref(), Some(&entry), "what was written can be read");
        let device = serde_json::from_slice::<Value>(&line).ok().and_then(|tree| tree.get("device").cloned());
        assert_eq!(entry.record().map(|record| json!(record.device)), device, "a record is about a device");
    }
}
