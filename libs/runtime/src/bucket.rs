//! Opening a key-value bucket of JetStream, whatever the server's version.

use std::time::Duration;

use async_nats::jetstream::{
    self, kv,
    stream::{Config, DiscardPolicy, StorageType},
};
use tokio::time::timeout;

/// How long the creation may take; it happens once.
const CREATE_WITHIN: Duration = Duration::from_secs(5);

/// How many servers of a cluster keep a bucket, else one.
const COPIES: [usize; 2] = [3, 1];

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
    /// The server is busy, or has no JetStream.
    #[error("no answer from JetStream")]
    NoAnswer,
    /// The server refused.
    #[error("the bucket cannot be opened: {0}")]
    Refused(String),
}

impl Bucket {
    /// Opens the bucket, an answer from the server taking at most `within`; creates it when there is none.
    ///
    /// Not with the client's own `create_key_value`: it first asks for figures of the account which a 2.9 server does not
    /// answer in the form that it understands.
    ///
    /// # Errors
    /// When the server does not answer or refuses.
    pub async fn open(self, client: &async_nats::Client, within: Duration) -> Result<kv::Store, BucketError> {
        let mut jetstream = jetstream::new(client.clone());
        jetstream.set_timeout(within);
        if let Ok(store) =
            timeout(within, jetstream.get_key_value(self.name)).await.map_err(|_| BucketError::NoAnswer)?
        {
            return Ok(store);
        }
        self.create(client).await?;
        let store = timeout(within, jetstream.get_key_value(self.name)).await;
        store.map_err(|_| BucketError::NoAnswer)?.map_err(|error| BucketError::Refused(error.to_string()))
    }

    async fn create(self, client: &async_nats::Client) -> Result<(), BucketError> {
        let mut jetstream = jetstream::new(client.clone());
        jetstream.set_timeout(CREATE_WITHIN);
        let mut refused = BucketError::NoAnswer;
        for num_replicas in COPIES {
            // What every client of NATS takes for a bucket (ADR-8).
            let config = Config {
                name: format!("KV_{}", self.name),
                description: Some(self.about.to_owned()),
                subjects: vec![format!("$KV.{}.>", self.name)],
                max_messages_per_subject: 1,
                max_age: self.keep,
                storage: StorageType::File,
                allow_rollup: true,
                deny_delete: true,
                allow_direct: true,
                discard: DiscardPolicy::New,
                num_replicas,
                ..Config::default()
            };
            match timeout(CREATE_WITHIN, jetstream.get_or_create_stream(config)).await {
                Err(_) => return Err(BucketError::NoAnswer),
                Ok(Ok(_)) => return Ok(()),
                Ok(Err(error)) => refused = BucketError::Refused(error.to_string()),
            }
        }
        Err(refused)
    }
}
