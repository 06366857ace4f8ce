//! The subjects which `email-tagger-kre-bridge` answers (spec `email-tagger-kre-bridge`, "Serves").
//!
//! What a request holds beyond the fields that are checked here is the business of the model's contract, by which the
//! bridge reads it: requests are kept as they came.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::id::Id;
use crate::subjects::subjects;
use crate::{Incoming, Rejected, Request, json, lenient};

/// The queue group of both subjects.
pub const QUEUE: &str = "email_tagger_kre_bridge";
/// Refusal of a prediction without an e-mail or its id.
pub const NO_EMAIL: &str =
    r#"You must specify {.."body": { "email": {"email_id", "subject", ...}}} in the request"#;
/// Refusal of metrics without e-mail or ticket.
pub const NO_OUTCOME: &str =
    r#"You must specify {.."body": {"original_email": {...}, "ticket": {...}}} in the request"#;

// The existing requester waits 10 s. One call to the model may take 120 s: requesters who wait less say so in a header, old
// ones ask again. The refusals of what is no JSON object: spec, "Improve".
subjects! {
    /// Asks the model to rate the tags of an e-mail.
    /// The reply: in the model's order; null when it predicts nothing.
    Prediction: "email_tagger.prediction.request", Read, wait 10, answer 125,
        PredictionRequest => Option<Vec<RatedTag>>, malformed NO_EMAIL;

    /// Tells the model the outcome of an e-mail.
    /// The reply: the model's message, e.g. `Saved 1 metrics`.
    SaveMetrics: "email_tagger.metrics.request", Write, wait 10, answer 125,
        SaveMetricsRequest => String, malformed NO_OUTCOME;
}

/// Parameters of [`Prediction`]: `email`, an object with an `email_id`, and `tag_ids`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(transparent)]
pub struct PredictionRequest {
    /// Everything in the body, unknown fields included.
    pub body: Map<String, Value>,
}

impl PredictionRequest {
    /// The e-mail's id in Bruin, for logs.
    pub fn email_id(&self) -> Option<&str> {
        self.body.get("email")?.get("email_id")?.as_str()
    }
}

impl Request for PredictionRequest {
    fn parse(incoming: &Incoming<'_>) -> Result<Self, Rejected> {
        let body = incoming.body_object().unwrap_or_default();
        let id = body.get("email").and_then(|email| email.as_object()?.get("email_id"));
        if id.is_some_and(json::truthy) { Ok(Self { body }) } else { Err(Rejected::text(NO_EMAIL)) }
    }
}

/// Parameters of [`SaveMetrics`]: `original_email`, as a [`PredictionRequest`] has it, and `ticket`. Both keys must be
/// there, but may be null.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(transparent)]
pub struct SaveMetricsRequest {
    /// Everything in the body, unknown fields included.
    pub body: Map<String, Value>,
}

impl SaveMetricsRequest {
    /// The e-mail's id in Bruin, for logs.
    pub fn email_id(&self) -> Option<&str> {
        self.body.get("original_email")?.get("email")?.get("email_id")?.as_str()
    }

    /// The ticket's id in Bruin, for logs.
    pub fn ticket_id(&self) -> Option<Id> {
        Id::deserialize(self.body.get("ticket")?.get("ticket_id")?).ok()
    }
}

impl Request for SaveMetricsRequest {
    fn parse(incoming: &Incoming<'_>) -> Result<Self, Rejected> {
        let body = incoming.body_object().unwrap_or_default();
        let whole = ["original_email", "ticket"].iter().all(|name| body.contains_key(*name));
        if whole { Ok(Self { body }) } else { Err(Rejected::text(NO_OUTCOME)) }
    }
}

/// A tag and how well it fits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RatedTag {
    /// The tag's id in Bruin, a decimal text; old bridges leave out a 0.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub tag_id: String,
    /// From 0 to 1; old bridges leave out a 0.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub probability: f64,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse<R: Request>(body: &Value) -> Result<R, Rejected> {
        R::parse(&Incoming::read(&json!({"request_id": "r", "body": body}).to_string()).unwrap())
    }

    #[test]
    fn a_prediction_needs_an_email_with_an_id() {
        for body in [
            json!(null),
            json!({}),
            json!([]),
            json!("email"),
            json!({"email": null}),
            json!({"email": {}}),
            json!({"email": "73111"}),
            json!({"email": [{"email_id": "1"}]}),
            json!({"email": {"subject": "Router down"}}),
            json!({"email": {"email_id": null}}),
            json!({"email": {"email_id": ""}}),
            json!({"email": {"email_id": 0}}),
        ] {
            assert_eq!(parse::<PredictionRequest>(&body), Err(Rejected::text(NO_EMAIL)), "{body}");
        }
        let nothing = Incoming::read("{}").unwrap();
        assert_eq!(PredictionRequest::parse(&nothing), Err(Rejected::text(NO_EMAIL)));
        let body = json!({"email": {"email_id": "73111", "to_address": ["x"]}, "tag_ids": "5"});
        let request = parse::<PredictionRequest>(&body).unwrap();
        assert_eq!(request.email_id(), Some("73111"));
        assert_eq!(serde_json::to_value(&request).unwrap(), body);
        // The presence check lets a number pass; the contract refuses it.
        assert!(parse::<PredictionRequest>(&json!({"email": {"email_id": 123}})).is_ok());
    }

    #[test]
    fn metrics_need_both_keys_which_may_be_null() {
        for body in [
            json!(null),
            json!({}),
            json!(7),
            json!({"original_email": {"email": {"email_id": "1"}}}),
            json!({"ticket": {}}),
        ] {
            assert_eq!(parse::<SaveMetricsRequest>(&body), Err(Rejected::text(NO_OUTCOME)), "{body}");
        }
        let request =
            parse::<SaveMetricsRequest>(&json!({"original_email": null, "ticket": {"ticket_id": 3_499_114}}));
        let request = request.unwrap();
        assert_eq!((request.email_id(), request.ticket_id()), (None, Some(3_499_114.into())));
    }

    #[test]
    fn replies_of_old_bridges_lack_zeros() {
        let tags: Vec<RatedTag> =
            serde_json::from_value(json!([{"tag_id": "1002", "probability": 0.67}, {"tag_id": "4"}, {}]))
                .unwrap();
        assert_eq!(tags[0], RatedTag { tag_id: "1002".to_owned(), probability: 0.67 });
        assert_eq!(tags[1].probability.to_bits(), 0.0_f64.to_bits());
        assert_eq!(tags[2].tag_id, "");
    }
}
