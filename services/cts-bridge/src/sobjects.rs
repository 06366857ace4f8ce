//! The calls to CTS and what the answers to writes mean (spec, "Calls" and "Serves"). Pure.

use bus::Reply;
use contracts::RawFields;
use contracts::cts::{Change, NewDispatch};
use http::Method;
use salesforce::{JSON, NO_CACHE, PRETTY_PRINT, json_of};
use serde_json::json;
use serde_json::value::RawValue;
use upstream::{Call, Response};

/// Asks a query.
pub fn query(soql: &str) -> Call {
    with_headers(Call::get("/services/data/v42.0/query/").query("q", soql))
}

/// Asks for another page of a query's result.
pub fn next_page(locator: &str) -> Call {
    with_headers(Call::get("/services/data/v42.0/query/{locator}").segment("locator", locator))
}

/// Creates a record.
pub fn create(dispatch: &NewDispatch) -> Call {
    with_headers(Call::post("/services/data/v42.0/sobjects/Service__c/"))
        .header(NO_CACHE.0, NO_CACHE.1)
        .bytes(JSON.1, dispatch.0.get().to_owned())
}

/// Changes fields of a record.
pub fn update(change: &Change) -> Call {
    with_headers(Call::new(Method::PATCH, "/services/data/v42.0/sobjects/Service__c/{dispatch_id}"))
        .segment("dispatch_id", &change.dispatch_id)
        .bytes(JSON.1, change.payload.get().to_owned())
}

fn with_headers(call: Call) -> Call {
    call.header(JSON.0, JSON.1).header(PRETTY_PRINT.0, PRETTY_PRINT.1)
}

/// The reply to a new record: 200 when `success` is true, else 400; Salesforce's object in either case.
///
/// # Errors
/// When it is no object.
pub fn created(response: &Response) -> Result<Reply, &'static str> {
    let answer = json_of(response)?;
    let success = {
        let fields: RawFields<'_> = serde_json::from_str(answer.get()).map_err(|_| "not an object")?;
        fields.get("success").map(RawValue::get) == Some("true")
    };
    Ok(Reply::raw(if success { 200 } else { 400 }, answer))
}

/// The reply to a change.
///
/// # Errors
/// When the answer has content: Salesforce's is a 204 without any, so this is somebody else's, e.g. a page about
/// maintenance, and nothing is known of the change.
pub fn updated(response: &Response) -> Result<Reply, &'static str> {
    if response.body.is_empty() { Ok(dry_run_update()) } else { Err("content where none belongs") }
}

/// What a change is answered with when it is not sent (`WRITE_MODE=dry-run`).
pub fn dry_run_update() -> Reply {
    Reply::ok(&json!({}))
}

/// What a new record is answered with when it is not sent (`WRITE_MODE=dry-run`).
pub fn dry_run() -> Reply {
    Reply::ok(&json!({"id": "dry-run", "success": true, "errors": []}))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::HeaderMap;

    use super::*;

    #[test]
    fn only_a_true_success_is_one() {
        for (status, body, expected) in [
            (201, r#"{"id":"a26YY","success":true,"errors":[]}"#, Ok(200)),
            (200, r#"{"id":null,"success":false,"errors":[{"message":"x"}]}"#, Ok(400)),
            (200, r#"{"success":"true"}"#, Ok(400)),
            (200, "{}", Ok(400)),
            (200, "[]", Err("not an object")),
            (204, "", Err("not JSON")),
        ] {
            let body_ = Bytes::from_static(body.as_bytes());
            let response =
                Response { status, headers: HeaderMap::new(), body: body_, session_refused: false };
            let reply = created(&response);
            assert_eq!(reply.as_ref().map(Reply::code).map_err(|why| *why), expected, "{body}");
            if let Ok(reply) = reply {
                assert_eq!(reply.body().unwrap().get(), body);
            }
        }
    }

    #[test]
    fn a_change_is_answered_without_content() {
        let answer = |status, body: &'static str| {
            let body = Bytes::from_static(body.as_bytes());
            let response = Response { status, headers: HeaderMap::new(), body, session_refused: false };
            updated(&response).map(|reply| reply.code())
        };
        assert_eq!(answer(204, ""), Ok(200));
        assert_eq!(answer(200, "<html>"), Err("content where none belongs"));
    }

    #[test]
    fn a_dry_run_looks_accepted() {
        let body = Bytes::from(dry_run().body().unwrap().get().to_owned());
        let response = Response { status: 201, headers: HeaderMap::new(), body, session_refused: false };
        assert_eq!(created(&response).unwrap().code(), 200);
    }
}
