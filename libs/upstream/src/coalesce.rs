//! Identical reads in flight share one call.

use std::{collections::HashMap, fmt, sync::Arc};

use foldhash::fast::RandomState;
use futures::{
    FutureExt,
    future::{BoxFuture, Shared, WeakShared},
};
use parking_lot::Mutex;

type Flight<V> = Shared<BoxFuture<'static, V>>;
type WeakFlight<V> = WeakShared<BoxFuture<'static, V>>;

/// Single flight by key: while a piece of work for a key runs, further callers with that key wait for its result instead
/// of starting their own. Nothing is kept once it is finished, so nobody gets an answer older than their question by more
/// than one call.
///
/// The work goes on as long as anybody waits for it, also when the caller that started it went away; with the last
/// waiter it is dropped. The first caller's deadline is everybody's: put what matters about deadlines into the key.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let reads = upstream::Coalesce::new();
/// let (one, two) = tokio::join!(
///     reads.run("ticket 1", || async { tokio::task::yield_now().await; "asked once" }),
///     reads.run("ticket 1", || async { "never asked" }),
/// );
/// assert_eq!((one, two), ("asked once", "asked once"));
/// # }
/// ```
pub struct Coalesce<V> {
    flights: Arc<Mutex<Flights<V>>>,
}

/// What is in flight, by key. Flights are numbered so that an old one does not take a new one's entry away.
struct Flights<V> {
    started: u64,
    by_key: HashMap<Arc<str>, (u64, WeakFlight<V>), RandomState>,
}

impl<V: Clone + Send + Sync + 'static> Coalesce<V> {
    /// With nothing in flight.
    pub fn new() -> Self {
        Self { flights: Arc::new(Mutex::new(Flights { started: 0, by_key: HashMap::default() })) }
    }

    /// The result of the work for `key` that is in flight, or else of `work`.
    pub async fn run<F, W>(&self, key: impl Into<Arc<str>>, work: F) -> V
    where
        F: FnOnce() -> W,
        W: Future<Output = V> + Send + 'static,
    {
        // In a function of its own: the lock must not live across the await.
        self.flight(key.into(), work).await
    }

    /// How many pieces of work are in flight.
    pub fn in_flight(&self) -> usize {
        self.flights.lock().by_key.len()
    }

    fn flight<F, W>(&self, key: Arc<str>, work: F) -> Flight<V>
    where
        F: FnOnce() -> W,
        W: Future<Output = V> + Send + 'static,
    {
        let mut flights = self.flights.lock();
        if let Some(flight) = flights.by_key.get(&key).and_then(|(_, flight)| flight.upgrade()) {
            return flight;
        }
        flights.started += 1;
        let number = flights.started;
        let landing = Landing { flights: Arc::clone(&self.flights), key: Arc::clone(&key), number };
        // Boxed before it is wrapped: it may be large, and is copied no further.
        let work = work().boxed();
        let flight = async move {
            let _landing = landing;
            work.await
        }
        .boxed()
        .shared();
        if let Some(weak) = flight.downgrade() {
            flights.by_key.insert(key, (number, weak));
        }
        flight
    }
}

impl<V: Clone + Send + Sync + 'static> Default for Coalesce<V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<V> Clone for Coalesce<V> {
    fn clone(&self) -> Self {
        Self { flights: Arc::clone(&self.flights) }
    }
}

impl<V> fmt::Debug for Coalesce<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Coalesce").field("in_flight", &self.flights.lock().by_key.len()).finish()
    }
}

/// Takes the entry away when the work ends, panics, or is dropped with its last waiter.
struct Landing<V> {
    flights: Arc<Mutex<Flights<V>>>,
    key: Arc<str>,
    number: u64,
}

impl<V> Drop for Landing<V> {
    fn drop(&mut self) {
        let mut flights = self.flights.lock();
        if flights.by_key.get(&self.key).is_some_and(|(number, _)| *number == self.number) {
            flights.by_key.remove(&self.key);
        }
    }
}
