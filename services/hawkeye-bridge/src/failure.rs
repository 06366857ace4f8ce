//! What it means that Hawkeye did not answer a call well (spec, "Mapping of a data call"). Pure.

use std::fmt;

use bus::Reply;
use upstream::{CallError, LoginError, Response};

const CONNECTING: &str = "Error while connecting to Hawkeye API";
const INTERNAL: &str = "Got internal error from Hawkeye";
const REFUSED: &str = "Got 401 from Hawkeye";
const CREDENTIALS: &str = "Username doesn't exist or password is incorrect";
const PARAMETERS: &str = "Parameters or body were in an incorrect format";

/// A call without a good answer, as a requester is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Status of the reply: never 2xx, never null.
    pub status: u16,
    /// Its body.
    pub text: String,
}

impl Failure {
    fn new(status: u16, text: impl Into<String>) -> Self {
        Self { status, text: text.into() }
    }

    /// A success that cannot be read, also of a login (Improve 8).
    pub fn unexpected(what: impl fmt::Display) -> Self {
        Self::new(500, format!("Unexpected answer from Hawkeye: {what}"))
    }

    /// As a reply.
    pub fn reply(&self) -> Reply {
        Reply::text(self.status, &self.text)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status, self.text)
    }
}

/// The answer of a call if it is a success.
///
/// # Errors
/// What a requester is told otherwise.
pub fn settle(sent: Result<Response, CallError>) -> Result<Response, Failure> {
    let response = sent.map_err(|error| match error {
        CallError::NoSession(reason) => no_session(&reason),
        _ => Failure::new(500, CONNECTING),
    })?;
    match response.status {
        200..=299 => Ok(response),
        400 => Err(Failure::new(400, PARAMETERS)),
        401 => Err(Failure::new(401, REFUSED)),
        500..=512 => Err(Failure::new(500, INTERNAL)),
        status @ 402..=499 => Err(Failure::new(status, format!("Got {status} from Hawkeye"))),
        status => Err(Failure::new(500, format!("Got {status} from Hawkeye"))),
    }
}

fn no_session(reason: &LoginError) -> Failure {
    match reason {
        LoginError::TooSoon(earlier) => no_session(earlier),
        LoginError::Call(_) => Failure::new(500, CONNECTING),
        LoginError::Refused(401) => Failure::new(401, CREDENTIALS),
        LoginError::Refused(500..=512) => Failure::new(500, INTERNAL),
        LoginError::Refused(_) | LoginError::Denied(_) => Failure::new(401, REFUSED),
        LoginError::Unreadable(what) => Failure::unexpected(what),
    }
}

/// Whether the same call may succeed a moment later (Improve 4 and 10): Hawkeye is in trouble, overloaded, or shows a
/// web page instead of JSON.
pub fn transient(response: &Response) -> bool {
    match response.status {
        200..=299 => response.json::<serde::de::IgnoredAny>().is_err(),
        status => in_trouble(status),
    }
}

/// Whether a login that failed so may succeed a moment later, as [`transient`] says it of a call.
pub fn may_log_in(reason: &LoginError) -> bool {
    match reason {
        LoginError::TooSoon(earlier) => may_log_in(earlier),
        LoginError::Call(error) => matches!(error, CallError::Connect(_) | CallError::Closed(_)),
        LoginError::Refused(status) => in_trouble(*status),
        LoginError::Unreadable(_) => true,
        LoginError::Denied(_) => false,
    }
}

fn in_trouble(status: u16) -> bool {
    matches!(status, 408 | 429 | 500..=512)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::HeaderMap;

    use super::*;

    fn response(status: u16, body: &'static str) -> Response {
        let body = Bytes::from_static(body.as_bytes());
        Response { status, headers: HeaderMap::new(), body, session_refused: status == 401 }
    }

    #[test]
    fn every_outcome_is_a_success_or_a_failure_with_a_status_and_a_text() {
        for status in [200, 201, 299] {
            assert_eq!(settle(Ok(response(status, "x"))).unwrap().status, status);
        }
        for (status, expected, text) in [
            (400, 400, PARAMETERS),
            (401, 401, REFUSED),
            (403, 403, "Got 403 from Hawkeye"),
            (404, 404, "Got 404 from Hawkeye"),
            (429, 429, "Got 429 from Hawkeye"),
            (500, 500, INTERNAL),
            (503, 500, INTERNAL),
            (512, 500, INTERNAL),
            (513, 500, "Got 513 from Hawkeye"),
            (302, 500, "Got 302 from Hawkeye"),
            (304, 500, "Got 304 from Hawkeye"),
        ] {
            assert_eq!(
                settle(Ok(response(status, ""))).unwrap_err(),
                Failure::new(expected, text),
                "{status}"
            );
        }
        for error in [
            CallError::Connect("refused".to_owned()),
            CallError::Timeout,
            CallError::Closed("reset".to_owned()),
            CallError::TooLarge(1),
            CallError::Deadline,
            CallError::Invalid("x".to_owned()),
        ] {
            assert_eq!(settle(Err(error)).unwrap_err(), Failure::new(500, CONNECTING));
        }
    }

    #[test]
    fn a_login_that_fails_says_why() {
        let too_soon = |reason| LoginError::TooSoon(Box::new(reason));
        for (reason, expected) in [
            (LoginError::Call(CallError::Timeout), Failure::new(500, CONNECTING)),
            (LoginError::Refused(401), Failure::new(401, CREDENTIALS)),
            (too_soon(LoginError::Refused(401)), Failure::new(401, CREDENTIALS)),
            (LoginError::Refused(503), Failure::new(500, INTERNAL)),
            (LoginError::Refused(404), Failure::new(401, REFUSED)),
            (LoginError::Unreadable("a web page"), Failure::unexpected("a web page")),
        ] {
            assert_eq!(settle(Err(CallError::NoSession(Box::new(reason)))).unwrap_err(), expected);
        }
    }

    #[test]
    fn only_a_login_that_failed_in_passing_is_waited_for() {
        let too_soon = |reason| LoginError::TooSoon(Box::new(reason));
        for (reason, expected) in [
            (LoginError::Call(CallError::Connect("refused".to_owned())), true),
            (LoginError::Call(CallError::Closed("reset".to_owned())), true),
            (LoginError::Refused(503), true),
            (LoginError::Refused(429), true),
            (LoginError::Unreadable("a web page"), true),
            (too_soon(LoginError::Refused(503)), true),
            (LoginError::Call(CallError::Timeout), false),
            (LoginError::Refused(401), false),
            (LoginError::Refused(200), false),
            (LoginError::Denied(500), false),
            (too_soon(LoginError::Refused(401)), false),
        ] {
            assert_eq!(may_log_in(&reason), expected, "{reason}");
        }
    }

    #[test]
    fn only_what_may_pass_is_repeated() {
        for (status, body, expected) in [
            (200, r#"{"records":[]}"#, false),
            (200, "<html>", true),
            (200, "", true),
            (200, r#"{"records":["#, true),
            (400, "", false),
            (401, "", false),
            (403, "", false),
            (404, "", false),
            (408, "", true),
            (429, "", true),
            (500, "", true),
            (512, "", true),
            (513, "", false),
            (302, "", false),
        ] {
            assert_eq!(transient(&response(status, body)), expected, "{status} {body}");
        }
    }
}
