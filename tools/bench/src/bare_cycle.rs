//! What no cycle can do without: fetch the three lists, read the few fields that matter, join them by serial number, and
//! ask once for each customer. No decisions, no ledger, no checks.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::time::Instant;

use anyhow::Context;
use async_nats::Client;
use bytes::Bytes;
use clap::Args;
use contracts::{Rpc, bruin, customer_cache, velocloud};
use futures::{StreamExt, TryStreamExt, stream};
use redis::AsyncCommands;
use serde::Deserialize;
use serde_json::json;

/// Where the neighbours are.
#[derive(Args)]
pub struct Options {
    #[arg(long)]
    nats: String,
    #[arg(long)]
    redis: String,
}

/// Questions at the same time, as the monitor has them.
const CONCURRENCY: usize = 5;

#[derive(Deserialize)]
struct Token<'a> {
    token: &'a str,
}

#[derive(Deserialize)]
struct List<T> {
    body: Vec<T>,
}

#[derive(Deserialize)]
struct Cached<'a> {
    #[serde(borrow)]
    serial_number: Cow<'a, str>,
    bruin_client_info: ClientInfo,
}

#[derive(Deserialize)]
struct ClientInfo {
    client_id: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Link<'a> {
    #[serde(borrow)]
    edge_serial_number: Cow<'a, str>,
    #[serde(borrow)]
    edge_state: Cow<'a, str>,
    #[serde(borrow)]
    link_state: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Edge<'a> {
    #[serde(borrow)]
    serial_number: Cow<'a, str>,
    #[serde(borrow)]
    ha_state: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Ticket {
    #[serde(rename = "ticketID")]
    id: u64,
}

/// One cycle. Says seconds, processor time and peak memory, and how many edges were down.
pub(crate) async fn run(options: &Options) -> anyhow::Result<()> {
    let nats = async_nats::connect(&options.nats).await?;
    let redis = redis::Client::open(options.redis.as_str())?;
    let mut redis = redis.get_multiplexed_async_connection().await?;
    let began = Instant::now();

    let mut clients: HashMap<String, u64> = HashMap::new();
    let cache = fetch(&nats, &mut redis, customer_cache::GetCustomerCache::SUBJECT).await?;
    for edge in serde_json::from_slice::<List<Cached<'_>>>(&cache)?.body {
        clients.insert(edge.serial_number.into_owned(), edge.bruin_client_info.client_id);
    }
    drop(cache);
    let links = fetch(&nats, &mut redis, velocloud::LinksWithEdgeInfo::SUBJECT).await?;
    let edges = fetch(&nats, &mut redis, velocloud::NetworkEnterpriseEdges::SUBJECT).await?;
    let links = serde_json::from_slice::<List<Link<'_>>>(&links)?.body;
    let edges = serde_json::from_slice::<List<Edge<'_>>>(&edges)?.body;
    let states: HashMap<&str, &str> =
        edges.iter().map(|edge| (edge.serial_number.as_ref(), edge.ha_state.as_ref())).collect();
    let (mut down, mut healthy) = (0, HashSet::new());
    for link in links.iter().filter(|link| states.contains_key(link.edge_serial_number.as_ref())) {
        if link.edge_state == "OFFLINE" || link.link_state == "DISCONNECTED" {
            down += 1;
        } else if let Some(client) = clients.get(link.edge_serial_number.as_ref()) {
            healthy.insert(*client);
        }
    }
    let tickets: Vec<Vec<Ticket>> = stream::iter(healthy)
        .map(|client| {
            let body = json!({
                "ticket_statuses": ["New", "InProgress", "Draft"], "ticket_topic": "VOO",
                "product_category": "SD-WAN", "client_id": client,
            });
            ask::<List<Ticket>>(&nats, bruin::BasicTickets::SUBJECT, body)
        })
        .buffer_unordered(CONCURRENCY)
        .map_ok(|list| list.body)
        .try_collect()
        .await?;
    let details = stream::iter(tickets.iter().flatten())
        .map(|ticket| {
            let body = json!({"ticket_id": ticket.id});
            ask::<serde_json::Value>(&nats, bruin::TicketDetails::SUBJECT, body)
        })
        .buffer_unordered(CONCURRENCY);
    let details: Vec<_> = details.try_collect().await?;
    let took = began.elapsed().as_secs_f64();
    let figures = json!({
        "seconds": took, "cpu": measure::cpu("self")?, "peak": measure::memory("self")?.peak,
        "down": down, "details": details.len(),
    });
    measure::say(&figures.to_string());
    Ok(())
}

async fn fetch(
    nats: &Client,
    redis: &mut redis::aio::MultiplexedConnection,
    subject: &'static str,
) -> anyhow::Result<Bytes> {
    let request = json!({"request_id": "bench", "body": {}}).to_string();
    let reply = nats.request(subject, Bytes::from(request)).await.with_context(|| subject)?.payload;
    match serde_json::from_slice::<Token<'_>>(&reply) {
        Ok(token) => {
            let stored: Vec<u8> = redis.get_del(token.token).await?;
            Ok(Bytes::from(stored))
        }
        Err(_) => Ok(reply),
    }
}

async fn ask<T: for<'de> Deserialize<'de>>(
    nats: &Client,
    subject: &'static str,
    body: serde_json::Value,
) -> anyhow::Result<T> {
    let request = json!({"request_id": "bench", "body": body}).to_string();
    let reply = nats.request(subject, Bytes::from(request)).await.with_context(|| subject)?;
    Ok(serde_json::from_slice(&reply.payload)?)
}
