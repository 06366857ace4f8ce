//! `fleet why` over a ledger in a real JetStream.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use decisions::{Action, Decision, Executor, Failure, Ledger, Look, Mode};
use fleet::{beacon::Beacon, cli::Why, why};
use parking_lot::Mutex;
use prometheus::Registry;
use runtime::Environment;
use serde::Serialize;
use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::Nats;

#[derive(Clone, Serialize)]
struct Act {
    #[serde(skip)]
    name: &'static str,
    #[serde(skip)]
    target: &'static str,
    ticket: u32,
}

impl Action for Act {
    fn name(&self) -> &'static str {
        self.name
    }
    fn target(&self) -> String {
        self.target.to_owned()
    }
}

/// A monitor that decides what the test says, at the time that the test says.
struct Monitor {
    executor: Executor,
    now: Arc<Mutex<DateTime<Utc>>>,
}

impl Monitor {
    async fn new(nats: &Nats, mode: Mode) -> Self {
        let now = Arc::new(Mutex::new("2026-03-02T14:00:00Z".parse().unwrap()));
        let clock = now.clone();
        let ledger = Ledger::stream(nats.client().await);
        let clock = move || *clock.lock();
        let executor =
            Executor::new("service-outage-monitor", mode, ledger, clock, &Registry::new()).unwrap();
        Self { executor, now }
    }

    fn pass(&self, seconds: i64) {
        *self.now.lock() += TimeDelta::seconds(seconds);
    }

    /// A cycle over many devices, of which one is of interest.
    async fn nothing(&self, device: &str, rule: &'static str, facts: Value, reason: &str) {
        let neighbours = (0..500).map(|n| {
            Decision::<Act>::abstain(
                format!("VC9{n:03}"),
                "autoresolve.ticket",
                json!({}),
                "there is no open ticket",
            )
        });
        let own = Decision::abstain(device, rule, facts, reason);
        self.executor.abstain(neighbours.chain([own])).await;
    }

    async fn act(
        &self,
        device: &str,
        rule: &'static str,
        name: &'static str,
        target: &'static str,
        result: Result<(), Failure>,
    ) {
        let facts = json!({"state": "OFFLINE", "kind": "Hard Down"});
        let decision = Decision::act(device, rule, facts, Act { name, target, ticket: 555 });
        let perform = |_| {
            let result = result.clone();
            async { result }
        };
        let _ = self.executor.carry_out(decision, Look::BeforeRepeat, perform, || async { Ok(None) }).await;
        self.pass(1);
    }

    /// From healthy to a ticket.
    async fn outage(&self, device: &str) {
        for _ in 0..3 {
            self.nothing(
                device,
                "autoresolve.ticket",
                json!({"state": "CONNECTED"}),
                "there is no open ticket",
            )
            .await;
            self.pass(600);
        }
        self.quarantine(device).await;
        self.pass(180);
        self.act(device, "creation", "create_ticket", "VC1: Hard Down", Ok(())).await;
        self.act(device, "documentation", "append_note", "VC1: triage", Ok(())).await;
        let refused = Failure::Refused { status: 400, reason: "no such\nseverity".into() };
        self.act(device, "severity", "set_severity", "VC1: severity 2", Err(refused)).await;
        let unknown = Failure::Unknown { reason: "no answer within 90 s".into() };
        self.act(device, "digi.reboot", "reboot_digi", "VC1: GE1", Err(unknown)).await;
        self.nothing(device, "asr.edge_offline", json!({"links": []}), "the edge is offline").await;
    }

    async fn quarantine(&self, device: &str) {
        let links = json!([
            {"interface": "GE1", "state": "DISCONNECTED"},
            {"interface": "GE2", "state": "DISCONNECTED"},
        ]);
        let facts = json!({"state": "OFFLINE", "partner": null, "primary": true, "links": links});
        self.nothing(device, "outage.quarantine", facts, "Hard Down: in quarantine").await;
    }
}

fn asked(serial: &str) -> Why {
    Why { serial: serial.to_owned(), nats: None, all: false, json: false }
}

/// Where a running fleet has left the address.
struct Machine {
    folder: TempDir,
    _beacon: Option<Beacon>,
}

impl Machine {
    fn with(nats: &Nats) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let beacon = Beacon::light(folder.path(), &nats.url(), None);
        Self { folder, _beacon: beacon }
    }

    async fn why(&self, options: &Why) -> Result<String, String> {
        let said = why::run(options, &Environment::default(), self.folder.path()).await;
        said.map_err(|error| format!("{error:#}"))
    }
}

/// Without what differs from run to run.
fn steady(text: &str, nats: &Nats) -> String {
    text.replace(&nats.url(), "nats://SERVER")
}

#[tokio::test]
async fn an_outage_is_told_from_quarantine_to_ticket() {
    let nats = Nats::start_with_jetstream().await;
    Monitor::new(&nats, Mode::Live).await.outage("VC1").await;
    let text = Machine::with(&nats).why(&asked("VC1")).await.unwrap();
    insta::assert_snapshot!(text);
}

#[tokio::test]
async fn that_nothing_was_done_is_told_with_what_was_done_last() {
    let nats = Nats::start_with_jetstream().await;
    let monitor = Monitor::new(&nats, Mode::Live).await;
    monitor.act("VC1", "autoresolve", "resolve_line", "VC1", Ok(())).await;
    for _ in 0..3 {
        monitor.pass(600);
        monitor
            .nothing("VC1", "autoresolve.ticket", json!({"state": "CONNECTED"}), "there is no open ticket")
            .await;
    }
    let text = Machine::with(&nats).why(&asked("VC1")).await.unwrap();
    insta::assert_snapshot!(text);
}

#[tokio::test]
async fn a_shadow_tells_what_it_would_have_done() {
    let nats = Nats::start_with_jetstream().await;
    Monitor::new(&nats, Mode::Live).await.quarantine("VC1").await;
    Monitor::new(&nats, Mode::Shadow)
        .await
        .act("VC1", "creation", "create_ticket", "VC1: Hard Down", Ok(()))
        .await;
    let text = Machine::with(&nats).why(&asked("VC1")).await.unwrap();
    insta::assert_snapshot!(text);
}

#[tokio::test]
async fn the_whole_history_says_once_what_repeats() {
    let nats = Nats::start_with_jetstream().await;
    Monitor::new(&nats, Mode::Live).await.outage("VC1").await;
    let text = Machine::with(&nats).why(&Why { all: true, ..asked("VC1") }).await.unwrap();
    insta::assert_snapshot!(text);
}

#[tokio::test]
async fn machines_get_the_records() {
    let nats = Nats::start_with_jetstream().await;
    let monitor = Monitor::new(&nats, Mode::Live).await;
    monitor.quarantine("VC1").await;
    monitor.pass(180);
    monitor.act("VC1", "creation", "create_ticket", "VC1: Hard Down", Ok(())).await;
    let machine = Machine::with(&nats);
    insta::assert_snapshot!(machine.why(&Why { json: true, ..asked("VC1") }).await.unwrap());
    let all = machine.why(&Why { json: true, all: true, ..asked("VC1") }).await.unwrap();
    let all: Value = serde_json::from_str(&all).unwrap();
    assert_eq!(all["records"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn an_address_given_wins_over_the_environments_and_over_the_running_fleets() {
    let (nats, other) = (Nats::start_with_jetstream().await, Nats::start_with_jetstream().await);
    Monitor::new(&nats, Mode::Live).await.quarantine("VC1").await;
    let machine = Machine::with(&other);
    let environment = |nats: &Nats| Environment::from([("NATS_SERVER1", nats.url())]);
    let ask = async |options: &Why, environment| why::run(options, &environment, machine.folder.path()).await;
    assert!(ask(&Why { nats: Some(nats.url()), ..asked("VC1") }, environment(&other)).await.is_ok());
    assert!(ask(&asked("VC1"), environment(&nats)).await.is_ok());
    assert!(ask(&asked("VC1"), Environment::default()).await.is_err());
}

#[tokio::test]
async fn every_failure_says_what_to_do() {
    let (nats, plain) = (Nats::start_with_jetstream().await, Nats::start().await);
    let machine = Machine::with(&nats);
    let mut said = vec![machine.why(&asked("VC1")).await.unwrap_err()];
    Monitor::new(&nats, Mode::Live).await.quarantine("VC1").await;
    said.push(machine.why(&asked("VC2")).await.unwrap_err());
    said.push(machine.why(&Why { all: true, ..asked("VC2") }).await.unwrap_err());
    said.push(machine.why(&Why { nats: Some(plain.url()), ..asked("VC1") }).await.unwrap_err());
    let said = said.join("\n").replace(&plain.url(), "nats://PLAIN");
    insta::assert_snapshot!(steady(&said, &nats));

    plain.stop().await;
    let unreachable = machine.why(&Why { nats: Some(plain.url()), ..asked("VC1") }).await.unwrap_err();
    assert!(unreachable.starts_with(&format!("NATS at {} does not answer: ", plain.url())), "{unreachable}");
    let nowhere = tempfile::tempdir().unwrap();
    let error = why::run(&asked("VC1"), &Environment::default(), nowhere.path()).await.unwrap_err();
    assert!(error.to_string().contains("give --nats URL, or set NATS_SERVER1"), "{error}");
}
