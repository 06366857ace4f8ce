//! Texts for people (spec `hawkeye-customer-cache`, "Formats").

use std::fmt::Write;

use caching::mail::{escape, stamp};
use chrono::{DateTime, Utc};
use contracts::{id::Serial, notifier::EmailData};
use indexmap::IndexMap;
use serde_json::{Value, json};

/// All clients, as received, of each serial that has several.
pub type Inventories = IndexMap<Serial, Vec<Value>>;

/// The e-mail about serials with several inventory items.
pub fn multiple_inventories(now: DateTime<Utc>, recipient: &str, inventories: &Inventories) -> EmailData {
    let mut html = "These serials have more than one active inventory item in Bruin:\n".to_owned();
    for (serial, items) in inventories {
        let items = escape(&json!(items).to_string());
        // Writing to a String can not fail.
        let _ = writeln!(html, "Serial: {} and items: {items}", escape(serial.as_str()));
    }
    EmailData {
        recipient: recipient.to_owned(),
        subject: format!("Serials with multiple inventory items ({})", stamp(now)),
        text: "Some serials have more than one active inventory item in Bruin.".to_owned(),
        html,
        images: vec![],
        attachments: vec![],
    }
}

/// The Slack text about serials with several inventory items.
pub fn multiple_inventories_alert(inventories: &Inventories) -> String {
    format!("Alert. Detected some devices with more than one status: {}", json!(inventories))
}

/// The Slack text when the refresh failed too many times in a row.
pub fn too_many_failures_alert(environment: &str, attempts: u32) -> String {
    format!(
        "[{}] Too many consecutive failures ({attempts}) of hawkeye-customer-cache while claiming the list of Hawkeye \
         probes. The cached devices are still served.",
        environment.to_uppercase()
    )
}

/// The Slack text when probes were found and none of them is monitored.
pub fn nothing_left_alert(environment: &str, probes: usize) -> String {
    format!(
        "[{}] None of {probes} Hawkeye probes is left after crossing them with Bruin; the cached devices stay. Bruin may \
         be failing on clients or management statuses.",
        environment.to_uppercase()
    )
}

/// The Slack text when the list became much shorter.
pub fn much_shorter_alert(environment: &str, before: usize, now: usize) -> String {
    format!(
        "[{}] The list of cached devices shrank from {before} to {now}. Hawkeye may have listed a part of its probes only.",
        environment.to_uppercase()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inventories() -> Inventories {
        let client =
            |site: i64| json!({"client_id": 11111, "client_name": "<Client> & One", "site_id": site});
        Inventories::from([("AABBCC000002".into(), vec![client(222), client(223)])])
    }

    #[test]
    fn the_mail_has_a_line_for_each_serial() {
        let mail =
            multiple_inventories("2021-01-05T13:57:07Z".parse().unwrap(), "ops@example.com", &inventories());
        assert_eq!(mail.subject, "Serials with multiple inventory items (January 05 2021 - 13:57:07)");
        assert_eq!(
            (mail.recipient.as_str(), mail.images.len(), mail.attachments.len()),
            ("ops@example.com", 0, 0)
        );
        assert_eq!(
            mail.html,
            "These serials have more than one active inventory item in Bruin:\n\
             Serial: AABBCC000002 and items: \
             [{\"client_id\":11111,\"client_name\":\"&lt;Client&gt; &amp; One\",\"site_id\":222},\
             {\"client_id\":11111,\"client_name\":\"&lt;Client&gt; &amp; One\",\"site_id\":223}]\n"
        );
    }

    #[test]
    fn alerts_name_environment_and_figures() {
        assert!(
            multiple_inventories_alert(&inventories()).contains(r#"{"AABBCC000002":[{"client_id":11111"#)
        );
        let text = too_many_failures_alert("dev", 12);
        assert!(
            text.starts_with("[DEV] Too many consecutive failures (12) of hawkeye-customer-cache"),
            "{text}"
        );
        assert!(nothing_left_alert("dev", 3).starts_with("[DEV] None of 3 Hawkeye probes"));
        assert!(much_shorter_alert("dev", 9, 2).contains("from 9 to 2"));
    }
}
