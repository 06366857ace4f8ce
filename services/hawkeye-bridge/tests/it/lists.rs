//! Probes and test results over real NATS, Redis and HTTP: pages, details, failures, large messages, garbage.

use std::time::Duration;

use bus::{Bus, BusOptions};
use futures::future::join_all;
use runtime::Hosted;
use serde_json::{Value, json};
use testkit::recordings::Stage;
use testkit::{OldReply, PATIENCE, Received, Rule, Via};

const PROBES: &str = "hawkeye.probe.request";
const TESTS: &str = "hawkeye.test.request";

async fn stage() -> (Stage, Hosted) {
    let (stage, running) = Stage::with(&hawkeye_bridge::service(), &[]).await;
    stage.upstream.take_calls();
    (stage, running)
}

fn probes() -> Rule {
    Rule::on("GET", "^/api/probes$")
}

fn page(total: usize, records: &[Value]) -> Value {
    json!({"total_count": total.to_string(), "count": records.len(), "limit": "100", "offset": 0, "has_more": 0, "records": records})
}

fn probe(id: usize) -> Value {
    json!({"probeId": id.to_string(), "uid": format!("aa:{id}"), "wifi": {"level": "0"}, "score": 1.25, "isp": null})
}

fn results(uid: &str) -> Rule {
    Rule::on("GET", "^/api/testsresults$").query("probeFrom", uid)
}

fn summary(id: &str) -> Value {
    json!({"id": id, "date": "2021-01-25T12:03:10Z", "status": "Failed", "testType": "ICMP Test"})
}

fn details(id: &str) -> Rule {
    Rule::on("GET", &format!("^/api/testsresults/{id}$"))
}

fn metrics(name: &str) -> Value {
    json!({"id": "x", "metrics": [{"metric": name, "value": "7"}], "parameters": "none"})
}

fn tests(uids: &[&str]) -> Value {
    json!({"probe_uids": uids, "interval": {"start": "2021-01-25 12:00:00.000001", "end": "2021-01-25 12:15:00.000001"}})
}

fn offsets(calls: &[Received]) -> Vec<&str> {
    let offset = |call: &'_ Received| call.query.iter().position(|(name, _)| name == "offset");
    calls.iter().filter_map(|call| Some(call.query[offset(call)?].1.as_str())).collect()
}

fn ids(results: &Value) -> Vec<&str> {
    results.as_array().unwrap().iter().map(|result| result["summary"]["id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn all_pages_are_joined_in_order_and_short_ones_skip_nothing() {
    let (stage, _running) = stage().await;
    let all: Vec<Value> = (0..112).map(probe).collect();
    for (offset, end) in [(0, 60), (60, 110), (110, 112)] {
        let rule = probes().query("offset", &offset.to_string()).query("limit", "100");
        stage.upstream.answer(rule.json(&page(112, &all[offset..end])));
    }
    assert_eq!(stage.ask(PROBES, json!({})).await, (200, json!(all)));
    assert_eq!(offsets(&stage.upstream.calls()), ["0", "60", "110"]);
}

#[tokio::test]
async fn a_list_without_end_ends() {
    let (stage, _running) = stage().await;
    // More is announced than ever comes, one record at a time: 3 pages are enough for the total, 5 are spare.
    stage.upstream.answer(probes().json(&page(300, &[probe(1)])));
    let (status, body) = stage.ask(PROBES, json!({})).await;
    assert_eq!((status, body.as_array().unwrap().len()), (200, 8));
    // Records vanish while paging.
    stage.upstream.rules(vec![
        probes().query("offset", "0").json(&page(300, &vec![probe(1); 100])),
        probes().json(&page(90, &[])),
    ]);
    let (status, body) = stage.ask(PROBES, json!({})).await;
    assert_eq!((status, body.as_array().unwrap().len()), (200, 100));
}

#[tokio::test]
async fn what_cannot_succeed_is_not_repeated_and_the_reply_says_why() {
    let (stage, _running) = stage().await;
    for (rule, expected) in [
        (probes().status(400), (400, json!("Parameters or body were in an incorrect format"))),
        (probes().status(403).json(&json!({})), (403, json!("Got 403 from Hawkeye"))),
        (probes().status(404).text("x"), (404, json!("Got 404 from Hawkeye"))),
        (probes().status(302).header("Location", "/api/login"), (500, json!("Got 302 from Hawkeye"))),
        (probes().status(513), (500, json!("Got 513 from Hawkeye"))),
        (
            probes().json(&json!({"total_count": "1"})),
            (500, json!("Unexpected answer from Hawkeye: not a list of records")),
        ),
        (
            probes().json(&json!({"total_count": "many", "records": [1]})),
            (500, json!("Unexpected answer from Hawkeye: total_count is no number")),
        ),
    ] {
        stage.upstream.rules(vec![rule.clone()]);
        assert_eq!(stage.ask(PROBES, json!({})).await, expected, "{rule:?}");
        assert_eq!(stage.upstream.take_calls().len(), 1, "{rule:?}");
    }
}

#[tokio::test]
async fn what_may_pass_is_repeated() {
    let (stage, _running) = stage().await;
    for rule in [
        probes().text("<html>We will be back shortly"),
        probes().status(503),
        probes().status(408),
        probes().status(429).header("Retry-After", "1"),
        probes().drops(),
        probes().text("{\"total_count\": ").cut_off(),
    ] {
        stage.upstream.rules(vec![rule.clone().times(1), probes().json(&page(1, &[probe(1)]))]);
        assert_eq!(stage.ask(PROBES, json!({})).await, (200, json!([probe(1)])), "{rule:?}");
        assert_eq!(stage.upstream.take_calls().len(), 2, "{rule:?}");
    }
}

#[tokio::test]
async fn a_list_that_breaks_off_is_answered_as_far_as_it_was_read() {
    let (stage, _running) = stage().await;
    let first: Vec<Value> = (0..100).map(probe).collect();
    stage.upstream.rules(vec![
        probes().query("offset", "0").json(&page(150, &first)),
        probes().query("offset", "100").status(404),
    ]);
    assert_eq!(stage.ask(PROBES, json!({})).await, (200, json!(first)));
}

#[tokio::test]
async fn what_was_read_is_replied_in_time_for_the_requester() {
    let (stage, _running) = stage().await;
    let first: Vec<Value> = (0..100).map(probe).collect();
    stage.upstream.rules(vec![
        probes().query("offset", "0").json(&page(150, &first)),
        probes().query("offset", "100").json(&page(150, &[])).delay(Duration::from_secs(60)),
    ]);
    let options = BusOptions::new("test", stage.nats.url(), stage.redis.host(), stage.redis.port());
    let bus = Bus::connect(options, &prometheus::Registry::new()).await.unwrap();
    let envelope = json!({"request_id": "r", "body": {}});
    let answer = bus.exchange_raw(PROBES, envelope, Duration::from_secs(8)).await.unwrap();
    assert_eq!(answer.status, Some(200));
    assert_eq!(answer.body_as::<Vec<Value>>().unwrap(), first);
}

#[tokio::test]
async fn results_and_their_metrics_are_joined_by_probe_in_order() {
    let (stage, _running) = stage().await;
    stage.upstream.rules(vec![
        results("aa:1").query("offset", "0").json(&page(3, &[summary("900"), summary("901")])),
        results("aa:1").query("offset", "2").json(&page(3, &[summary("902")])),
        results("aa:2").json(&page(0, &[])),
        results("aa:3").json(&page(1, &[summary("903")])),
        // The first to be asked is the last to answer.
        details("900").json(&metrics("Loss")).delay(Duration::from_millis(300)),
        details("901").json(&metrics("MOS")),
        details("902").json(&metrics("Delay (ms)")),
        details("903").json(&json!({"metrics": []})),
    ]);
    let (status, body) = stage.ask(TESTS, tests(&["aa:1", "aa:2", "aa:3"])).await;
    let joined =
        |id: &str, name: &str| json!({"summary": summary(id), "metrics": [{"metric": name, "value": "7"}]});
    let expected = json!({
        "aa:1": [joined("900", "Loss"), joined("901", "MOS"), joined("902", "Delay (ms)")],
        "aa:3": [{"summary": summary("903"), "metrics": []}],
    });
    assert_eq!((status, body), (200, expected));
    let list = stage.upstream.calls_to("/testsresults").remove(0);
    let query =
        |name: &str| list.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    assert_eq!(query("startDate"), Some("2021-01-25 12:00:00.000001"));
    assert_eq!(query("endDate"), Some("2021-01-25 12:15:00.000001"));
    assert_eq!(query("limit"), Some("100"));
}

#[tokio::test]
async fn a_probe_named_twice_is_asked_once_and_no_probe_is_no_call() {
    let (stage, _running) = stage().await;
    stage
        .upstream
        .rules(vec![results("aa").json(&page(1, &[summary("1")])), details("1").json(&metrics("Loss"))]);
    let (status, body) = stage.ask(TESTS, tests(&["aa", "aa", "aa"])).await;
    assert_eq!((status, ids(&body["aa"])), (200, vec!["1"]));
    assert_eq!(stage.upstream.take_calls().len(), 2);
    assert_eq!(stage.ask(TESTS, tests(&[])).await, (200, json!({})));
    assert!(stage.upstream.calls().is_empty());
}

#[tokio::test]
async fn a_result_whose_details_cannot_be_read_is_left_out_and_not_asked_for_again() {
    let (stage, _running) = stage().await;
    let listed = [
        summary("1"),
        summary("2"),
        summary("3"),
        summary("4"),
        summary("5"),
        json!({"date": "without an id"}),
        json!({"id": null}),
        json!("no object"),
        json!({"id": ".."}),
        json!({"id": 6}),
    ];
    stage.upstream.rules(vec![
        results("aa").json(&page(listed.len(), &listed)),
        results("bb").json(&page(1, &[summary("1")])),
        details("1").status(404),
        details("2").status(503),
        details("3").text("<html>"),
        details("4").json(&json!({"id": "4"})),
        details("5").json(&json!({"metrics": {"a": 1}})),
        details("6").json(&metrics("Loss")),
    ]);
    let (status, body) = stage.ask(TESTS, tests(&["aa", "bb"])).await;
    let expected = json!({"aa": [{"summary": {"id": 6}, "metrics": [{"metric": "Loss", "value": "7"}]}]});
    assert_eq!((status, body), (200, expected));
    for id in 2..=6 {
        assert_eq!(stage.upstream.calls_to(&format!("/testsresults/{id}")).len(), 1, "{id}");
    }
}

#[tokio::test]
async fn an_id_cannot_lead_elsewhere() {
    let (stage, _running) = stage().await;
    stage.upstream.rules(vec![
        results("aa").json(&page(1, &[summary("../probes?x=1")])),
        Rule::on("GET", "^/api/testsresults/%2E%2E%2F|^/api/testsresults/..%2F").json(&metrics("Loss")),
    ]);
    let (status, body) = stage.ask(TESTS, tests(&["aa"])).await;
    assert_eq!((status, ids(&body["aa"])), (200, vec!["../probes?x=1"]));
}

#[tokio::test]
async fn probes_whose_results_cannot_be_listed_are_left_out_unless_none_can() {
    let (stage, _running) = stage().await;
    stage.upstream.rules(vec![
        results("aa").status(400),
        results("bb").json(&page(1, &[summary("1")])),
        results("cc").status(403),
        details("1").json(&metrics("Loss")),
    ]);
    let (status, body) = stage.ask(TESTS, tests(&["aa", "bb", "cc"])).await;
    assert_eq!((status, body.as_object().unwrap().len(), ids(&body["bb"])), (200, 1, vec!["1"]));
    let expected = (400, json!("Parameters or body were in an incorrect format"));
    assert_eq!(stage.ask(TESTS, tests(&["aa", "cc"])).await, expected);
    assert_eq!(stage.ask(TESTS, tests(&["cc"])).await, (403, json!("Got 403 from Hawkeye")));
}

#[tokio::test]
async fn hawkeye_never_gets_more_than_ten_calls_at_a_time() {
    let (stage, _running) = stage().await;
    let uids: Vec<String> = (0..6).map(|number| format!("aa:{number}")).collect();
    let listed: Vec<Value> = (0..20).map(|id| summary(&id.to_string())).collect();
    stage.upstream.rules(vec![
        Rule::on("GET", "^/api/testsresults$").json(&page(20, &listed)),
        Rule::on("GET", r"^/api/testsresults/\d+$").json(&metrics("Loss")).delay(Duration::from_millis(5)),
    ]);
    let uids: Vec<&str> = uids.iter().map(String::as_str).collect();
    let replies = join_all((0..4).map(|_| stage.ask(TESTS, tests(&uids)))).await;
    for (status, body) in replies {
        assert_eq!(status, 200);
        for uid in &uids {
            assert_eq!(body[uid].as_array().unwrap().len(), 20, "{uid}");
        }
    }
    assert!(stage.upstream.most_in_flight() <= 10, "{}", stage.upstream.most_in_flight());
    assert!(stage.upstream.most_in_flight() > 1);
}

#[tokio::test]
async fn requests_and_replies_of_more_than_a_megabyte_pass() {
    let (stage, _running) = stage().await;
    let all: Vec<Value> =
        (0..100).map(|id| json!({"probeId": id, "name": "Café – 1", "more": "x".repeat(12_000)})).collect();
    stage.upstream.answer(probes().json(&page(100, &all)));
    let envelope = json!({"request_id": "r", "body": {"other": "y".repeat(1_200_000)}});
    let reply = stage.requester.request(PROBES, &envelope, PATIENCE).await;
    let OldReply::Envelope { value, via_redis: true } = reply else { panic!("inline") };
    assert!(value == json!({"request_id": "r", "body": all, "status": 200}), "the list has changed");
    for via in [Via::Token, Via::PrefixToken] {
        let request = br#"{"request_id":"r","body":{}}"#.to_vec();
        let reply = stage.requester.request_bytes(PROBES, request, via, PATIENCE).await;
        assert_eq!(reply.envelope()["status"], 200);
    }
}

#[tokio::test]
async fn malformed_requests_are_refused_by_name_and_nothing_is_asked() {
    let (stage, _running) = stage().await;
    let interval = json!({"start": "a", "end": "b"});
    for (subject, body, text) in [
        (PROBES, json!(null), r#"Must include "body" in request"#),
        (PROBES, json!(7), r#"Must include "body" in request"#),
        (PROBES, json!({"status": true}), r#""status" must be a text"#),
        (TESTS, json!(null), r#"Must include "body" in request"#),
        (TESTS, json!("x"), r#"Must include "probe_uids" in the body of the request"#),
        (TESTS, json!({"interval": interval}), r#"Must include "probe_uids" in the body of the request"#),
        (TESTS, json!({"probe_uids": []}), r#"Must include "interval" in the body of the request"#),
        (TESTS, json!({"probe_uids": "aa", "interval": interval}), r#""probe_uids" must be a list of texts"#),
        (
            TESTS,
            json!({"probe_uids": ["aa"], "interval": {"start": "a"}}),
            r#""interval" must have the texts "start" and "end""#,
        ),
    ] {
        assert_eq!(stage.ask(subject, body.clone()).await, (400, json!(text)), "{subject} {body}");
    }
    for payload in ["", "hello", "null", "[1]", "{", "\u{0}", r#"{"is_stored":true}"#] {
        let sent = stage.requester.request_bytes(TESTS, payload.into(), Via::Size, PATIENCE);
        assert_eq!(sent.await.envelope()["status"], 400, "{payload:?}");
    }
    let lost = stage.requester.request_bytes(PROBES, b"{}".to_vec(), Via::LostToken, PATIENCE);
    assert_eq!(lost.await.envelope()["status"], 500);
    assert!(stage.upstream.calls().is_empty());
}
