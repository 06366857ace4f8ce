//! Key-value buckets of JetStream, whatever the server's version; in memory when the bus is.

use std::sync::Arc;
use std::time::Duration;

use async_nats::connection::State;
use async_nats::jetstream::{
    self,
    context::KeyValueErrorKind,
    kv,
    stream::{Config, DiscardPolicy, StorageType},
};
use bus::jetstream::{NotCreated, create_stream};
use bus::memory::{Access, Kept, Peers};
use bus::{Bus, Reach};
use bytes::Bytes;
use futures::TryStreamExt;
use tokio::time::timeout;

/// How long the creation may take; it happens once.
const CREATE_WITHIN: Duration = Duration::from_secs(5);

/// A bucket which keeps the last value of each key, on disk.
#[derive(Debug, Clone, Copy)]
pub struct Bucket {
    /// Its name.
    pub name: &'static str,
    /// What is in it, for people who list buckets.
    pub about: &'static str,
    /// How long a value is kept; zero: for ever.
    pub keep: Duration,
}

/// A bucket could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum BucketError {
    /// Nobody said whether there is one: the server is busy, or its cluster has no leader or lacks servers. A server
    /// without JetStream refuses at once.
    #[error("the bucket cannot be opened for now: {0}")]
    NotNow(String),
    /// The server refused.
    #[error("the bucket cannot be opened: {0}")]
    Refused(String),
}

impl BucketError {
    fn no_answer() -> Self {
        Self::NotNow("no answer from JetStream".to_owned())
    }
}

impl From<NotCreated> for BucketError {
    fn from(error: NotCreated) -> Self {
        match error {
            NotCreated::NotNow(reason) => Self::NotNow(reason),
            NotCreated::Refused(reason) => Self::Refused(reason),
        }
    }
}

/// An access to an open bucket failed. A write that failed so may have been done.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ValueError(String);

fn failed(error: impl std::fmt::Display) -> ValueError {
    ValueError(error.to_string())
}

/// Where buckets are: at a NATS server, or with those who play the peers of a bus in memory.
#[derive(Clone)]
pub struct Buckets(Reach);

impl From<async_nats::Client> for Buckets {
    fn from(client: async_nats::Client) -> Self {
        Self(Reach::Nats(client))
    }
}

impl From<&Bus> for Buckets {
    fn from(bus: &Bus) -> Self {
        Self(bus.reach())
    }
}

impl Buckets {
    /// Whether they can be reached now. While disconnected the client would keep writes and send them later.
    pub fn connected(&self) -> bool {
        match &self.0 {
            Reach::Nats(client) => client.connection_state() == State::Connected,
            Reach::Memory(_) => true,
        }
    }
}

impl Bucket {
    /// Opens the bucket, an answer from the server taking at most `within`; creates it when there is none.
    ///
    /// Not with the client's own `create_key_value`: it first asks for figures of the account which a 2.9 server does not
    /// answer in the form that it understands.
    ///
    /// # Errors
    /// When the server does not answer or refuses.
    pub async fn open(self, buckets: &Buckets, within: Duration) -> Result<Values, BucketError> {
        let client = match &buckets.0 {
            Reach::Nats(client) => client,
            Reach::Memory(peers) => {
                return Ok(Values(Store::Memory { bucket: self.name, peers: Arc::clone(peers) }));
            }
        };
        let mut jetstream = jetstream::new(client.clone());
        jetstream.set_timeout(within);
        if let Ok(store) =
            timeout(within, jetstream.get_key_value(self.name)).await.map_err(|_| BucketError::no_answer())?
        {
            return Ok(Values(Store::JetStream(Box::new(store))));
        }
        self.create(client).await?;
        match timeout(within, jetstream.get_key_value(self.name)).await {
            Ok(Ok(store)) => Ok(Values(Store::JetStream(Box::new(store)))),
            // It is there, but no bucket.
            Ok(Err(error)) if error.kind() == KeyValueErrorKind::InvalidStoreName => {
                Err(BucketError::Refused(error.to_string()))
            }
            Ok(Err(_)) | Err(_) => Err(BucketError::no_answer()),
        }
    }

    async fn create(self, client: &async_nats::Client) -> Result<(), BucketError> {
        let mut jetstream = jetstream::new(client.clone());
        jetstream.set_timeout(CREATE_WITHIN);
        // What every client of NATS takes for a bucket (ADR-8), but for direct reads: any server of a cluster would answer
        // them, also one that lags behind, and what was just written must be seen.
        let config = Config {
            name: format!("KV_{}", self.name),
            description: Some(self.about.to_owned()),
            subjects: vec![format!("$KV.{}.>", self.name)],
            max_messages_per_subject: 1,
            max_age: self.keep,
            storage: StorageType::File,
            allow_rollup: true,
            deny_delete: true,
            discard: DiscardPolicy::New,
            ..Config::default()
        };
        Ok(create_stream(&jetstream, config).await?)
    }
}

/// The values of an open bucket.
#[derive(Clone)]
pub struct Values(Store);

#[derive(Clone)]
enum Store {
    JetStream(Box<kv::Store>),
    Memory { bucket: &'static str, peers: Arc<dyn Peers> },
}

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    /// The bytes; `None` when the key was deleted.
    pub bytes: Option<Bytes>,
    /// Its revision, which every write changes.
    pub revision: u64,
}

impl Values {
    /// The last value of a key, also a deleted one; `None` when there never was one.
    ///
    /// # Errors
    /// As all accesses: when the server does not answer or refuses. Callers bound the time.
    pub async fn look(&self, key: &str) -> Result<Option<Value>, ValueError> {
        match &self.0 {
            Store::JetStream(store) => {
                let found = store.entry(key).await.map_err(failed)?;
                Ok(found.map(|found| Value {
                    bytes: (found.operation == kv::Operation::Put).then_some(found.value),
                    revision: found.revision,
                }))
            }
            Store::Memory { bucket, peers } => {
                let found = peers.keep(bucket, Access::Look { key: key.to_owned() }).await.map_err(failed)?;
                Ok(found
                    .into_iter()
                    .next()
                    .map(|Kept { value, revision, .. }| Value { bytes: value, revision }))
            }
        }
    }

    /// All keys that have a value.
    ///
    /// # Errors
    /// See [`Self::look`].
    pub async fn keys(&self) -> Result<Vec<String>, ValueError> {
        match &self.0 {
            Store::JetStream(store) => {
                store.keys().await.map_err(failed)?.try_collect().await.map_err(failed)
            }
            Store::Memory { bucket, peers } => {
                let found = peers.keep(bucket, Access::LookAtAll).await.map_err(failed)?;
                Ok(found.into_iter().map(|kept| kept.key).collect())
            }
        }
    }

    /// Writes a value, whatever was there. Its revision.
    ///
    /// # Errors
    /// See [`Self::look`].
    pub async fn put(&self, key: &str, value: Bytes) -> Result<u64, ValueError> {
        match &self.0 {
            Store::JetStream(store) => store.put(key, value).await.map_err(failed),
            Store::Memory { .. } => self.write(key, Some(value), None).await,
        }
    }

    /// Writes a value over this very revision (0: there never was one). Its revision.
    ///
    /// # Errors
    /// Also when another revision is there.
    pub async fn update(&self, key: &str, value: Bytes, revision: u64) -> Result<u64, ValueError> {
        match &self.0 {
            Store::JetStream(store) => store.update(key, value, revision).await.map_err(failed),
            Store::Memory { .. } => self.write(key, Some(value), Some(revision)).await,
        }
    }

    /// Deletes a value; with a revision only that one.
    ///
    /// # Errors
    /// Also when another revision is there.
    pub async fn delete(&self, key: &str, revision: Option<u64>) -> Result<(), ValueError> {
        match &self.0 {
            Store::JetStream(store) => store.delete_expect_revision(key, revision).await.map_err(failed),
            Store::Memory { .. } => self.write(key, None, revision).await.map(drop),
        }
    }

    async fn write(&self, key: &str, value: Option<Bytes>, revision: Option<u64>) -> Result<u64, ValueError> {
        let Store::Memory { bucket, peers } = &self.0 else { return Err(failed("not in memory")) };
        let written = peers.keep(bucket, Access::Write { key: key.to_owned(), value, revision }).await;
        let written = written.map_err(failed)?.into_iter().next();
        written.map(|kept| kept.revision).ok_or_else(|| failed("no answer"))
    }
}
