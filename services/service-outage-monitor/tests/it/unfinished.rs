//! What a former leader has left unfinished is brought to its end: once, and as if nothing had happened. Here the former
//! leader is what stands in the store; `scripts/prove leader-death` kills real ones.

use std::time::Duration;

use crate::world::*;
use chrono::{DateTime, TimeDelta, Utc};
use contracts::id::{DetailId, Serial, TicketId};
use decisions::Ledger;
use runtime::Buckets;
use serde_json::{Value, json};
use service_outage_monitor::{
    action::Line,
    edges::{EdgeRecord, Link, State},
    forwards,
    rules::creation::Creation,
    unfinished::{BUCKET, Deed, Entry, Task},
};
use testkit::Nats;
use ticketing::OutageKind;

async fn worlds() -> [World; 2] {
    [World::new().await, World::with(Nats::start().await).await]
}

/// The edge with its only link down, as the former leader saw it.
fn record() -> EdgeRecord {
    let link = Link {
        interface: Some("GE1".into()),
        label: Some("ACME Cable".into()),
        ip: Some("192.0.2.7".into()),
        state: Some("DISCONNECTED".into()),
    };
    EdgeRecord {
        serial: Serial::from(SERIAL),
        name: Some("Store 7".into()),
        state: State::from("CONNECTED"),
        partner: None,
        primary: false,
        links: vec![link],
    }
}

/// Its handling, begun so many seconds ago, with a ticket.
fn outage(world: &World, seconds: i64, creation: Option<Creation>, deeds: Vec<Deed>) -> Entry {
    let began = world.now() - TimeDelta::seconds(seconds);
    let mut entry = Entry::outage(record(), OutageKind::LinkDown, began, None);
    if let Task::Outage { covered, .. } = &mut entry.task {
        *covered = creation.map(|creation| (creation, TicketId::from(555)));
    }
    Entry { deeds, ..entry }
}

fn deed(what: &str, at: DateTime<Utc>, within: i64) -> Deed {
    let until = at + TimeDelta::seconds(within);
    Deed { what: what.into(), at, until, text: None, done: None }
}

fn set_pages(entry: &mut Entry, text: &[&str]) {
    if let Task::Outage { pages, .. } = &mut entry.task {
        *pages = text.iter().map(|&page| page.to_owned()).collect();
    }
}

/// What the store holds under a bucket's name.
async fn values(world: &World, bucket: runtime::Bucket) -> runtime::Values {
    let buckets = Buckets::from(world.nats.client().await);
    bucket.open(&buckets, Duration::from_secs(5)).await.unwrap()
}

async fn leave(world: &World, entry: &Entry) {
    let json = serde_json::to_vec(entry).unwrap();
    let key = format!("automation-example-vco1-example-net.{}", entry.name());
    values(world, BUCKET).await.put(&key, json.into()).await.unwrap();
}

/// Names of entries that are left, without the term.
async fn left(world: &World) -> usize {
    values(world, BUCKET).await.keys().await.unwrap().len() - 1
}

/// Runs a cycle and what it takes up.
async fn taken_up(world: &World) -> Running {
    let running = world.start();
    running.finished(2).await;
    running
}

fn texts(world: &World) -> Vec<String> {
    let notes = world.bodies(NOTE);
    notes.iter().map(|body| body["note"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_quarantine_survives_a_restart_with_its_due_time() {
    for world in worlds().await {
        world.link_down().await;
        world.first_cycle().await.stop().await;
        world.advance(120);
        let running = world.first_cycle().await;
        assert_eq!(world.bodies(CREATE).len(), 0);
        world.advance(60);
        running.finished(2).await;
        assert_eq!(world.bodies(CREATE).len(), 1);
        running.stop().await;
        // It has ended: the next run begins a quarantine of its own.
        let running = world.first_cycle().await;
        world.advance(60);
        assert!(!running.counted("scheduled_job_runs_total", 2));
        running.stop().await;
    }
}

#[tokio::test]
async fn a_quarantine_that_came_due_while_nobody_ran_ends_at_once_unless_a_cycle_was_missed() {
    for (away, at_once) in [(181 + 599, true), (181 + 600, false)] {
        let world = World::new().await;
        world.link_down().await;
        world.first_cycle().await.stop().await;
        world.advance(away);
        let running = world.first_cycle().await;
        if !at_once {
            assert!(!running.counted("scheduled_job_runs_total", 2));
            world.advance(180);
        }
        running.finished(2).await;
        assert_eq!(world.bodies(CREATE).len(), 1);
        running.stop().await;
    }
}

#[tokio::test]
async fn a_ticket_whose_first_note_is_missing_gets_exactly_one() {
    let world = World::new().await;
    world.link_down().await;
    leave(&world, &outage(&world, 15, Some(Creation::New), vec![])).await;
    let running = taken_up(&world).await;
    assert_eq!(world.bodies(CREATE), Vec::<Value>::new());
    assert_eq!(texts(&world).len(), 1);
    assert!(texts(&world)[0].starts_with("#*MetTel's IPA*#\nTriage (VeloCloud)\n\nOrchestrator"));
    assert_eq!(world.bodies(SEVERITY).len(), 1);
    assert!(running.counted("outage_ticket_counter_total", 0), "the former leader has announced it");
    running.stop().await;
    // The quarantine of the cycle: the handling has ended.
    assert_eq!(left(&world).await, 1);
}

#[tokio::test]
async fn a_ticket_that_may_have_been_created_is_asked_for_again_and_counts_as_new() {
    let world = World::new().await;
    world.link_down().await;
    world.answer(CREATE, 409, json!(555)).await;
    world.answer(TICKET, 200, json!({"createDate": "1/31/2022 2:59:50 PM", "severity": 2})).await;
    leave(&world, &outage(&world, 15, None, vec![])).await;
    let running = taken_up(&world).await;
    assert_eq!(world.bodies(CREATE).len(), 1);
    assert_eq!(texts(&world).len(), 1);
    assert!(running.counted("outage_ticket_counter_total", 1));
    running.stop().await;
}

/// A ticket that Bruin unresolved (472, 473) with the lost request: its notes tell.
#[tokio::test]
async fn an_older_ticket_that_bruin_has_unresolved_is_documented() {
    let resolved = note("Auto-resolving detail for serial: VC1234567", "2022-01-31T09:00:00-05:00");
    let documented = note("Triage (VeloCloud)\n\nOrchestrator", "2022-01-31T08:00:00-05:00");
    for (by, notes, expected) in [
        ("Intelygenz Ai", json!([documented, resolved]), Some("Re-opening ticket.")),
        ("Intelygenz Ai", json!([documented]), None),
        ("Intelygenz Ai", json!([]), Some("Triage (VeloCloud)")),
        ("Ann", json!([]), None),
    ] {
        let world = World::new().await;
        world.link_down().await;
        world.answer(CREATE, 409, json!(555)).await;
        let older = json!({"createDate": "1/30/2022 3:00:00 PM", "createdBy": by, "severity": 3});
        world.answer(TICKET, 200, older).await;
        world.answer(DETAILS, 200, details("I", &notes)).await;
        leave(&world, &outage(&world, 15, None, vec![])).await;
        taken_up(&world).await.stop().await;
        let title = texts(&world).first().map(|text| text.lines().nth(1).unwrap().to_owned());
        let title = title.filter(|title| !title.starts_with("Status of Wired Link"));
        assert_eq!(title.as_deref(), expected, "{by} {notes}");
    }
}

#[tokio::test]
async fn of_two_pages_only_the_missing_one_is_written_word_for_word() {
    let world = World::new().await;
    world.link_down().await;
    let at = world.now() - TimeDelta::seconds(12);
    let mut entry =
        outage(&world, 15, Some(Creation::New), vec![deed("append_note VC1234567: triage 1/2", at, 15)]);
    let pages = ["#*MetTel's IPA*#\nTriage (VeloCloud)\n\nOne", "#*MetTel's IPA*#\nTriage (VeloCloud)\nTwo"];
    set_pages(&mut entry, &pages);
    leave(&world, &entry).await;
    // As Bruin gives it back: with other line ends.
    let mut first = note("", "2022-01-31T09:59:49-05:00");
    first["noteValue"] = json!(pages[0].replace('\n', "\r\n"));
    world.answer(DETAILS, 200, details("I", &json!([first]))).await;
    let running = taken_up(&world).await;
    assert_eq!(texts(&world), [pages[1]]);
    assert_eq!(world.bodies(EVENTS).len(), 0);
    running.stop().await;
}

#[tokio::test]
async fn a_note_whose_request_may_be_under_way_is_waited_for() {
    for arrives in [true, false] {
        let world = World::new().await;
        world.link_down().await;
        let at = world.now() - TimeDelta::seconds(5);
        let what = "append_note VC1234567: triage 1/1";
        let mut entry = outage(&world, 6, Some(Creation::New), vec![deed(what, at, 15)]);
        let page = "#*MetTel's IPA*#\nTriage (VeloCloud)\n\nOne";
        set_pages(&mut entry, &[page]);
        leave(&world, &entry).await;
        let running = taken_up(&world).await;
        assert_eq!(texts(&world), Vec::<String>::new());
        if arrives {
            let late = note("Triage (VeloCloud)\n\nOne", "2022-01-31T10:00:05-05:00");
            world.answer(DETAILS, 200, details("I", &json!([late]))).await;
        }
        world.advance(10);
        running.finished(3).await;
        assert_eq!(texts(&world), if arrives { vec![] } else { vec![page.to_owned()] });
        assert_eq!(world.bodies(SEVERITY).len(), 1, "the steps after it are done once");
        running.stop().await;
    }
}

/// Also when the store was out of reach while the intent was to be kept.
#[tokio::test]
async fn after_a_reboot_only_its_note_is_missing() {
    for intent_is_kept in [true, false] {
        let world = World::new().await;
        let mut cached = cached(SERIAL);
        cached["logical_ids"] = json!([{"interface_name": "GE1", "logical_id": "00:04:2d:00:00:01:0000"}]);
        world.answer(CACHE, 200, json!([cached])).await;
        world.link_down().await;
        let log = json!({"Id": 1, "igzID": "r1", "VeloSerial": SERIAL, "TicketID": "555",
            "TimestampSTART": "2022-01-31T14:59:50Z"});
        world.answer(LOGS, 200, json!({"Logs": [log], "Count": 1})).await;
        world.answer(TICKET, 200, json!({"ticketID": 555, "severity": 3})).await;
        let at = world.now() - TimeDelta::seconds(12);
        let mut written = deed("append_note VC1234567: triage 1/1", at, 15);
        written.done = Some(true);
        let reboot = deed("reboot_digi VC1234567: GE1 (00:04:2d:00:00:01:0000)", at, 90);
        let deeds = if intent_is_kept { vec![written, reboot] } else { vec![written] };
        let mut entry = outage(&world, 15, Some(Creation::New), deeds);
        set_pages(&mut entry, &["#*MetTel's IPA*#\nTriage (VeloCloud)\n\nOne"]);
        leave(&world, &entry).await;
        taken_up(&world).await.stop().await;
        assert_eq!(world.bodies(REBOOT), Vec::<Value>::new());
        assert_eq!(texts(&world).len(), 1);
        assert!(texts(&world)[0].contains("Offline DiGi interface identified"), "{:?}", texts(&world));
    }
}

#[tokio::test]
async fn when_the_edge_is_healthy_again_the_note_is_written_and_nothing_new_is_begun() {
    let world = World::new().await;
    world.answer(TICKET, 200, json!({"ticketID": 555, "severity": 2})).await;
    leave(&world, &outage(&world, 15, Some(Creation::New), vec![])).await;
    let running = taken_up(&world).await;
    assert_eq!(texts(&world).len(), 1);
    assert!(
        texts(&world)[0].contains("Interface GE1 Status: DISCONNECTED"),
        "as it was: {:?}",
        texts(&world)
    );
    assert_eq!(world.writes().iter().filter(|write| **write != SLACK).collect::<Vec<_>>(), [NOTE]);
    running.stop().await;
    assert_eq!(left(&world).await, 0);
}

#[tokio::test]
async fn when_the_edge_is_healthy_again_no_ticket_is_created_after_all() {
    let world = World::new().await;
    leave(&world, &outage(&world, 15, None, vec![])).await;
    taken_up(&world).await.stop().await;
    assert_eq!(world.writes(), Vec::<String>::new());
    assert_eq!(left(&world).await, 0);
}

#[tokio::test]
async fn outside_production_what_is_unfinished_is_left_for_production() {
    let mut world = World::new().await;
    world.set("CURRENT_ENVIRONMENT", "dev");
    world.link_down().await;
    world.answer(DETAILS, 200, details("R", &json!([]))).await;
    leave(&world, &outage(&world, 15, Some(Creation::New), vec![])).await;
    let line = Line { ticket: TicketId::from(556), line: DetailId::from(77), serial: Serial::from(SERIAL) };
    let at = world.now() - TimeDelta::seconds(16);
    let resolution = Entry::resolution(line, json!({}), at);
    leave(&world, &Entry { deeds: vec![deed("resolve_line VC1234567", at, 15)], ..resolution }).await;
    taken_up(&world).await.stop().await;
    assert_eq!(world.writes(), Vec::<String>::new());
    assert_eq!(left(&world).await, 2);
    let ledger = Ledger::stream(world.nats.client().await).read(None).await.unwrap();
    assert!(ledger.iter().any(|record| record.rule == "recheck.environment"));
    world.set("CURRENT_ENVIRONMENT", "production");
    taken_up(&world).await.stop().await;
    let mut titles: Vec<String> =
        texts(&world).iter().map(|text| text.lines().nth(1).unwrap().to_owned()).collect();
    titles.sort();
    assert_eq!(titles, ["Auto-resolving detail for serial: VC1234567", "Triage (VeloCloud)"]);
}

#[tokio::test]
async fn what_is_too_old_is_left_to_the_next_cycle() {
    let world = World::new().await;
    leave(&world, &outage(&world, 10_000, Some(Creation::New), vec![])).await;
    world.first_cycle().await.stop().await;
    assert_eq!(world.writes(), Vec::<String>::new());
    assert_eq!(left(&world).await, 0);
}

#[tokio::test]
async fn a_resolved_line_gets_its_note() {
    for (status, resolves) in [("R", true), ("I", false)] {
        let world = World::new().await;
        world.answer(DETAILS, 200, details(status, &json!([]))).await;
        let line =
            Line { ticket: TicketId::from(555), line: DetailId::from(77), serial: Serial::from(SERIAL) };
        let at = world.now() - TimeDelta::seconds(16);
        let entry = Entry::resolution(line, json!({}), at);
        leave(&world, &Entry { deeds: vec![deed("resolve_line VC1234567", at, 15)], ..entry }).await;
        taken_up(&world).await.stop().await;
        let expected = if resolves { vec!["Auto-resolving detail for serial: VC1234567"] } else { vec![] };
        let found: Vec<String> =
            texts(&world).iter().map(|text| text.lines().nth(1).unwrap().to_owned()).collect();
        assert_eq!(found, expected);
        assert_eq!(left(&world).await, 0);
    }
}

#[tokio::test]
async fn a_forward_whose_process_died_at_it_is_looked_for_first() {
    let world = World::new().await;
    let forward = json!({"ticket": 555, "serial": SERIAL, "client": 11111, "due": world.now() - TimeDelta::seconds(60),
        "state": {"claimed": world.now() + TimeDelta::seconds(300)}});
    let key = "automation-example-vco1-example-net.555.VC1234567";
    values(&world, forwards::BUCKET).await.put(key, forward.to_string().into()).await.unwrap();
    let mut details = details("I", &json!([]));
    details["ticketDetails"][0]["currentTaskName"] = json!("HNOC Investigate");
    world.answer(DETAILS, 200, details).await;
    let running = world.first_cycle().await;
    world.advance(300);
    running.finished(2).await;
    assert_eq!(world.bodies(WORK), Vec::<Value>::new());
    running.stop().await;
}

#[tokio::test]
async fn without_any_store_outages_are_handled_as_ever() {
    let world = World::with(Nats::start().await).await;
    world.link_down().await;
    let running = world.first_cycle().await;
    world.redis.kill9();
    world.advance(180);
    world.until(SEVERITY, 1).await;
    running.finished(2).await;
    assert_eq!((world.bodies(CREATE).len(), world.bodies(NOTE).len()), (1, 1));
    running.stop().await;
}

#[tokio::test]
async fn a_redis_that_starts_again_empty_stops_nobody() {
    let world = World::with(Nats::start().await).await;
    world.link_down().await;
    let running = world.first_cycle().await;
    world.empty_redis().await;
    world.advance(180);
    running.finished(2).await;
    assert_eq!((world.bodies(CREATE).len(), world.bodies(NOTE).len()), (1, 1));
    running.stop().await;
}
