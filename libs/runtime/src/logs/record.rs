//! One log record: an event, the fields of the spans around it, nothing secret.

use std::error::Error;
use std::fmt::{self, Write as _};
use std::ops::Range;

use chrono::{DateTime, Utc};
use serde::Serialize;
use tracing::field::{Field, Visit};
use tracing::{Event, Level};

use crate::{redact, telemetry};

/// The longest text of one field or message, in characters. Payloads do not belong into logs.
const LONGEST: usize = 8_000;

/// Fields of spans that only say how the span is exported.
const FOR_EXPORT: &str = "otel.";

/// How grave a record is, by the names of the existing deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Severity {
    Debug,
    Info,
    Warning,
    Error,
    /// An error that ends the process: an ERROR event with the field `critical = true`.
    Critical,
}

impl Severity {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warning => "WARNING",
            Self::Error => "ERROR",
            Self::Critical => "CRITICAL",
        }
    }

    fn of(level: Level) -> Self {
        match level {
            Level::ERROR => Self::Error,
            Level::WARN => Self::Warning,
            Level::INFO => Self::Info,
            Level::DEBUG | Level::TRACE => Self::Debug,
        }
    }
}

/// A field's value.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub(crate) enum Value {
    Text(String),
    Signed(i64),
    Unsigned(u64),
    Float(f64),
    Flag(bool),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Signed(number) => number.fmt(f),
            Self::Unsigned(number) => number.fmt(f),
            Self::Float(number) => number.fmt(f),
            Self::Flag(flag) => flag.fmt(f),
        }
    }
}

/// The fields of a span as they were recorded, for the records that may come. Most spans end without one, so nothing is
/// redacted before; all texts lie in one buffer, which keeps a span at two allocations.
#[derive(Debug, Default)]
pub(crate) struct SpanFields {
    texts: String,
    fields: Vec<(&'static str, Kept)>,
}

#[derive(Debug)]
enum Kept {
    /// A part of the texts.
    Text(Range<usize>),
    Other(Value),
}

impl SpanFields {
    /// Room for the fields of an ordinary span, so that they do not grow one by one.
    pub(crate) fn with_room() -> Self {
        Self { texts: String::with_capacity(160), fields: Vec::with_capacity(10) }
    }

    fn keep_text(&mut self, field: &Field, write: impl FnOnce(&mut String)) {
        if field.name().starts_with(FOR_EXPORT) {
            return;
        }
        let begin = self.texts.len();
        write(&mut self.texts);
        self.fields.push((field.name(), Kept::Text(begin..self.texts.len())));
    }

    fn keep(&mut self, field: &Field, value: Value) {
        self.fields.push((field.name(), Kept::Other(value)));
    }
}

impl Visit for SpanFields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.keep_text(field, |texts| texts.push_str(value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.keep_text(field, |texts| {
            // Writing into a string cannot fail.
            let _ = write!(texts, "{value:?}");
        });
    }

    fn record_error(&mut self, field: &Field, error: &(dyn Error + 'static)) {
        self.keep_text(field, |texts| texts.push_str(&with_causes(error)));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.keep(field, Value::Signed(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.keep(field, Value::Unsigned(value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.keep(field, Value::Float(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.keep(field, Value::Flag(value));
    }
}

/// The fields of a record in their order, already redacted.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fields(Vec<(&'static str, Value)>);

impl Fields {
    /// Adds the fields of a span, redacted.
    pub(crate) fn add_span(&mut self, span: &SpanFields) {
        for (name, value) in &span.fields {
            let value = match value {
                Kept::Text(range) => {
                    let text = span.texts.get(range.clone()).unwrap_or_default();
                    Value::Text(redact::shortened(text, LONGEST))
                }
                Kept::Other(value) => value.clone(),
            };
            self.set(name, value);
        }
    }

    fn extend(&mut self, other: &Self) {
        for (name, value) in &other.0 {
            self.set(name, value.clone());
        }
    }

    fn set(&mut self, name: &'static str, value: Value) {
        let value =
            if redact::is_secret_name(name) { Value::Text(redact::REDACTED.to_owned()) } else { value };
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = value,
            None => self.0.push((name, value)),
        }
    }

    fn take(&mut self, name: &str) -> Option<Value> {
        let at = self.0.iter().position(|(known, _)| *known == name)?;
        Some(self.0.remove(at).1)
    }

    fn take_text(&mut self, name: &str) -> Option<String> {
        self.take(name).map(|value| value.to_string())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &(&'static str, Value)> {
        self.0.iter()
    }

    #[cfg(test)]
    pub(crate) fn put(&mut self, name: &'static str, value: &str) {
        self.set(name, Value::Text(value.to_owned()));
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field.name(), Value::Text(redact::shortened(value, LONGEST)));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }

    fn record_error(&mut self, field: &Field, error: &(dyn Error + 'static)) {
        self.record_str(field, &with_causes(error));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field.name(), Value::Signed(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field.name(), Value::Unsigned(value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.set(field.name(), Value::Float(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field.name(), Value::Flag(value));
    }
}

/// An error with its causes.
fn with_causes(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        // Many errors say their cause themselves.
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

/// What is logged.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) time: DateTime<Utc>,
    pub(crate) severity: Severity,
    pub(crate) service: String,
    /// The module's path, e.g. `bruin_bridge::tickets`.
    pub(crate) module: String,
    pub(crate) line: u32,
    pub(crate) message: String,
    pub(crate) fields: Fields,
    /// Trace id and span id.
    pub(crate) trace: Option<(String, String)>,
}

impl Record {
    pub(crate) fn new(event: &Event<'_>, around: Fields, service: &str) -> Self {
        let mut own = Fields::default();
        event.record(&mut own);
        let message = own.take_text("message").unwrap_or_default();
        let critical = own.take("critical") == Some(Value::Flag(true));
        let metadata = event.metadata();
        // Records of the `log` crate have their origin in fields.
        let origin = own.take_text("log.target");
        let line = own.take_text("log.line").and_then(|line| line.parse().ok());
        own.take("log.module_path");
        own.take("log.file");
        let mut fields = around;
        fields.extend(&own);
        let service = fields.take_text("service").unwrap_or_else(|| service.to_owned());
        Self {
            time: Utc::now(),
            severity: if critical { Severity::Critical } else { Severity::of(*metadata.level()) },
            service,
            module: origin.unwrap_or_else(|| metadata.target().to_owned()),
            line: line.or(metadata.line()).unwrap_or_default(),
            message,
            fields,
            trace: telemetry::current_trace(),
        }
    }
}
