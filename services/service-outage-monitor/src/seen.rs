//! What is recorded of an edge as the facts of a decision: states, no labels and addresses.

use serde::{Deserialize, Serialize};
use ticketing::outage::{OutageKind, Signals};

use crate::{
    edges::{EdgeRecord, Partner, State},
    rules::creation::Creation,
};

/// An edge as a rule saw it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// Its state.
    pub state: State,
    /// The other member, when high availability is enabled.
    pub partner: Option<Partner>,
    /// Whether it is the primary member of a pair.
    pub primary: bool,
    /// Its links in VeloCloud's order.
    pub links: Vec<SeenLink>,
    /// What was down, for readers; [`Self::outage`] says what is down by today's rules.
    pub kind: Option<OutageKind>,
}

/// A link as a rule saw it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenLink {
    /// The interface, e.g. `GE1`.
    pub interface: Option<String>,
    /// Its state, e.g. `STABLE`.
    pub state: Option<String>,
}

impl Seen {
    /// What a record shows.
    pub fn of(record: &EdgeRecord) -> Self {
        let links = record.links.iter();
        let links =
            links.map(|link| SeenLink { interface: link.interface.clone(), state: link.state.clone() });
        Self {
            state: record.state.clone(),
            partner: record.partner.clone(),
            primary: record.primary,
            links: links.collect(),
            kind: record.outage(),
        }
    }

    /// What is down; `None` = healthy.
    pub fn outage(&self) -> Option<OutageKind> {
        OutageKind::of(Signals {
            edge_offline: self.state.is_offline(),
            partner_offline: self.partner.as_ref().is_some_and(|partner| partner.state.is_offline()),
            has_partner: self.partner.is_some(),
            link_down: self.links.iter().any(|link| link.state.as_deref() == Some("DISCONNECTED")),
        })
    }
}

/// What is recorded of a device that is down and the ticket that covers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Covering {
    /// The edge.
    pub edge: Seen,
    /// What is down.
    pub kind: OutageKind,
    /// How a ticket came to cover it.
    pub ticket: Creation,
}

/// For `skip_serializing_if`: most facts are the usual ones.
#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
pub(crate) fn no(flag: &bool) -> bool {
    !flag
}

/// For `skip_serializing_if`.
#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
pub(crate) fn zero(number: &usize) -> bool {
    *number == 0
}
