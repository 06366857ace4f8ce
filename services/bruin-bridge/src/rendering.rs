//! Values inside texts, printed as the existing deployment prints them: operators and alert filters know these forms.

use std::fmt::Write as _;

use serde_json::{Map, Value};

/// A value as it stands in a text: a string as it is, anything else like a literal of Python,
/// e.g. `{'DetailId': 321, 'ServiceNumber': 'VC1234567'}`.
pub(crate) fn display(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => {
            let mut out = String::new();
            literal(other, &mut out);
            out
        }
    }
}

fn literal(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("None"),
        Value::Bool(true) => out.push_str("True"),
        Value::Bool(false) => out.push_str("False"),
        Value::Number(number) => out.push_str(&number.to_string()),
        Value::String(text) => quoted(text, out),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index == 0 { "" } else { ", " });
                literal(item, out);
            }
            out.push(']');
        }
        Value::Object(fields) => object(fields, out),
    }
}

/// The fields in their order, but a `message` first: it is what people look for in an error of Bruin's.
fn object(fields: &Map<String, Value>, out: &mut String) {
    let (message, others): (Vec<_>, Vec<_>) = fields.iter().partition(|(name, _)| *name == "message");
    out.push('{');
    for (index, (name, value)) in message.into_iter().chain(others).enumerate() {
        out.push_str(if index == 0 { "" } else { ", " });
        quoted(name, out);
        out.push_str(": ");
        literal(value, out);
    }
    out.push('}');
}

/// In single quotes, or in double quotes when the text has single ones only.
fn quoted(text: &str, out: &mut String) {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    out.push(quote);
    for letter in text.chars() {
        match letter {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\\' => out.push_str("\\\\"),
            letter if letter == quote => out.extend(['\\', letter]),
            letter if letter.is_control() => {
                // Writing to a String cannot fail.
                let _ = write!(out, "\\x{:02x}", u32::from(letter));
            }
            letter => out.push(letter),
        }
    }
    out.push(quote);
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_stand_in_texts_as_before() {
        for (value, expected) in [
            (json!("VC1"), "VC1"),
            (json!(["VC1", "VC2"]), "['VC1', 'VC2']"),
            (
                json!({"DetailId": 321, "ServiceNumber": "VC1234567"}),
                "{'DetailId': 321, 'ServiceNumber': 'VC1234567'}",
            ),
            (json!({"a": [null, true, false, 1.5]}), "{'a': [None, True, False, 1.5]}"),
            (json!({"errors": ["a"], "message": "m"}), "{'message': 'm', 'errors': ['a']}"),
            (json!(["it's", "\"it's\"", "a\nb\\c\u{7}é"]), r#"["it's", '"it\'s"', 'a\nb\\c\x07é']"#),
            (json!(null), "None"),
        ] {
            assert_eq!(display(&value), expected);
        }
    }
}
