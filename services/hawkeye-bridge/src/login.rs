//! The session at Hawkeye: cookies that all calls share (spec, "Login flow").

use http::{HeaderMap, HeaderValue, header};
use indexmap::IndexMap;
use secrecy::{ExposeSecret, SecretString};
use serde::de::IgnoredAny;
use serde_json::json;
use upstream::{Call, Http, Login, LoginError, Response, Session};

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
        // With a session the body says nothing that matters. How long it lasts Hawkeye does not say: a 401 tells.
        match cookies(&response) {
            Some(cookies) => Ok(Session::new(cookies)),
            None if response.json::<IgnoredAny>().is_ok() => Err(LoginError::Refused(response.status)),
            None => Err(LoginError::Unreadable("a login without a session")),
        }
    }

    fn authorize(&self, session: &Session, headers: &mut HeaderMap) {
        if let Ok(mut cookies) = HeaderValue::try_from(session.secret.expose_secret()) {
            cookies.set_sensitive(true);
            headers.insert(header::COOKIE, cookies);
        }
    }
}

/// All cookies that an answer sets, as they are sent back; `None` when that of the session is not among them.
fn cookies(response: &Response) -> Option<String> {
    let set = response.headers.get_all(header::SET_COOKIE).iter().filter_map(|cookie| {
        let (name, value) = cookie.to_str().ok()?.split(';').next()?.split_once('=')?;
        Some((name.trim(), value.trim()))
    });
    // The last one of a name counts; one without a value is deleted.
    let mut jar: IndexMap<&str, &str> = set.collect();
    jar.retain(|_, value| !value.is_empty());
    let pairs = || jar.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>();
    jar.contains_key(COOKIE).then(|| pairs().join("; "))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn the_session_goes_into_a_cookie_that_debug_output_hides() {
        let login = UserLogin { username: "user".to_owned(), password: SecretString::from("topsecret") };
        let mut headers = HeaderMap::new();
        login.authorize(&Session::new("PHPSESSID=abc"), &mut headers);
        assert_eq!(headers[header::COOKIE], "PHPSESSID=abc");
        assert!(!format!("{headers:?}").contains("abc"));
        assert!(!format!("{login:?}").contains("topsecret"));
    }

    #[test]
    fn all_cookies_of_a_login_are_kept_but_none_without_that_of_the_session() {
        let kept = |set: &[&'static str]| {
            let headers = set.iter().map(|cookie| (header::SET_COOKIE, HeaderValue::from_static(cookie)));
            let headers = headers.collect();
            cookies(&Response { status: 200, headers, body: Bytes::new(), session_refused: false })
        };
        let whole = [
            "PHPSESSID=old; path=/",
            "lb=node-1; Secure",
            "gone=; Max-Age=0",
            "PHPSESSID=new=; path=/; HttpOnly",
        ];
        assert_eq!(kept(&whole).as_deref(), Some("PHPSESSID=new=; lb=node-1"));
        for none in [&["lb=node-1"][..], &["PHPSESSID=; path=/"], &["PHPSESSID"], &[]] {
            assert_eq!(kept(none), None, "{none:?}");
        }
    }
}
