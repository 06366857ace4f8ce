//! The exchanges recorded from the existing deployment, played against this service.
//!
//! The file does not tell what was stored before each request. What it does tell are the replies; so each exchange finds
//! those lists stored which make its expected reply right, beside edges that its filters have to keep out.

use crate::running;

use crate::running::no_refresh;
use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use chrono::{DateTime, Utc};
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
    let service = stage.run_at(&customer_cache::service(), &Clock::system(), &[]).await;
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
    let service = stage.run_at(&customer_cache::service(), &Clock::system(), &[]).await;
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

/// What the recorded file does not tell of a refresh that came to these stored lists: what VeloCloud and Bruin answered.
fn peers(lists: &[Value]) -> Value {
    let ok = |body: Value| json!({"body": body, "status": 200});
    let own = lists
        .iter()
        .flat_map(|list| list.as_array().unwrap())
        .filter(|entry| entry["site_details"].is_object());
    let (mut rows, mut enterprises) = (Vec::new(), Vec::new());
    let (mut links, mut clients, mut sites) = (Vec::new(), Vec::new(), Vec::new());
    for entry in own {
        let edge = &entry["edge"];
        // Of each pair in the file both members were listed, so what is stored is the standby's copy of the other one.
        let (serial, partner) = match &entry["ha_serial_number"] {
            Value::Null => (&entry["serial_number"], &Value::Null),
            partner => (partner, &entry["serial_number"]),
        };
        rows.push(json!({
            "host": edge["host"], "enterpriseId": edge["enterprise_id"], "edgeId": edge["edge_id"],
            "edgeName": entry["edge_name"], "edgeState": "CONNECTED", "edgeLastContact": entry["last_contact"],
            "edgeSerialNumber": serial, "edgeHASerialNumber": partner
        }));
        let ids = entry["logical_ids"].as_array().unwrap().iter();
        let ids = ids.map(|id| json!({"interface": id["interface_name"], "logicalId": id["logical_id"]}));
        enterprises.push((edge, json!({"id": edge["edge_id"], "links": ids.collect::<Vec<_>>()})));
        links.push(json!([edge, ok(entry["links_configuration"].clone())]));
        clients.push(json!([{"service_number": serial}, ok(json!([entry["bruin_client_info"]]))]));
        let mut site = entry["site_details"].clone();
        site.as_object_mut().unwrap().remove("tzOffset");
        sites.push(json!([{"site_id": entry["bruin_client_info"]["site_id"]}, ok(site)]));
    }
    rows.sort_by_key(|row| row["edgeId"].as_i64());
    let of_host = |host: &str| rows.iter().filter(|row| row["host"] == host).cloned().collect::<Vec<_>>();
    let never = json!([{"host": "vco4.example.test", "enterpriseId": 1, "edgeId": 1, "edgeState": "NEVER_ACTIVATED",
                        "edgeSerialNumber": "VC9"}]);
    let mut edges = Vec::new();
    for (edge, _) in &enterprises {
        let of =
            |other: &Value| other["host"] == edge["host"] && other["enterprise_id"] == edge["enterprise_id"];
        let list: Vec<&Value> =
            enterprises.iter().filter(|(other, _)| of(other)).map(|(_, row)| row).collect();
        edges.push(json!([{"host": edge["host"], "enterprise_id": edge["enterprise_id"]}, ok(json!(list))]));
    }
    json!({
        "get.links.with.edge.info": {"match": [
            [{"host": "vco1.example.test"}, ok(json!(of_host("vco1.example.test")))],
            [{"host": "vco2.example.test"}, ok(json!(of_host("vco2.example.test")))],
            [{"host": "vco3.example.test"}, ok(json!([]))],
            [{"host": "vco4.example.test"}, ok(never)],
        ]},
        "request.enterprises.edges": {"match": edges},
        "request.links.configuration": {"match": links},
        "bruin.customer.get.info": {"match": clients},
        "bruin.inventory.management.status": ok(json!("Active – Gold Monitoring")),
        "bruin.get.site": {"match": sites},
        "notification.slack.request": {"status": 200},
        "notification.email.request": {"status": 200},
    })
}

/// The logical ids of a recorded snapshot as JSON, as the specification wants them: the existing deployment writes them in
/// its language.
fn as_json(attachment: &mut Value) {
    let csv = String::from_utf8(BASE64.decode(attachment["data"].as_str().unwrap()).unwrap()).unwrap();
    let csv = csv.replace("': '", "':'").replace("', '", "','").replace("}, {", "},{").replace('\'', "\"\"");
    attachment["data"] = BASE64.encode(csv).into();
}

/// The recorded start of a process: two hosts list nothing that can be cached, and nobody is told of them.
#[tokio::test(flavor = "multi_thread")]
async fn the_recorded_refresh_at_the_start_comes_to_the_same_lists_and_mails() {
    let stage = Stage::start("customer-cache.start").await;
    let all = stage.exchanges();
    let mut exchange = all.iter().find(|exchange| exchange.name == "refresh at start").unwrap().clone();
    let expected = |key: &str| -> Value {
        serde_json::from_str(exchange.expect.redis[key]["value"].as_str().unwrap()).unwrap()
    };
    let (first, second) = (expected("dev-vco1.example.test"), expected("dev-vco2.example.test"));
    // What a mail shows as the former list: three entries, of which two have the same serial.
    let former = json!([second[0], second[1], second[0]]);
    stage.store("dev-vco2.example.test", &former.to_string()).await;
    stage.store("dev-hawkeye", "[]").await;
    let Value::Object(peers) = peers(&[first, second]) else { panic!("an object") };
    exchange.peers = peers;
    for request in &mut exchange.expect.peers {
        let attachments = request.body.pointer_mut("/email_data/attachments").and_then(Value::as_array_mut);
        attachments.into_iter().flatten().for_each(as_json);
    }
    stage.peers.recorded(&exchange.peers).await;
    let at: DateTime<Utc> = "2026-11-21T05:22:03Z".parse().unwrap();
    let service = stage.run_at(&customer_cache::service(), &Clock::frozen(at), &[]).await;
    stage.play(&exchange, &all).await.assert_clean();
    service.stop().await.unwrap();
}
