//! The customer cache: which VeloCloud edges belong to actively monitored clients (spec `customer-cache`).
//!
//! Every few hours the edges of all configured hosts are listed ([`listing`]), checked one by one against Bruin
//! ([`check`]), laid over the stored list ([`crossing`]) and stored, one list for each host, in a Redis of their own
//! ([`store`]). [`refresh`] is the job that does it; [`serving`] answers `customer.cache.get` from the stored lists.
//! [`report`] and [`trouble`] write the texts for people; [`rows`] reads lists with odd elements.

pub mod check;
pub mod config;
pub mod crossing;
pub mod entry;
pub mod listing;
pub mod offset;
pub mod refresh;
pub mod report;
pub mod serving;
pub mod store;
pub mod trouble;

use std::sync::Arc;

use caching::Notifier;
use contracts::customer_cache::GetCustomerCache;
use runtime::{AtStart, Context, Service};

use crate::{config::Config, refresh::Refresh, serving::Serving, store::Store};

/// The service.
pub struct CustomerCache;

runtime::service!(CustomerCache);

impl Service for CustomerCache {
    const NAME: &'static str = "customer-cache";
    const ABOUT: &'static str =
        "Crosses VeloCloud's edges with Bruin's inventory and serves the monitored ones";
    type Config = Config;

    async fn start(ctx: Context, config: Config) -> anyhow::Result<()> {
        let redis = caching::open(&config.redis, "REDIS_CUSTOMER_CACHE_HOSTNAME").await?;
        let environment = ctx.process.environment_name.clone();
        let store = Store::new(redis, &environment);
        let bus = ctx.connect().await?;
        let serving = Arc::new(Serving::new(store.clone(), config.hosts.clone()));
        bus.serve::<GetCustomerCache, _, _>(move |call| {
            let serving = serving.clone();
            async move { serving.answer(call.request).await }
        })
        .await?;
        let check_interval = config.check_interval;
        let refresh = Arc::new(Refresh {
            notifier: Notifier::new(bus.clone(), Self::NAME),
            bus,
            store,
            environment,
            timezone: config.timezone,
            clock: ctx.clock.clone(),
            stop: ctx.stop.clone(),
            told: parking_lot::Mutex::default(),
            told_failures: parking_lot::Mutex::default(),
            config,
        });
        ctx.schedule().every("refresh", check_interval, AtStart::Yes, move || {
            let refresh = refresh.clone();
            async move { refresh.tick().await }
        });
        Ok(())
    }
}
