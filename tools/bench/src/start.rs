//! From the start of each service to its readiness, and its memory when it has nothing to do, in front of the sandbox.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::bail;
use sandbox::{Running, Sandbox, SandboxOptions};
use testkit::{Nats, NatsOptions, Redis, RedisOptions};

use crate::Effort;
use crate::load::{self, time};
use crate::process::{Memory, Program};
use crate::report::{Report, Row, Target};

/// The services in an order in which each finds whom it asks at its start.
const SERVICES: [&str; 6] = [
    "bruin-bridge",
    "velocloud-bridge",
    "digi-bridge",
    "notifier",
    "customer-cache",
    "service-outage-monitor",
];
const READY_WITHIN: Duration = Duration::from_secs(60);
/// How long a service settles before its memory is read.
const SETTLE: Duration = Duration::from_secs(3);
/// Targets: start to ready in seconds, memory of an idle bridge in MB.
const READY: f64 = 0.2;
const IDLE: f64 = 15.0;

/// Measures and reports.
pub(crate) async fn measure(report: &mut Report, effort: Effort, binaries: &Path) -> anyhow::Result<()> {
    let nats = Nats::try_start(NatsOptions { jetstream: true, ..NatsOptions::default() }).await?;
    let redis = Redis::try_start(RedisOptions::default()).await?;
    let sandbox = Sandbox::start(SandboxOptions::default()).await?;
    let bare = bare(&nats, effort).await?;
    let mut running = Vec::new();
    for service in SERVICES {
        let environment = environment(service, &nats, &redis, &sandbox);
        let mut times = Vec::new();
        for round in 0..effort.rounds {
            let (program, port) = Program::service(binaries, service, &environment).await?;
            times.push(until_ready(port).await?.duration_since(program.began()));
            if round + 1 < effort.rounds {
                program.stop().await?;
            } else {
                running.push((service, load::median(&times, Duration::as_secs_f64), program));
            }
        }
    }
    tokio::time::sleep(SETTLE).await;
    for (service, ready, program) in &running {
        let memory = program.memory()?;
        let mut targets = vec![Target::below("ready", " s", ready.as_secs_f64(), READY)];
        if service.ends_with("-bridge") {
            targets.push(Target::below("idle", " MB", memory.resident, IDLE));
        }
        report.add(Row {
            what: format!("{service}: start to ready, idle memory"),
            ours: format!("{}, {}", time(*ready), shown(&memory)),
            limit: format!("bare loop: {}, {}", time(bare.0), shown(&bare.1)),
            ratio: Some(memory.resident / bare.1.resident),
            target: Some(Target::all(targets)),
        });
    }
    for (_, _, program) in running {
        program.stop().await?;
    }
    sandbox.stop().await;
    Ok(())
}

fn shown(memory: &Memory) -> String {
    format!(
        "{:.1} MB resident ({:.1} MB proportional, {:.1} MB anonymous)",
        memory.resident, memory.share, memory.anonymous
    )
}

/// A process with a NATS and an HTTP client and nothing else.
async fn bare(nats: &Nats, effort: Effort) -> anyhow::Result<(Duration, Memory)> {
    let mut measured = Vec::new();
    for round in 0..effort.rounds {
        let arguments = ["bare-loop", "--nats", &nats.url(), "--http", "http://127.0.0.1:9"];
        let (program, _) = Program::helper(&arguments).await?;
        let took = program.began().elapsed();
        if round + 1 == effort.rounds {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        measured.push((took, program.memory()?));
    }
    let memory = measured.last().map(|(_, memory)| *memory).unwrap_or_default();
    let times: Vec<Duration> = measured.iter().map(|(time, _)| *time).collect();
    Ok((load::median(&times, Duration::as_secs_f64), memory))
}

fn environment(service: &str, nats: &Nats, redis: &Redis, sandbox: &Running) -> Vec<(String, String)> {
    let mut environment = sandbox.environment_for(service);
    environment.push(("NATS_SERVER1".to_owned(), nats.url()));
    for prefix in ["REDIS", "REDIS_CUSTOMER_CACHE"] {
        environment.push((format!("{prefix}_HOSTNAME"), redis.host()));
        environment.push((format!("{prefix}_PORT"), redis.port().to_string()));
    }
    environment
}

/// Asks `/_ready` until it says yes; returns when that was.
pub(crate) async fn until_ready(port: u16) -> anyhow::Result<Instant> {
    let (began, http) = (Instant::now(), reqwest::Client::builder().no_proxy().build()?);
    while began.elapsed() < READY_WITHIN {
        if let Ok(answer) = http.get(format!("http://127.0.0.1:{port}/_ready")).send().await
            && answer.status().is_success()
        {
            return Ok(Instant::now());
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    bail!("a service is not ready after {READY_WITHIN:?}")
}
