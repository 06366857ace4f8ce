//! Recoveries: the two calls to DiGi and what their answers mean (spec, "Calls" and "Evaluation order"). Pure.

use bus::{Reply, RequestId};
use contracts::digi::{Parameter, RebootRequest, RecoveryLogsRequest};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use upstream::Call;

/// The call that starts a recovery. The parameters travel as headers; `IgzID` is the `request_id`, if it is one.
pub fn reboot_call(request: &RebootRequest, request_id: &RequestId) -> Call {
    let RebootRequest { velo_serial, ticket, mac } = request;
    let igz_id = igz_id(request_id);
    let call = Call::post("/DeviceManagement_API/rest/Recovery/RecoverDevice")
        .bytes("application/octet-stream", "")
        .empty()
        .write();
    with_headers(
        call,
        [
            ("VeloSerial", Some(velo_serial)),
            ("Ticket", Some(ticket)),
            ("MAC", Some(mac)),
            ("IgzID", igz_id.as_ref()),
        ],
    )
}

/// The call that reads recovery logs.
pub fn logs_call(request: &RecoveryLogsRequest) -> Call {
    let RecoveryLogsRequest { igz_id, start_date_time, size, offset } = request;
    with_headers(
        Call::get("/DeviceManagement_API/rest/Recovery/Logs"),
        [
            ("IgzID", igz_id.as_ref()),
            ("StartDateTime", start_date_time.as_ref()),
            ("Size", size.as_ref()),
            ("Offset", offset.as_ref()),
        ],
    )
}

/// Only these names ever become headers (Improve 6). They are case-insensitive; HTTP libraries send them in lower case.
fn with_headers<const N: usize>(call: Call, headers: [(&'static str, Option<&Parameter>); N]) -> Call {
    headers.into_iter().fold(call, |call, (name, value)| match value {
        Some(value) => call.header(name, value.as_str()),
        None => call,
    })
}

/// The `request_id` as a parameter: a text or a number; anything else is left out.
fn igz_id(request_id: &RequestId) -> Option<Parameter> {
    match serde_json::from_str(request_id.raw().get()).ok()? {
        Value::String(text) => Parameter::new(text),
        Value::Number(number) => Parameter::new(number.to_string()),
        _ => None,
    }
}

/// The reply to a reboot that DiGi answered with `status` and `json` (`None`: not JSON).
pub fn reboot_reply(status: u16, json: Option<Box<RawValue>>) -> Reply {
    let Some(json) = json else { return Reply::text(500, "DiGi's answer is not JSON") };
    if !(200..300).contains(&status) {
        return Reply::raw(500, json);
    }
    let Ok(elements) = serde_json::from_str::<Vec<Value>>(json.get()) else {
        return Reply::text(500, "DiGi's answer is not a list");
    };
    let failed = elements.iter().any(has_error) || elements.iter().any(is_aborted);
    Reply::raw(if failed { 400 } else { 200 }, json)
}

/// Anything but an object with a non-null `error` has none (Improve 8).
fn has_error(element: &Value) -> bool {
    element.get("error").is_some_and(|error| !error.is_null())
}

fn is_aborted(element: &Value) -> bool {
    element.get("Message").and_then(Value::as_str).is_some_and(|message| message.contains("Aborted"))
}

/// The reply to a request for logs that DiGi answered with `status` and `json`.
pub fn logs_reply(status: u16, json: Option<Box<RawValue>>) -> Reply {
    let Some(json) = json else { return Reply::text(500, "DiGi's answer is not JSON") };
    let Ok(fields) = serde_json::from_str::<Map<String, Value>>(json.get()) else {
        return Reply::text(500, "DiGi's answer is not an object");
    };
    if fields.contains_key("Error") {
        Reply::raw(400, json)
    } else if (200..300).contains(&status) {
        Reply::raw(200, json)
    } else {
        Reply::raw(500, json)
    }
}

/// What a reboot is answered with when it is not sent (`WRITE_MODE=dry-run`).
pub fn dry_run_reply(request: &RebootRequest) -> Reply {
    Reply::ok(&json!([{
        "Message": "Dry run: not sent to DiGi",
        "VeloSerial": request.velo_serial,
        "Ticket": request.ticket,
    }]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> Option<Box<RawValue>> {
        RawValue::from_string(text.to_owned()).ok()
    }

    fn shown(reply: &Reply) -> (u16, String) {
        (reply.code(), reply.body().unwrap().get().to_owned())
    }

    #[test]
    fn reboots_are_evaluated_in_the_order_of_the_specification() {
        for (status, answer, expected) in [
            (200, r#"[{"Message":"started","VeloSerial":"VC1"}]"#, 200),
            (201, "[]", 200),
            (200, r#"[{"Message":"Aborted: recovery already running"}]"#, 400),
            (200, r#"[{"Message":"x"},{"error":"no device"}]"#, 400),
            (200, r#"[{"Message":"x","error":""}]"#, 400),
            (200, r#"[{"Message":"x","error":null}]"#, 200),
            (200, r#"[{"Message":"aborted"}]"#, 200),
            (200, r#"[{"VeloSerial":"VC1"}]"#, 200),
            (200, r#"[{"Message":3}, "Aborted", null]"#, 200),
            (400, r#"[{"Message":"Aborted"}]"#, 500),
            (401, r#"[{"Message":"unauthorized"}]"#, 500),
            (503, r#"{"Error":{"Code":"40002"}}"#, 500),
            (302, "3", 500),
        ] {
            assert_eq!(shown(&reboot_reply(status, raw(answer))), (expected, answer.to_owned()), "{status}");
        }
        for answer in ["{\"Message\":\"started\"}", "3", "null"] {
            assert_eq!(
                shown(&reboot_reply(200, raw(answer))),
                (500, r#""DiGi's answer is not a list""#.to_owned())
            );
        }
        for status in [200, 500] {
            assert_eq!(
                shown(&reboot_reply(status, raw("<html>"))),
                (500, r#""DiGi's answer is not JSON""#.to_owned())
            );
        }
    }

    #[test]
    fn logs_are_evaluated_in_the_order_of_the_specification() {
        for (status, answer, expected) in [
            (200, r#"{"Logs":[],"Count":0,"Next":[1.50]}"#, 200),
            (201, r#"{"F":1}"#, 200),
            (200, r#"{"Error":{"Code":"40002"}}"#, 400),
            (200, r#"{"Logs":[],"Error":null}"#, 400),
            (404, r#"{"Error":"x"}"#, 400),
            (404, r#"{"F":1}"#, 500),
            (302, r#"{"F":1}"#, 500),
        ] {
            assert_eq!(shown(&logs_reply(status, raw(answer))), (expected, answer.to_owned()), "{status}");
        }
        for (status, answer) in [(200, "[]"), (200, "null"), (404, "[]"), (200, "{\"a\":")] {
            assert_eq!(logs_reply(status, raw(answer)).code(), 500, "{answer}");
        }
    }

    #[test]
    fn the_request_id_is_forwarded_when_a_header_can_hold_it() {
        let id = |text: &str| igz_id(&RequestId::from(&*raw(text).unwrap())).map(|it| it.to_string());
        assert_eq!(id(r#""Rq1""#).as_deref(), Some("Rq1"));
        assert_eq!(id("7").as_deref(), Some("7"));
        for none in ["null", "{}", "[1]", "true", r#""a\r\nb""#] {
            assert_eq!(id(none), None, "{none}");
        }
    }

    #[test]
    fn a_dry_run_looks_accepted() {
        let parameter = |text: &str| Parameter::new(text).unwrap();
        let request =
            RebootRequest { velo_serial: parameter("VC1"), ticket: parameter("5"), mac: parameter("m") };
        let reply = dry_run_reply(&request);
        let again = reboot_reply(200, Some(reply.body().unwrap().to_owned()));
        assert_eq!((reply.code(), again.code()), (200, 200));
    }
}
