//! Lists of links, edges, enterprises and gateways.

use std::collections::{BTreeMap, HashSet};

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, header};
use serde::Deserialize;
use serde_json::{Value, json};

use super::rows::{EdgeRow, EdgeTimes, EnterpriseRow, LinkRow};
use super::{answer, refused};
use crate::Simulation;
use crate::http::{List, json};
use crate::world::network::Edge;

#[derive(Deserialize)]
struct Nothing {}

/// `monitoring/getEnterpriseEdgeLinkStatus`: one item per link; an edge without links has one item.
pub(super) async fn link_status(
    State(simulation): State<Simulation>,
    Path(host): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    answer(simulation, host, headers, body, |portal, _: Nothing| {
        let Some(host) = portal.network.hosts.get(portal.host) else { return json(&[(); 0]) };
        let mut rows = List::new();
        for (enterprise, edge) in portal.network.edges_of_host(host) {
            let times = EdgeTimes::of(edge, portal.now);
            let row = |link| LinkRow::of(enterprise, edge, &times, link, portal.now);
            edge.links.iter().for_each(|link| rows.push(&row(Some(link))));
            if edge.links.is_empty() {
                rows.push(&row(None));
            }
        }
        rows.into_response()
    })
    .await
}

#[derive(Deserialize)]
struct OfEnterprise {
    #[serde(rename = "enterpriseId")]
    enterprise: i64,
    #[serde(default)]
    with: Vec<String>,
}

/// `enterprise/getEnterpriseEdges`.
pub(super) async fn enterprise_edges(
    State(simulation): State<Simulation>,
    Path(host): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    answer(simulation, host, headers, body, |portal, body: OfEnterprise| {
        let Some(enterprise) = portal.network.enterprise(portal.host, body.enterprise) else {
            return refused("user does not have access to enterprise");
        };
        let with_links = body.with.iter().any(|part| part == "links");
        let mut rows = List::new();
        for edge in portal.network.edges_of(enterprise) {
            rows.push(&EdgeRow::of(enterprise, edge, with_links, portal.now));
        }
        rows.into_response()
    })
    .await
}

#[derive(Deserialize)]
struct OfEnterprises {
    #[serde(default)]
    enterprises: Vec<i64>,
    #[serde(default)]
    with: Vec<String>,
}

/// `network/getNetworkEnterprises`; no ids: all enterprises.
pub(super) async fn network_enterprises(
    State(simulation): State<Simulation>,
    Path(host): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    answer(simulation, host, headers, body, |portal, body: OfEnterprises| {
        let Some(host) = portal.network.hosts.get(portal.host) else { return json(&[(); 0]) };
        let wanted: HashSet<i64> = body.enterprises.into_iter().collect();
        let with_edges = body.with.iter().any(|part| part == "edges");
        let enterprises = host.enterprises.iter().filter_map(|index| portal.network.enterprises.get(*index));
        let rows =
            enterprises.filter(|one| wanted.is_empty() || wanted.contains(&one.id)).map(|enterprise| {
                let row = |edge| EdgeRow::of(enterprise, edge, false, portal.now);
                let edges = with_edges.then(|| portal.network.edges_of(enterprise).map(row).collect());
                EnterpriseRow::of(enterprise, edges)
            });
        json(&rows.collect::<Vec<_>>())
    })
    .await
}

/// `monitoring/getAggregates`. It carries `Expires: 0` like an expired session, and is none.
pub(super) async fn aggregates(
    State(simulation): State<Simulation>,
    Path(host): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    answer(simulation, host, headers, body, |portal, _: Nothing| {
        let Some(host) = portal.network.hosts.get(portal.host) else { return json(&json!({})) };
        let mut states: BTreeMap<&str, usize> = BTreeMap::new();
        for (_, edge) in portal.network.edges_of_host(host) {
            *states.entry(edge.state().unwrap_or("UNKNOWN")).or_default() += 1;
        }
        let enterprises: Vec<Value> = host
            .enterprises
            .iter()
            .filter_map(|index| portal.network.enterprises.get(*index))
            .map(|enterprise| {
                let edges: Vec<&Edge> = portal.network.edges_of(enterprise).collect();
                json!({"id": enterprise.id, "name": enterprise.name, "edgeCount": edges.len()})
            })
            .collect();
        let mut response = json(&json!({
            "edgeCount": states.values().sum::<usize>(), "edges": states, "enterprises": enterprises,
        }));
        response.headers_mut().insert(header::EXPIRES, http::HeaderValue::from_static("0"));
        response
    })
    .await
}

/// `network/getNetworkGateways`.
pub(super) async fn gateways(
    State(simulation): State<Simulation>,
    Path(host): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    answer(simulation, host, headers, body, |portal, _: Nothing| {
        let gateways = portal.network.hosts.get(portal.host).map_or(&[][..], |host| host.gateways.as_slice());
        let row = |gateway: &crate::world::network::Gateway| {
            json!({
                "id": gateway.id,
                "name": gateway.name,
                "networkId": 1,
                "activationState": "ACTIVATED",
                "gatewayState": if gateway.up { "CONNECTED" } else { "OFFLINE" },
                "serviceState": "IN_SERVICE",
                "ipAddress": format!("192.0.2.{}", gateway.id),
            })
        };
        json(&gateways.iter().map(row).collect::<Vec<_>>())
    })
    .await
}
