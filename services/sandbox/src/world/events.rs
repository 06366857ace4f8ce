//! What an edge tells its orchestrator.

use chrono::{DateTime, Utc};

/// An entry of an edge's event log.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Id, ascending.
    pub id: i64,
    /// When.
    pub at: DateTime<Utc>,
    /// What.
    pub happening: Happening,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happening {
    /// The edge went down.
    EdgeDown,
    /// The edge came up.
    EdgeUp,
    /// The link at this interface went down.
    LinkDead(String),
    /// The link at this interface came up.
    LinkAlive(String),
    /// The standby member failed.
    StandbyFailed,
    /// The standby member is ready again.
    StandbyReady,
}

impl Happening {
    /// The event's name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::EdgeDown => "EDGE_DOWN",
            Self::EdgeUp => "EDGE_UP",
            Self::LinkDead(_) => "LINK_DEAD",
            Self::LinkAlive(_) => "LINK_ALIVE",
            Self::StandbyFailed => "HA_FAILED",
            Self::StandbyReady => "HA_READY",
        }
    }

    /// The event's category.
    pub fn category(&self) -> &'static str {
        match self {
            Self::LinkDead(_) | Self::LinkAlive(_) => "NETWORK",
            _ => "EDGE",
        }
    }

    /// The event's severity.
    pub fn severity(&self) -> &'static str {
        match self {
            Self::EdgeDown | Self::LinkDead(_) | Self::StandbyFailed => "ALERT",
            _ => "INFO",
        }
    }

    /// The event's message; those of links are parsed by the monitors.
    pub fn message(&self) -> String {
        match self {
            Self::EdgeDown => "Edge is down".to_owned(),
            Self::EdgeUp => "Edge is up".to_owned(),
            Self::LinkDead(interface) => format!("Link {interface} is now DEAD"),
            Self::LinkAlive(interface) => format!("Link {interface} is no longer DEAD"),
            Self::StandbyFailed => "High Availability standby has failed".to_owned(),
            Self::StandbyReady => "High Availability is ready".to_owned(),
        }
    }
}
