use std::collections::HashSet;

use proptest::prelude::*;

use super::*;

fn now() -> DateTime<Utc> {
    "2022-01-31T10:00:00Z".parse().unwrap()
}

fn plan(seed: u64, edges: usize, hosts: usize) -> Plan {
    Plan { seed, edges, hosts: (1..=hosts).map(|number| format!("vco{number}.sandbox.example")).collect() }
}

fn text(generated: &Generated) -> String {
    let mut assets: Vec<_> = generated.inventory.all().collect();
    assets.sort_unstable_by_key(|(serial, _)| *serial);
    let mut sites: Vec<_> = generated.inventory.sites.values().collect();
    sites.sort_unstable_by_key(|site| site.id);
    let network = &generated.network;
    format!("{:?}{:?}{:?}{assets:?}{sites:?}", network.hosts, network.enterprises, network.edges)
}

#[test]
fn the_same_seed_makes_the_same_world_and_another_seed_another() {
    let first = text(&generate(&plan(7, 120, 2), now()));
    assert_eq!(first, text(&generate(&plan(7, 120, 2), now())));
    assert_ne!(first, text(&generate(&plan(8, 120, 2), now())));
}

#[test]
fn two_hundred_edges_hold_every_oddity_and_mostly_ordinary_edges() {
    let made = generate(&plan(1, 200, 2), now());
    let statuses: HashSet<Option<&str>> = made
        .inventory
        .all()
        .flat_map(|(_, assets)| assets)
        .map(|asset| asset.management_status.as_deref())
        .collect();
    for status in [Some(MONITORED[0]), Some(MONITORED[1]), Some(PENDING), Some(NOT_MONITORED), None] {
        assert!(statuses.contains(&status), "{status:?}");
    }
    let edges = &made.network.edges;
    let has = |condition: &dyn Fn(&Edge) -> bool| edges.iter().filter(|edge| condition(edge)).count();
    assert_eq!(has(&|edge| edge.standby.is_some()), 20);
    assert!(has(&|edge| edge.activation == Activation::Never) > 0);
    assert!(has(&|edge| edge.activation == Activation::Stateless) > 0);
    assert!(has(&|edge| edge.activation == Activation::Activated && edge.links.is_empty()) > 0);
    assert!(has(&|edge| edge.links.iter().any(|link| link.logical_id.starts_with("00:04:2d"))) > 5);
    assert!(has(&|edge| edge.links.iter().any(|link| link.logical_id.starts_with("00:27:04"))) > 5);
    assert!(has(&|edge| !edge.events.is_empty()) > 0);
    assert!(made.inventory.all().any(|(_, assets)| assets.len() == 2));
    assert!(made.inventory.all().any(|(_, assets)| assets.iter().all(|asset| !asset.active)));
    assert!(made.inventory.sites.values().any(|site| site.time_zone.is_empty()));
    assert!(made.network.hosts.iter().all(|host| !host.enterprises.is_empty()));
}

#[test]
fn a_hundred_thousand_edges_are_made_and_found() {
    let made = generate(&plan(3, 100_000, 4), now());
    assert_eq!(made.network.edges.len(), 100_000);
    let last = made.network.edges.last().unwrap();
    assert_eq!(made.network.by_serial(&last.serial).unwrap().0.id, last.id);
    let per_host: usize =
        made.network.hosts.iter().map(|host| made.network.edges_of_host(host).count()).sum();
    assert_eq!(per_host, 100_000);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn every_world_is_consistent(seed: u64, edges in 0_usize..300, hosts in 1_usize..5) {
        let made = generate(&plan(seed, edges, hosts), now());
        let network = &made.network;
        prop_assert_eq!(network.edges.len(), edges);

        let mut serials = HashSet::new();
        let mut links = HashSet::new();
        for edge in &network.edges {
            prop_assert!(serials.insert(edge.serial.clone()));
            prop_assert!(edge.ha_serial().is_none_or(|standby| serials.insert(standby.to_owned())));
            let enterprise = network.enterprise_of(edge).unwrap();
            let site = made.inventory.site(edge.site).unwrap();
            prop_assert_eq!(site.client, enterprise.client);
            prop_assert!(made.inventory.clients.contains_key(&enterprise.client));
            prop_assert!(!made.inventory.assets(&edge.serial).is_empty());
            prop_assert_eq!(network.edge(enterprise.host, edge.id).unwrap().serial.as_str(), edge.serial.as_str());
            let mut interfaces = HashSet::new();
            for link in &edge.links {
                prop_assert!(links.insert(link.id));
                prop_assert!(interfaces.insert(link.interface.clone()));
            }
            prop_assert!(edge.since <= now() && edge.events.iter().all(|event| event.at <= now() + TimeDelta::minutes(90)));
        }
        let listed: usize = network.enterprises.iter().map(|enterprise| enterprise.edges.len()).sum();
        prop_assert_eq!(listed, edges);
    }
}
