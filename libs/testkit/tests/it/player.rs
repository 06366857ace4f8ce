//! The player finds what is wrong with a service, and nothing where nothing is wrong.

use std::sync::Arc;

use serde_json::{Value, json};
use testkit::{
    OldPeer,
    recordings::{Exchange, Report, Stage, folder, load},
};
use upstream::{Call, NoLogin, Settings, Upstream};

#[test]
fn every_recording_can_be_read() {
    let mut files = 0;
    for entry in std::fs::read_dir(folder().unwrap()).unwrap() {
        let file = entry.unwrap().path();
        if file.extension().is_some_and(|kind| kind == "json") {
            let exchanges = load(&file).unwrap();
            assert!(!exchanges.is_empty());
            files += 1;
        }
    }
    assert!(files >= 12, "{files} files");
}

/// One exchange with a third party that answers `{"n": 1}` once by 503 and then by 200.
fn exchange(changes: Value) -> Exchange {
    let mut exchange = json!({
        "name": "e", "subject": "s", "message": {"request_id": "r", "body": {"id": 7}},
        "upstream": [{"method": "PUT", "path": "^/t/7$", "json": {"n": 1}}],
        "expect": {
            "reply": {"request_id": "r", "body": {"n": 1}, "status": 200},
            "upstream": [{"method": "PUT", "path": "/t/7", "query": [["a", "1"], ["b", "2"]],
                "body": {"id": 7}, "headers": {"Content-Type": "application/json"}}],
            "peers": []
        }
    });
    for (name, value) in changes.as_object().unwrap() {
        exchange[name] = value.clone();
    }
    serde_json::from_value(exchange).unwrap()
}

/// A service that forwards to the third party, `wrong` in one way.
async fn service(stage: &Stage, wrong: &'static str) -> OldPeer {
    let peer = OldPeer::connect(&stage.nats.url(), &stage.redis.url()).await;
    let registry = prometheus::Registry::new();
    let client = Upstream::new(Settings::new("stub", stage.upstream.base()), NoLogin, &registry).unwrap();
    let client = Arc::new(client);
    peer.serve("s", "q", move |envelope| {
        let client = Arc::clone(&client);
        async move {
            let mut call =
                Call::put("/t/{id}").segment("id", 7).query("b", 2).query("a", 1).json(&envelope["body"]);
            call = match wrong {
                "query" => call.query("c", 3),
                "header" => call.header("content-type", "text/plain"),
                "body" => call.bytes("application/json", "{}"),
                _ => call,
            };
            let again = call.clone();
            let answer = if wrong == "no call" { None } else { Some(client.send(call).await.unwrap()) };
            if wrong == "two calls" {
                client.send(again).await.unwrap();
            }
            let body = answer.and_then(|answer| answer.json::<Value>().ok()).unwrap_or(json!({"n": 1}));
            let status = if wrong == "status" { 400 } else { 200 };
            let id = if wrong == "id" { json!(null) } else { envelope["request_id"].clone() };
            let body = if wrong == "reply" { json!({"n": 2}) } else { body };
            (wrong != "silent").then(|| json!({"request_id": id, "body": body, "status": status}).to_string())
        }
    })
    .await;
    peer
}

async fn play(wrong: &'static str, exchange: &Exchange) -> Report {
    let stage = Stage::start("none").await;
    let _service = service(&stage, wrong).await;
    stage.play(exchange, std::slice::from_ref(exchange)).await
}

#[tokio::test]
async fn a_right_service_is_clean() {
    play("nothing", &exchange(json!({}))).await.assert_clean();
}

#[tokio::test]
async fn each_kind_of_mistake_is_found_and_named() {
    for (wrong, text) in [
        ("query", "query"),
        ("header", "header Content-Type"),
        ("body", "body"),
        ("no call", "is missing"),
        ("two calls", "not expected"),
        ("status", "reply.status: expected 200, got 400"),
        ("reply", "reply.body"),
        ("id", "request_id"),
    ] {
        // With an alternative that does not help, so that nothing is waited for.
        let report = play(wrong, &exchange(json!({"accept": [{"calls": 9, "status": 555}]}))).await;
        assert!(report.to_string().contains(text), "{wrong}: {report}");
    }
}

#[tokio::test]
async fn alternatives_are_right_too() {
    for (wrong, accept) in [
        ("status", json!([{"status": 777}, {"status": [400, 499]}])),
        ("status", json!([{"status": 400}])),
        ("reply", json!([{"reply": {"body": {"n": 2}, "status": 200}}])),
        ("two calls", json!([{"calls": 2}])),
        ("two calls", json!([{"calls": "more"}])),
        ("two calls", json!([{"calls": "any"}])),
        ("no call", json!([{"calls": "fewer"}])),
        ("no call", json!([{"calls": 0, "reply_of": "e"}])),
        (
            "query",
            json!([{"calls": [{"method": "PUT", "path": "/t/7", "body": {"id": 7},
            "query": [["a", "1"], ["b", "2"], ["c", "3"]]}]}]),
        ),
    ] {
        play(wrong, &exchange(json!({"accept": accept}))).await.assert_clean();
    }
    for (wrong, accept) in [
        ("two calls", json!([{"calls": "fewer"}])),
        ("no call", json!([{"calls": "more"}])),
        ("query", json!([{"calls": "fewer"}])),
    ] {
        assert_eq!(play(wrong, &exchange(json!({"accept": accept}))).await.wrong.len(), 1, "{wrong}");
    }
}

#[tokio::test]
async fn what_should_be_gone_from_redis_is_found_there() {
    let expect = |redis: Value, accept: Value| {
        let reply = json!({"request_id": "r", "body": {"n": 1}, "status": 200});
        let mut expect = json!({"reply": reply, "upstream": [], "redis": redis});
        if redis.is_null() {
            expect.as_object_mut().unwrap().remove("redis");
        }
        exchange(json!({"accept": accept, "expect": expect}))
    };
    let stage = Stage::start("none").await;
    let _service = service(&stage, "no call").await;
    // Without a word about Redis, or with any state right, nothing is wrong.
    let any = json!([{"calls": 0, "redis": "any", "reply_of": "e"}]);
    for (redis, accept) in [(json!(null), json!([])), (json!({}), any)] {
        stage.store("dev-k", "1").await;
        let exchange = expect(redis, accept);
        stage.play(&exchange, std::slice::from_ref(&exchange)).await.assert_clean();
    }
    let nothing = expect(json!({}), json!([{"calls": 9, "status": 555}]));
    let play = || stage.play(&nothing, std::slice::from_ref(&nothing));
    // What an earlier exchange left and what is no state of a service's own do not count.
    stage.store("another", "1").await;
    play().await.assert_clean();
    stage.store("dev-k", "1").await;
    let report = play().await;
    assert!(report.to_string().contains("redis: dev-k should not be there"), "{report}");
}

#[tokio::test]
async fn silence_and_null_statuses_of_old_must_be_failures_now() {
    let calls = json!([{"calls": "any"}]);
    let silent =
        |reply: Value| exchange(json!({"accept": calls, "expect": {"reply": reply, "upstream": []}}));
    let null = json!({"request_id": "r", "body": null, "status": null});
    for reply in [json!("timeout"), null] {
        play("status", &silent(reply.clone())).await.assert_clean();
        assert_eq!(play("nothing", &silent(reply)).await.wrong.len(), 1, "a success is no failure");
    }
}

#[tokio::test]
async fn a_third_party_that_is_down_refuses_connections_and_comes_back() {
    let stage = Stage::start("none").await;
    let client =
        Upstream::new(Settings::new("stub", stage.upstream.base()), NoLogin, &prometheus::Registry::new())
            .unwrap();
    let client = Arc::new(client);
    let peer = OldPeer::connect(&stage.nats.url(), &stage.redis.url()).await;
    peer.serve("s", "q", move |envelope| {
        let client = Arc::clone(&client);
        async move {
            let status = client.send(Call::get("/x")).await.map_or(500, |answer| answer.status);
            Some(json!({"request_id": envelope["request_id"], "body": null, "status": status}).to_string())
        }
    })
    .await;
    let reply = |status: u16| json!({"reply": {"body": null, "status": status}, "upstream": []});
    let down = exchange(json!({"upstream": "down", "expect": reply(500)}));
    let up = exchange(json!({"upstream": [], "expect": reply(404), "accept": [{"calls": 1}]}));
    stage.play(&down, &[]).await.assert_clean();
    stage.play(&up, &[]).await.assert_clean();
}

#[tokio::test]
async fn what_a_service_does_by_itself_is_watched_in_peers_and_redis() {
    let stage = Stage::start("none").await;
    let watched = exchange(json!({
        "subject": null, "message": null, "upstream": [],
        "peers": {"p": {"body": 1, "status": 200}},
        "expect": {"upstream": [], "peers": [{"subject": "p", "body": {"host": "a"}}],
            "redis": {"k": {"value": "{\"a\": 1}", "expires": 450}}}
    }));
    let (nats, redis) = (stage.nats.url(), stage.redis.url());
    let service = tokio::spawn(async move {
        let peer = OldPeer::connect(&nats, &redis).await;
        let asked = async || {
            peer.request(
                "p",
                &json!({"request_id": 1, "body": {"host": "a"}}),
                std::time::Duration::from_secs(1),
            )
            .await
        };
        while !matches!(asked().await, testkit::OldReply::Envelope { .. }) {}
    });
    let mut connection = stage.redis.connection().await;
    let _: () = redis::AsyncCommands::set_ex(&mut connection, "k", "{\"a\":1}", 400).await.unwrap();
    stage.play(&watched, &[]).await.assert_clean();
    service.await.unwrap();
    let _: () = redis::AsyncCommands::set(&mut connection, "k", "{\"a\":2}").await.unwrap();
    // With an alternative, so that nothing is waited for.
    let hurried = exchange(json!({
        "subject": null, "message": null, "upstream": [], "accept": [{"calls": 1}],
        "expect": {"upstream": [], "peers": [{"subject": "p", "body": {"host": "a"}}],
            "redis": {"k": {"value": "{\"a\": 1}", "expires": 450}}}
    }));
    let report = stage.play(&hurried, &[]).await;
    assert_eq!(report.wrong[0].1.len(), 3, "value, life and the missing request: {report}");
}

#[tokio::test]
async fn logins_are_answered_and_left_out() {
    let stage = Stage::start("bruin-bridge").await;
    let environment = stage.environment();
    assert!(environment.contains(&("BRUIN_LOGIN_URL".to_owned(), stage.upstream.url())));
    let registry = prometheus::Registry::new();
    let client = Upstream::new(Settings::new("stub", stage.upstream.base()), NoLogin, &registry).unwrap();
    let client = Arc::new(client);
    let peer = OldPeer::connect(&stage.nats.url(), &stage.redis.url()).await;
    peer.serve("s", "q", move |_| {
        let client = Arc::clone(&client);
        async move {
            let login = client.send(Call::post("/identity/connect/token")).await.unwrap();
            let token = login.json::<Value>().unwrap()["access_token"].clone();
            Some(json!({"request_id": "r", "body": token, "status": 200}).to_string())
        }
    })
    .await;
    let expected = json!({"reply": {"body": "tok", "status": 200}, "upstream": []});
    stage.play(&exchange(json!({"upstream": [], "expect": expected})), &[]).await.assert_clean();
}
