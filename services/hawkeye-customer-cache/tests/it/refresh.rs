//! Refreshing over real NATS and Redis, with stubs for Hawkeye, Bruin and the notifier.

use std::time::Duration;

use crate::running::{LIST, SUBJECT, ask, device};
use redis::AsyncCommands;
use runtime::{Clock, Hosted};
use serde_json::{Value, json};
use testkit::recordings::Stage;
use testkit::{PATIENCE, Via};

const PROBES: &str = "hawkeye.probe.request";
const CLIENT: &str = "bruin.customer.get.info";
const STATUS: &str = "bruin.inventory.management.status";
const SLACK: &str = "notification.slack.request";
const MAIL: &str = "notification.email.request";
const LEASE: &str = "hawkeye-customer-cache:dev:lease";
const REFRESHED: &str = "hawkeye-customer-cache:dev:refreshed";
const NOW: &str = "2021-01-05T14:00:00Z";

fn clock() -> Clock {
    Clock::frozen(NOW.parse().unwrap())
}

fn probe(number: u32, node_to_node: &str, real_service: &str) -> Value {
    json!({
        "probeId": number.to_string(), "uid": format!("aa:bb:cc:00:00:{number:02x}"), "name": "V_example", "active": "1",
        "serialNumber": format!("AABBCC{number:06}"), "probeGroup": "NEW", "typeName": "xr_pi",
        "nodetonode": {"status": 1, "lastUpdate": node_to_node},
        "realservice": {"status": 0, "lastUpdate": real_service}
    })
}

fn reporting(number: u32) -> Value {
    probe(number, "2021-01-05T13:57:07Z", "never")
}

fn ok(body: &Value) -> Value {
    json!({"body": body, "status": 200})
}

fn client(number: u32) -> Value {
    // With a field that this version does not know.
    json!([{"client_id": 30_000, "client_name": "Acme", "site_id": 900 + number, "new": [1]}])
}

fn of(number: u32) -> Value {
    json!({"service_number": format!("AABBCC{number:06}")})
}

/// Peers that answer well: the probes are listed, every device belongs to a client and is monitored.
async fn peers(stage: &Stage, probes: &[Value]) {
    let peers = &stage.peers;
    peers.answer(PROBES, ok(&json!(probes))).await;
    let clients = (0..30).map(|number| (of(number), ok(&client(number)))).collect();
    peers.answer_by(CLIENT, clients).await;
    peers.answer(STATUS, ok(&json!("Active – Gold Monitoring"))).await;
    // The existing notifier answers Slack with a text as status.
    peers.answer(SLACK, json!({"status": "ok"})).await;
    peers.answer(MAIL, json!({"status": 200})).await;
}

/// Waits for a refresh that ended at this instant.
async fn refreshed(stage: &Stage, at: &str) {
    let at: chrono::DateTime<chrono::Utc> = at.parse().unwrap();
    let until = tokio::time::Instant::now() + PATIENCE;
    while stage.stored(REFRESHED).await.and_then(|text| text.parse().ok()) != Some(at) {
        assert!(tokio::time::Instant::now() < until, "no refresh");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Waits until the only line about ended runs is this one.
async fn ended(service: &Hosted, line: &str) {
    let until = tokio::time::Instant::now() + PATIENCE;
    while service.metrics("scheduled_job_runs_total") != [format!("scheduled_job_runs_total{line}")] {
        assert!(tokio::time::Instant::now() < until, "no run ends so: {line}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn list(stage: &Stage) -> Value {
    serde_json::from_str(&stage.stored(LIST).await.unwrap()).unwrap()
}

fn serials(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|device| device["serial_number"].as_str().unwrap()).collect()
}

/// The Slack texts, once there is one that contains `text`.
async fn told(stage: &Stage, text: &str) -> Vec<String> {
    let of =
        |request: &testkit::PeerRequest| request.envelope["message"].as_str().unwrap_or_default().to_owned();
    let has = |requests: &[testkit::PeerRequest]| requests.iter().any(|request| of(request).contains(text));
    assert!(stage.peers.until(PATIENCE, has).await, "nobody said {text}");
    stage.peers.requests_on(SLACK).iter().map(of).collect()
}

/// Examples 1 and 6 to 8.
#[tokio::test(flavor = "multi_thread")]
async fn monitored_devices_are_cached_and_all_others_are_not() {
    let stage = Stage::start("hawkeye-customer-cache").await;
    let at = "2021-01-05T13:57:07Z";
    let probes = [
        reporting(1),
        probe(2, "never", "2021-01-05T10:00:00Z"),
        probe(3, at, "2021-01-05T13:57:08Z"),
        probe(4, "never", "never"),
        reporting(5),
        reporting(6),
        reporting(7),
        probe(1, "2021-01-05T13:58:00Z", "never"),
    ];
    peers(&stage, &probes).await;
    let two = json!([client(2)[0], client(22)[0]]);
    let mut clients = vec![(of(2), ok(&two)), (of(5), ok(&json!([])))];
    clients.extend((0..30).map(|number| (of(number), ok(&client(number)))));
    stage.peers.answer_by(CLIENT, clients).await;
    let statuses = vec![
        (of(1), ok(&json!("Pending"))),
        (of(6), ok(&json!("Active – Silver Monitoring"))),
        (of(7), ok(&json!(null))),
        (json!({}), ok(&json!("Active – Platinum Monitoring"))),
    ];
    stage.peers.answer_by(STATUS, statuses).await;
    let service = stage.run_at(&hawkeye_customer_cache::service(), &clock(), &[]).await;
    refreshed(&stage, NOW).await;

    let cached = |number: u32, contact: &str| {
        let mut cached = device(number, contact);
        cached["probe_group"] = json!("NEW");
        cached["bruin_client_info"] = client(number)[0].clone();
        cached
    };
    let expected = json!([
        cached(1, "2021-01-05T13:58:00Z"),
        cached(2, "2021-01-05T10:00:00Z"),
        cached(3, "2021-01-05T13:57:08Z")
    ]);
    assert_eq!(ask(&stage, json!({})).await, (200, expected.clone()));
    assert_eq!(list(&stage).await, expected);
    assert_eq!(stage.redis.connection().await.ttl::<_, i64>(LIST).await.unwrap(), -1);
    let (status, recent) = ask(&stage, json!({"last_contact_filter": at})).await;
    assert_eq!((status, serials(&recent)), (200, vec!["AABBCC000001", "AABBCC000003"]));
    assert_eq!(stage.peers.requests_on(PROBES)[0].body(), json!({}));
    let asked = json!({"client_id": 30_000, "service_number": "AABBCC000001", "status": "A"});
    assert!(stage.peers.requests_on(STATUS).iter().any(|request| request.body() == asked));

    let texts = told(&stage, "more than one status").await;
    assert_eq!(texts.len(), 1, "{texts:?}");
    let start = r#"[hawkeye-customer-cache] Alert. Detected some devices with more than one status: {"AABBCC000002":[{"#;
    assert!(texts[0].starts_with(start), "{texts:?}");
    assert!(stage.peers.until(PATIENCE, |all| all.iter().any(|request| request.subject == MAIL)).await);
    let mail = stage.peers.requests_on(MAIL)[0].envelope["email_data"].clone();
    assert_eq!(mail["recipient"], "ops@example.test");
    assert_eq!(mail["subject"], "Serials with multiple inventory items (January 05 2021 - 14:00:00)");
    assert!(mail["html"].as_str().unwrap().contains("\nSerial: AABBCC000002 and items: ["), "{mail}");
    assert_eq!(
        service.metrics("hawkeye_customer_cache_refreshed"),
        ["hawkeye_customer_cache_refreshed_timestamp_seconds 1609855200"]
    );
    service.stop().await.unwrap();
}

/// Improve 1 and 10.
#[tokio::test(flavor = "multi_thread")]
async fn where_bruin_cannot_tell_cached_devices_stay_and_one_message_tells_for_all() {
    let stage = Stage::start("hawkeye-customer-cache").await;
    let probes: Vec<Value> = (1..=20).map(reporting).collect();
    peers(&stage, &probes).await;
    let no_client = json!([{"client_id": null, "client_name": null, "site_id": null}]);
    stage
        .peers
        .answer_by(
            CLIENT,
            vec![
                (of(1), ok(&client(1))),
                (of(2), ok(&client(2))),
                (of(3), ok(&no_client)),
                (json!({}), json!({"body": "down", "status": 500})),
            ],
        )
        .await;
    stage
        .peers
        .answer_by(
            STATUS,
            vec![(of(2), json!({"body": "x", "status": 503})), (json!({}), ok(&json!("Pending")))],
        )
        .await;
    // 21 is no longer listed; 5 to 20 were never cached.
    let old: Vec<Value> = [2, 3, 4, 21].map(|number| device(number, "2020-12-31T00:00:00Z")).to_vec();
    stage.store(LIST, &json!(old).to_string()).await;
    let service = stage.run_at(&hawkeye_customer_cache::service(), &clock(), &[]).await;
    refreshed(&stage, NOW).await;
    let list = list(&stage).await;
    assert_eq!(serials(&list), ["AABBCC000001", "AABBCC000002", "AABBCC000003", "AABBCC000004"]);
    for kept in 1..=3 {
        assert_eq!(list[kept]["last_contact"], "2021-01-05T13:57:07Z", "fields of the probe are fresh");
        assert_eq!(list[kept]["bruin_client_info"]["client_id"], 30_000);
    }
    told(&stage, "the management status of devices could not be claimed").await;
    let texts = told(&stage, "the client of devices could not be claimed").await;
    assert_eq!(texts.len(), 2, "{texts:?}");
    assert!(texts.iter().all(|text| text.starts_with("[hawkeye-customer-cache] [DEV] ")), "{texts:?}");
    assert!(texts.iter().any(|text| text.contains("(18 failed: ")), "{texts:?}");
    service.stop().await.unwrap();
}

/// Improve 1: only an empty list of clients is a definite answer.
#[tokio::test(flavor = "multi_thread")]
async fn where_the_client_info_cannot_be_read_cached_devices_stay() {
    let stage = Stage::start("hawkeye-customer-cache").await;
    peers(&stage, &(1..=6).map(reporting).collect::<Vec<_>>()).await;
    let bodies = [json!([]), json!(null), json!("nobody"), json!({}), json!([5, client(5)[0]])];
    let mut replies: Vec<(Value, Value)> =
        (1..).zip(&bodies).map(|(number, body)| (of(number), ok(body))).collect();
    replies.push((of(6), ok(&client(6))));
    stage.peers.answer_by(CLIENT, replies).await;
    let old: Vec<Value> = (1..=5).map(|number| device(number, "2020-12-31T00:00:00Z")).collect();
    stage.store(LIST, &json!(old).to_string()).await;
    let service = stage.run_at(&hawkeye_customer_cache::service(), &clock(), &[]).await;
    refreshed(&stage, NOW).await;
    let kept = [2, 3, 4, 5, 6].map(|number| format!("AABBCC{number:06}"));
    assert_eq!(serials(&list(&stage).await), kept);
    service.stop().await.unwrap();
}

/// Improve 2.
#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_never_replaced_by_an_empty_one() {
    let stage = Stage::start("hawkeye-customer-cache").await;
    peers(&stage, &[reporting(1), reporting(2)]).await;
    stage.peers.answer(CLIENT, ok(&json!([]))).await;
    let old = json!([device(1, "2020-12-31T00:00:00Z")]).to_string();
    stage.store(LIST, &old).await;
    let service = stage.run_at(&hawkeye_customer_cache::service(), &clock(), &[]).await;
    told(&stage, "None of 2 Hawkeye probes is left").await;
    assert_eq!(stage.stored(LIST).await.unwrap(), old);
    assert_eq!(stage.stored(REFRESHED).await, None);
    service.stop().await.unwrap();
}

/// Behaviour, "Refresh job" 5: told whenever there are some, also when none of these devices is monitored.
#[tokio::test(flavor = "multi_thread")]
async fn several_inventories_of_a_serial_are_told_also_when_no_device_is_left() {
    let stage = Stage::start("hawkeye-customer-cache").await;
    peers(&stage, &[reporting(1)]).await;
    stage.peers.answer(CLIENT, ok(&json!([client(1)[0], client(2)[0]]))).await;
    stage.peers.answer(STATUS, ok(&json!("Active – Silver Monitoring"))).await;
    let service = stage.run_at(&hawkeye_customer_cache::service(), &clock(), &[]).await;
    told(&stage, "more than one status").await;
    assert!(stage.peers.until(PATIENCE, |all| all.iter().any(|request| request.subject == MAIL)).await);
    assert_eq!(stage.stored(LIST).await, None);
    service.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_no_probe_does_not_keep_the_others_from_being_cached() {
    let stage = Stage::start("hawkeye-customer-cache").await;
    let odd = [json!(null), json!(["AABBCC000009"]), json!("x"), json!({"probeId": "7"})];
    let probes = [&odd[..2], &[reporting(1)], &odd[2..], &[reporting(2)]].concat();
    peers(&stage, &probes).await;
    let service = stage.run_at(&hawkeye_customer_cache::service(), &clock(), &[]).await;
    refreshed(&stage, NOW).await;
    assert_eq!(serials(&list(&stage).await), ["AABBCC000001", "AABBCC000002"]);
    service.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_list_that_bruins_failure_leaves_empty_is_tried_again_soon() {
    let stage = Stage::start("hawkeye-customer-cache").await;
    peers(&stage, &[reporting(1)]).await;
    stage.peers.answer(CLIENT, json!({"body": "down", "status": 500})).await;
    let clock = clock();
    let service = stage.run_at(&hawkeye_customer_cache::service(), &clock, &[]).await;
    told(&stage, "the client of devices could not be claimed").await;
    assert_eq!(ask(&stage, json!({})).await, (202, json!("Cache is still being built")));
    stage.peers.answer(CLIENT, ok(&client(1))).await;
    let until = tokio::time::Instant::now() + PATIENCE;
    while ask(&stage, json!({})).await.0 != 200 {
        assert!(tokio::time::Instant::now() < until, "it is not tried again");
        clock.advance(Duration::from_secs(10));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    service.stop().await.unwrap();
}

/// Improve 3.
#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_shrinks_by_more_than_half_is_crossed_twice_and_told() {
    let stage = Stage::start("hawkeye-customer-cache").await;
    peers(&stage, &[reporting(1), reporting(2)]).await;
    let old: Vec<Value> = (1..=5).map(|number| device(number, "2020-12-31T00:00:00Z")).collect();
    stage.store(LIST, &json!(old).to_string()).await;
    let service = stage.run_at(&hawkeye_customer_cache::service(), &clock(), &[]).await;
    refreshed(&stage, NOW).await;
    told(&stage, "shrank from 5 to 2").await;
    assert_eq!(stage.peers.requests_on(PROBES).len(), 2);
    assert_eq!(serials(&list(&stage).await).len(), 2);
    service.stop().await.unwrap();
}

/// Behaviour 2: people are told from the tenth attempt on, and the old list is served meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn without_probes_the_refresh_is_repeated_until_there_are_some() {
    let stage = Stage::start("hawkeye-customer-cache").await;
    peers(&stage, &[]).await;
    stage.store(LIST, &json!([device(1, "2020-12-31T00:00:00Z")]).to_string()).await;
    let clock = clock();
    let service = stage
        .run_at(&hawkeye_customer_cache::service(), &clock, &[("REFRESH_JOB_INTERVAL", "8640000")])
        .await;
    let repeated = async {
        loop {
            clock.advance(Duration::from_secs(300));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let texts = tokio::select! {
        texts = told(&stage, "Too many consecutive failures") => texts,
        () = repeated => unreachable!(),
    };
    assert!(texts.iter().any(|text| text.contains("(10)")), "{texts:?}");
    assert!(stage.peers.requests_on(PROBES).len() >= 10);
    assert_eq!(ask(&stage, json!({})).await.0, 200);

    stage.peers.answer(PROBES, ok(&json!([reporting(1), reporting(2)]))).await;
    let until = tokio::time::Instant::now() + PATIENCE;
    while serials(&list(&stage).await).len() != 2 {
        assert!(tokio::time::Instant::now() < until, "it is not tried again");
        clock.advance(Duration::from_secs(300));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    service.stop().await.unwrap();
}

/// Improve 8.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_ends_when_the_next_one_is_due_which_then_refreshes() {
    let stage = Stage::start("hawkeye-customer-cache").await;
    peers(&stage, &[]).await;
    // Never answered: the first run hangs in its first request.
    stage.peers.silence(PROBES).await;
    let clock = clock();
    let service =
        stage.run_at(&hawkeye_customer_cache::service(), &clock, &[("REFRESH_JOB_INTERVAL", "3600")]).await;
    assert!(stage.peers.until(PATIENCE, |all| all.iter().any(|request| request.subject == PROBES)).await);
    stage.peers.answer(PROBES, ok(&json!([reporting(1)]))).await;
    clock.advance(Duration::from_secs(3_545));
    ended(&service, r#"{job_id="refresh",outcome="failure"} 1"#).await;
    clock.sleepers(1).await;
    clock.advance(Duration::from_secs(55));
    refreshed(&stage, "2021-01-05T15:00:00Z").await;
    service.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn while_another_replica_refreshes_this_one_waits_and_has_nothing_left_to_do() {
    let stage = Stage::start("hawkeye-customer-cache").await;
    peers(&stage, &[reporting(1)]).await;
    stage.store(LEASE, "another").await;
    let clock = clock();
    let service = stage.run_at(&hawkeye_customer_cache::service(), &clock, &[]).await;
    clock.sleepers(1).await;
    let () = stage.redis.connection().await.set(REFRESHED, "2021-01-05T14:00:10+00:00").await.unwrap();
    let () = stage.redis.connection().await.del(LEASE).await.unwrap();
    let until = tokio::time::Instant::now() + PATIENCE;
    while service.metrics("hawkeye_customer_cache_refreshed")
        != ["hawkeye_customer_cache_refreshed_timestamp_seconds 1609855210"]
    {
        assert!(tokio::time::Instant::now() < until, "it does not look");
        clock.advance(Duration::from_secs(30));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(stage.peers.requests_on(PROBES).is_empty());
    service.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_other_replica_dies_this_one_refreshes() {
    let stage = Stage::start("hawkeye-customer-cache").await;
    peers(&stage, &[reporting(1)]).await;
    let () = stage.redis.connection().await.pset_ex(LEASE, "another", 300).await.unwrap();
    let clock = clock();
    let service = stage.run_at(&hawkeye_customer_cache::service(), &clock, &[]).await;
    let until = tokio::time::Instant::now() + PATIENCE;
    while ask(&stage, json!({})).await.0 != 200 {
        assert!(tokio::time::Instant::now() < until, "it does not take over");
        clock.advance(Duration::from_secs(30));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    service.stop().await.unwrap();
}

/// Improve 6.
#[tokio::test(flavor = "multi_thread")]
async fn a_failing_notifier_neither_fails_nor_repeats_a_refresh() {
    let stage = Stage::start("hawkeye-customer-cache").await;
    peers(&stage, &[reporting(1)]).await;
    stage.peers.answer(CLIENT, ok(&json!([client(1)[0], client(2)[0]]))).await;
    stage.peers.answer(SLACK, json!({"body": "down", "status": 500})).await;
    stage.peers.answer(MAIL, json!({"body": "down", "status": 500})).await;
    let service = stage.run_at(&hawkeye_customer_cache::service(), &clock(), &[]).await;
    assert!(stage.peers.until(PATIENCE, |all| all.iter().any(|request| request.subject == MAIL)).await);
    ended(&service, r#"{job_id="refresh",outcome="success"} 1"#).await;
    assert_eq!(stage.peers.requests_on(PROBES).len(), 1);
    service.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn replies_name_what_is_wrong() {
    let stage = Stage::start("hawkeye-customer-cache").await;
    peers(&stage, &[reporting(1)]).await;
    let service = stage.run_at(&hawkeye_customer_cache::service(), &clock(), &[]).await;
    refreshed(&stage, NOW).await;
    let no_body = json!(r#"You must specify {.."body":{...}} in the request"#);
    for body in [json!(null), json!([]), json!("x")] {
        assert_eq!(ask(&stage, body).await, (400, no_body.clone()));
    }
    for filter in [json!("soon"), json!(5), json!({})] {
        let (status, text) = ask(&stage, json!({"last_contact_filter": filter})).await;
        assert_eq!(status, 400);
        assert!(text.as_str().unwrap().starts_with("\"last_contact_filter\" must be a date-time"), "{text}");
    }
    for raw in ["hello", "[1]"] {
        let reply =
            stage.requester.request_bytes(SUBJECT, raw.as_bytes().to_vec(), Via::Size, PATIENCE).await;
        assert_eq!(reply.envelope()["status"], 400);
    }
    for via in [Via::Token, Via::PrefixToken] {
        let bytes = br#"{"request_id":"r","body":{}}"#.to_vec();
        let reply = stage.requester.request_bytes(SUBJECT, bytes, via, PATIENCE).await;
        assert_eq!(reply.envelope()["status"], 200);
    }
    service.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_redis_is_told_by_503_and_comes_back() {
    let stage = Stage::start("hawkeye-customer-cache").await;
    peers(&stage, &[reporting(1)]).await;
    let own = testkit::Redis::start().await;
    let port = own.port().to_string();
    let clock = clock();
    let service = stage
        .run_at(&hawkeye_customer_cache::service(), &clock, &[("REDIS_CUSTOMER_CACHE_PORT", &port)])
        .await;
    let until = tokio::time::Instant::now() + PATIENCE;
    while ask(&stage, json!({})).await.0 != 200 {
        assert!(tokio::time::Instant::now() < until, "no refresh");
    }
    own.kill9();
    assert_eq!(ask(&stage, json!({})).await, (503, json!("The cache's store cannot be read at the moment")));
    own.restart().await;
    while ask(&stage, json!({})).await.0 != 202 {
        assert!(tokio::time::Instant::now() < until, "does not recover");
    }
    service.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_redis_the_service_does_not_start_and_says_so() {
    let stage = Stage::start("hawkeye-customer-cache").await;
    let error =
        stage.why_not(&hawkeye_customer_cache::service(), &[("REDIS_CUSTOMER_CACHE_PORT", "1")]).await;
    assert!(error.contains("REDIS_CUSTOMER_CACHE_HOSTNAME"), "{error}");
}
