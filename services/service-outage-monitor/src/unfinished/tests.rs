use bus::{BusOptions, RedisLink, RedisOptions};
use chrono::{DateTime, TimeDelta, Utc};
use prometheus::Registry;
use serde_json::json;
use ticketing::OutageKind;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{action::Action, rules::creation::Creation, sample};

const HOST: &str = "automation-example-vco1";

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
}

fn waiting(serial: &str, due: i64) -> Entry {
    Entry::quarantine(Serial::from(serial), OutageKind::LinkDown, at(0), at(due))
}

fn outage(serial: &str) -> Entry {
    Entry::outage(sample::link_down(serial), OutageKind::LinkDown, at(180), None)
}

fn note(text: &str) -> Action {
    Action::AppendNote {
        ticket: Some(555.into()),
        serial: Serial::from("VC1"),
        lines: vec![],
        about: "triage 1/1".into(),
        text: text.into(),
    }
}

/// Servers and what replicas need to reach them.
struct Servers {
    nats: testkit::Nats,
    redis: testkit::Redis,
    buses: Mutex<Vec<bus::Bus>>,
}

impl Servers {
    async fn both() -> [Self; 2] {
        let of =
            |nats| async { Self { nats, redis: testkit::Redis::start().await, buses: Mutex::default() } };
        [of(testkit::Nats::start_with_jetstream().await).await, of(testkit::Nats::start().await).await]
    }

    /// The store as a replica opens it.
    async fn store(&self) -> Result<Store, StoreError> {
        let bus = self.bus().await;
        self.store_of(&bus).await
    }

    async fn bus(&self) -> bus::Bus {
        let options = BusOptions::new("test", self.nats.url(), self.redis.host(), self.redis.port());
        let bus = bus::Bus::connect(options, &Registry::new()).await.unwrap();
        self.buses.lock().push(bus.clone());
        bus
    }

    async fn store_of(&self, bus: &bus::Bus) -> Result<Store, StoreError> {
        let redis =
            RedisOptions { host: self.redis.host(), port: self.redis.port(), ..RedisOptions::default() };
        Store::open(BUCKET, bus, Some(RedisLink::open(&redis).unwrap()), HOST).await
    }

    /// A replica that has taken over.
    async fn leader(&self) -> (Arc<Unfinished>, Vec<Entry>) {
        let unfinished = Arc::new(Unfinished::default());
        assert!(unfinished.new_lead(|_| false));
        let found = unfinished.take_over(|| self.store()).await;
        (unfinished, found)
    }
}

fn sorted(mut entries: Vec<Entry>) -> Vec<Entry> {
    entries.sort_by_key(Entry::name);
    entries
}

/// A cluster without a leader: the bucket may be there, with all that is unfinished in it.
#[tokio::test]
async fn while_jetstream_says_nothing_of_its_buckets_nobody_takes_redis_for_the_store() {
    let [_, servers] = Servers::both().await;
    let client = servers.nats.client().await;
    let leaderless =
        json!({"error": {"code": 503, "err_code": 10008, "description": "temporarily unavailable"}});
    for answer in [None, Some(leaderless.to_string())] {
        let mut asked = client.subscribe("$JS.API.>").await.unwrap();
        client.flush().await.unwrap();
        let (peer, end) = (client.clone(), CancellationToken::new());
        let (ended, silent) = (end.clone(), answer.is_none());
        let jetstream = tokio::spawn(async move {
            while let Some(Some(request)) = ended.run_until_cancelled(asked.next()).await {
                if let (Some(inbox), Some(answer)) = (request.reply, &answer) {
                    peer.publish(inbox, answer.clone().into()).await.unwrap();
                }
            }
            asked.unsubscribe().await.unwrap();
        });
        let bus = servers.bus().await;
        if silent {
            // Nothing but the limits of time ends this.
            tokio::time::pause();
        }
        let error = servers.store_of(&bus).await.err().expect("no store");
        if silent {
            tokio::time::resume();
        }
        assert!(error.to_string().contains("cannot be opened for now"), "{error}");
        end.cancel();
        jetstream.await.unwrap();
        client.flush().await.unwrap();
    }
    // Now nobody serves JetStream at all.
    let store = servers.store().await.unwrap();
    store.put("a.b", "kept".into()).await.unwrap();
    assert_eq!(servers.store().await.unwrap().all().await.unwrap(), [("a.b".to_owned(), "kept".into())]);
}

#[tokio::test]
async fn the_next_leader_finds_what_is_unfinished_and_nothing_else() {
    for servers in Servers::both().await {
        let (leader, found) = servers.leader().await;
        assert_eq!(found, []);
        leader.keep(vec![waiting("VC1", 180), waiting("VC2", 180), waiting("VC3", 180)]).await;
        let work = leader.begin(outage("VC1")).await.unwrap();
        work.covered(Creation::New, &555.into()).await;
        work.set_pages(&["page".into()]);
        assert_eq!(work.begin(&note("page"), at(181), Duration::from_secs(15)).await, Begun::First);
        let name = Entry::name_of(&Serial::from("VC2"), OutageKind::LinkDown);
        leader.remove([name].into(), |entry| entry.has_waited(at(180))).await;

        let (next, found) = servers.leader().await;
        let expected = work.entry().unwrap();
        assert_eq!(sorted(found), sorted(vec![expected.clone(), waiting("VC3", 180)]));
        assert_eq!(next.idle(), [expected]);
        let work = next.begin(outage("VC1")).await.unwrap();
        assert!(work.resumed && work.ticket() == Some((Creation::New, 555.into())));
        assert_eq!(work.pages(), ["page"]);
        let Begun::Again(deed) = work.begin(&note("page"), at(195), Duration::ZERO).await else {
            panic!("again")
        };
        assert_eq!((deed.at, deed.until, deed.text), (at(181), at(196), None));
        assert!(next.idle().is_empty() && next.begin(outage("VC1")).await.is_none(), "somebody works on it");
        work.finish().await;
        assert_eq!(servers.leader().await.1, [waiting("VC3", 180)]);
    }
}

#[tokio::test]
async fn a_former_leader_can_change_nothing_and_stops() {
    for servers in Servers::both().await {
        let (old, _) = servers.leader().await;
        old.keep(vec![waiting("VC1", 180)]).await;
        let work = old.begin(outage("VC2")).await.unwrap();
        let (new, found) = servers.leader().await;
        assert_eq!(found.len(), 2);

        // Neither begin what the new one knows, nor something new, nor go on, nor remove.
        assert!(old.begin(outage("VC1")).await.is_none());
        assert!(old.begin(outage("VC3")).await.is_none());
        assert_eq!(work.begin(&note("page"), at(181), Duration::ZERO).await, Begun::NotOurs);
        assert!(work.is_stopped());
        work.finish().await;
        old.keep(vec![waiting("VC4", 180)]).await;
        old.remove([waiting("VC1", 180).name()].into(), |_| true).await;

        new.keep(vec![waiting("VC5", 180)]).await;
        let expected = vec![waiting("VC1", 180), outage("VC2"), waiting("VC5", 180)];
        assert_eq!(sorted(servers.leader().await.1), sorted(expected));
        // Leading again, it begins with what is there.
        assert!(old.new_lead(|_| false));
        assert_eq!(old.take_over(|| servers.store()).await.len(), 3);
        assert!(old.begin(outage("VC3")).await.is_some());
    }
}

#[tokio::test]
async fn a_redis_that_has_lost_everything_is_filled_again() {
    let [_, servers] = Servers::both().await;
    let (leader, _) = servers.leader().await;
    leader.keep(vec![waiting("VC1", 180), waiting("VC2", 180)]).await;
    let mut redis = servers.redis.connection().await;
    redis::cmd("FLUSHALL").exec_async(&mut redis).await.unwrap();
    let work = leader.begin(outage("VC1")).await.expect("nobody else acts");
    assert_eq!(work.begin(&note("page"), at(181), Duration::ZERO).await, Begun::First);
    let known = work.entry().unwrap();
    // The next cycle brings the store up to date.
    assert_eq!(leader.take_over(|| servers.store()).await, []);
    let (_, found) = servers.leader().await;
    assert_eq!(sorted(found), sorted(vec![known, waiting("VC2", 180)]));
    assert!(leader.begin(outage("VC3")).await.is_none(), "another one has taken over");
}

#[tokio::test]
async fn without_a_store_everything_goes_on_in_memory() {
    let [servers, _] = Servers::both().await;
    let (leader, _) = servers.leader().await;
    servers.nats.pause();
    leader.inner.lock().pause = Some(Instant::now() + PAUSE);
    let work = leader.begin(outage("VC1")).await.unwrap();
    assert_eq!(work.begin(&note("page"), at(181), Duration::ZERO).await, Begun::First);
    work.ended(&note("page"), true);
    assert_eq!(work.begin(&note("page"), at(182), Duration::ZERO).await, Begun::Ended(true));
    drop(work);
    // Left by a panic: taken up again.
    assert_eq!(leader.idle().len(), 1);
    servers.nats.resume();
    leader.inner.lock().pause = None;
    // The next cycle brings the store up to date.
    leader.take_over(|| servers.store()).await;
    assert_eq!(servers.leader().await.1.len(), 1);
}

#[tokio::test]
async fn a_new_lead_tries_the_store_at_once() {
    let [servers, _] = Servers::both().await;
    let (former, _) = servers.leader().await;
    former.keep(vec![waiting("VC1", 180)]).await;
    let (leader, _) = servers.leader().await;
    leader.inner.lock().pause = Some(Instant::now() + PAUSE);
    assert!(leader.new_lead(|_| false));
    assert_eq!(leader.take_over(|| servers.store()).await, [waiting("VC1", 180)]);
}

/// The edge was put into quarantine before the store could be read.
#[tokio::test]
async fn what_a_former_leader_has_begun_comes_before_a_new_quarantine() {
    let [servers, _] = Servers::both().await;
    let (former, _) = servers.leader().await;
    assert!(former.begin(outage("VC1")).await.is_some());
    let leader = Arc::new(Unfinished::default());
    leader.keep(vec![waiting("VC1", 960)]).await;
    assert_eq!(leader.take_over(|| servers.store()).await, [outage("VC1")]);
    let work = leader.begin(outage("VC1")).await.unwrap();
    assert!(work.resumed);
    work.finish().await;
    assert_eq!(servers.leader().await.1, [waiting("VC1", 960)]);
}

#[tokio::test]
async fn an_earlier_lost_creation_is_over_once_the_ticket_is_known() {
    let [servers, _] = Servers::both().await;
    let (leader, _) = servers.leader().await;
    let entry = Entry::outage(sample::link_down("VC1"), OutageKind::LinkDown, at(180), Some(at(100)));
    let work = leader.begin(entry).await.unwrap();
    let (next, found) = servers.leader().await;
    assert_eq!(found.iter().map(Entry::lost).collect::<Vec<_>>(), [Some(at(100))]);
    drop(work);
    let work = next.begin(found[0].clone()).await.unwrap();
    work.covered(Creation::New, &555.into()).await;
    let (_, found) = servers.leader().await;
    assert_eq!(found.iter().map(Entry::lost).collect::<Vec<_>>(), [None]);
}

#[tokio::test]
async fn a_lost_creation_is_remembered_until_the_device_is_covered_or_healthy() {
    let [servers, _] = Servers::both().await;
    let (leader, _) = servers.leader().await;
    let work = leader.begin(outage("VC1")).await.unwrap();
    work.lose_creation(at(180)).await;
    drop(work);
    let (leader, found) = servers.leader().await;
    assert_eq!(found.iter().map(Entry::lost).collect::<Vec<_>>(), [Some(at(180))]);
    assert!(leader.idle().is_empty(), "the next re-check tells");
    leader.keep(vec![waiting("VC1", 960)]).await;
    let (leader, found) = servers.leader().await;
    assert_eq!(found.iter().map(Entry::lost).collect::<Vec<_>>(), [Some(at(180))]);
    leader.inner.lock().known.values_mut().for_each(|entry| {
        entry.task = Task::LostCreation { kind: OutageKind::LinkDown };
    });
    leader.forget_lost(&Serial::from("VC2")).await;
    leader.forget_lost(&Serial::from("VC1")).await;
    assert_eq!(servers.leader().await.1, []);
}

#[tokio::test]
async fn nonsense_in_the_store_is_removed() {
    let [servers, _] = Servers::both().await;
    servers.store().await.unwrap().put("VC1.nonsense", "{}".into()).await.unwrap();
    let (_, found) = servers.leader().await;
    assert_eq!(found, []);
    assert_eq!(servers.store().await.unwrap().all().await.unwrap(), []);
}
