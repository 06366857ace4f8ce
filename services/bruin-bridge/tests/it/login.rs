//! Tokens: how they are got, renewed, missed, and never shown.

use std::time::Duration;

use crate::common::{Bridge, PATIENCE};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use futures::future::join_all;
use serde_json::json;
use testkit::recordings::Stage;
use testkit::{Front, Rule};

const DETAILS: &str = "bruin.ticket.details.request";
const LOGIN: &str = "^/identity/connect/token$";

fn details() -> Rule {
    Rule::on("GET", "/details$").json(&json!({"ticketDetails": []}))
}

#[tokio::test]
async fn the_login_is_one_of_client_credentials() {
    let bridge = Bridge::start().await;
    let [login] = &bridge.stage.upstream.calls_to("/identity/connect/token")[..] else {
        panic!("not one login")
    };
    let credentials = BASE64_STANDARD.encode("client-one:secret-one");
    assert_eq!(login.header("authorization"), Some(format!("Basic {credentials}").as_str()));
    assert_eq!(login.header("content-type"), Some("application/x-www-form-urlencoded"));
    assert_eq!(
        login.json(),
        json!({"form": [["grant_type", "client_credentials"], ["scope", "public_api"]]})
    );
}

#[tokio::test]
async fn many_refused_at_once_share_one_new_login() {
    let bridge = Bridge::start().await;
    let stub = &bridge.stage.upstream;
    stub.rules(vec![
        Rule::on("POST", LOGIN).json(&json!({"access_token": "tok-2"})),
        Rule::on("GET", "/details$").status(401).times(8),
        details(),
    ]);
    stub.take_calls();
    let held = stub.hold();
    let asking = join_all((0..8).map(|ticket| {
        let bridge = &bridge;
        async move { bridge.ask_as(&ticket.to_string(), DETAILS, &json!({"ticket_id": ticket})).await }
    }));
    let release = async {
        assert!(stub.until(PATIENCE, |calls| calls.len() == 8).await, "all are asked before any is answered");
        drop(held);
    };
    let (replies, ()) = futures::join!(asking, release);
    assert!(replies.iter().all(|(status, _)| *status == 200), "{replies:?}");
    assert_eq!(stub.calls_to("/identity/connect/token").len(), 1);
    let repeated: Vec<_> = stub.calls_to("/details").split_off(8);
    assert!(repeated.iter().all(|call| call.header("authorization") == Some("Bearer tok-2")));
}

#[tokio::test]
async fn a_write_is_repeated_once_after_a_refusal_and_not_remembered_when_refused_again() {
    let bridge = Bridge::start().await;
    let stub = &bridge.stage.upstream;
    let note = json!({"ticket_id": 1, "note": "n"});
    stub.rules(vec![Rule::on("POST", "/notes$").status(401)]);
    bridge.take_calls();
    assert_eq!(
        bridge.ask("bruin.ticket.note.append.request", &note).await,
        (401, json!("Got 401 from Bruin"))
    );
    assert_eq!(bridge.take_calls().len(), 2);
    stub.rules(vec![Rule::on("POST", "/notes$").json(&json!({"ticketNotes": []}))]);
    let again = bridge.ask("bruin.ticket.note.append.request", &note).await;
    assert_eq!(again, (200, json!({"ticketNotes": []})), "the same request_id is tried again");
}

#[tokio::test]
async fn without_a_token_the_bridge_serves_and_recovers_on_demand() {
    let stage = Stage::start("bruin-bridge.nologin").await;
    let bridge = Bridge::start_on(stage, &[]).await;
    assert!(bridge.not_ready().iter().any(|reason| reason.contains("token")), "{:?}", bridge.not_ready());
    bridge.stage.upstream.rules(vec![details()]);
    let reply = bridge.ask(DETAILS, &json!({"ticket_id": 1})).await;
    assert_eq!(reply, (500, json!("Missing BEARER token")));
    assert!(bridge.take_calls().is_empty());
    bridge
        .stage
        .upstream
        .rules(vec![Rule::on("POST", LOGIN).json(&json!({"access_token": "tok"})), details()]);
    let recovered = async {
        while bridge.ask(DETAILS, &json!({"ticket_id": 1})).await.0 != 200 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, recovered).await.expect("a login on demand");
    bridge.until_ready().await;
}

#[tokio::test]
async fn only_the_apis_certificates_can_go_unverified() {
    let stage = Stage::start("bruin-bridge").await;
    let behind = stage.upstream.base().socket_addrs(|| None).unwrap()[0];
    let front = Front::tls(behind, "localhost", "http/1.1").await;
    let url = format!("https://localhost:{}", front.address().port());
    let (unverified, body) = (("BRUIN_VERIFY_TLS", "false"), json!({"ticket_id": 1}));
    stage.upstream.rules(vec![details()]);

    let bridge = Bridge::start_on(stage, &[("BRUIN_BASE_URL", &url), unverified]).await;
    assert_eq!(bridge.ask(DETAILS, &body).await.0, 200);
    let stage = bridge.stop().await;

    stage.upstream.take_calls();
    let bridge = Bridge::start_on(stage, &[("BRUIN_LOGIN_URL", &url), unverified]).await;
    assert_eq!(bridge.ask(DETAILS, &body).await, (500, json!("Missing BEARER token")));
    let stage = bridge.stop().await;
    assert!(stage.upstream.take_calls().is_empty(), "the secret stays here");

    let authority = front.ca_file().display().to_string();
    let trusted = [("BRUIN_LOGIN_URL", url.as_str()), unverified, ("BRUIN_CA_FILE", &authority)];
    let bridge = Bridge::start_on(stage, &trusted).await;
    assert_eq!(bridge.ask(DETAILS, &body).await.0, 200);
}

#[tokio::test]
async fn a_token_is_renewed_before_it_expires() {
    let stage = Stage::start("bruin-bridge").await;
    stage.upstream.rules(vec![
        Rule::on("POST", LOGIN).json(&json!({"access_token": "short", "expires_in": 1})).times(1),
        Rule::on("POST", LOGIN).json(&json!({"access_token": "long", "expires_in": 3600})),
        details(),
    ]);
    let bridge = Bridge::start_on(stage, &[]).await;
    let renewed =
        |calls: &[testkit::Received]| calls.iter().filter(|call| call.path.ends_with("token")).count() == 2;
    assert!(bridge.stage.upstream.until(PATIENCE, renewed).await);
    let renewed = async {
        loop {
            bridge.ask(DETAILS, &json!({"ticket_id": 1})).await;
            let calls = bridge.take_calls();
            assert_eq!(calls.len(), 1, "nobody had to be refused first");
            if calls[0].header("authorization") == Some("Bearer long") {
                break;
            }
        }
    };
    tokio::time::timeout(PATIENCE, renewed).await.expect("the new token is used");
}

#[tokio::test]
async fn usage_is_counted_by_endpoint_with_the_login() {
    let bridge = Bridge::start().await;
    bridge.stage.upstream.rules(vec![details()]);
    for ticket in [json!(1), json!("22"), json!("a/b")] {
        bridge.ask(DETAILS, &json!({"ticket_id": ticket})).await;
    }
    let login = "bruin_api_usage_total{endpoint_=\"/identity/connect/token\",method=\"POST\",response_status=\"200\"}";
    let details = "bruin_api_usage_total{endpoint_=\"/api/Ticket/{id}/details\",method=\"GET\",response_status=\"200\"}";
    assert!((bridge.metric(login) - 1.0).abs() < 0.1);
    assert!((bridge.metric(details) - 3.0).abs() < 0.1);
    bridge.stage.upstream.down().await;
    let (status, body) = bridge.ask(DETAILS, &json!({"ticket_id": 1})).await;
    assert_eq!(status, 500);
    assert!(body.as_str().unwrap().starts_with("Connection error in Bruin API. "), "{body}");
    assert!((bridge.metric(&details.replace("200", "error")) - 1.0).abs() < 0.1);
}
