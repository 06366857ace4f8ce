//! Repeated attempts under a lock in a real Redis; time is the test's.
#![allow(clippy::unwrap_used, reason = "a test ends by panicking")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bus::{RedisLink, RedisLock, RedisOptions};
use caching::{Attempts, Done, Ended, refresh_until_done};
use runtime::Clock;
use testkit::Redis;
use tokio_util::sync::CancellationToken;

const LIFE: Duration = Duration::from_secs(60);

struct World {
    _redis: Redis,
    link: Arc<RedisLink>,
    clock: Clock,
    stop: CancellationToken,
}

impl World {
    async fn start() -> Self {
        let redis = Redis::start().await;
        let options = RedisOptions { host: redis.host(), port: redis.port(), ..RedisOptions::default() };
        let link = Arc::new(RedisLink::open(&options).unwrap());
        let clock = Clock::frozen("2022-01-31T12:00:00Z".parse().unwrap());
        Self { _redis: redis, link, clock, stop: CancellationToken::new() }
    }

    fn lock(&self) -> RedisLock {
        RedisLock::new(self.link.clone(), "lease", LIFE)
    }

    /// Runs attempts of which the `good`-th succeeds.
    async fn run(&self, good: u32, within: Option<Duration>) -> (anyhow::Result<Ended>, u32) {
        let lock = &self.lock();
        let until = within.map(|within| self.clock.now() + within);
        let attempts = Attempts { lock, clock: &self.clock, stop: &self.stop, until };
        let made = AtomicU32::new(0);
        let ended = refresh_until_done(attempts, |number| {
            made.store(number, Ordering::SeqCst);
            async move {
                match number {
                    number if number >= good => Ok(Done::Yes),
                    1 => Ok(Done::No),
                    _ => anyhow::bail!("trouble"),
                }
            }
        });
        let ended = ended.await;
        (ended, made.load(Ordering::SeqCst))
    }

    /// Lets the longest wait pass whenever somebody sleeps.
    async fn pass_time(&self) {
        loop {
            self.clock.sleepers(1).await;
            self.clock.advance(Duration::from_secs(300));
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn attempts_are_repeated_until_one_succeeds_and_the_lock_is_given_back() {
    let world = World::start().await;
    let (ended, made) = tokio::select! {
        run = world.run(3, None) => run,
        () = world.pass_time() => unreachable!(),
    };
    assert_eq!((ended.unwrap(), made), (Ended::Done, 3));
    assert!(world.lock().hold().await.unwrap());
}

#[tokio::test]
async fn where_another_has_the_lock_nothing_is_done() {
    let world = World::start().await;
    let other = world.lock();
    assert!(other.hold().await.unwrap());
    let (ended, made) = world.run(1, None).await;
    assert_eq!((ended.unwrap(), made), (Ended::Elsewhere, 0));
}

#[tokio::test]
async fn a_run_ends_with_its_time() {
    let world = World::start().await;
    let (ended, made) = tokio::select! {
        run = world.run(100, Some(Duration::from_secs(3_600))) => run,
        () = world.pass_time() => unreachable!(),
    };
    assert!(ended.unwrap_err().to_string().contains("within the run's time"));
    assert!((2..30).contains(&made), "{made}");

    // An attempt that hangs is cut off.
    let lock = &world.lock();
    let until = Some(world.clock.now() + Duration::from_secs(60));
    let attempts = Attempts { lock, clock: &world.clock, stop: &world.stop, until };
    let ended = tokio::select! {
        ended = refresh_until_done(attempts, |_| std::future::pending()) => ended,
        () = world.pass_time() => unreachable!(),
    };
    assert!(ended.is_err());
    assert!(world.lock().hold().await.unwrap());
}

#[tokio::test]
async fn the_stop_ends_a_run_at_once() {
    let world = World::start().await;
    let stop = async {
        world.clock.sleepers(1).await;
        world.stop.cancel();
    };
    let ((ended, made), ()) = tokio::join!(world.run(100, None), stop);
    assert_eq!((ended.unwrap(), made), (Ended::Stopped, 1));
    assert!(world.lock().hold().await.unwrap());
}
