//! The real service between an old requester and a simulated model.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests")]
#![allow(dead_code, reason = "not every test file uses all of it")]

use std::time::Duration;

use repair_tickets_kre_bridge::RepairTicketsKreBridge;
use runtime::{Clock, Environment, Hosted, Runnable};
use sandbox::kre::{ModelCall, Prepared};
use sandbox::{Running, Sandbox, SandboxOptions, ThirdParty};
use serde_json::{Map, Value};
use testkit::recordings::Stage;

/// A generous limit for what should come at once.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// The model of this bridge.
pub(crate) const MODEL: ThirdParty = ThirdParty::RepairTickets;

/// Everything that one test needs.
pub(crate) struct Scene {
    pub(crate) stage: Stage,
    pub(crate) sandbox: Running,
    pub(crate) service: Hosted,
}

impl Scene {
    pub(crate) async fn start(settings: &[(&str, &str)]) -> Self {
        let (stage, sandbox) = tokio::join!(Stage::start("repair-tickets-kre-bridge"), simulated());
        let service = start(&stage, &sandbox, settings).await;
        Self { stage, sandbox, service }
    }

    pub(crate) async fn ask(&self, subject: &str, body: Value) -> (i64, Value) {
        self.stage.ask(subject, body).await
    }

    /// Asks with an id of its own, so that nothing is answered from memory.
    pub(crate) async fn ask_as(&self, id: &str, subject: &str, body: &Value) -> (i64, Value) {
        let envelope = serde_json::json!({"request_id": id, "body": body});
        let reply = self.stage.requester.request(subject, &envelope, PATIENCE).await.envelope();
        (reply["status"].as_i64().unwrap(), reply["body"].clone())
    }

    pub(crate) fn prepare(&self, rpc: &str, prepared: Prepared) {
        self.sandbox.models().prepare(MODEL, rpc, prepared).unwrap();
    }

    pub(crate) fn calls(&self) -> Vec<ModelCall> {
        self.sandbox.models().calls(MODEL)
    }

    /// Waits until the bridge has so many calls in flight.
    pub(crate) async fn until_in_flight(&self, calls: usize) {
        let waiting = async {
            while !self
                .service
                .metrics("kre_calls_in_flight")
                .iter()
                .any(|line| line.ends_with(&format!(" {calls}")))
            {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.unwrap();
    }
}

pub(crate) async fn simulated() -> Running {
    Sandbox::start(SandboxOptions { edges: 10, ..Default::default() }).await.unwrap()
}

/// Starts the service against the simulated model, with some settings more.
pub(crate) async fn start(stage: &Stage, sandbox: &Running, settings: &[(&str, &str)]) -> Hosted {
    let model = Environment::from_iter(sandbox.environment_for("repair-tickets-kre-bridge"));
    let environment = model
        .merged(&Environment::from_iter(stage.environment()))
        .merged(&settings.iter().copied().collect());
    let mut running = Hosted::start(&Runnable::of::<RepairTicketsKreBridge>(), environment, Clock::system());
    running.started().await.unwrap();
    running
}

pub(crate) fn object(json: Value) -> Map<String, Value> {
    match json {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}
