//! One refresh of the customer cache over networks of several sizes, among neighbours that answer at once.

use std::path::Path;

use measure::{Program, Service};
use serde_json::json;
use testkit::{Nats, NatsOptions, Redis, RedisOptions};

use crate::cycle::{Cycle, until_ended};
use crate::neighbours;
use crate::network::{HOST, Network};

const SERVICE: &str = "customer-cache";
const JOB: &str = "refresh";

/// One refresh of a network of this size, with what it took. The log goes to the end of a file.
///
/// # Errors
/// When something does not start, or the refresh does not end well.
pub async fn once(network: Network, binaries: &Path, log: &Path) -> anyhow::Result<Cycle> {
    let nats = Nats::try_start(NatsOptions::default()).await?;
    let redis = Redis::try_start(RedisOptions::default()).await?;
    let (nats_url, redis_url, edges) = (nats.url(), redis.url(), network.edges.to_string());
    let arguments = ["neighbours", "--nats", &nats_url, "--redis", &redis_url, "--edges", &edges];
    let (_neighbours, _) = Program::helper(&arguments).await?;
    let client = async_nats::connect(&nats_url).await?;
    let cache = Service::start(binaries, SERVICE, &environment(&nats, &redis), Some(log)).await?;
    let seconds = until_ended(cache.http_port, JOB).await?;
    let (cpu, memory) = (cache.program.cpu()?, cache.program.memory()?);
    let requests = neighbours::counts(&client).await?;
    cache.program.stop().await?;
    Ok(Cycle { seconds, cpu, peak: memory.peak, requests })
}

fn environment(nats: &Nats, redis: &Redis) -> Vec<(String, String)> {
    [
        ("NATS_SERVER1", nats.url()),
        ("REDIS_HOSTNAME", redis.host()),
        ("REDIS_PORT", redis.port().to_string()),
        ("REDIS_CUSTOMER_CACHE_HOSTNAME", redis.host()),
        ("REDIS_CUSTOMER_CACHE_PORT", redis.port().to_string()),
        ("ENVIRONMENT_NAME", "bench".to_owned()),
        ("CURRENT_ENVIRONMENT", "production".to_owned()),
        ("TIMEZONE", "US/Eastern".to_owned()),
        ("VELOCLOUD_HOSTS", json!([HOST]).to_string()),
        ("DUPLICATE_INVENTORIES_RECIPIENT", "ops@bench.example".to_owned()),
        ("REFRESH_JOB_INTERVAL", "3600".to_owned()),
        ("REFRESH_CHECK_INTERVAL", "60".to_owned()),
        ("BLACKLISTED_EDGES", "[]".to_owned()),
        ("BLACKLISTED_CLIENTS_WITH_PENDING_STATUS", "[]".to_owned()),
        ("WHITELISTED_MANAGEMENT_STATUSES", json!([neighbours::MONITORED]).to_string()),
        // The third parties' patience is not what is measured.
        ("EDGE_CHECK_CONCURRENCY", "32".to_owned()),
        ("VELOCLOUD_CONCURRENCY", "32".to_owned()),
        ("MAX_PAYLOAD_MIB", "128".to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec()
}
