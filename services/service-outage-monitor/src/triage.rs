//! Triage mode: keeps the open Service Outage tickets informative (spec `service-outage-monitor-triage`).
//!
//! Every ten minutes it walks over all open tickets of the monitored clients. A line of a monitored edge without triage note
//! gets one, or the last day's events when the edge is healthy again; a line which has one gets the events that happened
//! since, at most every 30 minutes. It never creates, resolves, forwards or changes tickets.
//!
//! - [`config`] is what it is told; [`lines`] says which tickets, lines and notes count.
//! - [`rules`] decides for one line; [`documented`] reads in its notes which events are known already; [`events_note`]
//!   writes the others down.
//! - [`Triage`] is the shell: `cycle` gathers the facts, `writing` acts on one line.

pub mod config;
mod cycle;
pub mod documented;
pub mod events_note;
pub mod lines;
pub mod rules;
mod writing;

use bus::Bus;
use runtime::Context;

use crate::shell::Shell;
use config::Config;

/// The service in triage mode: one process for all VeloCloud hosts.
pub struct Triage {
    shell: Shell,
    config: Config,
}

impl Triage {
    /// Wires it.
    ///
    /// # Errors
    /// When metrics are registered twice.
    pub fn new(ctx: Context, bus: Bus, config: Config) -> anyhow::Result<Self> {
        let shell =
            Shell::new(ctx, bus, config.common.clone(), config.set.clone(), crate::replay::TRIAGE, "triage")?;
        Ok(Self { shell, config })
    }
}
