//! Repeated attempts under a lock in a real Redis; time is the test's.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use bus::{RedisLink, RedisLock, RedisOptions};
use caching::{Attempts, Done, Ended, LEASE, refresh_until_done};
use runtime::Clock;
use testkit::Redis;
use tokio_util::sync::CancellationToken;

const LIFE: Duration = Duration::from_secs(60);

struct World {
    redis: Redis,
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
        Self { redis, link, clock, stop: CancellationToken::new() }
    }

    fn lock(&self) -> RedisLock {
        RedisLock::new(self.link.clone(), "lease", LIFE)
    }

    /// Runs attempts of which the `good`-th succeeds.
    async fn run(&self, good: u32, within: Option<Duration>) -> (anyhow::Result<Ended>, u32) {
        self.run_while(good, within, || true).await
    }

    /// The same, while it is due.
    async fn run_while(
        &self,
        good: u32,
        within: Option<Duration>,
        due: impl Fn() -> bool,
    ) -> (anyhow::Result<Ended>, u32) {
        let lock = &self.lock();
        let until = within.map(|within| self.clock.now() + within);
        let attempts = Attempts { lock, clock: &self.clock, stop: &self.stop, until };
        let made = AtomicU32::new(0);
        let due = || std::future::ready(Ok(due()));
        let ended = refresh_until_done(attempts, due, |number| {
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
        self.pass(Duration::from_secs(300)).await;
    }

    /// Lets so much time pass whenever somebody sleeps.
    async fn pass(&self, span: Duration) {
        loop {
            self.clock.sleepers(1).await;
            self.clock.advance(span);
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
async fn what_another_refreshes_is_left_to_it() {
    let world = World::start().await;
    let other = world.lock();
    assert!(other.hold().await.unwrap());
    let looks = AtomicU32::new(0);
    let due = || looks.fetch_add(1, Ordering::SeqCst) < 3;
    let began = world.clock.now();
    let (ended, made) = tokio::select! {
        run = world.run_while(1, None, due) => run,
        () = world.pass(Duration::from_secs(1)) => unreachable!(),
    };
    assert_eq!((ended.unwrap(), made), (Ended::Elsewhere, 0));
    let took = world.clock.now() - began;
    assert!((9..15).contains(&took.num_seconds()), "three waits between four looks, not {took}");
}

#[tokio::test]
async fn what_another_has_just_refreshed_is_not_refreshed_again_and_the_lock_stays_free() {
    let world = World::start().await;
    let other = world.lock();
    assert!(other.hold().await.unwrap());
    let refreshed = AtomicBool::new(false);
    let refresh = async {
        world.clock.sleepers(1).await;
        refreshed.store(true, Ordering::SeqCst);
        other.release().await.unwrap();
        world.clock.advance(Duration::from_secs(3));
    };
    let due = || !refreshed.load(Ordering::SeqCst);
    let ((ended, made), ()) = tokio::join!(world.run_while(1, None, due), refresh);
    assert_eq!((ended.unwrap(), made), (Ended::Elsewhere, 0));
    assert!(world.lock().hold().await.unwrap());
}

/// P5.
#[tokio::test]
async fn when_the_other_dies_its_refresh_is_taken_over() {
    let world = World::start().await;
    let other = RedisLock::new(world.link.clone(), "lease", Duration::from_millis(300));
    assert!(other.hold().await.unwrap());
    let (ended, made) = tokio::select! {
        run = world.run(1, None) => run,
        () = world.pass_time() => unreachable!(),
    };
    assert_eq!((ended.unwrap(), made), (Ended::Done, 1));
    assert!(LEASE + Duration::from_secs(3) < Duration::from_secs(15), "the lease, and one look");
}

/// Whoever loses the lock in mid-attempt stops, and goes on when it is free.
#[tokio::test]
async fn an_attempt_ends_with_the_lock_and_not_the_run() {
    for how in [Loss::ToAnother, Loss::OfRedis] {
        let world = World::start().await;
        let lock = &RedisLock::new(world.link.clone(), "lease", Duration::from_millis(600));
        let other = &RedisLock::new(world.link.clone(), "lease", Duration::from_millis(1_500));
        let attempts = Attempts { lock, clock: &world.clock, stop: &world.stop, until: None };
        let due = || std::future::ready(Ok(true));
        let made = AtomicU32::new(0);
        let (redis, made) = (&world.redis, &made);
        let run = refresh_until_done(attempts, due, |number| async move {
            made.store(number, Ordering::SeqCst);
            if number > 1 {
                return Ok(Done::Yes);
            }
            match how {
                Loss::ToAnother => {
                    lock.release().await?;
                    assert!(other.hold().await?);
                }
                Loss::OfRedis => redis.kill9(),
            }
            std::future::pending().await
        });
        let comes_back = async {
            if how == Loss::OfRedis {
                while made.load(Ordering::SeqCst) == 0 {
                    tokio::task::yield_now().await;
                }
                // Once it is waited for.
                world.clock.sleepers(1).await;
                redis.restart().await;
            }
            world.pass(Duration::from_secs(3)).await;
        };
        let ended = tokio::select! {
            ended = run => ended,
            () = comes_back => unreachable!(),
        };
        assert_eq!((ended.unwrap(), made.load(Ordering::SeqCst)), (Ended::Done, 2), "{how:?}");
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Loss {
    ToAnother,
    OfRedis,
}

#[tokio::test]
async fn waiting_for_another_ends_with_the_runs_time_and_with_the_process() {
    let world = World::start().await;
    let other = world.lock();
    assert!(other.hold().await.unwrap());
    let (ended, made) = tokio::select! {
        run = world.run(1, Some(Duration::from_secs(3_600))) => run,
        () = world.pass_time() => unreachable!(),
    };
    assert_eq!((ended.unwrap(), made), (Ended::Elsewhere, 0));
    world.stop.cancel();
    let (ended, made) = world.run(1, None).await;
    assert_eq!((ended.unwrap(), made), (Ended::Stopped, 0));
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
    let due = || std::future::ready(Ok(true));
    let ended = tokio::select! {
        ended = refresh_until_done(attempts, due, |_| std::future::pending()) => ended,
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
