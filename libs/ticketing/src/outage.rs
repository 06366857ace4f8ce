//! The kinds of outage of an edge (spec `service-outage-monitor`, "Behaviour" 2).

use std::fmt;

use serde::{Deserialize, Serialize};

/// What is down at an edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum OutageKind {
    /// A link of an edge without high availability.
    LinkDown,
    /// An edge without high availability.
    HardDown,
    /// A link of a high-availability pair.
    HaLinkDown,
    /// One member of a high-availability pair, all links being up.
    HaSoftDown,
    /// Both members of a high-availability pair.
    HaHardDown,
}

/// What is known of an edge and its partner. Every state but offline counts as up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "four independent observations")]
pub struct Signals {
    /// The edge is offline (`E`).
    pub edge_offline: bool,
    /// Its high-availability partner is offline (`P`).
    pub partner_offline: bool,
    /// It has a high-availability partner (`H`).
    pub has_partner: bool,
    /// One of its links is disconnected (`D`).
    pub link_down: bool,
}

impl OutageKind {
    /// All kinds, in the order in which they are evaluated everywhere.
    pub const ALL: [Self; 5] =
        [Self::LinkDown, Self::HardDown, Self::HaLinkDown, Self::HaSoftDown, Self::HaHardDown];

    /// The kind which `signals` mean; `None` = healthy. Exactly one applies to any edge.
    pub fn of(signals: Signals) -> Option<Self> {
        let Signals { edge_offline, partner_offline, has_partner, link_down } = signals;
        match (has_partner, edge_offline) {
            (false, true) => Some(Self::HardDown),
            (true, true) if partner_offline => Some(Self::HaHardDown),
            (true, true) if !link_down => Some(Self::HaSoftDown),
            (true, _) if link_down => Some(Self::HaLinkDown),
            (false, false) if link_down => Some(Self::LinkDown),
            _ => None,
        }
    }

    /// Whether an outage of this kind is acted upon for this member: link and hard outages of a pair are documented
    /// once, for the primary.
    pub fn is_documented_for(self, primary: bool) -> bool {
        match self {
            Self::HaLinkDown | Self::HaHardDown => primary,
            Self::LinkDown | Self::HardDown | Self::HaSoftDown => true,
        }
    }

    /// Whether it is an outage of a high-availability pair.
    pub fn is_ha(self) -> bool {
        matches!(self, Self::HaLinkDown | Self::HaSoftDown | Self::HaHardDown)
    }

    /// Whether only a link is down.
    pub fn is_link_outage(self) -> bool {
        matches!(self, Self::LinkDown | Self::HaLinkDown)
    }

    /// The name in texts and job ids.
    pub fn name(self) -> &'static str {
        match self {
            Self::LinkDown => "Link Down Outage (no HA)",
            Self::HardDown => "Hard Down Outage (no HA)",
            Self::HaLinkDown => "Link Down Outage (HA)",
            Self::HaSoftDown => "Soft Down Outage (HA)",
            Self::HaHardDown => "Hard Down Outage (HA)",
        }
    }
}

impl fmt::Display for OutageKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every_edge() -> impl Iterator<Item = Signals> {
        (0..16_u8).map(|bits| Signals {
            edge_offline: bits & 1 != 0,
            partner_offline: bits & 2 != 0,
            has_partner: bits & 4 != 0,
            link_down: bits & 8 != 0,
        })
    }

    /// The conditions word for word as the table of the specification has them.
    fn rows_that_apply(signals: Signals) -> Vec<Option<OutageKind>> {
        let Signals { edge_offline: e, partner_offline: p, has_partner: h, link_down: d } = signals;
        [
            (d && !e && !h, Some(OutageKind::LinkDown)),
            (e && !h, Some(OutageKind::HardDown)),
            (d && h && (!e || !p), Some(OutageKind::HaLinkDown)),
            (h && e && !p && !d, Some(OutageKind::HaSoftDown)),
            (h && e && p, Some(OutageKind::HaHardDown)),
            (!e && !d, None),
        ]
        .into_iter()
        .filter_map(|(applies, kind)| applies.then_some(kind))
        .collect()
    }

    #[test]
    fn exactly_one_row_of_the_table_applies_and_it_is_the_kind() {
        for signals in every_edge() {
            assert_eq!(rows_that_apply(signals), [OutageKind::of(signals)], "{signals:?}");
        }
    }

    #[test]
    fn link_and_hard_outages_of_a_pair_are_documented_for_the_primary_only() {
        let documented: Vec<_> = OutageKind::ALL
            .iter()
            .map(|kind| (kind.is_documented_for(true), kind.is_documented_for(false)))
            .collect();
        assert_eq!(documented, [(true, true), (true, true), (true, false), (true, true), (true, false)]);
    }
}
