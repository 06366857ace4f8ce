//! Triage mode when things fail, or others write too.

use crate::world::*;
use serde_json::{Value, json};

fn triage(created: &str) -> Value {
    note("Triage (VeloCloud)\n\nOrchestrator Instance: vco1.example.net", created)
}

fn old_note() -> Value {
    details("I", &json!([triage("2022-01-31T09:00:00-05:00")]))
}

fn events(count: usize) -> Value {
    (0..count).map(|n| link_event("LINK_DEAD", &format!("14:{}:00", 30 + n), "GE1")).collect()
}

/// The note which a body appends, as Bruin shows it later.
fn in_bruin(body: &Value, created: &str) -> Value {
    json!({"noteId": 2, "noteValue": body["note"], "serviceNumber": body["service_numbers"], "createdDate": created})
}

/// Spec "Improve" 6.
#[tokio::test]
async fn after_a_failure_the_rest_waits_and_no_event_is_lost_or_repeated() {
    let world = World::triage().await;
    world.answer(DETAILS, 200, old_note()).await;
    world.answer(EVENTS, 200, events(20)).await;
    world.answer(NOTE, 503, json!("Bruin is out of reach")).await;
    let running = world.first_cycle().await;
    assert_eq!(world.bodies(NOTE).len(), 1);
    assert!(running.counted("triage_error_note_counter_total", 1));
    assert!(running.counted("triage_note_counter_total", 0));
    assert!(running.counted("tickets_with_triage_counter_total", 1));
    // Only the older of the two was written, by whomever, and 31 minutes have passed.
    let first = world.bodies(NOTE).remove(0);
    let notes = json!([triage("2022-01-31T09:00:00-05:00"), in_bruin(&first, "2022-01-31T15:00:01Z")]);
    world.answer(DETAILS, 200, details("I", &notes)).await;
    world.answer(NOTE, 200, json!({})).await;
    world.take();
    for cycle in 2..=5 {
        world.advance(600);
        running.finished(cycle).await;
    }
    let written = world.bodies(NOTE);
    assert_eq!(world.bodies(EVENTS)[0]["start_date"], "2022-01-31 14:44:00+00:00");
    let times = |body: &Value| -> Vec<String> {
        let text = body["note"].as_str().unwrap().to_owned();
        text.lines().filter_map(|line| line.strip_prefix("Event time: ")).map(str::to_owned).collect()
    };
    assert_eq!(times(&first).len(), 15);
    assert_eq!(times(&written[0]).len(), 5);
    assert!(times(&written[0]).iter().all(|time| !times(&first).contains(time)));
    running.stop().await;
}

/// Spec "Improve" 10.
#[tokio::test]
async fn a_note_that_the_outage_mode_wrote_meanwhile_is_seen_right_before_writing() {
    let world = World::triage_leaving_out(DETAILS).await;
    world.link_down().await;
    let without = details("I", &json!([]));
    let with = details("I", &json!([triage("2022-01-31T14:59:59Z")]));
    world.answer_in_turn(DETAILS, vec![without, with]).await;
    let running = world.first_cycle().await;
    assert_eq!(world.bodies(EVENTS).len(), 1);
    assert_eq!(world.writes(), Vec::<String>::new());
    running.stop().await;
}

#[tokio::test]
async fn the_outage_mode_does_not_document_a_new_ticket_which_triage_has_documented() {
    let world = World::new().await;
    world.link_down().await;
    world.answer(DETAILS, 200, details("I", &json!([triage("2022-01-31T15:02:59Z")]))).await;
    let running = world.first_cycle().await;
    world.advance(180);
    running.finished(2).await;
    assert_eq!(world.bodies(NOTE), Vec::<Value>::new());
    assert_eq!(world.bodies(SEVERITY).len(), 1);
    running.stop().await;
}

#[tokio::test]
async fn a_note_whose_reply_was_lost_is_looked_for_before_it_is_repeated() {
    let world = World::triage_leaving_out(NOTE).await;
    world.answer(DETAILS, 200, old_note()).await;
    world.answer(EVENTS, 200, events(1)).await;
    let asked = world.mumble(NOTE).await;
    let running = world.first_cycle().await;
    // Not found by the look: repeated once, then counted.
    assert_eq!(asked.load(std::sync::atomic::Ordering::SeqCst), 2);
    assert!(running.counted("triage_error_note_counter_total", 1));
    running.stop().await;
}

#[tokio::test]
async fn a_failed_list_of_tickets_is_counted_and_told() {
    let world = World::triage().await;
    world.answer(TICKETS, 500, json!("Got internal error from Bruin")).await;
    let running = world.first_cycle().await;
    world.until_said("Failed to get the outage tickets of all clients").await;
    assert!(running.counted("open_ticket_error_counter_total", 1));
    assert_eq!(world.bodies(DETAILS), Vec::<Value>::new());
    running.stop().await;
}

#[tokio::test]
async fn a_cache_that_is_still_being_built_is_told_on_slack_and_ends_the_cycle() {
    let world = World::triage().await;
    world.answer(CACHE, 202, json!("Cache is still being built")).await;
    let running = world.first_cycle().await;
    world.until_said("Cache is still being built").await;
    assert_eq!(world.take().len(), 1);
    running.stop().await;
}

/// Two tickets, 555 and 556, each with a line of an edge of its own which is down.
async fn two_tickets() -> World {
    let world = World::triage().await;
    let mut second = ticket("Ann");
    second["ticketID"] = json!(556);
    world.answer(TICKETS, 200, json!([ticket("Ann"), second])).await;
    let mut other = cached("VC2");
    other["edge"]["edge_id"] = json!(346);
    world.answer(CACHE, 200, json!([cached(SERIAL), other])).await;
    let serials = [SERIAL, "VC2"];
    world.answer(LINKS, 200, json!(serials.map(|serial| row(serial, "OFFLINE", "GE1", "STABLE")))).await;
    world.answer(ENTERPRISES, 200, json!(serials.map(|serial| enterprise(serial, "UNCONFIGURED")))).await;
    let other = json!({"ticketDetails": [{"detailID": 78, "detailValue": "VC2", "detailStatus": "I"}]});
    let reply = |body: Value| json!({"body": body, "status": 200});
    world
        .peers
        .answer_by(
            DETAILS,
            vec![(json!({"ticket_id": 556}), reply(other)), (json!({}), reply(details("I", &json!([]))))],
        )
        .await;
    world
}

fn tickets_written(world: &World) -> Vec<Value> {
    world.bodies(NOTE).iter().map(|body| body["ticket_id"].clone()).collect()
}

/// README, decision 12.
#[tokio::test]
async fn a_ticket_whose_details_fail_or_are_empty_is_left_out_and_the_others_are_handled() {
    for bad in [json!({"body": "no", "status": 500}), json!({"body": {"ticketNotes": []}, "status": 200})] {
        let world = two_tickets().await;
        let other = json!({"ticketDetails": [{"detailID": 78, "detailValue": "VC2", "detailStatus": "I"}]});
        let good = json!({"body": other, "status": 200});
        world.peers.answer_by(DETAILS, vec![(json!({"ticket_id": 556}), good), (json!({}), bad)]).await;
        let running = world.first_cycle().await;
        assert_eq!(tickets_written(&world), [json!(556)]);
        running.stop().await;
    }
}

#[tokio::test]
async fn failing_events_of_one_edge_do_not_stop_the_others() {
    let world = two_tickets().await;
    let (bad, good) = (json!({"body": "no", "status": 500}), json!({"body": [], "status": 200}));
    world.peers.answer_by(EVENTS, vec![(json!({"edge": {"edge_id": 345}}), bad), (json!({}), good)]).await;
    let running = world.first_cycle().await;
    world.until_said("Failed to get the events of edge 345").await;
    assert_eq!(tickets_written(&world), [json!(556)]);
    running.stop().await;
}

/// Spec "Improve" 1 and "Failure handling".
#[tokio::test]
async fn lines_of_a_silent_host_are_skipped_unless_they_have_a_note() {
    let world = two_tickets().await;
    world.answer(EVENTS, 200, events(1)).await;
    let first = world.first_cycle().await;
    assert_eq!(tickets_written(&world).len(), 2);
    // The states known before do not count any more.
    world.take();
    world.answer(ENTERPRISES, 500, json!("no")).await;
    world.advance(600);
    first.finished(2).await;
    assert_eq!(tickets_written(&world), Vec::<Value>::new());
    let noted = json!({"body": old_note(), "status": 200});
    let other = json!({"body": {"ticketDetails": [{"detailID": 78, "detailValue": "VC2"}]}, "status": 200});
    world.peers.answer_by(DETAILS, vec![(json!({"ticket_id": 556}), other), (json!({}), noted)]).await;
    world.advance(600);
    first.finished(3).await;
    assert_eq!(tickets_written(&world), [json!(555)]);
    first.stop().await;
}

/// Spec "Improve" 7: several tickets at a time, the notes of one ticket in order.
#[tokio::test]
async fn the_lines_of_a_ticket_are_handled_in_order() {
    let world = World::triage().await;
    let serials: Vec<String> = (1..=8).map(|n| format!("VC{n}")).collect();
    let list =
        |make: &dyn Fn(&str) -> Value| -> Value { serials.iter().map(|serial| make(serial)).collect() };
    world.answer(CACHE, 200, list(&cached)).await;
    world.answer(LINKS, 200, list(&|serial| row(serial, "OFFLINE", "GE1", "STABLE"))).await;
    world.answer(ENTERPRISES, 200, list(&|serial| enterprise(serial, "UNCONFIGURED"))).await;
    let lines = list(&|serial| json!({"detailID": serial, "detailValue": serial, "detailStatus": "I"}));
    world.answer(DETAILS, 200, json!({"ticketDetails": lines, "ticketNotes": []})).await;
    let running = world.first_cycle().await;
    let written: Vec<Value> =
        world.bodies(NOTE).iter().map(|body| body["service_numbers"][0].clone()).collect();
    assert_eq!(json!(written), json!(serials));
    running.stop().await;
}
