//! Work queues (subjects 15 and 16).

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::QUEUE;
use super::path::in_path;
use crate::fields::Fields;
use crate::id::{DetailId, Id, Serial, TicketId};
use crate::subjects::subjects;
use crate::{Incoming, Rejected, Request, lenient};

subjects! {
    /// 15. Moves a line to a work queue, by the queue's name.
    ChangeWorkQueue: "bruin.ticket.change.work", Write, wait 90, answer 80, ChangeWorkQueueRequest => Value;
    /// 16. The results by which the present task of a line may end, i.e. the queues it can go to.
    NextResults: "bruin.ticket.detail.get.next.results", Read, wait 15, answer 12,
        NextResultsRequest => NextResultsReply;
}

/// Moves by [`ChangeWorkQueue`]. The line is named by device, by line, or by both, which are then both used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChangeWorkQueueRequest {
    /// The ticket.
    pub ticket_id: TicketId,
    /// The line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail_id: Option<DetailId>,
    /// The device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_number: Option<Serial>,
    /// The queue's exact name without surrounding blanks.
    pub queue_name: String,
    /// The number of the result by which the line gets to the queue (`resultTypeId` of [`NextResult`]): the queue is not
    /// looked up by its name then. A later addition of the bridge's interface.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub work_queue_id: Option<Id>,
}

impl Request for ChangeWorkQueueRequest {
    fn parse(incoming: &Incoming<'_>) -> Result<Self, Rejected> {
        const NO_BODY: &str = r#"You must specify {.."body": {"service_number", "ticket_id", "detail_id", "queue_name"}..} in the request"#;
        const KEYS: &str = r#"You must specify {.."body": {"service_number" or "detail_id", "ticket_id", "queue_name"}..} in the request"#;
        let mut body = Fields::of(incoming, NO_BODY)?;
        if body.is_empty() {
            return Err(Rejected::text(NO_BODY));
        }
        let request = Self {
            ticket_id: in_path(body.required("ticket_id", KEYS)?, KEYS)?,
            detail_id: body.if_present("detail_id", KEYS)?,
            service_number: body.if_present("service_number", KEYS)?,
            queue_name: body.required("queue_name", KEYS)?,
            work_queue_id: body.if_truthy("work_queue_id", KEYS)?,
        };
        if request.detail_id.is_none() && request.service_number.is_none() {
            return Err(Rejected::text(KEYS));
        }
        Ok(request)
    }
}

/// Asks for [`NextResults`]. Old repliers insist on exactly these fields in this order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NextResultsRequest {
    /// The ticket.
    pub ticket_id: TicketId,
    /// The line.
    pub detail_id: DetailId,
    /// The device.
    pub service_number: Serial,
}

impl Request for NextResultsRequest {
    fn parse(incoming: &Incoming<'_>) -> Result<Self, Rejected> {
        const KEYS: &str =
            r#"You must specify {.."body": {"ticket_id", "detail_id", "service_number"}...} in the request"#;
        let mut body = Fields::of(incoming, KEYS)?;
        Ok(Self {
            ticket_id: in_path(body.required("ticket_id", KEYS)?, KEYS)?,
            detail_id: body.required("detail_id", KEYS)?,
            service_number: body.required("service_number", KEYS)?,
        })
    }
}

/// The present task of a line and how it may end.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct NextResultsReply {
    /// The present task.
    #[serde(deserialize_with = "lenient::or_default")]
    pub current_task_id: Option<Id>,
    /// Its name, i.e. the work queue; may have blanks around it.
    #[serde(deserialize_with = "lenient::or_default")]
    pub current_task_name: Option<String>,
    /// How it may end.
    #[serde(deserialize_with = "lenient::list")]
    pub next_results: Vec<NextResult>,
}

/// One way in which a task may end.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct NextResult {
    /// The result's number.
    #[serde(deserialize_with = "lenient::or_default")]
    pub result_type_id: Option<Id>,
    /// Its name; may have blanks around it.
    #[serde(deserialize_with = "lenient::or_default")]
    pub result_name: Option<String>,
}
