//! Breaking and healing: how edges, standby members and links change state, and what a DiGi reboot does.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::events::Happening;
use super::network::{Activation, Edge, LinkState, Member, Network};
use super::outages::Broken;
use super::outbox::Reboot;
use super::{Change, World};

/// Why the state of a device cannot be changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// No edge has this serial number.
    #[error("no edge has the serial number {0}")]
    UnknownSerial(String),
    /// The edge has no such link.
    #[error("edge {serial} has no link at {interface}")]
    UnknownLink {
        /// The edge.
        serial: String,
        /// The interface asked for.
        interface: String,
    },
    /// The edge is no pair.
    #[error("edge {0} has no standby member")]
    NoStandby(String),
    /// The edge is not in service.
    #[error("edge {0} was never activated")]
    NotActivated(String),
}

/// What came of a request to reboot a DiGi unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RebootOutcome {
    /// Started.
    Started {
        /// Name of the site (edge).
        site: String,
        /// The link's interface.
        interface: String,
        /// The link's address.
        ip: String,
        /// The link's carrier.
        carrier: String,
    },
    /// One is running already.
    AlreadyRunning,
    /// No such edge, or it has no DiGi unit with this MAC.
    UnknownDevice,
}

/// One line of the DiGi service's recovery log.
#[derive(Debug, Clone)]
pub struct RecoveryLog {
    /// Id, ascending.
    pub id: i64,
    /// The caller's request id.
    pub igz_id: String,
    /// The service's own request id.
    pub request_id: String,
    /// `API Start`, `Ping`, `SMS`, ...
    pub method: &'static str,
    /// The edge.
    pub serial: String,
    /// The ticket, as given.
    pub ticket: String,
    /// The unit.
    pub device: String,
    /// Note.
    pub notes: &'static str,
    /// Whether the step worked; `None` while it runs.
    pub success: Option<bool>,
    /// Begin.
    pub start: DateTime<Utc>,
    /// End.
    pub end: Option<DateTime<Utc>>,
}

/// Reboots under way, and the log of all.
#[derive(Debug, Default)]
pub(super) struct Reboots {
    /// By the instant at which they end.
    due: BTreeMap<(DateTime<Utc>, i64), (String, String)>,
    log: Vec<RecoveryLog>,
}

type Changed = Result<bool, StateError>;

impl World {
    /// Breaks the device with this serial number: the edge, or the standby of a pair. `false`: it was down already.
    pub fn break_edge(&self, serial: &str) -> Changed {
        self.set_device(serial, false)
    }

    /// Heals the device with this serial number. `false`: it was up already.
    pub fn heal_edge(&self, serial: &str) -> Changed {
        self.set_device(serial, true)
    }

    /// Breaks the standby member of the pair to which the serial number belongs.
    pub fn break_standby(&self, serial: &str) -> Changed {
        self.break_edge(&self.standby_of(serial)?)
    }

    /// Heals the standby member of the pair to which the serial number belongs.
    pub fn heal_standby(&self, serial: &str) -> Changed {
        self.heal_edge(&self.standby_of(serial)?)
    }

    /// Takes a link down.
    pub fn break_link(&self, serial: &str, interface: &str) -> Changed {
        self.set_link(serial, interface, LinkState::Disconnected)
    }

    /// Brings a link up.
    pub fn heal_link(&self, serial: &str, interface: &str) -> Changed {
        self.set_link(serial, interface, LinkState::Stable)
    }

    /// Sets a link's state.
    pub fn set_link(&self, serial: &str, interface: &str, state: LinkState) -> Changed {
        let now = self.now();
        self.change_network(serial, |network| network.set_link(serial, interface, state, now))
    }

    /// Heals everything that is broken; how many edges, standbys, links and troubles of probes that were.
    pub fn heal_all(&self) -> usize {
        let broken: Vec<(String, Vec<String>, Option<String>)> = self.network(|network| {
            let faulty = network.edges.iter().filter(|edge| {
                edge.activation == Activation::Activated
                    && (!edge.up
                        || edge.standby.as_ref().is_some_and(|standby| !standby.up)
                        || edge.links.iter().any(|link| link.state != LinkState::Stable))
            });
            let parts = |edge: &Edge| {
                let links = edge.links.iter().map(|link| link.interface.clone()).collect();
                (edge.serial.clone(), links, edge.ha_serial().map(str::to_owned))
            };
            faulty.map(parts).collect()
        });
        let mut healed = self.heal_probes();
        for (serial, links, standby) in broken {
            let devices = std::iter::once(&serial).chain(&standby).map(|device| self.heal_edge(device));
            let links = links.iter().map(|interface| self.heal_link(&serial, interface));
            healed += devices.chain(links).filter(|changed| *changed == Ok(true)).count();
        }
        healed
    }

    /// Gives a link another label.
    pub fn relabel_link(&self, serial: &str, interface: &str, label: &str) -> Changed {
        self.change_network(serial, |network| {
            let (edge, _) = network.device(serial)?;
            let unknown =
                || StateError::UnknownLink { serial: serial.to_owned(), interface: interface.to_owned() };
            let link = edge.links.iter_mut().find(|link| link.interface == interface).ok_or_else(unknown)?;
            Ok(std::mem::replace(&mut link.label, label.to_owned()) != label)
        })
    }

    /// Decides whether a reboot of the edge's DiGi unit will heal its link.
    pub fn set_digi_answers(&self, serial: &str, answers: bool) -> Changed {
        self.change_network(serial, |network| {
            let (edge, _) = network.device(serial)?;
            Ok(std::mem::replace(&mut edge.digi_answers, answers) != answers)
        })
    }

    /// Starts the reboot of a DiGi unit, as the DiGi service does; it ends `after` this time.
    pub fn reboot(
        &self,
        serial: &str,
        mac: &str,
        ticket: &str,
        igz_id: Option<&str>,
        after: Duration,
    ) -> RebootOutcome {
        self.settle();
        let now = self.now();
        let until = now + after;
        let outcome = self.inner.network.write().start_reboot(serial, mac, now, until);
        let (interface, word) = match &outcome {
            RebootOutcome::Started { interface, .. } => (Some(interface.clone()), "started"),
            RebootOutcome::AlreadyRunning => (None, "aborted"),
            RebootOutcome::UnknownDevice => (None, "unknown device"),
        };
        if let Some(interface) = &interface {
            let mut reboots = self.inner.reboots.lock();
            let id = reboots.started(serial, ticket, mac, igz_id, now);
            reboots.due.insert((until, id), (serial.to_owned(), interface.clone()));
        }
        let reboot = Reboot {
            number: 0,
            at: now,
            serial: serial.to_owned(),
            interface,
            mac: mac.to_owned(),
            ticket: ticket.to_owned(),
            igz_id: igz_id.map(str::to_owned),
            outcome: word.to_owned(),
        };
        self.with_outbox("reboot", |outbox| outbox.reboot(reboot));
        outcome
    }

    /// The DiGi service's recovery log, oldest first.
    pub fn recovery_logs(&self) -> Vec<RecoveryLog> {
        self.settle();
        self.inner.reboots.lock().log.clone()
    }

    /// Does what has become due. Every look at the world calls it; it costs one lock when nothing is due.
    pub fn settle(&self) {
        let now = self.now();
        loop {
            let next = {
                let mut reboots = self.inner.reboots.lock();
                match reboots.due.first_key_value() {
                    Some(((at, _), _)) if *at <= now => reboots.due.pop_first(),
                    _ => None,
                }
            };
            let Some(((at, id), (serial, interface))) = next else { return };
            let healed = self.inner.network.write().end_reboot(&serial, &interface, at);
            self.inner.reboots.lock().ended(id, healed, at);
            self.changed(Change::Edge { serial });
        }
    }

    fn standby_of(&self, serial: &str) -> Result<String, StateError> {
        self.network(|network| {
            let (edge, _) =
                network.by_serial(serial).ok_or_else(|| StateError::UnknownSerial(serial.to_owned()))?;
            edge.ha_serial().map(str::to_owned).ok_or_else(|| StateError::NoStandby(serial.to_owned()))
        })
    }

    fn set_device(&self, serial: &str, up: bool) -> Changed {
        let now = self.now();
        self.change_network(serial, |network| network.set_device(serial, up, now))
    }

    fn change_network(&self, serial: &str, change: impl FnOnce(&mut Network) -> Changed) -> Changed {
        self.settle();
        let changed = change(&mut self.inner.network.write())?;
        if changed {
            self.changed(Change::Edge { serial: serial.to_owned() });
        }
        Ok(changed)
    }
}

impl Network {
    fn device(&mut self, serial: &str) -> Result<(&mut Edge, Member), StateError> {
        self.by_serial_mut(serial).ok_or_else(|| StateError::UnknownSerial(serial.to_owned()))
    }

    fn set_device(&mut self, serial: &str, up: bool, now: DateTime<Utc>) -> Changed {
        let (edge, member) = self.device(serial)?;
        if edge.activation != Activation::Activated {
            return Err(StateError::NotActivated(serial.to_owned()));
        }
        let (state, since, broken) = match (member, &mut edge.standby) {
            (Member::Standby, Some(standby)) => (&mut standby.up, &mut standby.since, Broken::Standby),
            _ => (&mut edge.up, &mut edge.since, Broken::Edge),
        };
        if *state == up {
            return Ok(false);
        }
        *state = up;
        *since = now;
        let happening = match (broken, up) {
            (Broken::Standby, true) => Happening::StandbyReady,
            (Broken::Standby, false) => Happening::StandbyFailed,
            (_, true) => Happening::EdgeUp,
            (_, false) => Happening::EdgeDown,
        };
        self.record(serial, happening, now);
        if up {
            self.outages.end(broken, serial, None, now);
        } else {
            self.outages.begin(broken, serial, None, now);
        }
        Ok(true)
    }

    fn set_link(&mut self, serial: &str, interface: &str, state: LinkState, now: DateTime<Utc>) -> Changed {
        let (edge, _) = self.device(serial)?;
        if edge.activation != Activation::Activated {
            return Err(StateError::NotActivated(serial.to_owned()));
        }
        let primary = edge.serial.clone();
        let unknown =
            || StateError::UnknownLink { serial: serial.to_owned(), interface: interface.to_owned() };
        let link = edge.links.iter_mut().find(|link| link.interface == interface).ok_or_else(unknown)?;
        let before = std::mem::replace(&mut link.state, state);
        if before == state {
            return Ok(false);
        }
        link.since = now;
        match (before, state) {
            (_, LinkState::Disconnected) => {
                self.record(&primary, Happening::LinkDead(interface.to_owned()), now);
                self.outages.begin(Broken::Link, &primary, Some(interface), now);
            }
            (LinkState::Disconnected, _) => {
                self.record(&primary, Happening::LinkAlive(interface.to_owned()), now);
                self.outages.end(Broken::Link, &primary, Some(interface), now);
            }
            _ => {}
        }
        Ok(true)
    }

    fn record(&mut self, serial: &str, happening: Happening, now: DateTime<Utc>) {
        let event = self.event(now, happening);
        if let Some((edge, _)) = self.by_serial_mut(serial) {
            edge.happened(event);
        }
    }

    fn start_reboot(
        &mut self,
        serial: &str,
        mac: &str,
        now: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> RebootOutcome {
        let Ok((edge, _)) = self.device(serial) else { return RebootOutcome::UnknownDevice };
        let site = edge.name.clone();
        let unit = edge.links.iter_mut().find(|link| link.is_digi() && link.logical_id == mac);
        let Some(link) = unit else { return RebootOutcome::UnknownDevice };
        if link.rebooting_until.is_some_and(|until| until > now) {
            return RebootOutcome::AlreadyRunning;
        }
        link.rebooting_until = Some(until);
        RebootOutcome::Started {
            site,
            interface: link.interface.clone(),
            ip: link.ip.to_string(),
            carrier: link.carrier.to_owned(),
        }
    }

    /// Ends a reboot; whether the unit answered. Its link is up afterwards if it did.
    fn end_reboot(&mut self, serial: &str, interface: &str, now: DateTime<Utc>) -> bool {
        let Ok((edge, _)) = self.device(serial) else { return false };
        let answers = edge.digi_answers;
        if let Some(link) = edge.links.iter_mut().find(|link| link.interface == interface) {
            link.rebooting_until = None;
        }
        // A link that is up already stays as it is.
        let down = edge.link(interface).is_some_and(|link| link.state == LinkState::Disconnected);
        if answers && down {
            let _ = self.set_link(serial, interface, LinkState::Stable, now);
        }
        answers
    }
}

impl Reboots {
    fn started(
        &mut self,
        serial: &str,
        ticket: &str,
        mac: &str,
        igz_id: Option<&str>,
        now: DateTime<Utc>,
    ) -> i64 {
        let id = i64::try_from(self.log.len()).unwrap_or_default() + 1;
        let line = RecoveryLog {
            id,
            igz_id: igz_id.unwrap_or_default().to_owned(),
            request_id: format!("RQ-{id:06}"),
            method: "API Start",
            serial: serial.to_owned(),
            ticket: ticket.to_owned(),
            device: mac.to_owned(),
            notes: "Recovery requested",
            success: Some(true),
            start: now,
            end: Some(now),
        };
        let ping = RecoveryLog {
            id: id + 1,
            method: "OEMPortal",
            notes: "Rebooting the device",
            success: None,
            end: None,
            ..line.clone()
        };
        self.log.extend([line, ping]);
        id + 1
    }

    fn ended(&mut self, id: i64, healed: bool, now: DateTime<Utc>) {
        let index = usize::try_from(id - 1).unwrap_or(usize::MAX);
        if let Some(line) = self.log.get_mut(index) {
            line.success = Some(healed);
            line.end = Some(now);
            line.notes = if healed { "Device is back" } else { "Device does not answer" };
        }
    }
}
