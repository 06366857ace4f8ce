//! A service of the existing deployment (Peer-1 of `00-messaging`), as requester and as replier.

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use async_nats::Message;
use futures::StreamExt;
use parking_lot::Mutex;
use redis::{AsyncCommands, aio::MultiplexedConnection};
use serde_json::{Value, json};
use tokio::task::JoinSet;

/// Above this many bytes a payload travels through Redis.
const LIMIT: usize = 1_048_576;
/// How long a payload stays in Redis, in seconds.
const KEPT: u64 = 300;
const ALPHABET: &[u8] = b"23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
/// First bytes of a prefix token.
const PREFIX: &str = "_NATS_TMP";

/// Behaves like a service of the existing deployment: a fresh inbox for each request, payloads above 1 MiB through Redis
/// by token, tokens deleted after reading, the same bytes sent again after a timeout; as a replier no answer to what it
/// does not understand.
#[derive(Debug)]
pub struct OldPeer {
    client: async_nats::Client,
    redis: MultiplexedConnection,
    repliers: Mutex<JoinSet<()>>,
}

/// How a request travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    /// Inline, or by legacy token when it is large.
    Size,
    /// By legacy token, whatever its size.
    Token,
    /// By prefix token.
    PrefixToken,
    /// By a legacy token whose payload is gone.
    LostToken,
}

/// What an old requester got.
#[derive(Debug, Clone, PartialEq)]
pub enum OldReply {
    /// An envelope.
    Envelope {
        /// The reply.
        value: Value,
        /// Whether it came through Redis.
        via_redis: bool,
    },
    /// Something that is no JSON.
    Unreadable(String),
    /// The server says that nobody listens. (The old client ignores that and waits; tests want to know.)
    NoResponders,
    /// Nothing in time.
    Timeout,
}

impl OldReply {
    /// The envelope.
    ///
    /// # Panics
    /// When there is none.
    pub fn envelope(self) -> Value {
        match self {
            Self::Envelope { value, .. } => value,
            other => panic!("no reply: {other:?}"),
        }
    }
}

impl OldPeer {
    /// Connects to NATS and to the Redis of the payloads.
    pub async fn connect(nats_url: &str, redis_url: &str) -> Self {
        match Self::try_connect(nats_url, redis_url).await {
            Ok(peer) => peer,
            Err(error) => panic!("{error:#}"),
        }
    }

    async fn try_connect(nats_url: &str, redis_url: &str) -> anyhow::Result<Self> {
        let servers =
            nats_url.split(',').map(str::parse).collect::<Result<Vec<async_nats::ServerAddr>, _>>()?;
        let client = async_nats::connect(servers).await.context("NATS")?;
        let redis =
            redis::Client::open(redis_url)?.get_multiplexed_async_connection().await.context("Redis")?;
        Ok(Self { client, redis, repliers: Mutex::default() })
    }

    /// Asks once.
    pub async fn request(&self, subject: &str, envelope: &Value, within: Duration) -> OldReply {
        self.request_bytes(subject, envelope.to_string().into_bytes(), Via::Size, within).await
    }

    /// Asks with any bytes.
    pub async fn request_bytes(
        &self,
        subject: &str,
        payload: Vec<u8>,
        via: Via,
        within: Duration,
    ) -> OldReply {
        match self.exchange(subject, &payload, via, &[within]).await {
            Ok(reply) => reply,
            Err(error) => panic!("{subject}: {error:#}"),
        }
    }

    /// Asks as the existing deployment does: the same bytes again after each timeout, to a fresh inbox. The old inboxes
    /// stay subscribed (and leak, there as here), but late replies are lost.
    pub async fn request_patiently(
        &self,
        subject: &str,
        envelope: &Value,
        timeouts: &[Duration],
    ) -> OldReply {
        let payload = envelope.to_string().into_bytes();
        match self.exchange(subject, &payload, Via::Size, timeouts).await {
            Ok(reply) => reply,
            Err(error) => panic!("{subject}: {error:#}"),
        }
    }

    async fn exchange(
        &self,
        subject: &str,
        payload: &[u8],
        via: Via,
        timeouts: &[Duration],
    ) -> anyhow::Result<OldReply> {
        for within in timeouts {
            let wire = self.wire(payload, via).await?;
            let inbox = format!("_INBOX.{}", random_id());
            let mut replies = self.client.subscribe(inbox.clone()).await?;
            self.client.publish_with_reply(subject.to_owned(), inbox, wire.into()).await?;
            self.client.flush().await?;
            if let Ok(Some(message)) = tokio::time::timeout(*within, replies.next()).await {
                if message.status == Some(async_nats::StatusCode::NO_RESPONDERS) {
                    return Ok(OldReply::NoResponders);
                }
                return self.reply(&message).await;
            }
        }
        Ok(OldReply::Timeout)
    }

    async fn reply(&self, message: &Message) -> anyhow::Result<OldReply> {
        let text = String::from_utf8_lossy(&message.payload).into_owned();
        let Ok(value) = serde_json::from_str::<Value>(&text) else { return Ok(OldReply::Unreadable(text)) };
        let Some(key) = token(&value) else { return Ok(OldReply::Envelope { value, via_redis: false }) };
        let mut redis = self.redis.clone();
        let stored: Option<String> = redis.get(key).await?;
        let stored = stored.with_context(|| format!("the reply's payload {key} is not in Redis"))?;
        let life: i64 = redis.ttl(key).await?;
        anyhow::ensure!((1..=300).contains(&life), "the reply's payload lives {life} s, not up to 300");
        let _: () = redis.del(key).await?;
        Ok(match serde_json::from_str(&stored) {
            Ok(value) => OldReply::Envelope { value, via_redis: true },
            Err(_) => OldReply::Unreadable(stored),
        })
    }

    async fn wire(&self, payload: &[u8], via: Via) -> anyhow::Result<Vec<u8>> {
        let via = if via == Via::Size && payload.len() > LIMIT { Via::Token } else { via };
        let mut redis = self.redis.clone();
        Ok(match via {
            Via::Size => payload.to_vec(),
            Via::Token | Via::LostToken => {
                let key = random_id();
                if via == Via::Token {
                    let _: () = redis.set_ex(&key, payload, KEPT).await?;
                }
                json!({"token": key, "is_stored": true}).to_string().into_bytes()
            }
            Via::PrefixToken => {
                let key = format!("{PREFIX} {}", random_id());
                let _: () = redis.set_ex(&key, payload, KEPT).await?;
                key.into_bytes()
            }
        })
    }

    /// Answers a subject in a queue group until this value is dropped. `handler` gets the envelope and returns the reply as
    /// text, any text (`NaN` is what old repliers send), or `None` for silence. Requests that are no JSON objects get no
    /// reply. Every request runs concurrently.
    pub async fn serve<H, F>(&self, subject: &str, queue: &str, handler: H)
    where
        H: Fn(Value) -> F + Send + Sync + 'static,
        F: Future<Output = Option<String>> + Send + 'static,
    {
        let mut requests = subscribe(&self.client, subject, queue).await;
        let (client, redis, handler) = (self.client.clone(), self.redis.clone(), Arc::new(handler));
        self.repliers.lock().spawn(async move {
            while let Some(message) = requests.next().await {
                let (client, redis, handler) = (client.clone(), redis.clone(), Arc::clone(&handler));
                tokio::spawn(async move { handle(client, redis, message, &*handler).await });
            }
        });
    }
}

/// Subscribes, and returns when the server knows it: a message to ourselves on the same connection came back.
pub(crate) async fn subscribe(
    client: &async_nats::Client,
    subject: &str,
    queue: &str,
) -> async_nats::Subscriber {
    let subscribed = async {
        let requests = client.queue_subscribe(subject.to_owned(), queue.to_owned()).await?;
        let inbox = client.new_inbox();
        let mut own = client.subscribe(inbox.clone()).await?;
        client.publish(inbox, "".into()).await?;
        own.next().await.context("the connection is closed")?;
        anyhow::Ok(requests)
    };
    match subscribed.await {
        Ok(requests) => requests,
        Err(error) => panic!("cannot subscribe to {subject}: {error:#}"),
    }
}

async fn handle<H, F>(
    client: async_nats::Client,
    mut redis: MultiplexedConnection,
    message: Message,
    handler: &H,
) where
    H: Fn(Value) -> F,
    F: Future<Output = Option<String>>,
{
    let Ok(mut envelope) = serde_json::from_slice::<Value>(&message.payload) else { return };
    if let Some(key) = token(&envelope).map(str::to_owned) {
        let Ok(Some(stored)) = redis.get::<_, Option<String>>(&key).await else { return };
        let _: Result<(), _> = redis.del(&key).await;
        let Ok(value) = serde_json::from_str(&stored) else { return };
        envelope = value;
    }
    if !envelope.is_object() {
        return;
    }
    let Some(reply) = handler(envelope).await else { return };
    let Some(inbox) = message.reply else { return };
    let wire = if reply.len() > LIMIT {
        let key = random_id();
        let _: Result<(), _> = redis.set_ex(&key, reply, KEPT).await;
        json!({"token": key, "is_stored": true}).to_string()
    } else {
        reply
    };
    let _ = client.publish(inbox, wire.into()).await;
}

/// The key in Redis when `value` is a legacy token.
pub(crate) fn token(value: &Value) -> Option<&str> {
    (value.get("is_stored") == Some(&Value::Bool(true))).then(|| value.get("token")?.as_str()).flatten()
}

/// 22 characters of the alphabet of request ids.
pub(crate) fn random_id() -> String {
    (0..22)
        .map(|_| ALPHABET.get(rand::random_range(0..ALPHABET.len())).copied().map_or('2', char::from))
        .collect()
}
