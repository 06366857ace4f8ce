//! Calls over real sockets: what comes of each answer, of a model that is down, slow or babbling, and of TLS.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "helpers of tests")]

mod model_server;

use std::net::SocketAddr;
use std::time::Duration;

use kre::{CallError, Code, Config, Contract, Model, OpenError, Reading, Rpc};
use model_server::{Answer, Field, ModelServer};
use prometheus::{Registry, TextEncoder};
use serde_json::{Map, Value, json};
use testkit::Front;
use tokio::time::Instant;
use upstream::Overrides;

const PATIENCE: Duration = Duration::from_secs(20);

fn object(json: Value) -> Map<String, Value> {
    let Value::Object(fields) = json else { panic!("no object: {json}") };
    fields
}

fn config(target: &str) -> Config {
    Config {
        target: target.parse().unwrap(),
        tls: false,
        ca_file: None,
        deadline: Duration::from_secs(120),
        in_flight: 8,
    }
}

fn open(config: &Config, overrides: &str, metrics: &Registry) -> Rpc {
    let overrides = Overrides::parse(overrides).unwrap();
    let model = Model::open(Contract::EmailTagger, config, &overrides, metrics).unwrap();
    model.rpc("GetPrediction", Reading::default()).unwrap()
}

/// The model at this address, by plain text.
fn tagger(address: SocketAddr) -> Rpc {
    open(&config(&address.to_string()), "", &Registry::new())
}

async fn ask(rpc: &Rpc) -> Result<Map<String, Value>, CallError> {
    let request = object(json!({"email": {"email_id": "73111"}, "tag_ids": [3, "4"]}));
    rpc.ask(&request, Instant::now() + PATIENCE).await
}

fn refused(code: Code, details: &str) -> Result<Map<String, Value>, CallError> {
    Err(CallError::Refused { code, details: details.to_owned() })
}

#[tokio::test]
async fn messages_travel_both_ways() {
    let server = ModelServer::start(Contract::EmailTagger).await;
    server
        .answers(object(json!({"success": true, "prediction": [{"tag_id": 1002, "probability": 0.67}, {}]})));
    let answer = ask(&tagger(server.address())).await.unwrap();
    assert_eq!(
        Value::Object(answer),
        json!({
            "success": true, "message": "", "email_id": "",
            "prediction": [{"tag_id": "1002", "probability": 0.67}, {"tag_id": "0", "probability": 0.0}],
        })
    );
    let (rpc, request) = server.calls().remove(0);
    assert_eq!(rpc, "GetPrediction");
    assert_eq!((&request["email"]["email_id"], &request["tag_ids"]), (&json!("73111"), &json!(["3", "4"])));
}

#[tokio::test]
async fn every_status_comes_with_its_text() {
    let server = ModelServer::start(Contract::EmailTagger).await;
    let rpc = tagger(server.address());
    for code in (1..=16).map(Code::from_i32) {
        server.fails(code, "why: ä, \"quoted\"");
        assert_eq!(ask(&rpc).await, refused(code, "why: ä, \"quoted\""), "{code:?}");
    }
}

#[tokio::test]
async fn a_method_which_the_model_does_not_have_is_unimplemented() {
    let server = ModelServer::start(Contract::RepairTickets).await;
    let registry = Registry::new();
    let overrides = Overrides::default();
    let model =
        Model::open(Contract::EmailTagger, &config(&server.address().to_string()), &overrides, &registry);
    let save = model.unwrap().rpc("SaveMetrics", Reading::default()).unwrap();
    let answer = save.ask(&Map::new(), Instant::now() + PATIENCE).await;
    assert_eq!(answer, refused(Code::Unimplemented, "Method not found"));
}

#[tokio::test]
async fn what_does_not_fit_is_not_sent() {
    let server = ModelServer::start(Contract::EmailTagger).await;
    let rpc = tagger(server.address());
    let request = object(json!({"email": {"email_id": 7}}));
    let error = rpc.ask(&request, Instant::now() + PATIENCE).await.unwrap_err();
    assert_eq!(error.to_string(), "Error: email.email_id: expected a string");
    assert_eq!(rpc.check(&request).unwrap_err().to_string(), "email.email_id: expected a string");
    assert!(server.calls().is_empty());
}

#[tokio::test]
async fn a_slow_model_is_waited_for_until_the_deadline() {
    let server = ModelServer::start(Contract::EmailTagger).await;
    server.hangs();
    let metrics = Registry::new();
    let target = server.address().to_string();
    let rpc = open(&Config { deadline: Duration::from_millis(300), ..config(&target) }, "", &metrics);
    assert_eq!(ask(&rpc).await, Err(CallError::Deadline));
    // The requester's deadline counts when it is the nearer one.
    let rpc = tagger(server.address());
    let request = Map::new();
    let until = Instant::now() + Duration::from_millis(400);
    assert_eq!(rpc.ask(&request, until).await, Err(CallError::Deadline));
    assert!(Instant::now() < until + Duration::from_secs(5));
    assert_eq!(rpc.ask(&request, Instant::now()).await, Err(CallError::Deadline));
    // The next call is not held up.
    server.answers(Map::new());
    assert!(ask(&rpc).await.is_ok());
    let text = TextEncoder::new().encode_to_string(&metrics.gather()).unwrap();
    let line = r#"kre_calls_total{code="DEADLINE_EXCEEDED",model="email-tagger",rpc="GetPrediction"} 1"#;
    assert!(text.contains(line), "{text}");
}

#[tokio::test]
async fn the_model_is_told_the_time_it_has() {
    let server = ModelServer::start(Contract::EmailTagger).await;
    server.answers(Map::new());
    ask(&tagger(server.address())).await.unwrap();
    let timeout = server.headers()["grpc-timeout"].to_str().unwrap().to_owned();
    assert!(timeout.ends_with(['m', 'u', 'n', 'S']), "{timeout}");
}

#[tokio::test]
async fn calls_in_flight_are_bounded() {
    let server = ModelServer::start(Contract::EmailTagger).await;
    server.hangs();
    let metrics = Registry::new();
    let rpc = open(&Config { in_flight: 1, ..config(&server.address().to_string()) }, "", &metrics);
    let first = tokio::spawn({
        let rpc = rpc.clone();
        async move { ask(&rpc).await }
    });
    server.until_called(1).await;
    assert_eq!(ask(&rpc).await, Err(CallError::Busy));
    first.abort();
    let _ = first.await;
    server.answers(Map::new());
    assert!(ask(&rpc).await.is_ok());
    let text = TextEncoder::new().encode_to_string(&metrics.gather()).unwrap();
    for line in [
        r#"kre_calls_total{code="BUSY",model="email-tagger",rpc="GetPrediction"} 1"#,
        r#"kre_calls_total{code="OK",model="email-tagger",rpc="GetPrediction"} 1"#,
        r#"kre_calls_in_flight{model="email-tagger"} 0"#,
    ] {
        assert!(text.contains(line), "{text}");
    }
}

#[tokio::test]
async fn a_model_that_comes_back_is_found_again() {
    let server = ModelServer::start(Contract::EmailTagger).await;
    server.answers(Map::new());
    let front = Front::plain(server.address()).await;
    front.down().await;
    let rpc = tagger(front.address());
    for _ in 0..2 {
        let error = ask(&rpc).await.unwrap_err();
        assert!(matches!(&error, CallError::Unreachable(why) if why.contains("refused")), "{error:?}");
        assert!(error.surely_not_executed());
    }
    front.up().await;
    assert!(ask(&rpc).await.is_ok());
    // In mid-work: the connection ends under a call, and is made again for the next one.
    server.hangs();
    let called = server.calls().len();
    let broken = async {
        server.until_called(called + 1).await;
        front.down().await;
    };
    let (answer, ()) = tokio::join!(ask(&rpc), broken);
    let error = answer.unwrap_err();
    assert!(matches!(error, CallError::Broken(_)), "{error:?}");
    assert!(!error.surely_not_executed());
    server.answers(Map::new());
    front.up().await;
    assert!(ask(&rpc).await.is_ok());
}

#[tokio::test]
async fn one_connection_carries_all_calls() {
    let server = ModelServer::start(Contract::EmailTagger).await;
    server.answers(Map::new());
    let rpc = tagger(server.address());
    for _ in 0..5 {
        ask(&rpc).await.unwrap();
    }
    let both = tokio::join!(ask(&rpc), ask(&rpc));
    assert!(both.0.is_ok() && both.1.is_ok());
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn large_messages_pass_and_too_large_ones_are_named() {
    let server = ModelServer::start(Contract::EmailTagger).await;
    let rpc = tagger(server.address());
    let long = "x".repeat(3 << 20);
    server.answers(object(json!({"message": long})));
    let request = object(json!({"email": {"body": long}}));
    let answer = rpc.ask(&request, Instant::now() + PATIENCE).await.unwrap();
    assert_eq!(answer["message"].as_str().unwrap().len(), 3 << 20);
    server.answers(object(json!({"message": "x".repeat(5 << 20)})));
    let error = ask(&rpc).await.unwrap_err();
    assert!(matches!(&error, CallError::Refused { code: Code::OutOfRange, .. }), "{error:?}");
    assert_eq!(error.status(), 500);
}

#[tokio::test]
async fn what_is_no_grpc_is_a_failure_and_never_a_refusal_by_the_model() {
    let server = ModelServer::start(Contract::EmailTagger).await;
    let rpc = tagger(server.address());
    for answer in [Answer::Page, Answer::Noise, Answer::Nothing] {
        server.does(answer.clone());
        let error = ask(&rpc).await.unwrap_err();
        assert_eq!(error.status(), 500, "{answer:?}: {error:?}");
    }
    for (status, expected) in [(401, 401), (403, 403), (404, 404), (429, 500), (502, 500), (503, 500)] {
        server.does(Answer::Http(status));
        assert_eq!(ask(&rpc).await.unwrap_err().status(), expected, "HTTP {status}");
    }
    // A refusal by what stands before the model and does not know gRPC is none by the model.
    server.does(Answer::Http(400));
    let error = ask(&rpc).await.unwrap_err();
    assert_eq!(error.status(), 500, "{error:?}");
    // Not even HTTP/2.
    let noisy = model_server::noisy().await;
    let error = ask(&tagger(noisy)).await.unwrap_err();
    assert_eq!(error.status(), 500, "{error:?}");
}

#[tokio::test]
async fn a_damaged_answer_is_a_failure_and_never_a_refusal_by_the_model() {
    const CUT_OFF: &[u8] = b"\0\0\0\0\x08\x0a\x01";
    const WHOLE: &[u8] = b"\0\0\0\0\0";
    const FINE: &[Field] = &[("grpc-status", "0")];
    let server = ModelServer::start(Contract::EmailTagger).await;
    let rpc = tagger(server.address());
    for answer in [
        Answer::Wire(&[], CUT_OFF, &[]),
        Answer::Wire(&[], CUT_OFF, FINE),
        Answer::Wire(&[], b"\0\0", &[]),
        Answer::Wire(&[], b"<html>", &[]),
        Answer::Wire(&[], b"\x01\0\0\0\0", FINE),
        Answer::Wire(&[("grpc-encoding", "rot13")], WHOLE, FINE),
        Answer::Wire(FINE, b"", &[]),
        Answer::Wire(FINE, CUT_OFF, &[]),
        Answer::Wire(&[], b"", FINE),
        Answer::Wire(&[], WHOLE, &[]),
    ] {
        server.does(answer.clone());
        let error = ask(&rpc).await.unwrap_err();
        assert_eq!(error.status(), 500, "{answer:?}: {error:?}");
        assert!(!error.surely_not_executed(), "{answer:?}: {error:?}");
    }
    server.does(Answer::Wire(&[], WHOLE, FINE));
    assert!(ask(&rpc).await.is_ok());
    // What the model did say counts, whatever came before it.
    server.does(Answer::Wire(&[], CUT_OFF, &[("grpc-status", "13"), ("grpc-message", "why")]));
    assert_eq!(ask(&rpc).await, refused(Code::Internal, "why"));
}

#[tokio::test]
async fn details_of_a_status_that_cannot_be_read_do_no_harm() {
    const STATUS: &[Field] =
        &[("grpc-status", "13"), ("grpc-message", "why"), ("grpc-status-details-bin", "no base64!")];
    let server = ModelServer::start(Contract::EmailTagger).await;
    let rpc = tagger(server.address());
    for answer in [Answer::Wire(STATUS, b"", &[]), Answer::Wire(&[], b"", STATUS)] {
        server.does(answer.clone());
        assert_eq!(ask(&rpc).await, refused(Code::Internal, "why"), "{answer:?}");
    }
}

const HOST: &str = "tagger.kre.example.test";

#[tokio::test]
async fn an_own_authority_is_trusted_and_an_unknown_one_refused() {
    let server = ModelServer::start(Contract::EmailTagger).await;
    server.answers(Map::new());
    let front = Front::tls(server.address(), HOST, "h2").await;
    let overrides = format!("{HOST}=grpcs://{}", front.address());
    let secure = Config { tls: true, ..config(&format!("{HOST}:443")) };

    let error = ask(&open(&secure, &overrides, &Registry::new())).await.unwrap_err();
    assert!(matches!(&error, CallError::Unreachable(why) if why.contains("UnknownIssuer")), "{error:?}");
    assert!(server.calls().is_empty());

    let trusting = Config { ca_file: Some(front.ca_file()), ..secure.clone() };
    ask(&open(&trusting, &overrides, &Registry::new())).await.unwrap();
    assert_eq!(server.headers()["host"], format!("{HOST}:443").as_str());

    // The right authority under another name.
    let other = Config { target: "other.kre.example.test".parse().unwrap(), ..trusting.clone() };
    let overrides = format!("other.kre.example.test=grpcs://{}", front.address());
    let error = ask(&open(&other, &overrides, &Registry::new())).await.unwrap_err();
    assert!(matches!(&error, CallError::Unreachable(why) if why.contains("certificate")), "{error:?}");

    // A server that speaks no TLS.
    let overrides = format!("{HOST}=grpcs://{}", server.address());
    let error = ask(&open(&trusting, &overrides, &Registry::new())).await.unwrap_err();
    assert!(matches!(error, CallError::Unreachable(_)), "{error:?}");
}

#[tokio::test]
async fn an_override_leads_elsewhere_by_plain_text() {
    let server = ModelServer::start(Contract::EmailTagger).await;
    server.answers(Map::new());
    let secure = Config { tls: true, ..config("Tagger.KRE.example.test:443") };
    let overrides = format!("{HOST}=grpc://{}", server.address());
    ask(&open(&secure, &overrides, &Registry::new())).await.unwrap();
    assert_eq!(server.calls().len(), 1);
}

#[tokio::test]
async fn an_unusable_ca_file_stops_the_start_with_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, "no certificate").unwrap();
    let secure = Config { tls: true, ca_file: Some(file), ..config("kre:443") };
    let opened = Model::open(Contract::T7, &secure, &Overrides::default(), &Registry::new());
    let Err(error @ OpenError::Trust(_)) = opened else { panic!("opened") };
    assert!(error.to_string().contains("ca.pem"), "{error}");
}

#[tokio::test]
async fn a_method_that_is_no_part_of_the_contract_is_named_at_the_start() {
    let registry = Registry::new();
    let model = Model::open(Contract::T7, &config("kre:443"), &Overrides::default(), &registry).unwrap();
    let Err(error) = model.rpc("Predict", Reading::default()) else { panic!("found") };
    assert!(error.to_string().contains("no method Predict"), "{error}");
    assert!(matches!(
        Model::open(Contract::T7, &config("kre:443"), &Overrides::default(), &registry),
        Err(OpenError::Metrics(_))
    ));
}
