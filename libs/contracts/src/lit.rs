//! The subjects which `lit-bridge` answers (spec `lit-bridge`, "Serves").

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::dispatches::{all_there, body, needed, object, text, text_or_number};
use crate::subjects::subjects;
use crate::{Incoming, RawFields, Rejected, Request, lenient};

pub use crate::dispatches::{Dispatch, NO_BODY, Selection};

/// The queue group of all subjects.
pub const QUEUE: &str = "lit_bridge";

/// What `RequestDispatch` of a [`NewDispatch`] must hold, any value, spelled in upper or lower case.
pub const REQUIRED_KEYS: [&str; 18] = [
    "date_of_dispatch",
    "mettel_bruin_ticketid",
    "site_survey_quote_required",
    "local_time_of_dispatch",
    "time_zone_local",
    "job_site",
    "job_site_street",
    "job_site_city",
    "job_site_state",
    "job_site_zip_code",
    "job_site_contact_name_and_phone_number",
    "special_materials_needed_for_dispatch",
    "scope_of_work",
    "mettel_tech_call_in_instructions",
    "name_of_mettel_requester",
    "mettel_department",
    "mettel_requester_email",
    "mettel_department_phone_number",
];
/// What `CancelDispatchRequest` must hold, spelled so.
pub const CANCEL_KEYS: [&str; 3] = ["Dispatch_Number", "Cancellation_Reason", "Cancellation_Requested_By"];
/// What the body of an [`Upload`] must hold.
pub const UPLOAD_KEYS: [&str; 3] = ["dispatch_number", "payload", "file_name"];
/// Refusal of a change that does not say of which dispatch.
pub const NO_NUMBER: &str = r#"Must include "Dispatch_Number" in request"#;
/// The type of a file whose type is not said.
pub const ANY_FILE: &str = "application/octet-stream";

const REQUEST: &str = "RequestDispatch";
const CANCEL_REQUEST: &str = "CancelDispatchRequest";

subjects! {
    /// Orders a dispatch.
    CreateDispatch: "lit.dispatch.post", Write, wait 60, answer 55, NewDispatch => VendorAnswer;

    /// Gets one dispatch or all open ones.
    GetDispatches: "lit.dispatch.get", Read, wait 30, answer 28, Selection => VendorAnswer;

    /// Changes a dispatch.
    UpdateDispatch: "lit.dispatch.update", Write, wait 30, answer 28, Change => VendorAnswer;

    /// Requests the cancellation of a dispatch.
    CancelDispatch: "lit.dispatch.cancel", Write, wait 30, answer 28, Cancellation => VendorAnswer;

    /// Attaches a file to a dispatch.
    UploadFile: "lit.dispatch.upload.file", Write, wait 30, answer 28, Upload => VendorAnswer;
}

/// A dispatch to order: `{"RequestDispatch": {..}}`, passed on as it came.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub struct NewDispatch(pub Box<RawValue>);

impl Request for NewDispatch {
    fn parse(incoming: &Incoming<'_>) -> Result<Self, Rejected> {
        let (body, fields) = body(incoming)?;
        let wanted = object(needed(&fields, REQUEST)?, REQUEST)?;
        let names: Vec<String> = wanted.iter().map(|(name, _)| name.to_lowercase()).collect();
        all_there(&REQUIRED_KEYS, |key| names.iter().any(|name| name == key))?;
        Ok(Self(body.to_owned()))
    }
}

/// What is to change of a dispatch: `{"RequestDispatch": {"dispatch_number": .., ..}}`, passed on as it came.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub struct Change {
    /// The whole body.
    pub body: Box<RawValue>,
    /// The dispatch's number, for logs; empty when it is neither text nor number.
    #[serde(skip)]
    pub dispatch_number: String,
}

impl Request for Change {
    fn parse(incoming: &Incoming<'_>) -> Result<Self, Rejected> {
        let (body, fields) = body(incoming)?;
        let wanted = object(needed(&fields, REQUEST)?, REQUEST)?;
        // In any case of letters, as a new dispatch's keys (Improve).
        let number = wanted.iter().find(|(name, _)| name.eq_ignore_ascii_case("dispatch_number"));
        let (_, number) = number.ok_or_else(|| Rejected::text(NO_NUMBER))?;
        Ok(Self { body: body.to_owned(), dispatch_number: number_or_nothing(number) })
    }
}

/// A cancellation to request: `{"CancelDispatchRequest": {..}}`, passed on as it came.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub struct Cancellation {
    /// The whole body.
    pub body: Box<RawValue>,
    /// The dispatch's number, for logs; empty when it is neither text nor number.
    #[serde(skip)]
    pub dispatch_number: String,
}

impl Request for Cancellation {
    fn parse(incoming: &Incoming<'_>) -> Result<Self, Rejected> {
        let (body, fields) = body(incoming)?;
        let wanted = object(needed(&fields, CANCEL_REQUEST)?, CANCEL_REQUEST)?;
        all_there(&CANCEL_KEYS, |key| wanted.get(key).is_some())?;
        let dispatch_number = wanted.get("Dispatch_Number").map(number_or_nothing).unwrap_or_default();
        Ok(Self { body: body.to_owned(), dispatch_number })
    }
}

fn number_or_nothing(value: &RawValue) -> String {
    text_or_number(value, "dispatch_number").unwrap_or_default()
}

/// A file to attach to a dispatch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Upload {
    /// The dispatch's number.
    pub dispatch_number: String,
    /// The file's content as text; the portal sends base64.
    pub payload: String,
    /// The file's name.
    pub file_name: String,
    /// The file's media type, [`ANY_FILE`] when it is not said.
    pub file_content_type: String,
}

impl Request for Upload {
    fn parse(incoming: &Incoming<'_>) -> Result<Self, Rejected> {
        let (_, fields) = body(incoming)?;
        all_there(&UPLOAD_KEYS, |key| fields.get(key).is_some())?;
        let content_type = fields.get("file_content_type").filter(|kind| kind.get() != "null");
        Ok(Self {
            dispatch_number: field(&fields, "dispatch_number", text_or_number)?,
            payload: field(&fields, "payload", text)?,
            file_name: field(&fields, "file_name", header_text)?,
            file_content_type: match content_type {
                Some(kind) => header_text(kind, "file_content_type")?,
                None => ANY_FILE.to_owned(),
            },
        })
    }
}

fn field(
    fields: &RawFields<'_>,
    name: &str,
    read: fn(&RawValue, &str) -> Result<String, Rejected>,
) -> Result<String, Rejected> {
    read(needed(fields, name)?, name)
}

/// A text that travels in a header: without line breaks and other control characters (Improve).
fn header_text(value: &RawValue, name: &str) -> Result<String, Rejected> {
    let text = text(value, name)?;
    if text.chars().any(char::is_control) {
        return Err(Rejected::text(format!(r#""{name}" must be a text without control characters"#)));
    }
    Ok(text)
}

/// What LIT answers to everything but a cancellation in its documented form.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct VendorAnswer {
    /// `Success` or `error`.
    #[serde(rename = "Status", deserialize_with = "lenient::or_default")]
    pub status: Option<String>,
    /// A text for people; after an upload `File ID:` and the file's id.
    #[serde(rename = "Message", deserialize_with = "lenient::or_default")]
    pub message: Option<String>,
    /// The dispatch that was asked for, created or changed.
    #[serde(
        rename = "Dispatch",
        deserialize_with = "lenient::or_default",
        skip_serializing_if = "Option::is_none"
    )]
    pub dispatch: Option<Dispatch>,
    /// All open dispatches.
    #[serde(
        rename = "DispatchList",
        deserialize_with = "lenient::or_default",
        skip_serializing_if = "Option::is_none"
    )]
    pub dispatch_list: Option<Vec<Dispatch>>,
    /// LIT's id of the call.
    #[serde(rename = "APIRequestID", deserialize_with = "lenient::or_default")]
    pub api_request_id: Option<String>,
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

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
        let fields: Value = REQUIRED_KEYS.iter().map(|key| ((*key).to_owned(), Value::Null)).collect();
        json!({"RequestDispatch": fields})
    }

    #[test]
    fn a_new_dispatch_needs_every_key_in_any_case() {
        let list = "Must include the following keys in request: ['date_of_dispatch', 'mettel_bruin_ticketid', \
                    'site_survey_quote_required', 'local_time_of_dispatch', 'time_zone_local', 'job_site', \
                    'job_site_street', 'job_site_city', 'job_site_state', 'job_site_zip_code', \
                    'job_site_contact_name_and_phone_number', 'special_materials_needed_for_dispatch', \
                    'scope_of_work', 'mettel_tech_call_in_instructions', 'name_of_mettel_requester', \
                    'mettel_department', 'mettel_requester_email', 'mettel_department_phone_number']";
        for key in REQUIRED_KEYS {
            let mut body = whole();
            body["RequestDispatch"].as_object_mut().unwrap().remove(key);
            assert_eq!(refusal::<NewDispatch>(&body), list, "without {key}");
            body["RequestDispatch"][key.to_uppercase()] = json!("x");
            let request: NewDispatch = parse(&body).unwrap();
            assert_eq!(request.0.get(), body.to_string());
        }
        let missing = r#"Must include "RequestDispatch" in request"#;
        for (body, text) in [
            (json!(null), NO_BODY),
            (json!({}), missing),
            (json!({"requestdispatch": {}}), missing),
            (json!({"RequestDispatch": null}), missing),
            (json!({"RequestDispatch": "x"}), r#""RequestDispatch" must be an object"#),
            (json!({"RequestDispatch": {}}), list),
        ] {
            assert_eq!(refusal::<NewDispatch>(&body), text, "{body}");
        }
    }

    #[test]
    fn a_change_names_its_dispatch_in_any_case() {
        for (body, text) in [
            (json!(null), NO_BODY),
            (json!({}), r#"Must include "RequestDispatch" in request"#),
            (json!({"RequestDispatch": []}), r#""RequestDispatch" must be an object"#),
            (json!({"RequestDispatch": {"number": "DIS1"}}), NO_NUMBER),
        ] {
            assert_eq!(refusal::<Change>(&body), text, "{body}");
        }
        for (key, value, number) in [
            ("dispatch_number", json!("DIS1"), "DIS1"),
            ("Dispatch_Number", json!("DIS1"), "DIS1"),
            ("dispatch_number", json!(7), "7"),
            ("dispatch_number", json!(null), ""),
        ] {
            let body = json!({"RequestDispatch": {key: value, "job_site": "x"}});
            let change: Change = parse(&body).unwrap();
            assert_eq!((change.body.get(), change.dispatch_number.as_str()), (&*body.to_string(), number));
            assert_eq!(serde_json::to_value(&change).unwrap(), body);
        }
    }

    #[test]
    fn a_cancellation_needs_three_keys_spelled_so() {
        let list = "Must include the following keys in request: ['Dispatch_Number', 'Cancellation_Reason', \
                    'Cancellation_Requested_By']";
        for (body, text) in [
            (json!(null), NO_BODY),
            (json!({}), r#"Must include "CancelDispatchRequest" in request"#),
            (json!({"CancelDispatchRequest": null}), r#"Must include "CancelDispatchRequest" in request"#),
            (json!({"CancelDispatchRequest": 1}), r#""CancelDispatchRequest" must be an object"#),
            (json!({"CancelDispatchRequest": {"Dispatch_Number": "DIS1"}}), list),
            (
                json!({"CancelDispatchRequest": {"dispatch_number": "DIS1", "Cancellation_Reason": "", "Cancellation_Requested_By": ""}}),
                list,
            ),
        ] {
            assert_eq!(refusal::<Cancellation>(&body), text, "{body}");
        }
        let body = json!({"CancelDispatchRequest": {"Dispatch_Number": "DIS1", "Cancellation_Reason": null, "Cancellation_Requested_By": ""}});
        let cancellation: Cancellation = parse(&body).unwrap();
        assert_eq!(
            (cancellation.dispatch_number.as_str(), cancellation.body.get()),
            ("DIS1", &*body.to_string())
        );
    }

    #[test]
    fn an_upload_is_text_with_a_name_that_a_header_can_hold() {
        let list = "Must include the following keys in request: ['dispatch_number', 'payload', 'file_name']";
        let with = |name: &str, value: Value| {
            let mut body = json!({"dispatch_number": "DIS1", "payload": "dGVzdA==", "file_name": "a.pdf"});
            body[name] = value;
            body
        };
        for (body, text) in [
            (json!(null), NO_BODY),
            (json!({"dispatch_number": "DIS1", "file_name": "a.pdf"}), list),
            (with("dispatch_number", json!(null)), r#"Must include "dispatch_number" in request"#),
            (with("dispatch_number", json!([])), r#""dispatch_number" must be a text or a number"#),
            (with("payload", json!({})), r#""payload" must be a text"#),
            (with("file_name", json!(1)), r#""file_name" must be a text"#),
            (
                with("file_name", json!("a.pdf\r\nEvil: 1")),
                r#""file_name" must be a text without control characters"#,
            ),
            (with("file_content_type", json!(false)), r#""file_content_type" must be a text"#),
            (
                with("file_content_type", json!("a\u{0}")),
                r#""file_content_type" must be a text without control characters"#,
            ),
        ] {
            assert_eq!(refusal::<Upload>(&body), text, "{body}");
        }
        for (kind, expected) in [(json!(null), ANY_FILE), (json!("application/pdf"), "application/pdf")] {
            let upload: Upload = parse(&with("file_content_type", kind)).unwrap();
            assert_eq!(upload.file_content_type, expected);
        }
        assert_eq!(parse::<Upload>(&with("dispatch_number", json!(7))).unwrap().dispatch_number, "7");
    }

    #[test]
    fn an_answer_is_read_leniently() {
        let answer: VendorAnswer = serde_json::from_value(json!({
            "Status": "Success", "Message": null, "Dispatch": {"Dispatch_Number": "DIS1", "turn_up": 1}, "New": []
        }))
        .unwrap();
        assert_eq!(answer.status.as_deref(), Some("Success"));
        assert_eq!(answer.dispatch.unwrap().text("Dispatch_Number"), Some("DIS1"));
        assert_eq!(answer.dispatch_list, None);
    }
}
