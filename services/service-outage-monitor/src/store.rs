//! Where what is pending survives a restart: a JetStream key-value bucket when the server has JetStream, else a hash in the
//! main Redis, else (shadow mode) nowhere.
//!
//! What only the acting replica may write is written under a *term*: taking over ([`Store::take_over`]) begins a new one,
//! and whoever comes with an older one is refused. A replica that was frozen while another took over can so change nothing,
//! whatever its clock says.
//!
//! Redis may start again empty. Whoever has what was in it writes it again: a term that is missing displaces nobody, and a
//! mark that is missing tells that no entry was deleted.

use std::{collections::HashMap, time::Duration};

use bus::{Bus, RedisLink};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use runtime::{Bucket, BucketError, Value, Values};
use tokio::time::{Instant, timeout};

/// Entries that are accessed at the same time.
pub(crate) const AT_ONCE: usize = 16;
/// How long one access may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// The name under which the present term stands. No entry has it: theirs have two parts.
const TERM: &str = "term";
/// In Redis: the name of what stands there as long as nothing was lost.
const MARK: &str = "mark";
/// How often a write is tried whose entry changes between the look and the write.
const ATTEMPTS: usize = 3;

/// The store could not be reached or refused.
#[derive(Debug, thiserror::Error)]
#[error("the store of what is pending: {0}")]
pub struct StoreError(String);

fn failed(error: impl std::fmt::Display) -> StoreError {
    StoreError(error.to_string())
}

/// What became of a write under a term.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// It is stored.
    Stored,
    /// It is stored, under the same term as before; all else that was there is lost.
    AllElseLost,
    /// Another term has begun: nothing was changed.
    Refused,
}

/// What a store holds.
#[derive(Debug, Default)]
pub struct Holdings {
    /// Names and values.
    pub entries: Vec<(String, Bytes)>,
    /// Whether what is missing may be lost, so that it says nothing. Until [`Store::mark`].
    pub lossy: bool,
}

/// A store of the entries of one monitor (environment and host).
pub struct Store {
    bucket: &'static str,
    scope: String,
    kind: Kind,
}

enum Kind {
    Bucket(Box<Values>),
    Redis(Box<RedisLink>),
    Nowhere,
}

impl Store {
    /// For shadow mode.
    pub fn nowhere() -> Self {
        Self { bucket: "", scope: String::new(), kind: Kind::Nowhere }
    }

    /// The bucket, when the server has JetStream; else Redis. `scope` keeps processes apart. What a run without
    /// JetStream left in Redis moves into the bucket.
    ///
    /// # Errors
    /// When JetStream gives no answer: which of both holds what is pending is not known then, and to be asked again.
    pub async fn open(
        bucket: Bucket,
        bus: &Bus,
        redis: Option<RedisLink>,
        scope: &str,
    ) -> Result<Self, StoreError> {
        let of = |kind| Self { bucket: bucket.name, scope: token(scope), kind };
        let in_redis = redis.map(|redis| of(Kind::Redis(Box::new(redis))));
        let values = match bucket.open(&bus.into(), PATIENCE).await {
            Ok(values) => values,
            Err(error @ BucketError::NotNow(_)) => return Err(failed(error)),
            Err(error @ BucketError::Refused(_)) => {
                tracing::info!(%error, bucket = bucket.name, "what is pending is kept in Redis");
                return Ok(in_redis.unwrap_or_else(Self::nowhere));
            }
        };
        let store = of(Kind::Bucket(Box::new(values)));
        let Some(in_redis) = in_redis else { return Ok(store) };
        for (name, value) in in_redis.all().await.unwrap_or_default() {
            if store.put(&name, value).await.is_ok() {
                let _ = in_redis.delete(&name).await;
            }
        }
        Ok(store)
    }

    /// Stores an entry, replacing what was there.
    pub async fn put(&self, name: &str, value: Bytes) -> Result<(), StoreError> {
        match &self.kind {
            Kind::Bucket(bucket) => {
                within(bucket.put(&self.key(name), value)).await?;
            }
            Kind::Redis(redis) => {
                let mut command = redis::cmd("HSET");
                command.arg(self.hash()).arg(self.key(name)).arg(value.as_ref());
                redis.run::<()>(&command, Instant::now() + PATIENCE).await.map_err(failed)?;
            }
            Kind::Nowhere => {}
        }
        Ok(())
    }

    /// Whether entries go nowhere, so that what is not found says nothing.
    pub fn is_nowhere(&self) -> bool {
        matches!(self.kind, Kind::Nowhere)
    }

    /// Replaces `old` by `new`, unless somebody else was quicker: `false`. What the store has lost nobody has replaced.
    /// After an error nobody was quicker, and `new` may be written or not.
    pub async fn swap(&self, name: &str, old: Bytes, new: Bytes) -> Result<bool, StoreError> {
        match &self.kind {
            Kind::Bucket(bucket) => {
                let Some(found) = within(bucket.look(&self.key(name))).await? else { return Ok(false) };
                if found.bytes.is_none_or(|bytes| bytes != old) {
                    return Ok(false);
                }
                let Err(error) = within(bucket.update(&self.key(name), new, found.revision)).await else {
                    return Ok(true);
                };
                // Another revision than the one that was to be replaced is somebody else's write (or, when only the answer
                // was lost, our own, which cannot be told from it). If there is none, the store has failed.
                match within(bucket.look(&self.key(name))).await {
                    Ok(Some(present)) if present.revision != found.revision => Ok(false),
                    _ => Err(error),
                }
            }
            Kind::Redis(redis) => {
                const SWAP: &str = "local found = redis.call('HGET', KEYS[1], ARGV[1]) \
                    if found == ARGV[2] or not found and redis.call('HEXISTS', KEYS[1], ARGV[4]) == 0 then \
                    redis.call('HSET', KEYS[1], ARGV[1], ARGV[3]) return 1 else return 0 end";
                let mut command = redis::cmd("EVAL");
                command.arg(SWAP).arg(1).arg(self.hash()).arg(self.key(name));
                command.arg(old.as_ref()).arg(new.as_ref()).arg(self.key(MARK));
                let swapped: i64 = redis.run(&command, Instant::now() + PATIENCE).await.map_err(failed)?;
                Ok(swapped == 1)
            }
            Kind::Nowhere => Ok(true),
        }
    }

    /// Removes an entry.
    pub async fn delete(&self, name: &str) -> Result<(), StoreError> {
        match &self.kind {
            Kind::Bucket(bucket) => within(bucket.delete(&self.key(name), None)).await,
            Kind::Redis(redis) => {
                let mut command = redis::cmd("HDEL");
                command.arg(self.hash()).arg(self.key(name));
                redis.run::<()>(&command, Instant::now() + PATIENCE).await.map_err(failed)
            }
            Kind::Nowhere => Ok(()),
        }
    }

    /// All entries of this monitor: names and values.
    pub async fn all(&self) -> Result<Vec<(String, Bytes)>, StoreError> {
        Ok(self.holdings().await?.entries)
    }

    /// All entries of this monitor, and whether there were others.
    pub async fn holdings(&self) -> Result<Holdings, StoreError> {
        match &self.kind {
            Kind::Bucket(bucket) => {
                let values = self.values(bucket).await?.into_iter();
                let entries = values.filter_map(|(name, value)| Some((name, value.bytes?)));
                Ok(Holdings { entries: entries.collect(), lossy: false })
            }
            Kind::Redis(redis) => {
                let mut command = redis::cmd("HGETALL");
                command.arg(self.hash());
                let all: HashMap<String, Vec<u8>> =
                    redis.run(&command, Instant::now() + PATIENCE).await.map_err(failed)?;
                let lossy = !all.contains_key(&self.key(MARK));
                let entries = all.into_iter();
                let entries = entries.filter_map(|(key, value)| Some((self.name(&key)?, value.into())));
                Ok(Holdings { entries: entries.collect(), lossy })
            }
            Kind::Nowhere => Ok(Holdings::default()),
        }
    }

    /// Says that all that is to be in the store is there: from now on what is missing was deleted.
    pub async fn mark(&self) -> Result<(), StoreError> {
        match &self.kind {
            Kind::Redis(_) => self.put(MARK, Bytes::from_static(b"1")).await,
            Kind::Bucket(_) | Kind::Nowhere => Ok(()),
        }
    }

    /// The entries in a bucket.
    async fn values(&self, bucket: &Values) -> Result<Vec<(String, Value)>, StoreError> {
        let keys = within(bucket.keys()).await?;
        let values = stream::iter(keys.into_iter().filter_map(|key| Some((self.name(&key)?, key))))
            .map(|(name, key)| async move { Ok((name, within(bucket.look(&key)).await?)) })
            .buffer_unordered(AT_ONCE)
            .try_collect::<Vec<(String, Option<Value>)>>()
            .await?;
        Ok(values.into_iter().filter_map(|(name, value)| Some((name, value?))).collect())
    }

    /// Begins a new term, from which on writes under former ones are refused, and reads all entries.
    pub async fn take_over(&self) -> Result<(u64, Vec<(String, Bytes)>), StoreError> {
        match &self.kind {
            Kind::Bucket(bucket) => {
                let present = within(bucket.look(&self.key(TERM))).await?;
                let term = present.as_ref().map_or(0, number) + 1;
                let text = Bytes::from(term.to_string());
                let revision = present.map_or(0, |present| present.revision);
                within(bucket.update(&self.key(TERM), text, revision)).await?;
                let entries = stream::iter(self.values(bucket).await?)
                    .map(|(name, value)| self.renewed(bucket, name, value))
                    .buffer_unordered(AT_ONCE)
                    .try_collect::<Vec<Option<(String, Bytes)>>>()
                    .await?;
                Ok((term, entries.into_iter().flatten().collect()))
            }
            Kind::Redis(redis) => {
                let mut command = redis::cmd("HINCRBY");
                command.arg(self.hash()).arg(self.key(TERM)).arg(1);
                let term = redis.run(&command, Instant::now() + PATIENCE).await.map_err(failed)?;
                Ok((term, self.all().await?))
            }
            Kind::Nowhere => Ok((0, Vec::new())),
        }
    }

    /// Gives an entry a new revision, over which a write that was on its way can not go. What it is then: a write that was
    /// quicker is not undone.
    async fn renewed(
        &self,
        bucket: &Values,
        name: String,
        mut found: Value,
    ) -> Result<Option<(String, Bytes)>, StoreError> {
        let key = self.key(&name);
        let mut trouble = failed("it changes all the time");
        for _ in 0..ATTEMPTS {
            let Some(bytes) = found.bytes else { return Ok(None) };
            match within(bucket.update(&key, bytes.clone(), found.revision)).await {
                Ok(_) => return Ok(Some((name, bytes))),
                Err(error) => trouble = error,
            }
            let Some(newer) = within(bucket.look(&key)).await? else { return Ok(None) };
            found = newer;
        }
        Err(trouble)
    }

    /// Stores an entry, or removes it (`None`), under a term.
    pub async fn write(&self, term: u64, name: &str, value: Option<Bytes>) -> Result<Written, StoreError> {
        match &self.kind {
            Kind::Bucket(bucket) => self.write_to_bucket(bucket, term, name, value).await,
            Kind::Redis(redis) => {
                const WRITE: &str = "local term = redis.call('HGET', KEYS[1], ARGV[1]) \
                    if term and term ~= ARGV[2] then return 0 end \
                    if ARGV[4] then redis.call('HSET', KEYS[1], ARGV[3], ARGV[4]) \
                    else redis.call('HDEL', KEYS[1], ARGV[3]) end \
                    if term then return 1 end redis.call('HSET', KEYS[1], ARGV[1], ARGV[2]) return 2";
                let mut command = redis::cmd("EVAL");
                command.arg(WRITE).arg(1).arg(self.hash()).arg(self.key(TERM)).arg(term).arg(self.key(name));
                if let Some(value) = &value {
                    command.arg(value.as_ref());
                }
                let written: i64 = redis.run(&command, Instant::now() + PATIENCE).await.map_err(failed)?;
                Ok(match written {
                    0 => Written::Refused,
                    1 => Written::Stored,
                    _ => Written::AllElseLost,
                })
            }
            Kind::Nowhere => Ok(Written::Stored),
        }
    }

    async fn write_to_bucket(
        &self,
        bucket: &Values,
        term: u64,
        name: &str,
        value: Option<Bytes>,
    ) -> Result<Written, StoreError> {
        let key = self.key(name);
        let mut trouble = failed("it changes all the time");
        for _ in 0..ATTEMPTS {
            // The entry first: its revision is then older than the term that is looked at.
            let found = within(bucket.look(&key)).await?;
            let present = within(bucket.look(&self.key(TERM))).await?;
            if present.as_ref().map_or(0, number) != term {
                return Ok(Written::Refused);
            }
            let written = match (&found, value.clone()) {
                (_, Some(value)) => {
                    let revision = found.map_or(0, |found| found.revision);
                    within(bucket.update(&key, value, revision)).await.map(drop)
                }
                (Some(found), None) if found.bytes.is_some() => {
                    within(bucket.delete(&key, Some(found.revision))).await
                }
                (_, None) => Ok(()),
            };
            match written {
                Ok(()) => return Ok(Written::Stored),
                Err(error) => trouble = error,
            }
        }
        Err(trouble)
    }

    fn hash(&self) -> String {
        format!("{}:{}", self.bucket, self.scope)
    }

    /// The name of the entry under a key.
    fn name(&self, key: &str) -> Option<String> {
        let name = key.strip_prefix(&self.scope)?.strip_prefix('.')?;
        (name != TERM && name != MARK).then(|| name.to_owned())
    }

    fn key(&self, name: &str) -> String {
        format!("{}.{name}", self.scope)
    }
}

fn number(value: &Value) -> u64 {
    let text = value.bytes.as_ref().and_then(|bytes| std::str::from_utf8(bytes).ok());
    text.and_then(|text| text.parse().ok()).unwrap_or_default()
}

async fn within<T, E: std::fmt::Display>(call: impl Future<Output = Result<T, E>>) -> Result<T, StoreError> {
    match timeout(PATIENCE, call).await {
        Ok(result) => result.map_err(failed),
        Err(_) => Err(failed("no answer")),
    }
}

/// A text as a part of a name.
pub(crate) fn token(text: &str) -> String {
    let clean: String =
        text.chars().map(|c| if c.is_ascii_alphanumeric() || "-_".contains(c) { c } else { '-' }).collect();
    if clean.is_empty() { "-".to_owned() } else { clean }
}
