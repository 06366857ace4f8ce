//! The real service with NATS, Redis and the simulated model.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "helpers of tests")]
#![allow(dead_code, reason = "not every test file uses all of it")]

use std::time::Duration;

use runtime::{Clock, Environment, Hosted, Runnable};
use sandbox::{Running, Sandbox, SandboxOptions, ThirdParty};
use serde_json::{Map, Value, json};
use t7_bridge::T7Bridge;
use testkit::{Nats, OldPeer, Redis};

/// A generous limit for what should come at once.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Everything around the service.
pub(crate) struct Stage {
    pub(crate) nats: Nats,
    pub(crate) redis: Redis,
    pub(crate) sandbox: Running,
    pub(crate) requester: OldPeer,
}

impl Stage {
    pub(crate) async fn start() -> Self {
        let (nats, redis) = tokio::join!(Nats::start(), Redis::start());
        let requester = OldPeer::connect(&nats.url(), &redis.url()).await;
        let sandbox = Sandbox::start(SandboxOptions { edges: 1, ..SandboxOptions::default() }).await.unwrap();
        Self { nats, redis, sandbox, requester }
    }

    /// Runs the service with some settings more.
    pub(crate) async fn run(&self, settings: &[(&str, &str)]) -> Hosted {
        let environment = Environment::from_iter(self.sandbox.environment_for("t7-bridge"))
            .with("NATS_SERVER1", self.nats.url())
            .with("REDIS_HOSTNAME", self.redis.host())
            .with("REDIS_PORT", self.redis.port().to_string())
            .with("HTTP_PORT", "0")
            .with("METRICS_PORT", "0")
            .merged(&settings.iter().copied().collect());
        let mut running = Hosted::start(&Runnable::of::<T7Bridge>(), environment, Clock::system());
        running.started().await.unwrap();
        running
    }

    /// Asks as an old requester does; status and body of the reply.
    pub(crate) async fn ask(&self, subject: &str, body: Value) -> (i64, Value) {
        self.ask_as("r-1", subject, body).await
    }

    /// The same under an id of its own: writes are executed once for each.
    pub(crate) async fn ask_as(&self, id: &str, subject: &str, body: Value) -> (i64, Value) {
        let envelope = json!({"request_id": id, "body": body});
        let mut reply = self.requester.request(subject, &envelope, PATIENCE).await.envelope();
        assert_eq!(reply["request_id"], id);
        (reply["status"].as_i64().unwrap(), reply["body"].take())
    }

    /// The requests that the model received for a method.
    pub(crate) fn received(&self, rpc: &str) -> Vec<Map<String, Value>> {
        let calls = self.sandbox.models().calls(ThirdParty::T7);
        calls.into_iter().filter(|call| call.rpc == rpc).map(|call| call.request).collect()
    }
}

/// An object.
pub(crate) fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        other => panic!("no object: {other}"),
    }
}
