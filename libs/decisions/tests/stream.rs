//! The ledger in a real JetStream, and without one.

use chrono::DateTime;
use decisions::{Action, Carried, Decision, Executor, Ledger, Look, Mode, Outcome, Step};
use prometheus::Registry;
use serde::Serialize;
use serde_json::json;
use testkit::Nats;

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
    let done = executor.carry_out(decision, Look::BeforeRepeat, |_| async { Ok(()) }, || async { Ok(None) }).await;
    assert_eq!(done, Ok(Some(Carried::Done(()))));
}

fn executor(ledger: &Ledger) -> Executor {
    Executor::new("service-outage-monitor", Mode::Live, ledger.clone(), || DateTime::UNIX_EPOCH, &Registry::new()).unwrap()
}

#[tokio::test]
async fn what_was_decided_is_read_back_by_device_after_a_restart() {
    let nats = Nats::start_with_jetstream().await;
    let ledger = Ledger::stream(nats.client().await);
    let executor = executor(&ledger);
    resolve(&executor, "VC 1.2").await;
    let healthy = (0..3_000).map(|n| Decision::<Resolve>::abstain(format!("VC{n}"), "healthy", json!({}), "no ticket"));
    executor.abstain(healthy).await;

    let again = Ledger::stream(nats.client().await);
    let of_device = again.read(Some("VC 1.2")).await.unwrap();
    assert_eq!(of_device.len(), 2, "{of_device:?}");
    assert!(matches!(&of_device[0].step, Step::Intent { facts, .. } if facts == &json!({"state": "healthy"})));
    assert!(matches!(&of_device[1].step, Step::Outcome { outcome: Outcome::Done, .. }));
    assert_eq!(again.read(Some("VC2999")).await.unwrap().len(), 1);
    assert_eq!(again.read(None).await.unwrap().len(), 3_002);
}

#[tokio::test]
async fn without_jetstream_actions_go_on() {
    let nats = Nats::start().await;
    let ledger = Ledger::stream(nats.client().await);
    resolve(&executor(&ledger), "VC1").await;
    assert!(ledger.read(None).await.is_err());
}
