//! Sessions over real HTTP: expiry in mid-work, refused and slow logins, redirects; and what never leaves the bridge.

use std::time::Duration;

use futures::future::join_all;
use serde_json::{Value, json};
use testkit::recordings::Stage;
use testkit::{PATIENCE, Received, Rule};

const SERIES: &str = "request.edge.links.series";

fn rule(path: &str) -> Rule {
    Rule::on("POST", &format!("/portal/rest/{path}$"))
}

fn login(host: &str) -> Rule {
    Rule::on("POST", &format!("^/{host}/portal/rest/login/operatorLogin$"))
}

fn expired() -> Rule {
    rule("metrics/getEdgeLinkSeries")
        .json(&json!({"error": {"code": -32000, "message": "tokenError [expired session cookie]"}}))
}

fn series(edge: usize) -> Value {
    series_at("vco1.example.test", edge)
}

fn series_at(host: &str, edge: usize) -> Value {
    json!({"host": host, "payload": {"enterpriseId": 2, "edgeId": edge, "interval": {}, "metrics": []}})
}

fn logins(calls: &[Received], host: &str) -> usize {
    calls.iter().filter(|call| call.path == format!("/{host}/portal/rest/login/operatorLogin")).count()
}

#[tokio::test]
async fn a_session_that_expires_in_mid_work_is_renewed_once_for_all() {
    let (stage, _running) = Stage::with(&velocloud_bridge::service(), &[]).await;
    stage.upstream.take_calls();
    stage.upstream.rules(vec![expired()]);
    let hold = stage.upstream.hold();
    let requests = join_all((0..8).map(|edge| stage.ask(SERIES, series(edge))));
    let renewal = async {
        assert!(stage.upstream.until(PATIENCE, |calls| calls.len() == 8).await);
        stage.upstream.rules(vec![
            login("vco1").header("Set-Cookie", "velocloud.session=one-b"),
            rule("metrics/getEdgeLinkSeries").json(&json!([])),
        ]);
        drop(hold);
    };
    let (replies, ()) = tokio::join!(requests, renewal);
    assert!(replies.iter().all(|reply| *reply == (200, json!([]))), "{replies:?}");
    let calls = stage.upstream.calls();
    assert_eq!(logins(&calls, "vco1"), 1);
    assert_eq!(logins(&calls, "vco2"), 0);
    let cookie = |value: &str| calls.iter().filter(|call| call.header("cookie") == Some(value)).count();
    assert_eq!((cookie("velocloud.session=one-a"), cookie("velocloud.session=one-b")), (8, 8));
}

#[tokio::test]
async fn a_session_that_stays_refused_is_a_401_after_one_repetition() {
    let (stage, _running) = Stage::with(&velocloud_bridge::service(), &[]).await;
    let expected = (401, json!("Auth token expired for host vco1.example.test"));
    let path = "metrics/getEdgeLinkSeries";
    for refusal in [
        expired(),
        rule(path).status(401).json(&json!({})),
        rule(path).header("Content-Type", "text/html").text("<html>Sign in</html>"),
        rule(path).status(302).header("Location", "/vco1/elsewhere"),
    ] {
        stage.upstream.rules(vec![refusal, Rule::on("POST", "elsewhere").json(&json!([]))]).take_calls();
        assert_eq!(stage.ask(SERIES, series(1)).await, expected);
        let calls = stage.upstream.take_calls();
        assert_eq!((calls.len(), logins(&calls, "vco1")), (3, 1), "{calls:?}");
    }
}

#[tokio::test]
async fn a_refused_login_at_the_start_costs_that_host_only_until_it_works() {
    let stage = Stage::start("velocloud-bridge").await;
    let works = rule("metrics/getEdgeLinkSeries").json(&json!([]));
    stage.upstream.rules(vec![login("vco1").status(302).header("Location", "/login"), works.clone()]);
    let running = stage.run(&velocloud_bridge::service(), &[]).await;
    assert_eq!(running.host.not_ready(), Vec::<String>::new());
    let (status, body) = stage.ask(SERIES, series(1)).await;
    assert_eq!((status, body), (401, json!("Auth token expired for host vco1.example.test")));
    assert_eq!(stage.ask(SERIES, series_at("vco2.example.test", 1)).await, (200, json!([])));
    assert!(stage.upstream.calls().iter().all(|call| call.path != "/login"));

    stage.upstream.rules(vec![works]);
    let recovered = async { while stage.ask(SERIES, series(1)).await.0 != 200 {} };
    tokio::time::timeout(PATIENCE, recovered).await.unwrap();
}

#[tokio::test]
async fn a_login_that_hangs_at_the_start_holds_nothing_up() {
    let stage = Stage::start("velocloud-bridge").await;
    let slow = login("vco1").delay(Duration::from_secs(600));
    stage.upstream.rules(vec![slow, rule("metrics/getEdgeLinkSeries").json(&json!([]))]);
    let _running = stage.run(&velocloud_bridge::service(), &[]).await;
    assert_eq!(stage.ask(SERIES, series_at("vco2.example.test", 1)).await, (200, json!([])));
}

#[tokio::test]
async fn credentials_and_cookies_stay_out_of_replies() {
    let (stage, _running) = Stage::with(&velocloud_bridge::service(), &[]).await;
    let path = "event/getEnterpriseEvents";
    let body = json!({"host": "vco1.example.test", "enterprise_id": 2, "start_date": 1, "end_date": 2});
    for failure in [
        rule(path).text("not JSON"),
        rule(path).status(204),
        rule(path).drops(),
        rule(path).text("{\"data\": [").cut_off(),
        rule(path).status(401),
        rule(path).status(418),
        rule(path).json(&json!([])),
    ] {
        stage.upstream.rules(vec![failure]);
        let (status, text) = stage.ask("alert.request.event.enterprise", body.clone()).await;
        assert!(status >= 400, "{status}");
        let text = text.to_string();
        for secret in ["one-a", "operator-one", "secret-one", "velocloud.session", "127.0.0.1"] {
            assert!(!text.contains(secret), "{text}");
        }
    }
}
