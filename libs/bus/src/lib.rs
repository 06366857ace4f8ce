//! Request and reply over NATS, as the whole fleet speaks it (spec `00-messaging`).
//!
//! A [`Bus`] is a process's one connection. Requesters call [`Bus::request`] with the type of a subject, repliers hand
//! [`Bus::serve`] a handler; what lies between is here, one file for each concern:
//!
//! - `envelope`: what is on the wire; `offload`: large payloads through Redis; `message`: what handlers see.
//! - `requester` over `inbox`: one deadline, when a request may be sent again, typed failures.
//! - `replier`, `handling`: bounded and fair concurrency, exactly one reply for each request; `dedupe`: one execution for
//!   each write.
//! - `connection`, `drain`: reconnecting, moving to another server, stopping without losing a request.
//! - [`memory`]: the same without NATS, for simulations; [`jetstream`]: streams, for what is kept.
//! - `discovery`, `metrics`, `trace`: being seen.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use bus::{Bus, BusOptions};
//!
//! let metrics = prometheus::Registry::new();
//! let bus = Bus::connect(BusOptions::new("my-service", "nats://localhost:4222", "localhost", 6379), &metrics).await?;
//! let envelope = serde_json::json!({"request_id": "1", "body": {"ticket_id": 7}});
//! let answer = bus.exchange_raw("bruin.ticket.details.request", envelope, std::time::Duration::from_secs(15)).await?;
//! println!("{:?} {}", answer.status, answer.body());
//! # Ok(())
//! # }
//! ```

mod connection;
mod core;
mod dedupe;
mod discovery;
mod drain;
mod envelope;
mod error;
mod events;
mod handling;
mod inbox;
pub mod jetstream;
pub mod memory;
mod message;
mod metrics;
mod offload;
mod options;
mod quiet;
mod redis_link;
mod redis_lock;
mod replier;
mod requester;
mod settled;
mod stats;
mod trace;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use contracts::{Rpc, rows::Rows};
use parking_lot::Mutex;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use tracing::Instrument;

pub use error::{ConnectError, RequestError, ServeError};
pub use message::{Answer, Call, Reply, RequestId};
pub use offload::new_id as new_request_id;
pub use options::{BusOptions, Limits, NatsOptions, RedisOptions};
pub use redis_link::{RedisLink, StoreError};
pub use redis_lock::RedisLock;
pub use stats::EndpointStats;

use crate::core::Core;
use crate::memory::{Memory, Peers};

/// How the connection to NATS stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Not yet connected for the first time.
    Connecting,
    /// Connected.
    Connected,
    /// Lost; being re-established.
    Disconnected,
    /// Drained and closed, for good.
    Closed,
}

/// What a [`Bus`] speaks to.
#[derive(Clone)]
pub enum Reach {
    /// A NATS server.
    Nats(async_nats::Client),
    /// Those who play the peers of a bus in memory.
    Memory(Arc<dyn Peers>),
}

/// A process's connection to the fleet. Cheap to clone; when the last clone is dropped, its tasks end without draining.
#[derive(Clone)]
pub struct Bus(Way);

#[derive(Clone)]
enum Way {
    Nats { core: Arc<Core>, _ends: Arc<DropGuard> },
    Memory(Arc<Memory>),
}

impl std::fmt::Debug for Bus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bus")
            .field("service", &self.service())
            .field("connected", &self.connected())
            .finish_non_exhaustive()
    }
}

impl Bus {
    /// Connects. Redis must answer `PING`; NATS is retried in the background for ever, see [`Self::state`].
    ///
    /// # Errors
    /// When Redis does not answer or an option is of no use. The message says which and what to do.
    pub async fn connect(options: BusOptions, metrics: &prometheus::Registry) -> Result<Bus, ConnectError> {
        let BusOptions { service, nats, redis, limits } = options;
        let metrics = Arc::new(metrics::Metrics::register(metrics)?);
        // Large payloads have a connection of their own, so that they delay nothing small.
        let (payloads, markers) = (Arc::new(RedisLink::open(&redis)?), Arc::new(RedisLink::open(&redis)?));
        payloads.ping().await.map_err(|error| {
            ConnectError::redis(format!("{}:{}", redis.host, redis.port), error.to_string())
        })?;
        let (link, events) = connection::Link::open(&service, &nats, Arc::clone(&metrics)).await?;
        let (inbox, replies) = inbox::Inbox::open(&link.client)
            .await
            .map_err(|error| ConnectError::Option { option: "NATS_SERVER1", reason: error.to_string() })?;
        let stop = CancellationToken::new();
        let abort = CancellationToken::new();
        let core = Arc::new(Core {
            store: offload::PayloadStore::new(payloads, &limits, Arc::clone(&metrics)),
            dedupe: dedupe::Dedupe::new(
                &service,
                markers,
                limits.dedupe_for,
                limits.dedupe_within,
                abort.clone(),
            ),
            places: replier::Places::new(limits.in_flight, limits.in_flight_per_subject),
            discovery: discovery::Identity::new(&service, offload::new_id()),
            served: Mutex::new(Some(Vec::new())),
            work: TaskTracker::new(),
            abort,
            stop: stop.clone(),
            service,
            limits,
            link,
            inbox,
            metrics,
        });
        let reading = Arc::clone(&core);
        tokio::spawn(async move {
            let read = reading.inbox.read(replies);
            reading.stop.run_until_cancelled(read).await;
        });
        let watching = Arc::clone(&core);
        let watch = async move {
            let leave = || {
                let core = Arc::clone(&watching);
                tokio::spawn(async move { core.move_elsewhere().await }.in_current_span());
            };
            let watch = watching.link.supervise(&events, &watching.metrics, leave);
            watching.stop.run_until_cancelled(watch).await;
        };
        // Records of the connection name the service whose bus it is.
        tokio::spawn(watch.in_current_span());
        Ok(Bus(Way::Nats { core, _ends: Arc::new(stop.drop_guard()) }))
    }

    /// A bus without NATS for simulations, see [`memory`]. It serves nothing.
    pub fn in_memory(service: impl Into<String>, peers: Arc<dyn Peers>) -> Bus {
        Bus(Way::Memory(Arc::new(Memory::new(service.into(), peers))))
    }

    fn service(&self) -> &str {
        match &self.0 {
            Way::Nats { core, .. } => &core.service,
            Way::Memory(memory) => &memory.service,
        }
    }

    /// Asks, waits up to [`Rpc::TIMEOUT`], and returns the body of a success.
    ///
    /// # Errors
    /// [`RequestError::Refused`] when the status is not 2xx, another one when messaging failed.
    pub async fn request<R: Rpc>(&self, request: &R::Request) -> Result<R::Reply, RequestError> {
        self.request_within::<R>(request, R::TIMEOUT).await
    }

    /// Like [`Self::request`] with a time limit of its own. It covers everything: waiting for the connection, storing a
    /// large payload, the reply and its recovery.
    ///
    /// # Errors
    /// As [`Self::request`].
    pub async fn request_within<R: Rpc>(
        &self,
        request: &R::Request,
        within: Duration,
    ) -> Result<R::Reply, RequestError> {
        self.request_fields::<R, R::Reply>(request, within).await
    }

    /// Like [`Self::request_within`], with the body read as `T`: of a long list only the fields that its reader needs.
    ///
    /// # Errors
    /// As [`Self::request`].
    pub async fn request_fields<R: Rpc, T: DeserializeOwned + Send + 'static>(
        &self,
        request: &R::Request,
        within: Duration,
    ) -> Result<T, RequestError> {
        let answer = self.exchange::<R>(request, within).await?;
        requester::success::<R, T>(answer).await
    }

    /// Like [`Self::request_fields`] for a list, of which elements that cannot be read are left out: one bad record must
    /// not cost the others. `about` names the list in the log then.
    ///
    /// # Errors
    /// As [`Self::request`]; [`RequestError::Unreadable`] when the body is no list.
    pub async fn request_rows<R: Rpc, T: DeserializeOwned + Send + 'static>(
        &self,
        request: &R::Request,
        within: Duration,
        about: &str,
    ) -> Result<Vec<T>, RequestError> {
        let Rows { rows, odd } = self.request_fields::<R, Rows<T>>(request, within).await?;
        if odd > 0 {
            tracing::warn!(
                subject = R::SUBJECT,
                about,
                odd,
                "elements of a list cannot be read and are left out"
            );
        }
        Ok(rows)
    }

    /// Asks and returns the reply whatever its status.
    ///
    /// # Errors
    /// When messaging failed.
    pub async fn exchange<R: Rpc>(
        &self,
        request: &R::Request,
        within: Duration,
    ) -> Result<Answer, RequestError> {
        match &self.0 {
            Way::Nats { core, .. } => core.exchange::<R>(request, within).await,
            Way::Memory(memory) => memory.exchange::<R>(request, within).await,
        }
    }

    /// For tools: any subject, any envelope. Treated as a write, i.e. never sent again once it was delivered.
    ///
    /// # Errors
    /// When messaging failed.
    pub async fn exchange_raw(
        &self,
        subject: &str,
        envelope: Value,
        within: Duration,
    ) -> Result<Answer, RequestError> {
        match &self.0 {
            Way::Nats { core, .. } => core.exchange_raw(subject, envelope, within).await,
            Way::Memory(_) => Err(RequestError::NoResponders { subject: subject.to_owned() }),
        }
    }

    /// Lets the service be discovered (`$SRV`) although it serves nothing yet, or ever. Serving does so too.
    pub async fn announce(&self) {
        if let Way::Nats { core, .. } = &self.0 {
            core.announce().await;
        }
    }

    /// Answers a subject in its queue group. Resolves when the server has confirmed the subscription; before the first
    /// connection it waits for that.
    ///
    /// The handler of a read is dropped when its reply is due ([`Call::deadline`]); that of a write goes on, and its
    /// reply is kept for the repetitions an old requester sends.
    ///
    /// # Errors
    /// When the subject is served already, the subscription is refused, or the bus is closing.
    pub async fn serve<R, H, F>(&self, handler: H) -> Result<(), ServeError>
    where
        R: Rpc,
        H: Fn(Call<R::Request>) -> F + Send + Sync + 'static,
        F: Future<Output = Reply> + Send + 'static,
    {
        let Way::Nats { core, .. } = &self.0 else {
            let reason = "a bus in memory serves nothing".to_owned();
            return Err(ServeError::Subscribe { subject: R::SUBJECT, reason });
        };
        core.announce().await;
        core.serve::<R, H, F>(handler).await
    }

    /// Stops taking work, finishes what is in flight, flushes the replies, closes: at most `within`. What does not end
    /// in time is answered 503 (a write 500, its outcome being unknown).
    pub async fn drain(&self, within: Duration) {
        match &self.0 {
            Way::Nats { core, .. } => core.drain(within).await,
            Way::Memory(memory) => drop(memory.state.send_replace(State::Closed)),
        }
    }

    /// Whether there is a connection to NATS now.
    pub fn connected(&self) -> bool {
        *self.state().borrow() == State::Connected
    }

    /// The state of the connection, to watch.
    pub fn state(&self) -> watch::Receiver<State> {
        match &self.0 {
            Way::Nats { core, .. } => core.link.state(),
            Way::Memory(memory) => memory.state.subscribe(),
        }
    }

    /// The NATS client, for JetStream; `None` for a bus in memory. Requests go through [`Self::request`]: the client's own
    /// are never forgotten.
    pub fn client(&self) -> Option<async_nats::Client> {
        match &self.0 {
            Way::Nats { core, .. } => Some(core.link.client.clone()),
            Way::Memory(_) => None,
        }
    }

    /// What stands behind the bus, for what is no request: JetStream's key-value buckets.
    pub fn reach(&self) -> Reach {
        match &self.0 {
            Way::Nats { core, .. } => Reach::Nats(core.link.client.clone()),
            Way::Memory(memory) => Reach::Memory(Arc::clone(&memory.peers)),
        }
    }

    /// The figures of each served subject, as `$SRV.STATS` shows them.
    pub fn service_stats(&self) -> Vec<EndpointStats> {
        match &self.0 {
            Way::Nats { core, .. } => core.endpoint_stats(),
            Way::Memory(_) => Vec::new(),
        }
    }

    /// How many requests of this process wait for a reply.
    pub fn requests_waiting(&self) -> usize {
        match &self.0 {
            Way::Nats { core, .. } => core.inbox.waiting(),
            Way::Memory(_) => 0,
        }
    }
}
