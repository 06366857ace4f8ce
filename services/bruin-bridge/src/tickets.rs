//! Single tickets: queries, creation, status and severity (subjects 3 to 6, 9, 11, 12 and 14).

use bus::Reply;
use contracts::bruin::{
    OpenTicket, ResolveTicket, ResolveTicketRequest, SingleBasicTicket, SingleBasicTicketRequest,
    TaskHistory, TaskHistoryRequest, TicketCreation, TicketCreationRequest, TicketDetails,
    TicketDetailsRequest, TicketLineRequest, TicketOverview, TicketOverviewRequest, TicketSeverity,
    TicketSeverityRequest,
};
use contracts::id::{DetailId, LinkInterface, TicketId};
use serde::Serialize;
use serde_json::{Value, json};
use upstream::Call;

use crate::bruin::Bruin;
use crate::outcome::{Failures, Malformed, Success};
use crate::subject::OneCall;

/// The ticket that a dry-run pretends to have created: a number that Bruin cannot have.
pub(crate) const DRY_RUN_TICKET: i64 = -1;

impl OneCall for SingleBasicTicket {
    const FAILURES: Failures = Failures::STANDARD.connection("Connection error in Bruin API. Cause: ");

    fn call(_: &Bruin, request: &SingleBasicTicketRequest) -> Call {
        Call::get("/api/Ticket/basic").query("TicketID", &request.ticket_id)
    }

    fn success(_: &SingleBasicTicketRequest, answer: &Success) -> Result<Reply, Malformed> {
        let found = answer.fields()?.list("responses")?;
        Ok(found.first().map_or_else(|| Reply::json(404, &json!({})), |ticket| answer.passing(ticket)))
    }
}

impl OneCall for TicketDetails {
    const FAILURES: Failures = Failures::STANDARD;

    fn call(_: &Bruin, request: &TicketDetailsRequest) -> Call {
        Call::get("/api/Ticket/{ticket_id}/details").segment("ticket_id", &request.ticket_id)
    }
}

impl OneCall for TicketOverview {
    const FAILURES: Failures = Failures::STANDARD;

    fn call(_: &Bruin, request: &TicketOverviewRequest) -> Call {
        Call::get("/api/Ticket").query("TicketId", &request.ticket_id)
    }

    fn success(_: &TicketOverviewRequest, answer: &Success) -> Result<Reply, Malformed> {
        let found = answer.fields()?.list("responses")?;
        Ok(found.first().map_or_else(|| answer.with(&json!([])), |ticket| answer.passing(ticket)))
    }
}

impl OneCall for TaskHistory {
    const FAILURES: Failures = Failures::WITHOUT_404;

    fn call(_: &Bruin, request: &TaskHistoryRequest) -> Call {
        Call::get("/api/Ticket/AITicketData").query("ticketId", &request.ticket_id)
    }

    fn success(_: &TaskHistoryRequest, answer: &Success) -> Result<Reply, Malformed> {
        Ok(answer.passing(answer.fields()?.need("result")?))
    }
}

impl OneCall for TicketCreation {
    const FAILURES: Failures = Failures::STANDARD;

    fn call(_: &Bruin, request: &TicketCreationRequest) -> Call {
        Call::post("/api/Ticket/").json(request)
    }

    fn accepted(_: &TicketCreationRequest) -> Value {
        json!({"ticketIds": [DRY_RUN_TICKET]})
    }
}

impl OneCall for OpenTicket {
    const FAILURES: Failures = Failures::STANDARD;

    fn call(_: &Bruin, request: &TicketLineRequest) -> Call {
        let status = LineStatus { status: "O", interfaces: None };
        line_status(&request.ticket_id, &request.detail_id, &status)
    }
}

impl OneCall for ResolveTicket {
    const FAILURES: Failures = Failures::STANDARD;

    fn call(_: &Bruin, request: &ResolveTicketRequest) -> Call {
        let status = LineStatus { status: "R", interfaces: request.interfaces.as_deref() };
        line_status(&request.ticket_id, &request.detail_id, &status)
    }
}

/// The new status of a line.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct LineStatus<'a> {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    interfaces: Option<&'a [LinkInterface]>,
}

fn line_status(ticket: &TicketId, line: &DetailId, status: &LineStatus<'_>) -> Call {
    Call::put("/api/Ticket/{ticket_id}/details/{detail_id}/status")
        .segment("ticket_id", ticket)
        .segment("detail_id", line)
        .json(status)
}

impl OneCall for TicketSeverity {
    const FAILURES: Failures = Failures::STANDARD.connection("Connection error in Bruin API: ");

    fn call(_: &Bruin, request: &TicketSeverityRequest) -> Call {
        Call::put("/api/Ticket/{ticket_id}/severity")
            .segment("ticket_id", &request.ticket_id)
            .json(&json!({"Severity": request.severity, "Reason": request.reason}))
    }

    fn own_text(_: &Bruin, request: &TicketSeverityRequest, status: u16) -> Option<Reply> {
        let ticket = &request.ticket_id;
        let text = format!("Permissions to change the severity level of ticket {ticket} were not granted");
        (status == 403).then(|| Reply::text(403, &text))
    }

    fn accepted(request: &TicketSeverityRequest) -> Value {
        json!({"TicketId": request.ticket_id, "Result": true})
    }
}
