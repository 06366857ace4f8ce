//! The gateway between NATS and the DiGi Reboot API; spec `digi-bridge`.
//!
//! `contracts::digi` validates a request, [`recovery`] makes it a call whose parameters are headers, `upstream` sends it
//! with the token of [`login`], [`recovery`] evaluates the answer. A reboot is never sent twice for one `request_id`: the
//! bus remembers the replies to writes and joins duplicates in flight.

pub mod config;
pub mod login;
pub mod recovery;

use std::sync::Arc;
use std::time::Duration;

use bus::{Call, Reply};
use contracts::digi::{Reboot, RebootRequest, RecoveryLogs, RecoveryLogsRequest};
use runtime::{Context, Service};
use serde_json::value::RawValue;
use upstream::{CallError, Response, Settings, Upstream};

use crate::config::Config;
use crate::login::ClientLogin;

/// Limit of one call, also for the login it may need; callers wait 90 s (Improve 11).
const CALL_WITHIN: Duration = Duration::from_secs(80);

/// The service.
#[derive(Debug)]
pub struct DigiBridge;

runtime::service!(DigiBridge);

impl Service for DigiBridge {
    const NAME: &'static str = "digi-bridge";
    const ABOUT: &'static str = "Reboots edges through their DiGi units and reads the recovery logs";
    /// Only logs have it (spec, Configuration).
    const NAMES_ENVIRONMENT: bool = false;
    type Config = Config;

    async fn start(ctx: Context, config: Config) -> anyhow::Result<()> {
        let bus = ctx.connect().await?;
        let digi = Arc::new(Digi::new(&ctx, &config)?);
        digi.upstream.first_login().await;
        ctx.spawn("login", digi.upstream.login_in_background(ctx.stop.clone()));

        let reboots = Arc::clone(&digi);
        bus.serve::<Reboot, _, _>(move |call| {
            let digi = Arc::clone(&reboots);
            async move { digi.reboot(call).await }
        })
        .await?;
        bus.serve::<RecoveryLogs, _, _>(move |call| {
            let digi = Arc::clone(&digi);
            async move { digi.logs(call).await }
        })
        .await?;
        Ok(())
    }
}

/// The DiGi API.
struct Digi {
    upstream: Upstream,
    dry_run: bool,
}

impl Digi {
    fn new(ctx: &Context, config: &Config) -> anyhow::Result<Self> {
        let settings = Settings {
            overrides: ctx.process.overrides.clone(),
            timeout: CALL_WITHIN,
            verify_tls: config.verify_tls,
            ca_file: config.ca_file.clone(),
            ..Settings::new("digi", config.base_url.clone())
        };
        let login = ClientLogin::new(config, &ctx.metrics)?;
        let upstream = Upstream::new(settings, login, &ctx.metrics)?;
        Ok(Self { upstream, dry_run: ctx.process.is_dry_run() })
    }

    async fn reboot(&self, call: Call<RebootRequest>) -> Reply {
        let Call { request, request_id, deadline, .. } = call;
        let RebootRequest { velo_serial, ticket, .. } = &request;
        if self.dry_run {
            tracing::info!(%velo_serial, %ticket, %request_id, "dry run: a reboot is not sent");
            return recovery::dry_run_reply(&request);
        }
        let sent = self.upstream.send(recovery::reboot_call(&request, &request_id).until(deadline)).await;
        let reply = settle(sent, recovery::reboot_reply);
        tracing::info!(%velo_serial, %ticket, %request_id, status = reply.code(), "reboot requested");
        reply
    }

    async fn logs(&self, call: Call<RecoveryLogsRequest>) -> Reply {
        let sent = self.upstream.send(recovery::logs_call(&call.request).until(call.deadline)).await;
        settle(sent, recovery::logs_reply)
    }
}

/// The reply to what came of a call. What surely was not executed is not remembered, so a repeated request tries again.
fn settle(sent: Result<Response, CallError>, evaluate: fn(u16, Option<Box<RawValue>>) -> Reply) -> Reply {
    match sent {
        Ok(response) => {
            let reply = evaluate(response.status, response.json_raw());
            if response.session_refused { reply.not_executed() } else { reply }
        }
        Err(error) => {
            tracing::warn!(%error, "call to DiGi failed");
            let reply = match &error {
                CallError::NoSession(_) => Reply::text(500, "Missing BEARER token"),
                error => Reply::text(500, &format!("DiGi: {error}")),
            };
            if error.surely_not_executed() { reply.not_executed() } else { reply }
        }
    }
}
