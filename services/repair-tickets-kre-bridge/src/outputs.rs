//! Outputs as an older monitor sends them: validated tickets as objects, where the contract has ids and three maps
//! (spec, Improve). Pure.

use kre::Mismatch;
use serde_json::{Map, Value};

/// Where the parts of a validated ticket belong.
const MAPS: [(&str, &str); 3] = [
    ("ticket_status", "bruin_ticket_status_map"),
    ("call_type", "bruin_ticket_call_type_map"),
    ("category", "bruin_ticket_category_map"),
];
const TICKETS: &str = "validated_ticket_numbers";
const ID: &str = "ticket_id";

/// The outputs in the form of the contract. What a map says already stays; what has no id is left for the contract to
/// refuse.
///
/// # Errors
/// A part of a validated ticket that belongs nowhere: lost data must be visible.
pub fn translated(mut outputs: Map<String, Value>) -> Result<Map<String, Value>, Mismatch> {
    let Some(Value::Array(tickets)) = outputs.get_mut(TICKETS) else { return Ok(outputs) };
    let mut parts = Vec::new();
    for ticket in tickets {
        let Value::Object(fields) = ticket else { continue };
        let id = match fields.get(ID) {
            Some(Value::String(id)) => id.clone(),
            Some(Value::Number(id)) if !id.is_f64() => id.to_string(),
            _ => continue,
        };
        for (name, value) in std::mem::take(fields) {
            match MAPS.iter().find(|(part, _)| *part == name) {
                Some((_, map)) if !value.is_null() => parts.push((*map, id.clone(), value)),
                Some(_) => {}
                None if name == ID => {}
                None => {
                    let field = name.chars().take(100).collect();
                    return Err(Mismatch::Unknown { message: TICKETS.to_owned(), field });
                }
            }
        }
        *ticket = Value::String(id);
    }
    for (map, id, value) in parts {
        let entries = outputs.entry(map).or_insert(Value::Null);
        if entries.is_null() {
            *entries = Value::Object(Map::new());
        }
        if let Value::Object(entries) = entries {
            entries.entry(id).or_insert(value);
        }
    }
    Ok(outputs)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn translate(outputs: Value) -> Result<Value, String> {
        let Value::Object(outputs) = outputs else { panic!() };
        translated(outputs).map(Value::Object).map_err(|error| error.to_string())
    }

    #[test]
    fn validated_tickets_as_objects_become_ids_and_maps() {
        let old = json!({
            "email_id": "73111",
            "validated_ticket_numbers": [
                {"ticket_id": "5540000", "ticket_status": "InProgress", "call_type": "REP", "category": "VOO"},
                {"ticket_id": 5_540_001, "ticket_status": null, "category": "VAS"},
                "5540002",
            ],
            "bruin_ticket_category_map": {"5540001": "said before"},
            "bruin_ticket_call_type_map": null,
        });
        assert_eq!(
            translate(old).unwrap(),
            json!({
                "email_id": "73111",
                "validated_ticket_numbers": ["5540000", "5540001", "5540002"],
                "bruin_ticket_status_map": {"5540000": "InProgress"},
                "bruin_ticket_call_type_map": {"5540000": "REP"},
                "bruin_ticket_category_map": {"5540001": "said before", "5540000": "VOO"},
            })
        );
    }

    #[test]
    fn the_form_of_the_contract_is_left_alone() {
        for outputs in [
            json!({"validated_ticket_numbers": ["1", 2, null]}),
            json!({"validated_ticket_numbers": null}),
            json!({"validated_ticket_numbers": "1"}),
            json!({"validated_ticket_numbers": [{"ticket_id": 1.5}, {"ticket_status": "New"}, {}]}),
            json!({}),
        ] {
            assert_eq!(translate(outputs.clone()), Ok(outputs));
        }
    }

    #[test]
    fn a_part_that_belongs_nowhere_is_named() {
        let outputs = json!({"validated_ticket_numbers": [{"ticket_id": "1", "severity": 2}]});
        assert_eq!(
            translate(outputs),
            Err("validated_ticket_numbers has no field named severity".to_owned())
        );
    }
}
