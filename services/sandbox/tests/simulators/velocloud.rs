//! VeloCloud over HTTP.

use std::time::Duration;

use crate::common::{Http, identity, ordinary, pick, sandbox, velocloud};
use chrono::TimeDelta;
use sandbox::Running;
use sandbox::environment::{VELOCLOUD_PASSWORD, VELOCLOUD_USER};
use sandbox::world::network::{Activation, LinkState};
use serde_json::{Value, json};

const HOST: &str = "vco1.sandbox.example";

async fn call(sandbox: &Running, host: &str, path: &str, body: Value) -> Value {
    let http = velocloud(sandbox, host).await;
    let answer = http.post(&format!("{}/portal/rest/{path}", sandbox.velocloud_url(host)), body).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()
}

async fn link_rows(sandbox: &Running, host: &str) -> Vec<Value> {
    let rows = call(sandbox, host, "monitoring/getEnterpriseEdgeLinkStatus", json!({})).await;
    rows.as_array().unwrap().clone()
}

fn of<'r>(rows: &'r [Value], serial: &str) -> Vec<&'r Value> {
    rows.iter().filter(|row| row["edgeSerialNumber"] == serial).collect()
}

#[tokio::test]
async fn a_wrong_password_redirects_and_an_unknown_host_is_404() {
    let sandbox = sandbox().await;
    let login = |host: &str| format!("{}/portal/rest/login/operatorLogin", sandbox.velocloud_url(host));
    let wrong = Http::new().post(&login(HOST), json!({"username": VELOCLOUD_USER, "password": "no"})).await;
    assert_eq!(wrong.status, 302);
    assert!(wrong.headers.get("set-cookie").is_none());
    let right = json!({"username": VELOCLOUD_USER, "password": VELOCLOUD_PASSWORD});
    assert_eq!(Http::new().post(&login("vco9.example"), right).await.status, 404);
}

#[tokio::test]
async fn an_expired_session_is_a_token_error_with_status_200() {
    let sandbox = sandbox().await;
    let http = velocloud(&sandbox, HOST).await;
    let url = format!("{}/portal/rest/monitoring/getAggregates", sandbox.velocloud_url(HOST));
    assert!(http.post(&url, json!({})).await.json()["enterprises"].is_array());

    let other =
        format!("{}/portal/rest/monitoring/getAggregates", sandbox.velocloud_url("vco2.sandbox.example"));
    assert!(http.post(&other, json!({})).await.text.contains("tokenError"), "a session belongs to one host");

    sandbox.world().advance(Duration::from_secs(86_400));
    let answer = http.post(&url, json!({})).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.headers.get("expires").unwrap(), "0");
    assert_eq!(answer.json()["error"]["message"], "tokenError [expired session cookie]");
}

#[tokio::test]
async fn the_link_list_has_a_row_per_link_and_one_for_an_edge_without_links() {
    let sandbox = sandbox().await;
    let mut rows = link_rows(&sandbox, HOST).await;
    rows.extend(link_rows(&sandbox, "vco2.sandbox.example").await);
    let expected: usize =
        sandbox.world().network(|network| network.edges.iter().map(|edge| edge.links.len().max(1)).sum());
    assert_eq!(rows.len(), expected);

    let bare = pick(&sandbox, 0, |edge| edge.activation == Activation::Activated && edge.links.is_empty());
    let row = of(&rows, &bare.serial);
    assert_eq!((row.len(), &row[0]["interface"], &row[0]["linkState"]), (1, &Value::Null, &Value::Null));
    let never = pick(&sandbox, 0, |edge| edge.activation == Activation::Never);
    assert_eq!(of(&rows, &never.serial)[0]["edgeState"], "NEVER_ACTIVATED");
    let stateless = pick(&sandbox, 0, |edge| edge.activation == Activation::Stateless);
    assert_eq!(of(&rows, &stateless.serial)[0]["edgeState"], Value::Null);
}

#[tokio::test]
async fn what_is_broken_shows_in_the_lists() {
    let sandbox = sandbox().await;
    let edge = ordinary(&sandbox, 0);
    let (host, ..) = identity(&sandbox, &edge);
    let interface = edge.links[0].interface.clone();
    let world = sandbox.world();

    world.break_link(&edge.serial, &interface).unwrap();
    let rows = link_rows(&sandbox, &host).await;
    let row = of(&rows, &edge.serial);
    assert_eq!((&row[0]["edgeState"], &row[0]["linkState"]), (&json!("DEGRADED"), &json!("DISCONNECTED")));

    world.heal_link(&edge.serial, &interface).unwrap();
    world.break_edge(&edge.serial).unwrap();
    let rows = link_rows(&sandbox, &host).await;
    for row in of(&rows, &edge.serial) {
        assert_eq!((&row["edgeState"], &row["linkState"]), (&json!("OFFLINE"), &json!("DISCONNECTED")));
    }
    let last_contact = of(&rows, &edge.serial)[0]["edgeLastContact"].clone();
    world.advance(Duration::from_secs(3_600));
    assert_eq!(of(&link_rows(&sandbox, &host).await, &edge.serial)[0]["edgeLastContact"], last_contact);

    world.heal_edge(&edge.serial).unwrap();
    let rows = link_rows(&sandbox, &host).await;
    assert_eq!(of(&rows, &edge.serial)[0]["edgeState"], "CONNECTED");
    assert_eq!(of(&rows, &edge.serial)[0]["linkState"], "STABLE");
}

#[tokio::test]
async fn a_pair_shows_its_members() {
    let sandbox = sandbox().await;
    let pair = pick(&sandbox, 0, |edge| edge.standby.is_some() && !edge.links.is_empty());
    let (host, enterprise, _) = identity(&sandbox, &pair);
    let world = sandbox.world();
    let state = async || {
        let body = json!({"enterprises": [enterprise], "with": ["edges"]});
        let listed = call(&sandbox, &host, "network/getNetworkEnterprises", body).await;
        let edges = listed[0]["edges"].as_array().unwrap();
        let edge = edges.iter().find(|edge| edge["serialNumber"] == pair.serial.as_str()).unwrap();
        assert_eq!(edge["haSerialNumber"], pair.ha_serial().unwrap());
        (edge["edgeState"].clone(), edge["haState"].clone())
    };
    let link = async || of(&link_rows(&sandbox, &host).await, &pair.serial)[0]["linkState"].clone();
    assert_eq!(state().await, (json!("CONNECTED"), json!("READY")));

    world.break_standby(&pair.serial).unwrap();
    assert_eq!((state().await, link().await), ((json!("CONNECTED"), json!("FAILED")), json!("STABLE")));
    world.break_edge(&pair.serial).unwrap();
    assert_eq!((state().await, link().await), ((json!("OFFLINE"), json!("FAILED")), json!("DISCONNECTED")));
    world.heal_edge(pair.ha_serial().unwrap()).unwrap();
    assert_eq!((state().await, link().await), ((json!("OFFLINE"), json!("READY")), json!("STABLE")));
}

#[tokio::test]
async fn all_enterprises_are_listed_when_none_is_named() {
    let sandbox = sandbox().await;
    let all =
        call(&sandbox, HOST, "network/getNetworkEnterprises", json!({"enterprises": [], "with": ["edges"]}))
            .await;
    let aggregates = call(&sandbox, HOST, "monitoring/getAggregates", json!({})).await;
    assert_eq!(all.as_array().unwrap().len(), aggregates["enterprises"].as_array().unwrap().len());
    let edges: usize = all.as_array().unwrap().iter().map(|one| one["edges"].as_array().unwrap().len()).sum();
    assert_eq!(aggregates["edgeCount"], edges);
}

#[tokio::test]
async fn enterprise_edges_carry_logical_ids_and_the_configuration_their_kind() {
    let sandbox = sandbox().await;
    let edge = pick(&sandbox, 0, |edge| edge.links.iter().any(sandbox::world::network::Link::is_digi));
    let (host, enterprise, id) = identity(&sandbox, &edge);
    let body = json!({"enterpriseId": enterprise, "with": ["links"]});
    let listed = call(&sandbox, &host, "enterprise/getEnterpriseEdges", body).await;
    let listed = listed.as_array().unwrap().iter().find(|one| one["id"] == id).unwrap().clone();
    let links: Vec<&str> =
        listed["links"].as_array().unwrap().iter().map(|link| link["logicalId"].as_str().unwrap()).collect();
    assert!(links.iter().any(|id| id.starts_with("00:04:2d") || id.starts_with("00:27:04")), "{links:?}");

    let body = json!({"enterpriseId": enterprise, "edgeId": id, "modules": ["WAN"]});
    let modules = call(&sandbox, &host, "edge/getEdgeConfigurationModules", body).await;
    let configured = modules["WAN"]["data"]["links"].as_array().unwrap();
    assert_eq!(configured.len(), edge.links.len());
    let digi = configured.last().unwrap();
    assert_eq!((&digi["mode"], &digi["type"]), (&json!("PUBLIC"), &json!("WIRELESS")));
    assert_eq!(digi["interfaces"][0], edge.links.last().unwrap().interface);
}

#[tokio::test]
async fn events_are_filtered_by_edge_name_and_interval_newest_first_and_limited() {
    let sandbox = sandbox().await;
    let edge = ordinary(&sandbox, 0);
    let (host, enterprise, id) = identity(&sandbox, &edge);
    let interface = edge.links[0].interface.clone();
    let world = sandbox.world();
    let start = world.now();
    world.break_link(&edge.serial, &interface).unwrap();
    world.advance(Duration::from_secs(60));
    world.heal_link(&edge.serial, &interface).unwrap();
    world.advance(Duration::from_secs(60));
    world.break_edge(&edge.serial).unwrap();

    let events = async |interval: Value, filter: Value| {
        let body =
            json!({"enterpriseId": enterprise, "interval": interval, "filter": filter, "edgeId": [id]});
        call(&sandbox, &host, "event/getEnterpriseEvents", body).await
    };
    let interval = json!({"start": start.to_rfc3339(), "end": world.now().format("%Y-%m-%d %H:%M:%S%.6f+00:00").to_string()});
    let all = events(interval.clone(), json!({"limit": null})).await;
    let names: Vec<&str> =
        all["data"].as_array().unwrap().iter().map(|one| one["event"].as_str().unwrap()).collect();
    assert_eq!(names, ["EDGE_DOWN", "LINK_ALIVE", "LINK_DEAD"]);
    assert_eq!(all["data"][2]["message"], format!("Link {interface} is now DEAD"));
    assert_eq!(all["data"][1]["message"], format!("Link {interface} is no longer DEAD"));

    let rules = json!([{"field": "event", "op": "is", "values": ["LINK_DEAD", "LINK_ALIVE"]}]);
    let limited = events(interval, json!({"limit": 1, "rules": rules})).await;
    assert_eq!(limited["metaData"], json!({"limit": 1, "more": true}));
    assert_eq!(limited["data"][0]["event"], "LINK_ALIVE");
    let millis = (start + TimeDelta::seconds(1)).timestamp_millis();
    let later =
        events(json!({"start": millis, "end": world.now().timestamp_millis()}), json!({"rules": null})).await;
    assert_eq!(later["data"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_bad_interval_and_a_strange_enterprise_are_refused() {
    let sandbox = sandbox().await;
    let http = velocloud(&sandbox, HOST).await;
    let url = format!("{}/portal/rest/event/getEnterpriseEvents", sandbox.velocloud_url(HOST));
    for body in [
        json!({"enterpriseId": 101, "interval": {"start": "yesterday"}, "filter": {}}),
        json!({"enterpriseId": 99_999, "interval": {"start": 0}, "filter": {}}),
    ] {
        let answer = http.post(&url, body).await;
        assert_eq!(answer.status, 400);
        assert!(answer.json()["error"]["message"].is_string());
    }
}

#[tokio::test]
async fn metrics_and_series_follow_the_links_state() {
    let sandbox = sandbox().await;
    let edge = ordinary(&sandbox, 0);
    let (host, enterprise, id) = identity(&sandbox, &edge);
    let now = sandbox.world().now();
    sandbox.world().set_link(&edge.serial, &edge.links[0].interface, LinkState::Unstable).unwrap();

    let interval = json!({"start": (now - TimeDelta::hours(1)).to_rfc3339(), "end": now.to_rfc3339()});
    let metrics =
        call(&sandbox, &host, "monitoring/getAggregateEdgeLinkMetrics", json!({"interval": interval})).await;
    let row = metrics.as_array().unwrap().iter().find(|row| row["linkId"] == edge.links[0].id).unwrap();
    assert!(row["bestLossPctRx"].as_f64().unwrap() > 1.0);
    assert_eq!(row["link"]["edgeSerialNumber"], edge.serial);
    assert_eq!(row["link"]["linkState"], "UNSTABLE");

    let series = async |minutes: i64| {
        let start = (now - TimeDelta::minutes(minutes)).timestamp_millis();
        let interval = json!({"start": start, "end": now.timestamp_millis()});
        let body = json!({"enterpriseId": enterprise, "edgeId": id, "interval": interval, "metrics": ["bytesTx", "bytesRx"]});
        call(&sandbox, &host, "metrics/getEdgeLinkSeries", body).await
    };
    assert_eq!(series(10).await, json!([]));
    assert_eq!(series(15).await[0]["series"][0]["data"].as_array().unwrap().len(), 3);
    assert_eq!(series(60 * 24 * 5).await[0]["series"][1]["data"].as_array().unwrap().len(), 1_024);
    assert_eq!(series(60).await.as_array().unwrap().len(), edge.links.len());
}

#[tokio::test]
async fn gateways_are_listed_and_measured() {
    let sandbox = sandbox().await;
    let gateways = call(&sandbox, HOST, "network/getNetworkGateways", json!({})).await;
    assert_eq!(gateways[0]["gatewayState"], "CONNECTED");
    let body =
        json!({"gatewayId": gateways[0]["id"], "interval": {"start": 0, "end": 1}, "metrics": ["cpuPct"]});
    assert!(call(&sandbox, HOST, "metrics/getGatewayStatusMetrics", body).await["cpuPct"].is_object());
}
