//! Malformed bytes on every subject: no service falls, and every request gets exactly one reply.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use async_nats::Client;
use bytes::Bytes;
use fleet::catalogue;
use futures::StreamExt;
use rand::{SeedableRng, rngs::Xoshiro256PlusPlus, seq::IndexedRandom};
use runtime::Runnable;
use serde_json::json;
use testkit::malformation;
use tokio::sync::Semaphore;

use crate::{
    stage::{PATIENCE, Stage, assert_no_restarts, until},
    subjects::{Sample, samples, served},
};

/// Messages with a reply subject: every malformation on every subject several times. `scripts/prove` sends a million to the
/// release programs.
const MESSAGES: usize = 20_000;
/// One in so many comes a second time without a reply subject.
const SILENT: usize = 50;
/// Requests that wait for a reply at the same time.
const IN_FLIGHT: usize = 256;
/// What is answered 202 until it is built.
const CACHES: [&str; 2] = ["customer.cache.get", "hawkeye.customer.cache.get"];

/// The seed: `HOSTILE_SEED`, else the same each time.
fn seed() -> u64 {
    std::env::var("HOSTILE_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_220_131)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn malformed_messages_kill_nothing_and_are_all_answered() {
    let seed = seed();
    println!("HOSTILE_SEED={seed}");
    let stage = Stage::new().await;
    let services: Vec<&str> = catalogue::all().iter().map(Runnable::name).collect();
    let supervisor = stage.run(&services).await;
    let client = stage.nats.client().await;
    let samples = samples(&stage);
    let subjects = served(&client, services.len()).await;
    let known = samples.iter().map(|sample| sample.subject.to_owned()).collect();
    assert_eq!(subjects, known, "a good request is needed for every served subject");
    // The caches fill after the start; from then on a good request has its usual answer.
    caches_are_built(&stage, &samples).await;
    let before = good_requests(&stage).await;

    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
    let replies = Replies::collect(&client, MESSAGES).await;
    for number in 0..MESSAGES {
        let sample = samples.choose(&mut random).unwrap();
        let payload = malformation::of(&sample.envelope, number, &mut random);
        if number % SILENT == 0 {
            client.publish(sample.subject, payload.clone()).await.unwrap();
        }
        replies.ask(&client, number, sample.subject, payload).await;
    }
    replies.all().await;
    let after = good_requests(&stage).await;
    assert_no_restarts(&supervisor);
    // What a service still wants to say it says before it ends: a second reply would show now.
    supervisor.stop().await;
    replies.end(&client).await;
    assert_eq!(replies.counts(), BTreeMap::from([(1, MESSAGES)]), "replies per request: number of requests");
    for (subject, status) in &before {
        assert!(*status < 500, "{subject} answered {status}");
    }
    assert_eq!(before, after, "a good request is answered as before");
}

/// Waits until good requests to the caches are answered 200.
async fn caches_are_built(stage: &Stage, samples: &[Sample]) {
    let old = stage.old_peer().await;
    for sample in samples.iter().filter(|sample| CACHES.contains(&sample.subject)) {
        let built = async {
            while old.request(sample.subject, &sample.envelope, PATIENCE).await.envelope()["status"] != 200 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, built).await.expect(sample.subject);
    }
}

/// The status of each subject's answer to a good request.
async fn good_requests(stage: &Stage) -> BTreeMap<&'static str, u64> {
    let old = stage.old_peer().await;
    let mut statuses = BTreeMap::new();
    for sample in samples(stage) {
        let mut envelope = sample.envelope.clone();
        // A repeated id of a write would be answered from memory.
        envelope["request_id"] = json!(format!("good-{}", rand::random::<u64>()));
        let reply = old.request(sample.subject, &envelope, PATIENCE).await.envelope();
        statuses.insert(sample.subject, reply["status"].as_u64().unwrap());
    }
    statuses
}

/// Counts the replies to each request.
struct Replies {
    inbox: String,
    counts: Arc<Vec<AtomicU32>>,
    places: Arc<Semaphore>,
    ended: Arc<AtomicBool>,
}

impl Replies {
    async fn collect(client: &Client, requests: usize) -> Self {
        let inbox = client.new_inbox();
        let mut arriving = client.subscribe(format!("{inbox}.*")).await.unwrap();
        client.flush().await.unwrap();
        let counts: Arc<Vec<AtomicU32>> = Arc::new((0..requests).map(|_| AtomicU32::new(0)).collect());
        let (places, ended) = (Arc::new(Semaphore::new(IN_FLIGHT)), Arc::new(AtomicBool::new(false)));
        let (counting, free, end) = (counts.clone(), places.clone(), ended.clone());
        tokio::spawn(async move {
            while let Some(reply) = arriving.next().await {
                let number: usize = reply.subject.rsplit('.').next().unwrap().parse().unwrap();
                let Some(count) = counting.get(number) else {
                    end.store(true, Ordering::Release);
                    continue;
                };
                // Nobody listened: no reply.
                if reply.status.is_none() && count.fetch_add(1, Ordering::Relaxed) == 0 {
                    free.add_permits(1);
                }
            }
        });
        Self { inbox, counts, places, ended }
    }

    async fn ask(&self, client: &Client, number: usize, subject: &'static str, payload: Bytes) {
        let place = tokio::time::timeout(PATIENCE, self.places.acquire()).await;
        place
            .unwrap_or_else(|_| panic!("{IN_FLIGHT} requests before {number} are not answered"))
            .unwrap()
            .forget();
        client.publish_with_reply(subject, format!("{}.{number}", self.inbox), payload).await.unwrap();
    }

    /// Waits until every request has a reply.
    async fn all(&self) {
        let all = self.places.acquire_many(u32::try_from(IN_FLIGHT).unwrap());
        let in_time = tokio::time::timeout(PATIENCE, all).await.is_ok();
        assert!(in_time, "some requests are not answered: {:?}", self.counts());
    }

    /// Waits until all that the server has sent is counted: what we send to ourselves comes last.
    async fn end(&self, client: &Client) {
        let last = self.counts.len();
        client.publish(format!("{}.{last}", self.inbox), Bytes::new()).await.unwrap();
        until("replies come to an end", || self.ended.load(Ordering::Acquire)).await;
    }

    /// How many requests had how many replies.
    fn counts(&self) -> BTreeMap<u32, usize> {
        let mut requests = BTreeMap::new();
        for count in self.counts.iter() {
            *requests.entry(count.load(Ordering::Relaxed)).or_default() += 1;
        }
        requests
    }
}
