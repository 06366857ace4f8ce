//! Services as processes of their own: the programs that operators deploy.

use std::{
    path::{Path, PathBuf},
    process::{Command as StdCommand, Output, Stdio},
    sync::{Arc, OnceLock},
    time::{Duration, SystemTime},
};

use parking_lot::Mutex;
use runtime::Environment;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    sync::watch,
};

use crate::stage::{PATIENCE, http};

/// The fourteen programs.
pub(crate) const PROGRAMS: [&str; 14] = [
    "bruin-bridge",
    "velocloud-bridge",
    "digi-bridge",
    "notifier",
    "hawkeye-bridge",
    "t7-bridge",
    "dri-bridge",
    "cts-bridge",
    "lit-bridge",
    "email-tagger-kre-bridge",
    "repair-tickets-kre-bridge",
    "customer-cache",
    "hawkeye-customer-cache",
    "service-outage-monitor",
];

/// The folder of the programs, beside this test. `cargo test` and nextest build them with the tests of the whole
/// workspace; what is missing or older than its sources is built here, once.
fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        // target/<profile>/deps/acceptance-<hash>
        let test = std::env::current_exe().unwrap();
        let folder = test.ancestors().nth(2).unwrap().to_owned();
        if !PROGRAMS.iter().all(|program| is_fresh(&folder, program)) {
            build(&folder);
        }
        folder
    })
}

/// Whether a program is there and no older than the sources which cargo lists beside it.
fn is_fresh(folder: &Path, program: &str) -> bool {
    let changed = |path: &Path| path.metadata().and_then(|data| data.modified()).ok();
    let Some(built) = changed(&folder.join(program)) else { return false };
    let Ok(listed) = std::fs::read_to_string(folder.join(format!("{program}.d"))) else { return false };
    let Some((_, sources)) = listed.split_once(": ") else { return false };
    // A blank inside of a path is written as `\ `.
    let sources = sources.replace("\\ ", "\0");
    sources.split_whitespace().all(|source| {
        let source = PathBuf::from(source.replace('\0', " "));
        changed(&source).is_some_and(|changed: SystemTime| changed <= built)
    })
}

fn build(folder: &Path) {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = StdCommand::new(cargo);
    command.arg("build").current_dir(env!("CARGO_MANIFEST_DIR"));
    match folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") => {}
        Some(profile) => drop(command.args(["--profile", profile])),
        None => panic!("no profile in {}", folder.display()),
    }
    command.arg("--target-dir").arg(folder.parent().unwrap());
    // Together with the fleet, so that dependencies have the features they have in its own build.
    for package in PROGRAMS.iter().chain(&["fleet"]) {
        command.args(["--package", package]);
    }
    let done = command.output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

/// A program's command with these variables and no others.
fn command(program: &str, environment: &Environment) -> StdCommand {
    let mut command = StdCommand::new(folder().join(program));
    command.env_clear();
    for name in environment.names() {
        command.env(name, environment.get(name).unwrap_or_default());
    }
    command
}

/// Runs `--check-config`.
pub(crate) fn check_config(program: &str, environment: &Environment) -> Output {
    command(program, environment).arg("--check-config").output().unwrap()
}

/// A program that runs; killed when dropped.
pub(crate) struct Program {
    child: Child,
    records: Arc<Mutex<Vec<Value>>>,
    read: watch::Receiver<bool>,
}

impl Program {
    /// Starts it; returns at once.
    pub(crate) fn start(program: &str, environment: &Environment) -> Self {
        let mut command = Command::from(command(program, environment));
        command.stdout(Stdio::piped()).stderr(Stdio::inherit()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let records: Arc<Mutex<Vec<Value>>> = Arc::default();
        let (all, read) = watch::channel(false);
        let known = records.clone();
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                known.lock().push(serde_json::from_str(&line).unwrap_or(Value::String(line)));
                all.send_modify(|_| {});
            }
            all.send_replace(true);
        });
        Self { child, records, read }
    }

    /// Starts it and waits until it is ready.
    pub(crate) async fn ready(program: &str, environment: &Environment) -> Self {
        let running = Self::start(program, environment);
        running.until_ready().await;
        running
    }

    pub(crate) async fn until_ready(&self) {
        self.until_status("/_ready", 200).await;
    }

    /// Waits until a path answers with a status.
    pub(crate) async fn until_status(&self, path: &str, status: u16) {
        let answers = async {
            while self.get(path).await.0 != status {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let in_time = tokio::time::timeout(PATIENCE, answers).await.is_ok();
        assert!(in_time, "{path} did not answer {status}: {:#?}", self.records());
    }

    /// The records logged so far.
    pub(crate) fn records(&self) -> Vec<Value> {
        self.records.lock().clone()
    }

    /// Waits for a record whose message contains a text.
    pub(crate) async fn record(&self, message: &str) -> Value {
        let find = || {
            let records = self.records.lock();
            records.iter().find(|record| text(record, "message").contains(message)).cloned()
        };
        let mut read = self.read.clone();
        let waiting = async {
            loop {
                read.mark_unchanged();
                match find() {
                    Some(record) => return Some(record),
                    None if *read.borrow() => return None,
                    None => read.changed().await.ok()?,
                }
            }
        };
        let found = tokio::time::timeout(PATIENCE, waiting).await;
        found.ok().flatten().unwrap_or_else(|| panic!("no record {message:?} in {:#?}", self.records()))
    }

    /// Status and text of a path on the HTTP port.
    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        let answer = http().get(self.url("http_port", path).await).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// Status and length of the body of a HEAD request on the HTTP port.
    pub(crate) async fn head(&self, path: &str) -> (u16, usize) {
        let answer = http().head(self.url("http_port", path).await).send().await.unwrap();
        (answer.status().as_u16(), answer.bytes().await.unwrap().len())
    }

    /// What the metrics port says.
    pub(crate) async fn metrics(&self) -> String {
        let answer = http().get(self.url("metrics_port", "/metrics").await).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 200);
        answer.text().await.unwrap()
    }

    async fn url(&self, port: &str, path: &str) -> String {
        let port = self.record("listening").await[port].as_u64().unwrap();
        format!("http://127.0.0.1:{port}{path}")
    }

    /// Sends SIGTERM.
    pub(crate) fn terminate(&self) {
        let pid = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw).unwrap();
        kill_process(pid, Signal::TERM).unwrap();
    }

    /// Waits for its end, at most so long: exit code and all records.
    pub(crate) async fn end(mut self, within: Duration) -> (i32, Vec<Value>) {
        let ended = tokio::time::timeout(within, self.child.wait()).await;
        let status = ended.unwrap_or_else(|_| panic!("it runs on: {:#?}", self.records())).unwrap();
        let _ = self.read.wait_for(|all| *all).await;
        (status.code().unwrap_or(-1), self.records())
    }
}

/// A field of a record as text.
pub(crate) fn text<'r>(record: &'r Value, field: &str) -> &'r str {
    record[field].as_str().unwrap_or_default()
}

/// The records of errors.
pub(crate) fn errors(records: &[Value]) -> Vec<&Value> {
    let severe = |record: &&Value| matches!(text(record, "level"), "ERROR" | "CRITICAL");
    records.iter().filter(severe).collect()
}
