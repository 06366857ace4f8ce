//! What requesters ask of `velocloud-bridge`, and how wrong requests are refused.
//!
//! Dates and intervals travel to VeloCloud in whatever form the caller chose, so they are JSON values here, not instants.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};

use crate::{Incoming, Rejected, Request, id::Id};

/// Refusal of every subject but two when there is no usable `body`.
pub const NO_BODY: &str = r#"Must include "body" in request"#;
/// Refusal of the two link lists when there is no usable `body`: note the article.
pub const NO_BODY_LINKS: &str = r#"Must include "body" in the request"#;
/// Refusal of `alert.request.event.edge`.
pub const EDGE_EVENTS: &str = r#"Must include "edge", "start_date", "end_date" in request"#;
/// Refusal of `alert.request.event.enterprise`.
pub const ENTERPRISE_EVENTS: &str =
    r#"Must include "enterprise_id", "host", "start_date", "end_date" in request"#;
/// Refusal of `get.links.with.edge.info`.
pub const LINKS: &str = r#"Must include "host" in the body of the request"#;
/// Refusal of `get.links.metric.info`.
pub const METRICS: &str = r#"Must include "host" and "interval" in the body of the request"#;
/// Refusal of `request.enterprises.edges`.
pub const EDGES: &str = r#"Must include "host" and "enterprise_id" in request "body""#;
/// Refusal of `request.enterprises.names` with a filter that is no list of texts.
pub const NAMES: &str = r#""filter" must be a list of texts in request "body""#;
/// Refusal of `request.links.configuration`.
pub const CONFIGURATION: &str =
    r#"You must specify {..."body": {"host", "enterprise_id", "edge_id"}...} in the request"#;
/// Refusal of `request.network.enterprise.edges`; the quotes are those of the existing deployment.
pub const NETWORK_EDGES: &str = r#"Must include "host" and "enterprise_ids" in request" "body""#;
/// Refusal of `request.edge.links.series` when its fields are wrong.
pub const SERIES: &str = "Request's should look like {'request_id': '19aafcjh10199', 'body': {'host': \
    'vco1.example.com', 'payload': {'enterpriseId': 0, 'edgeId': 0, 'interval': {'start': 19191919, 'end': 19191999}, \
    'metrics': ['bytesTx', 'bytesRx']}}}";
/// Refusal of `request.edge.links.series` when its payload is incomplete.
pub const SERIES_PAYLOAD: &str = "Request's payload should look like {'enterpriseId': 0, 'edgeId': 0, 'interval': \
    {'start': 19191919, 'end': 19191999}, 'metrics': ['bytesTx', 'bytesRx']}";

/// An edge, worldwide: its host, its enterprise there, and itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct EdgeFullId {
    /// The VCO, e.g. `vco1.example.com`.
    pub host: String,
    /// The enterprise's id on that host.
    pub enterprise_id: Id,
    /// The edge's id on that host.
    pub edge_id: Id,
}

/// Parameters of [`EdgeEvents`](super::EdgeEvents).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EdgeEventsRequest {
    /// Whose events.
    pub edge: EdgeFullId,
    /// Begin of the interval, in any form VeloCloud reads; see [`instant`].
    pub start_date: Value,
    /// End of the interval.
    pub end_date: Value,
    /// Only events of these names; `None` for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<Vec<String>>,
    /// At most this many; `None` leaves it to VeloCloud.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<Id>,
}

impl Request for EdgeEventsRequest {
    fn parse(incoming: &Incoming<'_>) -> Result<Self, Rejected> {
        // A missing date is refused, a null one is VeloCloud's to judge: presence is all that counts.
        read(incoming, NO_BODY, &["edge", "start_date", "end_date"], EDGE_EVENTS)
    }
}

/// Parameters of [`EnterpriseEvents`](super::EnterpriseEvents).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EnterpriseEventsRequest {
    /// The VCO.
    pub host: String,
    /// The enterprise's id on that host.
    pub enterprise_id: Id,
    /// Begin of the interval, in any form VeloCloud reads; see [`instant`].
    pub start_date: Value,
    /// End of the interval.
    pub end_date: Value,
    /// Only events of these names; `None` for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<Vec<String>>,
    /// At most this many; `None` leaves it to VeloCloud.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<Id>,
}

impl Request for EnterpriseEventsRequest {
    fn parse(incoming: &Incoming<'_>) -> Result<Self, Rejected> {
        read(incoming, NO_BODY, &["enterprise_id", "host", "start_date", "end_date"], ENTERPRISE_EVENTS)
    }
}

/// Parameters of [`LinksWithEdgeInfo`](super::LinksWithEdgeInfo).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LinksWithEdgeInfoRequest {
    /// The VCO.
    pub host: String,
}

impl Request for LinksWithEdgeInfoRequest {
    fn parse(incoming: &Incoming<'_>) -> Result<Self, Rejected> {
        read(incoming, NO_BODY_LINKS, &["host"], LINKS)
    }
}

/// Parameters of [`LinksMetricInfo`](super::LinksMetricInfo).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LinkMetricsRequest {
    /// The VCO.
    pub host: String,
    /// `{start, end}`, passed on as it is; see [`interval`].
    pub interval: Value,
}

impl Request for LinkMetricsRequest {
    fn parse(incoming: &Incoming<'_>) -> Result<Self, Rejected> {
        read(incoming, NO_BODY_LINKS, &["host", "interval"], METRICS)
    }
}

/// Parameters of [`EnterpriseEdges`](super::EnterpriseEdges).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EnterpriseEdgesRequest {
    /// The VCO.
    pub host: String,
    /// The enterprise's id on that host.
    pub enterprise_id: Id,
}

impl Request for EnterpriseEdgesRequest {
    fn parse(incoming: &Incoming<'_>) -> Result<Self, Rejected> {
        read(incoming, NO_BODY, &["host", "enterprise_id"], EDGES)
    }
}

/// Parameters of [`EnterpriseNames`](super::EnterpriseNames).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct EnterpriseNamesRequest {
    /// Only these names (whole, case-sensitive); empty for all. A name given twice comes twice.
    #[serde(default)]
    pub filter: Vec<String>,
}

impl Request for EnterpriseNamesRequest {
    fn parse(incoming: &Incoming<'_>) -> Result<Self, Rejected> {
        let mut body = incoming.body_object().ok_or_else(|| Rejected::text(NO_BODY))?;
        // Improve 11: a missing filter is an empty one; so is null.
        if body.get("filter").is_some_and(Value::is_null) {
            body.remove("filter");
        }
        typed(body, NAMES)
    }
}

/// Parameters of [`LinksConfiguration`](super::LinksConfiguration): the edge itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LinksConfigurationRequest(pub EdgeFullId);

impl Request for LinksConfigurationRequest {
    fn parse(incoming: &Incoming<'_>) -> Result<Self, Rejected> {
        read(incoming, NO_BODY, &["host", "enterprise_id", "edge_id"], CONFIGURATION)
    }
}

/// Parameters of [`EdgeLinksSeries`](super::EdgeLinksSeries).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LinkSeriesRequest {
    /// The VCO.
    pub host: String,
    /// `{enterpriseId, edgeId, interval: {start, end}, metrics: [..]}`, passed on as it is.
    pub payload: Map<String, Value>,
}

impl LinkSeriesRequest {
    /// Series of `metrics` of one edge between two instants.
    pub fn new(
        edge: &EdgeFullId,
        start: DateTime<Utc>,
        end: DateTime<Utc>,
        metrics: &[impl AsRef<str>],
    ) -> Self {
        let payload = [
            ("enterpriseId", json!(edge.enterprise_id)),
            ("edgeId", json!(edge.edge_id)),
            ("interval", json!({"start": start.timestamp_millis(), "end": end.timestamp_millis()})),
            ("metrics", metrics.iter().map(AsRef::as_ref).collect()),
        ];
        let payload = payload.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Self { host: edge.host.clone(), payload }
    }
}

impl Request for LinkSeriesRequest {
    fn parse(incoming: &Incoming<'_>) -> Result<Self, Rejected> {
        let body = incoming.body_object().ok_or_else(|| Rejected::text(NO_BODY))?;
        let Some(payload) = body.get("payload") else { return Err(Rejected::text(SERIES)) };
        let complete = payload.as_object().is_some_and(|payload| {
            ["enterpriseId", "edgeId", "interval", "metrics"].iter().all(|name| payload.contains_key(*name))
        });
        if !complete {
            return Err(Rejected::text(SERIES_PAYLOAD)); // Improve 12: also when the host is there
        }
        typed(body, SERIES)
    }
}

/// Parameters of [`NetworkEnterpriseEdges`](super::NetworkEnterpriseEdges).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NetworkEnterpriseEdgesRequest {
    /// The VCO.
    pub host: String,
    /// The enterprises; empty for all of the host.
    pub enterprise_ids: Vec<Id>,
}

impl Request for NetworkEnterpriseEdgesRequest {
    fn parse(incoming: &Incoming<'_>) -> Result<Self, Rejected> {
        read(incoming, NO_BODY, &["host", "enterprise_ids"], NETWORK_EDGES)
    }
}

/// Parameters of [`NetworkGatewayList`](super::NetworkGatewayList).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GatewayListRequest {
    /// The VCO.
    pub host: String,
}

impl Request for GatewayListRequest {
    fn parse(incoming: &Incoming<'_>) -> Result<Self, Rejected> {
        described(incoming, &[("host", "text", Value::is_string)])
    }
}

/// Parameters of [`GatewayStatusMetrics`](super::GatewayStatusMetrics).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GatewayStatusMetricsRequest {
    /// The VCO.
    pub host: String,
    /// The gateway's id on that host.
    pub gateway_id: i64,
    /// `{start, end}`, passed on as it is; see [`interval`].
    pub interval: Map<String, Value>,
    /// Names of metrics.
    pub metrics: Vec<String>,
}

impl Request for GatewayStatusMetricsRequest {
    fn parse(incoming: &Incoming<'_>) -> Result<Self, Rejected> {
        let has_both = |value: &Value| {
            value.as_object().is_some_and(|it| it.contains_key("start") && it.contains_key("end"))
        };
        let texts = |value: &Value| value.as_array().is_some_and(|items| items.iter().all(Value::is_string));
        described(
            incoming,
            &[
                ("host", "text", Value::is_string),
                ("gateway_id", "integer", Value::is_i64),
                ("interval", "object with start and end", has_both),
                ("metrics", "list of texts", texts),
            ],
        )
    }
}

/// An instant as VeloCloud reads it, e.g. `2020-10-19T15:22:03.345Z`.
pub fn instant(at: DateTime<Utc>) -> Value {
    Value::String(at.to_rfc3339_opts(SecondsFormat::Millis, true))
}

/// `{start, end}` as VeloCloud reads it.
pub fn interval(start: DateTime<Utc>, end: DateTime<Utc>) -> Value {
    json!({"start": instant(start), "end": instant(end)})
}

/// Reads a body which must be an object (else `no_body`), have the `required` keys and fit `T` (else `text`).
fn read<T: DeserializeOwned>(
    incoming: &Incoming<'_>,
    no_body: &str,
    required: &[&str],
    text: &str,
) -> Result<T, Rejected> {
    let body = incoming.body_object().ok_or_else(|| Rejected::text(no_body))?;
    // serde takes a missing `Value` for an error, but says nothing of keys whose value may be null.
    if required.iter().any(|key| !body.contains_key(*key)) {
        return Err(Rejected::text(text));
    }
    typed(body, text)
}

fn typed<T: DeserializeOwned>(body: Map<String, Value>, text: &str) -> Result<T, Rejected> {
    serde_json::from_value(Value::Object(body)).map_err(|_| Rejected::text(text))
}

/// Name of a field, what it must be, and the test for it.
type Field = (&'static str, &'static str, fn(&Value) -> bool);

/// Reads a request of the later state's subjects: a wrong one is refused with a list of what is wrong.
fn described<T: DeserializeOwned>(incoming: &Incoming<'_>, fields: &[Field]) -> Result<T, Rejected> {
    let refuse = |problems: Vec<Value>| Rejected { status: 400, body: Value::Array(problems) };
    let problem = |field: &str, text: String| json!({"loc": ["body", field], "msg": text});
    let Some(body) = incoming.body_object() else {
        return Err(refuse(vec![json!({"loc": ["body"], "msg": "must be an object"})]));
    };
    let problems: Vec<Value> = fields
        .iter()
        .filter_map(|(name, kind, fits)| match body.get(*name) {
            None => Some(problem(name, "field required".to_owned())),
            Some(value) if !fits(value) => Some(problem(name, format!("must be: {kind}"))),
            Some(_) => None,
        })
        .collect();
    if !problems.is_empty() {
        return Err(refuse(problems));
    }
    serde_json::from_value(Value::Object(body))
        .map_err(|_| refuse(vec![json!({"loc": ["body"], "msg": "unreadable"})]))
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
