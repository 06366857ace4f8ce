//! The login: one bearer token for the whole process. DRI does not say how long it lasts; a 401 ends it.

use http::HeaderMap;
use http::header::AUTHORIZATION;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use upstream::{Call, Http, Login, LoginError, Session};

use crate::usage::ApiUsage;

/// Logs in with e-mail address and password.
pub(crate) struct PasswordLogin {
    pub(crate) username: String,
    pub(crate) password: SecretString,
    pub(crate) usage: ApiUsage,
}

/// DRI's answer, as far as it matters.
#[derive(Deserialize)]
struct Token {
    authorization_token: String,
}

impl Login for PasswordLogin {
    async fn login(&self, http: &Http) -> Result<Session, LoginError> {
        let form = [("email", self.username.as_str()), ("password", self.password.expose_secret())];
        let call = Call::post("/auth/login").form(&form);
        self.usage.count("POST", call.route_name());
        let response = http.send(call).await?;
        // With a token in it the status does not matter (spec, "Login").
        match response.json::<Token>() {
            Ok(token) => usable(token.authorization_token),
            Err(_) if !response.is_success() => Err(LoginError::Refused(response.status)),
            Err(_) => Err(LoginError::Unreadable("no authorization_token")),
        }
    }

    fn authorize(&self, session: &Session, headers: &mut HeaderMap) {
        if let Some(bearer) = session.bearer() {
            headers.insert(AUTHORIZATION, bearer);
        }
    }
}

fn usable(token: String) -> Result<Session, LoginError> {
    let empty = token.is_empty();
    let session = Session::new(token);
    if empty || session.bearer().is_none() {
        return Err(LoginError::Unreadable("the authorization_token cannot be sent"));
    }
    Ok(session)
}
