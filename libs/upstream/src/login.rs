//! How a third party is logged in to: the part that differs between them.

use std::{fmt, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD};
use http::{HeaderMap, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;
use url::Url;

use crate::{CallError, Http, Response};

/// The login of one third party. [`crate::Upstream`] decides when it happens: once for all callers, ahead of its expiry,
/// again after a refusal.
pub trait Login: Send + Sync + 'static {
    /// Whether calls need a session at all.
    const NEEDED: bool = true;

    /// Logs in.
    fn login(&self, http: &Http) -> impl Future<Output = Result<Session, LoginError>> + Send;

    /// Puts the session into the headers of a call, e.g. `authorization` by [`crate::bearer`].
    fn authorize(&self, session: &Session, headers: &mut HeaderMap);

    /// Whether an answer says that the session is not valid (any more) and that nothing was executed.
    fn refused(&self, response: &Response) -> bool {
        response.status == 401
    }
}

/// For third parties without a login, or with a key that each call carries.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoLogin;

impl Login for NoLogin {
    const NEEDED: bool = false;

    async fn login(&self, _http: &Http) -> Result<Session, LoginError> {
        Err(LoginError::Unreadable("there is no login"))
    }

    fn authorize(&self, _session: &Session, _headers: &mut HeaderMap) {}

    fn refused(&self, _response: &Response) -> bool {
        false
    }
}

/// No session is believed to last longer, so that its end can be reckoned with: ten years.
pub(crate) const LONGEST_LIFE: Duration = Duration::from_secs(10 * 365 * 86_400);

/// What a login gave: a token or a cookie's value.
pub struct Session {
    /// The token or cookie.
    pub secret: SecretString,
    /// How long it is valid, as the third party says or a setting wants it. It is renewed after 80 % of this time, and
    /// used beyond it only while no login succeeds.
    pub expires_in: Option<Duration>,
    /// Where calls with this session go, when the login decides that (Salesforce); else to the settings' base URL.
    pub base_url: Option<Url>,
}

impl Session {
    /// A session without a known end.
    pub fn new(secret: impl Into<SecretString>) -> Self {
        Self { secret: secret.into(), expires_in: None, base_url: None }
    }

    /// The same session with a known end, in ten years at the latest; `None` leaves it unknown.
    #[must_use]
    pub fn expiring_in(mut self, time: impl Into<Option<Duration>>) -> Self {
        self.expires_in = time.into().map(|time| time.min(LONGEST_LIFE));
        self
    }

    /// The same session for calls to another base URL than that of the settings. [`crate::Call::at`] goes before it.
    #[must_use]
    pub fn at(mut self, base_url: Url) -> Self {
        self.base_url = Some(base_url);
        self
    }

    /// The value of an `authorization: Bearer` header.
    pub fn bearer(&self) -> Option<HeaderValue> {
        bearer(&self.secret)
    }

    /// The value of a `cookie` header with the session under this name.
    pub fn cookie(&self, name: &str) -> Option<HeaderValue> {
        sensitive(&format!("{name}={}", self.secret.expose_secret()))
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "session valid for {:?}", self.expires_in)
    }
}

/// Why a login gave no session. No text of the third party is part of it.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
pub enum LoginError {
    /// The call failed.
    #[error("the login failed: {0}")]
    Call(#[from] CallError),
    /// An answer outside 2xx, or whatever else the third party says no by.
    #[error("the login was refused with status {0}")]
    Refused(u16),
    /// The third party knows what it was asked and does not want this user: a wrong password, a locked account. Tries
    /// without end may lock the account for all who share it, so after the first few they come seldom.
    #[error("the login was refused with status {0}")]
    Denied(u16),
    /// An answer without what was asked for, e.g. no `access_token`.
    #[error("the login's answer is not as expected: {0}")]
    Unreadable(&'static str),
    /// Too soon after a failed login; the reason is the earlier failure's.
    #[error("no new login so soon: {0}")]
    TooSoon(Box<LoginError>),
}

impl LoginError {
    /// Whether the third party does not want this user, now or when it was asked last.
    pub fn is_denied(&self) -> bool {
        match self {
            Self::Denied(_) => true,
            Self::TooSoon(earlier) => earlier.is_denied(),
            Self::Call(_) | Self::Refused(_) | Self::Unreadable(_) => false,
        }
    }
}

/// `Bearer <secret>` as a header that is never shown; `None` when the secret holds characters that no header can.
pub fn bearer(secret: &SecretString) -> Option<HeaderValue> {
    sensitive(&format!("Bearer {}", secret.expose_secret()))
}

/// `Basic <user:password>` as a header that is never shown.
pub fn basic(user: &str, password: &SecretString) -> HeaderValue {
    let credentials = BASE64_STANDARD.encode(format!("{user}:{}", password.expose_secret()));
    // Base64 is always a legal header value.
    sensitive(&format!("Basic {credentials}")).unwrap_or_else(|| HeaderValue::from_static(""))
}

fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}
