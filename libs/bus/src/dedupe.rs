//! One execution for each write, however often it is delivered (spec `00-messaging`, "Duplicate delivery of writes").
//!
//! The key `<service>:dedupe:<subject>:<request_id>` in Redis covers the replicas: `P<delivery>` while a write is being
//! executed, `D<status> <body>` with its reply afterwards. Within the process a repetition joins the one in flight.
//! A `P..` whose process died stays until it expires: the outcome is unknown, so a repetition is answered 500 and never
//! executed again. A store that fails is logged and the write executed: availability first. But not twice by the same
//! process: what it executed it remembers itself ([`SettledHere`]).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::value::RawValue;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::Reply;
use crate::offload::new_id;
use crate::quiet::Quiet;
use crate::redis_link::{RedisLink, StoreError};
use crate::settled::SettledHere;

/// The reply to the repetition of a write whose outcome nobody knows.
pub(crate) const UNKNOWN: &str = "this request was delivered before and its outcome is not known";
const PENDING: char = 'P';
/// Deletes a marker if it is that of the delivery.
const GIVE_BACK: &str = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end";
/// How long giving back a marker may take. Nobody waits for it, and Redis is slow at that moment.
const GIVE_BACK_WITHIN: Duration = Duration::from_secs(10);
/// Longer ids are those of no peer; they are not remembered.
const LONGEST_ID: usize = 1_024;
/// The first pause between two looks at a write that another replica is executing, and the longest.
const LOOK_AGAIN: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(500));

type InFlight = Arc<Mutex<HashMap<String, watch::Receiver<Option<Reply>>>>>;

pub(crate) struct Dedupe {
    service: String,
    store: Arc<Store>,
    in_flight: InFlight,
    /// Cancelled when what is waited for here comes too late.
    abort: CancellationToken,
}

struct Store {
    redis: Arc<RedisLink>,
    keep: Duration,
    within: Duration,
    failures: Quiet,
    settled_here: SettledHere,
}

/// What to do with a write.
pub(crate) enum Entry {
    /// Execute it and tell the lease.
    First(Lease),
    /// It was executed before; answer this.
    Repeated(Reply),
    /// It is still being executed elsewhere, or that broke off.
    Unknown,
    /// Out of time before anybody could tell; it was not begun here.
    TooLate,
}

impl Dedupe {
    pub(crate) fn new(
        service: &str,
        redis: Arc<RedisLink>,
        keep: Duration,
        within: Duration,
        abort: CancellationToken,
    ) -> Self {
        let settled_here = SettledHere::new(keep);
        let store = Arc::new(Store { redis, keep, within, failures: Quiet::default(), settled_here });
        Self { service: service.to_owned(), store, in_flight: InFlight::default(), abort }
    }

    /// The key of a write; `None` when its id is of no use.
    pub(crate) fn key(&self, subject: &str, id: &str) -> Option<String> {
        (!id.is_empty() && id.len() <= LONGEST_ID).then(|| format!("{}:dedupe:{subject}:{id}", self.service))
    }

    /// Decides before `deadline`, or the end of the process, whether a delivery is the first. Waits while another one is
    /// being executed.
    pub(crate) async fn enter(&self, key: &str, deadline: Instant) -> Entry {
        loop {
            let joined = {
                let mut in_flight = self.in_flight.lock();
                if let Some(other) = in_flight.get(key) {
                    Err(other.clone())
                } else {
                    let (result, watched) = watch::channel(None);
                    in_flight.insert(key.to_owned(), watched);
                    let in_flight = Arc::clone(&self.in_flight);
                    let local = Local { key: key.to_owned(), result, in_flight };
                    let marker = format!("{PENDING}{}", new_id());
                    Ok(Lease { local, marker, store: Arc::clone(&self.store) })
                }
            };
            match joined {
                Ok(lease) => return self.enter_store(lease, deadline).await,
                Err(mut other) => {
                    let ended = self.in_time(deadline, other.wait_for(Option::is_some)).await;
                    match ended.map(|reply| reply.ok().and_then(|reply| reply.clone())) {
                        Some(Some(reply)) => return Entry::Repeated(reply),
                        // The other one ended without a result: it only waited for another replica, as we do now.
                        Some(None) => {}
                        None => return Entry::Unknown,
                    }
                }
            }
        }
    }

    /// What comes of `work` before `deadline` and before the process ends.
    async fn in_time<T>(&self, deadline: Instant, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            result = timeout_at(deadline, work) => result.ok(),
            () = self.abort.cancelled() => None,
        }
    }

    async fn enter_store(&self, lease: Lease, deadline: Instant) -> Entry {
        let key = &lease.local.key;
        if let Some(reply) = self.store.settled_here.reply(key) {
            lease.local.result.send_replace(Some(reply.clone()));
            return Entry::Repeated(reply);
        }
        let (mut pause, longest) = LOOK_AGAIN;
        let (mut elsewhere, mut lost) = (false, false);
        loop {
            match self.in_time(deadline, self.store.claim(key, &lease.marker)).await {
                // The store is back without what it knew. The marker stays, in place of the one that was lost.
                Some(Ok(None)) if lost => return Entry::Unknown,
                Some(Ok(None)) => return Entry::First(lease),
                Some(Ok(Some(Known::Done(reply)))) => {
                    lease.local.result.send_replace(Some(reply.clone()));
                    return Entry::Repeated(reply);
                }
                Some(Ok(Some(Known::Pending))) => elsewhere = true,
                // What another replica has begun is not begun here, whether or not the store can still tell.
                Some(Err(_)) if elsewhere => lost = true,
                Some(Err(error)) => {
                    if let Some(count) = self.store.failures.count() {
                        tracing::error!(%error, count, "dedupe store fails, executing writes without it");
                    }
                    return Entry::First(lease);
                }
                None => {
                    // Redis may yet set the marker. It would keep every repetition from being executed.
                    let (store, key, marker) = (Arc::clone(&self.store), key.clone(), lease.marker.clone());
                    tokio::spawn(async move { store.give_back(&key, &marker).await }.in_current_span());
                    return if elsewhere { Entry::Unknown } else { Entry::TooLate };
                }
            }
            let again = Instant::now() + pause;
            if self.in_time(deadline, sleep_until(again)).await.is_none() {
                return Entry::Unknown;
            }
            pause = (pause * 2).min(longest);
        }
    }
}

/// The duty to say how a write ended. Dropped without, repetitions are not executed until the marker expires.
pub(crate) struct Lease {
    local: Local,
    /// What the store holds while this write is executed, unless the store failed.
    marker: String,
    store: Arc<Store>,
}

/// The entry for repetitions in this process; removed when dropped.
struct Local {
    key: String,
    result: watch::Sender<Option<Reply>>,
    in_flight: InFlight,
}

impl Drop for Local {
    fn drop(&mut self) {
        self.in_flight.lock().remove(&self.key);
    }
}

impl Lease {
    /// Takes the reply of the write, before it is answered: after a write of which nothing was executed, a repetition
    /// that comes with the answer in hand is executed anew.
    pub(crate) fn settle(self, reply: Reply) -> Settled {
        let Self { local, marker, store } = self;
        let key = local.key.clone();
        let local = if reply.was_executed() {
            Some(local)
        } else {
            local.result.send_replace(Some(reply.clone()));
            None
        };
        Settled { key, marker, reply, local, store }
    }
}

/// A write that ended; what the store knows of it is not yet so.
pub(crate) struct Settled {
    key: String,
    marker: String,
    reply: Reply,
    local: Option<Local>,
    store: Arc<Store>,
}

impl Settled {
    /// Keeps the reply for repetitions, or forgets the write when nothing was executed.
    pub(crate) async fn store(self) {
        let Self { key, marker, reply, local, store } = self;
        let executed = reply.was_executed();
        let small = executed && SettledHere::takes(&reply);
        if small {
            store.settled_here.remember(&key, reply.clone());
        }
        let stored =
            if executed { store.keep(&key, &reply).await } else { store.forget(&key, &marker).await };
        if executed && !small && stored.is_err() {
            // That it was executed is all there is room for.
            store.settled_here.remember(&key, Reply::text(500, UNKNOWN));
        }
        // In this order: a repetition finds the reply here until it finds it there.
        if let Some(local) = local {
            local.result.send_replace(Some(reply));
        }
        if let Err(error) = stored
            && let Some(count) = store.failures.count()
        {
            tracing::error!(%error, count, "dedupe store fails, a reply to a write is not kept");
        }
    }
}

enum Known {
    Pending,
    Done(Reply),
}

impl Store {
    /// Marks a write as being executed; what is known about it when somebody was first.
    async fn claim(&self, key: &str, marker: &str) -> Result<Option<Known>, StoreError> {
        let until = Instant::now() + self.within;
        loop {
            let mut set = redis::cmd("SET");
            set.arg(key).arg(marker).arg("NX").arg("PX").arg(self.keep_millis());
            let set: Option<String> = self.redis.run_repeatable(&set, until).await?;
            if set.is_some() {
                return Ok(None);
            }
            match self.redis.run_repeatable::<Option<String>>(redis::cmd("GET").arg(key), until).await {
                // Set by the command whose answer was lost.
                Ok(Some(value)) if value == marker => return Ok(None),
                Ok(Some(value)) => return Ok(Some(decode(&value))),
                // Forgotten between the two commands: try to be the first again.
                Ok(None) => {}
                // That somebody has begun it is known already.
                Err(_) => return Ok(Some(Known::Pending)),
            }
        }
    }

    async fn keep(&self, key: &str, reply: &Reply) -> Result<(), StoreError> {
        let mut set = redis::cmd("SET");
        set.arg(key).arg(encode(reply)).arg("PX").arg(self.keep_millis());
        self.redis.run_repeatable(&set, Instant::now() + self.within).await
    }

    /// Takes the marker of a write away of which nothing was executed. What another replica has written stays.
    async fn forget(&self, key: &str, marker: &str) -> Result<(), StoreError> {
        self.take_away(key, marker, self.within).await
    }

    async fn take_away(&self, key: &str, marker: &str, within: Duration) -> Result<(), StoreError> {
        let mut command = redis::cmd("EVAL");
        command.arg(GIVE_BACK).arg(1).arg(key).arg(marker);
        self.redis.run_repeatable(&command, Instant::now() + within).await
    }

    /// Takes the marker of a write back which was not begun.
    async fn give_back(&self, key: &str, marker: &str) {
        let given_back = self.take_away(key, marker, GIVE_BACK_WITHIN).await;
        if let Err(error) = given_back
            && let Some(count) = self.failures.count()
        {
            tracing::error!(%error, count, "dedupe store fails, a write that was not executed may stay marked");
        }
    }

    fn keep_millis(&self) -> u64 {
        u64::try_from(self.keep.as_millis()).unwrap_or(u64::MAX).max(1)
    }
}

fn encode(reply: &Reply) -> String {
    format!("D{} {}", reply.code(), reply.body().map_or("null", RawValue::get))
}

fn decode(value: &str) -> Known {
    let done = || {
        let (status, body) = value.strip_prefix('D')?.split_once(' ')?;
        let body = RawValue::from_string(body.to_owned()).ok()?;
        Some(Reply::raw(status.parse().ok()?, body))
    };
    done().map_or(Known::Pending, Known::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_reply_is_read_back_as_it_was() {
        for reply in [Reply::ok(&vec![1, 2]), Reply::status(204), Reply::text(409, "a b \"c\"")] {
            let Known::Done(read) = decode(&encode(&reply)) else { panic!("not done") };
            assert_eq!(read.code(), reply.code());
            assert_eq!(read.body().map(RawValue::get), Some(reply.body().map_or("null", RawValue::get)));
        }
    }

    #[test]
    fn what_cannot_be_read_counts_as_being_executed() {
        for value in ["P", "Pabc", "", "D", "D200", "Dx {}", "D200 {"] {
            assert!(matches!(decode(value), Known::Pending), "{value}");
        }
    }
}
