//! The settings of the Hawkeye customer cache (spec `hawkeye-customer-cache`, "Configuration").

use std::time::Duration;

use bus::RedisOptions;
use runtime::{FromEnvironment, Invalid, Reader};

/// Typed settings.
#[derive(Debug, Clone)]
pub struct Config {
    /// `REDIS_CUSTOMER_CACHE_HOSTNAME` and the like: the Redis of the list.
    pub redis: RedisOptions,
    /// `DUPLICATE_INVENTORIES_RECIPIENT`: who gets the e-mails. Required.
    pub recipient: String,
    /// `REFRESH_JOB_INTERVAL` (14400 s): from one refresh to the next, in whole minutes, one at least.
    pub refresh_interval: Duration,
    /// `WHITELISTED_MANAGEMENT_STATUSES`: management statuses of monitored devices, exact.
    pub whitelisted_statuses: Vec<String>,
    /// `PROBE_CHECK_CONCURRENCY` (8): devices checked against Bruin at the same time.
    pub checks: usize,
}

impl FromEnvironment for Config {
    fn read(env: &mut Reader<'_>) -> Result<Self, Invalid> {
        let redis = env.redis("REDIS_CUSTOMER_CACHE");
        let recipient = env.required("DUPLICATE_INVENTORIES_RECIPIENT", "an e-mail address");
        let refresh_interval = caching::settings::refresh_interval(env);
        let whitelisted_statuses = caching::settings::monitored_statuses(env);
        let checks = env.or("PROBE_CHECK_CONCURRENCY", 8, "a number of 1 or more");
        Ok(Self {
            redis: redis?,
            recipient: recipient?,
            refresh_interval: refresh_interval?,
            whitelisted_statuses: whitelisted_statuses?,
            checks: checks?.max(1),
        })
    }
}

#[cfg(test)]
mod tests {
    use runtime::Environment;

    use super::*;

    fn read(settings: &[(&str, &str)]) -> Result<Config, runtime::ConfigErrors> {
        let needed = [
            ("REDIS_CUSTOMER_CACHE_HOSTNAME", "redis"),
            ("DUPLICATE_INVENTORIES_RECIPIENT", "ops@example.com"),
        ];
        needed.iter().chain(settings).copied().collect::<Environment>().read::<Config>()
    }

    #[test]
    fn what_is_missing_is_named_at_once() {
        let message = Environment::default().read::<Config>().unwrap_err().to_string();
        for name in ["REDIS_CUSTOMER_CACHE_HOSTNAME", "DUPLICATE_INVENTORIES_RECIPIENT"] {
            assert!(message.contains(&format!("{name} is missing")), "{message}");
        }
    }

    #[test]
    fn the_defaults_are_those_of_production() {
        let config = read(&[]).unwrap();
        assert_eq!(config.refresh_interval, Duration::from_secs(14_400));
        assert_eq!(config.whitelisted_statuses.len(), 3);
    }

    #[test]
    fn intervals_are_rounded_down_to_minutes() {
        for (given, seconds) in [("14400", 14_400), ("179", 120), ("60", 60), ("61", 60), ("59", 59)] {
            let config = read(&[("REFRESH_JOB_INTERVAL", given)]).unwrap();
            assert_eq!(config.refresh_interval, Duration::from_secs(seconds), "{given}");
        }
        let error = read(&[("WHITELISTED_MANAGEMENT_STATUSES", "Pending")]).unwrap_err().to_string();
        assert!(error.contains("WHITELISTED_MANAGEMENT_STATUSES"), "{error}");
    }
}
