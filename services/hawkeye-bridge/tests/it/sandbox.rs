//! The bridge before the simulated Hawkeye: both agree on login, pages, filters, results and details.

use std::collections::HashSet;
use std::time::Duration;

use bus::{Bus, BusOptions};
use contracts::hawkeye::{Interval, Probes, ProbesRequest, TestResults, TestResultsRequest};
use runtime::{Clock, Environment, Hosted};
use sandbox::world::probes::{Probe, ProbeOddity, ProbeService, TestKind, Trouble};
use sandbox::{Fault, Running, Sandbox, SandboxOptions, ThirdParty};
use testkit::{Nats, Redis};

struct Stage {
    sandbox: Running,
    bus: Bus,
    _running: Hosted,
    _servers: (Nats, Redis),
}

async fn stage(edges: usize) -> Stage {
    let (nats, redis) = tokio::join!(Nats::start(), Redis::start());
    let clock = Clock::frozen("2022-01-31T15:02:00Z".parse().unwrap());
    let sandbox = Sandbox::start(SandboxOptions { clock, edges, ..SandboxOptions::default() }).await.unwrap();
    let environment = Environment::from_iter(sandbox.environment_for("hawkeye-bridge"))
        .merged(&testkit::settings(&nats, &redis).into_iter().collect());
    let running = testkit::run(&hawkeye_bridge::service(), environment).await;
    let options = BusOptions::new("test", nats.url(), redis.host(), redis.port());
    let bus = Bus::connect(options, &prometheus::Registry::new()).await.unwrap();
    Stage { sandbox, bus, _running: running, _servers: (nats, redis) }
}

impl Stage {
    fn probe(&self) -> Probe {
        self.sandbox.world().probes(|probes| {
            let ordinary = |probe: &&Probe| probe.oddity == ProbeOddity::None && probe.has_real_service;
            probes.list().iter().find(ordinary).unwrap().clone()
        })
    }

    async fn probes(&self, status: Option<&str>) -> Vec<contracts::hawkeye::Probe> {
        let request = ProbesRequest { status: status.map(str::to_owned), ..ProbesRequest::default() };
        self.bus.request::<Probes>(&request).await.unwrap()
    }

    /// The results of the last minutes.
    async fn results(&self, uids: &[&str], minutes: i64) -> <TestResults as contracts::Rpc>::Reply {
        let now = self.sandbox.world().now();
        let text = |at: chrono::DateTime<chrono::Utc>| at.format("%Y-%m-%d %H:%M:%S%.6f").to_string();
        let interval = Interval { start: text(now - chrono::TimeDelta::minutes(minutes)), end: text(now) };
        let probe_uids = uids.iter().map(|uid| (*uid).to_owned()).collect();
        self.bus.request::<TestResults>(&TestResultsRequest { probe_uids, interval }).await.unwrap()
    }
}

#[tokio::test]
async fn all_probes_of_several_pages_come_and_the_filter_works() {
    let stage = stage(1_000).await;
    let probes = stage.probes(None).await;
    let uids: HashSet<_> = probes.iter().map(|probe| probe.uid.clone().unwrap()).collect();
    assert_eq!((probes.len(), uids.len()), (250, 250));
    assert!(probes.iter().any(|probe| !probe.is_active()));
    assert!(probes.iter().any(|probe| probe.node_to_node.contact().is_none()));
    assert!(stage.probes(Some("down")).await.is_empty());
    let broken = stage.probe();
    let down = Trouble::Down(ProbeService::NodeToNode);
    stage.sandbox.world().trouble_probe(&broken.serial, down, true).unwrap();
    let down = stage.probes(Some("down")).await;
    assert_eq!((down.len(), down[0].serial_number.as_deref()), (1, Some(broken.serial.as_str())));
    assert_eq!((down[0].node_to_node.status, down[0].real_service.status), (Some(0), Some(1)));
}

#[tokio::test]
async fn a_failed_test_comes_with_what_was_measured() {
    let stage = stage(40).await;
    let probe = stage.probe();
    let world = stage.sandbox.world();
    world.trouble_probe(&probe.serial, Trouble::Failing(TestKind::Voice), true).unwrap();
    world.advance(Duration::from_secs(300));
    let results = stage.results(&[&probe.uid, "nobody"], 15).await;
    assert_eq!(results.keys().collect::<Vec<_>>(), [&probe.uid]);
    let results = &results[&probe.uid];
    assert_eq!(results.len(), 9);
    let failed: Vec<_> =
        results.iter().filter(|result| result.summary.status.as_deref() == Some("Failed")).collect();
    assert_eq!(failed.len(), 1);
    assert_eq!(failed[0].summary.test_type.as_deref(), Some("Voice bidirectional"));
    let mos = failed[0].metrics.iter().find(|metric| metric.metric.as_deref() == Some("MOS")).unwrap();
    assert_eq!((mos.status.as_deref(), mos.threshold_type.as_deref()), (Some("Failed"), Some("1")));
}

#[tokio::test]
async fn sessions_may_expire_and_answers_fail_in_mid_work() {
    let stage = stage(400).await;
    let uids: Vec<String> = stage.probes(None).await.into_iter().filter_map(|probe| probe.uid).collect();
    let uids: Vec<&str> = uids.iter().map(String::as_str).take(40).collect();
    let expected = stage.results(&uids, 15).await;
    stage.sandbox.sessions().expire(ThirdParty::Hawkeye);
    // The pages of lists are repeated; details are not, so they are spared.
    let fault: Fault = serde_json::from_str(r#"{"status": 503, "path": "/probes", "times": 2}"#).unwrap();
    stage.sandbox.faults().inject(ThirdParty::Hawkeye, fault);
    assert_eq!(stage.probes(None).await.len(), 100);
    let expiring = async {
        for _ in 0..5 {
            stage.sandbox.sessions().expire(ThirdParty::Hawkeye);
            tokio::task::yield_now().await;
        }
    };
    let (results, ()) = tokio::join!(stage.results(&uids, 15), expiring);
    assert_eq!(results, expected);
}
