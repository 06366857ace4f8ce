//! Tickets: queries, details, history, creation, status and severity (subjects 1 to 6, 9, 11, 12 and 14).

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::QUEUE;
use super::filter::{self, Filter, Filters};
use super::path::in_path;
use crate::fields::Fields;
use crate::id::{ClientId, DetailId, Id, LinkInterface, Serial, TicketId};
use crate::subjects::subjects;
use crate::{Incoming, Rejected, Request, json, lenient};

subjects! {
    /// 1. Full tickets of one client in several statuses, without duplicates.
    Tickets: "bruin.ticket.request", Read, wait 90, answer 80, TicketsRequest => Vec<Ticket>;
    /// 2. Light ticket list, all pages joined.
    BasicTickets: "bruin.ticket.basic.request", Read, wait 90, answer 27, BasicTicketsRequest => Vec<Ticket>;
    /// 3. One light ticket; status 404 when Bruin does not know it.
    SingleBasicTicket: "bruin.single_ticket.basic.request", Read, wait 30, answer 12,
        SingleBasicTicketRequest => Ticket;
    /// 4. Lines and notes of a ticket.
    TicketDetails: "bruin.ticket.details.request", Read, wait 60, answer 12,
        TicketDetailsRequest => TicketDetailsReply;
    /// 5. One full ticket; an empty array when Bruin does not know it.
    TicketOverview: "bruin.ticket.overview.request", Read, wait 30, answer 12,
        TicketOverviewRequest => TicketOverviewReply;
    /// 6. What was done on a ticket.
    TaskHistory: "bruin.ticket.get.task.history", Read, wait 60, answer 12,
        TaskHistoryRequest => TaskHistoryReply;
    /// 9. Creates a ticket of any kind.
    TicketCreation: "bruin.ticket.creation.request", Write, wait 90, answer 27,
        TicketCreationRequest => TicketCreationReply;
    /// 11. Opens a line again.
    OpenTicket: "bruin.ticket.status.open", Write, wait 15, answer 12, TicketLineRequest => Value;
    /// 12. Resolves a line.
    ResolveTicket: "bruin.ticket.status.resolve", Write, wait 15, answer 12, ResolveTicketRequest => Value;
    /// 14. Changes the severity of a ticket.
    TicketSeverity: "bruin.change.ticket.severity", Write, wait 45, answer 42, TicketSeverityRequest => Value;
}

const NO_BODY: &str = r#"Must include "body" in request"#;
const NO_BODY_MESSAGE: &str = r#"Must include "body" in the request message"#;

/// Asks for [`Tickets`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TicketsRequest {
    /// The client.
    pub client_id: Filter,
    /// `VOO` (service outage) or `VAS` (service affecting).
    pub ticket_topic: Filter,
    /// One upstream call each, e.g. `New`, `InProgress`.
    pub ticket_status: Vec<filter::Scalar>,
    /// Product category, e.g. `SD-WAN`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category: Option<Filter>,
    /// Restricts to one ticket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ticket_id: Option<Filter>,
    /// Restricts to one device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_number: Option<Filter>,
    /// Start of the creation window, `YYYY-MM-DDTHH:MM:SSZ`; counts only together with [`Self::end_date`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_date: Option<Filter>,
    /// End of the creation window.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_date: Option<Filter>,
}

impl Request for TicketsRequest {
    fn parse(incoming: &Incoming<'_>) -> Result<Self, Rejected> {
        const KEYS: &str = "You must specify {...\"body:{\"client_id\", \"ticket_topic\", \
            \"ticket_status\":[list of statuses]}...} in the request";
        let mut body = Fields::of(incoming, NO_BODY)?;
        let (client_id, ticket_topic) = (
            filter::required(&mut body, "client_id", KEYS)?,
            filter::required(&mut body, "ticket_topic", KEYS)?,
        );
        let ticket_status = body.required("ticket_status", KEYS)?;
        // One alone counts for nothing, whatever it is.
        let (start, end): (Option<Value>, Option<Value>) =
            (body.if_truthy("start_date", KEYS)?, body.if_truthy("end_date", KEYS)?);
        let window = match start.zip(end) {
            Some((start, end)) => Some((filter::of(start, KEYS)?, filter::of(end, KEYS)?)),
            None => None,
        };
        Ok(Self {
            client_id,
            ticket_topic,
            ticket_status,
            category: body.if_truthy("category", KEYS)?,
            ticket_id: body.if_truthy("ticket_id", KEYS)?,
            service_number: body.if_truthy("service_number", KEYS)?,
            start_date: window.as_ref().map(|(start, _)| start.clone()),
            end_date: window.map(|(_, end)| end),
        })
    }
}

/// Asks for [`BasicTickets`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BasicTicketsRequest {
    /// Sent in one upstream call as a repeated parameter, e.g. `New`, `InProgress`, `Draft`.
    pub ticket_statuses: Vec<String>,
    /// Tickets in one page; the bridge's default is 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page_size: Option<u32>,
    /// Query filters by their name in snake case: `client_id`, `site_id`, `ticket_topic`, `product_category`,
    /// `service_number`, `start_date`, `end_date`, or any other.
    #[serde(flatten)]
    pub filters: Filters,
}

impl Request for BasicTicketsRequest {
    fn parse(incoming: &Incoming<'_>) -> Result<Self, Rejected> {
        const STATUSES: &str = r#"Must specify "ticket_statuses" in the body of the request"#;
        let mut body = Fields::of(incoming, NO_BODY_MESSAGE)?;
        let ticket_statuses = match body.required::<OneOrMany<String>>("ticket_statuses", STATUSES)? {
            OneOrMany::One(status) => vec![status],
            OneOrMany::Many(statuses) => statuses,
        };
        let page_size = body.if_present::<Id>("page_size", STATUSES)?;
        let page_size = match page_size {
            None => None,
            Some(size) => Some(
                size.as_i64()
                    .and_then(|size| u32::try_from(size).ok())
                    .filter(|size| *size > 0)
                    .ok_or_else(|| Rejected::text(STATUSES))?,
            ),
        };
        // Both would be overwritten by what the bridge sends.
        body.take("page_number");
        body.take("ticket_status");
        Ok(Self { ticket_statuses, page_size, filters: filter::filters(body, STATUSES)? })
    }
}

/// A value, or a list of values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum OneOrMany<T> {
    /// A plain value.
    One(T),
    /// A list.
    Many(Vec<T>),
}

/// Declares requests which have only a ticket id.
macro_rules! by_ticket_id {
    ($($(#[$doc:meta])* $name:ident($no_body:expr, $no_id:expr);)+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize)]
        pub struct $name {
            /// The ticket.
            pub ticket_id: TicketId,
        }

        impl Request for $name {
            fn parse(incoming: &Incoming<'_>) -> Result<Self, Rejected> {
                let ticket_id = Fields::of(incoming, $no_body)?.required("ticket_id", $no_id)?;
                Ok(Self { ticket_id: in_path(ticket_id, $no_id)? })
            }
        }
    )+};
}

by_ticket_id! {
    /// Asks for [`SingleBasicTicket`].
    SingleBasicTicketRequest(NO_BODY_MESSAGE, r#"Must specify "ticket_id" in the body of the request"#);
    /// Asks for [`TicketDetails`].
    TicketDetailsRequest(NO_BODY, "You must include ticket_id in the request");
    /// Asks for [`TaskHistory`].
    TaskHistoryRequest(
        r#"You must specify {.."body":{"ticket_id"}...} in the request"#,
        r#"You must specify "ticket_id" in the body"#
    );
}

/// Asks for [`TicketOverview`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TicketOverviewRequest {
    /// The ticket; as text only digits.
    pub ticket_id: TicketId,
}

impl Request for TicketOverviewRequest {
    fn parse(incoming: &Incoming<'_>) -> Result<Self, Rejected> {
        const KEYS: &str = r#"Must include "ticket_id" in body"#;
        let unknown = || Rejected { status: 404, body: "not ticket id found".into() };
        let mut body = Fields::of(incoming, NO_BODY)?;
        let value = body.take("ticket_id").ok_or_else(|| Rejected::text(KEYS))?;
        if !json::truthy(&value) && !value.is_array() && !value.is_object() {
            return Err(unknown());
        }
        let ticket_id = match serde_json::from_value(value).map_err(|_| Rejected::text(KEYS))? {
            Id::Text(text) if !text.bytes().all(|byte| byte.is_ascii_digit()) => return Err(unknown()),
            // Bruin gets the number, also of a text with leading zeros.
            Id::Text(text) => text.parse().map_or(Id::Text(text), Id::Number),
            number @ Id::Number(_) => number,
        };
        Ok(Self { ticket_id: TicketId(ticket_id) })
    }
}

/// Creates a ticket by [`TicketCreation`]. The whole body is forwarded, hence its camel case.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TicketCreationRequest {
    /// The client.
    pub client_id: ClientId,
    /// The kind of ticket, e.g. `VAS`.
    pub category: String,
    /// The devices, each `{"serviceNumber": "VC1234567"}`.
    pub services: Vec<Value>,
    /// The contacts, each `{"email", "phone", "name", "type"}` with `type` `ticket` or `site`.
    pub contacts: Vec<Value>,
    /// Notes to begin with; sent as `[]` when absent.
    pub notes: Value,
    /// Anything else, forwarded as well.
    #[serde(flatten)]
    pub more: serde_json::Map<String, Value>,
}

impl Request for TicketCreationRequest {
    fn parse(incoming: &Incoming<'_>) -> Result<Self, Rejected> {
        const NO_BODY: &str =
            r#"You must specify {.."body":{"clientId", "category", "services", "contacts"}, in the request"#;
        const KEYS: &str = r#"You must specify "clientId", "category", "services", "contacts" in the body"#;
        let mut body = Fields::of(incoming, NO_BODY)?;
        Ok(Self {
            client_id: body.required("clientId", KEYS)?,
            category: body.required("category", KEYS)?,
            services: body.required("services", KEYS)?,
            contacts: body.required("contacts", KEYS)?,
            notes: body.take("notes").unwrap_or_else(|| Value::Array(Vec::new())),
            more: body.rest(),
        })
    }
}

/// Names a line of a ticket, for [`OpenTicket`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TicketLineRequest {
    /// The ticket.
    pub ticket_id: TicketId,
    /// The line.
    pub detail_id: DetailId,
}

impl Request for TicketLineRequest {
    fn parse(incoming: &Incoming<'_>) -> Result<Self, Rejected> {
        let (ticket_id, detail_id) = line(&mut Fields::of(incoming, NO_BODY)?)?;
        Ok(Self { ticket_id, detail_id })
    }
}

/// Resolves a line by [`ResolveTicket`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ResolveTicketRequest {
    /// The ticket.
    pub ticket_id: TicketId,
    /// The line.
    pub detail_id: DetailId,
    /// The interfaces of the line which are in order again. A later addition of the bridge's interface.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interfaces: Option<Vec<LinkInterface>>,
}

impl Request for ResolveTicketRequest {
    fn parse(incoming: &Incoming<'_>) -> Result<Self, Rejected> {
        let mut body = Fields::of(incoming, NO_BODY)?;
        let (ticket_id, detail_id) = line(&mut body)?;
        Ok(Self { ticket_id, detail_id, interfaces: body.if_truthy("interfaces", LINE_KEYS)? })
    }
}

const LINE_KEYS: &str = "You must include ticket_id and detail_id in the request";

/// Takes what names a line.
fn line(body: &mut Fields) -> Result<(TicketId, DetailId), Rejected> {
    Ok((
        in_path(body.truthy("ticket_id", LINE_KEYS)?, LINE_KEYS)?,
        in_path(body.truthy("detail_id", LINE_KEYS)?, LINE_KEYS)?,
    ))
}

/// Changes a severity by [`TicketSeverity`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TicketSeverityRequest {
    /// The ticket.
    pub ticket_id: TicketId,
    /// The new level, e.g. 2 or 3.
    pub severity: Id,
    /// Why, as it will stand in the ticket.
    pub reason: String,
}

impl Request for TicketSeverityRequest {
    fn parse(incoming: &Incoming<'_>) -> Result<Self, Rejected> {
        const KEYS: &str = r#"You must specify "ticket_id", "severity" and "reason" in the body"#;
        let mut body = Fields::of(incoming, NO_BODY_MESSAGE)?;
        Ok(Self {
            ticket_id: in_path(body.required("ticket_id", KEYS)?, KEYS)?,
            severity: body.required("severity", KEYS)?,
            reason: body.required("reason", KEYS)?,
        })
    }
}

/// A ticket, full or basic; a basic one has fewer fields. Dates are Bruin's texts (`9/25/2020 6:31:54 AM`).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Ticket {
    /// The ticket's number.
    #[serde(rename = "ticketID", deserialize_with = "lenient::or_default")]
    pub ticket_id: Option<TicketId>,
    /// The client.
    #[serde(rename = "clientID", deserialize_with = "lenient::or_default")]
    pub client_id: Option<ClientId>,
    /// The client's name.
    #[serde(deserialize_with = "lenient::or_default")]
    pub client_name: Option<String>,
    /// The product category, e.g. `SD-WAN`.
    #[serde(deserialize_with = "lenient::or_default")]
    pub category: Option<String>,
    /// E.g. `Service Outage Trouble`.
    #[serde(deserialize_with = "lenient::or_default")]
    pub topic: Option<String>,
    /// E.g. `New`, `In-Progress`, `Resolved`.
    #[serde(deserialize_with = "lenient::or_default")]
    pub ticket_status: Option<String>,
    /// When it was created.
    #[serde(deserialize_with = "lenient::or_default")]
    pub create_date: Option<String>,
    /// Who created it.
    #[serde(deserialize_with = "lenient::or_default")]
    pub created_by: Option<String>,
    /// The level, as text or number.
    #[serde(deserialize_with = "lenient::or_default")]
    pub severity: Option<Id>,
}

/// The lines and notes of a ticket.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TicketDetailsReply {
    /// The lines, usually one for each device.
    #[serde(deserialize_with = "lenient::list")]
    pub ticket_details: Vec<TicketLine>,
    /// The notes, oldest first as a rule.
    #[serde(deserialize_with = "lenient::list")]
    pub ticket_notes: Vec<TicketNote>,
}

/// A line of a ticket.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TicketLine {
    /// The line's number.
    #[serde(rename = "detailID", deserialize_with = "lenient::or_default")]
    pub detail_id: Option<DetailId>,
    /// E.g. `Repair_WTN`.
    #[serde(deserialize_with = "lenient::or_default")]
    pub detail_type: Option<String>,
    /// `I` in progress, `O` open, `R` resolved.
    #[serde(deserialize_with = "lenient::or_default")]
    pub detail_status: Option<String>,
    /// The device's serial.
    #[serde(deserialize_with = "lenient::or_default")]
    pub detail_value: Option<Serial>,
    /// Who works on it.
    #[serde(deserialize_with = "lenient::or_default")]
    pub assigned_to_name: Option<String>,
    /// The present task.
    #[serde(rename = "currentTaskID", deserialize_with = "lenient::or_default")]
    pub current_task_id: Option<Id>,
    /// The present task's name, i.e. the work queue; may end with blanks.
    #[serde(deserialize_with = "lenient::or_default")]
    pub current_task_name: Option<String>,
    /// Who changed it last.
    #[serde(deserialize_with = "lenient::or_default")]
    pub last_updated_by: Option<Id>,
    /// When it was changed last.
    #[serde(deserialize_with = "lenient::or_default")]
    pub last_updated_at: Option<String>,
}

/// A note of a ticket.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TicketNote {
    /// The note's number.
    #[serde(deserialize_with = "lenient::or_default")]
    pub note_id: Option<Id>,
    /// Its text; Bruin has notes without one.
    #[serde(deserialize_with = "lenient::or_default")]
    pub note_value: Option<String>,
    /// The devices it is about; null or empty for the whole ticket.
    #[serde(deserialize_with = "lenient::some_list")]
    pub service_number: Option<Vec<Serial>>,
    /// When it was written, ISO 8601.
    #[serde(deserialize_with = "lenient::or_default")]
    pub created_date: Option<String>,
    /// Who wrote it.
    #[serde(deserialize_with = "lenient::or_default")]
    pub creator: Option<String>,
}

impl TicketNote {
    /// Whether the note names the device.
    pub fn is_about(&self, serial: &Serial) -> bool {
        self.service_number.as_ref().is_some_and(|serials| serials.contains(serial))
    }
}

/// What [`TicketOverview`] answers: Bruin answers an empty array for a ticket that it does not know.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum TicketOverviewReply {
    /// An array, empty in practice: the ticket is unknown.
    Unknown(Vec<Value>),
    /// The ticket.
    Known(Box<Ticket>),
}

/// The entries of a ticket's history.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TaskHistoryReply(#[serde(deserialize_with = "lenient::list")] pub Vec<TaskHistoryEntry>);

/// Something that was done on a ticket. The names are those of Bruin's report.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TaskHistoryEntry {
    /// The device's serial.
    #[serde(rename = "Asset", deserialize_with = "lenient::or_default")]
    pub asset: Option<Serial>,
    /// The ticket.
    #[serde(rename = "CallTicketID", deserialize_with = "lenient::or_default")]
    pub ticket_id: Option<TicketId>,
    /// The line.
    #[serde(rename = "DetailID", deserialize_with = "lenient::or_default")]
    pub detail_id: Option<DetailId>,
    /// The ticket's first note.
    #[serde(rename = "Initial Note @ Ticket Creation", deserialize_with = "lenient::or_default")]
    pub initial_note: Option<String>,
    /// When the ticket was created, ISO 8601.
    #[serde(rename = "EnteredDate", deserialize_with = "lenient::or_default")]
    pub ticket_entered: Option<String>,
    /// `ADN` public note, `CON` private one, and others.
    #[serde(rename = "NoteType", deserialize_with = "lenient::or_default")]
    pub note_type: Option<String>,
    /// The note's text.
    #[serde(rename = "Notes", deserialize_with = "lenient::or_default")]
    pub notes: Option<String>,
    /// When the note was written, ISO 8601.
    #[serde(rename = "EnteredDate_N", deserialize_with = "lenient::or_default")]
    pub note_entered: Option<String>,
    /// Who wrote it.
    #[serde(rename = "Note Entered By", deserialize_with = "lenient::or_default")]
    pub note_entered_by: Option<String>,
    /// Who has the task.
    #[serde(rename = "Task Assigned To", deserialize_with = "lenient::or_default")]
    pub assigned_to: Option<String>,
    /// The task.
    #[serde(rename = "Task", deserialize_with = "lenient::or_default")]
    pub task: Option<String>,
    /// Its result.
    #[serde(rename = "Task Result", deserialize_with = "lenient::or_default")]
    pub task_result: Option<String>,
    /// The ticket's status.
    #[serde(rename = "Ticket Status", deserialize_with = "lenient::or_default")]
    pub ticket_status: Option<String>,
}

/// What was created.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TicketCreationReply {
    /// The new tickets, usually one.
    #[serde(deserialize_with = "lenient::list")]
    pub ticket_ids: Vec<TicketId>,
}
