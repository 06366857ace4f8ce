//! The settings on which decisions depend, by the names of the environment.

use std::collections::BTreeMap;

use runtime::{ConfigErrors, Environment};

use crate::{config::Config, triage};

/// A setting with which recorded decisions can be made again.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// The variable.
    pub name: &'static str,
    /// What it decides.
    pub decides: &'static str,
}

const fn setting(name: &'static str, decides: &'static str) -> Setting {
    Setting { name, decides }
}

/// All of them. What is set of them stands in the ledger.
pub const ALL: &[Setting] = &[
    setting("CURRENT_ENVIRONMENT", "whether tickets are changed: only when it is `production`"),
    setting("TIMEZONE", "day and night of sites whose offset is unknown"),
    setting("MONITORING__QUARANTINE_FOR_EDGES_IN_LINK_DOWN_OUTAGE", "seconds until a ticket is asked for"),
    setting("MONITORING__QUARANTINE_FOR_EDGES_IN_HARD_DOWN_OUTAGE", "seconds until a ticket is asked for"),
    setting("MONITORING__QUARANTINE_FOR_EDGES_IN_HA_LINK_DOWN_OUTAGE", "seconds until a ticket is asked for"),
    setting("MONITORING__QUARANTINE_FOR_EDGES_IN_HA_SOFT_DOWN_OUTAGE", "seconds until a ticket is asked for"),
    setting("MONITORING__QUARANTINE_FOR_EDGES_IN_HA_HARD_DOWN_OUTAGE", "seconds until a ticket is asked for"),
    setting("MONITORING__AUTORESOLVE_DAY_START_HOUR", "which grace period holds"),
    setting("MONITORING__AUTORESOLVE_DAY_END_HOUR", "which grace period holds"),
    setting(
        "MONITORING__GRACE_PERIOD_TO_AUTORESOLVE_AFTER_LAST_DOCUMENTED_OUTAGE_DAY_TIME",
        "whether a line is resolved, and when it is forwarded to HNOC",
    ),
    setting(
        "MONITORING__GRACE_PERIOD_TO_AUTORESOLVE_AFTER_LAST_DOCUMENTED_OUTAGE_NIGHT_TIME",
        "whether a line is resolved, and when it is forwarded to HNOC",
    ),
    setting("MONITORING__MAX_AUTORESOLVES_PER_TICKET", "how often a line is resolved"),
    setting("MONITORING__GRACE_PERIOD_BEFORE_ATTEMPTING_NEW_DIGI_REBOOTS", "when a reboot has failed"),
    setting("MONITORING__MAX_DIGI_REBOOTS_PER_DOCUMENTATION_CYCLE", "how often a link is rebooted"),
    setting("DIGI_HEADERS", "which links have DiGi units"),
    setting("MONITORING__SEVERITY_FOR_EDGE_DOWN_OUTAGES", "the severity of tickets"),
    setting("MONITORING__SEVERITY_FOR_LINK_DOWN_OUTAGES", "the severity of tickets"),
    setting("MONITORING__LINK_LABELS_BLACKLISTED_IN_ASR_FORWARDS", "which lines are forwarded to ASR"),
    setting("MONITORING__ASR_FORWARDS_AGAIN_AFTER_REOPENING", "how often a line is forwarded to ASR"),
    setting("TRIAGE__LAST_NOTE_INTERVAL", "when triage writes the next note"),
];

const LOOKED_AT: &str = "it says what is looked at, and of what was not looked at nothing is recorded";
const WHEN: &str = "it says when things are looked at, and they were looked at when they were";
const NOTHING: &str = "no decision depends on it";

/// The service's other settings, and why recorded decisions cannot be made again with them.
pub const OTHERS: &[(&str, &str)] = &[
    ("IPA_SYSTEM_USERNAME_IN_BRUIN", "who created a ticket is not recorded, as people are named there"),
    ("MONITORING__BLACKLISTED_EDGES", LOOKED_AT),
    ("MONITORING__VELOCLOUD_HOST", LOOKED_AT),
    ("TRIAGE__MONITORED_VELOCLOUD_HOSTS", LOOKED_AT),
    ("MONITORED_PRODUCT_CATEGORY", LOOKED_AT),
    ("MONITORING__MONITORING_JOB_INTERVAL", WHEN),
    ("TRIAGE__MONITORING_JOB_INTERVAL", WHEN),
    ("MONITORING__MAX_CONCURRENT_EDGES", NOTHING),
    ("TRIAGE__MAX_CONCURRENT_TICKETS", NOTHING),
    ("TRIAGE__MAX_EVENTS_PER_EVENT_NOTE", "it says how notes are cut, not whether they are written"),
    ("BRUIN_TIMEZONE", "dates are recorded as they were read"),
    ("ENVIRONMENT_NAME", NOTHING),
    ("ENABLE_TRIAGE_MONITORING", "the records of both modes are made again, each by its own rules"),
    ("MONITORING__MISSING_EDGES_FROM_CACHE_REPORT_RECIPIENT", NOTHING),
];

/// A setting that cannot be tried.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Untried {
    /// The service has no such setting.
    #[error("no such setting: {0}")]
    Unknown(String),
    /// It has, but the records do not hold what it works on.
    #[error("{0} cannot be tried on recorded decisions: {1}")]
    NotRecorded(String, &'static str),
}

/// Whether a setting can be tried.
///
/// # Errors
/// Why not.
pub fn can_be_tried(name: &str) -> Result<(), Untried> {
    if ALL.iter().any(|setting| setting.name == name) {
        return Ok(());
    }
    match OTHERS.iter().find(|(other, _)| *other == name) {
        Some((_, why)) => Err(Untried::NotRecorded(name.to_owned(), why)),
        None => Err(Untried::Unknown(name.to_owned())),
    }
}

/// The settings of the rules of both modes.
#[derive(Debug, Clone)]
pub struct Rules {
    pub(crate) outage: Config,
    pub(crate) triage: triage::config::Config,
}

impl Rules {
    /// The rules with these settings, by the names of the environment; what is not set has its default.
    ///
    /// # Errors
    /// Names what is wrong, as the service would at its start.
    pub fn read(values: &BTreeMap<String, String>) -> Result<Self, ConfigErrors> {
        // What the services require and no decision depends on; and what they require, for records without settings.
        let required = Environment::from([
            ("ENVIRONMENT_NAME", "replay"),
            ("CURRENT_ENVIRONMENT", "production"),
            ("TIMEZONE", "UTC"),
            ("MONITORING__VELOCLOUD_HOST", "replay"),
            ("TRIAGE__MONITORED_VELOCLOUD_HOSTS", "[\"replay\"]"),
        ]);
        let set: Environment = values.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let environment = required.merged(&set);
        Ok(Self { outage: environment.read()?, triage: environment.read()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use runtime::{FromEnvironment, Reader};

    /// Every variable that the service reads is one that can be tried, or it is said why not.
    #[test]
    fn every_setting_of_the_service_is_known() {
        let environment = Environment::default();
        let mut reader = Reader::new(&environment);
        let _ = Config::read(&mut reader);
        let _ = triage::config::Config::read(&mut reader);
        let names: Vec<&str> = reader.settings().iter().map(|setting| setting.name.as_str()).collect();
        for name in &names {
            let known = !matches!(can_be_tried(name), Err(Untried::Unknown(_)));
            assert!(known, "{name} is neither in ALL nor in OTHERS");
        }
        for setting in ALL {
            assert!(names.contains(&setting.name), "{} is no setting of the service", setting.name);
        }
    }

    #[test]
    fn what_cannot_be_tried_is_explained() {
        assert_eq!(can_be_tried("MONITORING__MAX_AUTORESOLVES_PER_TICKET"), Ok(()));
        assert!(matches!(can_be_tried("MONITORING__MAX_AUTORESOLVES"), Err(Untried::Unknown(_))));
        let error = can_be_tried("IPA_SYSTEM_USERNAME_IN_BRUIN").unwrap_err().to_string();
        assert!(error.contains("is not recorded"), "{error}");
    }

    #[test]
    fn a_wrong_value_is_refused_as_at_the_services_start() {
        let values = |value: &str| {
            BTreeMap::from([("MONITORING__AUTORESOLVE_DAY_START_HOUR".to_owned(), value.to_owned())])
        };
        assert_eq!(Rules::read(&values("6")).unwrap().outage.window.day_start, 6);
        assert!(Rules::read(&values("24")).unwrap_err().to_string().contains("an hour, 0 to 23"));
    }
}
