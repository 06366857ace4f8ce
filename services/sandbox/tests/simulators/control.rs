//! The control API.

use sandbox::ThirdParty;
use sandbox::world::network::Link;
use serde_json::{Value, json};

use crate::common::{Http, bruin, ordinary, pick, sandbox, start};

#[tokio::test]
async fn edges_are_listed_searched_and_paged() {
    let sandbox = sandbox().await;
    let http = Http::new();
    let list =
        async |query: &str| http.get(&format!("{}/control/edges?{query}", sandbox.base_url())).await.json();
    let page = list("size=50&page=3").await;
    assert_eq!((&page["total"], &page["pages"]), (&json!(120), &json!(3)));
    assert_eq!(page["edges"].as_array().unwrap().len(), 20);

    let edge = ordinary(&sandbox, 2);
    let found = list(&format!("search={}", edge.serial.to_lowercase())).await;
    assert_eq!((&found["total"], &found["edges"][0]["serial"]), (&json!(1), &json!(edge.serial)));
    sandbox.world().break_edge(&edge.serial).unwrap();
    assert_eq!(list("health=down").await["edges"][0]["serial"], edge.serial);
}

#[tokio::test]
async fn edges_links_and_standbys_break_and_heal() {
    let sandbox = sandbox().await;
    let http = Http::new();
    let edges = format!("{}/control/edges", sandbox.base_url());
    let post = async |path: String| http.post(&format!("{edges}/{path}"), Value::Null).await;
    let edge = ordinary(&sandbox, 0);
    let (serial, interface) = (&edge.serial, &edge.links[0].interface);

    assert_eq!(post(format!("{serial}/break")).await.json(), json!({"changed": true}));
    assert_eq!(post(format!("{serial}/break")).await.json(), json!({"changed": false}));
    assert_eq!(post(format!("{serial}/links/{interface}/break")).await.json(), json!({"changed": true}));
    assert_eq!(post(format!("{serial}/links/XX1/break")).await.status, 404);
    assert_eq!(post("VC0000000/break".to_owned()).await.status, 404);
    assert_eq!(post(format!("{serial}/break-standby")).await.status, 409);
    assert_eq!(post(format!("{serial}/explode")).await.status, 400);

    let shown = http.get(&format!("{edges}/{serial}")).await.json();
    assert_eq!(shown["edge"]["health"], "down");
    assert_eq!(shown["events"][0]["event"], "LINK_DEAD");
    let outages = http.get(&format!("{}/control/outages", sandbox.base_url())).await.json();
    assert_eq!((&outages["counts"]["edges"], &outages["counts"]["links"]), (&json!(1), &json!(1)));
    assert_eq!(outages["outages"][0]["interface"], *interface);

    let healed = http.post(&format!("{}/control/heal", sandbox.base_url()), Value::Null).await.json();
    assert_eq!(healed["healed"], 2);
    let info = http.get(&format!("{}/control/info", sandbox.base_url())).await.json();
    assert_eq!(info["outages"]["healed"], 2);
    assert_eq!(info["edges"], 120);
}

#[tokio::test]
async fn time_is_moved() {
    let sandbox = sandbox().await;
    let url = format!("{}/control/clock", sandbox.base_url());
    let http = Http::new();
    assert_eq!(http.get(&url).await.json()["now"], "2022-01-31T15:00:00Z");
    let moved = http.post(&format!("{url}/advance"), json!({"seconds": 90})).await;
    assert_eq!(moved.json()["now"], "2022-01-31T15:01:30Z");
    assert_eq!(http.post(&format!("{url}/advance"), json!({"seconds": -1})).await.status, 400);
}

#[tokio::test]
async fn faults_are_injected_listed_and_removed() {
    let sandbox = sandbox().await;
    let http = Http::new();
    let base = format!("{}/control/third-parties", sandbox.base_url());
    let fault = json!({"status": 503, "rate": 0.5, "for": 60});
    let id = http.post(&format!("{base}/bruin/faults"), fault).await.json()["id"].clone();

    let listed = http.get(&base).await.json();
    let bruin = &listed.as_array().unwrap()[0];
    assert_eq!((&bruin["name"], &bruin["faults"][0]["id"]), (&json!("bruin"), &id));
    assert_eq!(bruin["faults"][0]["fault"]["until"], "2022-01-31T15:01:00Z");
    let url = format!("{base}/bruin/faults/{id}");
    assert_eq!(http.send("DELETE", &url, Value::Null).await.json(), json!({"changed": true}));
    assert!(sandbox.faults().standing(ThirdParty::Bruin).is_empty());

    for (path, body, status) in [
        ("bruin/faults", json!({"rate": 2}), 400),
        ("bruin/faults", json!({"mood": "bad"}), 400),
        ("bruin/faults", json!("nonsense"), 400),
        ("nobody/faults", json!({"mode": "reset"}), 404),
    ] {
        assert_eq!(http.post(&format!("{base}/{path}"), body).await.status, status, "{path}");
    }
    http.post(&format!("{base}/slack/faults"), json!({"mode": "reset"})).await;
    http.send("DELETE", &format!("{base}/all/faults"), Value::Null).await;
    assert!(sandbox.faults().standing(ThirdParty::Slack).is_empty());
}

#[tokio::test]
async fn logins_are_expired_and_calls_listed() {
    let sandbox = sandbox().await;
    let _session = bruin(&sandbox).await;
    let http = Http::new();
    let expire = format!("{}/control/third-parties/bruin/expire-logins", sandbox.base_url());
    assert_eq!(http.post(&expire, Value::Null).await.json(), json!({"expired": 1}));
    let received =
        http.get(&format!("{}/control/received?third_party=bruin", sandbox.base_url())).await.json();
    assert_eq!(received["counts"][0]["path"], "/identity/connect/token");
    assert_eq!((&received["counts"][0]["count"], &received["last"][0]["status"]), (&json!(1), &json!(200)));
}

#[tokio::test]
async fn people_create_change_and_close_tickets() {
    let sandbox = sandbox().await;
    let http = Http::new();
    let base = format!("{}/control/tickets", sandbox.base_url());
    let edge = ordinary(&sandbox, 0);
    let created = http.post(&base, json!({"serials": [edge.serial]})).await.json();
    let (id, line) = (created["id"].clone(), created["lines"][0]["id"].clone());
    assert_eq!(created["created_by"], "A. Person");

    let resolved = http.post(&format!("{base}/{id}/lines/{line}/resolve"), Value::Null).await.json();
    assert_eq!(resolved["status"], "Resolved");
    let opened = http.post(&format!("{base}/{id}/lines/{line}/open"), Value::Null).await.json();
    assert_eq!(opened["status"], "InProgress");
    assert_eq!(http.post(&format!("{base}/{id}/close"), Value::Null).await.json()["status"], "Closed");
    assert_eq!(http.post(&format!("{base}/{id}/lines/{line}/open"), Value::Null).await.status, 409);
    assert_eq!(http.get(&format!("{base}?open=true")).await.json()["total"], 0);
    assert_eq!(http.get(&format!("{base}/1")).await.status, 404);
}

#[tokio::test]
async fn the_repair_policy_and_the_inventory_are_changed() {
    let sandbox = sandbox().await;
    let http = Http::new();
    let edge = ordinary(&sandbox, 0);
    let policy = json!({"default": "reopen", "serials": {&edge.serial: "create_new"}});
    let url = format!("{}/control/repair-policy", sandbox.base_url());
    assert_eq!(http.send("PUT", &url, policy).await.status, 200);
    assert_eq!(http.get(&url).await.json()["serials"][&edge.serial], "create_new");

    let url = format!("{}/control/edges/{}/inventory", sandbox.base_url(), edge.serial);
    let changed = http.send("PUT", &url, json!({"management_status": "Pending"})).await.json();
    assert_eq!(changed[0]["management_status"], "Pending");
}

#[tokio::test]
async fn mail_is_delivered_and_the_outbox_shown() {
    let sandbox = sandbox().await;
    let http = Http::new();
    let base = format!("{}/control", sandbox.base_url());
    let mail = json!("From: a@example.com\nSubject: Hello\n\nText\n");
    let delivered = http.post(&format!("{base}/mailboxes/inbox@sandbox.example"), mail.clone()).await;
    let uid = delivered.json()["uid"].clone();
    let mailboxes = http.get(&format!("{base}/mailboxes")).await.json();
    assert_eq!((&mailboxes[0]["mails"][0]["uid"], &mailboxes[0]["mails"][0]["seen"]), (&uid, &json!(false)));
    assert_eq!(http.post(&format!("{base}/mailboxes/nobody@example.com"), mail).await.status, 404);

    let now = sandbox.world().now();
    sandbox.world().with_outbox("slack", |outbox| outbox.slack(now, "hello".to_owned()));
    let outbox = http.get(&format!("{base}/outbox")).await.json();
    assert_eq!((&outbox["slack_total"], &outbox["slack"][0]["text"]), (&json!(1), &json!("hello")));
    assert_eq!(http.send("DELETE", &format!("{base}/outbox"), Value::Null).await.status, 204);
    assert_eq!(http.get(&format!("{base}/outbox")).await.json()["slack_total"], 0);
}

#[tokio::test]
async fn every_route_is_documented() {
    let sandbox = start(5).await;
    let document = Http::new().get(&format!("{}/control/openapi.json", sandbox.base_url())).await.json();
    let paths = document["paths"].as_object().unwrap();
    for path in
        ["/control/edges/{serial}/{action}", "/control/clock/advance", "/control/third-parties/{name}/faults"]
    {
        assert!(paths.contains_key(path), "{path}");
    }
    assert!(document["components"]["schemas"]["Fault"]["properties"]["for"].is_object());
}

#[tokio::test]
async fn changes_are_streamed() {
    let sandbox = sandbox().await;
    let edge = pick(&sandbox, 0, |edge| edge.links.iter().any(Link::is_digi));
    let url = format!("{}/control/changes", sandbox.base_url());
    let _ = Http::new();
    let mut response = reqwest::get(&url).await.unwrap();
    sandbox.world().break_edge(&edge.serial).unwrap();
    let mut text = String::new();
    while !text.contains(&edge.serial) {
        text.push_str(std::str::from_utf8(&response.chunk().await.unwrap().unwrap()).unwrap());
    }
    assert!(text.contains("event: change"), "{text}");
}

#[tokio::test]
async fn other_web_sites_are_refused() {
    let sandbox = sandbox().await;
    let http = Http::new().with("sec-fetch-site", "cross-site");
    assert_eq!(http.post(&format!("{}/control/heal", sandbox.base_url()), Value::Null).await.status, 403);
    assert_eq!(http.post(&format!("{}/page/heal", sandbox.base_url()), Value::Null).await.status, 403);
}
