//! Forwards to HNOC survive a restart and are done once.

use crate::world::*;
use decisions::Ledger;
use serde_json::{Value, json};
use testkit::Nats;

/// The servers on which forwards are kept: JetStream, and Redis where there is none.
async fn worlds() -> [World; 2] {
    [World::new().await, World::with(Nats::start().await).await]
}

/// Runs until a hard-down edge has its ticket; its forward is due in a minute.
async fn with_a_pending_forward(world: &World) -> Running {
    world.answer(LINKS, 200, json!([row(SERIAL, "OFFLINE", "GE1", "DISCONNECTED")])).await;
    let running = world.first_cycle().await;
    world.advance(180);
    running.finished(2).await;
    assert_eq!(world.bodies(CREATE).len(), 1);
    world.healed().await;
    running
}

/// Six minutes later the next cycle finds the edge offline again; its re-check, 180 s after that, finds the ticket in
/// progress. So many jobs were over before.
async fn still_down(world: &World, running: &Running, finished: u32) {
    world.answer(LINKS, 200, json!([row(SERIAL, "OFFLINE", "GE1", "DISCONNECTED")])).await;
    world.answer(CREATE, 409, json!(555)).await;
    world.advance(360);
    running.finished(finished + 1).await;
    world.advance(180);
    running.finished(finished + 2).await;
}

fn forward() -> Value {
    json!({"ticket_id": 555, "queue_name": "HNOC Investigate", "service_number": SERIAL})
}

#[tokio::test]
async fn a_pending_forward_survives_a_restart_and_is_done_once() {
    for world in worlds().await {
        with_a_pending_forward(&world).await.stop().await;
        let running = world.first_cycle().await;
        assert_eq!(world.bodies(WORK), Vec::<Value>::new());
        world.advance(60);
        world.until(WORK, 1).await;
        running.finished(2).await;
        running.stop().await;
        let running = world.first_cycle().await;
        running.stop().await;
        assert_eq!(world.bodies(WORK), [forward()]);
    }
}

#[tokio::test]
async fn a_forward_that_came_due_while_nobody_ran_is_done_at_the_start() {
    for world in worlds().await {
        with_a_pending_forward(&world).await.stop().await;
        world.advance(3_600);
        let running = world.start();
        world.until(WORK, 1).await;
        assert_eq!(world.bodies(WORK), [forward()]);
        running.stop().await;
    }
}

#[tokio::test]
async fn a_resolved_line_is_not_forwarded() {
    let world = World::new().await;
    let running = with_a_pending_forward(&world).await;
    world.answer(DETAILS, 200, details("R", &json!([]))).await;
    world.advance(60);
    running.finished(3).await;
    assert_eq!(world.bodies(WORK), Vec::<Value>::new());
    running.stop().await;
}

#[tokio::test]
async fn outside_production_a_recovered_forward_is_left_for_production() {
    let mut world = World::new().await;
    with_a_pending_forward(&world).await.stop().await;
    world.set("CURRENT_ENVIRONMENT", "dev");
    let running = world.first_cycle().await;
    world.advance(60);
    running.finished(2).await;
    // The next cycle finds it still there.
    world.advance(540);
    running.finished(4).await;
    assert_eq!(world.bodies(WORK), Vec::<Value>::new());
    running.stop().await;
    let ledger = Ledger::stream(world.nats.client().await).read(None).await.unwrap();
    assert!(ledger.iter().any(|record| record.rule == "hnoc.environment"));
    world.set("CURRENT_ENVIRONMENT", "production");
    let running = world.start();
    world.until(WORK, 1).await;
    assert_eq!(world.bodies(WORK), [forward()]);
    running.stop().await;
}

#[tokio::test]
async fn auto_resolve_forgets_the_forward() {
    for world in worlds().await {
        with_a_pending_forward(&world).await.stop().await;
        world.answer(TICKETS, 200, json!([ticket("Intelygenz Ai")])).await;
        let triage = note("Triage (VeloCloud)\n\nOrchestrator", "2022-01-31T10:03:00-05:00");
        world.answer(DETAILS, 200, details("I", &json!([triage]))).await;
        let running = world.first_cycle().await;
        assert_eq!(world.bodies(RESOLVE).len(), 1);
        running.stop().await;
        // The stub still shows the line in progress: only a forgotten forward explains the silence.
        world.answer(TICKETS, 200, json!([])).await;
        world.advance(60);
        let running = world.first_cycle().await;
        world.advance(600);
        running.finished(2).await;
        assert_eq!(world.bodies(WORK), Vec::<Value>::new());
        running.stop().await;
    }
}

/// Spec "Examples" 10.
#[tokio::test]
async fn failed_look_ups_are_repeated_and_a_refusal_is_not() {
    let world = World::new().await;
    let running = with_a_pending_forward(&world).await;
    world.answer(CACHE, 404, json!("none")).await;
    world.answer(DETAILS, 500, json!("no")).await;
    world.answer(WORK, 400, json!("Ticket 555 is already in the queue HNOC Investigate")).await;
    let before = world.bodies(DETAILS).len();
    world.advance(60);
    world.until(DETAILS, before + 1).await;
    world.clock.sleepers(2).await;
    world.advance(10);
    world.until(DETAILS, before + 2).await;
    world.clock.sleepers(2).await;
    world.answer(DETAILS, 200, details("I", &json!([]))).await;
    world.advance(20);
    world.until(WORK, 1).await;
    running.finished(3).await;
    world.until_said("already in the queue").await;
    world.advance(600);
    running.finished(4).await;
    assert_eq!(world.bodies(WORK), [forward()]);
    running.stop().await;
}

/// Spec "Improve" 4: nothing was done, so the next 409 schedules it again.
#[tokio::test]
async fn a_forward_that_was_refused_before_it_was_done_is_scheduled_again() {
    for (status, reason) in [(401, "no login"), (404, "No work queues were found"), (429, "too many")] {
        let world = World::new().await;
        let running = with_a_pending_forward(&world).await;
        world.answer(WORK, status, json!(reason)).await;
        world.advance(60);
        running.finished(3).await;
        world.answer(WORK, 200, json!({})).await;
        still_down(&world, &running, 3).await;
        world.advance(60);
        world.until(WORK, 2).await;
        running.stop().await;
    }
}

#[tokio::test]
async fn a_pending_forward_outlives_a_redis_that_starts_again_empty() {
    let world = World::with(Nats::start().await).await;
    let running = with_a_pending_forward(&world).await;
    world.empty_redis().await;
    world.advance(60);
    running.finished(3).await;
    assert_eq!(world.bodies(WORK), [forward()]);
    running.stop().await;
}

#[tokio::test]
async fn what_was_forwarded_is_known_although_redis_starts_again_empty() {
    let world = World::with(Nats::start().await).await;
    let running = with_a_pending_forward(&world).await;
    world.advance(60);
    running.finished(3).await;
    world.empty_redis().await;
    still_down(&world, &running, 3).await;
    // Nothing is due then; the next run is that of the cycle.
    world.advance(60);
    world.advance(360);
    running.finished(6).await;
    running.rests().await;
    assert_eq!(world.bodies(WORK), [forward()]);
    running.stop().await;
    // The next process has it from the store.
    let running = world.first_cycle().await;
    world.advance(180);
    running.finished(2).await;
    world.advance(60);
    world.advance(360);
    running.finished(3).await;
    running.rests().await;
    assert_eq!(world.bodies(WORK), [forward()]);
    running.stop().await;
}

#[tokio::test]
async fn a_ticket_in_progress_keeps_the_earlier_due_time_unless_the_severity_changes() {
    let world = World::new().await;
    world.link_down().await;
    let running = world.first_cycle().await;
    world.advance(180);
    running.finished(2).await;
    // Due 11:33. The next re-check, at 10:13, finds the ticket in progress and the severity as it should be.
    world.answer(CREATE, 409, json!(555)).await;
    world.answer(TICKET, 200, json!({"severity": 3})).await;
    world
        .answer(
            DETAILS,
            200,
            details("I", &json!([note("Moving task to: ASR Investigate", "2022-01-31T10:00:00-05:00")])),
        )
        .await;
    world.advance(420);
    running.finished(3).await;
    world.advance(180);
    running.finished(4).await;
    // Offline at 10:20: severity 3 -> 2, due in a minute.
    world.answer(LINKS, 200, json!([row(SERIAL, "OFFLINE", "GE1", "DISCONNECTED")])).await;
    world.advance(420);
    running.finished(5).await;
    world.advance(180);
    running.finished(6).await;
    assert_eq!(world.bodies(WORK), Vec::<Value>::new());
    world.advance(60);
    running.finished(7).await;
    assert_eq!(world.bodies(WORK), [forward()]);
    running.stop().await;
}

#[tokio::test]
async fn what_was_kept_in_redis_moves_to_jetstream_when_there_is_one() {
    let mut world = World::with(Nats::start().await).await;
    with_a_pending_forward(&world).await.stop().await;
    let old = std::mem::replace(&mut world.nats, Nats::start_with_jetstream().await);
    drop(old);
    world.move_to_new_nats().await;
    let running = world.first_cycle().await;
    world.advance(60);
    world.until(WORK, 1).await;
    assert_eq!(world.bodies(WORK), [forward()]);
    running.stop().await;
}
