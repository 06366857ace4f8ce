//! Checking one edge against Bruin (spec `customer-cache`, Behaviour 5).

use bus::{Bus, RequestError};
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use contracts::{
    Rpc as _,
    bruin::{
        AttributeRequest, ClientInfo, ClientInfoRequest, ManagementStatus, ReceivedClient, SiteDetailsRequest,
    },
    customer_cache::SiteDetails,
    id::ClientId,
};
use indexmap::IndexMap;
use serde_json::Value;

use crate::{
    config::Config,
    entry::CheckedEdge,
    listing::ListedEdge,
    offset,
    trouble::{Kind, Troubles},
};

/// What Bruin says of an edge.
#[derive(Debug)]
pub enum Verdict {
    /// Monitored.
    Monitored(Box<CheckedEdge>),
    /// Not monitored (any more): removed from the stored list.
    Invalid,
    /// Bruin could not tell: the stored entry survives.
    Unknown,
}

/// Whether a management status means that the edge is monitored (Behaviour 5.3 and 5.4).
pub fn is_monitored(status: &Value, client: &ClientId, config: &Config) -> bool {
    let Some(status) = status.as_str() else { return false };
    let pending = status == "Pending" && config.blacklisted_pending_clients.contains(client);
    config.whitelisted_statuses.iter().any(|listed| listed == status) && !pending
}

/// Checks one edge; also all clients, as received, of a serial that has several. Only an empty list of clients says that
/// nobody has the edge: a reply that cannot be read says nothing.
pub async fn check(
    bus: &Bus,
    config: &Config,
    edge: ListedEdge,
    now: DateTime<Utc>,
    fallback: Tz,
    troubles: &Troubles,
) -> (Verdict, Vec<Value>) {
    let clients = match clients(bus, &edge).await {
        Ok(clients) => clients,
        Err(error) => {
            troubles.note(Kind::ClientInfo, edge.serial.as_str(), &error);
            return (Verdict::Unknown, Vec::new());
        }
    };
    let several = if clients.len() > 1 { clients.clone() } else { Vec::new() };
    let Some(client) = clients.into_iter().next() else { return (Verdict::Invalid, several) };
    let Some(client) = ReceivedClient::of(client) else {
        troubles.say(Kind::ClientInfo, edge.serial.as_str(), "the first client has no client id");
        return (Verdict::Unknown, several);
    };
    (of_client(bus, config, edge, client, now, fallback, troubles).await, several)
}

async fn clients(bus: &Bus, edge: &ListedEdge) -> Result<Vec<Value>, RequestError> {
    let request =
        ClientInfoRequest { service_number: edge.serial.as_str().into(), filters: IndexMap::default() };
    bus.request_fields::<ClientInfo, _>(&request, ClientInfo::TIMEOUT).await
}

async fn of_client(
    bus: &Bus,
    config: &Config,
    edge: ListedEdge,
    client: ReceivedClient,
    now: DateTime<Utc>,
    fallback: Tz,
    troubles: &Troubles,
) -> Verdict {
    let request = AttributeRequest {
        client_id: client.client_id.clone().into(),
        status: "A".into(),
        service_number: edge.serial.as_str().into(),
        filters: IndexMap::default(),
    };
    match bus.request::<ManagementStatus>(&request).await {
        // Only a text, or none, says that the edge is not monitored.
        Ok(status) if !matches!(status, Value::Null | Value::String(_)) => {
            troubles.say(Kind::ManagementStatus, edge.serial.as_str(), "the status is no text");
            return Verdict::Unknown;
        }
        Ok(status) if is_monitored(&status, &client.client_id, config) => {}
        Ok(_) => return Verdict::Invalid,
        Err(error) => {
            troubles.note(Kind::ManagementStatus, edge.serial.as_str(), &error);
            return Verdict::Unknown;
        }
    }
    let Some(site_id) = client.site_id else {
        troubles.say(Kind::SiteDetails, edge.serial.as_str(), "the client info names no site");
        return Verdict::Unknown;
    };
    let request = SiteDetailsRequest {
        client_id: client.client_id.into(),
        site_id: site_id.into(),
        filters: IndexMap::default(),
    };
    let mut document = match bus.request::<contracts::bruin::SiteDetails>(&request).await {
        Ok(site) => site.0,
        Err(error) => {
            troubles.note(Kind::SiteDetails, edge.serial.as_str(), &error);
            return Verdict::Unknown;
        }
    };
    let tz_offset = Some(offset::tz_offset(&document, now, fallback));
    document.shift_remove("tzOffset");
    Verdict::Monitored(Box::new(CheckedEdge {
        edge: edge.edge,
        edge_name: edge.name,
        last_contact: edge.last_contact,
        logical_ids: edge.logical_ids,
        serial_number: edge.serial,
        ha_serial_number: edge.partner,
        bruin_client_info: client.received,
        site_details: SiteDetails { tz_offset, document },
        links_configuration: edge.links_configuration,
    }))
}
