//! What the model infers, as requesters get it (spec, "Inference object" and Improve). Pure.

use contracts::repair_tickets::FilterFlags;
use serde_json::{Map, Value, json};

/// The inference with its filter flags, and whether the model gave them. An older requester breaks on missing flags;
/// those which stand for them let nothing be automated.
pub fn complete(mut answer: Map<String, Value>) -> (Map<String, Value>, bool) {
    const FLAGS: &str = "filter_flags";
    let flagged = answer.contains_key(FLAGS);
    if !flagged {
        answer.insert(FLAGS.to_owned(), json!(FilterFlags::SAFE));
    }
    (answer, flagged)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_models_flags_are_kept() {
        let answer = json!({"predicted_class": "VOO", "filter_flags": {"is_filtered": false}});
        let Value::Object(answer) = answer else { panic!() };
        assert_eq!(complete(answer.clone()), (answer, true));
    }

    #[test]
    fn flags_which_the_model_left_out_are_the_safe_ones() {
        let (inference, flagged) = complete(Map::new());
        assert!(!flagged);
        assert_eq!(
            inference["filter_flags"],
            json!({
                "tagger_is_below_threshold": false, "rta_model1_is_below_threshold": false,
                "rta_model2_is_below_threshold": false, "is_filtered": true, "in_validation_set": false,
            })
        );
    }
}
