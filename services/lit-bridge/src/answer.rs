//! What LIT's answers mean (spec, "Common reply mapping" and Improve). Pure.

use bus::Reply;
use contracts::RawFields;
use salesforce::json_of;
use serde_json::json;
use serde_json::value::RawValue;
use upstream::Response;

/// The object around the answer to a cancellation.
const CANCELLED: &str = "CancelDispatchServiceResponse";

/// An operation, as far as its answers differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// A new dispatch: a success must have a number, of whatever kind.
    Create,
    /// A cancellation: `Status` may lie in an object of its own.
    Cancel,
    /// Everything else.
    Other,
}

/// LIT's object, and the status that it becomes.
#[derive(Debug)]
pub struct Answer {
    /// 200, 400, or 502 for what LIT's interface does not know.
    pub status: u16,
    /// As it came.
    pub object: Box<RawValue>,
}

impl Answer {
    /// Reads an answer of HTTP status below 300.
    ///
    /// # Errors
    /// When it is no object with a `Status`.
    pub fn read(response: &Response, operation: Operation) -> Result<Self, &'static str> {
        let object = json_of(response)?;
        let status = status(&object, operation)?;
        Ok(Self { status, object })
    }

    /// The reply: the object under its status.
    pub fn reply(self) -> Reply {
        Reply::raw(self.status, self.object)
    }
}

fn status(object: &RawValue, operation: Operation) -> Result<u16, &'static str> {
    let fields = fields(object).ok_or("not an object")?;
    let inner = || {
        let inner = (operation == Operation::Cancel).then(|| self::fields(fields.get(CANCELLED)?)).flatten();
        inner.and_then(|inner| inner.get("Status"))
    };
    let status = fields.get("Status").or_else(inner).ok_or("no Status")?;
    Ok(match serde_json::from_str::<String>(status.get()).as_deref() {
        Ok("Success") if operation == Operation::Create && number(&fields).is_none() => 502,
        Ok("Success") => 200,
        Ok("error") => 400,
        _ => 502,
    })
}

/// The number of the dispatch in an answer, as it is logged: a text without its quotes; `None` when there is none.
pub fn dispatch_number(object: &RawValue) -> Option<String> {
    let number = number(&fields(object)?)?.get();
    Some(serde_json::from_str(number).unwrap_or_else(|_| number.to_owned()))
}

fn number<'a>(answer: &RawFields<'a>) -> Option<&'a RawValue> {
    fields(answer.get("Dispatch")?)?.get("Dispatch_Number")
}

fn fields(raw: &RawValue) -> Option<RawFields<'_>> {
    serde_json::from_str(raw.get()).ok()
}

/// What is answered when nothing is sent (`WRITE_MODE=dry-run`).
pub mod dry_run {
    use super::{CANCELLED, Reply, json};

    const MESSAGE: &str = "Dry run: not sent to LIT";

    /// A new dispatch; its number is none of LIT's.
    pub fn created() -> Reply {
        let dispatch = json!({"Dispatch_Number": "DRY-RUN", "Dispatch_Status": "New Dispatch"});
        Reply::ok(
            &json!({"Status": "Success", "Message": MESSAGE, "Dispatch": dispatch, "APIRequestID": null}),
        )
    }

    /// A change.
    pub fn updated(number: &str) -> Reply {
        let dispatch = json!({"Dispatch_Number": number});
        Reply::ok(
            &json!({"Status": "Success", "Message": MESSAGE, "Dispatch": dispatch, "APIRequestID": null}),
        )
    }

    /// A cancellation.
    pub fn cancelled() -> Reply {
        Reply::ok(&json!({CANCELLED: {"Status": "Success", "APIRequestID": null, "Message": MESSAGE}}))
    }

    /// A file; callers take what follows the colon for its id.
    pub fn uploaded() -> Reply {
        Reply::ok(
            &json!({"Status": "Success", "Message": "File ID:dry-run", "Dispatch": null, "APIRequestID": null}),
        )
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::HeaderMap;

    use super::*;

    fn read(body: &str, operation: Operation) -> Result<u16, &'static str> {
        let body_ = Bytes::from(body.to_owned());
        let response =
            Response { status: 200, headers: HeaderMap::new(), body: body_, session_refused: false };
        let answer = Answer::read(&response, operation)?;
        assert_eq!(answer.object.get(), body);
        Ok(answer.status)
    }

    #[test]
    fn the_status_in_the_object_decides() {
        for (body, expected) in [
            (r#"{"Status":"Success","DispatchList":[{"x": 1.50}]}"#, Ok(200)),
            (r#"{"Status":"error","Message":"x","Dispatch":null}"#, Ok(400)),
            (r#"{"Status":"Error"}"#, Ok(502)),
            (r#"{"Status":"success"}"#, Ok(502)),
            (r#"{"Status":"Pending"}"#, Ok(502)),
            (r#"{"Status":null}"#, Ok(502)),
            (r#"{"Status":1}"#, Ok(502)),
            (r#"{"status":"Success"}"#, Err("no Status")),
            ("{}", Err("no Status")),
            ("[]", Err("not an object")),
            ("\"Success\"", Err("not an object")),
            ("", Err("not JSON")),
            ("<html>", Err("not JSON")),
        ] {
            for operation in [Operation::Other, Operation::Cancel] {
                assert_eq!(read(body, operation), expected, "{operation:?} {body}");
            }
        }
    }

    #[test]
    fn a_cancellation_may_have_its_status_in_an_object_of_its_own() {
        for (body, cancelled) in [
            (r#"{"CancelDispatchServiceResponse":{"Status":"Success","Message":"m"}}"#, Ok(200)),
            (r#"{"CancelDispatchServiceResponse":{"Status":"error"}}"#, Ok(400)),
            (r#"{"CancelDispatchServiceResponse":{"Status":"?"}}"#, Ok(502)),
            (r#"{"CancelDispatchServiceResponse":{}}"#, Err("no Status")),
            (r#"{"CancelDispatchServiceResponse":null}"#, Err("no Status")),
        ] {
            assert_eq!(read(body, Operation::Cancel), cancelled, "{body}");
            assert_eq!(read(body, Operation::Other), Err("no Status"), "{body}");
        }
        let both = r#"{"Status":"error","CancelDispatchServiceResponse":{"Status":"Success"}}"#;
        assert_eq!(read(both, Operation::Cancel), Ok(400));
    }

    #[test]
    fn a_new_dispatch_must_have_a_number_whatever_it_is() {
        for (body, expected, logged) in [
            (r#"{"Status":"Success","Dispatch":{"Dispatch_Number":"DIS1"}}"#, 200, Some("DIS1")),
            (r#"{"Status":"Success","Dispatch":{"Dispatch_Number":null}}"#, 200, Some("null")),
            (r#"{"Status":"Success","Dispatch":{"Dispatch_Number":""}}"#, 200, Some("")),
            (r#"{"Status":"Success","Dispatch":{"Dispatch_Number":10001}}"#, 200, Some("10001")),
            (r#"{"Status":"Success","Dispatch":{}}"#, 502, None),
            (r#"{"Status":"Success","Dispatch":null}"#, 502, None),
            (r#"{"Status":"Success"}"#, 502, None),
            (r#"{"Status":"error"}"#, 400, None),
        ] {
            assert_eq!(read(body, Operation::Create), Ok(expected), "{body}");
            let object = RawValue::from_string(body.to_owned()).unwrap();
            assert_eq!(dispatch_number(&object).as_deref(), logged, "{body}");
        }
    }

    #[test]
    fn a_dry_run_looks_accepted() {
        for (reply, operation) in [
            (dry_run::created(), Operation::Create),
            (dry_run::updated("DIS1"), Operation::Other),
            (dry_run::cancelled(), Operation::Cancel),
            (dry_run::uploaded(), Operation::Other),
        ] {
            assert_eq!((reply.code(), read(reply.body().unwrap().get(), operation)), (200, Ok(200)));
        }
    }
}
