//! The bridges in memory: they answer from the sandbox's world, after a while, unless something strikes a request.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bus::RequestError;
use bus::memory::{Access, Asked, Kept, Peers, Shelf};
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use futures::FutureExt;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use runtime::Context;
use sandbox::world::World;
use serde_json::Value;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::account::Account;
use crate::answering::{Answering, Replied};
use crate::operation::{Fate, Moment, Party};

/// Buckets whose accesses are no steps at which a replica may be killed: a lease is renewed all the time.
const LEASES: &str = "LEASES";

/// All bridges, and the key-value buckets.
pub struct Bridges {
    /// What they answer from.
    pub world: World,
    /// What was done and what must hold.
    pub account: Mutex<Account>,
    answering: Answering,
    trouble: Mutex<Trouble>,
    buckets: Shelf,
}

struct Trouble {
    random: Xoshiro256PlusPlus,
    strikes: Vec<(&'static str, Fate, u32)>,
    spells: Vec<(Party, Fate, DateTime<Utc>)>,
    /// Longest time on the way, in milliseconds.
    slowest: u64,
}

impl Bridges {
    /// Bridges of one host; requests take up to `slowest` milliseconds each way.
    pub fn new(world: World, host: &str, seed: u64, slowest: u64) -> Self {
        let now = world.now();
        Self {
            answering: Answering::new(&world, host),
            account: Mutex::new(Account::new(now)),
            trouble: Mutex::new(Trouble {
                random: Xoshiro256PlusPlus::seed_from_u64(seed),
                strikes: Vec::new(),
                spells: Vec::new(),
                slowest,
            }),
            buckets: Shelf::default(),
            world,
        }
    }

    /// Strikes the next requests on a subject.
    pub fn strike(&self, subject: &'static str, fate: Fate, times: u32) {
        self.trouble.lock().strikes.push((subject, fate, times));
    }

    /// Strikes all requests to a party for a time.
    pub fn spell(&self, party: Party, fate: Fate, span: Duration) {
        let until = self.world.now() + span;
        self.trouble.lock().spells.push((party, fate, until));
    }

    /// Ends all trouble.
    pub fn mend(&self) {
        let mut trouble = self.trouble.lock();
        trouble.strikes.clear();
        trouble.spells.clear();
    }

    /// What becomes of a request that is sent now, and how long it is on its way, there and back.
    fn fate(&self, subject: &str) -> (Option<Fate>, Duration, Duration) {
        let now = self.world.now();
        let mut trouble = self.trouble.lock();
        trouble.spells.retain(|(_, _, until)| now < *until);
        let mut fate = None;
        if let Some((_, struck, times)) = trouble.strikes.iter_mut().find(|(on, _, _)| *on == subject) {
            fate = Some(*struck);
            *times -= 1;
        }
        trouble.strikes.retain(|(_, _, times)| *times > 0);
        let party = Party::of(subject);
        let fate = fate.or_else(|| {
            trouble.spells.iter().find(|(whose, _, _)| *whose == party).map(|(_, fate, _)| *fate)
        });
        let slowest = trouble.slowest;
        let mut way = || Duration::from_millis(trouble.random.random_range(1..=slowest));
        (fate, way(), way())
    }
}

/// A replica's connection to the bridges: what it sends after its death reaches nobody.
pub struct Wire {
    bridges: Arc<Bridges>,
    /// Its number, counted over all restarts.
    pub replica: usize,
    /// A shadow's requests take no time and are struck by nothing.
    shadow: bool,
    dead: AtomicBool,
    /// Cancelled with its death.
    pub death: CancellationToken,
    doom: Mutex<Option<(u32, Moment)>>,
    body: OnceLock<Context>,
}

impl Wire {
    /// The wire of a new replica.
    pub fn new(bridges: Arc<Bridges>, replica: usize, shadow: bool) -> Self {
        Self {
            bridges,
            replica,
            shadow,
            dead: AtomicBool::new(false),
            death: CancellationToken::new(),
            doom: Mutex::default(),
            body: OnceLock::new(),
        }
    }

    /// What dies with it.
    pub fn belongs_to(&self, context: Context) {
        let _ = self.body.set(context);
    }

    /// Kills the replica at one of its next requests.
    pub fn doom(&self, after_requests: u32, moment: Moment) {
        *self.doom.lock() = Some((after_requests, moment));
    }

    /// Kills the replica now.
    pub fn kill(&self) {
        self.dead.store(true, Ordering::SeqCst);
        if let Some(body) = self.body.get() {
            body.kill();
        }
        self.death.cancel();
    }

    /// Whether it was killed.
    pub fn is_dead(&self) -> bool {
        self.dead.load(Ordering::SeqCst)
    }

    /// Counts a step; when the replica dies at it, says when.
    fn step(&self) -> Option<Moment> {
        let mut doom = self.doom.lock();
        match doom.as_mut() {
            Some((0, moment)) => {
                let moment = *moment;
                *doom = None;
                Some(moment)
            }
            Some((left, _)) => {
                *left -= 1;
                None
            }
            None => None,
        }
    }
}

async fn never<T>() -> T {
    std::future::pending().await
}

/// A wire as the bus wants it.
pub struct Ends(pub Arc<Wire>);

impl Peers for Ends {
    fn answer(&self, asked: Asked) -> BoxFuture<'static, Result<Bytes, RequestError>> {
        let wire = Arc::clone(&self.0);
        async move {
            if wire.is_dead() {
                return never().await;
            }
            let moment = wire.step();
            if moment == Some(Moment::Before) {
                wire.kill();
                return never().await;
            }
            let reply = deliver(&wire, &asked, moment).await;
            if wire.is_dead() { never().await } else { reply }
        }
        .boxed()
    }

    fn keep(&self, bucket: &'static str, access: Access) -> BoxFuture<'static, Result<Vec<Kept>, String>> {
        let wire = Arc::clone(&self.0);
        async move {
            if wire.is_dead() {
                return never().await;
            }
            let moment = if bucket == LEASES { None } else { wire.step() };
            if moment == Some(Moment::Before) {
                wire.kill();
                return never().await;
            }
            let found = wire.bridges.buckets.access(bucket, access);
            if moment == Some(Moment::After) {
                wire.kill();
                return never().await;
            }
            found
        }
        .boxed()
    }
}

/// A request on its way there and back.
async fn deliver(wire: &Wire, asked: &Asked, moment: Option<Moment>) -> Result<Bytes, RequestError> {
    let bridges = &wire.bridges;
    let subject = asked.subject;
    let (fate, there, back) =
        if wire.shadow { (None, Duration::ZERO, Duration::ZERO) } else { bridges.fate(subject) };
    if fate.is_some() {
        bridges.struck(asked.deadline);
    }
    match fate {
        Some(Fate::RequestLost) => {
            if moment == Some(Moment::After) {
                wire.kill();
            }
            return never().await;
        }
        Some(Fate::NobodyThere) => {
            // The bus asks again until the time is up.
            sleep_until(asked.deadline - Duration::from_millis(1)).await;
            return Err(RequestError::NoResponders { subject: subject.to_owned() });
        }
        _ => {}
    }
    if !there.is_zero() {
        sleep(there).await;
    }
    if Instant::now() >= asked.deadline {
        // A replier refuses what nobody waits for any more.
        return never().await;
    }
    let replied = match fate {
        Some(Fate::Refused(status)) => Replied::text(status, "struck"),
        _ => bridges.carry_out(wire.replica, asked),
    };
    if moment == Some(Moment::After) {
        wire.kill();
        return never().await;
    }
    match fate {
        Some(Fate::ReplyLost) => return never().await,
        Some(Fate::Mumbled) => return Ok(Bytes::from_static(b"mumble")),
        _ => {}
    }
    if !back.is_zero() {
        sleep(back).await;
    }
    Ok(replied.envelope())
}

impl Bridges {
    /// Something went wrong that has its effects until an instant.
    fn struck(&self, until: Instant) {
        let left = until.saturating_duration_since(Instant::now());
        let left = TimeDelta::from_std(left).unwrap_or_default();
        self.account.lock().struck(self.world.now() + left);
    }

    fn carry_out(&self, replica: usize, asked: &Asked) -> Replied {
        let mut envelope: Value = serde_json::from_slice(&asked.payload).unwrap_or_default();
        // Another one each time.
        if let Some(fields) = envelope.as_object_mut() {
            fields.shift_remove("request_id");
        }
        let body = envelope.get("body").unwrap_or(&envelope);
        let mut account = self.account.lock();
        if Instant::now() >= asked.deadline {
            account.broken("P4", self.world.now(), format!("{} was carried out too late", asked.subject));
        }
        account.asked(self.world.now(), replica, asked.subject, body);
        self.answering.answer(&self.world, &mut account, asked.subject, body)
    }
}
