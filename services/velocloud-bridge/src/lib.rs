//! The gateway between NATS and the VeloCloud Orchestrators (VCO hosts); spec `velocloud-bridge`.
//!
//! A request goes through four files: `contracts::velocloud` validates it, [`portal`] turns it into one call to one host
//! (names: to all hosts), [`vco`] makes the call with that host's session, [`outcome`] and the subject's own file
//! ([`events`], [`links`], [`enterprises`], [`gateways`]) turn the answer into the reply. VeloCloud's JSON is never
//! parsed further than [`raw`] needs for adding `host`.

pub mod config;
pub mod credentials;
pub mod enterprises;
pub mod events;
pub mod gateways;
pub mod links;
pub mod outcome;
pub mod portal;
pub mod raw;
mod rendering;
pub mod session;
pub mod vco;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use bus::{Bus, ServeError};
use contracts::velocloud::{
    EdgeEvents, EdgeLinksSeries, EnterpriseEdges, EnterpriseEvents, EnterpriseNames, GatewayStatusMetrics,
    LinksConfiguration, LinksMetricInfo, LinksWithEdgeInfo, NetworkEnterpriseEdges, NetworkGatewayList,
};
use futures::future::join_all;
use runtime::{Context, Service};

use crate::config::Config;
use crate::credentials::Credentials;
use crate::portal::{Hosts, Portal};
use crate::vco::Vco;

/// How long the start waits for the first logins. A host that is slower or down is served later (Improve 5).
const FIRST_LOGINS_WITHIN: Duration = Duration::from_secs(5);

/// The service.
#[derive(Debug)]
pub struct VelocloudBridge;

runtime::service!(VelocloudBridge);

impl Service for VelocloudBridge {
    const NAME: &'static str = "velocloud-bridge";
    const ABOUT: &'static str = "Answers requests about edges, links, events and enterprises from VeloCloud";
    type Config = Config;

    async fn start(ctx: Context, config: Config) -> anyhow::Result<()> {
        let bus = ctx.connect().await?;
        let vco = |host: &Credentials| {
            Vco::new(host, &ctx.process.overrides, ctx.process.max_payload, &ctx.metrics)
                .with_context(|| host.host.clone())
                .map(Arc::new)
        };
        let vcos: anyhow::Result<Vec<_>> = config.hosts.iter().map(vco).collect();
        let hosts = Arc::new(Hosts::new(vcos?));
        // Sessions first, subscriptions after, so that the first requests do not find every host logged out.
        let logins = join_all(hosts.all().iter().map(|vco| vco.login()));
        if tokio::time::timeout(FIRST_LOGINS_WITHIN, logins).await.is_err() {
            tracing::warn!("not all hosts have answered the login yet, starting without them");
        }
        for vco in hosts.all() {
            ctx.spawn("session", vco.keep_session(ctx.stop.clone()));
        }
        serve(&bus, &hosts).await?;
        Ok(())
    }
}

async fn serve(bus: &Bus, hosts: &Arc<Hosts>) -> Result<(), ServeError> {
    one::<EdgeEvents>(bus, hosts).await?;
    one::<EnterpriseEvents>(bus, hosts).await?;
    one::<LinksWithEdgeInfo>(bus, hosts).await?;
    one::<LinksMetricInfo>(bus, hosts).await?;
    let all = Arc::clone(hosts);
    bus.serve::<EnterpriseNames, _, _>(move |call| {
        let all = Arc::clone(&all);
        async move { enterprises::names(&all, &call.request.filter).await }
    })
    .await?;
    one::<EnterpriseEdges>(bus, hosts).await?;
    one::<LinksConfiguration>(bus, hosts).await?;
    one::<EdgeLinksSeries>(bus, hosts).await?;
    one::<NetworkEnterpriseEdges>(bus, hosts).await?;
    one::<NetworkGatewayList>(bus, hosts).await?;
    one::<GatewayStatusMetrics>(bus, hosts).await
}

async fn one<R: Portal>(bus: &Bus, hosts: &Arc<Hosts>) -> Result<(), ServeError> {
    let hosts = Arc::clone(hosts);
    bus.serve::<R, _, _>(move |call| {
        let hosts = Arc::clone(&hosts);
        async move { hosts.answer::<R>(call.request).await }
    })
    .await
}
