//! The settings (spec "Configuration").

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use chrono_tz::Tz;
use contracts::customer_cache::EdgeIdentity;
use runtime::{FromEnvironment, Invalid, Reader};
use ticketing::{GraceWindow, OutageKind, Severity};

use crate::{
    replay,
    rules::{Environment, asr, autoresolve, digi, severity},
    triage,
};

/// The settings of the mode in which the process runs (`ENABLE_TRIAGE_MONITORING`).
#[derive(Debug, Clone)]
pub enum Settings {
    /// `0`: outage monitoring.
    Outage(Box<Config>),
    /// `1`: triage.
    Triage(triage::config::Config),
}

impl FromEnvironment for Settings {
    fn read(env: &mut Reader<'_>) -> Result<Self, Invalid> {
        const NAME: &str = "ENABLE_TRIAGE_MONITORING";
        const EXPECTED: &str = "0 (outage monitoring) or 1 (triage)";
        let mode = env.required::<String>(NAME, EXPECTED);
        match mode.as_deref().map(str::trim) {
            Ok("0") => Config::read(env).map(|config| Self::Outage(Box::new(config))),
            Ok("1") => triage::config::Config::read(env).map(Self::Triage),
            _ => {
                let invalid = mode.map_or_else(|missing| missing, |_| env.reject(NAME, EXPECTED));
                // Without a mode the settings of both are told.
                let _ = Config::read(env);
                let _ = triage::config::Config::read(env);
                Err(invalid)
            }
        }
    }
}

/// The settings of both modes.
#[derive(Debug, Clone)]
pub struct Common {
    /// `ENVIRONMENT_NAME`: the deployment, in texts about VeloCloud.
    pub environment_name: String,
    /// `CURRENT_ENVIRONMENT`: tickets are changed only when it is `production`.
    pub environment: Environment,
    /// `TIMEZONE`: of times in notes, and of sites whose offset is unknown.
    pub zone: Tz,
    /// `BRUIN_TIMEZONE` (UTC): of dates from Bruin which have no zone.
    pub bruin_zone: Tz,
    /// `MONITORED_PRODUCT_CATEGORY` (`SD-WAN`).
    pub product_category: String,
}

impl Common {
    /// Reads them.
    ///
    /// # Errors
    /// When one of them is missing or wrong.
    pub fn read(env: &mut Reader<'_>) -> Result<Self, Invalid> {
        let environment_name = env.required::<String>("ENVIRONMENT_NAME", "the name of the deployment");
        let environment = env.current_environment().map(Environment);
        let zone = env.time_zone();
        let bruin_zone = env.or("BRUIN_TIMEZONE", Tz::UTC, "an IANA time zone, e.g. US/Eastern");
        let product_category =
            env.or("MONITORED_PRODUCT_CATEGORY", "SD-WAN".to_owned(), "a product category of Bruin");
        Ok(Self {
            environment_name: environment_name?,
            environment: environment?,
            zone: zone?,
            bruin_zone: bruin_zone?,
            product_category: product_category?,
        })
    }
}

/// The settings of the outage mode.
#[derive(Debug, Clone)]
pub struct Config {
    /// The settings of both modes.
    pub common: Arc<Common>,
    /// `MONITORING__VELOCLOUD_HOST`: the one host which this process monitors.
    pub host: String,
    /// `MONITORING__MONITORING_JOB_INTERVAL` (600 s).
    pub interval: Duration,
    /// `MONITORING__QUARANTINE_FOR_EDGES_IN_..._OUTAGE` (180 s each).
    pub quarantines: Quarantines,
    /// Day window and grace periods.
    pub window: GraceWindow,
    /// Settings of auto-resolve.
    pub autoresolve: autoresolve::Settings,
    /// Settings of DiGi reboots.
    pub digi: digi::Settings,
    /// Severities.
    pub levels: severity::Levels,
    /// Settings of forwards to ASR.
    pub asr: asr::Settings,
    /// `MONITORING__BLACKLISTED_EDGES` (none).
    pub blacklist: Vec<EdgeIdentity>,
    /// `MONITORING__MAX_CONCURRENT_EDGES` (5): edges that are handled at the same time.
    pub concurrency: usize,
    /// What is set of the settings that decisions depend on, as it stands in the ledger.
    pub set: BTreeMap<String, String>,
}

/// How long an outage of each kind is waited out before a ticket is created; zero = not at all.
#[derive(Debug, Clone, Copy)]
pub struct Quarantines {
    link_down: Duration,
    hard_down: Duration,
    ha_link_down: Duration,
    ha_soft_down: Duration,
    ha_hard_down: Duration,
}

impl Quarantines {
    /// The quarantine of a kind.
    pub fn of(&self, kind: OutageKind) -> Duration {
        match kind {
            OutageKind::LinkDown => self.link_down,
            OutageKind::HardDown => self.hard_down,
            OutageKind::HaLinkDown => self.ha_link_down,
            OutageKind::HaSoftDown => self.ha_soft_down,
            OutageKind::HaHardDown => self.ha_hard_down,
        }
    }

    fn read(env: &mut Reader<'_>) -> Result<Self, Invalid> {
        let mut seconds =
            |kind| env.seconds(&format!("MONITORING__QUARANTINE_FOR_EDGES_IN_{kind}_OUTAGE"), 180);
        let (link_down, hard_down) = (seconds("LINK_DOWN"), seconds("HARD_DOWN"));
        let (ha_link_down, ha_soft_down) = (seconds("HA_LINK_DOWN"), seconds("HA_SOFT_DOWN"));
        let ha_hard_down = seconds("HA_HARD_DOWN");
        Ok(Self {
            link_down: link_down?,
            hard_down: hard_down?,
            ha_link_down: ha_link_down?,
            ha_soft_down: ha_soft_down?,
            ha_hard_down: ha_hard_down?,
        })
    }
}

fn hour(env: &mut Reader<'_>, name: &str, default: u32) -> Result<u32, Invalid> {
    const EXPECTED: &str = "an hour, 0 to 23";
    let hour = env.or(name, default, EXPECTED)?;
    if hour < 24 { Ok(hour) } else { Err(env.reject(name, EXPECTED)) }
}

fn level(env: &mut Reader<'_>, name: &str, default: i64) -> Result<Severity, Invalid> {
    const EXPECTED: &str = "a severity, 1 (High) to 4 (Low)";
    let level = env.or(name, default, EXPECTED)?;
    if (1..=4).contains(&level) { Ok(Severity(level)) } else { Err(env.reject(name, EXPECTED)) }
}

/// A number above 0.
pub(crate) fn positive(env: &mut Reader<'_>, name: &str, default: usize) -> Result<usize, Invalid> {
    const EXPECTED: &str = "a number above 0";
    let number = env.or(name, default, EXPECTED)?;
    if number > 0 { Ok(number) } else { Err(env.reject(name, EXPECTED)) }
}

fn texts(list: &[&str]) -> Vec<String> {
    list.iter().map(|&text| text.to_owned()).collect()
}

impl FromEnvironment for Config {
    fn read(env: &mut Reader<'_>) -> Result<Self, Invalid> {
        let common = Common::read(env);
        let host =
            env.required("MONITORING__VELOCLOUD_HOST", "the VeloCloud host which this process monitors");
        let interval = env.seconds("MONITORING__MONITORING_JOB_INTERVAL", 600);
        let quarantines = Quarantines::read(env);
        let day_start = hour(env, "MONITORING__AUTORESOLVE_DAY_START_HOUR", 8);
        let day_end = hour(env, "MONITORING__AUTORESOLVE_DAY_END_HOUR", 0);
        let mut grace = |time, default| {
            let name =
                format!("MONITORING__GRACE_PERIOD_TO_AUTORESOLVE_AFTER_LAST_DOCUMENTED_OUTAGE_{time}_TIME");
            env.seconds(&name, default)
        };
        let (by_day, by_night) = (grace("DAY", 5_400), grace("NIGHT", 10_800));
        let limit = env.or("MONITORING__MAX_AUTORESOLVES_PER_TICKET", 3, "a number");
        let system_user =
            env.or("IPA_SYSTEM_USERNAME_IN_BRUIN", "Intelygenz Ai".to_owned(), "a user name in Bruin");
        let digi_grace = env.seconds("MONITORING__GRACE_PERIOD_BEFORE_ATTEMPTING_NEW_DIGI_REBOOTS", 1_800);
        let reboots_per_cycle = positive(env, "MONITORING__MAX_DIGI_REBOOTS_PER_DOCUMENTATION_CYCLE", 1);
        let headers = env.json_or(
            "DIGI_HEADERS",
            texts(&["00:04:2d", "00:27:04"]),
            "a JSON list of MAC prefixes, e.g. [\"00:04:2d\"]",
        );
        let edge_down = level(env, "MONITORING__SEVERITY_FOR_EDGE_DOWN_OUTAGES", 2);
        let link_down = level(env, "MONITORING__SEVERITY_FOR_LINK_DOWN_OUTAGES", 3);
        let blacklisted_labels = env.json_or(
            "MONITORING__LINK_LABELS_BLACKLISTED_IN_ASR_FORWARDS",
            texts(&["BYOB", "Customer Owned", "customer owned", "PIAB"]),
            "a JSON list of texts",
        );
        let again_after_reopening = env.flag("MONITORING__ASR_FORWARDS_AGAIN_AFTER_REOPENING", false);
        let blacklist = env.json_or(
            "MONITORING__BLACKLISTED_EDGES",
            Vec::new(),
            "a JSON list of {\"host\", \"enterprise_id\", \"edge_id\"}",
        );
        let concurrency = positive(env, "MONITORING__MAX_CONCURRENT_EDGES", 5);
        // Required by the existing deployment and used by nobody.
        let unused = env.optional::<String>(
            "MONITORING__MISSING_EDGES_FROM_CACHE_REPORT_RECIPIENT",
            "an e-mail address (accepted and ignored)",
        );
        unused?;
        let common = common?;
        let (environment, zone) = (common.environment.clone(), common.zone);
        let window =
            GraceWindow { day_start: day_start?, day_end: day_end?, by_day: by_day?, by_night: by_night? };
        Ok(Self {
            common: Arc::new(common),
            host: host?,
            interval: interval?,
            quarantines: quarantines?,
            window,
            autoresolve: autoresolve::Settings {
                window,
                limit: limit?,
                system_user: system_user?,
                environment,
                zone,
            },
            digi: digi::Settings {
                headers: headers?,
                grace: digi_grace?,
                reboots_per_cycle: reboots_per_cycle?,
            },
            levels: severity::Levels { edge_down: edge_down?, link_down: link_down? },
            asr: asr::Settings {
                blacklisted_labels: blacklisted_labels?,
                again_after_reopening: again_after_reopening?,
            },
            blacklist: blacklist?,
            concurrency: concurrency?,
            set: set(env),
        })
    }
}

/// What is set of the settings that decisions depend on. None of them is a secret.
pub(crate) fn set(env: &Reader<'_>) -> BTreeMap<String, String> {
    let names = replay::settings::ALL.iter().map(|setting| setting.name);
    names.filter_map(|name| Some((name.to_owned(), env.peek(name)?.to_owned()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment() -> runtime::Environment {
        runtime::Environment::from([
            ("ENVIRONMENT_NAME", "automation-example"),
            ("CURRENT_ENVIRONMENT", "production"),
            ("TIMEZONE", "US/Eastern"),
            ("ENABLE_TRIAGE_MONITORING", "0"),
            ("MONITORING__VELOCLOUD_HOST", "vco1.example.net"),
        ])
    }

    #[test]
    fn the_defaults_are_those_of_the_specification() {
        let config = environment().read::<Config>().unwrap();
        assert_eq!(config.interval.as_secs(), 600);
        assert!(OutageKind::ALL.iter().all(|kind| config.quarantines.of(*kind).as_secs() == 180));
        assert_eq!((config.window.day_start, config.window.day_end), (8, 0));
        assert_eq!((config.window.by_day.as_secs(), config.window.by_night.as_secs()), (5_400, 10_800));
        assert_eq!((config.levels.edge_down, config.levels.link_down), (Severity(2), Severity(3)));
        assert_eq!(config.digi.grace.as_secs(), 1_800);
        assert_eq!(config.digi.headers, ["00:04:2d", "00:27:04"]);
        assert_eq!((config.digi.reboots_per_cycle, config.concurrency, config.autoresolve.limit), (1, 5, 3));
        assert_eq!(config.autoresolve.system_user, "Intelygenz Ai");
        assert_eq!(config.asr.blacklisted_labels, ["BYOB", "Customer Owned", "customer owned", "PIAB"]);
        assert!(!config.asr.again_after_reopening);
        assert_eq!((config.common.product_category.as_str(), config.common.bruin_zone), ("SD-WAN", Tz::UTC));
        assert!(config.blacklist.is_empty());
    }

    #[test]
    fn each_mode_reads_its_own_settings_only() {
        assert!(matches!(environment().read::<Settings>().unwrap(), Settings::Outage(_)));
        let triage = runtime::Environment::from([
            ("ENVIRONMENT_NAME", "automation-example"),
            ("CURRENT_ENVIRONMENT", "production"),
            ("TIMEZONE", "US/Eastern"),
            ("ENABLE_TRIAGE_MONITORING", "1"),
            ("TRIAGE__MONITORED_VELOCLOUD_HOSTS", r#"["vco1.example.net"]"#),
            ("MONITORING__AUTORESOLVE_DAY_END_HOUR", "never"),
        ]);
        assert!(matches!(triage.read::<Settings>().unwrap(), Settings::Triage(_)));
        let error = triage.with("ENABLE_TRIAGE_MONITORING", "2").read::<Settings>().unwrap_err().to_string();
        assert!(error.contains("ENABLE_TRIAGE_MONITORING"), "{error}");
    }

    #[test]
    fn all_problems_are_named_at_once() {
        let error = runtime::Environment::from([
            ("MONITORING__AUTORESOLVE_DAY_END_HOUR", "24"),
            ("MONITORING__SEVERITY_FOR_EDGE_DOWN_OUTAGES", "5"),
            ("MONITORING__BLACKLISTED_EDGES", "[1]"),
            ("MONITORING__MAX_CONCURRENT_EDGES", "0"),
        ])
        .read::<Settings>()
        .unwrap_err()
        .to_string();
        for name in [
            "ENABLE_TRIAGE_MONITORING",
            "ENVIRONMENT_NAME",
            "CURRENT_ENVIRONMENT",
            "TIMEZONE",
            "MONITORING__VELOCLOUD_HOST",
            "MONITORING__AUTORESOLVE_DAY_END_HOUR",
            "MONITORING__SEVERITY_FOR_EDGE_DOWN_OUTAGES",
            "MONITORING__BLACKLISTED_EDGES",
            "MONITORING__MAX_CONCURRENT_EDGES",
        ] {
            assert!(error.contains(name), "{name}: {error}");
        }
    }

    #[test]
    fn blacklisted_edges_are_identities() {
        let text = r#"[{"host": "vco1.example.net", "enterprise_id": 12, "edge_id": 345}]"#;
        let config = environment().with("MONITORING__BLACKLISTED_EDGES", text).read::<Config>().unwrap();
        assert!(config.blacklist.contains(&crate::sample::edge("VC1").identity));
    }
}
