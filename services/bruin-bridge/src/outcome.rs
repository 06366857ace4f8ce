//! What Bruin's answers mean (spec `bruin-bridge`, "Status mapping", with Improve 3 and 4).

use std::borrow::Cow;

use bus::Reply;
use contracts::{RawFields, json};
use serde::Serialize;
use serde::de::{DeserializeOwned, DeserializeSeed, IgnoredAny};
use serde_json::value::RawValue;
use upstream::{CallError, Response};

use crate::objects::ListOfObjects;

const INTERNAL_ERROR: &str = "Got internal error from Bruin";
/// Characters of an answer that is no JSON which are passed on.
const SHORT: usize = 300;

/// What the failures of a call mean. Every upstream status becomes a reply: 401 and 5xx get fixed texts, 404 too where
/// the existing deployment knows it; anything else is passed on with Bruin's own body.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Failures {
    refused: Option<&'static str>,
    not_found: Option<&'static str>,
    last_internal: u16,
    connection: &'static str,
}

impl Failures {
    /// `E-std` with `E-conn`: 401, 404 and 500 to 512 have fixed texts.
    pub(crate) const STANDARD: Self = Self {
        refused: Some("Got 401 from Bruin"),
        not_found: Some("Resource not found"),
        last_internal: 512,
        connection: "Connection error in Bruin API. ",
    };

    /// `E-no404` and `E-no403-404`: these pass on Bruin's own body.
    pub(crate) const WITHOUT_404: Self = Self { not_found: None, ..Self::STANDARD };

    /// Passes on status and body of everything.
    pub(crate) const AS_IS: Self =
        Self { refused: None, not_found: None, last_internal: 499, ..Self::STANDARD };

    /// Whether status and body of everything are passed on.
    pub(crate) const fn are_passed_on(&self) -> bool {
        self.refused.is_none()
    }

    /// With another text in front of the cause of a failed connection.
    pub(crate) const fn connection(mut self, text: &'static str) -> Self {
        self.connection = text;
        self
    }

    /// With another end of the statuses that count as internal errors.
    pub(crate) const fn internal_to(mut self, status: u16) -> Self {
        self.last_internal = status;
        self
    }

    /// The reply to an answer outside 2xx.
    pub(crate) fn reply(&self, response: &Response) -> Reply {
        match (response.status, self.refused, self.not_found) {
            // Nothing was executed, so a repeated request is tried again.
            (401, Some(text), _) => Reply::text(401, text).not_executed(),
            (401, None, _) => passed_on(response).not_executed(),
            (404, _, Some(text)) => Reply::text(404, text),
            (status, ..) if (500..=self.last_internal).contains(&status) => Reply::text(500, INTERNAL_ERROR),
            _ => passed_on(response),
        }
    }

    /// The reply when Bruin gave no answer.
    pub(crate) fn no_answer(&self, error: &CallError) -> Reply {
        let reply = match error {
            CallError::Connect(cause) | CallError::Closed(cause) => {
                Reply::text(500, &format!("{}{cause}", self.connection))
            }
            CallError::NoSession(_) => Reply::text(500, "Missing BEARER token"),
            CallError::Timeout => Reply::text(500, "Bruin did not answer in time"),
            CallError::Deadline => Reply::text(500, "Out of time before Bruin was asked"),
            CallError::TooLarge(_) => Reply::text(500, &format!("Bruin: {error}")),
            CallError::Invalid(reason) => Reply::text(400, &format!("Cannot be asked of Bruin: {reason}")),
        };
        if error.surely_not_executed() { reply.not_executed() } else { reply }
    }
}

/// Status and body of any answer; what is no JSON as a short text.
fn passed_on(response: &Response) -> Reply {
    match body(response) {
        Some(body) => Reply::raw(response.status, body),
        None => Reply::text(response.status, &response.short_text(SHORT)),
    }
}

/// The body when it is JSON, unchanged except for what no JSON reader takes; an empty one counts as null.
fn body(response: &Response) -> Option<Box<RawValue>> {
    let text = response.text();
    if text.trim().is_empty() {
        return Some(RawValue::NULL.to_owned());
    }
    serde_json::from_str(&json::legal(&text)).ok()
}

/// A 2xx answer. Its body stays unparsed but for the parts that are asked for, so that it is looked at once.
#[derive(Debug)]
pub(crate) struct Success<'a> {
    /// Bruin's status.
    pub(crate) status: u16,
    /// Legal JSON, or no JSON at all.
    text: Cow<'a, str>,
    response: &'a Response,
}

const NOT_JSON: Malformed = Malformed { reason: "not JSON", text: INTERNAL_ERROR };

impl<'a> Success<'a> {
    /// Reads a 2xx answer. An empty body counts as null.
    pub(crate) fn read(response: &'a Response) -> Self {
        let text = response.text();
        let text = if text.trim().is_empty() {
            Cow::Borrowed("null")
        } else {
            match json::legal(&text) {
                Cow::Borrowed(_) => text,
                Cow::Owned(legal) => Cow::Owned(legal),
            }
        };
        Self { status: response.status, text, response }
    }

    /// Status and body unchanged.
    pub(crate) fn as_is(&self) -> Reply {
        self.as_is_with(self.status)
    }

    /// Status and body unchanged; what is no JSON as a short text.
    pub(crate) fn passed_on(&self) -> Reply {
        passed_on(self.response)
    }

    /// The body unchanged under another status.
    pub(crate) fn as_is_with(&self, status: u16) -> Reply {
        match serde_json::from_str::<Box<RawValue>>(&self.text) {
            Ok(body) => Reply::raw(status, body),
            Err(_) => NOT_JSON.into(),
        }
    }

    /// The status with a part of the body.
    pub(crate) fn passing(&self, part: &RawValue) -> Reply {
        Reply::raw(self.status, part.to_owned())
    }

    /// The status with something else.
    pub(crate) fn with<T: Serialize + ?Sized>(&self, body: &T) -> Reply {
        Reply::json(self.status, body)
    }

    /// The body, which must be an object.
    pub(crate) fn fields(&self) -> Result<Fields<'_>, Malformed> {
        serde_json::from_str(&self.text).map(Fields).map_err(|_| self.not("not an object"))
    }

    /// The body if it is an object; it must be JSON.
    pub(crate) fn object(&self) -> Result<Option<Fields<'_>>, Malformed> {
        match self.fields() {
            Ok(fields) => Ok(Some(fields)),
            Err(NOT_JSON) => Err(NOT_JSON),
            Err(_) => Ok(None),
        }
    }

    /// Those elements of the list `name` which are objects; none when it is absent or null.
    pub(crate) fn objects(&self, name: &'static str) -> Result<Vec<Fields<'_>>, Malformed> {
        let mut reader = serde_json::Deserializer::from_str(&self.text);
        let objects = ListOfObjects(name).deserialize(&mut reader).map_err(|_| self.not(name))?;
        reader.end().map_err(|_| NOT_JSON)?;
        Ok(objects)
    }

    fn not(&self, what: &'static str) -> Malformed {
        match serde_json::from_str::<IgnoredAny>(&self.text) {
            Ok(_) => Malformed::new(what),
            Err(_) => NOT_JSON,
        }
    }
}

/// The fields of a JSON object, unparsed. Repeated keys: the last wins.
#[derive(Debug)]
pub(crate) struct Fields<'a>(pub(crate) RawFields<'a>);

impl<'a> Fields<'a> {
    /// The fields of an object; `None` for anything else.
    pub(crate) fn of(raw: &'a RawValue) -> Option<Self> {
        serde_json::from_str(raw.get()).ok().map(Self)
    }

    /// A field, also when it is null.
    pub(crate) fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.0.get(name)
    }

    /// A field that must be there; null is fine.
    pub(crate) fn need(&self, name: &'static str) -> Result<&'a RawValue, Malformed> {
        self.get(name).ok_or(Malformed::new(name))
    }

    /// A field as `T`; `None` when it is absent, null or does not fit.
    pub(crate) fn value<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        serde_json::from_str(self.get(name)?.get()).ok()
    }

    /// The elements of a list that must be there.
    pub(crate) fn list(&self, name: &'static str) -> Result<Vec<&'a RawValue>, Malformed> {
        serde_json::from_str(self.need(name)?.get()).map_err(|_| Malformed::new(name))
    }

    /// The elements of a list; none when it is absent or null.
    pub(crate) fn list_or_none(&self, name: &'static str) -> Result<Vec<&'a RawValue>, Malformed> {
        match self.get(name) {
            None => Ok(Vec::new()),
            Some(raw) if raw.get() == "null" => Ok(Vec::new()),
            Some(_) => self.list(name),
        }
    }
}

/// A 2xx answer that is not what Bruin's API promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed {
    reason: &'static str,
    text: &'static str,
}

impl Malformed {
    /// `reason` is what is wrong, or the name of the field that is missing or wrong; for the log.
    pub(crate) const fn new(reason: &'static str) -> Self {
        Self { reason, text: "Got an unexpected answer from Bruin" }
    }
}

impl From<Malformed> for Reply {
    fn from(Malformed { reason, text }: Malformed) -> Self {
        tracing::warn!(reason, "unexpected answer from Bruin");
        Self::text(500, text)
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use serde_json::{Value, json};
    use upstream::LoginError;

    use super::*;

    fn response(status: u16, body: &str) -> Response {
        Response { status, headers: HeaderMap::new(), body: body.to_owned().into(), session_refused: false }
    }

    fn told(reply: &Reply) -> (u16, Value) {
        (reply.code(), reply.body().map_or(Value::Null, |raw| serde_json::from_str(raw.get()).unwrap()))
    }

    #[test]
    fn every_upstream_status_becomes_a_reply() {
        let body = json!({"message": "m"});
        let internal = json!("Got internal error from Bruin");
        for (failures, status, expected) in [
            (Failures::STANDARD, 400, (400, body.clone())),
            (Failures::STANDARD, 401, (401, json!("Got 401 from Bruin"))),
            (Failures::STANDARD, 403, (403, body.clone())),
            (Failures::STANDARD, 404, (404, json!("Resource not found"))),
            (Failures::WITHOUT_404, 404, (404, body.clone())),
            (Failures::STANDARD, 304, (304, body.clone())),
            (Failures::STANDARD, 409, (409, body.clone())),
            (Failures::STANDARD, 429, (429, body.clone())),
            (Failures::STANDARD, 500, (500, internal.clone())),
            (Failures::STANDARD, 512, (500, internal.clone())),
            (Failures::STANDARD, 513, (513, body.clone())),
            (Failures::STANDARD.internal_to(513), 513, (500, internal)),
            (Failures::STANDARD.internal_to(513), 514, (514, body.clone())),
        ] {
            assert_eq!(
                told(&failures.reply(&response(status, "{\"message\": \"m\"}"))),
                expected,
                "{status}"
            );
        }
    }

    #[test]
    fn answers_that_are_no_json_are_passed_on_as_short_text() {
        assert_eq!(
            told(&Failures::STANDARD.reply(&response(400, "Bad\n Request"))),
            (400, json!("Bad Request"))
        );
        assert_eq!(told(&Failures::STANDARD.reply(&response(400, " "))), (400, Value::Null));
        let long = told(&Failures::STANDARD.reply(&response(403, &"x".repeat(5_000))));
        assert!(long.1.as_str().unwrap().chars().count() < 400);
    }

    #[test]
    fn only_what_surely_changed_nothing_is_forgotten() {
        let failures = Failures::STANDARD;
        assert!(!failures.reply(&response(401, "")).was_executed());
        assert!(failures.reply(&response(500, "")).was_executed());
        assert!(failures.reply(&response(400, "")).was_executed());
        for (error, executed, status) in [
            (CallError::Connect("refused".to_owned()), false, 500),
            (CallError::NoSession(Box::new(LoginError::Refused(500))), false, 500),
            (CallError::Deadline, false, 500),
            (CallError::Invalid("x".to_owned()), false, 400),
            (CallError::Timeout, true, 500),
            (CallError::Closed("reset".to_owned()), true, 500),
            (CallError::TooLarge(1), true, 500),
        ] {
            let reply = failures.no_answer(&error);
            assert_eq!((reply.was_executed(), reply.code()), (executed, status), "{error}");
        }
    }

    #[test]
    fn connection_failures_carry_the_subjects_text_and_the_cause() {
        let error = CallError::Connect("cannot connect: connection refused".to_owned());
        let text = Failures::STANDARD.connection("Connection error in Bruin API: ").no_answer(&error);
        assert_eq!(told(&text).1, "Connection error in Bruin API: cannot connect: connection refused");
    }

    #[test]
    fn successes_are_passed_on_byte_for_byte() {
        let text = r#"{"b":1.50,"a":[12345678901234567890123],"n":"caf\u00e9 – x"}"#;
        let reply = Success::read(&response(201, text)).as_is();
        assert_eq!((reply.code(), reply.body().unwrap().get()), (201, text));
    }

    #[test]
    fn what_is_no_legal_json_is_made_legal_or_refused() {
        let read = |text| told(&Success::read(&response(200, text)).as_is());
        assert_eq!(read(""), (200, Value::Null));
        assert_eq!(read("{\"mos\": NaN}"), (200, json!({"mos": null})));
        let internal = (500, json!("Got internal error from Bruin"));
        for broken in ["<html>OK</html>", "{\"a\": ", "{\"list\": []} x"] {
            assert_eq!(read(broken), internal, "{broken}");
            let response = response(200, broken);
            let answer = Success::read(&response);
            assert_eq!(told(&answer.fields().unwrap_err().into()), internal, "{broken}");
            assert_eq!(told(&answer.objects("list").unwrap_err().into()), internal, "{broken}");
        }
    }

    #[test]
    fn parts_of_a_body_are_asked_for_by_name() {
        for none in ["[1]", "null"] {
            assert!(Success::read(&response(200, none)).fields().is_err());
        }
        let response = response(200, r#"{"list": [1, null], "none": null, "text": "x", "text": "y"}"#);
        let answer = Success::read(&response);
        let fields = answer.fields().unwrap();
        assert_eq!(fields.list("list").unwrap().len(), 2);
        assert!(fields.list("none").is_err());
        assert!(fields.list("text").is_err());
        assert!(fields.list("absent").is_err());
        assert!(fields.list_or_none("none").unwrap().is_empty());
        assert!(fields.list_or_none("absent").unwrap().is_empty());
        assert!(fields.list_or_none("text").is_err());
        assert_eq!(fields.value::<String>("text").as_deref(), Some("y"));
        assert_eq!(fields.need("none").unwrap().get(), "null");
    }
}
