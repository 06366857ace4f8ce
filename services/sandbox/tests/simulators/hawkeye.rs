//! The Hawkeye API over HTTP.

use std::collections::HashSet;
use std::time::Duration;

use sandbox::environment as env;
use sandbox::world::probes::{Probe, ProbeOddity, ProbeService};
use sandbox::{Running, ThirdParty};
use serde_json::{Value, json};

use crate::common::{Http, bruin, sandbox, start};

fn api(sandbox: &Running) -> String {
    format!("{}/hawkeye/api", sandbox.base_url())
}

async fn login(sandbox: &Running) -> Http {
    let credentials = json!({"username": env::HAWKEYE_USER, "password": env::HAWKEYE_PASSWORD});
    let answer = Http::new().post(&format!("{}/login", api(sandbox)), credentials).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let cookie = answer.headers["set-cookie"].to_str().unwrap();
    assert!(cookie.starts_with("PHPSESSID="), "{cookie}");
    Http::new().with("cookie", cookie.split(';').next().unwrap())
}

fn probe(sandbox: &Running, condition: impl Fn(&Probe) -> bool) -> Probe {
    sandbox.world().probes(|probes| probes.list().iter().find(|probe| condition(probe)).unwrap().clone())
}

/// An ordinary probe that runs every kind of test.
fn ordinary(sandbox: &Running) -> Probe {
    probe(sandbox, |probe| probe.oddity == ProbeOddity::None && probe.has_real_service)
}

#[tokio::test]
async fn sessions_are_needed_and_expire() {
    let sandbox = sandbox().await;
    let probes = format!("{}/probes", api(&sandbox));
    assert_eq!(Http::new().get(&probes).await.status, 401);
    let forged = Http::new().with("cookie", "PHPSESSID=forged").get(&probes).await;
    assert_eq!((forged.status, forged.json()), (401, json!({"error": "not logged in"})));
    let wrong = json!({"username": env::HAWKEYE_USER, "password": "wrong"});
    assert_eq!(Http::new().post(&format!("{}/login", api(&sandbox)), wrong).await.status, 401);

    let session = login(&sandbox).await;
    assert_eq!(session.get(&probes).await.status, 200);
    sandbox.world().advance(Duration::from_secs(1_440));
    assert_eq!(session.get(&probes).await.status, 401);
    let session = login(&sandbox).await;
    sandbox.sessions().expire(ThirdParty::Hawkeye);
    assert_eq!(session.get(&format!("{}/testsresults/1", api(&sandbox))).await.status, 401);
}

#[tokio::test]
async fn a_refused_login_strikes_logins_only() {
    let sandbox = sandbox().await;
    let session = login(&sandbox).await;
    let faults = format!("{}/control/third-parties/hawkeye/faults", sandbox.base_url());
    assert_eq!(Http::new().post(&faults, json!({"mode": "refuse_logins"})).await.status, 200);
    let credentials = json!({"username": env::HAWKEYE_USER, "password": env::HAWKEYE_PASSWORD});
    assert_eq!(Http::new().post(&format!("{}/login", api(&sandbox)), credentials).await.status, 401);
    assert_eq!(session.get(&format!("{}/probes", api(&sandbox))).await.status, 200);
}

#[tokio::test]
async fn probes_come_in_pages() {
    let sandbox = start(600).await;
    let session = login(&sandbox).await;
    let page = async |query: &str| session.get(&format!("{}/probes?{query}", api(&sandbox))).await.json();
    let first = page("limit=100&offset=0").await;
    let shape =
        |page: &Value| ["total_count", "count", "limit", "offset", "has_more"].map(|name| page[name].clone());
    assert_eq!(shape(&first), [json!("150"), json!(100), json!("100"), json!(0), json!(1)]);
    let second = page("limit=100&offset=100").await;
    assert_eq!(shape(&second), [json!("150"), json!(50), json!("100"), json!(100), json!(0)]);
    let records = |page: &Value| page["records"].as_array().unwrap().clone();
    let ids: HashSet<String> =
        records(&first).iter().chain(&records(&second)).map(|probe| probe["probeId"].to_string()).collect();
    assert_eq!(ids.len(), 150);
    assert_eq!(shape(&page("offset=150").await)[1..], [json!(0), json!("100"), json!(150), json!(0)]);
    assert_eq!(shape(&page("limit=0").await)[1], json!(1));
    let bad = session.get(&format!("{}/probes?offset=x", api(&sandbox))).await;
    assert_eq!((bad.status, bad.json()), (400, json!({"error": "offset must be a number"})));
}

#[tokio::test]
async fn probes_are_filtered_by_serial_number_and_status() {
    let sandbox = sandbox().await;
    let session = login(&sandbox).await;
    let list = async |query: &str| {
        let answer = session.get(&format!("{}/probes?limit=500&{query}", api(&sandbox))).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()["records"].as_array().unwrap().clone()
    };
    let probe = ordinary(&sandbox);
    let control = format!("{}/control/hawkeye/probes/{}", sandbox.base_url(), probe.serial);
    assert!(list("status=down").await.is_empty());
    assert_eq!(Http::new().post(&format!("{control}/break-real-service"), Value::Null).await.status, 200);
    let down = list("status=down").await;
    assert_eq!((down.len(), &down[0]["serialNumber"]), (1, &json!(probe.serial)));
    assert_eq!(down[0]["realservice"], json!({"status": 0, "lastUpdate": "2022-01-31T15:00:00Z"}));
    assert_eq!(down[0]["nodetonode"]["status"], 1);
    assert_eq!(list("status=up").await.len(), list("").await.len() - 1);
    assert_eq!(list(&format!("serial_number={}&status=", probe.serial)).await, down);
    assert!(list("serial_number=nobody").await.is_empty());
    let bad = session.get(&format!("{}/probes?status=sideways", api(&sandbox))).await;
    assert_eq!(bad.status, 400);
}

#[tokio::test]
async fn the_world_has_every_kind_of_probe() {
    let sandbox = sandbox().await;
    let session = login(&sandbox).await;
    let listed = session.get(&format!("{}/probes?limit=500", api(&sandbox))).await.json();
    let listed = listed["records"].as_array().unwrap();
    let of = |oddity| {
        let uid = probe(&sandbox, |probe| probe.oddity == oddity).uid;
        listed.iter().find(|record| record["uid"] == uid).unwrap()
    };
    assert_eq!(of(ProbeOddity::Inactive)["active"], "0");
    for service in ["nodetonode", "realservice"] {
        assert_eq!(of(ProbeOddity::Never)[service], json!({"status": 1, "lastUpdate": "never"}));
    }
    let twin = of(ProbeOddity::SameSerial);
    assert_eq!(listed.iter().filter(|record| record["serialNumber"] == twin["serialNumber"]).count(), 2);

    let inventory = bruin(&sandbox).await;
    for (oddity, active, items) in [
        (ProbeOddity::None, 1, 1),
        (ProbeOddity::TwoInventories, 2, 2),
        (ProbeOddity::Disconnected, 0, 1),
        (ProbeOddity::Unknown, 0, 0),
    ] {
        let serial = of(oddity)["serialNumber"].as_str().unwrap();
        let url = format!("{}/api/Inventory?ServiceNumber={serial}", sandbox.bruin_url());
        let documents = inventory.get(&url).await.json()["documents"].as_array().unwrap().clone();
        let found = documents.iter().filter(|document| document["status"] == "A").count();
        assert_eq!((found, documents.len()), (active, items), "{oddity:?}");
    }
}

#[tokio::test]
async fn people_fail_and_heal_tests() {
    let sandbox = sandbox().await;
    let session = login(&sandbox).await;
    let probe = ordinary(&sandbox);
    let control = format!("{}/control/hawkeye/probes/{}", sandbox.base_url(), probe.serial);
    let act = async |action: &str| Http::new().post(&format!("{control}/{action}"), Value::Null).await;
    let last = async || {
        let now = sandbox.world().now().format("%Y-%m-%d %H:%M:%S%.6f").to_string().replace(' ', "%20");
        let uid = probe.uid.replace(':', "%3A");
        let query = format!("startDate={now}&endDate={now}&limit=100&offset=0&probeFrom={uid}");
        let page = session.get(&format!("{}/testsresults?{query}", api(&sandbox))).await.json();
        assert_eq!((&page["total_count"], &page["count"]), (&json!("3"), &json!(3)), "{page}");
        page["records"].as_array().unwrap().clone()
    };
    let statuses = |records: &[Value]| -> Vec<String> {
        records
            .iter()
            .map(|record| format!("{}: {}", record["testType"], record["status"]).replace('"', ""))
            .collect()
    };
    assert_eq!(
        statuses(&last().await),
        ["ICMP Test: Passed", "Network KPI: Passed", "Voice bidirectional: Passed"]
    );

    assert_eq!(act("tests/voice/fail").await.json(), json!({"changed": true}));
    assert_eq!(act("tests/voice/fail").await.json(), json!({"changed": false}));
    assert_eq!(act("break-real-service").await.json(), json!({"changed": true}));
    sandbox.world().advance(Duration::from_secs(300));
    let records = last().await;
    assert_eq!(
        statuses(&records),
        ["ICMP Test: Error", "Network KPI: Passed", "Voice bidirectional: Failed"]
    );
    assert_eq!(records[2]["probeFrom"], json!(probe.name));

    let details = async |record: &Value| {
        let id = record["id"].as_str().unwrap();
        session.get(&format!("{}/testsresults/{id}", api(&sandbox))).await.json()
    };
    let failed = details(&records[2]).await;
    assert_eq!((&failed["id"], &failed["status"]), (&records[2]["id"], &json!("Failed")));
    let metrics = failed["metrics"].as_array().unwrap();
    let loss = metrics.iter().find(|metric| metric["metric"] == "Loss").unwrap();
    assert_eq!((&loss["status"], &loss["thresholdType"]), (&json!("Failed"), &json!("0")));
    assert!(metrics.iter().any(|metric| metric["thresholdType"] == "-1" && metric["value"] == "n/a"));
    assert_eq!(details(&records[0]).await["metrics"], json!([]));

    let listed = Http::new().get(&format!("{}/control/hawkeye/probes", sandbox.base_url())).await.json();
    let shown = listed.as_array().unwrap().iter().find(|shown| shown["serial"] == probe.serial).unwrap();
    assert_eq!(shown["real_service"]["up"], false);
    assert_eq!(shown["tests"][2], json!({"test": "voice", "failing_since": "2022-01-31T15:00:00Z"}));

    assert_eq!(act("heal").await.json(), json!({"changed": true}));
    sandbox.world().advance(Duration::from_secs(300));
    assert_eq!(
        statuses(&last().await),
        ["ICMP Test: Passed", "Network KPI: Passed", "Voice bidirectional: Passed"]
    );
    for (action, status) in [("tests/fax/fail", 400), ("explode", 400)] {
        assert_eq!(act(action).await.status, status, "{action}");
    }
    let nobody = format!("{}/control/hawkeye/probes/nobody/break", sandbox.base_url());
    assert_eq!(Http::new().post(&nobody, Value::Null).await.status, 404);
}

#[tokio::test]
async fn a_broken_probe_is_down_until_it_is_healed_and_a_deactivated_one_runs_nothing() {
    let sandbox = sandbox().await;
    let probe = ordinary(&sandbox);
    let session = login(&sandbox).await;
    let control = format!("{}/control/hawkeye/probes/{}", sandbox.base_url(), probe.serial);
    let act = async |action: &str| Http::new().post(&format!("{control}/{action}"), Value::Null).await.json();
    let record = async || {
        let url = format!("{}/probes?serial_number={}", api(&sandbox), probe.serial);
        session.get(&url).await.json()["records"][0].clone()
    };
    assert_eq!(act("break").await, json!({"changed": true}));
    sandbox.world().advance(Duration::from_secs(900));
    for service in ["nodetonode", "realservice"] {
        let expected = json!({"status": 0, "lastUpdate": "2022-01-31T15:00:00Z"});
        assert_eq!(record().await[service], expected, "{service}");
    }
    let healed = Http::new().post(&format!("{}/control/heal", sandbox.base_url()), Value::Null).await.json();
    assert_eq!(healed["healed"], 2);
    let expected = json!({"status": 1, "lastUpdate": "2022-01-31T15:15:00Z"});
    assert_eq!(record().await["nodetonode"], expected);
    let down = sandbox.world().probes(|probes| {
        let probe = probes.by_uid(&probe.uid).unwrap();
        probe.down(ProbeService::NodeToNode).at("2022-01-31T15:10:00Z".parse().unwrap())
    });
    assert!(down);

    assert_eq!(act("deactivate").await, json!({"changed": true}));
    assert_eq!(record().await["active"], "0");
    let url = format!("{}/testsresults?probeFrom={}", api(&sandbox), probe.uid);
    assert_eq!(session.get(&url).await.json()["total_count"], "0");
    assert_eq!(act("activate").await, json!({"changed": true}));
    assert_ne!(session.get(&url).await.json()["total_count"], "0");
}

#[tokio::test]
async fn results_of_all_probes_are_listed_in_pages_and_bad_dates_refused() {
    let sandbox = sandbox().await;
    let session = login(&sandbox).await;
    let url = |query: &str| format!("{}/testsresults?{query}", api(&sandbox));
    let interval = "startDate=2022-01-31T14:50:00Z&endDate=2022-01-31%2015:00:00";
    let mut ids = HashSet::new();
    let mut offset = 0;
    let total: usize = loop {
        let page = session.get(&url(&format!("{interval}&limit=70&offset={offset}"))).await.json();
        let records = page["records"].as_array().unwrap().clone();
        ids.extend(records.iter().map(|record| record["id"].as_str().unwrap().to_owned()));
        offset += records.len();
        if page["has_more"] == 0 {
            break page["total_count"].as_str().unwrap().parse().unwrap();
        }
    };
    assert!(total > 100, "{total}");
    assert_eq!((ids.len(), offset), (total, total));
    let nobody = session.get(&url("probeFrom=nobody")).await.json();
    assert_eq!((&nobody["total_count"], &nobody["records"]), (&json!("0"), &json!([])));
    let bad = session.get(&url("startDate=yesterday")).await;
    assert_eq!((bad.status, bad.json()), (400, json!({"error": "startDate is no date"})));
    for none in ["1", "x", "%2e%2e"] {
        assert_eq!(
            session.get(&format!("{}/testsresults/{none}", api(&sandbox))).await.status,
            404,
            "{none}"
        );
    }
}
