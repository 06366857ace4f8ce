//! Large payloads, duplicates, deadlines, shared reads, dry-run.

use std::time::Duration;

use crate::common::{Bridge, PATIENCE};
use futures::future::join_all;
use serde_json::{Value, json};
use testkit::{OldReply, Rule};

const DETAILS: &str = "bruin.ticket.details.request";
const NOTE: &str = "bruin.ticket.note.append.request";

#[tokio::test]
async fn payloads_above_a_mebibyte_travel_in_both_directions() {
    let bridge = Bridge::start().await;
    let text = "é".repeat(1_200_000);
    let answer = json!({"ticketNotes": [{"noteValue": text}]});
    bridge.stage.upstream.rules(vec![Rule::on("POST", "/notes$").json(&answer)]);
    let request = json!({"request_id": "large", "body": {"ticket_id": 1, "note": text}});
    let reply = bridge.stage.requester.request(NOTE, &request, PATIENCE).await;
    let OldReply::Envelope { value, via_redis } = reply else { panic!("no reply") };
    assert!(via_redis, "the reply is too large for NATS");
    assert_eq!(value, json!({"request_id": "large", "body": answer, "status": 200}));
    let [call] = &bridge.take_calls()[..] else { panic!("not one call") };
    assert_eq!(call.json(), json!({"note": text}));
}

/// Every write, with the path on which it writes.
fn writes() -> Vec<(&'static str, Value, &'static str)> {
    let line = json!({"ticket_id": 1, "detail_id": 2});
    vec![
        (NOTE, json!({"ticket_id": 1, "note": "n"}), "/notes"),
        (
            "bruin.ticket.multiple.notes.append.request",
            json!({"ticket_id": 1, "notes": [{"text": "A", "detail_id": 7}]}),
            "/notes/advanced",
        ),
        (
            "bruin.ticket.creation.request",
            json!({"clientId": 1, "category": "VAS", "services": [], "contacts": []}),
            "/api/Ticket/",
        ),
        ("bruin.ticket.creation.outage.request", json!({"client_id": 1, "service_number": "VC1"}), "/repair"),
        ("bruin.ticket.status.open", line.clone(), "/status"),
        ("bruin.ticket.status.resolve", line.clone(), "/status"),
        ("bruin.ticket.unpause", line, "/unpause"),
        ("bruin.change.ticket.severity", json!({"ticket_id": 1, "severity": 3, "reason": "r"}), "/severity"),
        ("bruin.ticket.change.work", json!({"ticket_id": 1, "detail_id": 2, "queue_name": "Q"}), "/work"),
        ("bruin.email.tag.request", json!({"email_id": 1, "tag_id": 2}), "/tag/2"),
        ("bruin.mark.email.done", json!({"email_id": 1}), "/api/Email/status"),
        ("bruin.link.ticket.email", json!({"email_id": 1, "ticket_id": 2}), "/ticket/2"),
    ]
}

fn queues() -> Rule {
    Rule::on("GET", "/nextresult$").json(&json!({"nextResults": [{"resultName": "Q ", "resultTypeId": 5}]}))
}

fn accepted() -> Rule {
    let everything = json!({
        "success": true, "ticketNotes": [], "ticketIds": [5], "assets": [{"ticketId": 5, "errorCode": 0}],
    });
    serde_json::from_value(json!({"path": "", "json": everything})).unwrap()
}

#[tokio::test]
async fn a_write_that_is_delivered_again_is_done_once() {
    let bridge = Bridge::start().await;
    bridge.stage.upstream.rules(vec![queues(), accepted()]);
    for (subject, body, path) in writes() {
        bridge.take_calls();
        let first = bridge.ask_as("same", subject, &body).await;
        assert_eq!(first.0, 200, "{subject}");
        assert_eq!(bridge.ask_as("same", subject, &body).await, first, "{subject}");
        assert_eq!(bridge.stage.upstream.calls_to(path).len(), 1, "{subject}");
        bridge.ask_as("another", subject, &body).await;
        assert_eq!(bridge.stage.upstream.calls_to(path).len(), 2, "{subject}");
    }
}

#[tokio::test]
async fn duplicates_join_the_write_in_flight() {
    let bridge = Bridge::start().await;
    let stub = &bridge.stage.upstream;
    stub.rules(vec![accepted()]);
    bridge.take_calls();
    let held = stub.hold();
    let body = json!({"ticket_id": 1, "note": "n"});
    let asking = join_all((0..3).map(|_| bridge.ask_as("same", NOTE, &body)));
    let release = async {
        assert!(stub.until(PATIENCE, |calls| calls.len() == 1).await);
        drop(held);
    };
    let (replies, ()) = futures::join!(asking, release);
    assert!(replies.iter().all(|reply| reply == &replies[0] && reply.0 == 200), "{replies:?}");
    assert_eq!(bridge.take_calls().len(), 1);
}

#[tokio::test]
async fn a_refused_connection_is_not_remembered() {
    let bridge = Bridge::start().await;
    bridge.stage.upstream.rules(vec![accepted()]);
    bridge.stage.upstream.down().await;
    let body = json!({"ticket_id": 1, "note": "n"});
    assert_eq!(bridge.ask_as("same", NOTE, &body).await.0, 500);
    bridge.stage.upstream.up().await;
    assert_eq!(bridge.ask_as("same", NOTE, &body).await.0, 200);
}

#[tokio::test]
async fn a_write_with_an_unknown_outcome_is_not_written_again() {
    let bridge = Bridge::start().await;
    bridge.stage.upstream.rules(vec![Rule::on("POST", "/notes$").drops()]);
    bridge.take_calls();
    let body = json!({"ticket_id": 1, "note": "n"});
    for _ in 0..2 {
        let (status, text) = bridge.ask_as("same", NOTE, &body).await;
        assert_eq!(status, 500);
        assert!(text.as_str().unwrap().starts_with("Connection error in Bruin API. "), "{text}");
    }
    assert_eq!(bridge.take_calls().len(), 1);
}

#[tokio::test]
async fn a_failed_look_up_is_not_remembered() {
    let bridge = Bridge::start().await;
    let body = json!({"ticket_id": 1, "detail_id": "2", "service_number": "VC'1", "queue_name": "Q"});
    bridge.stage.upstream.rules(vec![
        Rule::on("GET", "/nextresult$").status(429).json(&json!({"errors": [], "message": "m"})),
    ]);
    let failed = bridge.ask_as("same", "bruin.ticket.change.work", &body).await;
    let text = "Error while claiming possible work queues for ticket 1 and filters \
                {'DetailId': '2', 'ServiceNumber': \"VC'1\"}: {'message': 'm', 'errors': []}";
    assert_eq!(failed, (429, json!(text)));
    bridge.stage.upstream.rules(vec![queues(), accepted()]);
    assert_eq!(bridge.ask_as("same", "bruin.ticket.change.work", &body).await.0, 200);
}

#[tokio::test]
async fn bruin_being_slow_ends_in_a_reply_before_the_caller_gives_up() {
    let bridge = Bridge::start().await;
    bridge.stage.upstream.rules(vec![Rule::on("GET", "/details$").delay(Duration::from_secs(60))]);
    let request = json!({"request_id": 1, "body": {"ticket_id": 1}});
    let reply = bridge.stage.requester.request(DETAILS, &request, Duration::from_secs(15)).await;
    let expected = json!({"request_id": 1, "body": "Bruin did not answer in time", "status": 500});
    assert_eq!(reply.envelope(), expected);
}

#[tokio::test]
async fn identical_reads_in_flight_share_calls() {
    const READS: u32 = 20;
    let bridge = Bridge::start().await;
    let stub = &bridge.stage.upstream;
    stub.rules(vec![Rule::on("GET", "/details$").json(&json!({"ticketDetails": []}))]);
    bridge.take_calls();
    let held = stub.hold();
    let asking = join_all((0..READS).map(|_| {
        let bridge = &bridge;
        async move { bridge.ask(DETAILS, &json!({"ticket_id": 1})).await }
    }));
    let release = async {
        let in_flight = format!("bus_requests_in_flight{{subject=\"{DETAILS}\"}}");
        while bridge.metric(&in_flight) < f64::from(READS) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        drop(held);
    };
    let (replies, ()) = futures::join!(asking, release);
    assert!(replies.iter().all(|(status, _)| *status == 200));
    // One call, and one more for each second that ended meanwhile.
    assert!(bridge.take_calls().len() < 5);
}

#[tokio::test]
async fn slow_reads_leave_places_for_writes_and_their_look_ups() {
    let bridge = Bridge::start_with(&[("BRUIN_MAX_IN_FLIGHT", "4")]).await;
    let stub = &bridge.stage.upstream;
    let slow = Rule::on("GET", "/details$").delay(Duration::from_secs(60));
    stub.rules(vec![slow, queues(), accepted()]);
    bridge.take_calls();
    let reading = join_all((0..8).map(|ticket| {
        let bridge = &bridge;
        async move { bridge.ask_as(&ticket.to_string(), DETAILS, &json!({"ticket_id": ticket})).await }
    }));
    let writing = async {
        assert!(stub.until(PATIENCE, |calls| calls.len() == 3).await);
        for (subject, body, _) in writes() {
            assert_eq!(bridge.ask(subject, &body).await.0, 200, "{subject}");
        }
        assert_eq!(stub.calls_to("/details").len(), 3, "three quarters of the places");
    };
    tokio::select! {
        replies = reading => panic!("nothing was written meanwhile: {replies:?}"),
        () = writing => {}
    }
}

#[tokio::test]
async fn a_read_after_a_write_asks_anew() {
    let bridge = Bridge::start().await;
    let stub = &bridge.stage.upstream;
    stub.rules(vec![
        Rule::on("GET", "/details$")
            .delay(Duration::from_secs(2))
            .json(&json!({"ticketDetails": ["old"]}))
            .times(1),
        Rule::on("GET", "/details$").json(&json!({"ticketDetails": ["new"]})),
        accepted(),
    ]);
    bridge.take_calls();
    let ticket = json!({"ticket_id": 1});
    let before = bridge.ask(DETAILS, &ticket);
    let after = async {
        assert!(stub.until(PATIENCE, |calls| calls.len() == 1).await);
        bridge.ask(NOTE, &json!({"ticket_id": 1, "note": "n"})).await;
        bridge.ask(DETAILS, &ticket).await
    };
    let (before, after) = futures::join!(before, after);
    assert_eq!(before.1["ticketDetails"][0], "old");
    assert_eq!(after.1["ticketDetails"][0], "new");
}

#[tokio::test]
async fn a_dry_run_validates_looks_up_and_sends_nothing() {
    let bridge = Bridge::start_with(&[("WRITE_MODE", "dry-run")]).await;
    bridge.stage.upstream.rules(vec![queues(), accepted()]);
    bridge.take_calls();
    for (subject, body, _) in writes() {
        let (status, reply) = bridge.ask_as("live", subject, &body).await;
        assert_eq!(status, 200, "{subject}: {reply}");
        assert_eq!(bridge.ask_as("bad", subject, &json!({})).await.0, 400, "{subject}");
    }
    let calls = bridge.take_calls();
    assert!(calls.iter().all(|call| call.method == "GET"), "{calls:?}");
    let outage = json!({"client_id": 1, "service_number": "VC1"});
    assert_eq!(bridge.ask("bruin.ticket.creation.outage.request", &outage).await, (200, json!(-1)));
    let done = bridge.ask("bruin.mark.email.done", &json!({"email_id": 1})).await;
    assert_eq!(done, (200, json!({"success": true, "emailId": 1})));
}
