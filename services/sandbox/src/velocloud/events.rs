//! `event/getEnterpriseEvents`, of an enterprise or of some of its edges.

use std::collections::HashSet;

use axum::extract::{Path, State};
use axum::response::Response;
use bytes::Bytes;
use http::HeaderMap;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::interval::RawInterval;
use super::{answer, refused, rows};
use crate::Simulation;
use crate::http::json;
use crate::world::events::Event;
use crate::world::network::Edge;

/// The portal never sends more at once.
const LIMIT: usize = 2_048;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    enterprise_id: i64,
    interval: RawInterval,
    #[serde(default)]
    filter: Filter,
    edge_id: Option<Vec<i64>>,
}

#[derive(Deserialize, Default)]
struct Filter {
    limit: Option<usize>,
    rules: Option<Vec<Rule>>,
}

#[derive(Deserialize)]
struct Rule {
    field: String,
    op: String,
    values: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row<'n> {
    id: i64,
    event: &'static str,
    category: &'static str,
    event_time: String,
    severity: &'static str,
    message: String,
    detail: &'static str,
    edge_name: &'n str,
    enterprise_username: Option<&'static str>,
}

/// Newest first; `metaData.more` says that the limit cut the list.
pub(super) async fn enterprise_events(
    State(simulation): State<Simulation>,
    Path(host): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    answer(simulation, host, headers, body, |portal, body: Body| {
        let interval = match body.interval.read(portal.now) {
            Ok(interval) => interval,
            Err(problem) => return refused(&problem),
        };
        let Some(enterprise) = portal.network.enterprise(portal.host, body.enterprise_id) else {
            return refused("user does not have access to enterprise");
        };
        let mut names: Option<HashSet<String>> = None;
        for rule in body.filter.rules.unwrap_or_default() {
            if rule.field != "event" || rule.op != "is" {
                return refused("unsupported filter rule");
            }
            names = Some(rule.values.into_iter().collect());
        }
        let edges: Option<HashSet<i64>> = body.edge_id.map(|ids| ids.into_iter().collect());
        let limit = body.filter.limit.unwrap_or(LIMIT).min(LIMIT);

        let of_edge = |edge: &&Edge| edges.as_ref().is_none_or(|ids| ids.contains(&edge.id));
        let wanted = |event: &&Event| {
            event.at >= interval.start
                && event.at <= interval.end
                && names.as_ref().is_none_or(|names| names.contains(event.happening.name()))
        };
        let mut found: Vec<(&Edge, &Event)> = portal
            .network
            .edges_of(enterprise)
            .filter(of_edge)
            .flat_map(|edge| edge.events.iter().filter(wanted).map(move |event| (edge, event)))
            .collect();
        found.sort_by_key(|(_, event)| std::cmp::Reverse((event.at, event.id)));
        let more = found.len() > limit;
        found.truncate(limit);
        let row = |(edge, event): (&'_ Edge, &Event)| -> serde_json::Value {
            json!(Row {
                id: event.id,
                event: event.happening.name(),
                category: event.happening.category(),
                event_time: rows::time(event.at),
                severity: event.happening.severity(),
                message: event.happening.message(),
                detail: "{}",
                edge_name: &edge.name,
                enterprise_username: None,
            })
        };
        let data: Vec<serde_json::Value> = found.into_iter().map(row).collect();
        json(&json!({"metaData": {"limit": limit, "more": more}, "data": data}))
    })
    .await
}
