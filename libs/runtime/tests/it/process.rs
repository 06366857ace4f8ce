//! A service as a process of its own: `examples/greeter.rs`.

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use serde_json::Value;

const SECRET: &str = "open-sesame-4711";

/// The example, which cargo builds with the tests, with nothing of this process's environment.
fn greeter() -> Command {
    let test = std::env::current_exe().unwrap();
    let target: PathBuf = test.ancestors().nth(2).unwrap().into();
    let example = target.join("examples").join("greeter");
    assert!(example.exists(), "{} is not built: run the tests of the whole package", example.display());
    let mut command = Command::new(example);
    command.env_clear();
    command
}

fn configured() -> Command {
    let mut command = greeter();
    command.envs([("GREETING", "hello"), ("KEY", SECRET), ("HTTP_PORT", "0"), ("METRICS_PORT", "0")]);
    command.env("ENVIRONMENT_NAME", "automation-example");
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A greeter that runs; killed when dropped.
struct Running {
    child: Child,
    out: BufReader<ChildStdout>,
    ports: (u64, u64),
}

impl Running {
    fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let mut running = Self { child, out, ports: (0, 0) };
        let listening = running.record("listening");
        running.ports =
            (listening["http_port"].as_u64().unwrap(), listening["metrics_port"].as_u64().unwrap());
        running.record("started");
        running
    }

    /// The next record with this message.
    fn record(&mut self, message: &str) -> Value {
        loop {
            let line = self.line();
            let record: Value = serde_json::from_str(&line).unwrap();
            if record["message"] == message {
                return record;
            }
        }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        assert_ne!(self.out.read_line(&mut line).unwrap(), 0, "the process ended");
        line
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.ports.0)
    }

    fn signal(&self, name: &str) {
        let done = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(done.unwrap().success());
    }

    /// Exit code and the rest of the records.
    fn end(mut self) -> (i32, Vec<Value>) {
        let lines: Vec<String> = self.out.by_ref().lines().map(Result::unwrap).collect();
        let status = self.child.wait().unwrap();
        (status.code().unwrap(), lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn http() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().unwrap()
}

#[test]
fn check_config_names_everything_that_is_wrong_once_and_no_secret() {
    let Output { status, stdout, stderr } = greeter()
        .args(["--check-config"])
        .envs([("KEY", SECRET), ("HTTP_PORT", "http"), ("BROKEN", "maybe"), ("LOG_FORMAT", SECRET)])
        .output()
        .unwrap();

    assert_eq!(status.code(), Some(2));
    assert_eq!(text(&stdout), "");
    insta::assert_snapshot!(text(&stderr), @r#"
    greeter cannot start. 4 environment variables are missing or wrong:
      GREETING is missing: expected a word to greet with, e.g. hello
      BROKEN is "maybe": expected true or false
      HTTP_PORT is "http": expected a port number, 0 for any free port (invalid digit found in string)
      LOG_FORMAT is "[redacted]": expected json, line or pretty (one of: json line pretty)
    "#);
}

#[test]
fn check_config_accepts_a_complete_configuration() {
    let output = configured().arg("--check-config").output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(text(&output.stdout), "greeter: the configuration is complete\n");
}

#[test]
fn a_wrong_configuration_stops_the_start_with_the_same_message() {
    let output = greeter().output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("GREETING is missing: expected a word to greet with, e.g. hello"));
}

#[test]
fn help_lists_the_settings_and_version_the_version() {
    let help = text(&greeter().arg("--help").output().unwrap().stdout);
    for expected in [
        "Greets whoever asks",
        "--check-config",
        "GREETING: a word to greet with, e.g. hello (required)",
        "HTTP_PORT: a port number, 0 for any free port (default 5000)",
        "LOG_FORMAT: json, line or pretty (default json)",
    ] {
        assert!(help.contains(expected), "{expected} in {help}");
    }
    let version = text(&greeter().arg("--version").output().unwrap().stdout);
    assert_eq!(version, format!("greeter {}\n", env!("CARGO_PKG_VERSION")));
    assert_eq!(greeter().arg("--unknown").output().unwrap().status.code(), Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn it_serves_until_a_signal_and_exits_with_0() {
    for signal in ["TERM", "INT"] {
        let mut running = Running::start(configured());
        let greeting = http().get(running.url("/greet")).send().await.unwrap();
        assert_eq!(greeting.text().await.unwrap(), "hello");
        let record = running.record("hello with [redacted]");
        assert_eq!((&record["service"], &record["visitor"]), (&"greeter".into(), &"[redacted]".into()));
        assert_eq!(record["environment"], "automation-example");

        running.signal(signal);
        let (code, records) = running.end();
        assert_eq!(code, 0);
        let messages: Vec<_> = records.iter().map(|record| record["message"].as_str().unwrap()).collect();
        assert_eq!(messages, ["stopping", "stopped"]);
    }
}

#[test]
fn a_failure_at_the_start_ends_the_process_with_1_and_its_causes() {
    let output = configured().env("BROKEN", "true").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let stdout = text(&output.stdout);
    let last: Value = serde_json::from_str(stdout.lines().last().unwrap()).unwrap();
    assert_eq!(last["level"], "CRITICAL");
    assert_eq!(last["message"], "the process ends: cannot find anybody to greet: nobody is there");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_failure_ends_the_process_with_1() {
    let running = Running::start(configured());
    http().post(running.url("/fail")).send().await.unwrap();
    let (code, records) = running.end();
    assert_eq!(code, 1);
    assert_eq!(records.last().unwrap()["message"], "the process ends: told to fail");
}

#[test]
fn a_taken_port_is_a_clear_failure() {
    let taken = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = configured().env("METRICS_PORT", &port).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).contains(&format!("cannot listen on port {port} (METRICS_PORT)")));
}

#[test]
fn the_line_format_reaches_stdout() {
    let mut command = configured();
    command.env("LOG_FORMAT", "line").env("BROKEN", "true");
    let stdout = text(&command.output().unwrap().stdout);
    for line in stdout.lines() {
        assert!(line.contains(": automation-example: "), "{line}");
    }
    assert!(stdout.contains(" CRITICAL: the process ends: "), "{stdout}");
}

/// What a collector was sent.
async fn collector() -> (String, tokio::sync::mpsc::UnboundedReceiver<(String, Vec<u8>)>) {
    let (sent, received) = tokio::sync::mpsc::unbounded_channel();
    let router = axum::Router::new().fallback(async move |request: axum::extract::Request| {
        let path = request.uri().path().to_owned();
        let body = axum::body::to_bytes(request.into_body(), usize::MAX).await.unwrap();
        sent.send((path, body.to_vec())).unwrap();
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, received)
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_are_exported_at_the_latest_at_the_stop() {
    let (url, mut received) = collector().await;
    let mut command = configured();
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", &url);
    let mut running = Running::start(command);
    http().get(running.url("/greet")).send().await.unwrap();
    let record = running.record("hello with [redacted]");
    assert_eq!(record["trace_id"].as_str().unwrap().len(), 32, "{record}");

    running.signal("TERM");
    assert_eq!(running.end().0, 0);
    let mut spans = Vec::new();
    while let Ok((path, body)) = received.try_recv() {
        assert_eq!(path, "/v1/traces");
        spans.extend(body);
    }
    let spans = String::from_utf8_lossy(&spans);
    for expected in ["service.name", "greeter", "automation-example", "greet", "look around"] {
        assert!(spans.contains(expected), "{expected} in {spans}");
    }
}

#[test]
fn a_collector_that_is_away_neither_stops_the_service_nor_its_end() {
    let mut command = configured();
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1");
    let running = Running::start(command);
    running.signal("TERM");
    assert_eq!(running.end().0, 0);
}
