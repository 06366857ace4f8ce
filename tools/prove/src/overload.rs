//! Experiment 5: ten times as many requests as a bridge can answer. The excess is refused at once, memory stays bounded,
//! and after the storm everything is as before.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::{Client, Message};
use futures::StreamExt;
use futures::future::BoxFuture;
use measure::figures::{count, number, per_second, quantile, time};
use measure::standstill::Watch;
use parking_lot::Mutex;
use sandbox::{Fault, ThirdParty};
use serde_json::json;

use crate::experiment::{Experiment, Lab, Outcome, Promise};
use crate::stage::{PATIENCE, Stage};

const SUBJECT: &str = "bruin.ticket.details.request";
/// How long the third party takes for each answer.
const UPSTREAM: Duration = Duration::from_millis(200);
/// Tickets that are asked for: more than wait at the same time, because equal reads share a call.
const TICKETS: usize = 4_000;
/// How many times more is asked than can be answered.
const TIMES: usize = 10;
/// How soon the excess is refused.
const REFUSAL: Duration = Duration::from_millis(100);
/// How soon after the storm the throughput is full again.
const RECOVERY: Duration = Duration::from_secs(2);
/// What the bridge's memory may grow by, in MB: its queues are bounded.
const GROWTH: f64 = 64.0;

/// See the module.
pub(crate) struct Overload;

impl Experiment for Overload {
    fn name(&self) -> &'static str {
        "overload"
    }

    fn about(&self) -> &'static str {
        "a bridge whose third party bounds it to so many answers a second is asked for ten times as many"
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
    stage.sandbox.faults().inject(ThirdParty::Bruin, Fault::latency(UPSTREAM).on("details"));
    let tickets: Arc<[i64]> = stage.tickets(TICKETS)?.into();
    // What the bridge works on at the same time bounds what it can answer.
    let places: usize = lab.effort.pick(40, 60);
    let settings = [("BRUIN_MAX_IN_FLIGHT", places.to_string())];
    let settings = settings.each_ref().map(|(name, value)| (*name, value.as_str()));
    let bridge = stage.start("bruin-bridge", "bruin-bridge", &settings).await?;
    let client = async_nats::connect(stage.nats_url()).await?;
    // The bridge keeps a quarter of its places for writes; these are reads.
    let sustainable = number(places - places / 4) / UPSTREAM.as_secs_f64();
    let before = bridge.program.memory()?.resident;

    // What can be done.
    let calm = lab.effort.pick(Duration::from_secs(2), Duration::from_secs(5));
    let measured = Asked::at_rate(&client, &tickets, sustainable * 0.9, calm).await?;
    // The storm, and the calm after it at once.
    let storm = lab.effort.pick(Duration::from_secs(4), Duration::from_secs(60));
    let watch = Watch::start()?;
    let asked = Asked::at_rate(&client, &tickets, sustainable * number(TIMES), storm).await?;
    let peak = bridge.program.memory()?.peak;
    let ended = Instant::now();
    let after = Asked::at_rate(&client, &tickets, sustainable * 0.9, RECOVERY * 2).await?;
    let replies = asked.until_answered().await?;
    let standstills = watch.end();
    let calm_again = after.until_answered().await?;
    let calm_before = measured.until_answered().await?;

    let mut outcome = Outcome::default();
    outcome.figure("sustainable", per_second(sustainable));
    outcome.figure("asked", format!("{} in {}", count(asked.sent), time(storm)));
    let (served, refused): (Vec<&Reply>, Vec<&Reply>) = replies.iter().partition(|reply| reply.status != 503);
    let quiet = calm_before.iter().filter(|reply| reply.status == 200).count();
    outcome.none("refused before the storm", measured.sent - quiet);
    outcome.figure("served", count(served.len()));
    outcome.figure("refused with 503", count(refused.len()));
    let statuses: BTreeMap<u64, usize> = served.iter().fold(BTreeMap::new(), |mut all, reply| {
        *all.entry(reply.status).or_default() += 1;
        all
    });
    // Whatever waited until its deadline has 500, which takes a machine that is slower than what was planned for.
    outcome.in_time(
        lab.effort,
        "what is served has status 200",
        statuses.keys().all(|status| *status == 200),
        format!("{statuses:?}"),
    );
    let known = statuses.keys().all(|status| matches!(status, 200 | 500));
    outcome.check("what is not refused is served, or its time is over", known, format!("{statuses:?}"));
    let sorted = |of: &dyn Fn(&Reply) -> Duration| {
        let mut times: Vec<Duration> = refused.iter().map(|reply| of(reply)).collect();
        times.sort_unstable();
        times
    };
    let all = sorted(&Reply::took);
    let (p50, most) = (quantile(&all, 50), all.last().copied().unwrap_or_default());
    outcome.figure("refusals p50 and slowest", format!("{} and {}", time(p50), time(most)));
    let (often, long, longest) = standstills.told();
    outcome.figure(
        "the machine stood still",
        format!("{often} times, {} in all, at most {}", time(long), time(longest)),
    );
    // A bridge cannot refuse while it is not let on.
    let running = sorted(&|reply| reply.took().saturating_sub(standstills.between(reply.sent, reply.at)));
    let (p99, with) = (quantile(&running, 99), quantile(&all, 99));
    outcome.in_time(
        lab.effort,
        format!("99 of 100 refusals within {} of a running machine", time(REFUSAL)),
        p99 < REFUSAL,
        format!("{} ({} with its standstills)", time(p99), time(with)),
    );
    outcome.none("requests without a reply", asked.sent - replies.len());
    let in_storm = served.iter().filter(|reply| reply.at <= ended).count();
    let rate = number(in_storm) / storm.as_secs_f64();
    outcome.in_time(
        lab.effort,
        "throughput in the storm at least 80 %",
        rate >= sustainable * 0.8,
        per_second(rate),
    );
    // From the storm's end to the first second with the full throughput, the queue's part included.
    let late = full_again(ended, [&replies, &calm_again], sustainable);
    outcome.in_time(
        lab.effort,
        "full throughput within 2 s after the storm",
        late.is_some_and(|late| late <= RECOVERY),
        late.map_or("not again".to_owned(), time),
    );
    let grown = peak - before;
    outcome.check(
        format!("memory grows by less than {GROWTH} MB"),
        grown < GROWTH,
        format!("{grown:.1} MB, from {before:.1} MB"),
    );
    let (ready, _) = bridge.get("/_ready").await?;
    outcome.check("ready afterwards", ready == 200, ready);
    bridge.program.stop().await?;
    Ok(outcome)
}

/// A reply that came.
#[derive(Debug, Clone, Copy)]
struct Reply {
    sent: Instant,
    at: Instant,
    status: u64,
}

impl Reply {
    fn took(&self) -> Duration {
        self.at.duration_since(self.sent)
    }
}

/// How long after `ended` a second began in which the wanted rate was answered, eight tenths of it.
fn full_again(ended: Instant, replies: [&[Reply]; 2], rate: f64) -> Option<Duration> {
    let good = |from: Instant| {
        let in_time = |reply: &&Reply| {
            reply.status == 200 && reply.at >= from && reply.at < from + Duration::from_secs(1)
        };
        number(replies.iter().flat_map(|some| some.iter()).filter(in_time).count())
    };
    let steps = (0..30).map(|step| Duration::from_millis(100 * step));
    steps.into_iter().find(|after| good(ended + *after) >= rate * 0.8)
}

/// Requests on their way, and the replies that came.
struct Asked {
    sent: usize,
    replies: Arc<Mutex<Vec<Reply>>>,
}

impl Asked {
    /// Publishes at a rate, whatever comes back.
    async fn at_rate(client: &Client, tickets: &[i64], rate: f64, span: Duration) -> anyhow::Result<Self> {
        let inbox = client.new_inbox();
        let mut arriving = client.subscribe(format!("{inbox}.*")).await?;
        client.flush().await?;
        let replies: Arc<Mutex<Vec<Reply>>> = Arc::default();
        let times: Arc<Mutex<Vec<Instant>>> = Arc::default();
        let (kept, began) = (Arc::clone(&replies), Arc::clone(&times));
        tokio::spawn(async move {
            while let Some(message) = arriving.next().await {
                let at = Instant::now();
                if let Some(reply) = reply_of(&message, at, &began.lock()) {
                    kept.lock().push(reply);
                }
            }
        });
        let (started, mut sent) = (Instant::now(), 0);
        let mut tick = tokio::time::interval(Duration::from_millis(2));
        while started.elapsed() < span {
            tick.tick().await;
            let due = started.elapsed().as_secs_f64() * rate;
            while number(sent) < due {
                times.lock().push(Instant::now());
                // Equal reads would share a call.
                let envelope = json!({"request_id": sent.to_string(), "body": {"ticket_id": tickets.get(sent % TICKETS)}});
                let reply = format!("{inbox}.{sent}");
                client.publish_with_reply(SUBJECT, reply, envelope.to_string().into()).await?;
                sent += 1;
            }
        }
        client.flush().await?;
        Ok(Self { sent, replies })
    }

    /// Waits until every request has its reply, or nothing comes any more.
    async fn until_answered(&self) -> anyhow::Result<Vec<Reply>> {
        let waiting = async {
            while self.replies.lock().len() < self.sent {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        // What is missing is counted by the caller.
        let _ = tokio::time::timeout(PATIENCE, waiting).await;
        Ok(self.replies.lock().clone())
    }
}

fn reply_of(message: &Message, at: Instant, times: &[Instant]) -> Option<Reply> {
    let number: usize = message.subject.rsplit('.').next()?.parse().ok()?;
    let reply: serde_json::Value = serde_json::from_slice(&message.payload).ok()?;
    let status = reply.get("status")?.as_u64()?;
    Some(Reply { sent: *times.get(number)?, at, status })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_full_throughput_is_found_where_it_begins() {
        let ended = Instant::now();
        let reply =
            |after: u64, status| Reply { sent: ended, at: ended + Duration::from_millis(after), status };
        let replies: Vec<Reply> = (0..10).map(|place| reply(1_200 + place * 90, 200)).collect();
        let late = full_again(ended, [&replies, &[]], 10.0).unwrap();
        // Eight of the ten come within the second from then on.
        assert_eq!(late, Duration::from_millis(900));
        let refused: Vec<Reply> = (0..10).map(|place| reply(place * 10, 503)).collect();
        assert_eq!(full_again(ended, [&refused, &[]], 10.0), None);
    }
}
