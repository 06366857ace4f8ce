//! Faults, as a client of a third party feels them.

use std::time::Duration;

use sandbox::world::network::Link;
use sandbox::{Fault, Mode, ThirdParty};
use serde_json::{Value, json};

use crate::common::{Http, bruin, client_of, ordinary, pick, sandbox, velocloud};

#[tokio::test]
async fn a_status_fault_answers_for_the_third_party_and_ends_by_count_path_or_time() {
    let sandbox = sandbox().await;
    let http = bruin(&sandbox).await;
    let basic = format!("{}/api/Ticket/basic", sandbox.bruin_url());
    let site = format!("{}/api/Site", sandbox.bruin_url());
    let faults = sandbox.faults();

    faults.inject(ThirdParty::Bruin, Fault::status(503).times(2));
    assert_eq!([http.get(&basic).await.status, http.get(&basic).await.status], [503, 503]);
    assert_eq!(http.get(&basic).await.status, 200);

    faults.inject(ThirdParty::Bruin, Fault::status(502).on("/Site"));
    assert_eq!([http.get(&basic).await.status, http.get(&site).await.status], [200, 502]);
    faults.clear(Some(ThirdParty::Bruin));

    faults.inject(ThirdParty::Bruin, Fault { for_seconds: Some(60), ..Fault::new(Mode::RateLimit) });
    let limited = http.get(&basic).await;
    assert_eq!((limited.status, limited.headers["retry-after"].to_str().unwrap()), (429, "1"));
    sandbox.world().advance(Duration::from_secs(60));
    assert_eq!(http.get(&basic).await.status, 200);
    assert!(faults.standing(ThirdParty::Bruin).is_empty());
}

#[tokio::test]
async fn refused_logins_leave_sessions_alone_and_expired_logins_do_not() {
    let sandbox = sandbox().await;
    let http = bruin(&sandbox).await;
    let basic = format!("{}/api/Ticket/basic", sandbox.bruin_url());
    sandbox.faults().inject(ThirdParty::Bruin, Fault::new(Mode::RefuseLogins));
    let login = format!("{}/identity/connect/token", sandbox.bruin_url());
    assert_eq!(Http::new().post(&login, Value::Null).await.status, 400);
    assert_eq!(http.get(&basic).await.status, 200);

    assert_eq!(sandbox.sessions().expire(ThirdParty::Bruin), 1);
    assert_eq!(http.get(&basic).await.status, 401);

    let host = "vco1.sandbox.example";
    sandbox.faults().inject(ThirdParty::VeloCloud, Fault::new(Mode::RefuseLogins));
    let login = format!("{}/portal/rest/login/operatorLogin", sandbox.velocloud_url(host));
    assert_eq!(Http::new().post(&login, json!({})).await.status, 302);
}

#[tokio::test]
async fn garbage_is_a_page_with_status_200() {
    let sandbox = sandbox().await;
    let http = velocloud(&sandbox, "vco1.sandbox.example").await;
    sandbox.faults().inject(ThirdParty::VeloCloud, Fault::new(Mode::Garbage));
    let url =
        format!("{}/portal/rest/monitoring/getAggregates", sandbox.velocloud_url("vco1.sandbox.example"));
    let answer = http.post(&url, json!({})).await;
    assert_eq!(answer.status, 200);
    assert!(answer.text.starts_with("<!DOCTYPE html>"));
}

#[tokio::test]
async fn a_reset_executes_nothing_and_a_lost_or_cut_answer_does() {
    let sandbox = sandbox().await;
    let http = bruin(&sandbox).await;
    let url = format!("{}/api/Ticket/repair", sandbox.bruin_url());
    let cases = [(Mode::Reset, 0), (Mode::LoseAnswer, 1), (Mode::Truncate, 1)];
    for (number, (mode, tickets)) in cases.into_iter().enumerate() {
        let edge = ordinary(&sandbox, number);
        sandbox.faults().inject(ThirdParty::Bruin, Fault::new(mode).times(1));
        let body = json!({"ClientID": client_of(&sandbox, &edge), "WTNs": [edge.serial]});
        let outcome = http.try_send("POST", &url, &body).await;
        assert!(outcome.is_err(), "{mode:?}");
        assert_eq!(sandbox.world().tickets_of(&edge.serial).len(), tickets, "{mode:?}");
    }
    let after = http.get(&format!("{}/api/Ticket/basic", sandbox.bruin_url())).await;
    assert_eq!(after.status, 200);
}

#[tokio::test]
async fn a_rate_strikes_its_share_of_calls() {
    let sandbox = sandbox().await;
    let http = bruin(&sandbox).await;
    sandbox.faults().inject(ThirdParty::Bruin, Fault { rate: 0.3, ..Fault::status(500) });
    let mut struck = 0;
    for _ in 0..100 {
        let status = http.get(&format!("{}/api/Ticket/basic?TicketID=1", sandbox.bruin_url())).await.status;
        struck += i32::from(status == 500);
    }
    assert!((10..=55).contains(&struck), "{struck} of 100");
}

#[tokio::test]
async fn a_slow_third_party_answers_after_its_latency() {
    let sandbox = sandbox().await;
    let http = bruin(&sandbox).await;
    sandbox.faults().inject(ThirdParty::Bruin, Fault::latency(Duration::from_millis(300)));
    let begin = std::time::Instant::now();
    assert_eq!(http.get(&format!("{}/api/Ticket/basic", sandbox.bruin_url())).await.status, 200);
    assert!(begin.elapsed() >= Duration::from_millis(300));
}

#[tokio::test]
async fn what_was_received_is_counted_with_its_fault() {
    let sandbox = sandbox().await;
    let http = bruin(&sandbox).await;
    let edge = pick(&sandbox, 0, |edge| edge.links.iter().any(Link::is_digi));
    let url = format!("{}/api/Ticket/77/details?x={}", sandbox.bruin_url(), edge.serial);
    http.get(&url).await;
    sandbox.faults().inject(ThirdParty::Bruin, Fault::status(500));
    http.get(&url).await;

    let last = sandbox.received().last(Some(ThirdParty::Bruin), 1).remove(0);
    assert_eq!((last.path.as_str(), last.status), ("/api/Ticket/77/details", 500));
    assert!(last.fault.unwrap().contains("500"));
    assert_eq!(sandbox.received().count(ThirdParty::Bruin, "/api/Ticket/{id}/details"), 2);
    assert_eq!(sandbox.received().count(ThirdParty::Bruin, "/identity/connect/token"), 1);
}
