//! The stubs answer as told and remember what they were asked.

use std::time::Duration;

use http::HeaderMap;
use serde_json::{Value, json};
use testkit::{Nats, OldPeer, OldReply, Redis, Rule, StubPeers, StubUpstream, Via};
use upstream::{Call, CallError, Http, Login, LoginError, NoLogin, Session, Settings, Upstream};

const PATIENCE: Duration = Duration::from_secs(20);

fn client(stub: &StubUpstream) -> Upstream {
    Upstream::new(Settings::new("stub", stub.base()), NoLogin, &prometheus::Registry::new()).unwrap()
}

#[tokio::test]
async fn the_first_rule_that_fits_answers_as_often_as_it_may() {
    let stub = StubUpstream::start().await;
    stub.fallback(vec![Rule::on("GET", "/").text("last")]);
    stub.answer(Rule::on("GET", "^/a$").query("p", "1").text("page 1"))
        .answer(Rule::on("GET", "^/a$").json(&json!(null)).status(201).header("x-y", "z").times(1))
        .answer(Rule::on("POST", "a$").text("post"));
    let client = client(&stub);
    let mut answers = Vec::new();
    for call in [
        Call::get("/a").query("q", "2").query("p", "1"),
        Call::get("/a"),
        Call::get("/a"),
        Call::post("/b/a").json(&json!({"k": 1})),
        Call::put("/c").form(&[("f", "a b")]),
    ] {
        let answer = client.send(call).await.unwrap();
        answers.push((answer.status, answer.text().into_owned()));
    }
    let expected = [(200, "page 1"), (201, "null"), (200, "last"), (200, "post"), (404, "")];
    assert_eq!(answers, expected.map(|(status, text)| (status, text.to_owned())));
    let calls = stub.take_calls();
    assert_eq!(calls[0].query, [("q".to_owned(), "2".to_owned()), ("p".to_owned(), "1".to_owned())]);
    let bodies: Vec<_> = calls.iter().map(testkit::Received::json).collect();
    assert_eq!(bodies[2..], [Value::Null, json!({"k": 1}), json!({"form": [["f", "a b"]]})]);
    assert!(stub.calls().is_empty());
}

#[tokio::test]
async fn a_stub_can_drop_cut_off_go_down_and_come_back() {
    let stub = StubUpstream::start().await;
    let client = client(&stub);
    stub.rules(vec![Rule::on("GET", "^/d$").drops(), Rule::on("GET", "^/c$").text("half").cut_off()]);
    assert!(matches!(client.send(Call::get("/d")).await, Err(CallError::Closed(_))));
    assert!(matches!(client.send(Call::get("/c")).await, Err(CallError::Closed(_))));
    stub.down().await;
    assert!(matches!(client.send(Call::get("/x")).await, Err(CallError::Connect(_))));
    stub.up().await;
    assert_eq!(client.send(Call::get("/x")).await.unwrap().status, 404);
}

#[tokio::test]
async fn held_calls_are_received_but_not_answered() {
    let stub = StubUpstream::start().await;
    let client = client(&stub);
    let hold = stub.hold();
    let call = tokio::spawn(async move { client.send(Call::get("/x")).await });
    assert!(stub.until(PATIENCE, |calls| calls.len() == 1).await);
    assert!(!call.is_finished());
    drop(hold);
    assert_eq!(call.await.unwrap().unwrap().status, 404);
}

#[tokio::test]
async fn stub_peers_answer_by_pattern_and_remember() {
    let (nats, redis) = tokio::join!(Nats::start(), Redis::start());
    let peers = StubPeers::start_with_redis(&nats.url(), &redis.url()).await;
    let asker = OldPeer::connect(&nats.url(), &redis.url()).await;
    let by_host = vec![
        (json!({"host": "a"}), json!({"body": "of a", "status": 200, "_token": true})),
        (json!({"host": "b"}), json!({"body": "of b", "status": 500})),
    ];
    peers.answer_by("links", by_host).await;
    peers.answer("slack", json!({"status": 200})).await;
    let ask = async |subject: &str, envelope: Value| asker.request(subject, &envelope, PATIENCE).await;
    let a = ask("links", json!({"request_id": 1, "body": {"host": "a", "x": 2}})).await;
    assert_eq!(
        a,
        OldReply::Envelope {
            value: json!({"request_id": 1, "body": "of a", "status": 200}),
            via_redis: true
        }
    );
    let b = ask("links", json!({"request_id": "2", "body": {"host": "b"}})).await.envelope();
    assert_eq!(b, json!({"request_id": "2", "body": "of b", "status": 500}));
    ask("slack", json!({"request_id": "3", "message": "m"})).await.envelope();
    let silent = asker.request("links", &json!({"body": {"host": "c"}}), Duration::from_millis(300)).await;
    assert_eq!(silent, OldReply::Timeout);
    assert_eq!(ask("nobody", json!({})).await, OldReply::NoResponders);
    assert_eq!(peers.requests_on("slack")[0].body(), json!({"message": "m"}));
    assert_eq!(peers.requests_on("links").len(), 3);
}

#[tokio::test]
async fn old_peers_understand_each_other_at_any_size_and_by_any_token() {
    let (nats, redis) = tokio::join!(Nats::start(), Redis::start());
    let peer = OldPeer::connect(&nats.url(), &redis.url()).await;
    peer.serve("echo", "q", |envelope| async move { Some(envelope.to_string()) }).await;
    for (length, via_redis) in
        [(10, false), (1_048_576 - 11, false), (1_048_576 - 10, true), (3_000_000, true)]
    {
        // `{"body":""}` has 11 bytes.
        let envelope = json!({"body": "x".repeat(length)});
        let reply = peer.request("echo", &envelope, PATIENCE).await;
        assert_eq!(reply, OldReply::Envelope { value: envelope, via_redis }, "{length}");
    }
    let payload = || br#"{"body":1}"#.to_vec();
    let token = peer.request_bytes("echo", payload(), Via::Token, PATIENCE).await;
    assert_eq!(token.envelope(), json!({"body": 1}));
    let short = Duration::from_millis(300);
    assert_eq!(peer.request_bytes("echo", payload(), Via::LostToken, short).await, OldReply::Timeout);
    assert_eq!(peer.request_bytes("echo", b"[1]".to_vec(), Via::Size, short).await, OldReply::Timeout);
    let left: Vec<String> = redis::AsyncCommands::keys(&mut redis.connection().await, "*").await.unwrap();
    assert!(left.is_empty(), "tokens are deleted after reading: {left:?}");
}

#[tokio::test]
async fn an_old_requester_sends_the_same_bytes_again() {
    let (nats, redis) = tokio::join!(Nats::start(), Redis::start());
    let peers = StubPeers::start(&nats.url()).await;
    let peer = OldPeer::connect(&nats.url(), &redis.url()).await;
    peers.silence("s").await;
    let pauses = [Duration::from_millis(100); 3];
    assert_eq!(peer.request_patiently("s", &json!({"request_id": "r9"}), &pauses).await, OldReply::Timeout);
    assert!(peers.until(PATIENCE, |requests| requests.len() == 3).await);
    assert!(peers.requests().iter().all(|request| request.envelope == json!({"request_id": "r9"})));
}

/// A login as the recordings of velocloud-bridge need it, to see that stubs serve it.
struct Cookie;

impl Login for Cookie {
    async fn login(&self, http: &Http) -> Result<Session, LoginError> {
        let answer = http.send(Call::post("/login")).await?;
        Ok(Session::new(answer.cookie("s").ok_or(LoginError::Unreadable("no cookie"))?))
    }

    fn authorize(&self, session: &Session, headers: &mut HeaderMap) {
        use secrecy::ExposeSecret;
        headers.insert("cookie", format!("s={}", session.secret.expose_secret()).parse().unwrap());
    }
}

#[tokio::test]
async fn sessions_by_cookie_work_with_the_stub() {
    let stub = StubUpstream::start().await;
    stub.answer(Rule::on("POST", "^/login$").header("Set-Cookie", "s=one-a; Path=/; HttpOnly; Secure"));
    let client =
        Upstream::new(Settings::new("stub", stub.base()), Cookie, &prometheus::Registry::new()).unwrap();
    client.send(Call::get("/x")).await.unwrap();
    assert_eq!(stub.calls_to("/x")[0].header("cookie"), Some("s=one-a"));
}
