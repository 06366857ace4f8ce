//! Detects VeloCloud edges that are down, keeps their tickets, and resolves them when the network has healed
//! (spec `service-outage-monitor`).
//!
//! The process reads like this: [`config`] is what it is told; [`edges`] and [`events`] are the facts; [`rules`] are pure
//! functions from facts to decisions, one file for each section of the specification; [`action`] is what can be done. A
//! [`question`] is what is recorded of the facts, and [`replay`] asks it again.
//! Around them lies the [`shell`]: questions ([`reads`]), actions ([`hands`]), Slack, metrics.
//!
//! One program, two modes, chosen by `ENABLE_TRIAGE_MONITORING`; a process runs exactly one:
//! - outage monitoring: [`monitor`] gathers facts, asks the rules and acts, in three kinds of jobs: `cycle`, `recheck` after
//!   [`quarantine`], and `forwarding` of what [`forwards`] keeps. `resume` takes up what a former leader left
//!   [`unfinished`]. [`shadow`] says what a shadow expects its live twin to find.
//! - [`triage`] keeps the open tickets informative.

pub mod action;
pub mod config;
mod cycle;
pub mod edges;
pub mod events;
mod forwarding;
pub mod forwards;
pub mod hands;
mod healing;
pub mod metrics;
pub mod monitor;
pub mod quarantine;
pub mod question;
pub mod reads;
mod recheck;
mod remedies;
pub mod replay;
mod resume;
pub mod rules;
#[cfg(test)]
mod sample;
pub mod seen;
pub mod shadow;
pub mod shell;
pub mod slack;
pub mod store;
pub mod triage;
pub mod unfinished;

use std::sync::Arc;

use anyhow::Context as _;
use runtime::{Context, Service};

use crate::{config::Settings, monitor::Monitor, triage::Triage};

/// The service, in either mode.
pub struct ServiceOutageMonitor;

runtime::service!(ServiceOutageMonitor);

impl Service for ServiceOutageMonitor {
    const NAME: &'static str = "service-outage-monitor";
    const ABOUT: &'static str =
        "Detects edges that are down, keeps their tickets, and resolves them when the network has healed";
    type Config = Settings;

    async fn start(ctx: Context, settings: Settings) -> anyhow::Result<()> {
        let bus = ctx.connect().await?;
        let mode = ctx.process.decision_mode;
        match settings {
            Settings::Outage(config) => {
                tracing::info!(host = config.host, %mode, "monitoring outages");
                let monitor = Monitor::new(ctx, bus, *config).context("cannot wire the monitor")?;
                Arc::new(monitor).start();
            }
            Settings::Triage(config) => {
                tracing::info!(hosts = ?config.hosts, %mode, "keeping open tickets informative");
                let triage = Triage::new(ctx, bus, config).context("cannot wire triage")?;
                Arc::new(triage).start();
            }
        }
        Ok(())
    }
}
