//! The simulated world: a network that breaks and heals, Bruin's inventory and tickets, and what was sent to people.
//!
//! [`World`] is a cheap handle. Each part has a lock of its own and none is held while another is taken, so a large
//! listing never blocks a ticket. Time is the given clock's: moving it moves everything, because whatever is due
//! (a DiGi unit coming back, a resolved ticket being closed) is settled when the world is next looked at.

pub mod dri;
pub mod emails;
pub mod events;
pub mod generate;
pub mod inventory;
pub mod mailbox;
pub mod network;
pub mod notes;
pub mod outages;
pub mod outbox;
pub mod probes;
pub mod queues;
pub mod repair;
pub mod states;
pub mod tickets;

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use parking_lot::{Mutex, RwLock};
use runtime::Clock;
use serde::Serialize;
use tokio::sync::broadcast;
use utoipa::ToSchema;

use dri::Dri;
use emails::Emails;
pub use generate::Plan;
use inventory::Inventory;
use mailbox::Mailboxes;
use network::Network;
use notes::Note;
use outbox::Outbox;
use probes::Probes;
use tickets::{Ticket, Tickets};

/// Something that changed, for whoever shows the world live.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Change {
    /// An edge, its standby or a link changed state.
    Edge {
        /// Serial of the (primary) device.
        serial: String,
    },
    /// A ticket was created or changed.
    Ticket {
        /// Its id.
        id: i64,
    },
    /// Something was sent: `mail`, `slack`, `sms` or `reboot`.
    Sent {
        /// Which kind.
        kind: &'static str,
    },
    /// A Hawkeye probe was broken, healed or switched.
    Probe {
        /// Its serial.
        serial: String,
    },
    /// The clock was moved.
    Clock,
}

/// Handle of the world. Clones share it.
#[derive(Clone)]
pub struct World {
    inner: Arc<Inner>,
}

struct Inner {
    clock: Clock,
    network: RwLock<Network>,
    inventory: RwLock<Inventory>,
    probes: RwLock<Probes>,
    tickets: RwLock<Tickets>,
    emails: Mutex<Emails>,
    outbox: Mutex<Outbox>,
    mailboxes: Mutex<Mailboxes>,
    reboots: Mutex<states::Reboots>,
    dri: Mutex<Dri>,
    changes: broadcast::Sender<Change>,
}

impl World {
    /// Generates a world: same plan and same `clock.now()`, same world.
    pub fn new(clock: Clock, plan: &Plan) -> Self {
        let now = clock.now();
        let mut generated = generate::generate(plan, now);
        let probes = probes::generate(plan, now, &generated.network, &mut generated.inventory);
        let inner = Inner {
            clock,
            network: RwLock::new(generated.network),
            inventory: RwLock::new(generated.inventory),
            probes: RwLock::new(probes),
            tickets: RwLock::new(Tickets::default()),
            emails: Mutex::default(),
            outbox: Mutex::default(),
            mailboxes: Mutex::default(),
            reboots: Mutex::default(),
            dri: Mutex::default(),
            changes: broadcast::Sender::new(1_024),
        };
        Self { inner: Arc::new(inner) }
    }

    /// The world's clock.
    pub fn clock(&self) -> &Clock {
        &self.inner.clock
    }

    /// The present instant.
    pub fn now(&self) -> DateTime<Utc> {
        self.inner.clock.now()
    }

    /// Moves time forward; false when the clock cannot be moved.
    pub fn advance(&self, by: Duration) -> bool {
        let moved = self.inner.clock.advance(by);
        self.settle();
        self.changed(Change::Clock);
        moved
    }

    /// Reads the network.
    pub fn network<R>(&self, read: impl FnOnce(&Network) -> R) -> R {
        self.settle();
        read(&self.inner.network.read())
    }

    /// Reads the inventory.
    pub fn inventory<R>(&self, read: impl FnOnce(&Inventory) -> R) -> R {
        read(&self.inner.inventory.read())
    }

    /// Changes the inventory.
    pub fn with_inventory<R>(&self, change: impl FnOnce(&mut Inventory) -> R) -> R {
        change(&mut self.inner.inventory.write())
    }

    /// Reads the tickets.
    pub fn read_tickets<R>(&self, read: impl FnOnce(&Tickets) -> R) -> R {
        read(&self.inner.tickets.read())
    }

    /// Changes tickets; `id` of what was changed is told to those who watch.
    pub fn with_tickets<R>(&self, change: impl FnOnce(&mut Tickets) -> R) -> R {
        let (result, changed) = {
            let mut tickets = self.inner.tickets.write();
            let result = change(&mut tickets);
            (result, tickets.take_changed())
        };
        for id in changed {
            self.changed(Change::Ticket { id });
        }
        result
    }

    /// All tickets, newest first.
    pub fn tickets(&self) -> Vec<Ticket> {
        self.read_tickets(|tickets| tickets.newest_first().cloned().collect())
    }

    /// A ticket.
    pub fn ticket(&self, id: i64) -> Option<Ticket> {
        self.read_tickets(|tickets| tickets.get(id).cloned())
    }

    /// The tickets that have a line for this serial number, newest first.
    pub fn tickets_of(&self, serial: &str) -> Vec<Ticket> {
        self.read_tickets(|tickets| tickets.of_serial(serial).cloned().collect())
    }

    /// The notes of a ticket, oldest first.
    pub fn notes(&self, ticket: i64) -> Vec<Note> {
        self.read_tickets(|tickets| {
            tickets.get(ticket).map(|ticket| ticket.notes.clone()).unwrap_or_default()
        })
    }

    /// Reads or changes the e-mails in Bruin.
    pub fn with_emails<R>(&self, change: impl FnOnce(&mut Emails) -> R) -> R {
        change(&mut self.inner.emails.lock())
    }

    /// A copy of everything that was sent.
    pub fn outbox(&self) -> Outbox {
        self.inner.outbox.lock().clone()
    }

    /// Looks at what was sent without copying it.
    pub fn read_outbox<R>(&self, read: impl FnOnce(&Outbox) -> R) -> R {
        read(&self.inner.outbox.lock())
    }

    /// Adds to what was sent: `world.with_outbox("slack", |outbox| outbox.slack(now, text))`.
    pub fn with_outbox<R>(&self, kind: &'static str, change: impl FnOnce(&mut Outbox) -> R) -> R {
        let result = change(&mut self.inner.outbox.lock());
        self.changed(Change::Sent { kind });
        result
    }

    /// Reads or changes the mailboxes.
    pub fn with_mailboxes<R>(&self, change: impl FnOnce(&mut Mailboxes) -> R) -> R {
        change(&mut self.inner.mailboxes.lock())
    }

    /// Watches the world; a slow watcher loses the oldest changes.
    pub fn changes(&self) -> broadcast::Receiver<Change> {
        self.inner.changes.subscribe()
    }

    fn changed(&self, change: Change) {
        // Nobody watching is fine.
        let _ = self.inner.changes.send(change);
    }
}
