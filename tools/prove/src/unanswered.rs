//! A million requests that nobody answers leave nothing behind in the requester.

use std::time::Duration;

use anyhow::Context;
use bus::{Bus, BusOptions};
use clap::Args;
use futures::StreamExt;
use futures::future::BoxFuture;
use measure::Program;
use measure::figures::count;
use serde_json::{Value, json};
use testkit::{Nats, NatsOptions, Redis, RedisOptions};

use crate::experiment::{Experiment, Lab, Outcome, Promise};
use crate::stage::until;

/// Heard, never answered.
const SUBJECT: &str = "prove.silence";
/// Requests at the same time.
const IN_FLIGHT: usize = 256;
/// What a requester waits.
const WITHIN: Duration = Duration::from_millis(5);
/// What the memory may grow by from the first tenth to the end, in MB: what an allocator moves to and fro.
const GROWTH: f64 = 2.0;

/// See the module.
pub(crate) struct Unanswered;

/// The requester, a process of its own.
#[derive(Args)]
pub(crate) struct Options {
    #[arg(long)]
    nats: String,
    #[arg(long)]
    redis_host: String,
    #[arg(long)]
    redis_port: u16,
    #[arg(long)]
    requests: usize,
}

impl Experiment for Unanswered {
    fn name(&self) -> &'static str {
        "unanswered"
    }

    fn about(&self) -> &'static str {
        "a process sends requests that are received and never answered, and waits for each until its deadline"
    }

    fn promises(&self) -> &'static [Promise] {
        &[Promise::P6]
    }

    fn run<'a>(&'a self, lab: &'a Lab) -> BoxFuture<'a, anyhow::Result<Outcome>> {
        Box::pin(run(lab))
    }
}

async fn run(lab: &Lab) -> anyhow::Result<Outcome> {
    let nats = Nats::try_start(NatsOptions::default()).await?;
    let redis = Redis::try_start(RedisOptions::default()).await?;
    let client = async_nats::connect(nats.url()).await?;
    let mut heard = client.subscribe(SUBJECT).await?;
    client.flush().await?;
    let listening = tokio::spawn(async move {
        let mut number = 0_usize;
        while heard.next().await.is_some() {
            number += 1;
        }
        number
    });
    let requests = lab.effort.pick(50_000, 1_000_000);
    let (url, host, port) = (nats.url(), redis.host(), redis.port().to_string());
    let arguments = [
        "unanswered",
        "--nats",
        &url,
        "--redis-host",
        &host,
        "--redis-port",
        &port,
        "--requests",
        &requests.to_string(),
    ]
    .map(str::to_owned);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let said = Program::helper_result(&arguments).await?;
    let said: Value = serde_json::from_str(&said).with_context(|| format!("the requester says {said}"))?;
    client.drain().await?;
    let heard = listening.await?;
    let figure = |name: &str| said.get(name).and_then(Value::as_f64).unwrap_or(f64::NAN);
    let (early, late) = (figure("early"), figure("late"));
    let mut outcome = Outcome::default();
    outcome.figure("requests", count(requests));
    outcome.figure("received by the listener", count(heard));
    outcome.figure("seconds", format!("{:.1}", figure("seconds")));
    outcome.figure("memory after a tenth", format!("{early:.1} MB"));
    outcome.check(
        format!("growth from then to the end below {GROWTH} MB"),
        late - early < GROWTH,
        format!("{:.1} MB, to {late:.1} MB", late - early),
    );
    let waiting = figure("waiting");
    outcome.check("requests still waited for at the end: none", waiting < 0.5, waiting);
    let timeouts = figure("timeouts");
    let all = measure::figures::number(requests);
    outcome.check("every one ends as timed out", timeouts.total_cmp(&all).is_eq(), format!("{timeouts}"));
    Ok(outcome)
}

/// The requester: sends all, and says what its memory was.
pub(crate) async fn ask(options: &Options) -> anyhow::Result<()> {
    let bus = BusOptions::new("prove", options.nats.clone(), options.redis_host.clone(), options.redis_port);
    let bus = Bus::connect(bus, &prometheus::Registry::new()).await?;
    let connected = bus.clone();
    until("the requester is connected", || connected.connected()).await?;
    let began = std::time::Instant::now();
    let tenth = options.requests / 10;
    let mut timeouts = send(&bus, tenth).await;
    let early = measure::memory("self")?.resident;
    timeouts += send(&bus, options.requests - tenth).await;
    let late = measure::memory("self")?.resident;
    let said = json!({
        "early": early, "late": late, "waiting": bus.requests_waiting(), "timeouts": timeouts,
        "seconds": began.elapsed().as_secs_f64(),
    });
    measure::say(&said.to_string());
    Ok(())
}

/// How many timed out.
async fn send(bus: &Bus, requests: usize) -> usize {
    let each = futures::stream::iter(0..requests).map(|number| {
        let bus = bus.clone();
        async move {
            let envelope = json!({"request_id": number.to_string(), "body": {}});
            matches!(bus.exchange_raw(SUBJECT, envelope, WITHIN).await, Err(error) if error.kind() == "timeout")
        }
    });
    each.buffer_unordered(IN_FLIGHT).filter(|timed_out| std::future::ready(*timed_out)).count().await
}
