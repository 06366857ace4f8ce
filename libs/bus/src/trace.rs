//! Spans by OpenTelemetry's messaging conventions, and what travels in NATS headers: the W3C trace context and the
//! requester's deadline. Nothing depends on a header: old peers and old servers have none.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_nats::HeaderMap;
use async_nats::header::{HeaderName, HeaderValue};
use opentelemetry::propagation::{Extractor, Injector};
use tokio::time::Instant;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// Milliseconds since 1970 after which the requester no longer waits. Supposes that the hosts' clocks agree.
const DEADLINE: &str = "Request-Deadline";

/// The span of a request that is sent.
pub(crate) fn sending(subject: &str, id: &str) -> Span {
    tracing::info_span!(
        "request",
        otel.name = format_args!("request {subject}"),
        otel.kind = "client",
        messaging.system = "nats",
        messaging.operation.name = "request",
        messaging.operation.type = "send",
        messaging.destination.name = subject,
        messaging.message.conversation_id = id,
        messaging.message.body.size = tracing::field::Empty,
        status = tracing::field::Empty,
        error.type = tracing::field::Empty,
    )
}

/// The span of a request that is handled, a child of the requester's.
pub(crate) fn handling(subject: &str, queue: &str, bytes: usize, headers: Option<&HeaderMap>) -> Span {
    let span = tracing::info_span!(
        "process",
        otel.name = format_args!("process {subject}"),
        otel.kind = "server",
        messaging.system = "nats",
        messaging.operation.name = "process",
        messaging.operation.type = "process",
        messaging.destination.name = subject,
        messaging.consumer.group.name = queue,
        messaging.message.conversation_id = tracing::field::Empty,
        messaging.message.body.size = bytes,
        status = tracing::field::Empty,
        error.type = tracing::field::Empty,
    );
    if let Some(headers) = headers {
        let parent = opentelemetry::global::get_text_map_propagator(|propagator| {
            propagator.extract(&Received(headers))
        });
        // Fails only where spans are not exported at all.
        let _ = span.set_parent(parent);
    }
    span
}

/// The headers of a request.
pub(crate) fn headers(span: &Span, deadline: Instant) -> HeaderMap {
    let mut headers = HeaderMap::new();
    opentelemetry::global::get_text_map_propagator(|propagator| {
        propagator.inject_context(&span.context(), &mut Sent(&mut headers));
    });
    let at = SystemTime::now() + deadline.saturating_duration_since(Instant::now());
    if let Ok(since) = at.duration_since(UNIX_EPOCH) {
        Sent(&mut headers).set(DEADLINE, since.as_millis().to_string());
    }
    headers
}

/// When the requester stops waiting, or stopped, if it says so.
pub(crate) fn deadline(headers: Option<&HeaderMap>) -> Option<Instant> {
    let millis: u64 = headers?.get(DEADLINE)?.as_str().parse().ok()?;
    let at = UNIX_EPOCH.checked_add(Duration::from_millis(millis))?;
    let now = Instant::now();
    match at.duration_since(SystemTime::now()) {
        Ok(left) => now.checked_add(left),
        Err(late) => Some(now.checked_sub(late.duration()).unwrap_or(now)),
    }
}

/// The bytes which headers take on the wire.
pub(crate) fn wire_len(headers: &HeaderMap) -> usize {
    let fields: usize = headers
        .iter()
        .flat_map(|(name, values)| values.iter().map(move |value| (name, value)))
        .map(|(name, value)| AsRef::<str>::as_ref(name).len() + value.as_str().len() + ": \r\n".len())
        .sum();
    "NATS/1.0\r\n\r\n".len() + fields
}

struct Sent<'a>(&'a mut HeaderMap);

impl Injector for Sent<'_> {
    fn set(&mut self, key: &str, value: String) {
        if let (Ok(name), Ok(value)) = (key.parse::<HeaderName>(), value.parse::<HeaderValue>()) {
            self.0.insert(name, value);
        }
    }
}

struct Received<'a>(&'a HeaderMap);

impl Extractor for Received<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(HeaderValue::as_str)
    }

    fn keys(&self) -> Vec<&str> {
        self.0.iter().map(|(name, _)| name.as_ref()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deadline_survives_the_wire() {
        let sent = Instant::now() + Duration::from_secs(30);
        let headers = headers(&Span::none(), sent);
        let received = deadline(Some(&headers)).unwrap();
        let gap = received.max(sent) - received.min(sent);
        // Two clocks are read in between. A wrong unit would be off by far more.
        assert!(gap < Duration::from_secs(5), "{gap:?}");
    }

    #[test]
    fn a_deadline_that_has_passed_is_seen_to_have_passed() {
        let mut headers = HeaderMap::new();
        let past = SystemTime::now() - Duration::from_secs(1);
        let millis = past.duration_since(UNIX_EPOCH).unwrap().as_millis();
        headers.insert(DEADLINE, millis.to_string());
        let received = Instant::now();
        assert!(deadline(Some(&headers)).unwrap() < received);
    }

    #[test]
    fn nonsense_in_the_deadline_header_is_ignored() {
        for value in ["", "soon", "-5", "99999999999999999999999"] {
            let mut headers = HeaderMap::new();
            headers.insert(DEADLINE, value);
            assert_eq!(deadline(Some(&headers)), None, "{value}");
        }
        assert_eq!(deadline(None), None);
    }

    #[test]
    fn the_size_of_headers_is_that_of_the_protocol() {
        let mut headers = HeaderMap::new();
        headers.insert("A", "bc");
        assert_eq!(wire_len(&headers), "NATS/1.0\r\nA: bc\r\n\r\n".len());
    }
}
