//! The Hawkeye probes at customers' sites: which there are, what is wrong with them, and what follows for their tests.
//!
//! Results are not stored: every probe runs each of its tests every [`TEST_EVERY`], and what came of a run follows from
//! what was wrong at that instant. So the past is there from the first moment, and a large world costs nothing.

mod generate;
mod results;

use std::collections::{HashMap, VecDeque};
use std::net::Ipv4Addr;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Change, World};

pub use generate::{ProbeOddity, generate, probe_oddity};
pub use results::{Metric, Outcome, Run, Runs};

/// How often a probe runs each of its tests, and reports.
pub const TEST_EVERY: TimeDelta = TimeDelta::minutes(5);
/// How far before the world's first instant results reach back.
pub const PAST: TimeDelta = TimeDelta::days(7);
/// How many spells of each kind a probe remembers.
const SPELLS_KEPT: usize = 64;

/// What a probe measures against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ProbeService {
    /// Other probes.
    NodeToNode,
    /// Real servers.
    RealService,
}

/// A kind of test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TestKind {
    /// `ICMP Test`, against a server.
    Icmp,
    /// `Network KPI`, against another probe.
    NetworkKpi,
    /// `Voice bidirectional`, against another probe.
    Voice,
}

impl TestKind {
    /// All of them; the order is that of the results of one instant.
    pub const ALL: [Self; 3] = [Self::Icmp, Self::NetworkKpi, Self::Voice];

    /// As Hawkeye writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Icmp => "ICMP Test",
            Self::NetworkKpi => "Network KPI",
            Self::Voice => "Voice bidirectional",
        }
    }

    /// What it measures against.
    pub fn service(self) -> ProbeService {
        match self {
            Self::Icmp => ProbeService::RealService,
            Self::NetworkKpi | Self::Voice => ProbeService::NodeToNode,
        }
    }
}

/// What can be wrong with a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// It does not reach what it measures against: the status is 0, and these tests end in errors.
    Down(ProbeService),
    /// The results of a test exceed its thresholds.
    Failing(TestKind),
}

/// When something was wrong, oldest first; the last spell may still last.
#[derive(Debug, Clone, Default)]
pub struct Spells(VecDeque<(DateTime<Utc>, Option<DateTime<Utc>>)>);

impl Spells {
    /// Since when it is wrong now.
    pub fn since(&self) -> Option<DateTime<Utc>> {
        self.0.back().filter(|(_, end)| end.is_none()).map(|(begin, _)| *begin)
    }

    /// Whether it was wrong at an instant.
    pub fn at(&self, instant: DateTime<Utc>) -> bool {
        self.0.iter().any(|(begin, end)| *begin <= instant && end.is_none_or(|end| instant < end))
    }

    /// Begins or ends a spell; false when it is so already.
    fn set(&mut self, wrong: bool, now: DateTime<Utc>) -> bool {
        if self.since().is_some() == wrong {
            return false;
        }
        if !wrong {
            if let Some((_, end)) = self.0.back_mut() {
                *end = Some(now);
            }
            return true;
        }
        if self.0.len() >= SPELLS_KEPT {
            self.0.pop_front();
        }
        self.0.push_back((now, None));
        true
    }
}

/// A probe.
#[derive(Debug, Clone)]
pub struct Probe {
    /// Number, from 1.
    pub id: i64,
    /// Unique id, a MAC.
    pub uid: String,
    /// Serial number; Bruin's service number. Two probes may share one.
    pub serial: String,
    /// Name.
    pub name: String,
    /// Group.
    pub group: String,
    /// Name of its type, e.g. `xr_pi`.
    pub model: &'static str,
    /// Number of its type.
    pub model_number: &'static str,
    /// Address.
    pub address: Ipv4Addr,
    /// The site where it stands.
    pub site: i64,
    /// Degrees.
    pub latitude: f32,
    /// Degrees.
    pub longitude: f32,
    /// Since when it runs.
    pub restarted: DateTime<Utc>,
    /// What is special about it.
    pub oddity: ProbeOddity,
    /// False: switched off by its owner.
    pub active: bool,
    /// Whether it measures against servers at all.
    pub has_real_service: bool,
    /// When it did not reach other probes.
    pub node_to_node: Spells,
    /// When it did not reach servers.
    pub real_service: Spells,
    failing: [Spells; 3],
}

impl Probe {
    /// Whether a service was ever in contact with Hawkeye.
    pub fn contacted(&self, service: ProbeService) -> bool {
        self.oddity != ProbeOddity::Never && (service == ProbeService::NodeToNode || self.has_real_service)
    }

    /// When a service did not reach what it measures against.
    pub fn down(&self, service: ProbeService) -> &Spells {
        match service {
            ProbeService::NodeToNode => &self.node_to_node,
            ProbeService::RealService => &self.real_service,
        }
    }

    /// Whether both services are up, as the filter `status` of Hawkeye means it.
    pub fn is_up(&self) -> bool {
        self.node_to_node.since().is_none() && self.real_service.since().is_none()
    }

    /// When a service last reported; `None`: never.
    pub fn last_update(&self, service: ProbeService, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.contacted(service).then(|| self.down(service).since().unwrap_or_else(|| results::last_run(now)))
    }

    /// When a test's results exceeded its thresholds.
    pub fn failing(&self, test: TestKind) -> &Spells {
        let [icmp, kpi, voice] = &self.failing;
        match test {
            TestKind::Icmp => icmp,
            TestKind::NetworkKpi => kpi,
            TestKind::Voice => voice,
        }
    }

    /// The tests it runs.
    pub fn tests(&self) -> impl Iterator<Item = TestKind> {
        TestKind::ALL.into_iter().filter(|test| self.active && self.contacted(test.service()))
    }

    fn spells(&mut self, trouble: Trouble) -> &mut Spells {
        let [icmp, kpi, voice] = &mut self.failing;
        match trouble {
            Trouble::Down(ProbeService::NodeToNode) => &mut self.node_to_node,
            Trouble::Down(ProbeService::RealService) => &mut self.real_service,
            Trouble::Failing(TestKind::Icmp) => icmp,
            Trouble::Failing(TestKind::NetworkKpi) => kpi,
            Trouble::Failing(TestKind::Voice) => voice,
        }
    }
}

/// All probes.
#[derive(Debug)]
pub struct Probes {
    /// In the order of their ids.
    list: Vec<Probe>,
    by_uid: HashMap<String, usize>,
    /// The world's first instant.
    born: DateTime<Utc>,
}

impl Probes {
    fn new(list: Vec<Probe>, born: DateTime<Utc>) -> Self {
        let by_uid = list.iter().enumerate().map(|(index, probe)| (probe.uid.clone(), index)).collect();
        Self { list, by_uid, born }
    }

    /// All of them, in the order of their ids.
    pub fn list(&self) -> &[Probe] {
        &self.list
    }

    /// The probe with this unique id.
    pub fn by_uid(&self, uid: &str) -> Option<&Probe> {
        self.list.get(*self.by_uid.get(uid)?)
    }

    /// The probes with this serial number.
    pub fn by_serial<'p>(&'p self, serial: &'p str) -> impl Iterator<Item = &'p Probe> {
        self.list.iter().filter(move |probe| probe.serial == serial)
    }

    /// Changes every probe with this serial number; `None`: there is none, else whether anything changed.
    fn change(&mut self, serial: &str, mut change: impl FnMut(&mut Probe) -> bool) -> Option<bool> {
        let probes = self.list.iter_mut().filter(|probe| probe.serial == serial);
        probes.map(&mut change).reduce(|one, other| one | other)
    }
}

impl World {
    /// Reads the probes.
    pub fn probes<R>(&self, read: impl FnOnce(&Probes) -> R) -> R {
        read(&self.inner.probes.read())
    }

    /// Brings trouble to the probes with this serial number, or ends it; `None`: there is none, else whether anything
    /// changed.
    pub fn trouble_probe(&self, serial: &str, trouble: Trouble, wrong: bool) -> Option<bool> {
        let now = self.now();
        self.change_probe(serial, |probe| probe.spells(trouble).set(wrong, now))
    }

    /// Switches the probes with this serial number on or off; `None`: there is none, else whether anything changed.
    pub fn activate_probe(&self, serial: &str, active: bool) -> Option<bool> {
        self.change_probe(serial, |probe| std::mem::replace(&mut probe.active, active) != active)
    }

    /// Ends all trouble of the probes with this serial number; `None`: there is none, else whether anything changed.
    pub fn heal_probe(&self, serial: &str) -> Option<bool> {
        let now = self.now();
        self.change_probe(serial, |probe| heal(probe, now) > 0)
    }

    /// Ends all trouble of all probes; how much there was.
    pub(super) fn heal_probes(&self) -> usize {
        let now = self.now();
        let troubled: Vec<String> = {
            let mut probes = self.inner.probes.write();
            let healed = probes.list.iter_mut().map(|probe| (heal(probe, now), probe.serial.clone()));
            healed.flat_map(|(count, serial)| std::iter::repeat_n(serial, count)).collect()
        };
        for serial in &troubled {
            self.changed(Change::Probe { serial: serial.clone() });
        }
        troubled.len()
    }

    fn change_probe(&self, serial: &str, change: impl FnMut(&mut Probe) -> bool) -> Option<bool> {
        let changed = self.inner.probes.write().change(serial, change)?;
        if changed {
            self.changed(Change::Probe { serial: serial.to_owned() });
        }
        Some(changed)
    }
}

fn heal(probe: &mut Probe, now: DateTime<Utc>) -> usize {
    let Probe { node_to_node, real_service, failing, .. } = probe;
    [node_to_node, real_service]
        .into_iter()
        .chain(failing)
        .filter_map(|spells| spells.set(false, now).then_some(()))
        .count()
}

#[cfg(test)]
mod tests;
