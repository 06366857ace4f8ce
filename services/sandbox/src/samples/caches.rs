//! Good requests to the caches.

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::About;

/// One to each. They are answered 202 until the cache is built.
pub(super) fn all(about: &About) -> Vec<(&'static str, Value)> {
    vec![
        ("customer.cache.get", json!({"filter": {about.host.as_str(): [about.enterprise]}})),
        ("hawkeye.customer.cache.get", json!({"last_contact_filter": about.now - TimeDelta::days(1)})),
    ]
}
