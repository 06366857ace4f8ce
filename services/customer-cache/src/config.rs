//! The settings of the customer cache (spec `customer-cache`, "Configuration").

use std::time::Duration;

use bus::RedisOptions;
use chrono_tz::Tz;
use contracts::{customer_cache::EdgeIdentity, id::ClientId};
use runtime::{FromEnvironment, Invalid, Reader};

/// Typed settings. Durations are in seconds in the environment.
#[derive(Debug, Clone)]
pub struct Config {
    /// `REDIS_CUSTOMER_CACHE_HOSTNAME` and the like: the Redis of the lists.
    pub redis: RedisOptions,
    /// `TIMEZONE`: the offset of sites whose own time zone is unknown.
    pub timezone: Tz,
    /// `VELOCLOUD_HOSTS`: the hosts to cache, and what an empty filter means.
    pub hosts: Vec<String>,
    /// `DUPLICATE_INVENTORIES_RECIPIENT`: who gets the e-mails.
    pub recipient: String,
    /// `REFRESH_JOB_INTERVAL` (14400 s): from the end of a refresh to the next one, cut to whole minutes.
    pub refresh_interval: Duration,
    /// `REFRESH_CHECK_INTERVAL` (300 s): how often it is looked whether a refresh is due, cut to whole minutes.
    pub check_interval: Duration,
    /// `BLACKLISTED_EDGES`: never cached.
    pub blacklisted_edges: Vec<EdgeIdentity>,
    /// `BLACKLISTED_CLIENTS_WITH_PENDING_STATUS`: clients whose edges are not monitored while they are `Pending`.
    pub blacklisted_pending_clients: Vec<ClientId>,
    /// `WHITELISTED_MANAGEMENT_STATUSES`: management statuses of monitored edges, exact.
    pub whitelisted_statuses: Vec<String>,
    /// `EDGE_CHECK_CONCURRENCY`: edges checked against Bruin at the same time, over all hosts.
    pub edge_checks: usize,
    /// `VELOCLOUD_CONCURRENCY`: requests to the VeloCloud bridge at the same time, for each host.
    pub velocloud_requests: usize,
    /// `DROP_MISSING_EDGES_AFTER_REFRESHES`: an edge which VeloCloud no longer lists is dropped after so many refreshes;
    /// 0 = never.
    pub drop_missing_after: u32,
}

impl FromEnvironment for Config {
    fn read(env: &mut Reader<'_>) -> Result<Self, Invalid> {
        let redis = env.redis("REDIS_CUSTOMER_CACHE");
        let timezone = env.time_zone();
        // Required by the deployment, and not used: no behaviour here depends on the stage.
        let current_environment = env.current_environment();
        let hosts = env.json("VELOCLOUD_HOSTS", r#"a JSON list of hosts, e.g. ["vco1.example.net"]"#);
        let recipient = env.required("DUPLICATE_INVENTORIES_RECIPIENT", "an e-mail address");
        let refresh_interval = caching::settings::refresh_interval(env);
        let check_interval = env.job_interval("REFRESH_CHECK_INTERVAL", 300);
        let blacklisted_edges =
            env.json("BLACKLISTED_EDGES", r#"a JSON list of {"host","enterprise_id","edge_id"}, perhaps []"#);
        let blacklisted_pending_clients =
            env.json("BLACKLISTED_CLIENTS_WITH_PENDING_STATUS", "a JSON list of client ids, perhaps []");
        let whitelisted_statuses = caching::settings::monitored_statuses(env);
        let edge_checks = env.or("EDGE_CHECK_CONCURRENCY", 3, "a number of 1 or more");
        let velocloud_requests = env.or("VELOCLOUD_CONCURRENCY", 8, "a number of 1 or more");
        let drop_missing_after =
            env.or("DROP_MISSING_EDGES_AFTER_REFRESHES", 6, "a number of refreshes, 0 = never");
        current_environment?;
        Ok(Self {
            redis: redis?,
            timezone: timezone?,
            hosts: hosts?,
            recipient: recipient?,
            refresh_interval: refresh_interval?,
            check_interval: check_interval?.max(Duration::from_secs(1)),
            blacklisted_edges: blacklisted_edges?,
            blacklisted_pending_clients: blacklisted_pending_clients?,
            whitelisted_statuses: whitelisted_statuses?,
            edge_checks: edge_checks?.max(1),
            velocloud_requests: velocloud_requests?.max(1),
            drop_missing_after: drop_missing_after?,
        })
    }
}

#[cfg(test)]
mod tests {
    use runtime::Environment;

    use super::*;

    fn read(settings: &[(&str, &str)]) -> Config {
        let needed = [
            ("REDIS_CUSTOMER_CACHE_HOSTNAME", "redis"),
            ("TIMEZONE", "US/Eastern"),
            ("CURRENT_ENVIRONMENT", "dev"),
            ("VELOCLOUD_HOSTS", "[]"),
            ("DUPLICATE_INVENTORIES_RECIPIENT", "ops@example.com"),
            ("BLACKLISTED_EDGES", "[]"),
            ("BLACKLISTED_CLIENTS_WITH_PENDING_STATUS", "[]"),
        ];
        needed.iter().chain(settings).copied().collect::<Environment>().read().unwrap()
    }

    #[test]
    fn intervals_are_cut_to_whole_minutes_where_there_is_one() {
        for (set, seconds) in [("14400", 14_400), ("14459", 14_400), ("119", 60), ("60", 60), ("59", 59)] {
            let config = read(&[("REFRESH_JOB_INTERVAL", set), ("REFRESH_CHECK_INTERVAL", set)]);
            let interval = Duration::from_secs(seconds);
            assert_eq!((config.refresh_interval, config.check_interval), (interval, interval), "{set}");
        }
    }

    #[test]
    fn what_the_page_gives_a_value_for_has_it_by_default() {
        let config = read(&[]);
        let seconds = Duration::from_secs;
        assert_eq!((config.refresh_interval, config.check_interval), (seconds(14_400), seconds(300)));
        assert_eq!(
            config.whitelisted_statuses,
            ["Pending", "Active \u{2013} Gold Monitoring", "Active \u{2013} Platinum Monitoring"]
        );
    }
}
