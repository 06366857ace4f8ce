//! Where pending forwards survive a restart: a JetStream key-value bucket when the server has JetStream, else a hash in
//! the main Redis, else (shadow mode) nowhere.

use std::time::Duration;

use async_nats::jetstream::kv;
use bus::RedisLink;
use futures::{StreamExt, TryStreamExt, stream};
use runtime::Bucket;
use tokio::time::{Instant, timeout};

use super::{Entry, KEEP, Key};

/// The bucket's name.
const BUCKET: &str = "service-outage-monitor-forwards";
/// Entries that are read at the same time.
const AT_ONCE: usize = 16;
/// How long one access may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// The store could not be reached or refused.
#[derive(Debug, thiserror::Error)]
#[error("the store of pending forwards: {0}")]
pub struct StoreError(String);

fn failed(error: impl std::fmt::Display) -> StoreError {
    StoreError(error.to_string())
}

/// A store of entries of one process (environment and host).
pub struct Store {
    scope: String,
    kind: Kind,
}

enum Kind {
    Bucket(Box<kv::Store>),
    Redis(Box<RedisLink>),
    Nowhere,
}

impl Store {
    /// For shadow mode.
    pub fn nowhere() -> Self {
        Self { scope: String::new(), kind: Kind::Nowhere }
    }

    /// The bucket, when the server has JetStream; else Redis. `scope` keeps processes apart. What a run without
    /// JetStream left in Redis moves into the bucket.
    pub async fn open(client: &async_nats::Client, redis: RedisLink, scope: &str) -> Self {
        let in_redis = Self { scope: token(scope), kind: Kind::Redis(Box::new(redis)) };
        let bucket = match bucket(client).await {
            Ok(bucket) => bucket,
            Err(error) => {
                tracing::info!(%error, "pending forwards are kept in Redis");
                return in_redis;
            }
        };
        let store = Self { scope: token(scope), kind: Kind::Bucket(Box::new(bucket)) };
        for entry in in_redis.all().await.unwrap_or_default() {
            let key = entry.key();
            if store.put(&key, &entry).await.is_ok() {
                let _ = in_redis.delete(&key).await;
            }
        }
        store
    }

    /// Stores an entry, replacing what was there.
    pub async fn put(&self, key: &Key, entry: &Entry) -> Result<(), StoreError> {
        let json = serde_json::to_vec(entry).map_err(failed)?;
        match &self.kind {
            Kind::Bucket(bucket) => {
                within(bucket.put(self.name(key), json.into())).await?;
            }
            Kind::Redis(redis) => {
                let mut command = redis::cmd("HSET");
                command.arg(self.hash()).arg(self.name(key)).arg(json);
                redis.run::<()>(&command, Instant::now() + PATIENCE).await.map_err(failed)?;
            }
            Kind::Nowhere => {}
        }
        Ok(())
    }

    /// Replaces `old` by `new`, unless somebody else was quicker: `false`.
    pub async fn swap(&self, key: &Key, old: &Entry, new: &Entry) -> Result<bool, StoreError> {
        let (before, after) =
            (serde_json::to_vec(old).map_err(failed)?, serde_json::to_vec(new).map_err(failed)?);
        match &self.kind {
            Kind::Bucket(bucket) => {
                let Some(found) = within(bucket.entry(self.name(key))).await? else { return Ok(false) };
                if found.operation != kv::Operation::Put || found.value != before {
                    return Ok(false);
                }
                // A wrong revision is somebody else's write; anything else shows at the next access.
                Ok(within(bucket.update(self.name(key), after.into(), found.revision)).await.is_ok())
            }
            Kind::Redis(redis) => {
                const SWAP: &str = "if redis.call('HGET', KEYS[1], ARGV[1]) == ARGV[2] then \
                    redis.call('HSET', KEYS[1], ARGV[1], ARGV[3]) return 1 else return 0 end";
                let mut command = redis::cmd("EVAL");
                command.arg(SWAP).arg(1).arg(self.hash()).arg(self.name(key)).arg(before).arg(after);
                let swapped: i64 = redis.run(&command, Instant::now() + PATIENCE).await.map_err(failed)?;
                Ok(swapped == 1)
            }
            Kind::Nowhere => Ok(true),
        }
    }

    /// Removes an entry.
    pub async fn delete(&self, key: &Key) -> Result<(), StoreError> {
        match &self.kind {
            Kind::Bucket(bucket) => within(bucket.delete(self.name(key))).await,
            Kind::Redis(redis) => {
                let mut command = redis::cmd("HDEL");
                command.arg(self.hash()).arg(self.name(key));
                redis.run::<()>(&command, Instant::now() + PATIENCE).await.map_err(failed)
            }
            Kind::Nowhere => Ok(()),
        }
    }

    /// All entries of this process.
    pub async fn all(&self) -> Result<Vec<Entry>, StoreError> {
        let values: Vec<Vec<u8>> = match &self.kind {
            Kind::Bucket(bucket) => {
                let keys: Vec<String> = within(bucket.keys()).await?.try_collect().await.map_err(failed)?;
                let own = format!("{}.", self.scope);
                let values = stream::iter(keys.into_iter().filter(|key| key.starts_with(&own)))
                    .map(|key| within(bucket.get(key)))
                    .buffer_unordered(AT_ONCE)
                    .try_collect::<Vec<_>>()
                    .await?;
                values.into_iter().flatten().map(|value| value.to_vec()).collect()
            }
            Kind::Redis(redis) => {
                let mut command = redis::cmd("HVALS");
                command.arg(self.hash());
                redis.run(&command, Instant::now() + PATIENCE).await.map_err(failed)?
            }
            Kind::Nowhere => Vec::new(),
        };
        Ok(values.iter().filter_map(|value| serde_json::from_slice(value).ok()).collect())
    }

    fn hash(&self) -> String {
        format!("{BUCKET}:{}", self.scope)
    }

    fn name(&self, key: &Key) -> String {
        format!("{}.{}.{}", self.scope, token(&key.ticket), token(key.serial.as_str()))
    }
}

async fn bucket(client: &async_nats::Client) -> Result<kv::Store, StoreError> {
    let bucket = Bucket {
        name: BUCKET,
        about: "Lines that are to be forwarded to HNOC, by ticket and serial",
        keep: KEEP.to_std().unwrap_or_default(),
    };
    bucket.open(client, PATIENCE).await.map_err(failed)
}

async fn within<T, E: std::fmt::Display>(call: impl Future<Output = Result<T, E>>) -> Result<T, StoreError> {
    match timeout(PATIENCE, call).await {
        Ok(result) => result.map_err(failed),
        Err(_) => Err(failed("no answer")),
    }
}

/// A text as a part of a key.
fn token(text: &str) -> String {
    let clean: String =
        text.chars().map(|c| if c.is_ascii_alphanumeric() || "-_".contains(c) { c } else { '-' }).collect();
    if clean.is_empty() { "-".to_owned() } else { clean }
}
