//! Recorded decisions made again: by today's rules, and with other settings.
//!
//! Each decision stands in the ledger with what was asked ([`Question`](crate::question::Question)) and with the settings in
//! force. So it can be made again, without any third party:
//! - [`answer`] asks the rules again, with settings from [`settings`];
//! - [`recorded`] gathers the records of one decision (a forward and its note are one);
//! - [`quarantine`] says what another quarantine would have changed, which no single decision tells;
//! - [`Player`] goes through a recording and makes a [`Report`] of the differences.

pub mod answer;
mod player;
mod quarantine;
pub mod recorded;
pub mod report;
pub mod settings;

pub use player::Player;
pub use report::{Change, Difference, Report};

/// What the outage mode is called in the ledger.
pub const OUTAGE: &str = "service-outage-monitor";
/// What the triage mode is called in the ledger.
pub const TRIAGE: &str = "service-outage-monitor-triage";

#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;
