//! `edge/getEdgeConfigurationModules`: the WAN links of an edge as configured.

use axum::extract::{Path, State};
use axum::response::Response;
use bytes::Bytes;
use http::HeaderMap;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{answer, refused};
use crate::Simulation;
use crate::http::json;
use crate::world::network::{Activation, Edge, Link};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    enterprise_id: i64,
    edge_id: i64,
    #[serde(default)]
    modules: Vec<String>,
}

/// An edge that was never activated has no WAN module; one without links has an empty one.
pub(super) async fn modules(
    State(simulation): State<Simulation>,
    Path(host): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    answer(simulation, host, headers, body, |portal, body: Body| {
        let edge = portal.network.edge(portal.host, body.edge_id).filter(|edge| {
            portal.network.enterprise_of(edge).is_some_and(|enterprise| enterprise.id == body.enterprise_id)
        });
        let Some(edge) = edge else { return refused("edge not found in enterprise") };
        let wanted = body.modules.is_empty() || body.modules.iter().any(|module| module == "WAN");
        if edge.activation == Activation::Never || !wanted {
            return json(&json!({}));
        }
        json(&json!({"WAN": wan(edge)}))
    })
    .await
}

fn wan(edge: &Edge) -> Value {
    let link = |link: &Link| {
        json!({
            "logicalId": link.logical_id,
            "internalId": format!("{:08}-ac48-47a0-81a7-80c8c320f486", link.id),
            "discovery": "AUTO_DISCOVERED",
            "mode": link.mode,
            "type": link.kind,
            "name": link.label,
            "isp": link.carrier,
            "publicIpAddress": link.ip.to_string(),
            "interfaces": [link.interface],
            "MTU": 1500,
            "overheadBytes": 0,
            "backupOnly": false,
            "udpHolePunching": false,
            "classesofservice": {"classId": null},
        })
    };
    let links: Vec<Value> = edge.links.iter().map(link).collect();
    json!({
        "version": "1500655840000",
        "schemaVersion": "3.2.1",
        "type": "ENTERPRISE",
        "data": {"networks": [], "links": links},
    })
}
