//! What the Hawkeye customer cache keeps in its Redis.
//!
//! | key | what |
//! | --- | --- |
//! | `{ENVIRONMENT_NAME}-hawkeye` | the list, JSON, no TTL |
//! | `hawkeye-customer-cache:{ENVIRONMENT_NAME}:refreshed` | when the list was last refreshed, RFC 3339 |
//! | `hawkeye-customer-cache:{ENVIRONMENT_NAME}:lease` | who refreshes at the moment, with a TTL |
//!
//! The first is the existing deployment's; the others are this service's own.

use std::sync::Arc;
use std::time::Duration;

use bus::{RedisLink, RedisLock, StoreError};
use caching::{LEASE, StoredLists};
use chrono::{DateTime, Utc};
use redis::{Cmd, FromRedisValue, cmd};
use tokio::time::Instant;

use crate::device::Device;

/// How long one command may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The cache's Redis. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    redis: Arc<RedisLink>,
    lists: Arc<StoredLists<Device>>,
    environment: String,
}

impl Store {
    /// The store of one deployment; `environment` prefixes its keys.
    pub fn new(redis: Arc<RedisLink>, environment: &str) -> Self {
        let lists = Arc::new(StoredLists::new(redis.clone()));
        Self { redis, lists, environment: environment.to_owned() }
    }

    /// The list as it is now; empty when nothing is stored.
    ///
    /// # Errors
    /// When Redis cannot be asked.
    pub async fn devices(&self) -> Result<Arc<Vec<Device>>, StoreError> {
        self.lists.entries(&self.list_key()).await
    }

    /// Replaces the list as a whole, refreshed `at` an instant.
    ///
    /// # Errors
    /// When Redis cannot be written.
    pub async fn put(&self, devices: &[Device], at: DateTime<Utc>) -> Result<(), StoreError> {
        self.lists.put(&self.list_key(), devices).await?;
        self.run(cmd("SET").arg(self.own_key("refreshed")).arg(at.to_rfc3339())).await
    }

    /// When the list was last refreshed; `None` when never, or when what is stored is no date.
    ///
    /// # Errors
    /// When Redis cannot be asked.
    pub async fn refreshed(&self) -> Result<Option<DateTime<Utc>>, StoreError> {
        let text: Option<String> = self.run(cmd("GET").arg(self.own_key("refreshed"))).await?;
        Ok(text.and_then(|text| text.parse().ok()))
    }

    /// The right to refresh, which one replica has at a time.
    pub fn lease(&self) -> RedisLock {
        RedisLock::new(self.redis.clone(), self.own_key("lease"), LEASE)
    }

    async fn run<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, StoreError> {
        self.redis.run(command, Instant::now() + PATIENCE).await
    }

    fn list_key(&self) -> String {
        format!("{}-hawkeye", self.environment)
    }

    fn own_key(&self, name: &str) -> String {
        format!("hawkeye-customer-cache:{}:{name}", self.environment)
    }
}
