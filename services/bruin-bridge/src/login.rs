//! The login: OAuth2 client credentials (spec `bruin-bridge`, "Login").

use std::time::Duration;

use http::{HeaderMap, Method, header};
use secrecy::SecretString;
use serde::Deserialize;
use upstream::{Call, Http, Login, LoginError, Session, basic};
use url::Url;

use crate::bruin::ApiUsage;

const PATH: &str = "/identity/connect/token";

/// Gets bearer tokens from Bruin's login server.
pub(crate) struct BruinLogin {
    pub(crate) url: Url,
    pub(crate) client_id: String,
    pub(crate) client_secret: SecretString,
    pub(crate) usage: ApiUsage,
}

/// The part of the login server's answer that matters.
#[derive(Deserialize)]
struct Granted {
    access_token: String,
    /// Seconds. Anything but a number above 0 means unknown.
    #[serde(default)]
    expires_in: serde_json::Value,
}

impl Login for BruinLogin {
    async fn login(&self, http: &Http) -> Result<Session, LoginError> {
        let call = Call::post(PATH)
            .at(&self.url)
            .secret_header(header::AUTHORIZATION, basic(&self.client_id, &self.client_secret))
            .form(&[("grant_type", "client_credentials"), ("scope", "public_api")]);
        let answer = http.send(call).await;
        self.usage.count(&Method::POST, PATH, answer.as_ref().ok().map(|answer| answer.status));
        let answer = answer?;
        if !answer.is_success() {
            return Err(LoginError::Refused(answer.status));
        }
        let granted: Granted = answer.json().map_err(|_| LoginError::Unreadable("no access_token"))?;
        let expires_in = granted.expires_in.as_u64().filter(|seconds| *seconds > 0).map(Duration::from_secs);
        Ok(Session::new(granted.access_token).expiring_in(expires_in))
    }

    fn authorize(&self, session: &Session, headers: &mut HeaderMap) {
        if let Some(bearer) = session.bearer() {
            headers.insert(header::AUTHORIZATION, bearer);
        }
    }
}
