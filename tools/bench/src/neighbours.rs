//! Everyone the outage monitor and the customer cache talk to, answering at once. The large lists are written once; each request for one gets
//! a token of its own, stored in Redis before the request comes.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Context;
use async_nats::{Client, Message};
use bytes::Bytes;
use clap::Args;
use contracts::{Rpc, bruin, customer_cache, velocloud};
use futures::StreamExt;
use parking_lot::Mutex;
use redis::AsyncCommands;
use redis::aio::MultiplexedConnection;
use serde_json::{Value, json};

use crate::network::Network;

/// Where they are and what they know.
#[derive(Args)]
pub struct Options {
    #[arg(long)]
    nats: String,
    #[arg(long)]
    redis: String,
    #[arg(long)]
    edges: usize,
}

/// Asked without a body it answers how many requests came on each subject, and forgets them.
const COUNTS: &str = "bench.counts";
/// What offloading asks for (spec `00-messaging`).
const INLINE: usize = 1_048_576;
/// The management status of every edge.
pub(crate) const MONITORED: &str = "Active – Platinum Monitoring";
/// Subjects on which the reply says nothing but that it was done.
const WRITES: [&str; 9] = [
    "bruin.ticket.note.append.request",
    "bruin.ticket.creation.outage.request",
    "bruin.ticket.status.open",
    "bruin.ticket.status.resolve",
    "bruin.ticket.unpause",
    "bruin.ticket.change.work",
    "bruin.change.ticket.severity",
    "notification.slack.request",
    "notification.email.request",
];

type Counts = Arc<Mutex<BTreeMap<String, usize>>>;

#[derive(Clone)]
struct Stage {
    nats: Client,
    redis: MultiplexedConnection,
    counts: Counts,
}

/// Asks them how many requests came on each subject since the last time.
pub(crate) async fn counts(client: &Client) -> anyhow::Result<BTreeMap<String, usize>> {
    let reply = client.request(COUNTS, Bytes::new()).await.context("the neighbours do not count")?;
    Ok(serde_json::from_slice(&reply.payload)?)
}

/// Answers until the process ends.
pub(crate) async fn run(options: &Options) -> anyhow::Result<()> {
    let redis = redis::Client::open(options.redis.as_str())?.get_multiplexed_async_connection().await?;
    let stage = Stage { nats: async_nats::connect(&options.nats).await?, redis, counts: Counts::default() };
    let network = Network { edges: options.edges };

    stage.list(customer_cache::GetCustomerCache::SUBJECT, network.cache()).await?;
    stage.list(velocloud::LinksWithEdgeInfo::SUBJECT, network.links()).await?;
    stage.list(velocloud::NetworkEnterpriseEdges::SUBJECT, network.edges()).await?;
    stage.answer(velocloud::EdgeEvents::SUBJECT, |_| json!([])).await?;
    stage.answer(bruin::BasicTickets::SUBJECT, move |request| network.tickets(request)).await?;
    stage.answer(bruin::TicketDetails::SUBJECT, Network::details).await?;
    // What the customer cache asks.
    stage.answer(velocloud::EnterpriseEdges::SUBJECT, move |request| network.of_enterprise(request)).await?;
    let configuration = json!([{"interfaces": ["GE1"], "mode": "PUBLIC", "type": "WIRED"}]);
    stage.answer(velocloud::LinksConfiguration::SUBJECT, move |_| configuration.clone()).await?;
    stage.answer(bruin::ClientInfo::SUBJECT, Network::client).await?;
    stage.answer(bruin::ManagementStatus::SUBJECT, |_| json!(MONITORED)).await?;
    stage.answer(bruin::SiteDetails::SUBJECT, Network::site).await?;
    for write in WRITES {
        stage.answer(write, |_| json!({})).await?;
    }
    let mut questions = stage.nats.subscribe(COUNTS).await?;
    stage.nats.flush().await?;
    measure::say("");
    while let Some(question) = questions.next().await {
        let counts = std::mem::take(&mut *stage.counts.lock());
        if let Some(to) = question.reply {
            stage.nats.publish(to, Bytes::from(json!(counts).to_string())).await?;
        }
    }
    Ok(())
}

impl Stage {
    async fn subscribe(&self, subject: &'static str) -> anyhow::Result<async_nats::Subscriber> {
        Ok(self.nats.queue_subscribe(subject, "bench".to_owned()).await?)
    }

    fn count(&self, message: &Message) {
        *self.counts.lock().entry(message.subject.to_string()).or_default() += 1;
    }

    /// Answers with a body made from the request's.
    async fn answer(
        &self,
        subject: &'static str,
        body: impl Fn(&Value) -> Value + Send + 'static,
    ) -> anyhow::Result<()> {
        let (stage, mut requests) = (self.clone(), self.subscribe(subject).await?);
        tokio::spawn(async move {
            while let Some(message) = requests.next().await {
                stage.count(&message);
                let request: Value = serde_json::from_slice(&message.payload).unwrap_or_default();
                let body = body(request.get("body").unwrap_or(&Value::Null));
                let id = request.get("request_id").unwrap_or(&Value::Null);
                let reply = json!({"request_id": id, "body": body, "status": 200});
                if let Some(to) = message.reply {
                    let _ = stage.nats.publish(to, Bytes::from(reply.to_string())).await;
                }
            }
        });
        Ok(())
    }

    /// Answers always the same, by a token when it is large.
    async fn list(&self, subject: &'static str, reply: String) -> anyhow::Result<()> {
        let (stage, mut requests) = (self.clone(), self.subscribe(subject).await?);
        let reply = Bytes::from(reply);
        let mut next = stage.ready(subject, 0, &reply).await?;
        tokio::spawn(async move {
            let mut number = 0;
            while let Some(message) = requests.next().await {
                stage.count(&message);
                if let Some(to) = message.reply {
                    let _ = stage.nats.publish(to, next.clone()).await;
                }
                number += 1;
                match stage.ready(subject, number, &reply).await {
                    Ok(stored) => next = stored,
                    Err(error) => eprintln!("the neighbours: {error:#}"),
                }
            }
        });
        Ok(())
    }

    /// The message for the next request.
    async fn ready(&self, subject: &str, number: usize, reply: &Bytes) -> anyhow::Result<Bytes> {
        if reply.len() <= INLINE {
            return Ok(reply.clone());
        }
        let key = format!("bench:{subject}:{number}");
        let () = self.redis.clone().set_ex(&key, &reply[..], 300).await?;
        Ok(Bytes::from(json!({"token": key, "is_stored": true}).to_string()))
    }
}
