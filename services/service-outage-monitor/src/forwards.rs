//! Pending forwards to HNOC, which survive a restart (spec "Improve" 4).
//!
//! One entry for each ticket and serial: scheduling again replaces it, the process that runs it claims it first, and it
//! stays as "done" afterwards so that a ticket in progress is not forwarded twice.

use std::{
    collections::{HashMap, HashSet},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use contracts::id::{ClientId, Serial, TicketId};
use parking_lot::Mutex;
use runtime::Bucket;
use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;

use crate::{
    rules::hnoc::History,
    store::{Holdings, Store, StoreError, token},
};

/// Where they are kept.
pub const BUCKET: Bucket = Bucket {
    name: "service-outage-monitor-forwards",
    about: "Lines that are to be forwarded to HNOC, by ticket and serial",
    keep: Duration::from_secs(KEEP.num_seconds().unsigned_abs()),
};

/// How long it is known that a forward was done: as long as tickets live.
const KEEP: TimeDelta = TimeDelta::days(90);
/// How long a claim holds without being renewed: longer than one attempt and the longest wait after it.
const CLAIM: TimeDelta = TimeDelta::seconds(400);

/// What a forward is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key {
    /// The ticket as text; empty in shadow mode, where the ticket may not be known yet.
    pub ticket: String,
    /// The device.
    pub serial: Serial,
}

impl Key {
    /// The scheduler's id (spec "Behaviour" 8).
    pub fn job(&self) -> String {
        format!("_forward_ticket_{}_{}_to_hnoc", self.ticket, self.serial)
    }

    /// The name in the store.
    fn name(&self) -> String {
        format!("{}.{}", token(&self.ticket), token(self.serial.as_str()))
    }
}

/// A forward.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The ticket; `None` only in shadow mode.
    pub ticket: Option<TicketId>,
    /// The device.
    pub serial: Serial,
    /// Its client.
    pub client: ClientId,
    /// When it is due.
    pub due: DateTime<Utc>,
    /// How it stands.
    pub state: State,
}

/// How a forward stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Waiting for its time.
    Pending,
    /// A process is at it, unless it has died: then anybody may claim it after this instant.
    Claimed(DateTime<Utc>),
    /// Over.
    Done(DateTime<Utc>),
}

impl Entry {
    /// What it is about.
    pub fn key(&self) -> Key {
        let ticket = self.ticket.as_ref().map(ToString::to_string).unwrap_or_default();
        Key { ticket, serial: self.serial.clone() }
    }

    fn json(&self) -> Bytes {
        // Text, numbers and instants: writing them can not fail.
        serde_json::to_vec(self).unwrap_or_default().into()
    }

    /// When it may run next; `None` when it is over.
    pub fn runs_at(&self) -> Option<DateTime<Utc>> {
        match self.state {
            State::Pending => Some(self.due),
            State::Claimed(until) => Some(until),
            State::Done(_) => None,
        }
    }
}

/// The forwards of this process, and their copies in the store.
pub struct Forwards {
    store: OnceCell<Store>,
    known: Mutex<HashMap<Key, Held>>,
    /// Whether the store was read since this process began.
    read: AtomicBool,
    shadow: bool,
}

/// A forward that this process knows.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Held {
    entry: Entry,
    /// What the store has of it, as far as is known: something older when a write has failed.
    stored: Option<Entry>,
}

impl Held {
    /// Whether this process has carried `entry` out.
    fn is_done(&self, entry: &Entry) -> bool {
        matches!(self.entry.state, State::Done(_)) && self.entry.due == entry.due
    }
}

/// What is to be done about what was found in the store.
#[derive(Default)]
struct Found {
    /// What this process did not know, or what another one has changed.
    new: Vec<(Key, Entry)>,
    /// What this process has changed while the store was out of reach.
    unwritten: Vec<(Key, Entry)>,
}

impl Forwards {
    /// No forwards yet; [`Self::open`] recovers those of former runs.
    pub fn new(shadow: bool) -> Self {
        Self { store: OnceCell::new(), known: Mutex::default(), read: AtomicBool::new(false), shadow }
    }

    /// What a forward is about. In shadow mode the serial alone, as the ticket may still be unknown.
    pub fn key(&self, ticket: Option<&TicketId>, serial: &Serial) -> Key {
        let ticket = ticket.filter(|_| !self.shadow).map(ToString::to_string).unwrap_or_default();
        Key { ticket, serial: serial.clone() }
    }

    /// Uses the store which `open` opens the first time, and reads what it holds: forwards of former runs and of other
    /// replicas. The entries which this process does not have yet are returned. What could not be written before is, and what
    /// the store has lost.
    pub async fn refresh<F>(
        &self,
        open: impl FnOnce() -> F,
        now: DateTime<Utc>,
    ) -> Result<Vec<(Key, Entry)>, StoreError>
    where
        F: Future<Output = Result<Store, StoreError>>,
    {
        let store = self.store.get_or_try_init(open).await?;
        let before = self.known.lock().clone();
        let Holdings { entries, lossy } = store.holdings().await?;
        let (old, entries): (Vec<Entry>, Vec<Entry>) = entries
            .into_iter()
            .filter_map(|(_, json)| serde_json::from_slice::<Entry>(&json).ok())
            .partition(|entry| matches!(entry.state, State::Done(at) if now - at > KEEP));
        for entry in old {
            self.known.lock().remove(&entry.key());
            store.delete(&entry.key().name()).await?;
        }
        self.read.store(true, Ordering::Relaxed);
        if store.is_nowhere() {
            return Ok(Vec::new());
        }
        let found = self.learn(&before, entries, lossy, now);
        for (key, entry) in found.unwritten {
            self.write(&key, &entry).await;
        }
        if lossy {
            // What could not be written again is known to be nowhere.
            store.mark().await?;
        }
        Ok(found.new)
    }

    /// Takes in what the store holds. What this process changed while it was read (`before` is how it was) is newer.
    fn learn(
        &self,
        before: &HashMap<Key, Held>,
        entries: Vec<Entry>,
        lossy: bool,
        now: DateTime<Utc>,
    ) -> Found {
        let mut known = self.known.lock();
        let mut found = Found::default();
        let mut missing: HashSet<&Key> = before.keys().collect();
        for entry in entries {
            let key = self.key(entry.ticket.as_ref(), &entry.serial);
            missing.remove(&key);
            let held = known.get(&key);
            if held != before.get(&key) {
                continue;
            }
            match held {
                Some(held) if held.entry == entry => {}
                Some(newer) if newer.stored.as_ref() == Some(&entry) || newer.is_done(&entry) => {
                    found.unwritten.push((key, newer.entry.clone()));
                    continue;
                }
                _ => found.new.push((key.clone(), entry.clone())),
            }
            known.insert(key, Held { stored: Some(entry.clone()), entry });
        }
        for key in missing {
            let Some(held) = known.get_mut(key).filter(|held| before.get(key) == Some(&**held)) else {
                continue;
            };
            if lossy {
                held.stored = None;
            }
            if held.stored.is_none() {
                found.unwritten.push((key.clone(), held.entry.clone()));
            } else if held.entry.runs_at().is_none_or(|at| at <= now) {
                // Another replica has deleted it: its line is resolved.
                known.remove(key);
            }
        }
        found
    }

    /// Whether those of former runs and other replicas are known.
    pub fn were_read(&self) -> bool {
        self.read.load(Ordering::Relaxed)
    }

    /// The forwards that are not over.
    pub fn pending(&self) -> Vec<(Key, Entry)> {
        let known = self.known.lock();
        let pending = known.iter().filter(|(_, held)| held.entry.runs_at().is_some());
        pending.map(|(key, held)| (key.clone(), held.entry.clone())).collect()
    }

    /// What is known of a forward.
    pub fn get(&self, key: &Key) -> Option<Entry> {
        self.known.lock().get(key).map(|held| held.entry.clone())
    }

    /// What is known of former forwards.
    pub fn history(&self, key: &Key) -> History {
        let entry = self.get(key);
        let entry = entry.as_ref();
        History {
            pending: entry.filter(|entry| entry.runs_at().is_some()).map(|entry| entry.due),
            settled: entry.is_some_and(|entry| matches!(entry.state, State::Done(_))),
        }
    }

    /// What is known of former forwards of this ticket. In shadow mode there may be one of the same serial on another.
    pub fn history_on(&self, key: &Key, ticket: Option<&TicketId>) -> History {
        let on_this = |entry: Entry| entry.ticket.is_some() && entry.ticket.as_ref() == ticket;
        if self.get(key).is_some_and(on_this) { self.history(key) } else { History::default() }
    }

    /// Says which ticket a shadow's forward is about, once the live twin has created it.
    pub fn name(&self, serial: &Serial, ticket: &TicketId) {
        let mut known = self.known.lock();
        // Whoever has claimed it compares it with what was claimed.
        let at_rest = |held: &&mut Held| !matches!(held.entry.state, State::Claimed(_));
        if let Some(held) = known.get_mut(&self.key(None, serial)).filter(at_rest) {
            held.entry.ticket.get_or_insert_with(|| ticket.clone());
        }
    }

    /// Remembers a forward, replacing an earlier one of the same ticket and serial.
    pub async fn put(&self, key: &Key, entry: Entry) {
        {
            let mut known = self.known.lock();
            let stored = known.get(key).and_then(|held| held.stored.clone());
            known.insert(key.clone(), Held { entry: entry.clone(), stored });
        }
        self.write(key, &entry).await;
    }

    /// Writes what is known into the store.
    async fn write(&self, key: &Key, entry: &Entry) {
        let Some(store) = self.store.get() else { return };
        match store.put(&key.name(), entry.json()).await {
            Ok(()) => {
                if let Some(held) = self.known.lock().get_mut(key) {
                    held.stored = Some(entry.clone());
                }
            }
            Err(error) => {
                tracing::error!(%error, job = key.job(), "a pending forward is in memory only");
            }
        }
    }

    /// Claims a forward whose time has come. `None` when it is gone, done, postponed, or somebody else's.
    pub async fn claim(&self, key: &Key, now: DateTime<Utc>) -> Option<Entry> {
        let entry = self.get(key)?;
        if entry.runs_at().is_none_or(|at| at > now) {
            return None;
        }
        self.swap(key, entry, State::Claimed(now + CLAIM)).await
    }

    /// Holds on to a claimed forward for another attempt; `None` when it was replaced or deleted meanwhile.
    pub async fn renew(&self, key: &Key, entry: Entry, now: DateTime<Utc>) -> Option<Entry> {
        if self.get(key).as_ref() == Some(&entry) {
            self.swap(key, entry, State::Claimed(now + CLAIM)).await
        } else {
            None
        }
    }

    /// Marks a claimed forward as done, unless it was replaced meanwhile.
    pub async fn finish(&self, key: &Key, entry: Entry, now: DateTime<Utc>) {
        if self.get(key).as_ref() == Some(&entry) {
            self.swap(key, entry, State::Done(now)).await;
        }
    }

    /// Gives a claimed forward back, for the next process to run.
    pub async fn release(&self, key: &Key, entry: Entry) {
        if self.get(key).as_ref() == Some(&entry) {
            self.swap(key, entry, State::Pending).await;
        }
    }

    /// Forgets a forward.
    pub async fn delete(&self, key: &Key) {
        let known = self.known.lock().remove(key).is_some();
        if let Some(store) = self.store.get().filter(|_| known)
            && let Err(error) = store.delete(&key.name()).await
        {
            tracing::error!(%error, job = key.job(), "a forward could not be deleted");
        }
    }

    async fn swap(&self, key: &Key, old: Entry, state: State) -> Option<Entry> {
        let new = Entry { state, ..old.clone() };
        let mut stored = self.known.lock().get(key).and_then(|held| held.stored.clone());
        if let Some(store) = self.store.get() {
            let name = key.name();
            let mut swapped = match &stored {
                Some(stored) => store.swap(&name, stored.json(), new.json()).await,
                None => store.put(&name, new.json()).await.map(|()| true),
            };
            // A write that seemed to have failed may have been done.
            if matches!(swapped, Ok(false)) && stored.as_ref() != Some(&old) {
                swapped = store.swap(&name, old.json(), new.json()).await;
            }
            match swapped {
                Ok(true) => stored = Some(new.clone()),
                Ok(false) => return None,
                // Out of reach: going on is safe, because a forward is looked for before it is done.
                Err(error) => tracing::error!(%error, job = key.job(), "a forward could not be claimed"),
            }
        }
        let mut known = self.known.lock();
        if known.get(key).is_none_or(|held| held.entry != old) {
            return None;
        }
        known.insert(key.clone(), Held { entry: new.clone(), stored });
        Some(new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
    }

    fn entry(ticket: Option<i64>, due: i64) -> Entry {
        Entry {
            ticket: ticket.map(TicketId::from),
            serial: Serial::from("VC1"),
            client: ClientId::from(1),
            due: at(due),
            state: State::Pending,
        }
    }

    async fn with(entry: Entry) -> (Forwards, Key) {
        let forwards = Forwards::new(false);
        let key = entry.key();
        forwards.put(&key, entry).await;
        (forwards, key)
    }

    #[tokio::test]
    async fn a_forward_is_claimed_once_and_only_when_due() {
        let (forwards, key) = with(entry(Some(555), 100)).await;
        assert_eq!(forwards.history(&key), History { pending: Some(at(100)), settled: false });
        assert_eq!(forwards.claim(&key, at(99)).await, None);
        let claimed = forwards.claim(&key, at(100)).await.unwrap();
        assert_eq!(forwards.claim(&key, at(100)).await, None);
        forwards.finish(&key, claimed, at(101)).await;
        assert_eq!(forwards.history(&key), History { pending: None, settled: true });
        assert_eq!(forwards.claim(&key, at(9_999)).await, None);
    }

    #[tokio::test]
    async fn a_claim_whose_owner_died_can_be_claimed_later() {
        let dead = Entry { state: State::Claimed(at(500)), ..entry(Some(555), 100) };
        let (forwards, key) = with(dead).await;
        assert_eq!(forwards.claim(&key, at(499)).await, None);
        assert!(forwards.claim(&key, at(500)).await.is_some());
    }

    #[tokio::test]
    async fn a_replaced_forward_is_not_finished_by_its_former_run() {
        let (forwards, key) = with(entry(Some(555), 100)).await;
        let claimed = forwards.claim(&key, at(100)).await.unwrap();
        forwards.put(&key, entry(Some(555), 7_000)).await;
        assert_eq!(forwards.renew(&key, claimed.clone(), at(110)).await, None);
        forwards.finish(&key, claimed, at(110)).await;
        assert_eq!(forwards.history(&key).pending, Some(at(7_000)));
        forwards.delete(&key).await;
        assert_eq!(forwards.history(&key), History::default());
    }

    #[test]
    fn a_shadow_knows_forwards_by_serial_alone() {
        let serial = Serial::from("VC1");
        let live = Forwards::new(false);
        assert_eq!(live.key(Some(&TicketId::from(555)), &serial).job(), "_forward_ticket_555_VC1_to_hnoc");
        let shadow = Forwards::new(true);
        assert_eq!(shadow.key(Some(&TicketId::from(555)), &serial), shadow.key(None, &serial));
    }

    #[tokio::test]
    async fn a_shadow_tells_the_tickets_of_a_serial_apart() {
        let (twins, anns) = (TicketId::from(555), TicketId::from(556));
        let shadow = Forwards::new(true);
        let predicted = entry(None, 100);
        let serial = predicted.serial.clone();
        let key = predicted.key();
        shadow.put(&key, predicted).await;
        let known = |ticket| shadow.history_on(&key, ticket).pending.is_some();
        assert!(!known(Some(&anns)), "the twin did not create it");
        shadow.name(&serial, &twins);
        shadow.name(&serial, &anns);
        assert!(known(Some(&twins)));
        assert!(!known(Some(&anns)));
        assert!(!known(None), "a new ticket has no history");
    }
}
