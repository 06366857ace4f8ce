//! What is done about an edge that was looked at, first in the cycle, then after quarantine (spec "Behaviour" 3 and 4).

use std::time::Duration;

use serde::{Deserialize, Serialize};
use ticketing::OutageKind;

use super::{Environment, Refusal, Ruling};
use crate::seen::Seen;

/// What the cycle sees of a monitored edge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Look {
    /// The edge; `None` when VeloCloud does not list it.
    #[serde(flatten)]
    pub edge: Option<Seen>,
}

/// What is down and to be put into quarantine; `None` = healthy.
pub fn look(facts: &Look) -> Ruling<Option<OutageKind>> {
    let edge = facts
        .edge
        .as_ref()
        .ok_or_else(|| Refusal::new("edges.record", "VeloCloud does not list the edge"))?;
    match edge.outage() {
        Some(kind) if !kind.is_documented_for(edge.primary) => {
            Err(Refusal::new("outage.primary", "the primary of the pair documents the outage"))
        }
        outage => Ok(outage),
    }
}

/// Why nothing is done yet.
pub fn quarantine(kind: OutageKind, span: Duration) -> Refusal {
    let reason = format!("{kind}: in quarantine, waits {} s before acting", span.as_secs());
    Refusal::new("outage.quarantine", reason)
}

/// What a re-check sees of an edge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recheck {
    /// The edge.
    #[serde(flatten)]
    pub edge: Seen,
    /// The outage that was waited out.
    pub waited: OutageKind,
}

/// The outage for which a ticket is asked; `None` = the edge is healthy again.
pub fn recheck(facts: &Recheck, environment: &Environment) -> Ruling<Option<OutageKind>> {
    match facts.edge.outage() {
        None => Ok(None),
        Some(other) if other != facts.waited => {
            let reason = format!("the outage became {other}, which the next cycle detects");
            Err(Refusal::new("recheck.kind", reason))
        }
        Some(_) if !environment.is_production() => {
            Err(Refusal::new("recheck.environment", "tickets are changed in production only"))
        }
        Some(kind) => Ok(Some(kind)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        edges::{EdgeRecord, State},
        sample::{self, SERIAL, STANDBY},
    };

    fn seen(record: &EdgeRecord) -> Look {
        Look { edge: Some(Seen::of(record)) }
    }

    #[test]
    fn what_is_down_goes_into_quarantine_once_for_each_pair() {
        let partner = |primary| EdgeRecord {
            partner: Some(sample::partner(STANDBY, State::connected())),
            primary,
            ..sample::link_down(SERIAL)
        };
        let rule = |facts| look(&facts).map_err(|refusal| refusal.rule);
        assert_eq!(rule(Look { edge: None }), Err("edges.record"));
        assert_eq!(rule(seen(&sample::record(SERIAL))), Ok(None));
        assert_eq!(rule(seen(&sample::offline(SERIAL))), Ok(Some(OutageKind::HardDown)));
        assert_eq!(rule(seen(&partner(true))), Ok(Some(OutageKind::HaLinkDown)));
        assert_eq!(rule(seen(&partner(false))), Err("outage.primary"));
    }

    #[test]
    fn a_ticket_is_asked_for_in_production_when_the_outage_is_still_the_same() {
        let production = Environment("production".into());
        let rule = |record: EdgeRecord, environment: &Environment| {
            let facts = Recheck { edge: Seen::of(&record), waited: OutageKind::LinkDown };
            recheck(&facts, environment).map_err(|refusal| refusal.rule)
        };
        assert_eq!(rule(sample::link_down(SERIAL), &production), Ok(Some(OutageKind::LinkDown)));
        assert_eq!(rule(sample::record(SERIAL), &production), Ok(None));
        assert_eq!(rule(sample::offline(SERIAL), &production), Err("recheck.kind"));
        assert_eq!(rule(sample::link_down(SERIAL), &Environment("dev".into())), Err("recheck.environment"));
    }
}
