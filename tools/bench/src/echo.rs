//! libs/bus against what it is made of: small requests against the bare NATS client, large replies against bare Redis
//! and against the same bytes in a NATS message.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use async_nats::Client;
use bus::{Bus, BusOptions, Reply};
use bytes::Bytes;
use contracts::{Effect, Incoming, Rejected, Request, Rpc};
use futures::StreamExt;
use measure::figures::{per_second, time};
use redis::AsyncCommands;
use serde::Serialize;
use serde_json::value::RawValue;
use testkit::{Nats, NatsOptions, Redis, RedisOptions};

use crate::Effort;
use crate::load::{self, Load};
use crate::report::{Report, Row};

/// The body of a small request, in bytes.
const SMALL: usize = 128;
const MIB: usize = 1 << 20;
const BARE: &str = "bench.bare.echo";
const BARE_LARGE: &str = "bench.bare.large";

/// Any body.
#[derive(Clone, Serialize)]
#[serde(transparent)]
struct Body(Box<RawValue>);

impl Request for Body {
    fn parse(incoming: &Incoming<'_>) -> Result<Self, Rejected> {
        incoming.body().map(|body| Self(body.to_owned())).ok_or_else(Rejected::null)
    }
}

macro_rules! subject {
    ($name:ident, $subject:literal) => {
        struct $name;

        impl Rpc for $name {
            const SUBJECT: &'static str = $subject;
            const QUEUE: &'static str = "bench";
            const EFFECT: Effect = Effect::Read;
            const TIMEOUT: Duration = Duration::from_secs(30);
            const ANSWER_WITHIN: Duration = Duration::from_secs(25);
            type Request = Body;
            type Reply = Box<RawValue>;
        }
    };
}

subject!(Echo, "bench.echo");
subject!(Large, "bench.large");

struct Stage {
    nats: Nats,
    redis: Redis,
}

impl Stage {
    async fn new() -> anyhow::Result<Self> {
        // Large messages in band are what offloading is compared with.
        let options = NatsOptions { max_payload: Some(16 * MIB), ..NatsOptions::default() };
        Ok(Self {
            nats: Nats::try_start(options).await?,
            redis: Redis::try_start(RedisOptions::default()).await?,
        })
    }

    async fn bus(&self) -> anyhow::Result<Bus> {
        let options = BusOptions::new("bench", self.nats.url(), self.redis.host(), self.redis.port());
        Ok(Bus::connect(options, &prometheus::Registry::new()).await?)
    }

    async fn client(&self) -> anyhow::Result<Client> {
        Ok(async_nats::connect(self.nats.url()).await?)
    }
}

/// Small requests.
pub(crate) async fn measure(report: &mut Report, effort: Effort) -> anyhow::Result<()> {
    let stage = Stage::new().await?;
    let (replier, requester) = (stage.bus().await?, stage.bus().await?);
    replier.serve::<Echo, _, _>(async |call| Reply::raw(200, call.request.0)).await?;
    let (bare_replier, bare_requester) = (stage.client().await?, stage.client().await?);
    answer_bare(bare_replier, BARE, |payload| payload).await?;
    let body = Body(serde_json::value::to_raw_value(&"x".repeat(SMALL))?);
    let bare_body = Bytes::from(format!(r#"{{"request_id":"7GkPq2mWvX9cRtYbN4hJsE","body":{}}}"#, body.0));

    for in_flight in [1, 32, 128] {
        let ours = || {
            let (bus, body) = (requester.clone(), body.clone());
            load::closed_loop(in_flight, effort, move |_| {
                let (bus, body) = (bus.clone(), body.clone());
                async move { Ok(bus.request::<Echo>(&body).await.map(drop)?) }
            })
        };
        let bare = || bare_load(&bare_requester, BARE, &bare_body, in_flight, effort);
        let pair = load::in_turn(effort, ours, bare).await?;
        report.add(Row {
            what: format!("bus echo of {SMALL} bytes, {in_flight} in flight"),
            ours: pair.ours.shown(),
            limit: format!("bare NATS client: {}", pair.bare.shown()),
            ratio: Some(pair.ratio),
            target: None,
        });
    }
    replier.drain(Duration::from_secs(5)).await;
    Ok(())
}

/// Replies above 1 MiB.
pub(crate) async fn measure_payloads(report: &mut Report, effort: Effort) -> anyhow::Result<()> {
    let stage = Stage::new().await?;
    for mib in [2, 8] {
        let (replier, requester) = (stage.bus().await?, stage.bus().await?);
        let large = serde_json::value::to_raw_value(&"x".repeat(mib * MIB))?;
        let envelope = Bytes::from(format!(r#"{{"request_id":null,"body":{large},"status":200}}"#));
        let large: Arc<RawValue> = Arc::from(large);
        replier
            .serve::<Large, _, _>(move |_| {
                let large = Arc::clone(&large);
                async move { Reply::raw(200, (*large).to_owned()) }
            })
            .await?;
        let (bare_replier, bare_requester) = (stage.client().await?, stage.client().await?);
        let (subject, reply) = (format!("{BARE_LARGE}.{mib}"), envelope.clone());
        answer_bare(bare_replier, &subject, move |_| reply.clone()).await?;
        for in_flight in [1, 16] {
            let nothing = Body(RawValue::NULL.to_owned());
            let ours = || {
                let (bus, body) = (requester.clone(), nothing.clone());
                load::closed_loop(in_flight, effort, move |_| {
                    let (bus, body) = (bus.clone(), body.clone());
                    async move { Ok(bus.exchange::<Large>(&body, Large::TIMEOUT).await.map(drop)?) }
                })
            };
            let redis = || bare_redis(&stage.redis, &envelope, in_flight, effort);
            let pair = load::in_turn(effort, ours, redis).await?;
            let in_band = bare_load(&bare_requester, &subject, &Bytes::new(), in_flight, effort).await?;
            let brief = |load: &Load| format!("{}, p50 {}", per_second(load.rate), time(load.p50));
            report.add(Row {
                what: format!("bus reply of {mib} MiB through Redis, {in_flight} in flight"),
                ours: brief(&pair.ours),
                limit: format!("bare SET and GET: {} (in band: {})", brief(&pair.bare), brief(&in_band)),
                ratio: Some(pair.ratio),
                target: None,
            });
        }
        replier.drain(Duration::from_secs(5)).await;
    }
    Ok(())
}

/// Answers a subject with the bare client.
async fn answer_bare(
    client: Client,
    subject: &str,
    answer: impl Fn(Bytes) -> Bytes + Send + 'static,
) -> anyhow::Result<()> {
    let mut requests = client.queue_subscribe(subject.to_owned(), "bench".to_owned()).await?;
    client.flush().await?;
    tokio::spawn(async move {
        while let Some(message) = requests.next().await {
            if let Some(to) = message.reply {
                let _ = client.publish(to, answer(message.payload)).await;
            }
        }
    });
    Ok(())
}

async fn bare_load(
    client: &Client,
    subject: &str,
    payload: &Bytes,
    in_flight: usize,
    effort: Effort,
) -> anyhow::Result<Load> {
    let (client, subject, payload) = (client.clone(), async_nats::Subject::from(subject), payload.clone());
    load::closed_loop(in_flight, effort, move |_| {
        let (client, subject, payload) = (client.clone(), subject.clone(), payload.clone());
        async move { Ok(client.request(subject, payload).await.map(drop)?) }
    })
    .await
}

/// Stores and fetches a payload: writer and reader have a connection each, as replier and requester do.
async fn bare_redis(
    redis: &Redis,
    payload: &Bytes,
    in_flight: usize,
    effort: Effort,
) -> anyhow::Result<Load> {
    let client = redis::Client::open(redis.url())?;
    let writer = client.get_multiplexed_async_connection().await.context("Redis")?;
    let reader = client.get_multiplexed_async_connection().await.context("Redis")?;
    let payload = payload.clone();
    load::closed_loop(in_flight, effort, move |number| {
        let (mut writer, mut reader, payload) = (writer.clone(), reader.clone(), payload.clone());
        async move {
            let key = format!("bench:{number}");
            let () = writer.set_ex(&key, &payload[..], 300).await?;
            let read: Vec<u8> = reader.get_del(&key).await?;
            anyhow::ensure!(read.len() == payload.len(), "Redis lost a payload");
            Ok(())
        }
    })
    .await
}
