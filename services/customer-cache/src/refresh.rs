//! The refresh job (spec `customer-cache`, Behaviour 1 and 6, and Improve 3, 6 to 8 and 10).
//!
//! A tick looks whether a refresh is due, and does it under a lease, so that of several replicas one refreshes. Hosts
//! that failed are tried again with the next tick; all others wait for the whole interval. When the refreshing replica
//! dies, another one that stands by begins anew. A stored list is only ever replaced as a whole, and never by one that is
//! empty because of a failure upstream.

use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
};

use bus::{Bus, StoreError};
use caching::{Attempts, Done, Notifier};
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use contracts::{
    customer_cache::{CachedEdge, EdgeIdentity},
    id::Serial,
};
use futures::{StreamExt, future, stream};
use indexmap::IndexMap;
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
    trouble::{Kind, Troubles},
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
    /// The failures that were told since the last regular refresh, so that a host which stays down is not told with each
    /// tick that tries it again (Improve 6).
    pub told_failures: Mutex<Failures>,
}

/// What failed.
#[derive(Debug, Default)]
pub struct Failures {
    /// What could not be asked, and for what.
    troubles: BTreeSet<(Kind, String)>,
    /// The hosts of which no edge was left.
    empty: BTreeSet<String>,
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

/// What VeloCloud lists.
struct Listing {
    /// The edges, by the host that their rows name (Behaviour 1.5): a host without edges is in no group.
    groups: IndexMap<String, Vec<ListedEdge>>,
    /// The asked hosts whose list was had, though perhaps an empty one.
    complete: HashSet<String>,
}

/// What one host's refresh came to.
struct HostRefresh {
    host: String,
    failed: bool,
    /// Whether no edge was left.
    empty: bool,
    inventories: Inventories,
}

/// What Bruin says of a host's edges.
#[derive(Default)]
struct Checked {
    /// Entries of the monitored edges, in list order.
    monitored: Vec<Entry>,
    /// Identities of those that are not monitored (any more).
    invalid: HashSet<EdgeIdentity>,
    /// How many edges Bruin could not tell of.
    unknown: usize,
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
        let began = self.clock.now();
        caching::refresh_until_done(attempts, || self.is_left(began), |number| self.refresh(number)).await?;
        Ok(())
    }

    /// Whether another replica has left anything to do since this tick began. A retry that failed there again waits for
    /// the next tick.
    async fn is_left(&self, began: DateTime<Utc>) -> anyhow::Result<bool> {
        Ok(match self.due().await? {
            Due::Nothing => false,
            Due::All => true,
            Due::Retry(_) => self.store.ended().await?.is_none_or(|ended| ended < began),
        })
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
        let seen = self.stored_elsewhere(&hosts).await?;
        let Listing { groups, complete } = self.list(&hosts, seen, &troubles).await;
        if due == Due::All && groups.is_empty() {
            if attempt >= TELL_FROM_ATTEMPT {
                self.notifier.slack(&report::no_edges_alert(&self.environment, attempt)).await;
            }
            self.tell(&troubles, BTreeSet::new(), true).await;
            return Ok(Done::No);
        }
        let checks = Semaphore::new(self.config.edge_checks);
        let refreshes = groups.into_iter().map(|(host, edges)| {
            let complete = complete.contains(&host);
            self.refresh_host(host, edges, complete, &checks, &troubles)
        });
        let results = future::join_all(refreshes).await;
        let failed: HashSet<&String> =
            results.iter().filter(|result| result.failed).map(|result| &result.host).collect();
        for host in &hosts {
            self.store.set_failed(host, failed.contains(host) || !complete.contains(host)).await?;
        }
        let now = self.clock.now();
        if due == Due::All {
            let interval = chrono::Duration::from_std(self.config.refresh_interval)?;
            self.store.set_next_refresh(now + interval).await?;
        }
        self.store.set_ended(now).await?;
        let empty = results.iter().filter(|result| result.empty).map(|result| result.host.clone()).collect();
        self.tell(&troubles, empty, due == Due::All).await;
        let inventories = results.into_iter().flat_map(|result| result.inventories).collect();
        self.tell_inventories(inventories, due == Due::All).await;
        Ok(Done::Yes)
    }

    /// The serials that are stored for the configured hosts other than `hosts`, to which they belong: a refresh of some
    /// hosts must not list them a second time.
    async fn stored_elsewhere(&self, hosts: &[String]) -> Result<HashSet<Serial>, StoreError> {
        let mut serials = HashSet::new();
        for host in self.config.hosts.iter().filter(|host| !hosts.contains(host)) {
            serials.extend(self.store.entries(host).await?.iter().map(|entry| entry.serial.clone()));
        }
        Ok(serials)
    }

    /// The edges of the hosts. A serial belongs to the first host that lists it, in configuration order; those which are
    /// `seen` already are left out.
    async fn list(&self, hosts: &[String], mut seen: HashSet<Serial>, troubles: &Troubles) -> Listing {
        let rows = future::join_all(hosts.iter().map(|host| listing::rows(&self.bus, host, troubles))).await;
        let mut listing = Listing { groups: IndexMap::new(), complete: HashSet::new() };
        for (host, rows) in hosts.iter().zip(rows) {
            let Some(rows) = rows else { continue };
            listing.complete.insert(host.clone());
            for edge in listing::reduce(&rows, &self.config.blacklisted_edges, &mut seen) {
                listing.groups.entry(edge.edge.host.clone()).or_default().push(edge);
            }
        }
        let enriching = listing.groups.iter_mut().map(|(host, edges)| {
            listing::enrich(&self.bus, host, edges, self.config.velocloud_requests, troubles)
        });
        future::join_all(enriching).await;
        listing
    }

    /// Refreshes one host. `complete` says that its own list was had, so that what is not in it is missing.
    async fn refresh_host(
        &self,
        host: String,
        edges: Vec<ListedEdge>,
        complete: bool,
        checks: &Semaphore,
        troubles: &Troubles,
    ) -> HostRefresh {
        let serials: HashSet<Serial> =
            edges.iter().flat_map(|edge| edge.partner.iter().chain([&edge.serial])).cloned().collect();
        let mut checked = self.check_all(edges, checks, troubles).await;
        let inventories = std::mem::take(&mut checked.inventories);
        let empty = checked.monitored.is_empty();
        let failed = if empty {
            tracing::error!(
                host,
                unknown = checked.unknown,
                "no edge is left after crossing with Bruin; the stored list stays"
            );
            // Where Bruin did tell, asking again soon brings nothing else.
            checked.unknown > 0
        } else {
            let stored = self.store_host(&host, checked, complete, &serials).await;
            stored
                .inspect_err(|error| tracing::error!(host, %error, "the host's list could not be stored"))
                .is_err()
        };
        HostRefresh { host, failed, empty, inventories }
    }

    /// Checks all edges of a host.
    async fn check_all(&self, edges: Vec<ListedEdge>, checks: &Semaphore, troubles: &Troubles) -> Checked {
        let now = self.clock.now();
        let mut verdicts = stream::iter(edges)
            .map(|edge| async move {
                let (identity, serial) = (edge.edge.clone(), edge.serial.clone());
                // Never closed, so a permit always comes.
                let _permit = checks.acquire().await.ok();
                let (verdict, several) =
                    check::check(&self.bus, &self.config, edge, now, self.timezone, troubles).await;
                (identity, serial, verdict, several)
            })
            .buffered(self.config.edge_checks);
        let mut checked = Checked::default();
        while let Some((identity, serial, verdict, several)) = verdicts.next().await {
            if !several.is_empty() {
                checked.inventories.insert(serial, several);
            }
            match verdict {
                Verdict::Monitored(edge) => checked.monitored.extend(Entry::new(&edge)),
                Verdict::Invalid => {
                    checked.invalid.insert(identity);
                }
                Verdict::Unknown => checked.unknown += 1,
            }
        }
        checked
    }

    /// Crosses the new list with the stored one, stores the result, and mails the snapshots.
    async fn store_host(
        &self,
        host: &str,
        checked: Checked,
        complete: bool,
        listed: &HashSet<Serial>,
    ) -> anyhow::Result<()> {
        let stored = match self.store.list(host).await? {
            Some(text) => caching::read_list(&text)?.0,
            None => Vec::new(),
        };
        let missing = self.store.missing(host).await?;
        let cleanup = Cleanup {
            invalid: &checked.invalid,
            blacklist: &self.config.blacklisted_edges,
            listed,
            missing: &missing,
            drop_after: if complete { self.config.drop_missing_after } else { 0 },
        };
        let old: Vec<CachedEdge> = stored.iter().filter_map(Entry::cached).collect();
        let crossing = crossing::cross(stored, crossing::with_standbys(checked.monitored), &cleanup);
        self.store.put_list(host, &crossing.kept).await?;
        if complete {
            self.store.set_missing(host, &crossing.missing).await?;
        }
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

    /// Tells of what failed; a retry only when it brings something new.
    async fn tell(&self, troubles: &Troubles, empty: BTreeSet<String>, complete: bool) {
        let failed = troubles.all();
        {
            let mut told = self.told_failures.lock();
            if complete {
                *told = Failures::default();
            } else if failed.is_subset(&told.troubles) && empty.is_subset(&told.empty) {
                return;
            }
            told.troubles.extend(failed);
            told.empty.extend(empty.iter().cloned());
        }
        for host in &empty {
            self.notifier.slack(&report::empty_host_alert(&self.environment, host)).await;
        }
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
