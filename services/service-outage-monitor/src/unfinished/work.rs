//! Working on an entry.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use contracts::id::TicketId;
use parking_lot::Mutex;

use super::{Deed, Entry, Kept, Task, Unfinished};
use crate::{action::Action, rules::creation::Creation};

/// The right to work on an entry. Dropping it leaves the entry to whoever takes it up next; [`Self::finish`] ends it.
pub struct Work {
    unfinished: Arc<Unfinished>,
    name: String,
    /// Whether somebody else has begun it.
    pub resumed: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    winding_up: bool,
    stopped: bool,
    postponed: Option<DateTime<Utc>>,
}

/// What is known of an action that is about to be carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begun {
    /// Nobody has begun it before; its intent is kept now.
    First,
    /// It was begun before, and it is not known whether it was done.
    Again(Deed),
    /// It has ended before: whether it was done.
    Ended(bool),
    /// Another replica acts.
    NotOurs,
}

impl Work {
    pub(super) fn new(unfinished: Arc<Unfinished>, name: String, resumed: bool) -> Self {
        Self { unfinished, name, resumed, state: Mutex::default() }
    }

    /// Begins nothing new from here on: the outage is over, or is another one. What was begun is brought to its end.
    pub fn wind_up(&self) {
        self.state.lock().winding_up = true;
    }

    /// See [`Self::wind_up`].
    pub fn winds_up(&self) -> bool {
        self.state.lock().winding_up
    }

    /// Whether another replica acts.
    pub fn is_stopped(&self) -> bool {
        self.state.lock().stopped
    }

    /// Comes back not before `at`, because a former request may be under way until then.
    pub fn postpone(&self, at: DateTime<Utc>) {
        let mut state = self.state.lock();
        state.postponed = state.postponed.max(Some(at));
    }

    /// See [`Self::postpone`].
    pub fn postponed(&self) -> Option<DateTime<Utc>> {
        self.state.lock().postponed
    }

    /// The entry; `None` when it is not this process's any more.
    pub fn entry(&self) -> Option<Entry> {
        self.unfinished.inner.lock().known.get(&self.name).cloned()
    }

    /// Keeps by which ticket the device is covered.
    pub async fn covered(&self, creation: Creation, ticket: &TicketId) {
        self.change(|entry| {
            if let Task::Outage { covered, .. } = &mut entry.task {
                *covered = Some((creation, ticket.clone()));
            }
        });
        self.keep().await;
    }

    /// See [`Self::covered`].
    pub fn ticket(&self) -> Option<(Creation, TicketId)> {
        match self.entry()?.task {
            Task::Outage { covered, .. } => covered,
            _ => None,
        }
    }

    /// When a ticket was asked for before, by a request whose outcome is not known.
    pub fn asked_before(&self) -> Option<DateTime<Utc>> {
        let entry = self.entry()?;
        entry.lost().or_else(|| self.resumed.then_some(entry.since))
    }

    /// The pages of the documentation note; they are kept with the intent of the first one.
    pub fn set_pages(&self, new: &[String]) {
        self.change(|entry| {
            if let Task::Outage { pages, .. } = &mut entry.task {
                new.clone_into(pages);
            }
        });
    }

    /// See [`Self::set_pages`]; empty before.
    pub fn pages(&self) -> Vec<String> {
        match self.entry().map(|entry| entry.task) {
            Some(Task::Outage { pages, .. }) => pages,
            _ => Vec::new(),
        }
    }

    /// What is known of an action that was begun.
    pub fn deed(&self, action: &Action) -> Option<Deed> {
        let inner = self.unfinished.inner.lock();
        inner.known.get(&self.name)?.deed(&Deed::of(action)).cloned()
    }

    /// The first action of this name that was begun.
    pub fn first(&self, name: &str) -> Option<Deed> {
        let deeds = self.entry()?.deeds;
        deeds.into_iter().find(|deed| deed.what.split(' ').next() == Some(name))
    }

    /// How many actions of this name were done.
    pub fn done(&self, name: &str) -> usize {
        let entry = self.entry();
        let deeds = entry.iter().flat_map(|entry| &entry.deeds);
        deeds.filter(|deed| deed.done == Some(true) && deed.what.split(' ').next() == Some(name)).count()
    }

    /// Keeps the intent of an action whose request may be under way for `within` from `now` on.
    pub async fn begin(&self, action: &Action, now: DateTime<Utc>, within: Duration) -> Begun {
        let what = Deed::of(action);
        match self.deed(action) {
            Some(Deed { done: Some(done), .. }) => return Begun::Ended(done),
            Some(deed) => return Begun::Again(deed),
            None => {}
        }
        let until = now + TimeDelta::from_std(within).unwrap_or(TimeDelta::MAX);
        let text = match action {
            Action::AppendNote { text, .. } if !self.pages().contains(text) => Some(text.clone()),
            _ => None,
        };
        self.change(|entry| entry.deeds.push(Deed { what, at: now, until, text, done: None }));
        if self.keep().await { Begun::First } else { Begun::NotOurs }
    }

    /// Keeps that the request of an action may be under way for `within` from `now` on. Whether this process may send it.
    pub async fn sends(&self, action: &Action, now: DateTime<Utc>, within: Duration) -> bool {
        let what = Deed::of(action);
        let until = now + TimeDelta::from_std(within).unwrap_or(TimeDelta::MAX);
        let mut is_kept = true;
        self.change(|entry| {
            if let Some(deed) = entry.deeds.iter_mut().find(|deed| deed.what == what && deed.until < until) {
                deed.until = until;
                is_kept = false;
            }
        });
        if is_kept { !self.is_stopped() } else { self.keep().await }
    }

    /// Notes how an action ended. It is kept with what comes next: until then a look tells.
    pub fn ended(&self, action: &Action, done: bool) {
        let what = Deed::of(action);
        self.change(|entry| {
            if let Some(deed) = entry.deeds.iter_mut().find(|deed| deed.what == what) {
                deed.done = Some(done);
            }
        });
    }

    /// The outcome of the creation can not be known: what is left is when it was asked for.
    pub async fn lose_creation(&self, asked: DateTime<Utc>) {
        self.change(|entry| {
            if let Task::Outage { kind, .. } = entry.task {
                *entry = Entry {
                    since: asked,
                    task: Task::LostCreation { kind },
                    deeds: Vec::new(),
                    ..entry.clone()
                };
            }
        });
        self.keep().await;
    }

    /// Ends it, unless it has to be taken up again later or another replica acts.
    pub async fn finish(&self) {
        if self.is_stopped() || self.postponed().is_some() {
            return;
        }
        self.unfinished.end(&self.name).await;
    }

    fn change(&self, change: impl FnOnce(&mut Entry)) {
        let mut inner = self.unfinished.inner.lock();
        match inner.known.get_mut(&self.name) {
            Some(entry) => change(entry),
            // Forgotten because another replica has led.
            None => self.state.lock().stopped = true,
        }
    }

    /// Whether this process may go on.
    async fn keep(&self) -> bool {
        if !self.is_stopped() && self.unfinished.sync(&self.name).await == Kept::Refused {
            self.state.lock().stopped = true;
        }
        !self.is_stopped()
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.unfinished.release(&self.name);
    }
}
