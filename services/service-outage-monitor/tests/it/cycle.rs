//! What the cycle does when its neighbours do not answer as hoped.

use crate::world::*;
use serde_json::{Value, json};
use testkit::Nats;

#[tokio::test]
async fn a_cache_that_is_still_being_built_is_told_on_slack_and_ends_the_cycle() {
    let world = World::new().await;
    world.answer(CACHE, 202, json!("Cache is still being built for host(s): vco1.example.net")).await;
    let running = world.first_cycle().await;
    world.until_said("Cache is still being built for host(s): vco1.example.net").await;
    assert_eq!(world.take().len(), 1);
    running.stop().await;
}

#[tokio::test]
async fn a_cache_without_edges_ends_the_cycle_in_silence() {
    for status in [404, 500] {
        let world = World::new().await;
        world.answer(CACHE, status, json!("No edges were found for the specified filters")).await;
        let running = world.first_cycle().await;
        running.stop().await;
        assert_eq!(world.subjects(), [CACHE]);
    }
}

#[tokio::test]
async fn a_failed_list_skips_the_host_and_is_told_with_the_deployments_name() {
    for (failing, made) in [(LINKS, vec![CACHE, LINKS]), (ENTERPRISES, vec![CACHE, LINKS, ENTERPRISES])] {
        let world = World::new().await;
        world.answer(failing, 500, json!("Got internal error from Velocloud")).await;
        let running = world.first_cycle().await;
        world.until_said("AUTOMATION-EXAMPLE environment: error 500").await;
        let subjects: Vec<String> = world.take().into_iter().map(|(subject, _)| subject).collect();
        assert_eq!(subjects, made);
        running.stop().await;
    }
}

#[tokio::test]
async fn an_abandoned_recheck_is_detected_again_by_the_next_cycle() {
    let world = World::new().await;
    world.link_down().await;
    let running = world.first_cycle().await;
    world.answer(ENTERPRISES, 500, json!("no")).await;
    world.advance(180);
    running.finished(2).await;
    assert_eq!(world.bodies(CREATE), Vec::<Value>::new());
    world.answer(ENTERPRISES, 200, json!([enterprise(SERIAL, "UNCONFIGURED")])).await;
    world.advance(420);
    running.finished(3).await;
    world.advance(180);
    running.finished(4).await;
    assert_eq!(world.bodies(CREATE).len(), 1);
    running.stop().await;
}

#[tokio::test]
async fn failures_of_one_kind_make_one_slack_text_per_cycle() {
    let world = World::new().await;
    let clients = |n: i64| {
        let mut edge = cached(&format!("VC{n}"));
        edge["bruin_client_info"]["client_id"] = json!(n);
        edge
    };
    let serials = ["VC1", "VC2", "VC3"];
    world.answer(CACHE, 200, json!([clients(1), clients(2), clients(3)])).await;
    world.answer(LINKS, 200, json!(serials.map(|serial| row(serial, "CONNECTED", "GE1", "STABLE")))).await;
    world.answer(ENTERPRISES, 200, json!(serials.map(|serial| enterprise(serial, "UNCONFIGURED")))).await;
    world.answer(TICKETS, 500, json!("Got internal error from Bruin")).await;
    let running = world.first_cycle().await;
    world.until_said("(2 more failures").await;
    running.stop().await;
    assert_eq!(world.bodies(TICKETS).len(), 3);
    assert_eq!(world.bodies(SLACK).len(), 1);
}

#[tokio::test]
async fn large_lists_come_through_redis() {
    let world = World::new().await;
    world.link_down().await;
    for (subject, body) in
        [(CACHE, json!([cached(SERIAL)])), (LINKS, json!([row(SERIAL, "CONNECTED", "GE1", "DISCONNECTED")]))]
    {
        world.peers.answer(subject, json!({"body": body, "status": 200, "_token": true})).await;
    }
    let running = world.first_cycle().await;
    assert!(running.counted("outage_monitoring_edge_counter_total", 1));
    world.advance(180);
    running.finished(2).await;
    assert_eq!(world.bodies(CREATE).len(), 1);
    running.stop().await;
}

#[tokio::test]
async fn a_strange_entry_of_the_cache_does_not_hide_the_others() {
    let world = World::new().await;
    world.answer(CACHE, 200, json!([{"edge": null}, cached(SERIAL), 7])).await;
    let running = world.first_cycle().await;
    assert!(running.counted("outage_monitoring_edge_counter_total", 1));
    running.stop().await;
}

#[tokio::test]
async fn a_strange_row_of_a_list_does_not_hide_the_others() {
    let world = World::new().await;
    let down = row(SERIAL, "OFFLINE", "GE1", "DISCONNECTED");
    world.answer(LINKS, 200, json!([7, down, null, ["x"]])).await;
    world.answer(ENTERPRISES, 200, json!([null, enterprise(SERIAL, "UNCONFIGURED"), "x"])).await;
    let running = world.first_cycle().await;
    world.advance(180);
    running.finished(2).await;
    assert_eq!(world.bodies(CREATE).len(), 1);
    running.stop().await;
}

#[tokio::test]
async fn blacklisted_edges_are_not_looked_at() {
    let mut world = World::new().await;
    world.link_down().await;
    world.set(
        "MONITORING__BLACKLISTED_EDGES",
        r#"[{"host":"vco1.example.net","enterprise_id":12,"edge_id":345}]"#,
    );
    let running = world.first_cycle().await;
    assert_eq!(world.subjects(), [CACHE]);
    assert!(running.counted("outage_monitoring_edge_counter_total", 0));
    running.stop().await;
}

#[tokio::test]
async fn the_second_cycle_comes_after_the_interval() {
    let world = World::new().await;
    let running = world.first_cycle().await;
    world.advance(599);
    world.clock.sleepers(1).await;
    assert_eq!(world.bodies(CACHE).len(), 1);
    world.advance(1);
    running.finished(2).await;
    assert_eq!(world.bodies(CACHE).len(), 2);
    running.stop().await;
}

#[tokio::test]
async fn two_edges_of_one_site_are_handled_in_order_and_one_failing_does_not_stop_the_other() {
    let world = World::with(Nats::start().await).await;
    let serials = ["VC1", SERIAL];
    world.answer(CACHE, 200, json!(serials.map(cached))).await;
    world
        .answer(LINKS, 200, json!(serials.map(|serial| row(serial, "CONNECTED", "GE1", "DISCONNECTED"))))
        .await;
    world.answer(ENTERPRISES, 200, json!(serials.map(|serial| enterprise(serial, "UNCONFIGURED")))).await;
    let (refused, created) = (json!({"body": "no", "status": 400}), json!({"body": 555, "status": 200}));
    world
        .peers
        .answer_by(CREATE, vec![(json!({"service_number": "VC1"}), refused), (json!({}), created)])
        .await;
    let running = world.first_cycle().await;
    world.advance(180);
    running.finished(2).await;
    let asked: Vec<Value> = world.bodies(CREATE).iter().map(|body| body["service_number"].clone()).collect();
    assert_eq!(asked, [json!("VC1"), json!(SERIAL)]);
    assert_eq!(world.bodies(NOTE).len(), 1);
    running.stop().await;
}
