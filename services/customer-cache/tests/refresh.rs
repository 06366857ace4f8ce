//! Refreshing over real NATS and Redis, with stubs for VeloCloud, Bruin and the notifier.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test ends by panicking"
)]

mod running;

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use chrono::{DateTime, Utc};
use customer_cache::CustomerCache;
use running::{ask, serials};
use runtime::Clock;
use serde_json::{Value, json};
use testkit::PATIENCE;
use testkit::recordings::Stage;

const HOST: &str = "vco1.example.test";
const ONE_HOST: (&str, &str) = ("VELOCLOUD_HOSTS", r#"["vco1.example.test"]"#);

fn row(serial: &str, edge_id: i64, partner: Option<&str>) -> Value {
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
async fn peers(stage: &Stage, rows: &[Value]) {
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

fn clock(at: &str) -> Clock {
    Clock::frozen(at.parse::<DateTime<Utc>>().unwrap())
}

/// Waits until a refresh is over: its end is the next refresh's instant.
async fn refreshed(stage: &Stage, next: &str) {
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
    let service = stage.run_at::<CustomerCache>(&clock("2022-01-31T12:00:00Z"), &[ONE_HOST]).await;
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
    let service = stage.run_at::<CustomerCache>(&clock("2022-01-31T12:00:00Z"), &[ONE_HOST]).await;
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
    let service = stage.run_at::<CustomerCache>(&clock("2022-01-31T12:00:00Z"), &[ONE_HOST]).await;
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
    let other = "vco2.example.test";
    stage
        .peers
        .answer_by(
            "get.links.with.edge.info",
            vec![(json!({"host": HOST}), rows.clone()), (json!({"host": other}), down)],
        )
        .await;
    let clock = clock("2022-01-31T12:00:00Z");
    let hosts = ("VELOCLOUD_HOSTS", r#"["vco1.example.test","vco2.example.test"]"#);
    let service = stage.run_at::<CustomerCache>(&clock, &[hosts, ("REFRESH_CHECK_INTERVAL", "300")]).await;
    refreshed(&stage, "01/31/2022, 16:00:00").await;
    assert_eq!(stage.stored("dev-vco2.example.test").await, None);

    let mut second = row("Z", 9, None);
    second["host"] = json!(other);
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
    assert_eq!(asked, [json!(other)], "only the failed host");
    assert_eq!(stage.stored("dev-next_refresh_date").await.unwrap(), "01/31/2022, 16:00:00");
    service.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_replicas_one_refreshes_and_both_serve() {
    let stage = Stage::start("customer-cache").await;
    peers(&stage, &[row("A", 1, None)]).await;
    let clock = clock("2022-01-31T12:00:00Z");
    let (one, two) = tokio::join!(
        stage.run_at::<CustomerCache>(&clock, &[ONE_HOST]),
        stage.run_at::<CustomerCache>(&clock, &[ONE_HOST])
    );
    refreshed(&stage, "01/31/2022, 16:00:00").await;
    for _ in 0..20 {
        assert_eq!(ask(&stage, json!({"filter": {}})).await.0, 200);
    }
    assert_eq!(stage.peers.requests_on("get.links.with.edge.info").len(), 1);
    one.stop().await.unwrap();
    two.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_many_megabytes_travels_by_token_and_follows_what_redis_holds() {
    let stage = Stage::start("customer-cache").await;
    running::no_refresh(&stage).await;
    let service = stage.run_at::<CustomerCache>(&Clock::system(), &[ONE_HOST]).await;
    let list = |count: i64| {
        let edge = |id| {
            json!({"edge": {"host": HOST, "enterprise_id": 1, "edge_id": id}, "serial_number": format!("VC{id}"),
                   "site_details": {"siteLabel": "x".repeat(500)}})
        };
        json!((0..count).map(edge).collect::<Vec<_>>()).to_string()
    };
    for count in [4_000, 4_001, 3] {
        stage.store("dev-vco1.example.test", &list(count)).await;
        for _ in 0..2 {
            let (status, body) = ask(&stage, json!({"filter": {}})).await;
            assert_eq!((status, body.as_array().unwrap().len()), (200, usize::try_from(count).unwrap()));
        }
    }
    service.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_redis_is_told_by_503_and_comes_back() {
    let stage = Stage::start("customer-cache").await;
    let own = testkit::Redis::start().await;
    let port = own.port().to_string();
    let mut connection = own.connection().await;
    let () = redis::cmd("SET")
        .arg("dev-next_refresh_date")
        .arg("01/01/2099, 00:00:00")
        .query_async(&mut connection)
        .await
        .unwrap();
    let service = stage
        .run_at::<CustomerCache>(&Clock::system(), &[ONE_HOST, ("REDIS_CUSTOMER_CACHE_PORT", &port)])
        .await;
    assert_eq!(ask(&stage, json!({"filter": {}})).await.0, 202);
    own.kill9();
    assert_eq!(ask(&stage, json!({"filter": {}})).await.0, 503);
    own.restart().await;
    let until = tokio::time::Instant::now() + PATIENCE;
    while ask(&stage, json!({"filter": {}})).await.0 != 202 {
        assert!(tokio::time::Instant::now() < until, "does not recover");
    }
    service.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_redis_the_service_does_not_start_and_says_so() {
    let stage = Stage::start("customer-cache").await;
    let error = stage.why_not::<CustomerCache>(&[("REDIS_CUSTOMER_CACHE_PORT", "1")]).await;
    assert!(error.contains("REDIS_CUSTOMER_CACHE_HOSTNAME"), "{error}");
}

#[test]
fn an_empty_environment_names_every_missing_variable() {
    let runnable = runtime::Runnable::of::<CustomerCache>();
    let errors = runnable.check(&runtime::Environment::default()).unwrap_err().to_string();
    for name in [
        "NATS_SERVER1",
        "REDIS_HOSTNAME",
        "ENVIRONMENT_NAME",
        "REDIS_CUSTOMER_CACHE_HOSTNAME",
        "TIMEZONE",
        "CURRENT_ENVIRONMENT",
        "VELOCLOUD_HOSTS",
        "DUPLICATE_INVENTORIES_RECIPIENT",
        "REFRESH_JOB_INTERVAL",
        "REFRESH_CHECK_INTERVAL",
        "BLACKLISTED_EDGES",
        "BLACKLISTED_CLIENTS_WITH_PENDING_STATUS",
        "WHITELISTED_MANAGEMENT_STATUSES",
    ] {
        assert!(errors.contains(&format!("{name} is missing")), "{name}: {errors}");
    }
}
