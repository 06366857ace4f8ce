//! The service over real NATS, Redis and HTTP: what the recordings do not show.

use crate::running;

use crate::running::{SUBJECT, ask, created, pending, request, result, store, stored, token};
use redis::AsyncCommands;
use serde_json::{Value, json};
use testkit::recordings::Stage;
use testkit::{PATIENCE, Received, Rule, Via};

const NOT_YET: &str = "Data is still being fetched from DRI for serial 700001";

fn ready() -> (i64, Value) {
    (200, json!({"Providers": "ATT"}))
}

fn not_yet() -> (i64, Value) {
    (204, json!(NOT_YET))
}

fn logins(calls: &[Received]) -> usize {
    calls.iter().filter(|call| call.path == "/auth/login").count()
}

/// Examples 1 and 2.
#[tokio::test]
async fn a_caller_polls_until_the_data_are_there() {
    let (stage, _running) = Stage::with(&dri_bridge::service(), &[]).await;
    stage.upstream.rules(vec![
        pending(&json!([])),
        created(&json!(1_725_608)),
        result("Pending").times(1),
        result(""),
    ]);
    assert_eq!(ask(&stage, "700001").await, not_yet());
    let (task, life) = stored(&stage, "700001").await;
    assert_eq!(task.as_deref(), Some("1725608"));
    assert!((1..=450).contains(&life), "{life}");
    assert_eq!(ask(&stage, "700001").await, ready());
    // Within its life the same task answers, also for another set, without a new one.
    let other = json!({"serial_number": 700_001, "parameter_set": {"ParameterNames": ["Other"]}});
    assert_eq!(stage.ask(SUBJECT, other).await, ready());
    assert_eq!(stage.upstream.calls_to("/parameter_returnid").len(), 1);
    assert_eq!(stage.upstream.calls_to("/parameter_tid").len(), 3);
}

#[tokio::test]
async fn a_call_is_made_as_the_existing_deployment_makes_it() {
    let (stage, _running) = Stage::with(&dri_bridge::service(), &[]).await;
    stage.upstream.rules(vec![pending(&json!([])), created(&json!("t 1&2")), result("")]);
    let body =
        json!({"serial_number": "7+0 é%", "parameter_set": {"ParameterNames": ["a b+c&é"], "Source": 0}});
    assert_eq!(stage.ask(SUBJECT, body).await, ready());
    let login = stage.upstream.calls_to("/auth/login").remove(0);
    assert_eq!(login.json(), json!({"form": [["email", "user@example.test"], ["password", "secret: one"]]}));
    let create = stage.upstream.calls_to("/parameter_returnid").remove(0);
    assert_eq!(create.path, "/acs/device/7%2B0%20%C3%A9%25/parameter_returnid");
    assert_eq!(
        create.query,
        [("data".to_owned(), r#"{"ParameterNames": ["a b+c&\u00e9"], "Source": 0}"#.to_owned())]
    );
    let fetched = stage.upstream.calls_to("/parameter_tid").remove(0);
    assert_eq!(fetched.query, [("transactionid".to_owned(), "t 1&2".to_owned())]);
    for (name, value) in [
        ("authorization", "Bearer tok"),
        ("content-type", "application/json-patch+json"),
        ("cache-control", "no-cache, no-store, no-transform, max-age=0, only-if-cached"),
    ] {
        assert_eq!(fetched.header(name), Some(value));
    }
    assert_eq!(stored(&stage, "7+0 é%").await.0.as_deref(), Some(r#""t 1&2""#));
}

/// Example 3 and Improve 6.
#[tokio::test]
async fn the_latest_pending_task_is_used_rather_than_a_new_one() {
    let (stage, _running) = Stage::with(&dri_bridge::service(), &[]).await;
    stage.upstream.rules(vec![pending(&json!([{"Id": "99"}, {"Id": "100"}])), result("")]);
    assert_eq!(ask(&stage, "700001").await, ready());
    assert_eq!(stored(&stage, "700001").await.0.as_deref(), Some(r#""100""#));
    assert!(stage.upstream.calls_to("/parameter_returnid").is_empty());
}

#[tokio::test]
async fn an_id_is_forgotten_when_the_task_is_of_no_use_and_kept_while_it_may_be() {
    let (stage, _running) = Stage::with(&dri_bridge::service(), &[]).await;
    let on_result = |status: u16| Rule::on("GET", "/parameter_tid$").status(status);
    let failed = json!({"status": "FAILED", "message": "There are no tasks in transaction ID=1725608"});
    for (rule, status, kept) in [
        (result("Pending"), 204, true),
        (result(""), 200, true),
        (result("Rejected"), 403, false),
        (on_result(200).json(&failed), 400, false),
        (on_result(401).json(&json!({})), 401, true),
        (on_result(503).json(&json!({"error": 1})), 503, false),
        (on_result(502).text("<html>"), 500, false),
        (on_result(200).text("Oops"), 500, false),
        (on_result(200).json(&json!({"status": "SUCCESS"})), 500, false),
        (on_result(200).drops(), 500, true),
        (on_result(200).json(&json!({"a": 1})).cut_off(), 500, true),
    ] {
        let what = format!("{rule:?}");
        store(&stage, "700001", "1725608").await;
        stage.upstream.rules(vec![rule]);
        let (got, body) = ask(&stage, "700001").await;
        assert_eq!(got, status, "{what}: {body}");
        assert!(body.is_object() || body.as_str().is_some_and(|text| !text.is_empty()), "{what}");
        assert_eq!(stored(&stage, "700001").await.0.is_some(), kept, "{what}");
    }
}

#[tokio::test]
async fn the_end_of_a_task_does_not_forget_a_newer_one() {
    let (stage, _running) = Stage::with(&dri_bridge::service(), &[]).await;
    store(&stage, "700001", "1").await;
    stage.upstream.rules(vec![result("Rejected")]);
    let hold = stage.upstream.hold();
    let replaced = async {
        let asked = |calls: &[Received]| calls.iter().any(|call| call.path.ends_with("/parameter_tid"));
        assert!(stage.upstream.until(PATIENCE, asked).await);
        store(&stage, "700001", "2").await;
        drop(hold);
    };
    let (reply, ()) = tokio::join!(ask(&stage, "700001"), replaced);
    assert_eq!(reply.0, 403);
    assert_eq!(stored(&stage, "700001").await.0.as_deref(), Some("2"));
}

/// "No connection" and "no token" are outcomes as other statuses are (spec, "Serves" and Behaviour 2).
#[tokio::test]
async fn an_id_is_forgotten_when_its_result_cannot_be_asked_for() {
    let (stage, running) = Stage::with(&dri_bridge::service(), &[]).await;
    store(&stage, "700001", "1725608").await;
    stage.upstream.down().await;
    let (status, text) = ask(&stage, "700001").await;
    assert_eq!(status, 500);
    assert!(text.as_str().unwrap().starts_with("DRI: cannot connect"), "{text}");
    assert_eq!(stored(&stage, "700001").await.0, None);
    running.stop().await.unwrap();

    stage.upstream.up().await;
    stage.upstream.rules(vec![Rule::on("POST", "/auth/login$").status(500)]);
    let _running = stage.run(&dri_bridge::service(), &[]).await;
    store(&stage, "700001", "1725608").await;
    assert_eq!(ask(&stage, "700001").await, (500, json!("Missing BEARER token")));
    assert_eq!(stored(&stage, "700001").await.0, None);
}

#[tokio::test]
async fn a_failure_before_there_is_a_task_stores_nothing() {
    let (stage, _running) = Stage::with(&dri_bridge::service(), &[]).await;
    let on_create = |status: u16| Rule::on("GET", "/parameter_returnid$").status(status);
    for (rule, expected) in [
        (on_create(504).text("late"), (504, json!("Getting task_id of 700001 timed out"))),
        (on_create(429).json(&json!({"slow": "down"})), (429, json!({"slow": "down"}))),
        (on_create(200).json(&json!({"status": "FAILED"})), (400, json!({"status": "FAILED"}))),
        (
            on_create(200).json(&json!({"status": "SUCCESS"})),
            (500, json!(r#"DRI's answer has no usable "Id""#)),
        ),
    ] {
        stage.upstream.rules(vec![pending(&json!([])), rule]);
        assert_eq!(ask(&stage, "700001").await, expected);
        assert_eq!(stored(&stage, "700001").await.0, None);
    }
    // The lock was given back each time.
    let keys: Vec<String> = stage.redis.connection().await.keys("dri-bridge:*").await.unwrap();
    assert!(keys.is_empty(), "{keys:?}");
}

/// Improve 2.
#[tokio::test]
async fn a_401_leads_to_one_login_and_one_repetition() {
    let (stage, _running) = Stage::with(&dri_bridge::service(), &[]).await;
    let refused = Rule::on("GET", "/taskpending$").status(401).json(&json!({}));
    let task = [pending(&json!([])), created(&json!(1)), result("")];
    stage.upstream.rules([vec![refused.clone().times(1), token("new")], task.to_vec()].concat());
    assert_eq!(ask(&stage, "700001").await, ready());
    let calls = stage.upstream.calls_to("/taskpending");
    let tokens: Vec<_> = calls.iter().map(|call| call.header("authorization").unwrap()).collect();
    assert_eq!(tokens, ["Bearer tok", "Bearer new"]);

    // It expires in mid-work.
    let expired = Rule::on("GET", "/parameter_tid$").status(401).json(&json!({})).times(1);
    stage.upstream.rules([vec![expired], task.to_vec()].concat());
    assert_eq!(ask(&stage, "700001").await, ready());

    stage.upstream.rules(vec![refused]);
    assert_eq!(ask(&stage, "700002").await, (401, json!("Got 401 from DRI")));
    assert_eq!(stage.upstream.calls_to("/700002/taskpending").len(), 2);
    assert_eq!(logins(&stage.upstream.calls()), 4);
}

/// Improve 1.
#[tokio::test]
async fn without_a_token_the_reply_says_so_and_the_next_login_is_tried_on_demand() {
    let stage = Stage::start("dri-bridge").await;
    for answer in [
        Rule::on("POST", "/auth/login$").status(500).text("secret-in-answer"),
        Rule::on("POST", "/auth/login$").json(&json!({"authorization_token": ""})),
        Rule::on("POST", "/auth/login$").json(&json!({"token": "x"})),
    ] {
        stage.upstream.rules(vec![answer]);
        let running = stage.run(&dri_bridge::service(), &[]).await;
        assert_eq!(ask(&stage, "700001").await, (500, json!("Missing BEARER token")));
        // A token counts whatever the status beside it.
        stage.upstream.rules(vec![
            token("tok").status(202),
            pending(&json!([])),
            created(&json!(1)),
            result(""),
        ]);
        let answered = async {
            // The bridge lets a moment pass between two logins.
            while ask(&stage, "700001").await.0 != 200 {}
        };
        tokio::time::timeout(PATIENCE, answered).await.unwrap();
        running.stop().await.unwrap();
        let () = stage.redis.connection().await.del(running::key("700001")).await.unwrap();
    }
}

/// Improve 7.
#[tokio::test]
async fn of_many_requests_at_two_replicas_one_creates_a_task() {
    let (stage, _one) = Stage::with(&dri_bridge::service(), &[]).await;
    let _two = stage.run(&dri_bridge::service(), &[]).await;
    stage.upstream.rules(vec![pending(&json!([])), created(&json!(1)), result("Pending")]);
    let hold = stage.upstream.hold();
    let all = futures::future::join_all((0..8).map(|_| ask(&stage, "700001")));
    let release = async {
        assert!(
            stage
                .upstream
                .until(PATIENCE, |calls| calls.iter().any(|c| c.path.ends_with("/taskpending")))
                .await
        );
        drop(hold);
    };
    let (replies, ()) = tokio::join!(all, release);
    assert_eq!(replies, vec![not_yet(); 8]);
    assert_eq!(stage.upstream.calls_to("/taskpending").len(), 1);
    assert_eq!(stage.upstream.calls_to("/parameter_returnid").len(), 1);
    assert_eq!(stage.upstream.calls_to("/parameter_tid").len(), 8);
}

#[tokio::test]
async fn a_dead_replicas_lock_ends_by_itself() {
    let (stage, _running) = Stage::with(&dri_bridge::service(), &[]).await;
    stage.upstream.rules(vec![pending(&json!([])), created(&json!(1)), result("")]);
    let () = stage.redis.connection().await.pset_ex("dri-bridge:dev:lock:700001", "dead", 500).await.unwrap();
    assert_eq!(ask(&stage, "700001").await, ready());
}

#[tokio::test]
async fn what_is_stored_and_is_no_id_is_replaced() {
    let (stage, _running) = Stage::with(&dri_bridge::service(), &[]).await;
    for damaged in ["{", "null", "\"\"", "[1]", "\u{fffd}"] {
        store(&stage, "700001", damaged).await;
        stage.upstream.rules(vec![pending(&json!([])), created(&json!(1)), result("")]);
        assert_eq!(ask(&stage, "700001").await, ready(), "{damaged}");
        assert_eq!(stored(&stage, "700001").await.0.as_deref(), Some("1"));
    }
}

/// Improve 3.
#[tokio::test]
async fn a_lost_redis_is_told_by_500_and_comes_back() {
    let (stage, _running) = Stage::with(&dri_bridge::service(), &[]).await;
    stage.upstream.rules(vec![pending(&json!([])), created(&json!(1)), result("")]);
    stage.redis.kill9();
    let lost = (500, json!("The store of task ids cannot be used at the moment"));
    assert_eq!(ask(&stage, "700001").await, lost);
    assert!(stage.upstream.calls_to("/taskpending").is_empty());
    stage.redis.restart().await;
    let recovered = async { while ask(&stage, "700001").await != ready() {} };
    tokio::time::timeout(PATIENCE, recovered).await.unwrap();
}

#[tokio::test]
async fn replies_name_what_is_missing_and_dri_is_not_asked() {
    let (stage, _running) = Stage::with(&dri_bridge::service(), &[]).await;
    stage.upstream.take_calls();
    let incomplete = json!(r#"You must specify "serial_number" and "parameter_set" in the body"#);
    for body in [json!(null), json!([]), json!({}), json!({"serial_number": "1", "parameter_set": []})] {
        assert_eq!(stage.ask(SUBJECT, body).await, (400, incomplete.clone()));
    }
    for serial in ["a/b", "12?x=1", "a#b", "a\u{0}", "..", ""] {
        let (status, text) = ask(&stage, serial).await;
        assert_eq!(status, 400);
        assert!(text.as_str().unwrap().contains("serial_number"), "{text}");
    }
    for raw in ["hello", "[1]"] {
        let reply =
            stage.requester.request_bytes(SUBJECT, raw.as_bytes().to_vec(), Via::Size, PATIENCE).await;
        assert_eq!(reply.envelope()["status"], 400);
    }
    let no_id = json!({"body": request("700001")}).to_string().into_bytes();
    stage.upstream.rules(vec![pending(&json!([])), created(&json!(1)), result("")]);
    let reply = stage.requester.request_bytes(SUBJECT, no_id, Via::Size, PATIENCE).await;
    assert_eq!(reply.envelope(), json!({"request_id": null, "body": {"Providers": "ATT"}, "status": 200}));
}

#[tokio::test]
async fn requests_and_replies_of_more_than_a_megabyte_pass() {
    let (stage, _running) = Stage::with(&dri_bridge::service(), &[]).await;
    let values: Vec<Value> =
        (0..9_000).map(|n| json!({"Name": format!("p{n}"), "Value": "v".repeat(120)})).collect();
    let data = json!({"Parameters": values, "ErrorCode": 100, "Message": ""});
    let whole = Rule::on("GET", "/parameter_tid$").json(&json!({"status": "SUCCESS", "data": data}));
    stage.upstream.rules(vec![pending(&json!([])), created(&json!(1)), whole]);
    let mut body = request("700001");
    body["other"] = json!("x".repeat(1_200_000));
    let (status, values) = stage.ask(SUBJECT, body).await;
    assert_eq!((status, values.as_object().unwrap().len()), (200, 9_000));
    for via in [Via::Token, Via::PrefixToken] {
        let bytes = json!({"request_id": "r", "body": request("700001")}).to_string().into_bytes();
        let reply = stage.requester.request_bytes(SUBJECT, bytes, via, PATIENCE).await;
        assert_eq!(reply.envelope()["status"], 200);
    }
}

#[tokio::test]
async fn usage_is_counted_without_serials() {
    let (stage, running) = Stage::with(&dri_bridge::service(), &[]).await;
    stage.upstream.rules(vec![pending(&json!([])), created(&json!(1)), result("Pending")]);
    for serial in ["700001", "700002"] {
        assert_eq!(ask(&stage, serial).await.0, 204);
    }
    assert_eq!(
        running.metrics("dri_api_usage_total"),
        [
            r#"dri_api_usage_total{endpoint_="/acs/device/{serial}/parameter_returnid",method="GET"} 2"#,
            r#"dri_api_usage_total{endpoint_="/acs/device/{serial}/parameter_tid",method="GET"} 2"#,
            r#"dri_api_usage_total{endpoint_="/acs/device/{serial}/taskpending",method="GET"} 2"#,
            r#"dri_api_usage_total{endpoint_="/auth/login",method="POST"} 1"#,
        ]
    );
}

/// Also what is never answered.
#[tokio::test]
async fn usage_is_counted_when_a_call_is_started() {
    let (stage, running) = Stage::with(&dri_bridge::service(), &[]).await;
    stage.upstream.rules(vec![pending(&json!([])), created(&json!(1)), result("Pending")]);
    let hold = stage.upstream.hold();
    let release = async {
        assert!(
            stage
                .upstream
                .until(PATIENCE, |calls| calls.iter().any(|c| c.path.ends_with("/taskpending")))
                .await
        );
        let counted = running.metrics("dri_api_usage_total");
        drop(hold);
        counted
    };
    let (reply, counted) = tokio::join!(ask(&stage, "700001"), release);
    assert_eq!(reply.0, 204);
    assert_eq!(
        counted,
        [
            r#"dri_api_usage_total{endpoint_="/acs/device/{serial}/taskpending",method="GET"} 1"#,
            r#"dri_api_usage_total{endpoint_="/auth/login",method="POST"} 1"#,
        ]
    );
}

#[tokio::test]
async fn without_redis_the_service_does_not_start_and_says_so() {
    let stage = Stage::start("dri-bridge").await;
    let error = stage.why_not(&dri_bridge::service(), &[("REDIS_PORT", "1")]).await;
    assert!(error.contains("REDIS_HOSTNAME"), "{error}");
}

#[tokio::test]
async fn the_stop_waits_for_what_is_in_flight() {
    let (stage, running) = Stage::with(&dri_bridge::service(), &[]).await;
    stage.upstream.rules(vec![pending(&json!([])), created(&json!(1)), result("")]);
    let hold = stage.upstream.hold();
    let asked = ask(&stage, "700001");
    let stopped = async {
        assert!(
            stage
                .upstream
                .until(PATIENCE, |calls| calls.iter().any(|c| c.path.ends_with("/taskpending")))
                .await
        );
        let stopping = running.stop();
        drop(hold);
        stopping.await
    };
    let (answer, stopped) = tokio::join!(asked, stopped);
    assert_eq!(answer, ready());
    assert!(stopped.is_ok());
}
