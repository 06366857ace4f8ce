//! Calls: deadlines, repetitions, limits, broken answers, overrides, sharing.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use crate::common::{PATIENCE, count, settings};
use futures::future::join_all;
use parking_lot::Mutex;
use prometheus::Registry;
use serde_json::json;
use testkit::{Rule, StubUpstream};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use upstream::{BuildError, Call, CallError, Coalesce, NoLogin, Overrides, Retry, Settings, Upstream};
use url::Url;

fn plain(settings: Settings) -> Upstream {
    Upstream::new(settings, NoLogin, &Registry::new()).unwrap()
}

/// Repeats soon.
fn retrying(stub: &StubUpstream, times: u32) -> Upstream {
    plain(Settings { retry: Retry::times(times, Duration::from_millis(5)), ..settings(stub) })
}

#[tokio::test]
async fn reads_are_repeated_after_passing_troubles() {
    let stub = StubUpstream::start().await;
    for status in [429, 502, 503, 504] {
        stub.answer(Rule::on("GET", "^/x$").status(status).times(1));
    }
    stub.answer(Rule::on("GET", "^/x$").drops().times(1)).answer(Rule::on("GET", "^/x$").text("ok"));
    assert_eq!(retrying(&stub, 5).send(Call::get("/x")).await.unwrap().text(), "ok");
    assert_eq!(stub.calls().len(), 6);
}

#[tokio::test]
async fn the_last_answer_counts_when_the_repetitions_are_used_up() {
    let stub = StubUpstream::start().await;
    stub.answer(Rule::on("GET", "^/x$").status(503).text("busy"));
    let answer = retrying(&stub, 2).send(Call::get("/x")).await.unwrap();
    assert_eq!((answer.status, answer.text().as_ref()), (503, "busy"));
    assert_eq!(stub.calls().len(), 3);
}

#[tokio::test]
async fn writes_are_never_repeated_unasked_and_then_only_if_not_executed() {
    let stub = StubUpstream::start().await;
    stub.answer(Rule::on("POST", "^/429$").status(429).times(1));
    stub.answer(Rule::on("POST", "^/503$").status(503));
    stub.answer(Rule::on("POST", "^/drop$").drops());
    let third_party = retrying(&stub, 5);
    let soon = Retry::times(5, Duration::from_millis(5));
    for (path, retry, status, calls) in [
        ("/429", None, Some(429), 1),
        ("/429", Some(soon), Some(404), 1),
        ("/503", None, Some(503), 1),
        ("/503", Some(soon), Some(503), 1),
        ("/drop", Some(soon), None, 1),
    ] {
        stub.take_calls();
        let call = Call::post(path).empty();
        let call = retry.map_or(call.clone(), |retry| call.retry(retry));
        let answer = third_party.send(call).await;
        assert_eq!(answer.ok().map(|answer| answer.status), status, "{path}");
        assert_eq!(stub.calls().len(), calls, "{path}");
    }
    stub.rules(vec![Rule::on("POST", "^/429$").status(429).times(2), Rule::on("POST", "^/429$")])
        .take_calls();
    assert_eq!(third_party.send(Call::post("/429").retry(soon)).await.unwrap().status, 200);
    assert_eq!(stub.calls().len(), 3);
}

#[tokio::test]
async fn nothing_is_repeated_past_the_deadline() {
    let stub = StubUpstream::start().await;
    stub.answer(Rule::on("GET", "^/x$").status(429).header("Retry-After", "60"));
    let call = Call::get("/x").within(PATIENCE);
    let answer = tokio::time::timeout(PATIENCE, retrying(&stub, 5).send(call)).await.unwrap();
    assert_eq!(answer.unwrap().status, 429);
    assert_eq!(stub.calls().len(), 1);
}

#[tokio::test]
async fn a_silent_third_party_is_given_up_at_the_deadline() {
    let stub = StubUpstream::start().await;
    let _hold = stub.hold();
    let error =
        retrying(&stub, 5).send(Call::get("/x").within(Duration::from_millis(100))).await.unwrap_err();
    assert_eq!(error, CallError::Timeout);
    assert!(!error.surely_not_executed());
    assert_eq!(stub.calls().len(), 1);
}

#[tokio::test]
async fn a_deadline_that_has_passed_sends_nothing() {
    let stub = StubUpstream::start().await;
    let call = Call::get("/x").until(tokio::time::Instant::now());
    let error = plain(settings(&stub)).send(call).await.unwrap_err();
    assert_eq!(error, CallError::Deadline);
    assert!(error.surely_not_executed());
    assert!(stub.calls().is_empty());
}

#[tokio::test]
async fn only_so_many_calls_are_in_flight_and_waiting_counts_inside_the_deadline() {
    let stub = StubUpstream::start().await;
    let third_party = plain(Settings { in_flight: 3, ..settings(&stub) });
    let hold = stub.hold();
    let calls: Vec<_> = (0..10)
        .map(|_| {
            let third_party = third_party.clone();
            tokio::spawn(async move { third_party.send(Call::get("/x")).await })
        })
        .collect();
    assert!(stub.until(PATIENCE, |calls| calls.len() == 3).await);
    let late = third_party.send(Call::get("/x").within(Duration::from_millis(50))).await;
    assert_eq!(late.unwrap_err(), CallError::Deadline);
    assert_eq!(stub.calls().len(), 3);
    drop(hold);
    for answer in join_all(calls).await {
        answer.unwrap().unwrap();
    }
    assert_eq!(stub.calls().len(), 10, "the one that was late was never sent");
    assert_eq!(stub.most_in_flight(), 3);
}

#[tokio::test]
async fn reads_leave_the_places_that_are_kept_for_writes() {
    let stub = StubUpstream::start().await;
    stub.answer(Rule::on("GET", "^/slow$").delay(2 * PATIENCE)).answer(Rule::on("POST", "^/x$").text("ok"));
    let third_party = plain(Settings { in_flight: 4, kept_for_writes: 1, ..settings(&stub) });
    let reading = join_all((0..8).map(|_| third_party.send(Call::get("/slow"))));
    let writing = async {
        assert!(stub.until(PATIENCE, |calls| calls.len() == 3).await);
        for call in [Call::post("/x"), Call::get("/y").write()] {
            third_party.send(call.within(PATIENCE)).await.unwrap();
        }
        assert_eq!(stub.calls_to("/slow").len(), 3);
    };
    tokio::select! {
        answers = reading => panic!("nothing was written meanwhile: {answers:?}"),
        () = writing => {}
    }
}

#[tokio::test]
async fn enormous_answers_are_refused_announced_or_not() {
    let stub = StubUpstream::start().await;
    let text = "x".repeat(10_000);
    stub.answer(Rule::on("GET", "^/announced$").text(&text))
        .answer(Rule::on("GET", "^/endless$").text(&text).endless());
    let third_party = plain(Settings { response_limit: 9_999, ..settings(&stub) });
    for path in ["/announced", "/endless"] {
        let call = third_party.send(Call::get(path));
        let error = tokio::time::timeout(PATIENCE, call).await.unwrap().unwrap_err();
        assert_eq!(error, CallError::TooLarge(9_999), "{path}");
    }
    let third_party = plain(Settings { response_limit: 10_000, ..settings(&stub) });
    assert_eq!(third_party.send(Call::get("/announced")).await.unwrap().body.len(), 10_000);
}

#[tokio::test]
async fn broken_connections_and_answers_are_named_plainly() {
    let stub = StubUpstream::start().await;
    stub.answer(Rule::on("GET", "^/drop$").drops()).answer(Rule::on("GET", "^/cut$").text("half").cut_off());
    let third_party = plain(settings(&stub));
    for path in ["/drop", "/cut"] {
        let error = third_party.send(Call::get(path)).await.unwrap_err();
        assert_eq!(error.to_string(), "connection closed before the answer was complete", "{path}");
    }
    stub.down().await;
    let error = third_party.send(Call::get("/x")).await.unwrap_err();
    assert_eq!(error.to_string(), "cannot connect: connection refused");
    let nowhere = Settings::new("test", Url::parse("http://nowhere.invalid").unwrap());
    let error = plain(nowhere).send(Call::get("/x")).await.unwrap_err();
    assert!(matches!(&error, CallError::Connect(_)), "{error}");
    let garbage = speaking("this is not HTTP\r\n\r\n").await;
    let error = plain(Settings::new("test", garbage)).send(Call::get("/x")).await.unwrap_err();
    assert_eq!(error.to_string(), "the answer is not HTTP");
}

/// A server that says something fixed to everybody.
async fn speaking(text: &'static str) -> Url {
    serving(move |mut stream| async move {
        let mut request = [0; 1024];
        let _ = stream.read(&mut request).await;
        let _ = stream.write_all(text.as_bytes()).await;
    })
    .await
}

/// A server that treats each connection so.
async fn serving<F: Future<Output = ()> + Send + 'static>(
    each: impl Fn(TcpStream) -> F + Send + 'static,
) -> Url {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(each(stream));
        }
    });
    url
}

/// An answer in one piece is known to be whole without reading on; its connection must still be free for the next call.
#[tokio::test]
async fn calls_in_turn_share_a_connection() {
    const CALLS: usize = 20;
    let connections = Arc::new(AtomicUsize::new(0));
    let used = Arc::clone(&connections);
    let answers = serving(move |mut stream| {
        let used = Arc::clone(&used);
        async move {
            let mut request = [0; 1024];
            let mut first = true;
            while stream.read(&mut request).await.is_ok_and(|read| read > 0) {
                used.fetch_add(usize::from(std::mem::take(&mut first)), Ordering::SeqCst);
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
            }
        }
    });
    let third_party = plain(Settings::new("test", answers.await));
    for _ in 0..CALLS {
        assert_eq!(third_party.send(Call::get("/x")).await.unwrap().text(), "ok");
    }
    // A call may come before the last one's connection is back in its place.
    let connections = connections.load(Ordering::SeqCst);
    assert!((1..=CALLS / 2).contains(&connections), "{connections} connections for {CALLS} calls");
}

/// Four stalled answers have all places for large ones: a fifth waits for a place, what is small does not.
#[tokio::test]
async fn large_answers_are_read_four_at_a_time() {
    const LARGE: usize = 2 * 1024 * 1024;
    let (go_on, stalled) = tokio::sync::watch::channel(false);
    let url = serving(move |mut stream| {
        let mut stalled = stalled.clone();
        async move {
            let mut request = [0; 1024];
            let read = stream.read(&mut request).await.unwrap_or_default();
            let path = String::from_utf8_lossy(&request[..read]);
            let length = if path.starts_with("GET /small") { 10 } else { LARGE };
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
            let _ = stream.write_all(head.as_bytes()).await;
            let half = if path.starts_with("GET /stalls") { length * 3 / 4 } else { length };
            let _ = stream.write_all(&vec![b'x'; half]).await;
            let _ = stalled.wait_for(|go_on| *go_on || half == length).await;
            let _ = stream.write_all(&vec![b'x'; length - half]).await;
        }
    });
    let third_party = plain(Settings::new("test", url.await));
    let stalling: Vec<_> = (0..4)
        .map(|_| {
            let third_party = third_party.clone();
            tokio::spawn(async move { third_party.send(Call::get("/stalls").within(PATIENCE)).await })
        })
        .collect();
    let large = |within| third_party.send(Call::get("/large").within(within));
    // Until the four have come that far it finds a place.
    let waits = async { while large(Duration::from_millis(500)).await.err() != Some(CallError::Timeout) {} };
    tokio::time::timeout(PATIENCE, waits).await.expect("a fifth large answer waits");
    assert_eq!(third_party.send(Call::get("/small")).await.unwrap().body.len(), 10);
    go_on.send(true).unwrap();
    assert_eq!(large(PATIENCE).await.unwrap().body.len(), LARGE);
    for stalled in stalling {
        assert_eq!(stalled.await.unwrap().unwrap().body.len(), LARGE);
    }
}

#[tokio::test]
async fn redirects_are_followed_only_where_wanted() {
    let stub = StubUpstream::start().await;
    stub.answer(Rule::on("GET", "^/from$").status(302).header("Location", "/to"))
        .answer(Rule::on("GET", "^/to$").text("there"))
        .answer(Rule::on("GET", "^/loop$").status(302).header("Location", "/loop"));
    let answer = plain(settings(&stub)).send(Call::get("/from")).await.unwrap();
    assert_eq!((answer.status, answer.headers["location"].to_str().unwrap()), (302, "/to"));
    let following = plain(Settings { follow_redirects: true, ..settings(&stub) });
    assert_eq!(following.send(Call::get("/from")).await.unwrap().text(), "there");
    let error = following.send(Call::get("/loop")).await.unwrap_err();
    assert_eq!(error.to_string(), "too many redirects");
}

#[tokio::test]
async fn overrides_send_calls_elsewhere_but_the_host_stays_the_name() {
    let stub = StubUpstream::start().await;
    stub.answer(Rule::on("POST", "^/vco1/portal/rest/a$").text("ok"));
    let registry = Registry::new();
    let overrides = Overrides::parse(&format!("vco1.example.test={}/vco1", stub.url())).unwrap();
    let base_url = Url::parse("https://vco1.example.test/portal/rest/").unwrap();
    let settings = Settings { overrides, ..Settings::new("velocloud", base_url) };
    let third_party = Upstream::new(settings, NoLogin, &registry).unwrap();
    assert_eq!(third_party.send(Call::post("a").json(&json!({}))).await.unwrap().text(), "ok");
    assert_eq!(count(&registry, "upstream_calls_total", "vco1.example.test"), 1.0);
    assert_eq!(stub.calls()[0].json(), json!({}));
}

#[tokio::test]
async fn bodies_and_headers_go_out_as_given() {
    let stub = StubUpstream::start().await;
    let third_party = plain(settings(&stub));
    third_party.send(Call::post("/e").empty().header("VeloSerial", "VC1")).await.unwrap();
    let patch =
        Call::put("/j").json(&json!({"a": "é"})).header("content-type", "application/json-patch+json");
    third_party.send(patch).await.unwrap();
    third_party.send(Call::get("/t/{id}").segment("id", "a/b").query("q", "x+y z")).await.unwrap();
    let calls = stub.calls();
    assert_eq!(calls[0].header("content-length"), Some("0"));
    assert_eq!(calls[0].header("veloserial"), Some("VC1"));
    assert_eq!(calls[1].header("content-type"), Some("application/json-patch+json"));
    assert_eq!(calls[1].json(), json!({"a": "é"}));
    assert_eq!(calls[2].path, "/t/a%2Fb");
    assert_eq!(calls[2].query, [("q".to_owned(), "x+y z".to_owned())]);
}

#[tokio::test]
async fn metrics_and_observers_know_routes_and_outcomes() {
    let stub = StubUpstream::start().await;
    stub.answer(Rule::on("GET", "^/t/1$").status(503).times(1)).answer(Rule::on("GET", "^/t/").text("ok"));
    let registry = Registry::new();
    let settings = Settings { retry: Retry::once_after(Duration::from_millis(5)), ..settings(&stub) };
    let again = settings.clone();
    let third_party = Upstream::new(settings, NoLogin, &registry).unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let seeing = Arc::clone(&seen);
    third_party.on_answer(move |answered| {
        seeing.lock().push((answered.method.to_string(), answered.route, answered.status));
    });
    third_party.send(Call::get("/t/{id}").segment("id", 1)).await.unwrap();
    stub.down().await;
    third_party.send(Call::get("/t/{id}").segment("id", 2).retry(Retry::NEVER)).await.unwrap_err();
    let get = |status| ("GET".to_owned(), "/t/{id}", status);
    assert_eq!(*seen.lock(), [get(Some(503)), get(Some(200)), get(None)]);
    for (label, expected) in [("/t/{id}", 3.0), ("5xx", 1.0), ("2xx", 1.0), ("connect", 1.0)] {
        assert_eq!(count(&registry, "upstream_calls_total", label), expected, "{label}");
    }
    assert_eq!(count(&registry, "upstream_retries_total", ""), 1.0);
    assert!(matches!(Upstream::new(again, NoLogin, &registry), Err(BuildError::Metrics(..))));
}

#[tokio::test]
async fn identical_reads_in_flight_share_one_call() {
    let stub = StubUpstream::start().await;
    stub.answer(Rule::on("GET", "^/x$").text("ok"));
    let (third_party, reads) = (plain(settings(&stub)), Coalesce::new());
    let read = |key: &'static str| {
        let third_party = third_party.clone();
        let reads = reads.clone();
        tokio::spawn(async move {
            let work =
                move || async move { third_party.send(Call::get("/x")).await.map(|answer| answer.body) };
            reads.run(key, work).await
        })
    };
    let hold = stub.hold();
    let first = read("a");
    assert!(stub.until(PATIENCE, |calls| calls.len() == 1).await);
    let others: Vec<_> = (0..9).map(|_| read("a")).collect();
    let different = read("b");
    assert!(stub.until(PATIENCE, |calls| calls.len() == 2).await);
    // The one that started it gives up; the others still get its answer.
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    assert_eq!(reads.in_flight(), 2);
    drop(hold);
    for other in others.into_iter().chain([different]) {
        assert_eq!(other.await.unwrap().unwrap(), "ok");
    }
    assert_eq!(stub.calls().len(), 2);
    assert_eq!(reads.in_flight(), 0);
    read("a").await.unwrap().unwrap();
    assert_eq!(stub.calls().len(), 3, "nothing is kept");
}

#[tokio::test]
async fn work_that_nobody_waits_for_any_more_is_dropped_and_started_anew() {
    let reads: Coalesce<usize> = Coalesce::new();
    let started = Arc::new(AtomicUsize::new(0));
    let start = |finish: bool| {
        let started = Arc::clone(&started);
        reads.run("k", move || async move {
            let number = started.fetch_add(1, Ordering::SeqCst) + 1;
            if !finish {
                std::future::pending::<()>().await;
            }
            number
        })
    };
    assert!(tokio::time::timeout(Duration::from_millis(20), start(false)).await.is_err());
    assert_eq!(reads.in_flight(), 0);
    assert_eq!(start(true).await, 2);
}
