//! The customer-cache Redis (spec `customer-cache`, "State").
//!
//! | key | content |
//! | --- | --- |
//! | `{ENVIRONMENT_NAME}-{host}` | the host's list, JSON, no TTL |
//! | `{ENVIRONMENT_NAME}-next_refresh_date` | when the next refresh is due, `06/30/2021, 11:55:00`, UTC |
//! | `customer-cache:{ENVIRONMENT_NAME}:retry` | set: hosts whose last refresh failed |
//! | `customer-cache:{ENVIRONMENT_NAME}:missing:{host}` | hash: serial to the number of refreshes in which it was missing |
//! | `customer-cache:{ENVIRONMENT_NAME}:ended` | when a refresh last ended, of all hosts or of some, RFC 3339 |
//! | `customer-cache:{ENVIRONMENT_NAME}:lease` | who refreshes at the moment, with a TTL |
//!
//! The first two are the existing deployment's; the others are this service's own.

use std::{collections::HashMap, sync::Arc, time::Duration};

use bus::{RedisLink, RedisLock, StoreError};
use caching::{LEASE, StoredLists};
use chrono::{DateTime, NaiveDateTime, Utc};
use contracts::id::Serial;
use redis::{Cmd, FromRedisValue, cmd};
use tokio::time::Instant;

use crate::entry::Entry;

/// How long one command may take.
const PATIENCE: Duration = Duration::from_secs(10);
const DATE_FORMAT: &str = "%m/%d/%Y, %H:%M:%S";

/// The cache's Redis. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    redis: Arc<RedisLink>,
    lists: Arc<StoredLists<Entry>>,
    environment: String,
}

impl Store {
    /// The store of one deployment; `environment` prefixes its keys.
    pub fn new(redis: Arc<RedisLink>, environment: &str) -> Self {
        let lists = Arc::new(StoredLists::new(redis.clone()));
        Self { redis, lists, environment: environment.to_owned() }
    }

    /// A host's list as it is now; empty when nothing is stored.
    ///
    /// # Errors
    /// When Redis cannot be asked.
    pub async fn entries(&self, host: &str) -> Result<Arc<Vec<Entry>>, StoreError> {
        self.lists.entries(&self.list_key(host)).await
    }

    /// A host's stored list as text.
    ///
    /// # Errors
    /// When Redis cannot be asked.
    pub async fn list(&self, host: &str) -> Result<Option<String>, StoreError> {
        self.lists.text(&self.list_key(host)).await
    }

    /// Replaces a host's list as a whole.
    ///
    /// # Errors
    /// When Redis cannot be written.
    pub async fn put_list(&self, host: &str, entries: &[Entry]) -> Result<(), StoreError> {
        self.lists.put(&self.list_key(host), entries).await
    }

    /// When the next refresh is due; `None` when never refreshed, or when the stored text is no date.
    ///
    /// # Errors
    /// When Redis cannot be asked.
    pub async fn next_refresh(&self) -> Result<Option<DateTime<Utc>>, StoreError> {
        let text: Option<String> = self.run(cmd("GET").arg(self.next_refresh_key())).await?;
        Ok(text
            .and_then(|text| NaiveDateTime::parse_from_str(&text, DATE_FORMAT).ok())
            .map(|date| date.and_utc()))
    }

    /// Says when the next refresh is due.
    ///
    /// # Errors
    /// When Redis cannot be written.
    pub async fn set_next_refresh(&self, at: DateTime<Utc>) -> Result<(), StoreError> {
        self.run(cmd("SET").arg(self.next_refresh_key()).arg(at.format(DATE_FORMAT).to_string())).await
    }

    /// Hosts whose last refresh failed.
    ///
    /// # Errors
    /// When Redis cannot be asked.
    pub async fn failed_hosts(&self) -> Result<Vec<String>, StoreError> {
        self.run(cmd("SMEMBERS").arg(self.own_key("retry"))).await
    }

    /// Remembers whether a host's refresh failed.
    ///
    /// # Errors
    /// When Redis cannot be written.
    pub async fn set_failed(&self, host: &str, failed: bool) -> Result<(), StoreError> {
        let command = if failed { "SADD" } else { "SREM" };
        self.run(cmd(command).arg(self.own_key("retry")).arg(host)).await
    }

    /// When a refresh last ended, whatever came of it; `None` when never, or when what is stored is no date.
    ///
    /// # Errors
    /// When Redis cannot be asked.
    pub async fn ended(&self) -> Result<Option<DateTime<Utc>>, StoreError> {
        let text: Option<String> = self.run(cmd("GET").arg(self.own_key("ended"))).await?;
        Ok(text.and_then(|text| text.parse().ok()))
    }

    /// Remembers when a refresh ended.
    ///
    /// # Errors
    /// When Redis cannot be written.
    pub async fn set_ended(&self, at: DateTime<Utc>) -> Result<(), StoreError> {
        self.run(cmd("SET").arg(self.own_key("ended")).arg(at.to_rfc3339())).await
    }

    /// In how many refreshes in a row each serial was missing.
    ///
    /// # Errors
    /// When Redis cannot be asked.
    pub async fn missing(&self, host: &str) -> Result<HashMap<Serial, u32>, StoreError> {
        let counts: HashMap<String, u32> = self.run(cmd("HGETALL").arg(self.missing_key(host))).await?;
        Ok(counts.into_iter().map(|(serial, count)| (Serial(serial), count)).collect())
    }

    /// Replaces the counts of missing refreshes.
    ///
    /// # Errors
    /// When Redis cannot be written.
    pub async fn set_missing(&self, host: &str, counts: &HashMap<Serial, u32>) -> Result<(), StoreError> {
        // One script, so that no reader sees half of it.
        let script = "redis.call('DEL', KEYS[1])
             for i = 1, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end";
        let mut command = cmd("EVAL");
        command.arg(script).arg(1).arg(self.missing_key(host));
        for (serial, count) in counts {
            command.arg(serial.as_str()).arg(*count);
        }
        self.run(&command).await
    }

    /// The right to refresh, which one replica has at a time.
    pub fn lease(&self) -> RedisLock {
        RedisLock::new(self.redis.clone(), self.own_key("lease"), LEASE)
    }

    async fn run<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, StoreError> {
        self.redis.run(command, Instant::now() + PATIENCE).await
    }

    fn list_key(&self, host: &str) -> String {
        format!("{}-{host}", self.environment)
    }

    fn next_refresh_key(&self) -> String {
        format!("{}-next_refresh_date", self.environment)
    }

    fn own_key(&self, name: &str) -> String {
        format!("customer-cache:{}:{name}", self.environment)
    }

    fn missing_key(&self, host: &str) -> String {
        self.own_key(&format!("missing:{host}"))
    }
}
