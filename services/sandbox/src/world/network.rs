//! The simulated SD-WAN network: hosts, enterprises, edges, links, and the states that follow from what is broken.

use std::collections::{HashMap, VecDeque};
use std::net::Ipv4Addr;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use super::events::{Event, Happening};
use super::outages::Outages;

/// How many events an edge remembers.
const EVENTS_KEPT: usize = 400;

/// A VeloCloud Orchestrator.
#[derive(Debug, Clone)]
pub struct Host {
    /// Host name, e.g. `vco1.sandbox.example`.
    pub name: String,
    /// Its enterprises, as indexes of [`Network::enterprises`].
    pub enterprises: Vec<usize>,
    /// Its gateways.
    pub gateways: Vec<Gateway>,
}

/// A VeloCloud gateway.
#[derive(Debug, Clone)]
pub struct Gateway {
    /// Id, unique in its host.
    pub id: i64,
    /// Name.
    pub name: String,
    /// False: `gatewayState` is `OFFLINE`.
    pub up: bool,
}

/// A customer's organisation on one host.
#[derive(Debug, Clone)]
pub struct Enterprise {
    /// Id, unique in its host.
    pub id: i64,
    /// Index of its host.
    pub host: usize,
    /// Name with the client's id, e.g. `Maple Foods|30007|`.
    pub name: String,
    /// The client in Bruin.
    pub client: i64,
    /// Its edges, as indexes of [`Network::edges`].
    pub edges: Vec<usize>,
}

/// What the orchestrator knows of an edge's activation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// In service.
    Activated,
    /// Shipped, never connected: `NEVER_ACTIVATED`.
    Never,
    /// A record without state: `edgeState` is null.
    Stateless,
}

/// An edge (router) at a customer's site.
#[derive(Debug, Clone)]
pub struct Edge {
    /// Index of its enterprise.
    pub enterprise: usize,
    /// Id, unique in its host.
    pub id: i64,
    /// Serial number of the (primary) device.
    pub serial: String,
    /// Name.
    pub name: String,
    /// Model, e.g. `edge520`.
    pub model: &'static str,
    /// Activation.
    pub activation: Activation,
    /// False: the device is down (`OFFLINE`).
    pub up: bool,
    /// Since when it is up or down.
    pub since: DateTime<Utc>,
    /// The standby member of a high-availability pair.
    pub standby: Option<Standby>,
    /// Its links.
    pub links: Vec<Link>,
    /// Its site in Bruin.
    pub site: i64,
    /// Degrees.
    pub latitude: f32,
    /// Degrees.
    pub longitude: f32,
    /// Whether a reboot of its DiGi unit heals the unit's link.
    pub digi_answers: bool,
    /// What happened to it, oldest first.
    pub events: VecDeque<Event>,
}

/// The standby member of a pair.
#[derive(Debug, Clone)]
pub struct Standby {
    /// Serial number.
    pub serial: String,
    /// False: `haState` is `FAILED`.
    pub up: bool,
    /// Since when.
    pub since: DateTime<Utc>,
}

/// How a link is, apart from its edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum LinkState {
    /// Healthy.
    Stable,
    /// Up with losses.
    Unstable,
    /// Down.
    Disconnected,
}

impl LinkState {
    /// As VeloCloud writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stable => "STABLE",
            Self::Unstable => "UNSTABLE",
            Self::Disconnected => "DISCONNECTED",
        }
    }
}

/// Who runs the link's network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum LinkMode {
    /// Internet access.
    Public,
    /// MPLS and the like.
    Private,
}

/// How the link reaches the site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum LinkType {
    /// Copper or fibre.
    Wired,
    /// Mobile network.
    Wireless,
}

/// A WAN link of an edge.
#[derive(Debug, Clone)]
pub struct Link {
    /// Id, unique in its host.
    pub id: i64,
    /// Interface of the edge, e.g. `GE1`.
    pub interface: String,
    /// Display name; some are the IP address, some hold words that operators use as flags (`BYOB`, ...).
    pub label: String,
    /// Carrier.
    pub carrier: &'static str,
    /// Public or private.
    pub mode: LinkMode,
    /// Wired or wireless.
    pub kind: LinkType,
    /// Public address.
    pub ip: Ipv4Addr,
    /// Logical id; a DiGi unit's begins with `00:04:2d` or `00:27:04`.
    pub logical_id: String,
    /// Its own state; see [`Edge::link_state`] for what is seen.
    pub state: LinkState,
    /// Since when.
    pub since: DateTime<Utc>,
    /// While set, the DiGi unit is rebooting, until this instant.
    pub rebooting_until: Option<DateTime<Utc>>,
}

impl Link {
    /// Whether the link runs over a DiGi unit.
    pub fn is_digi(&self) -> bool {
        self.logical_id.starts_with("00:04:2d") || self.logical_id.starts_with("00:27:04")
    }
}

/// How an edge is, in one word.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, serde::Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// The device (of a pair: the primary) is down.
    Down,
    /// Up, but a link is down.
    Degraded,
    /// Up, but the standby member is down.
    StandbyDown,
    /// Everything works.
    Up,
    /// Never put in service.
    NeverActivated,
}

impl Health {
    /// All kinds, worst first.
    pub const ALL: [Self; 5] =
        [Self::Down, Self::Degraded, Self::StandbyDown, Self::Up, Self::NeverActivated];

    /// The word that people read.
    pub fn title(self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::Degraded => "degraded",
            Self::StandbyDown => "standby down",
            Self::Up => "up",
            Self::NeverActivated => "never activated",
        }
    }
}

impl Edge {
    /// Whether any member of the (pair of) devices carries traffic.
    pub fn site_online(&self) -> bool {
        self.up || self.standby.as_ref().is_some_and(|standby| standby.up)
    }

    /// The state of a link as the orchestrator sees it: with no device online, all are disconnected.
    pub fn link_state(&self, link: &Link) -> LinkState {
        if self.site_online() { link.state } else { LinkState::Disconnected }
    }

    /// `edgeState` as VeloCloud writes it.
    pub fn state(&self) -> Option<&'static str> {
        let link_down = || self.links.iter().any(|link| link.state == LinkState::Disconnected);
        match self.activation {
            Activation::Stateless => None,
            Activation::Never => Some("NEVER_ACTIVATED"),
            Activation::Activated if !self.up => Some("OFFLINE"),
            Activation::Activated if link_down() => Some("DEGRADED"),
            Activation::Activated => Some("CONNECTED"),
        }
    }

    /// `haState` as VeloCloud writes it.
    pub fn ha_state(&self) -> &'static str {
        match &self.standby {
            None => "UNCONFIGURED",
            Some(standby) if standby.up => "READY",
            Some(_) => "FAILED",
        }
    }

    /// Serial of the other member.
    pub fn ha_serial(&self) -> Option<&str> {
        self.standby.as_ref().map(|standby| standby.serial.as_str())
    }

    /// The edge in one word.
    pub fn health(&self) -> Health {
        let standby_down = self.standby.as_ref().is_some_and(|standby| !standby.up);
        match self.state() {
            None | Some("NEVER_ACTIVATED") => Health::NeverActivated,
            Some("OFFLINE") => Health::Down,
            Some("DEGRADED") => Health::Degraded,
            Some(_) if standby_down => Health::StandbyDown,
            Some(_) => Health::Up,
        }
    }

    /// Last contact: a moment ago for an edge with a device online, the last moment of an offline one,
    /// `None` for one that was never activated.
    pub fn last_contact(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let last_down = match &self.standby {
            Some(standby) => self.since.max(standby.since),
            None => self.since,
        };
        match self.activation {
            Activation::Never => None,
            _ if self.site_online() => Some(now - TimeDelta::seconds(self.id % 30)),
            _ => Some(last_down),
        }
    }

    /// Remembers an event.
    pub fn happened(&mut self, event: Event) {
        if self.events.len() >= EVENTS_KEPT {
            self.events.pop_front();
        }
        self.events.push_back(event);
    }

    /// The link with this interface.
    pub fn link(&self, interface: &str) -> Option<&Link> {
        self.links.iter().find(|link| link.interface == interface)
    }
}

/// Which member of a pair a serial number names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Member {
    /// The edge itself.
    Primary,
    /// The standby of a pair.
    Standby,
}

/// The whole network, indexed.
#[derive(Debug, Default)]
pub struct Network {
    /// Orchestrators.
    pub hosts: Vec<Host>,
    /// Enterprises of all hosts.
    pub enterprises: Vec<Enterprise>,
    /// Edges of all enterprises.
    pub edges: Vec<Edge>,
    /// The outages made.
    pub outages: Outages,
    by_serial: HashMap<String, (usize, Member)>,
    by_id: HashMap<(usize, i64), usize>,
    by_host: HashMap<String, usize>,
    by_enterprise: HashMap<(usize, i64), usize>,
    next_event: i64,
}

impl Network {
    /// Builds the indexes over generated data.
    pub fn new(hosts: Vec<Host>, enterprises: Vec<Enterprise>, edges: Vec<Edge>) -> Self {
        let mut network = Self { hosts, enterprises, edges, next_event: 1, ..Self::default() };
        for (index, edge) in network.edges.iter().enumerate() {
            let host = network.enterprises.get(edge.enterprise).map_or(0, |enterprise| enterprise.host);
            network.by_serial.insert(edge.serial.clone(), (index, Member::Primary));
            network.by_id.insert((host, edge.id), index);
            if let Some(standby) = &edge.standby {
                network.by_serial.insert(standby.serial.clone(), (index, Member::Standby));
            }
            network.next_event += i64::try_from(edge.events.len()).unwrap_or_default();
        }
        for (index, host) in network.hosts.iter().enumerate() {
            network.by_host.insert(host.name.clone(), index);
        }
        for (index, enterprise) in network.enterprises.iter().enumerate() {
            network.by_enterprise.insert((enterprise.host, enterprise.id), index);
        }
        network
    }

    /// The edge that a serial number (of either member) belongs to.
    pub fn by_serial(&self, serial: &str) -> Option<(&Edge, Member)> {
        let (index, member) = *self.by_serial.get(serial)?;
        Some((self.edges.get(index)?, member))
    }

    /// The same, to change it.
    pub fn by_serial_mut(&mut self, serial: &str) -> Option<(&mut Edge, Member)> {
        let (index, member) = *self.by_serial.get(serial)?;
        Some((self.edges.get_mut(index)?, member))
    }

    /// A host by name.
    pub fn host(&self, name: &str) -> Option<(usize, &Host)> {
        let index = *self.by_host.get(name)?;
        Some((index, self.hosts.get(index)?))
    }

    /// An enterprise of a host.
    pub fn enterprise(&self, host: usize, id: i64) -> Option<&Enterprise> {
        self.enterprises.get(*self.by_enterprise.get(&(host, id))?)
    }

    /// An edge of a host.
    pub fn edge(&self, host: usize, id: i64) -> Option<&Edge> {
        self.edges.get(*self.by_id.get(&(host, id))?)
    }

    /// The enterprise of an edge.
    pub fn enterprise_of(&self, edge: &Edge) -> Option<&Enterprise> {
        self.enterprises.get(edge.enterprise)
    }

    /// The host name of an edge.
    pub fn host_of(&self, edge: &Edge) -> &str {
        let host = self.enterprise_of(edge).and_then(|enterprise| self.hosts.get(enterprise.host));
        host.map_or("", |host| host.name.as_str())
    }

    /// The edges of a host with their enterprise, enterprise by enterprise.
    pub fn edges_of_host<'n>(&'n self, host: &'n Host) -> impl Iterator<Item = (&'n Enterprise, &'n Edge)> {
        let enterprises = host.enterprises.iter().filter_map(|index| self.enterprises.get(*index));
        enterprises.flat_map(|enterprise| self.edges_of(enterprise).map(move |edge| (enterprise, edge)))
    }

    /// The edges of an enterprise.
    pub fn edges_of<'n>(&'n self, enterprise: &'n Enterprise) -> impl Iterator<Item = &'n Edge> {
        enterprise.edges.iter().filter_map(|index| self.edges.get(*index))
    }

    /// A new event with the next id.
    pub fn event(&mut self, at: DateTime<Utc>, happening: Happening) -> Event {
        let id = self.next_event;
        self.next_event += 1;
        Event { id, at, happening }
    }

    /// How many edges there are of each health.
    pub fn census(&self) -> Vec<(Health, usize)> {
        let mut counts = HashMap::new();
        for edge in &self.edges {
            *counts.entry(edge.health()).or_insert(0) += 1;
        }
        Health::ALL.into_iter().map(|health| (health, counts.get(&health).copied().unwrap_or(0))).collect()
    }
}
