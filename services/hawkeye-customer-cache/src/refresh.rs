//! The refresh job (spec `hawkeye-customer-cache`, Behaviour, and Improve 1 to 6 and 8 to 10).
//!
//! A run crosses Hawkeye's probes with Bruin under a lease, again after some minutes when that fails, and ends when the
//! next one is due. The stored list is only ever replaced as a whole, and never by an empty one.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bus::Bus;
use caching::{Attempts, Done, Notifier};
use chrono::{DateTime, TimeDelta, Utc};
use contracts::{
    Rpc,
    hawkeye::{Probe, Probes, ProbesRequest},
    id::Serial,
};
use futures::{StreamExt, stream};
use prometheus::Gauge;
use runtime::Clock;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::{
    asking::Asking,
    check::{self, Verdict},
    config::Config,
    device::Device,
    probes::{self, ListedDevice},
    report::{self, Inventories},
    store::Store,
    trouble::{Kind, Troubles},
};

/// From this failed attempt on people are told.
const TELL_FROM: u32 = 10;

/// Refreshes the list.
pub struct Refresh {
    /// The connection to the fleet.
    pub bus: Bus,
    /// Where the list is.
    pub store: Store,
    /// Tells people.
    pub notifier: Notifier,
    /// The settings.
    pub config: Config,
    /// `ENVIRONMENT_NAME`.
    pub environment: String,
    /// The service's clock.
    pub clock: Clock,
    /// Cancelled when the process is to stop.
    pub stop: CancellationToken,
    /// When the list was last refreshed, Unix time; 0: never.
    pub refreshed: Gauge,
    /// Failed attempts in a row, over all runs.
    pub failures: AtomicU32,
}

/// The probes, crossed with Bruin.
struct Crossed {
    probes: usize,
    devices: Vec<Device>,
    /// Devices about which Bruin could not tell.
    unknown: usize,
    inventories: Inventories,
}

impl Refresh {
    /// One run of the schedule.
    ///
    /// # Errors
    /// When the store cannot be asked, or nothing succeeded within the interval; the next run tries again.
    pub async fn run(&self) -> anyhow::Result<()> {
        let began = self.clock.now();
        let until = began + TimeDelta::from_std(run_within(self.config.refresh_interval))?;
        let lock = &self.store.lease();
        let attempts = Attempts { lock, clock: &self.clock, stop: &self.stop, until: Some(until) };
        caching::refresh_until_done(attempts, || self.is_due(began), |_| self.attempt()).await?;
        Ok(())
    }

    /// Whether no replica has refreshed since `began`.
    async fn is_due(&self, began: DateTime<Utc>) -> anyhow::Result<bool> {
        let refreshed = self.store.refreshed().await?.filter(|at| *at >= began);
        if let Some(at) = refreshed {
            self.show(at);
        }
        Ok(refreshed.is_none())
    }

    /// The gauge of the last refresh from what is stored: a restart is no refresh.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn recall(&self) -> anyhow::Result<()> {
        if let Some(at) = self.store.refreshed().await? {
            self.show(at);
        }
        Ok(())
    }

    fn show(&self, at: DateTime<Utc>) {
        #[allow(clippy::cast_precision_loss, reason = "seconds since 1970 fit")]
        self.refreshed.set(at.timestamp() as f64);
    }

    async fn attempt(&self) -> anyhow::Result<Done> {
        let outcome = self.refresh().await;
        if matches!(outcome, Ok(Done::Yes)) {
            self.failures.store(0, Ordering::Relaxed);
            return outcome;
        }
        let failures = self.failures.fetch_add(1, Ordering::Relaxed) + 1;
        if failures >= TELL_FROM {
            self.notifier.slack(&report::too_many_failures_alert(&self.environment, failures)).await;
        }
        outcome
    }

    /// Refreshes; not done when there are no probes, or nothing is known of them.
    async fn refresh(&self) -> anyhow::Result<Done> {
        let stored = self.store.devices().await?;
        let troubles = Troubles::default();
        let crossed = self.cross_completely(&stored, &troubles).await;
        let done = match crossed {
            Some(crossed) => self.take_over(crossed, stored.len()).await?,
            None => Done::No,
        };
        for text in troubles.texts(&self.environment) {
            self.notifier.slack(&text).await;
        }
        Ok(done)
    }

    /// Crosses, and once more when the result is much shorter than what is stored: Hawkeye's list may have been a part
    /// (Improve 3). The longer result counts.
    async fn cross_completely(&self, stored: &[Device], troubles: &Troubles) -> Option<Crossed> {
        let crossed = self.cross(stored, troubles).await?;
        if !is_much_shorter(crossed.devices.len(), stored.len()) {
            return Some(crossed);
        }
        tracing::warn!(before = stored.len(), now = crossed.devices.len(), "the list shrank; once more");
        let again = self.cross(stored, troubles).await;
        Some(again.filter(|again| again.devices.len() >= crossed.devices.len()).unwrap_or(crossed))
    }

    /// Claims the probes and checks each against Bruin. `None` without probes.
    async fn cross(&self, stored: &[Device], troubles: &Troubles) -> Option<Crossed> {
        let asking = &Asking::new(&self.bus);
        let probes: Vec<Probe> =
            match asking.ask_rows::<Probes, _>(&ProbesRequest::default(), "Hawkeye").await {
                Ok(probes) => probes,
                Err(error) => {
                    troubles.note(Kind::ProbeList, Probes::SUBJECT, &error);
                    return None;
                }
            };
        if probes.is_empty() {
            troubles.say(Kind::ProbeList, Probes::SUBJECT, "the list is empty");
            return None;
        }
        let listed = probes::reporting(&probes);
        tracing::info!(probes = probes.len(), reporting = listed.len(), "checking Hawkeye's probes");
        let cached: HashMap<&Serial, &Device> =
            stored.iter().map(|device| (&device.serial, device)).collect();
        let mut checks = stream::iter(listed)
            .map(|listed| async move {
                let whitelist = &self.config.whitelisted_statuses;
                let (verdict, several) = check::check(asking, whitelist, &listed.serial, troubles).await;
                (listed, verdict, several)
            })
            .buffered(self.config.checks);
        let mut crossed = Crossed {
            probes: probes.len(),
            devices: Vec::new(),
            unknown: 0,
            inventories: Inventories::new(),
        };
        while let Some((listed, verdict, several)) = checks.next().await {
            if !several.is_empty() {
                crossed.inventories.insert(listed.serial.clone(), several);
            }
            crossed.unknown += usize::from(verdict == Verdict::Unknown);
            let client = client(verdict, cached.get(&listed.serial).copied());
            crossed.devices.extend(client.and_then(|client| device(listed, client)));
        }
        Some(crossed)
    }

    /// Stores the result and tells what is odd about it.
    async fn take_over(&self, crossed: Crossed, before: usize) -> anyhow::Result<Done> {
        let Crossed { probes, devices, unknown, inventories } = crossed;
        let now = self.clock.now();
        if devices.is_empty() {
            tracing::error!(
                probes,
                unknown,
                "no device is left after crossing with Bruin; the cached ones stay"
            );
            self.notifier.slack(&report::nothing_left_alert(&self.environment, probes)).await;
            if unknown > 0 {
                // Bruin only failed to tell: it is asked again soon.
                return Ok(Done::No);
            }
        } else {
            self.replace(&devices, before, now).await?;
            tracing::info!(devices = devices.len(), unknown, "the list is refreshed");
        }
        if !inventories.is_empty() {
            self.notifier.slack(&report::multiple_inventories_alert(&inventories)).await;
            let mail = report::multiple_inventories(now, &self.config.recipient, &inventories);
            self.notifier.mail(mail).await;
        }
        Ok(Done::Yes)
    }

    async fn replace(&self, devices: &[Device], before: usize, now: DateTime<Utc>) -> anyhow::Result<()> {
        self.store.put(devices, now).await?;
        self.show(now);
        if is_much_shorter(devices.len(), before) {
            self.notifier.slack(&report::much_shorter_alert(&self.environment, before, devices.len())).await;
        }
        Ok(())
    }
}

/// How long a run may go on: it must be over when the next one is due, or that would be skipped (Improve 8).
fn run_within(interval: Duration) -> Duration {
    interval.saturating_sub((interval / 10).min(Duration::from_secs(60)))
}

/// Whether a list has less than half of the devices that it had.
fn is_much_shorter(now: usize, before: usize) -> bool {
    now.saturating_mul(2) < before
}

/// The client of a device that is cached: Bruin's, or the one it was cached with when Bruin could not tell (Improve 1).
fn client(verdict: Verdict, cached: Option<&Device>) -> Option<Value> {
    match verdict {
        Verdict::Monitored(client) => Some(client),
        Verdict::NotMonitored => None,
        Verdict::Unknown => cached?.client(),
    }
}

fn device(listed: ListedDevice, client: Value) -> Option<Device> {
    Device::new(&listed.cached(client))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_over_before_the_next_one() {
        for (interval, within) in [(60, 54), (600, 540), (14_400, 14_340)] {
            let seconds = Duration::from_secs;
            assert_eq!(run_within(seconds(interval)), seconds(within), "{interval}");
        }
    }

    #[test]
    fn less_than_half_is_much_shorter() {
        for (now, before, expected) in
            [(0, 0, false), (0, 1, true), (1, 2, false), (4, 9, true), (5, 9, false)]
        {
            assert_eq!(is_much_shorter(now, before), expected, "{now} of {before}");
        }
    }
}
