//! What a model, a network and requesters do to the service, over real sockets.

use std::time::Duration;

use crate::bridge::{LIVE, PREDICTION, T7};
use futures::future::join_all;
use model_bridges::{Bridge, Scene};
use sandbox::kre::Prepared;
use serde_json::{Value, json};

model_bridges::tests!(T7);

fn outcome() -> Value {
    T7::outcomes().remove(0).ask.body
}

#[tokio::test]
async fn what_the_model_surely_did_not_save_may_be_sent_again_under_the_same_id() {
    let scene = Scene::<T7>::start(&[]).await;
    scene.prepare("SaveLiveMetrics", Prepared::status("PERMISSION_DENIED", "not now").times(1));
    assert_eq!(scene.ask(LIVE, outcome()).await.0, 403);
    assert_eq!(scene.ask(LIVE, outcome()).await.0, 200);
    // What may have been saved is not sent again.
    scene.prepare("SaveLiveMetrics", Prepared::status("UNKNOWN", "who knows").times(1));
    let first = scene.ask_as("r-2", LIVE, &outcome()).await;
    assert_eq!(first.0, 500);
    assert_eq!(scene.ask_as("r-2", LIVE, &outcome()).await, first);
    assert_eq!(scene.received("SaveLiveMetrics").len(), 3);
}

#[tokio::test]
async fn a_slow_model_keeps_nobody_else_waiting() {
    let scene = Scene::<T7>::start(&[("KRE_DEADLINE", "1.5")]).await;
    scene.prepare("Prediction", Prepared::default().after(Duration::from_secs(60)));
    let slow = join_all((0..4).map(|_| scene.ask(PREDICTION, T7::question().body)));
    let quick = async {
        let mut answered = 0;
        for id in 0..10 {
            answered += i32::from(scene.ask_as(&id.to_string(), LIVE, &outcome()).await.0 == 200);
        }
        answered
    };
    let (slow, quick) = tokio::join!(slow, quick);
    assert_eq!(quick, 10);
    for reply in slow {
        assert_eq!(reply, (408, json!("Grpc error details: Deadline Exceeded")));
    }
}

#[tokio::test]
async fn calls_are_counted_by_method_and_status() {
    let scene = Scene::<T7>::start(&[]).await;
    scene.ask(PREDICTION, T7::question().body).await;
    scene.prepare("SaveLiveMetrics", Prepared::status("INTERNAL", "no"));
    scene.ask(LIVE, outcome()).await;
    let counts = scene.service.metrics("kre_calls_total").join("\n");
    for (rpc, code) in [("Prediction", "OK"), ("SaveLiveMetrics", "INTERNAL")] {
        let expected = format!(r#"code="{code}",model="t7",rpc="{rpc}"}} 1"#);
        assert!(counts.contains(&expected), "{counts}");
    }
}
