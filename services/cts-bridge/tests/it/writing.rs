//! `cts.dispatch.post` and `cts.dispatch.update` over real NATS, Redis and HTTP.

use contracts::cts::REQUIRED_KEYS;
use serde_json::{Value, json};
use testkit::recordings::Stage;
use testkit::salesforce::{NO_CACHE, headers, login, sessions};
use testkit::{PATIENCE, Rule};

const POST: &str = "cts.dispatch.post";
const UPDATE: &str = "cts.dispatch.update";
const CREATE: &str = "^/cts/services/data/v42.0/sobjects/Service__c/$";
const RECORD: &str = "^/cts/services/data/v42.0/sobjects/Service__c/a26XX$";

fn whole() -> Value {
    REQUIRED_KEYS.iter().map(|key| ((*key).to_owned(), json!("x"))).collect()
}

fn change() -> Value {
    json!({"dispatch_id": "a26XX", "payload": {"Site_Notes__c": "gate code changed"}})
}

fn created() -> Value {
    json!({"id": "a26YY", "success": true, "errors": []})
}

#[tokio::test]
async fn a_record_is_created_with_the_body_as_it_came() {
    let (stage, _running) = Stage::with(&cts_bridge::service(), &[]).await;
    stage.upstream.answer(Rule::on("POST", CREATE).status(201).json(&created()));
    let mut body = whole();
    body["job_site_street_2"] = json!(null);
    assert_eq!(stage.ask(POST, body.clone()).await, (200, created()));
    let call = stage.upstream.calls_to("/Service__c/").remove(0);
    assert_eq!(call.json(), body);
    let expected = [Some("Bearer session-a"), Some("application/json"), Some("1"), Some(NO_CACHE)];
    assert_eq!(headers(&call), expected);
}

#[tokio::test]
async fn what_salesforce_thinks_of_a_new_record_is_the_reply() {
    let (stage, _running) = Stage::with(&cts_bridge::service(), &[]).await;
    let refused = json!({"id": null, "success": false, "errors": [{"message": "x"}]});
    for (id, rule, status, body) in [
        ("a", Rule::on("POST", CREATE).json(&refused), 400, refused.clone()),
        ("b", Rule::on("POST", CREATE).json(&json!({})), 400, json!({})),
        (
            "c",
            Rule::on("POST", CREATE).status(400).text("no"),
            500,
            json!(
                "Malformed request https://cts.example.test/services/data/v42.0/sobjects/Service__c/. Response content: no"
            ),
        ),
        (
            "d",
            Rule::on("POST", CREATE).text("<html>"),
            503,
            json!("CTS: the answer is not as expected: not JSON"),
        ),
    ] {
        stage.upstream.rules(vec![rule]);
        assert_eq!(stage.ask_as(id, POST, whole()).await, (status, body), "{id}");
    }
    assert_eq!(stage.upstream.calls_to("/Service__c/").len(), 4, "a create is never repeated");
}

#[tokio::test]
async fn a_create_whose_outcome_is_not_known_is_never_repeated() {
    let (stage, _running) = Stage::with(&cts_bridge::service(), &[]).await;
    stage.upstream.rules(vec![Rule::on("POST", CREATE).drops()]);
    let first = stage.ask(POST, whole()).await;
    assert_eq!(first.0, 503);
    assert_eq!(stage.ask(POST, whole()).await, first);
    assert_eq!(stage.upstream.calls_to("/Service__c/").len(), 1);
}

#[tokio::test]
async fn a_create_that_surely_was_not_sent_may_be_repeated() {
    let (stage, _running) = Stage::with(&cts_bridge::service(), &[]).await;
    stage.upstream.answer(Rule::on("POST", CREATE).status(201).json(&created()));
    stage.upstream.down().await;
    let (status, text) = stage.ask(POST, whole()).await;
    assert_eq!(status, 503);
    assert!(text.as_str().unwrap().starts_with("CTS: "), "{text}");
    stage.upstream.up().await;
    let answered = async {
        // The bridge lets a moment pass between two logins.
        while stage.ask(POST, whole()).await.0 != 200 {}
    };
    tokio::time::timeout(PATIENCE, answered).await.unwrap();
    assert_eq!(stage.upstream.calls_to("/Service__c/").len(), 1);
}

#[tokio::test]
async fn an_expired_session_is_renewed_and_the_write_repeated_once() {
    let (stage, _running) = Stage::with(&cts_bridge::service(), &[]).await;
    stage.upstream.rules(vec![Rule::on("POST", CREATE).status(201).json(&created())]);
    assert_eq!(stage.ask_as("first", POST, whole()).await.0, 200);
    stage.upstream.rules(vec![
        Rule::on("POST", CREATE).status(401).times(1),
        login("cts", "session-b"),
        Rule::on("POST", CREATE).status(201).json(&created()),
    ]);
    assert_eq!(stage.ask_as("second", POST, whole()).await, (200, created()));
    assert_eq!(sessions(&stage.upstream, "/Service__c/"), ["session-a", "session-a", "session-b"]);
    stage.upstream.take_calls();
    stage.upstream.rules(vec![Rule::on("POST", CREATE).status(401), login("cts", "session-c")]);
    let (status, text) = stage.ask_as("third", POST, whole()).await;
    assert!(text.as_str().unwrap().starts_with("Expired session for https://cts.example.test/"), "{text}");
    assert_eq!((status, stage.upstream.calls_to("/Service__c/").len()), (500, 2));
}

#[tokio::test]
async fn fields_are_changed() {
    let (stage, _running) = Stage::with(&cts_bridge::service(), &[]).await;
    stage.upstream.answer(Rule::on("PATCH", RECORD).status(204));
    assert_eq!(stage.ask(UPDATE, change()).await, (200, json!({})));
    let call = stage.upstream.calls_to("/a26XX").remove(0);
    assert_eq!(call.json(), json!({"Site_Notes__c": "gate code changed"}));
    assert_eq!(call.header("content-type"), Some("application/json"));
    assert!(call.header("cache-control").is_none());

    stage
        .upstream
        .rules(vec![Rule::on("PATCH", RECORD).status(404).json(&json!([{"errorCode": "NOT_FOUND"}]))]);
    let (status, text) = stage.ask_as("b", UPDATE, change()).await;
    let url = "https://cts.example.test/services/data/v42.0/sobjects/Service__c/a26XX";
    let expected = format!(r#"Resource not found: {url}. Response content: [{{"errorCode":"NOT_FOUND"}}]"#);
    assert_eq!((status, text), (500, json!(expected)));
}

#[tokio::test]
async fn an_id_stays_one_segment_of_the_path() {
    let (stage, _running) = Stage::with(&cts_bridge::service(), &[]).await;
    stage.upstream.answer(Rule::on("PATCH", "").status(204));
    let with = |id: &str| json!({"dispatch_id": id, "payload": {}});
    assert_eq!(stage.ask_as("a", UPDATE, with("../Account/1?x")).await.0, 200);
    let call = stage.upstream.calls().into_iter().find(|call| call.method == "PATCH").unwrap();
    assert!(call.path.ends_with("/sobjects/Service__c/..%2FAccount%2F1%3Fx"), "{}", call.path);
    for id in ["", ".", ".."] {
        let (status, text) = stage.ask_as("b", UPDATE, with(id)).await;
        let expected = "Cannot be asked of CTS: `dispatch_id` cannot be part of a path";
        assert_eq!((status, text), (400, json!(expected)));
    }
}

#[tokio::test]
async fn what_is_missing_is_named() {
    let (stage, _running) = Stage::with(&cts_bridge::service(), &[]).await;
    for (subject, body, text) in [
        (POST, json!(null), r#"Must include "body" in request"#),
        (UPDATE, json!({"payload": {}}), r#"Must include "dispatch_id" in request"#),
        (UPDATE, json!({"dispatch_id": "a26XX"}), r#"Must include "payload" in request"#),
    ] {
        assert_eq!(stage.ask(subject, body).await, (400, json!(text)));
    }
    let (status, text) = stage.ask(POST, json!({"date_of_dispatch": "2021-03-01"})).await;
    let text = text.as_str().unwrap();
    assert_eq!(status, 400);
    let start =
        "Must include the following keys in request: ['date_of_dispatch', 'site_survey_quote_required', ";
    assert!(text.starts_with(start) && text.ends_with(", 'mettel_department_phone_number']"), "{text}");
}

#[tokio::test]
async fn only_dev_may_write_and_the_others_are_told_at_once() {
    for environment in ["production", "staging"] {
        let (stage, _running) =
            Stage::with(&cts_bridge::service(), &[("CURRENT_ENVIRONMENT", environment)]).await;
        for (subject, body) in [(POST, whole()), (UPDATE, change())] {
            let (status, text) = stage.ask(subject, body).await;
            assert_eq!(status, 501);
            assert!(text.as_str().unwrap().contains("CURRENT_ENVIRONMENT"), "{text}");
            assert_eq!(stage.ask(subject, json!({})).await.0, 400, "what is missing comes first");
        }
        assert!(stage.upstream.calls().iter().all(|call| !call.path.contains("sobjects")));
    }
}

#[tokio::test]
async fn a_dry_run_validates_answers_and_sends_nothing() {
    let (stage, _running) = Stage::with(&cts_bridge::service(), &[("WRITE_MODE", "dry-run")]).await;
    let (status, body) = stage.ask(POST, whole()).await;
    assert_eq!((status, &body["success"]), (200, &json!(true)));
    assert_eq!(stage.ask(UPDATE, change()).await, (200, json!({})));
    assert_eq!(stage.ask(POST, json!({})).await.0, 400);
    assert_eq!(stage.ask_as("b", UPDATE, json!({"dispatch_id": "..", "payload": {}})).await.0, 400);
    assert!(stage.upstream.calls().iter().all(|call| !call.path.contains("sobjects")));
}
