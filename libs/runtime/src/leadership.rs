//! What a monitor holds to know whether it is the one that acts ([`Leadership`]).
//!
//! Leading is a span of time, not a flag: each renewal of the lease extends it, and it ends by itself when no renewal
//! comes through, even while this process is frozen or cut off. So [`Leadership::is_leader`] compares with the clock each
//! time it is asked.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// Without an election the span never ends.
const FOR_EVER: Duration = Duration::from_secs(30 * 365 * 24 * 3_600);

/// Whether this replica is the one that acts. Clones tell the same.
///
/// A lease says who *should* act: a request that left in time may arrive after the lease has gone over. Look in the third
/// party before writing, and give up work under way when the lead is lost:
///
/// ```
/// # async fn example(leadership: runtime::Leadership, cycle: impl Future<Output = ()>) {
/// leadership.wait().await;
/// tokio::select! {
///     () = cycle => {}
///     () = leadership.until_lost() => tracing::warn!("another replica goes on"),
/// }
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Leadership(pub(crate) Arc<Told>);

/// What the campaign for a lease tells.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) reign: watch::Sender<Option<Reign>>,
    pub(crate) leads: watch::Sender<bool>,
}

/// A span of leading.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reign {
    pub(crate) from: Instant,
    /// No longer from here on, unless renewed.
    pub(crate) until: Instant,
}

impl Reign {
    fn holds_at(&self, at: Instant) -> bool {
        self.from <= at && at < self.until
    }
}

impl Leadership {
    pub(crate) fn new(reign: Option<Reign>) -> Self {
        Self(Arc::new(Told { reign: watch::Sender::new(reign), leads: watch::Sender::new(reign.is_some()) }))
    }

    /// The leadership of the only replica: it always leads (`LEADER_ELECTION=off`).
    pub fn always() -> Self {
        let from = Instant::now();
        Self::new(Some(Reign { from, until: from + FOR_EVER }))
    }

    /// Whether this replica may act now. Ask before each thing that is done.
    pub fn is_leader(&self) -> bool {
        self.led_at(Instant::now())
    }

    /// Whether this replica, by what it knows now, led at that instant.
    pub fn led_at(&self, at: Instant) -> bool {
        self.0.reign.borrow().is_some_and(|reign| reign.holds_at(at))
    }

    /// Waits until this replica leads; for ever when the service stops meanwhile.
    pub async fn wait(&self) {
        let mut reign = self.0.reign.subscribe();
        while !self.is_leader() {
            // Never closed: `self` holds the sender.
            let _ = reign.changed().await;
        }
    }

    /// Waits until this replica does not lead (any more); returns at once when it does not.
    pub async fn until_lost(&self) {
        let mut reign = self.0.reign.subscribe();
        loop {
            let now = Instant::now();
            let Some(until) =
                reign.borrow_and_update().filter(|reign| reign.holds_at(now)).map(|reign| reign.until)
            else {
                return;
            };
            tokio::select! {
                () = sleep_until(until) => {}
                _ = reign.changed() => {}
            }
        }
    }

    /// Tells of each change. A process that was frozen learns of it only when it runs again, so this is for reacting and
    /// showing; [`Self::is_leader`] is what counts.
    pub fn changes(&self) -> watch::Receiver<bool> {
        self.0.leads.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn leading_ends_by_itself_when_it_is_not_extended() {
        let from = Instant::now();
        let leadership = Leadership::new(Some(Reign { from, until: from + Duration::from_secs(7) }));
        let extend = |seconds| {
            leadership.0.reign.send_replace(Some(Reign { from, until: from + Duration::from_secs(seconds) }))
        };
        let lost = tokio::spawn({
            let leadership = leadership.clone();
            async move { leadership.until_lost().await }
        });
        tokio::time::sleep(Duration::from_secs(3)).await;
        extend(10);
        tokio::time::sleep(Duration::from_secs(6)).await;
        assert!(leadership.is_leader() && !lost.is_finished());
        lost.await.unwrap();
        assert_eq!(from.elapsed().as_secs(), 10);
        assert!(!leadership.is_leader());
        assert!(leadership.led_at(from) && !leadership.led_at(from + Duration::from_secs(10)));
    }

    #[tokio::test(start_paused = true)]
    async fn the_only_replica_always_leads() {
        let leadership = Leadership::always();
        leadership.wait().await;
        let a_year = Duration::from_secs(365 * 24 * 3_600);
        assert!(tokio::time::timeout(a_year, leadership.until_lost()).await.is_err());
        assert!(*leadership.changes().borrow());
    }
}
