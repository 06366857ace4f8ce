//! Makes a network and its inventory from a seed: same plan and same instant, same world.
//!
//! Ordinary edges are drawn at random. The odd ones, which monitors must cope with, stand at fixed places of the list
//! (see [`oddity`]), so that every world of a few dozen edges has each kind.

use std::collections::VecDeque;
use std::net::Ipv4Addr;

use chrono::{DateTime, TimeDelta, Utc};
use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

use super::events::{Event, Happening};
use super::inventory::{Asset, Client, Inventory, Site};
use super::network::{
    Activation, Edge, Enterprise, Gateway, Host, Link, LinkMode, LinkState, LinkType, Network, Standby,
};

mod names;

/// Management statuses under which an edge is monitored. Note the en dashes.
pub const MONITORED: [&str; 2] = ["Active – Gold Monitoring", "Active – Platinum Monitoring"];
/// Monitored too, unless the client is excepted.
pub const PENDING: &str = "Pending";
/// A status under which an edge is not monitored.
pub const NOT_MONITORED: &str = "Inactive – No Monitoring";

/// The size and seed of a world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Seed of everything random.
    pub seed: u64,
    /// How many edges; standby members come on top.
    pub edges: usize,
    /// VeloCloud hosts; at least one.
    pub hosts: Vec<String>,
}

/// What [`generate`] makes.
#[derive(Debug)]
pub struct Generated {
    /// Hosts, enterprises, edges, links.
    pub network: Network,
    /// Clients, sites, assets.
    pub inventory: Inventory,
}

/// What is special about an edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Oddity {
    /// Nothing.
    None,
    /// One of a high-availability pair.
    Pair,
    /// Never activated.
    NeverActivated,
    /// Listed without state.
    Stateless,
    /// Has no links.
    NoLinks,
    /// Management status [`NOT_MONITORED`].
    NotMonitored,
    /// Management status [`PENDING`], of a client for which that does not count.
    PendingExcepted,
    /// Management status [`PENDING`].
    Pending,
    /// Two active inventory items.
    TwoInventories,
    /// Only a disconnected inventory item.
    Disconnected,
    /// No attribute `Management Status`.
    NoStatus,
    /// On the engine's list of edges to leave alone.
    Blacklisted,
}

/// What is special about the edge at this place of the list.
pub fn oddity(place: usize) -> Oddity {
    match (place % 10, place % 40, place % 80) {
        (5, _, _) => Oddity::Pair,
        (_, 7, _) => Oddity::NeverActivated,
        (_, _, 13) => Oddity::Stateless,
        (_, _, 19) => Oddity::NoLinks,
        (_, _, 23) => Oddity::NotMonitored,
        (_, _, 29) if place % 160 == 29 => Oddity::PendingExcepted,
        (_, _, 29) => Oddity::Pending,
        (_, _, 31) => Oddity::TwoInventories,
        (_, _, 33) => Oddity::Disconnected,
        (_, _, 37) => Oddity::NoStatus,
        _ if place % 200 == 39 => Oddity::Blacklisted,
        _ => Oddity::None,
    }
}

/// Makes the world of a plan as it is at `now`.
pub fn generate(plan: &Plan, now: DateTime<Utc>) -> Generated {
    let random = Xoshiro256PlusPlus::seed_from_u64(plan.seed);
    let hosts =
        if plan.hosts.is_empty() { vec!["vco1.sandbox.example".to_owned()] } else { plan.hosts.clone() };
    let mut maker = Maker {
        random,
        now,
        hosts: hosts.into_iter().map(host).collect(),
        enterprises: Vec::new(),
        edges: Vec::with_capacity(plan.edges),
        inventory: Inventory::default(),
        next_serial: 5_200_000,
        next_link: 5_001,
    };
    // Small worlds still get an enterprise on every host.
    let largest = (plan.edges / maker.hosts.len().max(1)).clamp(1, 30);
    while maker.edges.len() < plan.edges {
        let wanted = maker.random.random_range(largest.min(4)..=largest).min(plan.edges - maker.edges.len());
        maker.enterprise(wanted);
    }
    Generated {
        network: Network::new(maker.hosts, maker.enterprises, maker.edges),
        inventory: maker.inventory,
    }
}

fn host(name: String) -> Host {
    let gateway = |number: i64| Gateway { id: number, name: format!("gw{number}.{name}"), up: true };
    Host { gateways: (1..=3).map(gateway).collect(), enterprises: Vec::new(), name }
}

struct Maker {
    random: Xoshiro256PlusPlus,
    now: DateTime<Utc>,
    hosts: Vec<Host>,
    enterprises: Vec<Enterprise>,
    edges: Vec<Edge>,
    inventory: Inventory,
    next_serial: u32,
    next_link: i64,
}

impl Maker {
    fn pick<T: Copy>(&mut self, of: &[T], otherwise: T) -> T {
        of.choose(&mut self.random).copied().unwrap_or(otherwise)
    }

    fn serial(&mut self) -> String {
        self.next_serial += self.random.random_range(1..=30);
        format!("VC{:07}", self.next_serial)
    }

    /// An enterprise with its client and this many edges.
    fn enterprise(&mut self, edges: usize) {
        let index = self.enterprises.len();
        let client = 30_000 + i64::try_from(index).unwrap_or_default() * 7;
        let first = self.pick(&names::COMPANIES, "Maple");
        let second = self.pick(&names::BUSINESSES, "Foods");
        let name = format!("{first} {second}");
        let host_index = index % self.hosts.len().max(1);
        let id = self.hosts.get_mut(host_index).map_or(0, |host| {
            host.enterprises.push(index);
            100 + i64::try_from(host.enterprises.len()).unwrap_or_default()
        });
        self.inventory.clients.insert(client, Client { id: client, name: name.clone() });
        let begin = self.edges.len();
        for number in 1..=edges {
            self.edge(index, client, &name, number);
        }
        self.enterprises.push(Enterprise {
            id,
            host: host_index,
            name: format!("{name}|{client}|"),
            client,
            edges: (begin..self.edges.len()).collect(),
        });
    }

    fn edge(&mut self, enterprise: usize, client: i64, company: &str, number: usize) {
        let place = self.edges.len();
        let odd = oddity(place);
        let serial = self.serial();
        // Every tenth edge stands at the site of its neighbour.
        let shared =
            (place % 10 == 4 && number > 1).then(|| self.edges.last().map(|edge| edge.site)).flatten();
        let site = shared.unwrap_or_else(|| self.site(client, company, place));
        let (latitude, longitude) =
            self.inventory.site(site).map_or((0.0, 0.0), |site| (site.latitude, site.longitude));
        let since = self.now - TimeDelta::minutes(self.random.random_range(60..=60 * 24 * 90));
        let standby = (odd == Oddity::Pair).then(|| Standby { serial: self.serial(), up: true, since });
        let links = match odd {
            Oddity::NoLinks | Oddity::NeverActivated => Vec::new(),
            _ => self.links(place, since),
        };
        let edge = Edge {
            enterprise,
            id: 4_000 + i64::try_from(place).unwrap_or_default(),
            name: format!("{} {number:03}", company.to_uppercase().replace(' ', "-")),
            model: self.pick(&["edge520", "edge540", "edge610", "edge840", "edge2000"], "edge520"),
            activation: match odd {
                Oddity::NeverActivated => Activation::Never,
                Oddity::Stateless => Activation::Stateless,
                _ => Activation::Activated,
            },
            up: true,
            since,
            standby,
            events: self.history(&links, since),
            links,
            site,
            latitude,
            longitude,
            digi_answers: true,
            serial,
        };
        self.assets(&edge, odd, client, place);
        self.edges.push(edge);
    }

    fn site(&mut self, client: i64, company: &str, place: usize) -> i64 {
        let id = 900_000 + i64::try_from(place).unwrap_or_default();
        let town = self.pick(&names::TOWNS, names::SPRINGFIELD);
        let street = self.pick(&names::STREETS, "Main St");
        let person = self.pick(&names::PEOPLE, "Alex Doe");
        let house = self.random.random_range(1..=999);
        let zip = format!("{}-{:04}", town.zip, self.random.random_range(1..=9_999));
        // Some sites have no zone: customers of Bruin then go by the postal code.
        let time_zone = if place % 17 == 3 { "" } else { town.time_zone };
        let site = Site {
            id,
            client,
            label: format!("{company} {}", town.city),
            address: format!("{house} {street}"),
            city: town.city,
            state: town.state,
            zip,
            time_zone,
            latitude: town.latitude + self.random.random_range(-0.2..0.2),
            longitude: town.longitude + self.random.random_range(-0.2..0.2),
            contact_name: person.to_owned(),
            contact_phone: format!("555{:07}", 100_000 + place % 9_000_000),
            contact_email: format!("site{place}@customer.example"),
        };
        self.inventory.sites.insert(id, site);
        id
    }

    /// One to three links, and on every third edge a wireless one over a DiGi unit.
    fn links(&mut self, place: usize, since: DateTime<Utc>) -> Vec<Link> {
        let wired = self.random.random_range(1..=3);
        let mut links: Vec<Link> = (1..=wired).map(|number| self.wired(number, since)).collect();
        if place.is_multiple_of(3) {
            let interface = format!("GE{}", wired + 1);
            let prefix = if place.is_multiple_of(2) { "00:04:2d" } else { "00:27:04" };
            let carrier = self.pick(&names::MOBILE_CARRIERS, "Coastal Mobile");
            let ip = self.address();
            let logical_id = self.logical_id(prefix);
            let label = format!("{carrier} LTE");
            let wireless = (LinkMode::Public, LinkType::Wireless);
            links.push(self.link(interface, label, carrier, wireless, ip, logical_id, since));
        }
        links
    }

    fn wired(&mut self, number: usize, since: DateTime<Utc>) -> Link {
        let carrier = self.pick(&names::CARRIERS, "Northern Cable");
        let ip = self.address();
        let (mode, label) = match self.random.random_range(0..20) {
            0 => (LinkMode::Public, format!("BYOB {carrier}")),
            1 => (LinkMode::Public, format!("Customer Owned {carrier}")),
            2 => (LinkMode::Public, format!("PIAB {carrier}")),
            3 | 4 => (LinkMode::Public, ip.to_string()),
            5..=8 => (LinkMode::Private, format!("{carrier} MPLS")),
            _ => (LinkMode::Public, carrier.to_owned()),
        };
        let logical_id = self.logical_id("00:00:5e");
        self.link(format!("GE{number}"), label, carrier, (mode, LinkType::Wired), ip, logical_id, since)
    }

    #[allow(clippy::too_many_arguments, reason = "the one place where links are made")]
    fn link(
        &mut self,
        interface: String,
        label: String,
        carrier: &'static str,
        (mode, kind): (LinkMode, LinkType),
        ip: Ipv4Addr,
        logical_id: String,
        since: DateTime<Utc>,
    ) -> Link {
        let id = self.next_link;
        self.next_link += 1;
        let state = LinkState::Stable;
        Link {
            id,
            interface,
            label,
            carrier,
            mode,
            kind,
            ip,
            logical_id,
            state,
            since,
            rebooting_until: None,
        }
    }

    /// An address of the benchmarking network, which belongs to nobody.
    fn address(&mut self) -> Ipv4Addr {
        let [_, _, third, fourth] = self.random.random::<u32>().to_be_bytes();
        Ipv4Addr::new(198, 18 + self.random.random_range(0..=1), third, fourth)
    }

    fn logical_id(&mut self, prefix: &str) -> String {
        let [a, b, c, _] = self.random.random::<u32>().to_be_bytes();
        format!("{prefix}:{a:02x}:{b:02x}:{c:02x}:0000")
    }

    /// A short outage some days ago, at one edge of eight.
    fn history(&mut self, links: &[Link], since: DateTime<Utc>) -> VecDeque<Event> {
        let mut events = VecDeque::new();
        let quiet = self.random.random_range(0..8) != 0;
        let blip = self.now - TimeDelta::minutes(self.random.random_range(60 * 2..=60 * 24 * 6));
        if quiet || blip < since {
            return events;
        }
        let Some(link) = links.first() else { return events };
        let end = blip + TimeDelta::minutes(self.random.random_range(1..=90));
        let dead = Happening::LinkDead(link.interface.clone());
        let alive = Happening::LinkAlive(link.interface.clone());
        let id = i64::try_from(self.edges.len()).unwrap_or_default() * 2 + 1;
        events.push_back(Event { id, at: blip, happening: dead });
        events.push_back(Event { id: id + 1, at: end, happening: alive });
        events
    }

    fn assets(&mut self, edge: &Edge, odd: Oddity, client: i64, place: usize) {
        let monitored = self.pick(&MONITORED, MONITORED[0]);
        let status = match odd {
            Oddity::NotMonitored => Some(NOT_MONITORED),
            Oddity::Pending | Oddity::PendingExcepted => Some(PENDING),
            Oddity::NoStatus => None,
            _ => Some(monitored),
        };
        let asset = Asset {
            inventory: 12_700_000 + i64::try_from(place).unwrap_or_default() * 2,
            client,
            site: edge.site,
            active: odd != Oddity::Disconnected,
            management_status: status.map(str::to_owned),
        };
        if odd == Oddity::TwoInventories {
            let second = Asset { inventory: asset.inventory + 1, ..asset.clone() };
            self.inventory.add(&edge.serial, second);
        }
        if let Some(standby) = &edge.standby {
            let standby_asset = Asset { inventory: asset.inventory + 1, ..asset.clone() };
            self.inventory.add(&standby.serial, standby_asset);
        }
        self.inventory.add(&edge.serial, asset);
    }
}

#[cfg(test)]
mod tests;
