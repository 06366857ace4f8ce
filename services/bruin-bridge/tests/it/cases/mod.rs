//! A good exchange on every subject.

use serde_json::{Value, json};

/// One of them.
pub(crate) struct Case {
    pub(crate) subject: &'static str,
    pub(crate) body: Value,
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    pub(crate) query: &'static [(&'static str, &'static str)],
    /// What is sent to Bruin.
    pub(crate) sent: Value,
    /// What Bruin answers.
    pub(crate) answer: Value,
    /// What is replied.
    pub(crate) reply: Value,
    /// Whether 404 has a fixed text.
    pub(crate) knows_404: bool,
}

impl Case {
    fn get(subject: &'static str, body: Value, path: &'static str, answer: Value, reply: Value) -> Self {
        Self {
            subject,
            body,
            method: "GET",
            path,
            query: &[],
            sent: Value::Null,
            answer,
            reply,
            knows_404: true,
        }
    }

    /// A write whose answer is passed on.
    fn write(
        method: &'static str,
        subject: &'static str,
        body: Value,
        path: &'static str,
        sent: Value,
    ) -> Self {
        let answer = json!({"message": "success", "é": [1.5, null]});
        Self { subject, body, method, path, query: &[], sent, reply: answer.clone(), answer, knows_404: true }
    }

    fn query(self, query: &'static [(&'static str, &'static str)]) -> Self {
        Self { query, ..self }
    }

    fn answered(self, answer: Value, reply: Value) -> Self {
        Self { answer, reply, ..self }
    }

    fn passing_404(self) -> Self {
        Self { knows_404: false, ..self }
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = ticket_cases();
    cases.extend(other_cases());
    cases.extend(later_cases());
    cases
}

fn ticket_cases() -> Vec<Case> {
    let tickets = json!({"responses": [{"ticketID": 1, "x": 1.50}], "total": 1});
    let line = json!({"ticket_id": 12345, "detail_id": "7"});
    let creation =
        json!({"clientId": 1, "category": "VAS", "services": [{"serviceNumber": "VC1"}], "contacts": []});
    let created = json!({"clientId": 1, "category": "VAS", "services": [{"serviceNumber": "VC1"}], "contacts": [], "notes": [], "unknown": "x"});
    vec![
        Case::get(
            "bruin.ticket.request",
            json!({"client_id": 30000, "ticket_topic": "VOO", "ticket_status": ["New"], "category": "SD-WAN"}),
            "/api/Ticket",
            tickets.clone(),
            tickets["responses"].clone(),
        )
        .query(&[("ClientId", "30000"), ("ProductCategory", "SD-WAN"), ("TicketStatus", "New"), ("TicketTopic", "VOO")]),
        Case::get(
            "bruin.ticket.basic.request",
            json!({"client_id": 30000, "ticket_statuses": ["New", "Draft"]}),
            "/api/Ticket/basic",
            tickets.clone(),
            tickets["responses"].clone(),
        )
        .query(&[
            ("ClientId", "30000"),
            ("PageNumber", "1"),
            ("PageSize", "100"),
            ("TicketStatus", "Draft"),
            ("TicketStatus", "New"),
            ("Unknown", "x"),
        ]),
        Case::get(
            "bruin.single_ticket.basic.request",
            json!({"ticket_id": 12345}),
            "/api/Ticket/basic",
            tickets.clone(),
            tickets["responses"][0].clone(),
        )
        .query(&[("TicketID", "12345")]),
        Case::get(
            "bruin.ticket.details.request",
            json!({"ticket_id": "a/b c"}),
            "/api/Ticket/a%2Fb%20c/details",
            json!({"ticketDetails": [], "ticketNotes": [{"noteValue": "–"}]}),
            json!({"ticketDetails": [], "ticketNotes": [{"noteValue": "–"}]}),
        ),
        Case::get(
            "bruin.ticket.overview.request",
            json!({"ticket_id": "12345"}),
            "/api/Ticket",
            tickets.clone(),
            tickets["responses"][0].clone(),
        )
        .query(&[("TicketId", "12345")]),
        Case::get(
            "bruin.ticket.get.task.history",
            json!({"ticket_id": 12345}),
            "/api/Ticket/AITicketData",
            json!({"result": [{"Asset": "VC1", "Task Result": null}]}),
            json!([{"Asset": "VC1", "Task Result": null}]),
        )
        .query(&[("ticketId", "12345")])
        .passing_404(),
        Case::write("POST", "bruin.ticket.creation.request", creation, "/api/Ticket/", created),
        Case::write(
            "PUT",
            "bruin.ticket.status.open",
            line.clone(),
            "/api/Ticket/12345/details/7/status",
            json!({"Status": "O"}),
        ),
        Case::write(
            "PUT",
            "bruin.ticket.status.resolve",
            line,
            "/api/Ticket/12345/details/7/status",
            json!({"Status": "R"}),
        ),
        Case::write(
            "PUT",
            "bruin.change.ticket.severity",
            json!({"ticket_id": 12345, "severity": 3, "reason": "Link is back"}),
            "/api/Ticket/12345/severity",
            json!({"Severity": 3, "Reason": "Link is back"}),
        ),
        Case::write(
            "POST",
            "bruin.ticket.note.append.request",
            json!({"ticket_id": 12345, "note": "#*MetTel's IPA*#\n é ", "service_numbers": ["VC1"]}),
            "/api/Ticket/12345/notes",
            json!({"note": "#*MetTel's IPA*#\n é ", "serviceNumbers": ["VC1"]}),
        ),
        Case::write(
            "POST",
            "bruin.ticket.multiple.notes.append.request",
            json!({"ticket_id": 1, "notes": [
                {"text": "A", "service_number": "VC1"}, {"text": "B", "detail_id": 7, "is_private": true}
            ]}),
            "/api/Ticket/1/notes/advanced",
            json!({"notes": [
                {"noteValue": "A", "serviceNumber": "VC1", "noteType": "ADN"},
                {"noteValue": "B", "detailId": 7, "noteType": "CON"}
            ]}),
        )
        .answered(json!({"ticketNotes": [{"noteID": 1}]}), json!([{"noteID": 1}])),
        Case::write(
            "POST",
            "bruin.ticket.creation.outage.request",
            json!({"client_id": 1, "service_number": "VC1", "ticket_contact": {"email": "a@example.com"}}),
            "/api/Ticket/repair",
            json!({
                "ClientID": 1, "WTNs": ["VC1"], "RequestDescription": "MetTel's IPA -- Service Outage Trouble",
                "ticketContact": {"email": "a@example.com"}
            }),
        )
        .answered(json!({"items": [{"ticketId": 45, "errorCode": 0}]}), json!(45)),
        Case::write(
            "POST",
            "bruin.ticket.unpause",
            json!({"ticket_id": 12345, "detail_id": 7, "service_number": null}),
            "/api/Ticket/12345/detail/unpause",
            json!({"DetailId": 7}),
        )
        .passing_404(),
    ]
}

fn other_cases() -> Vec<Case> {
    let attributes = json!({"attributes": [
        null, {"key": "Serial Number", "value": "705286"}, {"key": "Management Status", "value": "Active – Gold"}
    ]});
    let filters = json!({"client_id": 1, "status": "A", "service_number": "VC 1+"});
    vec![
        Case::get(
            "bruin.ticket.detail.get.next.results",
            json!({"ticket_id": 12345, "detail_id": 321, "service_number": "VC1"}),
            "/api/Ticket/12345/nextresult",
            json!({"currentTaskName": "A ", "nextResults": []}),
            json!({"currentTaskName": "A ", "nextResults": []}),
        )
        .query(&[("DetailId", "321"), ("ServiceNumber", "VC1")])
        .passing_404(),
        Case::get(
            "bruin.inventory.attributes.serial",
            filters.clone(),
            "/api/Inventory/Attribute",
            attributes.clone(),
            json!("705286"),
        )
        .query(&[("ClientId", "1"), ("ServiceNumber", "VC 1+"), ("Status", "A"), ("Unknown", "x")])
        .passing_404(),
        Case::get(
            "bruin.inventory.management.status",
            filters,
            "/api/Inventory/Attribute",
            attributes,
            json!("Active – Gold"),
        )
        .query(&[("ClientId", "1"), ("ServiceNumber", "VC 1+"), ("Status", "A"), ("Unknown", "x")])
        .passing_404(),
        Case::get(
            "bruin.customer.get.info",
            json!({"service_number": "VC1"}),
            "/api/Inventory",
            json!({"documents": [
                {"serviceNumber": "VC1", "status": "A", "clientID": 1, "clientName": "Acme", "siteId": "9"},
                {"serviceNumber": "VC", "status": "A", "clientID": 2},
                {"serviceNumber": "VC1", "status": "D", "clientID": 3},
                {"status": "A"}, null
            ]}),
            json!([{"client_id": 1, "client_name": "Acme", "site_id": "9"}]),
        )
        .query(&[("ServiceNumber", "VC1"), ("Unknown", "x")])
        .passing_404(),
        Case::get(
            "bruin.customer.get.info_by_did",
            json!({"did": "+15555550100"}),
            "/api/Inventory/phoneNumber/Lines",
            json!({"clientId": 1}),
            json!({"clientId": 1}),
        )
        .query(&[("phoneNumber", "+15555550100"), ("phoneNumberType", "DID")])
        .passing_404(),
        Case::get(
            "bruin.get.circuit.id",
            json!({"circuit_id": "ABC.1-2/3"}),
            "/api/Inventory/circuit",
            json!({"wtn": "VC1"}),
            json!({"wtn": "VC1"}),
        )
        .query(&[("CircuitId", "ABC.1-2/3"), ("Unknown", "x")])
        .passing_404(),
        Case::get(
            "bruin.get.site",
            json!({"client_id": 1, "site_id": 2}),
            "/api/Site",
            json!({"documents": [{"siteID": "2"}, {"siteID": "3"}]}),
            json!({"siteID": "2"}),
        )
        .query(&[("ClientId", "1"), ("SiteId", "2"), ("Unknown", "x")]),
        Case::write(
            "POST",
            "bruin.email.tag.request",
            json!({"email_id": "1/2", "tag_id": 3}),
            "/api/Email/1%2F2/tag/3",
            Value::Null,
        ),
        Case::write(
            "POST",
            "bruin.mark.email.done",
            json!({"email_id": 1234}),
            "/api/Email/status",
            json!({
                "emailId": 1234, "status": "Done", "resolution": "Mark as done by Intelygenz Ai",
                "updatedBy": "Intelygenz Ai"
            }),
        )
        .answered(json!({"success": 1}), json!({"success": 1}))
        .passing_404(),
        Case::write(
            "POST",
            "bruin.link.ticket.email",
            json!({"ticket_id": 5678, "email_id": "1234"}),
            "/api/Email/1234/link/ticket/5678",
            Value::Null,
        )
        .answered(json!({"success": true}), json!({"success": true}))
        .passing_404(),
    ]
}

fn later_cases() -> Vec<Case> {
    let filters = json!({"client_id": 1, "status": "A", "service_number": "VC1"});
    vec![
        Case::get(
            "bruin.inventory.attributes",
            filters,
            "/api/Inventory/Attribute",
            json!({"attributes": []}),
            json!({"attributes": []}),
        )
        .query(&[("ClientId", "1"), ("ServiceNumber", "VC1"), ("Status", "A"), ("Unknown", "x")])
        .passing_404(),
        Case::get(
            "bruin.get.ticket.contacts",
            json!({"client_id": 1}),
            "/api/Ticket/Contacts",
            json!({"results": [{"name": "x"}]}),
            json!([{"name": "x"}]),
        )
        .query(&[("ClientId", "1"), ("Unknown", "x")]),
        Case::write(
            "POST",
            "bruin.notification.email.milestone",
            json!({"ticket_id": 1, "notification_type": "T", "service_number": "VC1"}),
            "/api/Notification/email/milestone",
            json!({"TicketId": 1, "NotificationType": "T", "Detail": {"ServiceNumber": "VC1"}}),
        ),
        Case::get(
            "bruin.ticket.detailIds.request",
            json!({"ticket_id": 1, "detail_id": 2, "interfaces": ["GE1", "GE2"]}),
            "/api/Ticket/1/details/2/detailids",
            json!({"results": []}),
            json!({"results": []}),
        )
        .query(&[("interfaces", "GE1,GE2")]),
        Case::write(
            "PUT",
            "bruin.ticket.close",
            json!({"ticket_id": 1, "close_note": "n"}),
            "/api/Ticket/1/close",
            json!({"CloseNote": "n"}),
        ),
    ]
}

/// Subjects with a text of their own for a status.
pub(crate) fn own_text(subject: &str, status: u16) -> Option<Value> {
    Some(match (subject, status) {
        // The texts name the payload and the stub's port; other tests check them.
        ("bruin.ticket.creation.outage.request", 403 | 404) => Value::Null,
        ("bruin.ticket.creation.outage.request", 513) => json!("Got internal error from Bruin"),
        ("bruin.change.ticket.severity", 403) => {
            json!("Permissions to change the severity level of ticket 12345 were not granted")
        }
        ("bruin.get.site" | "bruin.get.ticket.contacts", 403) => json!({"error": "403 error"}),
        ("bruin.email.tag.request", 409) => json!("Tag with ID 3 already present in e-mail with ID 1/2"),
        _ => return None,
    })
}

/// With a field that no subject knows.
pub(crate) fn with_unknown(body: &Value) -> Value {
    let mut body = body.clone();
    body["unknown"] = "x".into();
    body
}
