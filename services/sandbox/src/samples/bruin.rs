//! Good requests to Bruin's bridge.

use serde_json::{Value, json};

use super::About;
use crate::environment::REPORT_RECIPIENT;

/// Those about tickets.
pub(super) fn tickets(about: &About) -> Vec<(&'static str, Value)> {
    let About { client, ticket, line, .. } = about;
    let serial = about.serial();
    let detail = json!({"ticket_id": ticket, "detail_id": line});
    vec![
        (
            "bruin.ticket.request",
            json!({"client_id": client, "ticket_topic": "VOO", "ticket_status": ["In-Progress"]}),
        ),
        (
            "bruin.ticket.basic.request",
            json!({"client_id": client, "ticket_statuses": ["New", "InProgress"]}),
        ),
        ("bruin.single_ticket.basic.request", json!({"ticket_id": ticket})),
        ("bruin.ticket.details.request", json!({"ticket_id": ticket})),
        ("bruin.ticket.overview.request", json!({"ticket_id": ticket})),
        ("bruin.ticket.get.task.history", json!({"ticket_id": ticket})),
        (
            "bruin.ticket.note.append.request",
            json!({"ticket_id": ticket, "note": "hello", "service_numbers": [serial]}),
        ),
        (
            "bruin.ticket.multiple.notes.append.request",
            json!({"ticket_id": ticket, "notes": [{"text": "hello", "service_number": serial}]}),
        ),
        (
            "bruin.ticket.creation.request",
            json!({"clientId": client, "category": "VAS", "services": [{"serviceNumber": serial}],
                "contacts": [{"email": REPORT_RECIPIENT, "type": "ticket"}]}),
        ),
        ("bruin.ticket.creation.outage.request", json!({"client_id": client, "service_number": serial})),
        ("bruin.ticket.status.open", detail.clone()),
        ("bruin.ticket.status.resolve", detail),
        ("bruin.ticket.unpause", json!({"ticket_id": ticket, "service_number": serial, "detail_id": line})),
        ("bruin.change.ticket.severity", json!({"ticket_id": ticket, "severity": 3, "reason": "calmer"})),
        (
            "bruin.ticket.change.work",
            json!({"ticket_id": ticket, "service_number": serial, "queue_name": "HNOC Investigate"}),
        ),
        (
            "bruin.ticket.detail.get.next.results",
            json!({"ticket_id": ticket, "detail_id": line, "service_number": serial}),
        ),
        (
            "bruin.ticket.detailIds.request",
            json!({"ticket_id": ticket, "detail_id": line, "interfaces": ["GE1"]}),
        ),
        ("bruin.ticket.close", json!({"ticket_id": ticket, "close_note": "done"})),
    ]
}

/// Those about inventory, clients, e-mails and subscriptions.
pub(super) fn others(about: &About) -> Vec<(&'static str, Value)> {
    let About { client, ticket, .. } = about;
    let serial = about.serial();
    let attribute = json!({"client_id": client, "status": "A", "service_number": serial});
    vec![
        ("bruin.inventory.attributes.serial", attribute.clone()),
        ("bruin.inventory.attributes", attribute.clone()),
        ("bruin.inventory.management.status", attribute),
        ("bruin.customer.get.info", json!({"service_number": serial})),
        ("bruin.customer.get.info_by_did", json!({"did": "15550101234"})),
        ("bruin.get.circuit.id", json!({"circuit_id": "CIRCUIT-1"})),
        ("bruin.get.site", json!({"client_id": client, "site_id": about.edge.site})),
        ("bruin.email.tag.request", json!({"email_id": ticket, "tag_id": 1})),
        ("bruin.mark.email.done", json!({"email_id": 1})),
        ("bruin.link.ticket.email", json!({"ticket_id": ticket, "email_id": 1})),
        ("bruin.get.ticket.contacts", json!({"client_id": client})),
        ("bruin.get.asset.topics", json!({"client_id": client, "service_number": serial})),
        (
            "bruin.notification.email.milestone",
            json!({"ticket_id": ticket, "notification_type": "TicketOpened", "service_number": serial}),
        ),
        (
            "bruin.subscribe.user",
            json!({"ticket_id": ticket, "user_email": REPORT_RECIPIENT, "subscription_type": "1"}),
        ),
        ("bruin.email.status", json!({"email_id": 1, "email_status": "Done"})),
        ("bruin.email.reply", json!({"parent_email_id": 1, "reply_body": "thanks"})),
    ]
}
