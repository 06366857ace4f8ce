//! Sending requests (spec `00-messaging`, "What the new requester does").
//!
//! One deadline surrounds everything: waiting for the connection, storing a large payload, the reply, recovering it.
//! A request is sent again only when it certainly was not delivered, or when it is a read and the connection was lost.

use std::time::Duration;

use async_nats::client::PublishErrorKind;
use async_nats::{HeaderMap, Message, StatusCode, Subject};
use bytes::Bytes;
use contracts::{Effect, Rpc};
use parking_lot::Mutex;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::{Instant, timeout_at};
use tracing::{Instrument, Span};

use crate::core::{Core, seconds_since};
use crate::envelope::{self, Payload};
use crate::metrics::class;
use crate::offload::{Kind, new_id};
use crate::redis_link::StoreError;
use crate::{Answer, RequestError, trace};

/// Payloads above this size are parsed on a thread for blocking work, in bytes.
pub(crate) const PARSE_INLINE: usize = 128 * 1024;
/// How much of a refusal's body an error repeats, in characters.
const SHORT: usize = 300;

/// A request as the bus sends it.
struct Outgoing<'a> {
    subject: &'a str,
    /// The subject as a label: `other` for subjects out of no catalogue.
    label: &'a str,
    id: String,
    payload: Bytes,
    effect: Effect,
    within: Duration,
}

/// Where a request stands when its time is up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Connecting,
    Storing,
    NobodyThere,
    Waiting { generation: u64 },
    Lost,
    Fetching,
}

struct Progress(Mutex<Phase>);

impl Progress {
    fn set(&self, phase: Phase) {
        *self.0.lock() = phase;
    }

    fn get(&self) -> Phase {
        *self.0.lock()
    }
}

impl Core {
    pub(crate) async fn exchange<R: Rpc>(
        &self,
        request: &R::Request,
        within: Duration,
    ) -> Result<Answer, RequestError> {
        let parameters = envelope::parameters(request).map_err(|error| RequestError::Unwritable {
            subject: R::SUBJECT.to_owned(),
            reason: error.to_string(),
        })?;
        let id = new_id();
        let payload = envelope::request(&id, &parameters, R::CARRIER);
        drop(parameters);
        let (subject, effect) = (R::SUBJECT, R::EFFECT);
        self.send(Outgoing { subject, label: subject, id, payload, effect, within }).await
    }

    pub(crate) async fn exchange_raw(
        &self,
        subject: &str,
        envelope: Value,
        within: Duration,
    ) -> Result<Answer, RequestError> {
        let id = envelope.get("request_id").map_or_else(String::new, ToString::to_string);
        let payload = Bytes::from(envelope.to_string());
        self.send(Outgoing { subject, label: "other", id, payload, effect: Effect::Write, within }).await
    }

    async fn send(&self, outgoing: Outgoing<'_>) -> Result<Answer, RequestError> {
        let began = Instant::now();
        let span = trace::sending(outgoing.subject, &outgoing.id);
        span.record("messaging.message.body.size", outgoing.payload.len());
        let deadline = began + outgoing.within;
        let phase = Progress(Mutex::new(Phase::Connecting));
        let result =
            timeout_at(deadline, self.attempts(&outgoing, deadline, &phase).instrument(span.clone()))
                .await
                .unwrap_or_else(|_| Err(self.out_of_time(&outgoing, phase.get())));
        let outcome = match &result {
            Ok(answer) => answer.status.map_or("none", class),
            Err(error) => error.kind(),
        };
        match &result {
            Ok(Answer { status: Some(status), .. }) => span.record("status", *status),
            Ok(_) => &span,
            Err(error) => span.record("error.type", error.kind()),
        };
        self.metrics.sent(outgoing.label, outcome, seconds_since(began));
        result
    }

    async fn attempts(
        &self,
        outgoing: &Outgoing<'_>,
        deadline: Instant,
        phase: &Progress,
    ) -> Result<Answer, RequestError> {
        let subject = || outgoing.subject.to_owned();
        if outgoing.payload.len() > self.limits.max_payload_in {
            return Err(RequestError::TooLarge {
                subject: subject(),
                bytes: outgoing.payload.len(),
                sent: false,
            });
        }
        let mut token: Option<Bytes> = None;
        let mut sent_before = false;
        let mut pauses = Backoff::default();
        loop {
            let sent = sent_before;
            if !self.link.usable() {
                phase.set(if sent { Phase::Lost } else { Phase::Connecting });
                let closed = |_| RequestError::Disconnected { subject: subject(), sent };
                self.link.wait_usable().await.map_err(closed)?;
            }
            let headers = self.link.headers().then(|| trace::headers(&Span::current(), deadline));
            let size = outgoing.payload.len() + headers.as_ref().map_or(0, trace::wire_len);
            let payload = if size <= self.inline_limit() {
                outgoing.payload.clone()
            } else if let Some(token) = &token {
                token.clone()
            } else {
                phase.set(Phase::Storing);
                let stored = Box::pin(self.store.put(&outgoing.payload, deadline)).await;
                let stored = stored.map_err(|error| RequestError::PayloadStore {
                    subject: subject(),
                    reason: error.to_string(),
                    sent,
                })?;
                token = Some(stored.clone());
                if !self.link.usable() {
                    continue;
                }
                stored
            };

            let generation = self.link.generation();
            let mut ticket = self.inbox.ticket();
            phase.set(Phase::Waiting { generation });
            self.publish(outgoing, ticket.subject.clone(), headers, payload).await?;
            sent_before = true;
            let message = tokio::select! {
                biased;
                message = ticket.receive() => message,
                // The reply may be gone with the connection. A read is asked again; a write goes on waiting, since its
                // replier can still answer over the next connection.
                () = self.link.lost(generation), if outgoing.effect == Effect::Read => {
                    phase.set(Phase::Lost);
                    pauses.sleep().await;
                    continue;
                }
                () = self.stop.cancelled() => {
                    return Err(RequestError::Disconnected { subject: subject(), sent: true });
                }
            };
            if message.status == Some(StatusCode::NO_RESPONDERS) {
                phase.set(Phase::NobodyThere);
                // It reached nobody.
                sent_before = sent;
                drop(ticket);
                pauses.sleep().await;
                continue;
            }
            return self.read(outgoing, message, deadline, phase).await;
        }
    }

    async fn publish(
        &self,
        outgoing: &Outgoing<'_>,
        inbox: Subject,
        headers: Option<HeaderMap>,
        payload: Bytes,
    ) -> Result<(), RequestError> {
        let client = &self.link.client;
        let (to, size) = (outgoing.subject.to_owned(), payload.len());
        let published = match headers {
            Some(headers) => client.publish_with_reply_and_headers(to, inbox, headers, payload).await,
            None => client.publish_with_reply(to, inbox, payload).await,
        };
        let subject = || outgoing.subject.to_owned();
        published.map_err(|error| match error.kind() {
            PublishErrorKind::MaxPayloadExceeded => {
                RequestError::TooLarge { subject: subject(), bytes: size, sent: false }
            }
            PublishErrorKind::InvalidSubject => {
                RequestError::Unwritable { subject: subject(), reason: "not a subject".to_owned() }
            }
            PublishErrorKind::Send => RequestError::Disconnected { subject: subject(), sent: false },
        })
    }

    async fn read(
        &self,
        outgoing: &Outgoing<'_>,
        message: Message,
        deadline: Instant,
        phase: &Progress,
    ) -> Result<Answer, RequestError> {
        let subject = || outgoing.subject.to_owned();
        let lost = |reason: String| RequestError::PayloadStore { subject: subject(), reason, sent: true };
        let payload = match envelope::recognise(&message.payload) {
            Payload::Inline => message.payload,
            Payload::BadToken => {
                let reason = envelope::TOKEN_MALFORMED.to_owned();
                return Err(RequestError::Unreadable { subject: subject(), reason });
            }
            Payload::Stored(key) => {
                phase.set(Phase::Fetching);
                match Box::pin(self.store.get(&key, Kind::Reply, deadline)).await {
                    Ok(Some(payload)) => payload,
                    Ok(None) => return Err(lost(envelope::PAYLOAD_MISSING.to_owned())),
                    Err(StoreError::TooLarge { bytes }) => {
                        return Err(RequestError::TooLarge { subject: subject(), bytes, sent: true });
                    }
                    Err(error) => return Err(lost(error.to_string())),
                }
            }
        };
        parsed(payload.len(), move || envelope::answer(payload))
            .await
            .and_then(|answer| answer)
            .map_err(|reason| RequestError::Unreadable { subject: subject(), reason })
    }

    fn out_of_time(&self, outgoing: &Outgoing<'_>, phase: Phase) -> RequestError {
        let subject = outgoing.subject.to_owned();
        let reason = || "no time left".to_owned();
        match phase {
            Phase::Connecting => RequestError::Disconnected { subject, sent: false },
            Phase::Lost => RequestError::Disconnected { subject, sent: true },
            Phase::Waiting { generation } if self.link.was_lost(generation) => {
                RequestError::Disconnected { subject, sent: true }
            }
            Phase::NobodyThere => RequestError::NoResponders { subject },
            Phase::Waiting { .. } => RequestError::Timeout { subject, within: outgoing.within },
            Phase::Storing => RequestError::PayloadStore { subject, reason: reason(), sent: false },
            Phase::Fetching => RequestError::PayloadStore { subject, reason: reason(), sent: true },
        }
    }
}

/// The body of a 2xx answer.
pub(crate) async fn success<R: Rpc, T: DeserializeOwned + Send + 'static>(
    answer: Answer,
) -> Result<T, RequestError> {
    if !answer.is_success() {
        let (subject, status) = (R::SUBJECT.to_owned(), answer.status);
        return Err(RequestError::Refused { subject, status, body: short(answer.body()) });
    }
    parsed(answer.body.len(), move || answer.body_as())
        .await
        .and_then(|reply| reply.map_err(|error| error.to_string()))
        .map_err(|reason| RequestError::Unreadable { subject: R::SUBJECT.to_owned(), reason })
}

/// Runs a parser, on another thread when the payload is large.
pub(crate) async fn parsed<T: Send + 'static>(
    size: usize,
    parse: impl FnOnce() -> T + Send + 'static,
) -> Result<T, String> {
    if size <= PARSE_INLINE {
        return Ok(parse());
    }
    tokio::task::spawn_blocking(parse).await.map_err(|_| "the parser failed".to_owned())
}

/// A refusal's body for people.
fn short(body: &str) -> String {
    let text = serde_json::from_str::<String>(body).unwrap_or_else(|_| body.to_owned());
    match text.char_indices().nth(SHORT) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

/// Pauses from 0.2 s doubling to 5 s, each shortened at random by up to half.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    taken: u32,
}

impl Backoff {
    pub(crate) async fn sleep(&mut self) {
        tokio::time::sleep(self.next()).await;
    }

    fn next(&mut self) -> Duration {
        let longest =
            Duration::from_millis(200).saturating_mul(1 << self.taken.min(5)).min(Duration::from_secs(5));
        self.taken = self.taken.saturating_add(1);
        longest.mul_f64(rand::random_range(0.5..=1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_stay_between_a_tenth_of_a_second_and_five_seconds() {
        let mut pauses = Backoff::default();
        assert!(pauses.next() <= Duration::from_millis(200));
        for _ in 0..100 {
            let pause = pauses.next();
            assert!(pause >= Duration::from_millis(100) && pause <= Duration::from_secs(5), "{pause:?}");
        }
    }

    #[test]
    fn long_refusals_are_cut_between_characters() {
        let body = format!("\"{}\"", "é".repeat(1_000));
        assert_eq!(short(&body).chars().count(), SHORT + 3);
        assert_eq!(short("null"), "null");
    }
}
