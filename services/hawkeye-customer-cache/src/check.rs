//! Checking one device against Bruin (spec `hawkeye-customer-cache`, "Filter one probe").

use contracts::{
    bruin::{AttributeRequest, ClientInfo, ClientInfoRequest, ManagementStatus, ReceivedClient},
    id::Serial,
};
use indexmap::IndexMap;
use serde_json::Value;

use crate::{
    asking::Asking,
    trouble::{Kind, Troubles},
};

/// What Bruin says of a device.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// Monitored, for this client, as received.
    Monitored(Value),
    /// Nobody's, or not monitored (any more).
    NotMonitored,
    /// Bruin could not tell: the cached entry stays (Improve 1).
    Unknown,
}

/// Whether a management status means that the device is monitored (step 5).
pub fn is_monitored(status: &Value, whitelist: &[String]) -> bool {
    status.as_str().is_some_and(|status| whitelist.iter().any(|listed| listed == status))
}

/// Checks one device; also all clients, as received, of a serial that has several.
pub async fn check(
    asking: &Asking<'_>,
    whitelist: &[String],
    serial: &Serial,
    troubles: &Troubles,
) -> (Verdict, Vec<Value>) {
    let request = ClientInfoRequest { service_number: serial.as_str().into(), filters: IndexMap::default() };
    let clients = match asking.ask_fields::<ClientInfo, Vec<Value>>(&request).await {
        Ok(clients) => clients,
        Err(error) => {
            troubles.note(Kind::ClientInfo, serial.as_str(), &error);
            return (Verdict::Unknown, Vec::new());
        }
    };
    let several = if clients.len() > 1 { clients.clone() } else { Vec::new() };
    let Some(client) = clients.into_iter().next() else { return (Verdict::NotMonitored, several) };
    let Some(client) = ReceivedClient::of(client) else {
        // No status can be asked for without an id, and the device does have an inventory item.
        troubles.say(Kind::ClientInfo, serial.as_str(), "the first client has no client id");
        return (Verdict::Unknown, several);
    };
    (of_client(asking, whitelist, serial, client, troubles).await, several)
}

async fn of_client(
    asking: &Asking<'_>,
    whitelist: &[String],
    serial: &Serial,
    client: ReceivedClient,
    troubles: &Troubles,
) -> Verdict {
    let request = AttributeRequest {
        client_id: client.client_id.into(),
        status: "A".into(),
        service_number: serial.as_str().into(),
        filters: IndexMap::default(),
    };
    match asking.ask::<ManagementStatus>(&request).await {
        Ok(status) if is_monitored(&status, whitelist) => Verdict::Monitored(client.received),
        Ok(_) => Verdict::NotMonitored,
        Err(error) => {
            troubles.note(Kind::ManagementStatus, serial.as_str(), &error);
            Verdict::Unknown
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_listed_statuses_are_monitored() {
        let whitelist = ["Pending".to_owned(), "Active – Gold Monitoring".to_owned()];
        for (status, expected) in [
            (json!("Pending"), true),
            (json!("Active – Gold Monitoring"), true),
            (json!("Active - Gold Monitoring"), false),
            (json!("pending"), false),
            (json!("Active – Silver Monitoring"), false),
            (json!(""), false),
            (json!(null), false),
            (json!(["Pending"]), false),
        ] {
            assert_eq!(is_monitored(&status, &whitelist), expected, "{status}");
        }
    }
}
