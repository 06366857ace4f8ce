//! Subjects of a later revision of the existing deployment (spec, "Later additions"). Nobody in the fleet asks them yet.

use serde::Serialize;
use serde_json::Value;

use super::filter::{self, Filter, Filters};
use super::path::in_path;
use super::{AttributeRequest, QUEUE};
use crate::fields::Fields;
use crate::id::{DetailId, Id, LinkInterface, Serial, TicketId};
use crate::subjects::subjects;
use crate::{Incoming, Rejected, Request};

subjects! {
    /// All attributes of a device.
    InventoryAttributes: "bruin.inventory.attributes", Read, wait 60, answer 55, AttributeRequest => Value;
    /// The contacts for tickets of a client; status 404 when there are none.
    TicketContacts: "bruin.get.ticket.contacts", Read, wait 60, answer 55, TicketContactsRequest => Value;
    /// The topics which tickets of a device can have.
    AssetTopics: "bruin.get.asset.topics", Read, wait 60, answer 55, AssetTopicsRequest => Value;
    /// Has Bruin send an e-mail about a milestone of a ticket.
    EmailMilestone: "bruin.notification.email.milestone", Write, wait 60, answer 55,
        EmailMilestoneRequest => Value;
    /// Subscribes a user to a ticket.
    SubscribeUser: "bruin.subscribe.user", Write, wait 60, answer 55, SubscribeUserRequest => Value;
    /// Sets the status of an e-mail.
    EmailStatus: "bruin.email.status", Write, wait 60, answer 55, EmailStatusRequest => Value;
    /// Replies to all of an e-mail.
    EmailReply: "bruin.email.reply", Write, wait 60, answer 55, EmailReplyRequest => Value;
    /// The numbers of a line's interfaces.
    TicketDetailIds: "bruin.ticket.detailIds.request", Read, wait 60, answer 55,
        TicketDetailIdsRequest => Value;
    /// Closes a ticket.
    CloseTicket: "bruin.ticket.close", Write, wait 75, answer 55, CloseTicketRequest => Value;
}

const NO_BODY: &str = r#"Must include "body" in request"#;

/// Asks for [`TicketContacts`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TicketContactsRequest {
    /// The client.
    pub client_id: Filter,
    /// Further filters, forwarded as well.
    #[serde(flatten)]
    pub filters: Filters,
}

impl Request for TicketContactsRequest {
    fn parse(incoming: &Incoming<'_>) -> Result<Self, Rejected> {
        const KEYS: &str = r#"You must specify "client_id" in the body"#;
        let mut body = Fields::of(incoming, NO_BODY)?;
        let client_id = filter::required(&mut body, "client_id", KEYS)?;
        Ok(Self { client_id, filters: filter::filters(body, KEYS)? })
    }
}

/// Asks for [`AssetTopics`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AssetTopicsRequest {
    /// The client; a number, perhaps as text.
    pub client_id: Id,
    /// The device.
    pub service_number: Serial,
}

impl Request for AssetTopicsRequest {
    fn parse(incoming: &Incoming<'_>) -> Result<Self, Rejected> {
        const KEYS: &str = r#"You must specify "client_id" (a number) and "service_number" in the body"#;
        let mut body = Fields::of(incoming, NO_BODY)?;
        let client_id: Id = body.required("client_id", KEYS)?;
        let service_number = body.truthy("service_number", KEYS)?;
        if client_id.as_i64().is_none() {
            return Err(Rejected::text(KEYS));
        }
        Ok(Self { client_id, service_number })
    }
}

/// Declares requests that are some required fields and nothing else; `$text` refuses the lack of any. Behind it stand
/// the fields which are parts of the path.
macro_rules! required {
    ($($(#[$doc:meta])* $name:ident($text:expr $(; $($id:ident),+)?) {$($(#[$field_doc:meta])* $field:ident: $kind:ty,)+})+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Serialize)]
        pub struct $name {
            $($(#[$field_doc])* pub $field: $kind,)+
        }

        impl Request for $name {
            fn parse(incoming: &Incoming<'_>) -> Result<Self, Rejected> {
                let mut body = Fields::of(incoming, NO_BODY)?;
                let request = Self { $($field: body.required(stringify!($field), $text)?,)+ };
                $($(in_path(&request.$id, $text)?;)+)?
                Ok(request)
            }
        }
    )+};
}

required! {
    /// Sends by [`EmailMilestone`].
    EmailMilestoneRequest(
        r#"You must specify "ticket_id", "notification_type" and "service_number" in the body"#
    ) {
        /// The ticket.
        ticket_id: TicketId,
        /// E.g. `TicketBYOBOutageRepairAcknowledgement-E-Mail`.
        notification_type: String,
        /// The device.
        service_number: Serial,
    }
    /// Subscribes by [`SubscribeUser`].
    SubscribeUserRequest(
        r#"You must specify "ticket_id", "user_email" and "subscription_type" in the body"#; ticket_id
    ) {
        /// The ticket.
        ticket_id: TicketId,
        /// The user's address.
        user_email: String,
        /// The kind of subscription.
        subscription_type: Id,
    }
    /// Sets by [`EmailStatus`].
    EmailStatusRequest(r#"You must specify "email_id" and "email_status" in the body"#) {
        /// The e-mail.
        email_id: Id,
        /// The new status.
        email_status: String,
    }
    /// Asks for [`TicketDetailIds`].
    TicketDetailIdsRequest(
        r#"You must specify "ticket_id", "detail_id" and "interfaces" in the body"#; ticket_id, detail_id
    ) {
        /// The ticket.
        ticket_id: TicketId,
        /// The line.
        detail_id: DetailId,
        /// The interfaces, e.g. `GE1`.
        interfaces: Vec<LinkInterface>,
    }
}

/// Replies by [`EmailReply`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EmailReplyRequest {
    /// The e-mail that is replied to.
    pub parent_email_id: Id,
    /// The text.
    pub reply_body: String,
    /// Whether the text is encoded HTML; true unless said otherwise.
    pub html_reply_body: bool,
}

impl Request for EmailReplyRequest {
    fn parse(incoming: &Incoming<'_>) -> Result<Self, Rejected> {
        const KEYS: &str = r#"You must specify "parent_email_id" and "reply_body" in the body"#;
        let mut body = Fields::of(incoming, NO_BODY)?;
        Ok(Self {
            parent_email_id: body.required("parent_email_id", KEYS)?,
            reply_body: body.required("reply_body", KEYS)?,
            html_reply_body: body.if_present("html_reply_body", KEYS)?.unwrap_or(true),
        })
    }
}

/// Closes by [`CloseTicket`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CloseTicketRequest {
    /// The ticket.
    pub ticket_id: TicketId,
    /// Why.
    pub close_note: String,
}

impl Request for CloseTicketRequest {
    fn parse(incoming: &Incoming<'_>) -> Result<Self, Rejected> {
        const KEYS: &str = r#"You must include "ticket_id" and "close_note" in the body of the request"#;
        let mut body = Fields::of(incoming, NO_BODY)?;
        Ok(Self {
            ticket_id: in_path(body.truthy("ticket_id", KEYS)?, KEYS)?,
            close_note: body.truthy("close_note", KEYS)?,
        })
    }
}
