//! The session over real HTTP: its expiry in mid-work, refused logins, and what never leaves the bridge.

use serde_json::{Value, json};
use testkit::recordings::Stage;
use testkit::{PATIENCE, Received, Rule};

const PROBES: &str = "hawkeye.probe.request";
const TESTS: &str = "hawkeye.test.request";
const FIRST: &str = "PHPSESSID=abcdefghijklmnopqrstuvwxyz123456";

fn list(path: &str, total: usize, records: &[Value]) -> Rule {
    Rule::on("GET", &format!("^/api/{path}$"))
        .json(&json!({"total_count": total.to_string(), "records": records}))
}

fn login() -> Rule {
    Rule::on("POST", "^/api/login$")
}

fn new_session() -> Rule {
    login().json(&json!({})).header("Set-Cookie", "PHPSESSID=second; path=/")
}

fn refused(path: &str) -> Rule {
    Rule::on("GET", &format!("^/api/{path}$")).status(401).json(&json!({"error": "not logged in"}))
}

fn logins(calls: &[Received]) -> usize {
    calls.iter().filter(|call| call.path == "/api/login").count()
}

fn cookies(calls: &[Received]) -> Vec<&str> {
    calls.iter().filter_map(|call| call.header("cookie")).collect()
}

fn one_probe() -> Value {
    json!({"probe_uids": ["aa"], "interval": {"start": "a", "end": "b"}})
}

#[tokio::test]
async fn the_credentials_travel_as_json_and_once() {
    let (stage, _running) = Stage::with(&hawkeye_bridge::service(), &[]).await;
    stage.upstream.answer(list("probes", 0, &[]));
    for _ in 0..3 {
        assert_eq!(stage.ask(PROBES, json!({})).await, (200, json!([])));
    }
    let calls = stage.upstream.calls();
    assert_eq!(logins(&calls), 1);
    assert_eq!(calls[0].json(), json!({"username": "user-one", "password": "secret-one"}));
    assert_eq!(cookies(&calls), [FIRST; 3]);
}

#[tokio::test]
async fn a_session_that_expires_between_two_pages_is_renewed_and_the_page_repeated() {
    let (stage, _running) = Stage::with(&hawkeye_bridge::service(), &[]).await;
    let page = |offset: &str, record: u32| list("probes", 2, &[json!(record)]).query("offset", offset);
    stage.upstream.rules(vec![
        page("0", 1),
        refused("probes").query("offset", "1").times(1),
        new_session(),
        page("1", 2),
    ]);
    stage.upstream.take_calls();
    assert_eq!(stage.ask(PROBES, json!({})).await, (200, json!([1, 2])));
    let calls = stage.upstream.calls();
    assert_eq!(cookies(&calls), [FIRST, FIRST, "PHPSESSID=second"]);
    assert_eq!(logins(&calls), 1);
}

#[tokio::test]
async fn a_session_that_expires_among_concurrent_calls_is_renewed_once_for_all() {
    let (stage, _running) = Stage::with(&hawkeye_bridge::service(), &[]).await;
    let results: Vec<Value> = (0..8).map(|id| json!({"id": id.to_string()})).collect();
    stage.upstream.rules(vec![list("testsresults", 8, &results), refused(r"testsresults/\d")]);
    stage.upstream.take_calls();
    let details = |calls: &[Received]| calls.iter().filter(|call| call.path.contains("results/")).count();
    let renewal = async {
        assert!(stage.upstream.until(PATIENCE, |calls| details(calls) >= 1).await);
        let hold = stage.upstream.hold();
        assert!(stage.upstream.until(PATIENCE, |calls| details(calls) >= 8 || logins(calls) >= 1).await);
        let metrics = Rule::on("GET", r"^/api/testsresults/\d$").json(&json!({"metrics": []}));
        stage.upstream.rules(vec![new_session(), metrics]);
        drop(hold);
    };
    let ((status, body), ()) = tokio::join!(stage.ask(TESTS, one_probe()), renewal);
    assert_eq!(status, 200);
    let ids: Vec<&Value> =
        body["aa"].as_array().unwrap().iter().map(|result| &result["summary"]["id"]).collect();
    assert_eq!(ids, ["0", "1", "2", "3", "4", "5", "6", "7"]);
    assert_eq!(logins(&stage.upstream.calls()), 1);
}

#[tokio::test]
async fn a_call_is_repeated_five_times_while_sessions_are_refused() {
    let (stage, _running) = Stage::with(&hawkeye_bridge::service(), &[]).await;
    let probe = json!({"probeId": "1"});
    let good = list("probes", 1, std::slice::from_ref(&probe));
    stage.upstream.rules(vec![refused("probes").times(5), good]).take_calls();
    assert_eq!(stage.ask(PROBES, json!({})).await, (200, json!([probe])));
    assert_eq!(cookies(&stage.upstream.calls()).len(), 6);
}

#[tokio::test]
async fn a_session_that_stays_refused_is_a_401_after_six_calls() {
    let (stage, _running) = Stage::with(&hawkeye_bridge::service(), &[]).await;
    stage.upstream.rules(vec![refused("probes"), refused("testsresults")]).take_calls();
    for (subject, body) in [(PROBES, json!({})), (TESTS, one_probe())] {
        assert_eq!(stage.ask(subject, body).await, (401, json!("Got 401 from Hawkeye")));
        let calls = stage.upstream.take_calls();
        assert_eq!((cookies(&calls).len(), logins(&calls)), (6, 3), "{calls:?}");
    }
}

#[tokio::test]
async fn a_login_that_fails_is_told_and_tried_again_on_demand() {
    let stage = Stage::start("hawkeye-bridge").await;
    for (rule, expected) in [
        (login().status(401), (401, json!("Username doesn't exist or password is incorrect"))),
        (login().status(503), (500, json!("Got internal error from Hawkeye"))),
        (login().drops(), (500, json!("Error while connecting to Hawkeye API"))),
        (login().json(&json!({})), (401, json!("Got 401 from Hawkeye"))),
        (
            login().text("<html>secret-in-answer"),
            (500, json!("Unexpected answer from Hawkeye: a login without a session")),
        ),
    ] {
        stage.upstream.rules(vec![rule.clone()]);
        let running = stage.run(&hawkeye_bridge::service(), &[]).await;
        assert_eq!(running.host.not_ready(), Vec::<String>::new());
        assert_eq!(stage.ask(PROBES, json!({})).await, expected, "{rule:?}");
        stage.upstream.rules(vec![list("probes", 0, &[])]);
        let answered = async {
            // The bridge lets a moment pass between two logins.
            while stage.ask(PROBES, json!({})).await.0 != 200 {}
        };
        tokio::time::timeout(PATIENCE, answered).await.unwrap();
        running.stop().await.unwrap();
    }
}

#[tokio::test]
async fn a_list_waits_for_a_login_that_fails_in_passing() {
    let stage = Stage::start("hawkeye-bridge").await;
    for trouble in [login().status(503), login().drops(), login().text("<html>We will be back shortly")] {
        stage.upstream.rules(vec![trouble.clone().times(3), list("probes", 0, &[])]).take_calls();
        let running = stage.run(&hawkeye_bridge::service(), &[]).await;
        assert_eq!(stage.ask(PROBES, json!({})).await, (200, json!([])), "{trouble:?}");
        assert_eq!(logins(&stage.upstream.calls()), 4, "{trouble:?}");
        running.stop().await.unwrap();
    }
}

#[tokio::test]
async fn hawkeye_may_be_down_when_the_bridge_starts() {
    let stage = Stage::start("hawkeye-bridge").await;
    stage.upstream.down().await;
    let _running = stage.run(&hawkeye_bridge::service(), &[]).await;
    let expected = (500, json!("Error while connecting to Hawkeye API"));
    assert_eq!(stage.ask(PROBES, json!({})).await, expected);
    stage.upstream.answer(list("probes", 1, &[json!({"probeId": "1"})]));
    stage.upstream.up().await;
    let answered = async { while stage.ask(PROBES, json!({})).await.0 != 200 {} };
    tokio::time::timeout(PATIENCE, answered).await.unwrap();
}

#[tokio::test]
async fn secrets_stay_out_of_replies() {
    let (stage, _running) = Stage::with(&hawkeye_bridge::service(), &[]).await;
    let answer = || Rule::on("GET", "^/api/probes$");
    for rule in [
        answer().status(403).text("PHPSESSID=abcdefghijklmnopqrstuvwxyz123456 secret-one"),
        answer().status(302).header("Location", "/elsewhere?secret-one").text("secret-one"),
        answer().json(&json!({"total_count": "secret-one", "records": []})),
        answer().json(&json!(["secret-one"])),
    ] {
        stage.upstream.rules(vec![rule]);
        let (status, body) = stage.ask(PROBES, json!({"serial_number": "hidden"})).await;
        assert!(status >= 400, "{status}");
        for secret in ["PHPSESSID", "abcdef", "secret", "hidden", "user-one"] {
            assert!(!body.to_string().contains(secret), "{body}");
        }
    }
}
