//! The subjects which `velocloud-bridge` answers (spec `velocloud-bridge`, "Serves").
//!
//! All of them are reads. `host` names a VeloCloud Orchestrator (VCO), exactly as it is configured at the bridge.
//! Requests are in [`request`], with the texts by which the bridge refuses them; what callers read of the replies is in
//! [`reply`]. The bridge itself passes VeloCloud's JSON on as it came.

use std::time::Duration;

use serde_json::Value;

use crate::{Effect, Rpc};

pub mod reply;
pub mod request;

pub use reply::{
    EdgeWithLinks, EnterpriseEdge, EnterpriseEdgeLink, Event, Gateway, LinkConfiguration, LinkMetrics,
    LinkWithEdge,
};
pub use request::{
    EdgeEventsRequest, EdgeFullId, EnterpriseEdgesRequest, EnterpriseEventsRequest, EnterpriseNamesRequest,
    GatewayListRequest, GatewayStatusMetricsRequest, LinkMetricsRequest, LinkSeriesRequest,
    LinksConfigurationRequest, LinksWithEdgeInfoRequest, NetworkEnterpriseEdgesRequest,
};

/// The queue group of all subjects of this module.
pub const QUEUE: &str = "velocloud_bridge";

/// What the bridge needs besides the call to VeloCloud, whose own limit is 60 s (170 s for events; Improve 14).
const SPARE: u64 = 5;

macro_rules! subjects {
    ($($(#[$doc:meta])+ $name:ident = $subject:literal, $timeout:literal s, answered in $answer:literal s:
        $request:ty => $reply:ty;)+) => {$(
        $(#[$doc])+
        #[derive(Debug, Clone, Copy)]
        pub struct $name;

        impl Rpc for $name {
            const SUBJECT: &'static str = $subject;
            const QUEUE: &'static str = QUEUE;
            const EFFECT: Effect = Effect::Read;
            const TIMEOUT: Duration = Duration::from_secs($timeout);
            const ANSWER_WITHIN: Duration = Duration::from_secs($answer + SPARE);
            type Request = $request;
            type Reply = $reply;
        }
    )+};
}

subjects! {
    /// The events of one edge in an interval.
    EdgeEvents = "alert.request.event.edge", 180 s, answered in 170 s: EdgeEventsRequest => Vec<Event>;

    /// The events of a whole enterprise in an interval.
    EnterpriseEvents = "alert.request.event.enterprise", 180 s, answered in 170 s:
        EnterpriseEventsRequest => Vec<Event>;

    /// Every link of a host, each with the data of its edge. Several MB. An edge without links appears once, with null
    /// link fields.
    LinksWithEdgeInfo = "get.links.with.edge.info", 30 s, answered in 60 s:
        LinksWithEdgeInfoRequest => Vec<LinkWithEdge>;

    /// Aggregated metrics of every link of a host in an interval. Several MB.
    LinksMetricInfo = "get.links.metric.info", 30 s, answered in 60 s: LinkMetricsRequest => Vec<LinkMetrics>;

    /// The edges of one enterprise, with their links.
    EnterpriseEdges = "request.enterprises.edges", 90 s, answered in 60 s:
        EnterpriseEdgesRequest => Vec<EdgeWithLinks>;

    /// The names of the enterprises of all hosts.
    EnterpriseNames = "request.enterprises.names", 20 s, answered in 60 s: EnterpriseNamesRequest => Vec<String>;

    /// The WAN link configuration of one edge. 404 is ordinary: an edge without WAN module or without links in it.
    LinksConfiguration = "request.links.configuration", 30 s, answered in 60 s:
        LinksConfigurationRequest => Vec<LinkConfiguration>;

    /// Time series of the links of one edge. At most 1,024 points for each series; an interval below 15 minutes gives
    /// an empty list. Stored unread by the only caller.
    EdgeLinksSeries = "request.edge.links.series", 60 s, answered in 60 s: LinkSeriesRequest => Value;

    /// The edges of some or all enterprises of a host, in one flat list; the source of the high-availability states.
    NetworkEnterpriseEdges = "request.network.enterprise.edges", 30 s, answered in 60 s:
        NetworkEnterpriseEdgesRequest => Vec<EnterpriseEdge>;

    /// The gateways of a host (Improve 19).
    NetworkGatewayList = "request.network.gateway.list", 60 s, answered in 60 s: GatewayListRequest => Vec<Gateway>;

    /// Metrics of one gateway in an interval (Improve 19).
    GatewayStatusMetrics = "request.gateway.status.metrics", 60 s, answered in 60 s:
        GatewayStatusMetricsRequest => Value;
}
