//! A pending forward is carried out whatever becomes of the run that was to do it: on a bus in memory whose store fails.

use std::time::Duration;

use bus::{
    Bus, RequestError,
    memory::{Access, Asked, Kept, Peers, Shelf},
};
use bytes::Bytes;
use chrono::TimeDelta;
use contracts::id::{ClientId, Serial};
use futures::future::BoxFuture;
use parking_lot::Mutex;
use runtime::Clock;
use serde_json::{Value, json};
use ticketing::OutageKind;

use super::*;
use crate::{
    edges::Device,
    rules::creation::Creation,
    sample::{self, SERIAL},
    store::Store,
    unfinished,
};

const DETAILS: &str = "bruin.ticket.details.request";
const WORK: &str = "bruin.ticket.change.work";
const PATIENCE: Duration = Duration::from_secs(20);

/// What becomes of writes to the store that depend on what was there.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Writes {
    Work,
    /// The server does not answer, or refuses.
    Fail,
    /// Another replica writes first.
    ComeTooLate,
}

/// Bruin and the store.
struct World {
    shelf: Shelf,
    writes: Mutex<Writes>,
    forwards: Mutex<usize>,
    /// How often the ticket's details were read.
    looks: Mutex<usize>,
}

impl World {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            shelf: Shelf::default(),
            writes: Mutex::new(Writes::Work),
            forwards: Mutex::default(),
            looks: Mutex::default(),
        })
    }

    fn forwards(&self) -> usize {
        *self.forwards.lock()
    }

    fn let_writes(&self, what: Writes) {
        *self.writes.lock() = what;
    }

    /// What the store has.
    fn kept(&self) -> Vec<Entry> {
        let kept = self.shelf.access(forwards::BUCKET.name, Access::LookAtAll).unwrap();
        kept.iter().map(|kept| serde_json::from_slice(kept.value.as_ref().unwrap()).unwrap()).collect()
    }

    /// Another replica writes an entry, or deletes it.
    fn write(&self, key: &str, value: Option<Bytes>) {
        let write = Access::Write { key: key.to_owned(), value, revision: None };
        self.shelf.access(forwards::BUCKET.name, write).unwrap();
    }
}

impl Peers for World {
    fn answer(&self, asked: Asked) -> BoxFuture<'static, Result<Bytes, RequestError>> {
        let task = (self.forwards() > 0).then_some("HNOC Investigate");
        let line =
            json!({"detailID": 77, "detailValue": SERIAL, "detailStatus": "I", "currentTaskName": task});
        let body = match asked.subject {
            DETAILS => json!({"ticketDetails": [line], "ticketNotes": []}),
            _ => Value::Null,
        };
        *self.forwards.lock() += usize::from(asked.subject == WORK);
        *self.looks.lock() += usize::from(asked.subject == DETAILS);
        Box::pin(async move { Ok(Bytes::from(json!({"body": body, "status": 200}).to_string())) })
    }

    fn keep(&self, bucket: &'static str, access: Access) -> BoxFuture<'static, Result<Vec<Kept>, String>> {
        let writes = *self.writes.lock();
        let kept = match (&access, writes) {
            (Access::Write { .. }, Writes::Fail) => Err("no answer".to_owned()),
            (Access::Write { key, .. }, Writes::ComeTooLate) => {
                self.write(key, Some("another replica's".into()));
                self.shelf.access(bucket, access)
            }
            _ => self.shelf.access(bucket, access),
        };
        Box::pin(std::future::ready(kept))
    }
}

fn replica(world: &Arc<World>, clock: &Clock) -> Arc<Monitor> {
    sample::monitor(world.clone(), clock)
}

/// A replica that has read its store, and a forward that is due in a minute.
async fn stage() -> (Arc<World>, Clock, Arc<Monitor>, Key, Entry) {
    let clock = Clock::frozen("2022-01-31T15:00:00Z".parse::<DateTime<Utc>>().unwrap());
    let world = World::new();
    let monitor = replica(&world, &clock);
    monitor.recover_forwards().await;
    let entry = Entry {
        ticket: Some(555.into()),
        serial: Serial::from(SERIAL),
        client: ClientId::from(11_111),
        due: clock.now() + TimeDelta::seconds(60),
        state: State::Pending,
    };
    (world, clock, monitor, entry.key(), entry)
}

async fn until(condition: impl Fn() -> bool) {
    let came_true = async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, came_true).await.expect("it comes true");
}

/// A replica that could not read the store at its start must not take an old outage for a new one.
#[tokio::test]
async fn former_forwards_are_read_before_one_is_scheduled() {
    let (world, clock, former, key, entry) = stage().await;
    let done = Entry { state: State::Done(clock.now()), ..entry };
    former.forwards.put(&key, done.clone()).await;

    let monitor = replica(&world, &clock);
    let device = Device { edge: Arc::new(sample::edge(SERIAL)), record: sample::link_down(SERIAL) };
    let kind = OutageKind::LinkDown;
    let outage = unfinished::Entry::outage(device.record.clone(), kind, clock.now(), None);
    let work = monitor.unfinished.begin(outage).await.unwrap();
    let ticket = Some(555.into());
    let case = Case { device, kind, creation: Creation::InProgress, ticket, work };
    let job = monitor.job("re-check", Arc::default());
    monitor.schedule_hnoc(&job, &case, hnoc::Trigger::StillDown).await;
    assert!(monitor.forwards.history(&key).settled, "it was done before");
    assert_eq!(world.kept(), [done]);
    assert!(!monitor.shell.schedule.pending(&key.job()));
}

/// One look right before it: between two the second could fail, and nobody would try again.
#[tokio::test]
async fn a_forward_takes_one_look_at_the_ticket() {
    let (world, clock, monitor, key, entry) = stage().await;
    monitor.forwards.put(&key, entry).await;
    monitor.recover_forwards().await;
    clock.advance(Duration::from_secs(60));
    until(|| monitor.forwards.history(&key).settled).await;
    assert_eq!((world.forwards(), *world.looks.lock()), (1, 1));
}

/// Another replica led when the timer fired, so the run did nothing. Now this one leads again.
#[tokio::test]
async fn a_forward_whose_timer_fired_in_vain_is_scheduled_again() {
    let (world, clock, monitor, key, entry) = stage().await;
    monitor.forwards.put(&key, entry).await;
    monitor.recover_forwards().await;
    assert!(monitor.shell.schedule.pending(&key.job()));
    monitor.shell.schedule.cancel(&key.job());
    clock.advance(Duration::from_secs(600));
    monitor.recover_forwards().await;
    until(|| monitor.forwards.history(&key).settled).await;
    assert_eq!(world.forwards(), 1);
    monitor.recover_forwards().await;
    assert!(!monitor.shell.schedule.pending(&key.job()), "it is over");
}

/// The run that had claimed it was cut off, or panicked, and the process goes on.
#[tokio::test]
async fn a_claimed_forward_whose_run_ended_early_is_carried_out_when_the_claim_has_run_out() {
    let (world, clock, monitor, key, entry) = stage().await;
    monitor.forwards.put(&key, entry).await;
    clock.advance(Duration::from_secs(60));
    assert!(monitor.forwards.claim(&key, clock.now()).await.is_some());
    monitor.recover_forwards().await;
    assert!(monitor.shell.schedule.pending(&key.job()));
    tokio::task::yield_now().await;
    assert_eq!(world.forwards(), 0, "whoever claimed it may be at it");
    clock.advance(Duration::from_secs(400));
    until(|| monitor.forwards.history(&key).settled).await;
    assert_eq!(world.forwards(), 1);
}

#[tokio::test]
async fn a_forward_is_carried_out_once_although_its_claim_cannot_be_stored() {
    let (world, clock, monitor, key, entry) = stage().await;
    monitor.forwards.put(&key, entry).await;
    monitor.recover_forwards().await;
    world.let_writes(Writes::Fail);
    clock.advance(Duration::from_secs(60));
    until(|| monitor.forwards.history(&key).settled).await;
    assert_eq!((world.forwards(), world.kept()[0].state), (1, State::Pending));
    // The next process has nothing but what the store and Bruin tell.
    let next = replica(&world, &clock);
    next.recover_forwards().await;
    until(|| next.forwards.history(&key).settled).await;
    assert_eq!(world.forwards(), 1);
    // What the store lacks is written later, and not taken for news.
    monitor.recover_forwards().await;
    world.let_writes(Writes::Work);
    monitor.recover_forwards().await;
    assert!(matches!(world.kept()[0].state, State::Done(_)));
    assert!(monitor.forwards.history(&key).settled && !monitor.shell.schedule.pending(&key.job()));
    assert_eq!(world.forwards(), 1);
}

#[tokio::test]
async fn a_forward_that_could_not_be_stored_when_it_was_scheduled_is_stored_later() {
    let (world, _, monitor, key, entry) = stage().await;
    let replaced = Entry { due: entry.due + TimeDelta::hours(1), ..entry.clone() };
    for scheduled in [replaced, entry] {
        world.let_writes(Writes::Fail);
        monitor.forwards.put(&key, scheduled.clone()).await;
        assert!(!world.kept().contains(&scheduled));
        world.let_writes(Writes::Work);
        monitor.recover_forwards().await;
        assert_eq!(world.kept(), [scheduled]);
    }
}

#[tokio::test]
async fn what_another_replica_has_changed_or_deleted_is_learned() {
    let (world, clock, monitor, key, entry) = stage().await;
    let name = "automation-example-vco1-example-net.555.VC1234567";
    monitor.forwards.put(&key, entry.clone()).await;
    let done = Entry { state: State::Done(clock.now()), ..entry.clone() };
    world.write(name, Some(serde_json::to_vec(&done).unwrap().into()));
    monitor.recover_forwards().await;
    assert!(monitor.forwards.history(&key).settled);

    monitor.forwards.put(&key, entry).await;
    world.write(name, None);
    monitor.recover_forwards().await;
    assert!(monitor.forwards.history(&key).pending.is_some(), "before it is due nobody needs to know");
    monitor.shell.schedule.cancel(&key.job());
    clock.advance(Duration::from_secs(60));
    monitor.recover_forwards().await;
    assert_eq!(monitor.forwards.history(&key), hnoc::History::default());
    assert!(!monitor.shell.schedule.pending(&key.job()));
    assert_eq!(world.forwards(), 0);
}

#[tokio::test]
async fn of_two_replicas_one_carries_a_forward_out() {
    let (world, clock, monitor, key, entry) = stage().await;
    monitor.forwards.put(&key, entry).await;
    let other = replica(&world, &clock);
    other.recover_forwards().await;
    monitor.recover_forwards().await;
    clock.advance(Duration::from_secs(60));
    until(|| monitor.forwards.history(&key).settled || other.forwards.history(&key).settled).await;
    clock.advance(Duration::from_secs(600));
    monitor.recover_forwards().await;
    other.recover_forwards().await;
    until(|| monitor.forwards.history(&key).settled && other.forwards.history(&key).settled).await;
    assert_eq!(world.forwards(), 1);
}

#[tokio::test]
async fn only_another_revision_means_that_somebody_was_quicker() {
    let world = World::new();
    let bus = Bus::in_memory("service-outage-monitor", world.clone());
    let store = Store::open(forwards::BUCKET, &bus, None, "host").await.unwrap();
    let swap = |old: &'static str, new: &'static str| store.swap("555.VC1", old.into(), new.into());
    store.put("555.VC1", "one".into()).await.unwrap();
    assert!(swap("one", "two").await.unwrap());
    assert!(!swap("one", "two").await.unwrap());
    world.let_writes(Writes::Fail);
    assert!(swap("two", "three").await.is_err());
    world.let_writes(Writes::ComeTooLate);
    assert!(!swap("two", "three").await.unwrap());
}
