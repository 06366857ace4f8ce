//! Beside services of the existing deployment: both kinds of tokens, re-sent requests, shared queue groups, large
//! payloads both ways.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use contracts::{
    bruin::{TicketDetails, TicketDetailsRequest},
    customer_cache::{CacheFilter, GetCustomerCache},
    velocloud::{LinksWithEdgeInfo, LinksWithEdgeInfoRequest},
};
use sandbox::{Fault, ThirdParty};
use serde_json::{Value, json};
use testkit::{OldReply, Via};

use crate::{
    stage::{PATIENCE, Setting, Stage},
    subjects::samples,
};

/// What travels inline at most, in bytes.
const LIMIT: usize = 1_048_576;

#[tokio::test]
async fn old_requesters_send_both_kinds_of_tokens_and_get_large_replies() {
    let stage = Stage::new().await;
    let _supervisor = stage.run(&["bruin-bridge"]).await;
    let (old, about) = (stage.old_peer().await, ticket(&stage));
    let ticket = about.0;
    for (id, via) in [("by-size", Via::Size), ("legacy", Via::Token), ("prefix", Via::PrefixToken)] {
        let payload = notes(id, &about).to_string().into_bytes();
        assert!(payload.len() > LIMIT);
        let reply = old.request_bytes(APPEND, payload, via, PATIENCE).await;
        let OldReply::Envelope { value, via_redis: true } = reply else { panic!("{via:?}: {reply:?}") };
        assert_eq!((value["request_id"].as_str(), value["status"].as_u64()), (Some(id), Some(200)));
        assert_eq!(
            arrived(&stage, ticket, id),
            (0..NOTES).map(|number| text(id, number)).collect::<Vec<_>>()
        );
    }
    // Any payload may come by token, and one may be lost.
    let small = json!({"request_id": "small", "body": {"ticket_id": ticket}}).to_string().into_bytes();
    for via in [Via::Token, Via::PrefixToken] {
        let subject = "bruin.single_ticket.basic.request";
        let reply = old.request_bytes(subject, small.clone(), via, PATIENCE).await.envelope();
        assert_eq!((reply["request_id"].as_str(), reply["status"].as_u64()), (Some("small"), Some(200)));
    }
    let gone = old.request_bytes(APPEND, small, Via::LostToken, PATIENCE).await.envelope();
    assert_eq!(gone, json!({"request_id": null, "body": "stored payload expired or missing", "status": 500}));
}

#[tokio::test]
async fn what_an_old_requester_sends_again_is_done_once() {
    let stage = Stage::new().await;
    let _supervisor = stage.run(&["bruin-bridge"]).await;
    let (old, about) = (stage.old_peer().await, ticket(&stage));
    let ticket = about.0;
    stage.sandbox.faults().inject(ThirdParty::Bruin, Fault::latency(Duration::from_secs(1)).on("/notes"));
    // It gives up twice before Bruin has answered.
    let short = Duration::from_millis(200);
    let timeouts = [short, short, PATIENCE];
    let small =
        json!({"request_id": "small", "body": {"ticket_id": ticket, "notes": [note("small", &about.1, 0)]}});
    for (id, envelope, expected) in [("small", small, 1), ("large", notes("large", &about), NOTES)] {
        let reply = old.request_patiently(APPEND, &envelope, &timeouts).await.envelope();
        assert_eq!(reply["status"], 200, "{id}");
        assert_eq!(arrived(&stage, ticket, id).len(), expected, "{id}");
    }
    assert_eq!(stage.sandbox.received().count(ThirdParty::Bruin, "/notes"), 2);
}

#[tokio::test]
async fn large_lists_reach_old_and_new_requesters() {
    let stage = Stage::with(Setting { edges: 5_000, ..Setting::default() }).await;
    let _supervisor = stage.run(&["velocloud-bridge"]).await;
    let host = stage.host().to_owned();
    let envelope = json!({"request_id": "r-1", "body": {"host": host}});
    let reply = stage.old_peer().await.request("get.links.with.edge.info", &envelope, PATIENCE).await;
    let OldReply::Envelope { value, via_redis: true } = reply else { panic!("not through Redis: {reply:?}") };
    assert_eq!((value["request_id"].as_str(), value["status"].as_u64()), (Some("r-1"), Some(200)));
    assert!(value.to_string().len() > 3 * LIMIT);
    let old = value["body"].as_array().unwrap().len();

    let request = LinksWithEdgeInfoRequest { host };
    let new = stage.bus().await.request::<LinksWithEdgeInfo>(&request).await.unwrap().len();
    assert_eq!(new, old);
    // What is left in Redis has an end: the old requester deletes what it reads, and so do we.
    assert_eq!(stored_payloads(&stage).await, 0);
}

#[tokio::test]
async fn a_large_customer_cache_is_built_from_large_lists_and_served_to_old_and_new() {
    const EDGES: usize = 1_400;
    let stage = Stage::with(Setting { edges: EDGES, ..Setting::default() }).await;
    let cache = stage.instance("customer-cache", &[("EDGE_CHECK_CONCURRENCY", "16")]);
    let mut instances: Vec<_> =
        ["bruin-bridge", "velocloud-bridge", "notifier"].map(|service| stage.instance(service, &[])).into();
    instances.push(cache);
    let _supervisor = stage.run_all(instances).await;
    let (old, bus) = (stage.old_peer().await, stage.bus().await);
    let envelope = json!({"request_id": "r-1", "body": {"filter": {}}});
    let reply = loop {
        let reply = old.request("customer.cache.get", &envelope, PATIENCE).await;
        let OldReply::Envelope { value, .. } = &reply else { panic!("{reply:?}") };
        if value["status"] == 200 {
            break reply;
        }
        assert_eq!(value["status"], 202, "{value}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    let OldReply::Envelope { value, via_redis: true } = reply else { panic!("not through Redis") };
    let edges = value["body"].as_array().unwrap().len();
    assert!(edges > EDGES / 2, "{edges}");
    let new = bus.request::<GetCustomerCache>(&CacheFilter::default()).await.unwrap();
    assert_eq!(new.len(), edges);
}

#[tokio::test]
async fn old_and_new_repliers_share_a_queue_group() {
    const REQUESTS: usize = 60;
    let stage = Stage::new().await;
    let _supervisor = stage.run(&["bruin-bridge"]).await;
    let (old, bus) = (stage.old_peer().await, stage.bus().await);
    let (ticket, _) = ticket(&stage);
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    // The old replica answers with what no JSON is, or with a lot of it.
    let filler = "z".repeat(2 * LIMIT);
    old.serve("bruin.ticket.details.request", "bruin_bridge", move |request| {
        let number = count.fetch_add(1, Ordering::SeqCst);
        let id = request["request_id"].clone();
        let text = if number.is_multiple_of(2) { "small" } else { filler.as_str() };
        let reply = format!(
            r#"{{"request_id":{id},"body":{{"ticketDetails":[],"ticketNotes":[{{"noteId":NaN,"noteValue":"{text}"}}]}},"status":200}}"#
        );
        async move { Some(reply) }
    })
    .await;
    let request = TicketDetailsRequest { ticket_id: ticket.into() };
    let mut large = 0;
    for _ in 0..REQUESTS {
        let details = bus.request::<TicketDetails>(&request).await.unwrap();
        let by_old = details.ticket_details.is_empty();
        let length = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        large +=
            usize::from(by_old && details.ticket_notes.iter().any(|note| length(&note.note_value) > LIMIT));
    }
    let by_old = asked.load(Ordering::SeqCst);
    assert!((1..REQUESTS).contains(&by_old), "{by_old} of {REQUESTS} were answered by the old replica");
    assert_eq!(large, by_old / 2);

    // An old requester is answered by both as well.
    let envelope = json!({"request_id": "r-1", "body": {"ticket_id": ticket}});
    let requester = stage.old_peer().await;
    let mut by_new = 0;
    for _ in 0..REQUESTS {
        let reply = requester.request("bruin.ticket.details.request", &envelope, PATIENCE).await;
        // `NaN` is nothing that this test's JSON reader takes, as an old one does.
        by_new += usize::from(matches!(reply, OldReply::Envelope { .. }));
    }
    let by_old = asked.load(Ordering::SeqCst) - by_old;
    assert_eq!(by_new + by_old, REQUESTS);
    assert!(by_new > 0 && by_old > 0, "{by_new} by the new, {by_old} by the old one");
}

const APPEND: &str = "bruin.ticket.multiple.notes.append.request";
/// So many notes are larger than what travels inline, with the longest text that Bruin takes for each.
const NOTES: usize = 800;

fn notes(id: &str, (ticket, serial): &(i64, String)) -> Value {
    let notes: Vec<Value> = (0..NOTES).map(|number| note(id, serial, number)).collect();
    json!({"request_id": id, "body": {"ticket_id": ticket, "notes": notes}})
}

fn note(id: &str, serial: &str, number: usize) -> Value {
    json!({"text": text(id, number), "service_number": serial})
}

fn text(id: &str, number: usize) -> String {
    format!("{id} {number} é {}", "x".repeat(1_400))
}

/// The notes on a ticket which came with a request.
fn arrived(stage: &Stage, ticket: i64, id: &str) -> Vec<String> {
    let notes = stage.world().notes(ticket).into_iter().map(|note| note.value);
    notes.filter(|text| text.starts_with(&format!("{id} "))).collect()
}

/// A ticket on the stage, and the serial number of its line.
fn ticket(stage: &Stage) -> (i64, String) {
    let samples = samples(stage);
    let body = &samples.iter().find(|sample| sample.subject == APPEND).unwrap().envelope["body"];
    let serial = body["notes"][0]["service_number"].as_str().unwrap().to_owned();
    (body["ticket_id"].as_i64().unwrap(), serial)
}

/// How many payloads wait in Redis to be fetched: keys of 22 characters.
async fn stored_payloads(stage: &Stage) -> usize {
    let mut connection = stage.redis.connection().await;
    let keys: Vec<String> = redis::cmd("KEYS").arg("*").query_async(&mut connection).await.unwrap();
    keys.iter().filter(|key| key.len() == 22 && !key.contains(':')).count()
}
