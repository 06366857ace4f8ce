//! Echo through a real server: what one request costs, and how many pass at 1, 32 and 128 in flight.
#![allow(missing_docs, clippy::unwrap_used, reason = "a benchmark")]

use std::time::{Duration, Instant};

use bus::{Bus, BusOptions, Reply};
use contracts::{Effect, Incoming, Rejected, Request, Rpc};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use futures::future::join_all;
use serde::Serialize;
use serde_json::value::RawValue;
use testkit::{Nats, Redis};

#[derive(Clone, Serialize)]
#[serde(transparent)]
struct Body(Box<RawValue>);

impl Request for Body {
    fn parse(incoming: &Incoming<'_>) -> Result<Self, Rejected> {
        incoming.body().map(|body| Self(body.to_owned())).ok_or_else(Rejected::null)
    }
}

struct Echo;

impl Rpc for Echo {
    const SUBJECT: &'static str = "bench.echo";
    const QUEUE: &'static str = "bench";
    const EFFECT: Effect = Effect::Read;
    const TIMEOUT: Duration = Duration::from_secs(10);
    const ANSWER_WITHIN: Duration = Duration::from_secs(8);
    type Request = Body;
    type Reply = Box<RawValue>;
}

fn echo(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (nats, redis) = runtime.block_on(async { tokio::join!(Nats::start(), Redis::start()) });
    let connect = async || {
        let options = BusOptions::new("bench", nats.url(), redis.host(), redis.port());
        Bus::connect(options, &prometheus::Registry::new()).await.unwrap()
    };
    let (client, server) = runtime.block_on(async { tokio::join!(connect(), connect()) });
    runtime.block_on(server.serve::<Echo, _, _>(async |call| Reply::ok(&call.request))).unwrap();

    let mut group = criterion.benchmark_group("echo");
    for (size, in_flight) in [(128, 1), (128, 32), (128, 128), (65_536, 1), (65_536, 16), (2_000_000, 1)] {
        let body = Body(serde_json::value::to_raw_value(&"x".repeat(size)).unwrap());
        group.throughput(Throughput::Elements(1));
        group.bench_function(BenchmarkId::new(format!("{size} B"), in_flight), |bench| {
            bench.to_async(&runtime).iter_custom(async |rounds| {
                let began = Instant::now();
                let each = rounds.div_ceil(in_flight);
                join_all((0..in_flight).map(|_| {
                    let (client, body) = (client.clone(), body.clone());
                    tokio::spawn(async move {
                        for _ in 0..each {
                            client.request::<Echo>(&body).await.unwrap();
                        }
                    })
                }))
                .await;
                began.elapsed()
            });
        });
    }
    group.finish();
    runtime.block_on(server.drain(Duration::from_secs(5)));
}

criterion_group!(benches, echo);
criterion_main!(benches);
