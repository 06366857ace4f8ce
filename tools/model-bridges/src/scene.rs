//! A bridge between an old requester and its simulated model.

use std::marker::PhantomData;

use runtime::{Environment, Hosted};
use sandbox::kre::{ModelCall, Prepared};
use sandbox::{Running, Sandbox, SandboxOptions};
use serde_json::{Map, Value};
use testkit::PATIENCE;
use testkit::recordings::Stage;

use crate::Bridge;

/// Everything that a test of a bridge needs, the running bridge included.
pub struct Scene<B> {
    /// The servers and the requester.
    pub stage: Stage,
    /// The sandbox, of which the model is used.
    pub sandbox: Running,
    /// The bridge.
    pub service: Hosted,
    of: PhantomData<B>,
}

impl<B: Bridge> Scene<B> {
    /// Starts everything, the bridge with some settings more.
    pub async fn start(settings: &[(&str, &str)]) -> Self {
        let (stage, sandbox) = surroundings::<B>().await;
        Self::on(stage, sandbox, settings).await
    }

    /// Starts the bridge in what stands already.
    pub(crate) async fn on(stage: Stage, sandbox: Running, settings: &[(&str, &str)]) -> Self {
        let service = testkit::run(&B::service(), environment::<B>(&stage, &sandbox, settings)).await;
        Self { stage, sandbox, service, of: PhantomData }
    }

    /// Asks as an old requester does; status and body of the reply.
    pub async fn ask(&self, subject: &str, body: Value) -> (i64, Value) {
        self.stage.ask(subject, body).await
    }

    /// Asks under an id of its own, so that nothing is answered from memory.
    pub async fn ask_as(&self, id: &str, subject: &str, body: &Value) -> (i64, Value) {
        self.stage.ask_as(id, subject, body.clone()).await
    }

    /// Says what the model shall answer from now on.
    pub fn prepare(&self, rpc: &str, prepared: Prepared) {
        self.sandbox.models().prepare(B::MODEL, rpc, prepared).unwrap();
    }

    /// The calls that the model received, oldest first.
    pub fn calls(&self) -> Vec<ModelCall> {
        self.sandbox.models().calls(B::MODEL)
    }

    /// The requests of the calls of one method.
    pub fn received(&self, rpc: &str) -> Vec<Map<String, Value>> {
        self.calls().into_iter().filter(|call| call.rpc == rpc).map(|call| call.request).collect()
    }

    /// Waits until the bridge has so many calls in flight.
    pub async fn until_in_flight(&self, calls: usize) {
        let end = format!(" {calls}");
        let waiting = async {
            while !self.service.metrics("kre_calls_in_flight").iter().any(|line| line.ends_with(&end)) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.unwrap();
    }
}

/// What stands around the bridge.
pub(crate) async fn surroundings<B: Bridge>() -> (Stage, Running) {
    let service = B::service();
    let sandbox = Sandbox::start(SandboxOptions { edges: 10, ..Default::default() });
    let (stage, sandbox) = tokio::join!(Stage::start(service.name()), sandbox);
    (stage, sandbox.unwrap())
}

/// The bridge's environment in these surroundings, with some settings more.
pub(crate) fn environment<B: Bridge>(
    stage: &Stage,
    sandbox: &Running,
    settings: &[(&str, &str)],
) -> Environment {
    Environment::from_iter(sandbox.environment_for(B::service().name()))
        .merged(&Environment::from_iter(stage.environment()))
        .merged(&settings.iter().copied().collect())
}

/// The fields of an object.
pub fn object(json: Value) -> Map<String, Value> {
    match json {
        Value::Object(fields) => fields,
        other => panic!("no object: {other}"),
    }
}
