//! The list of probes.

use axum::extract::{RawQuery, State};
use axum::response::Response;
use chrono::{DateTime, SecondsFormat, Utc};
use http::HeaderMap;
use serde_json::{Value, json};

use super::{Page, Query, Refusal, check};
use crate::Simulation;
use crate::world::inventory::Inventory;
use crate::world::probes::{Probe, ProbeService};

/// `GET probes`: in the order of their ids, filtered by `serial_number` and `status` (`up`, `down`).
pub(super) async fn list(
    State(simulation): State<Simulation>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    check(&simulation, &headers)?;
    let query = Query::of(query);
    let window = query.window()?;
    let up = match query.text("status") {
        None => None,
        Some("up") => Some(true),
        Some("down") => Some(false),
        Some(_) => return Err(Refusal::bad("status must be up or down")),
    };
    let serial = query.text("serial_number");
    let wanted = |probe: &&Probe| {
        serial.is_none_or(|serial| serial == probe.serial) && up.is_none_or(|up| up == probe.is_up())
    };
    let (total, chosen) = simulation.world.probes(|probes| {
        let found = || probes.list().iter().filter(wanted);
        let chosen: Vec<Probe> = found().skip(window.offset).take(window.limit).cloned().collect();
        (found().count(), chosen)
    });
    let now = simulation.world.now();
    let records = simulation
        .world
        .inventory(|inventory| chosen.iter().map(|probe| record(probe, inventory, now)).collect());
    Ok(Page::of(window, total, records))
}

fn record(probe: &Probe, inventory: &Inventory, now: DateTime<Utc>) -> Value {
    let service = |service| {
        let last = probe.last_update(service, now).map_or_else(|| "never".to_owned(), time);
        json!({"status": u8::from(probe.down(service).since().is_none()), "lastUpdate": last})
    };
    let active = if probe.active { "1" } else { "0" };
    json!({
        "probeId": probe.id.to_string(),
        "uid": probe.uid,
        "os": "Linux ARM",
        "name": probe.name,
        "testIp": "none",
        "managementIp": "none",
        "active": active,
        "type": probe.model_number,
        "mode": "Automatic",
        "n2nMode": "1",
        "rsMode": if probe.has_real_service { "1" } else { "0" },
        "typeName": probe.model,
        "serialNumber": probe.serial,
        "probeGroup": probe.group,
        "location": inventory.site(probe.site).map_or("", |site| site.label.as_str()),
        "latitude": probe.latitude.to_string(),
        "longitude": probe.longitude.to_string(),
        "endpointVersion": "9.6 SP1 build 121",
        "xrVersion": "4.2.2.10681008",
        "defaultInterface": "eth0",
        "defaultGateway": "192.0.2.99",
        "availableForMesh": "1",
        "lastRestart": time(probe.restarted),
        "availability": {"from": 1, "to": 1, "mesh": "1"},
        "ips": [probe.address],
        "userGroups": ["1", "10"],
        "wifi": {"available": 0, "associated": 0, "bssid": "", "ssid": "", "frequency": "", "level": "0", "bitrate": ""},
        "nodetonode": service(ProbeService::NodeToNode),
        "realservice": service(ProbeService::RealService),
    })
}

/// As Hawkeye writes instants.
pub(super) fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}
