//! The refresh job (spec `customer-cache`, Behaviour 1 and 6, and Improve 3, 6 to 8 and 10).
//!
//! A tick looks whether a refresh is due, and does it under a lease, so that of several replicas one refreshes. Hosts
//! that failed are tried again with the next tick; all others wait for the whole interval. A stored list is only ever
//! replaced as a whole, and never by one that is empty because of a failure upstream.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use bus::{Bus, StoreError};
use caching::{Attempts, Done, Notifier};
use chrono_tz::Tz;
use contracts::{
    customer_cache::{CachedEdge, EdgeIdentity},
    id::Serial,
};
use futures::{StreamExt, future, stream};
use parking_lot::Mutex;
use runtime::Clock;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::{
    check::{self, Verdict},
    config::Config,
    crossing::{self, Cleanup},
    entry::Entry,
    listing::{self, ListedEdge},
    report::{self, Inventories},
    store::Store,
    trouble::Troubles,
};

/// From this attempt on people are told that VeloCloud lists no edge at all.
const TELL_FROM_ATTEMPT: u32 = 10;

/// Refreshes the lists.
pub struct Refresh {
    /// The connection to the fleet.
    pub bus: Bus,
    /// Where the lists are.
    pub store: Store,
    /// The settings.
    pub config: Config,
    /// `ENVIRONMENT_NAME`.
    pub environment: String,
    /// `TIMEZONE`.
    pub timezone: Tz,
    /// The service's clock.
    pub clock: Clock,
    /// Cancelled when the process is to stop.
    pub stop: CancellationToken,
    /// Tells people.
    pub notifier: Notifier,
    /// The inventories that were last told, so that they are told once for each change (Improve 7).
    pub told: Mutex<Inventories>,
}

/// Which hosts a tick refreshes.
#[derive(Debug, PartialEq, Eq)]
enum Due {
    Nothing,
    /// The regular refresh.
    All,
    /// Hosts whose last refresh failed.
    Retry(Vec<String>),
}

/// What one host's refresh came to.
struct HostRefresh {
    host: String,
    failed: bool,
    inventories: Inventories,
}

impl Refresh {
    /// One tick of the schedule.
    ///
    /// # Errors
    /// When the store cannot be asked; the next tick tries again.
    pub async fn tick(&self) -> anyhow::Result<()> {
        if self.due().await? == Due::Nothing {
            return Ok(());
        }
        let lock = &self.store.lease();
        let attempts = Attempts { lock, clock: &self.clock, stop: &self.stop, until: None };
        caching::refresh_until_done(attempts, |number| self.refresh(number)).await?;
        Ok(())
    }

    async fn due(&self) -> Result<Due, StoreError> {
        let next = self.store.next_refresh().await?;
        if next.is_none_or(|next| self.clock.now() > next) {
            return Ok(Due::All);
        }
        let failed = self.store.failed_hosts().await?;
        let hosts: Vec<String> =
            self.config.hosts.iter().filter(|host| failed.contains(host)).cloned().collect();
        Ok(if hosts.is_empty() { Due::Nothing } else { Due::Retry(hosts) })
    }

    /// Refreshes what is due; not done when no host listed any edge, so that the refresh is to be repeated. What is due is
    /// asked again under the lease: another replica may just have finished.
    async fn refresh(&self, attempt: u32) -> anyhow::Result<Done> {
        let due = self.due().await?;
        let hosts = match &due {
            Due::Nothing => return Ok(Done::Yes),
            Due::All => self.config.hosts.clone(),
            Due::Retry(hosts) => hosts.clone(),
        };
        let troubles = Arc::new(Troubles::default());
        let listed = self.list(&hosts, &troubles).await;
        if listed.values().flatten().all(Vec::is_empty) {
            if due == Due::All {
                if attempt >= TELL_FROM_ATTEMPT {
                    self.notifier.slack(&report::no_edges_alert(&self.environment, attempt)).await;
                }
                self.tell(&troubles).await;
                return Ok(Done::No);
            }
            self.tell(&troubles).await;
            return Ok(Done::Yes);
        }
        let checks = Semaphore::new(self.config.edge_checks);
        let refreshes = hosts.iter().map(|host| {
            let edges = listed.get(host).cloned().flatten();
            self.refresh_host(host, edges, &checks, &troubles)
        });
        let results = future::join_all(refreshes).await;
        let mut inventories = Inventories::new();
        for result in results {
            self.store.set_failed(&result.host, result.failed).await?;
            inventories.extend(result.inventories);
        }
        if due == Due::All {
            let interval = chrono::Duration::from_std(self.config.refresh_interval)?;
            self.store.set_next_refresh(self.clock.now() + interval).await?;
        }
        self.tell(&troubles).await;
        self.tell_inventories(inventories, due == Due::All).await;
        Ok(Done::Yes)
    }

    /// The edges of each host; `None` for a host whose list could not be had. A serial belongs to the first host that
    /// lists it, in configuration order.
    async fn list(&self, hosts: &[String], troubles: &Troubles) -> HashMap<String, Option<Vec<ListedEdge>>> {
        let rows = future::join_all(hosts.iter().map(|host| listing::rows(&self.bus, host, troubles))).await;
        let mut seen = HashSet::new();
        let mut listed: Vec<(String, Option<Vec<ListedEdge>>)> = hosts
            .iter()
            .zip(rows)
            .map(|(host, rows)| {
                let edges =
                    rows.map(|rows| listing::reduce(&rows, &self.config.blacklisted_edges, &mut seen));
                (host.clone(), edges)
            })
            .collect();
        let enriching = listed.iter_mut().filter_map(|(host, edges)| {
            let edges = edges.as_mut()?;
            Some(listing::enrich(&self.bus, host, edges, self.config.velocloud_requests, troubles))
        });
        future::join_all(enriching).await;
        listed.into_iter().collect()
    }

    async fn refresh_host(
        &self,
        host: &str,
        edges: Option<Vec<ListedEdge>>,
        checks: &Semaphore,
        troubles: &Troubles,
    ) -> HostRefresh {
        let mut refresh =
            HostRefresh { host: host.to_owned(), failed: true, inventories: Inventories::new() };
        let Some(edges) = edges else { return refresh };
        let serials: HashSet<Serial> =
            edges.iter().flat_map(|edge| edge.partner.iter().chain([&edge.serial])).cloned().collect();
        let (new, invalid, inventories) = self.check_all(edges, checks, troubles).await;
        refresh.inventories = inventories;
        if new.is_empty() {
            tracing::error!(host, "no edge is left after crossing with Bruin; the stored list stays");
            self.notifier.slack(&report::empty_host_alert(&self.environment, host)).await;
            // A host that lists nothing did not fail; one whose edges are all unknown or invalid is looked at again.
            refresh.failed = !serials.is_empty();
            return refresh;
        }
        match self.store_host(host, new, &invalid, &serials).await {
            Ok(()) => refresh.failed = false,
            Err(error) => tracing::error!(host, %error, "the host's list could not be stored"),
        }
        refresh
    }

    /// Checks all edges of a host; the entries of the monitored ones in list order, and the invalid identities.
    async fn check_all(
        &self,
        edges: Vec<ListedEdge>,
        checks: &Semaphore,
        troubles: &Troubles,
    ) -> (Vec<Entry>, HashSet<EdgeIdentity>, Inventories) {
        let now = self.clock.now();
        let mut checked = stream::iter(edges)
            .map(|edge| async move {
                let (identity, serial) = (edge.edge.clone(), edge.serial.clone());
                // Never closed, so a permit always comes.
                let _permit = checks.acquire().await.ok();
                let (verdict, several) =
                    check::check(&self.bus, &self.config, edge, now, self.timezone, troubles).await;
                (identity, serial, verdict, several)
            })
            .buffered(self.config.edge_checks);
        let (mut entries, mut invalid, mut inventories) = (Vec::new(), HashSet::new(), Inventories::new());
        while let Some((identity, serial, verdict, several)) = checked.next().await {
            if !several.is_empty() {
                inventories.insert(serial, several);
            }
            match verdict {
                Verdict::Monitored(edge) => entries.extend(Entry::new(&edge)),
                Verdict::Invalid => {
                    invalid.insert(identity);
                }
                Verdict::Unknown => {}
            }
        }
        (entries, invalid, inventories)
    }

    /// Crosses the new list with the stored one, stores the result, and mails the snapshots.
    async fn store_host(
        &self,
        host: &str,
        new: Vec<Entry>,
        invalid: &HashSet<EdgeIdentity>,
        listed: &HashSet<Serial>,
    ) -> anyhow::Result<()> {
        let stored = match self.store.list(host).await? {
            Some(text) => caching::read_list(&text)?.0,
            None => Vec::new(),
        };
        let missing = self.store.missing(host).await?;
        let cleanup = Cleanup {
            invalid,
            blacklist: &self.config.blacklisted_edges,
            listed,
            missing: &missing,
            drop_after: self.config.drop_missing_after,
        };
        let old: Vec<CachedEdge> = stored.iter().filter_map(Entry::cached).collect();
        let crossing = crossing::cross(stored, crossing::with_standbys(new), &cleanup);
        self.store.put_list(host, &crossing.kept).await?;
        self.store.set_missing(host, &crossing.missing).await?;
        tracing::info!(host, edges = crossing.kept.len(), "the host's list is refreshed");
        let crossed: Vec<CachedEdge> = crossing.crossed.iter().filter_map(Entry::cached).collect();
        let mail = report::snapshot(
            &self.environment,
            host,
            self.clock.now(),
            &self.config.recipient,
            &old,
            &crossed,
        )?;
        self.notifier.mail(mail).await;
        Ok(())
    }

    async fn tell(&self, troubles: &Troubles) {
        for text in troubles.texts(&self.environment) {
            self.notifier.slack(&text).await;
        }
    }

    /// Tells of serials with several inventory items, once for each change. A retry of single hosts knows only their
    /// serials, so it tells nothing.
    async fn tell_inventories(&self, inventories: Inventories, complete: bool) {
        if !complete {
            return;
        }
        let changed = {
            let mut told = self.told.lock();
            let changed = *told != inventories;
            told.clone_from(&inventories);
            changed
        };
        if changed && !inventories.is_empty() {
            self.notifier.slack(&report::multiple_inventories_alert(&inventories)).await;
            let now = self.clock.now();
            let mail = report::multiple_inventories(now, &self.config.recipient, &inventories);
            self.notifier.mail(mail).await;
        }
    }
}
