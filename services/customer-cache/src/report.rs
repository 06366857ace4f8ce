//! Texts for people: the snapshot and multi-inventory e-mails, and Slack (spec `customer-cache`, "Formats").

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use caching::mail::{escape, stamp};
use chrono::{DateTime, Utc};
use contracts::{
    customer_cache::CachedEdge,
    id::Serial,
    notifier::{EmailData, EmailFile},
};
use indexmap::IndexMap;
use serde_json::Value;

/// The client info, as received, of each serial that has more than one inventory item.
pub type Inventories = IndexMap<Serial, Vec<Value>>;

/// A list of cached edges as CSV.
///
/// # Errors
/// Never for lists that can be held in memory; the error of the CSV writer is passed on.
pub fn csv(edges: &[CachedEdge]) -> Result<Vec<u8>, csv::Error> {
    let mut writer =
        csv::WriterBuilder::new().terminator(csv::Terminator::Any(b'\n')).from_writer(Vec::new());
    writer.write_record([
        "Serial Number",
        "Bruin Client ID",
        "Bruin Client Name",
        "Velo Host",
        "Velo Enterprise ID",
        "Velo Edge ID",
        "Last Contact",
        "Logical IDs",
    ])?;
    for edge in edges {
        writer.write_record([
            edge.serial_number.as_str(),
            &edge.bruin_client_info.client_id.to_string(),
            edge.bruin_client_info.client_name.as_deref().unwrap_or_default(),
            &edge.edge.host,
            &edge.edge.enterprise_id.to_string(),
            &edge.edge.edge_id.to_string(),
            edge.last_contact.as_deref().unwrap_or_default(),
            &serde_json::to_string(&edge.logical_ids).unwrap_or_default(),
        ])?;
    }
    writer.into_inner().map_err(|error| error.into_error().into())
}

/// The snapshot e-mail of one refreshed host: its list before and after.
///
/// # Errors
/// See [`csv`].
pub fn snapshot(
    environment: &str,
    host: &str,
    now: DateTime<Utc>,
    recipient: &str,
    old: &[CachedEdge],
    new: &[CachedEdge],
) -> Result<EmailData, csv::Error> {
    let now = stamp(now);
    let attachment = |which: &str, edges: &[CachedEdge]| -> Result<EmailFile, csv::Error> {
        Ok(EmailFile {
            name: format!("{which}_customer_cache_{host}_{now}.csv"),
            data: BASE64.encode(csv(edges)?),
        })
    };
    Ok(EmailData {
        recipient: recipient.to_owned(),
        subject: format!("Customer cache snapshots. Environment: {environment}. Host: {host}. {now}"),
        // Word for word the existing deployment's, as its recorded mails show.
        text: "this is the accessible text for the email".to_owned(),
        html: format!(
            "In this email you will see attached 2 CSV files: the prior and current status of the customer cache for \
             the host {host}. If the environment is not 'production' disregard this.Please note that timestamps in \
             the files and in the subject are in UTC.",
            host = escape(host),
        ),
        images: vec![],
        attachments: vec![attachment("old", old)?, attachment("new", new)?],
    })
}

/// The e-mail about serials with several inventory items.
pub fn multiple_inventories(now: DateTime<Utc>, recipient: &str, inventories: &Inventories) -> EmailData {
    use std::fmt::Write;
    let mut html = String::from("<p>These serials have more than one active inventory item in Bruin:</p>");
    for (serial, items) in inventories {
        let items = serde_json::to_string(items).unwrap_or_default();
        // Writing to a String can not fail.
        let _ = write!(html, "<p>Serial: {} and items: {}</p>", escape(serial.as_str()), escape(&items));
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
    let map = serde_json::to_value(inventories).unwrap_or(Value::Null);
    format!("Alert. Detected some edges with more than one status: {map}")
}

/// The Slack text when a host's list came out empty.
pub fn empty_host_alert(environment: &str, host: &str) -> String {
    format!(
        "[{}] The list of edges of host {host} is empty after crossing it with Bruin; the stored list stays. \
         Bruin may be failing on management statuses.",
        environment.to_uppercase()
    )
}

/// The Slack text when no host listed any edge too many times in a row.
pub fn no_edges_alert(environment: &str, attempts: u32) -> String {
    format!(
        "[{}] The list of edges could not be claimed from VeloCloud too many times in a row ({attempts}). \
         The stored lists are still served.",
        environment.to_uppercase()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn client(name: &str) -> Value {
        json!({"client_id": 11111, "client_name": name, "site_id": 222})
    }

    fn edge(name: &str) -> CachedEdge {
        serde_json::from_value(json!({
            "edge": {"host": "vco1.example.net", "enterprise_id": 12, "edge_id": 345}, "edge_name": "Store 7",
            "last_contact": null, "serial_number": "VC1234567",
            "logical_ids": [{"interface_name": "GE1", "logical_id": "00:27:04:aa:bb:cc:0000"}],
            "bruin_client_info": client(name)
        }))
        .unwrap()
    }

    #[test]
    fn csv_quotes_only_where_needed() {
        let text = String::from_utf8(csv(&[edge("Example Corp"), edge("A, \"B\"")]).unwrap()).unwrap();
        insta::assert_snapshot!(text, @r#"
        Serial Number,Bruin Client ID,Bruin Client Name,Velo Host,Velo Enterprise ID,Velo Edge ID,Last Contact,Logical IDs
        VC1234567,11111,Example Corp,vco1.example.net,12,345,,"[{""interface_name"":""GE1"",""logical_id"":""00:27:04:aa:bb:cc:0000""}]"
        VC1234567,11111,"A, ""B""",vco1.example.net,12,345,,"[{""interface_name"":""GE1"",""logical_id"":""00:27:04:aa:bb:cc:0000""}]"
        "#);
    }

    #[test]
    fn the_snapshot_mail_names_environment_host_and_instant() {
        let now = "2021-01-05T13:57:07Z".parse().unwrap();
        let mail = snapshot("dev", "vco1.example.net", now, "ops@example.com", &[], &[edge("Example Corp")])
            .unwrap();
        assert_eq!(
            mail.subject,
            "Customer cache snapshots. Environment: dev. Host: vco1.example.net. January 05 2021 - 13:57:07"
        );
        assert_eq!(mail.recipient, "ops@example.com");
        let names: Vec<&str> = mail.attachments.iter().map(|a| a.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "old_customer_cache_vco1.example.net_January 05 2021 - 13:57:07.csv",
                "new_customer_cache_vco1.example.net_January 05 2021 - 13:57:07.csv"
            ]
        );
        let new = BASE64.decode(&mail.attachments[1].data).unwrap();
        assert_eq!(new, csv(&[edge("Example Corp")]).unwrap());
    }

    #[test]
    fn the_inventory_mail_lists_every_serial() {
        let inventories = Inventories::from([("VC1".into(), vec![client("<A>"); 2])]);
        let now = "2021-01-05T13:57:07Z".parse().unwrap();
        let mail = multiple_inventories(now, "ops@example.com", &inventories);
        assert_eq!(mail.subject, "Serials with multiple inventory items (January 05 2021 - 13:57:07)");
        insta::assert_snapshot!(mail.html, @r#"<p>These serials have more than one active inventory item in Bruin:</p><p>Serial: VC1 and items: [{"client_id":11111,"client_name":"&lt;A&gt;","site_id":222},{"client_id":11111,"client_name":"&lt;A&gt;","site_id":222}]</p>"#);
    }
}
