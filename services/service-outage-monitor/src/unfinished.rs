//! What is begun and not ended, so that a crash or a take-over loses and doubles nothing: edges in quarantine, outages that
//! are being handled, resolutions under way.
//!
//! An entry is written before anything is done on its account, and each action's intent before the action. Whoever finds the
//! entry later goes on where it stopped: it looks at the third party whether the last intent was carried out, and does what
//! is left. Entries are written under the term of the store ([`Store`]): one that leads no more is refused and stops.
//!
//! Memory is what counts for the process itself; the store has a copy. While the store is out of reach the copy lags behind,
//! and a crash then costs what it did without a store: the next cycle detects the outage again.

mod entry;
mod work;

use std::{
    collections::{HashMap, HashSet},
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use contracts::id::Serial;
use futures::{StreamExt, stream};
use parking_lot::Mutex;
use runtime::Bucket;
use tokio::{sync::OnceCell, time::Instant};

pub use entry::{Deed, Entry, LATEST, Task};
pub use work::{Begun, Work};

use crate::store::{AT_ONCE, Store, StoreError, Written};

/// Where the entries are kept.
pub const BUCKET: Bucket = Bucket {
    name: "service-outage-monitor-unfinished",
    about: "What the outage monitor has begun and not ended, by serial",
    // Entries are removed when they have ended.
    keep: Duration::ZERO,
};

/// After a failed access the store is left alone for so long.
const PAUSE: Duration = Duration::from_secs(30);
/// Writes of one entry wait for each other; so many may go on beside each other.
const LANES: usize = 16;

/// See the module.
pub struct Unfinished {
    store: OnceCell<Store>,
    inner: Mutex<Inner>,
    lanes: [tokio::sync::Mutex<()>; LANES],
    /// Of two terms that this process begins the later one must be the one that it goes by.
    taking: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Inner {
    known: HashMap<String, Entry>,
    /// Edges that were put into quarantine again while their former outage was being handled.
    queued: HashMap<String, Entry>,
    /// Names that somebody in this process works on.
    active: HashSet<String>,
    /// Names whose copy in the store is not what is known.
    stale: HashSet<String>,
    rule: Rule,
    /// An instant of the lead for which all this is known.
    since: Option<Instant>,
    pause: Option<Instant>,
    told: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Rule {
    /// The store was not reached (yet).
    #[default]
    MemoryOnly,
    /// Our term in the store.
    Term(u64),
    /// Another replica has begun a newer term.
    Displaced,
}

/// What became of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kept {
    /// It is in the store.
    Stored,
    /// It is in memory only: go on.
    InMemory,
    /// Another replica acts: stop.
    Refused,
}

impl Default for Unfinished {
    fn default() -> Self {
        let lanes = std::array::from_fn(|_| tokio::sync::Mutex::default());
        let taking = tokio::sync::Mutex::default();
        Self { store: OnceCell::new(), inner: Mutex::default(), lanes, taking }
    }
}

impl Unfinished {
    /// Forgets what is known when this process has not led without a break since it learned it. `led_at` says whether it
    /// led at an instant. Whether something may have been forgotten.
    pub fn new_lead(&self, led_at: impl Fn(Instant) -> bool) -> bool {
        let mut inner = self.inner.lock();
        if inner.since.is_some_and(led_at) {
            return false;
        }
        // The store may have failed long ago, when this process led before: it is tried at once.
        *inner = Inner { since: Some(Instant::now()), told: inner.told, ..Inner::default() };
        true
    }

    /// Makes the store, which `open` opens the first time, this process's, unless it is: what is there and was not known.
    /// Then brings the store up to date.
    pub async fn take_over<F>(&self, open: impl FnOnce() -> F) -> Vec<Entry>
    where
        F: Future<Output = Result<Store, StoreError>>,
    {
        let _taking = self.taking.lock().await;
        if self.pauses() && !self.store.initialized() {
            return Vec::new();
        }
        let store = match self.store.get_or_try_init(open).await {
            Ok(store) => store,
            Err(error) => {
                self.unreachable(&error);
                return Vec::new();
            }
        };
        let ours = matches!(self.inner.lock().rule, Rule::Term(_));
        let new = if ours || self.pauses() {
            Vec::new()
        } else {
            match store.take_over().await {
                Ok((term, all)) => self.inner.lock().learn(term, all),
                Err(error) => {
                    self.unreachable(&error);
                    Vec::new()
                }
            }
        };
        let stale: Vec<String> = self.inner.lock().stale.iter().cloned().collect();
        self.sync_all(stale).await;
        new
    }

    /// After which time the store is to be taken over once more, when it could not be.
    pub fn again_in(&self) -> Option<Duration> {
        (self.inner.lock().rule == Rule::MemoryOnly).then_some(PAUSE)
    }

    /// Keeps edges that wait in quarantine; one whose former outage is being handled, once that has ended.
    pub async fn keep(&self, waiting: Vec<Entry>) {
        let names = {
            let mut inner = self.inner.lock();
            let mut names = Vec::new();
            for mut entry in waiting {
                let name = entry.name();
                let known = inner.known.get(&name);
                if known.is_some_and(Entry::is_under_way) {
                    inner.queued.insert(name, entry);
                    continue;
                }
                if let (Task::Quarantine { lost, .. }, Some(known)) = (&mut entry.task, known) {
                    *lost = known.lost();
                }
                inner.known.insert(name.clone(), entry);
                names.push(name);
            }
            names
        };
        self.sync_all(names).await;
    }

    /// Begins to work on an entry, or takes up what is under way under its name and nobody works on. `None` when somebody
    /// does, or another replica acts.
    pub async fn begin(self: &Arc<Self>, entry: Entry) -> Option<Arc<Work>> {
        let name = entry.name();
        let resumed = {
            let mut inner = self.inner.lock();
            if !inner.active.insert(name.clone()) {
                return None;
            }
            let resumed = inner.known.get(&name).is_some_and(Entry::is_under_way);
            if !resumed {
                inner.known.insert(name.clone(), entry);
            }
            resumed
        };
        // Dropping it frees the name.
        let work = Arc::new(Work::new(self.clone(), name.clone(), resumed));
        let kept = if resumed { self.standing() } else { self.sync(&name).await };
        (kept != Kept::Refused).then_some(work)
    }

    /// What is under way and nobody works on.
    pub fn idle(&self) -> Vec<Entry> {
        let inner = self.inner.lock();
        let idle =
            inner.known.iter().filter(|(name, entry)| entry.is_under_way() && !inner.active.contains(*name));
        let mut idle: Vec<Entry> = idle.map(|(_, entry)| entry.clone()).collect();
        idle.sort_by_key(|entry| entry.since);
        idle
    }

    /// Removes those entries of these names which `over` says are over.
    pub async fn remove(&self, names: HashSet<String>, over: impl Fn(&Entry) -> bool) {
        let removed = {
            let mut inner = self.inner.lock();
            inner.queued.retain(|name, entry| !(names.contains(name) && over(entry)));
            let removed: Vec<String> =
                names.into_iter().filter(|name| inner.known.get(name).is_some_and(&over)).collect();
            for name in &removed {
                inner.known.remove(name);
            }
            removed
        };
        self.sync_all(removed).await;
    }

    /// Removes what has ended.
    async fn end(&self, name: &str) {
        {
            let mut inner = self.inner.lock();
            let next = inner.queued.remove(name);
            match next {
                Some(next) => inner.known.insert(name.to_owned(), next),
                None => inner.known.remove(name),
            };
        }
        self.sync(name).await;
    }

    /// Removes what is kept of lost creations of a device.
    pub async fn forget_lost(&self, serial: &Serial) {
        let lost = |entry: &Entry| entry.serial == *serial && matches!(entry.task, Task::LostCreation { .. });
        let names = {
            let inner = self.inner.lock();
            inner.known.iter().filter(|(_, entry)| lost(entry)).map(|(name, _)| name.clone()).collect()
        };
        self.remove(names, lost).await;
    }

    /// Frees a name.
    fn release(&self, name: &str) {
        self.inner.lock().active.remove(name);
    }

    fn standing(&self) -> Kept {
        match self.inner.lock().rule {
            Rule::Displaced => Kept::Refused,
            Rule::MemoryOnly => Kept::InMemory,
            Rule::Term(_) => Kept::Stored,
        }
    }

    fn pauses(&self) -> bool {
        self.inner.lock().pause.is_some_and(|until| Instant::now() < until)
    }

    async fn sync_all(&self, names: Vec<String>) {
        stream::iter(names)
            .for_each_concurrent(AT_ONCE, |name| async move {
                let _ = self.sync(&name).await;
            })
            .await;
    }

    /// Makes the store's copy of an entry what is known now.
    async fn sync(&self, name: &str) -> Kept {
        let Some(store) = self.store.get() else { return Kept::InMemory };
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        let lane = usize::try_from(hasher.finish() % (LANES as u64)).unwrap_or_default();
        let _lane = match self.lanes.get(lane) {
            Some(lane) => Some(lane.lock().await),
            None => None,
        };
        let (rule, value) = {
            let mut inner = self.inner.lock();
            inner.stale.insert(name.to_owned());
            let value = inner.known.get(name).and_then(|entry| serde_json::to_vec(entry).ok());
            (inner.rule, value.map(Bytes::from))
        };
        let term = match rule {
            Rule::Displaced => return Kept::Refused,
            Rule::MemoryOnly => return Kept::InMemory,
            Rule::Term(_) if self.pauses() => return Kept::InMemory,
            Rule::Term(term) => term,
        };
        match store.write(term, name, value).await {
            Ok(written @ (Written::Stored | Written::AllElseLost)) => {
                let mut inner = self.inner.lock();
                if written == Written::AllElseLost {
                    tracing::warn!("the store has lost what was unfinished: the next cycle writes it again");
                    inner.stale = inner.known.keys().cloned().collect();
                }
                inner.stale.remove(name);
                inner.told = false;
                Kept::Stored
            }
            Ok(Written::Refused) => {
                let mut inner = self.inner.lock();
                if inner.rule == Rule::Term(term) {
                    tracing::warn!("another replica has taken over what is unfinished: this one stops");
                    inner.rule = Rule::Displaced;
                    inner.known.clear();
                    inner.stale.clear();
                }
                Kept::Refused
            }
            Err(error) => {
                self.unreachable(&error);
                Kept::InMemory
            }
        }
    }

    /// Says it once, until it works again.
    fn unreachable(&self, error: &StoreError) {
        let mut inner = self.inner.lock();
        inner.pause = Some(Instant::now() + PAUSE);
        if !std::mem::replace(&mut inner.told, true) {
            tracing::error!(%error, "what is unfinished is in memory only: a crash now would lose quarantines and notes");
        }
    }
}

impl Inner {
    /// Takes in what the store holds; what is known already is newer, unless it is an edge that only waits.
    fn learn(&mut self, term: u64, all: Vec<(String, Bytes)>) -> Vec<Entry> {
        self.rule = Rule::Term(term);
        self.told = false;
        self.stale = self.known.keys().cloned().collect();
        let mut new = Vec::new();
        for (name, bytes) in all {
            let known = self.known.get(&name);
            // An edge that waits here waits for the end of what a former leader has begun.
            let waits = known.filter(|known| matches!(known.task, Task::Quarantine { .. })).cloned();
            if known.is_some() && waits.is_none() {
                continue;
            }
            match serde_json::from_slice::<Entry>(&bytes) {
                Ok(entry) if entry.name() == name && (waits.is_none() || entry.is_under_way()) => {
                    if let Some(waits) = waits {
                        self.queued.insert(name.clone(), waits);
                    }
                    self.known.insert(name, entry.clone());
                    new.push(entry);
                }
                // Of another version, or nonsense: it goes. So does what this process has begun anew.
                _ => drop(self.stale.insert(name)),
            }
        }
        new
    }
}

#[cfg(test)]
#[path = "unfinished/tests.rs"]
mod tests;
