//! The subjects which `repair-tickets-kre-bridge` answers (spec `repair-tickets-kre-bridge`, "Serves").
//!
//! What a request holds beyond the fields that are checked here is the business of the model's contract, by which the
//! bridge reads it: requests are kept as they came.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::id::Id;
use crate::subjects::subjects;
use crate::{Incoming, Rejected, Request, json, lenient};

/// The queue group of all four subjects; not the service's name.
pub const QUEUE: &str = "rta_kre_bridge";
/// Refusal of a prediction without the e-mail's id.
pub const NO_EMAIL: &str = r#"You must specify {.."body": { "email_id", "subject", ...}} in the request"#;
/// Refusal of outputs without a body.
pub const NO_BODY: &str = "You must specify body in the request";
/// Refusal of feedback without a ticket.
pub const NO_TICKET: &str = "You must use correct format in the request";

// The existing requester waits 10 s. One call to the model may take 120 s: requesters who wait less say so in a header,
// old ones ask again. The refusals of what is no JSON object: spec, "Improve".
subjects! {
    /// Infers what an e-mail asks for.
    Prediction: "rta.prediction.request", Read, wait 10, answer 125,
        EmailRequest => Inference, malformed NO_EMAIL;
    /// Tells the model what the automation did, could have done or could not do with an e-mail.
    SaveOutputs: "rta.save_outputs.request", Write, wait 10, answer 125,
        OutputsRequest => Saved, malformed NO_BODY;
    /// Tells the model which ticket people created for an e-mail.
    CreatedTicketFeedback: "rta.created_ticket_feedback.request", Write, wait 10, answer 125,
        FeedbackRequest => Saved, malformed NO_TICKET;
    /// Tells the model how a ticket of the automation ended.
    ClosedTicketFeedback: "rta.closed_ticket_feedback.request", Write, wait 10, answer 125,
        FeedbackRequest => Saved, malformed NO_TICKET;
}

/// An id in Bruin, for logs.
fn id(body: &Map<String, Value>, name: &str) -> Option<Id> {
    Id::deserialize(body.get(name)?).ok()
}

/// The body of a request in which `name` says something; else the refusal.
fn with(incoming: &Incoming<'_>, name: &str, refusal: &str) -> Result<Map<String, Value>, Rejected> {
    let body = incoming.body_object().filter(|body| body.get(name).is_some_and(json::truthy));
    body.ok_or_else(|| Rejected::text(refusal))
}

/// Parameters of [`Prediction`]: the e-mail itself, with an `email_id`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(transparent)]
pub struct EmailRequest {
    /// Everything in the body.
    pub body: Map<String, Value>,
}

impl EmailRequest {
    /// The e-mail's id in Bruin, for logs.
    pub fn email_id(&self) -> Option<Id> {
        id(&self.body, "email_id")
    }
}

impl Request for EmailRequest {
    fn parse(incoming: &Incoming<'_>) -> Result<Self, Rejected> {
        with(incoming, "email_id", NO_EMAIL).map(|body| Self { body })
    }
}

/// Parameters of [`SaveOutputs`]: what became of an e-mail; anything, but not nothing.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(transparent)]
pub struct OutputsRequest {
    /// Everything in the body.
    pub body: Map<String, Value>,
}

impl OutputsRequest {
    /// The e-mail's id in Bruin, for logs.
    pub fn email_id(&self) -> Option<Id> {
        id(&self.body, "email_id")
    }
}

impl Request for OutputsRequest {
    fn parse(incoming: &Incoming<'_>) -> Result<Self, Rejected> {
        let body = incoming.body_object().filter(|body| !body.is_empty());
        body.map(|body| Self { body }).ok_or_else(|| Rejected::text(NO_BODY))
    }
}

/// Parameters of [`CreatedTicketFeedback`] and [`ClosedTicketFeedback`]: feedback about a `ticket_id`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(transparent)]
pub struct FeedbackRequest {
    /// Everything in the body.
    pub body: Map<String, Value>,
}

impl FeedbackRequest {
    /// The ticket's id in Bruin, for logs.
    pub fn ticket_id(&self) -> Option<Id> {
        id(&self.body, "ticket_id")
    }
}

impl Request for FeedbackRequest {
    fn parse(incoming: &Incoming<'_>) -> Result<Self, Rejected> {
        with(incoming, "ticket_id", NO_TICKET).map(|body| Self { body })
    }
}

/// What an e-mail asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Inference {
    /// Serial numbers it may talk about.
    #[serde(deserialize_with = "lenient::list")]
    pub potential_service_numbers: Vec<String>,
    /// Tickets it may talk about.
    #[serde(deserialize_with = "lenient::list")]
    pub potential_ticket_numbers: Vec<String>,
    /// `VOO` (outage), `VAS` (affecting), `Other` or empty.
    #[serde(deserialize_with = "lenient::or_default")]
    pub predicted_class: String,
    /// Why it may not be acted on; old bridges leave it out when the model did.
    #[serde(deserialize_with = "lenient::or_default")]
    pub filter_flags: Option<FilterFlags>,
}

/// Reasons not to act on an inference. The thresholds are the model's.
#[allow(clippy::struct_excessive_bools, reason = "the model's contract has five flags")]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FilterFlags {
    /// The e-mail's tag is too doubtful.
    #[serde(deserialize_with = "lenient::or_default")]
    pub tagger_is_below_threshold: bool,
    /// Whether it is a repair at all is too doubtful.
    #[serde(deserialize_with = "lenient::or_default")]
    pub rta_model1_is_below_threshold: bool,
    /// Whether it is outage or affecting is too doubtful.
    #[serde(deserialize_with = "lenient::or_default")]
    pub rta_model2_is_below_threshold: bool,
    /// The model filters it out.
    #[serde(deserialize_with = "lenient::or_default")]
    pub is_filtered: bool,
    /// It is kept for validating the model.
    #[serde(deserialize_with = "lenient::or_default")]
    pub in_validation_set: bool,
}

impl FilterFlags {
    /// What stands for flags that the model did not set: nothing is automated.
    pub const SAFE: Self = Self {
        tagger_is_below_threshold: false,
        rta_model1_is_below_threshold: false,
        rta_model2_is_below_threshold: false,
        is_filtered: true,
        in_validation_set: false,
    };
}

/// Whether the model kept what it was told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Saved {
    /// The model's word.
    #[serde(deserialize_with = "lenient::or_default")]
    pub success: bool,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse<R: Request>(body: &Value) -> Result<R, Rejected> {
        R::parse(&Incoming::read(&json!({"request_id": "r", "body": body}).to_string()).unwrap())
    }

    #[test]
    fn requests_without_what_they_are_about_are_refused() {
        for body in [json!(null), json!({}), json!([]), json!("x"), json!(1)] {
            assert_eq!(parse::<EmailRequest>(&body), Err(Rejected::text(NO_EMAIL)), "{body}");
            assert_eq!(parse::<OutputsRequest>(&body), Err(Rejected::text(NO_BODY)), "{body}");
            assert_eq!(parse::<FeedbackRequest>(&body), Err(Rejected::text(NO_TICKET)), "{body}");
        }
        for empty in [json!(null), json!(""), json!(0)] {
            assert!(parse::<EmailRequest>(&json!({"email_id": empty})).is_err());
            assert!(parse::<FeedbackRequest>(&json!({"ticket_id": empty, "client_id": "1"})).is_err());
        }
        assert_eq!(FeedbackRequest::parse(&Incoming::read("{}").unwrap()), Err(Rejected::text(NO_TICKET)));
    }

    #[test]
    fn everything_else_is_kept_as_it_came() {
        let body = json!({"email_id": "73111", "send_cc": [1.50], "tag": {"type": "Repair"}});
        let request = parse::<EmailRequest>(&body).unwrap();
        assert_eq!(request.email_id(), Some("73111".into()));
        assert_eq!(serde_json::to_value(&request).unwrap(), body);
        assert_eq!(parse::<OutputsRequest>(&json!({"x": null})).unwrap().email_id(), None);
        assert_eq!(parse::<FeedbackRequest>(&json!({"ticket_id": 7})).unwrap().ticket_id(), Some(7.into()));
    }

    #[test]
    fn replies_are_read_leniently() {
        let inference: Inference = serde_json::from_value(json!({
            "potential_service_numbers": ["VC1234567", 7],
            "predicted_class": null,
        }))
        .unwrap();
        assert_eq!(inference.potential_service_numbers, ["VC1234567"]);
        assert_eq!((inference.predicted_class.as_str(), inference.filter_flags), ("", None));
        let saved: Saved = serde_json::from_value(json!({})).unwrap();
        assert!(!saved.success);
        assert_eq!(serde_json::to_value(FilterFlags::SAFE).unwrap()["is_filtered"], true);
    }
}
