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
        assert!(matches!(error, Some(BucketError::NotNow(_))), "{error:?}");
    }
    for other in others {
        other.restart().await;
    }
    let opened = async { while BUCKET.open(&buckets, SOON).await.is_err() {} };
    timeout(PATIENCE, opened).await.expect("the cluster has a leader again");
}

/// One copy would stay one copy, and be lost with its server.
#[tokio::test]
async fn in_a_cluster_that_lacks_a_server_no_bucket_is_created() {
    let cluster = NatsCluster::start(3).await;
    let [node, .., away] = cluster.nodes() else { panic!("three nodes") };
    let client = node.client().await;
    let buckets = Buckets::from(client.clone());
    away.stop().await;
    cluster.until_led().await.unwrap();
    let error = BUCKET.open(&buckets, SOON).await.err();
    assert!(matches!(error, Some(BucketError::NotNow(_))), "{error:?}");
    away.restart().await;
    let opened = async { while BUCKET.open(&buckets, SOON).await.is_err() {} };
    timeout(PATIENCE, opened).await.expect("all servers are there again");
    let stream = async_nats::jetstream::new(client).get_stream("KV_kept").await.unwrap();
    let config = &stream.cached_info().config;
    // Reads of what was just written must not be answered by a server that lags behind.
    assert_eq!((config.num_replicas, config.allow_direct), (3, false));
}
