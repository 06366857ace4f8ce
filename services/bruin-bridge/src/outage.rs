//! Outage tickets (subject 10) and unpausing (subject 13).

use std::collections::BTreeMap;

use bus::Reply;
use contracts::bruin::{
    OneOrMany, OutageTicketCreation, OutageTicketRequest, UnpauseTicket, UnpauseTicketRequest,
};
use contracts::id::{ClientId, DetailId, LinkInterface, Serial};
use serde::Serialize;
use serde_json::{Value, json};
use upstream::Call;

use crate::bruin::Bruin;
use crate::outcome::{Failures, Fields, Malformed, Success};
use crate::rendering;
use crate::subject::OneCall;
use crate::tickets::DRY_RUN_TICKET;

const REPAIR: &str = "/api/Ticket/repair";
/// Written on every outage ticket.
const DESCRIPTION: &str = "MetTel's IPA -- Service Outage Trouble";

/// What is posted.
#[derive(Serialize)]
struct Repair<'a> {
    #[serde(rename = "ClientID")]
    client_id: &'a ClientId,
    #[serde(rename = "WTNs")]
    wtns: &'a [Serial],
    #[serde(rename = "RequestDescription")]
    description: &'static str,
    #[serde(rename = "ticketContact", skip_serializing_if = "Option::is_none")]
    contact: Option<&'a Value>,
    #[serde(rename = "WtnInterfaces", skip_serializing_if = "Option::is_none")]
    interfaces: Option<BTreeMap<&'a Serial, &'a [LinkInterface]>>,
}

impl<'a> From<&'a OutageTicketRequest> for Repair<'a> {
    fn from(request: &'a OutageTicketRequest) -> Self {
        let wtns = match &request.service_number {
            OneOrMany::One(serial) => std::slice::from_ref(serial),
            OneOrMany::Many(serials) => serials,
        };
        let interfaces = wtns.first().zip(request.interfaces.as_deref());
        Self {
            client_id: &request.client_id,
            wtns,
            description: DESCRIPTION,
            contact: request.ticket_contact.as_ref(),
            interfaces: interfaces.map(|of_first| BTreeMap::from([of_first])),
        }
    }
}

impl OneCall for OutageTicketCreation {
    const FAILURES: Failures =
        Failures::STANDARD.internal_to(513).connection("Connection error in Bruin API. Cause: ");

    fn call(_: &Bruin, request: &OutageTicketRequest) -> Call {
        Call::post(REPAIR).json(&Repair::from(request))
    }

    fn success(request: &OutageTicketRequest, answer: &Success) -> Result<Reply, Malformed> {
        if request.get_full_response == Some(true) {
            return Ok(answer.as_is());
        }
        let fields = answer.fields()?;
        let entries = fields.list(if fields.get("assets").is_some() { "assets" } else { "items" })?;
        let entry = entries.first().and_then(|entry| Fields::of(entry)).ok_or(Malformed::new("no entry"))?;
        let code: Value = serde_json::from_str(entry.need("errorCode")?.get()).unwrap_or_default();
        let ticket: Value = entry.value("ticketId").unwrap_or_default();
        if ticket.as_f64() == Some(0.0) {
            return Ok(Reply::text(503, &no_ticket(request)));
        }
        Ok(Reply::json(status(answer.status, &code), &ticket))
    }

    fn own_text(bruin: &Bruin, request: &OutageTicketRequest, status: u16) -> Option<Reply> {
        match status {
            403 => {
                let payload = contracts::json_text::spaced(&Repair::from(request));
                Some(Reply::text(
                    403,
                    &format!(
                        "Permissions to create a new outage ticket with payload {payload} were not granted"
                    ),
                ))
            }
            404 => Some(Reply::text(404, &format!("Check mistypings in URL: {}", bruin.url_of(REPAIR)))),
            _ => None,
        }
    }

    fn accepted(_: &OutageTicketRequest) -> Value {
        json!({"assets": [{"ticketId": DRY_RUN_TICKET, "errorCode": 0, "errorMessage": null}]})
    }
}

/// The reply's status: Bruin answers 200 even for the special outcomes and tells them by the entry's error code
/// (spec, Behaviour 3).
fn status(upstream: u16, code: &Value) -> u16 {
    match code.as_u64() {
        Some(409) => 409,
        Some(471) => 471,
        Some(472) => 472,
        Some(473) => 473,
        _ => upstream,
    }
}

fn no_ticket(request: &OutageTicketRequest) -> String {
    let device = rendering::display(&json!(request.service_number));
    format!(
        "Bruin reported a ticket ID = 0 after SO ticket creation for device {device}. \
         This functionality might be temporarily unavailable."
    )
}

/// What is posted.
#[derive(Serialize)]
struct Unpause<'a> {
    #[serde(rename = "serviceNumber", skip_serializing_if = "Option::is_none")]
    service_number: Option<&'a Serial>,
    #[serde(rename = "DetailId", skip_serializing_if = "Option::is_none")]
    detail_id: Option<&'a DetailId>,
}

impl OneCall for UnpauseTicket {
    const FAILURES: Failures = Failures::WITHOUT_404;

    fn call(_: &Bruin, request: &UnpauseTicketRequest) -> Call {
        Call::post("/api/Ticket/{ticket_id}/detail/unpause").segment("ticket_id", &request.ticket_id).json(
            &Unpause {
                service_number: request.service_number.as_ref(),
                detail_id: request.detail_id.as_ref(),
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_codes_of_the_entry_decide_the_status() {
        for (code, expected) in [
            (json!(0), 200),
            (json!(409), 409),
            (json!(471), 471),
            (json!(472), 472),
            (json!(473), 473),
            (json!(474), 200),
            (json!(null), 200),
            (json!("409"), 200),
        ] {
            assert_eq!(status(200, &code), expected, "{code}");
        }
        assert_eq!(status(298, &json!(0)), 298);
    }

    #[test]
    fn the_text_without_a_ticket_names_the_devices_as_they_were_given() {
        let text = |service_number| {
            no_ticket(&OutageTicketRequest {
                client_id: 1.into(),
                service_number,
                ticket_contact: None,
                interfaces: None,
                get_full_response: None,
            })
        };
        assert!(text(OneOrMany::One("VC1".to_owned().into())).contains("for device VC1. This"));
        let many = OneOrMany::Many(vec!["VC1".to_owned().into(), "VC2".to_owned().into()]);
        assert!(text(many).contains("for device ['VC1', 'VC2']. This"));
    }
}
