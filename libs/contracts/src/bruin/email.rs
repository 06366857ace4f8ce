//! E-mails in Bruin (subjects 23 to 25).

use serde::Serialize;
use serde_json::Value;

use super::QUEUE;
use super::path::in_path;
use crate::fields::Fields;
use crate::id::{Id, TicketId};
use crate::subjects::subjects;
use crate::{Incoming, Rejected, Request};

subjects! {
    /// 23. Tags an e-mail; status 204 as a rule, 409 when it has the tag already.
    TagEmail: "bruin.email.tag.request", Write, wait 30, answer 27, TagEmailRequest => Value;
    /// 24. Marks an e-mail as done.
    MarkEmailDone: "bruin.mark.email.done", Write, wait 15, answer 12, MarkEmailDoneRequest => Value;
    /// 25. Links an e-mail with a ticket; status exactly 200 on success.
    LinkTicketEmail: "bruin.link.ticket.email", Write, wait 15, answer 12, LinkTicketEmailRequest => Value;
}

const NO_BODY: &str = r#"Must include "body" in request"#;

/// Tags by [`TagEmail`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TagEmailRequest {
    /// The e-mail.
    pub email_id: Id,
    /// The tag.
    pub tag_id: Id,
}

impl Request for TagEmailRequest {
    fn parse(incoming: &Incoming<'_>) -> Result<Self, Rejected> {
        const KEYS: &str =
            r#"You must include "email_id" and "tag_id" in the "body" field of the response request"#;
        let mut body = Fields::of(incoming, NO_BODY)?;
        Ok(Self {
            email_id: in_path(body.required("email_id", KEYS)?, KEYS)?,
            tag_id: in_path(body.required("tag_id", KEYS)?, KEYS)?,
        })
    }
}

/// Marks by [`MarkEmailDone`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MarkEmailDoneRequest {
    /// The e-mail.
    pub email_id: Id,
}

impl Request for MarkEmailDoneRequest {
    fn parse(incoming: &Incoming<'_>) -> Result<Self, Rejected> {
        let mut body = Fields::of(incoming, NO_BODY)?;
        Ok(Self { email_id: body.truthy("email_id", "You must include email_id in the request")? })
    }
}

/// Links by [`LinkTicketEmail`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LinkTicketEmailRequest {
    /// The ticket.
    pub ticket_id: TicketId,
    /// The e-mail.
    pub email_id: Id,
}

impl Request for LinkTicketEmailRequest {
    fn parse(incoming: &Incoming<'_>) -> Result<Self, Rejected> {
        const KEYS: &str =
            r#"You must include "ticket_id" and "email_id" in the "body" field of the request"#;
        let mut body = Fields::of(incoming, NO_BODY)?;
        Ok(Self {
            ticket_id: in_path(body.required("ticket_id", KEYS)?, KEYS)?,
            email_id: in_path(body.required("email_id", KEYS)?, KEYS)?,
        })
    }
}
