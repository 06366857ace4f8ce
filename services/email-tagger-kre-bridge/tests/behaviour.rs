//! What a model, a network and requesters do to the service, over real sockets.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "helpers of tests")]

mod running;

use std::time::Duration;

use bus::{Bus, BusOptions};
use contracts::email_tagger::{Prediction, PredictionRequest};
use running::{MODEL, PATIENCE, Scene, object, simulated, start};
use runtime::{Clock, Environment, Hosted, Runnable};
use sandbox::environment::EMAIL_TAGGER_HOST;
use sandbox::kre::Prepared;
use sandbox::{Fault, Mode};
use serde_json::{Value, json};
use testkit::recordings::Stage;
use testkit::{Front, Via};

const PREDICTION: &str = "email_tagger.prediction.request";
const METRICS: &str = "email_tagger.metrics.request";

fn email() -> Value {
    json!({"email": {"email_id": "73111", "subject": "Router down"}, "tag_ids": []})
}

fn outcome() -> Value {
    json!({"original_email": email(), "ticket": {"ticket_id": 3_499_114}})
}

fn slow() -> Prepared {
    Prepared::default().after(Duration::from_secs(600))
}

#[tokio::test]
async fn a_model_that_takes_too_long_is_a_408() {
    let scene = Scene::start(&[("KRE_DEADLINE", "0.3")]).await;
    scene.prepare("GetPrediction", slow());
    let late = (408, json!("Grpc error details: Deadline Exceeded"));
    assert_eq!(scene.ask(PREDICTION, email()).await, late);
    scene.prepare("SaveMetrics", slow());
    assert_eq!(scene.ask(METRICS, outcome()).await, late);
}

#[tokio::test]
async fn a_requester_that_says_how_long_it_waits_gets_its_reply_in_time() {
    let scene = Scene::start(&[]).await;
    scene.prepare("GetPrediction", slow());
    let (host, port) = (scene.stage.redis.host(), scene.stage.redis.port());
    let options = BusOptions::new("requester", scene.stage.nats.url(), &host, port);
    let bus = Bus::connect(options, &prometheus::Registry::new()).await.unwrap();
    let request = PredictionRequest { body: object(email()) };
    let answer = bus.exchange::<Prediction>(&request, Duration::from_secs(2)).await.unwrap();
    assert_eq!(answer.status, Some(408));
}

#[tokio::test]
async fn more_calls_than_allowed_are_a_503() {
    let scene = Scene::start(&[("KRE_IN_FLIGHT", "1"), ("KRE_DEADLINE", "2")]).await;
    scene.prepare("GetPrediction", slow());
    let first = scene.ask(PREDICTION, email());
    let second = async {
        scene.until_in_flight(1).await;
        scene.ask_as("second", METRICS, &outcome()).await
    };
    let (first, second) = tokio::join!(first, second);
    assert_eq!(first.0, 408);
    assert_eq!(second, (503, json!("too many calls to the model at present")));
    // It was not executed, so the same request may come again.
    assert_eq!(scene.ask_as("second", METRICS, &outcome()).await.0, 200);
}

#[tokio::test]
async fn metrics_are_saved_once_for_one_request() {
    let scene = Scene::start(&[]).await;
    let first = scene.ask(METRICS, outcome()).await;
    assert_eq!(scene.ask(METRICS, outcome()).await, first);
    assert_eq!(scene.calls().len(), 1);
    // A prediction is a read: each is asked.
    scene.ask(PREDICTION, email()).await;
    scene.ask(PREDICTION, email()).await;
    assert_eq!(scene.calls().len(), 3);
}

#[tokio::test]
async fn a_model_that_is_down_stops_nothing_and_is_found_when_it_comes() {
    let (stage, sandbox) = tokio::join!(Stage::start("email-tagger-kre-bridge"), simulated());
    let front = Front::plain(sandbox.addresses().models[&MODEL]).await;
    front.down().await;
    let target = front.address().to_string();
    let settings = [("KRE_BASE_URL", target.as_str()), ("KRE_TLS", "false")];
    let service = start(&stage, &sandbox, &settings).await;
    let scene = Scene { stage, sandbox, service };
    let (status, text) = scene.ask(METRICS, outcome()).await;
    assert_eq!(status, 500);
    assert!(text.as_str().unwrap().starts_with("Grpc error details: cannot connect"), "{text}");
    front.up().await;
    // The same request again: it was surely not executed.
    assert_eq!(scene.ask(METRICS, outcome()).await, (200, json!("Saved 1 metrics")));
    front.down().await;
    assert_eq!(scene.ask(PREDICTION, email()).await.0, 500);
    front.up().await;
    assert_eq!(scene.ask(PREDICTION, email()).await.0, 200);
    assert_eq!(
        scene
            .service
            .metrics(r#"kre_calls_total{code="UNAVAILABLE",model="email-tagger",rpc="SaveMetrics"}"#)
            .len(),
        1
    );
}

#[tokio::test]
async fn what_is_no_answer_is_a_500_and_never_repeated() {
    let scene = Scene::start(&[]).await;
    let faults = scene.sandbox.faults();
    for (number, fault) in [
        Fault::status(503),
        Fault::status(500),
        Fault::new(Mode::RateLimit),
        Fault::new(Mode::Garbage),
        Fault::new(Mode::Reset),
        Fault::new(Mode::Truncate),
        Fault::new(Mode::LoseAnswer),
    ]
    .into_iter()
    .enumerate()
    {
        scene.sandbox.models().forget();
        faults.inject(MODEL, fault.clone());
        let (status, text) = scene.ask_as(&format!("r{number}"), METRICS, &outcome()).await;
        assert_eq!(status, 500, "{fault:?}: {text}");
        assert!(text.as_str().unwrap().starts_with("Grpc error details: "), "{fault:?}: {text}");
        let executed = matches!(fault.mode(), Mode::LoseAnswer | Mode::Truncate);
        assert_eq!(scene.calls().len(), usize::from(executed), "{fault:?}");
        faults.clear(Some(MODEL));
        assert_eq!(scene.ask(PREDICTION, email()).await.0, 200, "after {fault:?}");
    }
    for (http, status) in [(401, 401), (403, 403), (404, 404)] {
        faults.inject(MODEL, Fault::status(http).times(1));
        assert_eq!(scene.ask(PREDICTION, email()).await.0, status, "HTTP {http}");
    }
}

#[tokio::test]
async fn requests_and_replies_of_more_than_a_megabyte_pass() {
    let scene = Scene::start(&[]).await;
    let tags: Vec<Value> = (0..30_000).map(|id| json!({"tag_id": id, "probability": 0.67})).collect();
    let answer = json!({"success": true, "prediction": tags});
    scene.prepare("GetPrediction", Prepared::answer(object(answer)));
    let mut body = email();
    body["email"]["body"] = json!("x".repeat(1_200_000));
    let (status, reply) = scene.ask(PREDICTION, body.clone()).await;
    assert_eq!((status, reply.as_array().unwrap().len()), (200, 30_000));
    assert_eq!(reply[29_999], json!({"tag_id": "29999", "probability": 0.67}));
    assert_eq!(scene.calls()[0].request["email"]["body"].as_str().unwrap().len(), 1_200_000);
    for via in [Via::Token, Via::PrefixToken] {
        let request = json!({"request_id": "r", "body": body}).to_string().into_bytes();
        let reply = scene.stage.requester.request_bytes(PREDICTION, request, via, PATIENCE).await;
        assert_eq!(reply.envelope()["status"], 200);
    }
}

#[tokio::test]
async fn garbage_is_refused_and_the_service_goes_on() {
    let scene = Scene::start(&[]).await;
    for subject in [PREDICTION, METRICS] {
        for payload in ["", "hello", "null", "[1]", "{", "\u{0}", "{}", r#"{"is_stored":true}"#] {
            let sent = scene.stage.requester.request_bytes(subject, payload.into(), Via::Size, PATIENCE);
            let reply = sent.await.envelope();
            assert_eq!((&reply["status"], &reply["request_id"]), (&json!(400), &Value::Null), "{payload:?}");
        }
    }
    let gone = br#"{"token":"7GkPq2mWvX9cRtYbN4hJsE","is_stored":true}"#.to_vec();
    let reply = scene.stage.requester.request_bytes(PREDICTION, gone, Via::Size, PATIENCE).await;
    assert_eq!(reply.envelope()["status"], 500);
    assert!(scene.calls().is_empty());
    assert_eq!(scene.ask(PREDICTION, email()).await.0, 200);
}

#[tokio::test]
async fn an_own_authority_is_trusted_and_an_unknown_one_refused() {
    let (stage, sandbox) = tokio::join!(Stage::start("email-tagger-kre-bridge"), simulated());
    let front = Front::tls(sandbox.addresses().models[&MODEL], EMAIL_TAGGER_HOST, "h2").await;
    let overrides = format!("{EMAIL_TAGGER_HOST}=grpcs://{}", front.address());
    let ca_file = front.ca_file().display().to_string();

    let unknown = start(&stage, &sandbox, &[("UPSTREAM_OVERRIDES", &overrides)]).await;
    let (status, text) = stage.ask(PREDICTION, email()).await;
    assert_eq!(status, 500);
    assert!(text.as_str().unwrap().contains("UnknownIssuer"), "{text}");
    unknown.stop().await.unwrap();

    let settings = [("UPSTREAM_OVERRIDES", overrides.as_str()), ("KRE_TLS_CA_FILE", &ca_file)];
    let _known = start(&stage, &sandbox, &settings).await;
    assert_eq!(stage.ask(PREDICTION, email()).await.0, 200);
    assert_eq!(sandbox.models().calls(MODEL).len(), 1);
}

#[tokio::test]
async fn a_ca_file_without_certificates_stops_the_start_by_name() {
    let (stage, sandbox) = tokio::join!(Stage::start("email-tagger-kre-bridge"), simulated());
    let environment = Environment::from_iter(stage.environment())
        .with("KRE_BASE_URL", format!("{EMAIL_TAGGER_HOST}:443"))
        .with("KRE_TLS_CA_FILE", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"));
    let service = Runnable::of::<email_tagger_kre_bridge::EmailTaggerKreBridge>();
    let mut running = Hosted::start(&service, environment, Clock::system());
    let error = running.started().await.unwrap_err();
    assert!(format!("{error:#}").contains("Cargo.toml"), "{error:#}");
    drop(sandbox);
}

#[tokio::test]
async fn a_dry_run_validates_answers_and_saves_nothing() {
    let scene = Scene::start(&[("WRITE_MODE", "dry-run")]).await;
    assert_eq!(scene.ask(METRICS, outcome()).await, (200, json!("Dry run: not sent to the model")));
    let wrong = json!({"original_email": "x", "ticket": null});
    let refused = (500, json!("Error: original_email: expected an object"));
    assert_eq!(scene.ask_as("wrong", METRICS, &wrong).await, refused);
    assert!(scene.calls().is_empty());
    assert_eq!(scene.ask(PREDICTION, email()).await.0, 200);
    assert_eq!(scene.calls().len(), 1);
}

#[tokio::test]
async fn the_stop_waits_for_what_is_in_flight() {
    let scene = Scene::start(&[]).await;
    scene.prepare("SaveMetrics", Prepared::default().after(Duration::from_millis(300)));
    let Scene { stage, sandbox, service } = scene;
    let asked = stage.ask(METRICS, outcome());
    let stopped = async {
        let line = |line: &String| line.ends_with(" 1");
        while !service.metrics("kre_calls_in_flight").iter().any(line) {
            tokio::task::yield_now().await;
        }
        service.stop().await
    };
    let (answer, stopped) = tokio::join!(asked, stopped);
    assert_eq!(answer.0, 200);
    assert!(stopped.is_ok());
    assert_eq!(sandbox.models().calls(MODEL).len(), 1);
}
