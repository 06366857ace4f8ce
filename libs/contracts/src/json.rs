//! Reading the JSON that old peers really send (spec `00-messaging`, "Encoding as emitted by Peer-1").

use std::borrow::Cow;
use std::sync::LazyLock;

use memchr::memmem::Finder;
use serde_json::{Map, Value, value::RawValue};

/// The object in `raw`; `None` for any other JSON value.
pub fn object(raw: &RawValue) -> Option<Map<String, Value>> {
    match serde_json::from_str(raw.get()) {
        Ok(Value::Object(map)) => Some(map),
        _ => None,
    }
}

/// Whether a value counts as true in the sense of the specifications: not null, `0`, `""`, `[]`, `{}`, `false`.
pub fn truthy(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(flag) => *flag,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
    }
}

/// What text that is no legal JSON, or may be none, contains. Preparing a search costs more than searching a short text.
static SUSPECTS: LazyLock<[Finder<'static>; 3]> =
    LazyLock::new(|| ["\\u", "NaN", "Infinity"].map(Finder::new));

/// Makes received text legal JSON: bare `NaN`, `Infinity` and `-Infinity` become null, a lone surrogate becomes U+FFFD.
/// Borrowed when nothing had to change, so legal text costs one scan and no copy.
pub fn legal(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    // Nearly all text: three searches cost a fraction of looking at each byte.
    if SUSPECTS.iter().all(|suspect| suspect.find(bytes).is_none()) {
        return Cow::Borrowed(text);
    }
    let mut out: Option<String> = None;
    let mut copied = 0; // everything before this index is in `out`
    let mut at = 0;
    let mut in_string = false;
    while let Some(&byte) = bytes.get(at) {
        let (len, replacement) = if in_string {
            match byte {
                b'"' => {
                    in_string = false;
                    (1, None)
                }
                b'\\' => escape(bytes, at),
                _ => (1, None),
            }
        } else {
            match byte {
                b'"' => {
                    in_string = true;
                    (1, None)
                }
                b'N' | b'I' | b'-' => token(bytes, at),
                _ => (1, None),
            }
        };
        if let Some(replacement) = replacement {
            let out = out.get_or_insert_with(|| String::with_capacity(text.len()));
            out.push_str(text.get(copied..at).unwrap_or_default());
            out.push_str(replacement);
            copied = at + len;
        }
        at += len;
    }
    match out {
        None => Cow::Borrowed(text),
        Some(mut out) => {
            out.push_str(text.get(copied..).unwrap_or_default());
            Cow::Owned(out)
        }
    }
}

/// Length and replacement of the escape sequence that starts at `at`.
fn escape(bytes: &[u8], at: usize) -> (usize, Option<&'static str>) {
    let Some(unit) = unicode_escape(bytes, at) else { return (2, None) };
    match unit {
        0xD800..=0xDBFF => match unicode_escape(bytes, at + 6) {
            Some(0xDC00..=0xDFFF) => (12, None),
            _ => (6, Some("\\ufffd")),
        },
        0xDC00..=0xDFFF => (6, Some("\\ufffd")),
        _ => (6, None),
    }
}

fn unicode_escape(bytes: &[u8], at: usize) -> Option<u16> {
    let digits = bytes.get(at..at + 6)?.strip_prefix(b"\\u")?;
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// Length and replacement of a bare word that is no JSON.
fn token(bytes: &[u8], at: usize) -> (usize, Option<&'static str>) {
    let rest = bytes.get(at..).unwrap_or_default();
    for word in [&b"NaN"[..], b"Infinity", b"-Infinity"] {
        if rest.starts_with(word) {
            return (word.len(), Some("null"));
        }
    }
    (1, None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn non_standard_numbers_become_null_outside_strings_only() {
        let text = r#"{"a":NaN,"b":[-Infinity,Infinity,-1],"c":"NaN \"-Infinity"}"#;
        assert_eq!(legal(text), r#"{"a":null,"b":[null,null,-1],"c":"NaN \"-Infinity"}"#);
    }

    #[test]
    fn lone_surrogates_become_the_replacement_character_and_pairs_stay() {
        assert_eq!(legal(r#""\ud800x\udc00\ud83d\ude00""#), r#""\ufffdx\ufffd\ud83d\ude00""#);
        assert_eq!(legal(r#""\\ud800""#), r#""\\ud800""#);
    }

    #[test]
    fn truth_follows_the_specifications() {
        for falsy in ["null", "0", "0.0", "\"\"", "[]", "{}", "false"] {
            assert!(!truthy(&serde_json::from_str(falsy).unwrap()), "{falsy}");
        }
        for true_value in ["1", "\"0\"", "[null]", "{\"a\":null}", "true", "-0.5"] {
            assert!(truthy(&serde_json::from_str(true_value).unwrap()), "{true_value}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in ".*") {
            let _ = legal(&text);
        }

        #[test]
        fn legal_json_is_left_alone(text in any::<String>()) {
            let json = serde_json::to_string(&Value::String(text)).unwrap();
            prop_assert!(matches!(legal(&json), Cow::Borrowed(_)));
        }
    }
}
