//! What VeloCloud says of a host's edges (spec `customer-cache`, Behaviour 2 to 4).

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

use bus::{Bus, RequestError};
use contracts::{
    Rpc as _,
    customer_cache::{EdgeIdentity, LinkConfiguration, LogicalId},
    id::{Id, Serial},
    lenient,
    rows::Rows,
    velocloud::{
        EdgeFullId, EnterpriseEdgeLink, EnterpriseEdges, EnterpriseEdgesRequest, LinkWithEdge,
        LinksConfiguration, LinksConfigurationRequest, LinksWithEdgeInfo, LinksWithEdgeInfoRequest,
    },
};
use futures::{StreamExt, stream};
use serde::Deserialize;

use crate::trouble::{Kind, Troubles};

/// How long a host's link list may take (spec, "Requests").
const LINK_LIST_TIMEOUT: Duration = Duration::from_secs(300);

/// An edge as VeloCloud tells it.
#[derive(Debug, Clone, PartialEq)]
pub struct ListedEdge {
    /// Identity in VeloCloud.
    pub edge: EdgeIdentity,
    /// Name.
    pub name: Option<String>,
    /// Last contact, unchanged.
    pub last_contact: Option<String>,
    /// Serial number.
    pub serial: Serial,
    /// Serial number of the high-availability partner.
    pub partner: Option<Serial>,
    /// Logical ids of the links.
    pub logical_ids: Vec<LogicalId>,
    /// Configuration of the WAN links.
    pub links_configuration: Vec<LinkConfiguration>,
}

/// Reduces link rows to edges (Behaviour 2): the first row of a serial defines the edge. Rows of edges which never
/// were active, are blacklisted, or lack a state, a serial or an identity are skipped.
pub fn reduce(
    rows: &[LinkWithEdge],
    blacklist: &[EdgeIdentity],
    seen: &mut HashSet<Serial>,
) -> Vec<ListedEdge> {
    rows.iter()
        .filter_map(|row| listed(row, blacklist))
        .filter(|edge| seen.insert(edge.serial.clone()))
        .collect()
}

fn listed(row: &LinkWithEdge, blacklist: &[EdgeIdentity]) -> Option<ListedEdge> {
    if row.edge_state.as_deref()? == "NEVER_ACTIVATED" {
        return None;
    }
    let edge = EdgeIdentity {
        host: row.host.clone()?,
        enterprise_id: row.enterprise_id.as_ref().and_then(Id::as_i64)?,
        edge_id: row.edge_id.as_ref().and_then(Id::as_i64)?,
    };
    let serial = row.edge_serial_number.as_deref().filter(|serial| !serial.is_empty())?;
    if blacklist.contains(&edge) {
        return None;
    }
    Some(ListedEdge {
        edge,
        name: row.edge_name.clone(),
        last_contact: row.edge_last_contact.clone(),
        serial: Serial::from(serial),
        partner: row.edge_ha_serial_number.as_deref().map(Serial::from),
        logical_ids: Vec::new(),
        links_configuration: Vec::new(),
    })
}

/// An edge in the list of its enterprise.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct EnterpriseEdge {
    #[serde(deserialize_with = "lenient::or_default")]
    id: Option<Id>,
    #[serde(deserialize_with = "lenient::or_default")]
    links: Rows<EnterpriseEdgeLink>,
}

/// The logical ids of one enterprise's edges, by edge id (Behaviour 3).
pub fn logical_ids(edges: Vec<EnterpriseEdge>) -> HashMap<i64, Vec<LogicalId>> {
    let odd: usize = edges.iter().map(|edge| edge.links.odd).sum();
    if odd > 0 {
        tracing::warn!(odd, "links of an enterprise's edges cannot be read and are left out");
    }
    edges
        .into_iter()
        .filter_map(|edge| {
            let links = edge.links.rows.into_iter();
            let ids =
                links.map(|link| LogicalId { interface_name: link.interface, logical_id: link.logical_id });
            Some((edge.id?.as_i64()?, ids.collect()))
        })
        .collect()
}

/// The configuration of a WAN link. One that lacks a field is of no use to anybody and is left out (Improve 4).
#[derive(Debug, Deserialize)]
struct ConfiguredLink {
    interfaces: Vec<String>,
    mode: String,
    #[serde(rename = "type")]
    kind: String,
}

impl From<ConfiguredLink> for LinkConfiguration {
    fn from(link: ConfiguredLink) -> Self {
        Self { interfaces: link.interfaces, mode: Some(link.mode), kind: Some(link.kind) }
    }
}

/// A host's link list; `None`, with the trouble noted, when it cannot be had.
pub async fn rows(bus: &Bus, host: &str, troubles: &Troubles) -> Option<Vec<LinkWithEdge>> {
    let request = LinksWithEdgeInfoRequest { host: host.to_owned() };
    bus.request_rows::<LinksWithEdgeInfo, _>(&request, LINK_LIST_TIMEOUT, host)
        .await
        .inspect_err(|error| troubles.note(Kind::LinkList, host, error))
        .ok()
}

/// Adds the logical ids and the links' configuration to the edges of one host, with at most `concurrency` requests at a
/// time (Improve 5). What cannot be had stays empty.
pub async fn enrich(
    bus: &Bus,
    host: &str,
    edges: &mut [ListedEdge],
    concurrency: usize,
    troubles: &Troubles,
) {
    let enterprises: BTreeSet<i64> = edges.iter().map(|edge| edge.edge.enterprise_id).collect();
    let ids: HashMap<i64, HashMap<i64, Vec<LogicalId>>> = stream::iter(enterprises)
        .map(|enterprise| async move {
            let request =
                EnterpriseEdgesRequest { host: host.to_owned(), enterprise_id: Id::from(enterprise) };
            let about = enterprise.to_string();
            let edges =
                bus.request_rows::<EnterpriseEdges, _>(&request, EnterpriseEdges::TIMEOUT, &about).await;
            let edges = edges.inspect_err(|error| troubles.note(Kind::EnterpriseEdges, &about, error));
            (enterprise, logical_ids(edges.unwrap_or_default()))
        })
        .buffer_unordered(concurrency)
        .collect()
        .await;
    stream::iter(edges.iter_mut())
        .for_each_concurrent(concurrency, |edge| {
            let ids = ids.get(&edge.edge.enterprise_id).and_then(|edges| edges.get(&edge.edge.edge_id));
            async move {
                edge.logical_ids = ids.cloned().unwrap_or_default();
                edge.links_configuration = links_configuration(bus, edge, troubles).await;
            }
        })
        .await;
}

async fn links_configuration(bus: &Bus, edge: &ListedEdge, troubles: &Troubles) -> Vec<LinkConfiguration> {
    let request = LinksConfigurationRequest(EdgeFullId {
        host: edge.edge.host.clone(),
        enterprise_id: Id::from(edge.edge.enterprise_id),
        edge_id: Id::from(edge.edge.edge_id),
    });
    let serial = edge.serial.as_str();
    let within = LinksConfiguration::TIMEOUT;
    let links = bus.request_rows::<LinksConfiguration, ConfiguredLink>(&request, within, serial).await;
    match links {
        Ok(links) => links.into_iter().map(LinkConfiguration::from).collect(),
        // An edge without a WAN module is ordinary (Improve 6): no trouble.
        Err(RequestError::Refused { status: Some(404), .. }) => {
            tracing::debug!(serial, "no links configuration");
            Vec::new()
        }
        Err(error) => {
            troubles.note(Kind::LinksConfiguration, serial, &error);
            Vec::new()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn row(changes: &Value) -> LinkWithEdge {
        let mut row = json!({
            "host": "h", "enterpriseId": 1, "edgeId": 2, "edgeName": "Store 7", "edgeState": "CONNECTED",
            "edgeLastContact": "2022-01-31T10:00:00.000Z", "edgeSerialNumber": "VC1", "edgeHASerialNumber": null
        });
        for (name, value) in changes.as_object().unwrap() {
            row[name] = value.clone();
        }
        serde_json::from_value(row).unwrap()
    }

    fn serials(rows: &[LinkWithEdge], blacklist: &[EdgeIdentity]) -> Vec<String> {
        reduce(rows, blacklist, &mut HashSet::new()).into_iter().map(|edge| edge.serial.0).collect()
    }

    #[test]
    fn the_first_row_of_a_serial_defines_the_edge() {
        let rows =
            [row(&json!({})), row(&json!({"edgeName": "other"})), row(&json!({"edgeSerialNumber": "VC2"}))];
        let edges = reduce(&rows, &[], &mut HashSet::new());
        assert_eq!(edges.len(), 2);
        assert_eq!(edges[0].name.as_deref(), Some("Store 7"));
    }

    #[test]
    fn odd_rows_are_skipped_and_stop_nothing() {
        for (changes, why) in [
            (json!({"edgeState": null}), "no state"),
            (json!({"edgeState": "NEVER_ACTIVATED"}), "never active"),
            (json!({"edgeSerialNumber": null}), "no serial"),
            (json!({"edgeSerialNumber": ""}), "empty serial"),
            (json!({"edgeId": null}), "no id"),
            (json!({"host": 7}), "no host"),
        ] {
            let rows = [row(&changes), row(&json!({"edgeSerialNumber": "VC9"}))];
            assert_eq!(serials(&rows, &[]), ["VC9"], "{why}");
        }
    }

    #[test]
    fn blacklisted_edges_are_compared_whole() {
        let listed = |edge_id| EdgeIdentity { host: "h".into(), enterprise_id: 1, edge_id };
        assert!(serials(&[row(&json!({}))], &[listed(2)]).is_empty());
        assert_eq!(serials(&[row(&json!({}))], &[listed(3)]), ["VC1"]);
    }

    #[test]
    fn a_serial_on_two_hosts_belongs_to_the_first() {
        let mut seen = HashSet::new();
        assert_eq!(reduce(&[row(&json!({}))], &[], &mut seen).len(), 1);
        assert!(reduce(&[row(&json!({"host": "h2"}))], &[], &mut seen).is_empty());
    }

    #[test]
    fn logical_ids_keep_the_order_of_the_links() {
        let edges: Rows<EnterpriseEdge> = serde_json::from_value(json!([
            {"id": 2, "links": [{"interface": "GE1", "logicalId": "a"}, 7, {"interface": "GE2", "logicalId": null}]},
            {"id": null, "links": []},
            {"id": 3},
            {"id": 4, "links": null}
        ]))
        .unwrap();
        let ids = logical_ids(edges.rows);
        let names: Vec<_> =
            ids[&2].iter().map(|id| (id.interface_name.as_deref(), id.logical_id.as_deref())).collect();
        assert_eq!(names, [(Some("GE1"), Some("a")), (Some("GE2"), None)]);
        assert_eq!((&ids[&3], &ids[&4]), (&vec![], &vec![]));
    }

    #[test]
    fn a_link_configuration_that_lacks_a_field_is_left_out() {
        let links: Rows<ConfiguredLink> = serde_json::from_value(json!([
            {"mode": "PUBLIC", "type": "WIRED"},
            {"interfaces": ["GE1"], "type": "WIRED"},
            {"interfaces": ["GE1"], "mode": "PUBLIC"},
            {"interfaces": ["GE1"], "mode": null, "type": "WIRED"},
            {"interfaces": ["GE2"], "mode": "PRIVATE", "type": "WIRELESS", "isp": "x"}
        ]))
        .unwrap();
        let kept: Vec<LinkConfiguration> = links.rows.into_iter().map(LinkConfiguration::from).collect();
        assert_eq!(json!(kept), json!([{"interfaces": ["GE2"], "mode": "PRIVATE", "type": "WIRELESS"}]));
        assert_eq!(links.odd, 4);
    }
}
