//! Why there is no usable answer, and the reply that says so.

use bus::Reply;
use upstream::{CallError, Response};
use url::Url;

use crate::account::Vendor;

/// Characters of the vendor's answer that are passed on.
const SHORT: usize = 500;

/// Why a call has no usable answer.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// HTTP status of 300 or more (spec, "Status mapping"): the class, the URL and the vendor's answer.
    #[error("{text}")]
    Refused {
        /// The text of the reply.
        text: String,
        /// The session was refused, the new one too: nothing was executed.
        session: bool,
    },
    /// No answer within the time that a caller has, repetitions included.
    #[error("{0}")]
    NoAnswer(#[from] CallError),
    /// An answer that is not what the vendor's interface promises.
    #[error("the answer is not as expected: {0}")]
    Unusable(&'static str),
    /// Which dispatches are ours cannot be told.
    #[error("Redis does not answer, so which dispatches are ours is not known")]
    OursUnknown,
}

impl Failure {
    /// A status of 300 or more, the answer of `url`.
    pub(crate) fn refused(response: &Response, url: Option<&Url>) -> Self {
        let url = url.map_or("an unknown address", Url::as_str);
        let status = response.status;
        let what = match status {
            300 => format!("More than one record for {url}"),
            400 => format!("Malformed request {url}"),
            401 => format!("Expired session for {url}"),
            403 => format!("Request refused for {url}"),
            404 => format!("Resource not found: {url}"),
            _ => format!("Error Code {status} for {url}"),
        };
        let text = format!("{what}. Response content: {}", response.short_text(SHORT));
        Self::Refused { text, session: response.session_refused }
    }

    /// Whether a read may succeed if it is asked again.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::NoAnswer(error) => match error {
                CallError::NoSession(reason) => !reason.is_denied(),
                // Out of time is a try that waited for a place or for a login: the read may have time left.
                CallError::Connect(_) | CallError::Timeout | CallError::Closed(_) | CallError::Deadline => {
                    true
                }
                CallError::TooLarge(_) | CallError::Invalid(_) => false,
            },
            Self::Unusable(_) => true,
            Self::Refused { .. } | Self::OursUnknown => false,
        }
    }

    /// Whether the vendor surely has not executed the call.
    pub(crate) fn surely_not_executed(&self) -> bool {
        match self {
            Self::Refused { session, .. } => *session,
            Self::NoAnswer(error) => error.surely_not_executed(),
            Self::OursUnknown => true,
            Self::Unusable(_) => false,
        }
    }

    /// The reply: 500 when the vendor refuses, 400 when the request cannot be sent, 502 when the answer is too large, 503
    /// otherwise. What surely was not executed is not remembered, so a repeated request is tried again.
    pub fn reply(&self, vendor: Vendor) -> Reply {
        let title = vendor.title;
        let reply = match self {
            Self::Refused { text, .. } => Reply::text(500, text),
            Self::NoAnswer(CallError::Invalid(reason)) => {
                Reply::text(400, &format!("Cannot be asked of {title}: {reason}"))
            }
            Self::NoAnswer(CallError::TooLarge(_)) => Reply::text(502, &format!("{title}: {self}")),
            Self::NoAnswer(_) | Self::Unusable(_) => Reply::text(503, &format!("{title}: {self}")),
            Self::OursUnknown => Reply::text(503, &self.to_string()),
        };
        if self.surely_not_executed() { reply.not_executed() } else { reply }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::HeaderMap;
    use upstream::LoginError;

    use super::*;

    const CTS: Vendor = Vendor { name: "cts", title: "CTS" };

    fn response(status: u16, session_refused: bool) -> Response {
        let body = Bytes::from_static(b"[ {\n  \"errorCode\" : \"X\"\n} ]");
        Response { status, headers: HeaderMap::new(), body, session_refused }
    }

    fn shown(failure: &Failure) -> (u16, String, bool) {
        let reply = failure.reply(CTS);
        (reply.code(), serde_json::from_str(reply.body().unwrap().get()).unwrap(), reply.was_executed())
    }

    #[test]
    fn a_refusal_names_class_url_and_answer() {
        let url = Url::parse("https://inst.example/services/data/v42.0/query/?q=SELECT+Id").unwrap();
        for (status, class) in [
            (300, "More than one record for"),
            (400, "Malformed request"),
            (401, "Expired session for"),
            (403, "Request refused for"),
            (404, "Resource not found:"),
            (301, "Error Code 301 for"),
            (409, "Error Code 409 for"),
            (500, "Error Code 500 for"),
            (503, "Error Code 503 for"),
        ] {
            let text = format!("{class} {url}. Response content: [ {{ \"errorCode\" : \"X\" }} ]");
            let failure = Failure::refused(&response(status, false), Some(&url));
            assert_eq!(shown(&failure), (500, text, true));
        }
        let expired = Failure::refused(&response(401, true), Some(&url));
        assert!(!shown(&expired).2, "a refused session means that nothing was executed");
    }

    #[test]
    fn a_read_is_not_asked_again_for_a_user_who_is_not_wanted() {
        let no_session = |reason| Failure::NoAnswer(CallError::NoSession(Box::new(reason)));
        let too_soon = |reason| LoginError::TooSoon(Box::new(reason));
        for (reason, may_pass) in [
            (LoginError::Refused(500), true),
            (LoginError::Call(CallError::Timeout), true),
            (too_soon(LoginError::Refused(500)), true),
            (LoginError::Denied(500), false),
            (too_soon(LoginError::Denied(500)), false),
        ] {
            assert_eq!(no_session(reason.clone()).may_pass(), may_pass, "{reason}");
        }
    }

    #[test]
    fn everything_else_has_a_status_and_a_text_too() {
        let login = CallError::NoSession(Box::new(LoginError::Refused(500)));
        for (failure, status, text, executed) in [
            (Failure::NoAnswer(CallError::Connect("refused".into())), 503, "CTS: refused", false),
            (Failure::NoAnswer(login), 503, "CTS: no session: the login was refused with status 500", false),
            (Failure::NoAnswer(CallError::Timeout), 503, "CTS: no answer in time", true),
            (
                Failure::NoAnswer(CallError::Invalid("`id` cannot be part of a path".into())),
                400,
                "Cannot be asked of CTS: `id` cannot be part of a path",
                false,
            ),
            (Failure::NoAnswer(CallError::TooLarge(9)), 502, "CTS: the answer has more than 9 bytes", true),
            (Failure::Unusable("not JSON"), 503, "CTS: the answer is not as expected: not JSON", true),
            (
                Failure::OursUnknown,
                503,
                "Redis does not answer, so which dispatches are ours is not known",
                false,
            ),
        ] {
            assert_eq!(shown(&failure), (status, text.to_owned(), executed), "{failure:?}");
        }
    }
}
