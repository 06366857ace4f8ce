//! Makes the probes of a world, and what Bruin knows of them: same plan and same instant, same probes.
//!
//! As with edges, the odd ones stand at fixed places of the list.

use std::net::Ipv4Addr;

use chrono::{DateTime, TimeDelta, Utc};
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};

use super::{Probe, Probes, Spells};
use crate::world::generate::{MONITORED, NOT_MONITORED, PENDING, Plan};
use crate::world::inventory::{Asset, Inventory};
use crate::world::network::{Edge, Network};

/// One probe for so many edges.
const EDGES_PER_PROBE: usize = 4;
/// Even a small world has all kinds of probes.
const FEWEST: usize = 24;
/// Keeps the draws apart from those of the network.
const SEED: u64 = 0x4841_574b;

/// What is special about a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProbeOddity {
    /// Nothing: active, in contact, with one active inventory item that is monitored.
    None,
    /// Was never in contact with Hawkeye.
    Never,
    /// Has two active inventory items, of different clients where there are two.
    TwoInventories,
    /// Its management status says that it is not monitored.
    NotMonitored,
    /// Only a disconnected inventory item.
    Disconnected,
    /// Bruin does not know it.
    Unknown,
    /// Switched off by its owner.
    Inactive,
    /// Management status `Pending`.
    Pending,
    /// Has the serial number of the probe before it.
    SameSerial,
}

/// What is special about the probe at this place of the list.
pub fn probe_oddity(place: usize) -> ProbeOddity {
    match place % FEWEST {
        2 => ProbeOddity::Never,
        5 => ProbeOddity::TwoInventories,
        8 => ProbeOddity::NotMonitored,
        11 => ProbeOddity::Disconnected,
        14 => ProbeOddity::Unknown,
        17 => ProbeOddity::Inactive,
        20 => ProbeOddity::Pending,
        23 => ProbeOddity::SameSerial,
        _ => ProbeOddity::None,
    }
}

/// Makes the probes of a plan as they are at `now`, and adds their items to the inventory. A world without edges has no
/// sites, and so no probes.
pub fn generate(plan: &Plan, now: DateTime<Utc>, network: &Network, inventory: &mut Inventory) -> Probes {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(plan.seed ^ SEED);
    let edges = &network.edges;
    let count = if edges.is_empty() { 0 } else { (edges.len() / EDGES_PER_PROBE).max(FEWEST) };
    let edge_at = |place: usize| edges.get(place * EDGES_PER_PROBE % edges.len().max(1));
    let mut list: Vec<Probe> = Vec::with_capacity(count);
    for place in 0..count {
        let Some(edge) = edge_at(place) else { break };
        let before = list.last().map(|probe| probe.serial.clone());
        let probe = probe(place, edge, before, network, inventory, now, &mut random);
        let other = edges.get((place * EDGES_PER_PROBE + edges.len() / 2) % edges.len());
        assets(&probe, place, [Some(edge), other], network, inventory);
        list.push(probe);
    }
    Probes::new(list, now)
}

fn probe(
    place: usize,
    edge: &Edge,
    serial_before: Option<String>,
    network: &Network,
    inventory: &Inventory,
    now: DateTime<Utc>,
    random: &mut Xoshiro256PlusPlus,
) -> Probe {
    let oddity = probe_oddity(place);
    let client =
        network.enterprise_of(edge).map_or("", |enterprise| inventory.client_name(enterprise.client));
    let city = inventory.site(edge.site).map_or("", |site| site.city);
    let [_, _, third, fourth] = random.random::<u32>().to_be_bytes();
    // The bytes of a locally administered MAC, so that it belongs to nobody.
    let [_, _, _, _, _, a, b, c] = u64::try_from(place + 1).unwrap_or_default().to_be_bytes();
    let uid = format!("02:53:42:{a:02x}:{b:02x}:{c:02x}");
    let own = uid.replace(':', "").to_uppercase();
    let (model, model_number) = if place.is_multiple_of(5) { ("Software", "1") } else { ("xr_pi", "8") };
    Probe {
        id: i64::try_from(place + 1).unwrap_or_default(),
        serial: match (oddity, serial_before) {
            (ProbeOddity::SameSerial, Some(before)) => before,
            _ => own,
        },
        uid,
        name: format!("{client} {city} {:03}", place + 1),
        group: client.to_uppercase(),
        model,
        model_number,
        address: Ipv4Addr::new(198, 19, third, fourth),
        site: edge.site,
        latitude: edge.latitude,
        longitude: edge.longitude,
        restarted: now - TimeDelta::minutes(random.random_range(60 * 24..=60 * 24 * 90)),
        oddity,
        active: oddity != ProbeOddity::Inactive,
        has_real_service: !place.is_multiple_of(3),
        node_to_node: Spells::default(),
        real_service: Spells::default(),
        failing: Default::default(),
    }
}

/// The inventory items of a probe, at the sites of these edges.
fn assets(
    probe: &Probe,
    place: usize,
    [here, elsewhere]: [Option<&Edge>; 2],
    network: &Network,
    inventory: &mut Inventory,
) {
    let status = match probe.oddity {
        // The probe before it has the item.
        ProbeOddity::Unknown | ProbeOddity::SameSerial => return,
        ProbeOddity::NotMonitored => NOT_MONITORED,
        ProbeOddity::Pending => PENDING,
        _ if place.is_multiple_of(2) => MONITORED[0],
        _ => MONITORED[1],
    };
    let number = 13_700_000 + i64::try_from(place).unwrap_or_default() * 2;
    let mut add = |edge: Option<&Edge>, number: i64| {
        let Some((edge, enterprise)) = edge.and_then(|edge| Some((edge, network.enterprise_of(edge)?)))
        else {
            return;
        };
        let asset = Asset {
            inventory: number,
            client: enterprise.client,
            site: edge.site,
            active: probe.oddity != ProbeOddity::Disconnected,
            management_status: Some(status.to_owned()),
        };
        inventory.add(&probe.serial, asset);
    };
    add(here, number);
    if probe.oddity == ProbeOddity::TwoInventories {
        add(elsewhere, number + 1);
    }
}
