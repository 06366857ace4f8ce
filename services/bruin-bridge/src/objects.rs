//! A list of objects inside an answer, read in one pass.

use std::borrow::Cow;
use std::fmt;

use contracts::RawFields;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::outcome::Fields;

/// Reads those elements of the list with this name which are objects. Everything else in the answer is skipped;
/// repeated keys: the last wins. An absent list and null are empty.
pub(crate) struct ListOfObjects(pub(crate) &'static str);

impl<'de> DeserializeSeed<'de> for ListOfObjects {
    type Value = Vec<Fields<'de>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for ListOfObjects {
    type Value = Vec<Fields<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object with a list `{}`", self.0)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = Ok(Vec::new());
        while let Some(name) = map.next_key::<Cow<'de, str>>()? {
            if name == self.0 {
                found = match map.next_value::<Element<'de>>()? {
                    Element::List(elements) => Ok(elements),
                    Element::Nothing => Ok(Vec::new()),
                    Element::Object(_) | Element::Other => Err(()),
                };
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        found.map_err(|()| A::Error::custom("not a list"))
    }
}

/// Any value, of which only objects and lists of objects matter.
enum Element<'a> {
    Object(Fields<'a>),
    List(Vec<Fields<'a>>),
    Nothing,
    Other,
}

impl<'de> Deserialize<'de> for Element<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Any)
    }
}

struct Any;

impl<'de> Visitor<'de> for Any {
    type Value = Element<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        RawFields::deserialize(MapAccessDeserializer::new(map)).map(|fields| Element::Object(Fields(fields)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut objects = Vec::new();
        while let Some(element) = list.next_element::<Element<'de>>()? {
            if let Element::Object(fields) = element {
                objects.push(fields);
            }
        }
        Ok(Element::List(objects))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Element::Nothing)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Element::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Element::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(Element::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Element::Other)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(Element::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<Vec<String>> {
        let objects =
            ListOfObjects("list").deserialize(&mut serde_json::Deserializer::from_str(text)).ok()?;
        Some(objects.iter().map(|fields| fields.get("a").map_or("-", |a| a.get()).to_owned()).collect())
    }

    #[test]
    fn only_objects_of_the_list_count() {
        for (text, found) in [
            (r#"{"list":[{"a":1.50},{"b":2}],"more":{"list":[{"a":9}]}}"#, Some(vec!["1.50", "-"])),
            (r#"{"list":[1,"x",null,true,-1,1.5,[{"a":2}],{"a":{"b":[]}}]}"#, Some(vec![r#"{"b":[]}"#])),
            (r#"{"list":[{"a":1,"a":2}]}"#, Some(vec!["2"])),
            (r#"{"list":[{"a":1}],"list":[]}"#, Some(vec![])),
            (r#"{"list":"x","l\u0069st":[{"a":3}]}"#, Some(vec!["3"])),
            (r#"{"list":null}"#, Some(vec![])),
            ("{}", Some(vec![])),
            (r#"{"list":{"a":1}}"#, None),
            (r#"{"list":7}"#, None),
            ("[]", None),
            ("null", None),
            (r#"{"list":[{"a":}]}"#, None),
        ] {
            let found = found.map(|found| found.into_iter().map(str::to_owned).collect::<Vec<_>>());
            assert_eq!(read(text), found, "{text}");
        }
    }
}
