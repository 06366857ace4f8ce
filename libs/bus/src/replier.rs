//! Serving subjects: from the subscription to a place among the requests in flight.
//!
//! ```text
//! NATS -> reader -> queue of the subject (bounded; full: 503) -> dispatcher (waits for a place) -> handling.rs
//! ```
//! One reader and one dispatcher for each subject. The reader never waits, so the client never drops messages. Places
//! are bounded for the process and fair between subjects: see [`Places`].

use std::collections::VecDeque;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use async_nats::{Message, Subscriber};
use contracts::{Carrier, Effect, Rpc};
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use parking_lot::Mutex;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::Instant;
use tracing::Instrument;

use crate::core::Core;
use crate::handling::{self, Parsed};
use crate::metrics;
use crate::quiet::Quiet;
use crate::stats::Stats;
use crate::{Call, Reply, ServeError};

/// Places which each subject has for itself, so that no number of slow neighbours stops it.
const RESERVED: usize = 2;
/// A count beyond what the server's protocol reader takes (nine digits): it unsubscribes at once, while the client,
/// which counts, goes on delivering what is on the way. See [`Reader::fence`].
const UNSUBSCRIBE_NOW: u64 = u64::MAX;

/// The places of a process. A subject first takes its own, then common ones in order of arrival, of the common ones at
/// most its share (three quarters) unless it is the only subject.
pub(crate) struct Places {
    total: usize,
    share: usize,
    common: Arc<Semaphore>,
    taken: Mutex<usize>,
}

impl Places {
    pub(crate) fn new(in_flight: usize, share: usize) -> Self {
        let total = in_flight.max(1);
        let share = if share == 0 { (total * 3).div_ceil(4) } else { share.min(total) };
        Self { total, share, common: Arc::new(Semaphore::new(total)), taken: Mutex::new(0) }
    }

    /// The places of one more subject.
    fn subject(&self, first: bool) -> Share {
        let mut taken = self.taken.lock();
        // At least half of the places stay common.
        let own = if *taken + RESERVED <= self.total / 2 { self.common.forget_permits(RESERVED) } else { 0 };
        *taken += own;
        let share = if first { self.total } else { self.share };
        Share {
            own: Arc::new(Semaphore::new(own)),
            common: Arc::clone(&self.common),
            share: Arc::new(Semaphore::new(share)),
        }
    }

    /// The first subject is no longer the only one.
    fn shrink(&self, share: &Share) {
        share.share.forget_permits(self.total - self.share);
    }
}

/// One subject's view of the [`Places`].
struct Share {
    own: Arc<Semaphore>,
    common: Arc<Semaphore>,
    share: Arc<Semaphore>,
}

/// A taken place, free again when dropped.
pub(crate) struct Place {
    _permits: (OwnedSemaphorePermit, Option<OwnedSemaphorePermit>),
}

impl Share {
    /// A place, if one is free and nobody waits for it.
    fn take_free(&self) -> Option<Place> {
        if let Ok(permit) = Arc::clone(&self.own).try_acquire_owned() {
            return Some(Place { _permits: (permit, None) });
        }
        let share = Arc::clone(&self.share).try_acquire_owned().ok()?;
        let common = Arc::clone(&self.common).try_acquire_owned().ok()?;
        Some(Place { _permits: (common, Some(share)) })
    }

    async fn take(&self) -> Option<Place> {
        if let Ok(permit) = Arc::clone(&self.own).try_acquire_owned() {
            return Some(Place { _permits: (permit, None) });
        }
        let common = async {
            let share = Arc::clone(&self.share).acquire_owned().await;
            (Arc::clone(&self.common).acquire_owned().await, share)
        };
        tokio::select! {
            biased;
            permit = Arc::clone(&self.own).acquire_owned() => Some(Place { _permits: (permit.ok()?, None) }),
            (permit, share) = common => Some(Place { _permits: (permit.ok()?, Some(share.ok()?)) }),
        }
    }
}

/// A request that waits for a place.
pub(crate) struct Waiting {
    pub(crate) message: Message,
    pub(crate) received: Instant,
    /// When the reply must be ready.
    pub(crate) deadline: Instant,
}

type Parse = Box<dyn Fn(&[u8]) -> Parsed + Send + Sync>;

/// A served subject, its types erased.
pub(crate) struct Endpoint {
    pub(crate) subject: &'static str,
    pub(crate) queue_group: &'static str,
    pub(crate) effect: Effect,
    pub(crate) carrier: Carrier,
    pub(crate) parse: Parse,
    pub(crate) metrics: metrics::Served,
    pub(crate) in_flight: prometheus::IntGauge,
    pub(crate) stats: Stats,
    answer_within: Duration,
    queued: prometheus::IntGauge,
    queue: Mutex<Queue>,
    filled: Notify,
    share: Share,
    overloads: Quiet,
    pub(crate) stale: Quiet,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Waiting>,
    bytes: usize,
    /// Nothing will be added any more.
    closed: bool,
}

/// What drain and the move to another server need of a served subject.
pub(crate) struct Served {
    pub(crate) endpoint: Arc<Endpoint>,
    orders: mpsc::UnboundedSender<Order>,
}

/// Stop reading; go on when `resume` resolves, or never.
struct Order {
    fenced: oneshot::Sender<()>,
    resume: Option<oneshot::Receiver<()>>,
    until: Instant,
}

impl Served {
    /// Takes the subscription off the server and reads what is still on its way. Resolves when that is done. With
    /// `resume` the subject is subscribed again when it resolves.
    pub(crate) fn fence(
        &self,
        until: Instant,
        resume: Option<oneshot::Receiver<()>>,
    ) -> oneshot::Receiver<()> {
        let (fenced, done) = oneshot::channel();
        let _ = self.orders.send(Order { fenced, resume, until });
        done
    }
}

impl Core {
    pub(crate) async fn serve<R, H, F>(self: &Arc<Self>, handler: H) -> Result<(), ServeError>
    where
        R: Rpc,
        H: Fn(Call<R::Request>) -> F + Send + Sync + 'static,
        F: Future<Output = Reply> + Send + 'static,
    {
        let handler = Arc::new(handler);
        let parse = move |payload: &[u8]| {
            let handler = Arc::clone(&handler);
            handling::parse::<R>(payload, move |call| -> BoxFuture<'static, Reply> { handler(call).boxed() })
        };
        self.add(R::SUBJECT, R::QUEUE, R::EFFECT, R::CARRIER, R::ANSWER_WITHIN, Box::new(parse)).await
    }

    async fn add(
        self: &Arc<Self>,
        subject: &'static str,
        queue_group: &'static str,
        effect: Effect,
        carrier: Carrier,
        answer_within: Duration,
        parse: Parse,
    ) -> Result<(), ServeError> {
        let (orders, received) = mpsc::unbounded_channel();
        let endpoint = {
            let mut served = self.served.lock();
            let served = served.as_mut().ok_or(ServeError::Closing { subject })?;
            if served.iter().any(|other| other.endpoint.subject == subject) {
                return Err(ServeError::Twice { subject });
            }
            if let [only] = served.as_slice() {
                self.places.shrink(&only.endpoint.share);
            }
            let endpoint = Arc::new(Endpoint {
                subject,
                queue_group,
                effect,
                carrier,
                parse,
                metrics: self.metrics.served(subject),
                in_flight: self.metrics.in_flight.with_label_values(&[subject]),
                stats: Stats::default(),
                answer_within,
                queued: self.metrics.queued.with_label_values(&[subject]),
                queue: Mutex::default(),
                filled: Notify::new(),
                share: self.places.subject(served.is_empty()),
                overloads: Quiet::default(),
                stale: Quiet::default(),
            });
            served.push(Served { endpoint: Arc::clone(&endpoint), orders });
            endpoint
        };
        let refused = |reason: String| ServeError::Subscribe { subject, reason };
        let subscriber = match endpoint.subscribe(self).await {
            Ok(subscriber) => subscriber,
            Err(error) => {
                if let Some(served) = self.served.lock().as_mut() {
                    served.retain(|other| other.endpoint.subject != subject);
                }
                return Err(refused(error));
            }
        };
        let reader = Reader { core: Arc::clone(self), endpoint: Arc::clone(&endpoint) };
        self.work.spawn(reader.run(subscriber, received).in_current_span());
        self.work.spawn(dispatch(Arc::clone(self), endpoint).in_current_span());
        // Confirmed by the server; before the first connection this waits for it.
        let confirmed = async {
            loop {
                let a_while = Instant::now() + Duration::from_secs(3_600);
                if self.round_trip(a_while).await.is_ok() || self.stop.is_cancelled() {
                    return;
                }
            }
        };
        tokio::select! {
            () = confirmed => {}
            () = self.stop.cancelled() => return Err(ServeError::Closing { subject }),
        }
        tracing::info!(subject, queue_group, "serving");
        Ok(())
    }
}

struct Reader {
    core: Arc<Core>,
    endpoint: Arc<Endpoint>,
}

impl Reader {
    async fn run(self, mut subscriber: Subscriber, mut orders: mpsc::UnboundedReceiver<Order>) {
        loop {
            let order = loop {
                tokio::select! {
                    message = subscriber.next() => match message {
                        Some(message) => self.accept(message).await,
                        None => break None,
                    },
                    order = orders.recv() => break order,
                    () = self.core.stop.cancelled() => break None,
                }
            };
            let Some(order) = order else { break };
            // Boxed like the refusal below: rare, and large enough to make all that is around it large.
            Box::pin(self.fence(&mut subscriber, order.until)).await;
            let _ = order.fenced.send(());
            let Some(resume) = order.resume else { break };
            // Else the client would subscribe it at the next server, too, where nobody reads it any more.
            drop(subscriber);
            let _ = resume.await;
            match self.endpoint.subscribe(&self.core).await {
                Ok(fresh) => subscriber = fresh,
                Err(reason) => {
                    tracing::error!(subject = self.endpoint.subject, reason, "cannot subscribe again");
                    break;
                }
            }
        }
        self.endpoint.queue.lock().closed = true;
        self.endpoint.filled.notify_one();
    }

    /// Unsubscribes without losing anything: the server forgets the subscription at once, the client does not, and a
    /// round trip later everything that was on its way has arrived. (`Subscriber::unsubscribe` and `drain` of
    /// async-nats make the client forget first; nats.rs#1325, #1504.)
    async fn fence(&self, subscriber: &mut Subscriber, until: Instant) {
        if subscriber.unsubscribe_after(UNSUBSCRIBE_NOW).await.is_err() {
            return;
        }
        let generation = self.core.link.generation();
        let trip = async {
            tokio::select! {
                _ = self.core.round_trip(until) => {}
                // Whatever was on its way is gone with the connection.
                () = self.core.link.lost(generation) => {}
            }
        };
        tokio::pin!(trip);
        loop {
            tokio::select! {
                biased;
                message = subscriber.next() => match message {
                    Some(message) => self.accept(message).await,
                    None => return,
                },
                () = &mut trip => break,
            }
        }
        while let Some(Some(message)) = subscriber.next().now_or_never() {
            self.accept(message).await;
        }
    }

    /// Hands a request to a task of its own when there is a place and nobody waits before it; else queues it, or
    /// answers 503 when the queue is full.
    async fn accept(&self, message: Message) {
        let Self { core, endpoint } = self;
        let received = Instant::now();
        let Some(waiting) = endpoint.enqueue(core, message, received) else { return };
        match waiting {
            Entered::AtOnce(waiting, place) => start(core, endpoint, waiting, place),
            Entered::Refused(message) => {
                let reason = "too many requests at present";
                Box::pin(handling::refuse(core, endpoint, message, received, 503, reason)).await;
            }
        }
    }
}

/// How a request enters that is not queued.
enum Entered {
    AtOnce(Waiting, Place),
    Refused(Message),
}

fn start(core: &Arc<Core>, endpoint: &Arc<Endpoint>, waiting: Waiting, place: Place) {
    // Made here, inside the service's span, so that one span is entered at each wake-up and not two.
    let span = handling::span(endpoint, &waiting.message);
    // Boxed here: a future of this size is copied at every step on its way into a task.
    let handling = Box::pin(handling::handle(Arc::clone(core), Arc::clone(endpoint), waiting, place));
    core.work.spawn(handling.instrument(span));
}

impl Endpoint {
    async fn subscribe(&self, core: &Core) -> Result<Subscriber, String> {
        let subscribed = core.link.client.queue_subscribe(self.subject, self.queue_group.to_owned()).await;
        subscribed.map_err(|error| error.to_string())
    }

    /// Queues a request (`None`), unless it can be handled at once or the queue is full.
    fn enqueue(&self, core: &Core, message: Message, received: Instant) -> Option<Entered> {
        let size = message.payload.len();
        let mut queue = self.queue.lock();
        if queue.waiting.is_empty()
            && !core.abort.is_cancelled()
            && let Some(place) = self.share.take_free()
        {
            let waiting = Waiting { message, received, deadline: received + self.answer_within };
            return Some(Entered::AtOnce(waiting, place));
        }
        let full = queue.waiting.len() >= core.limits.queued.max(1)
            || (queue.bytes + size > core.limits.queued_bytes && !queue.waiting.is_empty());
        if full {
            drop(queue);
            if let Some(count) = self.overloads.count() {
                tracing::warn!(subject = self.subject, count, "overloaded, refusing requests");
            }
            return Some(Entered::Refused(message));
        }
        queue.bytes += size;
        queue.waiting.push_back(Waiting { message, received, deadline: received + self.answer_within });
        self.queued.inc();
        drop(queue);
        self.filled.notify_one();
        None
    }

    /// The oldest waiting request's deadline.
    fn front(&self) -> Front {
        let queue = self.queue.lock();
        match queue.waiting.front() {
            Some(waiting) => Front::Waiting(waiting.deadline),
            None if queue.closed => Front::Closed,
            None => Front::Empty,
        }
    }

    fn pop(&self) -> Option<Waiting> {
        let mut queue = self.queue.lock();
        let waiting = queue.waiting.pop_front()?;
        queue.bytes = queue.bytes.saturating_sub(waiting.message.payload.len());
        self.queued.dec();
        Some(waiting)
    }
}

enum Front {
    Waiting(Instant),
    Empty,
    Closed,
}

/// Gives each waiting request a place, in order of arrival; answers those whose time is up before they got one.
async fn dispatch(core: Arc<Core>, endpoint: Arc<Endpoint>) {
    let mut aborted = pin!(core.abort.cancelled());
    // Set again only when it rings: the deadlines of a subject grow in order of arrival, so it rings too early at worst.
    let mut alarm = pin!(tokio::time::sleep_until(Instant::now()));
    loop {
        let deadline = match endpoint.front() {
            Front::Waiting(deadline) => deadline,
            Front::Closed => return,
            Front::Empty => {
                tokio::select! {
                    () = endpoint.filled.notified() => {}
                    () = core.stop.cancelled() => return,
                }
                continue;
            }
        };
        let mut take = pin!(endpoint.share.take());
        // More than once only when the alarm rings too early, which must not cost the turn among those who wait.
        loop {
            tokio::select! {
                biased;
                () = &mut aborted => refuse(&core, &endpoint, 503, handling::STOPPING).await,
                place = &mut take => {
                    let (Some(place), Some(waiting)) = (place, endpoint.pop()) else { break };
                    start(&core, &endpoint, waiting, place);
                }
                () = &mut alarm => {
                    if Instant::now() < deadline {
                        alarm.as_mut().reset(deadline);
                        continue;
                    }
                    refuse(&core, &endpoint, 500, handling::TOO_LATE).await;
                }
            }
            break;
        }
    }
}

async fn refuse(core: &Core, endpoint: &Endpoint, status: u16, reason: &'static str) {
    if let Some(waiting) = endpoint.pop() {
        Box::pin(handling::refuse(core, endpoint, waiting.message, waiting.received, status, reason)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take_now(share: &Share) -> Option<Place> {
        share.take().now_or_never().flatten()
    }

    #[test]
    fn a_subject_that_is_alone_may_take_every_place() {
        let places = Places::new(128, 0);
        let only = places.subject(true);
        let taken: Vec<_> = std::iter::from_fn(|| take_now(&only)).collect();
        assert_eq!(taken.len(), 128);
    }

    #[test]
    fn a_slow_subject_leaves_places_for_the_others() {
        let places = Places::new(128, 0);
        let slow = places.subject(true);
        places.shrink(&slow);
        let quick = places.subject(false);
        let taken: Vec<_> = std::iter::from_fn(|| take_now(&slow)).collect();
        assert_eq!(taken.len(), 96 + RESERVED);
        let rest: Vec<_> = std::iter::from_fn(|| take_now(&quick)).collect();
        assert_eq!(taken.len() + rest.len(), 128);
    }

    #[test]
    fn however_many_subjects_are_slow_each_keeps_its_own_places() {
        let places = Places::new(128, 0);
        let shares: Vec<_> = (0..25).map(|index| places.subject(index == 0)).collect();
        let taken: Vec<_> =
            shares.iter().take(24).flat_map(|share| std::iter::from_fn(|| take_now(share))).collect();
        assert_eq!(taken.len(), 128 - RESERVED);
        assert!(shares.last().is_some_and(|share| take_now(share).is_some()));
    }
}
