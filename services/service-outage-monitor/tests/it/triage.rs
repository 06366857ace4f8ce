//! Triage mode: what is written to which ticket.

use crate::world::*;
use decisions::{Ledger, Mode, Step};
use serde_json::{Value, json};

/// A triage note of some age at 15:00 UTC.
fn triage(created: &str) -> Value {
    note("Triage (VeloCloud)\n\nOrchestrator Instance: vco1.example.net", created)
}

/// So many events, one a minute from 14:30.
fn events(count: usize) -> Value {
    (0..count).map(|n| link_event("LINK_DEAD", &format!("14:{}:00", 30 + n), "GE1")).collect()
}

fn count(note: &Value) -> usize {
    note["note"].as_str().unwrap().matches("New event: ").count()
}

/// Spec "Examples" 1.
#[tokio::test]
async fn a_line_without_note_gets_its_first_note() {
    let world = World::triage().await;
    world.link_down().await;
    world.answer(EVENTS, 200, json!([link_event("LINK_DEAD", "14:51:00", "GE1")])).await;
    let running = world.first_cycle().await;
    let made = world.subjects();
    assert_eq!(made, [CACHE, TICKETS, DETAILS, LINKS, ENTERPRISES, EVENTS, DETAILS, NOTE]);
    assert_eq!(world.bodies(CACHE), [json!({"filter": {}, "last_contact_filter": null})]);
    assert_eq!(
        world.bodies(TICKETS),
        [json!({"ticket_statuses": ["New", "InProgress", "Draft"], "ticket_topic": "VOO",
            "product_category": "SD-WAN"})]
    );
    assert_eq!(
        world.bodies(EVENTS),
        [json!({"edge": {"host": HOST, "enterprise_id": 12, "edge_id": 345},
            "start_date": "2022-01-24 15:00:00+00:00", "end_date": "2022-01-31 15:00:00+00:00",
            "filter": ["EDGE_UP", "EDGE_DOWN", "LINK_ALIVE", "LINK_DEAD"]})]
    );
    let notes = world.bodies(NOTE);
    assert_eq!((&notes[0]["ticket_id"], &notes[0]["service_numbers"]), (&json!(555), &json!([SERIAL])));
    insta::assert_snapshot!(notes[0]["note"].as_str().unwrap());
    assert!(running.counted("tickets_without_triage_counter_total", 1));
    assert!(running.counted("tickets_with_triage_counter_total", 0));
    running.stop().await;
    assert_eq!(world.bodies(SLACK), Vec::<Value>::new());
}

/// Spec "Examples" 2.
#[tokio::test]
async fn a_line_without_note_of_a_healthy_edge_gets_the_events_of_the_last_day() {
    let world = World::triage().await;
    let happened = [link_event("LINK_DEAD", "14:00:00", "GE1"), link_event("LINK_ALIVE", "14:20:00", "GE1")];
    world.answer(EVENTS, 200, json!(happened)).await;
    let running = world.first_cycle().await;
    assert_eq!(world.bodies(EVENTS)[0]["start_date"], "2022-01-30 15:00:00+00:00");
    let expected = "#*MetTel's IPA*#\nTriage (VeloCloud)\n\nNew event: LINK_ALIVE\nDevice: Interface GE1\n\
        Event time: 2022-01-31 09:20:00-05:00\n\nNew event: LINK_DEAD\nDevice: Interface GE1\n\
        Event time: 2022-01-31 09:00:00-05:00\n\nTimestamp: 2022-01-31 09:00:00-05:00";
    assert_eq!(
        world.bodies(NOTE),
        [json!({"ticket_id": 555, "note": expected, "service_numbers": [SERIAL]})]
    );
    world.until_said("Triage was appended to line 77 of edge VC1234567 in ticket 555.").await;
    assert!(running.counted("triage_note_counter_total", 1));
    assert!(running.counted("tickets_without_triage_counter_total", 0));
    running.stop().await;
}

/// Spec "Examples" 3, first part.
#[tokio::test]
async fn a_note_of_exactly_30_minutes_leaves_the_line_alone() {
    let world = World::triage().await;
    world.answer(DETAILS, 200, details("I", &json!([triage("2022-01-31T09:30:00.000-05:00")]))).await;
    let running = world.first_cycle().await;
    // The states of the edges are of no interest either.
    assert_eq!(world.subjects(), [CACHE, TICKETS, DETAILS]);
    assert!(running.counted("tickets_with_triage_counter_total", 0));
    running.stop().await;
}

/// Spec "Examples" 3, second part.
#[tokio::test]
async fn twenty_events_since_an_older_note_make_two_notes_and_one_slack_text() {
    let world = World::triage().await;
    world.answer(DETAILS, 200, details("I", &json!([triage("2022-01-31T09:29:59.000-05:00")]))).await;
    world.answer(EVENTS, 200, events(20)).await;
    let running = world.first_cycle().await;
    assert_eq!(world.bodies(EVENTS)[0]["start_date"], "2022-01-31 14:29:59+00:00");
    assert_eq!(world.bodies(NOTE).iter().map(count).collect::<Vec<_>>(), [15, 5]);
    world.until_said("Triage was appended").await;
    assert!(running.counted("triage_note_counter_total", 2));
    assert!(running.counted("tickets_with_triage_counter_total", 1));
    running.stop().await;
    assert_eq!(world.bodies(SLACK).len(), 1);
}

/// Spec "Examples" 3, last sentence.
#[tokio::test]
async fn without_events_there_is_no_note_but_the_line_counts() {
    let world = World::triage().await;
    world.answer(DETAILS, 200, details("I", &json!([triage("2022-01-31T09:29:59.000-05:00")]))).await;
    let running = world.first_cycle().await;
    assert_eq!(world.writes(), Vec::<String>::new());
    assert!(running.counted("tickets_with_triage_counter_total", 1));
    assert!(running.counted("triage_lines_total", 1));
    running.stop().await;
}

/// Spec "Examples" 4.
#[tokio::test]
async fn a_standby_that_is_offline_gets_a_note_of_the_pair() {
    let world = World::triage().await;
    let mut standby = cached("VC9999999");
    standby["ha_serial_number"] = json!(SERIAL);
    let mut pair = row(SERIAL, "CONNECTED", "GE1", "STABLE");
    pair["edgeHASerialNumber"] = json!("VC9999999");
    world.answer(CACHE, 200, json!([cached(SERIAL), standby])).await;
    world.answer(LINKS, 200, json!([pair])).await;
    world.answer(ENTERPRISES, 200, json!([enterprise(SERIAL, "FAILED")])).await;
    let line = json!({"detailID": 78, "detailValue": "VC9999999", "detailStatus": "I"});
    world.answer(DETAILS, 200, json!({"ticketDetails": [line], "ticketNotes": []})).await;
    let running = world.first_cycle().await;
    let notes = world.bodies(NOTE);
    let text = notes[0]["note"].as_str().unwrap();
    assert!(text.contains("\nHigh Availability - Edge Offline\n"), "{text}");
    assert!(text.find("Serial: VC1234567").unwrap() < text.find("Serial: VC9999999").unwrap(), "{text}");
    assert!(
        text.contains("Edge Status: OFFLINE\nHA Role: Standby\nTimestamp: 2022-01-31 10:00:00-05:00"),
        "{text}"
    );
    assert_eq!(notes[0]["service_numbers"], json!(["VC9999999"]));
    running.stop().await;
}

/// Spec "Examples" 5.
#[tokio::test]
async fn tickets_of_other_clients_and_lines_of_other_devices_are_ignored() {
    let world = World::triage().await;
    world.link_down().await;
    let mut other = ticket("Ann");
    (other["ticketID"], other["clientID"]) = (json!(556), json!(22222));
    world.answer(TICKETS, 200, json!([other, ticket("Ann"), ticket("Ann")])).await;
    let circuit = json!({"detailID": 76, "detailValue": "10.ABCD.123456", "detailStatus": "I"});
    let line = json!({"detailID": 77, "detailValue": SERIAL, "detailStatus": "I"});
    world.answer(DETAILS, 200, json!({"ticketDetails": [circuit, line], "ticketNotes": []})).await;
    let running = world.first_cycle().await;
    // Once to look and once right before writing.
    assert_eq!(world.bodies(DETAILS), [json!({"ticket_id": 555}), json!({"ticket_id": 555})]);
    assert_eq!(world.bodies(NOTE).len(), 1);
    running.stop().await;
}

/// Spec "Examples" 7.
#[tokio::test]
async fn in_dev_the_whole_note_goes_to_slack_and_in_others_nowhere() {
    for (environment, told) in [("dev", 1), ("staging", 0)] {
        let mut world = World::triage().await;
        world.set("CURRENT_ENVIRONMENT", environment);
        world.link_down().await;
        let running = world.first_cycle().await;
        if told > 0 {
            world.until_said("Interface GE1 Status: DISCONNECTED").await;
        }
        assert!(running.counted("tickets_without_triage_counter_total", 0));
        running.stop().await;
        assert_eq!((world.bodies(NOTE).len(), world.bodies(SLACK).len()), (0, told), "{environment}");
    }
}

/// Spec "Behaviour" 10, "Improve" 13.
#[tokio::test]
async fn outside_production_slack_says_that_events_would_have_been_written() {
    for environment in ["dev", "staging"] {
        let mut world = World::triage().await;
        world.set("CURRENT_ENVIRONMENT", environment);
        world.answer(EVENTS, 200, events(1)).await;
        let running = world.first_cycle().await;
        world.until_said("would have been appended to line 77").await;
        assert!(running.counted("triage_note_counter_total", 0));
        running.stop().await;
        assert_eq!((world.bodies(NOTE).len(), world.bodies(SLACK).len()), (0, 1));
    }
}

#[tokio::test]
async fn a_shadow_records_what_its_live_twin_writes_and_writes_nowhere() {
    let mut world = World::triage().await;
    let other = json!({"detailID": 78, "detailValue": "VC2", "detailStatus": "I"});
    let line = json!({"detailID": 77, "detailValue": SERIAL, "detailStatus": "I"});
    let notes = json!([triage("2022-01-31T09:00:00-05:00")]);
    world.answer(CACHE, 200, json!([cached(SERIAL), cached("VC2")])).await;
    world.answer(LINKS, 200, json!([row("VC2", "OFFLINE", "GE1", "DISCONNECTED")])).await;
    world.answer(ENTERPRISES, 200, json!([enterprise("VC2", "UNCONFIGURED")])).await;
    world.answer(DETAILS, 200, json!({"ticketDetails": [line, other], "ticketNotes": notes})).await;
    world.answer(EVENTS, 200, events(20)).await;
    world.set("DECISION_MODE", "shadow");
    let running = world.first_cycle().await;
    assert!(running.counted("triage_note_counter_total", 0));
    running.stop().await;
    assert_eq!(world.writes(), Vec::<String>::new());
    world.set("DECISION_MODE", "live");
    world.first_cycle().await.stop().await;
    let records = Ledger::stream(world.nats.client().await).read(None).await.unwrap();
    let intents = |mode: Mode| -> Vec<(String, &str, String)> {
        let of_mode = records.iter().filter(|record| record.mode == mode);
        of_mode
            .filter_map(|record| match &record.step {
                Step::Intent { target, .. } => {
                    assert_eq!(record.service, "service-outage-monitor-triage");
                    Some((record.rule.clone(), record.device.as_str(), target.clone()))
                }
                _ => None,
            })
            .collect()
    };
    let expected = [
        ("triage.events", SERIAL, "VC1234567: events 1/2"),
        ("triage.events", SERIAL, "VC1234567: events 2/2"),
        ("triage.document", "VC2", "VC2: triage 1/1"),
    ];
    let expected = expected.map(|(rule, device, target)| (rule.to_owned(), device, target.to_owned()));
    assert_eq!(intents(Mode::Shadow), expected);
    assert_eq!(intents(Mode::Live), expected);
    assert_eq!(world.bodies(NOTE).len(), 3);
}

#[tokio::test]
async fn the_names_of_all_metrics_exist_in_both_modes() {
    for world in [World::new().await, World::triage().await] {
        let running = world.first_cycle().await;
        let text = prometheus::TextEncoder::new().encode_to_string(&running.host.metrics.gather()).unwrap();
        for name in ["outage_ticket_counter_total", "cycle_runtime_gauge", "triage_note_counter_total"] {
            assert!(text.contains(&format!("\n{name} ")), "{name}");
        }
        running.stop().await;
    }
}
