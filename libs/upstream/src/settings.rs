//! What the caller decides about a third party, as plain data.

use std::{path::PathBuf, time::Duration};

use url::Url;

use crate::{Overrides, Response, retry};

/// How a third party is reached. Start from [`Settings::new`] and change what differs.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Names the third party in metrics, logs and errors, e.g. `bruin`.
    pub name: &'static str,
    /// What paths are appended to. Its host stays the identity of the third party even when it is overridden.
    pub base_url: Url,
    /// Where calls to certain hosts go instead (development and tests).
    pub overrides: Overrides,
    /// For name look-up, TCP and TLS together. Default 5 s.
    pub connect_timeout: Duration,
    /// For one call altogether: waiting for a free place, login, repetitions, reading the answer. Default 60 s;
    /// a call can only shorten it.
    pub timeout: Duration,
    /// For one login, which several calls share. Default 20 s.
    pub login_timeout: Duration,
    /// Calls at the same time per host; more wait inside their deadline. Default 100.
    pub in_flight: usize,
    /// Those of [`Self::in_flight`] which reads never take, so that slow reads cannot starve writes. Default 0.
    pub kept_for_writes: usize,
    /// The largest answer in bytes that is read; a larger one is [`crate::CallError::TooLarge`]. Default 64 MiB. Four
    /// answers of more than 1 MiB are read at the same time; further ones wait inside their deadline.
    pub response_limit: usize,
    /// Whether certificates are checked. Only test installations switch it off; doing so is logged loudly.
    pub verify_tls: bool,
    /// Whether logins check certificates also when [`Self::verify_tls`] is off: where the login is another server's.
    pub always_verify_login: bool,
    /// Certificates (PEM) trusted beside the system's, `SSL_CERT_FILE` and `SSL_CERT_DIR`.
    pub ca_file: Option<PathBuf>,
    /// Whether redirects are followed (at most 10). Default no: the caller sees the 3xx.
    pub follow_redirects: bool,
    /// How reads are repeated. Writes are repeated only where a call asks for it. Default never.
    pub retry: Retry,
}

impl Settings {
    /// The defaults for a third party.
    pub fn new(name: &'static str, base_url: Url) -> Self {
        Self {
            name,
            base_url,
            overrides: Overrides::default(),
            connect_timeout: Duration::from_secs(5),
            timeout: Duration::from_secs(60),
            login_timeout: Duration::from_secs(20),
            in_flight: 100,
            kept_for_writes: 0,
            response_limit: 64 * 1024 * 1024,
            verify_tls: true,
            always_verify_login: false,
            ca_file: None,
            follow_redirects: false,
            retry: Retry::NEVER,
        }
    }
}

/// How often and when a failed call is repeated, always inside its deadline.
///
/// A read is repeated after a connection failure, a connection closed before the whole answer came, and the statuses
/// 429, 502, 503 and 504 (or what [`Retry::again_after`] says). A write, where [`crate::Call::retry`] asks for it, only
/// when it was surely not executed: after a failure to connect and after 429. `Retry-After` in seconds lengthens the
/// pause.
#[derive(Debug, Clone, Copy)]
pub struct Retry {
    /// Tries after the first one.
    pub times: u32,
    /// Before the first repetition; doubled for each further one, then varied by up to half in either direction.
    pub pause: Duration,
    /// No pause is longer, except where `Retry-After` asks for it.
    pub longest: Duration,
    /// No pause is longer because `Retry-After` asks for it.
    pub longest_asked: Duration,
    /// Which answers to a read deserve a repetition.
    pub again: fn(&Response) -> bool,
}

impl Retry {
    /// One try only.
    pub const NEVER: Self = Self::times(0, Duration::ZERO);

    /// One repetition after about `pause`.
    pub const fn once_after(pause: Duration) -> Self {
        Self::times(1, pause)
    }

    /// Several repetitions, the first after about `pause`.
    pub const fn times(times: u32, pause: Duration) -> Self {
        let (longest, longest_asked) = (retry::LONGEST, retry::LONGEST);
        Self { times, pause, longest, longest_asked, again: retry::transient }
    }

    /// The same with no pause longer than this.
    #[must_use]
    pub const fn at_most(mut self, longest: Duration) -> Self {
        self.longest = longest;
        self
    }

    /// The same with no pause made longer than this by `Retry-After`.
    #[must_use]
    pub const fn heeding_at_most(mut self, longest: Duration) -> Self {
        self.longest_asked = longest;
        self
    }

    /// The same with another idea of which answers to a read deserve a repetition.
    #[must_use]
    pub const fn again_after(mut self, again: fn(&Response) -> bool) -> Self {
        self.again = again;
        self
    }
}

impl Default for Retry {
    fn default() -> Self {
        Self::NEVER
    }
}
