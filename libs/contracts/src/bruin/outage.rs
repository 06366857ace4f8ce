//! Outage tickets (subject 10) and unpausing (subject 13).

use serde::Serialize;
use serde_json::Value;

use super::path::in_path;
use super::{OneOrMany, QUEUE};
use crate::fields::Fields;
use crate::id::{ClientId, DetailId, LinkInterface, Serial, TicketId};
use crate::subjects::subjects;
use crate::{Incoming, Rejected, Request};

subjects! {
    /// 10. Creates an outage ticket or finds the one which covers the device; see [`OutageTicket::of`].
    OutageTicketCreation: "bruin.ticket.creation.outage.request", Write, wait 30, answer 27,
        OutageTicketRequest => Option<TicketId>;
    /// 13. Ends the pause of a line.
    UnpauseTicket: "bruin.ticket.unpause", Write, wait 30, answer 27, UnpauseTicketRequest => Value;
}

const NO_BODY: &str = r#"Must include "body" in request"#;

/// Creates by [`OutageTicketCreation`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OutageTicketRequest {
    /// The client.
    pub client_id: ClientId,
    /// The device, or several.
    pub service_number: OneOrMany<Serial>,
    /// The contact to write on the ticket, e.g. `{"email": "ops@example.com"}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ticket_contact: Option<Value>,
    /// The interfaces of the first device which are out. A later addition of the bridge's interface.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interfaces: Option<Vec<LinkInterface>>,
    /// With true the reply is Bruin's whole answer under Bruin's status: neither a ticket id nor one of the special
    /// statuses of [`OutageTicket`]. A later addition of the bridge's interface.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub get_full_response: Option<bool>,
}

impl Request for OutageTicketRequest {
    fn parse(incoming: &Incoming<'_>) -> Result<Self, Rejected> {
        const KEYS: &str = r#"Must specify "client_id" and "service_number" to post an outage ticket"#;
        const NULLS: &str = r#""client_id" and "service_number" must have non-null values"#;
        let mut body = Fields::of(incoming, NO_BODY)?;
        if !body.has("client_id") || !body.has("service_number") {
            return Err(Rejected::text(KEYS));
        }
        let client_id = body.required("client_id", NULLS)?;
        let service_number = body.required("service_number", NULLS)?;
        if service_number == OneOrMany::Many(Vec::new()) {
            return Err(Rejected::text(NULLS)); // nothing to create a ticket for
        }
        Ok(Self {
            client_id,
            service_number,
            ticket_contact: body.if_truthy("ticket_contact", KEYS)?,
            interfaces: body.if_truthy("interfaces", KEYS)?,
            get_full_response: body.if_truthy("get_full_response", KEYS)?,
        })
    }
}

/// What a reply on [`OutageTicketCreation`] means. The first four say that a ticket covers the device now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutageTicket {
    /// 2xx: a new ticket. `None` when Bruin gave no number.
    Created(Option<TicketId>),
    /// 409: an In-Progress ticket covers the device already; nothing was created.
    InProgress(Option<TicketId>),
    /// 471: a Resolved ticket covers it and was **not** reopened: the caller must reopen it.
    Resolved(Option<TicketId>),
    /// 472: a Resolved ticket covered it and Bruin has reopened it.
    Reopened(Option<TicketId>),
    /// 473: a Resolved ticket of the same site was reopened and a line was added for the device.
    ReopenedForSite(Option<TicketId>),
}

impl OutageTicket {
    /// Reads a reply of any status; `None` when it is a failure.
    pub fn of(status: u16, body: &str) -> Option<Self> {
        let ticket = serde_json::from_str(body).unwrap_or_default();
        match status {
            200..=299 => Some(Self::Created(ticket)),
            409 => Some(Self::InProgress(ticket)),
            471 => Some(Self::Resolved(ticket)),
            472 => Some(Self::Reopened(ticket)),
            473 => Some(Self::ReopenedForSite(ticket)),
            _ => None,
        }
    }

    /// The ticket which covers the device.
    pub fn ticket(&self) -> Option<&TicketId> {
        match self {
            Self::Created(ticket)
            | Self::InProgress(ticket)
            | Self::Resolved(ticket)
            | Self::Reopened(ticket)
            | Self::ReopenedForSite(ticket) => ticket.as_ref(),
        }
    }
}

/// Unpauses by [`UnpauseTicket`]: the line of a device or a line, at least one of both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnpauseTicketRequest {
    /// The ticket.
    pub ticket_id: TicketId,
    /// The device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_number: Option<Serial>,
    /// The line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail_id: Option<DetailId>,
}

impl Request for UnpauseTicketRequest {
    fn parse(incoming: &Incoming<'_>) -> Result<Self, Rejected> {
        const KEYS: &str = "You must include ticket_id and service_number or detail_id in the request";
        let mut body = Fields::of(incoming, NO_BODY)?;
        let request = Self {
            ticket_id: in_path(body.truthy("ticket_id", KEYS)?, KEYS)?,
            service_number: body.if_truthy("service_number", KEYS)?,
            detail_id: body.if_truthy("detail_id", KEYS)?,
        };
        if request.service_number.is_none() && request.detail_id.is_none() {
            return Err(Rejected::text(KEYS));
        }
        Ok(request)
    }
}
