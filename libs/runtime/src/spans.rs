//! Spans kept in memory, for a process that shows the traces of its services itself.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use opentelemetry::trace::{SpanId, TraceId};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};
use parking_lot::Mutex;

/// Attributes that are of interest to people; the others (threads, source lines) are not kept.
const KEPT: [&str; 12] = [
    "service",
    "job",
    "device",
    "rule",
    "action",
    "messaging.destination.name",
    "messaging.consumer.group.name",
    "http.request.method",
    "url.template",
    "server.address",
    "error.type",
    "status",
];
/// The status of an answer over HTTP, kept under the name `status`.
const HTTP_STATUS: &str = "http.response.status_code";
/// A trace keeps so many spans; a cycle over a large network makes more.
const SPANS_OF_TRACE: usize = 2_000;

/// A span that has ended.
#[derive(Debug, Clone, PartialEq)]
pub struct KeptSpan {
    /// Its id, 16 hexadecimal digits.
    pub id: String,
    /// The id of the span around it; `None` for the first of its trace.
    pub parent: Option<String>,
    /// What it is, e.g. `request bruin.ticket.request`.
    pub name: String,
    /// When it began, by the system's clock.
    pub began: DateTime<Utc>,
    /// How long it took.
    pub took: Duration,
    /// Its attributes, of a closed list.
    pub attributes: Vec<(&'static str, String)>,
}

impl KeptSpan {
    /// The value of an attribute.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| *key == name).map(|(_, value)| value.as_str())
    }
}

/// The spans of the newest traces. Clones share them.
#[derive(Debug, Clone)]
pub struct SpanLog {
    most: usize,
    kept: Arc<Mutex<Kept>>,
}

#[derive(Debug, Default)]
struct Kept {
    traces: HashMap<TraceId, Vec<KeptSpan>>,
    /// Oldest first.
    order: VecDeque<TraceId>,
    spans: usize,
}

impl SpanLog {
    /// Keeps about `most` spans; whole traces are dropped, the oldest first.
    pub fn new(most: usize) -> Self {
        Self { most, kept: Arc::default() }
    }

    /// The ended spans of a trace (32 hexadecimal digits) by their beginning; empty when it is not known any more.
    pub fn trace(&self, id: &str) -> Vec<KeptSpan> {
        let Ok(id) = TraceId::from_hex(id) else { return Vec::new() };
        let mut spans = self.kept.lock().traces.get(&id).cloned().unwrap_or_default();
        spans.sort_by_key(|span| span.began);
        spans
    }

    fn add(&self, trace: TraceId, span: KeptSpan) {
        let mut kept = self.kept.lock();
        let kept = &mut *kept;
        let spans = kept.traces.entry(trace).or_insert_with(|| {
            kept.order.push_back(trace);
            Vec::new()
        });
        if spans.len() >= SPANS_OF_TRACE {
            return;
        }
        spans.push(span);
        kept.spans += 1;
        while kept.spans > self.most && kept.order.len() > 1 {
            let oldest = kept.order.pop_front().and_then(|oldest| kept.traces.remove(&oldest));
            kept.spans -= oldest.map_or(0, |spans| spans.len());
        }
    }
}

impl SpanProcessor for SpanLog {
    fn on_start(&self, _: &mut Span, _: &opentelemetry::Context) {}

    fn on_end(&self, span: SpanData) {
        let attribute = |key: &str| KEPT.into_iter().find(|kept| *kept == key);
        let attributes = span
            .attributes
            .iter()
            .filter_map(|pair| {
                let key = pair.key.as_str();
                let kept = if key == HTTP_STATUS { Some("status") } else { attribute(key) };
                Some((kept?, pair.value.to_string()))
            })
            .collect();
        let kept = KeptSpan {
            id: span.span_context.span_id().to_string(),
            parent: (span.parent_span_id != SpanId::INVALID).then(|| span.parent_span_id.to_string()),
            name: span.name.into_owned(),
            began: span.start_time.into(),
            took: span.end_time.duration_since(span.start_time).unwrap_or_default(),
            attributes,
        };
        self.add(span.span_context.trace_id(), kept);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(id: u64) -> KeptSpan {
        KeptSpan {
            id: SpanId::from(id).to_string(),
            parent: None,
            name: "request".into(),
            began: DateTime::UNIX_EPOCH,
            took: Duration::ZERO,
            attributes: vec![("status", "200".into())],
        }
    }

    #[test]
    fn the_oldest_traces_go_first() {
        let log = SpanLog::new(3);
        let trace = |number: u128| TraceId::from(number);
        for (number, id) in [(1, 1), (1, 2), (2, 3), (3, 4)] {
            log.add(trace(number), span(id));
        }
        let kept = |number| log.trace(&trace(number).to_string()).len();
        assert_eq!((kept(1), kept(2), kept(3)), (0, 1, 1));
        assert_eq!(log.trace("nonsense"), []);
    }

    #[test]
    fn a_large_trace_is_cut_and_does_not_displace_itself() {
        let log = SpanLog::new(10);
        for id in 0..SPANS_OF_TRACE as u64 + 5 {
            log.add(TraceId::from(7), span(id));
        }
        assert_eq!(log.trace(&TraceId::from(7).to_string()).len(), SPANS_OF_TRACE);
    }
}
