//! The life of one request in a replier: recover, parse, execute, answer. Whatever happens, exactly one reply.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use async_nats::{Message, Subject};
use bytes::Bytes;
use contracts::{Carrier, Effect, Incoming, Rejected, Request, Rpc, json};
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};
use tracing::{Instrument, Span};

use crate::core::Core;
use crate::dedupe::{Entry, Lease, UNKNOWN};
use crate::envelope::{self, Payload};
use crate::offload::Kind;
use crate::redis_link::StoreError;
use crate::replier::{Endpoint, Place, Waiting};
use crate::{Call, Reply, RequestId, requester, trace};

/// The reply when the time for it is over.
pub(crate) const TOO_LATE: &str = "no result in time";
/// The reply to what cannot be finished before the process ends.
pub(crate) const STOPPING: &str = "the service is stopping";
/// The reply when a handler panics.
const PANICKED: &str = "internal error";
/// How long a write may go on after its reply was due; its result is kept for the repetition that will come.
const FINISH_WRITES_WITHIN: Duration = Duration::from_secs(60);
/// How long after its deadline a reply is still worth sending: an old requester waits a little longer.
const GRACE: Duration = Duration::from_secs(2);

type Run = Box<dyn FnOnce(Instant) -> BoxFuture<'static, Reply> + Send>;

/// A parsed request.
pub(crate) struct Parsed {
    pub(crate) id: Option<RequestId>,
    /// The handler, ready to run, or why it shall not.
    pub(crate) run: Result<Run, Refusal>,
}

/// A request that is not executed.
pub(crate) enum Refusal {
    /// By the subject's own rules.
    Rejected(Rejected),
    /// By the bus; such a reply has a body on every subject.
    Bus(u16, &'static str),
}

/// Reads an envelope and its parameters.
pub(crate) fn parse<R: Rpc>(
    payload: &[u8],
    handler: impl FnOnce(Call<R::Request>) -> BoxFuture<'static, Reply> + Send + 'static,
) -> Parsed {
    let malformed = || Parsed { id: None, run: Err(Refusal::Bus(400, R::MALFORMED)) };
    let Ok(text) = std::str::from_utf8(payload) else { return malformed() };
    let text = json::legal(text);
    let Ok(incoming) = Incoming::read(&text) else { return malformed() };
    let id = RequestId::from(incoming.request_id());
    let parsed = std::panic::catch_unwind(AssertUnwindSafe(|| R::Request::parse(&incoming)));
    let run: Result<Run, Refusal> = match parsed {
        Ok(Ok(request)) => {
            let request_id = id.clone();
            Ok(Box::new(move |deadline| handler(Call { request, request_id, deadline, subject: R::SUBJECT })))
        }
        Ok(Err(rejected)) => Err(Refusal::Rejected(rejected)),
        Err(_) => Err(Refusal::Bus(500, PANICKED)),
    };
    Parsed { id: Some(id), run }
}

/// The span in which [`handle`] runs.
pub(crate) fn span(endpoint: &Endpoint, message: &Message) -> Span {
    let headers = message.headers.as_ref();
    trace::handling(endpoint.subject, endpoint.queue_group, message.payload.len(), headers)
}

/// Handles one request that has got a place.
pub(crate) async fn handle(core: Arc<Core>, endpoint: Arc<Endpoint>, waiting: Waiting, place: Place) {
    let Waiting { message, received, deadline } = waiting;
    let headers = message.headers.as_ref();
    let asked = trace::deadline(headers);
    if asked.is_some_and(|asked| asked <= received)
        && let Some(count) = endpoint.stale.count()
    {
        let subject = endpoint.subject;
        tracing::warn!(subject, count, "requests came after their deadline (or the hosts' clocks disagree)");
    }
    let deadline = asked.map_or(deadline, |asked| asked.min(deadline));
    let in_flight = InFlight::new(&endpoint);
    let to = message.reply;
    if to.is_none() {
        tracing::debug!(subject = endpoint.subject, "a request without reply subject");
    }
    // Kept until the reply is out, so that replies on their way through a slow Redis are bounded as well.
    let mut place = Some(place);
    let span = Span::current();
    let (id, outcome) = process(&core, &endpoint, &span, message.payload, deadline, &mut place).await;
    let status = outcome.reply.status;
    // All at once: each time costs a way through all layers.
    tracing::record_all!(
        span,
        status = status,
        error.type = (status >= 500).then_some(status),
    );
    if let Some(to) = to {
        answer(&core, &endpoint, to, id.as_ref(), &outcome, deadline).await;
    }
    count(&endpoint, outcome.reply.status, received);
    tracing::debug!(
        subject = endpoint.subject,
        request_id = id.as_ref().map(tracing::field::display),
        status = outcome.reply.status,
        milliseconds = received.elapsed().as_secs_f64() * 1_000.0,
        "answered"
    );
    drop(in_flight);
}

/// Answers a request that gets no place.
pub(crate) async fn refuse(
    core: &Core,
    endpoint: &Endpoint,
    message: Message,
    received: Instant,
    status: u16,
    reason: &'static str,
) {
    count(endpoint, status, received);
    let Some(to) = message.reply else { return };
    let id = id_of(&message.payload);
    let payload = envelope::reply(id.as_ref(), &Reply::text(status, reason), true);
    core.publish_reply(to, payload, Instant::now() + GRACE).await;
}

/// The id to echo to a request that is not looked at any further.
fn id_of(payload: &[u8]) -> Option<RequestId> {
    let text = json::legal(std::str::from_utf8(payload).ok()?);
    Incoming::read(&text).ok().map(|incoming| RequestId::from(incoming.request_id()))
}

fn count(endpoint: &Endpoint, status: u16, received: Instant) {
    let took = received.elapsed();
    endpoint.metrics.count(status, took.as_secs_f64());
    endpoint.stats.count(status, took);
}

/// What will be answered.
struct Outcome {
    reply: Reply,
    /// Written by the bus, not by the subject: the body is kept where replies have none.
    by_bus: bool,
}

impl Outcome {
    fn bus(status: u16, reason: &str) -> Self {
        Self { reply: Reply::text(status, reason), by_bus: true }
    }
}

async fn process(
    core: &Arc<Core>,
    endpoint: &Arc<Endpoint>,
    span: &Span,
    payload: Bytes,
    deadline: Instant,
    place: &mut Option<Place>,
) -> (Option<RequestId>, Outcome) {
    if deadline <= Instant::now() {
        return (id_of(&payload), Outcome::bus(500, TOO_LATE));
    }
    let recovered = tokio::select! {
        biased;
        recovered = recover(core, payload.clone(), deadline) => recovered,
        () = core.abort.cancelled() => Err((503, STOPPING)),
    };
    let payload = match recovered {
        Ok(payload) => payload,
        Err((400, reason)) => return (id_of(&payload), Outcome::bus(400, reason)),
        Err((status, reason)) => return (None, Outcome::bus(status, reason)),
    };
    let parser = Arc::clone(endpoint);
    let size = payload.len();
    let parsed = requester::parsed(size, move || {
        std::panic::catch_unwind(AssertUnwindSafe(|| (parser.parse)(&payload))).ok()
    });
    let Ok(Some(Parsed { id, run })) = parsed.await else { return (None, Outcome::bus(500, PANICKED)) };
    if let Some(id) = &id {
        // Before the handler runs, so that each of its records names the request.
        span.record("messaging.message.conversation_id", tracing::field::display(id));
    }
    let run = match run {
        Ok(run) => run,
        Err(Refusal::Bus(status, reason)) => return (id, Outcome::bus(status, reason)),
        Err(Refusal::Rejected(Rejected { status, body })) => {
            return (id, Outcome { reply: Reply::json(status, &body), by_bus: false });
        }
    };
    let outcome = match endpoint.effect {
        Effect::Read => read(core, endpoint, run, deadline).await,
        Effect::Write => Box::pin(write(core, endpoint, id.as_ref(), run, deadline, place)).await,
    };
    (id, outcome)
}

/// The envelope, out of Redis if a token came.
async fn recover(core: &Core, payload: Bytes, deadline: Instant) -> Result<Bytes, (u16, &'static str)> {
    const TOO_LARGE: (u16, &str) = (413, "the request is too large");
    match envelope::recognise(&payload) {
        Payload::Inline if payload.len() > core.limits.max_payload_in => Err(TOO_LARGE),
        Payload::Inline => Ok(payload),
        Payload::BadToken => Err((400, envelope::TOKEN_MALFORMED)),
        // Boxed like the other rare ways of a request: what all of them need room for, the usual one pays for too.
        Payload::Stored(key) => match Box::pin(core.store.get(&key, Kind::Request, deadline)).await {
            Ok(Some(payload)) => Ok(payload),
            Ok(None) => {
                tracing::error!("a stored request is gone from Redis");
                Err((500, envelope::PAYLOAD_MISSING))
            }
            Err(StoreError::TooLarge { bytes }) => {
                tracing::error!(bytes, "a stored request is too large");
                Err(TOO_LARGE)
            }
            Err(error) => {
                tracing::error!(%error, "a stored request cannot be fetched");
                Err((500, "stored payload cannot be fetched"))
            }
        },
    }
}

async fn read(core: &Core, endpoint: &Endpoint, run: Run, deadline: Instant) -> Outcome {
    tokio::select! {
        biased;
        reply = timeout_at(deadline, guarded(endpoint.subject, run, deadline)) => match reply {
            Ok(Some(reply)) => Outcome { reply, by_bus: false },
            Ok(None) => Outcome::bus(500, PANICKED),
            Err(_) => Outcome::bus(500, TOO_LATE),
        },
        () = core.abort.cancelled() => Outcome::bus(503, STOPPING),
    }
}

/// Executes a write once for each `request_id` (spec `00-messaging`, "Duplicate delivery of writes").
async fn write(
    core: &Arc<Core>,
    endpoint: &Arc<Endpoint>,
    id: Option<&RequestId>,
    run: Run,
    deadline: Instant,
    place: &mut Option<Place>,
) -> Outcome {
    let key = id.and_then(RequestId::as_str).and_then(|id| core.dedupe.key(endpoint.subject, &id));
    let lease = match key {
        None => None,
        Some(key) => match core.dedupe.enter(&key, deadline).await {
            Entry::First(lease) => Some(lease),
            Entry::Repeated(reply) => {
                core.metrics.dedupe_hits.with_label_values(&[endpoint.subject]).inc();
                return Outcome { reply, by_bus: false };
            }
            Entry::Unknown | Entry::TooLate if core.abort.is_cancelled() => {
                return Outcome::bus(500, STOPPING);
            }
            Entry::Unknown => {
                core.metrics.dedupe_hits.with_label_values(&[endpoint.subject]).inc();
                return Outcome::bus(500, UNKNOWN);
            }
            Entry::TooLate => return Outcome::bus(500, TOO_LATE),
        },
    };
    if deadline <= Instant::now() {
        if let Some(lease) = lease {
            lease.settle(Reply::text(500, TOO_LATE).not_executed()).store().await;
        }
        return Outcome::bus(500, TOO_LATE);
    }
    let (send, result) = oneshot::channel();
    let finishing = finish_write(endpoint.subject, run, deadline, lease, send, place.take());
    core.work.spawn(finishing.instrument(Span::current()));
    tokio::select! {
        biased;
        reply = timeout_at(deadline, result) => match reply {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Outcome::bus(500, PANICKED),
            Err(_) => Outcome::bus(500, TOO_LATE),
        },
        () = core.abort.cancelled() => Outcome::bus(500, STOPPING),
    }
}

/// Lets a write go on to its end, also when its reply was due long ago, and keeps the result for its repetitions.
async fn finish_write(
    subject: &'static str,
    run: Run,
    deadline: Instant,
    lease: Option<Lease>,
    answer: oneshot::Sender<Outcome>,
    place: Option<Place>,
) {
    let outcome = match timeout_at(deadline + FINISH_WRITES_WITHIN, guarded(subject, run, deadline)).await {
        Ok(Some(reply)) => Outcome { reply, by_bus: false },
        Ok(None) => Outcome::bus(500, PANICKED),
        Err(_) => {
            tracing::error!(subject, "a write did not end, its outcome is not known");
            Outcome::bus(500, UNKNOWN)
        }
    };
    drop(place);
    // The reply first: keeping it must not delay it. Until it is kept, repetitions join this one.
    let settled = lease.map(|lease| lease.settle(outcome.reply.clone()));
    let _ = answer.send(outcome);
    if let Some(settled) = settled {
        settled.store().await;
    }
}

/// Runs a handler; `None` when it panics.
async fn guarded(subject: &str, run: Run, deadline: Instant) -> Option<Reply> {
    let caught = AssertUnwindSafe(async move { run(deadline).await }).catch_unwind().await;
    if caught.is_err() {
        // The panic hook has written what and where.
        tracing::error!(subject, "a handler panicked");
    }
    caught.ok()
}

async fn answer(
    core: &Core,
    endpoint: &Endpoint,
    to: Subject,
    id: Option<&RequestId>,
    outcome: &Outcome,
    deadline: Instant,
) {
    let with_body = endpoint.carrier == Carrier::Body || outcome.by_bus;
    let until = deadline.max(Instant::now()) + GRACE;
    let payload = envelope::reply(id, &outcome.reply, with_body);
    let failure = if payload.len() <= core.inline_limit() {
        core.publish_reply(to, payload, until).await;
        return;
    } else if payload.len() > core.limits.max_payload_in {
        tracing::error!(subject = endpoint.subject, bytes = payload.len(), "a reply is too large");
        "the reply is too large"
    } else {
        let stored = tokio::select! {
            biased;
            stored = Box::pin(core.store.put(&payload, until)) => Some(stored),
            () = core.abort.cancelled() => None,
        };
        match stored {
            Some(Ok(token)) => {
                core.publish_reply(to, token, until).await;
                return;
            }
            None => STOPPING,
            Some(Err(error)) => {
                tracing::error!(subject = endpoint.subject, %error, "a reply cannot be stored");
                "the reply could not be stored"
            }
        }
    };
    let mut small = envelope::reply(id, &Reply::text(500, failure), true);
    if small.len() > core.inline_limit() {
        // A request_id of a megabyte.
        small = envelope::reply(None, &Reply::text(500, failure), true);
    }
    core.publish_reply(to, small, until + GRACE).await;
}

/// Counts a request as in flight until dropped.
struct InFlight(prometheus::IntGauge);

impl InFlight {
    fn new(endpoint: &Endpoint) -> Self {
        endpoint.in_flight.inc();
        Self(endpoint.in_flight.clone())
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}
