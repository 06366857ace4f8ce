//! What happens in a random world, one thing after the other; written as JSON, so that a failing list can be kept.

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use serde::{Deserialize, Serialize};

/// Whose bridge a request goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Party {
    /// `bruin.*`.
    Bruin,
    /// Links, edges and events.
    Velocloud,
    /// Reboots and their log.
    Digi,
    /// The customer cache.
    Cache,
    /// Slack.
    Notifier,
}

impl Party {
    const ALL: [Self; 5] = [Self::Bruin, Self::Velocloud, Self::Digi, Self::Cache, Self::Notifier];

    /// Whose subject it is.
    pub fn of(subject: &str) -> Self {
        match subject.split('.').next() {
            Some("bruin") => Self::Bruin,
            Some("customer") => Self::Cache,
            Some("notification") => Self::Notifier,
            Some("digi") => Self::Digi,
            _ if subject.contains("digi") => Self::Digi,
            _ => Self::Velocloud,
        }
    }
}

/// What becomes of a request that is struck.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// It is lost on its way: not carried out, no reply.
    RequestLost,
    /// It is carried out and the reply is lost.
    ReplyLost,
    /// It is carried out and the reply cannot be read.
    Mumbled,
    /// Nobody serves the subject.
    NobodyThere,
    /// It is refused: 401 an expired login, 429 too many, 500, 503.
    Refused(u16),
}

/// When a replica dies: at which of its next requests, and whether that is still carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Moment {
    /// Before it is sent.
    Before,
    /// It is carried out; the replica does not see the reply.
    After,
}

/// What Bruin does about resolved tickets, as the sandbox knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resolved {
    /// 471.
    Leave,
    /// 472.
    Reopen,
    /// 473.
    JoinSite,
    /// A new ticket.
    CreateNew,
}

/// What people do in Bruin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deed {
    /// Create an outage ticket for the device.
    CreateTicket,
    /// Resolve the device's line.
    ResolveLine,
    /// Pause it.
    PauseLine,
    /// Close its ticket.
    CloseTicket,
}

/// One thing that happens. Edges and links are counted round: any number names one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// Time passes.
    Advance {
        /// How much.
        seconds: u64,
    },
    /// An edge (of a pair: the primary) goes down.
    BreakEdge {
        /// Which.
        edge: usize,
    },
    /// It comes back.
    HealEdge {
        /// Which.
        edge: usize,
    },
    /// The standby of a pair goes down.
    BreakStandby {
        /// Of which pair.
        edge: usize,
    },
    /// It comes back.
    HealStandby {
        /// Of which pair.
        edge: usize,
    },
    /// A link goes down.
    BreakLink {
        /// Of which edge.
        edge: usize,
        /// Which.
        link: usize,
    },
    /// It comes back.
    HealLink {
        /// Of which edge.
        edge: usize,
        /// Which.
        link: usize,
    },
    /// Everything comes back.
    HealAll,
    /// The next requests on one subject are struck.
    Strike {
        /// Index of the subject, see [`SUBJECTS`].
        subject: usize,
        /// What becomes of them.
        fate: Fate,
        /// How many.
        times: u32,
    },
    /// All requests to one party are struck for a time.
    Trouble {
        /// Whose.
        party: Party,
        /// What becomes of them.
        fate: Fate,
        /// For how long.
        seconds: u64,
    },
    /// The acting replica is killed.
    Kill {
        /// At which of its next requests: 0 = the next one.
        after_requests: u32,
        /// Before or after that.
        moment: Moment,
        /// When it is started again.
        down_seconds: u64,
    },
    /// Somebody works in Bruin.
    Person {
        /// At which edge.
        edge: usize,
        /// What.
        does: Deed,
    },
    /// Bruin treats resolved tickets of an edge in another way from now on.
    OnResolved {
        /// Which edge.
        edge: usize,
        /// How.
        how: Resolved,
    },
}

/// The subjects that can be struck one by one.
pub const SUBJECTS: [&str; 16] = [
    "customer.cache.get",
    "get.links.with.edge.info",
    "request.network.enterprise.edges",
    "alert.request.event.edge",
    "bruin.ticket.basic.request",
    "bruin.single_ticket.basic.request",
    "bruin.ticket.details.request",
    "bruin.ticket.note.append.request",
    "bruin.ticket.creation.outage.request",
    "bruin.ticket.status.open",
    "bruin.ticket.status.resolve",
    "bruin.ticket.unpause",
    "bruin.ticket.change.work",
    "bruin.change.ticket.severity",
    "digi.reboot",
    "get.digi.recovery.logs",
];

/// What is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cast {
    /// One live replica, started again when it dies.
    Alone,
    /// Two live replicas with a lease.
    Pair,
    /// A shadow beside a live replica, without faults (promise P8).
    Twins,
}

/// A random world and what happens in it. The same scenario always runs in the same way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scenario {
    /// Of the world and of how long requests take.
    pub seed: u64,
    /// How many edges.
    pub edges: usize,
    /// Who is on the stage.
    pub cast: Cast,
    /// What happens.
    pub operations: Vec<Operation>,
}

impl Scenario {
    /// The scenario of a seed.
    pub fn random(seed: u64) -> Self {
        let mut dice = Dice(Xoshiro256PlusPlus::seed_from_u64(seed));
        let cast = match dice.below(20) {
            0..4 => Cast::Twins,
            4..6 => Cast::Pair,
            _ => Cast::Alone,
        };
        let edges = 2 + dice.below(9);
        let length = 3 + dice.below(18);
        // Something is down from the beginning, so that there is something to do.
        let mut operations = vec![dice.outage(), Operation::Advance { seconds: dice.seconds(900) }];
        operations.extend((0..length).map(|_| dice.operation(cast)));
        Self { seed, edges, cast, operations }
    }
}

struct Dice(Xoshiro256PlusPlus);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0.random_range(0..bound)
    }

    fn seconds(&mut self, bound: u64) -> u64 {
        10 * self.0.random_range(1..=bound / 10)
    }

    fn outage(&mut self) -> Operation {
        let (edge, link) = (self.below(12), self.below(3));
        match self.below(20) {
            0..7 => Operation::BreakEdge { edge },
            7..16 => Operation::BreakLink { edge, link },
            _ => Operation::BreakStandby { edge: 5 },
        }
    }

    fn operation(&mut self, cast: Cast) -> Operation {
        let (edge, link) = (self.below(12), self.below(3));
        // A shadow and its live twin are compared on a world that both see alike, and in which what Bruin will answer can be
        // foretold from its tickets.
        let kinds = if cast == Cast::Twins { 75 } else { 100 };
        match self.below(kinds) {
            0..30 => Operation::Advance { seconds: self.seconds(900) },
            30..36 => Operation::Advance { seconds: self.seconds(6_000) },
            36..56 => self.outage(),
            56..60 => Operation::HealEdge { edge },
            60..64 => Operation::HealLink { edge, link },
            64..66 => Operation::HealStandby { edge: 5 },
            66..71 => Operation::HealAll,
            71..75 => Operation::Person { edge, does: self.deed() },
            75..78 => Operation::OnResolved { edge, how: self.resolved() },
            78..89 => Operation::Strike {
                subject: self.below(SUBJECTS.len()),
                fate: self.fate(),
                times: 1 + u32::try_from(self.below(3)).unwrap_or(0),
            },
            89..93 => Operation::Trouble {
                party: Party::ALL.get(self.below(5)).copied().unwrap_or(Party::Bruin),
                fate: self.fate(),
                seconds: self.seconds(1_800),
            },
            _ => Operation::Kill {
                after_requests: u32::try_from(self.below(25)).unwrap_or(0),
                moment: if self.below(2) == 0 { Moment::Before } else { Moment::After },
                down_seconds: 2 + self.seconds(120),
            },
        }
    }

    fn fate(&mut self) -> Fate {
        match self.below(9) {
            0 | 1 => Fate::ReplyLost,
            2 => Fate::RequestLost,
            3 => Fate::Mumbled,
            4 => Fate::NobodyThere,
            5 => Fate::Refused(401),
            6 => Fate::Refused(429),
            7 => Fate::Refused(500),
            _ => Fate::Refused(503),
        }
    }

    fn deed(&mut self) -> Deed {
        match self.below(4) {
            0 => Deed::CreateTicket,
            1 => Deed::ResolveLine,
            2 => Deed::PauseLine,
            _ => Deed::CloseTicket,
        }
    }

    fn resolved(&mut self) -> Resolved {
        match self.below(4) {
            0 => Resolved::Leave,
            1 => Resolved::Reopen,
            2 => Resolved::JoinSite,
            _ => Resolved::CreateNew,
        }
    }
}
