//! The service over real NATS, Redis and HTTP: what the recordings do not show.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::recordings::Stage;
use testkit::{PATIENCE, Received, Rule, Via};

const REBOOT: &str = "^/DeviceManagement_API/rest/Recovery/RecoverDevice$";
const LOGS: &str = "^/DeviceManagement_API/rest/Recovery/Logs$";
const LOGIN: &str = "^/Identity/rest/oauth/token$";

fn reboot() -> Value {
    json!({"velo_serial": "VC1234567", "ticket": "5200960", "MAC": "00:04:2d:09:c4:4b:0000"})
}

fn started() -> Rule {
    Rule::on("POST", REBOOT).json(&json!([{"Message": "DiGi Device Recovery started"}]))
}

fn token(value: &str, expires_in: u32) -> Rule {
    Rule::on("POST", LOGIN).json(&json!({"access_token": value, "expires_in": expires_in}))
}

fn logins(calls: &[Received]) -> usize {
    calls.iter().filter(|call| call.path.ends_with("/oauth/token")).count()
}

#[tokio::test]
async fn a_repeated_reboot_is_answered_from_memory_also_by_another_replica() {
    let (stage, first) = Stage::with(&digi_bridge::service(), &[]).await;
    stage.upstream.answer(started());
    let answer = stage.ask("digi.reboot", reboot()).await;
    assert_eq!(answer.0, 200);
    drop(first);
    let _second = stage.run(&digi_bridge::service(), &[]).await;
    assert_eq!(stage.ask("digi.reboot", reboot()).await, answer);
    assert_eq!(stage.upstream.calls_to("/RecoverDevice").len(), 1);
}

#[tokio::test]
async fn a_duplicate_waits_for_the_reboot_in_flight() {
    let (stage, _running) = Stage::with(&digi_bridge::service(), &[]).await;
    stage.upstream.answer(started());
    let hold = stage.upstream.hold();
    let both = async { tokio::join!(stage.ask("digi.reboot", reboot()), stage.ask("digi.reboot", reboot())) };
    let release = async {
        let sent = |calls: &[Received]| calls.iter().any(|call| call.path.ends_with("/RecoverDevice"));
        assert!(stage.upstream.until(PATIENCE, sent).await);
        drop(hold);
    };
    let ((one, two), ()) = tokio::join!(both, release);
    assert_eq!((one.0, &one), (200, &two));
    assert_eq!(stage.upstream.calls_to("/RecoverDevice").len(), 1);
}

#[tokio::test]
async fn a_reboot_that_was_surely_not_sent_may_be_repeated() {
    let (stage, _running) = Stage::with(&digi_bridge::service(), &[]).await;
    stage.upstream.answer(started());
    stage.upstream.down().await;
    let (status, body) = stage.ask("digi.reboot", reboot()).await;
    assert_eq!(status, 500);
    assert!(body.as_str().unwrap().starts_with("DiGi: cannot connect"), "{body}");
    stage.upstream.up().await;
    assert_eq!(stage.ask("digi.reboot", reboot()).await.0, 200);
}

#[tokio::test]
async fn a_reboot_whose_connection_breaks_is_never_sent_again() {
    let (stage, _running) = Stage::with(&digi_bridge::service(), &[]).await;
    stage.upstream.rules(vec![Rule::on("POST", REBOOT).drops()]);
    let first = stage.ask("digi.reboot", reboot()).await;
    assert_eq!(first.0, 500);
    assert_eq!(stage.ask("digi.reboot", reboot()).await, first);
    assert_eq!(stage.upstream.calls_to("/RecoverDevice").len(), 1);
}

#[tokio::test]
async fn a_401_leads_to_one_login_and_one_repetition() {
    let (stage, _running) = Stage::with(&digi_bridge::service(), &[]).await;
    let unauthorized = Rule::on("POST", REBOOT).status(401).json(&json!([{"Message": "unauthorized"}]));
    stage.upstream.rules(vec![unauthorized.clone().times(1), token("token-b", 3600), started()]);
    assert_eq!(stage.ask("digi.reboot", reboot()).await.0, 200);
    let tokens: Vec<_> = stage.upstream.calls_to("/RecoverDevice");
    let tokens: Vec<_> = tokens.iter().map(|call| call.header("authorization").unwrap()).collect();
    assert_eq!(tokens, ["Bearer token-a", "Bearer token-b"]);

    stage.upstream.rules(vec![unauthorized]);
    let envelope = json!({"request_id": "other", "body": reboot()});
    let reply = stage.requester.request("digi.reboot", &envelope, PATIENCE).await.envelope();
    assert_eq!(reply, json!({"request_id": "other", "body": [{"Message": "unauthorized"}], "status": 500}));
    assert_eq!(stage.upstream.calls_to("/RecoverDevice").len(), 4);
    assert_eq!(logins(&stage.upstream.calls()), 3);
}

#[tokio::test]
async fn without_a_token_the_reply_says_so_and_the_next_login_is_tried_on_demand() {
    let stage = Stage::start("digi-bridge").await;
    stage.upstream.rules(vec![Rule::on("POST", LOGIN).status(500).text("secret-in-answer")]);
    let _running = stage.run(&digi_bridge::service(), &[]).await;
    let (status, body) = stage.ask("get.digi.recovery.logs", json!({})).await;
    assert_eq!((status, body), (500, json!("Missing BEARER token")));
    stage.upstream.rules(vec![Rule::on("GET", LOGS).json(&json!({"Logs": []}))]);
    let answered = async {
        // The bridge lets a moment pass between two logins.
        while stage.ask("get.digi.recovery.logs", json!({})).await.0 != 200 {}
    };
    tokio::time::timeout(PATIENCE, answered).await.unwrap();
}

#[tokio::test]
async fn a_token_is_renewed_before_it_expires() {
    let stage = Stage::start("digi-bridge").await;
    stage.upstream.fallback(vec![token("short", 1)]);
    let running = stage.run(&digi_bridge::service(), &[]).await;
    assert!(stage.upstream.until(PATIENCE, |calls| logins(calls) >= 3).await);
    assert_ne!(
        running.metrics("digi_token_created_timestamp_seconds"),
        ["digi_token_created_timestamp_seconds 0"]
    );

    let stage = Stage::start("digi-bridge").await;
    stage.upstream.fallback(vec![token("long", 3600)]);
    let _running = stage.run(&digi_bridge::service(), &[("DIGI_TOKEN_TTL", "1")]).await;
    assert!(stage.upstream.until(PATIENCE, |calls| logins(calls) >= 3).await);
}

/// Spec, "Failure handling": the old token is kept.
#[tokio::test]
async fn while_no_login_succeeds_the_old_token_stays_in_use_beyond_its_time() {
    let stage = Stage::start("digi-bridge").await;
    stage.upstream.fallback(vec![token("old", 3600)]);
    let _running = stage.run(&digi_bridge::service(), &[("DIGI_TOKEN_TTL", "1")]).await;
    let fails = Rule::on("POST", LOGIN).status(500);
    stage.upstream.rules(vec![fails, Rule::on("GET", LOGS).json(&json!({"Logs": []}))]).take_calls();
    // One failed login comes ahead of the token's end, the others afterwards.
    let logins_fail = async {
        while logins(&stage.upstream.calls()) < 3 {
            let (status, body) = stage.ask("get.digi.recovery.logs", json!({})).await;
            assert_eq!((status, body), (200, json!({"Logs": []})));
        }
    };
    tokio::time::timeout(PATIENCE, logins_fail).await.unwrap();
    let calls = stage.upstream.calls_to("/Logs");
    assert!(calls.iter().all(|call| call.header("authorization") == Some("Bearer old")));
}

#[tokio::test]
async fn a_dry_run_validates_answers_and_sends_nothing() {
    let stage = Stage::start("digi-bridge").await;
    stage.upstream.answer(Rule::on("GET", LOGS).json(&json!({"Logs": []})));
    let _running = stage.run(&digi_bridge::service(), &[("WRITE_MODE", "dry-run")]).await;
    let (status, body) = stage.ask("digi.reboot", reboot()).await;
    assert_eq!((status, &body[0]["VeloSerial"]), (200, &json!("VC1234567")));
    assert_eq!(stage.ask("digi.reboot", json!({})).await.0, 400);
    assert_eq!(stage.ask("get.digi.recovery.logs", json!({})).await.0, 200);
    assert!(stage.upstream.calls_to("/RecoverDevice").is_empty());
}

#[tokio::test]
async fn parameters_travel_as_headers_and_nothing_else_does() {
    let (stage, _running) = Stage::with(&digi_bridge::service(), &[]).await;
    stage.upstream.answer(started());
    let mut body = reboot();
    body["igzID"] = json!("forged");
    body["Host"] = json!("elsewhere");
    body["authorization"] = json!("Bearer forged");
    assert_eq!(stage.ask("digi.reboot", body).await.0, 200);
    let call = stage.upstream.calls_to("/RecoverDevice").remove(0);
    assert_eq!(call.header("igzid"), Some("r-1"));
    assert_eq!(call.header("mac"), Some("00:04:2d:09:c4:4b:0000"));
    assert_eq!(call.header("authorization"), Some("Bearer token-a"));
    assert_eq!(call.header("content-length"), Some("0"));
    assert!(call.header("host").unwrap().starts_with("127.0.0.1"));

    stage.upstream.take_calls();
    let evil = json!({"velo_serial": "VC1\r\nEvil: yes", "ticket": "1", "MAC": "m"});
    let (status, text) = stage.ask("digi.reboot", evil).await;
    assert_eq!(status, 400);
    assert!(text.as_str().unwrap().contains("velo_serial"), "{text}");
    assert!(stage.upstream.calls().is_empty());
}

#[tokio::test]
async fn requests_and_replies_of_more_than_a_megabyte_pass() {
    let (stage, _running) = Stage::with(&digi_bridge::service(), &[]).await;
    let logs: Vec<Value> = (0..9_000).map(|id| json!({"Id": id, "Notes": "n".repeat(120)})).collect();
    let page = json!({"Logs": logs, "Count": 9_000});
    stage.upstream.answer(Rule::on("GET", LOGS).json(&page));
    let (status, body) = stage.ask("get.digi.recovery.logs", json!({"other": "x".repeat(1_200_000)})).await;
    assert_eq!((status, body), (200, page));
    for via in [Via::Token, Via::PrefixToken] {
        let request = br#"{"request_id":"r","body":{}}"#.to_vec();
        let reply = stage.requester.request_bytes("get.digi.recovery.logs", request, via, PATIENCE).await;
        assert_eq!(reply.envelope()["status"], 200);
    }
}

#[tokio::test]
async fn garbage_is_refused_and_the_service_goes_on() {
    let (stage, _running) = Stage::with(&digi_bridge::service(), &[]).await;
    stage.upstream.answer(Rule::on("GET", LOGS).json(&json!({"Logs": []})));
    for payload in ["", "hello", "null", "[1]", "{", "\u{0}", r#"{"is_stored":true}"#] {
        let sent = stage.requester.request_bytes("digi.reboot", payload.into(), Via::Size, PATIENCE);
        assert_eq!(sent.await.envelope()["status"], 400, "{payload:?}");
    }
    assert_eq!(stage.ask("get.digi.recovery.logs", json!({})).await.0, 200);
}

#[tokio::test]
async fn secrets_stay_out_of_replies() {
    let (stage, _running) = Stage::with(&digi_bridge::service(), &[]).await;
    for (rule, what) in [
        (Rule::on("GET", LOGS).text("<html>token-a"), "garbage"),
        (Rule::on("GET", LOGS).drops(), "no answer"),
        (Rule::on("GET", LOGS).text("{\"Logs\": [").cut_off(), "half an answer"),
        (Rule::on("GET", LOGS).status(302).header("Location", "/elsewhere").text(""), "a redirect"),
    ] {
        stage.upstream.rules(vec![rule]);
        let (status, body) = stage.ask("get.digi.recovery.logs", json!({"igzID": "hidden"})).await;
        assert_eq!(status, 500, "{what}");
        let text = body.to_string();
        for secret in ["token-a", "Bearer", "hidden", "secret"] {
            assert!(!text.contains(secret), "{what}: {text}");
        }
    }
}

#[tokio::test]
async fn the_stop_waits_for_what_is_in_flight() {
    let (stage, running) = Stage::with(&digi_bridge::service(), &[]).await;
    stage.upstream.answer(started().delay(Duration::from_millis(300)));
    let asked = stage.ask("digi.reboot", reboot());
    let stopped = async {
        let sent = |calls: &[Received]| calls.iter().any(|call| call.path.ends_with("/RecoverDevice"));
        assert!(stage.upstream.until(PATIENCE, sent).await);
        running.stop().await
    };
    let (answer, stopped) = tokio::join!(asked, stopped);
    assert_eq!(answer.0, 200);
    assert!(stopped.is_ok());
}
