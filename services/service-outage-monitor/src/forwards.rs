//! Pending forwards to HNOC, which survive a restart (spec "Improve" 4).
//!
//! One entry for each ticket and serial: scheduling again replaces it, the process that runs it claims it first, and it
//! stays as "done" afterwards so that a ticket in progress is not forwarded twice.

use std::{collections::HashMap, time::Duration};

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use contracts::id::{ClientId, Serial, TicketId};
use parking_lot::Mutex;
use runtime::Bucket;
use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;

use crate::{
    rules::hnoc::History,
    store::{Store, StoreError, token},
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
    known: Mutex<HashMap<Key, Entry>>,
    shadow: bool,
}

impl Forwards {
    /// No forwards yet; [`Self::open`] recovers those of former runs.
    pub fn new(shadow: bool) -> Self {
        Self { store: OnceCell::new(), known: Mutex::default(), shadow }
    }

    /// What a forward is about. In shadow mode the serial alone, as the ticket may still be unknown.
    pub fn key(&self, ticket: Option<&TicketId>, serial: &Serial) -> Key {
        let ticket = ticket.filter(|_| !self.shadow).map(ToString::to_string).unwrap_or_default();
        Key { ticket, serial: serial.clone() }
    }

    /// Uses the store which `open` opens the first time, and reads what it holds: forwards of former runs and of other
    /// replicas. The entries which this process does not have yet are returned.
    pub async fn refresh<F: Future<Output = Store>>(
        &self,
        open: impl FnOnce() -> F,
        now: DateTime<Utc>,
    ) -> Result<Vec<(Key, Entry)>, StoreError> {
        let store = self.store.get_or_init(open).await;
        let before = self.known.lock().clone();
        let (old, entries): (Vec<Entry>, Vec<Entry>) = store
            .all()
            .await?
            .into_iter()
            .filter_map(|(_, json)| serde_json::from_slice::<Entry>(&json).ok())
            .partition(|entry| matches!(entry.state, State::Done(at) if now - at > KEEP));
        for entry in old {
            self.known.lock().remove(&entry.key());
            store.delete(&entry.key().name()).await?;
        }
        let mut known = self.known.lock();
        let mut new = Vec::new();
        for entry in entries {
            let key = self.key(entry.ticket.as_ref(), &entry.serial);
            // What this process changed while the store was read is newer than what was read.
            if known.get(&key) == before.get(&key) && known.get(&key) != Some(&entry) {
                known.insert(key.clone(), entry.clone());
                new.push((key, entry));
            }
        }
        Ok(new)
    }

    /// What is known of former forwards.
    pub fn history(&self, key: &Key) -> History {
        let known = self.known.lock();
        let entry = known.get(key);
        History {
            pending: entry.filter(|entry| entry.runs_at().is_some()).map(|entry| entry.due),
            settled: entry.is_some_and(|entry| matches!(entry.state, State::Done(_))),
        }
    }

    /// Remembers a forward, replacing an earlier one of the same ticket and serial.
    pub async fn put(&self, key: &Key, entry: Entry) {
        self.known.lock().insert(key.clone(), entry.clone());
        if let Some(store) = self.store.get()
            && let Err(error) = store.put(&key.name(), entry.json()).await
        {
            tracing::error!(%error, job = key.job(), "a pending forward is in memory only");
        }
    }

    /// Whether somebody has claimed it, who may be dead.
    pub fn is_claimed(&self, key: &Key) -> bool {
        self.known.lock().get(key).is_some_and(|entry| matches!(entry.state, State::Claimed(_)))
    }

    /// When it is or was due.
    pub fn due(&self, key: &Key) -> Option<DateTime<Utc>> {
        self.known.lock().get(key).map(|entry| entry.due)
    }

    /// Claims a forward whose time has come. `None` when it is gone, done, postponed, or somebody else's.
    pub async fn claim(&self, key: &Key, now: DateTime<Utc>) -> Option<Entry> {
        let entry = self.known.lock().get(key).cloned()?;
        if entry.runs_at().is_none_or(|at| at > now) {
            return None;
        }
        self.swap(key, entry, State::Claimed(now + CLAIM)).await
    }

    /// Holds on to a claimed forward for another attempt; `None` when it was replaced or deleted meanwhile.
    pub async fn renew(&self, key: &Key, entry: Entry, now: DateTime<Utc>) -> Option<Entry> {
        let same = self.known.lock().get(key) == Some(&entry);
        if same { self.swap(key, entry, State::Claimed(now + CLAIM)).await } else { None }
    }

    /// Marks a claimed forward as done, unless it was replaced meanwhile.
    pub async fn finish(&self, key: &Key, entry: Entry, now: DateTime<Utc>) {
        if self.known.lock().get(key) == Some(&entry) {
            self.swap(key, entry, State::Done(now)).await;
        }
    }

    /// Gives a claimed forward back, for the next process to run.
    pub async fn release(&self, key: &Key, entry: Entry) {
        if self.known.lock().get(key) == Some(&entry) {
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
        if let Some(store) = self.store.get() {
            match store.swap(&key.name(), old.json(), new.json()).await {
                Ok(true) => {}
                Ok(false) => return None,
                // Out of reach: the line is looked at before anything is done, so going on is safe.
                Err(error) => tracing::error!(%error, job = key.job(), "a forward could not be claimed"),
            }
        }
        let mut known = self.known.lock();
        if known.get(key) != Some(&old) {
            return None;
        }
        known.insert(key.clone(), new.clone());
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
}
