//! Edges as the rules see them (spec "Behaviour" 1): link rows grouped by edge, with high-availability data, a record
//! for each standby, joined with the customer cache.

use std::{collections::HashMap, fmt, sync::Arc};

use contracts::{
    customer_cache::{self, EdgeIdentity, LinkConfiguration, LogicalId},
    id::{ClientId, Serial, SiteId},
    lenient,
};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use ticketing::outage::{OutageKind, Signals};

/// The state of an edge. Everything but offline counts as up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct State(String);

impl State {
    /// `OFFLINE`.
    pub fn offline() -> Self {
        Self("OFFLINE".to_owned())
    }

    /// `CONNECTED`.
    pub fn connected() -> Self {
        Self("CONNECTED".to_owned())
    }

    /// The state of a high-availability partner that `haState` of the primary means; `None` = high availability is
    /// not set up.
    fn of_partner(ha_state: Option<&str>) -> Option<Self> {
        match ha_state {
            Some("READY") => Some(Self::connected()),
            Some("FAILED") => Some(Self::offline()),
            _ => None,
        }
    }

    /// Whether it is offline.
    pub fn is_offline(&self) -> bool {
        self.0 == "OFFLINE"
    }

    /// Whether it is connected.
    pub fn is_connected(&self) -> bool {
        self.0 == "CONNECTED"
    }
}

impl From<&str> for State {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A WAN link of an edge. What VeloCloud does not tell is `None`, and matches nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// The interface, e.g. `GE1`.
    pub interface: Option<String>,
    /// The label people gave it.
    pub label: Option<String>,
    /// Its address.
    pub ip: Option<String>,
    /// Its state, e.g. `STABLE`.
    pub state: Option<String>,
}

impl Link {
    /// Whether it is disconnected.
    pub fn is_down(&self) -> bool {
        self.state.as_deref() == Some("DISCONNECTED")
    }
}

/// The other member of a high-availability pair.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Partner {
    /// Its serial number.
    pub serial: Serial,
    /// Its state.
    pub state: State,
}

/// An edge and its links at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EdgeRecord {
    /// Its serial number.
    pub serial: Serial,
    /// Its name (a standby has the primary's).
    pub name: Option<String>,
    /// Its state.
    pub state: State,
    /// The other member, when high availability is enabled.
    pub partner: Option<Partner>,
    /// Whether it is the primary member of a pair.
    pub primary: bool,
    /// Its links in VeloCloud's order (a standby has the primary's).
    pub links: Vec<Link>,
}

impl EdgeRecord {
    /// What is down; `None` = healthy.
    pub fn outage(&self) -> Option<OutageKind> {
        OutageKind::of(Signals {
            edge_offline: self.state.is_offline(),
            partner_offline: self.partner.as_ref().is_some_and(|partner| partner.state.is_offline()),
            has_partner: self.partner.is_some(),
            link_down: self.down_links().next().is_some(),
        })
    }

    /// Its disconnected links in order.
    pub fn down_links(&self) -> impl Iterator<Item = &Link> {
        self.links.iter().filter(|link| link.is_down())
    }

    /// The record of its standby: the same links, states and serials exchanged.
    fn standby(&self) -> Option<Self> {
        let partner = self.partner.as_ref()?;
        Some(Self {
            serial: partner.serial.clone(),
            state: partner.state.clone(),
            partner: Some(Partner { serial: self.serial.clone(), state: self.state.clone() }),
            primary: !self.primary,
            ..self.clone()
        })
    }
}

/// Of a [`LinkWithEdge`](contracts::velocloud::LinkWithEdge) what a record has. The rest of a host's long list is not
/// worth the memory.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct LinkRow {
    /// The edge's name.
    #[serde(deserialize_with = "lenient::or_default")]
    pub edge_name: Option<String>,
    /// The edge's state.
    #[serde(deserialize_with = "lenient::or_default")]
    pub edge_state: Option<String>,
    /// The edge's serial number.
    #[serde(deserialize_with = "lenient::or_default")]
    pub edge_serial_number: Option<String>,
    /// The serial number of its partner.
    #[serde(rename = "edgeHASerialNumber", deserialize_with = "lenient::or_default")]
    pub edge_ha_serial_number: Option<String>,
    /// The link's label.
    #[serde(deserialize_with = "lenient::or_default")]
    pub display_name: Option<String>,
    /// The link's interface.
    #[serde(deserialize_with = "lenient::or_default")]
    pub interface: Option<String>,
    /// The link's state.
    #[serde(deserialize_with = "lenient::or_default")]
    pub link_state: Option<String>,
    /// The link's address.
    #[serde(deserialize_with = "lenient::or_default")]
    pub link_ip_address: Option<String>,
}

/// Of an [`EnterpriseEdge`](contracts::velocloud::EnterpriseEdge) what tells whether it has a partner.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct EdgeRow {
    /// Its serial number.
    #[serde(deserialize_with = "lenient::or_default")]
    pub serial_number: Option<String>,
    /// The state of its partner.
    #[serde(deserialize_with = "lenient::or_default")]
    pub ha_state: Option<String>,
}

/// The records of one host: grouped by edge, with high-availability data, standbys at the end.
///
/// Rows without state or serial, or of edges never activated, are skipped; an edge which the network-enterprise list
/// does not have is neither down nor healthy, so it is dropped.
pub fn records(rows: Vec<LinkRow>, enterprise_edges: &[EdgeRow]) -> Vec<EdgeRecord> {
    let mut ha_states: HashMap<&str, Option<&str>> = HashMap::with_capacity(enterprise_edges.len());
    for edge in enterprise_edges {
        if let Some(serial) = edge.serial_number.as_deref() {
            ha_states.entry(serial).or_insert(edge.ha_state.as_deref());
        }
    }
    let mut originals: IndexMap<&str, EdgeRecord> = IndexMap::with_capacity(ha_states.len());
    for mut row in rows {
        let (Some(serial), Some(state)) = (row.edge_serial_number.take(), row.edge_state.take()) else {
            continue;
        };
        if state == "NEVER_ACTIVATED" {
            continue;
        }
        let Some((listed, ha_state)) = ha_states.get_key_value(serial.as_str()) else { continue };
        let link = Link {
            interface: row.interface.take(),
            label: row.display_name.take(),
            ip: row.link_ip_address.take(),
            state: row.link_state.take(),
        };
        let record = originals.entry(listed).or_insert_with(|| first_row(row, serial, state, *ha_state));
        record.links.push(link);
    }
    let mut records: Vec<EdgeRecord> = originals.into_values().collect();
    let standbys: Vec<EdgeRecord> = records.iter().filter_map(EdgeRecord::standby).collect();
    records.extend(standbys);
    records
}

fn first_row(row: LinkRow, serial: String, state: String, ha_state: Option<&str>) -> EdgeRecord {
    let partner_state = State::of_partner(ha_state);
    let primary = partner_state.is_some();
    let partner = partner_state
        .zip(row.edge_ha_serial_number)
        .map(|(state, serial)| Partner { serial: Serial::from(serial), state });
    EdgeRecord {
        serial: Serial::from(serial),
        name: row.edge_name,
        state: State(state),
        partner,
        primary,
        links: Vec::new(),
    }
}

/// What the customer cache knows of an edge, as far as the rules need it.
#[derive(Debug, Clone, PartialEq)]
pub struct MonitoredEdge {
    /// Its identity in VeloCloud.
    pub identity: EdgeIdentity,
    /// Its serial number.
    pub serial: Serial,
    /// The client in Bruin.
    pub client: ClientId,
    /// The client's site.
    pub site: Option<SiteId>,
    /// The site's offset from UTC in hours.
    pub offset_hours: Option<i32>,
    /// MAC addresses of the links.
    pub logical_ids: Vec<LogicalId>,
    /// Configuration of the WAN links.
    pub links_configuration: Vec<LinkConfiguration>,
}

impl From<customer_cache::CachedEdge> for MonitoredEdge {
    fn from(cached: customer_cache::CachedEdge) -> Self {
        Self {
            identity: cached.edge,
            serial: cached.serial_number,
            client: cached.bruin_client_info.client_id,
            site: cached.bruin_client_info.site_id,
            offset_hours: cached.site_details.tz_offset,
            logical_ids: cached.logical_ids,
            links_configuration: cached.links_configuration,
        }
    }
}

impl MonitoredEdge {
    /// The first configuration entry which has `interface`.
    pub fn configuration_of(&self, interface: &str) -> Option<&LinkConfiguration> {
        self.links_configuration.iter().find(|entry| entry.interfaces.iter().any(|has| has == interface))
    }
}

/// A monitored edge with its record.
#[derive(Debug, Clone, PartialEq)]
pub struct Device {
    /// What the cache knows.
    pub edge: Arc<MonitoredEdge>,
    /// What VeloCloud says now.
    pub record: EdgeRecord,
}

impl Device {
    /// The serial number.
    pub fn serial(&self) -> &Serial {
        &self.record.serial
    }
}

/// The monitored edges which have a record, in cache order, and the serials of those which have none.
pub fn join(cached: &[Arc<MonitoredEdge>], records: Vec<EdgeRecord>) -> (Vec<Device>, Vec<Serial>) {
    let mut by_serial: HashMap<Serial, EdgeRecord> = HashMap::with_capacity(records.len());
    for record in records {
        by_serial.entry(record.serial.clone()).or_insert(record);
    }
    let last: HashMap<&Serial, usize> =
        cached.iter().enumerate().map(|(place, edge)| (&edge.serial, place)).collect();
    let mut devices = Vec::with_capacity(cached.len());
    let mut unknown = Vec::new();
    for (place, edge) in cached.iter().enumerate() {
        // Two edges may have one serial number: only the last one takes its record away.
        let record = if last.get(&edge.serial) == Some(&place) {
            by_serial.remove(&edge.serial)
        } else {
            by_serial.get(&edge.serial).cloned()
        };
        match record {
            Some(record) => devices.push(Device { edge: edge.clone(), record }),
            None => unknown.push(edge.serial.clone()),
        }
    }
    (devices, unknown)
}

/// The edges to monitor, each once: those on no blacklist, compared by host, enterprise and edge as a whole.
pub fn monitored(
    cached: Vec<customer_cache::CachedEdge>,
    blacklist: &[EdgeIdentity],
) -> Vec<Arc<MonitoredEdge>> {
    cached
        .into_iter()
        .filter(|cached| !blacklist.contains(&cached.edge))
        .map(|cached| Arc::new(MonitoredEdge::from(cached)))
        .collect()
}

#[cfg(test)]
#[path = "edges_tests.rs"]
mod tests;
