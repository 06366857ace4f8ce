//! The Hawkeye customer cache: which Hawkeye probes belong to a client and are monitored (spec `hawkeye-customer-cache`).
//!
//! Every few hours the probes are listed ([`probes`]), checked one by one against Bruin ([`check`]) and stored as one list
//! in a Redis of their own ([`store`]). [`refresh`] is the job that does it; [`serving`] answers
//! `hawkeye.customer.cache.get` from the stored list. [`report`] and [`trouble`] write the texts for people. What it has in
//! common with the customer cache of VeloCloud's edges is in `libs/caching`.

pub mod asking;
pub mod check;
pub mod config;
pub mod device;
pub mod probes;
pub mod refresh;
pub mod report;
pub mod serving;
pub mod store;
pub mod trouble;

use std::sync::Arc;

use caching::Notifier;
use contracts::hawkeye_customer_cache::GetHawkeyeCustomerCache;
use prometheus::Gauge;
use runtime::{AtStart, Context, Service};

use crate::{config::Config, refresh::Refresh, store::Store};

/// The service.
#[derive(Debug)]
pub struct HawkeyeCustomerCache;

runtime::service!(HawkeyeCustomerCache);

impl Service for HawkeyeCustomerCache {
    const NAME: &'static str = "hawkeye-customer-cache";
    const ABOUT: &'static str =
        "Crosses Hawkeye's probes with Bruin's inventory and serves the monitored ones";
    type Config = Config;

    async fn start(ctx: Context, config: Config) -> anyhow::Result<()> {
        let redis = caching::open(&config.redis, "REDIS_CUSTOMER_CACHE_HOSTNAME").await?;
        let environment = ctx.process.environment_name.clone();
        let store = Store::new(redis, &environment);
        let refreshed = Gauge::new(
            "hawkeye_customer_cache_refreshed_timestamp_seconds",
            "When the cached devices were last refreshed, Unix time; 0: never",
        )?;
        ctx.metrics.register(Box::new(refreshed.clone()))?;
        let bus = ctx.connect().await?;
        let serving = store.clone();
        bus.serve::<GetHawkeyeCustomerCache, _, _>(move |call| {
            let store = serving.clone();
            async move { serving::answer(&store, &call.request).await }
        })
        .await?;
        let interval = config.refresh_interval;
        let refresh = Arc::new(Refresh {
            notifier: Notifier::new(bus.clone(), Self::NAME),
            bus,
            store,
            config,
            environment,
            clock: ctx.clock.clone(),
            stop: ctx.stop.clone(),
            refreshed,
            failures: 0.into(),
        });
        refresh.recall().await?;
        ctx.schedule().every("refresh", interval, AtStart::Yes, move || {
            let refresh = refresh.clone();
            async move { refresh.run().await }
        });
        Ok(())
    }
}
