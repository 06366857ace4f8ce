//! Logins: once for all callers, again after a refusal, ahead of their end, after failures.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::common::{PATIENCE, SECRET, login, settings, with_login};
use futures::future::join_all;
use http::HeaderMap;
use prometheus::Registry;
use serde_json::json;
use testkit::{Received, Rule, StubUpstream};
use tokio_util::sync::CancellationToken;
use upstream::{Call, CallError, Http, Login, LoginError, Session, Settings, Upstream};

fn tokens(calls: &[Received]) -> Vec<String> {
    let token = |call: &Received| {
        call.header("authorization").unwrap_or("-").replace(&format!("Bearer {SECRET}-"), "")
    };
    calls.iter().map(token).collect()
}

#[tokio::test]
async fn the_first_call_logs_in_and_the_next_ones_use_the_session() {
    let stub = StubUpstream::start().await;
    stub.answer(login(1)).answer(Rule::on("GET", "^/x$").text("ok"));
    let third_party = with_login(settings(&stub));
    assert!(!third_party.logged_in());
    for _ in 0..3 {
        assert_eq!(third_party.send(Call::get("/x")).await.unwrap().text(), "ok");
    }
    assert!(third_party.logged_in());
    assert_eq!(stub.calls_to("/login").len(), 1);
    assert_eq!(tokens(&stub.calls_to("/x")), ["1", "1", "1"]);
    let credentials = &stub.calls_to("/login")[0];
    assert_eq!(credentials.header("authorization"), Some("Basic Y2xpZW50OnMzY3IzdC1jbGllbnQ="));
    assert_eq!(credentials.json(), json!({"form": [["grant_type", "client_credentials"]]}));
}

#[tokio::test]
async fn fifty_calls_that_are_refused_at_once_lead_to_one_login() {
    let stub = StubUpstream::start().await;
    stub.answer(login(1).times(1)).answer(login(2));
    let third_party = with_login(settings(&stub));
    third_party.login_now().await.unwrap();
    stub.answer(Rule::on("GET", "^/x$").status(401).times(50)).answer(Rule::on("GET", "^/x$").text("ok"));
    let hold = stub.hold();
    let calls = (0..50).map(|_| {
        let third_party = third_party.clone();
        tokio::spawn(async move { third_party.send(Call::get("/x")).await.unwrap() })
    });
    let calls: Vec<_> = calls.collect();
    assert!(
        stub.until(PATIENCE, |calls| calls.len() == 51).await,
        "all fifty are refused with the same session"
    );
    drop(hold);
    for answer in join_all(calls).await {
        assert_eq!(answer.unwrap().text(), "ok");
    }
    assert_eq!(stub.calls_to("/login").len(), 2);
    let tokens = tokens(&stub.calls_to("/x"));
    assert!(tokens[..50].iter().all(|token| token == "1"));
    assert!(tokens[50..].iter().all(|token| token == "2"));
    assert_eq!(tokens.len(), 100);
}

#[tokio::test]
async fn writes_are_repeated_after_a_refusal_too_but_only_once() {
    let stub = StubUpstream::start().await;
    stub.answer(login(1)).answer(Rule::on("POST", "^/w$").status(401).text("no"));
    let third_party = with_login(settings(&stub));
    let answer = third_party.send(Call::post("/w").json(&json!({"a": 1}))).await.unwrap();
    assert_eq!((answer.status, answer.session_refused), (401, true));
    let writes = stub.calls_to("/w");
    assert_eq!(writes.len(), 2);
    assert!(writes.iter().all(|write| write.json() == json!({"a": 1})));
    assert_eq!(stub.calls_to("/login").len(), 2);
}

#[tokio::test]
async fn a_refusal_is_the_answer_when_the_renewal_fails_and_the_old_session_is_kept() {
    let stub = StubUpstream::start().await;
    stub.answer(login(1).times(1))
        .answer(Rule::on("POST", "^/login$").status(500))
        .answer(Rule::on("GET", "^/x$").status(401).times(1))
        .answer(Rule::on("GET", "^/x$").text("ok"));
    let third_party = with_login(settings(&stub));
    let answer = third_party.send(Call::get("/x")).await.unwrap();
    assert_eq!((answer.status, answer.session_refused), (401, true));
    assert!(third_party.logged_in());
    assert_eq!(third_party.send(Call::get("/x")).await.unwrap().text(), "ok");
    assert_eq!(tokens(&stub.calls_to("/x")), ["1", "1"]);
}

#[tokio::test]
async fn a_failed_first_login_is_recovered_from_by_a_later_call() {
    let stub = StubUpstream::start().await;
    stub.answer(Rule::on("POST", "^/login$").status(500).times(1)).answer(login(1));
    stub.answer(Rule::on("GET", "^/x$").text("ok"));
    let third_party = with_login(settings(&stub));
    let error = third_party.send(Call::get("/x")).await.unwrap_err();
    assert_eq!(error, CallError::NoSession(Box::new(LoginError::Refused(500))));
    assert!(error.surely_not_executed());
    assert!(stub.calls_to("/x").is_empty());
    // Within the pause after the failure: the call waits for its end.
    assert_eq!(third_party.send(Call::get("/x")).await.unwrap().text(), "ok");
    assert_eq!(stub.calls_to("/login").len(), 2);
}

#[tokio::test]
async fn logins_that_keep_failing_are_not_hammered() {
    let stub = StubUpstream::start().await;
    stub.answer(Rule::on("POST", "^/login$").status(500));
    let third_party = with_login(settings(&stub));
    // Fails; waits half a second and fails; waits a second and fails; then fails without asking.
    for _ in 0..3 {
        third_party.send(Call::get("/x")).await.unwrap_err();
    }
    let asked = stub.calls_to("/login").len();
    let errors = join_all((0..20).map(|_| third_party.send(Call::get("/x")))).await;
    for error in errors {
        assert!(
            matches!(error, Err(CallError::NoSession(reason)) if matches!(*reason, LoginError::TooSoon(_)))
        );
    }
    assert_eq!(stub.calls_to("/login").len(), asked);
}

/// Counts logins, which end so.
struct Fails(LoginError, Arc<AtomicU32>);

impl Login for Fails {
    async fn login(&self, _http: &Http) -> Result<Session, LoginError> {
        self.1.fetch_add(1, Ordering::Relaxed);
        Err(self.0.clone())
    }

    fn authorize(&self, _session: &Session, _headers: &mut HeaderMap) {}
}

#[tokio::test(start_paused = true)]
async fn a_user_who_is_not_wanted_is_tried_a_few_times_and_then_seldom() {
    let an_hour_of = async |error| {
        let logins = Arc::new(AtomicU32::new(0));
        let settings = Settings::new("test", "http://127.0.0.1:1".parse().unwrap());
        let login = Fails(error, Arc::clone(&logins));
        let third_party = Upstream::new(settings, login, &Registry::new()).unwrap();
        let stop = CancellationToken::new();
        let background = tokio::spawn(third_party.login_in_background(stop.clone()));
        for _ in 0..3_600 {
            assert!(third_party.login_now().await.is_err());
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        stop.cancel();
        background.await.unwrap();
        logins.load(Ordering::Relaxed)
    };
    let denied = an_hour_of(LoginError::Denied(500)).await;
    assert!((5 + 6..=5 + 12).contains(&denied), "{denied}");
    let failed = an_hour_of(LoginError::Refused(500)).await;
    assert!(failed > 100, "{failed}");
}

#[tokio::test]
async fn a_session_is_renewed_ahead_of_its_end_without_delaying_anyone() {
    let stub = StubUpstream::start().await;
    let expiring = |n: u32, life: f64| {
        Rule::on("POST", "^/login$")
            .json(&json!({"access_token": format!("{SECRET}-{n}"), "expires_in": life}))
    };
    stub.answer(expiring(1, 1.5).times(1)).answer(expiring(2, 3600.0)).answer(Rule::on("GET", "^/x$"));
    let third_party = with_login(settings(&stub));
    let stop = CancellationToken::new();
    let background = tokio::spawn(third_party.login_in_background(stop.clone()));
    assert!(stub.until(PATIENCE, |calls| calls.len() == 2).await, "the second login comes by itself");
    while tokens(&stub.calls_to("/x")).last().map(String::as_str) != Some("2") {
        third_party.send(Call::get("/x")).await.unwrap();
    }
    stop.cancel();
    background.await.unwrap();
    assert_eq!(stub.calls_to("/login").len(), 2);
}

#[tokio::test]
async fn an_expired_session_is_never_used() {
    let stub = StubUpstream::start().await;
    let short = json!({"access_token": format!("{SECRET}-1"), "expires_in": 0.0});
    stub.answer(Rule::on("POST", "^/login$").json(&short).times(1)).answer(login(2));
    let third_party = with_login(settings(&stub));
    third_party.login_now().await.unwrap();
    assert!(!third_party.logged_in());
    third_party.send(Call::get("/x")).await.unwrap();
    assert_eq!(tokens(&stub.calls_to("/x")), ["2"]);
}

#[tokio::test]
async fn while_no_login_succeeds_a_session_is_used_beyond_its_end_and_a_refusal_decides() {
    let stub = StubUpstream::start().await;
    let short = json!({"access_token": format!("{SECRET}-1"), "expires_in": 0.0});
    stub.answer(Rule::on("POST", "^/login$").json(&short).times(1))
        .answer(Rule::on("POST", "^/login$").status(500))
        .answer(Rule::on("GET", "^/x$").text("ok").times(30))
        .answer(Rule::on("GET", "^/x$").status(401));
    let third_party = with_login(settings(&stub));
    third_party.login_now().await.unwrap();
    for _ in 0..30 {
        assert_eq!(third_party.send(Call::get("/x")).await.unwrap().text(), "ok");
    }
    assert!(stub.calls_to("/login").len() < 8, "logins are not hammered");
    assert!(tokens(&stub.calls_to("/x")).iter().all(|token| token == "1"));
    assert!(!third_party.logged_in());
    let refused = third_party.send(Call::get("/x")).await.unwrap();
    assert_eq!((refused.status, refused.session_refused), (401, true));
}

#[tokio::test]
async fn while_no_login_succeeds_nobody_waits_for_one_to_use_the_old_session() {
    let stub = StubUpstream::start().await;
    let short = json!({"access_token": format!("{SECRET}-1"), "expires_in": 0.0});
    stub.answer(Rule::on("POST", "^/login$").json(&short).times(1))
        .answer(Rule::on("POST", "^/login$").status(500).times(1))
        .answer(Rule::on("POST", "^/login$").delay(Duration::from_secs(600)))
        .answer(Rule::on("GET", "^/x$").text("ok"));
    let third_party = with_login(settings(&stub));
    third_party.login_now().await.unwrap();
    let call = || third_party.send(Call::get("/x").within(Duration::from_secs(10)));
    // Until the third login hangs.
    while stub.calls_to("/login").len() < 3 {
        assert_eq!(call().await.unwrap().text(), "ok");
    }
    for _ in 0..3 {
        assert_eq!(call().await.unwrap().text(), "ok");
    }
}

#[tokio::test]
async fn a_session_may_last_for_as_long_as_anybody_says() {
    for life in [Duration::MAX, Duration::from_secs(u64::MAX)] {
        let session = Session::new("s").expiring_in(life);
        assert!(session.expires_in.is_some_and(|life| life <= Duration::from_secs(4_000 * 86_400)));
    }
    let stub = StubUpstream::start().await;
    let long = json!({"access_token": format!("{SECRET}-1"), "expires_in": 1.8e19});
    stub.answer(Rule::on("POST", "^/login$").json(&long)).answer(Rule::on("GET", "^/x$").text("ok"));
    let third_party = with_login(settings(&stub));
    assert_eq!(third_party.send(Call::get("/x")).await.unwrap().text(), "ok");
    assert_eq!(third_party.send(Call::get("/x")).await.unwrap().text(), "ok");
    assert_eq!(stub.calls_to("/login").len(), 1);
}

#[tokio::test]
async fn the_background_login_needs_no_calls_and_ends_at_the_stop() {
    let stub = StubUpstream::start().await;
    stub.answer(login(1));
    let third_party = with_login(settings(&stub));
    let stop = CancellationToken::new();
    let background = tokio::spawn(third_party.login_in_background(stop.clone()));
    assert!(stub.until(PATIENCE, |calls| calls.len() == 1).await);
    while !third_party.logged_in() {
        tokio::task::yield_now().await;
    }
    stop.cancel();
    background.await.unwrap();
}

#[tokio::test]
async fn a_login_goes_on_when_the_caller_that_needed_it_gives_up() {
    let stub = StubUpstream::start().await;
    stub.answer(login(1)).answer(Rule::on("GET", "^/x$"));
    let third_party = with_login(settings(&stub));
    let hold = stub.hold();
    let hurried = third_party.send(Call::get("/x").within(Duration::from_millis(50))).await;
    assert_eq!(hurried.unwrap_err(), CallError::Deadline);
    drop(hold);
    third_party.send(Call::get("/x")).await.unwrap();
    assert_eq!(stub.calls_to("/login").len(), 1);
}

#[tokio::test]
async fn anonymous_calls_need_no_session() {
    let stub = StubUpstream::start().await;
    let third_party = with_login(settings(&stub));
    assert_eq!(third_party.send(Call::get("/x").anonymous()).await.unwrap().status, 404);
    assert_eq!(tokens(&stub.calls()), ["-"]);
}

#[tokio::test]
async fn calls_go_where_the_session_says_also_when_a_new_one_says_otherwise() {
    let stub = StubUpstream::start().await;
    let at = |n: u32, path: &str| {
        let token = format!("{SECRET}-{n}");
        Rule::on("POST", "^/login$")
            .json(&json!({"access_token": token, "base_url": format!("{}{path}", stub.url())}))
    };
    stub.answer(at(1, "/one").times(1)).answer(at(2, "/two"));
    stub.answer(Rule::on("GET", "^/one/x$").text("ok").times(1))
        .answer(Rule::on("GET", "^/one/x$").status(401));
    stub.answer(Rule::on("GET", "^/two/x$").text("moved"))
        .answer(Rule::on("GET", "^/fixed/x$").text("fixed"));
    let third_party = with_login(settings(&stub));
    let shown = |third_party: &Upstream| third_party.url_of(&Call::get("/x")).unwrap().to_string();
    assert_eq!(shown(&third_party), format!("{}/x", stub.url()));
    assert_eq!(third_party.send(Call::get("/x")).await.unwrap().text(), "ok");
    assert_eq!(shown(&third_party), format!("{}/one/x", stub.url()));
    assert_eq!(third_party.send(Call::get("/x")).await.unwrap().text(), "moved");
    assert_eq!(shown(&third_party), format!("{}/two/x", stub.url()));
    let elsewhere = format!("{}/fixed", stub.url()).parse().unwrap();
    assert_eq!(third_party.send(Call::get("/x").at(&elsewhere)).await.unwrap().text(), "fixed");
}
