//! Records as they leave the process.

use std::io::{self, Write};
use std::net::UdpSocket;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use parking_lot::Mutex;
use proptest::prelude::*;
use regex::Regex;
use serde_json::Value as Json;
use tracing::{debug, error, info, info_span, warn};

use super::format::Style;
use super::papertrail::Papertrail;
use super::record::Severity;
use super::*;
use crate::settings::{LogFormat, LogSettings, PapertrailSettings};

/// The production collector's expression (spec `00-messaging`, "Logs").
static COLLECTOR: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"^(?<time_stamp>\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}): (?<environment>.*?): (?<hostname>.*?): (?<module>.*?)::(?<line>\d+) (?<log_level>[A-Z]+): (?<message>.*)$",
    )
    .unwrap()
});

#[derive(Clone, Default)]
struct Out(Arc<Mutex<Vec<u8>>>);

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn settings(format: LogFormat) -> LogSettings {
    LogSettings {
        format,
        level: Level::INFO,
        filter: None,
        environment: "automation-example".to_owned(),
        service: "fleet".to_owned(),
        papertrail: None,
    }
}

fn style(format: LogFormat, colours: bool) -> Style {
    Style::new(format, "automation-example".to_owned(), colours).on("bruin-bridge-7c9d")
}

/// What `body` logs, line by line.
fn logged_with(settings: &LogSettings, papertrail: Option<Papertrail>, body: impl FnOnce()) -> Vec<String> {
    let out = Out::default();
    let layer = LogLayer::new(
        style(settings.format, false),
        settings.service.clone(),
        Box::new(out.clone()),
        papertrail,
    );
    let subscriber = tracing_subscriber::registry().with(layer.with_filter(filter(settings).unwrap()));
    tracing::subscriber::with_default(subscriber, body);
    let bytes = out.0.lock().clone();
    String::from_utf8(bytes).unwrap().lines().map(str::to_owned).collect()
}

fn logged(format: LogFormat, body: impl FnOnce()) -> Vec<String> {
    logged_with(&settings(format), None, body)
}

fn json(body: impl FnOnce()) -> Vec<Json> {
    logged(LogFormat::Json, body).iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A record which is always the same.
fn record(severity: Severity, message: &str) -> Record {
    let mut fields = Fields::default();
    let values = [("ticket_id", "4504352"), ("text", "two words"), ("line", "field")];
    for (name, value) in values {
        fields.put(name, value);
    }
    Record {
        time: "2021-03-01T10:18:16.123456Z".parse().unwrap(),
        severity,
        service: "bruin-bridge".to_owned(),
        module: "bruin_bridge::app".to_owned(),
        line: 41,
        message: message.to_owned(),
        fields,
        trace: Some(("4bf92f3577b34da6a3ce929d0e0e4736".to_owned(), "00f067aa0ba902b7".to_owned())),
    }
}

#[test]
fn the_json_format() {
    let text = style(LogFormat::Json, false).write(&record(Severity::Info, "Bruin bridge starting...\nnow"));
    insta::assert_snapshot!(text, @r#"{"time":"2021-03-01T10:18:16.123456Z","level":"INFO","service":"bruin-bridge","environment":"automation-example","hostname":"bruin-bridge-7c9d","module":"bruin_bridge::app","line":41,"message":"Bruin bridge starting...\nnow","trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","span_id":"00f067aa0ba902b7","ticket_id":"4504352","text":"two words","line_":"field"}"#);
}

#[test]
fn the_line_format_of_the_existing_deployment() {
    let style = style(LogFormat::Line, false);
    let text = style.write(&record(Severity::Warning, "Bruin bridge starting...\r\n  now\n"));
    insta::assert_snapshot!(text, @r#"2021-03-01 10:18:16: automation-example: bruin-bridge-7c9d: bruin_bridge.app::41 WARNING: Bruin bridge starting...\r\n  now ticket_id=4504352 text="two words" line=field"#);

    let found = COLLECTOR.captures(&text).unwrap();
    assert_eq!(&found["environment"], "automation-example");
    assert_eq!(&found["hostname"], "bruin-bridge-7c9d");
    assert_eq!((&found["module"], &found["line"]), ("bruin_bridge.app", "41"));
    assert_eq!(&found["log_level"], "WARNING");
}

#[test]
fn the_format_for_people() {
    let text = style(LogFormat::Pretty, false).write(&record(Severity::Error, "failed\nbadly"));
    insta::assert_snapshot!(text, @r#"
    10:18:16.123 ERROR    bruin-bridge failed
        badly ticket_id=4504352 text="two words" line=field (bruin_bridge::app:41)
    "#);
    let colours = style(LogFormat::Pretty, true);
    for severity in [Severity::Debug, Severity::Info, Severity::Warning, Severity::Critical] {
        assert!(colours.write(&record(severity, "x")).contains("\x1b["));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_the_message_the_collector_reads_one_line(message in any::<String>()) {
        let text = style(LogFormat::Line, false).write(&record(Severity::Error, &message));
        prop_assert_eq!(text.lines().count(), 1);
        let found = COLLECTOR.captures(&text).unwrap();
        prop_assert_eq!(&found["module"], "bruin_bridge.app");
        prop_assert_eq!(&found["log_level"], "ERROR");
    }
}

#[test]
fn events_carry_their_fields_and_those_of_the_spans_around() {
    let lines = json(|| {
        let span = info_span!(
            "request",
            service = "bruin-bridge",
            subject = "bruin.x",
            request_id = tracing::field::Empty
        );
        span.record("request_id", "r9");
        let _entered = span.enter();
        let cause = io::Error::other("broken");
        info!(
            status = 200_u16,
            took = 0.5,
            retried = false,
            left = -1,
            error = &cause as &dyn std::error::Error,
            "answered {}",
            7
        );
    });
    let [line] = lines.as_slice() else { panic!("{lines:?}") };
    assert_eq!(line["message"], "answered 7");
    assert_eq!(line["level"], "INFO");
    assert_eq!(line["service"], "bruin-bridge");
    assert_eq!(line["module"], "runtime::logs::tests");
    assert!(line["line"].as_u64().unwrap() > 0);
    assert_eq!((&line["subject"], &line["request_id"]), (&"bruin.x".into(), &"r9".into()));
    assert_eq!(
        (&line["status"], &line["took"], &line["retried"], &line["left"]),
        (&200.into(), &0.5.into(), &false.into(), &(-1).into())
    );
    assert_eq!(line["error"], "broken");
}

#[test]
fn services_of_one_process_are_told_apart_by_their_spans() {
    let lines = json(|| {
        info_span!("service", service = "notifier").in_scope(|| info!("one"));
        info_span!("service", service = "bruin-bridge").in_scope(|| info!("two"));
        info!("three");
    });
    let services: Vec<_> = lines.iter().map(|line| line["service"].as_str().unwrap()).collect();
    assert_eq!(services, ["notifier", "bruin-bridge", "fleet"]);
}

#[test]
fn every_part_of_a_record_is_redacted() {
    crate::redact::hide("correct-horse-battery");
    for format in [LogFormat::Json, LogFormat::Line, LogFormat::Pretty] {
        let text = logged(format, || {
            let span = info_span!("call", url = "https://user:hunter2@host/", password = "hunter3");
            let _entered = span.enter();
            let failure = io::Error::other("login of jane@example.com refused");
            error!(token = 4711, error = %failure, debug = ?Some("Bearer abc123def"), "said correct-horse-battery");
        })
        .join("\n");
        for secret in ["hunter2", "hunter3", "jane", "4711", "abc123def", "correct-horse"] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
        assert!(text.contains("said [redacted]"), "{text}");
    }
}

#[test]
fn a_fatal_error_is_critical() {
    let lines = json(|| error!(critical = true, "the process ends"));
    assert_eq!(lines[0]["level"], "CRITICAL");
    assert_eq!(lines[0].get("critical"), None);
}

#[test]
fn levels_filter_events_but_never_the_spans_that_name_the_service() {
    let mut settings = settings(LogFormat::Json);
    settings.level = Level::ERROR;
    let lines = logged_with(&settings, None, || {
        let _entered = info_span!("service", service = "notifier").entered();
        warn!("not this");
        error!("this");
    });
    assert_eq!(lines.len(), 1);
    assert!(lines[0].contains(r#""service":"notifier""#), "{lines:?}");
}

#[test]
fn libraries_are_quieter_than_our_own_code() {
    let lines = json(|| {
        debug!("not this");
        info!(target: "hyper::client", "nor this");
        warn!(target: "hyper::client", "this");
        info!("and this");
    });
    assert_eq!(lines.len(), 2);
}

#[test]
fn rust_log_overrides_the_level() {
    let mut settings = settings(LogFormat::Json);
    settings.filter = Some("hyper=debug,error".to_owned());
    let lines = logged_with(&settings, None, || {
        debug!(target: "hyper::client", "this");
        warn!("not this");
    });
    assert_eq!(lines.len(), 1);
}

#[test]
fn overlong_texts_are_cut() {
    let lines = json(|| info!("{}", "x".repeat(100_000)));
    assert!(lines[0]["message"].as_str().unwrap().len() < 10_000);
}

#[test]
fn papertrail_gets_the_record_as_a_syslog_datagram() {
    let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
    receiver.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let papertrail = |prefix: Option<&str>| {
        let settings = PapertrailSettings {
            host: "127.0.0.1".to_owned(),
            port: receiver.local_addr().unwrap().port(),
            prefix: prefix.map(str::to_owned),
        };
        Papertrail::start(settings, "automation-example".to_owned(), "bruin-bridge-7c9d".to_owned()).unwrap()
    };
    let received = || {
        let mut bytes = vec![0; 65_536];
        let length = receiver.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..length].to_vec()).unwrap()
    };

    let table = [
        (Severity::Debug, 15),
        (Severity::Info, 14),
        (Severity::Warning, 12),
        (Severity::Error, 11),
        (Severity::Critical, 10),
    ];
    let with_prefix = papertrail(Some("bruin-bridge-1.2.3"));
    for (severity, priority) in table {
        with_prefix.send(&record(severity, "Bruin bridge starting..."));
        let expected = format!(
            "<{priority}>2021-03-01 10:18:16: automation-example: bruin-bridge-7c9d: bruin-bridge-1.2.3: bruin_bridge.app::41 {}: Bruin bridge starting... ticket_id=4504352 text=\"two words\" line=field\0",
            severity.name()
        );
        assert_eq!(received(), expected);
    }

    // Through the subscriber, and with the prefix of the record's service.
    let lines = logged_with(&settings(LogFormat::Json), Some(papertrail(None)), || {
        info_span!("service", service = "notifier").in_scope(|| info!("é{}", "x".repeat(9_000)));
    });
    let text = received();
    assert_eq!(lines.len(), 1);
    assert!(text.contains(": automation-example-notifier: runtime.logs.tests::"), "{text}");
    assert!(text.ends_with('\0') && text.len() < 8_200, "{}", text.len());
    with_prefix.flush(Duration::from_secs(10));
}

#[test]
fn an_unknown_papertrail_host_disturbs_nobody() {
    let settings = PapertrailSettings { host: "no-such-host.invalid".to_owned(), port: 1, prefix: None };
    let papertrail = Papertrail::start(settings, String::new(), String::new()).unwrap();
    for _ in 0..5_000 {
        papertrail.send(&record(Severity::Info, "lost"));
    }
    papertrail.flush(Duration::from_millis(1));
}
