//! The ledger in a real JetStream, and without one.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use chrono::DateTime;
use decisions::{Action, Carried, Decision, Entry, Executor, Ledger, Look, Mode, Outcome, ReadError, Step};
use prometheus::Registry;
use serde::Serialize;
use serde_json::json;
use testkit::{Nats, NatsCluster};
use tokio::time::Instant;

#[derive(Clone, Serialize)]
struct Resolve {
    ticket: u32,
}

impl Action for Resolve {
    fn name(&self) -> &'static str {
        "resolve"
    }
    fn target(&self) -> String {
        format!("ticket {}", self.ticket)
    }
}

async fn resolve(executor: &Executor, device: &str) {
    let decision = Decision::act(device, "autoresolve", json!({"state": "healthy"}), Resolve { ticket: 555 });
    let done =
        executor.carry_out(decision, Look::BeforeRepeat, |_| async { Ok(()) }, || async { Ok(None) }).await;
    assert_eq!(done, Ok(Some(Carried::Done(()))));
}

fn executor(ledger: &Ledger) -> Executor {
    Executor::new(
        "service-outage-monitor",
        Mode::Live,
        ledger.clone(),
        || DateTime::UNIX_EPOCH,
        &Registry::new(),
    )
    .unwrap()
}

#[tokio::test]
async fn what_was_decided_is_read_back_by_device_after_a_restart() {
    let nats = Nats::start_with_jetstream().await;
    let ledger = Ledger::stream(nats.client().await);
    let executor = executor(&ledger);
    resolve(&executor, "VC 1.2").await;
    let healthy =
        (0..3_000).map(|n| Decision::<Resolve>::abstain(format!("VC{n}"), "healthy", json!({}), "no ticket"));
    executor.abstain(healthy).await;

    let again = Ledger::stream(nats.client().await);
    let of_device = again.read(Some("VC 1.2")).await.unwrap();
    assert_eq!(of_device.len(), 2, "{of_device:?}");
    assert!(
        matches!(&of_device[0].step, Step::Intent { facts, .. } if facts == &json!({"state": "healthy"}))
    );
    assert!(matches!(&of_device[1].step, Step::Outcome { outcome: Outcome::Done, .. }));
    assert_eq!(again.read(Some("VC2999")).await.unwrap().len(), 1);
    assert_eq!(again.read(None).await.unwrap().len(), 3_002);
}

#[tokio::test]
async fn the_last_cycle_of_a_device_is_told_with_what_was_done_before() {
    let nats = Nats::start_with_jetstream().await;
    let ledger = Ledger::stream(nats.client().await);
    assert!(matches!(ledger.last("VC1").await, Err(ReadError::NoStream)));
    let now = Arc::new(AtomicI64::new(0));
    let clock = now.clone();
    let clock = move || DateTime::from_timestamp(clock.load(Ordering::SeqCst), 0).unwrap();
    let executor =
        Executor::new("service-outage-monitor", Mode::Live, ledger.clone(), clock, &Registry::new()).unwrap();
    resolve(&executor, "VC1").await;
    for cycle in 1..=3 {
        now.store(cycle * 600, Ordering::SeqCst);
        let healthy = (0..3_000)
            .map(|n| Decision::<Resolve>::abstain(format!("VC{n}"), "healthy", json!({}), "no ticket"));
        executor.abstain(healthy).await;
    }
    resolve(&executor, "VC2").await;

    let last = async |device| ledger.last(device).await.unwrap();
    let story = last("VC1").await.remove(0);
    let at: Vec<i64> = story.cycle.iter().map(|record| record.at.timestamp()).collect();
    assert_eq!(at, [1_800]);
    assert!(matches!(&story.before[1].step, Step::Outcome { outcome: Outcome::Done, .. }));
    // A batch and what stands under the device's own subject are in the order in which they were written.
    let rules: Vec<String> =
        last("VC2").await.remove(0).cycle.into_iter().map(|record| record.rule).collect();
    assert_eq!(rules, ["healthy", "autoresolve", "autoresolve"]);
    assert_eq!(last("VC3000").await, []);
}

#[tokio::test]
async fn the_settings_in_force_stand_with_what_was_decided() {
    let nats = Nats::start_with_jetstream().await;
    for ledger in [Ledger::stream(nats.client().await), Ledger::memory()] {
        let values = BTreeMap::from([("LIMIT".to_owned(), "3".to_owned())]);
        let executor = executor(&ledger).with_settings(values.clone());
        // Once an hour at most.
        executor.tell_settings().await;
        executor.tell_settings().await;
        let healthy =
            (0..3_000).map(|n| Decision::<Resolve>::abstain(format!("VC{n}"), "healthy", json!({}), "none"));
        executor.abstain(healthy).await;
        resolve(&executor, "VC7").await;

        for (device, records) in [(None, 3_002), (Some("VC7"), 3), (Some("VC3000"), 0)] {
            let mut entries = Vec::new();
            ledger.entries(device, None, |entry| entries.push(entry)).await.unwrap();
            let Entry::Settings(settings) = entries.remove(0) else { panic!("{ledger:?}: settings first") };
            assert_eq!(settings.values, values);
            assert_eq!(entries.len(), records, "{ledger:?} {device:?}");
            let of_them = |entry: &Entry| entry.record().is_some_and(|record| record.settings == settings.id);
            assert!(entries.iter().all(of_them), "{ledger:?} {device:?}");
            // A line of a recording is read as it was written.
            for entry in entries.iter().take(5) {
                assert_eq!(Entry::read(&serde_json::to_vec(entry).unwrap()).as_ref(), Some(entry));
            }
        }
        let mut recent = 0;
        ledger.entries(None, Some(Duration::from_secs(3_600)), |_| recent += 1).await.unwrap();
        assert_eq!(recent, 3_003, "{ledger:?}");
    }
    assert_eq!(Entry::read(b"hello"), None);
}

#[tokio::test]
async fn without_jetstream_actions_go_on() {
    let nats = Nats::start().await;
    let ledger = Ledger::stream(nats.client().await);
    resolve(&executor(&ledger), "VC1").await;
    assert!(matches!(ledger.read(None).await, Err(ReadError::NoJetStream)));
    assert!(matches!(ledger.last("VC1").await, Err(ReadError::NoJetStream)));
}

/// Time is the test's own, so nothing but the ledger's limit ends the waiting.
#[tokio::test]
async fn a_silent_jetstream_holds_an_action_up_for_two_seconds_at_most() {
    let nats = Nats::start().await;
    let peer = nats.client().await;
    let _silent = [peer.subscribe("$JS.API.>").await.unwrap(), peer.subscribe("decisions.>").await.unwrap()];
    peer.flush().await.unwrap();
    let ledger = Ledger::stream(nats.client().await);
    let executor = executor(&ledger);
    tokio::time::pause();
    // Its intent finds that nobody answers; its outcome and the next action rest on that.
    for (least, most) in [(500, 2_010), (0, 0)] {
        let began = Instant::now();
        resolve(&executor, "VC1").await;
        let took = began.elapsed().as_millis();
        assert!((least..=most).contains(&took), "{took} ms, not {least} to {most}");
    }
}

#[tokio::test]
async fn in_a_cluster_the_ledger_survives_the_loss_of_a_server() {
    let cluster = NatsCluster::start(3).await;
    let client = cluster.nodes()[0].client().await;
    let ledger = Ledger::stream(client.clone());
    resolve(&executor(&ledger), "VC1").await;
    let stream = async_nats::jetstream::new(client).get_stream(decisions::STREAM).await.unwrap();
    assert_eq!(stream.cached_info().config.num_replicas, 3);
}
