//! E-mails in Bruin (subjects 23 to 25).

use bus::Reply;
use contracts::bruin::{
    LinkTicketEmail, LinkTicketEmailRequest, MarkEmailDone, MarkEmailDoneRequest, TagEmail, TagEmailRequest,
};
use contracts::json::truthy;
use serde_json::{Value, json};
use upstream::Call;

use crate::bruin::Bruin;
use crate::outcome::{Failures, Malformed, Success};
use crate::subject::OneCall;

impl OneCall for TagEmail {
    const FAILURES: Failures = Failures::STANDARD;

    fn call(_: &Bruin, request: &TagEmailRequest) -> Call {
        Call::post("/api/Email/{email_id}/tag/{tag_id}")
            .segment("email_id", &request.email_id)
            .segment("tag_id", &request.tag_id)
            .empty()
    }

    fn success(_: &TagEmailRequest, answer: &Success) -> Result<Reply, Malformed> {
        Ok(if answer.status == 204 { answer.with("") } else { answer.as_is() })
    }

    fn own_text(_: &Bruin, request: &TagEmailRequest, status: u16) -> Option<Reply> {
        let TagEmailRequest { tag_id, email_id } = request;
        let text = format!("Tag with ID {tag_id} already present in e-mail with ID {email_id}");
        (status == 409).then(|| Reply::text(409, &text))
    }
}

impl OneCall for MarkEmailDone {
    const FAILURES: Failures = Failures::WITHOUT_404;

    fn call(bruin: &Bruin, request: &MarkEmailDoneRequest) -> Call {
        let user = bruin.system_user();
        Call::post("/api/Email/status").json(&json!({
            "emailId": request.email_id,
            "status": "Done",
            "resolution": format!("Mark as done by {user}"),
            "updatedBy": user,
        }))
    }

    fn success(request: &MarkEmailDoneRequest, answer: &Success) -> Result<Reply, Malformed> {
        let problem = || Reply::text(400, &format!("Problem marking email {} as done", request.email_id));
        Ok(if says_success(answer)? { answer.as_is() } else { problem() })
    }

    fn accepted(request: &MarkEmailDoneRequest) -> Value {
        json!({"success": true, "emailId": request.email_id})
    }
}

impl OneCall for LinkTicketEmail {
    const FAILURES: Failures = Failures::WITHOUT_404;

    fn call(_: &Bruin, request: &LinkTicketEmailRequest) -> Call {
        Call::post("/api/Email/{email_id}/link/ticket/{ticket_id}")
            .segment("email_id", &request.email_id)
            .segment("ticket_id", &request.ticket_id)
            .empty()
    }

    fn success(request: &LinkTicketEmailRequest, answer: &Success) -> Result<Reply, Malformed> {
        let LinkTicketEmailRequest { ticket_id, email_id } = request;
        if says_success(answer)? {
            return Ok(answer.as_is_with(200)); // callers take nothing but 200 for a success
        }
        Ok(Reply::text(400, &format!("Problem linking ticket {ticket_id} and email {email_id}")))
    }

    fn accepted(LinkTicketEmailRequest { ticket_id, email_id }: &LinkTicketEmailRequest) -> Value {
        json!({
            "success": true, "emailId": email_id, "ticketId": ticket_id, "totalEmailAffected": 1, "warnings": [],
        })
    }
}

/// Whether Bruin's answer has a truthy `success`.
fn says_success(answer: &Success) -> Result<bool, Malformed> {
    let success = answer.object()?.and_then(|fields| fields.value::<Value>("success"));
    Ok(success.is_some_and(|value| truthy(&value)))
}
