//! Link metrics and series, gateway metrics. Numbers follow from the link's id and the instant, so the same question
//! has the same answer; an unstable link shows losses, a disconnected one carries nothing.

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use http::HeaderMap;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::interval::{Interval, RawInterval};
use super::rows::{EdgeTimes, LinkRow};
use super::{answer, refused};
use crate::Simulation;
use crate::http::{List, json};
use crate::world::network::{Edge, Link, LinkState};

/// Points of a series are this far apart.
const TICK: TimeDelta = TimeDelta::minutes(5);
/// A series holds at most so many points.
const POINTS: usize = 1_024;
/// A shorter interval has no series.
const SHORTEST: TimeDelta = TimeDelta::minutes(15);

#[derive(Deserialize)]
struct MetricsBody {
    interval: RawInterval,
}

/// An item of `getAggregateEdgeLinkMetrics`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MetricsRow<'n> {
    link_id: i64,
    bytes_tx: u64,
    bytes_rx: u64,
    packets_tx: u64,
    packets_rx: u64,
    total_bytes: u64,
    total_packets: u64,
    p1_bytes_rx: u64,
    p1_bytes_tx: u64,
    p1_packets_rx: u64,
    p1_packets_tx: u64,
    p2_bytes_rx: u64,
    p2_bytes_tx: u64,
    p2_packets_rx: u64,
    p2_packets_tx: u64,
    p3_bytes_rx: u64,
    p3_bytes_tx: u64,
    p3_packets_rx: u64,
    p3_packets_tx: u64,
    control_bytes_rx: u64,
    control_bytes_tx: u64,
    control_packets_rx: u64,
    control_packets_tx: u64,
    bps_of_best_path_rx: u64,
    bps_of_best_path_tx: u64,
    best_jitter_ms_rx: f64,
    best_jitter_ms_tx: f64,
    best_latency_ms_rx: f64,
    best_latency_ms_tx: f64,
    best_loss_pct_rx: f64,
    best_loss_pct_tx: f64,
    score_tx: f64,
    score_rx: f64,
    signal_strength: i64,
    state: i64,
    name: &'n str,
    link: LinkRow<'n>,
}

/// `monitoring/getAggregateEdgeLinkMetrics`: every link of the host whose edge is in service.
pub(super) async fn link_metrics(
    State(simulation): State<Simulation>,
    Path(host): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    answer(simulation, host, headers, body, |portal, body: MetricsBody| {
        let interval = match body.interval.read(portal.now) {
            Ok(interval) => interval,
            Err(problem) => return refused(&problem),
        };
        let Some(host) = portal.network.hosts.get(portal.host) else { return json(&[(); 0]) };
        let mut rows = List::new();
        for (enterprise, edge) in portal.network.edges_of_host(host) {
            let times = EdgeTimes::of(edge, portal.now);
            for link in &edge.links {
                let row = LinkRow::of(enterprise, edge, &times, Some(link), portal.now);
                rows.push(&metrics_row(edge, link, row, interval));
            }
        }
        rows.into_response()
    })
    .await
}

fn metrics_row<'n>(edge: &Edge, link: &'n Link, row: LinkRow<'n>, interval: Interval) -> MetricsRow<'n> {
    let state = edge.link_state(link);
    let seconds = u64::try_from((interval.end - interval.start).num_seconds()).unwrap_or_default();
    let rate = if state == LinkState::Disconnected { 0 } else { 20_000 + load(link, interval.start) * 400 };
    let (rx, tx) = (rate * seconds, rate * seconds / 3);
    let (loss, latency, jitter, score) = match state {
        LinkState::Stable => (0.0, 12.5, 0.4, 4.4),
        LinkState::Unstable => (3.7, 160.0, 45.0, 2.1),
        LinkState::Disconnected => (0.0, 0.0, 0.0, 0.0),
    };
    MetricsRow {
        link_id: link.id,
        bytes_tx: tx,
        bytes_rx: rx,
        packets_tx: tx / 900,
        packets_rx: rx / 900,
        total_bytes: rx + tx,
        total_packets: (rx + tx) / 900,
        p1_bytes_rx: rx / 2,
        p1_bytes_tx: tx / 2,
        p1_packets_rx: rx / 1_800,
        p1_packets_tx: tx / 1_800,
        p2_bytes_rx: rx / 4,
        p2_bytes_tx: tx / 4,
        p2_packets_rx: rx / 3_600,
        p2_packets_tx: tx / 3_600,
        p3_bytes_rx: rx / 8,
        p3_bytes_tx: tx / 8,
        p3_packets_rx: rx / 7_200,
        p3_packets_tx: tx / 7_200,
        control_bytes_rx: rx / 8,
        control_bytes_tx: tx / 8,
        control_packets_rx: rx / 7_200,
        control_packets_tx: tx / 7_200,
        bps_of_best_path_rx: 100_000_000,
        bps_of_best_path_tx: 40_000_000,
        best_jitter_ms_rx: jitter,
        best_jitter_ms_tx: jitter,
        best_latency_ms_rx: latency,
        best_latency_ms_tx: latency,
        best_loss_pct_rx: loss,
        best_loss_pct_tx: loss,
        score_tx: score,
        score_rx: score,
        signal_strength: 0,
        state: 0,
        name: &link.interface,
        link: row,
    }
}

/// A load between 0 and 99 that changes from tick to tick.
fn load(link: &Link, at: DateTime<Utc>) -> u64 {
    let tick = at.timestamp().div_euclid(TICK.num_seconds());
    let mixed =
        (tick.wrapping_mul(1_103_515_245).wrapping_add(link.id.wrapping_mul(12_345))).rem_euclid(99_991);
    u64::try_from(mixed % 100).unwrap_or_default()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SeriesBody {
    enterprise_id: i64,
    edge_id: i64,
    interval: RawInterval,
    metrics: Vec<String>,
}

/// `metrics/getEdgeLinkSeries`.
pub(super) async fn link_series(
    State(simulation): State<Simulation>,
    Path(host): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    answer(simulation, host, headers, body, |portal, body: SeriesBody| {
        let interval = match body.interval.read(portal.now) {
            Ok(interval) => interval,
            Err(problem) => return refused(&problem),
        };
        let edge = portal.network.edge(portal.host, body.edge_id);
        let found = edge.and_then(|edge| Some((edge, portal.network.enterprise_of(edge)?)));
        let Some((edge, enterprise)) = found.filter(|(_, enterprise)| enterprise.id == body.enterprise_id)
        else {
            return refused("edge not found in enterprise");
        };
        if interval.end - interval.start < SHORTEST {
            return json(&[(); 0]);
        }
        let times = EdgeTimes::of(edge, portal.now);
        let rows = edge.links.iter().map(|link| {
            let series: Vec<Value> =
                body.metrics.iter().map(|metric| series(link, metric, interval)).collect();
            let row = LinkRow::of(enterprise, edge, &times, Some(link), portal.now);
            json!({"linkId": link.id, "edgeId": edge.id, "link": row, "series": series})
        });
        json(&rows.collect::<Vec<_>>())
    })
    .await
}

fn series(link: &Link, metric: &str, interval: Interval) -> Value {
    let ticks = std::iter::successors(Some(interval.start), |at| Some(*at + TICK));
    let data: Vec<u64> = ticks
        .take_while(|at| *at < interval.end)
        .take(POINTS)
        .map(|at| {
            if link.state == LinkState::Disconnected && at >= link.since { 0 } else { load(link, at) * 1_000 }
        })
        .collect();
    json!({
        "metric": metric,
        "startTime": interval.start.timestamp_millis(),
        "tickInterval": TICK.num_milliseconds(),
        "total": data.iter().sum::<u64>(),
        "min": data.iter().min(),
        "max": data.iter().max(),
        "data": data,
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GatewayBody {
    gateway_id: i64,
    interval: RawInterval,
    metrics: Vec<String>,
}

/// `metrics/getGatewayStatusMetrics`.
pub(super) async fn gateway_metrics(
    State(simulation): State<Simulation>,
    Path(host): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    answer(simulation, host, headers, body, |portal, body: GatewayBody| {
        if let Err(problem) = body.interval.read(portal.now) {
            return refused(&problem);
        }
        let gateways = portal.network.hosts.get(portal.host).map(|host| host.gateways.as_slice());
        let known = gateways.is_some_and(|all| all.iter().any(|gateway| gateway.id == body.gateway_id));
        if !known {
            return refused("gateway not found");
        }
        let value = |metric: &String| (metric.clone(), json!({"min": 10, "max": 40, "average": 25}));
        json(&body.metrics.iter().map(value).collect::<serde_json::Map<_, _>>())
    })
    .await
}
