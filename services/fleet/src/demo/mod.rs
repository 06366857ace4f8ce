//! `fleet demo`: the engine's story, headless, against the sandbox.
//!
//! Every chapter breaks something in the simulated world and waits until the engine has done what its rules ask for. The
//! world's clock is moved forward meanwhile, so that hours of quarantine and grace pass in seconds. The settings are
//! those of production.

mod chapters;
mod replicas;
mod story;

use std::time::Duration;

use anyhow::Context;
use chrono::Timelike;
use runtime::{Clock, Environment};
use sandbox::{Running, Sandbox, SandboxOptions};
use tokio_util::sync::CancellationToken;

use crate::{catalogue, cli::Demo, servers::Servers, supervisor::Supervisor, up};
use story::Story;

/// Edges of the demo's network: enough for every kind, few enough for quick cycles.
const EDGES: usize = 80;
/// How long the services have to start.
const START: Duration = Duration::from_secs(60);
/// The story begins at this hour, UTC: morning in all of the simulated sites, so that the day's grace counts.
const BEGINS_AT_HOUR: u32 = 17;

/// Settings of production, which the sandbox shortens.
const PRODUCTION: [(&str, &str); 8] = [
    ("MONITORING__MONITORING_JOB_INTERVAL", "600"),
    ("MONITORING__QUARANTINE_FOR_EDGES_IN_LINK_DOWN_OUTAGE", "180"),
    ("MONITORING__QUARANTINE_FOR_EDGES_IN_HARD_DOWN_OUTAGE", "180"),
    ("MONITORING__QUARANTINE_FOR_EDGES_IN_HA_LINK_DOWN_OUTAGE", "180"),
    ("MONITORING__QUARANTINE_FOR_EDGES_IN_HA_SOFT_DOWN_OUTAGE", "180"),
    ("MONITORING__QUARANTINE_FOR_EDGES_IN_HA_HARD_DOWN_OUTAGE", "180"),
    ("MONITORING__GRACE_PERIOD_BEFORE_ATTEMPTING_NEW_DIGI_REBOOTS", "1800"),
    ("TRIAGE__MONITORING_JOB_INTERVAL", "600"),
];

/// Runs the story.
///
/// # Errors
/// When a step did not happen, or the fleet does not start.
pub async fn run(options: Demo, stop: CancellationToken) -> anyhow::Result<()> {
    let clock = Clock::shifted();
    let hours = (24 + BEGINS_AT_HOUR - clock.now().hour()) % 24;
    clock.advance(Duration::from_secs(u64::from(hours) * 3600));
    let servers = Servers::start(Environment::default()).await?;
    let sandbox = SandboxOptions {
        clock: clock.clone(),
        edges: EDGES,
        seed: options.seed,
        ..SandboxOptions::default()
    };
    let sandbox = Sandbox::start(sandbox).await.context("the sandbox does not start")?;
    let supervisor = start_services(&servers, &sandbox, &clock);
    supervisor.started(START).await?;
    let mut story = Story::new(sandbox.world().clone());
    println!("The engine runs: {} instances, {EDGES} simulated edges.", supervisor.views().len());
    let telling = async {
        // In real time, on a stage of its own: meanwhile.
        let (told, replicas) = tokio::join!(chapters::tell(&mut story), replicas::tell(options.seed));
        told?;
        story.add(replicas::TITLE, replicas?);
        anyhow::Ok(())
    };
    let told = tokio::select! {
        told = telling => told,
        () = stop.cancelled() => Err(anyhow::anyhow!("interrupted")),
    };
    supervisor.stop().await;
    sandbox.stop().await;
    told?;
    story.verdict()
}

fn start_services(servers: &Servers, sandbox: &Running, clock: &Clock) -> Supervisor {
    let none = Environment::default();
    let mut instances = Vec::new();
    for service in catalogue::all() {
        let environment = up::environment_of(service.name(), &none, servers, Some(sandbox));
        let environment = environment.merged(&Environment::from(PRODUCTION));
        instances.extend(catalogue::instances(&service, &environment, sandbox.hosts()));
    }
    Supervisor::start(instances, clock)
}
