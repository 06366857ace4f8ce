//! Jobs, told the time by a frozen clock.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::US::Eastern;
use prometheus::{Registry, TextEncoder};
use runtime::{AlreadyPending, AtStart, Clock, Replace, Schedule};
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

const TICK: Duration = Duration::from_secs(600);
const NEVER_TOO_LATE: Duration = Duration::from_secs(9_999);

/// A schedule under a frozen clock, and what its jobs say.
struct Stage {
    clock: Clock,
    schedule: Schedule,
    stop: CancellationToken,
    tasks: TaskTracker,
    metrics: Registry,
    say: mpsc::UnboundedSender<String>,
    said: mpsc::UnboundedReceiver<String>,
}

impl Stage {
    fn at(now: &str) -> Self {
        let (clock, stop, tasks) = (Clock::frozen(at(now)), CancellationToken::new(), TaskTracker::new());
        let metrics = Registry::new();
        let schedule = Schedule::new("test", clock.clone(), stop.clone(), tasks.clone(), &metrics).unwrap();
        let (say, said) = mpsc::unbounded_channel();
        Self { clock, schedule, stop, tasks, metrics, say, said }
    }

    fn new() -> Self {
        Self::at("2026-03-01T10:00:00Z")
    }

    /// A job that says `text` and the time.
    fn says(&self, text: &'static str) -> impl Fn() -> std::future::Ready<()> + Send + Sync + 'static {
        let (say, clock) = (self.say.clone(), self.clock.clone());
        move || {
            say.send(format!("{text} {}", clock.now().format("%d %H:%M"))).unwrap();
            std::future::ready(())
        }
    }

    /// What a job said next.
    async fn next(&mut self) -> String {
        self.said.recv().await.unwrap()
    }

    /// Lets every task which can go on do so: afterwards `sleeping` jobs wait for the clock.
    async fn settled(&self, sleeping: usize) {
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        self.clock.sleepers(sleeping).await;
    }

    fn metric(&self, line: &str) -> bool {
        let text = TextEncoder::new().encode_to_string(&self.metrics.gather()).unwrap();
        text.lines().any(|known| known == line)
    }
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

#[tokio::test]
async fn an_interval_job_runs_at_start_and_then_at_each_tick_from_the_start_instant() {
    let mut stage = Stage::new();
    stage.schedule.every("cycle", TICK, AtStart::Yes, stage.says("run"));
    assert_eq!(stage.next().await, "run 01 10:00");

    for expected in ["run 01 10:10", "run 01 10:20"] {
        stage.settled(1).await;
        stage.clock.advance(TICK);
        assert_eq!(stage.next().await, expected);
    }
}

#[tokio::test]
async fn without_a_run_at_start_the_first_is_one_interval_later() {
    let mut stage = Stage::new();
    stage.schedule.every("cycle", TICK, AtStart::No, stage.says("run"));
    stage.settled(1).await;
    stage.clock.advance(Duration::from_secs(599));
    stage.settled(1).await;
    assert!(stage.said.is_empty());
    stage.clock.advance(Duration::from_secs(1));
    assert_eq!(stage.next().await, "run 01 10:10");
}

#[tokio::test]
async fn ticks_during_a_run_are_skipped_and_the_next_ones_stay_in_place() {
    let mut stage = Stage::new();
    let (go_on, say, clock) = (Arc::new(Notify::new()), stage.say.clone(), stage.clock.clone());
    let waits = go_on.clone();
    stage.schedule.every("slow", TICK, AtStart::Yes, move || {
        let (waits, say, clock) = (waits.clone(), say.clone(), clock.clone());
        async move {
            say.send(format!("begin {}", clock.now().format("%H:%M"))).unwrap();
            waits.notified().await;
        }
    });
    assert_eq!(stage.next().await, "begin 10:00");

    stage.clock.advance(2 * TICK + TICK / 2); // 10:25: the ticks of 10:10 and 10:20 pass during the run.
    stage.settled(0).await;
    assert!(stage.said.is_empty(), "no overlap");
    go_on.notify_one();
    stage.settled(1).await;
    stage.clock.advance(TICK / 2);
    assert_eq!(stage.next().await, "begin 10:30");
    assert!(stage.metric(r#"scheduled_job_skipped_ticks_total{job_id="slow"} 2"#));
}

#[tokio::test]
async fn a_failing_or_panicking_run_is_counted_and_the_job_goes_on() {
    let mut stage = Stage::new();
    let (say, runs) = (stage.say.clone(), std::sync::atomic::AtomicU32::new(0));
    stage.schedule.every("shaky", TICK, AtStart::Yes, move || {
        let (say, run) = (say.clone(), runs.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
        async move {
            say.send(format!("run {run}")).unwrap();
            assert!(run != 0, "the first one panics");
            if run == 1 { Err(anyhow::anyhow!("no luck").context("second")) } else { Ok(()) }
        }
    });
    for expected in ["run 0", "run 1", "run 2"] {
        assert_eq!(stage.next().await, expected);
        stage.settled(1).await;
        stage.clock.advance(TICK);
    }
    for outcome in ["panic", "failure", "success"] {
        let line = format!(r#"scheduled_job_runs_total{{job_id="shaky",outcome="{outcome}"}} 1"#);
        assert!(stage.metric(&line), "{line}");
    }
    // 10:20, the third run.
    assert!(stage.metric(r#"scheduled_job_last_success_timestamp_seconds{job_id="shaky"} 1772360400"#));
}

#[tokio::test]
async fn a_job_that_panics_before_its_first_await_is_isolated_too() {
    let mut stage = Stage::new();
    stage.schedule.every("broken", TICK, AtStart::Yes, || -> std::future::Ready<()> { panic!("at once") });
    stage.schedule.every("sound", TICK, AtStart::Yes, stage.says("run"));
    assert_eq!(stage.next().await, "run 01 10:00");
    stage.settled(2).await;
    assert!(stage.metric(r#"scheduled_job_runs_total{job_id="broken",outcome="panic"} 1"#));
}

#[tokio::test]
async fn waking_a_job_runs_it_now_and_leaves_its_ticks() {
    let mut stage = Stage::new();
    stage.schedule.every("cycle", TICK, AtStart::No, stage.says("run"));
    stage.settled(1).await;
    stage.clock.advance(TICK / 2);
    assert!(stage.schedule.wake("cycle"));
    assert_eq!(stage.next().await, "run 01 10:05");
    stage.settled(1).await;
    stage.clock.advance(TICK / 2);
    assert_eq!(stage.next().await, "run 01 10:10");
    assert!(!stage.schedule.wake("unknown"));
}

#[tokio::test]
async fn scheduling_an_interval_again_replaces_it() {
    let mut stage = Stage::new();
    stage.schedule.every("cycle", TICK, AtStart::No, stage.says("old"));
    stage.schedule.every("cycle", TICK, AtStart::No, stage.says("new"));
    stage.settled(1).await;
    stage.clock.advance(TICK);
    assert_eq!(stage.next().await, "new 01 10:10");
    stage.settled(1).await;
    assert!(stage.said.is_empty());
}

#[tokio::test]
async fn a_one_shot_job_is_pending_until_it_runs() {
    let mut stage = Stage::new();
    let due = stage.clock.now() + TimeDelta::minutes(3);
    let once = |text| stage.schedule.once("recheck", due, Replace::No, NEVER_TOO_LATE, stage.says(text));

    once("first").unwrap();
    assert!(stage.schedule.pending("recheck"));
    assert_eq!(once("second"), Err(AlreadyPending { id: "recheck".to_owned() }));

    stage.settled(1).await;
    stage.clock.advance(Duration::from_secs(180));
    assert_eq!(stage.next().await, "first 01 10:03");
    stage.settled(0).await;
    assert!(!stage.schedule.pending("recheck"));
    assert!(stage.metric(r#"scheduled_job_runs_total{job_id="once",outcome="success"} 1"#));
}

#[tokio::test]
async fn a_one_shot_job_may_schedule_its_own_id_again() {
    let mut stage = Stage::new();
    let (schedule, clock, says) = (stage.schedule.clone(), stage.clock.clone(), stage.says("second"));
    let job = move || async move {
        let later = clock.now() + TimeDelta::minutes(1);
        schedule.once("chain", later, Replace::No, NEVER_TOO_LATE, says).unwrap();
    };
    stage.schedule.once("chain", stage.clock.now(), Replace::No, NEVER_TOO_LATE, job).unwrap();
    stage.settled(1).await;
    stage.clock.advance(Duration::from_secs(60));
    assert_eq!(stage.next().await, "second 01 10:01");
}

#[tokio::test]
async fn replacing_a_one_shot_job_moves_it() {
    let mut stage = Stage::new();
    let in_minutes = |minutes| stage.clock.now() + TimeDelta::minutes(minutes);
    let once = |at, text| stage.schedule.once("forward", at, Replace::Yes, NEVER_TOO_LATE, stage.says(text));
    once(in_minutes(5), "old").unwrap();
    once(in_minutes(8), "new").unwrap();

    stage.settled(1).await;
    stage.clock.advance(Duration::from_secs(300));
    stage.settled(1).await;
    stage.clock.advance(Duration::from_secs(180));
    assert_eq!(stage.next().await, "new 01 10:08");
    assert!(stage.said.is_empty());
}

#[tokio::test]
async fn late_one_shot_jobs_run_within_their_grace_only() {
    let mut stage = Stage::new();
    let past = stage.clock.now() - TimeDelta::seconds(100);
    let late_by = |seconds| Duration::from_secs(seconds);
    stage.schedule.once("in time", past, Replace::No, late_by(100), stage.says("ran")).unwrap();
    stage.schedule.once("too late", past, Replace::No, late_by(99), stage.says("never")).unwrap();
    assert_eq!(stage.next().await, "ran 01 10:00");
    stage.settled(0).await;
    assert!(stage.said.is_empty());
    assert!(stage.metric(r#"scheduled_job_runs_total{job_id="once",outcome="missed"} 1"#));
}

#[tokio::test]
async fn a_cancelled_job_does_not_run() {
    let mut stage = Stage::new();
    let due = stage.clock.now() + TimeDelta::minutes(3);
    stage.schedule.once("recheck", due, Replace::No, NEVER_TOO_LATE, stage.says("never")).unwrap();
    stage.schedule.every("cycle", TICK, AtStart::No, stage.says("never"));
    assert!(stage.schedule.cancel("recheck") && stage.schedule.cancel("cycle"));
    assert!(!stage.schedule.cancel("recheck"));
    assert!(!stage.schedule.pending("recheck"));

    stage.settled(0).await;
    stage.clock.advance(2 * TICK);
    stage.tasks.close();
    stage.tasks.wait().await;
    assert!(stage.said.try_recv().is_err());
}

#[tokio::test]
async fn at_the_stop_the_run_under_way_finishes_and_no_other_begins() {
    let mut stage = Stage::new();
    let (go_on, say) = (Arc::new(Notify::new()), stage.say.clone());
    let waits = go_on.clone();
    stage.schedule.every("slow", TICK, AtStart::Yes, move || {
        let (waits, say) = (waits.clone(), say.clone());
        async move {
            say.send("begin".to_owned()).unwrap();
            waits.notified().await;
            say.send("end".to_owned()).unwrap();
        }
    });
    let later = stage.clock.now() + TimeDelta::hours(1);
    stage.schedule.once("later", later, Replace::No, NEVER_TOO_LATE, stage.says("never")).unwrap();
    assert_eq!(stage.next().await, "begin");

    stage.stop.cancel();
    stage.tasks.close();
    go_on.notify_one();
    stage.tasks.wait().await;
    stage.clock.advance(Duration::from_secs(7_200));
    assert_eq!(stage.next().await, "end");
    assert!(stage.said.try_recv().is_err());
}

#[tokio::test]
async fn a_cron_job_follows_the_wall_clock_of_its_zone() {
    let mut stage = Stage::at("2026-01-15T04:30:00Z"); // 23:30 of the 14th in New York.
    stage.schedule.cron("midnight", "0 0 * * *", Eastern, stage.says("run")).unwrap();
    for expected in ["run 15 05:00", "run 16 05:00"] {
        stage.settled(1).await;
        stage.clock.advance(Duration::from_secs(1_800));
        assert_eq!(stage.next().await, expected);
        stage.settled(1).await;
        stage.clock.advance(Duration::from_secs(23 * 3_600 + 1_800));
    }
}

/// What a cron job says while hours pass one minute at a time.
async fn cron_through(from: &str, hours: u32, expression: &str) -> Vec<String> {
    let mut stage = Stage::at(from);
    stage.schedule.cron("cron", expression, Eastern, stage.says("run")).unwrap();
    for _ in 0..hours * 60 {
        stage.settled(1).await;
        stage.clock.advance(Duration::from_secs(60));
    }
    stage.settled(1).await;
    std::iter::from_fn(|| stage.said.try_recv().ok()).collect()
}

#[tokio::test]
async fn a_fixed_time_in_the_gap_of_spring_runs_right_after_it() {
    // 2026-03-08: 02:00 EST (07:00 UTC) is followed by 03:00 EDT.
    assert_eq!(cron_through("2026-03-08T05:00:00Z", 5, "30 2 * * *").await, ["run 08 07:00"]);
    // The day before and the day after, one hour apart in UTC.
    assert_eq!(cron_through("2026-03-07T07:00:00Z", 1, "30 2 * * *").await, ["run 07 07:30"]);
    assert_eq!(cron_through("2026-03-09T06:00:00Z", 1, "30 2 * * *").await, ["run 09 06:30"]);
}

#[tokio::test]
async fn a_fixed_time_in_the_repeated_hour_of_autumn_runs_once() {
    // 2026-11-01: 01:30 comes at 05:30 UTC (EDT) and again at 06:30 UTC (EST).
    assert_eq!(cron_through("2026-11-01T04:00:00Z", 4, "30 1 * * *").await, ["run 01 05:30"]);
}

#[tokio::test]
async fn a_step_job_goes_on_through_both_changes() {
    let spring = cron_through("2026-03-08T06:15:00Z", 2, "*/30 * * * *").await;
    assert_eq!(spring, ["run 08 06:30", "run 08 07:00", "run 08 07:30", "run 08 08:00"]);
    let autumn = cron_through("2026-11-01T05:15:00Z", 2, "*/30 * * * *").await;
    assert_eq!(autumn, ["run 01 05:30", "run 01 06:00", "run 01 06:30", "run 01 07:00"]);
}

#[tokio::test]
async fn cron_expressions_that_cannot_work_are_refused() {
    let stage = Stage::new();
    for bad in ["", "nonsense", "61 * * * *", "0 0 30 2 *"] {
        let refused = stage.schedule.cron("bad", bad, Eastern, stage.says("never")).unwrap_err();
        assert_eq!(refused.expression, bad);
    }
    assert!(!stage.schedule.pending("bad"));
}
