//! What the shared tests have to know of this bridge.

use contracts::email_tagger::{NO_EMAIL, NO_OUTCOME};
use model_bridges::{Ask, Bridge, Outcome, object};
use runtime::Runnable;
use sandbox::ThirdParty;
use serde_json::{Map, Value, json};

pub(crate) const PREDICTION: &str = "email_tagger.prediction.request";
pub(crate) const METRICS: &str = "email_tagger.metrics.request";

/// The bridge and its model.
pub(crate) struct EmailTagger;

fn email() -> Value {
    json!({"email": {"email_id": "73111", "subject": "Router down"}, "tag_ids": []})
}

impl Bridge for EmailTagger {
    const MODEL: ThirdParty = ThirdParty::EmailTagger;
    const LABEL: &'static str = "email-tagger";

    fn service() -> Runnable {
        email_tagger_kre_bridge::service()
    }

    fn question() -> Ask {
        Ask { subject: PREDICTION, rpc: "GetPrediction", body: email(), refusal: NO_EMAIL }
    }

    fn outcomes() -> Vec<Outcome> {
        let body = json!({"original_email": email(), "ticket": {"ticket_id": 3_499_114}});
        let ask = Ask { subject: METRICS, rpc: "SaveMetrics", body, refusal: NO_OUTCOME };
        vec![Outcome {
            ask,
            saved: json!("Saved 1 metrics"),
            dry_run: json!("Dry run: not sent to the model"),
        }]
    }

    fn misfit() -> (Value, &'static str) {
        (json!({"original_email": "x", "ticket": null}), "Error: original_email: expected an object")
    }

    fn question_with(text: &str) -> Value {
        let mut body = email();
        body["email"]["body"] = json!(text);
        body
    }

    fn long_answer() -> Map<String, Value> {
        let tags: Vec<Value> = (0..30_000).map(|id| json!({"tag_id": id, "probability": 0.67})).collect();
        object(json!({"success": true, "prediction": tags}))
    }

    fn check_long_reply(reply: &Value) {
        assert_eq!(reply.as_array().map(Vec::len), Some(30_000));
        assert_eq!(reply[29_999], json!({"tag_id": "29999", "probability": 0.67}));
    }
}
