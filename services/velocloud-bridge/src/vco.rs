//! One VeloCloud Orchestrator: its session, its limits, its calls.

use std::time::Duration;

use prometheus::Registry;
use tokio_util::sync::CancellationToken;
use upstream::{BuildError, Call, CallError, LoginError, Overrides, Retry, Settings, Upstream};
use url::Url;

use crate::credentials::Credentials;
use crate::outcome::Outcome;
use crate::portal::{EVENTS_WITHIN, Read};
use crate::session::OperatorLogin;

/// Calls to one host at the same time; more wait (Improve 13).
const IN_FLIGHT: usize = 10;
/// Before a failed call is made once more (Improve 14); varied by up to half in either direction.
const PAUSE: Duration = Duration::from_secs(1);
/// However long VeloCloud asks for.
const LONGEST_PAUSE: Duration = Duration::from_millis(1_500);
/// Sent with every call; VeloCloud's own web page does so.
const CACHE_CONTROL: &str = "no-cache, no-store, no-transform, max-age=0, only-if-cached";
/// Sic: the bodies are plain JSON.
const CONTENT_TYPE: &str = "application/json-patch+json";

/// A configured host.
#[derive(Debug)]
pub struct Vco {
    host: String,
    upstream: Upstream,
}

impl Vco {
    /// A host that nobody has called yet. An answer of more than `response_limit` bytes is refused.
    ///
    /// # Errors
    /// When TLS cannot be set up, or the host is registered already.
    pub fn new(
        credentials: &Credentials,
        overrides: &Overrides,
        response_limit: usize,
        metrics: &Registry,
    ) -> Result<Self, BuildError> {
        let Credentials { host, .. } = credentials;
        let base = Url::parse(&format!("https://{host}/portal/rest"));
        let settings = Settings {
            overrides: overrides.clone(),
            timeout: EVENTS_WITHIN,
            in_flight: IN_FLIGHT,
            response_limit,
            retry: Retry::once_after(PAUSE)
                .heeding_at_most(LONGEST_PAUSE)
                .again_after(|answer| matches!(answer.status, 502..=504)),
            ..Settings::new("velocloud", base.map_err(|_| BuildError::BaseUrl("velocloud"))?)
        };
        let upstream = Upstream::new(settings, OperatorLogin::from(credentials), metrics)?;
        Ok(Self { host: host.clone(), upstream })
    }

    /// The host as requests name it.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Logs in unless there is a session. A failure is logged; background and demand try again.
    pub async fn login(&self) {
        if let Err(error) = self.upstream.login_now().await {
            tracing::error!(host = self.host, %error, "no session with this host yet, trying on in the background");
        }
    }

    /// Keeps the session fresh until `stop`.
    pub fn keep_session(&self, stop: CancellationToken) -> impl Future<Output = ()> + Send + 'static {
        self.upstream.login_in_background(stop)
    }

    /// Makes a call; expired sessions and transient failures are repeated once.
    pub async fn read(&self, read: Read) -> Outcome {
        let Read { path, body, group: _, within } = read;
        let call = Call::post(path)
            .read()
            .header("content-type", CONTENT_TYPE)
            .header("cache-control", CACHE_CONTROL)
            .json(&body)
            .within(within);
        match self.upstream.send(call).await {
            Ok(response) if response.session_refused => {
                tracing::warn!(host = self.host, path, "the session has expired and could not be renewed");
                Outcome::NoSession
            }
            Ok(response) => Outcome::Answered { status: response.status, json: response.json_raw() },
            Err(error) => {
                tracing::warn!(host = self.host, path, %error, "call failed");
                if is_refused(&error) { Outcome::NoSession } else { Outcome::Unreachable }
            }
        }
    }
}

/// Whether the host was there and said no to the login.
fn is_refused(error: &CallError) -> bool {
    fn refused(reason: &LoginError) -> bool {
        match reason {
            LoginError::Refused(_) | LoginError::Denied(_) | LoginError::Unreadable(_) => true,
            LoginError::Call(_) => false,
            LoginError::TooSoon(earlier) => refused(earlier),
        }
    }
    matches!(error, CallError::NoSession(reason) if refused(reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_login_and_an_unreachable_host_are_told_apart() {
        let no_session = |reason| is_refused(&CallError::NoSession(Box::new(reason)));
        assert!(no_session(LoginError::Refused(302)));
        assert!(no_session(LoginError::TooSoon(Box::new(LoginError::Unreadable("no cookie")))));
        assert!(!no_session(LoginError::Call(CallError::Timeout)));
        assert!(!no_session(LoginError::TooSoon(Box::new(LoginError::Call(CallError::Timeout)))));
        assert!(!is_refused(&CallError::Timeout));
    }
}
