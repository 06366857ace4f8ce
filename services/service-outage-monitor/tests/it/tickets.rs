//! What is done for an edge that is still down after quarantine, by the answer of ticket creation.

use crate::world::*;
use serde_json::{Value, json};
use testkit::Nats;

fn links() -> (String, Value) {
    (LINKS.into(), json!({"host": HOST}))
}

fn enterprises() -> (String, Value) {
    (ENTERPRISES.into(), json!({"host": HOST, "enterprise_ids": []}))
}

fn on_ticket(subject: &str) -> (String, Value) {
    (subject.into(), json!({"ticket_id": 555}))
}

fn create() -> (String, Value) {
    (CREATE.into(), json!({"client_id": 11111, "service_number": SERIAL}))
}

fn severity_3() -> (String, Value) {
    let reason =
        "#*MetTel's IPA*#\nChanging to Severity 3\nEdge Status: Online\nInterface GE1 Status: Disconnected";
    (SEVERITY.into(), json!({"ticket_id": 555, "severity": 3, "reason": reason}))
}

/// Runs until the re-check of a link down is over.
async fn after_quarantine(world: &World) -> Running {
    world.link_down().await;
    let running = world.first_cycle().await;
    world.take();
    world.advance(180);
    running.finished(2).await;
    running
}

/// Spec "Examples" 2.
#[tokio::test]
async fn a_new_ticket_is_documented_gets_its_severity_and_goes_to_hnoc_after_90_minutes_by_day() {
    let world = World::new().await;
    let dead = json!({"event": "LINK_DEAD", "category": "NETWORK", "eventTime": "2022-01-31T14:51:00.000Z",
        "message": "Link GE1 is now DEAD"});
    world.answer(EVENTS, 200, json!([dead])).await;
    let running = after_quarantine(&world).await;
    let note = "#*MetTel's IPA*#\nTriage (VeloCloud)\n\nOrchestrator Instance: vco1.example.net\nEdge Name: Store 7\n\
        Links: [Edge|https://vco1.example.net/#!/operator/customer/12/monitor/edge/345/] - \
        [QoE|https://vco1.example.net/#!/operator/customer/12/monitor/edge/345/qoe/] - \
        [Transport|https://vco1.example.net/#!/operator/customer/12/monitor/edge/345/links/] - \
        [Events|https://vco1.example.net/#!/operator/customer/12/monitor/events/]\n\n\
        Serial: VC1234567\nEdge Status: CONNECTED\nLast Edge Online: Unknown\nLast Edge Offline: Unknown\n\n\
        Interface GE1\nInterface GE1 Label: ACME Cable\nInterface GE1 IP Address: 192.0.2.7\n\
        Interface GE1 Type: Public Wired\nInterface GE1 Status: DISCONNECTED\n\
        Last GE1 Interface Online: Unknown\nLast GE1 Interface Offline: 2022-01-31 09:51:00-05:00";
    let events = json!({
        "edge": {"host": HOST, "enterprise_id": 12, "edge_id": 345},
        "start_date": "2022-01-24 15:03:00+00:00", "end_date": "2022-01-31 15:03:00+00:00",
        "filter": ["EDGE_UP", "EDGE_DOWN", "LINK_ALIVE", "LINK_DEAD"]
    });
    world.until_said("Successfully created outage ticket for edge VC1234567").await;
    world.until_said("was changed to 3").await;
    assert_eq!(
        world.take(),
        [
            links(),
            enterprises(),
            create(),
            (EVENTS.into(), events),
            on_ticket(DETAILS),
            (NOTE.into(), json!({"ticket_id": 555, "note": note, "service_numbers": [SERIAL]})),
            on_ticket(TICKET),
            severity_3(),
        ]
    );
    assert!(running.counted("outage_ticket_counter_total", 1));
    // 10:03 + 90 minutes = 11:33. Meanwhile the tickets' cycle is stopped by an empty cache.
    world.answer(CACHE, 404, json!("No edges were found for the specified filters")).await;
    world.advance(5_399);
    running.finished(3).await;
    assert_eq!(world.bodies(WORK), Vec::<Value>::new());
    world.advance(1);
    world.until(WORK, 1).await;
    world.until_said("was forwarded to HNOC Investigate").await;
    let forward = json!({"ticket_id": 555, "queue_name": "HNOC Investigate", "service_number": SERIAL});
    assert_eq!(world.bodies(WORK), [forward]);
    running.stop().await;
}

#[tokio::test]
async fn a_ticket_in_progress_gets_severity_and_asr_but_no_note_of_creation() {
    let world = World::new().await;
    world.answer(CREATE, 409, json!(555)).await;
    world.answer(TICKET, 200, json!({"severity": 3})).await;
    let running = after_quarantine(&world).await;
    let asr = "#*MetTel's IPA*#\nStatus of Wired Link GE1 (ACME Cable) is DISCONNECTED.\n\
        Moving task to: ASR Investigate\nTimeStamp: 2022-01-31 10:03:00-05:00";
    let work = json!({"ticket_id": 555, "queue_name": "No Trouble Found - Carrier Issue", "service_number": SERIAL,
        "detail_id": 77});
    world.until_said("was forwarded to No Trouble Found - Carrier Issue").await;
    assert_eq!(
        world.take(),
        [
            links(),
            enterprises(),
            create(),
            on_ticket(DETAILS),
            on_ticket(TICKET),
            // Whether the task is in the queue already.
            on_ticket(DETAILS),
            (WORK.into(), work),
            (NOTE.into(), json!({"ticket_id": 555, "note": asr, "service_numbers": [SERIAL]})),
        ]
    );
    assert!(running.counted("outage_ticket_counter_total", 0));
    running.stop().await;
}

#[tokio::test]
async fn a_resolved_ticket_is_reopened_documented_and_forwarded_again() {
    let world = World::new().await;
    world.answer(CREATE, 471, json!(555)).await;
    let running = after_quarantine(&world).await;
    world.until_said("was re-opened").await;
    let made: Vec<String> = world.take().into_iter().map(|(subject, _)| subject).collect();
    assert_eq!(made, [LINKS, ENTERPRISES, CREATE, DETAILS, OPEN, EVENTS, DETAILS, NOTE, TICKET, SEVERITY]);
    assert!(running.counted("reopened_counter_total", 1));
    running.stop().await;
}

#[tokio::test]
async fn a_reopening_by_bruin_is_documented_as_such() {
    for (status, title) in [(472, "Re-opening ticket."), (473, "Triage (VeloCloud)")] {
        let world = World::new().await;
        world.answer(CREATE, status, json!(555)).await;
        let running = after_quarantine(&world).await;
        let note = world.bodies(NOTE)[0]["note"].as_str().unwrap().to_owned();
        assert!(note.starts_with(&format!("#*MetTel's IPA*#\n{title}\n\n")), "{note}");
        assert!(!world.subjects().iter().any(|subject| [OPEN, REBOOT].contains(&subject.as_str())));
        assert_eq!(world.bodies(SEVERITY), [severity_3().1]);
        assert!(running.counted("reopened_counter_total", 0));
        running.stop().await;
    }
}

#[tokio::test]
async fn a_failed_creation_is_told_once_and_tried_again_in_the_next_cycle() {
    let world = World::new().await;
    world.answer(CREATE, 500, json!("Got internal error from Bruin")).await;
    let running = after_quarantine(&world).await;
    world.until_said("Got internal error from Bruin").await;
    assert_eq!(world.take(), [links(), enterprises(), create()]);
    world.advance(420);
    running.finished(3).await;
    world.advance(180);
    world.until(CREATE, 1).await;
    running.stop().await;
}

#[tokio::test]
async fn every_link_with_a_digi_unit_that_is_down_is_rebooted_for_a_new_ticket() {
    let world = World::new().await;
    let mut edge = cached(SERIAL);
    edge["logical_ids"] = json!([{"interface_name": "GE1", "logical_id": "00:27:04:aa:bb:cc:0000"}]);
    world.answer(CACHE, 200, json!([edge])).await;
    let running = after_quarantine(&world).await;
    let reboot = json!({"velo_serial": SERIAL, "ticket": "555", "MAC": "00:27:04:aa:bb:cc:0000"});
    assert_eq!(world.bodies(REBOOT), [reboot]);
    let notes = world.bodies(NOTE);
    assert_eq!(notes.len(), 2);
    let text = notes[1]["note"].as_str().unwrap();
    assert!(
        text.contains("Offline DiGi interface identified for serial: VC1234567\nInterface: GE1\n"),
        "{text}"
    );
    world.until_said("DiGi reboot started").await;
    running.stop().await;
}

/// Two units cached for one interface.
#[tokio::test]
async fn every_unit_of_an_interface_is_rebooted_and_noted() {
    let world = World::new().await;
    let mut edge = cached(SERIAL);
    let macs = ["00:04:2d:00:00:01:0000", "00:27:04:aa:bb:cc:0000"];
    edge["logical_ids"] = macs.map(|mac| json!({"interface_name": "GE1", "logical_id": mac})).into();
    world.answer(CACHE, 200, json!([edge])).await;
    let running = after_quarantine(&world).await;
    let rebooted: Vec<Value> = world.bodies(REBOOT).iter().map(|body| body["MAC"].clone()).collect();
    assert_eq!(rebooted, macs);
    let notes = world.bodies(NOTE);
    let of_reboots = notes.iter().filter(|body| body["note"].as_str().unwrap().contains("Offline DiGi"));
    assert_eq!(of_reboots.count(), 2);
    running.stop().await;
}

/// Spec "Behaviour" 10b.6: "Not 2xx -> next DiGi link".
#[tokio::test]
async fn a_refused_reboot_leads_to_the_next_unit_of_the_same_interface() {
    let world = World::new().await;
    let mut edge = cached(SERIAL);
    let macs = ["00:04:2d:00:00:01:0000", "00:27:04:aa:bb:cc:0000"];
    edge["logical_ids"] = macs.map(|mac| json!({"interface_name": "GE1", "logical_id": mac})).into();
    world.answer(CACHE, 200, json!([edge])).await;
    world.answer(CREATE, 409, json!(555)).await;
    world.answer(TICKET, 200, json!({"severity": 3})).await;
    world.answer(REBOOT, 400, json!("no")).await;
    let reboot = "Offline DiGi interface identified for serial: VC1234567\nInterface: GE4\nstarted";
    world.answer(DETAILS, 200, details("I", &json!([note(reboot, "2022-01-31T09:20:00-05:00")]))).await;
    let running = after_quarantine(&world).await;
    let asked: Vec<Value> = world.bodies(REBOOT).iter().map(|body| body["MAC"].clone()).collect();
    assert_eq!(asked, macs);
    running.stop().await;
}

/// Without the former reboots each re-check would look like the first one.
#[tokio::test]
async fn while_a_resolved_ticket_cannot_be_read_nothing_is_rebooted() {
    let world = World::new().await;
    let mut edge = cached(SERIAL);
    edge["logical_ids"] = json!([{"interface_name": "GE1", "logical_id": "00:27:04:aa:bb:cc:0000"}]);
    world.answer(CACHE, 200, json!([edge])).await;
    world.answer(CREATE, 471, json!(555)).await;
    world.answer(DETAILS, 500, json!("no")).await;
    let running = after_quarantine(&world).await;
    world.advance(420);
    running.finished(3).await;
    world.advance(180);
    running.finished(4).await;
    assert_eq!(world.bodies(CREATE).len(), 2);
    assert_eq!(world.bodies(REBOOT), Vec::<Value>::new());
    running.stop().await;
}

/// Two devices of one site: the first one's look at the ticket is older than the line which the second one's creation added.
#[tokio::test]
async fn a_line_that_a_creation_has_added_is_seen_by_what_follows() {
    let world = World::leaving_out(Nats::start_with_jetstream().await, DETAILS).await;
    let second = "VC7654321";
    world.answer(CACHE, 200, json!([cached(SERIAL), cached(second)])).await;
    let rows = [SERIAL, second].map(|serial| row(serial, "CONNECTED", "GE1", "DISCONNECTED"));
    world.answer(LINKS, 200, json!(rows)).await;
    let edges = [SERIAL, second].map(|serial| enterprise(serial, "UNCONFIGURED"));
    world.answer(ENTERPRISES, 200, json!(edges)).await;
    world.answer(CREATE, 473, json!(555)).await;
    let before = details("I", &json!([]));
    let mut after = before.clone();
    let line = json!({"detailID": 78, "detailValue": second, "detailStatus": "I"});
    after["ticketDetails"].as_array_mut().unwrap().push(line);
    world.answer_in_turn(DETAILS, vec![before, after]).await;
    let running = world.first_cycle().await;
    world.advance(180);
    running.finished(2).await;
    let lines: Vec<Value> = world.bodies(NOTE).iter().map(|body| body["service_numbers"].clone()).collect();
    assert_eq!(lines, [json!([SERIAL]), json!([second])]);
    running.stop().await;
}

/// Spec "Formats" 8.
#[tokio::test]
async fn a_failed_request_is_told_with_serial_and_ticket_and_ends_with_the_link() {
    let world = World::new().await;
    for subject in [NOTE, SEVERITY] {
        world.answer(subject, 400, json!("no")).await;
    }
    let running = after_quarantine(&world).await;
    world.answer(CREATE, 409, json!(555)).await;
    world.answer(DETAILS, 400, json!("no")).await;
    world.advance(420);
    running.finished(3).await;
    world.advance(180);
    running.finished(4).await;
    world.answer(CREATE, 400, json!("no")).await;
    world.advance(420);
    running.finished(5).await;
    world.advance(180);
    running.finished(6).await;
    let texts = [
        ("append_note failed for VC1234567: triage 1/1, ticket 555, in PRODUCTION environment", true),
        ("set_severity failed for VC1234567: severity 3, ticket 555, in PRODUCTION environment", true),
        ("Failed to get the details of ticket 555 in PRODUCTION environment", true),
        ("create_ticket failed for VC1234567: Link Down Outage (no HA), client 11111, in PRODUCTION", false),
    ];
    for (text, has_link) in texts {
        world.until_said(text).await;
        let told = world.bodies(SLACK);
        let told = told.iter().filter_map(|body| body["message"].as_str()).find(|told| told.contains(text));
        assert_eq!(told.unwrap().ends_with(" https://app.bruin.com/t/555"), has_link, "{told:?}");
    }
    running.stop().await;
}

#[tokio::test]
async fn a_reboot_that_did_not_help_goes_to_the_wireless_team() {
    let world = World::new().await;
    let mut edge = cached(SERIAL);
    edge["logical_ids"] = json!([{"interface_name": "GE1", "logical_id": "00:27:04:aa:bb:cc:0000"}]);
    edge["links_configuration"][0]["type"] = json!("WIRELESS");
    world.answer(CACHE, 200, json!([edge])).await;
    world.answer(CREATE, 409, json!(555)).await;
    world.answer(TICKET, 200, json!({"severity": 3})).await;
    let reboot = "Offline DiGi interface identified for serial: VC1234567\nInterface: GE1\nstarted";
    world.answer(DETAILS, 200, details("I", &json!([note(reboot, "2022-01-31T09:20:00-05:00")]))).await;
    let running = after_quarantine(&world).await;
    let work = json!({"ticket_id": 555, "queue_name": "Wireless Repair Intervention Needed",
        "service_number": SERIAL, "detail_id": 77});
    assert_eq!(world.bodies(WORK), [work]);
    let failed = "#*MetTel's IPA*#\nDiGi reboot failed\nMoving task to: Wireless Repair Intervention Needed\n\
        TimeStamp: 2022-01-31 10:03:00-05:00";
    assert_eq!(world.bodies(NOTE), [json!({"ticket_id": 555, "note": failed})]);
    running.stop().await;
}

#[tokio::test]
async fn an_edge_that_recovers_in_quarantine_gets_no_ticket_and_is_auto_resolved_if_need_be() {
    let world = World::new().await;
    world.link_down().await;
    let running = world.first_cycle().await;
    world.healed().await;
    world.take();
    world.advance(180);
    running.finished(2).await;
    let tickets = json!({"ticket_statuses": ["New", "InProgress", "Draft"], "ticket_topic": "VOO",
        "product_category": "SD-WAN", "client_id": 11111, "service_number": SERIAL});
    assert_eq!(world.take(), [links(), enterprises(), (TICKETS.into(), tickets)]);
    running.stop().await;
}

/// Spec "Examples" 9.
#[tokio::test]
async fn an_outage_that_changes_its_kind_in_quarantine_waits_for_the_next_cycle() {
    let world = World::new().await;
    world.link_down().await;
    let running = world.first_cycle().await;
    world.answer(LINKS, 200, json!([row(SERIAL, "OFFLINE", "GE1", "DISCONNECTED")])).await;
    world.take();
    world.advance(180);
    running.finished(2).await;
    assert_eq!(world.take(), [links(), enterprises()]);
    running.stop().await;
}

#[tokio::test]
async fn outside_production_no_ticket_is_touched() {
    let mut world = World::new().await;
    world.set("CURRENT_ENVIRONMENT", "dev");
    world.link_down().await;
    let running = world.first_cycle().await;
    world.take();
    world.advance(180);
    running.finished(2).await;
    assert_eq!(world.take(), [links(), enterprises()]);
    running.stop().await;
}

#[tokio::test]
async fn a_notifier_that_never_answers_holds_nothing_up() {
    let world = World::new().await;
    world.peers.silence(SLACK).await;
    let running = after_quarantine(&world).await;
    assert_eq!(world.bodies(NOTE).len(), 1);
    assert_eq!(world.bodies(SEVERITY).len(), 1);
    running.stop().await;
}
