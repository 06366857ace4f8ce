use super::*;
use crate::sample;
use OutageKind::{HaHardDown, HaLinkDown, HaSoftDown, HardDown, LinkDown};

fn row(serial: &str, state: &str, interface: &str, link_state: &str) -> LinkRow {
    LinkRow {
        edge_name: Some("Store 7".into()),
        edge_serial_number: Some(serial.into()),
        edge_ha_serial_number: Some("VC9999999".into()),
        edge_state: Some(state.into()),
        interface: Some(interface.into()),
        display_name: Some(format!("{interface} label")),
        link_state: Some(link_state.into()),
        link_ip_address: Some("192.0.2.7".into()),
    }
}

fn listed(serial: &str, ha_state: Option<&str>) -> EdgeRow {
    EdgeRow { serial_number: Some(serial.into()), ha_state: ha_state.map(str::to_owned) }
}

#[test]
fn rows_are_grouped_by_edge_and_the_first_row_gives_the_edge() {
    let mut second = row("VC1", "OFFLINE", "GE2", "STABLE");
    second.edge_name = Some("another name".into());
    let rows = [row("VC1", "CONNECTED", "GE1", "STABLE"), row("VC2", "OFFLINE", "GE1", "STABLE"), second];
    let records = records(rows.into(), &[listed("VC1", None), listed("VC2", None)]);
    assert_eq!(records.len(), 2);
    assert_eq!(records[0].name.as_deref(), Some("Store 7"));
    assert_eq!(records[0].state, State::connected());
    let interfaces: Vec<_> = records[0].links.iter().map(|link| link.interface.as_deref().unwrap()).collect();
    assert_eq!(interfaces, ["GE1", "GE2"]);
    assert_eq!(records[1].serial, Serial::from("VC2"));
}

#[test]
fn rows_without_state_or_serial_and_never_activated_edges_are_skipped() {
    let mut stateless = row("VC1", "x", "GE1", "STABLE");
    stateless.edge_state = None;
    let mut nameless = row("x", "CONNECTED", "GE1", "STABLE");
    nameless.edge_serial_number = None;
    let rows = [stateless, nameless, row("VC2", "NEVER_ACTIVATED", "GE1", "STABLE")];
    assert_eq!(records(rows.into(), &[listed("VC1", None), listed("VC2", None)]), []);
}

#[test]
fn an_edge_that_the_enterprise_list_does_not_have_is_dropped() {
    assert_eq!(records(vec![row("VC1", "OFFLINE", "GE1", "STABLE")], &[listed("VC2", None)]), []);
}

#[test]
fn the_ha_state_tells_the_partners_state_or_that_there_is_none() {
    for (ha_state, partner) in [
        (Some("READY"), Some(State::connected())),
        (Some("FAILED"), Some(State::offline())),
        (Some("UNCONFIGURED"), None),
        (Some("PENDING_INIT"), None),
        (None, None),
    ] {
        let records = records(vec![row("VC1", "CONNECTED", "GE1", "STABLE")], &[listed("VC1", ha_state)]);
        assert_eq!(records[0].partner.as_ref().map(|p| p.state.clone()), partner, "{ha_state:?}");
        assert_eq!(records[0].primary, partner.is_some());
        assert_eq!(records.len(), if partner.is_some() { 2 } else { 1 });
    }
}

#[test]
fn a_pair_without_the_partners_serial_has_no_high_availability() {
    let mut alone = row("VC1", "OFFLINE", "GE1", "STABLE");
    alone.edge_ha_serial_number = None;
    let records = records(vec![alone], &[listed("VC1", Some("FAILED"))]);
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].outage(), Some(HardDown));
}

#[test]
fn standbys_come_after_all_originals_with_states_and_serials_exchanged() {
    let rows = [row("VC1", "OFFLINE", "GE1", "STABLE"), row("VC2", "CONNECTED", "GE1", "STABLE")];
    let records = records(rows.into(), &[listed("VC1", Some("READY")), listed("VC2", None)]);
    let serials: Vec<_> = records.iter().map(|record| record.serial.as_str()).collect();
    assert_eq!(serials, ["VC1", "VC2", "VC9999999"]);
    let standby = &records[2];
    assert_eq!(standby.state, State::connected());
    assert_eq!(standby.partner, Some(Partner { serial: Serial::from("VC1"), state: State::offline() }));
    assert!(!standby.primary);
    assert_eq!((&standby.name, &standby.links), (&records[0].name, &records[0].links));
}

/// Spec "Examples" 1: serial A primary, B its standby.
#[test]
fn kinds_of_the_examples() {
    type Row = (&'static str, &'static str, &'static str, &'static [(Option<OutageKind>, bool)]);
    let table: [Row; 7] = [
        ("CONNECTED", "UNCONFIGURED", "DISCONNECTED", &[(Some(LinkDown), true)]),
        ("OFFLINE", "UNCONFIGURED", "DISCONNECTED", &[(Some(HardDown), true)]),
        ("CONNECTED", "FAILED", "STABLE", &[(None, true), (Some(HaSoftDown), true)]),
        ("CONNECTED", "READY", "DISCONNECTED", &[(Some(HaLinkDown), true), (Some(HaLinkDown), false)]),
        ("OFFLINE", "FAILED", "STABLE", &[(Some(HaHardDown), true), (Some(HaHardDown), false)]),
        ("OFFLINE", "READY", "DISCONNECTED", &[(Some(HaLinkDown), true), (Some(HaLinkDown), false)]),
        ("OFFLINE", "PENDING_INIT", "STABLE", &[(Some(HardDown), true)]),
    ];
    for (state, ha_state, link, expected) in table {
        let records = records(vec![row("A", state, "GE1", link)], &[listed("A", Some(ha_state))]);
        let kinds: Vec<_> = records
            .iter()
            .map(|record| {
                let kind = record.outage();
                (kind, kind.is_none_or(|kind| kind.is_documented_for(record.primary)))
            })
            .collect();
        assert_eq!(kinds, expected, "{state} {ha_state} {link}");
    }
    // "any": with both members offline the links do not matter.
    let records = records(vec![row("A", "OFFLINE", "GE1", "DISCONNECTED")], &[listed("A", Some("FAILED"))]);
    assert_eq!(records[0].outage(), Some(HaHardDown));
}

#[test]
fn the_join_is_in_cache_order_and_names_edges_without_record() {
    let cached: Vec<_> = ["VC3", "VC2", "VC1"].iter().map(|serial| Arc::new(sample::edge(serial))).collect();
    let records = vec![sample::record("VC1"), sample::record("VC2"), sample::record("VC8")];
    let (devices, unknown) = join(&cached, records);
    assert_eq!(devices.iter().map(|d| d.serial().as_str()).collect::<Vec<_>>(), ["VC2", "VC1"]);
    assert_eq!(unknown, [Serial::from("VC3")]);
}

#[test]
fn two_edges_with_one_serial_number_have_the_same_record() {
    let cached = [sample::edge("VC1"), sample::edge("VC2"), sample::edge("VC1")].map(Arc::new);
    let (devices, unknown) = join(&cached, vec![sample::record("VC1"), sample::record("VC2")]);
    assert_eq!(devices.iter().map(|d| d.serial().as_str()).collect::<Vec<_>>(), ["VC1", "VC2", "VC1"]);
    assert_eq!(devices[0].record, devices[2].record);
    assert_eq!(unknown, []);
}

/// One odd value must not cost a host's whole list.
#[test]
fn rows_are_read_by_the_names_of_the_wire_and_an_odd_value_is_none() {
    let rows: Vec<LinkRow> = serde_json::from_value(serde_json::json!([
        {
            "host": "h", "edgeName": "Store 7", "edgeState": "CONNECTED", "edgeSerialNumber": "VC1",
            "edgeHASerialNumber": "VC2", "displayName": "label", "interface": "GE1", "linkState": "STABLE",
            "linkIpAddress": "192.0.2.7", "edgeId": 7
        },
        {"edgeName": 7, "edgeState": ["x"], "edgeSerialNumber": null, "linkState": {}}
    ]))
    .unwrap();
    let listed: Vec<EdgeRow> = serde_json::from_value(
        serde_json::json!([{"serialNumber": "VC1", "haState": "READY"}, {"haState": 1}]),
    )
    .unwrap();
    let records = records(rows, &listed);
    let link = Link {
        interface: Some("GE1".to_owned()),
        label: Some("label".to_owned()),
        ip: Some("192.0.2.7".to_owned()),
        state: Some("STABLE".to_owned()),
    };
    let primary = EdgeRecord {
        serial: Serial::from("VC1"),
        name: Some("Store 7".to_owned()),
        state: State::connected(),
        partner: Some(Partner { serial: Serial::from("VC2"), state: State::connected() }),
        primary: true,
        links: vec![link],
    };
    let standby = primary.standby().unwrap();
    assert_eq!(records, [primary, standby]);
}

#[test]
fn a_blacklisted_edge_is_compared_as_a_whole() {
    let cached = |edge_id| -> customer_cache::CachedEdge {
        serde_json::from_value(serde_json::json!({
            "edge": {"host": "h", "enterprise_id": 1, "edge_id": edge_id}, "serial_number": format!("VC{edge_id}"),
            "bruin_client_info": {"client_id": 1}
        }))
        .unwrap()
    };
    let blacklist = [EdgeIdentity { host: "h".into(), enterprise_id: 1, edge_id: 2 }];
    let left = monitored(vec![cached(1), cached(2)], &blacklist);
    assert_eq!(left.iter().map(|edge| edge.serial.as_str()).collect::<Vec<_>>(), ["VC1"]);
}
