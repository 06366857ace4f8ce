//! The records of the portal's listings.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;

use crate::world::network::{Activation, Edge, Enterprise, Link};

/// `2020-09-29T04:48:55.000Z`.
pub(super) fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// An id as UUIDs look, unique per kind and number.
fn uuid(kind: u32, number: i64) -> String {
    format!("{kind:08x}-5a8d-4000-8000-{number:012}")
}

/// A link with its edge: an item of `getEnterpriseEdgeLinkStatus`, and the `link` of a metrics item.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LinkRow<'n> {
    enterprise_name: &'n str,
    enterprise_id: i64,
    enterprise_proxy_id: Option<i64>,
    enterprise_proxy_name: Option<&'n str>,
    edge_name: &'n str,
    edge_state: Option<&'static str>,
    edge_system_up_since: &'n str,
    edge_service_up_since: &'n str,
    edge_last_contact: Option<&'n str>,
    edge_id: i64,
    edge_serial_number: &'n str,
    #[serde(rename = "edgeHASerialNumber")]
    edge_ha_serial_number: Option<&'n str>,
    edge_model_number: &'static str,
    edge_latitude: f32,
    edge_longitude: f32,
    display_name: Option<&'n str>,
    isp: Option<&'static str>,
    interface: Option<&'n str>,
    internal_id: Option<String>,
    link_state: Option<&'static str>,
    link_last_active: Option<String>,
    link_vpn_state: Option<&'static str>,
    link_id: Option<i64>,
    link_ip_address: Option<String>,
}

/// The texts that all rows of an edge share.
pub(super) struct EdgeTimes {
    system_up: String,
    service_up: String,
    last_contact: Option<String>,
}

impl EdgeTimes {
    pub(super) fn of(edge: &Edge, now: DateTime<Utc>) -> Self {
        Self {
            system_up: time(edge.since),
            // A device starts its service some seconds after its system.
            service_up: time(edge.since + chrono::TimeDelta::seconds(42)),
            last_contact: edge.last_contact(now).map(time),
        }
    }
}

impl<'n> LinkRow<'n> {
    /// The row of a link, or of an edge without links.
    pub(super) fn of(
        enterprise: &'n Enterprise,
        edge: &'n Edge,
        times: &'n EdgeTimes,
        link: Option<&'n Link>,
        now: DateTime<Utc>,
    ) -> Self {
        let state = link.map(|link| edge.link_state(link).name());
        Self {
            enterprise_name: &enterprise.name,
            enterprise_id: enterprise.id,
            enterprise_proxy_id: None,
            enterprise_proxy_name: None,
            edge_name: &edge.name,
            edge_state: edge.state(),
            edge_system_up_since: &times.system_up,
            edge_service_up_since: &times.service_up,
            edge_last_contact: times.last_contact.as_deref(),
            edge_id: edge.id,
            edge_serial_number: &edge.serial,
            edge_ha_serial_number: edge.ha_serial(),
            edge_model_number: edge.model,
            edge_latitude: edge.latitude,
            edge_longitude: edge.longitude,
            display_name: link.map(|link| link.label.as_str()),
            isp: link.map(|link| link.carrier),
            interface: link.map(|link| link.interface.as_str()),
            internal_id: link.map(|link| uuid(1, link.id)),
            link_state: state,
            link_last_active: link.map(|link| time(last_active(edge, link, now))),
            link_vpn_state: state.map(vpn_state),
            link_id: link.map(|link| link.id),
            link_ip_address: link.map(|link| link.ip.to_string()),
        }
    }
}

fn last_active(edge: &Edge, link: &Link, now: DateTime<Utc>) -> DateTime<Utc> {
    match edge.link_state(link).name() {
        "DISCONNECTED" if edge.site_online() => link.since,
        "DISCONNECTED" => edge.last_contact(now).unwrap_or(link.since),
        _ => edge.last_contact(now).unwrap_or(now),
    }
}

fn vpn_state(link_state: &'static str) -> &'static str {
    if link_state == "DISCONNECTED" { "DEAD" } else { link_state }
}

/// An edge of `getEnterpriseEdges` and `getNetworkEnterprises`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EdgeRow<'n> {
    activation_key: &'static str,
    activation_state: &'static str,
    activation_time: Option<&'static str>,
    alerts_enabled: i64,
    build_number: &'static str,
    description: Option<&'static str>,
    device_family: &'static str,
    edge_state: Option<&'static str>,
    enterprise_id: i64,
    ha_serial_number: Option<&'n str>,
    ha_state: &'static str,
    id: i64,
    is_hub: bool,
    is_live: i64,
    last_contact: Option<String>,
    logical_id: String,
    model_number: &'static str,
    name: &'n str,
    serial_number: &'n str,
    service_up_since: String,
    site_id: i64,
    software_version: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    links: Option<Vec<EdgeLink<'n>>>,
}

impl<'n> EdgeRow<'n> {
    pub(super) fn of(
        enterprise: &'n Enterprise,
        edge: &'n Edge,
        with_links: bool,
        now: DateTime<Utc>,
    ) -> Self {
        let activated = edge.activation == Activation::Activated;
        Self {
            activation_key: "AAAA-BBBB-CCCC-DDDD",
            activation_state: if activated { "ACTIVATED" } else { "PENDING" },
            activation_time: activated.then_some("2018-07-11T14:36:07.000Z"),
            alerts_enabled: 1,
            build_number: "R322-20200508-GA",
            description: None,
            device_family: "EDGE5X0",
            edge_state: edge.state(),
            enterprise_id: enterprise.id,
            ha_serial_number: edge.ha_serial(),
            ha_state: edge.ha_state(),
            id: edge.id,
            is_hub: false,
            is_live: 0,
            last_contact: edge.last_contact(now).map(time),
            logical_id: uuid(2, edge.id),
            model_number: edge.model,
            name: &edge.name,
            serial_number: &edge.serial,
            service_up_since: time(edge.since),
            site_id: 10_000 + edge.id,
            software_version: "3.3.2",
            links: with_links.then(|| edge.links.iter().map(|link| EdgeLink::of(edge, link, now)).collect()),
        }
    }
}

/// A link of an [`EdgeRow`].
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EdgeLink<'n> {
    backup_state: &'static str,
    created: &'static str,
    display_name: &'n str,
    edge_id: i64,
    effective_state: &'static str,
    id: i64,
    interface: &'n str,
    internal_id: String,
    ip_address: String,
    isp: &'static str,
    last_active: String,
    last_event: String,
    lat: f32,
    logical_id: &'n str,
    lon: f32,
    mac_address: Option<&'static str>,
    state: &'static str,
    vpn_state: &'static str,
}

impl<'n> EdgeLink<'n> {
    fn of(edge: &'n Edge, link: &'n Link, now: DateTime<Utc>) -> Self {
        let state = edge.link_state(link).name();
        Self {
            backup_state: "UNCONFIGURED",
            created: "2018-07-26T16:38:33.000Z",
            display_name: &link.label,
            edge_id: edge.id,
            effective_state: state,
            id: link.id,
            interface: &link.interface,
            internal_id: uuid(1, link.id),
            ip_address: link.ip.to_string(),
            isp: link.carrier,
            last_active: time(last_active(edge, link, now)),
            last_event: time(link.since),
            lat: edge.latitude,
            logical_id: &link.logical_id,
            lon: edge.longitude,
            mac_address: None,
            state,
            vpn_state: vpn_state(state),
        }
    }
}

/// An enterprise of `getNetworkEnterprises`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EnterpriseRow<'n> {
    account_number: String,
    created: &'static str,
    edge_count: usize,
    gateway_pool_id: i64,
    id: i64,
    name: &'n str,
    network_id: i64,
    timezone: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) edges: Option<Vec<EdgeRow<'n>>>,
}

impl<'n> EnterpriseRow<'n> {
    pub(super) fn of(enterprise: &'n Enterprise, edges: Option<Vec<EdgeRow<'n>>>) -> Self {
        Self {
            account_number: format!("ACC-{}", enterprise.client),
            created: "2018-01-23T13:30:23.944Z",
            edge_count: enterprise.edges.len(),
            gateway_pool_id: 7,
            id: enterprise.id,
            name: &enterprise.name,
            network_id: 1,
            timezone: "America/New_York",
            edges,
        }
    }
}
