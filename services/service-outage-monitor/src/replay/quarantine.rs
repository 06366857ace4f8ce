//! What another quarantine would have changed.
//!
//! How long an outage is waited out is no matter of one decision: what counts is how the device was when the other span was
//! over. The recording tells how it was at each look, so between two looks that differ the answer is unclear.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use ticketing::OutageKind;

use super::{
    answer::{Answer, Deed},
    recorded::Whose,
    report::{Change, Difference},
};
use crate::{config::Config, rules::detection};

/// What a record tells of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sight {
    /// It is down, and waits in quarantine.
    Down(OutageKind),
    /// It is down after quarantine: a ticket is asked for.
    Asked(OutageKind),
    /// It is down otherwise than before, or no ticket may be asked for.
    Changed,
    /// It is healthy.
    Healthy,
}

/// An outage of a device.
#[derive(Debug, Clone, Copy)]
struct Outage {
    kind: OutageKind,
    since: DateTime<Utc>,
    last_seen: DateTime<Utc>,
    asked: Option<DateTime<Utc>>,
}

/// The present outages.
#[derive(Default)]
pub(super) struct Timeline(HashMap<Whose, Outage>);

impl Timeline {
    /// Notes what was seen; the difference when an outage is over which another quarantine would have handled otherwise.
    pub(super) fn see(
        &mut self,
        whose: &Whose,
        at: DateTime<Utc>,
        sight: Sight,
        recorded: &Config,
        other: &Config,
    ) -> Option<Difference> {
        if let Sight::Down(kind) | Sight::Asked(kind) = sight
            && let Some(outage) = self.0.get_mut(whose)
            && outage.kind == kind
        {
            outage.last_seen = at;
            if matches!(sight, Sight::Asked(_)) {
                outage.asked.get_or_insert(at);
            }
            return None;
        }
        let over = self.0.remove(whose);
        if let Sight::Down(kind) = sight {
            self.0.insert(whose.clone(), Outage { kind, since: at, last_seen: at, asked: None });
        }
        difference(whose, over?, at, recorded, other)
    }
}

/// Whether an outage that was over at `end` would have been handled otherwise.
fn difference(
    whose: &Whose,
    outage: Outage,
    end: DateTime<Utc>,
    recorded: &Config,
    other: &Config,
) -> Option<Difference> {
    let span =
        |config: &Config| TimeDelta::from_std(config.quarantines.of(outage.kind)).unwrap_or(TimeDelta::MAX);
    let (was, is) = (span(recorded), span(other));
    let due = outage.since.checked_add_signed(is)?;
    let target = format!("{}: {}", whose.device, outage.kind);
    let asks = Answer::Act(vec![Deed { action: "create_ticket".to_owned(), target, due: None }]);
    let waits = |config: &Config| {
        Answer::from(detection::quarantine(outage.kind, config.quarantines.of(outage.kind)))
    };
    let (change, before, after) = match outage.asked {
        Some(_) if is > was && due >= end => (Change::NotDone, asks, waits(other)),
        Some(_) if is > was && due > outage.last_seen => (Change::Unclear, asks, Answer::GoOn),
        None if is < was && other.common.environment.is_production() => {
            let change = match due {
                due if due <= outage.last_seen => Change::Done,
                due if due < end => Change::Unclear,
                _ => return None,
            };
            (change, waits(recorded), asks)
        }
        _ => return None,
    };
    let facts = BTreeMap::from([
        ("kind".to_owned(), json!(outage.kind)),
        ("down_since".to_owned(), json!(outage.since)),
        ("last_seen_down".to_owned(), json!(outage.last_seen)),
        ("seen_otherwise".to_owned(), json!(end)),
        ("would_wait_until".to_owned(), json!(due)),
    ]);
    let at = outage.asked.unwrap_or(outage.since);
    Some(Difference::new(at, whose, "outage.quarantine", change, (before, after), facts))
}
