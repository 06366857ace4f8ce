//! The subjects which `cts-bridge` answers (spec `cts-bridge`, "Serves").

use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};

use crate::dispatches::{all_there, body, needed, object, text_or_number};
use crate::subjects::subjects;
use crate::{Incoming, Rejected, Request, lenient};

pub use crate::dispatches::{Dispatch, NO_BODY, Selection};

/// The queue group of all subjects.
pub const QUEUE: &str = "cts_bridge";

/// What the body of a [`NewDispatch`] must hold, any value; upper and lower case differ.
pub const REQUIRED_KEYS: [&str; 24] = [
    "date_of_dispatch",
    "site_survey_quote_required",
    "time_of_dispatch",
    "time_zone",
    "mettel_bruin_ticket_id",
    "sla_level",
    "location_country",
    "job_site",
    "job_site_street_1",
    "job_site_city",
    "job_site_state",
    "job_site_zip_code",
    "job_site_contact_name",
    "job_site_contact_lastname",
    "job_site_contact_number",
    "materials_needed_for_dispatch",
    "scope_of_work",
    "mettel_tech_call_in_instructions",
    "service_type",
    "name_of_mettel_requester",
    "lastname_of_mettel_requester",
    "mettel_department",
    "mettel_requester_email",
    "mettel_department_phone_number",
];

// The portal waits 30 s for a get; nobody is known to use the other subjects.
subjects! {
    /// Creates a dispatch record.
    CreateDispatch: "cts.dispatch.post", Write, wait 30, answer 28, NewDispatch => Created;

    /// Gets one dispatch or all.
    GetDispatches: "cts.dispatch.get", Read, wait 30, answer 28, Selection => QueryResult;

    /// Changes fields of a record.
    /// The reply: an empty object.
    UpdateDispatch: "cts.dispatch.update", Write, wait 30, answer 28, Change => Value;
}

/// The fields of a new record, passed on as they came.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub struct NewDispatch(pub Box<RawValue>);

impl Request for NewDispatch {
    fn parse(incoming: &Incoming<'_>) -> Result<Self, Rejected> {
        let (body, fields) = body(incoming)?;
        all_there(&REQUIRED_KEYS, |key| fields.get(key).is_some())?;
        Ok(Self(body.to_owned()))
    }
}

/// What is to change of a record.
#[derive(Debug, Clone, Serialize)]
pub struct Change {
    /// The Salesforce id of the record.
    pub dispatch_id: String,
    /// The fields with their new values, passed on as they came.
    pub payload: Box<RawValue>,
}

impl Request for Change {
    fn parse(incoming: &Incoming<'_>) -> Result<Self, Rejected> {
        let (_, fields) = body(incoming)?;
        let id = needed(&fields, "dispatch_id")?;
        let payload = needed(&fields, "payload")?;
        object(payload, "payload")?;
        Ok(Self { dispatch_id: text_or_number(id, "dispatch_id")?, payload: payload.to_owned() })
    }
}

/// What Salesforce answers to a new record.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Created {
    /// The id of the record.
    #[serde(deserialize_with = "lenient::or_default")]
    pub id: Option<String>,
    /// Whether it was created.
    #[serde(deserialize_with = "lenient::or_default")]
    pub success: bool,
    /// What is wrong.
    #[serde(deserialize_with = "lenient::or_default")]
    pub errors: Vec<Value>,
}

/// The answer to a query. An unknown dispatch number is a result without records.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct QueryResult {
    /// How many records fit at CTS, also those which are not ours.
    #[serde(rename = "totalSize", deserialize_with = "lenient::or_default")]
    pub total_size: Option<i64>,
    /// Whether these are all records.
    #[serde(deserialize_with = "lenient::or_default")]
    pub done: Option<bool>,
    /// The records; `None` when there is no list.
    #[serde(deserialize_with = "lenient::or_default")]
    pub records: Option<Vec<Dispatch>>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse<R: Request>(body: &Value) -> Result<R, Rejected> {
        R::parse(&Incoming::read(&json!({"request_id": "r", "body": body}).to_string()).unwrap())
    }

    fn refusal<R: Request>(body: &Value) -> Value {
        match parse::<R>(body) {
            Err(Rejected { status: 400, body }) => body,
            Err(other) => panic!("{other:?}"),
            Ok(_) => panic!("accepted: {body}"),
        }
    }

    fn whole() -> Value {
        REQUIRED_KEYS.iter().map(|key| ((*key).to_owned(), Value::Null)).collect()
    }

    #[test]
    fn a_new_dispatch_needs_every_key_whatever_its_value() {
        let list = "Must include the following keys in request: ['date_of_dispatch', \
                    'site_survey_quote_required', 'time_of_dispatch', 'time_zone', 'mettel_bruin_ticket_id', \
                    'sla_level', 'location_country', 'job_site', 'job_site_street_1', 'job_site_city', \
                    'job_site_state', 'job_site_zip_code', 'job_site_contact_name', 'job_site_contact_lastname', \
                    'job_site_contact_number', 'materials_needed_for_dispatch', 'scope_of_work', \
                    'mettel_tech_call_in_instructions', 'service_type', 'name_of_mettel_requester', \
                    'lastname_of_mettel_requester', 'mettel_department', 'mettel_requester_email', \
                    'mettel_department_phone_number']";
        for key in REQUIRED_KEYS {
            let mut body = whole();
            body.as_object_mut().unwrap().remove(key);
            assert_eq!(refusal::<NewDispatch>(&body), list, "without {key}");
            body[key.to_uppercase()] = json!("x");
            assert_eq!(refusal::<NewDispatch>(&body), list, "with {key} in capitals");
        }
        assert_eq!(refusal::<NewDispatch>(&json!({"date_of_dispatch": "2021-03-01"})), list);
        assert_eq!(refusal::<NewDispatch>(&json!({})), list);
        assert_eq!(refusal::<NewDispatch>(&json!(null)), NO_BODY);
        assert_eq!(refusal::<NewDispatch>(&json!("x")), r#""body" must be an object"#);
    }

    #[test]
    fn a_new_dispatch_is_passed_on_as_it_came() {
        let keys: Vec<String> = REQUIRED_KEYS.iter().map(|key| format!(r#""{key}": 1.50"#)).collect();
        let body = format!(r#"{{{}, "job_site_street_2": "x\/y"}}"#, keys.join(", "));
        let envelope = format!(r#"{{"request_id":"r","body":{body}}}"#);
        let request = NewDispatch::parse(&Incoming::read(&envelope).unwrap()).unwrap();
        assert_eq!(request.0.get(), body);
        assert_eq!(serde_json::to_string(&request).unwrap(), body);
    }

    #[test]
    fn a_change_is_checked_in_the_order_of_the_specification() {
        for (body, text) in [
            (json!(null), NO_BODY),
            (json!({}), r#"Must include "dispatch_id" in request"#),
            (json!({"payload": {}}), r#"Must include "dispatch_id" in request"#),
            (json!({"dispatch_id": null, "payload": {}}), r#"Must include "dispatch_id" in request"#),
            (json!({"dispatch_id": "a26XX"}), r#"Must include "payload" in request"#),
            (json!({"dispatch_id": "a26XX", "payload": null}), r#"Must include "payload" in request"#),
            (json!({"dispatch_id": "a26XX", "payload": []}), r#""payload" must be an object"#),
            (json!({"dispatch_id": {}, "payload": {}}), r#""dispatch_id" must be a text or a number"#),
        ] {
            assert_eq!(refusal::<Change>(&body), text, "{body}");
        }
        let change: Change = parse(&json!({"dispatch_id": 12, "payload": {"a": 1}})).unwrap();
        assert_eq!((change.dispatch_id.as_str(), change.payload.get()), ("12", r#"{"a":1}"#));
    }

    #[test]
    fn a_result_is_read_leniently() {
        let result: QueryResult =
            serde_json::from_value(json!({"totalSize": "2", "records": [{"Name": "S-1", "Zip__c": 7}]}))
                .unwrap();
        assert_eq!((result.total_size, result.done), (None, None));
        let records = result.records.unwrap();
        assert_eq!((records[0].text("Name"), records[0].text("Zip__c")), (Some("S-1"), None));
        let result: QueryResult = serde_json::from_value(json!({"done": true, "records": null})).unwrap();
        assert_eq!((result.done, result.records), (Some(true), None));
    }
}
