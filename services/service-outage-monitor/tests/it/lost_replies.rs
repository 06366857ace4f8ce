//! What is done when a write's reply is lost: look first, repeat at most once.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use crate::world::*;
use futures::StreamExt;
use serde_json::{Value, json};
use testkit::Nats;

/// A replier whose replies cannot be read, so that nobody knows what it did.
struct Mumbling {
    asked: Arc<AtomicUsize>,
}

impl Mumbling {
    async fn on(nats: &Nats, subject: &'static str) -> Self {
        let client = nats.client().await;
        let mut requests = client.queue_subscribe(subject, "stub_peers".into()).await.unwrap();
        client.flush().await.unwrap();
        let asked = Arc::new(AtomicUsize::new(0));
        let count = asked.clone();
        tokio::spawn(async move {
            while let Some(request) = requests.next().await {
                count.fetch_add(1, Ordering::SeqCst);
                let Some(inbox) = request.reply else { continue };
                client.publish(inbox, "mumble".into()).await.unwrap();
            }
        });
        Self { asked }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

/// Like [`World::new`], but nobody answers `subject`.
async fn without(subject: &'static str) -> (World, Mumbling) {
    let nats = Nats::start_with_jetstream().await;
    let mumbling = Mumbling::on(&nats, subject).await;
    let world = World::leaving_out(nats, subject).await;
    world.link_down().await;
    (world, mumbling)
}

#[tokio::test]
async fn a_ticket_created_by_a_lost_request_is_found_and_treated_as_new() {
    let (world, creation) = without(CREATE).await;
    let mut ours = ticket("Intelygenz Ai");
    ours["createDate"] = json!("1/31/2022 3:03:00 PM");
    world.answer(TICKETS, 200, json!([ours])).await;
    let running = world.first_cycle().await;
    world.advance(180);
    running.finished(2).await;
    assert_eq!(creation.asked(), 1);
    assert!(running.counted("outage_ticket_counter_total", 1));
    assert_eq!(world.bodies(NOTE).len(), 1);
    running.stop().await;
}

#[tokio::test]
async fn an_older_ticket_found_after_a_lost_request_is_one_in_progress() {
    let (world, creation) = without(CREATE).await;
    world.answer(TICKETS, 200, json!([ticket("Ann")])).await;
    let running = world.first_cycle().await;
    world.advance(180);
    running.finished(2).await;
    assert_eq!(creation.asked(), 1);
    assert!(running.counted("outage_ticket_counter_total", 0));
    assert_eq!(world.bodies(WORK).len(), 1); // ASR, which only tickets in progress get
    running.stop().await;
}

#[tokio::test]
async fn a_ticket_that_bruin_reopened_by_a_lost_request_is_documented_as_such() {
    let (world, creation) = without(CREATE).await;
    world.answer(TICKETS, 200, json!([ticket("Intelygenz Ai")])).await;
    let resolved = note("Auto-resolving detail for serial: VC1234567", "2022-01-31T09:00:00-05:00");
    world.answer(DETAILS, 200, details("I", &json!([resolved]))).await;
    let running = world.first_cycle().await;
    world.advance(180);
    running.finished(2).await;
    assert_eq!(creation.asked(), 1);
    let notes = world.bodies(NOTE);
    assert_eq!(notes.len(), 1);
    assert!(notes[0]["note"].as_str().unwrap().contains("\nRe-opening ticket.\n"), "{notes:?}");
    running.stop().await;
}

#[tokio::test]
async fn a_creation_that_a_look_does_not_find_is_repeated_once() {
    let (world, creation) = without(CREATE).await;
    let running = world.first_cycle().await;
    world.advance(180);
    running.finished(2).await;
    assert_eq!(creation.asked(), 2);
    assert_eq!(world.bodies(NOTE), Vec::<Value>::new());
    running.stop().await;
}

#[tokio::test]
async fn a_conflict_after_our_own_lost_request_counts_as_a_new_ticket() {
    let world = World::new().await;
    world.link_down().await;
    // The bridge gave up on Bruin, which had created the ticket nevertheless.
    world.answer(CREATE, 500, json!("Connection error in Bruin API. Cause: timeout")).await;
    let running = world.first_cycle().await;
    world.advance(180);
    running.finished(2).await;
    world.answer(CREATE, 409, json!(555)).await;
    world.answer(TICKET, 200, json!({"createDate": "1/31/2022 3:03:01 PM", "severity": 2})).await;
    world.advance(420);
    running.finished(3).await;
    world.advance(180);
    running.finished(4).await;
    assert!(running.counted("outage_ticket_counter_total", 1));
    assert_eq!(world.bodies(NOTE).len(), 1);
    running.stop().await;
}

/// Triage documents the ticket before the next re-check learns of it.
#[tokio::test]
async fn a_ticket_of_a_lost_request_that_triage_has_documented_counts_as_new_and_gets_no_second_note() {
    const TRIAGE: &str = "Triage (VeloCloud)\n\nOrchestrator";
    const REOPENING: &str = "Re-opening ticket.\n\n";
    for (last, created, is_new) in [
        (TRIAGE, "3:03:01", true),
        // Bruin knows whole seconds only, and the request began at 3:03:00.7.
        (TRIAGE, "3:03:00", true),
        (TRIAGE, "3:02:59", false),
        (REOPENING, "3:03:01", false),
    ] {
        let world = World::new().await;
        assert!(world.clock.advance(Duration::from_millis(700)));
        world.link_down().await;
        world.answer(CREATE, 500, json!("Connection error in Bruin API. Cause: timeout")).await;
        let running = world.first_cycle().await;
        world.advance(180);
        running.finished(2).await;
        world.answer(CREATE, 409, json!(555)).await;
        world
            .answer(TICKET, 200, json!({"createDate": format!("1/31/2022 {created} PM"), "severity": 2}))
            .await;
        let documented = note(last, "2022-01-31T10:08:00-05:00");
        world.answer(DETAILS, 200, details("I", &json!([documented]))).await;
        world.advance(420);
        running.finished(3).await;
        world.advance(180);
        running.finished(4).await;
        assert!(running.counted("outage_ticket_counter_total", u32::from(is_new)), "{last} {created}");
        // ASR is for tickets in progress only.
        assert_eq!(world.bodies(WORK).len(), usize::from(!is_new), "{last} {created}");
        let texts = world.bodies(NOTE);
        let triage = texts.iter().filter(|body| body["note"].as_str().unwrap().contains("Triage"));
        assert_eq!(triage.count(), 0, "{last} {created}");
        running.stop().await;
    }
}

#[tokio::test]
async fn a_note_that_was_written_although_the_reply_was_lost_is_not_written_again() {
    let (world, notes) = without(NOTE).await;
    let running = world.first_cycle().await;
    world.advance(180);
    running.finished(2).await;
    // Not found by the look: repeated once, then counted.
    assert_eq!(notes.asked(), 2);
    assert!(running.counted("first_triage_error_counter_total", 1));
    // The severity is set nevertheless.
    assert_eq!(world.bodies(SEVERITY).len(), 1);
    running.stop().await;
}

#[tokio::test]
async fn a_reboot_that_was_begun_although_the_bridge_gave_up_is_noted_and_not_repeated() {
    let world = World::new().await;
    let mut edge = cached(SERIAL);
    edge["logical_ids"] = json!([{"interface_name": "GE1", "logical_id": "00:27:04:aa:bb:cc:0000"}]);
    world.answer(CACHE, 200, json!([edge])).await;
    world.link_down().await;
    world.answer(REBOOT, 500, json!("DiGi did not answer in time")).await;
    let log = json!({"Id": 1, "igzID": "r1", "VeloSerial": SERIAL, "TicketID": "555",
        "TimestampSTART": "2022-01-31T15:03:00Z"});
    world.answer(LOGS, 200, json!({"Logs": [log], "Count": 1})).await;
    let running = world.first_cycle().await;
    world.advance(180);
    running.finished(2).await;
    assert_eq!(world.bodies(REBOOT).len(), 1);
    let notes = world.bodies(NOTE);
    assert_eq!(notes.len(), 2, "{notes:?}");
    assert!(notes[1]["note"].as_str().unwrap().contains("Offline DiGi interface identified"), "{notes:?}");
    running.stop().await;
}
