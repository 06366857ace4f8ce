//! What callers read of `velocloud-bridge`'s replies.
//!
//! Every field may be null, missing or of another kind than usual (then it reads as `None`): one odd row must not cost
//! a host's whole list. Unknown fields are ignored.

use serde::{Deserialize, Serialize};

use crate::{id::Id, lenient};

macro_rules! rows {
    ($($(#[$doc:meta])+ $name:ident { $($(#[$field_doc:meta])+ $field:ident: $kind:ty = $wire:literal,)+ })+) => {$(
        $(#[$doc])+
        #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
        #[serde(default)]
        pub struct $name {$(
            $(#[$field_doc])+
            #[serde(rename = $wire, deserialize_with = "lenient::or_default")]
            pub $field: $kind,
        )+}
    )+};
}

rows! {
    /// A link with the data of its edge, as VeloCloud lists them. An edge without links has null link fields.
    LinkWithEdge {
        /// The VCO the row comes from, added by the bridge.
        host: Option<String> = "host",
        /// E.g. `ACME|123|`: the number is the client id in Bruin.
        enterprise_name: Option<String> = "enterpriseName",
        /// The enterprise's id on this host.
        enterprise_id: Option<Id> = "enterpriseId",
        /// Id of the partner that manages the enterprise.
        enterprise_proxy_id: Option<Id> = "enterpriseProxyId",
        /// Name of that partner.
        enterprise_proxy_name: Option<String> = "enterpriseProxyName",
        /// The edge's name.
        edge_name: Option<String> = "edgeName",
        /// `CONNECTED`, `DEGRADED`, `OFFLINE`, `NEVER_ACTIVATED`.
        edge_state: Option<String> = "edgeState",
        /// Since when the device runs, e.g. `2020-09-29T04:48:55.000Z`.
        edge_system_up_since: Option<String> = "edgeSystemUpSince",
        /// Since when its service runs.
        edge_service_up_since: Option<String> = "edgeServiceUpSince",
        /// When the VCO last heard of it.
        edge_last_contact: Option<String> = "edgeLastContact",
        /// The edge's id on this host.
        edge_id: Option<Id> = "edgeId",
        /// The edge's serial number, e.g. `VC1234567`.
        edge_serial_number: Option<String> = "edgeSerialNumber",
        /// The serial number of its standby partner, if it has one.
        edge_ha_serial_number: Option<String> = "edgeHASerialNumber",
        /// E.g. `edge520`.
        edge_model_number: Option<String> = "edgeModelNumber",
        /// Degrees north.
        edge_latitude: Option<f64> = "edgeLatitude",
        /// Degrees east.
        edge_longitude: Option<f64> = "edgeLongitude",
        /// The link's name for people, often an IP address.
        display_name: Option<String> = "displayName",
        /// The provider.
        isp: Option<String> = "isp",
        /// E.g. `GE1`.
        interface: Option<String> = "interface",
        /// VeloCloud's internal id of the link.
        internal_id: Option<String> = "internalId",
        /// `STABLE`, `UNSTABLE`, `DISCONNECTED`.
        link_state: Option<String> = "linkState",
        /// When it last worked.
        link_last_active: Option<String> = "linkLastActive",
        /// State of its tunnels.
        link_vpn_state: Option<String> = "linkVpnState",
        /// The link's id on this host.
        link_id: Option<Id> = "linkId",
        /// Its public address.
        link_ip_address: Option<String> = "linkIpAddress",
    }

    /// Aggregated metrics of a link in the requested interval. Rx is towards the edge.
    LinkMetrics {
        /// The link and its edge; `host` is added by the bridge.
        link: LinkWithEdge = "link",
        /// The link's id on this host.
        link_id: Option<Id> = "linkId",
        /// The link's name.
        name: Option<String> = "name",
        /// Bytes sent.
        bytes_tx: Option<f64> = "bytesTx",
        /// Bytes received.
        bytes_rx: Option<f64> = "bytesRx",
        /// Packets sent.
        packets_tx: Option<f64> = "packetsTx",
        /// Packets received.
        packets_rx: Option<f64> = "packetsRx",
        /// Capacity of the best path, bit/s received.
        bps_of_best_path_rx: Option<f64> = "bpsOfBestPathRx",
        /// Capacity of the best path, bit/s sent.
        bps_of_best_path_tx: Option<f64> = "bpsOfBestPathTx",
        /// Jitter in ms, received.
        best_jitter_ms_rx: Option<f64> = "bestJitterMsRx",
        /// Jitter in ms, sent.
        best_jitter_ms_tx: Option<f64> = "bestJitterMsTx",
        /// Latency in ms, received.
        best_latency_ms_rx: Option<f64> = "bestLatencyMsRx",
        /// Latency in ms, sent.
        best_latency_ms_tx: Option<f64> = "bestLatencyMsTx",
        /// Packet loss in percent, received.
        best_loss_pct_rx: Option<f64> = "bestLossPctRx",
        /// Packet loss in percent, sent.
        best_loss_pct_tx: Option<f64> = "bestLossPctTx",
        /// Quality score, sent.
        score_tx: Option<f64> = "scoreTx",
        /// Quality score, received.
        score_rx: Option<f64> = "scoreRx",
    }

    /// An event of an edge or one of its links.
    Event {
        /// E.g. `EDGE_DOWN`, `LINK_ALIVE`.
        event: Option<String> = "event",
        /// E.g. `EDGE`, `NETWORK`.
        category: Option<String> = "category",
        /// When, e.g. `2019-07-30T06:38:00.000Z`.
        event_time: Option<String> = "eventTime",
        /// E.g. `ALERT`, `INFO`.
        severity: Option<String> = "severity",
        /// Text for people, e.g. `Link GE2 is no longer DEAD`.
        message: Option<String> = "message",
        /// The edge's name.
        edge_name: Option<String> = "edgeName",
    }

    /// An edge with its links (`request.enterprises.edges`).
    EdgeWithLinks {
        /// The edge's id on this host.
        id: Option<Id> = "id",
        /// Its enterprise.
        enterprise_id: Option<Id> = "enterpriseId",
        /// The edge's serial number.
        serial_number: Option<String> = "serialNumber",
        /// The edge's name.
        name: Option<String> = "name",
        /// As [`LinkWithEdge::edge_state`].
        edge_state: Option<String> = "edgeState",
        /// Its links, in VeloCloud's order.
        links: Vec<EnterpriseEdgeLink> = "links",
    }

    /// A link of an [`EdgeWithLinks`].
    EnterpriseEdgeLink {
        /// The link's id on this host.
        id: Option<Id> = "id",
        /// E.g. `GE1`.
        interface: Option<String> = "interface",
        /// The link's logical id, which DiGi knows as MAC.
        logical_id: Option<String> = "logicalId",
        /// The link's name for people.
        display_name: Option<String> = "displayName",
        /// The provider.
        isp: Option<String> = "isp",
        /// As [`LinkWithEdge::link_state`].
        state: Option<String> = "state",
    }

    /// An edge of an enterprise (`request.network.enterprise.edges`).
    EnterpriseEdge {
        /// The VCO the row comes from, added by the bridge.
        host: Option<String> = "host",
        /// The edge's id on this host.
        id: Option<Id> = "id",
        /// Its enterprise.
        enterprise_id: Option<Id> = "enterpriseId",
        /// The edge's serial number.
        serial_number: Option<String> = "serialNumber",
        /// The edge's name.
        name: Option<String> = "name",
        /// As [`LinkWithEdge::edge_state`].
        edge_state: Option<String> = "edgeState",
        /// State of the standby: `READY`, `FAILED`, `UNCONFIGURED`, `PENDING_..`.
        ha_state: Option<String> = "haState",
        /// Serial number of the standby.
        ha_serial_number: Option<String> = "haSerialNumber",
    }

    /// The configuration of a WAN link of an edge.
    LinkConfiguration {
        /// The interfaces it uses, e.g. `GE1`.
        interfaces: Vec<String> = "interfaces",
        /// `PUBLIC` or `PRIVATE`.
        mode: Option<String> = "mode",
        /// `WIRED` or `WIRELESS`. The field is `type` on the wire.
        kind: Option<String> = "type",
    }

    /// A gateway of a host.
    Gateway {
        /// The VCO.
        host: Option<String> = "host",
        /// The gateway's id on this host.
        id: Option<Id> = "id",
        /// Its name.
        name: Option<String> = "name",
        /// E.g. `CONNECTED`, `OFFLINE`.
        status: Option<String> = "status",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_odd_field_reads_as_none_and_leaves_the_rest_of_the_row_alone() {
        let row: LinkWithEdge = serde_json::from_str(
            r#"{"host":"h","edgeId":"42","edgeState":7,"edgeLatitude":"north","edgeSerialNumber":"VC1","new":{}}"#,
        )
        .unwrap();
        let expected = LinkWithEdge {
            host: Some("h".to_owned()),
            edge_id: Some(Id::Text("42".to_owned())),
            edge_serial_number: Some("VC1".to_owned()),
            ..LinkWithEdge::default()
        };
        assert_eq!(row, expected);
    }

    #[test]
    fn null_and_missing_lists_are_empty() {
        let edge: EdgeWithLinks = serde_json::from_str(r#"{"id":1,"links":null}"#).unwrap();
        assert_eq!(edge.links, []);
        let configuration: LinkConfiguration = serde_json::from_str(r#"{"type":"WIRED"}"#).unwrap();
        assert_eq!(configuration.interfaces, Vec::<String>::new());
        assert_eq!(configuration.kind.as_deref(), Some("WIRED"));
    }

    #[test]
    fn names_on_the_wire_are_velocloud_s() {
        let row = LinkMetrics {
            best_loss_pct_rx: Some(1.5),
            link: LinkWithEdge { edge_ha_serial_number: Some("VC2".to_owned()), ..LinkWithEdge::default() },
            ..LinkMetrics::default()
        };
        let json = serde_json::to_value(&row).unwrap();
        assert_eq!(json["bestLossPctRx"], 1.5);
        assert_eq!(json["link"]["edgeHASerialNumber"], "VC2");
        assert_eq!(serde_json::from_value::<LinkMetrics>(json).unwrap(), row);
    }
}
