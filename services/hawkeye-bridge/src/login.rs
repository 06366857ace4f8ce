//! The session at Hawkeye: a cookie that all calls share (spec, "Login flow").

use http::{HeaderMap, header};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use upstream::{Call, Http, Login, LoginError, Session};

use crate::config::Config;

/// The cookie that carries the session.
const COOKIE: &str = "PHPSESSID";

/// Logs in as a user.
#[derive(Debug)]
pub struct UserLogin {
    username: String,
    password: SecretString,
}

impl From<&Config> for UserLogin {
    fn from(config: &Config) -> Self {
        Self { username: config.username.clone(), password: config.password.clone() }
    }
}

impl Login for UserLogin {
    async fn login(&self, http: &Http) -> Result<Session, LoginError> {
        let body = json!({"username": self.username, "password": self.password.expose_secret()});
        let response = http.send(Call::post("/login").json(&body)).await?;
        if !response.is_success() {
            return Err(LoginError::Refused(response.status));
        }
        // The body says nothing that matters. How long a session lasts Hawkeye does not say: a 401 tells.
        response.cookie(COOKIE).map(Session::new).ok_or(LoginError::Unreadable("no session cookie"))
    }

    fn authorize(&self, session: &Session, headers: &mut HeaderMap) {
        if let Some(cookie) = session.cookie(COOKIE) {
            headers.insert(header::COOKIE, cookie);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_session_goes_into_a_cookie_that_debug_output_hides() {
        let login = UserLogin { username: "user".to_owned(), password: SecretString::from("topsecret") };
        let mut headers = HeaderMap::new();
        login.authorize(&Session::new("abc"), &mut headers);
        assert_eq!(headers[header::COOKIE], "PHPSESSID=abc");
        assert!(!format!("{headers:?}").contains("abc"));
        assert!(!format!("{login:?}").contains("topsecret"));
    }
}
