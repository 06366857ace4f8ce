//! Experiment 6: malformed messages on every subject of every service. None falls, hangs, or leaves a request without
//! exactly one reply.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use async_nats::Client;
use futures::StreamExt;
use futures::future::BoxFuture;
use measure::Service;
use measure::figures::{count, number, per_second};
use rand::seq::IndexedRandom;
use sandbox::samples::{self, Sample};
use sandbox::world::tickets::Tickets;
use serde_json::{Value, json};
use testkit::malformation;
use tokio::sync::Semaphore;

use crate::experiment::{Experiment, Lab, Outcome, Promise};
use crate::stage::{CACHES, PATIENCE, Stage, random};

/// Requests that wait for a reply at the same time.
const IN_FLIGHT: u32 = 256;
/// One in so many comes a second time without a reply subject.
const SILENT: usize = 50;
/// After so many messages the third party's tickets are those of the start again. What is good among the messages writes
/// notes and opens tickets; the replies about them would grow without end, and with them what the services need.
const EPISODE: usize = 10_000;
/// What the memory of a service may grow by, in MB: queues, and what many large messages leave with the allocator.
const GROWTH: f64 = 32.0;
/// The same in the short form, which ends before queues and allocator have settled.
const GROWTH_SHORT: f64 = 64.0;

/// See the module.
pub(crate) struct Hostile;

impl Experiment for Hostile {
    fn name(&self) -> &'static str {
        "hostile"
    }

    fn about(&self) -> &'static str {
        "random bytes, cut and changed messages, wrong types, deep nesting, odd tokens and ids, on all subjects of all \
         services"
    }

    fn promises(&self) -> &'static [Promise] {
        &[Promise::P3]
    }

    fn run<'a>(&'a self, lab: &'a Lab) -> BoxFuture<'a, anyhow::Result<Outcome>> {
        Box::pin(run(lab))
    }
}

async fn run(lab: &Lab) -> anyhow::Result<Outcome> {
    let stage = Stage::new(lab, 40).await?;
    let (services, missing) = stage.built();
    let mut running = Vec::new();
    for service in services {
        let settings: &[(&str, &str)] = match service {
            // It answers nothing, and would work on the tickets that the messages open.
            "service-outage-monitor" => continue,
            // Elsewhere it writes nothing.
            "cts-bridge" => &[("CURRENT_ENVIRONMENT", "dev")],
            _ => &[],
        };
        running.push((service, stage.start(service, service, settings).await?));
    }
    let client = async_nats::connect(stage.nats_url()).await?;
    let subjects = served(&client, running.len()).await?;
    for cache in CACHES.into_iter().filter(|cache| subjects.contains(*cache)) {
        stage.until_cached(cache).await?;
    }
    let samples = good_samples(&stage, &subjects)?;
    let before = good_requests(&client, &samples).await?;
    let tickets = stage.sandbox.world().read_tickets(Tickets::clone);

    let messages = lab.effort.pick(10_000, 1_000_000);
    let began = Instant::now();
    let mut random = random(lab.seed);
    let replies = Replies::collect(&client, messages).await?;
    let mut memory = Vec::new();
    for number in 0..messages {
        if number == messages / 3 {
            memory = resident(&running)?;
        }
        if number % EPISODE == 0 {
            stage.sandbox.world().with_tickets(|now| now.clone_from(&tickets));
        }
        let Some(sample) = samples.choose(&mut random) else { anyhow::bail!("no service answers anything") };
        let payload = malformation::of(&sample.envelope, number, &mut random);
        if number % SILENT == 0 {
            client.publish(sample.subject, payload.clone()).await?;
        }
        replies.ask(&client, number, sample.subject, payload).await?;
    }
    let unanswered = replies.unanswered().await;
    let took = began.elapsed();
    // About another edge and another ticket: what was good among the messages has closed the former.
    let after = good_requests(&client, &good_samples(&stage, &subjects)?).await?;

    let mut outcome = Outcome::default();
    outcome.figure(
        "messages",
        format!("{} at {}", count(messages), per_second(number(messages) / took.as_secs_f64())),
    );
    outcome.figure("subjects", format!("{} of {} services", subjects.len(), running.len()));
    if !missing.is_empty() {
        outcome.skip(format!("programs that were not built: {}", missing.join(", ")));
    }
    for (name, service) in &mut running {
        if !service.program.runs()? {
            outcome.check(format!("{name} runs on"), false, "it ended");
        }
    }
    let grown =
        resident(&running)?.into_iter().zip(memory).map(|((name, now), (_, early))| (now - early, name));
    let (most, name) = grown.max_by(|one, other| one.0.total_cmp(&other.0)).context("no service runs")?;
    let changed: Vec<String> = before
        .iter()
        .filter(|(subject, status)| after.get(*subject) != Some(status))
        .map(|(subject, status)| format!("{subject} {status} then {:?}", after.get(subject)))
        .collect();
    outcome.none("requests without a reply", unanswered);
    for (_, service) in running {
        // What a service still wants to say it says before it ends: a second reply would show now.
        service.program.stop().await?;
    }
    client.flush().await?;
    tokio::time::sleep(Duration::from_millis(200)).await;
    outcome.none("requests with more than one reply", replies.several());
    let found = if changed.is_empty() { format!("all {}", before.len()) } else { changed.join(", ") };
    outcome.check("good requests are answered as before", changed.is_empty(), found);
    let bound = lab.effort.pick(GROWTH_SHORT, GROWTH);
    outcome.check(
        format!("memory grows by less than {bound} MB after the first third"),
        most < bound,
        format!("{most:.1} MB at most, {name}"),
    );
    Ok(outcome)
}

/// The memory of each service, in MB.
fn resident(running: &[(&'static str, Service)]) -> anyhow::Result<Vec<(&'static str, f64)>> {
    running.iter().map(|(name, service)| Ok((*name, service.program.memory()?.resident))).collect()
}

/// A good request for each subject.
fn good_samples(stage: &Stage, subjects: &BTreeSet<String>) -> anyhow::Result<Vec<Sample>> {
    let mut samples = samples::samples(&stage.sandbox)?;
    samples.retain(|sample| subjects.contains(sample.subject));
    let known: BTreeSet<&str> = samples.iter().map(|sample| sample.subject).collect();
    let unknown: Vec<&String> = subjects.iter().filter(|subject| !known.contains(subject.as_str())).collect();
    anyhow::ensure!(unknown.is_empty(), "no good request is known for {unknown:?}");
    Ok(samples)
}

/// The subjects that are served now, as the services themselves say it (`$SRV.INFO`).
async fn served(client: &Client, services: usize) -> anyhow::Result<BTreeSet<String>> {
    let inbox = client.new_inbox();
    let mut answers = client.subscribe(inbox.clone()).await?;
    client.publish_with_reply("$SRV.INFO", inbox, "".into()).await?;
    let mut subjects = BTreeSet::new();
    for _ in 0..services {
        let answer = tokio::time::timeout(PATIENCE, answers.next())
            .await
            .context("a service does not say who it is")?;
        let info: Value = serde_json::from_slice(&answer.context("no connection")?.payload)?;
        let endpoints = info.get("endpoints").and_then(Value::as_array).cloned().unwrap_or_default();
        let subject = |endpoint: &Value| Some(endpoint.get("subject")?.as_str()?.to_owned());
        subjects.extend(endpoints.iter().filter_map(subject));
    }
    Ok(subjects)
}

/// The status of each subject's answer to a good request.
async fn good_requests(client: &Client, samples: &[Sample]) -> anyhow::Result<BTreeMap<&'static str, u64>> {
    let mut statuses = BTreeMap::new();
    for sample in samples {
        let mut envelope = sample.envelope.clone();
        if let Value::Object(fields) = &mut envelope {
            // A repeated id of a write would be answered from memory.
            fields.insert("request_id".to_owned(), json!(format!("good-{}", rand::random::<u64>())));
        }
        let request = async_nats::Request::new().payload(envelope.to_string().into()).timeout(Some(PATIENCE));
        let reply = client.send_request(sample.subject, request).await;
        let reply = reply.with_context(|| format!("no reply on {}", sample.subject))?;
        let reply: Value = serde_json::from_slice(&reply.payload)?;
        statuses.insert(sample.subject, reply.get("status").and_then(Value::as_u64).unwrap_or_default());
    }
    Ok(statuses)
}

/// Counts the replies to each request.
struct Replies {
    inbox: String,
    counts: Arc<Vec<AtomicU32>>,
    places: Arc<Semaphore>,
}

impl Replies {
    async fn collect(client: &Client, requests: usize) -> anyhow::Result<Self> {
        let inbox = client.new_inbox();
        let mut arriving = client.subscribe(format!("{inbox}.*")).await?;
        client.flush().await?;
        let counts: Arc<Vec<AtomicU32>> = Arc::new((0..requests).map(|_| AtomicU32::new(0)).collect());
        let places = Arc::new(Semaphore::new(usize::try_from(IN_FLIGHT)?));
        let (counting, free) = (Arc::clone(&counts), Arc::clone(&places));
        tokio::spawn(async move {
            while let Some(reply) = arriving.next().await {
                let number = reply.subject.rsplit('.').next().and_then(|number| number.parse::<usize>().ok());
                let Some(count) = number.and_then(|number| counting.get(number)) else { continue };
                // Nobody listened: no reply.
                if reply.status.is_none() && count.fetch_add(1, Ordering::Relaxed) == 0 {
                    free.add_permits(1);
                }
            }
        });
        Ok(Self { inbox, counts, places })
    }

    async fn ask(
        &self,
        client: &Client,
        number: usize,
        subject: &'static str,
        payload: bytes::Bytes,
    ) -> anyhow::Result<()> {
        let place = tokio::time::timeout(PATIENCE, self.places.acquire()).await;
        place.with_context(|| format!("{IN_FLIGHT} requests before {number} are not answered"))??.forget();
        client.publish_with_reply(subject, format!("{}.{number}", self.inbox), payload).await?;
        Ok(())
    }

    /// Waits until every request has a reply; how many have none.
    async fn unanswered(&self) -> usize {
        // What is missing is counted.
        let _ = tokio::time::timeout(PATIENCE, self.places.acquire_many(IN_FLIGHT)).await;
        self.counts.iter().filter(|count| count.load(Ordering::Relaxed) == 0).count()
    }

    fn several(&self) -> usize {
        self.counts.iter().filter(|count| count.load(Ordering::Relaxed) > 1).count()
    }
}
