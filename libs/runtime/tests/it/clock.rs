//! Time as an input.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use runtime::Clock;

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

const HOUR: Duration = Duration::from_secs(3_600);

#[tokio::test]
async fn a_frozen_clock_moves_by_advance_only_and_wakes_whoever_is_due() {
    let clock = Clock::frozen(at("2026-03-01T10:00:00Z"));
    let sleeper = |span: Duration| {
        let clock = clock.clone();
        tokio::spawn(async move { clock.sleep(span).await })
    };
    let (short, long) = (sleeper(HOUR), sleeper(2 * HOUR));
    clock.sleepers(2).await;

    assert!(clock.advance(HOUR));
    short.await.unwrap();
    assert!(!long.is_finished());
    assert_eq!(clock.now(), at("2026-03-01T11:00:00Z"));

    clock.advance(HOUR);
    long.await.unwrap();
}

#[tokio::test]
async fn a_sleep_that_is_over_already_returns_at_once() {
    for clock in [Clock::frozen(Utc::now()), Clock::shifted(), Clock::system()] {
        clock.sleep_until(clock.now() - TimeDelta::hours(1)).await;
        clock.sleep(Duration::ZERO).await;
    }
}

#[tokio::test]
async fn a_shifted_clock_runs_and_can_be_put_forward() {
    let clock = Clock::shifted();
    assert!((clock.now() - Utc::now()).abs() < TimeDelta::minutes(1));

    let sleeping = tokio::spawn({
        let clock = clock.clone();
        async move { clock.sleep(HOUR).await }
    });
    clock.sleepers(1).await;
    clock.advance(HOUR);
    sleeping.await.unwrap();

    assert!(clock.now() - Utc::now() > TimeDelta::minutes(59));
}

#[tokio::test]
async fn a_shifted_clock_also_wakes_by_the_passing_of_time() {
    Clock::shifted().sleep(Duration::from_millis(5)).await;
}

#[tokio::test]
async fn the_systems_clock_cannot_be_moved() {
    let clock = Clock::system();
    assert!(!clock.advance(HOUR));
    assert!((clock.now() - Utc::now()).abs() < TimeDelta::minutes(1));
    clock.sleep(Duration::from_millis(5)).await;
    clock.sleep_until(clock.now() + TimeDelta::milliseconds(5)).await;
    clock.sleepers(1).await;
}

#[tokio::test]
async fn sleeps_given_up_are_not_counted() {
    let clock = Clock::frozen(Utc::now());
    let sleeping = tokio::spawn({
        let clock = clock.clone();
        async move { clock.sleep(HOUR).await }
    });
    clock.sleepers(1).await;
    sleeping.abort();
    let _ = sleeping.await;
    let counted = tokio::time::timeout(Duration::from_millis(20), clock.sleepers(1)).await;
    assert!(counted.is_err());
}

#[test]
fn wall_clocks_follow_their_zone() {
    let clock = Clock::frozen(at("2026-03-01T04:00:00Z"));
    assert_eq!(clock.now_in(chrono_tz::US::Eastern).to_string(), "2026-02-28 23:00:00 EST");
    assert_eq!(format!("{clock:?}"), "Clock(frozen, 2026-03-01 04:00:00 UTC)");
}
