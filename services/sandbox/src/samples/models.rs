//! Good requests to the bridges in front of models.

use serde_json::{Value, json};

use super::About;

/// The e-mail's id in Bruin.
const EMAIL: &str = "73111";
const SENT: &str = "2021-03-28T10:43:55.493";

/// Those to T7's, the Email Tagger's and Repair Tickets' bridges.
pub(super) fn all(about: &About) -> Vec<(&'static str, Value)> {
    let About { client, ticket, .. } = about;
    let (serial, site) = (about.serial(), about.edge.site.to_string());
    let (client, number) = (client.to_string(), ticket.to_string());
    let rows = json!([{
        "Asset": serial, "CallTicketID": ticket, "DetailID": about.line, "Notes": "hello", "Task Result": null,
        "SLA": 1, "Ticket Status": "In Progress",
    }]);
    let subject = "Router down";
    let text = format!("{serial} is down, see {number}");
    let email =
        json!({"email_id": EMAIL, "client_id": client, "date": SENT, "subject": subject, "body": text});
    let tagged = json!({"email": email, "tag_ids": ["1", "2"]});
    vec![
        (
            "t7.prediction.request",
            json!({"ticket_id": ticket, "ticket_rows": rows, "assets_to_predict": [serial]}),
        ),
        ("t7.automation.metrics", json!({"ticket_id": ticket, "ticket_rows": rows})),
        (
            "t7.live.automation.metrics",
            json!({"ticket_id": ticket, "asset_id": serial, "automated_successfully": true}),
        ),
        ("email_tagger.prediction.request", tagged.clone()),
        (
            "email_tagger.metrics.request",
            json!({"original_email": tagged, "ticket": {"ticket_id": ticket, "call_type": "REP",
                "category": "VOO", "creation_date": "3/28/2021 10:50:00 AM", "status": "New"}}),
        ),
        (
            "rta.prediction.request",
            json!({"email_id": EMAIL, "client_id": client, "subject": subject, "body": text, "date": SENT,
                "from_address": "ann@example.com", "to": ["help@example.com"], "cc": "noc@example.com",
                "tag": {"type": "Repair", "probability": 0.91}}),
        ),
        (
            "rta.save_outputs.request",
            json!({"email_id": EMAIL, "validated_service_numbers": [serial],
                "service_numbers_sites_map": {serial: site},
                "tickets_created": [{"site_id": site, "service_numbers": [serial], "ticket_id": number}],
                "validated_ticket_numbers": [number], "bruin_ticket_status_map": {number.as_str(): "InProgress"}}),
        ),
        (
            "rta.created_ticket_feedback.request",
            json!({"ticket_id": number, "email_id": EMAIL, "client_id": client, "real_service_numbers": [serial],
                "real_class": "VOO", "site_map": {serial: site}}),
        ),
        (
            "rta.closed_ticket_feedback.request",
            json!({"ticket_id": number, "client_id": client, "ticket_status": "cancelled",
                "cancelled_reasons": ["duplicate"]}),
        ),
    ]
}
