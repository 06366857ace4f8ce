//! What the shared tests have to know of this bridge.

use contracts::t7::{NO_LIVE_METRICS, NO_METRICS, NO_PREDICTION};
use model_bridges::{Ask, Bridge, Outcome, object};
use runtime::Runnable;
use sandbox::ThirdParty;
use serde_json::{Map, Value, json};

pub(crate) const PREDICTION: &str = "t7.prediction.request";
pub(crate) const METRICS: &str = "t7.automation.metrics";
pub(crate) const LIVE: &str = "t7.live.automation.metrics";

/// The bridge and its model.
pub(crate) struct T7;

impl Bridge for T7 {
    const MODEL: ThirdParty = ThirdParty::T7;
    const LABEL: &'static str = "t7";
    const CA_FILE: &'static str = "KRE_ROOT_CERTIFICATES";

    fn service() -> Runnable {
        t7_bridge::service()
    }

    fn question() -> Ask {
        Ask { subject: PREDICTION, rpc: "Prediction", body: Self::question_with("n"), refusal: NO_PREDICTION }
    }

    fn outcomes() -> Vec<Outcome> {
        let live = json!({"ticket_id": 5_100_001, "asset_id": "VC1", "automated_successfully": true});
        let history =
            json!({"ticket_id": 5_100_001, "ticket_rows": [{"Asset": "VC1", "Notes": "#*MetTel's IPA*#"}]});
        [
            (LIVE, "SaveLiveMetrics", live, NO_LIVE_METRICS, "Metric saved successfully"),
            (METRICS, "SaveMetrics", history, NO_METRICS, "Saved 1 metrics"),
        ]
        .map(|(subject, rpc, body, refusal, saved)| Outcome {
            ask: Ask { subject, rpc, body, refusal },
            saved: json!(saved),
            dry_run: json!("Dry run: not sent to the model"),
        })
        .into()
    }

    fn misfit() -> (Value, &'static str) {
        (
            json!({"ticket_id": 1, "asset_id": 7, "automated_successfully": true}),
            "Error: asset_id: expected a string",
        )
    }

    fn question_with(text: &str) -> Value {
        let rows = json!([{"Asset": "VC1", "Notes": text}]);
        json!({"ticket_id": 5_100_001, "ticket_rows": rows, "assets_to_predict": ["VC1"]})
    }

    fn long_answer() -> Map<String, Value> {
        let results = json!([{"name": "x".repeat(12_000), "probability": 0.5}]);
        let predictions: Vec<Value> =
            (0..100).map(|id| json!({"asset": format!("VC{id}"), "task_results": results})).collect();
        object(json!({"success": true, "asset_predictions": predictions}))
    }

    fn check_long_reply(reply: &Value) {
        assert_eq!((reply.as_array().map(Vec::len), &reply[99]["assetId"]), (Some(100), &json!("VC99")));
        assert_eq!(reply[99]["predictions"][0]["name"].as_str().map(str::len), Some(12_000));
    }
}
