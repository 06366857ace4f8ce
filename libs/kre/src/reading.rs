//! From JSON to messages: the proto3 JSON mapping as the specifications of the bridges have it. Pure.

use std::collections::HashMap;

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, Value as Field};
use serde_json::{Map, Value};
use thiserror::Error;

/// How JSON is read where the bridges differ.
///
/// In any case: both spellings of a name (`email_id`, `emailId`) are known, null is unset, the last of two wins; a string
/// is a string; an integer is a number without fraction or a decimal text; a float is a number, a numeric text, `NaN` or
/// `(-)Infinity`; a flag is true or false; lists have no nulls in them, nor have maps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reading {
    /// What becomes of a field that the contract does not have.
    pub unknown: Unknown,
    /// Whether a scalar where a list belongs is the list of it alone.
    pub lone_elements: bool,
    /// String fields which may also come as integers, and are then written in decimal. Lists and maps: their elements.
    pub ids: &'static [&'static str],
}

/// What becomes of a field that the contract does not have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Unknown {
    /// It is left out, at any level.
    #[default]
    Ignored,
    /// The request is refused with its name.
    Refused,
}

/// Where JSON does not fit a contract, and what would.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Mismatch {
    /// A value of the wrong kind.
    #[error("{path}: expected {expected}")]
    Value {
        /// The field, e.g. `ticket_rows[0].zip`.
        path: String,
        /// What belongs there, e.g. `a string`.
        expected: &'static str,
    },
    /// A field that the contract does not have.
    #[error("{message} has no field named {field}")]
    Unknown {
        /// The message's type, e.g. `Email`.
        message: String,
        /// The field's name, cut when it is very long.
        field: String,
    },
}

/// The longest unknown name that is repeated, in characters.
const SHOWN: usize = 100;

impl Mismatch {
    const fn value(expected: &'static str) -> Self {
        Self::Value { path: String::new(), expected }
    }

    /// The same one level up.
    fn within(self, place: &str) -> Self {
        match self {
            Self::Value { path, expected } => {
                let dot = if path.is_empty() || path.starts_with('[') { "" } else { "." };
                Self::Value { path: format!("{place}{dot}{path}"), expected }
            }
            unknown @ Self::Unknown { .. } => unknown,
        }
    }
}

impl Reading {
    /// The message that `json` describes.
    ///
    /// # Errors
    /// The first field that does not fit.
    pub fn message(
        &self,
        descriptor: &MessageDescriptor,
        json: &Map<String, Value>,
    ) -> Result<DynamicMessage, Mismatch> {
        let mut message = DynamicMessage::new(descriptor.clone());
        for (name, value) in json {
            let known =
                descriptor.get_field_by_name(name).or_else(|| descriptor.get_field_by_json_name(name));
            match known {
                Some(field) => match self.field(&field, value).map_err(|error| error.within(field.name()))? {
                    Some(value) => message.set_field(&field, value),
                    None => message.clear_field(&field),
                },
                None if self.unknown == Unknown::Ignored => {}
                None => {
                    let field = name.chars().take(SHOWN).collect();
                    return Err(Mismatch::Unknown { message: descriptor.name().to_owned(), field });
                }
            }
        }
        Ok(message)
    }

    /// A field's value; `None`: unset.
    fn field(&self, field: &FieldDescriptor, value: &Value) -> Result<Option<Field>, Mismatch> {
        if value.is_null() {
            return Ok(None);
        }
        if field.is_map() {
            return self.map(field, value).map(Some);
        }
        if !field.is_list() {
            return self.single(field, &field.kind(), value).map(Some);
        }
        match value {
            Value::Array(items) => self.list(field, items).map(Some),
            Value::Object(_) => Err(Mismatch::value("an array")),
            lone if self.lone_elements => {
                Ok(Some(Field::List(vec![self.single(field, &field.kind(), lone)?])))
            }
            _ => Err(Mismatch::value("an array")),
        }
    }

    fn list(&self, field: &FieldDescriptor, items: &[Value]) -> Result<Field, Mismatch> {
        let kind = field.kind();
        let messages = kind.as_message().is_some();
        let read = |(place, item): (usize, &Value)| {
            // The place of a scalar tells nothing, that of a row does.
            let place = |error: Mismatch| if messages { error.within(&format!("[{place}]")) } else { error };
            self.single(field, &kind, item).map_err(place)
        };
        items.iter().enumerate().map(read).collect::<Result<_, _>>().map(Field::List)
    }

    fn map(&self, field: &FieldDescriptor, value: &Value) -> Result<Field, Mismatch> {
        let (Value::Object(entries), Kind::Message(entry)) = (value, field.kind()) else {
            return Err(Mismatch::value("an object"));
        };
        let kind = entry.map_entry_value_field().kind();
        let read = |(key, value): (&String, &Value)| {
            let value = self.single(field, &kind, value).map_err(|error| error.within(key))?;
            Ok((MapKey::String(key.clone()), value))
        };
        entries.iter().map(read).collect::<Result<HashMap<_, _>, _>>().map(Field::Map)
    }

    /// One value, be it a field's own or an element of its list or map.
    fn single(&self, field: &FieldDescriptor, kind: &Kind, value: &Value) -> Result<Field, Mismatch> {
        match (kind, value) {
            (Kind::String, Value::String(text)) => Ok(Field::String(text.clone())),
            (Kind::String, Value::Number(id)) if !id.is_f64() && self.ids.contains(&field.name()) => {
                Ok(Field::String(id.to_string()))
            }
            (Kind::String, _) => Err(Mismatch::value("a string")),
            (Kind::Int64, _) => {
                integer(value).map(Field::I64).ok_or(Mismatch::value("an integer of 64 bits"))
            }
            (Kind::Int32, _) => integer(value)
                .and_then(|number| i32::try_from(number).ok())
                .map(Field::I32)
                .ok_or(Mismatch::value("an integer of 32 bits")),
            (Kind::Float, _) => float(value).map(Field::F32).ok_or(Mismatch::value("a number")),
            (Kind::Bool, Value::Bool(flag)) => Ok(Field::Bool(*flag)),
            (Kind::Bool, _) => Err(Mismatch::value("true or false")),
            (Kind::Message(descriptor), Value::Object(fields)) => {
                self.message(descriptor, fields).map(Field::Message)
            }
            (Kind::Message(_), _) => Err(Mismatch::value("an object")),
            // No contract has such fields: a test of them sees to it.
            _ => Err(Mismatch::value("nothing: this kind of field is not mapped")),
        }
    }
}

/// An integer: a number without fraction, or a decimal text without blanks.
fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64().or_else(|| whole(number.as_f64()?)),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

/// A float that is an integer.
#[allow(clippy::cast_possible_truncation, reason = "checked before")]
fn whole(number: f64) -> Option<i64> {
    const BEYOND: f64 = 9_223_372_036_854_775_808.0;
    (number.fract() == 0.0 && (-BEYOND..BEYOND).contains(&number)).then_some(number as i64)
}

/// A float of 32 bits: a number, a numeric text, or one of the three names.
fn float(value: &Value) -> Option<f32> {
    match value {
        Value::Number(number) => narrow(number.as_f64()?),
        Value::String(text) => match text.as_str() {
            "NaN" => Some(f32::NAN),
            "Infinity" => Some(f32::INFINITY),
            "-Infinity" => Some(f32::NEG_INFINITY),
            text if text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte)) => {
                narrow(text.parse().ok()?)
            }
            _ => None,
        },
        _ => None,
    }
}

/// The nearest float of 32 bits, if there is one.
#[allow(clippy::cast_possible_truncation, reason = "that is what it is for")]
fn narrow(number: f64) -> Option<f32> {
    Some(number as f32).filter(|number| number.is_finite())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Contract;

    fn message(contract: Contract, name: &str) -> MessageDescriptor {
        let service = contract.service().unwrap();
        service.parent_pool().get_message_by_name(&format!("entrypoint.{name}")).unwrap()
    }

    /// What is read, written as JSON again, or why it is refused.
    fn read(reading: Reading, contract: Contract, name: &str, json: &Value) -> Result<Value, String> {
        let read = reading.message(&message(contract, name), json.as_object().unwrap());
        read.map(|message| Value::Object(crate::json(&message))).map_err(|error| error.to_string())
    }

    fn refused(reading: Reading, contract: Contract, name: &str, json: &Value) -> String {
        read(reading, contract, name, json).unwrap_err()
    }

    const LAX: Reading = Reading { unknown: Unknown::Ignored, lone_elements: false, ids: &[] };
    const STRICT: Reading = Reading { unknown: Unknown::Refused, lone_elements: false, ids: &[] };

    #[test]
    fn both_spellings_are_known_and_unknown_fields_are_ignored_at_all_levels() {
        let request = json!({
            "email": {"emailId": "7", "client_id": null, "subject": "x", "from_address": {"a": 1}},
            "tagIds": ["4", 3],
            "other": [null],
        });
        assert_eq!(
            read(LAX, Contract::EmailTagger, "PredictionRequest", &request).unwrap(),
            json!({
                "email": {
                    "email_id": "7", "date": "", "subject": "x", "body": "", "parent_id": "",
                    "previous_email_id": "", "client_id": "",
                },
                "tag_ids": ["4", "3"],
            })
        );
    }

    #[test]
    fn an_unknown_field_can_be_refused_by_name() {
        for (request, text) in [
            (json!({"email": {"send_cc": []}}), "Email has no field named send_cc"),
            (json!({"email": {"tag": {"Type": "x"}}}), "Tag has no field named Type"),
            (json!({"e_mail": {}}), "PredictionRequest has no field named e_mail"),
        ] {
            assert_eq!(refused(STRICT, Contract::RepairTickets, "PredictionRequest", &request), text);
        }
        let long = json!({"x".repeat(5_000): 1});
        assert!(refused(STRICT, Contract::RepairTickets, "PredictionRequest", &long).len() < 200);
    }

    #[test]
    fn strings_are_strings() {
        for value in [json!(1), json!(true), json!([]), json!({})] {
            assert_eq!(
                refused(
                    LAX,
                    Contract::EmailTagger,
                    "PredictionRequest",
                    &json!({"email": {"email_id": value}})
                ),
                "email.email_id: expected a string"
            );
        }
        assert_eq!(
            refused(LAX, Contract::EmailTagger, "PredictionRequest", &json!({"email": "x"})),
            "email: expected an object"
        );
    }

    #[test]
    fn integers_come_in_several_forms() {
        let ticket = |value: Value| {
            read(LAX, Contract::T7, "PredictionRequest", &json!({"ticket_id": value}))
                .map(|message| message["ticket_id"].clone())
        };
        for (value, expected) in [
            (json!(12), "12"),
            (json!(12.0), "12"),
            (json!("12"), "12"),
            (json!("-9223372036854775808"), "-9223372036854775808"),
            (json!(i64::MAX), "9223372036854775807"),
            (json!(-9_223_372_036_854_775_808.0), "-9223372036854775808"),
            (json!(null), "0"),
        ] {
            assert_eq!(ticket(value.clone()), Ok(json!(expected)), "{value}");
        }
        for value in [
            json!(1.5),
            json!(true),
            json!("1.0"),
            json!(" 1"),
            json!(""),
            json!("one"),
            json!(u64::MAX),
            json!(9_223_372_036_854_775_808.0),
            json!("9223372036854775808"),
            json!([1]),
        ] {
            assert_eq!(
                ticket(value.clone()),
                Err("ticket_id: expected an integer of 64 bits".to_owned()),
                "{value}"
            );
        }
        let row = |sla: Value| {
            read(
                LAX,
                Contract::T7,
                "SaveMetricsRequest",
                &json!({"ticket_rows": [{"asset": "a"}, {"sla": sla}]}),
            )
        };
        assert_eq!(row(json!("7")).unwrap()["ticket_rows"][1]["sla"], json!(7));
        assert_eq!(
            row(json!(2_147_483_648_u32)),
            Err("ticket_rows[1].sla: expected an integer of 32 bits".to_owned())
        );
    }

    #[test]
    fn floats_come_as_numbers_and_as_text() {
        let tag = |value: Value| {
            let request = json!({"tag": {"type": "Repair", "probability": value}});
            read(STRICT, Contract::RepairTickets, "Email", &request)
                .map(|email| email["tag"]["probability"].clone())
        };
        for (value, expected) in [
            (json!(0.91), json!(0.91)),
            (json!("0.91"), json!(0.91)),
            (json!("9.1e-1"), json!(0.91)),
            (json!(1), json!(1.0)),
            (json!(null), json!(0.0)),
            (json!("NaN"), json!("NaN")),
            (json!("-Infinity"), json!("-Infinity")),
        ] {
            assert_eq!(tag(value.clone()), Ok(expected), "{value}");
        }
        for value in
            [json!("high"), json!(""), json!("inf"), json!("nan"), json!(true), json!(1e39), json!("1e39")]
        {
            assert_eq!(tag(value.clone()), Err("tag.probability: expected a number".to_owned()), "{value}");
        }
    }

    #[test]
    fn flags_are_true_or_false() {
        let live = |value: Value| {
            read(LAX, Contract::T7, "SaveLiveMetricsRequest", &json!({"automated_successfully": value}))
                .map(|message| message["automated_successfully"].clone())
        };
        assert_eq!(live(json!(true)), Ok(json!(true)));
        assert_eq!(live(json!(null)), Ok(json!(false)));
        for value in [json!("yes"), json!(1), json!("true")] {
            assert_eq!(live(value), Err("automated_successfully: expected true or false".to_owned()));
        }
    }

    #[test]
    fn lists_and_maps_have_no_nulls_in_them() {
        let outputs = |json: Value| read(STRICT, Contract::RepairTickets, "SaveOutputsRequest", &json);
        for (request, text) in [
            (json!({"validated_ticket_numbers": [{}]}), "validated_ticket_numbers: expected a string"),
            (json!({"validated_ticket_numbers": ["1", null]}), "validated_ticket_numbers: expected a string"),
            (json!({"validated_ticket_numbers": "1"}), "validated_ticket_numbers: expected an array"),
            (json!({"tickets_created": [null]}), "tickets_created[0]: expected an object"),
            (json!({"tickets_created": {}}), "tickets_created: expected an array"),
            (
                json!({"tickets_updated": [{}, {"service_numbers": [1]}]}),
                "tickets_updated[1].service_numbers: expected a string",
            ),
            (json!({"bruin_ticket_status_map": {"5": null}}), "bruin_ticket_status_map.5: expected a string"),
            (json!({"bruin_ticket_status_map": []}), "bruin_ticket_status_map: expected an object"),
        ] {
            assert_eq!(outputs(request).unwrap_err(), text);
        }
        let read = outputs(json!({
            "service_numbers_sites_map": {"VC1": "77", "VC2": ""},
            "validated_service_numbers": null,
            "bruin_ticket_status_map": null,
        }));
        let read = read.unwrap();
        assert_eq!(read["service_numbers_sites_map"], json!({"VC1": "77", "VC2": ""}));
        assert_eq!(
            (&read["validated_service_numbers"], &read["bruin_ticket_status_map"]),
            (&json!([]), &json!({}))
        );
    }

    #[test]
    fn a_scalar_can_stand_for_its_list() {
        let lone = Reading { lone_elements: true, ..LAX };
        let tags = |reading, value: Value| {
            read(reading, Contract::EmailTagger, "PredictionRequest", &json!({"tag_ids": value}))
                .map(|message| message["tag_ids"].clone())
        };
        assert_eq!(tags(lone, json!("5")), Ok(json!(["5"])));
        assert_eq!(tags(lone, json!(5)), Ok(json!(["5"])));
        assert_eq!(tags(lone, json!(null)), Ok(json!([])));
        assert_eq!(tags(lone, json!("five")), Err("tag_ids: expected an integer of 64 bits".to_owned()));
        assert_eq!(tags(lone, json!({})), Err("tag_ids: expected an array".to_owned()));
        assert_eq!(tags(LAX, json!("5")), Err("tag_ids: expected an array".to_owned()));
    }

    #[test]
    fn integers_can_stand_for_ids() {
        let ids = Reading { ids: &["ticket_id", "site_map"], ..STRICT };
        let feedback =
            |json: Value| read(ids, Contract::RepairTickets, "SaveCreatedTicketsFeedbackRequest", &json);
        let read = feedback(json!({"ticket_id": 5_550_001, "site_map": {"VC1": 77}})).unwrap();
        assert_eq!((&read["ticket_id"], &read["site_map"]["VC1"]), (&json!("5550001"), &json!("77")));
        for (request, text) in [
            (json!({"ticket_id": 1.5}), "ticket_id: expected a string"),
            (json!({"client_id": 7}), "client_id: expected a string"),
        ] {
            assert_eq!(feedback(request).unwrap_err(), text);
        }
    }

    #[test]
    fn an_unset_message_and_an_empty_one_are_not_the_same() {
        let metrics = |json: Value| read(LAX, Contract::EmailTagger, "SaveMetricsRequest", &json).unwrap();
        assert_eq!(metrics(json!({"original_email": null, "ticket": null})), json!({}));
        assert_eq!(metrics(json!({"original_email": {}})), json!({"original_email": {"tag_ids": []}}));
    }
}
