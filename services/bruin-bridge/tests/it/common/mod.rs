//! A running bruin-bridge with real NATS and Redis and a stub of Bruin.

use std::time::Duration;

use runtime::Hosted;
use serde_json::{Value, json};
pub(crate) use testkit::PATIENCE;
use testkit::recordings::Stage;
use testkit::{OldReply, Received};

pub(crate) struct Bridge {
    pub(crate) stage: Stage,
    run: Hosted,
}

impl Bridge {
    /// Starts the bridge; Bruin's logins succeed.
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// Starts the bridge with further settings.
    pub(crate) async fn start_with(settings: &[(&str, &str)]) -> Self {
        Self::start_on(Stage::start("bruin-bridge").await, settings).await
    }

    /// Starts the bridge on a stage.
    pub(crate) async fn start_on(stage: Stage, settings: &[(&str, &str)]) -> Self {
        let run = stage.run(&bruin_bridge::service(), settings).await;
        Self { stage, run }
    }

    /// Sends a request like an old peer and returns status and body of the reply, which echoes the id.
    pub(crate) async fn ask(&self, subject: &str, body: &Value) -> (u64, Value) {
        self.ask_as("r", subject, body).await
    }

    /// The same with an id.
    pub(crate) async fn ask_as(&self, request_id: &str, subject: &str, body: &Value) -> (u64, Value) {
        let reply = self.envelope(subject, &json!({"request_id": request_id, "body": body})).await;
        assert_eq!(reply["request_id"], request_id, "{subject}");
        (reply["status"].as_u64().expect("an integer status"), reply["body"].clone())
    }

    /// Sends an envelope and returns the reply's.
    pub(crate) async fn envelope(&self, subject: &str, envelope: &Value) -> Value {
        match self.stage.requester.request(subject, envelope, PATIENCE).await {
            OldReply::Envelope { value, .. } => value,
            other => panic!("{subject}: {other:?}"),
        }
    }

    /// The calls to the API so far, without logins; forgets them.
    pub(crate) fn take_calls(&self) -> Vec<Received> {
        let mut calls = self.stage.upstream.take_calls();
        calls.retain(|call| call.path != "/identity/connect/token");
        calls
    }

    /// Why `/_ready` would say no.
    pub(crate) fn not_ready(&self) -> Vec<String> {
        self.run.host.not_ready()
    }

    /// Waits until `/_ready` would say yes.
    pub(crate) async fn until_ready(&self) {
        let ready = async {
            while !self.not_ready().is_empty() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, ready).await.expect("ready");
    }

    /// A metric's value by a part of its line, e.g. the name and the labels.
    pub(crate) fn metric(&self, line: &str) -> f64 {
        let values = self.run.metrics(line);
        values.iter().filter_map(|found| found.strip_prefix(line)?.trim().parse::<f64>().ok()).sum()
    }

    /// Stops the bridge and gives back what it stood on.
    pub(crate) async fn stop(self) -> Stage {
        self.run.stop().await.expect("a clean end");
        self.stage
    }
}
