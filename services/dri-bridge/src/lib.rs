//! The gateway between NATS and the DRI API; spec `dri-bridge`.
//!
//! DRI fetches parameters from a device in its own time: asking creates a task, its result is asked for later. A caller
//! repeats one request until the data are there. `contracts::dri` validates it, `fetching` finds the device's
//! task ([`task`]: remembered in Redis, shared with old replicas) or creates one under a lock, and asks for its result;
//! [`api`] has the calls and what their answers mean.

pub mod api;
pub mod config;
mod fetching;
mod login;
pub mod task;
mod usage;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use bus::RedisLink;
use contracts::dri::GetParameters;
use runtime::{Context, Service};
use upstream::{Settings, Upstream};

use crate::config::Config;
use crate::fetching::Fetching;
use crate::login::PasswordLogin;
use crate::task::Tasks;
use crate::usage::ApiUsage;

/// Limit of one call, also for the login it may need (Improve 5).
const CALL_WITHIN: Duration = Duration::from_secs(30);

/// The service.
#[derive(Debug)]
pub struct DriBridge;

runtime::service!(DriBridge);

impl Service for DriBridge {
    const NAME: &'static str = "dri-bridge";
    const ABOUT: &'static str = "Fetches parameters of devices from DRI";
    type Config = Config;

    async fn start(ctx: Context, config: Config) -> anyhow::Result<()> {
        let bus = ctx.connect().await?;
        let redis = Arc::new(RedisLink::open(&ctx.process.redis)?);
        let tasks = Tasks::new(redis, &ctx.process.environment_name, config.task_life);
        let dri = dri(&ctx, config)?;
        dri.first_login().await;
        ctx.spawn("login", dri.login_in_background(ctx.stop.clone()));

        let fetching = Arc::new(Fetching { dri, tasks });
        bus.serve::<GetParameters, _, _>(move |call| {
            let fetching = Arc::clone(&fetching);
            async move { fetching.answer(&call.request, call.deadline).await }
        })
        .await?;
        Ok(())
    }
}

fn dri(ctx: &Context, config: Config) -> anyhow::Result<Upstream> {
    let usage = ApiUsage::register(&ctx.metrics).context("metrics of the DRI API")?;
    let settings = Settings {
        overrides: ctx.process.overrides.clone(),
        timeout: CALL_WITHIN,
        ..Settings::new("dri", config.base_url)
    };
    let Config { username, password, .. } = config;
    let login = PasswordLogin { username, password, usage: usage.clone() };
    let dri = Upstream::new(settings, login, &ctx.metrics)?;
    dri.on_start(move |call| usage.count(call.method.as_str(), call.route));
    Ok(dri)
}
