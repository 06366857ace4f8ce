//! Settings that all customer caches have.

use runtime::{Invalid, Reader};

/// Management statuses of monitored devices, unless set otherwise. The dash is U+2013.
const MONITORED: [&str; 3] = ["Pending", "Active – Gold Monitoring", "Active – Platinum Monitoring"];

/// `WHITELISTED_MANAGEMENT_STATUSES`: which management statuses say that a device is monitored, exact (specs of the
/// caches, "Configuration").
///
/// # Errors
/// When it is no JSON list of texts.
pub fn monitored_statuses(env: &mut Reader<'_>) -> Result<Vec<String>, Invalid> {
    let default = MONITORED.map(str::to_owned).to_vec();
    env.json_or("WHITELISTED_MANAGEMENT_STATUSES", default, r#"a JSON list of texts, e.g. ["Pending"]"#)
}

/// `REFRESH_JOB_INTERVAL`: how often a cache is refreshed, four hours unless set otherwise; cut to whole minutes.
///
/// # Errors
/// When it is no time span in seconds.
pub fn refresh_interval(env: &mut Reader<'_>) -> Result<std::time::Duration, Invalid> {
    env.job_interval("REFRESH_JOB_INTERVAL", 14_400)
}
