//! The DiGi service over HTTP.

use std::time::Duration;

use sandbox::Running;
use sandbox::world::network::{Edge, Link, LinkState};
use serde_json::{Value, json};

use crate::common::{Answer, Http, digi, pick, sandbox};

fn digi_edge(sandbox: &Running) -> (Edge, Link) {
    let edge = pick(sandbox, 0, |edge| edge.links.iter().any(Link::is_digi));
    let link = edge.links.iter().find(|link| link.is_digi()).unwrap().clone();
    (edge, link)
}

async fn recover(sandbox: &Running, http: Http, edge: &Edge, mac: &str) -> Answer {
    let http =
        http.with("veloserial", &edge.serial).with("ticket", "5200960").with("mac", mac).with("igzid", "Rq1");
    http.post(
        &format!("{}/DeviceManagement_API/rest/Recovery/RecoverDevice", sandbox.digi_url()),
        Value::Null,
    )
    .await
}

async fn logs(sandbox: &Running, http: Http) -> Value {
    http.get(&format!("{}/DeviceManagement_API/rest/Recovery/Logs", sandbox.digi_url())).await.json()
}

fn link_state(sandbox: &Running, edge: &Edge, link: &Link) -> LinkState {
    sandbox.world().network(|network| {
        let (edge, _) = network.by_serial(&edge.serial).unwrap();
        edge.link_state(edge.link(&link.interface).unwrap())
    })
}

#[tokio::test]
async fn a_reboot_heals_the_link_when_the_unit_answers() {
    let sandbox = sandbox().await;
    let (edge, link) = digi_edge(&sandbox);
    sandbox.world().break_link(&edge.serial, &link.interface).unwrap();

    let answer = recover(&sandbox, digi(&sandbox).await, &edge, &link.logical_id).await;
    assert_eq!(answer.status, 200);
    let element = &answer.json()[0];
    assert_eq!(element["Message"], "DiGi Device Recovery started");
    assert_eq!(element["VeloInterface"]["Interface"], link.interface);
    assert_eq!(element["Ticket"], "5200960");

    let again = recover(&sandbox, digi(&sandbox).await, &edge, &link.logical_id).await;
    assert!(again.json()[0]["Message"].as_str().unwrap().contains("Aborted"));
    sandbox.world().advance(Duration::from_secs(29));
    assert_eq!(link_state(&sandbox, &edge, &link), LinkState::Disconnected);
    sandbox.world().advance(Duration::from_secs(1));
    assert_eq!(link_state(&sandbox, &edge, &link), LinkState::Stable);
    let outcomes: Vec<String> =
        sandbox.world().outbox().reboots.iter().map(|reboot| reboot.outcome.clone()).collect();
    assert_eq!(outcomes, ["started", "aborted"]);
}

#[tokio::test]
async fn a_silent_unit_stays_down_and_can_be_rebooted_again() {
    let sandbox = sandbox().await;
    let (edge, link) = digi_edge(&sandbox);
    let world = sandbox.world();
    world.break_link(&edge.serial, &link.interface).unwrap();
    world.set_digi_answers(&edge.serial, false).unwrap();

    recover(&sandbox, digi(&sandbox).await, &edge, &link.logical_id).await;
    world.advance(Duration::from_secs(60));
    assert_eq!(link_state(&sandbox, &edge, &link), LinkState::Disconnected);
    let again = recover(&sandbox, digi(&sandbox).await, &edge, &link.logical_id).await;
    assert_eq!(again.json()[0]["Message"], "DiGi Device Recovery started");
}

#[tokio::test]
async fn an_unknown_unit_is_an_error_element() {
    let sandbox = sandbox().await;
    let (edge, _) = digi_edge(&sandbox);
    let answer = recover(&sandbox, digi(&sandbox).await, &edge, "00:04:2d:ff:ff:ff:0000").await;
    assert_eq!((answer.status, answer.json()[0]["error"].as_str()), (200, Some("no device")));
}

#[tokio::test]
async fn tokens_are_needed_and_expire() {
    let sandbox = sandbox().await;
    let (edge, link) = digi_edge(&sandbox);
    let http = digi(&sandbox).await;
    sandbox.world().advance(Duration::from_secs(3_600));
    let answer = recover(&sandbox, http, &edge, &link.logical_id).await;
    assert_eq!((answer.status, answer.json()), (401, json!([{"Message": "unauthorized"}])));
    assert!(sandbox.world().outbox().reboots.last().is_none());
}

#[tokio::test]
async fn the_log_is_filtered_and_paged() {
    let sandbox = sandbox().await;
    let (edge, link) = digi_edge(&sandbox);
    recover(&sandbox, digi(&sandbox).await, &edge, &link.logical_id).await;
    sandbox.world().advance(Duration::from_secs(60));

    let all = logs(&sandbox, digi(&sandbox).await).await;
    assert_eq!((&all["Count"], &all["Size"], &all["Offset"]), (&json!(2), &json!("50"), &json!("0")));
    assert_eq!(all["Logs"][0]["Method"], "API Start");
    assert_eq!(all["Logs"][0]["TimestampSTART"], "2022-01-31T15:00:00Z");
    assert_eq!(all["Logs"][1]["Success"], true);
    let page = logs(&sandbox, digi(&sandbox).await.with("size", "1").with("offset", "1")).await;
    assert_eq!((&page["Count"], &page["Logs"][0]["Method"]), (&json!(1), &json!("OEMPortal")));
    let other = logs(&sandbox, digi(&sandbox).await.with("igzid", "other")).await;
    assert_eq!(other["Count"], 0);
    let later =
        logs(&sandbox, digi(&sandbox).await.with("startdatetime", "2022-01-31 10:00:01.5-05:00")).await;
    assert_eq!(later["Count"], 0);
    let bad = logs(&sandbox, digi(&sandbox).await.with("startdatetime", "yesterday")).await;
    assert_eq!(bad["Error"]["Code"], "40002");
}
