//! A shadow beside a live monitor on the same simulated world, in lock-step, the shadow first: the shadow records what the
//! live one carries out (promise P8).

use std::{collections::BTreeMap, time::Duration};

use decisions::{Ledger, Mode, Record, Step};
use runtime::{Clock, Environment, Host, Runnable};
use sandbox::{
    Running, Sandbox, SandboxOptions,
    world::{
        generate::{Oddity, oddity},
        network::{Edge, Link},
    },
};
use serde_json::json;
use testkit::{Nats, Redis};
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(60);
const MINUTE: Duration = Duration::from_secs(60);

struct Stage {
    nats: Nats,
    redis: Redis,
    sandbox: Running,
    stop: CancellationToken,
}

impl Stage {
    fn start(&self, service: &Runnable, clock: &Clock, settings: &[(&str, &str)]) -> Host {
        let environment: Environment = self.sandbox.environment_for(service.name()).into_iter().collect();
        let environment = environment
            .merged(&testkit::settings(&self.nats, &self.redis).into_iter().collect())
            .merged(&settings.iter().copied().collect());
        let host = Host::new(clock.clone(), self.stop.clone());
        let (service, started) = (service.clone(), host.clone());
        tokio::spawn(async move { service.run(environment, started).await.expect("it runs") });
        host
    }

    async fn until_cached(&self) {
        let client = self.nats.client().await;
        let request =
            json!({"request_id": "r", "body": {"filter": {&self.sandbox.hosts()[0]: []}}}).to_string();
        let built = async {
            loop {
                if let Ok(reply) = client.request("customer.cache.get", request.clone().into()).await {
                    let reply: serde_json::Value = serde_json::from_slice(&reply.payload).unwrap();
                    if reply["status"] == 200 {
                        return;
                    }
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(PATIENCE, built).await.expect("the customer cache is built");
    }

    /// An edge of the ordinary kind (or a pair) which fits, by its place from the end, so that each is used once.
    fn edge(&self, nth: usize, kind: Oddity, fits: impl Fn(&Edge) -> bool) -> Edge {
        self.sandbox.world().network(|network| {
            let edges = network.edges.iter().enumerate();
            let mut fitting = edges
                .filter(|(place, edge)| {
                    oddity(*place) == kind && (kind == Oddity::Pair || edge.standby.is_none())
                })
                .filter(|(_, edge)| !edge.links.is_empty() && fits(edge));
            fitting.nth(nth).map(|(_, edge)| edge.clone()).expect("such an edge")
        })
    }
}

fn total(host: &Host, metric: &str) -> f64 {
    let text = prometheus::TextEncoder::new().encode_to_string(&host.metrics.gather()).unwrap();
    let values =
        text.lines().filter(|line| line.starts_with(metric)).filter_map(|line| line.rsplit(' ').next());
    values.filter_map(|value| value.parse::<f64>().ok()).sum()
}

/// Waits until a monitor has been at rest for a while: whatever was due has run.
async fn at_rest(host: &Host) {
    let rest = async {
        let mut calm = 0;
        while calm < 12 {
            tokio::time::sleep(Duration::from_millis(5)).await;
            calm = if total(host, "scheduled_job_running") < 0.5 { calm + 1 } else { 0 };
        }
    };
    tokio::time::timeout(PATIENCE, rest).await.expect("the monitor comes to rest");
}

/// What was to be done for each device, in order.
fn intents(records: &[Record], mode: Mode) -> BTreeMap<&str, Vec<(&str, &str, &str)>> {
    let mut devices: BTreeMap<&str, Vec<_>> = BTreeMap::new();
    for record in records.iter().filter(|record| record.mode == mode) {
        if let Step::Intent { action, target, .. } = &record.step {
            devices.entry(record.device.as_str()).or_default().push((
                record.rule.as_str(),
                action.as_str(),
                target.as_str(),
            ));
        }
    }
    devices
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_shadow_records_exactly_what_the_live_monitor_carries_out() {
    let start = "2022-01-31T17:00:00Z".parse().unwrap();
    let (world_time, shadow_time) = (Clock::frozen(start), Clock::frozen(start));
    let options = SandboxOptions {
        clock: world_time.clone(),
        edges: 60,
        hosts: vec!["vco1.sandbox.example".into()],
        ..SandboxOptions::default()
    };
    let stage = Stage {
        nats: Nats::start_with_jetstream().await,
        redis: Redis::start().await,
        sandbox: Sandbox::start(options).await.unwrap(),
        stop: CancellationToken::new(),
    };
    for service in [
        Runnable::of::<bruin_bridge::BruinBridge>(),
        Runnable::of::<velocloud_bridge::VelocloudBridge>(),
        Runnable::of::<digi_bridge::DigiBridge>(),
        Runnable::of::<notifier::Notifier>(),
        Runnable::of::<customer_cache::CustomerCache>(),
    ] {
        stage.start(&service, &world_time, &[]);
    }
    stage.until_cached().await;
    let monitor = Runnable::of::<service_outage_monitor::ServiceOutageMonitor>();
    let quarantines = ["LINK_DOWN", "HARD_DOWN", "HA_LINK_DOWN", "HA_SOFT_DOWN", "HA_HARD_DOWN"]
        .map(|kind| format!("MONITORING__QUARANTINE_FOR_EDGES_IN_{kind}_OUTAGE"));
    let mut settings: Vec<(&str, &str)> = quarantines.iter().map(|name| (name.as_str(), "180")).collect();
    settings.extend([
        ("MONITORING__MONITORING_JOB_INTERVAL", "600"),
        ("MONITORING__GRACE_PERIOD_BEFORE_ATTEMPTING_NEW_DIGI_REBOOTS", "900"),
    ]);
    let shadow =
        stage.start(&monitor, &shadow_time, &[settings.as_slice(), &[("DECISION_MODE", "shadow")]].concat());
    shadow.started().await.unwrap();
    at_rest(&shadow).await;
    let live = stage.start(&monitor, &world_time, &settings);
    live.started().await.unwrap();
    at_rest(&live).await;

    let world = stage.sandbox.world();
    let with_digi = stage.edge(0, Oddity::None, |edge| edge.links.iter().any(Link::is_digi));
    let wired = stage.edge(1, Oddity::None, |edge| edge.serial != with_digi.serial && edge.links.len() > 1);
    let pair = stage.edge(0, Oddity::Pair, |_| true);
    world.break_edge(&with_digi.serial).unwrap();
    world.break_link(&wired.serial, &wired.links[0].interface).unwrap();
    world.break_standby(&pair.serial).unwrap();
    for minute in 1..=150 {
        match minute {
            45 | 120 => drop(world.heal_all()),
            // Down again: its ticket is resolved by now.
            70 => drop(world.break_edge(&with_digi.serial)),
            _ => {}
        }
        shadow_time.advance(MINUTE);
        at_rest(&shadow).await;
        world_time.advance(MINUTE);
        at_rest(&live).await;
    }
    stage.stop.cancel();
    let records = Ledger::stream(stage.nats.client().await).read(None).await.unwrap();
    let (shadow, live) = (intents(&records, Mode::Shadow), intents(&records, Mode::Live));
    assert!(live.len() >= 3, "{live:#?}");
    let actions: Vec<&str> = live.values().flatten().map(|(_, action, _)| *action).collect();
    for action in ["create_ticket", "append_note", "reboot_digi", "forward", "resolve_line", "open_line"] {
        assert!(actions.contains(&action), "{action} in {live:#?}");
    }
    assert_eq!(shadow, live);
}
