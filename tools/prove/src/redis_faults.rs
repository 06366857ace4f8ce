//! Experiment 3: Redis stopped, restarted, full and slow. What is small is unaffected, what is large is refused clearly
//! and in time, and everything recovers by itself.

use std::time::{Duration, Instant};

use anyhow::Context;
use async_nats::Client;
use futures::future::{BoxFuture, join_all};
use measure::figures::time;
use serde_json::{Value, json};
use testkit::{OldPeer, OldReply};

use crate::experiment::{Experiment, Lab, Outcome, Promise};
use crate::stage::{PATIENCE, Stage};

/// Edges of the host, so that the list of its links is larger than 1 MiB.
const EDGES: usize = 1_500;
/// What a small request may take while Redis is in trouble: one look for a duplicate is given up after a second.
const SMALL: Duration = Duration::from_secs(3);
/// What a refusal of something large may take: its time for storing and some more.
const LARGE: Duration = Duration::from_secs(20);
/// How soon large replies must come again.
const RECOVERY: Duration = Duration::from_secs(10);

/// See the module.
pub(crate) struct RedisFaults;

impl Experiment for RedisFaults {
    fn name(&self) -> &'static str {
        "redis-faults"
    }

    fn about(&self) -> &'static str {
        "Redis is full (maxmemory), frozen (SIGSTOP), killed (SIGKILL) and restarted while two bridges are asked for \
         small and for large replies"
    }

    fn promises(&self) -> &'static [Promise] {
        &[]
    }

    fn run<'a>(&'a self, lab: &'a Lab) -> BoxFuture<'a, anyhow::Result<Outcome>> {
        Box::pin(run(lab))
    }
}

/// What was asked in one state of Redis, and what came.
#[derive(Debug, Default)]
struct Seen {
    small: Vec<(Value, Duration)>,
    large: Vec<(Value, Duration)>,
}

struct Requester {
    client: Client,
    stage: Stage,
    tickets: Vec<i64>,
    next: usize,
}

async fn run(lab: &Lab) -> anyhow::Result<Outcome> {
    let stage = Stage::new(lab, EDGES).await?;
    let bridges = [
        stage.start("bruin-bridge", "bruin-bridge", &[]).await?,
        stage.start("velocloud-bridge", "velocloud-bridge", &[]).await?,
    ];
    let options = async_nats::ConnectOptions::new().request_timeout(Some(PATIENCE));
    let client = options.connect(stage.nats_url()).await?;
    let tickets = stage.tickets(10)?;
    let mut requester = Requester { client, stage, tickets, next: 0 };
    let mut outcome = Outcome::default();
    let recovery = requester.recovered().await?;
    outcome.figure("a large reply before", time(recovery));

    for (name, state) in [("full", State::Full), ("frozen", State::Frozen), ("killed", State::Killed)] {
        requester.strike(state).await?;
        let rounds = lab.effort.pick(1, 3);
        let mut seen = Seen::default();
        for _ in 0..rounds {
            let one = requester.ask().await?;
            seen.small.extend(one.small);
            seen.large.extend(one.large);
        }
        let slowest =
            |seen: &[(Value, Duration)]| seen.iter().map(|(_, took)| *took).max().unwrap_or_default();
        let refused = |reply: &Value| {
            let status = reply.get("status").and_then(Value::as_u64).unwrap_or_default();
            (500..600).contains(&status)
                && reply.get("body").is_some_and(|body| body.as_str().is_some_and(|text| !text.is_empty()))
        };
        let good = |reply: &Value| reply.get("status") == Some(&json!(200));
        let bad = seen.small.iter().filter(|(reply, _)| !good(reply)).count();
        outcome.none(format!("{name}: small requests of {} without success", seen.small.len()), bad);
        let small = slowest(&seen.small);
        let below = format!("{name}: small ones below {}", time(SMALL));
        outcome.in_time(lab.effort, below, small < SMALL, time(small));
        let unclear = seen.large.iter().filter(|(reply, _)| !refused(reply)).count();
        outcome.none(format!("{name}: large ones not refused by a 5xx with a text"), unclear);
        let large = slowest(&seen.large);
        let within = format!("{name}: refused within {}", time(LARGE));
        outcome.in_time(lab.effort, within, large < LARGE, time(large));
        if let Some((reply, _)) = seen.large.first() {
            outcome.figure(&format!("{name}: the refusal"), reply.get("body").unwrap_or(&Value::Null));
        }

        requester.heal(state).await?;
        let recovery = requester.recovered().await?;
        let what = format!("{name}: large replies again within {}", time(RECOVERY));
        outcome.in_time(lab.effort, what, recovery < RECOVERY, time(recovery));
    }
    let doubled = requester.doubled();
    outcome.none("writes doubled", doubled);
    for bridge in bridges {
        bridge.program.stop().await?;
    }
    Ok(outcome)
}

/// What is wrong with Redis.
#[derive(Debug, Clone, Copy)]
enum State {
    Full,
    Frozen,
    Killed,
}

impl Requester {
    async fn strike(&self, state: State) -> anyhow::Result<()> {
        match state {
            State::Full => self.maxmemory("1").await?,
            State::Frozen => self.stage.redis.pause(),
            State::Killed => self.stage.redis.kill9(),
        }
        Ok(())
    }

    async fn heal(&self, state: State) -> anyhow::Result<()> {
        match state {
            State::Full => self.maxmemory("0").await?,
            State::Frozen => self.stage.redis.resume(),
            State::Killed => self.stage.redis.restart().await,
        }
        Ok(())
    }

    /// Sets the memory that Redis may use, in bytes; 0 is all there is. Beyond it writes are refused.
    async fn maxmemory(&self, bytes: &str) -> anyhow::Result<()> {
        let mut connection = self.stage.redis.connection().await;
        for (name, value) in [("maxmemory-policy", "noeviction"), ("maxmemory", bytes)] {
            let mut command = redis::cmd("CONFIG");
            command.arg("SET").arg(name).arg(value);
            command.query_async::<()>(&mut connection).await?;
        }
        Ok(())
    }

    /// Small reads, writes, and one large read, all at the same time.
    async fn ask(&mut self) -> anyhow::Result<Seen> {
        let mut small = Vec::new();
        for ticket in self.tickets.clone() {
            small.push(("bruin.ticket.details.request", json!({"ticket_id": ticket})));
            self.next += 1;
            let note = json!({"ticket_id": ticket, "note": format!("note {}", self.next)});
            small.push(("bruin.ticket.note.append.request", note));
        }
        let large = vec![("get.links.with.edge.info", json!({"host": self.stage.host()}))];
        let ask = |requests: Vec<(&'static str, Value)>| {
            let requests = requests.into_iter().map(|(subject, body)| self.one(subject, body));
            join_all(requests)
        };
        let (small, large) = tokio::join!(ask(small), ask(large));
        Ok(Seen {
            small: small.into_iter().collect::<anyhow::Result<_>>()?,
            large: large.into_iter().collect::<anyhow::Result<_>>()?,
        })
    }

    /// The reply as it is on the wire.
    async fn one(&self, subject: &'static str, body: Value) -> anyhow::Result<(Value, Duration)> {
        let envelope = json!({"request_id": format!("r-{}", rand::random::<u64>()), "body": body});
        let began = Instant::now();
        let reply = self.client.request(subject, envelope.to_string().into()).await;
        let reply = reply.with_context(|| format!("no reply on {subject}"))?;
        Ok((serde_json::from_slice(&reply.payload)?, began.elapsed()))
    }

    /// Waits until a large reply can be had again; how long that took.
    async fn recovered(&self) -> anyhow::Result<Duration> {
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            let old = OldPeer::connect(&self.stage.nats_url(), &self.stage.redis.url()).await;
            let envelope = json!({"request_id": format!("r-{}", rand::random::<u64>()), "body": {"host": self.stage.host()}});
            let reply = old.request("get.links.with.edge.info", &envelope, PATIENCE).await;
            if matches!(&reply, OldReply::Envelope { value, via_redis: true } if value["status"] == 200) {
                return Ok(began.elapsed());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        anyhow::bail!("large replies do not come back")
    }

    /// Notes that are there more than once.
    fn doubled(&self) -> usize {
        let world = self.stage.sandbox.world();
        let notes: Vec<String> =
            self.tickets.iter().flat_map(|ticket| world.notes(*ticket)).map(|note| note.value).collect();
        let different: std::collections::BTreeSet<&String> = notes.iter().collect();
        notes.len() - different.len()
    }
}
