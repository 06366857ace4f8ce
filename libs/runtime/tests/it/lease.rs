//! Leases in a real JetStream: who acts, who takes over, and that it is never two at a time.

use std::time::Duration;

use crate::candidates::{Candidate, Gate, Referee, until};
use async_nats::jetstream;
use rand::RngExt;
use runtime::{
    Context, DecisionMode, Environment, Hosted, LEASE_BUCKET, Leadership, Lease, Runnable, Service,
};
use testkit::{Nats, Redis};

/// The one who leads, once there is one.
async fn leader_of(referee: &Referee) -> Candidate {
    let mut found = None;
    until("somebody leads", || {
        found = referee.leader();
        found.is_some()
    })
    .await;
    found.unwrap()
}

/// The next one, once it leads.
async fn successor_of(referee: &Referee, former: &Candidate) -> Candidate {
    let mut found = None;
    until("another one leads", || {
        found = referee.leader().filter(|leader| leader.name != former.name);
        found.is_some()
    })
    .await;
    found.unwrap()
}

async fn revision(nats: &Nats) -> u64 {
    let store = jetstream::new(nats.client().await).get_key_value(LEASE_BUCKET).await.unwrap();
    store.entry("test").await.unwrap().unwrap().revision
}

#[tokio::test]
async fn one_of_three_acts_and_goes_on_acting() {
    let nats = Nats::start_with_jetstream().await;
    let referee = Referee::of(&["a", "b", "c"].map(|name| Candidate::start_patient(name, &nats.url())));
    let leader = leader_of(&referee).await;
    let first = revision(&nats).await;
    while revision(&nats).await < first + 10 {
        assert_eq!(referee.leader().map(|leader| leader.name), Some(leader.name));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    referee.never_saw_two();
}

#[tokio::test]
async fn a_graceful_stop_hands_over_at_once() {
    let nats = Nats::start_with_jetstream().await;
    let referee = Referee::of(&["a", "b"].map(|name| Candidate::start_patient(name, &nats.url())));
    let leader = leader_of(&referee).await;
    // With these periods a take-over by age is not due for an hour.
    leader.release();
    let next = successor_of(&referee, &leader).await;
    assert!(next.leadership.is_leader() && !leader.leadership.is_leader());
    referee.never_saw_two();
}

#[tokio::test]
async fn a_leader_that_dies_without_a_word_is_followed_by_another() {
    let nats = Nats::start_with_jetstream().await;
    let referee = Referee::of(&["a", "b", "c"].map(|name| Candidate::start(name, &nats.url())));
    let first = leader_of(&referee).await;
    first.kill();
    let second = successor_of(&referee, &first).await;
    second.kill();
    let third = successor_of(&referee, &second).await;
    assert_ne!(third.name, first.name);
    referee.never_saw_two();
}

#[tokio::test]
async fn a_leader_that_is_cut_off_steps_down_before_another_takes_over() {
    let nats = Nats::start_with_jetstream().await;
    let gate = Gate::open(nats.port()).await;
    let cut_off = Candidate::start("cut off", &gate.url());
    until("it leads", || cut_off.leadership.is_leader()).await;
    let referee = Referee::of(&[cut_off.clone(), Candidate::start("b", &nats.url())]);

    gate.shut();
    cut_off.leadership.until_lost().await;
    assert!(!cut_off.leadership.is_leader());
    let next = successor_of(&referee, &cut_off).await;
    assert_eq!(next.name, "b");
    // What was under way when the gate shut comes through now, and changes nothing.
    gate.reopen();
    let now = revision(&nats).await;
    until_revision(&nats, now + 5).await;
    assert!(next.leadership.is_leader() && !cut_off.leadership.is_leader());
    referee.never_saw_two();
}

#[tokio::test]
async fn a_frozen_leader_finds_its_time_over_when_it_runs_again() {
    let nats = Nats::start_with_jetstream().await;
    let referee = Referee::of(&["a", "b"].map(|name| Candidate::start(name, &nats.url())));
    let leader = leader_of(&referee).await;
    leader.freeze(Duration::from_secs(3));
    let next = successor_of(&referee, &leader).await;
    until("it runs again", || !leader.is_frozen()).await;
    assert!(!leader.leadership.is_leader());
    // Those who wait for changes have learned of it, too.
    until("it is told", || !*leader.leadership.changes().borrow()).await;
    assert_eq!(referee.leader().map(|leader| leader.name), Some(next.name));
    referee.never_saw_two();
}

#[tokio::test]
async fn a_server_that_freezes_or_restarts_ends_no_campaign() {
    let nats = Nats::start_with_jetstream().await;
    let referee = Referee::of(&["a", "b"].map(|name| Candidate::start(name, &nats.url())));
    let leader = leader_of(&referee).await;
    nats.pause();
    leader.leadership.until_lost().await;
    nats.resume();
    leader_of(&referee).await;

    let before = revision(&nats).await;
    nats.restart().await;
    until_revision(&nats, before + 3).await;
    leader_of(&referee).await;
    referee.never_saw_two();
}

#[tokio::test]
async fn two_never_lead_at_a_time_whoever_freezes_and_whenever() {
    let nats = Nats::start_with_jetstream().await;
    let referee = Referee::of(&["a", "b", "c"].map(|name| Candidate::start(name, &nats.url())));
    let mut random = rand::rng();
    let (mut leader, mut take_overs) = (leader_of(&referee).await, 0);
    while take_overs < 5 {
        // Around the leader's span: some are over before it, some wake just as another takes over.
        let span = Duration::from_millis(random.random_range(0..1_500));
        let victims = referee.candidates();
        let victim = if random.random_bool(0.7) { &leader } else { &victims[random.random_range(0..3)] };
        victim.freeze(span);
        until("it runs again", || victims.iter().all(|candidate| !candidate.is_frozen())).await;
        let present = leader_of(&referee).await;
        take_overs += usize::from(present.name != leader.name);
        leader = present;
    }
    referee.never_saw_two();
}

async fn until_revision(nats: &Nats, wanted: u64) {
    while revision(nats).await < wanted {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A monitor that would act.
struct Monitor;

impl Service for Monitor {
    const NAME: &'static str = "some-monitor";
    const ABOUT: &'static str = "Acts";
    type Config = ();

    async fn start(ctx: Context, (): ()) -> anyhow::Result<()> {
        let bus = ctx.connect().await?;
        let leadership: Leadership = ctx.leadership(&bus, "vco1.example.test")?;
        // A service without election waits for nothing.
        if ctx.process.leader_election == runtime::LeaderElection::Off {
            leadership.wait().await;
        }
        Ok(())
    }
}

fn leads(service: &Hosted) -> bool {
    let families = service.host.metrics.gather();
    let gauge = families.iter().find(|family| family.name() == "leader").unwrap();
    gauge.get_metric()[0].get_gauge().get_value() > 0.5
}

async fn service(nats: &Nats, redis: &Redis, election: &str) -> Hosted {
    let environment = Environment::from_iter(testkit::settings(nats, redis))
        .with("ENVIRONMENT_NAME", "test")
        .with("LEADER_ELECTION", election);
    let service = testkit::run(&Runnable::of::<Monitor>(), environment).await;
    until("it is ready", || service.host.not_ready().is_empty()).await;
    service
}

#[tokio::test(flavor = "multi_thread")]
async fn followers_are_ready_and_one_follows_when_the_leader_is_stopped() {
    let (nats, redis) = (Nats::start_with_jetstream().await, Redis::start().await);
    let (one, other) = (service(&nats, &redis, "jetstream").await, service(&nats, &redis, "jetstream").await);
    until("one leads", || leads(&one) || leads(&other)).await;
    assert!(leads(&one) != leads(&other));
    let (leader, follower) = if leads(&one) { (one, other) } else { (other, one) };

    let store = jetstream::new(nats.client().await).get_key_value(LEASE_BUCKET).await.unwrap();
    let key = Lease::key("test", Monitor::NAME, DecisionMode::Live, "vco1.example.test");
    assert!(store.get(&key).await.unwrap().is_some());

    leader.stop().await.unwrap();
    until("the other leads", || leads(&follower)).await;
    follower.stop().await.unwrap();
    assert!(store.get(&key).await.unwrap().is_none(), "it was not given back");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_election_every_replica_acts_and_needs_no_jetstream() {
    let (nats, redis) = (Nats::start().await, Redis::start().await);
    let service = service(&nats, &redis, "off").await;
    assert!(leads(&service));
    service.stop().await.unwrap();
}
