//! Good requests to the bridges that know the network: VeloCloud's, and those of single devices.

use serde_json::{Value, json};

use super::About;

/// Those to VeloCloud's bridge.
pub(super) fn velocloud(about: &About) -> Vec<(&'static str, Value)> {
    let About { host, enterprise, now, .. } = about;
    let (edge, start) = (about.edge.id, about.start());
    let interval = json!({"start": start, "end": now});
    let identity = json!({"host": host, "enterprise_id": enterprise, "edge_id": edge});
    vec![
        ("alert.request.event.edge", json!({"edge": identity, "start_date": start, "end_date": now})),
        (
            "alert.request.event.enterprise",
            json!({"host": host, "enterprise_id": enterprise, "start_date": start, "end_date": now}),
        ),
        ("get.links.with.edge.info", json!({"host": host})),
        ("get.links.metric.info", json!({"host": host, "interval": interval})),
        ("request.enterprises.edges", json!({"host": host, "enterprise_id": enterprise})),
        ("request.enterprises.names", json!({"filter": []})),
        ("request.links.configuration", identity),
        (
            "request.edge.links.series",
            json!({"host": host, "payload": {"enterpriseId": enterprise, "edgeId": edge, "interval": interval,
                "metrics": ["bytesTx", "bytesRx"]}}),
        ),
        ("request.network.enterprise.edges", json!({"host": host, "enterprise_ids": [enterprise]})),
        ("request.network.gateway.list", json!({"host": host})),
        (
            "request.gateway.status.metrics",
            json!({"host": host, "gateway_id": 1, "interval": interval, "metrics": ["tunnelCount"]}),
        ),
    ]
}

/// Those about a DiGi unit, probes and a device at DRI.
pub(super) fn devices(about: &About) -> Vec<(&'static str, Value)> {
    const HAWKEYE_TIME: &str = "%Y-%m-%d %H:%M:%S%.6f";
    let (serial, now) = (about.serial(), about.now);
    let since = now - chrono::TimeDelta::minutes(10);
    vec![
        ("digi.reboot", json!({"velo_serial": serial, "ticket": about.ticket, "MAC": about.digi})),
        ("get.digi.recovery.logs", json!({"start_date_time": "2022-01-31T10:00:00Z", "size": "999"})),
        ("hawkeye.probe.request", json!({"status": "down"})),
        (
            "hawkeye.test.request",
            json!({"probe_uids": [about.probe], "interval": {
                "start": since.format(HAWKEYE_TIME).to_string(), "end": now.format(HAWKEYE_TIME).to_string(),
            }}),
        ),
        (
            "dri.parameters.request",
            json!({"serial_number": serial, "parameter_set": {
                "ParameterNames": ["InternetGatewayDevice.DeviceInfo.X_8C192D_lte_info.Providers"], "Source": 0,
            }}),
        ),
    ]
}
