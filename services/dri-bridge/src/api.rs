//! The DRI API: its three data calls, and what their answers mean (spec, "Upstream" and "Behaviour"). Pure.

use bus::Reply;
use contracts::dri::{DeviceSerial, ParametersReply, ParametersRequest};
use contracts::{dri, json, json_text};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use upstream::{Call, CallError, Response};

use crate::task::TaskId;

const NOT_JSON: &str = "DRI's answer is not JSON";

/// Asks which tasks a device has not done yet.
pub fn pending_call(serial: &DeviceSerial) -> Call {
    data_call("/acs/device/{serial}/taskpending", serial)
}

/// Asks a device for parameters. That starts a task, although it is a GET.
pub fn create_call(request: &ParametersRequest) -> Call {
    data_call("/acs/device/{serial}/parameter_returnid", &request.serial_number)
        .query("data", json_text::spaced(&request.parameter_set))
        .write()
}

/// Asks what came of a task.
pub fn result_call(serial: &DeviceSerial, task: &TaskId) -> Call {
    data_call("/acs/device/{serial}/parameter_tid", serial).query("transactionid", task.text())
}

fn data_call(path: &'static str, serial: &DeviceSerial) -> Call {
    Call::get(path)
        .segment("serial", serial)
        .header("Content-Type", "application/json-patch+json")
        .header("Cache-control", "no-cache, no-store, no-transform, max-age=0, only-if-cached")
}

/// What DRI answered to a data call.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// Whether the token was refused, also after a new login.
    pub refused: bool,
    /// The body; `None` when it is not JSON.
    pub json: Option<Box<RawValue>>,
}

impl From<Response> for Answer {
    fn from(response: Response) -> Self {
        let json = response.json_raw();
        Self { status: response.status, refused: response.session_refused, json }
    }
}

/// The reply when a data call brought no answer.
pub fn no_answer(error: &CallError) -> Reply {
    match error {
        CallError::NoSession(_) => Reply::text(500, "Missing BEARER token"),
        error => Reply::text(500, &format!("DRI: {error}")),
    }
}

/// The tasks that a device has not done yet, or the reply when that cannot be told.
///
/// # Errors
/// The reply.
pub fn pending(answer: Answer) -> Result<Vec<TaskId>, Reply> {
    let document = success(answer)?;
    let transactions = data(&document).and_then(|data| data.get("Transactions")).and_then(Value::as_array);
    let ids = transactions.map(|list| list.iter().map(|task| TaskId::new(task.get("Id")?)).collect());
    // An unreadable list is no empty one: the device must not get a second task.
    ids.and_then(|ids: Option<Vec<TaskId>>| ids).ok_or_else(|| unusable("Transactions"))
}

/// The task that was created, or the reply when there is none.
///
/// # Errors
/// The reply.
pub fn created(serial: &DeviceSerial, answer: Answer) -> Result<TaskId, Reply> {
    if answer.status == 504 {
        return Err(Reply::text(504, &format!("Getting task_id of {serial} timed out")));
    }
    let document = success(answer)?;
    let id = data(&document).and_then(|data| data.get("Id")).and_then(TaskId::new);
    id.ok_or_else(|| unusable("Id"))
}

/// A reply, and whether the task's id is forgotten with it.
#[derive(Debug)]
pub struct Verdict {
    /// The reply.
    pub reply: Reply,
    /// Whether the next request starts anew.
    pub forget: bool,
}

/// What is answered when the call for the result brought no answer. "No connection" and "no token" are outcomes like any
/// other that is not 2xx. Of a call that was sent and not answered nothing is known, nor of one that came too late to be
/// sent: the task may be done.
pub fn no_result(error: &CallError) -> Verdict {
    let forget = matches!(error, CallError::Connect(_) | CallError::NoSession(_));
    Verdict { reply: no_answer(error), forget }
}

/// What came of a task (spec, Behaviour 2).
pub fn result(serial: &DeviceSerial, answer: Answer) -> Verdict {
    let keep = |reply| Verdict { reply, forget: false };
    let forget = |reply| Verdict { reply, forget: true };
    let refused = answer.refused;
    let document = match document(answer) {
        Ok((_, fields)) => fields,
        Err(reply) if refused => return keep(reply),
        Err(reply) => return forget(reply),
    };
    if !is_success(&document) {
        return forget(Reply::text(400, &format!("Failed to retrieve data from DRI for serial {serial}")));
    }
    let Some(data) = data(&document) else { return forget(unusable("data")) };
    match data.get("Message").and_then(Value::as_str) {
        Some("Pending") => keep(not_yet(serial)),
        Some("Rejected") => forget(Reply::text(403, &format!("DRI task was rejected for serial {serial}"))),
        _ => match data.get("Parameters").and_then(Value::as_array) {
            Some(parameters) => keep(Reply::ok(&ParametersReply::Ready(values(parameters)))),
            None => forget(unusable("Parameters")),
        },
    }
}

/// The reply while there are no data yet.
pub fn not_yet(serial: &DeviceSerial) -> Reply {
    Reply::text(204, &format!("Data is still being fetched from DRI for serial {serial}"))
}

/// Values by name, the last one of repeated names. Without a value: null; without a name: left out.
fn values(parameters: &[Value]) -> dri::Parameters {
    let value = |parameter: &Value| parameter.get("Value").cloned().unwrap_or_default();
    let named = |parameter: &Value| Some((parameter.get("Name")?.as_str()?.to_owned(), value(parameter)));
    dri::Parameters(parameters.iter().filter_map(named).collect())
}

/// The fields of a 2xx answer whose `status` is `SUCCESS`; any other is passed on, with 400 if it is a 2xx one.
fn success(answer: Answer) -> Result<Map<String, Value>, Reply> {
    let (raw, fields) = document(answer)?;
    if is_success(&fields) { Ok(fields) } else { Err(Reply::raw(400, raw)) }
}

/// A 2xx answer as it came, and its fields (none when it is no object); any other answer as the reply.
fn document(answer: Answer) -> Result<(Box<RawValue>, Map<String, Value>), Reply> {
    if answer.refused {
        return Err(Reply::text(401, "Got 401 from DRI"));
    }
    let Some(raw) = answer.json else { return Err(Reply::text(500, NOT_JSON)) };
    if !(200..300).contains(&answer.status) {
        return Err(Reply::raw(answer.status, raw));
    }
    let fields = json::object(&raw).unwrap_or_default();
    Ok((raw, fields))
}

fn is_success(document: &Map<String, Value>) -> bool {
    document.get("status").and_then(Value::as_str) == Some("SUCCESS")
}

fn data(document: &Map<String, Value>) -> Option<&Map<String, Value>> {
    document.get("data")?.as_object()
}

fn unusable(field: &str) -> Reply {
    Reply::text(500, &format!("DRI's answer has no usable \"{field}\""))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn serial() -> DeviceSerial {
        DeviceSerial::new("700001").unwrap()
    }

    fn answer(status: u16, text: &str) -> Answer {
        let json = RawValue::from_string(text.to_owned()).ok();
        Answer { status, refused: status == 401, json }
    }

    fn shown(reply: &Reply) -> (u16, Value) {
        (reply.code(), serde_json::from_str(reply.body().unwrap().get()).unwrap())
    }

    #[test]
    fn without_an_answer_the_reply_says_why() {
        let no_token = CallError::NoSession(Box::new(upstream::LoginError::Refused(500)));
        assert_eq!(shown(&no_answer(&no_token)), (500, json!("Missing BEARER token")));
        for error in [CallError::Timeout, CallError::Deadline, CallError::Closed("cut off".to_owned())] {
            assert_eq!(shown(&no_answer(&error)), (500, json!(format!("DRI: {error}"))));
        }
    }

    #[test]
    fn a_result_that_could_not_be_asked_for_ends_the_task_and_one_that_was_not_answered_does_not() {
        let no_token = CallError::NoSession(Box::new(upstream::LoginError::Refused(500)));
        for (error, forget) in [
            (CallError::Connect("cannot connect".to_owned()), true),
            (no_token, true),
            (CallError::Closed("cut off".to_owned()), false),
            (CallError::Timeout, false),
            (CallError::Deadline, false),
            (CallError::TooLarge(1), false),
        ] {
            let verdict = no_result(&error);
            assert_eq!((verdict.reply.code(), verdict.forget), (500, forget), "{error:?}");
        }
    }

    /// What all three calls have in common.
    const REFUSALS: &[(u16, &str, u16, &str)] = &[
        (401, "{}", 401, r#""Got 401 from DRI""#),
        (401, "<html>", 401, r#""Got 401 from DRI""#),
        (403, r#"{"error":"e403"}"#, 403, r#"{"error":"e403"}"#),
        (302, r#"{"moved":1}"#, 302, r#"{"moved":1}"#),
        (503, "[1]", 503, "[1]"),
        (500, "Oops", 500, r#""DRI's answer is not JSON""#),
        (200, "Oops", 500, r#""DRI's answer is not JSON""#),
        (204, "", 500, r#""DRI's answer is not JSON""#),
    ];
    /// 2xx answers which the two calls of step 1 pass on with 400.
    const FAILURES: &[&str] =
        &[r#"{"status":"success","data":{}}"#, r#"{"status":"FAILED","message":"m"}"#, "[]", "7", "{}"];

    #[test]
    fn pending_tasks_are_read() {
        for (list, expected) in
            [("[]", json!([])), (r#"[{"Id":233,"x":1},{"Id":"2432"}]"#, json!([233, "2432"]))]
        {
            let text = format!(r#"{{"status":"SUCCESS","data":{{"Transactions":{list}}}}}"#);
            for status in [200, 201] {
                let ids = pending(answer(status, &text)).unwrap();
                let expected: Vec<_> = expected.as_array().unwrap().iter().filter_map(TaskId::new).collect();
                assert_eq!(ids, expected);
            }
        }
        for odd in [
            r#"{"status":"SUCCESS"}"#,
            r#"{"status":"SUCCESS","data":[]}"#,
            r#"{"status":"SUCCESS","data":{"Transactions":null}}"#,
            r#"{"status":"SUCCESS","data":{"Transactions":[{"Id":1},{"id":2}]}}"#,
        ] {
            let reply = pending(answer(200, odd)).unwrap_err();
            assert_eq!(shown(&reply), (500, json!(r#"DRI's answer has no usable "Transactions""#)), "{odd}");
        }
        for failure in FAILURES {
            let reply = pending(answer(200, failure)).unwrap_err();
            assert_eq!(shown(&reply), (400, serde_json::from_str(failure).unwrap()));
        }
        for (status, text, code, body) in REFUSALS {
            let reply = pending(answer(*status, text)).unwrap_err();
            assert_eq!(shown(&reply), (*code, serde_json::from_str(body).unwrap()), "{status}");
        }
    }

    #[test]
    fn a_created_task_is_read() {
        let ok = r#"{"status":"SUCCESS","message":"All Good!","data":{"Id":1725608,"ErrorCode":100,"Message":""}}"#;
        assert_eq!(created(&serial(), answer(200, ok)).unwrap().text(), "1725608");
        for odd in [r#"{"status":"SUCCESS"}"#, r#"{"status":"SUCCESS","data":{"Id":null}}"#] {
            let reply = created(&serial(), answer(200, odd)).unwrap_err();
            assert_eq!(shown(&reply), (500, json!(r#"DRI's answer has no usable "Id""#)), "{odd}");
        }
        for text in [r#"{"error":"e504"}"#, "<html>"] {
            let reply = created(&serial(), answer(504, text)).unwrap_err();
            assert_eq!(shown(&reply), (504, json!("Getting task_id of 700001 timed out")));
        }
        for failure in FAILURES {
            let reply = created(&serial(), answer(200, failure)).unwrap_err();
            assert_eq!(shown(&reply), (400, serde_json::from_str(failure).unwrap()));
        }
        for (status, text, code, body) in REFUSALS {
            let reply = created(&serial(), answer(*status, text)).unwrap_err();
            assert_eq!(shown(&reply), (*code, serde_json::from_str(body).unwrap()), "{status}");
        }
    }

    fn outcome(status: u16, text: &str) -> (u16, Value, bool) {
        let Verdict { reply, forget } = result(&serial(), answer(status, text));
        let (status, body) = shown(&reply);
        (status, body, forget)
    }

    #[test]
    fn results_are_evaluated_in_the_order_of_the_specification() {
        let data =
            |data: Value| json!({"status": "SUCCESS", "message": "All Good!", "data": data}).to_string();
        let pending = data(json!({"Parameters": [], "ErrorCode": 100, "Message": "Pending"}));
        let not_yet = json!("Data is still being fetched from DRI for serial 700001");
        assert_eq!(outcome(200, &pending), (204, not_yet, false));
        let rejected = data(json!({"Parameters": [], "ErrorCode": 100, "Message": "Rejected"}));
        assert_eq!(outcome(200, &rejected), (403, json!("DRI task was rejected for serial 700001"), true));
        let failed = json!("Failed to retrieve data from DRI for serial 700001");
        for text in FAILURES {
            assert_eq!(outcome(200, text), (400, failed.clone(), true), "{text}");
        }
        for (odd, field) in [(data(json!(null)), "data"), (data(json!({"Message": ""})), "Parameters")] {
            assert_eq!(
                outcome(200, &odd),
                (500, json!(format!("DRI's answer has no usable \"{field}\"")), true)
            );
        }
        for (status, text, code, body) in REFUSALS {
            let expected = (*code, serde_json::from_str(body).unwrap(), *status != 401);
            assert_eq!(outcome(*status, text), expected, "{status}");
        }
    }

    #[test]
    fn values_are_taken_by_name() {
        for (parameters, expected) in [
            (json!([]), json!({})),
            (
                json!([{"Name": "p", "Value": "ATT", "ErrorCode": 100, "Message": ""}, {"Name": "q", "Value": "é –"}]),
                json!({"p": "ATT", "q": "é –"}),
            ),
            (json!([{"Name": "p", "Value": "1"}, {"Name": "p", "Value": "2"}]), json!({"p": "2"})),
            (
                json!([{"Name": "x"}, {"Value": "1"}, 7, {"Name": "y", "Value": 1.50}]),
                json!({"x": null, "y": 1.50}),
            ),
        ] {
            let text =
                json!({"status": "SUCCESS", "data": {"Parameters": parameters, "Message": "?"}}).to_string();
            assert_eq!(outcome(201, &text), (200, expected, false));
        }
    }
}
