//! Operator sessions: how the bridge logs in to a VCO, and how it notices that a session has expired.

use std::time::Duration;

use http::{HeaderMap, header};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use serde_json::value::RawValue;
use upstream::{Call, Http, Login, LoginError, Response, Session};

use crate::credentials::Credentials;
use crate::outcome::error_message;

/// The cookie that carries the session.
const COOKIE: &str = "velocloud.session";
/// Sessions last about 24 h and are renewed every 23 h (Improve 4). `upstream` renews after 80 % of the time given.
const LIFE: Duration = Duration::from_secs(23 * 3600 * 5 / 4);

/// Logs in as an operator.
#[derive(Debug)]
pub struct OperatorLogin {
    user: String,
    password: SecretString,
}

impl From<&Credentials> for OperatorLogin {
    fn from(credentials: &Credentials) -> Self {
        Self { user: credentials.user.clone(), password: credentials.password.clone() }
    }
}

impl Login for OperatorLogin {
    async fn login(&self, http: &Http) -> Result<Session, LoginError> {
        let body = json!({"username": self.user, "password": self.password.expose_secret()});
        let response = http.send(Call::post("/login/operatorLogin").json(&body)).await?;
        if !response.is_success() {
            return Err(LoginError::Refused(response.status));
        }
        let cookie = response.cookie(COOKIE).ok_or(LoginError::Unreadable("no session cookie"))?;
        Ok(Session::new(cookie).expiring_in(LIFE))
    }

    fn authorize(&self, session: &Session, headers: &mut HeaderMap) {
        if let Some(cookie) = session.cookie(COOKIE) {
            headers.insert(header::COOKIE, cookie);
        }
    }

    /// Improve 2: 401, a redirect or a web page (the login page), or an error object that speaks of the token. The header
    /// `Expires: 0` says nothing, good answers carry it too.
    fn refused(&self, response: &Response) -> bool {
        match response.status {
            401 | 301..=303 | 307 | 308 => true,
            200..=299 if response.is_html() => true,
            200..=499 => speaks_of_token(response),
            _ => false,
        }
    }
}

/// Whether `error.message` contains `tokenError`. Lists of several MB are not even looked through.
fn speaks_of_token(response: &Response) -> bool {
    if !response.body.trim_ascii_start().starts_with(b"{") {
        return false;
    }
    let text = response.text();
    text.contains("tokenError")
        && serde_json::from_str::<&RawValue>(&text)
            .ok()
            .and_then(error_message)
            .is_some_and(|message| message.contains("tokenError"))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::HeaderValue;

    use super::*;

    fn login() -> OperatorLogin {
        OperatorLogin { user: "operator".to_owned(), password: SecretString::from("secret") }
    }

    fn refused(status: u16, content_type: &'static str, body: &'static str) -> bool {
        let mut headers = HeaderMap::from_iter([(header::EXPIRES, HeaderValue::from_static("0"))]);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        let body = Bytes::from_static(body.as_bytes());
        login().refused(&Response { status, headers, body, session_refused: false })
    }

    #[test]
    fn an_expired_session_is_known_by_what_the_answer_says() {
        const JSON: &str = "application/json";
        const EXPIRED: &str = r#"{"error":{"code":-32000,"message":"tokenError [expired session cookie]"}}"#;
        for (status, kind, body, expected) in [
            (200, JSON, EXPIRED, true),
            (200, JSON, "\n {\"error\": {\"message\": \"x tokenError\"}}", true),
            (400, JSON, EXPIRED, true),
            (401, JSON, "{}", true),
            (302, "text/plain", "", true),
            (200, "text/html", "<html>Sign in</html>", true),
            (200, "text/plain", "<!DOCTYPE html><html>", true),
            // The header `Expires: 0` of every case alone means nothing.
            (200, JSON, "[]", false),
            (200, JSON, r#"{"data":[{"message":"tokenError"}]}"#, false),
            (200, JSON, r#"[{"error":{"message":"tokenError"}}]"#, false),
            (200, JSON, r#"{"error":{"message":"other"}}"#, false),
            (403, JSON, r#"{"error":{"message":"no"}}"#, false),
            (404, "text/html", "<html>", false),
            (500, JSON, EXPIRED, false),
            (500, "text/html", "<html>", false),
        ] {
            assert_eq!(refused(status, kind, body), expected, "{status} {body}");
        }
    }

    #[test]
    fn the_session_goes_into_a_cookie_that_debug_output_hides() {
        let mut headers = HeaderMap::new();
        login().authorize(&Session::new("one-a"), &mut headers);
        assert_eq!(headers[header::COOKIE], "velocloud.session=one-a");
        assert!(!format!("{headers:?} {:?}", login()).contains("one-a"));
        assert!(!format!("{:?}", login()).contains("secret"));
    }

    #[test]
    fn sessions_are_renewed_every_23_hours() {
        assert_eq!(LIFE.mul_f64(0.8), Duration::from_secs(23 * 3600));
    }
}
