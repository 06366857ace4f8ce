//! The account of a run: what was done, and whether it may be done (the promises of `nats.md`).

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use chrono::{DateTime, TimeDelta, Utc};
use sandbox::world::World;
use sandbox::world::queues::TaskResult;
use sandbox::world::tickets::{ENGINE, Line, Ticket, Topic};
use serde_json::Value;

use crate::replies;

/// How old the look may be by which a line is resolved.
const LOOK: TimeDelta = TimeDelta::seconds(120);
/// The least time between two reboots of a unit for one outage, see the stage's settings.
const REBOOT_AGAIN: TimeDelta = TimeDelta::seconds(890);

/// A promise that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// Which.
    pub promise: &'static str,
    /// When.
    pub at: DateTime<Utc>,
    /// How.
    pub how: String,
}

/// What may be done once for each of something that happened before.
#[derive(Debug, Default, Clone, Copy)]
struct Tally {
    allowed: usize,
    done: usize,
    /// When it was last allowed.
    since: DateTime<Utc>,
}

/// See the module.
pub struct Account {
    /// What was broken, in order.
    pub broken: Vec<Broken>,
    /// Requests that were carried out.
    pub requests: u64,
    /// Writes that were carried out.
    pub writes: u64,
    /// The last requests, for the report of a failure.
    pub log: Vec<String>,
    /// Replicas that died.
    pub deaths: usize,
    /// Cycles by replica.
    pub cycles: BTreeMap<usize, usize>,
    fingerprint: DefaultHasher,
    disturbed: DateTime<Utc>,
    struck: bool,
    outages: BTreeMap<String, (&'static str, DateTime<Utc>)>,
    touched: BTreeMap<String, DateTime<Utc>>,
    tallies: BTreeMap<(String, &'static str), Tally>,
    reboots: BTreeMap<String, DateTime<Utc>>,
    /// HNOC forwards by serial.
    pub hnoc: BTreeMap<String, usize>,
}

impl Account {
    /// An empty account.
    pub fn new(now: DateTime<Utc>) -> Self {
        Self {
            broken: Vec::new(),
            requests: 0,
            writes: 0,
            log: Vec::new(),
            deaths: 0,
            cycles: BTreeMap::new(),
            fingerprint: DefaultHasher::new(),
            disturbed: now,
            struck: false,
            outages: BTreeMap::new(),
            touched: BTreeMap::new(),
            tallies: BTreeMap::new(),
            reboots: BTreeMap::new(),
            hnoc: BTreeMap::new(),
        }
    }

    /// A number that is the same for equal runs.
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint.finish()
    }

    /// Writes a broken promise down.
    pub fn broken(&mut self, promise: &'static str, at: DateTime<Utc>, how: String) {
        self.say(at, &format!("BROKEN {promise}: {how}"));
        self.broken.push(Broken { promise, at, how });
    }

    /// Writes down what happens, for people.
    pub fn say(&mut self, at: DateTime<Utc>, what: &str) {
        self.log.push(format!("{} {what}", at.format("%H:%M:%S%.3f")));
    }

    /// The engine or its dependencies are out of order until an instant.
    pub fn disturbed(&mut self, until: DateTime<Utc>) {
        self.disturbed = self.disturbed.max(until);
    }

    /// A request is struck, which has its effects until an instant.
    pub fn struck(&mut self, until: DateTime<Utc>) {
        self.struck = true;
        self.disturbed(until);
    }

    /// A request was carried out.
    pub fn asked(&mut self, at: DateTime<Utc>, replica: usize, subject: &str, body: &Value) {
        self.requests += 1;
        if subject == "customer.cache.get" {
            *self.cycles.entry(replica).or_default() += 1;
        }
        let text = body.to_string();
        (at, replica, subject, &text).hash(&mut self.fingerprint);
        let short: String = text.chars().take(160).collect();
        self.say(at, &format!("#{replica} {subject} {short}"));
    }

    fn twice(&mut self, at: DateTime<Utc>, how: String) {
        self.broken("P5", at, how);
    }

    fn tally(&mut self, key: &str, what: &'static str) -> &mut Tally {
        self.tallies.entry((key.to_owned(), what)).or_default()
    }

    fn allow(&mut self, at: DateTime<Utc>, ticket: i64, serial: &str, what: &'static str) {
        let tally = self.tally(&format!("{ticket} {serial}"), what);
        tally.allowed += 1;
        tally.since = at;
    }

    /// Bruin answered that a ticket covers a device.
    pub fn covered(&mut self, world: &World, serial: &str, ticket: i64, code: u16) {
        self.writes += 1;
        if code == 0 {
            // A new ticket begins anew (specification, "Behaviour" 10a).
            self.touched(world.now(), serial);
        }
        match code {
            0 | 473 => self.allow(world.now(), ticket, serial, "triage note"),
            472 => self.allow(world.now(), ticket, serial, "re-open note"),
            _ => {}
        }
        self.one_open_ticket(world, serial);
    }

    /// P1: at most one open ticket has an unresolved line of a device.
    pub fn one_open_ticket(&mut self, world: &World, serial: &str) {
        let now = world.now();
        let open: Vec<i64> = world
            .tickets_of(serial)
            .iter()
            .filter(|ticket| ticket.topic == Topic::Outage && ticket.status(now).is_open())
            .filter(|ticket| ticket.line_of(serial).is_some_and(|line| !line.resolved))
            .map(|ticket| ticket.id)
            .collect();
        if open.len() > 1 {
            self.broken("P1", now, format!("{serial} has the open tickets {open:?}"));
        }
    }

    /// A note is about to be appended.
    pub fn noting(&mut self, at: DateTime<Utc>, ticket: &Ticket, serials: &[String], text: &str) {
        self.writes += 1;
        let what = match text.lines().nth(1).unwrap_or_default() {
            "Triage (VeloCloud)" if text.contains("Orchestrator Instance: ") => "triage note",
            "Re-opening ticket." => "re-open note",
            title if title.starts_with("Auto-resolving") => "auto-resolve note",
            _ => return,
        };
        let serial = serials.first().map(String::as_str).unwrap_or_default();
        let key = format!("{} {serial}", ticket.id);
        let tally = self.tally(&key, what);
        tally.done += 1;
        if tally.done > tally.allowed {
            let tally = *tally;
            self.twice(at, format!("{what} of ticket {key}: {} written, {} due", tally.done, tally.allowed));
        }
    }

    /// A line is about to be resolved by the engine.
    pub fn resolving(&mut self, at: DateTime<Utc>, ticket: &Ticket, line: &Line) {
        self.writes += 1;
        if line.resolved {
            self.twice(at, format!("the line of {} on ticket {} is resolved again", line.serial, ticket.id));
        } else {
            self.allow(at, ticket.id, &line.serial, "auto-resolve note");
        }
        if ticket.created_by != ENGINE {
            self.broken("resolve", at, format!("ticket {} was created by {}", ticket.id, ticket.created_by));
        }
        if let Some((kind, since)) = self.outages.get(&line.serial)
            && at - *since > LOOK
        {
            let how = format!("{} was resolved while {kind} since {since}", line.serial);
            self.broken("resolve", at, how);
        }
    }

    /// A line is about to be opened by the engine.
    pub fn opening(&mut self, at: DateTime<Utc>, ticket: &Ticket, line: &Line) {
        self.writes += 1;
        if line.resolved {
            self.allow(at, ticket.id, &line.serial, "re-open note");
            // DiGi units are rebooted also when the re-opening before this one failed.
            self.touched(at, &line.serial);
        } else {
            self.twice(at, format!("the line of {} on ticket {} is opened again", line.serial, ticket.id));
        }
    }

    /// A line is about to be moved to a queue.
    pub fn moving(&mut self, at: DateTime<Utc>, ticket: &Ticket, line: &Line, result: &TaskResult) {
        self.writes += 1;
        let queue = result.leads_to.name.trim();
        if queue == "HNOC Investigate" {
            *self.hnoc.entry(line.serial.clone()).or_default() += 1;
        } else if line.queue.id == result.leads_to.id {
            self.twice(at, format!("{} on ticket {} is moved to {queue} again", line.serial, ticket.id));
        }
    }

    /// A severity is about to be set.
    pub fn grading(&mut self, at: DateTime<Utc>, ticket: &Ticket, level: i64) {
        self.writes += 1;
        if ticket.severity == level {
            self.twice(at, format!("ticket {} is given severity {level} again", ticket.id));
        }
    }

    /// A unit is about to be rebooted.
    pub fn rebooting(&mut self, at: DateTime<Utc>, serial: &str, mac: &str) {
        self.writes += 1;
        let last = self.reboots.insert(format!("{serial} {mac}"), at);
        // A line that people resolved is re-opened, which begins anew (specification, "Behaviour" 10a).
        let since = self.outages.get(serial).map(|(_, since)| *since);
        let since = since.max(self.touched.get(serial).copied());
        let in_this_outage = |last: &DateTime<Utc>| since.is_some_and(|since| *last >= since);
        if let Some(last) = last.filter(in_this_outage)
            && at - last < REBOOT_AGAIN
        {
            self.twice(at, format!("{mac} of {serial} was rebooted at {last} already"));
        }
    }

    /// People have changed something about a device's ticket.
    pub fn touched(&mut self, at: DateTime<Utc>, serial: &str) {
        self.touched.insert(serial.to_owned(), at);
    }

    /// Looks at the network: since when is what down.
    pub fn observe(&mut self, world: &World) {
        let now = world.now();
        for (serial, kind) in replies::documented_outages(world) {
            match kind {
                None => {
                    self.outages.remove(&serial);
                }
                Some(kind) => {
                    let known = self.outages.entry(serial).or_insert((kind, now));
                    if known.0 != kind {
                        *known = (kind, now);
                    }
                }
            }
        }
    }

    /// P2: whatever has been down in one way for longer than `patience`, while everything was in order, is covered.
    pub fn every_outage_is_acted_on(&mut self, world: &World, patience: TimeDelta) {
        let now = world.now();
        let due: Vec<(String, &'static str, DateTime<Utc>)> = self
            .outages
            .iter()
            .map(|(serial, (kind, since))| {
                let touched = self.touched.get(serial).copied().unwrap_or(*since);
                (serial.clone(), *kind, (*since).max(touched).max(self.disturbed))
            })
            .filter(|(_, _, since)| now - *since > patience)
            .collect();
        for (serial, kind, since) in due {
            let tickets = world.tickets_of(&serial);
            let covered = tickets.iter().any(|ticket| {
                ticket.topic == Topic::Outage
                    && ticket.status(now).is_open()
                    && ticket.line_of(&serial).is_some_and(|line| !line.resolved)
            });
            if !covered {
                self.broken("P2", now, format!("{serial} is {kind} and nothing was disturbed since {since}"));
            }
        }
    }

    /// P5: deaths alone lose no documentation of an outage that lasts.
    pub fn every_outage_is_documented(&mut self, at: DateTime<Utc>) {
        if self.struck {
            return;
        }
        let missing: Vec<String> = self
            .tallies
            .iter()
            .filter(|((key, what), tally)| {
                let serial = key.split(' ').nth(1).unwrap_or_default();
                let lasting = self.outages.get(serial).is_some_and(|(_, since)| *since <= tally.since);
                *what != "auto-resolve note" && tally.done < tally.allowed && lasting
            })
            .map(|((key, what), tally)| {
                format!("{what} of ticket {key}: {} written, {} due", tally.done, tally.allowed)
            })
            .collect();
        for how in missing {
            self.broken("P5", at, how);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use runtime::Clock;
    use sandbox::world::generate::Plan;
    use sandbox::world::tickets::NewTicket;

    use super::*;

    const PATIENCE: TimeDelta = TimeDelta::seconds(1_440);

    /// A world whose first edge is down for an hour, and the account of it.
    fn outage() -> (World, String, Account) {
        let clock = Clock::frozen(DateTime::UNIX_EPOCH + TimeDelta::days(10_000));
        let plan = Plan { seed: 1, edges: 2, hosts: vec!["vco1.sandbox.example".to_owned()] };
        let world = World::new(clock, &plan);
        let serial = world.network(|network| network.edges[0].serial.clone());
        world.break_edge(&serial).unwrap();
        let mut account = Account::new(world.now());
        account.observe(&world);
        world.advance(Duration::from_secs(3_600));
        account.observe(&world);
        (world, serial, account)
    }

    fn ticket(world: &World, serial: &str, by: &str) -> Ticket {
        let new = NewTicket {
            client: 1,
            site: None,
            topic: Topic::Outage,
            serials: vec![serial.to_owned()],
            created_by: by.to_owned(),
            severity: 2,
            description: None,
        };
        let id = world.with_tickets(|tickets| tickets.create(new, world.now()));
        world.ticket(id).unwrap()
    }

    fn promises(account: &Account) -> Vec<&'static str> {
        account.broken.iter().map(|broken| broken.promise).collect()
    }

    #[test]
    fn an_outage_without_a_ticket_is_noticed_unless_something_was_disturbed() {
        let (world, serial, mut account) = outage();
        account.disturbed(world.now() - TimeDelta::seconds(1_440));
        account.every_outage_is_acted_on(&world, PATIENCE);
        assert_eq!(promises(&account), [""; 0]);
        let (_, _, mut account) = outage();
        account.every_outage_is_acted_on(&world, PATIENCE);
        assert_eq!(promises(&account), ["P2"]);
        ticket(&world, &serial, ENGINE);
        account.every_outage_is_acted_on(&world, PATIENCE);
        assert_eq!(promises(&account), ["P2"]);
    }

    #[test]
    fn a_second_open_ticket_is_noticed() {
        let (world, serial, mut account) = outage();
        ticket(&world, &serial, ENGINE);
        account.one_open_ticket(&world, &serial);
        assert_eq!(promises(&account), [""; 0]);
        ticket(&world, &serial, ENGINE);
        account.one_open_ticket(&world, &serial);
        assert_eq!(promises(&account), ["P1"]);
    }

    #[test]
    fn a_note_or_a_move_that_is_made_twice_is_noticed() {
        let (world, serial, mut account) = outage();
        let ticket = ticket(&world, &serial, ENGINE);
        let note = "#*MetTel's IPA*#\nTriage (VeloCloud)\n\nOrchestrator Instance: x";
        account.covered(&world, &serial, ticket.id, 0);
        account.noting(world.now(), &ticket, std::slice::from_ref(&serial), note);
        assert_eq!(promises(&account), [""; 0]);
        account.noting(world.now(), &ticket, std::slice::from_ref(&serial), note);
        assert_eq!(promises(&account), ["P5"]);
        account.grading(world.now(), &ticket, ticket.severity);
        account.opening(world.now(), &ticket, &ticket.lines[0]);
        account.rebooting(world.now(), &serial, "00:27:04");
        account.rebooting(world.now(), &serial, "00:27:04");
        assert_eq!(promises(&account), ["P5"; 4]);
    }

    #[test]
    fn resolving_what_is_down_or_a_persons_is_noticed() {
        let (world, serial, mut account) = outage();
        let ours = ticket(&world, &serial, ENGINE);
        account.resolving(world.now(), &ours, &ours.lines[0]);
        assert_eq!(promises(&account), ["resolve"]);
        world.heal_all();
        account.observe(&world);
        let anns = ticket(&world, &serial, "Ann Example");
        account.resolving(world.now(), &anns, &anns.lines[0]);
        account.resolving(world.now(), &ours, &ours.lines[0]);
        assert_eq!(promises(&account), ["resolve"; 2]);
    }

    #[test]
    fn documentation_that_a_death_has_lost_is_noticed() {
        let (world, serial, mut account) = outage();
        let ticket = ticket(&world, &serial, ENGINE);
        account.covered(&world, &serial, ticket.id, 0);
        account.every_outage_is_documented(world.now());
        assert_eq!(promises(&account), ["P5"]);
    }
}
