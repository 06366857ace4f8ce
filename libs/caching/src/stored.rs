//! Lists of devices as they are stored: JSON arrays in Redis, replaced as a whole.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use bus::{RedisLink, RedisOptions, StoreError};
use contracts::json;
use redis::{Cmd, FromRedisValue, cmd};
use serde_json::value::RawValue;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// How long one command may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Opens the cache's Redis, which must answer. `setting` is the variable with its host.
///
/// # Errors
/// Which Redis does not answer, and the setting to look at.
pub async fn open(options: &RedisOptions, setting: &str) -> anyhow::Result<Arc<RedisLink>> {
    let redis = RedisLink::open(options)?;
    redis.ping().await.with_context(|| format!("no Redis at {}: check {setting}", options.host))?;
    Ok(Arc::new(redis))
}

/// A device of a list, as it is stored: its text is kept as it was, so that fields of other versions survive.
pub trait Entry: Clone + Send + Sync + Sized + 'static {
    /// Reads a stored entry; `None` when it is of no use.
    fn read(text: Box<RawValue>) -> Option<Self>;

    /// The stored text.
    fn text(&self) -> &RawValue;
}

/// Reads a stored list. Entries that cannot be read are left out and counted.
///
/// # Errors
/// When the text is no JSON array.
pub fn read_list<E: Entry>(text: &str) -> Result<(Vec<E>, usize), serde_json::Error> {
    let items: Vec<Box<RawValue>> = serde_json::from_str(&json::legal(text))?;
    let total = items.len();
    let entries: Vec<E> = items.into_iter().filter_map(E::read).collect();
    let unreadable = total - entries.len();
    Ok((entries, unreadable))
}

/// A list as it is stored.
pub fn write_list<E: Entry>(entries: &[E]) -> String {
    let length: usize = entries.iter().map(|entry| entry.text().get().len() + 1).sum();
    let mut text = String::with_capacity(length + 2);
    text.push('[');
    for (index, entry) in entries.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        text.push_str(entry.text().get());
    }
    text.push(']');
    text
}

/// A list as it was when its text had `fingerprint`.
struct Parsed<E> {
    fingerprint: String,
    entries: Arc<Vec<E>>,
}

/// The lists of a cache by their keys. What is read is always what Redis holds at that moment; the parsed entries are
/// kept in memory beside the fingerprint of their text, so that an unchanged list is neither moved nor parsed again.
pub struct StoredLists<E> {
    redis: Arc<RedisLink>,
    parsed: Mutex<HashMap<String, Parsed<E>>>,
}

impl<E: Entry> StoredLists<E> {
    /// The lists in this Redis.
    pub fn new(redis: Arc<RedisLink>) -> Self {
        Self { redis, parsed: Mutex::default() }
    }

    /// A list's entries; empty when nothing is stored, or what is stored is no list.
    ///
    /// # Errors
    /// When Redis cannot be asked.
    pub async fn entries(&self, key: &str) -> Result<Arc<Vec<E>>, StoreError> {
        let known = self
            .parsed
            .lock()
            .await
            .get(key)
            .map(|parsed| (parsed.fingerprint.clone(), parsed.entries.clone()));
        let (known, held) = known.unwrap_or_default();
        let mut found = self.unless_it_is(key, &known).await?.into_iter();
        let (fingerprint, text) = match (found.next(), found.next()) {
            (None, _) => {
                self.parsed.lock().await.remove(key);
                return Ok(Arc::default());
            }
            (Some(_), None) => return Ok(held),
            (Some(fingerprint), Some(text)) => (fingerprint, text),
        };
        let entries = match read_list(&text) {
            Ok((entries, unreadable)) => {
                if unreadable > 0 {
                    tracing::warn!(
                        key,
                        unreadable,
                        "entries of the stored list cannot be read and are left out"
                    );
                }
                Arc::new(entries)
            }
            Err(error) => {
                tracing::error!(key, %error, "the stored list is no JSON array and counts as empty");
                Arc::default()
            }
        };
        self.parsed.lock().await.insert(key.to_owned(), Parsed { fingerprint, entries: entries.clone() });
        Ok(entries)
    }

    /// A list's text; `None` when nothing is stored.
    ///
    /// # Errors
    /// When Redis cannot be asked.
    pub async fn text(&self, key: &str) -> Result<Option<String>, StoreError> {
        self.run(cmd("GET").arg(key)).await
    }

    /// Replaces a list as a whole.
    ///
    /// # Errors
    /// When Redis cannot be written.
    pub async fn put(&self, key: &str, entries: &[E]) -> Result<(), StoreError> {
        self.run(cmd("SET").arg(key).arg(write_list(entries))).await
    }

    /// The fingerprint of what is stored, and its text unless it has the one that is known; nothing when nothing is stored.
    /// Both of the same moment, and made by the server: a request need not move and parse megabytes to know that they are
    /// the same as before.
    async fn unless_it_is(&self, key: &str, known: &str) -> Result<Vec<String>, StoreError> {
        const SCRIPT: &str = "local text = redis.call('GET', KEYS[1]) \
            if not text then return {} end \
            local fingerprint = redis.sha1hex(text) \
            if fingerprint == ARGV[1] then return {fingerprint} end \
            return {fingerprint, text}";
        self.run(cmd("EVAL").arg(SCRIPT).arg(1).arg(key).arg(known)).await
    }

    async fn run<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, StoreError> {
        self.redis.run_repeatable(command, Instant::now() + PATIENCE).await
    }
}
