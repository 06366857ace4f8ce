//! SMS: the provider's status and answer, one repetition when nothing was sent (spec `notifier`, "SMS", Improve 12).

use std::time::Duration;

use crate::stage::{PATIENCE, body, call};
use contracts::notifier::SmsRequest;
use notifier::metrics::Metrics;
use notifier::sms::{SmsAccount, SmsProvider};
use prometheus::Registry;
use runtime::WriteMode;
use secrecy::SecretString;
use serde_json::json;
use testkit::{Rule, StubUpstream};
use upstream::{NoLogin, Settings, Upstream};

const RESOURCE: &str = "^/2012-04-24/Accounts/AC1/SMS/Messages$";

async fn provider(mode: WriteMode) -> (SmsProvider, StubUpstream) {
    let stub = StubUpstream::start().await;
    let registry = Registry::new();
    let account = SmsAccount {
        url: stub.base().join("/2012-04-24/Accounts/AC1/SMS/Messages").unwrap(),
        account_sid: "AC1".into(),
        auth_token: SecretString::from("token"),
        from: "15550199999".into(),
    };
    let upstream = Upstream::new(Settings::new("telestax", account.url.clone()), NoLogin, &registry).unwrap();
    let metrics = Metrics::register(&registry).unwrap();
    let provider = SmsProvider::new(upstream, account, mode, metrics).pausing(Duration::from_millis(50));
    (provider, stub)
}

fn sms() -> SmsRequest {
    SmsRequest { sms_to: "15550100000".into(), sms_data: "Dispatch confirmed & año".into() }
}

#[tokio::test]
async fn the_provider_gets_the_form_and_its_answer_comes_back() {
    let (provider, stub) = provider(WriteMode::Live).await;
    let answer = json!({"sid": "SM1", "status": "queued", "to": "15550100000"});
    stub.answer(Rule::on("POST", RESOURCE).json(&answer));
    let reply = provider.send(call(sms(), PATIENCE)).await;
    assert_eq!((reply.code(), body(&reply)), (200, json!({"status": 200, "body": answer})));
    let calls = stub.calls();
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0].body, "From=15550199999&To=15550100000&Body=Dispatch+confirmed+%26+a%C3%B1o");
    assert_eq!(calls[0].header("content-type"), Some("application/x-www-form-urlencoded"));
    assert_eq!(calls[0].header("accept"), Some("text/plain"));
    assert_eq!(calls[0].header("authorization"), Some("Basic QUMxOnRva2Vu"));
}

#[tokio::test]
async fn a_refusal_is_no_success() {
    for (status, text) in [(401, "Authentication failed"), (400, "{\"code\":1}"), (404, "null"), (500, "")] {
        let (provider, stub) = provider(WriteMode::Live).await;
        stub.answer(Rule::on("POST", RESOURCE).status(status).text(text));
        let reply = provider.send(call(sms(), PATIENCE)).await;
        assert_eq!((reply.code(), body(&reply)), (status, json!({"status": status, "body": text})));
        // Of an error within the provider nobody knows what it has sent.
        assert_eq!(reply.was_executed(), status >= 500, "{status}");
        assert_eq!(stub.calls().len(), 1, "refusals are not repeated");
    }
}

#[tokio::test]
async fn an_acceptance_that_is_no_json_comes_back_as_text() {
    let (provider, stub) = provider(WriteMode::Live).await;
    stub.answer(Rule::on("POST", RESOURCE).status(201).text("queued"));
    let reply = provider.send(call(sms(), PATIENCE)).await;
    assert_eq!((reply.code(), body(&reply)), (201, json!({"status": 201, "body": "queued"})));
}

#[tokio::test]
async fn a_provider_that_cannot_be_reached_is_tried_twice() {
    let (provider, stub) = provider(WriteMode::Live).await;
    stub.down().await;
    let reply = provider.send(call(sms(), PATIENCE)).await;
    assert_eq!((reply.code(), reply.was_executed()), (500, false));
    assert!(body(&reply).as_str().unwrap().starts_with("The SMS provider cannot be reached: cannot connect"));

    stub.answer(Rule::on("POST", RESOURCE).json(&json!({})));
    let provider = provider.pausing(Duration::from_millis(300));
    let (reply, ()) = tokio::join!(provider.send(call(sms(), PATIENCE)), async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        stub.up().await;
    });
    assert_eq!(reply.code(), 200);
}

#[tokio::test]
async fn a_lost_answer_is_never_repeated() {
    let (provider, stub) = provider(WriteMode::Live).await;
    stub.answer(Rule::on("POST", RESOURCE).drops());
    let reply = provider.send(call(sms(), PATIENCE)).await;
    assert_eq!((reply.code(), reply.was_executed()), (500, true));
    assert_eq!(stub.calls().len(), 1);
}

#[tokio::test]
async fn a_dry_run_sends_nothing() {
    let (provider, stub) = provider(WriteMode::DryRun).await;
    let reply = provider.send(call(sms(), PATIENCE)).await;
    assert_eq!(reply.code(), 200);
    assert_eq!(body(&reply)["body"]["status"], "queued");
    assert!(stub.calls().is_empty());
}
