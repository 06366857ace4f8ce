//! What the model predicts, as requesters get it (spec, "`t7.prediction.request`", and Improve). Pure.

use serde_json::{Map, Value, json};

/// The body of the reply: one item for each asset, in the model's order. An asset with task results has `predictions`,
/// even if there is an error too; one with an error has `error`; one with neither has no predictions.
pub fn reply(answer: Map<String, Value>) -> Value {
    match field(answer, "asset_predictions") {
        Value::Array(assets) => assets.into_iter().map(item).collect(),
        _ => json!([]),
    }
}

fn item(asset: Value) -> Value {
    let mut asset = if let Value::Object(fields) = asset { fields } else { Map::new() };
    let id = asset.shift_remove("asset").unwrap_or_else(|| json!(""));
    let results = asset
        .shift_remove("task_results")
        .filter(|results| results.as_array().is_some_and(|it| !it.is_empty()));
    match (results, asset.shift_remove("error")) {
        (Some(results), _) => json!({"assetId": id, "predictions": results}),
        (None, Some(error)) => json!({"assetId": id, "error": error}),
        (None, None) => json!({"assetId": id, "predictions": []}),
    }
}

fn field(mut answer: Map<String, Value>, name: &str) -> Value {
    answer.shift_remove(name).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replied(answer: &Value) -> Value {
        reply(answer.as_object().unwrap().clone())
    }

    #[test]
    fn every_asset_has_an_item_in_the_order_of_the_model() {
        let results = json!([{"name": "Repair Completed", "probability": 0.948_438_47}, {"name": "", "probability": 0.0}]);
        let error = json!({"code": "error_in_prediction", "message": "label not in the map"});
        let answer = json!({"success": true, "message": "", "ticket_id": "7", "asset_predictions": [
            {"asset": "VC1234567", "task_results": results},
            {"asset": "VC7654321", "task_results": [], "error": error},
            {"asset": "VC3", "task_results": results, "error": error},
            {"asset": "VC4", "task_results": []},
            {"asset": "", "task_results": []},
        ]});
        assert_eq!(
            replied(&answer),
            json!([
                {"assetId": "VC1234567", "predictions": results},
                {"assetId": "VC7654321", "error": error},
                {"assetId": "VC3", "predictions": results},
                {"assetId": "VC4", "predictions": []},
                {"assetId": "", "predictions": []},
            ])
        );
    }

    #[test]
    fn no_predictions_are_an_empty_list() {
        for answer in [json!({}), json!({"asset_predictions": []})] {
            assert_eq!(replied(&answer), json!([]));
        }
    }
}
