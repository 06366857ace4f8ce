//! Buckets in a real cluster.

use std::time::Duration;

use runtime::{Bucket, BucketError, Buckets};
use testkit::NatsCluster;
use tokio::time::timeout;

const BUCKET: Bucket = Bucket { name: "kept", about: "For a test", keep: Duration::ZERO };
const SOON: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(60);

/// What is refused is looked for elsewhere, so a cluster without a leader must not look like one without buckets. It gives
/// no answer at first, and then that it is unavailable.
#[tokio::test]
async fn a_cluster_without_a_leader_refuses_nothing() {
    let cluster = NatsCluster::start(3).await;
    let [node, others @ ..] = cluster.nodes() else { panic!("three nodes") };
    let buckets = Buckets::from(node.client().await);
    for other in others {
        other.kill9();
    }
    for _ in 0..4 {
        let error = BUCKET.open(&buckets, SOON).await.err();
        assert!(matches!(error, Some(BucketError::NoAnswer)), "{error:?}");
    }
    for other in others {
        other.restart().await;
    }
    let opened = async { while BUCKET.open(&buckets, SOON).await.is_err() {} };
    timeout(PATIENCE, opened).await.expect("the cluster has a leader again");
}
