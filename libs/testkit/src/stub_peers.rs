//! Other services of the fleet, as stubs that answer by rules and remember the requests.

use std::{collections::HashMap, sync::Arc, time::Duration};

use futures::StreamExt;
use parking_lot::Mutex;
use redis::{AsyncCommands, aio::MultiplexedConnection};
use serde_json::{Value, json};
use tokio::{sync::watch, task::JoinSet};

use crate::old_peer::{random_id, subscribe, token};

/// A request as a stub received it.
#[derive(Debug, Clone, PartialEq)]
pub struct PeerRequest {
    /// The subject.
    pub subject: String,
    /// The whole envelope, recovered from Redis if need be.
    pub envelope: Value,
}

impl PeerRequest {
    /// The parameters: `body`, or where there is none everything but `request_id` (the notifier's subjects).
    pub fn body(&self) -> Value {
        match &self.envelope {
            Value::Object(fields) => match fields.get("body") {
                Some(body) => body.clone(),
                None => fields
                    .iter()
                    .filter(|(name, _)| *name != "request_id")
                    .map(|(name, value)| (name.clone(), value.clone()))
                    .collect(),
            },
            other => other.clone(),
        }
    }
}

/// Stubs for any number of subjects, in the queue group `stub_peers`.
#[derive(Debug)]
pub struct StubPeers {
    client: async_nats::Client,
    redis: Option<MultiplexedConnection>,
    shared: Arc<Shared>,
    subscriptions: Mutex<JoinSet<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    rules: Mutex<HashMap<String, Rules>>,
    received: Mutex<Vec<PeerRequest>>,
    changed: watch::Sender<usize>,
}

/// Answers of one subject: the first whose pattern is part of the request's body. `None` for silence.
type Rules = Vec<(Value, Option<Value>)>;

impl StubPeers {
    /// Without Redis: payloads must be small.
    pub async fn start(nats_url: &str) -> Self {
        Self::connect(nats_url, None).await
    }

    /// With the Redis of the payloads: tokens are understood, and sent where a reply has `"_token": true`.
    pub async fn start_with_redis(nats_url: &str, redis_url: &str) -> Self {
        let connected = match redis::Client::open(redis_url) {
            Ok(client) => client.get_multiplexed_async_connection().await,
            Err(error) => Err(error),
        };
        match connected {
            Ok(redis) => Self::connect(nats_url, Some(redis)).await,
            Err(error) => panic!("Redis: {error}"),
        }
    }

    async fn connect(nats_url: &str, redis: Option<MultiplexedConnection>) -> Self {
        match async_nats::connect(nats_url).await {
            Ok(client) => Self { client, redis, shared: Arc::default(), subscriptions: Mutex::default() },
            Err(error) => panic!("NATS: {error}"),
        }
    }

    /// From now on every request on `subject` gets `reply`: `body` and `status` (and whatever else it has); the request's
    /// id is added.
    pub async fn answer(&self, subject: &str, reply: Value) {
        self.set(subject, vec![(json!({}), Some(reply))]).await;
    }

    /// From now on the first pattern that is part of a request's body decides; requests without one get no reply.
    pub async fn answer_by(&self, subject: &str, patterns: Vec<(Value, Value)>) {
        self.set(subject, patterns.into_iter().map(|(pattern, reply)| (pattern, Some(reply))).collect())
            .await;
    }

    /// From now on requests on `subject` are received and remembered but not answered.
    pub async fn silence(&self, subject: &str) {
        self.set(subject, vec![(json!({}), None)]).await;
    }

    /// Sets the answers of several subjects in the form of the recordings: subject to reply, or to
    /// `{"match": [[pattern, reply], ..]}`. Subjects not among them are silent from now on.
    ///
    /// # Panics
    /// When the form is another one.
    pub async fn recorded(&self, peers: &serde_json::Map<String, Value>) {
        // Those among them never stop answering: a service may be asking while they are set a second time.
        for (subject, rules) in self.shared.rules.lock().iter_mut() {
            if !peers.contains_key(subject) {
                rules.clear();
            }
        }
        for (subject, reply) in peers {
            match reply.get("match") {
                Some(pairs) => match serde_json::from_value(pairs.clone()) {
                    Ok(pairs) => self.answer_by(subject, pairs).await,
                    Err(error) => panic!("patterns of {subject}: {error}"),
                },
                None => self.answer(subject, reply.clone()).await,
            }
        }
    }

    /// The requests so far, on all subjects.
    pub fn requests(&self) -> Vec<PeerRequest> {
        self.shared.received.lock().clone()
    }

    /// The requests so far on one subject.
    pub fn requests_on(&self, subject: &str) -> Vec<PeerRequest> {
        self.requests().into_iter().filter(|request| request.subject == subject).collect()
    }

    /// Forgets the requests so far and returns them.
    pub fn take_requests(&self) -> Vec<PeerRequest> {
        std::mem::take(&mut *self.shared.received.lock())
    }

    /// Waits until `enough` is true of the requests; false after `patience`.
    pub async fn until(&self, patience: Duration, enough: impl Fn(&[PeerRequest]) -> bool) -> bool {
        let mut changed = self.shared.changed.subscribe();
        let waiting = async {
            while !enough(&self.shared.received.lock()) {
                if changed.changed().await.is_err() {
                    return;
                }
            }
        };
        tokio::time::timeout(patience, waiting).await.is_ok()
    }

    async fn set(&self, subject: &str, rules: Rules) {
        let known = self.shared.rules.lock().insert(subject.to_owned(), rules).is_some();
        if known {
            return;
        }
        let mut requests = subscribe(&self.client, subject, "stub_peers").await;
        let (client, redis, shared) = (self.client.clone(), self.redis.clone(), Arc::clone(&self.shared));
        let mut subscriptions = self.subscriptions.lock();
        subscriptions.spawn(async move {
            while let Some(message) = requests.next().await {
                handle(&client, redis.clone(), &shared, message).await;
            }
        });
    }
}

async fn handle(
    client: &async_nats::Client,
    mut redis: Option<MultiplexedConnection>,
    shared: &Shared,
    message: async_nats::Message,
) {
    let mut envelope = serde_json::from_slice(&message.payload)
        .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&message.payload).into_owned()));
    if let (Some(key), Some(redis)) = (token(&envelope).map(str::to_owned), &mut redis) {
        let stored: Option<String> = redis.get(key).await.ok().flatten();
        envelope = stored.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or(Value::Null);
    }
    let subject = message.subject.to_string();
    let request = PeerRequest { subject, envelope };
    let reply = choose(shared, &request);
    let id = request.envelope.get("request_id").cloned().unwrap_or_default();
    shared.received.lock().push(request);
    shared.changed.send_modify(|count| *count += 1);
    let (Some(Value::Object(mut reply)), Some(inbox)) = (reply, message.reply) else { return };
    let stored = reply.shift_remove("_token") == Some(Value::Bool(true));
    reply.entry("request_id").or_insert(id);
    let mut text = Value::Object(reply).to_string();
    if let (true, Some(redis)) = (stored, &mut redis) {
        let key = random_id();
        let _: Result<(), _> = redis.set_ex(&key, text, 300).await;
        text = json!({"token": key, "is_stored": true}).to_string();
    }
    let _ = client.publish(inbox, text.into()).await;
    let _ = client.flush().await;
}

fn choose(shared: &Shared, request: &PeerRequest) -> Option<Value> {
    let body = request.body();
    let rules = shared.rules.lock();
    let rules = rules.get(&request.subject)?;
    rules.iter().find(|(pattern, _)| part_of(pattern, &body)).and_then(|(_, reply)| reply.clone())
}

/// Whether every field of `pattern` is in `value` with an equal value; anything but an object must be equal.
fn part_of(pattern: &Value, value: &Value) -> bool {
    match (pattern, value) {
        (Value::Object(pattern), Value::Object(value)) => {
            pattern.iter().all(|(name, pattern)| value.get(name).is_some_and(|value| part_of(pattern, value)))
        }
        (Value::Object(pattern), _) => pattern.is_empty(),
        (pattern, value) => pattern == value,
    }
}
