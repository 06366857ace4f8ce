//! From the start of each service to its readiness, and its memory when it has nothing to do, in front of the sandbox.

use std::path::Path;
use std::time::Duration;

use measure::figures::{median, time};
use measure::{Memory, Program, Service};
use sandbox::{Running, Sandbox, SandboxOptions};
use testkit::{Nats, NatsOptions, Redis, RedisOptions};

use crate::Effort;
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
/// How long a service settles before its memory is read; the next one starts after that.
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
            let started = Service::start(binaries, service, &environment, None).await?;
            times.push(started.until_ready().await?.duration_since(started.program.began()));
            if round + 1 < effort.rounds {
                started.program.stop().await?;
            } else {
                // Before the next service gives it something to do.
                tokio::time::sleep(SETTLE).await;
                let memory = started.program.memory()?;
                running.push((service, median(&times, Duration::as_secs_f64), memory, started.program));
            }
        }
    }
    for (service, ready, memory, _) in &running {
        let mut targets = vec![Target::below("ready", " s", ready.as_secs_f64(), READY)];
        if service.ends_with("-bridge") {
            targets.push(Target::below("idle", " MB", memory.resident, IDLE));
        }
        report.add(Row {
            what: format!("{service}: start to ready, idle memory"),
            ours: format!("{}, {}", time(*ready), shown(memory)),
            limit: format!("bare loop: {}, {}", time(bare.0), shown(&bare.1)),
            ratio: Some(memory.resident / bare.1.resident),
            target: Some(Target::all(targets)),
        });
    }
    for (_, _, _, program) in running {
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
    Ok((median(&times, Duration::as_secs_f64), memory))
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
