//! `lit.dispatch.get` over real NATS, Redis and HTTP.

use redis::AsyncCommands as _;
use serde_json::{Value, json};
use testkit::recordings::Stage;
use testkit::salesforce::{LOGIN, NO_CACHE, headers, login, logins, sessions};
use testkit::{PATIENCE, Rule, Via};

const GET: &str = "lit.dispatch.get";
const ALL: &str = "^/lit/services/apexrest/GetOpenDispatchList$";
const ONE: &str = "^/lit/services/apexrest/GetDispatch/DIS1$";

fn list(numbers: &[&str]) -> Value {
    let dispatches: Vec<Value> =
        numbers.iter().map(|number| json!({"turn_up": null, "Dispatch_Number": number})).collect();
    json!({"Status": "Success", "Message": "Total", "DispatchList": dispatches, "APIRequestID": "a13X"})
}

fn open(numbers: &[&str]) -> Rule {
    Rule::on("GET", ALL).json(&list(numbers))
}

#[tokio::test]
async fn one_and_all_come_as_they_are_with_the_headers_of_the_specification() {
    let (stage, _running) = Stage::with(&lit_bridge::service(), &[]).await;
    let one = json!({"Status": "Success", "Message": null, "Dispatch": {"Dispatch_Number": "DIS1"}, "APIRequestID": null});
    stage.upstream.answer(open(&["DIS2", "DIS1"])).answer(Rule::on("GET", ONE).json(&one));
    assert_eq!(
        stage.ask(GET, json!({"dispatch_number": "DIS1", "igz_dispatches_only": true})).await,
        (200, one)
    );
    assert_eq!(stage.ask(GET, json!({})).await, (200, list(&["DIS2", "DIS1"])));
    let calls = stage.upstream.calls();
    for call in calls.iter().filter(|call| call.method == "GET") {
        let expected = [Some("Bearer session-a"), Some("application/json"), Some("1"), Some(NO_CACHE)];
        assert_eq!(headers(call), expected);
    }
}

#[tokio::test]
async fn the_status_in_the_object_is_the_status_of_the_reply() {
    let (stage, _running) = Stage::with(&lit_bridge::service(), &[]).await;
    for (object, status) in [
        (
            json!({"Status": "error", "Message": "List has no rows for assignment to SObject", "Dispatch": null, "APIRequestID": "a13Y"}),
            400,
        ),
        (json!({"Status": "Pending", "Message": "x"}), 502),
        (json!({"Status": null}), 502),
    ] {
        stage.upstream.rules(vec![Rule::on("GET", ONE).json(&object), Rule::on("GET", ALL).json(&object)]);
        for body in [json!({"dispatch_number": "DIS1"}), json!({}), json!({"igz_dispatches_only": true})] {
            assert_eq!(stage.ask(GET, body).await, (status, object.clone()));
        }
    }
}

#[tokio::test]
async fn a_number_stays_one_segment_of_the_path() {
    let (stage, _running) = Stage::with(&lit_bridge::service(), &[]).await;
    stage.upstream.answer(Rule::on("GET", "").json(&json!({"Status": "error"})));
    for (number, segment) in [
        (json!("DIS1/../../x"), "DIS1%2F..%2F..%2Fx"),
        (json!("DIS1?a=b#c"), "DIS1%3Fa%3Db%23c"),
        (json!("a b\r\n"), "a%20b%0D%0A"),
        (json!(7), "7"),
    ] {
        stage.upstream.take_calls();
        assert_eq!(stage.ask(GET, json!({"dispatch_number": number})).await.0, 400);
        let calls = stage.upstream.calls();
        let call = calls.iter().find(|call| call.method == "GET").unwrap();
        assert_eq!(call.path, format!("/lit/services/apexrest/GetDispatch/{segment}"));
    }
    stage.upstream.take_calls();
    for number in [json!(null), json!(""), json!("."), json!("..")] {
        let (status, text) = stage.ask(GET, json!({"dispatch_number": number})).await;
        let expected = "Cannot be asked of LIT: `dispatch_number` cannot be part of a path";
        assert_eq!((status, text), (400, json!(expected)));
    }
    assert!(stage.upstream.calls().is_empty());
}

#[tokio::test]
async fn only_ours_are_those_with_a_key_in_redis() {
    let (stage, _running) = Stage::with(&lit_bridge::service(), &[]).await;
    let mut redis = stage.redis.connection().await;
    let () = redis.set("dev-DIS1", r#"{"ticket_id":"4000001"}"#).await.unwrap();
    let () = redis.set("dev-DIS3", "").await.unwrap();
    let () = redis.set("production-DIS2", "x").await.unwrap();
    stage.upstream.rules(vec![open(&["DIS3", "DIS2", "DIS1"])]);
    let ours = json!({"igz_dispatches_only": true});
    assert_eq!(stage.ask(GET, ours.clone()).await, (200, list(&["DIS3", "DIS1"])));
    for missing in [json!({"Status": "Success"}), json!({"Status": "Success", "DispatchList": null})] {
        stage.upstream.rules(vec![Rule::on("GET", ALL).json(&missing)]);
        let empty = json!({"Status": "Success", "DispatchList": []});
        assert_eq!(stage.ask(GET, ours.clone()).await, (200, empty));
        assert_eq!(stage.ask(GET, json!({})).await, (200, missing));
    }
    stage.upstream.rules(vec![open(&["DIS1"])]);
    stage.redis.kill9();
    let expected = json!("Redis does not answer, so which dispatches are ours is not known");
    assert_eq!(stage.ask(GET, ours).await, (503, expected));
}

#[tokio::test]
async fn a_refused_session_is_renewed_and_the_read_repeated_once() {
    let (stage, _running) = Stage::with(&lit_bridge::service(), &[]).await;
    stage.upstream.rules(vec![open(&["DIS1"])]);
    assert_eq!(stage.ask(GET, json!({})).await.0, 200);
    stage.upstream.rules(vec![
        Rule::on("GET", ALL).status(401).times(1),
        login("lit", "session-b"),
        open(&["DIS1"]),
    ]);
    assert_eq!(stage.ask(GET, json!({})).await.0, 200);
    assert_eq!(sessions(&stage.upstream, "/GetOpenDispatchList"), ["session-a", "session-a", "session-b"]);
    stage.upstream.rules(vec![Rule::on("GET", ALL).status(401).text("[]"), login("lit", "session-c")]);
    let expected = "Expired session for https://lit.example.test/services/apexrest/GetOpenDispatchList. Response content: []";
    assert_eq!(stage.ask(GET, json!({})).await, (500, json!(expected)));
}

#[tokio::test]
async fn every_refusal_is_a_500_at_once() {
    let (stage, _running) = Stage::with(&lit_bridge::service(), &[]).await;
    for (status, class) in [
        (300, "More than one record for"),
        (302, "Error Code 302 for"),
        (400, "Malformed request"),
        (403, "Request refused for"),
        (404, "Resource not found:"),
        (500, "Error Code 500 for"),
        (503, "Error Code 503 for"),
    ] {
        stage.upstream.take_calls();
        stage.upstream.rules(vec![Rule::on("GET", ONE).status(status).text("why")]);
        let url = "https://lit.example.test/services/apexrest/GetDispatch/DIS1";
        let expected = format!("{class} {url}. Response content: why");
        assert_eq!(stage.ask(GET, json!({"dispatch_number": "DIS1"})).await, (500, json!(expected)));
        assert_eq!(stage.upstream.calls_to("/DIS1").len(), 1, "{status} is not tried again");
    }
}

#[tokio::test]
async fn passing_trouble_is_tried_again_and_lasting_trouble_is_told() {
    let (stage, _running) = Stage::with(&lit_bridge::service(), &[]).await;
    for (trouble, text) in [
        (Rule::on("GET", ALL).text("<html>"), "the answer is not as expected: not JSON"),
        (Rule::on("GET", ALL).json(&json!("text")), "the answer is not as expected: not an object"),
        (Rule::on("GET", ALL).json(&json!({"x": 1})), "the answer is not as expected: no Status"),
        (Rule::on("GET", ALL).drops(), "connection closed before the answer was complete"),
    ] {
        stage.upstream.rules(vec![trouble.clone().times(2), open(&["DIS1"])]);
        assert_eq!(stage.ask(GET, json!({})).await, (200, list(&["DIS1"])));
        stage.upstream.rules(vec![trouble]);
        assert_eq!(stage.ask(GET, json!({})).await, (503, json!(format!("LIT: {text}"))));
    }
    stage.upstream.down().await;
    let (status, text) = stage.ask(GET, json!({})).await;
    assert_eq!(status, 503);
    assert!(text.as_str().unwrap().starts_with("LIT: cannot connect"), "{text}");
}

#[tokio::test]
async fn without_a_login_the_reply_says_so_and_shows_no_secret() {
    let stage = Stage::start("lit-bridge").await;
    stage.upstream.rules(vec![Rule::on("POST", LOGIN).status(500).text("secret-in-answer")]);
    let running = stage.run(&lit_bridge::service(), &[]).await;
    let (status, text) = stage.ask(GET, json!({})).await;
    let text = text.as_str().unwrap();
    assert_eq!(status, 503);
    assert!(text.starts_with("LIT: no session: "), "{text}");
    assert!(!text.contains("secret"), "{text}");
    assert!(running.metrics("upstream_logins_total").iter().any(|line| line.contains("upstream=\"lit\"")));
    stage.upstream.rules(vec![open(&["DIS1"])]);
    let answered = async {
        // The bridge lets a moment pass between two logins.
        while stage.ask(GET, json!({})).await.0 != 200 {}
    };
    tokio::time::timeout(PATIENCE, answered).await.unwrap();
    assert!(logins(&stage.upstream.calls()) >= 2);
}

#[tokio::test]
async fn the_open_dispatches_travel_through_redis_when_they_are_many() {
    let (stage, _running) = Stage::with(&lit_bridge::service(), &[]).await;
    let numbers: Vec<String> = (0..9_000).map(|number| format!("DIS{number}{}", "0".repeat(120))).collect();
    let numbers: Vec<&str> = numbers.iter().map(String::as_str).collect();
    stage.upstream.answer(open(&numbers));
    assert_eq!(stage.ask(GET, json!({})).await, (200, list(&numbers)));
    let request = br#"{"request_id":"r","body":{}}"#.to_vec();
    let reply = stage.requester.request_bytes(GET, request, Via::Token, PATIENCE).await.envelope();
    assert_eq!((&reply["status"], &reply["request_id"]), (&json!(200), &json!("r")));
}

#[tokio::test]
async fn what_cannot_be_read_is_answered_400_and_the_service_goes_on() {
    let (stage, _running) = Stage::with(&lit_bridge::service(), &[]).await;
    stage.upstream.answer(open(&[]));
    let subjects =
        [GET, "lit.dispatch.post", "lit.dispatch.update", "lit.dispatch.cancel", "lit.dispatch.upload.file"];
    for payload in
        ["", "hello", "null", "[1]", "{", "\u{0}", r#"{"is_stored":true}"#, "{}", r#"{"body":null}"#]
    {
        for subject in subjects {
            let sent = stage.requester.request_bytes(subject, payload.into(), Via::Size, PATIENCE);
            assert_eq!(sent.await.envelope()["status"], 400, "{subject} {payload:?}");
        }
    }
    let no_body = json!(r#"Must include "body" in request"#);
    for subject in subjects {
        let reply = stage.requester.request(subject, &json!({"request_id": 7}), PATIENCE).await.envelope();
        assert_eq!(reply, json!({"request_id": 7, "body": no_body, "status": 400}));
    }
    assert_eq!(stage.ask(GET, json!({})).await, (200, list(&[])));
}
