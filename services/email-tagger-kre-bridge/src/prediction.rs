//! What the model predicts, as requesters get it (spec, "Protobuf to JSON"). Pure.

use bus::Reply;
use serde_json::{Map, Value};

/// The reply to a prediction that the model answered, and how many tags are in it: the rated tags in the model's order,
/// or null when there are none. `success`, `message` and `email_id` are left out.
pub fn reply(answer: &Map<String, Value>) -> (Reply, usize) {
    match answer.get("prediction").and_then(Value::as_array) {
        Some(tags) if !tags.is_empty() => (Reply::ok(tags), tags.len()),
        _ => (Reply::status(200), 0),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(answer: &Value) -> (u16, Option<String>, usize) {
        let (reply, tags) = reply(answer.as_object().unwrap());
        (reply.code(), reply.body().map(|body| body.get().to_owned()), tags)
    }

    #[test]
    fn only_the_tags_are_passed_on() {
        let tags = r#"[{"tag_id":"1002","probability":0.67},{"tag_id":"0","probability":0.0}]"#;
        let list: Value = serde_json::from_str(tags).unwrap();
        for success in [true, false] {
            let answer = json!({"success": success, "message": "m", "email_id": "73111", "prediction": list});
            assert_eq!(shown(&answer), (200, Some(tags.to_owned()), 2));
        }
    }

    #[test]
    fn no_tags_are_null() {
        assert_eq!(shown(&json!({"success": true, "prediction": []})), (200, None, 0));
        assert_eq!(shown(&json!({})), (200, None, 0));
    }
}
