//! Which of several replicas acts: a lease in the JetStream key-value bucket [`LEASE_BUCKET`].
//!
//! An entry names its holder. Every write is a compare-and-swap on the entry's revision, so at most one replica gets it.
//! Clocks of different hosts are never compared (the servers in use have no expiry of single keys either):
//!
//! ```text
//!   holder     0 s       3         6    7             a renewal each 3 s; when none is acknowledged, it stops leading
//!              renewed   renews    ...  steps down    7 s after it *sent* the last acknowledged one
//!   others     sees the revision ---------------- 10  take over when the revision has stood for 10 s since they *saw* it
//! ```
//!
//! They see it after it was written, hence after it was sent: between stepping down and taking over lie at least 3 s, by
//! two monotonic clocks which need to agree only on how long a few seconds are. A holder whose process was frozen finds
//! its span over when it runs again. A renewal which the client sends late, after a reconnect, is harmless: it extends
//! nothing that is not acknowledged, and fails when another has taken over.
//!
//! After a death the next one leads within 10 s, two looks (1 s each) and two answers (at most 1 s each): under 15 s. A
//! graceful stop deletes the entry, and the next look of another replica takes it.
//!
//! Not covered: a virtual machine which is suspended as a whole, with its clock, may act until its next renewal; and a
//! bucket that is deleted. Who acts therefore looks in the third party before writing.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use prometheus::IntGauge;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::bucket::{Bucket, BucketError, Buckets, Values};
use crate::clock::Clock;
use crate::leadership::{Leadership, Reign, Told};
use crate::settings::DecisionMode;

/// The name of the bucket with all leases.
pub const LEASE_BUCKET: &str = "LEASES";

const BUCKET: Bucket =
    Bucket { name: LEASE_BUCKET, about: "Which replica of a monitor acts", keep: Duration::ZERO };

/// How often things happen. The default is for production; tests shorten it.
#[derive(Debug, Clone, Copy)]
pub struct Periods {
    /// The holder renews so often.
    pub renew: Duration,
    /// The holder leads so long after it sent the last renewal that was acknowledged. Less than `take_over_after` by what
    /// a request under way may need.
    pub leads_for: Duration,
    /// Others take over when they have seen no change for so long.
    pub take_over_after: Duration,
    /// Others look so often, and the holder after a failed renewal.
    pub look_every: Duration,
    /// One access to the bucket may take so long.
    pub answer_within: Duration,
}

impl Default for Periods {
    fn default() -> Self {
        Self {
            renew: Duration::from_secs(3),
            leads_for: Duration::from_secs(7),
            take_over_after: Duration::from_secs(10),
            look_every: Duration::from_secs(1),
            answer_within: Duration::from_secs(1),
        }
    }
}

/// A lease which a replica campaigns for. Services call `Context::leadership` instead.
#[derive(Debug, Clone)]
pub struct Lease {
    /// The entry, see [`Self::key`].
    pub key: String,
    /// Who campaigns: unlike all others, also unlike this replica before its restart.
    pub holder: String,
    /// How often things happen.
    pub periods: Periods,
}

/// The value of an entry. The times are for people; nothing is decided by them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    holder: String,
    since: DateTime<Utc>,
    renewed: DateTime<Utc>,
}

/// Why the lease could not be looked at.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("not connected to NATS")]
    NotConnected,
    #[error("no answer from JetStream")]
    NoAnswer,
    #[error("{0}")]
    Refused(String),
    #[error(transparent)]
    Bucket(#[from] BucketError),
}

impl Lease {
    /// `<environment>.<service>.<mode>`, and `.<shard>` unless that is empty. A shadow does not compete with the live
    /// twin beside it. Characters that a key cannot have become `=` and their number: different names, different keys.
    pub fn key(environment: &str, service: &str, mode: DecisionMode, shard: &str) -> String {
        let mut key = [environment, service, &mode.to_string()].map(|part| clean(part, false)).join(".");
        if !shard.is_empty() {
            key.push('.');
            key.push_str(&clean(shard, true));
        }
        key
    }

    /// Campaigns until `release` is cancelled; the future then gives the lease back and ends. Dropping it is like a death:
    /// the others have to notice. `gauge` shows 1 while this replica leads.
    pub fn campaign(
        self,
        buckets: Buckets,
        clock: Clock,
        gauge: IntGauge,
        release: CancellationToken,
    ) -> (Leadership, impl Future<Output = ()> + Send + use<>) {
        let leadership = Leadership::new(None);
        let voice = Voice { told: Arc::clone(&leadership.0), key: self.key.clone(), gauge };
        let since = clock.now();
        let campaign = Campaign {
            told: Arc::clone(&leadership.0),
            lease: self,
            buckets,
            clock,
            store: None,
            held: None,
            seen: Seen(None),
            since,
            trouble: None,
        };
        let run = async move {
            tokio::select! {
                () = campaign.run(&release) => {}
                () = voice.speak() => {}
            }
        };
        (leadership, run)
    }
}

/// A text as part of a key. Dots stay where they are of no harm.
fn clean(text: &str, dots: bool) -> String {
    let mut clean = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'.' if dots && !clean.is_empty() && !clean.ends_with('.') => clean.push('.'),
            b'-' | b'_' => clean.push(char::from(byte)),
            _ if byte.is_ascii_alphanumeric() => clean.push(char::from(byte)),
            _ => {
                // Writing to a String can not fail.
                let _ = write!(clean, "={byte:02X}");
            }
        }
    }
    if clean.ends_with('.') {
        clean.pop();
        clean.push_str("=2E");
    }
    clean
}

/// Tells of changes: logs, gauge, [`Leadership::changes`]. Also when the campaign was dropped.
struct Voice {
    told: Arc<Told>,
    key: String,
    gauge: IntGauge,
}

impl Voice {
    async fn speak(&self) {
        let mut reign = self.told.reign.subscribe();
        self.gauge.set(0);
        loop {
            let now = Instant::now();
            let until = reign.borrow_and_update().map(|reign| reign.until).filter(|until| now < *until);
            self.say(until.is_some());
            match until {
                Some(until) => tokio::select! {
                    () = sleep_until(until) => {}
                    _ = reign.changed() => {}
                },
                None => {
                    let _ = reign.changed().await;
                }
            }
        }
    }

    fn say(&self, leads: bool) {
        // A renewal is no change, and those who watch must not hear of it.
        let changed = self.told.leads.send_if_modified(|told| std::mem::replace(told, leads) != leads);
        if !changed {
            return;
        }
        self.gauge.set(i64::from(leads));
        if leads {
            tracing::info!(lease = self.key, "this replica leads");
        } else {
            tracing::warn!(lease = self.key, "this replica does not lead any more");
        }
    }
}

impl Drop for Voice {
    fn drop(&mut self) {
        self.told.reign.send_replace(None);
        self.say(false);
    }
}

struct Campaign {
    lease: Lease,
    buckets: Buckets,
    clock: Clock,
    told: Arc<Told>,
    store: Option<Values>,
    /// The revision of our own entry while no other holder was seen.
    held: Option<u64>,
    seen: Seen,
    since: DateTime<Utc>,
    /// The trouble told last; the same is told once.
    trouble: Option<String>,
}

/// The revision of another's entry (0: the entry was gone), and when it was seen first.
struct Seen(Option<(u64, Instant)>);

impl Seen {
    /// For how long this revision has stood, as far as we saw.
    fn stood(&mut self, revision: u64) -> Duration {
        match self.0 {
            Some((seen, since)) if seen == revision => since.elapsed(),
            _ => {
                self.0 = Some((revision, Instant::now()));
                Duration::ZERO
            }
        }
    }
}

impl Campaign {
    async fn run(mut self, release: &CancellationToken) {
        loop {
            // Never cut: an interrupted write might have taken the lease.
            let pause = self.round().await;
            tokio::select! {
                () = release.cancelled() => break,
                () = sleep(pause) => {}
            }
        }
        self.told.reign.send_replace(None);
        self.give_back().await;
    }

    /// Keeps or seeks the lease once; says when to do so again.
    async fn round(&mut self) -> Duration {
        let periods = self.lease.periods;
        match self.keep_or_seek().await {
            Ok(leads) => {
                self.trouble = None;
                if leads { periods.renew } else { periods.look_every }
            }
            Err(trouble) => {
                // It may have been deleted.
                self.store = None;
                let text = trouble.to_string();
                if self.trouble.as_ref() != Some(&text) {
                    tracing::warn!(
                        lease = self.lease.key,
                        trouble = text,
                        "the lease is out of reach, trying again"
                    );
                    self.trouble = Some(text);
                }
                periods.look_every
            }
        }
    }

    async fn keep_or_seek(&mut self) -> Result<bool, Trouble> {
        if !self.buckets.connected() {
            return Err(Trouble::NotConnected);
        }
        let store = self.store().await?;
        if let Some(held) = self.held
            && self.claim(&store, held).await
        {
            return Ok(true);
        }
        let looked = timeout(self.lease.periods.answer_within, store.look(&self.lease.key)).await;
        let found =
            looked.map_err(|_| Trouble::NoAnswer)?.map_err(|error| Trouble::Refused(error.to_string()))?;
        let revision = found.as_ref().map_or(0, |found| found.revision);
        let entry = found.and_then(|found| found.bytes);
        let entry = entry.map(|bytes| serde_json::from_slice::<Entry>(&bytes).ok());
        let free = match &entry {
            // Given back, or there never was one. One that vanished, with the bucket, may have a holder that still leads.
            None => revision > 0 || self.seen.0.is_none() || self.stood(revision),
            // Ours: by a write whose acknowledgement was lost. Nobody else has led since then.
            Some(Some(entry)) if entry.holder == self.lease.holder => true,
            Some(entry) => {
                self.lose(entry.as_ref());
                self.stood(revision)
            }
        };
        if !free {
            return Ok(false);
        }
        let claimed = self.claim(&store, revision).await;
        if claimed && let Some(Some(former)) = entry {
            tracing::info!(
                lease = self.lease.key,
                former = former.holder,
                last_renewed = %former.renewed,
                "took the lease over"
            );
        }
        Ok(claimed)
    }

    /// Whether this revision has stood for long enough.
    fn stood(&mut self, revision: u64) -> bool {
        self.seen.stood(revision) >= self.lease.periods.take_over_after
    }

    /// Another one holds it.
    fn lose(&mut self, entry: Option<&Entry>) {
        self.told.reign.send_if_modified(|reign| reign.take().is_some());
        if self.held.take().is_some() {
            let holder = entry.map_or("unknown", |entry| entry.holder.as_str());
            tracing::warn!(lease = self.lease.key, holder, "another replica has taken the lease");
        }
    }

    /// Writes our entry over this very revision. Failing is no error: who was quicker shows at the next look.
    async fn claim(&mut self, store: &Values, revision: u64) -> bool {
        let sent = Instant::now();
        let renewed = self.clock.now();
        let led = self.told.reign.borrow().filter(|reign| sent < reign.until);
        if led.is_none() {
            self.since = renewed;
        }
        let entry = Entry { holder: self.lease.holder.clone(), since: self.since, renewed };
        let Ok(json) = serde_json::to_vec(&entry) else { return false };
        let periods = self.lease.periods;
        let write = store.update(&self.lease.key, json.into(), revision);
        match timeout(periods.answer_within, write).await {
            Ok(Ok(revision)) => {
                self.held = Some(revision);
                self.seen = Seen(None);
                let now = Instant::now();
                let from = led.filter(|led| now < led.until).map_or(now, |led| led.from);
                self.told.reign.send_replace(Some(Reign { from, until: sent + periods.leads_for }));
                true
            }
            Ok(Err(error)) => {
                tracing::debug!(lease = self.lease.key, %error, "the lease was not written");
                false
            }
            Err(_) => {
                tracing::debug!(lease = self.lease.key, "no answer to a write of the lease");
                false
            }
        }
    }

    async fn give_back(&self) {
        let (Some(held), Some(store)) = (self.held, &self.store) else { return };
        if !self.buckets.connected() {
            return;
        }
        let delete = store.delete(&self.lease.key, Some(held));
        match timeout(self.lease.periods.answer_within, delete).await {
            Ok(Ok(())) => tracing::info!(lease = self.lease.key, "gave the lease back"),
            Ok(Err(error)) => tracing::debug!(lease = self.lease.key, %error, "the lease was not given back"),
            Err(_) => tracing::debug!(lease = self.lease.key, "no answer when the lease was given back"),
        }
    }

    async fn store(&mut self) -> Result<Values, Trouble> {
        if let Some(store) = &self.store {
            return Ok(store.clone());
        }
        let store = BUCKET.open(&self.buckets, self.lease.periods.answer_within).await?;
        Ok(self.store.insert(store).clone())
    }
}

#[cfg(test)]
mod tests {
    use bus::memory::{Access, Asked, Kept, Peers, Shelf};
    use bus::{Bus, RequestError};
    use bytes::Bytes;
    use futures::future::BoxFuture;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_default_periods_keep_their_promises() {
        let p = Periods::default();
        let worst = p.take_over_after + 2 * p.look_every + 2 * p.answer_within;
        assert!(worst < Duration::from_secs(15), "a take-over takes up to {worst:?}");
        assert!(p.leads_for + Duration::from_secs(2) <= p.take_over_after, "no margin");
        // A renewal may fail once (no answer to it and to the look) and its repetition still comes in time.
        assert!(p.renew + 2 * p.answer_within + p.look_every <= p.leads_for);
    }

    #[tokio::test(start_paused = true)]
    async fn a_renewal_makes_an_entry_young_again() {
        let mut seen = Seen(None);
        assert_eq!(seen.stood(1), Duration::ZERO);
        sleep(Duration::from_secs(9)).await;
        assert_eq!(seen.stood(2), Duration::ZERO);
        sleep(Duration::from_secs(9)).await;
        assert_eq!(seen.stood(2), Duration::from_secs(9));
        // Gone, which is a change as well.
        assert_eq!(seen.stood(0), Duration::ZERO);
    }

    /// A bus in memory on which there are only buckets.
    struct Shelves(Shelf);

    impl Peers for Shelves {
        fn answer(&self, asked: Asked) -> BoxFuture<'static, Result<Bytes, RequestError>> {
            let subject = asked.subject.to_owned();
            Box::pin(async { Err(RequestError::NoResponders { subject }) })
        }

        fn keep(
            &self,
            bucket: &'static str,
            access: Access,
        ) -> BoxFuture<'static, Result<Vec<Kept>, String>> {
            let kept = self.0.access(bucket, access);
            Box::pin(async { kept })
        }
    }

    /// A candidate for the lease, which dies with the token.
    fn candidate(bus: &Bus, holder: &str) -> (Leadership, CancellationToken) {
        let lease = Lease { key: "test".into(), holder: holder.into(), periods: Periods::default() };
        let gauge = IntGauge::new("leader", "test").unwrap();
        let clock = Clock::simulated(DateTime::UNIX_EPOCH);
        let (leadership, campaign) = lease.campaign(bus.into(), clock, gauge, CancellationToken::new());
        let death = CancellationToken::new();
        tokio::spawn(death.clone().run_until_cancelled_owned(campaign));
        (leadership, death)
    }

    #[tokio::test(start_paused = true)]
    async fn renewals_are_no_changes_and_a_death_is_one() {
        let bus = Bus::in_memory("test", Arc::new(Shelves(Shelf::default())));
        let (first, death) = candidate(&bus, "first");
        first.wait().await;
        let (second, _alive) = candidate(&bus, "second");
        let (mut firsts, mut seconds) = (first.changes(), second.changes());
        firsts.borrow_and_update();
        sleep(Duration::from_secs(600)).await;
        assert!(first.is_leader() && !second.is_leader());
        assert!(!firsts.has_changed().unwrap() && !seconds.has_changed().unwrap());
        let died = Instant::now();
        death.cancel();
        second.wait().await;
        assert!(died.elapsed() < Duration::from_secs(15), "{:?}", died.elapsed());
        assert!(!first.is_leader());
        seconds.changed().await.unwrap();
        assert!(*seconds.borrow_and_update());
        sleep(Duration::from_secs(60)).await;
        assert!(!seconds.has_changed().unwrap());
    }

    #[test]
    fn a_key_names_environment_service_mode_and_shard() {
        let key = |shard| Lease::key("prod.us", "service-outage-monitor", DecisionMode::Live, shard);
        assert_eq!(key(""), "prod=2Eus.service-outage-monitor.live");
        assert_eq!(key("vco1.example.test"), "prod=2Eus.service-outage-monitor.live.vco1.example.test");
        assert_eq!(key("a..b c/."), "prod=2Eus.service-outage-monitor.live.a.=2Eb=20c=2F=2E");
    }

    proptest! {
        #[test]
        fn every_name_is_a_key_and_different_names_are_different_keys(one in ".{1,12}", other in ".{1,12}") {
            let key = clean(&one, true);
            prop_assert!(!key.starts_with('.') && !key.ends_with('.') && !key.contains(".."), "{key}");
            prop_assert!(key.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_=.".contains(&b)), "{key}");
            prop_assert_eq!(one == other, key == clean(&other, true));
        }
    }
}
