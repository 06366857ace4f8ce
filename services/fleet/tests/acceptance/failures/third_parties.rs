//! Third parties that refuse, hang, or are dead.

use std::time::Duration;

use sandbox::{Fault, Mode, ThirdParty};
use serde_json::{Value, json};
use testkit::OldPeer;
use tokio::time::Instant;

use crate::{
    stage::{PATIENCE, Stage, assert_no_restarts, run_of, until},
    subjects::{Sample, samples},
};

/// The subject with the shortest time for its answer, 12 s.
const SUBJECT: &str = "bruin.single_ticket.basic.request";

async fn ask(old: &OldPeer, samples: &[Sample], subject: &str) -> Value {
    let mut envelope = samples.iter().find(|sample| sample.subject == subject).unwrap().envelope.clone();
    envelope["request_id"] = json!(format!("{}", rand::random::<u64>()));
    old.request(subject, &envelope, PATIENCE).await.envelope()
}

#[tokio::test]
async fn bruin_refuses_logins() {
    let stage = Stage::new().await;
    stage.sandbox.faults().inject(ThirdParty::Bruin, Fault::new(Mode::RefuseLogins));
    let supervisor = stage.run(&["bruin-bridge"]).await;
    let (old, samples) = (stage.old_peer().await, samples(&stage));
    let reply = ask(&old, &samples, SUBJECT).await;
    assert_eq!((&reply["status"], &reply["body"]), (&json!(500), &json!("Missing BEARER token")));
    let host = run_of(&supervisor, "bruin-bridge");
    assert_eq!(host.not_ready(), ["not token of Bruin held"]);

    stage.sandbox.faults().clear(None);
    let reply = ask(&old, &samples, SUBJECT).await;
    assert_eq!(reply["status"], 200, "the next request logs in: {reply}");
    until("it is ready again", || host.not_ready().is_empty()).await;
}

#[tokio::test]
async fn bruin_is_dead_or_slow() {
    let stage = Stage::new().await;
    let supervisor = stage.run(&["bruin-bridge"]).await;
    let (old, samples) = (stage.old_peer().await, samples(&stage));
    for (fault, said) in [
        (Fault::new(Mode::Reset), "Connection error in Bruin API."),
        (Fault::status(503), "Got internal error from Bruin"),
        (Fault::new(Mode::Garbage), ""),
        // Longer than its 12 s.
        (Fault::latency(Duration::from_secs(60)), "Bruin did not answer in time"),
    ] {
        stage.sandbox.faults().inject(ThirdParty::Bruin, fault.clone());
        let began = Instant::now();
        let reply = ask(&old, &samples, SUBJECT).await;
        assert_eq!(reply["status"], 500, "{fault:?}: {reply}");
        assert!(reply["body"].as_str().is_some_and(|body| body.contains(said)), "{fault:?}: {reply}");
        assert!(began.elapsed() < Duration::from_secs(15), "{fault:?} took {:?}", began.elapsed());
        stage.sandbox.faults().clear(None);
        assert_eq!(ask(&old, &samples, SUBJECT).await["status"], 200, "after {fault:?}");
    }
    assert_no_restarts(&supervisor);
}

#[tokio::test]
async fn sessions_of_velocloud_expire_in_the_middle_of_work() {
    let stage = Stage::new().await;
    let _supervisor = stage.run(&["velocloud-bridge"]).await;
    let (old, samples) = (stage.old_peer().await, samples(&stage));
    let received = |path: &str| stage.sandbox.received().count(ThirdParty::VeloCloud, path);
    let expire = || assert!(stage.sandbox.sessions().expire(ThirdParty::VeloCloud) > 0);
    let (before, rounds) = (received("operatorLogin"), 10);
    for _ in 0..rounds {
        let subjects =
            ["request.enterprises.edges", "request.links.configuration", "get.links.with.edge.info"];
        let ask_all = || {
            let asked = subjects.iter().cycle().take(30).map(|subject| ask(&old, &samples, subject));
            futures::future::join_all(asked)
        };
        let calls = received("");
        let in_the_middle = async {
            until("VeloCloud is asked", || received("") > calls + 2).await;
            expire();
        };
        for reply in tokio::join!(ask_all(), in_the_middle).0 {
            assert_eq!(reply["status"], 200, "{reply}");
        }
        // Nobody may have asked after that expiry, so this is one.
        for reply in ask_all().await {
            assert_eq!(reply["status"], 200, "{reply}");
        }
    }
    assert_eq!(received("operatorLogin") - before, rounds, "one login for each expiry");
}

#[tokio::test]
async fn slack_has_no_time_and_an_accepted_message_is_delivered_once() {
    let stage = Stage::new().await;
    let _supervisor = stage.run(&["notifier"]).await;
    let (old, samples) = (stage.old_peer().await, samples(&stage));
    let posted = || stage.world().outbox().slack.total();
    stage.sandbox.faults().inject(ThirdParty::Slack, Fault::status(503));
    let reply = ask(&old, &samples, "notification.slack.request").await;
    assert_eq!(reply["status"], 202, "{reply}");
    assert_eq!(posted(), 0);
    stage.sandbox.faults().clear(None);
    until("the message is posted", || posted() == 1).await;
    let reply = ask(&old, &samples, "notification.slack.request").await;
    assert_eq!((reply["status"].as_u64(), posted()), (Some(200), 2));
}
