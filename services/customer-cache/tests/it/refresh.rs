//! Refreshing over real NATS and Redis, with stubs for VeloCloud, Bruin and the notifier.

use crate::running::{self, ask, serials};
use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use chrono::{DateTime, Utc};
use redis::AsyncCommands;
use runtime::{Clock, Hosted};
use serde_json::{Value, json};
use testkit::PATIENCE;
use testkit::recordings::Stage;

pub(crate) const HOST: &str = "vco1.example.test";
const OTHER: &str = "vco2.example.test";
pub(crate) const ONE_HOST: (&str, &str) = ("VELOCLOUD_HOSTS", r#"["vco1.example.test"]"#);
const TWO_HOSTS: (&str, &str) = ("VELOCLOUD_HOSTS", r#"["vco1.example.test","vco2.example.test"]"#);
pub(crate) const RETRY: &str = "customer-cache:dev:retry";

pub(crate) fn row(serial: &str, edge_id: i64, partner: Option<&str>) -> Value {
    json!({
        "host": HOST, "enterpriseId": 12, "edgeId": edge_id, "edgeName": format!("Store {edge_id}"),
        "edgeState": "CONNECTED", "edgeLastContact": "2022-01-30T10:00:00.000Z", "edgeSerialNumber": serial,
        "edgeHASerialNumber": partner, "interface": "GE1", "linkState": "STABLE"
    })
}

fn ok(body: &Value) -> Value {
    json!({"body": body, "status": 200})
}

/// Peers that answer well: the rows are listed, every serial has one client with a site in Pacific time.
pub(crate) async fn peers(stage: &Stage, rows: &[Value]) {
    let peers = &stage.peers;
    peers.answer("get.links.with.edge.info", ok(&json!(rows))).await;
    let links = json!([{"interface": "GE1", "logicalId": "00:27:04:aa:bb:cc:0000", "extra": 1}]);
    let edges: Vec<Value> = rows.iter().map(|row| json!({"id": row["edgeId"], "links": links})).collect();
    peers.answer("request.enterprises.edges", ok(&json!(edges))).await;
    let links = json!([{"interfaces": ["GE1"], "mode": "PUBLIC", "type": "WIRED", "isp": "x"}]);
    peers.answer("request.links.configuration", ok(&links)).await;
    let client = json!([{"client_id": 11111, "client_name": "Example Corp", "site_id": 222}]);
    peers.answer("bruin.customer.get.info", ok(&client)).await;
    peers.answer("bruin.inventory.management.status", ok(&json!("Active – Gold Monitoring"))).await;
    let site = json!({"clientID": 11111, "siteID": "222", "timeZone": "Pacific", "longitude": -122.10});
    peers.answer("bruin.get.site", ok(&site)).await;
    peers.answer("notification.slack.request", json!({"status": 200})).await;
    peers.answer("notification.email.request", json!({"status": 200})).await;
}

pub(crate) fn clock(at: &str) -> Clock {
    Clock::frozen(at.parse::<DateTime<Utc>>().unwrap())
}

/// Waits until a refresh is over: its end is the next refresh's instant.
pub(crate) async fn refreshed(stage: &Stage, next: &str) {
    let until = tokio::time::Instant::now() + PATIENCE;
    while stage.stored("dev-next_refresh_date").await.as_deref() != Some(next) {
        assert!(tokio::time::Instant::now() < until, "no refresh");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_monitored_edge_is_served_with_everything_known_of_it() {
    let stage = Stage::start("customer-cache").await;
    peers(&stage, &[row("VC1234567", 345, None)]).await;
    let service = stage.run_at(&customer_cache::service(), &clock("2022-01-31T12:00:00Z"), &[ONE_HOST]).await;
    refreshed(&stage, "01/31/2022, 16:00:00").await;
    let (status, body) =
        ask(&stage, json!({"filter": {HOST: []}, "last_contact_filter": "2022-01-24 12:00:00.000000"})).await;
    assert_eq!(status, 200);
    let expected = json!([{
        "edge": {"host": HOST, "enterprise_id": 12, "edge_id": 345}, "edge_name": "Store 345",
        "last_contact": "2022-01-30T10:00:00.000Z",
        "logical_ids": [{"interface_name": "GE1", "logical_id": "00:27:04:aa:bb:cc:0000"}],
        "serial_number": "VC1234567", "ha_serial_number": null,
        "bruin_client_info": {"client_id": 11111, "client_name": "Example Corp", "site_id": 222},
        "site_details": {"clientID": 11111, "siteID": "222", "timeZone": "Pacific", "longitude": -122.10, "tzOffset": -8},
        "links_configuration": [{"interfaces": ["GE1"], "mode": "PUBLIC", "type": "WIRED"}]
    }]);
    assert_eq!(body, expected);
    assert_eq!(
        serde_json::from_str::<Value>(&stage.stored("dev-vco1.example.test").await.unwrap()).unwrap(),
        expected
    );
    service.stop().await.unwrap();
}

/// Example F: B is no longer monitored, C vanished from VeloCloud, D is a pair.
#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_is_laid_over_the_stored_list_and_mailed() {
    let stage = Stage::start("customer-cache").await;
    peers(&stage, &[row("A", 1, None), row("B", 2, None), row("D", 4, Some("P"))]).await;
    let client = json!([{"client_id": 11111, "client_name": "Example Corp", "site_id": 222}]);
    stage
        .peers
        .answer_by(
            "bruin.customer.get.info",
            vec![(json!({"service_number": "B"}), ok(&json!([]))), (json!({}), ok(&client))],
        )
        .await;
    let old = |serial: &str, id: i64| {
        json!({"edge": {"host": HOST, "enterprise_id": 12, "edge_id": id}, "serial_number": serial,
               "bruin_client_info": {"client_id": 1}, "of_another_version": true})
    };
    stage.store("dev-vco1.example.test", &json!([old("A", 1), old("B", 2), old("C", 3)]).to_string()).await;
    let service = stage.run_at(&customer_cache::service(), &clock("2022-01-31T12:00:00Z"), &[ONE_HOST]).await;
    refreshed(&stage, "01/31/2022, 16:00:00").await;

    let (_, body) = ask(&stage, json!({"filter": {}})).await;
    assert_eq!(serials(&body), ["A", "C", "D", "P"]);
    assert_eq!(body[1]["of_another_version"], true, "what was not refreshed stays as it was stored");
    assert_eq!((&body[3]["ha_serial_number"], &body[3]["edge"]), (&json!("D"), &body[2]["edge"]));

    assert!(
        stage
            .peers
            .until(PATIENCE, |all| all.iter().any(|r| r.subject == "notification.email.request"))
            .await
    );
    let mail = stage.peers.requests_on("notification.email.request")[0].body()["email_data"].clone();
    assert_eq!(mail["recipient"], "ops@example.test");
    assert_eq!(
        mail["subject"],
        "Customer cache snapshots. Environment: dev. Host: vco1.example.test. January 31 2022 - 12:00:00"
    );
    let csv = |n: usize| {
        let data = BASE64.decode(mail["attachments"][n]["data"].as_str().unwrap()).unwrap();
        String::from_utf8(data)
            .unwrap()
            .lines()
            .skip(1)
            .map(|line| line.split(',').next().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(csv(0), ["A", "B", "C"]);
    assert_eq!(csv(1), ["A", "B", "C", "D", "P"], "before invalid entries are removed");
    service.stop().await.unwrap();
}

/// Example G.
#[tokio::test(flavor = "multi_thread")]
async fn with_bruin_down_the_stored_list_stays_and_one_message_tells_for_all() {
    let stage = Stage::start("customer-cache").await;
    peers(&stage, &[row("A", 1, None), row("B", 2, None)]).await;
    stage.peers.answer("bruin.customer.get.info", json!({"body": "down", "status": 500})).await;
    let list = json!([{"edge": {"host": HOST, "enterprise_id": 12, "edge_id": 1}, "serial_number": "A"}])
        .to_string();
    stage.store("dev-vco1.example.test", &list).await;
    let service = stage.run_at(&customer_cache::service(), &clock("2022-01-31T12:00:00Z"), &[ONE_HOST]).await;
    let told = |requests: &[testkit::PeerRequest]| {
        requests.iter().filter(|request| request.subject == "notification.slack.request").count() == 2
    };
    assert!(stage.peers.until(PATIENCE, told).await);
    refreshed(&stage, "01/31/2022, 16:00:00").await;
    assert_eq!(stage.stored("dev-vco1.example.test").await.unwrap(), list);
    let texts: Vec<String> = stage
        .peers
        .requests_on("notification.slack.request")
        .iter()
        .map(|request| request.envelope["message"].as_str().unwrap().to_owned())
        .collect();
    assert!(texts.iter().all(|text| text.starts_with("[customer-cache] [DEV] ")), "{texts:?}");
    assert!(texts.iter().any(|text| text.contains("empty after crossing it with Bruin")), "{texts:?}");
    assert!(texts.iter().any(|text| text.contains("(2 failed: ")), "{texts:?}");
    service.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_failed_is_tried_again_with_the_next_tick() {
    let stage = Stage::start("customer-cache").await;
    peers(&stage, &[row("A", 1, None)]).await;
    let down = json!({"body": "down", "status": 500});
    let rows = ok(&json!([row("A", 1, None)]));
    stage
        .peers
        .answer_by(
            "get.links.with.edge.info",
            vec![(json!({"host": HOST}), rows.clone()), (json!({"host": OTHER}), down)],
        )
        .await;
    let clock = clock("2022-01-31T12:00:00Z");
    let service = stage
        .run_at(&customer_cache::service(), &clock, &[TWO_HOSTS, ("REFRESH_CHECK_INTERVAL", "300")])
        .await;
    refreshed(&stage, "01/31/2022, 16:00:00").await;
    assert_eq!(stage.stored("dev-vco2.example.test").await, None);

    let mut second = row("Z", 9, None);
    second["host"] = json!(OTHER);
    stage.peers.answer("get.links.with.edge.info", ok(&json!([second]))).await;
    stage.peers.take_requests();
    clock.sleepers(1).await;
    clock.advance(std::time::Duration::from_secs(300));
    let until = tokio::time::Instant::now() + PATIENCE;
    while stage.stored("dev-vco2.example.test").await.is_none() {
        assert!(tokio::time::Instant::now() < until, "the host is not tried again");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let asked: Vec<Value> = stage
        .peers
        .requests_on("get.links.with.edge.info")
        .iter()
        .map(|request| request.body()["host"].clone())
        .collect();
    assert_eq!(asked, [json!(OTHER)], "only the failed host");
    assert_eq!(stage.stored("dev-next_refresh_date").await.unwrap(), "01/31/2022, 16:00:00");
    service.stop().await.unwrap();
}

/// Improve 6.
#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_stays_down_is_told_once_for_each_refresh() {
    let stage = Stage::start("customer-cache").await;
    peers(&stage, &[row("A", 1, None)]).await;
    let down = json!({"body": "down", "status": 500});
    hosts_list(&stage, [(HOST, ok(&json!([row("A", 1, None)]))), (OTHER, down)]).await;
    let clock = clock("2022-01-31T12:00:00Z");
    let service = stage
        .run_at(&customer_cache::service(), &clock, &[TWO_HOSTS, ("REFRESH_CHECK_INTERVAL", "300")])
        .await;
    let tick = async |runs| {
        clock.sleepers(1).await;
        clock.advance(std::time::Duration::from_secs(300));
        jobs_ended(&service, runs).await;
    };
    jobs_ended(&service, 1).await;
    assert_eq!(slack_texts(&stage).len(), 1);
    tick(2).await;
    tick(3).await;
    assert_eq!(stage.peers.requests_on("get.links.with.edge.info").len(), 4);
    assert_eq!(slack_texts(&stage).len(), 1, "{:?}", slack_texts(&stage));

    // Something else is wrong with it: no edge is left, as Bruin cannot tell.
    let second = ok(&json!([row_of(OTHER, "Z", 9)]));
    hosts_list(&stage, [(HOST, ok(&json!([]))), (OTHER, second)]).await;
    stage.peers.answer("bruin.customer.get.info", json!({"body": "down", "status": 500})).await;
    tick(4).await;
    tick(5).await;
    assert_eq!(slack_texts(&stage).len(), 3, "{:?}", slack_texts(&stage));

    // The regular refresh always tells.
    let () = stage.redis.connection().await.del("dev-next_refresh_date").await.unwrap();
    tick(6).await;
    assert_eq!(slack_texts(&stage).len(), 5, "{:?}", slack_texts(&stage));
    service.stop().await.unwrap();
}

fn row_of(host: &str, serial: &str, edge_id: i64) -> Value {
    let mut row = row(serial, edge_id, None);
    row["host"] = json!(host);
    row
}

/// What each host lists.
async fn hosts_list(stage: &Stage, lists: [(&str, Value); 2]) {
    let lists = lists.map(|(host, reply)| (json!({"host": host}), reply));
    stage.peers.answer_by("get.links.with.edge.info", lists.to_vec()).await;
}

/// The hosts whose refresh failed, by what the service remembers.
async fn failed_hosts(stage: &Stage) -> Vec<String> {
    stage.redis.connection().await.smembers(RETRY).await.unwrap()
}

async fn stored_serials(stage: &Stage, host: &str) -> Vec<String> {
    let stored = stage.stored(&format!("dev-{host}")).await.unwrap();
    serials(&serde_json::from_str(&stored).unwrap()).into_iter().map(str::to_owned).collect()
}

fn slack_texts(stage: &Stage) -> Vec<String> {
    let requests = stage.peers.requests_on("notification.slack.request");
    requests.iter().map(|request| request.envelope["message"].as_str().unwrap().to_owned()).collect()
}

/// Waits until a run of the job is over.
pub(crate) async fn job_ended(service: &Hosted) {
    jobs_ended(service, 1).await;
}

/// Waits until so many runs of the job are over.
async fn jobs_ended(service: &Hosted, runs: u32) {
    let until = tokio::time::Instant::now() + PATIENCE;
    let ended = format!(" {runs}");
    while !service
        .metrics("scheduled_job_runs_total")
        .iter()
        .any(|line| line.contains("success") && line.ends_with(&ended))
    {
        assert!(tokio::time::Instant::now() < until, "the run does not end");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

/// Behaviour 1.5: it is in no group, so nothing is told and nothing is tried again.
#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_lists_nothing_neither_alerts_nor_failed() {
    let stage = Stage::start("customer-cache").await;
    peers(&stage, &[row("A", 1, None)]).await;
    hosts_list(&stage, [(HOST, ok(&json!([row("A", 1, None)]))), (OTHER, ok(&json!([])))]).await;
    let service =
        stage.run_at(&customer_cache::service(), &clock("2022-01-31T12:00:00Z"), &[TWO_HOSTS]).await;
    job_ended(&service).await;
    assert_eq!(slack_texts(&stage), Vec::<String>::new());
    assert_eq!(failed_hosts(&stage).await, Vec::<String>::new());
    service.stop().await.unwrap();
}

/// Also in a retry, where nothing else may be listed.
#[tokio::test(flavor = "multi_thread")]
async fn a_failed_host_that_now_lists_nothing_is_not_tried_again() {
    let stage = Stage::start("customer-cache").await;
    peers(&stage, &[]).await;
    running::no_refresh(&stage).await;
    let () = stage.redis.connection().await.sadd(RETRY, HOST).await.unwrap();
    let service = stage.run_at(&customer_cache::service(), &clock("2022-01-31T12:00:00Z"), &[ONE_HOST]).await;
    job_ended(&service).await;
    assert_eq!(stage.peers.requests_on("get.links.with.edge.info").len(), 1);
    assert_eq!(failed_hosts(&stage).await, Vec::<String>::new());
    service.stop().await.unwrap();
}

/// Behaviour 6.3; Bruin did answer, so asking again soon brings nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn a_host_whose_edges_are_all_invalid_alerts_and_did_not_fail() {
    let stage = Stage::start("customer-cache").await;
    peers(&stage, &[row("A", 1, None), row("B", 2, None)]).await;
    stage.peers.answer("bruin.customer.get.info", ok(&json!([]))).await;
    let list = json!([{"edge": {"host": HOST, "enterprise_id": 12, "edge_id": 1}, "serial_number": "A"}]);
    stage.store("dev-vco1.example.test", &list.to_string()).await;
    let service = stage.run_at(&customer_cache::service(), &clock("2022-01-31T12:00:00Z"), &[ONE_HOST]).await;
    job_ended(&service).await;
    let texts = slack_texts(&stage);
    assert!(texts.len() == 1 && texts[0].contains("empty after crossing it with Bruin"), "{texts:?}");
    assert_eq!(failed_hosts(&stage).await, Vec::<String>::new());
    assert_eq!(stored_serials(&stage, HOST).await, ["A"]);

    // One that Bruin could not tell of is enough.
    stage
        .peers
        .answer_by(
            "bruin.customer.get.info",
            vec![
                (json!({"service_number": "A"}), ok(&json!([]))),
                (json!({}), json!({"body": "down", "status": 500})),
            ],
        )
        .await;
    service.stop().await.unwrap();
    let () = stage.redis.connection().await.del("dev-next_refresh_date").await.unwrap();
    let service = stage.run_at(&customer_cache::service(), &clock("2022-01-31T12:00:00Z"), &[ONE_HOST]).await;
    job_ended(&service).await;
    assert_eq!(failed_hosts(&stage).await, [HOST]);
    service.stop().await.unwrap();
}

/// Only an empty list says that nobody has an edge, and only its first element counts.
#[tokio::test(flavor = "multi_thread")]
async fn where_the_client_info_cannot_be_read_the_stored_entry_stays() {
    let stage = Stage::start("customer-cache").await;
    let good = json!({"client_id": 11111, "client_name": "Example Corp", "site_id": 222});
    let unusable = [
        ("A", json!(null)),
        ("B", json!("nobody")),
        ("C", json!({"client_id": 11111})),
        ("D", json!([{"client_id": null}, good])),
        ("E", json!([5, good])),
        ("F", json!([[11111, "Example Corp", 222]])),
    ];
    let mut rows: Vec<Value> =
        unusable.iter().zip(1..).map(|((serial, _), id)| row(serial, id, None)).collect();
    rows.extend([row("Y", 98, None), row("Z", 99, None)]);
    peers(&stage, &rows).await;
    let mut replies: Vec<(Value, Value)> =
        unusable.iter().map(|(serial, body)| (json!({"service_number": serial}), ok(body))).collect();
    replies.push((json!({"service_number": "Y"}), ok(&json!([]))));
    replies.push((json!({}), ok(&json!([good]))));
    stage.peers.answer_by("bruin.customer.get.info", replies).await;
    let old = |row: &Value| {
        json!({"edge": {"host": HOST, "enterprise_id": 12, "edge_id": row["edgeId"]},
               "serial_number": row["edgeSerialNumber"], "of_another_version": true})
    };
    let stored: Vec<Value> = rows.iter().map(old).collect();
    stage.store("dev-vco1.example.test", &json!(stored).to_string()).await;
    let service = stage.run_at(&customer_cache::service(), &clock("2022-01-31T12:00:00Z"), &[ONE_HOST]).await;
    job_ended(&service).await;
    assert_eq!(stored_serials(&stage, HOST).await, ["A", "B", "C", "D", "E", "F", "Z"], "only Y is nobody's");
    let texts = slack_texts(&stage);
    assert!(texts.iter().any(|text| text.contains("(6 failed: ")), "{texts:?}");
    service.stop().await.unwrap();
}

/// A text, or none, says that an edge is not monitored.
#[tokio::test(flavor = "multi_thread")]
async fn where_the_management_status_cannot_be_read_the_stored_entry_stays() {
    let stage = Stage::start("customer-cache").await;
    let rows = [row("A", 1, None), row("B", 2, None), row("C", 3, None), row("D", 4, None)];
    peers(&stage, &rows).await;
    let of = |serial: &str, status: Value| (json!({"service_number": serial}), ok(&status));
    let statuses = vec![
        of("A", json!({"message": "nothing"})),
        of("C", json!(null)),
        of("D", json!("Cancelled")),
        (json!({}), ok(&json!("Pending"))),
    ];
    stage.peers.answer_by("bruin.inventory.management.status", statuses).await;
    let old = |row: &Value| {
        json!({"edge": {"host": HOST, "enterprise_id": 12, "edge_id": row["edgeId"]},
               "serial_number": row["edgeSerialNumber"], "bruin_client_info": {"client_id": 1}})
    };
    stage.store("dev-vco1.example.test", &json!(rows.each_ref().map(old)).to_string()).await;
    let service = stage.run_at(&customer_cache::service(), &clock("2022-01-31T12:00:00Z"), &[ONE_HOST]).await;
    job_ended(&service).await;
    assert_eq!(stored_serials(&stage, HOST).await, ["A", "B"], "only of C and D Bruin tells");
    let texts = slack_texts(&stage);
    assert!(texts.len() == 1 && texts[0].contains("(1 failed: A)"), "{texts:?}");
    service.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_client_is_stored_and_told_as_received() {
    let stage = Stage::start("customer-cache").await;
    peers(&stage, &[row("A", 1, None)]).await;
    let odd = json!({"site_id": "222", "client_id": 11111, "client_name": 5, "new": {"x": [1.50, null]}});
    let second = json!({"client_id": null, "added": true});
    stage.peers.answer("bruin.customer.get.info", ok(&json!([odd, second]))).await;
    let service = stage.run_at(&customer_cache::service(), &clock("2022-01-31T12:00:00Z"), &[ONE_HOST]).await;
    job_ended(&service).await;
    let (_, body) = ask(&stage, json!({"filter": {}})).await;
    assert_eq!(body[0]["bruin_client_info"], odd);
    let mails = stage.peers.requests_on("notification.email.request");
    let mails: Vec<&Value> = mails.iter().map(|mail| &mail.envelope["email_data"]).collect();
    let csv = BASE64.decode(mails[0]["attachments"][1]["data"].as_str().unwrap()).unwrap();
    assert!(String::from_utf8(csv).unwrap().contains("\nA,11111,,"), "an odd name costs no row");
    let items = json!([odd, second]).to_string();
    let texts = slack_texts(&stage);
    assert!(texts.len() == 1 && texts[0].contains(&items), "{texts:?}");
    assert!(mails[1]["html"].as_str().unwrap().contains(&items), "{}", mails[1]);
    service.stop().await.unwrap();
}

/// Improve 4.
#[tokio::test(flavor = "multi_thread")]
async fn odd_records_of_lists_cost_nothing_but_themselves() {
    let stage = Stage::start("customer-cache").await;
    peers(&stage, &[row("A", 1, None), json!("odd"), json!(null), json!([1]), row("B", 2, None)]).await;
    let links = json!([{"interface": "GE1", "logicalId": "a"}, "odd"]);
    let edges = json!([7, {"id": 1, "links": links}, {"id": 2}]);
    stage.peers.answer("request.enterprises.edges", ok(&edges)).await;
    let good = json!({"interfaces": ["GE1"], "mode": "PUBLIC", "type": "WIRED"});
    let links = json!([{"mode": "PUBLIC", "type": "WIRED"}, null, good, {"interfaces": ["GE2"]}]);
    stage.peers.answer("request.links.configuration", ok(&links)).await;
    let service = stage.run_at(&customer_cache::service(), &clock("2022-01-31T12:00:00Z"), &[ONE_HOST]).await;
    job_ended(&service).await;
    let (_, body) = ask(&stage, json!({"filter": {}})).await;
    assert_eq!(serials(&body), ["A", "B"]);
    assert_eq!(body[0]["logical_ids"], json!([{"interface_name": "GE1", "logical_id": "a"}]));
    assert_eq!(body[1]["logical_ids"], json!([]));
    assert_eq!(body[0]["links_configuration"], json!([good]));
    assert_eq!(slack_texts(&stage), Vec::<String>::new());
    service.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_list_that_is_none_fails_the_host() {
    let stage = Stage::start("customer-cache").await;
    peers(&stage, &[row("A", 1, None)]).await;
    hosts_list(&stage, [(HOST, ok(&json!([row("A", 1, None)]))), (OTHER, ok(&json!({"rows": []})))]).await;
    let service =
        stage.run_at(&customer_cache::service(), &clock("2022-01-31T12:00:00Z"), &[TWO_HOSTS]).await;
    job_ended(&service).await;
    assert_eq!(failed_hosts(&stage).await, [OTHER]);
    service.stop().await.unwrap();
}

/// A serial belongs to the host for which it is stored, also when only the other one is refreshed.
#[tokio::test(flavor = "multi_thread")]
async fn a_retry_leaves_alone_what_is_stored_for_another_host() {
    let stage = Stage::start("customer-cache").await;
    peers(&stage, &[]).await;
    let second = json!([row_of(OTHER, "A", 1), row_of(OTHER, "Z", 9)]);
    hosts_list(&stage, [(HOST, ok(&json!([]))), (OTHER, ok(&second))]).await;
    running::no_refresh(&stage).await;
    let list = json!([{"edge": {"host": HOST, "enterprise_id": 12, "edge_id": 1}, "serial_number": "A"}]);
    stage.store("dev-vco1.example.test", &list.to_string()).await;
    let () = stage.redis.connection().await.sadd(RETRY, OTHER).await.unwrap();
    let service =
        stage.run_at(&customer_cache::service(), &clock("2022-01-31T12:00:00Z"), &[TWO_HOSTS]).await;
    job_ended(&service).await;
    assert_eq!(stored_serials(&stage, OTHER).await, ["Z"]);
    service.stop().await.unwrap();
}

/// Behaviour 1.5, and Improve 3: what one host's list says of another's edges does not make that list complete.
#[tokio::test(flavor = "multi_thread")]
async fn edges_are_grouped_by_the_host_that_their_rows_name() {
    let stage = Stage::start("customer-cache").await;
    peers(&stage, &[]).await;
    let first = json!([row("A", 1, None), row_of(OTHER, "Z", 9)]);
    hosts_list(&stage, [(HOST, ok(&first)), (OTHER, json!({"body": "down", "status": 500}))]).await;
    let list = json!([{"edge": {"host": OTHER, "enterprise_id": 12, "edge_id": 8}, "serial_number": "Y"}]);
    stage.store("dev-vco2.example.test", &list.to_string()).await;
    let drop = ("DROP_MISSING_EDGES_AFTER_REFRESHES", "1");
    let service =
        stage.run_at(&customer_cache::service(), &clock("2022-01-31T12:00:00Z"), &[TWO_HOSTS, drop]).await;
    job_ended(&service).await;
    assert_eq!(stored_serials(&stage, HOST).await, ["A"]);
    assert_eq!(stored_serials(&stage, OTHER).await, ["Y", "Z"]);
    let enterprises = stage.peers.requests_on("request.enterprises.edges");
    let asked = |host| enterprises.iter().filter(|request| request.body()["host"] == host).count();
    assert_eq!((asked(HOST), asked(OTHER)), (1, 1));
    assert_eq!(failed_hosts(&stage).await, [OTHER], "its own list could not be had");
    service.stop().await.unwrap();
}
