//! From messages to JSON: what the model answered, as requesters read it. Pure.

use std::collections::HashMap;

use prost_reflect::{DynamicMessage, MapKey, ReflectMessage, Value as Field};
use serde_json::{Map, Value};

/// A message as JSON, names as in the contract. Scalars, lists and maps are written even when they have their default
/// (requesters break on missing keys); a message that is unset is left out. Integers of 64 bits are decimal texts; a
/// float is the shortest decimal that reads back as the same 32 bits, or `NaN`, `Infinity`, `-Infinity`.
pub fn json(message: &DynamicMessage) -> Map<String, Value> {
    message
        .descriptor()
        .fields()
        .filter(|field| !field.supports_presence() || message.has_field(field))
        .map(|field| (field.name().to_owned(), value(&message.get_field(&field))))
        .collect()
}

fn value(field: &Field) -> Value {
    match field {
        Field::Bool(flag) => Value::from(*flag),
        Field::I32(number) => Value::from(*number),
        Field::I64(number) => Value::String(number.to_string()),
        Field::F32(number) => float(*number),
        Field::String(text) => Value::from(text.as_str()),
        Field::Message(message) => Value::Object(json(message)),
        Field::List(items) => items.iter().map(value).collect(),
        Field::Map(entries) => Value::Object(map(entries)),
        // No contract has such fields: a test of them sees to it.
        Field::U32(_) | Field::U64(_) | Field::F64(_) | Field::Bytes(_) | Field::EnumNumber(_) => Value::Null,
    }
}

/// Entries come in no order; sorted, equal messages are equal texts.
fn map(entries: &HashMap<MapKey, Field>) -> Map<String, Value> {
    let mut entries: Vec<_> = entries.iter().collect();
    entries.sort_unstable_by_key(|(key, _)| *key);
    let text = |key: &MapKey| key.as_str().unwrap_or_default().to_owned();
    entries.into_iter().map(|(key, field)| (text(key), value(field))).collect()
}

fn float(number: f32) -> Value {
    if number.is_nan() {
        Value::from("NaN")
    } else if number.is_infinite() {
        Value::from(if number > 0.0 { "Infinity" } else { "-Infinity" })
    } else {
        // By way of the shortest decimal: the plain conversion makes 0.67 into 0.6700000166893005.
        number.to_string().parse::<f64>().map_or(Value::Null, Value::from)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_float_is_the_shortest_decimal_of_its_32_bits() {
        for (number, text) in [
            (0.67_f32, "0.67"),
            (0.948_438_47, "0.94843847"),
            (0.123_456_79, "0.12345679"),
            (0.0, "0.0"),
            (1.0, "1.0"),
            (-0.1, "-0.1"),
            (1e-7, "1e-7"),
            (f32::NAN, "\"NaN\""),
            (f32::INFINITY, "\"Infinity\""),
            (f32::NEG_INFINITY, "\"-Infinity\""),
        ] {
            assert_eq!(float(number).to_string(), text);
        }
    }

    #[test]
    fn defaults_are_written_and_unset_messages_are_not() {
        let service = crate::Contract::RepairTickets.service().unwrap();
        let descriptor = service.parent_pool().get_message_by_name("entrypoint.PredictionResponse").unwrap();
        assert_eq!(
            Value::Object(json(&DynamicMessage::new(descriptor))),
            json!({"potential_service_numbers": [], "predicted_class": "", "potential_ticket_numbers": []})
        );
    }
}
