//! NATS and Redis: missing, with another password, or full.

use std::time::Duration;

use bus::RequestError;
use contracts::bruin::{AppendNotes, AppendNotesRequest, NewNote};
use serde_json::{Value, json};
use testkit::{NatsOptions, OldReply, RedisOptions};
use tokio::time::Instant;

use crate::{
    programs::{PROGRAMS, Program, errors, text},
    stage::{PATIENCE, Setting, Stage, assert_no_restarts, notes_with},
    subjects::samples,
};

const SUBJECT: &str = "bruin.single_ticket.basic.request";
const RIGHT: &str = "right-password-4711";
const WRONG: &str = "wrong-password-4712";
/// How long a program has to end when it cannot start.
const END_WITHIN: Duration = Duration::from_secs(15);

#[tokio::test]
async fn without_nats_a_program_waits_says_so_and_recovers() {
    let stage = Stage::new().await;
    stage.nats.kill9();
    let running = Program::start("bruin-bridge", &stage.environment("bruin-bridge"));
    let record = running.record("cannot connect to NATS").await;
    assert!(text(&record, "message").contains("check NATS_SERVER1"), "{record}");
    let (status, why) = running.get("/_ready").await;
    assert_eq!(status, 503);
    assert!(why.contains("not connected to NATS"), "{why}");
    assert_eq!(running.get("/_health").await.0, 503, "peers wait for it by /_health");

    stage.nats.restart().await;
    running.until_ready().await;
    let (old, samples) = (stage.old_peer().await, samples(&stage));
    let sample = samples.iter().find(|sample| sample.subject == SUBJECT).unwrap();
    assert_eq!(old.request(SUBJECT, &sample.envelope, PATIENCE).await.envelope()["status"], 200);
    running.terminate();
    assert_eq!(running.end(END_WITHIN).await.0, 0);
}

#[tokio::test]
async fn without_redis_every_program_ends_with_one_error_that_names_the_setting() {
    let stage = Stage::new().await;
    stage.redis.kill9();
    let ends = PROGRAMS.map(|program| {
        let running = Program::start(program, &stage.environment(program));
        async move { (program, running.end(END_WITHIN).await) }
    });
    for (program, (code, records)) in futures::future::join_all(ends).await {
        assert_eq!(code, 1, "{program}");
        let [only] = errors(&records)[..] else { panic!("{program}: {records:#?}") };
        // The caches look for their own Redis first.
        let is_cache = program.ends_with("customer-cache");
        let setting = if is_cache { "REDIS_CUSTOMER_CACHE_HOSTNAME" } else { "REDIS_HOSTNAME" };
        assert!(text(only, "message").contains(setting), "{program}: {only}");
    }
}

#[tokio::test]
async fn a_wrong_password_of_redis_ends_the_program_with_one_error_that_names_the_setting() {
    let redis = RedisOptions { password: Some(RIGHT.to_owned()), ..RedisOptions::default() };
    let stage = Stage::with(Setting { redis, ..Setting::default() }).await;
    let environment = stage.environment("velocloud-bridge");
    for wrong in [environment.clone(), environment.clone().with("REDIS_PASSWORD", WRONG)] {
        let (code, records) = Program::start("velocloud-bridge", &wrong).end(END_WITHIN).await;
        assert_eq!(code, 1);
        let [only] = errors(&records)[..] else { panic!("{records:#?}") };
        assert!(text(only, "message").contains("Check REDIS_PASSWORD"), "{only}");
        assert!(!json!(records).to_string().contains(WRONG), "a password is in the log");
    }
    let right = Program::ready("velocloud-bridge", &environment.with("REDIS_PASSWORD", RIGHT)).await;
    assert_eq!(errors(&right.records()), Vec::<&Value>::new());
}

#[tokio::test]
async fn a_wrong_password_of_nats_is_named_and_the_program_is_not_ready() {
    let user = Some(("engine".to_owned(), RIGHT.to_owned()));
    let nats = NatsOptions { user, jetstream: true, ..NatsOptions::default() };
    let stage = Stage::with(Setting { nats, ..Setting::default() }).await;
    let environment = stage.environment("velocloud-bridge").with("NATS_USER", "engine");
    let running = Program::start("velocloud-bridge", &environment.clone().with("NATS_PASSWORD", WRONG));
    let record = running.record("cannot connect to NATS").await;
    assert!(text(&record, "message").contains("check NATS_USER and NATS_PASSWORD"), "{record}");
    assert_eq!(running.get("/_ready").await.0, 503);
    running.terminate();
    let (code, records) = running.end(END_WITHIN).await;
    assert_eq!(code, 0);
    assert!(!json!(records).to_string().contains(WRONG), "a password is in the log");

    Program::ready("velocloud-bridge", &environment.with("NATS_PASSWORD", RIGHT)).await;
}

#[tokio::test]
async fn a_full_redis_fails_large_payloads_only_and_at_once() {
    let stage = Stage::with(Setting { edges: 1_500, ..Setting::default() }).await;
    let supervisor = stage.run(&["bruin-bridge", "velocloud-bridge"]).await;
    let (old, bus, samples) = (stage.old_peer().await, stage.bus().await, samples(&stage));
    let ask = async |subject: &str| {
        let sample = samples.iter().find(|sample| sample.subject == subject).unwrap();
        let mut envelope = sample.envelope.clone();
        envelope["request_id"] = json!(format!("{}", rand::random::<u64>()));
        let began = Instant::now();
        let reply = old.request(subject, &envelope, PATIENCE).await;
        (reply, began.elapsed())
    };
    let note = samples.iter().find(|sample| sample.subject == "bruin.ticket.note.append.request").unwrap();
    let ticket = note.envelope["body"]["ticket_id"].as_i64().unwrap();
    let serial = note.envelope["body"]["service_numbers"][0].as_str().unwrap().into();
    let text = "large ".repeat(200);
    let new =
        NewNote { text: text.clone(), service_number: Some(serial), detail_id: None, is_private: false };
    let large_notes = AppendNotesRequest { ticket_id: ticket.into(), notes: vec![new; 1_000] };
    let large = "get.links.with.edge.info";
    let is_large = |reply: &OldReply| matches!(reply, OldReply::Envelope { via_redis: true, .. });
    assert!(is_large(&ask(large).await.0), "the list of links must be larger than 1 MiB");

    maxmemory(&stage, "1").await;
    for small in [SUBJECT, "bruin.ticket.note.append.request", "request.enterprises.edges"] {
        let (reply, took) = ask(small).await;
        assert_eq!(reply.envelope()["status"], 200, "{small}");
        assert!(took < Duration::from_secs(10), "{small} took {took:?}");
    }
    let (reply, took) = ask(large).await;
    let reply = reply.envelope();
    assert_eq!((&reply["status"], &reply["body"]), (&json!(500), &json!("the reply could not be stored")));
    assert!(took < Duration::from_secs(10), "{took:?}");
    let refused = bus.request::<AppendNotes>(&large_notes).await.unwrap_err();
    assert!(matches!(refused, RequestError::PayloadStore { sent: false, .. }), "{refused}");
    assert!(refused.to_string().contains("OOM") || refused.to_string().contains("maxmemory"), "{refused}");

    maxmemory(&stage, "0").await;
    assert!(is_large(&ask(large).await.0), "it recovers by itself");
    bus.request::<AppendNotes>(&large_notes).await.unwrap();
    assert_no_restarts(&supervisor);
    let ticket = stage.world().ticket(ticket).unwrap();
    assert_eq!(notes_with(&ticket, "hello"), 1);
    assert_eq!(notes_with(&ticket, text.trim()), 1_000);
}

/// Sets the memory that Redis may use, in bytes; 0 is all there is. Beyond it writes are refused.
async fn maxmemory(stage: &Stage, bytes: &str) {
    let mut connection = stage.redis.connection().await;
    for (name, value) in [("maxmemory-policy", "noeviction"), ("maxmemory", bytes)] {
        let mut command = redis::cmd("CONFIG");
        command.arg("SET").arg(name).arg(value);
        command.query_async::<()>(&mut connection).await.unwrap();
    }
}
