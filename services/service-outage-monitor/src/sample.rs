//! Sample facts for tests: the values of the specification's examples.

use std::sync::Arc;

use bus::{Bus, memory::Peers};
use contracts::{
    customer_cache::{EdgeIdentity, LinkConfiguration, LogicalId},
    id::{ClientId, DetailId, Serial},
};
use runtime::{Clock, Context, Environment};
use ticketing::{Line, Note, TicketDetails, note::MARKER};

use crate::{
    config::Settings,
    edges::{EdgeRecord, Link, MonitoredEdge, Partner, State},
    monitor::Monitor,
};

/// A monitor of outages in production, on a bus in memory.
pub(crate) fn monitor(peers: Arc<dyn Peers>, clock: &Clock) -> Arc<Monitor> {
    let environment = Environment::from([
        ("ENVIRONMENT_NAME", "automation-example"),
        ("CURRENT_ENVIRONMENT", "production"),
        ("TIMEZONE", "US/Eastern"),
        ("ENABLE_TRIAGE_MONITORING", "0"),
        ("MONITORING__VELOCLOUD_HOST", "vco1.example.net"),
    ]);
    let Settings::Outage(config) = environment.read().unwrap() else { unreachable!() };
    let context = Context::simulated("service-outage-monitor", environment, clock.clone()).unwrap();
    let bus = Bus::in_memory("service-outage-monitor", peers);
    Arc::new(Monitor::new(context, bus, *config).unwrap())
}

pub(crate) const SERIAL: &str = "VC1234567";
pub(crate) const STANDBY: &str = "VC9999999";

/// Client 11111, tzOffset -5, GE1 wired and public.
pub(crate) fn edge(serial: &str) -> MonitoredEdge {
    MonitoredEdge {
        identity: EdgeIdentity { host: "vco1.example.net".into(), enterprise_id: 12, edge_id: 345 },
        serial: Serial::from(serial),
        client: ClientId::from(11_111),
        site: None,
        offset_hours: Some(-5),
        logical_ids: vec![],
        links_configuration: vec![LinkConfiguration {
            interfaces: vec!["GE1".into()],
            mode: Some("PUBLIC".into()),
            kind: Some("WIRED".into()),
        }],
    }
}

pub(crate) fn digi(interface: &str, mac: &str) -> LogicalId {
    LogicalId { interface_name: Some(interface.into()), logical_id: Some(mac.into()) }
}

pub(crate) fn link(interface: &str, state: &str) -> Link {
    Link {
        interface: Some(interface.into()),
        label: Some("ACME Cable".into()),
        ip: Some("192.0.2.7".into()),
        state: Some(state.into()),
    }
}

/// An edge that is up, with one stable link and no partner.
pub(crate) fn record(serial: &str) -> EdgeRecord {
    EdgeRecord {
        serial: Serial::from(serial),
        name: Some("Store 7".into()),
        state: State::connected(),
        partner: None,
        primary: false,
        links: vec![link("GE1", "STABLE")],
    }
}

pub(crate) fn link_down(serial: &str) -> EdgeRecord {
    EdgeRecord { links: vec![link("GE1", "DISCONNECTED")], ..record(serial) }
}

pub(crate) fn offline(serial: &str) -> EdgeRecord {
    EdgeRecord { state: State::offline(), ..record(serial) }
}

pub(crate) fn partner(serial: &str, state: State) -> Partner {
    Partner { serial: Serial::from(serial), state }
}

pub(crate) fn line(detail: i64, serial: &str, status: &str) -> Line {
    Line {
        id: DetailId::from(detail),
        serial: Some(Serial::from(serial)),
        status: Some(status.into()),
        task: None,
    }
}

pub(crate) fn details(lines: Vec<Line>, notes: Vec<Note>) -> TicketDetails {
    TicketDetails { lines, notes }
}

/// A note of ours on the line of [`SERIAL`].
pub(crate) fn note(body: &str, created: &str) -> Note {
    Note {
        text: format!("{MARKER}\n{body}"),
        serials: vec![Serial::from(SERIAL)],
        created: Some(created.parse().unwrap()),
    }
}
