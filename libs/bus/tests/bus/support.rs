//! Subjects, servers and a plain peer for the tests.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bus::{Bus, BusOptions, Limits};
use contracts::{Carrier, Effect, Incoming, Rejected, Request, Rpc};
use futures::StreamExt;
use prometheus::{Registry, TextEncoder};
use serde::Serialize;
use serde_json::{Map, Value};
use testkit::{Nats, Redis};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// Parameters of the test subjects: any object.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub(crate) struct Any(pub(crate) Map<String, Value>);

impl Request for Any {
    fn parse(incoming: &Incoming<'_>) -> Result<Self, Rejected> {
        incoming.body_object().map(Self).ok_or_else(|| Rejected::text(r#"Must include "body" in request"#))
    }
}

/// Parameters beside `request_id`.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub(crate) struct Beside(pub(crate) Map<String, Value>);

impl Request for Beside {
    fn parse(incoming: &Incoming<'_>) -> Result<Self, Rejected> {
        let fields = incoming.top_level();
        if fields.contains_key("message") { Ok(Self(fields)) } else { Err(Rejected::text("no message")) }
    }
}

macro_rules! subjects {
    ($($name:ident: $subject:literal, $effect:ident, $carrier:ident, $request:ty, $within:literal ms;)+) => {$(
        pub(crate) struct $name;

        impl Rpc for $name {
            const SUBJECT: &'static str = $subject;
            const QUEUE: &'static str = "test_bridge";
            const EFFECT: Effect = Effect::$effect;
            const TIMEOUT: Duration = Duration::from_secs(60);
            const ANSWER_WITHIN: Duration = Duration::from_millis($within);
            const CARRIER: Carrier = Carrier::$carrier;
            type Request = $request;
            type Reply = Value;
        }
    )+};
}

subjects! {
    Read: "test.read", Read, Body, Any, 8000 ms;
    Other: "test.other", Read, Body, Any, 8000 ms;
    Hasty: "test.hasty", Read, Body, Any, 300 ms;
    Write: "test.write", Write, Body, Any, 8000 ms;
    HastyWrite: "test.hasty.write", Write, Body, Any, 300 ms;
    PatientWrite: "test.patient.write", Write, Body, Any, 3000 ms;
    Notify: "test.notify", Read, TopLevel, Beside, 8000 ms;
}

pub(crate) fn any(value: Value) -> Any {
    match value {
        Value::Object(map) => Any(map),
        other => panic!("not an object: {other}"),
    }
}

pub(crate) fn beside(value: Value) -> Beside {
    Beside(any(value).0)
}

/// A NATS and a Redis server.
pub(crate) struct World {
    pub(crate) nats: Nats,
    pub(crate) redis: Redis,
}

impl World {
    pub(crate) async fn start() -> Self {
        let (nats, redis) = tokio::join!(Nats::start(), Redis::start());
        Self { nats, redis }
    }

    pub(crate) fn options(&self) -> BusOptions {
        BusOptions::new("test-bridge", self.nats.url(), self.redis.host(), self.redis.port())
    }

    pub(crate) async fn bus(&self) -> Bus {
        self.bus_with(Limits::default()).await
    }

    pub(crate) async fn bus_with(&self, limits: Limits) -> Bus {
        connected(BusOptions { limits, ..self.options() }).await.0
    }

    /// A peer that speaks plain NATS.
    pub(crate) async fn peer(&self) -> Peer {
        Peer(self.nats.client().await)
    }

    pub(crate) async fn store(&self, key: &str, value: &[u8]) {
        let mut redis = self.redis.connection().await;
        redis::cmd("SET").arg(key).arg(value).arg("EX").arg(300).exec_async(&mut redis).await.unwrap();
    }

    pub(crate) async fn stored(&self, key: &str) -> Option<Vec<u8>> {
        let mut redis = self.redis.connection().await;
        redis::cmd("GET").arg(key).query_async(&mut redis).await.unwrap()
    }

    pub(crate) async fn ttl(&self, key: &str) -> i64 {
        let mut redis = self.redis.connection().await;
        redis::cmd("TTL").arg(key).query_async(&mut redis).await.unwrap()
    }

    /// How often Redis has executed a command.
    pub(crate) async fn redis_commands(&self, name: &str) -> usize {
        let mut redis = self.redis.connection().await;
        let stats: String = redis::cmd("INFO").arg("commandstats").query_async(&mut redis).await.unwrap();
        let calls = stats.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{name}:calls=")));
        calls.and_then(|calls| calls.split(',').next()?.parse().ok()).unwrap_or(0)
    }

    pub(crate) async fn keys(&self) -> Vec<String> {
        let mut redis = self.redis.connection().await;
        redis::cmd("KEYS").arg("*").query_async(&mut redis).await.unwrap()
    }
}

/// A connected bus and its metrics.
pub(crate) async fn connected(options: BusOptions) -> (Bus, Registry) {
    let metrics = Registry::new();
    let bus = Bus::connect(options, &metrics).await.unwrap();
    until("connected", async || bus.connected()).await;
    (bus, metrics)
}

pub(crate) fn text(metrics: &Registry) -> String {
    TextEncoder::new().encode_to_string(&metrics.gather()).unwrap()
}

/// Waits for a condition.
pub(crate) async fn until(what: &str, condition: impl AsyncFn() -> bool) {
    for _ in 0..3_000 {
        if condition().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never {what}");
}

/// A requester and replier that knows nothing of the bus.
pub(crate) struct Peer(pub(crate) async_nats::Client);

impl Peer {
    /// Sends raw bytes, with an inbox of its own as old peers do, and returns the one reply as it came.
    pub(crate) async fn ask(&self, subject: &str, payload: impl AsRef<[u8]>) -> String {
        let payload = payload.as_ref().to_vec();
        let inbox = self.0.new_inbox();
        let mut replies = self.0.subscribe(inbox.clone()).await.unwrap();
        self.0.publish_with_reply(subject.to_owned(), inbox, payload.into()).await.unwrap();
        let reply = tokio::time::timeout(Duration::from_secs(20), replies.next()).await;
        let reply = reply.expect("a reply").expect("an open subscription");
        assert!(reply.headers.is_none(), "replies carry no headers");
        assert_ne!(reply.status, Some(async_nats::StatusCode::NO_RESPONDERS), "nobody serves {subject}");
        String::from_utf8(reply.payload.to_vec()).unwrap()
    }

    /// As [`Self::ask`], parsed.
    pub(crate) async fn ask_json(&self, subject: &str, payload: impl AsRef<[u8]>) -> Value {
        serde_json::from_str(&self.ask(subject, payload).await).unwrap()
    }

    /// Answers a subject with what `reply` makes of each request's bytes; nothing for `None`.
    pub(crate) async fn answers(
        &self,
        subject: &str,
        reply: impl Fn(async_nats::Message) -> Option<Vec<u8>> + Send + 'static,
    ) -> Counter {
        let counter = Counter::default();
        let (client, count) = (self.0.clone(), counter.clone());
        let mut requests =
            client.queue_subscribe(subject.to_owned(), "test_bridge".to_owned()).await.unwrap();
        round_trip(&client).await;
        tokio::spawn(async move {
            while let Some(message) = requests.next().await {
                count.add();
                let inbox = message.reply.clone().unwrap();
                if let Some(payload) = reply(message) {
                    client.publish(inbox, payload.into()).await.unwrap();
                }
            }
        });
        counter
    }
}

/// Resolves when the server has processed what was sent before.
pub(crate) async fn round_trip(client: &async_nats::Client) {
    let inbox = client.new_inbox();
    let mut back = client.subscribe(inbox.clone()).await.unwrap();
    client.publish(inbox, "".into()).await.unwrap();
    back.next().await.unwrap();
}

/// Counts executions.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counter(Arc<AtomicUsize>);

impl Counter {
    pub(crate) fn add(&self) -> usize {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }

    pub(crate) fn get(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// What stands before a server to make it look like one of version 2.1, which knows no headers. (A new server with
/// headers switched off refuses async-nats altogether, since that always asks for "no responders".)
pub(crate) struct Headerless {
    port: u16,
    headers: Arc<AtomicUsize>,
}

impl Headerless {
    pub(crate) async fn before(nats: &Nats) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (port, to) = (listener.local_addr().unwrap().port(), nats.port());
        let headers = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&headers);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(Self::pass(client, to, Arc::clone(&seen)));
            }
        });
        Self { port, headers }
    }

    async fn pass(client: TcpStream, to: u16, seen: Arc<AtomicUsize>) {
        let (mut from_client, mut to_client) = client.into_split();
        let (from_server, mut to_server) = TcpStream::connect(("127.0.0.1", to)).await.unwrap().into_split();
        tokio::spawn(async move {
            let mut from_server = BufReader::new(from_server);
            let mut info = String::new();
            from_server.read_line(&mut info).await.unwrap();
            assert!(info.contains(r#""headers":true"#), "{info}");
            to_client
                .write_all(info.replace(r#""headers":true"#, r#""headers":false"#).as_bytes())
                .await
                .unwrap();
            let _ = tokio::io::copy_buf(&mut from_server, &mut to_client).await;
        });
        let mut chunk = vec![0; 64 * 1024];
        while let Ok(size @ 1..) = from_client.read(&mut chunk).await {
            if chunk[..size].windows(5).any(|word| word == b"HPUB ") {
                seen.fetch_add(1, Ordering::SeqCst);
            }
            if to_server.write_all(&chunk[..size]).await.is_err() {
                return;
            }
        }
    }

    /// Options of a bus that sees the server this way.
    pub(crate) fn options(&self, mut options: BusOptions) -> BusOptions {
        options.nats.servers = vec![format!("nats://127.0.0.1:{}", self.port)];
        options
    }

    pub(crate) fn saw_headers(&self) -> bool {
        self.headers.load(Ordering::SeqCst) > 0
    }
}
