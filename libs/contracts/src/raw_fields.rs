//! The fields of a JSON object, unparsed.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The fields of a JSON object in their order, unparsed. Repeated keys: the last wins.
///
/// A list, not a map: the objects of the wire have few fields, of which few are asked for, and names without escapes
/// stay where they are in the text.
#[derive(Debug, Default)]
pub struct RawFields<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> RawFields<'a> {
    /// A field, also when it is null.
    pub fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.0.iter().rev().find(|(known, _)| known == name).map(|(_, value)| *value)
    }

    /// All fields as they stand in the text, repeated ones included.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), *value))
    }
}

/// A key that is borrowed where it has no escapes; serde's `Cow` never is.
struct Key<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Borrowing;

        impl<'de> Visitor<'de> for Borrowing {
            type Value = Key<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }

            fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Borrowed(name)))
            }

            fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Owned(name.to_owned())))
            }
        }

        deserializer.deserialize_str(Borrowing)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for RawFields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = RawFields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                // Envelopes have fewer, most objects of third parties not many more.
                let mut fields = Vec::with_capacity(8);
                while let Some((Key(name), value)) = map.next_entry()? {
                    fields.push((name, value));
                }
                Ok(RawFields(fields))
            }
        }

        deserializer.deserialize_map(Object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_repeated_fields_wins_and_names_without_escapes_are_not_copied() {
        let text = r#"{"a":1,"b\u0063":[2, 3],"a":null}"#;
        let fields: RawFields<'_> = serde_json::from_str(text).unwrap();
        assert_eq!(fields.get("a").map(RawValue::get), Some("null"));
        assert_eq!(fields.get("bc").map(RawValue::get), Some("[2, 3]"));
        assert!(fields.get("x").is_none());
        assert_eq!(fields.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["a", "bc", "a"]);
        assert!(matches!(fields.0.first(), Some((Cow::Borrowed("a"), _))));
    }

    #[test]
    fn only_objects_have_fields() {
        for text in ["[1]", "null", "1", "\"a\""] {
            assert!(serde_json::from_str::<RawFields<'_>>(text).is_err(), "{text}");
        }
    }
}
