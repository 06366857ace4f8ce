//! The exchanges recorded from the existing deployment, played against this service.
//!
//! The file does not tell what was stored before each request. What it does tell are the replies; so each exchange finds
//! those lists stored which make its expected reply right, beside edges that its filters have to keep out.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test ends by panicking"
)]

mod running;

use customer_cache::CustomerCache;
use running::no_refresh;
use runtime::Clock;
use serde_json::{Value, json};
use testkit::PATIENCE;
use testkit::recordings::{Exchange, Report, Stage};

/// Host to list, so that `exchange` is answered as recorded.
fn lists(exchange: &Exchange, all: &[Exchange]) -> Vec<(String, Vec<Value>)> {
    let body_of = |exchange: &Exchange| exchange.expect.reply.as_ref().map(|reply| reply["body"].clone());
    let edges = match body_of(exchange) {
        Some(Value::Array(edges)) => edges,
        // Nothing recent enough, or nothing of that enterprise: the first host's whole list is there, and left out.
        _ if exchange.name.starts_with("date") || exchange.name == "no such enterprise" => {
            let first = all.iter().find(|exchange| exchange.name == "first host");
            first.and_then(body_of).and_then(|body| body.as_array().cloned()).unwrap()
        }
        _ => return Vec::new(),
    };
    let mut lists: Vec<(String, Vec<Value>)> = Vec::new();
    for edge in edges {
        let host = edge["edge"]["host"].as_str().unwrap().to_owned();
        match lists.iter_mut().find(|(known, _)| *known == host) {
            Some((_, list)) => list.push(edge),
            None => lists.push((host, vec![edge])),
        }
    }
    lists
}

/// Edges that the exchange's filters keep out: of another enterprise, or contacted at the filter's instant or before.
fn kept_out(exchange: &Exchange, host: &str) -> Vec<Value> {
    let body = exchange.message.as_ref().map(|message| message["body"].clone()).unwrap_or_default();
    let edge = |enterprise: i64, contact: Value| {
        let identity = json!({"host": host, "enterprise_id": enterprise, "edge_id": 999});
        json!({"edge": identity, "serial_number": "KEPT-OUT", "last_contact": contact})
    };
    let mut edges = Vec::new();
    if body["filter"][host].as_array().is_some_and(|ids| !ids.is_empty()) {
        edges.push(edge(-1, Value::Null));
    }
    if body["last_contact_filter"].is_string() {
        edges.extend([
            edge(101, json!("2021-01-01T00:00:00Z")),
            edge(101, Value::Null),
            edge(101, json!("0000-00-00 00:00:00")),
        ]);
    }
    edges
}

#[tokio::test(flavor = "multi_thread")]
async fn every_recorded_request_is_answered_right() {
    let stage = Stage::start("customer-cache").await;
    no_refresh(&stage).await;
    let service = stage.run_at::<CustomerCache>(&Clock::system(), &[]).await;
    let all = stage.exchanges();
    let mut report = Report::default();
    for exchange in all.iter().filter(|exchange| exchange.subject.is_some()) {
        let mut connection = stage.redis.connection().await;
        let keys: Vec<String> =
            redis::cmd("KEYS").arg("dev-*.example.test").query_async(&mut connection).await.unwrap();
        for key in keys {
            let () = redis::cmd("DEL").arg(key).query_async(&mut connection).await.unwrap();
        }
        for (host, mut list) in lists(exchange, &all) {
            list.extend(kept_out(exchange, &host));
            stage.store(&format!("dev-{host}"), &json!(list).to_string()).await;
        }
        report.add(stage.play(exchange, &all).await);
    }
    service.stop().await.unwrap();
    assert!(report.played > 20);
    report.assert_clean();
}

/// The recorded start of a process whose hosts all fail: every host is asked, nothing is stored, the service serves.
#[tokio::test(flavor = "multi_thread")]
async fn hosts_that_all_fail_are_asked_and_change_nothing() {
    let stage = Stage::start("customer-cache").await;
    stage.peers.answer("get.links.with.edge.info", json!({"body": "links failed", "status": 500})).await;
    stage.peers.answer("notification.slack.request", json!({"status": 200})).await;
    let service = stage.run_at::<CustomerCache>(&Clock::system(), &[]).await;
    let told = stage.peers.until(PATIENCE, |requests| {
        requests.iter().any(|request| request.subject == "notification.slack.request")
    });
    assert!(told.await);
    let mut hosts: Vec<Value> = stage
        .peers
        .requests_on("get.links.with.edge.info")
        .iter()
        .map(|request| request.body()["host"].clone())
        .collect();
    hosts.sort_by_key(ToString::to_string);
    assert_eq!(
        json!(hosts),
        json!(["vco1.example.test", "vco2.example.test", "vco3.example.test", "vco4.example.test"])
    );
    assert_eq!(stage.stored("dev-next_refresh_date").await, None);
    let (status, _) = running::ask(&stage, json!({"filter": {}})).await;
    assert_eq!(status, 202);
    service.stop().await.unwrap();
}
