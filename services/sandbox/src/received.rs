//! What the third parties received: counts by third party, path and status, and the last calls.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use serde::Serialize;
use utoipa::ToSchema;

use crate::faults::ThirdParty;

/// How many of the last calls are kept.
const KEPT: usize = 2_000;

/// One call that a third party received.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Received {
    /// Number in order of completion, from 1.
    pub number: u64,
    /// When it was answered, by the world's clock.
    pub at: DateTime<Utc>,
    /// Who received it.
    pub third_party: ThirdParty,
    /// HTTP method, or the protocol's command (`DATA`, `LOGIN`, ...).
    pub method: String,
    /// Path below the third party's base, without query.
    pub path: String,
    /// Query text, empty when none.
    pub query: String,
    /// Status answered; 0 when the connection was reset. SMTP: the reply code; IMAP: 200 for OK, 400 for NO and BAD.
    pub status: u16,
    /// The fault that struck, if any.
    pub fault: Option<String>,
}

/// How often a path was answered with a status.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
pub struct Count {
    /// Who received the calls.
    pub third_party: ThirdParty,
    /// Method.
    pub method: String,
    /// Path with runs of digits replaced by `{id}`.
    pub path: String,
    /// Status answered.
    pub status: u16,
    /// How often.
    pub count: u64,
}

type Key = (ThirdParty, String, String, u16);

#[derive(Default)]
struct Inner {
    counts: BTreeMap<Key, u64>,
    last: VecDeque<Received>,
    total: u64,
}

/// The record of all calls. Clones share it.
#[derive(Clone, Default)]
pub struct CallLog {
    inner: Arc<Mutex<Inner>>,
}

impl CallLog {
    /// Adds a call; its `number` is set here.
    pub fn add(&self, mut received: Received) {
        let mut inner = self.inner.lock();
        inner.total += 1;
        received.number = inner.total;
        let key =
            (received.third_party, received.method.clone(), without_ids(&received.path), received.status);
        *inner.counts.entry(key).or_default() += 1;
        if inner.last.len() >= KEPT {
            inner.last.pop_front();
        }
        inner.last.push_back(received);
    }

    /// The counts, sorted.
    pub fn counts(&self) -> Vec<Count> {
        let inner = self.inner.lock();
        let row = |((third_party, method, path, status), count): (&Key, &u64)| Count {
            third_party: *third_party,
            method: method.clone(),
            path: path.clone(),
            status: *status,
            count: *count,
        };
        inner.counts.iter().map(row).collect()
    }

    /// How many calls a third party received whose path contains `path`, whatever the answer.
    pub fn count(&self, third_party: ThirdParty, path: &str) -> u64 {
        let inner = self.inner.lock();
        let matching = inner.counts.iter().filter(|(key, _)| key.0 == third_party && key.2.contains(path));
        matching.map(|(_, count)| count).sum()
    }

    /// The last calls, newest first, of one third party or of all.
    pub fn last(&self, third_party: Option<ThirdParty>, limit: usize) -> Vec<Received> {
        let inner = self.inner.lock();
        let wanted = |call: &&Received| third_party.is_none_or(|one| one == call.third_party);
        inner.last.iter().rev().filter(wanted).take(limit).cloned().collect()
    }

    /// Forgets all calls.
    pub fn clear(&self) {
        *self.inner.lock() = Inner::default();
    }
}

/// `/api/Ticket/123/details` becomes `/api/Ticket/{id}/details`.
fn without_ids(path: &str) -> String {
    let id = |segment: &str| {
        let digits = segment.bytes().all(|byte| byte.is_ascii_digit());
        if digits && !segment.is_empty() { "{id}".to_owned() } else { segment.to_owned() }
    };
    path.split('/').map(id).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_in_paths_share_one_count() {
        assert_eq!(without_ids("/api/Ticket/12/details/3/status"), "/api/Ticket/{id}/details/{id}/status");
        assert_eq!(without_ids("/portal/rest/login/operatorLogin"), "/portal/rest/login/operatorLogin");
        assert_eq!(without_ids("/api/Ticket/"), "/api/Ticket/");
    }
}
