//! The process around one or several services: command line, logs, export of spans, signals, exit code.

use std::fmt::Write as _;
use std::future::Future;
use std::pin::pin;
use std::process::ExitCode;
use std::thread::available_parallelism;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Arg, ArgAction, Command};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::clock::Clock;
use crate::environment::{Environment, Setting};
use crate::host::{Host, Runnable};
use crate::logs::Logs;
use crate::settings::LogSettings;
use crate::spans::SpanLog;
use crate::telemetry::{self, Telemetry};

/// The fleet's version.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// More threads than this cost memory and bring nothing: the services wait, they do not compute.
const MOST_THREADS: usize = 4;

/// How long everything inside of the process may take to end after a signal. With what follows below 10 s.
const STOP_WITHIN: Duration = Duration::from_millis(8_700);

/// How long the last spans and records may take.
const FLUSH_WITHIN: Duration = Duration::from_millis(500);

/// When the configuration is wrong; the command line's errors have it, too.
const BAD_CONFIGURATION: u8 = 2;

/// Runs a service as a process: the whole of its `main.rs`.
///
/// Exit codes: 0 after a signal, `--help`, `--version` and a good `--check-config`; 1 when the service failed; 2 when the
/// configuration or the command line is wrong.
pub fn main(service: &Runnable) -> ExitCode {
    let matches = Command::new(service.name())
        .about(service.about())
        .version(VERSION)
        .arg(
            Arg::new("check-config")
                .long("check-config")
                .action(ArgAction::SetTrue)
                .help("Checks the environment variables and exits: 0 if the service could start, else 2"),
        )
        .after_help(settings_help(&service.settings()))
        .get_matches();
    run_alone(service, matches.get_flag("check-config"))
}

/// Runs a service as the whole of this process, as its own program does; or only checks whether it could start with the
/// process's environment. Says how to exit.
pub fn run_alone(service: &Runnable, check_only: bool) -> ExitCode {
    let environment = Environment::from_process();
    let settings = match service.process_settings(&environment) {
        Ok(settings) => settings,
        Err(errors) => {
            eprintln!("{} cannot start. {errors}", service.name());
            return ExitCode::from(BAD_CONFIGURATION);
        }
    };
    if check_only {
        println!("{}: the configuration is complete", service.name());
        return ExitCode::SUCCESS;
    }
    let service = service.clone();
    let spans = settings.otlp_endpoint.as_ref().map_or(Spans::Nowhere, Spans::To);
    run_process(&settings.logs, spans, async move |stop| {
        service.run(environment, Host::new(Clock::system(), stop)).await
    })
}

/// Where the spans of a process go.
#[derive(Debug, Clone)]
pub enum Spans<'a> {
    /// Nowhere; the trace context of others is handed on nevertheless.
    Nowhere,
    /// To an OpenTelemetry collector.
    To(&'a Url),
    /// Into memory.
    Kept(SpanLog),
}

/// Runs `body` as the whole of a process: sets up logs, export of spans, TLS and panics for all services in it, cancels
/// the token which `body` gets at the first SIGTERM or SIGINT, waits for its end (at most 10 s then; a second signal ends
/// at once), flushes, and says how to exit: 0, or 1 when `body` fails.
pub fn run_process<B, F>(logs: &LogSettings, spans: Spans<'_>, body: B) -> ExitCode
where
    B: FnOnce(CancellationToken) -> F,
    F: Future<Output = anyhow::Result<()>> + Send + 'static,
{
    install_crypto();
    let runtime = match threads() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("{}: cannot start the async runtime: {error}", logs.service);
            return ExitCode::FAILURE;
        }
    };
    let result = runtime.block_on(inside(logs, spans, body));
    // Blocking calls which do not end must not keep the process.
    runtime.shutdown_timeout(Duration::from_millis(100));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(()) => ExitCode::FAILURE,
    }
}

/// Makes ring the provider of cryptography for all TLS in this process. May be called repeatedly.
pub(crate) fn install_crypto() {
    // It fails when there is one already, which then is this one.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

fn threads() -> std::io::Result<tokio::runtime::Runtime> {
    let cores = available_parallelism().map_or(1, usize::from);
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(cores.clamp(1, MOST_THREADS))
        .thread_name("worker")
        .enable_all()
        .build()
}

/// `Err` was logged already.
async fn inside<B, F>(logs: &LogSettings, spans: Spans<'_>, body: B) -> Result<(), ()>
where
    B: FnOnce(CancellationToken) -> F,
    F: Future<Output = anyhow::Result<()>> + Send + 'static,
{
    let prepared = prepare(logs, spans);
    let (logs, telemetry) = prepared.map_err(|error| eprintln!("{}: {error:#}", logs.service))?;
    let result = until_signal(body).await;
    if let Err(error) = &result {
        tracing::error!(critical = true, "the process ends: {error:#}");
    }
    if let Some(telemetry) = telemetry {
        telemetry.finish(FLUSH_WITHIN).await;
    }
    logs.finish(FLUSH_WITHIN).await;
    result.map_err(|_| ())
}

fn prepare(logs: &LogSettings, spans: Spans<'_>) -> anyhow::Result<(Logs, Option<Telemetry>)> {
    telemetry::install_propagator();
    let telemetry = match spans {
        Spans::Nowhere => None,
        Spans::To(endpoint) => Some(Telemetry::start(endpoint, &logs.service, &logs.environment)?),
        Spans::Kept(log) => Some(Telemetry::keep(log)),
    };
    let logs = Logs::install(logs, telemetry.as_ref())?;
    log_panics();
    Ok((logs, telemetry))
}

/// Panics become records: as text on stderr they would pass the redactor by.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let message = panic.payload_as_str().unwrap_or("no message");
        tracing::error!(target: "panic", place, "panic: {message}");
    }));
}

async fn until_signal<B, F>(body: B) -> anyhow::Result<()>
where
    B: FnOnce(CancellationToken) -> F,
    F: Future<Output = anyhow::Result<()>> + Send + 'static,
{
    let mut signals = Signals::listen().context("cannot listen to signals")?;
    let stop = CancellationToken::new();
    let mut body = tokio::spawn(body(stop.clone()));
    tokio::select! {
        ended = &mut body => return ended.context("the process's main task panicked")?,
        name = signals.next() => tracing::info!(signal = name, "stopping"),
    }
    stop.cancel();
    let too_long = pin!(tokio::time::sleep(STOP_WITHIN));
    tokio::select! {
        ended = body => ended.context("the process's main task panicked")?,
        name = signals.next() => anyhow::bail!("ended at once by a second signal ({name})"),
        () = too_long => {
            tracing::warn!("not everything ended in time; it is cut off");
            Ok(())
        }
    }
}

/// SIGTERM and SIGINT.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        let terminate = signal(SignalKind::terminate())?;
        Ok(Self { terminate, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

fn settings_help(settings: &[Setting]) -> String {
    let mut text = "Environment variables:".to_owned();
    for Setting { name, expected, required, default } in settings {
        let _ = write!(text, "\n  {name}: {expected}");
        match (required, default) {
            (true, _) => text.push_str(" (required)"),
            (false, Some(default)) => {
                let _ = write!(text, " (default {default})");
            }
            (false, None) => {}
        }
    }
    text
}
