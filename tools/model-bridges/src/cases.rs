//! What every bridge to a model does; see `model_bridges::tests!`.

use std::time::Duration;

use bus::{Bus, BusOptions};
use sandbox::kre::Prepared;
use sandbox::{Fault, Mode, Running};
use serde_json::{Value, json};
use testkit::{Front, OldReply, PATIENCE, Via};

use crate::scene::{environment, surroundings};
use crate::{Ask, Bridge, Outcome, Scene};

/// Replies by the model's status (specs of the three bridges, "Status mapping").
pub const REPLIES: [(&str, u16); 16] = [
    ("INTERNAL", 400),
    ("UNAUTHENTICATED", 401),
    ("PERMISSION_DENIED", 403),
    ("UNIMPLEMENTED", 404),
    ("DEADLINE_EXCEEDED", 408),
    ("CANCELLED", 500),
    ("UNKNOWN", 500),
    ("INVALID_ARGUMENT", 500),
    ("NOT_FOUND", 500),
    ("ALREADY_EXISTS", 500),
    ("RESOURCE_EXHAUSTED", 500),
    ("FAILED_PRECONDITION", 500),
    ("ABORTED", 500),
    ("OUT_OF_RANGE", 500),
    ("UNAVAILABLE", 500),
    ("DATA_LOSS", 500),
];

fn outcome<B: Bridge>() -> Outcome {
    B::outcomes().remove(0)
}

fn slow() -> Prepared {
    Prepared::default().after(Duration::from_secs(600))
}

/// The host of the model, as the bridge's setting names it.
fn host<B: Bridge>(sandbox: &Running) -> String {
    let settings = sandbox.environment_for(B::service().name());
    let (_, target) = settings.into_iter().find(|(name, _)| name == "KRE_BASE_URL").unwrap();
    target.strip_suffix(":443").unwrap().to_owned()
}

/// Every status that gRPC has, with the model's text.
pub async fn every_status_of_the_model_has_its_reply_on_every_subject<B: Bridge>() {
    let scene = Scene::<B>::start(&[]).await;
    let asks: Vec<Ask> =
        B::outcomes().into_iter().map(|outcome| outcome.ask).chain([B::question()]).collect();
    for (code, status) in REPLIES {
        for Ask { subject, rpc, body, .. } in &asks {
            let details = format!("{rpc} failed because of {code}");
            scene.prepare(rpc, Prepared::status(code, &details));
            let expected = (i64::from(status), json!(format!("Grpc error details: {details}")));
            assert_eq!(scene.ask_as(code, subject, body).await, expected, "{subject} {code}");
        }
    }
    let Ask { subject, rpc, body, .. } = B::question();
    scene.prepare(rpc, Prepared::status("INTERNAL", ""));
    assert_eq!(scene.ask(subject, body).await, (400, json!("Grpc error details: ")));
}

/// By the setting's deadline.
pub async fn a_model_that_takes_too_long_is_a_408<B: Bridge>() {
    let scene = Scene::<B>::start(&[("KRE_DEADLINE", "0.3")]).await;
    for Ask { subject, rpc, body, .. } in [B::question(), outcome::<B>().ask] {
        scene.prepare(rpc, slow());
        let late = (408, json!("Grpc error details: Deadline Exceeded"));
        assert_eq!(scene.ask(subject, body).await, late, "{subject}");
    }
}

/// By the requester's deadline, which a requester of ours tells.
pub async fn a_requester_that_says_how_long_it_waits_gets_its_reply_in_time<B: Bridge>() {
    let scene = Scene::<B>::start(&[]).await;
    let Ask { subject, rpc, body, .. } = B::question();
    scene.prepare(rpc, slow());
    let (host, port) = (scene.stage.redis.host(), scene.stage.redis.port());
    let options = BusOptions::new("requester", scene.stage.nats.url(), &host, port);
    let bus = Bus::connect(options, &prometheus::Registry::new()).await.unwrap();
    // The bridge keeps 200 ms for its reply, which a busy machine may take away from it a few times.
    for attempt in 1..=10 {
        let envelope = json!({"request_id": format!("r{attempt}"), "body": body});
        let answer = bus.exchange_raw(subject, envelope, Duration::from_secs(2)).await;
        if answer.is_ok_and(|answer| answer.status == Some(408)) {
            return;
        }
    }
    panic!("never a 408 in time");
}

/// A call too many is refused without being made.
pub async fn more_calls_than_allowed_are_a_503<B: Bridge>() {
    let scene = Scene::<B>::start(&[("KRE_IN_FLIGHT", "1"), ("KRE_DEADLINE", "2")]).await;
    let question = B::question();
    let Ask { subject, body, .. } = outcome::<B>().ask;
    scene.prepare(question.rpc, slow());
    let first = scene.ask(question.subject, question.body);
    let second = async {
        scene.until_in_flight(1).await;
        scene.ask_as("second", subject, &body).await
    };
    let (first, second) = tokio::join!(first, second);
    assert_eq!(first.0, 408);
    assert_eq!(second, (503, json!("too many calls to the model at present")));
    // It was not executed, so the same request may come again.
    assert_eq!(scene.ask_as("second", subject, &body).await.0, 200);
}

/// Writes are answered from memory, reads are not.
pub async fn what_is_saved_is_saved_once_for_one_request<B: Bridge>() {
    let scene = Scene::<B>::start(&[]).await;
    let Outcome { ask: Ask { subject, rpc, body, .. }, saved, .. } = outcome::<B>();
    for _ in 0..3 {
        assert_eq!(scene.ask(subject, body.clone()).await, (200, saved.clone()));
    }
    assert_eq!(scene.received(rpc).len(), 1);
    assert_eq!(scene.ask_as("other", subject, &body).await.0, 200);
    assert_eq!(scene.received(rpc).len(), 2);
    let question = B::question();
    for _ in 0..2 {
        scene.ask(question.subject, question.body.clone()).await;
    }
    assert_eq!(scene.received(question.rpc).len(), 2);
}

/// At the start and later; what was surely not executed may be asked again under the same id.
pub async fn a_model_that_is_down_stops_nothing_and_is_found_when_it_comes<B: Bridge>() {
    let (stage, sandbox) = surroundings::<B>().await;
    let front = Front::plain(sandbox.addresses().models[&B::MODEL]).await;
    front.down().await;
    let target = front.address().to_string();
    let settings = [("KRE_BASE_URL", target.as_str()), ("KRE_TLS", "false")];
    let scene = Scene::<B>::on(stage, sandbox, &settings).await;
    assert_eq!(scene.service.host.not_ready(), Vec::<String>::new());
    let Outcome { ask: Ask { subject, rpc, body, .. }, saved, .. } = outcome::<B>();
    let (status, text) = scene.ask(subject, body.clone()).await;
    assert_eq!(status, 500);
    assert!(text.as_str().unwrap().starts_with("Grpc error details: cannot connect"), "{text}");
    front.up().await;
    assert_eq!(scene.ask(subject, body).await, (200, saved));
    front.down().await;
    let question = B::question();
    assert_eq!(scene.ask(question.subject, question.body.clone()).await.0, 500);
    front.up().await;
    assert_eq!(scene.ask(question.subject, question.body).await.0, 200);
    assert_eq!(scene.received(rpc).len(), 1);
    let counted = |code: &str, rpc: &str| {
        let labels = format!(r#"kre_calls_total{{code="{code}",model="{}",rpc="{rpc}"}} 1"#, B::LABEL);
        assert_eq!(scene.service.metrics(&labels), [labels.as_str()]);
    };
    for code in ["UNAVAILABLE", "OK"] {
        counted(code, rpc);
        counted(code, question.rpc);
    }
}

/// Answers that are none of gRPC's, and connections that break.
pub async fn what_is_no_answer_is_a_500_and_never_repeated<B: Bridge>() {
    let scene = Scene::<B>::start(&[]).await;
    let faults = scene.sandbox.faults();
    let (question, told) = (B::question(), outcome::<B>().ask);
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
        faults.inject(B::MODEL, fault.clone());
        let (status, text) = scene.ask_as(&format!("r{number}"), told.subject, &told.body).await;
        assert_eq!(status, 500, "{fault:?}: {text}");
        assert!(text.as_str().unwrap().starts_with("Grpc error details: "), "{fault:?}: {text}");
        let executed = matches!(fault.mode(), Mode::LoseAnswer | Mode::Truncate);
        assert_eq!(scene.calls().len(), usize::from(executed), "{fault:?}");
        faults.clear(Some(B::MODEL));
        assert_eq!(scene.ask(question.subject, question.body.clone()).await.0, 200, "after {fault:?}");
    }
    for (http, status) in [(401, 401), (403, 403), (404, 404)] {
        faults.inject(B::MODEL, Fault::status(http).times(1));
        assert_eq!(scene.ask(question.subject, question.body.clone()).await.0, status, "HTTP {http}");
    }
}

/// Both ways, by every kind of token.
pub async fn requests_and_replies_of_more_than_a_megabyte_pass<B: Bridge>() {
    let scene = Scene::<B>::start(&[]).await;
    let Ask { subject, rpc, .. } = B::question();
    scene.prepare(rpc, Prepared::answer(B::long_answer()));
    let text = "x".repeat(1_200_000);
    let body = B::question_with(&text);
    let envelope = json!({"request_id": "r", "body": body});
    let reply = scene.stage.requester.request(subject, &envelope, PATIENCE).await;
    let OldReply::Envelope { value, via_redis: true } = reply else { panic!("the reply came inline") };
    assert_eq!(value["status"], 200);
    B::check_long_reply(&value["body"]);
    let sent = Value::Object(scene.received(rpc).remove(0)).to_string();
    assert!(sent.contains(&text), "the model was sent {} bytes", sent.len());
    let told = outcome::<B>().ask;
    for (via, id) in [(Via::Token, "token"), (Via::PrefixToken, "prefix")] {
        for (subject, body) in [(subject, &body), (told.subject, &told.body)] {
            let request = json!({"request_id": id, "body": body}).to_string().into_bytes();
            let reply = scene.stage.requester.request_bytes(subject, request, via, PATIENCE).await;
            assert_eq!(reply.envelope()["status"], 200, "{subject} by {id}");
        }
    }
    assert_eq!(scene.received(told.rpc).len(), 2);
}

/// Payloads that are no envelope, by the subject's own text; tokens that are none or lead nowhere.
pub async fn garbage_is_refused_and_the_service_goes_on<B: Bridge>() {
    let scene = Scene::<B>::start(&[]).await;
    let question = B::question();
    let writes = B::outcomes().into_iter().map(|outcome| outcome.ask);
    for Ask { subject, refusal, .. } in writes.chain([question.clone()]) {
        let refused = |text: &str| json!({"request_id": null, "body": text, "status": 400});
        for (payload, reply) in ["", "hello", "null", "[1]", "{", "\u{0}", "{}"]
            .map(|payload| (payload, refused(refusal)))
            .into_iter()
            .chain([(r#"{"is_stored":true}"#, refused("is_stored without a usable token"))])
        {
            let sent = scene.stage.requester.request_bytes(subject, payload.into(), Via::Size, PATIENCE);
            assert_eq!(sent.await.envelope(), reply, "{subject} {payload:?}");
        }
    }
    let gone = br#"{"token":"7GkPq2mWvX9cRtYbN4hJsE","is_stored":true}"#.to_vec();
    let reply = scene.stage.requester.request_bytes(question.subject, gone, Via::Size, PATIENCE).await;
    assert_eq!(reply.envelope()["status"], 500);
    assert!(scene.calls().is_empty());
    assert_eq!(scene.ask(question.subject, question.body).await.0, 200);
}

/// By a file beside the system's roots.
pub async fn an_own_authority_is_trusted_and_an_unknown_one_refused<B: Bridge>() {
    let (stage, sandbox) = surroundings::<B>().await;
    let host = host::<B>(&sandbox);
    let front = Front::tls(sandbox.addresses().models[&B::MODEL], &host, "h2").await;
    let overrides = format!("{host}=grpcs://{}", front.address());
    let ca_file = front.ca_file().display().to_string();
    let Ask { subject, body, .. } = B::question();

    let unknown = Scene::<B>::on(stage, sandbox, &[("UPSTREAM_OVERRIDES", &overrides)]).await;
    let (status, text) = unknown.ask(subject, body.clone()).await;
    assert_eq!(status, 500);
    let text = text.as_str().unwrap();
    assert!(text.starts_with("Grpc error details: TLS: ") && text.contains("UnknownIssuer"), "{text}");
    let Scene { stage, sandbox, service, .. } = unknown;
    service.stop().await.unwrap();

    let settings = [("UPSTREAM_OVERRIDES", overrides.as_str()), (B::CA_FILE, &ca_file)];
    let known = Scene::<B>::on(stage, sandbox, &settings).await;
    assert_eq!(known.ask(subject, body).await.0, 200);
    assert_eq!(known.calls().len(), 1);
}

/// The error names the file.
pub async fn a_ca_file_without_certificates_stops_the_start_by_name<B: Bridge>() {
    let (stage, sandbox) = surroundings::<B>().await;
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    // By TLS: the sandbox's override for the model speaks plainly and needs no authority.
    let settings = [(B::CA_FILE, file), ("UPSTREAM_OVERRIDES", "")];
    let error = testkit::why_not(&B::service(), environment::<B>(&stage, &sandbox, &settings)).await;
    assert!(error.contains("Cargo.toml"), "{error}");
}

/// Reads are made as ever.
pub async fn a_dry_run_validates_answers_and_saves_nothing<B: Bridge>() {
    let scene = Scene::<B>::start(&[("WRITE_MODE", "dry-run")]).await;
    for Outcome { ask: Ask { subject, body, .. }, dry_run, .. } in B::outcomes() {
        assert_eq!(scene.ask(subject, body).await, (200, dry_run), "{subject}");
        assert_eq!(scene.ask_as("empty", subject, &json!({})).await.0, 400, "{subject}");
    }
    let (wrong, text) = B::misfit();
    let refused = (500, json!(text));
    assert_eq!(scene.ask_as("wrong", outcome::<B>().ask.subject, &wrong).await, refused);
    assert!(scene.calls().is_empty());
    let Ask { subject, rpc, body, .. } = B::question();
    assert_eq!(scene.ask(subject, body).await.0, 200);
    assert_eq!(scene.calls().iter().map(|call| call.rpc.as_str()).collect::<Vec<_>>(), [rpc]);
}

/// A write under way is answered.
pub async fn the_stop_waits_for_what_is_in_flight<B: Bridge>() {
    let scene = Scene::<B>::start(&[]).await;
    let Ask { subject, rpc, body, .. } = outcome::<B>().ask;
    scene.prepare(rpc, Prepared::default().after(Duration::from_millis(300)));
    let asked = scene.ask(subject, body);
    let stopped = async {
        scene.until_in_flight(1).await;
        scene.service.host.stop.cancel();
    };
    let (answer, ()) = tokio::join!(asked, stopped);
    assert_eq!(answer.0, 200);
    assert_eq!(scene.calls().len(), 1);
    assert!(scene.service.stop().await.is_ok());
}
