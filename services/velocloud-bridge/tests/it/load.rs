//! Large lists, many requests, a portal that misbehaves.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures::future::join_all;
use secrecy::SecretString;
use serde_json::{Value, json};
use testkit::recordings::Stage;
use testkit::{OldReply, PATIENCE, Rule};
use upstream::Overrides;
use velocloud_bridge::credentials::Credentials;
use velocloud_bridge::outcome::{Group, Outcome};
use velocloud_bridge::portal::Read;
use velocloud_bridge::vco::Vco;

const LINKS: &str = "get.links.with.edge.info";

fn links() -> Rule {
    Rule::on("POST", "^/vco1/portal/rest/monitoring/getEnterpriseEdgeLinkStatus$")
}

fn series() -> Rule {
    Rule::on("POST", "^/vco1/portal/rest/metrics/getEdgeLinkSeries$").json(&json!([]))
}

#[tokio::test]
async fn a_list_of_several_megabytes_passes_with_its_host_in_each_item() {
    let (stage, _running) = Stage::with(&velocloud_bridge::service(), &[]).await;
    let rows: Vec<Value> = (0..8_000)
        .map(|id| json!({"edgeId": id, "edgeName": "Café – 1", "score": 4.400_000_095_367_432, "isp": null, "x": "y".repeat(300)}))
        .collect();
    stage.upstream.answer(links().json(&json!(rows)));
    let envelope = json!({"request_id": "r", "body": {"host": "vco1.example.test"}});
    let reply = stage.requester.request(LINKS, &envelope, PATIENCE).await;
    let OldReply::Envelope { value, via_redis: true } = reply else { panic!("inline") };
    let mut expected = rows;
    for row in &mut expected {
        row["host"] = json!("vco1.example.test");
    }
    assert!(value["body"] == json!(expected), "the list has changed");
    assert_eq!(value["status"], 200);
}

#[tokio::test]
async fn a_request_of_more_than_a_megabyte_passes() {
    let (stage, _running) = Stage::with(&velocloud_bridge::service(), &[]).await;
    stage.upstream.answer(series());
    let payload =
        json!({"enterpriseId": 2, "edgeId": 4, "interval": {}, "metrics": [], "more": "x".repeat(1_500_000)});
    let body = json!({"host": "vco1.example.test", "payload": payload});
    assert_eq!(stage.ask("request.edge.links.series", body).await, (200, json!([])));
    assert_eq!(stage.upstream.calls_to("/getEdgeLinkSeries")[0].json(), payload);
}

#[tokio::test]
async fn identical_reads_in_flight_share_one_call_and_later_ones_ask_anew() {
    let (stage, _running) = Stage::with(&velocloud_bridge::service(), &[]).await;
    stage.upstream.answer(links().json(&json!([{"linkId": 7}])).times(1));
    stage.upstream.answer(links().json(&json!([{"linkId": 8}])));
    let hold = stage.upstream.hold();
    let body = json!({"host": "vco1.example.test"});
    let requests = join_all((0..5).map(|_| stage.ask(LINKS, body.clone())));
    let release = async {
        assert!(
            stage
                .upstream
                .until(PATIENCE, |calls| calls.iter().any(|call| !call.path.contains("login")))
                .await
        );
        // All five have been handed to the service before it is told to go on: a later request was answered.
        let other = stage.ask(LINKS, json!({"host": "unknown"})).await;
        assert_eq!(other.0, 404);
        drop(hold);
    };
    let (replies, ()) = tokio::join!(requests, release);
    let ids: BTreeSet<_> = replies.iter().map(|(_, body)| body[0]["linkId"].as_i64().unwrap()).collect();
    assert_eq!(ids, BTreeSet::from([7]), "{replies:?}");
    assert_eq!(stage.ask(LINKS, body).await.1[0]["linkId"], 8);
    assert_eq!(stage.upstream.calls_to("/getEnterpriseEdgeLinkStatus").len(), 2);
}

#[tokio::test]
async fn a_host_gets_ten_calls_at_a_time_and_every_request_its_answer() {
    let (stage, _running) = Stage::with(&velocloud_bridge::service(), &[]).await;
    stage.upstream.answer(series().delay(Duration::from_millis(20)));
    let requests = (0..40).map(|edge| {
        let payload = json!({"enterpriseId": 2, "edgeId": edge, "interval": {}, "metrics": []});
        stage.ask("request.edge.links.series", json!({"host": "vco1.example.test", "payload": payload}))
    });
    let replies = join_all(requests).await;
    assert!(replies.iter().all(|(status, _)| *status == 200), "{replies:?}");
    assert_eq!(stage.upstream.calls_to("/getEdgeLinkSeries").len(), 40);
    assert_eq!(stage.upstream.most_in_flight(), 10);
}

#[tokio::test]
async fn a_passing_failure_is_repeated_once() {
    let (stage, running) = Stage::with(&velocloud_bridge::service(), &[]).await;
    let body = json!({"host": "vco1.example.test"});
    for failure in [links().status(503), links().status(502), links().drops()] {
        stage.upstream.rules(vec![failure.clone().times(1), links().json(&json!([]))]).take_calls();
        assert_eq!(stage.ask(LINKS, body.clone()).await, (200, json!([])));
        assert_eq!(stage.upstream.take_calls().len(), 2);
        stage.upstream.rules(vec![failure]);
        assert_eq!(stage.ask(LINKS, body.clone()).await.0, 500);
        assert_eq!(stage.upstream.take_calls().len(), 2);
    }
    stage.upstream.down().await;
    assert_eq!(stage.ask(LINKS, body).await, (500, json!("Error while connecting to Velocloud API")));
    let route = "route=\"/monitoring/getEnterpriseEdgeLinkStatus\"";
    let counted = running.metrics("upstream_calls_total");
    let counted = counted.iter().filter(|line| line.contains(route) && line.contains("vco1.example.test"));
    assert!(counted.count() >= 3, "2xx, 5xx and failures");
    assert!(running.metrics("upstream_logins_total").iter().any(|line| line.contains("outcome=\"ok\"")));
}

/// Improve 14.
#[tokio::test]
async fn a_repetition_waits_for_about_a_second_whatever_velocloud_asks_for_and_429_is_final() {
    let (stage, _running) = Stage::with(&velocloud_bridge::service(), &[]).await;
    let body = json!({"host": "vco1.example.test"});
    let busy = links().status(503).header("Retry-After", "15").times(1);
    stage.upstream.rules(vec![busy, links().json(&json!([]))]).take_calls();
    let asked = Instant::now();
    assert_eq!(stage.ask(LINKS, body.clone()).await, (200, json!([])));
    assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
    assert_eq!(stage.upstream.take_calls().len(), 2);

    let limited = links().status(429).header("Retry-After", "1").json(&json!({"error": {"code": 1}}));
    stage.upstream.rules(vec![limited.times(1), links().json(&json!([]))]);
    assert_eq!(stage.ask(LINKS, body).await.0, 429);
    assert_eq!(stage.upstream.take_calls().len(), 1);
}

#[tokio::test]
async fn an_answer_that_does_not_come_in_time_is_a_failure() {
    let stage = Stage::start("velocloud-bridge").await;
    stage.upstream.rules(vec![Rule::on("POST", "/slow$").delay(Duration::from_secs(600)).json(&json!([]))]);
    let credentials = Credentials {
        host: "vco1.example.test".to_owned(),
        user: "operator".to_owned(),
        password: SecretString::from("secret"),
    };
    let overrides = Overrides::parse(&format!("vco1.example.test={}/vco1", stage.upstream.url())).unwrap();
    let vco = Vco::new(&credentials, &overrides, 64 << 20, &prometheus::Registry::new()).unwrap();
    let within = Duration::from_millis(200);
    let outcome = vco.read(Read { path: "/slow", body: json!({}), group: Group::Lists, within }).await;
    assert!(matches!(outcome, Outcome::Unreachable), "{outcome:?}");
}
