//! The subjects which `velocloud-bridge` answers (spec `velocloud-bridge`, "Serves").
//!
//! All of them are reads. `host` names a VeloCloud Orchestrator (VCO), exactly as it is configured at the bridge.
//! Requests are in [`request`], with the texts by which the bridge refuses them; what callers read of the replies is in
//! [`reply`]. The bridge itself passes VeloCloud's JSON on as it came.

use serde_json::Value;

use crate::subjects::subjects;

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

// VeloCloud's own limit is 60 s, 170 s for events (Improve 14). The bridge has five seconds more.
subjects! {
    /// The events of one edge in an interval.
    EdgeEvents: "alert.request.event.edge", Read, wait 180, answer 175, EdgeEventsRequest => Vec<Event>;

    /// The events of a whole enterprise in an interval.
    EnterpriseEvents: "alert.request.event.enterprise", Read, wait 180, answer 175,
        EnterpriseEventsRequest => Vec<Event>;

    /// Every link of a host, each with the data of its edge. Several MB. An edge without links appears once, with null
    /// link fields.
    LinksWithEdgeInfo: "get.links.with.edge.info", Read, wait 30, answer 65,
        LinksWithEdgeInfoRequest => Vec<LinkWithEdge>;

    /// Aggregated metrics of every link of a host in an interval. Several MB.
    LinksMetricInfo: "get.links.metric.info", Read, wait 30, answer 65,
        LinkMetricsRequest => Vec<LinkMetrics>;

    /// The edges of one enterprise, with their links.
    EnterpriseEdges: "request.enterprises.edges", Read, wait 90, answer 65,
        EnterpriseEdgesRequest => Vec<EdgeWithLinks>;

    /// The names of the enterprises of all hosts.
    EnterpriseNames: "request.enterprises.names", Read, wait 20, answer 65,
        EnterpriseNamesRequest => Vec<String>;

    /// The WAN link configuration of one edge. 404 is ordinary: an edge without WAN module or without links in it.
    LinksConfiguration: "request.links.configuration", Read, wait 30, answer 65,
        LinksConfigurationRequest => Vec<LinkConfiguration>;

    /// Time series of the links of one edge. At most 1,024 points for each series; an interval below 15 minutes gives
    /// an empty list. Stored unread by the only caller.
    EdgeLinksSeries: "request.edge.links.series", Read, wait 60, answer 65, LinkSeriesRequest => Value;

    /// The edges of some or all enterprises of a host, in one flat list; the source of the high-availability states.
    NetworkEnterpriseEdges: "request.network.enterprise.edges", Read, wait 30, answer 65,
        NetworkEnterpriseEdgesRequest => Vec<EnterpriseEdge>;

    /// The gateways of a host (Improve 19).
    NetworkGatewayList: "request.network.gateway.list", Read, wait 60, answer 65,
        GatewayListRequest => Vec<Gateway>;

    /// Metrics of one gateway in an interval (Improve 19).
    GatewayStatusMetrics: "request.gateway.status.metrics", Read, wait 60, answer 65,
        GatewayStatusMetricsRequest => Value;
}
