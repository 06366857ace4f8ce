//! What replicas and restarts share: the lease, the lists in Redis, the settings without which none starts.

use redis::AsyncCommands;
use runtime::Clock;
use serde_json::json;
use testkit::{PATIENCE, recordings::Stage};

use crate::{
    refresh::{HOST, ONE_HOST, RETRY, clock, job_ended, peers, refreshed, row},
    running::{self, ask},
};

const LEASE: &str = "customer-cache:dev:lease";
const ENDED: &str = "customer-cache:dev:ended";

/// P5: the holder of the lease was killed. Nothing waits for the next tick.
#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_that_another_replica_cannot_end_goes_on_within_15_seconds() {
    let stage = Stage::start("customer-cache").await;
    peers(&stage, &[row("A", 1, None)]).await;
    stage.store(LEASE, "killed").await;
    let clock = clock("2022-01-31T12:00:00Z");
    let service = stage.run_at(&customer_cache::service(), &clock, &[ONE_HOST]).await;
    clock.sleepers(1).await;
    let () = stage.redis.connection().await.del(LEASE).await.unwrap();
    clock.advance(std::time::Duration::from_secs(4));
    refreshed(&stage, "01/31/2022, 16:00:04").await;
    service.stop().await.unwrap();
}

/// The other part of the 15 seconds: so long a killed holder keeps the others out.
#[tokio::test(flavor = "multi_thread")]
async fn the_lease_of_a_refresh_under_way_lasts_ten_seconds() {
    let stage = Stage::start("customer-cache").await;
    peers(&stage, &[row("A", 1, None)]).await;
    stage.peers.silence("get.links.with.edge.info").await;
    let service = stage.run_at(&customer_cache::service(), &clock("2022-01-31T12:00:00Z"), &[ONE_HOST]).await;
    assert!(stage.peers.until(PATIENCE, |all| !all.is_empty()).await);
    let left: i64 = stage.redis.connection().await.pttl(LEASE).await.unwrap();
    assert!((1..=10_000).contains(&left), "{left} ms");
    service.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_that_failed_at_another_replica_waits_for_the_next_tick() {
    let stage = Stage::start("customer-cache").await;
    peers(&stage, &[row("A", 1, None)]).await;
    running::no_refresh(&stage).await;
    let mut redis = stage.redis.connection().await;
    let () = redis.sadd(RETRY, HOST).await.unwrap();
    stage.store(LEASE, "another").await;
    let clock = clock("2022-01-31T12:00:00Z");
    let service = stage.run_at(&customer_cache::service(), &clock, &[ONE_HOST]).await;
    clock.sleepers(1).await;
    stage.store(ENDED, "2022-01-31T12:00:01+00:00").await;
    let () = redis.del(LEASE).await.unwrap();
    clock.advance(std::time::Duration::from_secs(4));
    job_ended(&service).await;
    assert_eq!(stage.peers.requests_on("get.links.with.edge.info").len(), 0);
    clock.sleepers(1).await;
    clock.advance(std::time::Duration::from_secs(300));
    assert!(
        stage.peers.until(PATIENCE, |all| all.iter().any(|r| r.subject == "get.links.with.edge.info")).await
    );
    service.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_replicas_one_refreshes_and_both_serve() {
    let stage = Stage::start("customer-cache").await;
    peers(&stage, &[row("A", 1, None)]).await;
    let clock = clock("2022-01-31T12:00:00Z");
    let service = customer_cache::service();
    let (one, two) = tokio::join!(
        stage.run_at(&service, &clock, &[ONE_HOST]),
        stage.run_at(&service, &clock, &[ONE_HOST])
    );
    refreshed(&stage, "01/31/2022, 16:00:00").await;
    for _ in 0..20 {
        assert_eq!(ask(&stage, json!({"filter": {}})).await.0, 200);
    }
    assert_eq!(stage.peers.requests_on("get.links.with.edge.info").len(), 1);
    one.stop().await.unwrap();
    two.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_many_megabytes_travels_by_token_and_follows_what_redis_holds() {
    let stage = Stage::start("customer-cache").await;
    running::no_refresh(&stage).await;
    let service = stage.run_at(&customer_cache::service(), &Clock::system(), &[ONE_HOST]).await;
    let list = |count: i64| {
        let edge = |id| {
            json!({"edge": {"host": HOST, "enterprise_id": 1, "edge_id": id}, "serial_number": format!("VC{id}"),
                   "site_details": {"siteLabel": "x".repeat(500)}})
        };
        json!((0..count).map(edge).collect::<Vec<_>>()).to_string()
    };
    for count in [4_000, 4_001, 3] {
        stage.store("dev-vco1.example.test", &list(count)).await;
        for _ in 0..2 {
            let (status, body) = ask(&stage, json!({"filter": {}})).await;
            assert_eq!((status, body.as_array().unwrap().len()), (200, usize::try_from(count).unwrap()));
        }
    }
    service.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_redis_is_told_by_503_and_comes_back() {
    let stage = Stage::start("customer-cache").await;
    let own = testkit::Redis::start().await;
    let port = own.port().to_string();
    let mut connection = own.connection().await;
    let () = redis::cmd("SET")
        .arg("dev-next_refresh_date")
        .arg("01/01/2099, 00:00:00")
        .query_async(&mut connection)
        .await
        .unwrap();
    let service = stage
        .run_at(
            &customer_cache::service(),
            &Clock::system(),
            &[ONE_HOST, ("REDIS_CUSTOMER_CACHE_PORT", &port)],
        )
        .await;
    assert_eq!(ask(&stage, json!({"filter": {}})).await.0, 202);
    own.kill9();
    assert_eq!(ask(&stage, json!({"filter": {}})).await.0, 503);
    own.restart().await;
    let until = tokio::time::Instant::now() + PATIENCE;
    while ask(&stage, json!({"filter": {}})).await.0 != 202 {
        assert!(tokio::time::Instant::now() < until, "does not recover");
    }
    service.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_redis_the_service_does_not_start_and_says_so() {
    let stage = Stage::start("customer-cache").await;
    let error = stage.why_not(&customer_cache::service(), &[("REDIS_CUSTOMER_CACHE_PORT", "1")]).await;
    assert!(error.contains("REDIS_CUSTOMER_CACHE_HOSTNAME"), "{error}");
}

#[test]
fn an_empty_environment_names_every_missing_variable() {
    let runnable = customer_cache::service();
    let errors = runnable.check(&runtime::Environment::default()).unwrap_err().to_string();
    for name in [
        "NATS_SERVER1",
        "REDIS_HOSTNAME",
        "ENVIRONMENT_NAME",
        "REDIS_CUSTOMER_CACHE_HOSTNAME",
        "TIMEZONE",
        "CURRENT_ENVIRONMENT",
        "VELOCLOUD_HOSTS",
        "DUPLICATE_INVENTORIES_RECIPIENT",
        "BLACKLISTED_EDGES",
        "BLACKLISTED_CLIENTS_WITH_PENDING_STATUS",
    ] {
        assert!(errors.contains(&format!("{name} is missing")), "{name}: {errors}");
    }
}
