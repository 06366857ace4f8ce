//! How a record looks: `json` for machines, `line` for the operator's present log collector, `pretty` for people.

use std::fmt::Write as _;
use std::sync::LazyLock;

use chrono::SecondsFormat;
use serde_json::{Map, Value as Json};

use super::record::{Fields, Record, Severity, Value};
use crate::settings::LogFormat;

/// Names in the JSON form that are no fields; a field of the same name gets an underscore behind it.
const RESERVED: [&str; 10] = [
    "time",
    "level",
    "service",
    "environment",
    "hostname",
    "module",
    "line",
    "message",
    "trace_id",
    "span_id",
];

/// Writes records in one format.
pub(crate) struct Style {
    format: LogFormat,
    environment: String,
    hostname: String,
    colours: bool,
}

impl Style {
    pub(crate) fn new(format: LogFormat, environment: String, colours: bool) -> Self {
        Self { format, environment, hostname: hostname(), colours }
    }

    #[cfg(test)]
    pub(crate) fn on(mut self, hostname: &str) -> Self {
        hostname.clone_into(&mut self.hostname);
        self
    }

    /// The record without a line end.
    pub(crate) fn write(&self, record: &Record) -> String {
        match self.format {
            LogFormat::Json => self.json(record),
            LogFormat::Line => line(record, &[&self.environment, &self.hostname]),
            LogFormat::Pretty => self.pretty(record),
        }
    }

    fn json(&self, record: &Record) -> String {
        let mut object = Map::new();
        let mut put = |name: &str, value: Json| object.insert(name.to_owned(), value);
        put("time", record.time.to_rfc3339_opts(SecondsFormat::Micros, true).into());
        put("level", record.severity.name().into());
        put("service", record.service.as_str().into());
        put("environment", self.environment.as_str().into());
        put("hostname", self.hostname.as_str().into());
        put("module", record.module.as_str().into());
        put("line", record.line.into());
        put("message", record.message.as_str().into());
        if let Some((trace, span)) = &record.trace {
            put("trace_id", trace.as_str().into());
            put("span_id", span.as_str().into());
        }
        for (name, value) in record.fields.iter() {
            let value = match value {
                Value::Text(text) => text.as_str().into(),
                Value::Signed(number) => (*number).into(),
                Value::Unsigned(number) => (*number).into(),
                Value::Float(number) => (*number).into(),
                Value::Flag(flag) => (*flag).into(),
            };
            if RESERVED.contains(name) {
                put(&format!("{name}_"), value);
            } else {
                put(name, value);
            }
        }
        Json::Object(object).to_string()
    }

    fn pretty(&self, record: &Record) -> String {
        let (colour, plain, dim) = match (self.colours, record.severity) {
            (false, _) => ("", "", ""),
            (true, Severity::Debug) => ("\x1b[34m", "\x1b[0m", "\x1b[2m"),
            (true, Severity::Info) => ("\x1b[32m", "\x1b[0m", "\x1b[2m"),
            (true, Severity::Warning) => ("\x1b[33m", "\x1b[0m", "\x1b[2m"),
            (true, Severity::Error | Severity::Critical) => ("\x1b[31m", "\x1b[0m", "\x1b[2m"),
        };
        let time = record.time.format("%H:%M:%S%.3f");
        let level = record.severity.name();
        let Record { service, module, message, .. } = record;
        let message = message.replace('\n', "\n    ");
        let mut text = format!("{dim}{time}{plain} {colour}{level:<8}{plain} {service} {message}");
        let _ = write!(text, "{dim}");
        pairs(&mut text, &record.fields);
        let _ = write!(text, " ({module}:{}){plain}", record.line);
        text
    }
}

/// The existing deployment's line: `<time>: <environment>: <hostname>: <module>::<line> <LEVEL>: <message>`, with
/// whatever stands between time and module in `parts` (spec `00-messaging`, "Logs").
///
/// Always one line: the collector reads each line as a record of its own, so line ends inside of a message are written
/// as `\n`.
pub(crate) fn line(record: &Record, parts: &[&str]) -> String {
    let mut text = record.time.format("%Y-%m-%d %H:%M:%S").to_string();
    for part in parts {
        let _ = write!(text, ": {}", one_line(part));
    }
    // Dots inside of the path: `::` stands before the line number.
    let module = record.module.replace("::", ".");
    let _ = write!(text, ": {}::{} {}: ", one_line(&module), record.line, record.severity.name());
    text.push_str(&one_line(&record.message));
    pairs(&mut text, &record.fields);
    text
}

/// ` name=value` for each field, on one line; a value with blanks in it is quoted.
fn pairs(text: &mut String, fields: &Fields) {
    for (name, value) in fields.iter() {
        let value = one_line(&value.to_string());
        if value.is_empty() || value.contains([' ', '"']) {
            let _ = write!(text, " {name}=\"{}\"", value.replace('"', "\\\""));
        } else {
            let _ = write!(text, " {name}={value}");
        }
    }
}

fn one_line(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.trim_end().chars() {
        match character {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            // What some collectors take for line ends, and terminals for commands.
            control if control.is_control() || matches!(control, '\u{2028}' | '\u{2029}') => out.push(' '),
            other => out.push(other),
        }
    }
    out
}

/// The machine's name; in a cluster the pod's.
pub(crate) fn hostname() -> String {
    static NAME: LazyLock<String> = LazyLock::new(|| {
        let of_kernel = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
        of_kernel
            .or_else(|| std::env::var("HOSTNAME").ok())
            .map(|name| name.trim().to_owned())
            .filter(|name| !name.is_empty())
            .unwrap_or_else(|| "unknown".to_owned())
    });
    NAME.clone()
}
