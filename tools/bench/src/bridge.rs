//! Throughput and latency of bruin-bridge on `bruin.customer.get.info`, against a bare loop.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use async_nats::Client;
use bytes::Bytes;
use measure::figures::number;
use measure::{Program, Service};
use testkit::{Nats, NatsOptions, Redis, RedisOptions};

use crate::load::{self, Load};
use crate::report::{Report, Row, Target};
use crate::{Effort, bare_loop};

const SUBJECT: &str = "bruin.customer.get.info";
/// What the busy bridge must reach of the bare loop's throughput.
const TARGET: f64 = 0.8;

/// Measures and reports.
pub(crate) async fn measure(report: &mut Report, effort: Effort, binaries: &Path) -> anyhow::Result<()> {
    let nats = Nats::try_start(NatsOptions::default()).await?;
    let redis = Redis::try_start(RedisOptions::default()).await?;
    let (_canned, http) = Program::helper(&["canned"]).await?;
    let (bare, _) = Program::helper(&["bare-loop", "--nats", &nats.url(), "--http", &http]).await?;
    let bridge = Service::start(binaries, "bruin-bridge", &environment(&nats, &redis, &http), None).await?;
    bridge.until_ready().await?;
    // Longer than the bridge's own deadline, so that what it says then is seen.
    let patient = async_nats::ConnectOptions::new().request_timeout(Some(Duration::from_secs(60)));
    let client = patient.connect(nats.url()).await?;
    check(&client, SUBJECT).await?;
    check(&client, bare_loop::SUBJECT).await?;

    for in_flight in [1, 32, 128] {
        let ours = || one(&client, SUBJECT, in_flight, effort, &bridge.program);
        let limit = || one(&client, bare_loop::SUBJECT, in_flight, effort, &bare);
        let pair = load::in_turn(effort, ours, limit).await?;
        report.add(Row {
            what: format!("bruin-bridge, {in_flight} in flight"),
            ours: pair.ours.shown(),
            limit: format!("bare loop: {}", pair.bare.shown()),
            ratio: Some(pair.ratio),
            target: (in_flight == 128).then(|| Target::at_least("throughput", pair.ratio, TARGET)),
        });
    }
    Ok(())
}

/// What the bridge needs in front of the canned third party.
fn environment(nats: &Nats, redis: &Redis, http: &str) -> Vec<(String, String)> {
    [
        ("NATS_SERVER1", nats.url()),
        ("REDIS_HOSTNAME", redis.host()),
        ("REDIS_PORT", redis.port().to_string()),
        ("ENVIRONMENT_NAME", "bench".to_owned()),
        ("CURRENT_ENVIRONMENT", "production".to_owned()),
        ("TIMEZONE", "US/Eastern".to_owned()),
        ("BRUIN_BASE_URL", http.to_owned()),
        ("BRUIN_LOGIN_URL", http.to_owned()),
        ("BRUIN_CLIENT_ID", "bench".to_owned()),
        ("BRUIN_CLIENT_SECRET", "bench-secret".to_owned()),
        // The third party's patience is not what is measured.
        ("BRUIN_MAX_IN_FLIGHT", "1024".to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec()
}

/// One load, with what it costs `program`.
async fn one(
    client: &Client,
    subject: &'static str,
    in_flight: usize,
    effort: Effort,
    program: &Program,
) -> anyhow::Result<Load> {
    let (client, before) = (client.clone(), program.cpu()?);
    let load = load::closed_loop(in_flight, effort, move |number| {
        let client = client.clone();
        async move { ask(&client, subject, number).await.map(drop) }
    })
    .await?;
    let used = program.cpu()? - before;
    let cost = used * 1e6 / number(usize::try_from(load.total)?).max(1.0);
    Ok(Load { cost, ..load })
}

/// A request which no other one equals: the bridge lets equal ones share a call.
async fn ask(client: &Client, subject: &'static str, number: u64) -> anyhow::Result<Bytes> {
    let request = format!(r#"{{"request_id":"{number}","body":{{"service_number":"VC{number:07}"}}}}"#);
    let reply = client
        .request(subject, Bytes::from(request))
        .await
        .with_context(|| format!("no reply on {subject}"))?;
    ensure!(reply.payload.ends_with(br#""status":200}"#), "{subject} answers {:?}", reply.payload);
    Ok(reply.payload)
}

/// Both must do what they are measured at: the client of the very service number that was asked for.
async fn check(client: &Client, subject: &'static str) -> anyhow::Result<()> {
    let reply = ask(client, subject, 0).await?;
    let text = String::from_utf8_lossy(&reply);
    ensure!(text.contains("Example Corp"), "{subject} answers {text}");
    Ok(())
}
