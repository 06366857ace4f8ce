//! The OAuth login: one bearer token for the whole process.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{HeaderMap, header};
use prometheus::{IntGauge, Registry};
use secrecy::SecretString;
use serde::Deserialize;
use upstream::{Call, Http, Login, LoginError, Session, basic};

use crate::config::Config;

/// Logs in as an OAuth client.
#[derive(Debug)]
pub struct ClientLogin {
    id: String,
    secret: SecretString,
    ttl: Duration,
    /// Unix time of the present token; `time() - this` is its age.
    created: IntGauge,
}

impl ClientLogin {
    /// For the client in `config`.
    ///
    /// # Errors
    /// When the metric is registered already.
    pub fn new(config: &Config, metrics: &Registry) -> Result<Self, prometheus::Error> {
        let name = "digi_token_created_timestamp_seconds";
        let created =
            IntGauge::new(name, "When the present DiGi token was issued, Unix time; 0 without one")?;
        metrics.register(Box::new(created.clone()))?;
        let Config { client_id, client_secret, token_ttl, .. } = config;
        Ok(Self { id: client_id.clone(), secret: client_secret.clone(), ttl: *token_ttl, created })
    }

    /// After how long a token is old: when DiGi says so, but not later than the setting. An old one stays in use until a
    /// login succeeds (spec, Failure handling).
    fn life(&self, expires_in: Option<f64>) -> Duration {
        let said = expires_in.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        said.filter(|said| !said.is_zero()).map_or(self.ttl, |said| said.min(self.ttl))
    }
}

/// DiGi's answer, as far as it matters.
#[derive(Deserialize)]
struct Token {
    access_token: String,
    #[serde(default, deserialize_with = "contracts::lenient::or_default")]
    expires_in: Option<f64>,
}

impl Login for ClientLogin {
    async fn login(&self, http: &Http) -> Result<Session, LoginError> {
        let call = Call::post("/Identity/rest/oauth/token")
            .secret_header(header::AUTHORIZATION, basic(&self.id, &self.secret))
            .form(&[("grant_type", "client_credentials"), ("scope", "write:dms")]);
        let response = http.send(call).await?;
        if !response.is_success() {
            return Err(LoginError::Refused(response.status));
        }
        let token: Token = response.json().map_err(|_| LoginError::Unreadable("no access_token"))?;
        let session = Session::new(token.access_token).expiring_in(self.life(token.expires_in));
        if session.bearer().is_none() {
            return Err(LoginError::Unreadable("the access_token cannot be sent"));
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.created.set(i64::try_from(now.as_secs()).unwrap_or(i64::MAX));
        Ok(session)
    }

    fn authorize(&self, session: &Session, headers: &mut HeaderMap) {
        if let Some(bearer) = session.bearer() {
            headers.insert(header::AUTHORIZATION, bearer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_lives_as_long_as_digi_says_but_not_longer_than_the_setting() {
        let seconds = Duration::from_secs;
        let login = ClientLogin {
            id: String::new(),
            secret: SecretString::from(""),
            ttl: seconds(3600),
            created: IntGauge::new("t", "t").unwrap(),
        };
        for (said, expected) in [
            (None, 3600),
            (Some(600.0), 600),
            (Some(86_400.0), 3600),
            (Some(0.0), 3600),
            (Some(-1.0), 3600),
            (Some(f64::NAN), 3600),
        ] {
            assert_eq!(login.life(said), seconds(expected), "{said:?}");
        }
    }

    #[test]
    fn expires_in_may_be_of_any_kind() {
        let read = |text| serde_json::from_str::<Token>(text).map(|token| token.expires_in);
        assert_eq!(read(r#"{"access_token":"t","expires_in":60}"#).unwrap(), Some(60.0));
        assert_eq!(read(r#"{"access_token":"t","expires_in":"60"}"#).unwrap(), None);
        assert!(read(r#"{"expires_in":60}"#).is_err());
    }
}
