//! A trace across services: who asked whom for what, with status and time.

use std::collections::{HashMap, HashSet};

use askama::Template;
use runtime::{KeptSpan, SpanLog};

use super::view::View;

/// Rows shown at most.
const ROWS: usize = 160;

/// A span as a row.
#[derive(Debug, PartialEq)]
struct Row {
    depth: usize,
    who: String,
    what: String,
    status: String,
    bad: bool,
    milliseconds: String,
    /// Where the bar begins and how long it is, in percent of the whole.
    from: String,
    length: String,
}

/// A trace.
#[derive(Template)]
#[template(path = "trace.html")]
pub(super) struct Trace {
    chosen: bool,
    id: String,
    rows: Vec<Row>,
    spans: usize,
    total: String,
    whole: Option<String>,
    back: String,
}

impl Trace {
    pub(super) fn new(spans: &SpanLog, view: &View) -> Self {
        let chosen = !view.trace.is_empty();
        let kept = if chosen { spans.trace(&view.trace) } else { Vec::new() };
        let from = (!view.span.is_empty()).then_some(view.span.as_str());
        let (rows, total) = rows(&kept, from);
        Self {
            chosen,
            id: view.trace.clone(),
            rows,
            spans: kept.len(),
            total,
            whole: from.map(|_| view.trace(&view.trace, "").address("trace")),
            back: view.trace("", "").address("device"),
        }
    }
}

/// The rows below the span `from` (or all), parents before their children, and the time of all.
fn rows(spans: &[KeptSpan], from: Option<&str>) -> (Vec<Row>, String) {
    let ids: HashMap<&str, &KeptSpan> = spans.iter().map(|span| (span.id.as_str(), span)).collect();
    let mut children: HashMap<&str, Vec<&KeptSpan>> = HashMap::new();
    let mut roots = Vec::new();
    for span in spans {
        match span.parent.as_deref().filter(|parent| ids.contains_key(parent)) {
            Some(parent) => children.entry(parent).or_default().push(span),
            None => roots.push(span),
        }
    }
    if let Some(from) = from {
        // A span that has not ended is not known yet, its children may be.
        let own = ids.get(from).map(|span| vec![*span]);
        let below = spans.iter().filter(|span| span.parent.as_deref() == Some(from)).collect();
        roots = own.unwrap_or(below);
    }
    let begin = roots.iter().map(|span| span.began).min().unwrap_or_default();
    let end = roots.iter().map(|span| span.began + span.took).max().unwrap_or(begin);
    let whole = (end - begin).num_microseconds().unwrap_or(0).max(1);
    let mut rows = Vec::new();
    let mut seen = HashSet::new();
    let mut open: Vec<(&KeptSpan, usize, String)> =
        roots.iter().rev().map(|span| (*span, 0, service(span, &ids))).collect();
    while let Some((span, depth, who)) = open.pop() {
        if rows.len() >= ROWS || !seen.insert(span.id.as_str()) {
            continue;
        }
        let who = own_service(span).unwrap_or(who);
        rows.push(row(span, depth, who.clone(), (span.began - begin).num_microseconds().unwrap_or(0), whole));
        for child in children.get(span.id.as_str()).into_iter().flatten().rev() {
            open.push((child, depth + 1, who.clone()));
        }
    }
    (rows, format!("{} ms", milliseconds(whole)))
}

fn own_service(span: &KeptSpan) -> Option<String> {
    let named = span.attribute("service").or_else(|| span.attribute("messaging.consumer.group.name"));
    // Queue groups are written with underscores.
    named.map(|name| name.replace('_', "-"))
}

/// The service in which a span is: its own word, else that of the nearest span around it.
fn service(span: &KeptSpan, ids: &HashMap<&str, &KeptSpan>) -> String {
    let mut at = Some(span);
    // A trace is no deeper than this.
    for _ in 0..64 {
        let Some(span) = at else { break };
        if let Some(service) = own_service(span) {
            return service;
        }
        at = span.parent.as_deref().and_then(|parent| ids.get(parent).copied());
    }
    String::new()
}

#[allow(clippy::cast_precision_loss, reason = "microseconds of one trace")]
fn row(span: &KeptSpan, depth: usize, who: String, offset: i64, whole: i64) -> Row {
    let attribute = |name| span.attribute(name).unwrap_or_default();
    let what = match span.name.split(' ').next() {
        Some("request") => format!("asks {}", attribute("messaging.destination.name")),
        Some("process") => format!("answers {}", attribute("messaging.destination.name")),
        _ if !attribute("url.template").is_empty() => {
            format!(
                "{} {} at {}",
                attribute("http.request.method"),
                attribute("url.template"),
                attribute("server.address")
            )
        }
        Some("job") => format!("runs {}", attribute("job")),
        _ => span.name.clone(),
    };
    let status = match (attribute("status"), attribute("error.type")) {
        ("", error) => error.to_owned(),
        (status, _) => status.to_owned(),
    };
    let took = i64::try_from(span.took.as_micros()).unwrap_or(i64::MAX);
    let percent = |part: i64| (part as f64 / whole as f64 * 100.0).clamp(0.0, 100.0);
    let from = percent(offset);
    Row {
        depth,
        who,
        what,
        bad: !status.is_empty() && !matches!(status.as_bytes().first(), Some(b'2' | b'3')),
        status,
        milliseconds: milliseconds(took),
        from: format!("{from:.2}"),
        length: format!("{:.2}", percent(took).min(100.0 - from).max(0.4)),
    }
}

#[allow(clippy::cast_precision_loss, reason = "microseconds of one trace")]
fn milliseconds(micros: i64) -> String {
    let value = micros as f64 / 1e3;
    if value >= 100.0 { format!("{value:.0}") } else { format!("{value:.1}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{DateTime, TimeDelta};
    use std::time::Duration;

    fn span(
        id: &str,
        parent: Option<&str>,
        name: &str,
        at: i64,
        took: u64,
        more: &[(&'static str, &str)],
    ) -> KeptSpan {
        KeptSpan {
            id: id.into(),
            parent: parent.map(str::to_owned),
            name: name.into(),
            began: DateTime::UNIX_EPOCH + TimeDelta::milliseconds(at),
            took: Duration::from_millis(took),
            attributes: more.iter().map(|(key, value)| (*key, (*value).to_owned())).collect(),
        }
    }

    fn spans() -> Vec<KeptSpan> {
        let subject = ("messaging.destination.name", "bruin.ticket.request");
        vec![
            span("1", None, "job", 0, 100, &[("service", "monitor"), ("job", "cycle")]),
            span("2", Some("1"), "request bruin.ticket.request", 10, 80, &[subject, ("status", "200")]),
            span(
                "3",
                Some("2"),
                "process bruin.ticket.request",
                20,
                60,
                &[subject, ("messaging.consumer.group.name", "bruin-bridge")],
            ),
            span(
                "4",
                Some("3"),
                "POST /api/Ticket",
                30,
                40,
                &[("url.template", "/api/Ticket"), ("http.request.method", "POST"), ("status", "500")],
            ),
        ]
    }

    #[test]
    fn every_span_stands_below_its_parent_with_its_service() {
        let (rows, total) = rows(&spans(), None);
        let told: Vec<(usize, &str, &str)> =
            rows.iter().map(|row| (row.depth, row.who.as_str(), row.what.as_str())).collect();
        assert_eq!(
            told,
            [
                (0, "monitor", "runs cycle"),
                (1, "monitor", "asks bruin.ticket.request"),
                (2, "bruin-bridge", "answers bruin.ticket.request"),
                (3, "bruin-bridge", "POST /api/Ticket at "),
            ]
        );
        assert_eq!((total.as_str(), rows[3].bad, rows[1].from.as_str()), ("100 ms", true, "10.00"));
    }

    #[test]
    fn a_view_may_begin_at_a_span_that_is_still_open() {
        let (below, _) = rows(&spans(), Some("3"));
        assert_eq!(below.len(), 2);
        assert_eq!(below[0].who, "bruin-bridge");
        let open: Vec<KeptSpan> = spans().into_iter().filter(|span| span.id != "2").collect();
        assert_eq!(rows(&open, Some("2")).0.len(), 2);
    }
}
