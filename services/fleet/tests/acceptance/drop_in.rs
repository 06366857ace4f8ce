//! Each program alone, with nothing but its specification's environment, where an old one was.

use std::time::Duration;

use chrono::TimeDelta;
use decisions::{Ledger, Step};
use runtime::Environment;
use sandbox::{Fault, ThirdParty, world::notes::NewNote};
use serde_json::{Value, json};
use testkit::OldPeer;

use crate::{
    programs::{PROGRAMS, Program, check_config, errors},
    stage::{BRIDGES, PATIENCE, Stage, notes_with, tickets, until},
    subjects::{samples, served},
};

/// How long a program has to end after SIGTERM.
const STOP_WITHIN: Duration = Duration::from_secs(10);
/// Requests in flight at the stop.
const IN_FLIGHT: usize = 40;
/// How long a third party takes for its answers then.
const SLOW: Duration = Duration::from_secs(1);

/// What each specification's "Configuration" calls required, or gives no value for.
const REQUIRED: [(&str, &[&str]); 14] = [
    ("bruin-bridge", &["BRUIN_BASE_URL", "BRUIN_LOGIN_URL", "BRUIN_CLIENT_ID", "BRUIN_CLIENT_SECRET"]),
    ("velocloud-bridge", &["VELOCLOUD_CREDENTIALS", "TIMEZONE"]),
    ("digi-bridge", &["DIGI_BASE_URL", "DIGI_CLIENT_ID", "DIGI_CLIENT_SECRET", "DIGI_TOKEN_TTL"]),
    (
        "notifier",
        &[
            "SLACK_WEBHOOK",
            "EMAIL_ACCOUNT_FOR_MESSAGE_DELIVERY_USERNAME",
            "EMAIL_ACCOUNT_FOR_MESSAGE_DELIVERY_PASSWORD",
            "MONITORABLE_EMAIL_ACCOUNTS",
        ],
    ),
    (
        "customer-cache",
        &[
            "REDIS_CUSTOMER_CACHE_HOSTNAME",
            "CURRENT_ENVIRONMENT",
            "TIMEZONE",
            "VELOCLOUD_HOSTS",
            "DUPLICATE_INVENTORIES_RECIPIENT",
            "BLACKLISTED_EDGES",
            "BLACKLISTED_CLIENTS_WITH_PENDING_STATUS",
        ],
    ),
    (
        "service-outage-monitor",
        &["CURRENT_ENVIRONMENT", "TIMEZONE", "ENABLE_TRIAGE_MONITORING", "MONITORING__VELOCLOUD_HOST"],
    ),
    ("hawkeye-bridge", &["BASE_URL", "CLIENT_USERNAME", "CLIENT_PASSWORD"]),
    ("t7-bridge", &["KRE_BASE_URL"]),
    ("email-tagger-kre-bridge", &["KRE_BASE_URL"]),
    ("repair-tickets-kre-bridge", &["KRE_BASE_URL"]),
    ("dri-bridge", &["BASE_URL", "USERNAME", "PASSWORD"]),
    (
        "cts-bridge",
        &[
            "CTS_DOMAIN",
            "CTS_CLIENT_ID",
            "CTS_CLIENT_USERNAME",
            "CTS_CLIENT_PASSWORD",
            "CTS_CLIENT_SECURITY_TOKEN",
            "CURRENT_ENVIRONMENT",
        ],
    ),
    (
        "lit-bridge",
        &[
            "LIT_DOMAIN",
            "LIT_CLIENT_ID",
            "LIT_CLIENT_USERNAME",
            "LIT_CLIENT_PASSWORD",
            "LIT_CLIENT_SECURITY_TOKEN",
        ],
    ),
    ("hawkeye-customer-cache", &["REDIS_CUSTOMER_CACHE_HOSTNAME", "DUPLICATE_INVENTORIES_RECIPIENT"]),
];
/// What specifications name besides, although nothing needs it: it must not disturb.
const UNUSED: [(&str, &[&str]); 2] = [
    ("cts-bridge", &["CTS_CLIENT_SECRET", "CTS_LOGIN_URL"]),
    ("lit-bridge", &["LIT_CLIENT_SECRET", "LIT_LOGIN_URL", "CURRENT_ENVIRONMENT"]),
];
/// Required by every one of them, ...
const SHARED: [&str; 3] = ["NATS_SERVER1", "REDIS_HOSTNAME", "ENVIRONMENT_NAME"];
/// ... but for what a specification makes optional.
const OPTIONAL: [(&str, &str); 1] = [("digi-bridge", "ENVIRONMENT_NAME")];

#[test]
fn an_empty_environment_is_refused_with_the_names_of_all_missing_variables() {
    for (program, own) in REQUIRED {
        let output = check_config(program, &Environment::default());
        assert!(!output.status.success(), "{program} accepts an empty environment");
        let text = String::from_utf8_lossy(&output.stderr);
        for name in own.iter().chain(&SHARED) {
            let required = !OPTIONAL.contains(&(program, *name));
            let named = text.contains(&format!("{name} is missing"));
            assert_eq!(named, required, "{program} and {name}:\n{text}");
        }
    }
}

#[tokio::test]
async fn the_environment_of_the_specification_is_accepted() {
    let stage = Stage::new().await;
    for program in PROGRAMS {
        let unused = UNUSED.iter().filter(|(of, _)| *of == program).flat_map(|(_, names)| *names);
        let environment = unused.fold(stage.environment(program), |all, name| all.with(*name, "unused"));
        let output = check_config(program, &environment);
        assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[tokio::test]
async fn bruin_bridge_replaces_an_old_one() {
    replaces_an_old_one("bruin-bridge", "bruin.single_ticket.basic.request", ThirdParty::Bruin).await;
}

#[tokio::test]
async fn velocloud_bridge_replaces_an_old_one() {
    replaces_an_old_one("velocloud-bridge", "request.links.configuration", ThirdParty::VeloCloud).await;
}

#[tokio::test]
async fn digi_bridge_replaces_an_old_one() {
    replaces_an_old_one("digi-bridge", "get.digi.recovery.logs", ThirdParty::Digi).await;
}

#[tokio::test]
async fn notifier_replaces_an_old_one() {
    replaces_an_old_one("notifier", "notification.slack.request", ThirdParty::Slack).await;
}

#[tokio::test]
async fn hawkeye_bridge_replaces_an_old_one() {
    replaces_an_old_one("hawkeye-bridge", "hawkeye.probe.request", ThirdParty::Hawkeye).await;
}

#[tokio::test]
async fn t7_bridge_replaces_an_old_one() {
    replaces_an_old_one("t7-bridge", "t7.prediction.request", ThirdParty::T7).await;
}

#[tokio::test]
async fn email_tagger_kre_bridge_replaces_an_old_one() {
    let busy = "email_tagger.prediction.request";
    replaces_an_old_one("email-tagger-kre-bridge", busy, ThirdParty::EmailTagger).await;
}

#[tokio::test]
async fn repair_tickets_kre_bridge_replaces_an_old_one() {
    let busy = "rta.prediction.request";
    replaces_an_old_one("repair-tickets-kre-bridge", busy, ThirdParty::RepairTickets).await;
}

#[tokio::test]
async fn dri_bridge_replaces_an_old_one() {
    replaces_an_old_one("dri-bridge", "dri.parameters.request", ThirdParty::Dri).await;
}

#[tokio::test]
async fn cts_bridge_replaces_an_old_one() {
    replaces_an_old_one("cts-bridge", "cts.dispatch.get", ThirdParty::Cts).await;
}

#[tokio::test]
async fn lit_bridge_replaces_an_old_one() {
    replaces_an_old_one("lit-bridge", "lit.dispatch.get", ThirdParty::Lit).await;
}

/// The program alone beside an old requester: health, every subject, metrics, and a stop under load on `busy`.
async fn replaces_an_old_one(program: &str, busy: &str, third_party: ThirdParty) {
    let stage = Stage::new().await;
    let running = Program::ready(program, &stage.environment(program)).await;
    looks_healthy(&running).await;

    let old = stage.old_peer().await;
    let known = samples(&stage);
    for subject in served(&stage.nats.client().await, 1).await {
        let sample = known.iter().find(|sample| sample.subject == subject);
        let sample = sample.unwrap_or_else(|| panic!("no good request is known for {subject}"));
        let reply = old.request(&subject, &sample.envelope, PATIENCE).await.envelope();
        assert_eq!(reply["request_id"], "r-1", "{subject}");
        assert!(reply["status"].as_u64().is_some_and(|status| status < 500), "{subject}: {reply}");
    }
    assert!(running.metrics().await.contains(&format!("subject=\"{busy}\"")));

    // The bridges to these make eight or ten calls at a time, the others more: all must end in time.
    let few = matches!(third_party, ThirdParty::Hawkeye | ThirdParty::Cts | ThirdParty::Lit);
    stage.sandbox.faults().inject(third_party, Fault::latency(if few { SLOW / 2 } else { SLOW }));
    let sample = known.into_iter().find(|sample| sample.subject == busy).unwrap();
    stops_without_losing_one(running, &old, busy, &sample.envelope, || ()).await;
}

#[tokio::test]
async fn customer_cache_replaces_an_old_one() {
    let neighbours = ["bruin-bridge", "velocloud-bridge", "notifier"];
    let wanted = json!({"filter": {}});
    let edges =
        a_cache_replaces_an_old_one("customer-cache", &neighbours, "customer.cache.get", wanted).await;
    assert!(edges > 20, "{edges} edges are monitored");
}

#[tokio::test]
async fn hawkeye_customer_cache_replaces_an_old_one() {
    let neighbours = ["bruin-bridge", "hawkeye-bridge", "notifier"];
    let (program, subject) = ("hawkeye-customer-cache", "hawkeye.customer.cache.get");
    let devices = a_cache_replaces_an_old_one(program, &neighbours, subject, json!({})).await;
    assert!(devices > 10, "{devices} devices are monitored");
}

/// As [`replaces_an_old_one`], beside the neighbours whom a cache asks: how many entries it has.
async fn a_cache_replaces_an_old_one(
    program: &str,
    neighbours: &[&str],
    subject: &str,
    wanted: Value,
) -> usize {
    let stage = Stage::new().await;
    let _neighbours = stage.run(neighbours).await;
    let running = Program::ready(program, &stage.environment(program)).await;
    looks_healthy(&running).await;

    let old = stage.old_peer().await;
    let envelope = json!({"request_id": "r-1", "body": wanted});
    let entries = loop {
        let reply = old.request(subject, &envelope, PATIENCE).await.envelope();
        match reply["status"].as_u64() {
            Some(200) => break reply["body"].as_array().unwrap().len(),
            Some(202) => tokio::time::sleep(Duration::from_millis(20)).await,
            _ => panic!("{reply}"),
        }
    };

    // Nothing but Redis stands between a request and its reply.
    stage.redis.pause();
    stops_without_losing_one(running, &old, subject, &envelope, || stage.redis.resume()).await;
    entries
}

#[tokio::test]
async fn service_outage_monitor_replaces_an_old_one() {
    let stage = Stage::new().await;
    let bridges = stage.run(&BRIDGES).await;
    let cache = stage.run(&["customer-cache"]).await;
    let running = Program::ready("service-outage-monitor", &hurried_monitor(&stage)).await;
    looks_healthy(&running).await;

    let edges = stage.edges();
    let (first, second) = (edges[0].serial.as_str(), edges[1].serial.as_str());
    stage.world().break_edge(first).unwrap();
    until("the outage is ticketed", || {
        tickets(stage.world(), first)
            .first()
            .is_some_and(|ticket| notes_with(ticket, "Triage (VeloCloud)") == 1)
    })
    .await;

    // Stopped in the middle of the second outage's ticket.
    stage.sandbox.faults().inject(ThirdParty::Bruin, Fault::latency(Duration::from_millis(300)));
    stage.world().break_edge(second).unwrap();
    until("the second outage has a ticket", || !tickets(stage.world(), second).is_empty()).await;
    running.terminate();
    let (code, records) = running.end(STOP_WITHIN).await;
    assert_eq!(code, 0, "{:#?}", errors(&records));

    let records = Ledger::stream(stage.nats.client().await).read(None).await.unwrap();
    let mut pending = Vec::new();
    for record in records {
        match record.step {
            Step::Intent { action, target, .. } => pending.push((action, target)),
            Step::Outcome { action, target, .. } => {
                let place = pending.iter().position(|intent| *intent == (action.clone(), target.clone()));
                drop(pending.remove(place.unwrap()));
            }
            Step::Abstained { .. } => {}
        }
    }
    assert_eq!(pending, [], "an action has no outcome");
    drop((bridges, cache));
}

/// The outage monitor with a cycle each second, and quarantines of one.
fn hurried_monitor(stage: &Stage) -> Environment {
    let mut environment =
        stage.environment("service-outage-monitor").with("MONITORING__MONITORING_JOB_INTERVAL", "1");
    for kind in ["LINK_DOWN", "HARD_DOWN", "HA_LINK_DOWN", "HA_SOFT_DOWN", "HA_HARD_DOWN"] {
        environment = environment.with(format!("MONITORING__QUARANTINE_FOR_EDGES_IN_{kind}_OUTAGE"), "1");
    }
    environment
}

#[tokio::test]
async fn the_log_says_what_saved_searches_look_for() {
    let stage = Stage::new().await;
    let others = stage.run(&[&BRIDGES[..], &["customer-cache"]].concat()).await;
    stage.until_cached().await;
    let edges = stage.edges();
    // Documented an hour ago: what happened since is to be told.
    let (told, broken) = (&edges[0], &edges[1]);
    let ticket = stage.ticket(told, "Ann Example", 2);
    let note = NewNote {
        value: "#*MetTel's IPA*#\nTriage (VeloCloud)\n".to_owned(),
        serials: vec![told.serial.clone()],
        detail: None,
        private: false,
    };
    let hour_ago = stage.clock.now() - TimeDelta::hours(1);
    stage.world().with_tickets(|tickets| tickets.add_notes(ticket, &[note], hour_ago)).unwrap();
    stage.world().break_link(&told.serial, &told.links[0].interface).unwrap();

    let triage = stage.environment("service-outage-monitor-triage");
    let triage = Program::ready("service-outage-monitor", &triage).await;
    triage.record("Triage appended to detail").await;
    triage.record("Triage process finished!").await;

    let monitor = Program::ready("service-outage-monitor", &hurried_monitor(&stage)).await;
    stage.world().break_edge(&broken.serial).unwrap();
    monitor.record("Successfully created outage ticket for edge").await;
    stage.world().heal_edge(&broken.serial).unwrap();
    monitor.record("Ticket linked to edge was autoresolved!").await;
    drop(others);
}

async fn looks_healthy(running: &Program) {
    assert_eq!(running.get("/_health").await, (200, "null".to_owned()));
    assert_eq!(running.head("/_health").await, (200, 0));
    assert_eq!(running.get("/_ready").await.0, 200);
    assert_eq!(running.get("/elsewhere").await.0, 404);
    assert!(running.metrics().await.contains("service_info{"));
    assert_eq!(errors(&running.records()), Vec::<&Value>::new());
}

/// Stops the program while requests are in flight: each of them gets its good reply, and the program ends in time.
async fn stops_without_losing_one(
    running: Program,
    old: &OldPeer,
    subject: &str,
    envelope: &Value,
    terminated: impl Fn(),
) {
    let requests = (0..IN_FLIGHT).map(|number| {
        let mut envelope = envelope.clone();
        envelope["request_id"] = json!(format!("in-flight-{number}"));
        async move { old.request(subject, &envelope, PATIENCE).await.envelope() }
    });
    let stop = async {
        while in_flight(&running, subject).await < IN_FLIGHT {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        running.terminate();
        running.record("stopping").await;
        terminated();
        running.end(STOP_WITHIN).await
    };
    let requests = futures::future::join_all(requests);
    let (replies, (code, records)) =
        tokio::time::timeout(PATIENCE, async { tokio::join!(requests, stop) }).await.unwrap();
    assert_eq!(code, 0, "{:#?}", errors(&records));
    for (number, reply) in replies.iter().enumerate() {
        assert_eq!(reply["request_id"], format!("in-flight-{number}"));
        assert!(reply["status"].as_u64().is_some_and(|status| status < 300), "{reply}");
    }
}

/// How many requests on a subject have reached the program and are not answered yet.
async fn in_flight(running: &Program, subject: &str) -> usize {
    let metrics = running.metrics().await;
    let label = format!("subject=\"{subject}\"");
    let of = |name: &str| -> usize {
        let line = metrics.lines().find(|line| line.starts_with(name) && line.contains(&label));
        line.and_then(|line| line.rsplit_once(' ')?.1.parse().ok()).unwrap_or(0)
    };
    of("bus_requests_in_flight{") + of("bus_requests_queued{")
}
