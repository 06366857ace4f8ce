//! Resolving the lines of edges that are healthy again.

use crate::world::*;
use serde_json::{Value, json};
use testkit::Nats;

/// An open ticket of ours whose outage was documented 70 minutes ago, one line in progress.
async fn ready_to_resolve(world: &World) {
    world.answer(TICKETS, 200, json!([ticket("Intelygenz Ai")])).await;
    let triage = note("Triage (VeloCloud)\n\nOrchestrator", "2022-01-31T08:50:00-05:00");
    world.answer(DETAILS, 200, details("I", &json!([triage]))).await;
}

fn about_line() -> Value {
    json!({"ticket_id": 555, "detail_id": 77})
}

/// Spec "Examples" 7, with the second look of "Improve" 16.
#[tokio::test]
async fn the_line_of_a_healthy_edge_is_resolved_after_a_second_look() {
    let world = World::new().await;
    ready_to_resolve(&world).await;
    let running = world.first_cycle().await;
    world.until_said("Ticket linked to edge was autoresolved!").await;
    let subjects: Vec<String> = world.take().into_iter().map(|(subject, _)| subject).collect();
    assert_eq!(
        subjects,
        [CACHE, LINKS, ENTERPRISES, TICKETS, DETAILS, LINKS, ENTERPRISES, DETAILS, UNPAUSE, RESOLVE, NOTE]
    );
    assert!(running.counted("autoresolve_counter_total", 1));
    assert!(running.counted("outage_monitoring_edge_counter_total", 1));
    running.stop().await;
}

#[tokio::test]
async fn the_requests_name_ticket_line_and_serial() {
    let world = World::new().await;
    ready_to_resolve(&world).await;
    let running = world.first_cycle().await;
    let since = json!({"filter": {HOST: []}, "last_contact_filter": "2022-01-24 15:00:00.000000"});
    assert_eq!(world.bodies(CACHE), [since]);
    assert_eq!(world.bodies(UNPAUSE), [json!({"ticket_id": 555, "detail_id": 77, "service_number": SERIAL})]);
    assert_eq!(world.bodies(RESOLVE), [about_line()]);
    let text =
        "#*MetTel's IPA*#\nAuto-resolving detail for serial: VC1234567\nTimeStamp: 2022-01-31 10:00:00-05:00";
    assert_eq!(world.bodies(NOTE), [json!({"ticket_id": 555, "note": text, "service_numbers": [SERIAL]})]);
    running.stop().await;
}

#[tokio::test]
async fn a_failed_unpause_does_not_matter_but_a_failed_resolve_ends_it() {
    let world = World::new().await;
    ready_to_resolve(&world).await;
    world.answer(UNPAUSE, 500, json!("no")).await;
    world.answer(RESOLVE, 500, json!("no")).await;
    let running = world.first_cycle().await;
    assert_eq!(world.bodies(RESOLVE), [about_line()]);
    assert_eq!(world.bodies(NOTE), Vec::<Value>::new());
    assert!(running.counted("autoresolve_counter_total", 0));
    running.stop().await;
}

/// Bruin was slower than the bridge's patience.
#[tokio::test]
async fn a_line_that_was_resolved_although_the_bridge_gave_up_gets_its_note() {
    let world = World::leaving_out(Nats::start_with_jetstream().await, DETAILS).await;
    world.answer(TICKETS, 200, json!([ticket("Intelygenz Ai")])).await;
    let triage = note("Triage (VeloCloud)\n\nOrchestrator", "2022-01-31T08:50:00-05:00");
    let line = |status| details(status, &json!([triage]));
    world.answer_in_turn(DETAILS, vec![line("I"), line("I"), line("R")]).await;
    world.answer(RESOLVE, 500, json!("Bruin did not answer in time")).await;
    let running = world.first_cycle().await;
    assert_eq!(world.bodies(RESOLVE), [about_line()]);
    assert_eq!(world.bodies(NOTE).len(), 1);
    assert!(running.counted("autoresolve_counter_total", 1));
    running.stop().await;
}

#[tokio::test]
async fn tickets_of_people_and_other_environments_are_left_alone() {
    let mut world = World::new().await;
    ready_to_resolve(&world).await;
    world.answer(TICKETS, 200, json!([ticket("Ann")])).await;
    let running = world.first_cycle().await;
    assert_eq!(world.bodies(DETAILS), Vec::<Value>::new());
    running.stop().await;
    world.answer(TICKETS, 200, json!([ticket("Intelygenz Ai")])).await;
    world.set("CURRENT_ENVIRONMENT", "dev");
    let running = world.first_cycle().await;
    assert_eq!(world.writes(), Vec::<String>::new());
    running.stop().await;
}

#[tokio::test]
async fn another_system_user_is_a_setting() {
    let mut world = World::new().await;
    ready_to_resolve(&world).await;
    world.answer(TICKETS, 200, json!([ticket("Robot")])).await;
    world.set("IPA_SYSTEM_USERNAME_IN_BRUIN", "Robot");
    let running = world.first_cycle().await;
    assert_eq!(world.bodies(RESOLVE).len(), 1);
    running.stop().await;
}

#[tokio::test]
async fn every_open_ticket_of_ours_is_looked_at() {
    let world = World::new().await;
    ready_to_resolve(&world).await;
    let (mut people, mut other) = (ticket("Ann"), ticket("Intelygenz Ai"));
    people["ticketID"] = json!(1);
    other["ticketID"] = json!(556);
    world.answer(TICKETS, 200, json!([people, other, ticket("Intelygenz Ai")])).await;
    let running = world.first_cycle().await;
    let mut resolved: Vec<Value> =
        world.bodies(RESOLVE).iter().map(|body| body["ticket_id"].clone()).collect();
    resolved.sort_by_key(Value::as_i64);
    assert_eq!(resolved, [json!(555), json!(556)]);
    running.stop().await;
}

#[tokio::test]
async fn clients_without_open_tickets_cost_one_question_however_many_edges_they_have() {
    let world = World::new().await;
    let serials: Vec<String> = (1..=8).map(|n| format!("VC{n}")).collect();
    let edges: Vec<Value> = serials.iter().map(|serial| cached(serial)).collect();
    let rows: Vec<Value> = serials.iter().map(|serial| row(serial, "CONNECTED", "GE1", "STABLE")).collect();
    let listed: Vec<Value> = serials.iter().map(|serial| enterprise(serial, "UNCONFIGURED")).collect();
    world.answer(CACHE, 200, json!(edges)).await;
    world.answer(LINKS, 200, json!(rows)).await;
    world.answer(ENTERPRISES, 200, json!(listed)).await;
    let running = world.first_cycle().await;
    let question = json!({"ticket_statuses": ["New", "InProgress", "Draft"], "ticket_topic": "VOO",
        "product_category": "SD-WAN", "client_id": 11111});
    assert_eq!(world.bodies(TICKETS), [question]);
    assert!(running.counted("outage_monitoring_edge_counter_total", 8));
    running.stop().await;
}

#[tokio::test]
async fn of_a_client_with_an_open_ticket_only_the_edge_with_the_line_is_resolved() {
    let world = World::new().await;
    ready_to_resolve(&world).await;
    world.answer(CACHE, 200, json!([cached("VC1"), cached(SERIAL), cached("VC2")])).await;
    let serials = ["VC1", SERIAL, "VC2"];
    world.answer(LINKS, 200, json!(serials.map(|serial| row(serial, "CONNECTED", "GE1", "STABLE")))).await;
    world.answer(ENTERPRISES, 200, json!(serials.map(|serial| enterprise(serial, "UNCONFIGURED")))).await;
    let running = world.first_cycle().await;
    assert_eq!(world.bodies(TICKETS).len(), 1);
    assert_eq!(world.bodies(DETAILS).len(), 2);
    assert_eq!(world.bodies(RESOLVE), [about_line()]);
    running.stop().await;
}

#[tokio::test]
async fn an_edge_that_is_down_again_at_the_second_look_is_not_resolved() {
    let world = World::leaving_out(Nats::start_with_jetstream().await, LINKS).await;
    ready_to_resolve(&world).await;
    let links = |state| json!([row(SERIAL, "CONNECTED", "GE1", state)]);
    world.answer_in_turn(LINKS, vec![links("STABLE"), links("DISCONNECTED")]).await;
    let running = world.first_cycle().await;
    assert_eq!(world.bodies(DETAILS).len(), 1);
    assert_eq!(world.writes(), Vec::<String>::new());
    running.stop().await;
}

#[tokio::test]
async fn a_line_that_somebody_resolved_meanwhile_is_not_resolved_again() {
    let world = World::leaving_out(Nats::start_with_jetstream().await, DETAILS).await;
    world.answer(TICKETS, 200, json!([ticket("Intelygenz Ai")])).await;
    let triage = note("Triage (VeloCloud)\n\nOrchestrator", "2022-01-31T08:50:00-05:00");
    let line = |status| details(status, &json!([triage]));
    world.answer_in_turn(DETAILS, vec![line("I"), line("R")]).await;
    let running = world.first_cycle().await;
    assert_eq!(world.bodies(LINKS).len(), 2);
    assert_eq!(world.writes(), Vec::<String>::new());
    running.stop().await;
}
