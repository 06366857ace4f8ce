//! The gateway between NATS and the Hawkeye (Ixia) API; spec `hawkeye-bridge`.
//!
//! `contracts::hawkeye` validates a request; [`probes`] and [`test_results`] answer it with what [`hawkeye`] reads: lists,
//! page by page ([`paging`]), and details. [`failure`] words what goes wrong. Hawkeye's records are passed on as they
//! came. Everything is a read; nothing is stored.

pub mod config;
pub mod failure;
pub mod hawkeye;
pub mod login;
pub mod paging;
pub mod probes;
pub mod test_results;

use std::sync::Arc;

use bus::Limits;
use contracts::hawkeye::{Probes, TestResults};
use runtime::{Context, Service};
use tokio::time::Instant;

use crate::config::Config;
use crate::hawkeye::Hawkeye;

/// Requests handled at the same time; more wait (Improve 9).
const REQUESTS: usize = 32;
/// The part of a request's time that is kept for the reply, so that what was read so far is still sent.
const KEPT_FOR_REPLY: u32 = 10;

/// The service.
#[derive(Debug)]
pub struct HawkeyeBridge;

runtime::service!(HawkeyeBridge);

impl Service for HawkeyeBridge {
    const NAME: &'static str = "hawkeye-bridge";
    const ABOUT: &'static str = "Answers requests about probes and their test results from Hawkeye";
    type Config = Config;

    async fn start(ctx: Context, config: Config) -> anyhow::Result<()> {
        let max_payload_in = ctx.process.max_payload;
        let limits = Limits { in_flight: REQUESTS, max_payload_in, ..Limits::default() };
        let bus = ctx.connect_with(limits).await?;
        let hawkeye = Arc::new(Hawkeye::new(&ctx, &config)?);
        hawkeye.upstream.first_login().await;
        ctx.spawn("session", hawkeye.upstream.login_in_background(ctx.stop.clone()));

        let probes = Arc::clone(&hawkeye);
        bus.serve::<Probes, _, _>(move |call| {
            let hawkeye = Arc::clone(&probes);
            async move { probes::answer(&hawkeye, &call.request, reading_ends(call.deadline)).await }
        })
        .await?;
        bus.serve::<TestResults, _, _>(move |call| {
            let hawkeye = Arc::clone(&hawkeye);
            async move { test_results::answer(&hawkeye, &call.request, reading_ends(call.deadline)).await }
        })
        .await?;
        Ok(())
    }
}

/// When reading ends for a reply that is due at `deadline`.
fn reading_ends(deadline: Instant) -> Instant {
    deadline - deadline.saturating_duration_since(Instant::now()) / KEPT_FOR_REPLY
}
