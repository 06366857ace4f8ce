//! One cycle of outage monitoring over networks of several sizes, against a bare cycle.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use contracts::{Rpc, bruin};
use measure::figures::{median, number, thousands, time};
use measure::{Program, Service};
use serde::Deserialize;
use testkit::{Nats, NatsOptions, Redis, RedisOptions};

use crate::network::{HOST, Network};
use crate::report::{Report, Row, Target};
use crate::{Effort, neighbours};

const SERVICE: &str = "service-outage-monitor";
const JOB: &str = "monitoring_cycle";
const PATIENCE: Duration = Duration::from_secs(300);

/// The size the targets are about.
const MEDIUM: usize = 10_000;
/// The largest network, and how many times the medium one it may cost.
const LARGE: usize = 100_000;
const TIMES: f64 = 12.0;

/// What one cycle took.
#[derive(Debug, Clone, Default)]
pub struct Cycle {
    /// Of the cycle alone.
    pub seconds: f64,
    /// Processor time of the whole process, its start included, in seconds.
    pub cpu: f64,
    /// The most memory, in MB.
    pub peak: f64,
    /// Requests sent, by subject.
    pub requests: BTreeMap<String, usize>,
}

impl Cycle {
    fn lookups(&self) -> f64 {
        number(self.asked(bruin::BasicTickets::SUBJECT))
    }

    fn details(&self) -> usize {
        self.asked(bruin::TicketDetails::SUBJECT)
    }

    fn asked(&self, subject: &str) -> usize {
        self.requests.get(subject).copied().unwrap_or_default()
    }

    fn shown(&self) -> String {
        format!(
            "CPU {}, {}, peak {:.0} MB",
            time(Duration::from_secs_f64(self.cpu)),
            time(Duration::from_secs_f64(self.seconds)),
            self.peak
        )
    }
}

/// What the bare cycle says.
#[derive(Debug, Clone, Default, Deserialize)]
struct Bare {
    seconds: f64,
    cpu: f64,
    peak: f64,
    down: usize,
    details: usize,
}

/// Measures and reports.
pub(crate) async fn measure(report: &mut Report, effort: Effort, binaries: &Path) -> anyhow::Result<()> {
    let sizes: &[usize] = if effort.quick { &[1_000, MEDIUM] } else { &[1_000, MEDIUM, LARGE] };
    let mut medium = Cycle::default();
    for &edges in sizes {
        let network = Network { edges };
        let (mut ours, mut bare) = (Vec::new(), Vec::new());
        for _ in 0..effort.rounds {
            let (cycle, limit) = one(network, binaries).await?;
            // A cycle that gave up is quick.
            anyhow::ensure!(limit.down == edges / 100, "the bare cycle finds {} edges down", limit.down);
            anyhow::ensure!(
                cycle.details() == limit.details,
                "the monitor asks for {} tickets",
                cycle.details()
            );
            ours.push(cycle);
            bare.push(limit);
        }
        let (ours, bare) = (median(&ours, |cycle| cycle.cpu), median(&bare, |bare| bare.cpu));
        let target = match edges {
            MEDIUM => Some(Target::all([
                Target::below("CPU", " s", ours.cpu, 1.0),
                Target::below("peak", " MB", ours.peak, 100.0),
                Target::below("ticket look-ups", "", ours.lookups(), 1_000.0),
            ])),
            LARGE => Some(Target::all([
                Target::below("CPU", &times(medium.cpu, "s"), ours.cpu / medium.cpu, TIMES),
                Target::below("peak", &times(medium.peak, "MB"), ours.peak / medium.peak, TIMES),
                Target::below(
                    "look-ups",
                    &times(medium.lookups(), ""),
                    ours.lookups() / medium.lookups(),
                    TIMES,
                ),
            ])),
            _ => None,
        };
        if edges == MEDIUM {
            medium = ours.clone();
        }
        report.add(Row {
            what: format!(
                "outage cycle, {} edges of {} customers",
                thousands(number(edges)),
                network.customers()
            ),
            ours: format!("{}; requests: {}", ours.shown(), requests(&ours.requests)),
            limit: format!(
                "bare cycle: CPU {}, {}, peak {:.0} MB",
                time(Duration::from_secs_f64(bare.cpu)),
                time(Duration::from_secs_f64(bare.seconds)),
                bare.peak
            ),
            ratio: Some(ours.cpu / bare.cpu.max(1e-3)),
            target,
        });
    }
    Ok(())
}

fn times(figure: f64, unit: &str) -> String {
    format!(" times the {figure:.2} {unit} of {}", thousands(number(MEDIUM)))
        .replace(".00", "")
        .replace("  ", " ")
}

fn requests(counts: &BTreeMap<String, usize>) -> String {
    let shown = counts.iter().map(|(subject, count)| format!("{} `{subject}`", thousands(number(*count))));
    shown.collect::<Vec<_>>().join(", ")
}

/// One cycle of both.
async fn one(network: Network, binaries: &Path) -> anyhow::Result<(Cycle, Bare)> {
    let nats = Nats::try_start(NatsOptions { jetstream: true, ..NatsOptions::default() }).await?;
    let redis = Redis::try_start(RedisOptions::default()).await?;
    let (nats_url, redis_url) = (nats.url(), redis.url());
    let edges = network.edges.to_string();
    let (_neighbours, _) =
        Program::helper(&["neighbours", "--nats", &nats_url, "--redis", &redis_url, "--edges", &edges])
            .await?;
    let bare = Program::helper_result(&["bare-cycle", "--nats", &nats_url, "--redis", &redis_url]).await?;
    let bare: Bare = serde_json::from_str(&bare).with_context(|| format!("the bare cycle says {bare}"))?;
    let cycle = cycle(&nats, &redis, binaries, None).await?;
    Ok((cycle, bare))
}

/// One cycle over a network of this size, with what it took. The log goes to the end of a file.
///
/// # Errors
/// When something does not start, or the cycle does not end well.
pub async fn once(network: Network, binaries: &Path, log: &Path) -> anyhow::Result<Cycle> {
    let nats = Nats::try_start(NatsOptions { jetstream: true, ..NatsOptions::default() }).await?;
    let redis = Redis::try_start(RedisOptions::default()).await?;
    let (nats_url, redis_url, edges) = (nats.url(), redis.url(), network.edges.to_string());
    let arguments = ["neighbours", "--nats", &nats_url, "--redis", &redis_url, "--edges", &edges];
    let (_neighbours, _) = Program::helper(&arguments).await?;
    cycle(&nats, &redis, binaries, Some(log)).await
}

/// One cycle among neighbours that are there.
async fn cycle(nats: &Nats, redis: &Redis, binaries: &Path, log: Option<&Path>) -> anyhow::Result<Cycle> {
    let client = async_nats::connect(nats.url()).await?;
    // Those of the bare cycle.
    neighbours::counts(&client).await?;

    let monitor = Service::start(binaries, SERVICE, &environment(nats, redis), log).await?;
    let seconds = until_ended(monitor.http_port, JOB).await?;
    let (cpu, memory) = (monitor.program.cpu()?, monitor.program.memory()?);
    let requests = neighbours::counts(&client).await?;
    monitor.program.stop().await?;
    Ok(Cycle { seconds, cpu, peak: memory.peak, requests })
}

/// Waits for the end of the first run of a job and returns how long it took, in seconds.
pub(crate) async fn until_ended(port: u16, job: &str) -> anyhow::Result<f64> {
    let (began, http) = (Instant::now(), reqwest::Client::builder().no_proxy().build()?);
    while began.elapsed() < PATIENCE {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let Ok(answer) = http.get(format!("http://127.0.0.1:{port}/_jobs")).send().await else { continue };
        let jobs: serde_json::Value = serde_json::from_slice(&answer.bytes().await?)?;
        if let Some(last) = last_run(&jobs, job) {
            anyhow::ensure!(last.outcome == "success", "{job} ended with {}", last.outcome);
            return Ok(last.seconds);
        }
    }
    bail!("{job} does not end")
}

#[derive(Deserialize)]
struct LastRun {
    outcome: String,
    seconds: f64,
}

fn last_run(jobs: &serde_json::Value, wanted: &str) -> Option<LastRun> {
    let jobs = jobs.get("scheduled")?.as_array()?;
    let job = jobs.iter().find(|job| job.get("id").is_some_and(|id| id == wanted))?;
    LastRun::deserialize(job.get("last")?).ok()
}

fn environment(nats: &Nats, redis: &Redis) -> Vec<(String, String)> {
    [
        ("NATS_SERVER1", nats.url()),
        ("REDIS_HOSTNAME", redis.host()),
        ("REDIS_PORT", redis.port().to_string()),
        ("ENVIRONMENT_NAME", "bench".to_owned()),
        ("CURRENT_ENVIRONMENT", "production".to_owned()),
        ("TIMEZONE", "US/Eastern".to_owned()),
        ("ENABLE_TRIAGE_MONITORING", "0".to_owned()),
        ("MONITORING__VELOCLOUD_HOST", HOST.to_owned()),
        ("MONITORING__MONITORING_JOB_INTERVAL", "3600".to_owned()),
        ("MAX_PAYLOAD_MIB", "128".to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec()
}
