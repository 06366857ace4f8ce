//! The sandbox's own account of the outages it made, independent of what the engine noticed.

use std::collections::VecDeque;

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

/// How many outages are remembered one by one; the counts go on.
const KEPT: usize = 20_000;

/// What was broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Broken {
    /// An edge's device (of a pair: the primary).
    Edge,
    /// The standby member of a pair.
    Standby,
    /// A link.
    Link,
}

/// One outage.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Outage {
    /// Number, from 1.
    pub number: u64,
    /// What was broken.
    pub broken: Broken,
    /// Serial of the edge, or of the standby.
    pub serial: String,
    /// The link's interface.
    pub interface: Option<String>,
    /// When it began.
    pub began: DateTime<Utc>,
    /// When it was healed.
    pub ended: Option<DateTime<Utc>>,
}

/// How many outages were made and are still there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, ToSchema)]
pub struct OutageCounts {
    /// Edges broken so far.
    pub edges: u64,
    /// Standby members broken so far.
    pub standbys: u64,
    /// Links broken so far.
    pub links: u64,
    /// Outages healed so far.
    pub healed: u64,
}

/// The account.
#[derive(Debug, Clone, Default)]
pub struct Outages {
    list: VecDeque<Outage>,
    counts: OutageCounts,
    total: u64,
}

impl Outages {
    /// Notes a new outage.
    pub(super) fn begin(
        &mut self,
        broken: Broken,
        serial: &str,
        interface: Option<&str>,
        now: DateTime<Utc>,
    ) {
        self.total += 1;
        match broken {
            Broken::Edge => self.counts.edges += 1,
            Broken::Standby => self.counts.standbys += 1,
            Broken::Link => self.counts.links += 1,
        }
        if self.list.len() >= KEPT {
            self.list.pop_front();
        }
        self.list.push_back(Outage {
            number: self.total,
            broken,
            serial: serial.to_owned(),
            interface: interface.map(str::to_owned),
            began: now,
            ended: None,
        });
    }

    /// Notes the end of an outage.
    pub(super) fn end(&mut self, broken: Broken, serial: &str, interface: Option<&str>, now: DateTime<Utc>) {
        self.counts.healed += 1;
        let open = self.list.iter_mut().rev().find(|outage| {
            outage.ended.is_none()
                && outage.broken == broken
                && outage.serial == serial
                && outage.interface.as_deref() == interface
        });
        if let Some(outage) = open {
            outage.ended = Some(now);
        }
    }

    /// The counts.
    pub fn counts(&self) -> OutageCounts {
        self.counts
    }

    /// The outages, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Outage> + ExactSizeIterator {
        self.list.iter()
    }
}
