//! Decisions of a running fleet made again: by today's rules all are the same; with other settings the expected ones differ.
//! And what a requester without a program of its own does: `fleet request`, `fleet services`.

use std::{path::PathBuf, sync::Mutex, time::Duration};

use decisions::{Ledger, Step};
use fleet::{
    Said,
    beacon::Beacon,
    catalogue,
    cli::{Decisions, Record, Replay, Request, Services, Whatif},
    replay::{self, Surroundings},
    request, services,
    supervisor::{Instance, Supervisor},
};
use runtime::{Clock, Environment};
use sandbox::{
    Running, Sandbox, SandboxOptions,
    world::generate::{Oddity, oddity},
};
use serde_json::Value;
use tempfile::TempDir;
use testkit::{Nats, Redis};

/// A generous limit for what should come soon.
const PATIENCE: Duration = Duration::from_secs(60);

/// A fleet with a simulated network, as `fleet up` runs it.
struct Fleet {
    nats: Nats,
    redis: Redis,
    sandbox: Running,
    clock: Clock,
    _folder: TempDir,
    around: Surroundings,
    _beacon: Option<Beacon>,
}

impl Fleet {
    async fn new() -> Self {
        let (nats, redis) = tokio::join!(Nats::start_with_jetstream(), Redis::start());
        let clock = Clock::shifted();
        let options = SandboxOptions {
            clock: clock.clone(),
            edges: 30,
            hosts: vec!["vco1.sandbox.example".to_owned()],
            ..SandboxOptions::default()
        };
        let sandbox = Sandbox::start(options).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let host = redis.host();
        let beacon = Beacon::light(folder.path(), &nats.url(), Some((host.as_str(), redis.port())));
        let around = Surroundings { environment: Environment::default(), folder: folder.path().to_owned() };
        Self { nats, redis, sandbox, clock, _folder: folder, around, _beacon: beacon }
    }

    async fn run(&self, names: &[&str]) -> Supervisor {
        let instances = names.iter().map(|name| {
            let runnable = catalogue::all().into_iter().find(|known| known.name() == *name).unwrap();
            let (host, port) = (self.redis.host(), self.redis.port().to_string());
            let simulated: Environment = self.sandbox.environment_for(name).into_iter().collect();
            let mut environment = simulated
                .with("NATS_SERVER1", self.nats.url())
                .with("HTTP_PORT", "0")
                .with("METRICS_PORT", "0");
            for prefix in ["REDIS", "REDIS_CUSTOMER_CACHE"] {
                environment = environment
                    .with(format!("{prefix}_HOSTNAME"), host.as_str())
                    .with(format!("{prefix}_PORT"), port.as_str());
            }
            Instance { label: (*name).to_owned(), runnable, environment }
        });
        let supervisor = Supervisor::start(instances.collect(), &self.clock);
        supervisor.started(PATIENCE).await.unwrap();
        supervisor
    }

    /// Lets the world's time pass until something is so.
    async fn pass_until(&self, what: &str, mut look: impl FnMut() -> bool) {
        let passing = async {
            while !look() {
                self.clock.advance(Duration::from_secs(20));
                tokio::time::sleep(Duration::from_millis(30)).await;
            }
        };
        assert!(tokio::time::timeout(PATIENCE, passing).await.is_ok(), "did not happen: {what}");
    }

    async fn request(&self, subject: &str, parameters: &str) -> (Said, String) {
        let told = Mutex::new(String::new());
        let options = Request {
            subject: subject.to_owned(),
            parameters: Some(parameters.to_owned()),
            body_file: None,
            timeout: Some(20.0),
            nats: None,
            raw: false,
        };
        let tell = |text: &str| told.lock().unwrap().push_str(text);
        let said = request::run(&options, &self.around, &tell).await.unwrap();
        (said, told.into_inner().unwrap())
    }
}

fn ledger() -> Decisions {
    Decisions { nats: None, device: None, hours: None }
}

fn asked(recording: Option<PathBuf>) -> Replay {
    Replay { recording, decisions: ledger(), all: false, json: false }
}

fn what_if(set: &str, recording: Option<PathBuf>) -> Whatif {
    Whatif { set: vec![set.to_owned()], replay: Replay { json: true, ..asked(recording) } }
}

#[tokio::test]
async fn a_fleets_decisions_are_the_same_again_and_others_with_other_settings() {
    let fleet = Fleet::new().await;
    let running = fleet
        .run(&[
            "bruin-bridge",
            "velocloud-bridge",
            "digi-bridge",
            "notifier",
            "customer-cache",
            "service-outage-monitor",
            "service-outage-monitor-triage",
        ])
        .await;
    let world = fleet.sandbox.world();
    let serials: Vec<String> = world.network(|network| {
        let ordinary = network.edges.iter().enumerate().filter(|(place, edge)| {
            oddity(*place) == Oddity::None && edge.standby.is_none() && !edge.links.is_empty()
        });
        ordinary.map(|(_, edge)| edge.serial.clone()).collect()
    });
    let serial = serials.into_iter().find(|serial| world.tickets_of(serial).is_empty()).unwrap();
    world.break_edge(&serial).unwrap();
    fleet
        .pass_until("the edge has a documented ticket", || {
            world.tickets_of(&serial).first().is_some_and(|ticket| !ticket.notes.is_empty())
        })
        .await;
    world.heal_edge(&serial).unwrap();
    fleet
        .pass_until("its line is resolved", || {
            world.tickets_of(&serial).iter().any(|ticket| {
                ticket.notes.iter().any(|note| note.value.contains("Auto-resolving detail for serial"))
            })
        })
        .await;
    running.stop().await;

    // The ledger itself.
    let said = replay::replay(&asked(None), &fleet.around).await.unwrap();
    assert!(said.text.contains(", 0 different") || said.text.contains("same, 0 different"), "{}", said.text);
    assert_eq!(said.code, 0, "{}", said.text);
    assert!(!said.text.contains("cannot be asked again"), "{}", said.text);
    assert!(!said.text.contains("no settings on record"), "{}", said.text);

    // A recording of it says as much, and needs no server.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("day.jsonl");
    let record = Record { file: file.clone(), decisions: ledger() };
    replay::record(&record, &fleet.around).await.unwrap();
    let nowhere = Surroundings { folder: folder.path().to_owned(), ..fleet.around.clone() };
    let again = replay::replay(&asked(Some(file.clone())), &nowhere).await.unwrap();
    assert_eq!(again.text, said.text);

    // Other settings.
    let report = async |set: &str| -> Value {
        let said = replay::what_if(&what_if(set, Some(file.clone())), &nowhere).await.unwrap();
        assert_eq!(said.code, 0);
        serde_json::from_str(&said.text).unwrap()
    };
    let of_device = |report: &Value, action: &str| {
        let differences = report["differences"].as_array().unwrap().iter();
        differences
            .filter(|found| found["device"] == serial.as_str())
            .filter(|found| {
                found["before"]["act"].as_array().is_some_and(|deeds| deeds[0]["action"] == action)
            })
            .count()
    };
    let never = report("MONITORING__MAX_AUTORESOLVES_PER_TICKET=0").await;
    assert_eq!(of_device(&never, "resolve_line"), 1, "{never:#}");
    assert!(never["actions"]["resolve_line"][1].as_u64() >= Some(1));
    let dev = report("CURRENT_ENVIRONMENT=dev").await;
    assert!(of_device(&dev, "create_ticket") >= 1, "{dev:#}");
    let long = report("MONITORING__QUARANTINE_FOR_EDGES_IN_HARD_DOWN_OUTAGE=864000").await;
    assert_eq!(of_device(&long, "create_ticket"), 1, "{long:#}");
    let same = report("MONITORING__MAX_AUTORESOLVES_PER_TICKET=99").await;
    assert_eq!(same["rules_differ"], 0);

    // What is recorded of one device, and a changed line.
    let options = Replay { decisions: Decisions { device: Some(serial.clone()), ..ledger() }, ..asked(None) };
    assert_eq!(replay::replay(&options, &fleet.around).await.unwrap().code, 0);
    let text = std::fs::read_to_string(&file).unwrap();
    let changed = folder.path().join("changed.jsonl");
    std::fs::write(&changed, text.replace("\"autoresolves\":0", "\"autoresolves\":9")).unwrap();
    let other = replay::replay(&asked(Some(changed)), &nowhere).await.unwrap();
    assert_eq!(other.code, 1);
    assert!(
        other.text.contains("autoresolves 9") && other.text.contains("autoresolve.limit"),
        "{}",
        other.text
    );
    let records = Ledger::stream(fleet.nats.client().await).read(Some(&serial)).await.unwrap();
    assert!(
        records
            .iter()
            .any(|record| matches!(&record.step, Step::Intent { action, .. } if action == "resolve_line"))
    );
}

#[tokio::test]
async fn every_failure_of_a_replay_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let around = Surroundings { environment: Environment::default(), folder: folder.path().to_owned() };
    let error = async |options: Replay| format!("{:#}", replay::replay(&options, &around).await.unwrap_err());
    assert!(error(asked(None)).await.contains("give --nats URL, or set NATS_SERVER1"));
    let missing = error(asked(Some(folder.path().join("none.jsonl")))).await;
    assert!(missing.contains("none.jsonl"), "{missing}");
    let odd = folder.path().join("odd.jsonl");
    std::fs::write(&odd, "\n{\"hello\": 1}\n").unwrap();
    assert!(error(asked(Some(odd.clone()))).await.contains("line 2 is no line of a recording"));
    let hours = Replay { decisions: Decisions { hours: Some(1), ..ledger() }, ..asked(Some(odd.clone())) };
    assert!(error(hours).await.contains("for the ledger"));
    let wrong = what_if("MONITORING__AUTORESOLVE_DAY_START_HOUR=24", Some(odd));
    let wrong = format!("{:#}", replay::what_if(&wrong, &around).await.unwrap_err());
    assert!(wrong.contains("an hour, 0 to 23"), "{wrong}");
}

#[tokio::test]
async fn a_request_is_sent_as_any_service_would_send_it() {
    let fleet = Fleet::new().await;
    let running = fleet.run(&["bruin-bridge", "velocloud-bridge", "notifier"]).await;
    let host = &fleet.sandbox.hosts()[0];

    let (said, told) = fleet.request("get.links.with.edge.info", &format!("{{\"host\": \"{host}\"}}")).await;
    assert_eq!(said.code, 0, "{told} {}", said.text);
    assert!(told.starts_with("200 OK, "), "{told}");
    let rows: Value = serde_json::from_str(&said.text).unwrap();
    assert!(rows.as_array().is_some_and(|rows| rows.len() > 10));

    let (said, told) = fleet.request("bruin.ticket.details.request", "{}").await;
    assert_eq!(said.code, 4, "{told}");
    assert!(told.contains("by its contract the replier refuses this: 400"), "{told}");

    let (said, told) = fleet.request("notification.slack.request", "{\"message\": \"hello\"}").await;
    assert_eq!((said.code, said.text.as_str()), (0, ""), "{told}");

    let (said, told) = fleet.request("$SRV.PING", "{}").await;
    assert_eq!(said.code, 3, "an answer without status: {told}");

    let discovered = Services { nats: None, subjects: true, json: false };
    let said = services::run(&discovered, &fleet.around).await.unwrap();
    for part in ["bruin-bridge", "velocloud-bridge", "notifier", "get.links.with.edge.info", "3 services"] {
        assert!(said.text.contains(part), "{part}: {}", said.text);
    }
    running.stop().await;

    let options = Request {
        subject: "digi.rebot".to_owned(),
        parameters: None,
        body_file: None,
        timeout: Some(5.0),
        nats: None,
        raw: false,
    };
    let told = Mutex::new(String::new());
    let tell = |text: &str| told.lock().unwrap().push_str(text);
    let said = request::run(&options, &fleet.around, &tell).await.unwrap();
    let told = told.into_inner().unwrap();
    assert_eq!(said.code, 1);
    for part in ["did you mean digi.reboot?", "nobody who can be discovered", "it was not carried out"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let silence = services::run(&discovered, &fleet.around).await.unwrap_err().to_string();
    assert!(silence.contains("no service answers"), "{silence}");
}
