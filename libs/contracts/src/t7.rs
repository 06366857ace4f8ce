//! The subjects which `t7-bridge` answers (spec `t7-bridge`, "Serves").
//!
//! Task histories travel as Bruin gives them: rows keep Bruin's own spelling of their keys. Which of them the model takes,
//! and whether their values fit, is the business of the model's contract, by which the bridge reads them.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::id::Id;
use crate::subjects::subjects;
use crate::{Incoming, Rejected, Request, json, lenient};

/// The queue group of all three subjects.
pub const QUEUE: &str = "t7_bridge";
/// Refusal of a prediction that lacks something.
pub const NO_PREDICTION: &str =
    r#"You must specify {.."body": {"ticket_id", "ticket_rows", "assets_to_predict"}..} in the request"#;
/// Refusal of a task history that lacks something.
pub const NO_METRICS: &str = r#"You must specify {.."body": {"ticket_id", "ticket_rows"}..} in the request"#;
/// Refusal of an outcome that lacks something.
pub const NO_LIVE_METRICS: &str =
    r#"You must specify {.."body": {"ticket_id", "asset_id", "automated_successfully"}..} in the request"#;

// The existing requesters wait 60 s. One call to the model may take 120 s: requesters who wait less say so in a header, old
// ones ask again. The refusals of what is no JSON object: spec, "Improve".
subjects! {
    /// Asks the model what to do next about the assets of a ticket.
    /// The reply: in the model's order.
    Prediction: "t7.prediction.request", Read, wait 60, answer 125,
        PredictionRequest => Vec<AssetPrediction>, malformed NO_PREDICTION;

    /// Gives the model the task history of a closed ticket, for its training.
    /// The reply: the model's message, e.g. `Saved 1 metrics`; may be empty.
    AutomationMetrics: "t7.automation.metrics", Write, wait 60, answer 125,
        AutomationMetricsRequest => String, malformed NO_METRICS;

    /// Tells the model the outcome of one automated resolution.
    /// The reply: the model's message, e.g. `Metric saved successfully`; may be empty.
    LiveAutomationMetrics: "t7.live.automation.metrics", Write, wait 60, answer 125,
        LiveAutomationMetricsRequest => String, malformed NO_LIVE_METRICS;
}

/// A row of a ticket's task history, keys as Bruin spells them, e.g. `Task Result`.
pub type TicketRow = Map<String, Value>;

/// Parameters of [`Prediction`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PredictionRequest {
    /// The ticket in Bruin: a number, or a decimal text.
    pub ticket_id: Value,
    /// Its task history; at least one row.
    pub ticket_rows: Vec<TicketRow>,
    /// Serial numbers: an array of texts, at least one.
    pub assets_to_predict: Value,
}

impl Request for PredictionRequest {
    fn parse(incoming: &Incoming<'_>) -> Result<Self, Rejected> {
        let mut body = incoming.body_object().unwrap_or_default();
        let mut truthy = |name| body.shift_remove(name).filter(json::truthy);
        let fields = (truthy("ticket_id"), truthy("ticket_rows"), truthy("assets_to_predict"));
        let (Some(ticket_id), Some(ticket_rows), Some(assets_to_predict)) = fields else {
            return Err(Rejected::text(NO_PREDICTION));
        };
        Ok(Self { ticket_id, ticket_rows: rows(ticket_rows, NO_PREDICTION)?, assets_to_predict })
    }
}

/// Parameters of [`AutomationMetrics`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AutomationMetricsRequest {
    /// The ticket in Bruin; null counts as 0.
    pub ticket_id: Value,
    /// Its task history; may be empty.
    pub ticket_rows: Vec<TicketRow>,
}

impl Request for AutomationMetricsRequest {
    fn parse(incoming: &Incoming<'_>) -> Result<Self, Rejected> {
        let mut body = incoming.body_object().unwrap_or_default();
        let (Some(ticket_id), Some(ticket_rows)) =
            (body.shift_remove("ticket_id"), body.shift_remove("ticket_rows"))
        else {
            return Err(Rejected::text(NO_METRICS));
        };
        Ok(Self { ticket_id, ticket_rows: rows(ticket_rows, NO_METRICS)? })
    }
}

/// Parameters of [`LiveAutomationMetrics`]. Each must be there, and may be null: 0, an empty text, false.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LiveAutomationMetricsRequest {
    /// The ticket in Bruin.
    pub ticket_id: Value,
    /// The serial number.
    pub asset_id: Value,
    /// The outcome: true or false.
    pub automated_successfully: Value,
}

impl Request for LiveAutomationMetricsRequest {
    fn parse(incoming: &Incoming<'_>) -> Result<Self, Rejected> {
        let mut body = incoming.body_object().unwrap_or_default();
        let mut field = |name| body.shift_remove(name).ok_or_else(|| Rejected::text(NO_LIVE_METRICS));
        Ok(Self {
            ticket_id: field("ticket_id")?,
            asset_id: field("asset_id")?,
            automated_successfully: field("automated_successfully")?,
        })
    }
}

/// An array of objects; anything else, null too, is refused with `text` (Improve).
fn rows(value: Value, text: &str) -> Result<Vec<TicketRow>, Rejected> {
    let refused = || Rejected::text(text);
    let Value::Array(rows) = value else { return Err(refused()) };
    let object = |row| if let Value::Object(row) = row { Ok(row) } else { Err(refused()) };
    rows.into_iter().map(object).collect()
}

/// What the model says about an asset: predictions, or an error. Each field may be missing.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AssetPrediction {
    /// The serial number.
    #[serde(rename = "assetId", deserialize_with = "lenient::or_default")]
    pub asset_id: String,
    /// What to do next; empty beside an error.
    #[serde(deserialize_with = "lenient::list")]
    pub predictions: Vec<NextAction>,
    /// Why there are no predictions.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "lenient::or_default")]
    pub error: Option<PredictionError>,
}

/// A task result and how probable it is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct NextAction {
    /// Name of the task result, e.g. `Repair Completed`; old bridges leave out an empty one.
    #[serde(deserialize_with = "lenient::or_default")]
    pub name: String,
    /// From 0 to 1; old bridges leave out a 0.
    #[serde(deserialize_with = "lenient::or_default")]
    pub probability: f64,
}

/// Why the model predicts nothing for an asset.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PredictionError {
    /// E.g. `error_in_prediction`.
    #[serde(deserialize_with = "lenient::or_default")]
    pub code: String,
    /// E.g. `label not in the map`.
    #[serde(deserialize_with = "lenient::or_default")]
    pub message: String,
}

/// A ticket's id for logs; `None` when it is none.
pub fn ticket_id(value: &Value) -> Option<Id> {
    Id::deserialize(value).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse<R: Request>(body: &Value) -> Result<R, Rejected> {
        R::parse(&Incoming::read(&json!({"request_id": "r", "body": body}).to_string()).unwrap())
    }

    fn refused<R: Request + std::fmt::Debug>(body: &Value) -> String {
        let rejected = parse::<R>(body).map(|request| panic!("{request:?}")).unwrap_err();
        assert_eq!(rejected.status, 400, "{body}");
        rejected.body.as_str().unwrap().to_owned()
    }

    fn without(body: &Value, name: &str) -> Value {
        let mut body = body.clone();
        body.as_object_mut().unwrap().remove(name);
        body
    }

    fn with(body: &Value, name: &str, value: Value) -> Value {
        let mut body = body.clone();
        body[name] = value;
        body
    }

    #[test]
    fn a_body_that_is_no_object_or_empty_is_refused_with_the_text_of_the_subject() {
        for body in [json!(null), json!({}), json!([]), json!(["ticket_id"]), json!("ticket_id"), json!(7)] {
            assert_eq!(refused::<PredictionRequest>(&body), NO_PREDICTION);
            assert_eq!(refused::<AutomationMetricsRequest>(&body), NO_METRICS);
            assert_eq!(refused::<LiveAutomationMetricsRequest>(&body), NO_LIVE_METRICS);
        }
        let nothing = Incoming::read("{}").unwrap();
        assert_eq!(PredictionRequest::parse(&nothing), Err(Rejected::text(NO_PREDICTION)));
    }

    #[test]
    fn a_prediction_needs_three_fields_which_are_not_falsy() {
        let whole =
            json!({"ticket_id": 5_100_001, "ticket_rows": [{"Asset": "VC1"}], "assets_to_predict": ["VC1"]});
        assert_eq!(serde_json::to_value(parse::<PredictionRequest>(&whole).unwrap()).unwrap(), whole);
        assert!(parse::<PredictionRequest>(&with(&whole, "ticket_id", json!("5100001"))).is_ok());
        for name in ["ticket_id", "ticket_rows", "assets_to_predict"] {
            assert_eq!(refused::<PredictionRequest>(&without(&whole, name)), NO_PREDICTION, "{name}");
            for falsy in [json!(null), json!(0), json!(""), json!([]), json!({}), json!(false)] {
                let body = with(&whole, name, falsy);
                assert_eq!(refused::<PredictionRequest>(&body), NO_PREDICTION, "{body}");
            }
        }
        for rows in [json!("row"), json!({"Asset": "VC1"}), json!([null]), json!([{}, "row"]), json!([[]])] {
            assert_eq!(refused::<PredictionRequest>(&with(&whole, "ticket_rows", rows)), NO_PREDICTION);
        }
    }

    #[test]
    fn a_task_history_may_be_empty_but_must_be_one() {
        let whole = json!({"ticket_id": null, "ticket_rows": []});
        assert_eq!(serde_json::to_value(parse::<AutomationMetricsRequest>(&whole).unwrap()).unwrap(), whole);
        for name in ["ticket_id", "ticket_rows"] {
            assert_eq!(refused::<AutomationMetricsRequest>(&without(&whole, name)), NO_METRICS, "{name}");
        }
        for rows in [json!(null), json!(""), json!({}), json!([1])] {
            assert_eq!(refused::<AutomationMetricsRequest>(&with(&whole, "ticket_rows", rows)), NO_METRICS);
        }
    }

    #[test]
    fn an_outcome_needs_three_keys_which_may_be_null_or_false() {
        let whole = json!({"ticket_id": 5_100_001, "asset_id": "VC1", "automated_successfully": false});
        let request: LiveAutomationMetricsRequest = parse(&whole).unwrap();
        assert_eq!(serde_json::to_value(request).unwrap(), whole);
        for name in ["ticket_id", "asset_id", "automated_successfully"] {
            assert_eq!(
                refused::<LiveAutomationMetricsRequest>(&without(&whole, name)),
                NO_LIVE_METRICS,
                "{name}"
            );
            assert!(
                parse::<LiveAutomationMetricsRequest>(&with(&whole, name, json!(null))).is_ok(),
                "{name}"
            );
        }
    }

    #[test]
    fn replies_of_old_bridges_lack_zeros_and_empty_texts() {
        let reply: Vec<AssetPrediction> = serde_json::from_value(json!([
            {"assetId": "VC1", "predictions": [{"name": "Repair Completed"}, {"probability": 0.5}]},
            {"assetId": "VC2", "error": {"message": "label not in the map"}},
        ]))
        .unwrap();
        assert_eq!(
            reply[0].predictions[0],
            NextAction { name: "Repair Completed".to_owned(), probability: 0.0 }
        );
        assert_eq!(reply[0].predictions[1].name, "");
        assert_eq!(reply[1].error.as_ref().unwrap().code, "");
        assert!(reply[1].predictions.is_empty());
    }

    #[test]
    fn ids_are_numbers_or_texts() {
        assert_eq!(ticket_id(&json!(7)), Some(7.into()));
        assert_eq!(ticket_id(&json!("7")), Some("7".into()));
        assert_eq!(ticket_id(&json!([7])), None);
    }
}
