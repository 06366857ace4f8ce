//! A shadow decides what its live twin carries out, and writes nowhere.

use crate::world::*;
use decisions::{Ledger, Mode, Step};
use serde_json::json;

/// Device, rule, action and target of everything that was to be done in a mode.
async fn intents(world: &World, mode: Mode) -> Vec<(String, String, String, String)> {
    let ledger = Ledger::stream(world.nats.client().await);
    let records = ledger.read(None).await.unwrap();
    let of_mode = records.into_iter().filter(|record| record.mode == mode);
    of_mode
        .filter_map(|record| match record.step {
            Step::Intent { action, target, .. } => Some((record.device, record.rule, action, target)),
            _ => None,
        })
        .collect()
}

/// Two cycles with their re-checks; what happens in between is up to `answer`.
async fn outage(world: &World) {
    world.link_down().await;
    let running = world.first_cycle().await;
    world.advance(180);
    running.finished(2).await;
    running.stop().await;
}

#[tokio::test]
async fn a_shadow_records_the_decisions_of_its_live_twin_and_writes_nowhere() {
    let mut world = World::new().await;
    let mut edge = cached(SERIAL);
    edge["logical_ids"] = json!([{"interface_name": "GE1", "logical_id": "00:27:04:aa:bb:cc:0000"}]);
    world.answer(CACHE, 200, json!([edge])).await;
    world.set("DECISION_MODE", "shadow");
    outage(&world).await;
    assert_eq!(world.writes(), Vec::<String>::new());
    world.set("DECISION_MODE", "live");
    outage(&world).await;
    let (shadow, live) = (intents(&world, Mode::Shadow).await, intents(&world, Mode::Live).await);
    let actions: Vec<&str> = live.iter().map(|(_, _, action, _)| action.as_str()).collect();
    assert_eq!(
        actions,
        ["create_ticket", "append_note", "set_severity", "schedule_forward", "reboot_digi", "append_note"]
    );
    assert_eq!(shadow, live);
}

#[tokio::test]
async fn a_shadow_follows_a_ticket_that_its_twin_has_created() {
    let mut world = World::new().await;
    world.set("DECISION_MODE", "shadow");
    world.link_down().await;
    let running = world.first_cycle().await;
    // The twin creates the ticket while the edge is in quarantine.
    let mut twins = ticket("Intelygenz Ai");
    twins["createDate"] = json!("1/31/2022 3:02:00 PM");
    world.answer(TICKETS, 200, json!([twins])).await;
    world.advance(180);
    running.finished(2).await;
    let actions = |intents: Vec<(String, String, String, String)>| -> Vec<String> {
        intents.into_iter().map(|(_, _, action, _)| action).collect()
    };
    let first = actions(intents(&world, Mode::Shadow).await);
    assert_eq!(first, ["create_ticket", "append_note", "set_severity", "schedule_forward"]);
    // In the next cycle the same ticket is one in progress: ASR, and no second forward.
    world.answer(TICKET, 200, json!({"severity": 3})).await;
    world.advance(420);
    running.finished(3).await;
    world.advance(180);
    running.finished(4).await;
    let second = actions(intents(&world, Mode::Shadow).await).split_off(first.len());
    assert_eq!(second, ["create_ticket", "forward", "append_note"]);
    assert_eq!(world.writes(), Vec::<String>::new());
    running.stop().await;
}

#[tokio::test]
async fn a_shadow_would_auto_resolve_and_forward_but_does_not() {
    let mut world = World::new().await;
    world.set("DECISION_MODE", "shadow");
    world.answer(LINKS, 200, json!([row(SERIAL, "OFFLINE", "GE1", "DISCONNECTED")])).await;
    let running = world.first_cycle().await;
    world.advance(180);
    running.finished(2).await;
    // By now the twin has created the ticket; the forward of the hard down is due after a minute.
    world.healed().await;
    world.answer(TICKETS, 200, json!([ticket("Intelygenz Ai")])).await;
    world.advance(60);
    running.finished(3).await;
    let triage = note("Triage (VeloCloud)\n\nOrchestrator", "2022-01-31T10:03:00-05:00");
    world.answer(DETAILS, 200, details("I", &json!([triage]))).await;
    world.advance(360);
    running.finished(4).await;
    let all = intents(&world, Mode::Shadow).await;
    let actions: Vec<&str> = all.iter().map(|(_, _, action, _)| action.as_str()).collect();
    assert_eq!(
        actions,
        [
            "create_ticket",
            "append_note",
            "schedule_forward",
            "forward",
            "unpause_line",
            "resolve_line",
            "append_note"
        ]
    );
    assert_eq!(world.writes(), Vec::<String>::new());
    running.stop().await;
}

#[tokio::test]
async fn a_shadow_says_nothing_on_slack_either() {
    let mut world = World::new().await;
    world.set("DECISION_MODE", "shadow");
    world.answer(TICKETS, 500, json!("Got internal error from Bruin")).await;
    let running = world.first_cycle().await;
    world.answer(CACHE, 202, json!("Cache is still being built")).await;
    world.advance(600);
    running.finished(2).await;
    running.stop().await;
    assert_eq!(world.writes(), Vec::<String>::new());
}
