//! What the subjects of both field-dispatch vendors share (spec `cts-bridge` and `lit-bridge`, "Serves"): how a body is
//! checked, and the request for one dispatch or all of them.

use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};

use crate::{Incoming, RawFields, Rejected, Request};

/// Refusal when there is no `body`, or a null one.
pub const NO_BODY: &str = r#"Must include "body" in request"#;

/// The fields of the `body`, which must be an object, and the body as it came.
pub(crate) fn body<'a>(incoming: &Incoming<'a>) -> Result<(&'a RawValue, RawFields<'a>), Rejected> {
    let body = incoming.body().filter(|body| !is_null(body)).ok_or_else(|| Rejected::text(NO_BODY))?;
    Ok((body, object(body, "body")?))
}

/// A field that must be there and not null; refused with `Must include "<name>" in request`.
pub(crate) fn needed<'a>(fields: &RawFields<'a>, name: &str) -> Result<&'a RawValue, Rejected> {
    let missing = || Rejected::text(format!(r#"Must include "{name}" in request"#));
    fields.get(name).filter(|value| !is_null(value)).ok_or_else(missing)
}

/// The fields of the value called `name`.
pub(crate) fn object<'a>(value: &'a RawValue, name: &str) -> Result<RawFields<'a>, Rejected> {
    serde_json::from_str(value.get()).map_err(|_| Rejected::text(format!(r#""{name}" must be an object"#)))
}

/// Refuses when one of `keys` is not there, whatever its value. The text lists all keys as Python writes a list.
pub(crate) fn all_there(keys: &[&str], there: impl Fn(&str) -> bool) -> Result<(), Rejected> {
    if keys.iter().all(|key| there(key)) {
        return Ok(());
    }
    let keys = keys.join("', '");
    Err(Rejected::text(format!("Must include the following keys in request: ['{keys}']")))
}

/// The text of a value that may also be a number, as ids and dispatch numbers are.
pub(crate) fn text_or_number(value: &RawValue, name: &str) -> Result<String, Rejected> {
    match serde_json::from_str(value.get()) {
        Ok(Value::String(text)) => Ok(text),
        Ok(Value::Number(number)) => Ok(number.to_string()),
        _ => Err(Rejected::text(format!(r#""{name}" must be a text or a number"#))),
    }
}

/// The text of a value.
pub(crate) fn text(value: &RawValue, name: &str) -> Result<String, Rejected> {
    serde_json::from_str(value.get()).map_err(|_| Rejected::text(format!(r#""{name}" must be a text"#)))
}

fn is_null(value: &RawValue) -> bool {
    value.get() == RawValue::NULL.get()
}

/// Which dispatches to get.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Selection {
    /// One. The presence of the key chooses.
    One {
        /// Its number. A null is an empty number, which no dispatch has.
        dispatch_number: String,
    },
    /// All that the vendor lists.
    All {
        /// Only those that were ordered through this system.
        #[serde(rename = "igz_dispatches_only", skip_serializing_if = "std::ops::Not::not")]
        ours_only: bool,
    },
}

impl Request for Selection {
    fn parse(incoming: &Incoming<'_>) -> Result<Self, Rejected> {
        let (_, fields) = body(incoming)?;
        match fields.get("dispatch_number") {
            Some(number) if is_null(number) => Ok(Self::One { dispatch_number: String::new() }),
            Some(number) => Ok(Self::One { dispatch_number: text_or_number(number, "dispatch_number")? }),
            // Only the JSON value `true` counts.
            None => Ok(Self::All {
                ours_only: fields.get("igz_dispatches_only").is_some_and(|only| only.get() == "true"),
            }),
        }
    }
}

/// A dispatch as the vendor writes it: names as the vendor spells them, values of any kind.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Dispatch(pub serde_json::Map<String, Value>);

impl Dispatch {
    /// A field that holds text; `None` when it is absent, null or anything else.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn selection(envelope: &Value) -> Result<Selection, Rejected> {
        Selection::parse(&Incoming::read(&envelope.to_string()).unwrap())
    }

    #[test]
    fn the_presence_of_a_number_chooses_one_and_only_true_chooses_ours() {
        let all = |ours_only| Ok(Selection::All { ours_only });
        let one = |number: &str| Ok(Selection::One { dispatch_number: number.to_owned() });
        for (body, expected) in [
            (json!({}), all(false)),
            (json!({"igz_dispatches_only": true}), all(true)),
            (json!({"igz_dispatches_only": false}), all(false)),
            (json!({"igz_dispatches_only": "true"}), all(false)),
            (json!({"igz_dispatches_only": 1}), all(false)),
            (json!({"igz_dispatches_only": null, "other": [1]}), all(false)),
            (json!({"dispatch_number": "S-123456"}), one("S-123456")),
            (json!({"dispatch_number": "S-1", "igz_dispatches_only": true}), one("S-1")),
            (json!({"dispatch_number": null}), one("")),
            (json!({"dispatch_number": ""}), one("")),
            (json!({"dispatch_number": 7}), one("7")),
        ] {
            assert_eq!(selection(&json!({"request_id": "r", "body": body})), expected, "{body}");
        }
    }

    #[test]
    fn what_cannot_be_asked_is_refused_by_name() {
        for (envelope, text) in [
            (json!({"request_id": "r"}), NO_BODY),
            (json!({"body": null}), NO_BODY),
            (json!({"body": []}), r#""body" must be an object"#),
            (json!({"body": "S-1"}), r#""body" must be an object"#),
            (json!({"body": false}), r#""body" must be an object"#),
            (
                json!({"body": {"dispatch_number": ["S-1"]}}),
                r#""dispatch_number" must be a text or a number"#,
            ),
            (json!({"body": {"dispatch_number": true}}), r#""dispatch_number" must be a text or a number"#),
        ] {
            assert_eq!(selection(&envelope), Err(Rejected::text(text)), "{envelope}");
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        for (selection_, written) in [
            (Selection::One { dispatch_number: "S-1".to_owned() }, json!({"dispatch_number": "S-1"})),
            (Selection::All { ours_only: true }, json!({"igz_dispatches_only": true})),
            (Selection::All { ours_only: false }, json!({})),
        ] {
            assert_eq!(serde_json::to_value(&selection_).unwrap(), written);
            assert_eq!(selection(&json!({"body": written})), Ok(selection_));
        }
    }

    #[test]
    fn the_list_of_keys_is_whole_and_in_order() {
        let keys = ["b", "a"];
        assert_eq!(all_there(&keys, |_| true), Ok(()));
        let refused = Rejected::text("Must include the following keys in request: ['b', 'a']");
        assert_eq!(all_there(&keys, |key| key == "b"), Err(refused));
    }
}
