//! Reading and changing JSON text without parsing what is only passed through.
//!
//! VeloCloud's lists have several MB. The bridge adds a `host` to each item and leaves every other byte alone, so number
//! precision, unknown fields, nulls and field order survive, and the cost is a scan and a copy.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use serde_json::value::RawValue;

/// The key which the bridge adds to what VeloCloud sends.
const HOST: &str = "host";

/// VeloCloud's JSON is not of the kind it should be. Says where, without quoting it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unexpected(pub &'static str);

/// The items of the JSON list in `text`.
///
/// # Errors
/// When it is no list.
pub fn items(text: &str) -> Result<Vec<&RawValue>, Unexpected> {
    serde_json::from_str(text).map_err(|_| Unexpected("the answer is not a list"))
}

/// The fields of the JSON object in `text`, without parsing their values. Repeated keys: the last wins.
///
/// # Errors
/// When it is no object.
pub fn fields(text: &str) -> Result<HashMap<Cow<'_, str>, &RawValue>, Unexpected> {
    serde_json::from_str(text).map_err(|_| Unexpected("the answer is not an object"))
}

/// Whether the JSON in `text` is null, `{}`, `[]`, `""`, `0` or `false`.
pub fn is_empty(text: &str) -> bool {
    let text = text.trim_ascii();
    let within = |open, close| text.strip_prefix(open).and_then(|rest: &str| rest.strip_suffix(close));
    match within('{', '}').or_else(|| within('[', ']')) {
        Some(inside) => inside.trim_ascii().is_empty(),
        None => matches!(text, "null" | "\"\"" | "0" | "false"),
    }
}

/// Sets `host` in every item of the list in `text` (spec, Behaviour 5, L).
///
/// # Errors
/// When it is no list of objects.
pub fn host_in_items(text: &str, host: &str) -> Result<String, Unexpected> {
    let field = field(host);
    rewrite(text, items(text)?.into_iter(), |item, out| set_host(item.get(), &field, out))
}

/// Sets `host` in the `link` of every item of the list in `text` (spec, Behaviour 5, M).
///
/// # Errors
/// When it is no list of objects with a `link` object each.
pub fn host_in_links(text: &str, host: &str) -> Result<String, Unexpected> {
    let field = field(host);
    rewrite(text, items(text)?.into_iter(), |item, out| {
        let fields = fields(item.get()).map_err(|_| Unexpected("an item is not an object"))?;
        let link = fields.get("link").ok_or(Unexpected("an item has no link"))?;
        let (before, after) = around(item.get(), link.get());
        out.push_str(before);
        set_host(link.get(), &field, out)?;
        out.push_str(after);
        Ok(())
    })
}

/// The edges of all enterprises of the list in `text`, in order, each with `host` set (spec, Behaviour 5, N). `None` when
/// there are none.
///
/// # Errors
/// When it is no list of objects with a list of objects `edges` each.
pub fn edges_with_host(text: &str, host: &str) -> Result<Option<String>, Unexpected> {
    let field = field(host);
    let mut edges = Vec::new();
    for enterprise in items(text)? {
        let fields = fields(enterprise.get()).map_err(|_| Unexpected("an enterprise is not an object"))?;
        let listed = fields.get("edges").ok_or(Unexpected("an enterprise has no edges field"))?;
        edges.extend(
            items(listed.get()).map_err(|_| Unexpected("the edges of an enterprise are not a list"))?,
        );
    }
    if edges.is_empty() {
        return Ok(None);
    }
    rewrite(text, edges.into_iter(), |edge, out| set_host(edge.get(), &field, out)).map(Some)
}

/// `"host":"<host>"`.
fn field(host: &str) -> String {
    format!("\"{HOST}\":{}", serde_json::Value::from(host))
}

/// A list of what `each` writes for the items. About as long as `text`.
fn rewrite<'a>(
    text: &str,
    items: impl Iterator<Item = &'a RawValue>,
    each: impl Fn(&'a RawValue, &mut String) -> Result<(), Unexpected>,
) -> Result<String, Unexpected> {
    let mut out = String::with_capacity(text.len() + text.len() / 16 + 64);
    out.push('[');
    for (index, item) in items.enumerate() {
        if index > 0 {
            out.push(',');
        }
        each(item, &mut out)?;
    }
    out.push(']');
    Ok(out)
}

/// Writes the object in `text` with `field` set.
fn set_host(text: &str, field: &str, out: &mut String) -> Result<(), Unexpected> {
    let inside = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    let inside = inside.ok_or(Unexpected("an item is not an object"))?;
    // Hardly ever there, so it is looked for only where the text says it might be. A key which is spelt with escapes is
    // overlooked; then there are two, of which the last wins for every reader.
    if text.contains("\"host\"") {
        let fields = fields(text).map_err(|_| Unexpected("an item is not an object"))?;
        if let Some(old) = fields.get(HOST) {
            let (before, after) = around(text, old.get());
            let value = field.get(HOST.len() + 3..).unwrap_or_default();
            out.extend([before, value, after]);
            return Ok(());
        }
    }
    let comma = if inside.trim_ascii().is_empty() { "" } else { "," };
    out.extend(["{", inside, comma, field, "}"]);
    Ok(())
}

/// What stands in `whole` before and after `part`, which must be a slice of it.
fn around<'a>(whole: &'a str, part: &str) -> (&'a str, &'a str) {
    let Range { start, end } = span(whole, part);
    (whole.get(..start).unwrap_or_default(), whole.get(end..).unwrap_or_default())
}

fn span(whole: &str, part: &str) -> Range<usize> {
    let start = (part.as_ptr() as usize).saturating_sub(whole.as_ptr() as usize);
    start..start + part.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn host_is_added_and_every_other_byte_stays() {
        let text =
            r#"[{"a" : 4.400000095367432, "b":12345678901234567890123, "n":null,"x":{"y":[ ]}} , {} , { }]"#;
        let expected = concat!(
            r#"[{"a" : 4.400000095367432, "b":12345678901234567890123, "n":null,"x":{"y":[ ]},"host":"h"},"#,
            r#"{"host":"h"},{ "host":"h"}]"#
        );
        assert_eq!(host_in_items(text, "h").unwrap(), expected);
    }

    #[test]
    fn a_host_of_the_answer_itself_is_replaced_where_it_stands() {
        let text = r#"[{"host":"elsewhere","a":1},{"a":"\"host\":","b":{"host":1}},{"a":1, "host" : null }]"#;
        let expected =
            r#"[{"host":"h","a":1},{"a":"\"host\":","b":{"host":1},"host":"h"},{"a":1, "host" : "h" }]"#;
        assert_eq!(host_in_items(text, "h").unwrap(), expected);
    }

    #[test]
    fn host_goes_into_the_link_of_a_metric() {
        let text = r#"[{"linkId":7,"link":{"interface":"GE1"},"score":4.40},{"link":{"host":"x"}}]"#;
        let expected =
            r#"[{"linkId":7,"link":{"interface":"GE1","host":"h"},"score":4.40},{"link":{"host":"h"}}]"#;
        assert_eq!(host_in_links(text, "h").unwrap(), expected);
    }

    #[test]
    fn edges_of_all_enterprises_become_one_list() {
        let text = r#"[{"id":3,"edges":[{"id":1},{"id":2}]},{"edges":[]},{"edges":[{"id":9}]}]"#;
        let expected = r#"[{"id":1,"host":"h"},{"id":2,"host":"h"},{"id":9,"host":"h"}]"#;
        assert_eq!(edges_with_host(text, "h").unwrap().as_deref(), Some(expected));
        for none in ["[]", r#"[{"edges":[]},{"edges":[ ]}]"#] {
            assert_eq!(edges_with_host(none, "h").unwrap(), None, "{none}");
        }
    }

    #[test]
    fn what_is_of_another_kind_is_told() {
        for text in ["{}", "null", "3", r#"["a"]"#, "[null]", "[[]]"] {
            assert!(host_in_items(text, "h").is_err(), "{text}");
            assert!(host_in_links(text, "h").is_err(), "{text}");
            assert!(edges_with_host(text, "h").is_err(), "{text}");
        }
        for text in [r#"[{"linkId":3}]"#, r#"[{"link":null}]"#, r#"[{"link":[1]}]"#] {
            assert!(host_in_links(text, "h").is_err(), "{text}");
        }
        for text in [r#"[{"id":3}]"#, r#"[{"edges":null}]"#, r#"[{"edges":[1]}]"#] {
            assert!(edges_with_host(text, "h").is_err(), "{text}");
        }
    }

    #[test]
    fn emptiness_follows_the_specification() {
        for text in ["null", "{ }", "[\n]", "\"\"", "0", "false"] {
            assert!(is_empty(text), "{text}");
        }
        for text in ["[null]", "{\"a\":1}", "\"0\"", "1", "true", "\" \""] {
            assert!(!is_empty(text), "{text}");
        }
    }

    fn object() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
            Just(json!("\"host\":")),
        ];
        let value = leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::hash_map(key(), inner, 0..4).prop_map(|it| json!(it)),
            ]
        });
        prop::collection::hash_map(key(), value, 0..5).prop_map(|it| json!(it))
    }

    fn key() -> impl Strategy<Value = String> {
        prop_oneof![any::<String>(), Just("host".to_owned()), Just("link".to_owned())]
    }

    proptest! {
        #[test]
        fn setting_host_changes_nothing_else(list in prop::collection::vec(object(), 0..4), host in any::<String>()) {
            let text = serde_json::to_string(&list).unwrap();
            let out: Value = serde_json::from_str(&host_in_items(&text, &host).unwrap()).unwrap();
            let mut expected = list;
            for item in &mut expected {
                item["host"] = json!(host);
            }
            prop_assert_eq!(out, json!(expected));
        }

        #[test]
        fn pretty_printed_json_is_treated_alike(list in prop::collection::vec(object(), 0..4)) {
            let metrics: Vec<Value> = list.into_iter().map(|link| json!({"a": 1, "link": link, "z": [2]})).collect();
            let text = serde_json::to_string_pretty(&metrics).unwrap();
            let out: Value = serde_json::from_str(&host_in_links(&text, "h").unwrap()).unwrap();
            let mut expected = metrics;
            for item in &mut expected {
                item["link"]["host"] = json!("h");
            }
            prop_assert_eq!(out, json!(expected));
        }

        #[test]
        fn any_text_is_survived(text in ".*") {
            let _ = host_in_items(&text, "h");
            let _ = host_in_links(&text, "h");
            let _ = edges_with_host(&text, "h");
        }
    }
}
