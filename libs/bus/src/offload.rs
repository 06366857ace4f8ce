//! Payloads above 1 MiB travel through Redis (spec `00-messaging`, "Payloads above 1 MiB").
//!
//! Only large payloads come here: a Redis that is slow or down never delays a small message.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use crate::envelope;
use crate::metrics::Metrics;
use crate::options::Limits;
use crate::redis_link::{RedisLink, StoreError};

/// How long a stored payload lives, in seconds. Always set.
const EXPIRY: u64 = 300;
/// Digits of keys and request ids: base 57, without look-alikes.
const ALPHABET: &[u8; 57] = b"23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

/// A random id of 22 characters, above 128 bits.
pub fn new_id() -> String {
    (0..22)
        .filter_map(|_| ALPHABET.get(rand::random_range(0..ALPHABET.len())))
        .map(|&digit| char::from(digit))
        .collect()
}

/// Who reads a stored payload, which decides whether it may be deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Kept: an old requester sends the same token again after a timeout.
    Request,
    /// Deleted after reading: nobody else will read it.
    Reply,
}

pub(crate) struct PayloadStore {
    redis: Arc<RedisLink>,
    metrics: Arc<Metrics>,
    within: Duration,
    max: usize,
}

impl PayloadStore {
    pub(crate) fn new(redis: Arc<RedisLink>, limits: &Limits, metrics: Arc<Metrics>) -> Self {
        Self { redis, metrics, within: limits.store_within, max: limits.max_payload_in }
    }

    /// Stores a payload and returns the token to send instead.
    pub(crate) async fn put(&self, payload: &Bytes, until: Instant) -> Result<Bytes, StoreError> {
        let key = new_id();
        let mut command = redis::cmd("SET");
        command.arg(&key).arg(&payload[..]).arg("EX").arg(EXPIRY);
        self.redis.run_repeatable::<()>(&command, self.until(until)).await?;
        self.metrics.offloaded("stored", payload.len());
        Ok(envelope::token(&key))
    }

    /// The payload behind a token; `None` when it is gone.
    pub(crate) async fn get(
        &self,
        key: &str,
        kind: Kind,
        until: Instant,
    ) -> Result<Option<Bytes>, StoreError> {
        // One byte more than allowed tells a payload that is too large without loading it.
        let mut command = redis::cmd("GETRANGE");
        command.arg(key).arg(0).arg(self.max);
        let payload: Vec<u8> = self.redis.run_repeatable(&command, self.until(until)).await?;
        if payload.is_empty() {
            return Ok(None);
        }
        if payload.len() > self.max {
            return Err(StoreError::TooLarge { bytes: payload.len() });
        }
        self.metrics.offloaded("fetched", payload.len());
        if kind == Kind::Reply {
            let (redis, key) = (Arc::clone(&self.redis), key.to_owned());
            // Nobody waits for it; if it fails the key expires.
            tokio::spawn(async move {
                let until = Instant::now() + Duration::from_secs(1);
                let _ = redis.run::<()>(redis::cmd("DEL").arg(key), until).await;
            });
        }
        Ok(Some(Bytes::from(payload)))
    }

    fn until(&self, until: Instant) -> Instant {
        until.min(Instant::now() + self.within)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_22_characters_of_the_alphabet() {
        for _ in 0..1_000 {
            let id = new_id();
            assert_eq!(id.len(), 22);
            assert!(id.bytes().all(|digit| ALPHABET.contains(&digit)), "{id}");
        }
        assert_ne!(new_id(), new_id());
    }
}
