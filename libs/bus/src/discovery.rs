//! The NATS service API (`$SRV.PING`, `$SRV.INFO`, `$SRV.STATS`, each also with `.name` and `.name.id`), answered here
//! because the client's own implementation ends at a message without reply subject (nats.rs#1511).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_nats::Message;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::SelectAll;
use serde_json::{Value, json};

use crate::EndpointStats;
use crate::core::Core;

/// What this process is called.
pub(crate) struct Identity {
    name: String,
    id: String,
    started: String,
    announced: AtomicBool,
}

impl Identity {
    pub(crate) fn new(service: &str, id: String) -> Self {
        // Names are restricted to these characters by the protocol.
        let allowed = |c: char| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '_' };
        Self {
            name: service.chars().map(allowed).collect(),
            id,
            started: chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Millis, true),
            announced: AtomicBool::new(false),
        }
    }
}

const VERBS: [&str; 3] = ["PING", "INFO", "STATS"];

impl Core {
    /// Begins to answer, once: when it is told to, else when the first subject is served.
    pub(crate) async fn announce(self: &Arc<Self>) {
        if self.discovery.announced.swap(true, Ordering::Relaxed) {
            return;
        }
        let Identity { name, id, .. } = &self.discovery;
        let mut messages = SelectAll::new();
        for verb in VERBS {
            for subject in
                [format!("$SRV.{verb}"), format!("$SRV.{verb}.{name}"), format!("$SRV.{verb}.{name}.{id}")]
            {
                match self.link.client.subscribe(subject).await {
                    Ok(subscriber) => messages.push(subscriber),
                    Err(error) => tracing::warn!(%error, "cannot be discovered"),
                }
            }
        }
        let core = Arc::clone(self);
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    message = messages.next() => match message {
                        Some(message) => core.discovered(message).await,
                        None => return,
                    },
                    () = core.stop.cancelled() => return,
                }
            }
        });
    }

    async fn discovered(&self, message: Message) {
        let Some(reply) = message.reply else { return };
        let answer = match message.subject.split('.').nth(1) {
            Some("PING") => self.ping(),
            Some("INFO") => self.info(),
            Some("STATS") => self.stats(),
            _ => return,
        };
        let _ = self.link.client.publish(reply, Bytes::from(answer.to_string())).await;
    }

    /// The figures of each served subject.
    pub(crate) fn endpoint_stats(&self) -> Vec<EndpointStats> {
        let served = self.served.lock();
        let served = served.as_deref().unwrap_or_default();
        served
            .iter()
            .map(|served| served.endpoint.stats.read(served.endpoint.subject, served.endpoint.queue_group))
            .collect()
    }

    fn identity(&self, kind: &str) -> Value {
        json!({
            "type": format!("io.nats.micro.v1.{kind}_response"),
            "name": self.discovery.name,
            "id": self.discovery.id,
            "version": env!("CARGO_PKG_VERSION"),
            "metadata": {},
        })
    }

    fn ping(&self) -> Value {
        self.identity("ping")
    }

    fn info(&self) -> Value {
        let endpoints: Vec<_> = self.endpoint_stats().iter().map(named).collect();
        with(self.identity("info"), [("description", json!("")), ("endpoints", json!(endpoints))])
    }

    fn stats(&self) -> Value {
        let endpoints: Vec<_> = self
            .endpoint_stats()
            .iter()
            .map(|stats| {
                let nanos = u64::try_from(stats.processing_time.as_nanos()).unwrap_or(u64::MAX);
                let average = nanos.checked_div(stats.requests).unwrap_or_default();
                with(
                    named(stats),
                    [
                        ("num_requests", json!(stats.requests)),
                        ("num_errors", json!(stats.errors)),
                        ("last_error", json!(stats.last_error)),
                        ("processing_time", json!(nanos)),
                        ("average_processing_time", json!(average)),
                    ],
                )
            })
            .collect();
        let started = json!(self.discovery.started);
        with(self.identity("stats"), [("started", started), ("endpoints", json!(endpoints))])
    }
}

fn named(stats: &EndpointStats) -> Value {
    json!({
        "name": stats.subject.replace('.', "-"),
        "subject": stats.subject,
        "queue_group": stats.queue_group,
        "metadata": {},
    })
}

fn with<const N: usize>(mut object: Value, fields: [(&str, Value); N]) -> Value {
    if let Some(map) = object.as_object_mut() {
        map.extend(fields.into_iter().map(|(name, value)| (name.to_owned(), value)));
    }
    object
}
