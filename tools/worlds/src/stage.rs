//! One run: the monitor's own code over the bridges in memory, in simulated time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use bus::Bus;
use chrono::{DateTime, TimeDelta, Utc};
use decisions::{Mode, Record, Step};
use parking_lot::Mutex;
use runtime::{Clock, Context, Environment};
use sandbox::world::World;
use sandbox::world::generate::Plan;
use sandbox::world::network::Edge;
use sandbox::world::repair::OnResolved;
use sandbox::world::tickets::{NewTicket, Topic};
use service_outage_monitor::config::{Config, Settings};
use service_outage_monitor::monitor::Monitor;
use tokio::time::sleep;

use crate::account::{Account, Broken};
use crate::bridges::{Bridges, Ends, Wire};
use crate::operation::{Cast, Deed, Operation, Resolved, SUBJECTS, Scenario};

const HOST: &str = "vco1.sandbox.example";
const SERVICE: &str = "service-outage-monitor";
/// A Monday, noon at the sites.
const START: &str = "2022-01-31T17:00:00Z";
/// Operations fall between the ticks of the monitor's jobs, which are multiples of ten seconds and a little.
const OFFSET: Duration = Duration::from_millis(7_500);
/// Two cycles and the quarantine, and a minute for what takes its time.
const PATIENCE: TimeDelta = TimeDelta::seconds(2 * 600 + 180 + 60);
/// Between two cycles.
const INTERVAL: TimeDelta = TimeDelta::seconds(600);
/// A new leader must be there.
const TAKE_OVER: Duration = Duration::from_secs(15);
/// The span between two looks whether all is at rest.
const BREATH: Duration = Duration::from_secs(1);
/// The longest span between two looks at the promises.
const LOOK: Duration = Duration::from_secs(300);

/// How a run went.
#[derive(Debug, Clone)]
pub struct Ran {
    /// What was broken.
    pub broken: Vec<Broken>,
    /// Requests that were carried out.
    pub requests: u64,
    /// Writes among them.
    pub writes: u64,
    /// Simulated time.
    pub simulated: Duration,
    /// Equal runs have equal ones.
    pub fingerprint: u64,
    /// What happened.
    pub log: Vec<String>,
}

struct Replica {
    wire: Arc<Wire>,
    monitor: Arc<Monitor>,
    born: DateTime<Utc>,
}

struct Stage {
    scenario: Scenario,
    world: World,
    bridges: Arc<Bridges>,
    clock: Clock,
    /// The present replica of each slot, and all that ever were.
    slots: Mutex<Vec<Arc<Replica>>>,
    all: Mutex<Vec<Arc<Replica>>>,
    down: Mutex<Duration>,
}

/// Runs a scenario.
///
/// # Errors
/// When the stage cannot be set.
pub fn run(scenario: &Scenario) -> anyhow::Result<Ran> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .context("cannot start a runtime")?;
    runtime.block_on(async {
        let stage = Stage::set(scenario.clone())?;
        stage.play().await
    })
}

impl Stage {
    fn set(scenario: Scenario) -> anyhow::Result<Arc<Self>> {
        let start: DateTime<Utc> = START.parse().context("the start")?;
        let clock = Clock::simulated(start);
        let plan = Plan { seed: scenario.seed, edges: scenario.edges, hosts: vec![HOST.to_owned()] };
        let world = World::new(clock.clone(), &plan);
        let slowest = if scenario.cast == Cast::Twins { 3 } else { 100 };
        let bridges = Arc::new(Bridges::new(world.clone(), HOST, scenario.seed, slowest));
        Ok(Arc::new(Self {
            scenario,
            world,
            bridges,
            clock,
            slots: Mutex::default(),
            all: Mutex::default(),
            down: Mutex::new(Duration::from_secs(5)),
        }))
    }

    fn environment(&self, shadow: bool) -> Environment {
        let election = if self.scenario.cast == Cast::Pair { "jetstream" } else { "off" };
        // With the usual periods a forward and a re-check fall due in the same instant, and which of them comes first is
        // chance: twins must not depend on it.
        let twins = self.scenario.cast == Cast::Twins;
        let (by_day, by_night) = if twins { ("5350", "10750") } else { ("5400", "10800") };
        Environment::from([
            ("ENVIRONMENT_NAME", "worlds"),
            ("CURRENT_ENVIRONMENT", "production"),
            ("TIMEZONE", "US/Eastern"),
            ("ENABLE_TRIAGE_MONITORING", "0"),
            ("MONITORING__VELOCLOUD_HOST", HOST),
            ("MONITORING__GRACE_PERIOD_BEFORE_ATTEMPTING_NEW_DIGI_REBOOTS", "900"),
            ("MONITORING__GRACE_PERIOD_TO_AUTORESOLVE_AFTER_LAST_DOCUMENTED_OUTAGE_DAY_TIME", by_day),
            ("MONITORING__GRACE_PERIOD_TO_AUTORESOLVE_AFTER_LAST_DOCUMENTED_OUTAGE_NIGHT_TIME", by_night),
            ("DECISION_MODE", if shadow { "shadow" } else { "live" }),
            ("LEADER_ELECTION", election),
        ])
    }

    /// Starts a replica.
    fn start(&self, shadow: bool) -> anyhow::Result<Arc<Replica>> {
        let number = self.all.lock().len();
        let environment = self.environment(shadow);
        let config: Config = match environment.read::<Settings>().context("the settings")? {
            Settings::Outage(config) => *config,
            Settings::Triage(_) => anyhow::bail!("not the outage mode"),
        };
        let context = Context::simulated(SERVICE, environment, self.clock.clone())?;
        let wire = Arc::new(Wire::new(Arc::clone(&self.bridges), number, shadow));
        wire.belongs_to(context.clone());
        let bus = Bus::in_memory(SERVICE, Arc::new(Ends(Arc::clone(&wire))));
        let monitor = Arc::new(Monitor::new(context, bus, config)?);
        Arc::clone(&monitor).start();
        let replica = Arc::new(Replica { wire, monitor, born: self.clock.now() });
        self.all.lock().push(Arc::clone(&replica));
        Ok(replica)
    }

    /// Keeps a slot filled: whoever dies is started again after a while.
    async fn attend(self: Arc<Self>, slot: usize) {
        loop {
            let present = self.slots.lock().get(slot).cloned();
            let Some(present) = present else { return };
            present.wire.death.cancelled().await;
            let now = self.clock.now();
            let down = *self.down.lock();
            let pair = self.scenario.cast == Cast::Pair;
            {
                let mut account = self.bridges.account.lock();
                account.say(now, &format!("#{} is dead", present.wire.replica));
                account.deaths += 1;
                let out_of_order = if pair { TAKE_OVER } else { down };
                account.disturbed(now + out_of_order);
            }
            if pair {
                tokio::spawn(Arc::clone(&self).somebody_leads(slot, now));
            }
            sleep(down).await;
            let Ok(fresh) = self.start(false) else { return };
            let number = fresh.wire.replica;
            if let Some(place) = self.slots.lock().get_mut(slot) {
                *place = fresh;
            }
            self.bridges.account.lock().say(self.clock.now(), &format!("#{number} is started"));
        }
    }

    /// P5: another replica that lives leads soon.
    async fn somebody_leads(self: Arc<Self>, slot: usize, died: DateTime<Utc>) {
        sleep(TAKE_OVER).await;
        let others: Vec<Arc<Replica>> = self.slots.lock().clone();
        let mut others = others
            .iter()
            .enumerate()
            .filter(|(place, other)| *place != slot && !other.wire.is_dead() && other.born < died)
            .map(|(_, other)| other);
        let Some(other) = others.next() else { return };
        if !other.monitor.leads() {
            let how = format!("#{} does not lead 15 s after the other's death", other.wire.replica);
            self.bridges.account.lock().broken("P5", self.clock.now(), how);
        }
    }

    async fn play(self: Arc<Self>) -> anyhow::Result<Ran> {
        let began = self.clock.now();
        match self.scenario.cast {
            Cast::Alone => self.enter(1)?,
            Cast::Pair => self.enter(2)?,
            Cast::Twins => {
                self.start(true)?;
                self.start(false)?;
            }
        }
        self.pass(OFFSET).await;
        for operation in self.scenario.operations.clone() {
            self.account(|account, now| account.say(now, &format!("== {operation:?}")));
            self.happen(operation).await;
            self.look();
        }
        // Everything is back: whatever is down now must be acted on.
        self.bridges.mend();
        self.account(|account, now| account.say(now, "== everything is back"));
        self.pass(Duration::from_secs(2 * PATIENCE.num_seconds().unsigned_abs() + 600)).await;
        self.settle().await;
        self.judge_ledgers();
        let account = self.bridges.account.lock();
        Ok(Ran {
            broken: account.broken.clone(),
            requests: account.requests,
            writes: account.writes,
            simulated: (self.clock.now() - began).to_std().unwrap_or_default(),
            fingerprint: account.fingerprint(),
            log: account.log.clone(),
        })
    }

    fn enter(self: &Arc<Self>, replicas: usize) -> anyhow::Result<()> {
        for slot in 0..replicas {
            let replica = self.start(false)?;
            self.slots.lock().push(replica);
            tokio::spawn(Arc::clone(self).attend(slot));
        }
        Ok(())
    }

    fn account<R>(&self, write: impl FnOnce(&mut Account, DateTime<Utc>) -> R) -> R {
        let now = self.clock.now();
        write(&mut self.bridges.account.lock(), now)
    }

    /// Lets time pass, with looks between.
    async fn pass(&self, span: Duration) {
        let mut left = span;
        while !left.is_zero() {
            let step = left.min(LOOK);
            sleep(step).await;
            left -= step;
            self.look();
        }
    }

    /// The promises that hold at any time.
    fn look(&self) {
        let mut account = self.bridges.account.lock();
        account.observe(&self.world);
        account.every_outage_is_acted_on(&self.world, PATIENCE);
        let now = self.clock.now();
        let leaders =
            self.slots.lock().iter().filter(|one| !one.wire.is_dead() && one.monitor.leads()).count();
        if leaders > 1 {
            account.broken("P5", now, "two replicas lead".to_owned());
        }
    }

    /// The edge that a number names.
    fn edge(&self, number: usize) -> Option<Edge> {
        self.world.network(|network| {
            network.edges.get(number.checked_rem(network.edges.len()).unwrap_or(0)).cloned()
        })
    }

    /// The interface of a link that a number names.
    fn link(edge: &Edge, number: usize) -> Option<String> {
        let number = number.checked_rem(edge.links.len())?;
        edge.links.get(number).map(|link| link.interface.clone())
    }

    async fn happen(&self, operation: Operation) {
        // What cannot be (a standby of an edge that has none) does not happen.
        match operation {
            Operation::Advance { seconds } => self.pass(Duration::from_secs(seconds)).await,
            Operation::BreakEdge { edge } => self.with(edge, |world, edge| {
                let _ = world.break_edge(&edge.serial);
            }),
            Operation::HealEdge { edge } => self.with(edge, |world, edge| {
                let _ = world.heal_edge(&edge.serial);
            }),
            Operation::BreakStandby { edge } => self.with(edge, |world, edge| {
                let _ = world.break_standby(&edge.serial);
            }),
            Operation::HealStandby { edge } => self.with(edge, |world, edge| {
                let _ = world.heal_standby(&edge.serial);
            }),
            Operation::BreakLink { edge, link } => self.with(edge, |world, edge| {
                if let Some(interface) = Self::link(edge, link) {
                    let _ = world.break_link(&edge.serial, &interface);
                }
            }),
            Operation::HealLink { edge, link } => self.with(edge, |world, edge| {
                if let Some(interface) = Self::link(edge, link) {
                    let _ = world.heal_link(&edge.serial, &interface);
                }
            }),
            Operation::HealAll => drop(self.world.heal_all()),
            Operation::Strike { subject, fate, times } => {
                let subject = SUBJECTS.get(subject.checked_rem(SUBJECTS.len()).unwrap_or(0));
                if let Some(subject) = subject {
                    self.bridges.strike(subject, fate, times);
                }
            }
            Operation::Trouble { party, fate, seconds } => {
                self.bridges.spell(party, fate, Duration::from_secs(seconds));
            }
            Operation::Kill { after_requests, moment, down_seconds } => {
                *self.down.lock() = Duration::from_secs(down_seconds);
                let acting = self.slots.lock().iter().find(|one| one.monitor.leads()).cloned();
                if let Some(acting) = acting {
                    acting.wire.doom(after_requests, moment);
                }
            }
            Operation::Person { edge, does } => self.with(edge, |_, edge| self.person(edge, does)),
            Operation::OnResolved { edge, how } => self.with(edge, |world, edge| {
                let how = match how {
                    Resolved::Leave => OnResolved::LeaveResolved,
                    Resolved::Reopen => OnResolved::Reopen,
                    Resolved::JoinSite => OnResolved::JoinSite,
                    Resolved::CreateNew => OnResolved::CreateNew,
                };
                world.with_tickets(|tickets| tickets.policy.serials.insert(edge.serial.clone(), how));
            }),
        }
    }

    fn with(&self, edge: usize, act: impl FnOnce(&World, &Edge)) {
        if let Some(edge) = self.edge(edge) {
            act(&self.world, &edge);
        }
    }

    fn person(&self, edge: &Edge, does: Deed) {
        let now = self.clock.now();
        let client = self.world.network(|network| network.enterprise_of(edge).map(|of| of.client));
        let open =
            self.world.tickets_of(&edge.serial).into_iter().find(|ticket| ticket.status(now).is_open());
        let line = open.as_ref().and_then(|ticket| ticket.line_of(&edge.serial).cloned());
        self.account(|account, now| account.touched(now, &edge.serial));
        self.world.with_tickets(|tickets| match (does, open, line) {
            (Deed::CreateTicket, None, _) => {
                let new = NewTicket {
                    client: client.unwrap_or_default(),
                    site: Some(edge.site),
                    topic: Topic::Outage,
                    serials: vec![edge.serial.clone()],
                    created_by: "Ann Example".to_owned(),
                    severity: 3,
                    description: None,
                };
                tickets.create(new, now);
            }
            (Deed::ResolveLine, Some(ticket), Some(line)) => {
                let _ = tickets.set_line(ticket.id, line.id, true, now);
            }
            (Deed::PauseLine, Some(ticket), Some(line)) => {
                let _ = tickets.pause(ticket.id, line.id, now);
            }
            (Deed::CloseTicket, Some(ticket), _) => {
                let _ = tickets.close(ticket.id, now);
            }
            _ => {}
        });
    }

    /// The end may fall into a cycle: lets it come to rest.
    async fn settle(&self) {
        let until = self.clock.now() + INTERVAL;
        while self.clock.now() < until && !self.unfinished().is_empty() {
            self.pass(BREATH).await;
        }
    }

    /// The actions without an outcome of a monitor that lives. Of a pair the leader may have left some to the other.
    fn unfinished(&self) -> Vec<String> {
        let mut unfinished = Vec::new();
        for replica in self.all.lock().iter().filter(|replica| !replica.wire.is_dead()) {
            let mut open: BTreeMap<String, i64> = BTreeMap::new();
            for record in replica.monitor.ledger().kept().iter().filter(|record| record.mode == Mode::Live) {
                let (action, target, more) = match &record.step {
                    Step::Intent { action, target, .. } => (action, target, 1),
                    Step::Outcome { action, target, .. } => (action, target, -1),
                    Step::Abstained { .. } => continue,
                };
                *open.entry(format!("{action} {target}")).or_default() += more;
            }
            unfinished.extend(open.into_iter().filter(|(_, left)| *left != 0).map(|(action, _)| action));
        }
        if self.scenario.cast == Cast::Pair { Vec::new() } else { unfinished }
    }

    /// What the ledgers of all replicas say in the end.
    fn judge_ledgers(&self) {
        let all = self.all.lock().clone();
        let now = self.clock.now();
        let mut scheduled: BTreeMap<String, usize> = BTreeMap::new();
        let mut account = self.bridges.account.lock();
        let mut intents: BTreeMap<&str, BTreeMap<String, Vec<String>>> = BTreeMap::new();
        for replica in &all {
            let records = replica.monitor.ledger().kept();
            for record in &records {
                let Step::Intent { action, target, .. } = &record.step else { continue };
                let of_mode = intents.entry(record.mode.as_str()).or_default();
                of_mode.entry(record.device.clone()).or_default().extend(told(record, action, target));
                if action == "schedule_forward" && record.mode == Mode::Live {
                    *scheduled.entry(record.device.clone()).or_default() += 1;
                }
            }
        }
        for action in self.unfinished() {
            account.broken("ledger", now, format!("{action} has no outcome"));
        }
        account.every_outage_is_documented(now);
        for replica in &all {
            let cycles = account.cycles.get(&replica.wire.replica).copied().unwrap_or_default();
            let ticks = (now - replica.born).num_seconds() / INTERVAL.num_seconds();
            // At its start, and whenever it begins to lead.
            let most = usize::try_from(ticks).unwrap_or_default() + 3 + account.deaths;
            if cycles > most {
                let how = format!("#{} ran {cycles} cycles, {most} are the most", replica.wire.replica);
                account.broken("pace", now, how);
            }
        }
        for (serial, forwards) in account.hnoc.clone() {
            let due = scheduled.get(&serial).copied().unwrap_or_default();
            if forwards > due {
                account.broken(
                    "P5",
                    now,
                    format!("{serial} was forwarded to HNOC {forwards} times, {due} were due"),
                );
            }
        }
        if self.scenario.cast == Cast::Twins {
            // Jobs that are due in the same instant may run in any order.
            for of_device in intents.values_mut().flat_map(BTreeMap::values_mut) {
                of_device.sort_unstable();
            }
            let (shadow, live) = (intents.remove("shadow"), intents.remove("live"));
            if shadow != live {
                let how = difference(&shadow.unwrap_or_default(), &live.unwrap_or_default());
                account.broken("P8", now, how);
            }
        }
    }
}

/// An intent as both twins tell it. Further pages of a note count as part of the first: a note names the moment it was
/// written, and the digits of that alone can make it longer than a page.
fn told(record: &Record, action: &str, target: &str) -> Option<String> {
    let page = target.rsplit_once(' ').and_then(|(note, page)| {
        let (page, of) = page.split_once('/')?;
        Some((note, page.parse::<usize>().ok()?, of.parse::<usize>().ok()?))
    });
    let target = match page {
        None => target,
        Some((note, 1, _)) => note,
        Some(_) => return None,
    };
    Some(format!("{} {action} {target}", record.rule))
}

/// What only one of the twins has.
fn difference(shadow: &BTreeMap<String, Vec<String>>, live: &BTreeMap<String, Vec<String>>) -> String {
    let counted = |of: &BTreeMap<String, Vec<String>>| {
        let mut counts: BTreeMap<String, i64> = BTreeMap::new();
        for told in of.values().flatten() {
            *counts.entry(told.clone()).or_default() += 1;
        }
        counts
    };
    let mut counts = counted(shadow);
    for (told, count) in counted(live) {
        *counts.entry(told).or_default() -= count;
    }
    let differing = counts.iter().filter(|(_, count)| **count != 0).map(|(told, count)| {
        let who = if *count > 0 { "the shadow" } else { "the live one" };
        format!("{who} alone: {told} ({} times)", count.abs())
    });
    differing.collect::<Vec<_>>().join("; ")
}
