//! Taking over from a store that fails or changes meanwhile: on a bus in memory, in simulated time.

use bus::{
    Bus, RequestError,
    memory::{Access, Asked, Kept, Peers, Shelf},
};
use bytes::Bytes;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use runtime::Clock;
use serde_json::json;

use super::*;
use crate::{
    action::Action,
    sample::{self, SERIAL},
    store::Store,
};

const NOTE: &str = "bruin.ticket.note.append.request";
const SCOPE: &str = "automation-example-vco1-example-net";

/// The store, and Bruin, of whose notes nobody knows what became of them.
struct World {
    shelf: Shelf,
    clock: Clock,
    /// How many accesses to the store fail from now on.
    failing: Mutex<usize>,
    /// What a former leader writes right after its key was looked at.
    late: Mutex<Option<(String, Bytes)>>,
    /// When a note arrived, and until when its request may be under way by what the store tells.
    notes: Mutex<Vec<(DateTime<Utc>, DateTime<Utc>)>>,
}

impl World {
    fn new() -> Arc<Self> {
        let clock = Clock::simulated("2022-01-31T15:00:00Z".parse().unwrap());
        let (failing, late, notes) = (Mutex::default(), Mutex::default(), Mutex::default());
        Arc::new(Self { shelf: Shelf::default(), clock, failing, late, notes })
    }

    fn write(&self, key: &str, value: Bytes) {
        let write = Access::Write { key: key.to_owned(), value: Some(value), revision: None };
        self.shelf.access(BUCKET.name, write).unwrap();
    }

    /// What a former leader has left.
    fn leave(&self, entry: &Entry) {
        let value = serde_json::to_vec(entry).unwrap();
        self.write(&format!("{SCOPE}.{}", entry.name()), value.into());
    }

    fn entries(&self) -> Vec<Entry> {
        let kept = self.shelf.access(BUCKET.name, Access::LookAtAll).unwrap();
        kept.iter().filter_map(|kept| serde_json::from_slice(kept.value.as_ref()?).ok()).collect()
    }

    fn replica(self: &Arc<Self>) -> Arc<Monitor> {
        sample::monitor(self.clone(), &self.clock)
    }
}

impl Peers for World {
    fn answer(&self, asked: Asked) -> BoxFuture<'static, Result<Bytes, RequestError>> {
        if asked.subject == NOTE {
            let until = self.entries()[0].deeds[0].until;
            self.notes.lock().push((self.clock.now(), until));
            return Box::pin(async move {
                tokio::time::sleep(Duration::from_secs(10)).await;
                Ok(Bytes::from_static(b"mumble"))
            });
        }
        let body = json!({"ticketDetails": [], "ticketNotes": []});
        Box::pin(async move { Ok(Bytes::from(json!({"body": body, "status": 200}).to_string())) })
    }

    fn keep(&self, bucket: &'static str, access: Access) -> BoxFuture<'static, Result<Vec<Kept>, String>> {
        let mut failing = self.failing.lock();
        let fails = *failing > 0;
        *failing -= usize::from(fails);
        let found =
            if fails { Err("no answer".to_owned()) } else { self.shelf.access(bucket, access.clone()) };
        let mut late = self.late.lock();
        if let (Access::Look { key: looked }, Some((key, _))) = (&access, &*late)
            && looked == key
            && let Some((key, value)) = late.take()
        {
            self.write(&key, value);
        }
        Box::pin(std::future::ready(found))
    }
}

fn waiting(world: &World) -> Entry {
    let now = world.clock.now();
    Entry::quarantine(Serial::from(SERIAL), OutageKind::LinkDown, now, now + TimeDelta::seconds(180))
}

fn note(text: &str) -> Action {
    Action::AppendNote {
        ticket: Some(555.into()),
        serial: Serial::from(SERIAL),
        lines: vec![],
        about: "triage 1/1".into(),
        text: text.into(),
    }
}

/// What a former leader has left waits no whole interval.
#[tokio::test(start_paused = true)]
async fn a_store_that_could_not_be_taken_over_is_tried_again_soon() {
    let world = World::new();
    world.leave(&waiting(&world));
    *world.failing.lock() = 1;
    let monitor = world.replica();
    let edge = Arc::new(sample::edge(SERIAL));
    let batch = Batch { host: edge.identity.host.clone(), kind: OutageKind::LinkDown };
    let edges = Edges::from([(edge.serial.clone(), edge)]);
    monitor.take_up(edges.into(), &Arc::default()).await;
    assert!(!monitor.shell.schedule.pending(&batch.job()), "the store has failed");
    tokio::time::sleep(Duration::from_secs(40)).await;
    assert!(monitor.shell.schedule.pending(&batch.job()));
}

/// It did not know yet that it leads no more.
#[tokio::test(start_paused = true)]
async fn what_a_former_leader_writes_during_the_take_over_is_found() {
    let world = World::new();
    let entry = waiting(&world);
    world.leave(&entry);
    let newer = Entry { since: entry.since + TimeDelta::seconds(1), ..entry };
    let name = newer.name();
    *world.late.lock() = Some((format!("{SCOPE}.{name}"), serde_json::to_vec(&newer).unwrap().into()));
    let bus = Bus::in_memory("service-outage-monitor", world.clone());
    let store = Store::open(BUCKET, &bus, None, SCOPE).await.unwrap();
    let (_, found) = store.take_over().await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(serde_json::from_slice::<Entry>(&found[0].1).unwrap(), newer);
    assert_eq!(world.entries(), [newer]);
}

/// The repetition begins when the first request is over.
#[tokio::test(start_paused = true)]
async fn of_each_request_it_is_kept_until_when_it_may_be_under_way() {
    let world = World::new();
    let monitor = world.replica();
    monitor.take_up(Edges::new().into(), &Arc::default()).await;
    let outage = Entry::outage(sample::link_down(SERIAL), OutageKind::LinkDown, world.clock.now(), None);
    let work = monitor.unfinished.begin(outage).await.unwrap();
    let job = monitor.job("test", Arc::default());
    let because = because(&Serial::from(SERIAL), "documentation", &json!({})).part_of(&work);
    assert!(monitor.shell.hands.append_note(&job.reads, because, note("page")).await.is_err());
    let notes = world.notes.lock().clone();
    assert_eq!(notes.len(), 2);
    for (arrived, until) in notes {
        assert!(until >= arrived + TimeDelta::seconds(15), "{arrived} {until}");
    }
}
