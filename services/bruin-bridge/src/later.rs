//! Subjects of a later revision of the existing deployment (spec, "Later additions"): served for newer peers.

use bus::Reply;
use contracts::bruin::{
    AssetTopics, AssetTopicsRequest, AttributeRequest, CloseTicket, CloseTicketRequest, EmailMilestone,
    EmailMilestoneRequest, EmailReply, EmailReplyRequest, EmailStatus, EmailStatusRequest, Filters,
    InventoryAttributes, SubscribeUser, SubscribeUserRequest, TicketContacts, TicketContactsRequest,
    TicketDetailIds, TicketDetailIdsRequest,
};
use contracts::id::LinkInterface;
use serde_json::{Value, json};
use upstream::Call;

use crate::bruin::Bruin;
use crate::inventory::attributes;
use crate::outcome::{Failures, Malformed, Success};
use crate::query::{forwarded, with_query};
use crate::rendering::display;
use crate::subject::OneCall;

impl OneCall for InventoryAttributes {
    const FAILURES: Failures = Failures::WITHOUT_404;

    fn call(_: &Bruin, request: &AttributeRequest) -> Call {
        attributes(request)
    }
}

impl OneCall for TicketContacts {
    const FAILURES: Failures = Failures::STANDARD;

    fn call(_: &Bruin, request: &TicketContactsRequest) -> Call {
        let mut filters = Filters::from([("client_id".to_owned(), request.client_id.clone())]);
        filters.extend(request.filters.clone());
        with_query(Call::get("/api/Ticket/Contacts"), forwarded(filters))
    }

    fn success(request: &TicketContactsRequest, answer: &Success) -> Result<Reply, Malformed> {
        let fields = answer.fields()?;
        if fields.list_or_none("results")?.is_empty() {
            let client = display(&json!(request.client_id));
            let text = format!("No ticket contacts information was found for client {client}");
            return Ok(Reply::text(404, &text));
        }
        Ok(answer.passing(fields.need("results")?))
    }

    fn own_text(_: &Bruin, _: &TicketContactsRequest, status: u16) -> Option<Reply> {
        (status == 403).then(|| Reply::json(403, &json!({"error": "403 error"})))
    }
}

impl OneCall for AssetTopics {
    const FAILURES: Failures = Failures::AS_IS;

    fn call(_: &Bruin, request: &AssetTopicsRequest) -> Call {
        Call::get("/api/Ticket/topics")
            .query("ClientId", &request.client_id)
            .query("ServiceNumber", &request.service_number)
    }
}

impl OneCall for EmailMilestone {
    const FAILURES: Failures = Failures::STANDARD;

    fn call(_: &Bruin, request: &EmailMilestoneRequest) -> Call {
        Call::post("/api/Notification/email/milestone").json(&json!({
            "TicketId": request.ticket_id,
            "NotificationType": request.notification_type,
            "Detail": {"ServiceNumber": request.service_number},
        }))
    }
}

impl OneCall for SubscribeUser {
    const FAILURES: Failures = Failures::AS_IS;

    fn call(_: &Bruin, request: &SubscribeUserRequest) -> Call {
        Call::post("/api/Ticket/{ticket_id}/subscribeUser").segment("ticket_id", &request.ticket_id).json(
            &json!({"subscriptionType": request.subscription_type, "user": {"email": request.user_email}}),
        )
    }
}

impl OneCall for EmailStatus {
    const FAILURES: Failures = Failures::AS_IS;

    fn call(bruin: &Bruin, EmailStatusRequest { email_id, email_status }: &EmailStatusRequest) -> Call {
        let user = bruin.system_user();
        Call::post("/api/Email/status").json(&json!({
            "emailId": email_id,
            "status": email_status,
            "resolution": format!("Marked as {email_status} by {user}"),
            "updatedBy": user,
        }))
    }

    fn accepted(request: &EmailStatusRequest) -> Value {
        json!({"success": true, "emailId": request.email_id})
    }
}

impl OneCall for EmailReply {
    const FAILURES: Failures = Failures::AS_IS;

    fn call(_: &Bruin, request: &EmailReplyRequest) -> Call {
        Call::post("/api/Notification/email/ReplyAll")
            .query("IsContentHTMLEncoded", if request.html_reply_body { "True" } else { "False" })
            .json(&json!({"content": request.reply_body, "emailId": request.parent_email_id}))
    }
}

impl OneCall for TicketDetailIds {
    const FAILURES: Failures = Failures::STANDARD;

    fn call(_: &Bruin, request: &TicketDetailIdsRequest) -> Call {
        let interfaces: Vec<_> = request.interfaces.iter().map(LinkInterface::as_str).collect();
        Call::get("/api/Ticket/{ticket_id}/details/{detail_id}/detailids")
            .segment("ticket_id", &request.ticket_id)
            .segment("detail_id", &request.detail_id)
            .query("interfaces", interfaces.join(","))
            .header("api-version", "2.0")
    }
}

impl OneCall for CloseTicket {
    const FAILURES: Failures = Failures::STANDARD;

    fn call(_: &Bruin, request: &CloseTicketRequest) -> Call {
        Call::put("/api/Ticket/{ticket_id}/close")
            .segment("ticket_id", &request.ticket_id)
            .json(&json!({"CloseNote": request.close_note}))
    }
}
