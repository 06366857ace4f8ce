//! Tokens and sessions which the third parties have handed out, and until when they are valid.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use runtime::Clock;

use crate::faults::ThirdParty;

/// Valid logins of all third parties. Clones share them.
#[derive(Clone)]
pub struct Sessions {
    clock: Clock,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    /// By token; the scope is the VeloCloud host, empty elsewhere.
    open: HashMap<String, (ThirdParty, String, DateTime<Utc>)>,
    logins: u64,
}

impl Sessions {
    /// Nobody is logged in.
    pub fn new(clock: Clock) -> Self {
        Self { clock, inner: Arc::default() }
    }

    /// Logs in and returns the new token. Earlier tokens stay valid until they expire.
    pub fn open(&self, third_party: ThirdParty, scope: &str, life: Duration) -> String {
        let now = self.clock.now();
        let mut inner = self.inner.lock();
        inner.logins += 1;
        inner.open.retain(|_, (_, _, until)| *until > now);
        let token = format!("{}-{:06}-{:08x}", third_party.name(), inner.logins, rand::random::<u32>());
        inner.open.insert(token.clone(), (third_party, scope.to_owned(), now + life));
        token
    }

    /// Whether a token was handed out by this third party for this scope and has not expired.
    pub fn valid(&self, third_party: ThirdParty, scope: &str, token: &str) -> bool {
        let now = self.clock.now();
        let inner = self.inner.lock();
        inner
            .open
            .get(token)
            .is_some_and(|(whose, which, until)| *whose == third_party && which == scope && *until > now)
    }

    /// Ends all sessions of a third party at once; how many there were.
    pub fn expire(&self, third_party: ThirdParty) -> usize {
        let mut inner = self.inner.lock();
        let before = inner.open.len();
        inner.open.retain(|_, (whose, _, _)| *whose != third_party);
        before - inner.open.len()
    }

    /// How many sessions of a third party are valid.
    pub fn count(&self, third_party: ThirdParty) -> usize {
        let now = self.clock.now();
        let inner = self.inner.lock();
        inner.open.values().filter(|(whose, _, until)| *whose == third_party && *until > now).count()
    }
}
