//! What the simulated models answer when nothing was prepared: simple rules that always give the same for the same
//! request, so that a person sees what to expect. Pure.

use ::kre::Status;
use serde_json::{Map, Value, json};

use crate::faults::ThirdParty;

/// The answer of a model to a method.
///
/// # Errors
/// As the models refuse: `INTERNAL` for what they do not want.
pub fn answer(
    model: ThirdParty,
    rpc: &str,
    request: &Map<String, Value>,
) -> Result<Map<String, Value>, Status> {
    let answer = match (model, rpc) {
        (ThirdParty::T7, "Prediction") => next_best_actions(request),
        (ThirdParty::T7, "SaveMetrics") => {
            json!({"message": format!("Saved {} metrics", list(request, "ticket_rows").len())})
        }
        (ThirdParty::T7, "SaveLiveMetrics") => json!({"message": "Metric saved successfully"}),
        (ThirdParty::EmailTagger, "GetPrediction") => tags(request)?,
        (ThirdParty::EmailTagger, "SaveMetrics") => json!({"message": "Saved 1 metrics"}),
        (ThirdParty::RepairTickets, "GetPrediction") => inference(request)?,
        (ThirdParty::RepairTickets, _) => json!({"success": true}),
        _ => return Err(Status::unimplemented("Method not found")),
    };
    match answer {
        Value::Object(answer) => Ok(answer),
        _ => Ok(Map::new()),
    }
}

fn list<'a>(fields: &'a Map<String, Value>, name: &str) -> &'a [Value] {
    fields.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn text<'a>(fields: &'a Value, name: &str) -> &'a str {
    fields.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// T7's actions with the most probable first; which comes first depends on the serial number only.
const ACTIONS: [(&str, f64); 3] = [
    ("Repair Completed", 0.948_438_47),
    ("Holmdel NOC Investigate", 0.723_456_8),
    ("Wireless Repair Intervention Needed", 0.612_345_7),
];

/// An asset with rows in the task history gets actions, one without an error.
fn next_best_actions(request: &Map<String, Value>) -> Value {
    let rows = list(request, "ticket_rows");
    let prediction = |asset: &Value| {
        let asset = asset.as_str().unwrap_or_default();
        if !rows.iter().any(|row| text(row, "asset") == asset) {
            let error = json!({"code": "error_in_prediction", "message": "label not in the map"});
            return json!({"asset": asset, "error": error});
        }
        let first = asset.bytes().map(usize::from).sum::<usize>() % ACTIONS.len();
        let results: Vec<Value> = ACTIONS
            .iter()
            .cycle()
            .skip(first)
            .take(ACTIONS.len())
            .zip([1.0, 0.2, 0.05])
            .map(|((name, probability), share)| json!({"name": name, "probability": probability * share}))
            .collect();
        json!({"asset": asset, "task_results": results})
    };
    let predictions: Vec<Value> = list(request, "assets_to_predict").iter().map(prediction).collect();
    json!({
        "success": true,
        "ticket_id": request.get("ticket_id").cloned().unwrap_or_default(),
        "asset_predictions": predictions,
    })
}

/// The tags by their ids in Bruin (`TAG_IDS_MAPPING`): repair, new order, change, billing, other, and their words.
const TAGS: [(i64, &[&str]); 5] = [
    (1, &["down", "outage", "repair", "slow", "offline", "intermittent", "loss"]),
    (2, &["order", "quote", "install"]),
    (3, &["change", "move", "upgrade"]),
    (4, &["invoice", "bill", "billing", "payment"]),
    (5, &[]),
];

/// Rates the tags by the words of the e-mail; a reply in a thread is refused.
fn tags(request: &Map<String, Value>) -> Result<Value, Status> {
    let email = request.get("email").unwrap_or(&Value::Null);
    if !text(email, "parent_id").is_empty() {
        return Err(Status::internal("the e-mail is a reply in a thread"));
    }
    let words = words(email);
    let best = TAGS
        .iter()
        .find(|(_, known)| known.iter().any(|word| words.iter().any(|it| it == word)))
        .map_or(5, |(id, _)| *id);
    let rate = |(id, _): &(i64, &[&str])| json!({"tag_id": id, "probability": if *id == best { 0.91 } else { 0.022_5 }});
    let predictions: Vec<Value> = TAGS.iter().map(rate).collect();
    Ok(json!({"success": true, "email_id": text(email, "email_id"), "prediction": predictions}))
}

/// The words of subject and content, in lower case.
fn words(email: &Value) -> Vec<String> {
    let all = format!("{} {}", text(email, "subject"), text(email, "body")).to_lowercase();
    all.split(|letter: char| !letter.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Below this the tag counts as doubtful.
const TAG_THRESHOLD: f64 = 0.5;

/// Finds serial numbers and ticket numbers in the e-mail and tells outage from affecting by its words.
fn inference(request: &Map<String, Value>) -> Result<Value, Status> {
    let email = request.get("email").unwrap_or(&Value::Null);
    if text(email, "email_id").is_empty() {
        return Err(Status::internal("cannot process email"));
    }
    let words = words(email);
    let number = |word: &str| word.len() == 7 && word.bytes().all(|byte| byte.is_ascii_digit());
    let serials = words.iter().filter(|word| word.strip_prefix("vc").is_some_and(number));
    let serials: Vec<String> = serials.map(|word| word.to_uppercase()).collect();
    let tickets: Vec<&String> = words.iter().filter(|word| number(word)).collect();
    let says = |known: &[&str]| words.iter().any(|word| known.contains(&word.as_str()));
    let class = if says(&["down", "outage", "offline"]) {
        "VOO"
    } else if says(&["slow", "loss", "intermittent", "jitter"]) {
        "VAS"
    } else {
        "Other"
    };
    let tag = email.get("tag").and_then(|tag| tag.get("probability")).and_then(Value::as_f64);
    let doubtful = tag.is_some_and(|probability| probability < TAG_THRESHOLD);
    Ok(json!({
        "potential_service_numbers": serials,
        "potential_ticket_numbers": tickets,
        "predicted_class": class,
        "filter_flags": {
            "tagger_is_below_threshold": doubtful,
            "rta_model1_is_below_threshold": false,
            "rta_model2_is_below_threshold": false,
            "is_filtered": doubtful,
            "in_validation_set": false,
        },
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(model: ThirdParty, rpc: &str, request: &Value) -> Result<Value, String> {
        let answer = answer(model, rpc, request.as_object().unwrap());
        let contract = super::super::contract(model).unwrap();
        if let Ok(answer) = &answer {
            ::kre::server::check_answer(contract, rpc, answer).unwrap();
        }
        answer.map(Value::Object).map_err(|status| status.message().to_owned())
    }

    #[test]
    fn the_tagger_goes_by_words_and_refuses_replies() {
        let best = |email: Value| {
            let answer = ask(ThirdParty::EmailTagger, "GetPrediction", &json!({"email": email})).unwrap();
            let tags = answer["prediction"].as_array().unwrap().clone();
            tags.iter().find(|tag| tag["probability"] == json!(0.91)).unwrap()["tag_id"].clone()
        };
        assert_eq!(best(json!({"subject": "Router DOWN"})), 1);
        assert_eq!(best(json!({"subject": "Hi", "body": "please quote"})), 2);
        assert_eq!(best(json!({})), 5);
        let reply = json!({"email": {"email_id": "1", "parent_id": "2"}});
        assert_eq!(
            ask(ThirdParty::EmailTagger, "GetPrediction", &reply),
            Err("the e-mail is a reply in a thread".to_owned())
        );
    }

    #[test]
    fn repair_tickets_finds_numbers_and_classes() {
        let infer =
            |email: Value| ask(ThirdParty::RepairTickets, "GetPrediction", &json!({"email": email})).unwrap();
        let found = infer(json!({
            "email_id": "1", "subject": "VC1234567 is down", "body": "see 5540000, VC7654321.",
            "tag": {"type": "Repair", "probability": 0.91},
        }));
        assert_eq!(found["potential_service_numbers"], json!(["VC1234567", "VC7654321"]));
        assert_eq!(found["potential_ticket_numbers"], json!(["5540000"]));
        assert_eq!(found["predicted_class"], "VOO");
        assert_eq!(found["filter_flags"]["is_filtered"], false);
        let found = infer(json!({"email_id": "1", "body": "slow", "tag": {"probability": 0.4}}));
        assert_eq!(
            (&found["predicted_class"], &found["filter_flags"]["is_filtered"]),
            (&json!("VAS"), &json!(true))
        );
        let refused = ask(ThirdParty::RepairTickets, "GetPrediction", &json!({}));
        assert_eq!(refused, Err("cannot process email".to_owned()));
    }

    #[test]
    fn t7_predicts_for_the_assets_of_the_history() {
        let answer = ask(
            ThirdParty::T7,
            "Prediction",
            &json!({"ticket_rows": [{"asset": "VC1234567"}], "assets_to_predict": ["VC1234567", "VC7654321"]}),
        )
        .unwrap();
        let predictions = &answer["asset_predictions"];
        assert_eq!(predictions[0]["task_results"].as_array().unwrap().len(), 3);
        assert_eq!(predictions[1]["error"]["message"], "label not in the map");
        let saved = ask(ThirdParty::T7, "SaveMetrics", &json!({"ticket_rows": [{}, {}]})).unwrap();
        assert_eq!(saved["message"], "Saved 2 metrics");
    }
}
