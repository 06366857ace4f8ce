//! The practical limit of a bridge: NATS to HTTP to NATS by the same libraries on the same number of threads, with no
//! checks, deadlines, bounds, spans or metrics, and the answer passed on unread.

use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use clap::Args;
use futures::StreamExt;
use serde::Deserialize;
use serde_json::value::RawValue;

/// Where it stands between.
#[derive(Args)]
pub struct Options {
    #[arg(long)]
    nats: String,
    #[arg(long)]
    http: String,
}

/// The subject it answers: not the bridge's.
pub(crate) const SUBJECT: &str = "bench.bare.get.info";

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    request_id: &'a RawValue,
    body: Body<'a>,
}

#[derive(Deserialize)]
struct Body<'a> {
    service_number: &'a str,
}

/// Answers until the process ends.
pub(crate) async fn run(options: &Options) -> anyhow::Result<()> {
    let nats = async_nats::connect(&options.nats).await?;
    let http = reqwest::Client::builder().tcp_nodelay(true).no_proxy().build()?;
    let mut requests = nats.queue_subscribe(SUBJECT, "bench".to_owned()).await?;
    nats.flush().await?;
    measure::say("");
    while let Some(message) = requests.next().await {
        let (nats, http, base) = (nats.clone(), http.clone(), options.http.clone());
        tokio::spawn(async move {
            if let Err(error) = answer(&nats, &http, &base, message).await {
                eprintln!("the bare loop: {error:#}");
            }
        });
    }
    Ok(())
}

async fn answer(
    nats: &async_nats::Client,
    http: &reqwest::Client,
    base: &str,
    message: async_nats::Message,
) -> anyhow::Result<()> {
    let envelope: Envelope<'_> = serde_json::from_slice(&message.payload)?;
    let url = format!("{base}/api/Inventory?ServiceNumber={}", envelope.body.service_number);
    let call = http.get(url).timeout(Duration::from_secs(30)).header("authorization", "Bearer bench");
    let answer = call.send().await?.bytes().await?;
    let body = std::str::from_utf8(&answer)?;
    let reply = format!(r#"{{"request_id":{},"body":{body},"status":200}}"#, envelope.request_id);
    nats.publish(message.reply.context("no reply subject")?, Bytes::from(reply)).await?;
    Ok(())
}
