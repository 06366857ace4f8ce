//! The settings of the triage mode (spec "Configuration"). The `MONITORING__` variables are not read in this mode.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use runtime::{FromEnvironment, Invalid, Reader};

use crate::config::{Common, positive, set};

/// The settings of the triage mode.
#[derive(Debug, Clone)]
pub struct Config {
    /// The settings of both modes.
    pub common: Arc<Common>,
    /// `TRIAGE__MONITORING_JOB_INTERVAL` (600 s), cut to whole minutes; what is below a minute stays as it is.
    pub interval: Duration,
    /// `TRIAGE__MAX_EVENTS_PER_EVENT_NOTE` (15).
    pub max_events: usize,
    /// `TRIAGE__MONITORED_VELOCLOUD_HOSTS`: the hosts whose edge states are fetched.
    pub hosts: Vec<String>,
    /// `TRIAGE__LAST_NOTE_INTERVAL` (1800 s): a line whose newest triage note is not older is left alone.
    pub last_note_interval: Duration,
    /// `TRIAGE__MAX_CONCURRENT_TICKETS` (5): tickets that are asked for, and handled, at the same time.
    pub concurrency: usize,
    /// What is set of the settings that decisions depend on, as it stands in the ledger.
    pub set: BTreeMap<String, String>,
}

impl FromEnvironment for Config {
    fn read(env: &mut Reader<'_>) -> Result<Self, Invalid> {
        const HOSTS: &str = "TRIAGE__MONITORED_VELOCLOUD_HOSTS";
        const EXPECTED: &str = "in triage mode: a JSON list of VeloCloud hosts, e.g. [\"vco1.example.net\"]";
        let common = Common::read(env);
        let interval = env.job_interval("TRIAGE__MONITORING_JOB_INTERVAL", 600);
        let max_events = positive(env, "TRIAGE__MAX_EVENTS_PER_EVENT_NOTE", 15);
        let hosts: Result<Vec<String>, Invalid> = match env.json::<Vec<String>>(HOSTS, EXPECTED) {
            Ok(hosts) if hosts.is_empty() => Err(env.reject(HOSTS, EXPECTED)),
            read => read,
        };
        let last_note_interval = env.seconds("TRIAGE__LAST_NOTE_INTERVAL", 1_800);
        let concurrency = positive(env, "TRIAGE__MAX_CONCURRENT_TICKETS", 5);
        Ok(Self {
            common: Arc::new(common?),
            interval: interval?,
            max_events: max_events?,
            hosts: hosts?,
            last_note_interval: last_note_interval?,
            concurrency: concurrency?,
            set: set(env),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment() -> runtime::Environment {
        runtime::Environment::from([
            ("ENVIRONMENT_NAME", "automation-example"),
            ("CURRENT_ENVIRONMENT", "production"),
            ("TIMEZONE", "US/Eastern"),
            ("ENABLE_TRIAGE_MONITORING", "1"),
            ("TRIAGE__MONITORED_VELOCLOUD_HOSTS", r#"["vco1.example.net", "vco2.example.net"]"#),
        ])
    }

    #[test]
    fn the_defaults_are_those_of_the_specification() {
        let config = environment().read::<Config>().unwrap();
        assert_eq!((config.interval.as_secs(), config.max_events), (600, 15));
        assert_eq!((config.last_note_interval.as_secs(), config.concurrency), (1_800, 5));
        assert_eq!(config.hosts, ["vco1.example.net", "vco2.example.net"]);
        assert_eq!(config.common.product_category, "SD-WAN");
    }

    #[test]
    fn the_interval_is_cut_to_whole_minutes() {
        for (set, runs_every) in [("600", 600), ("659", 600), ("60", 60), ("119", 60), ("10", 10)] {
            let environment = environment().with("TRIAGE__MONITORING_JOB_INTERVAL", set);
            assert_eq!(environment.read::<Config>().unwrap().interval.as_secs(), runs_every, "{set}");
        }
    }

    #[test]
    fn every_problem_is_named_at_once() {
        let environment = environment()
            .with("TRIAGE__MONITORED_VELOCLOUD_HOSTS", "[]")
            .with("TRIAGE__MAX_EVENTS_PER_EVENT_NOTE", "0")
            .with("TIMEZONE", "nowhere");
        let error = environment.read::<Config>().unwrap_err().to_string();
        for name in ["TRIAGE__MONITORED_VELOCLOUD_HOSTS", "TRIAGE__MAX_EVENTS_PER_EVENT_NOTE", "TIMEZONE"] {
            assert!(error.contains(name), "{name}: {error}");
        }
    }
}
