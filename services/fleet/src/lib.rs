//! Any subset of the services in one process: the one-command default on one machine, and a fine deployment for a small
//! operator.
//!
//! - [`cli`] is the command line; [`catalogue`] knows the services; [`servers`] starts NATS and Redis where none is
//!   configured; [`supervisor`] runs the services and restarts what crashes; [`table`] shows them live.
//! - [`page`] shows the simulated world and the engine in a browser.
//! - [`up`] is `fleet up`; [`demo`] is `fleet demo`, the engine's story as a program that checks itself; [`why`] is
//!   `fleet why`, which finds the running fleet ([`place`]) by its [`beacon`].
//! - [`request`] asks a subject as any service would; [`services`] says who answers; [`asyncapi`] describes all subjects.
//! - [`replay`] makes recorded decisions again: `fleet record`, `fleet replay`, `fleet whatif`.

pub mod asyncapi;
pub mod beacon;
pub mod catalogue;
pub mod cli;
pub mod demo;
mod differences;
mod nearest;
pub mod page;
pub mod place;
pub mod replay;
pub mod request;
pub mod servers;
pub mod services;
pub mod supervisor;
pub mod table;
mod telling;
pub mod up;
pub mod why;

use std::{
    io::{IsTerminal, Write},
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
};

use anyhow::Context;
use clap::{CommandFactory, Parser};
use runtime::{Environment, LogSettings, Reader, SpanLog, Spans};
use tokio_util::sync::CancellationToken;

use crate::{
    cli::{Cli, Command},
    replay::Surroundings,
};

/// The variable by which a shell asks how a command line goes on.
const COMPLETE: &str = "FLEET_COMPLETE";

/// Spans which `fleet up` keeps for its page: some minutes of a busy fleet, in about 10 MB.
const SPANS: usize = 20_000;

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    // Asked by a shell how a command line goes on, it answers and ends.
    clap_complete::CompleteEnv::with_factory(Cli::command).var(COMPLETE).complete();
    let command = Cli::parse().command;
    match command {
        Command::Up(options) => {
            let live = !options.plain && std::io::stdout().is_terminal();
            // A table and log lines on one screen would overwrite each other.
            let level = ("LOG_LEVEL", if live { "ERROR" } else { "INFO" });
            let spans = SpanLog::new(SPANS);
            let kept = spans.clone();
            process(level, Spans::Kept(kept), move |stop| up::run(options, live, spans, stop))
        }
        Command::Run(options) => match catalogue::chosen(std::slice::from_ref(&options.service)) {
            Ok(services) => services
                .first()
                .map_or(ExitCode::FAILURE, |service| runtime::run_alone(service, options.check_config)),
            Err(error) => {
                eprintln!("error: {error}");
                ExitCode::from(2)
            }
        },
        Command::Demo(options) => {
            let level = if options.verbose { ("LOG_LEVEL", "INFO") } else { ("RUST_LOG", "off") };
            process(level, Spans::Nowhere, move |stop| demo::run(options, stop))
        }
        Command::Why(options) => tool(1, async move {
            Ok(Said::ok(why::run(&options, &Environment::from_process(), &beacon::folder()).await?))
        }),
        Command::Replay(options) => {
            tool(2, async move { replay::replay(&options, &Surroundings::here()).await })
        }
        Command::Whatif(options) => {
            tool(2, async move { replay::what_if(&options, &Surroundings::here()).await })
        }
        Command::Record(options) => {
            tool(2, async move { replay::record(&options, &Surroundings::here()).await })
        }
        Command::Request(options) => tool(2, async move {
            request::run(&options, &Surroundings::here(), &|text| eprintln!("{text}")).await
        }),
        Command::Services(options) => {
            tool(2, async move { services::run(&options, &Surroundings::here()).await })
        }
        Command::Asyncapi(options) => tool(2, async move { asyncapi::run(&options) }),
        Command::Completions(options) => tool(2, async move { completions(&options.shell) }),
        Command::List => {
            for service in catalogue::all() {
                println!("{:<30} {}", service.name(), service.about());
            }
            ExitCode::SUCCESS
        }
    }
}

/// The exit code of a command that Ctrl-C has ended, as of every program.
const INTERRUPTED: u8 = 130;

/// What a command has to say, and its exit code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// For the standard output.
    pub text: String,
    /// 0 when all is well.
    pub code: u8,
}

impl Said {
    /// All is well.
    pub fn ok(text: impl Into<String>) -> Self {
        Self { text: text.into(), code: 0 }
    }
}

/// What makes a shell ask this program how a command line goes on.
fn completions(shell: &str) -> anyhow::Result<Said> {
    let shells = clap_complete::env::Shells::builtins();
    let completer = shells.completer(shell).context("there is nothing for this shell")?;
    let program = std::env::current_exe().unwrap_or_else(|_| "fleet".into());
    let mut script = Vec::new();
    completer.write_registration(COMPLETE, "fleet", "fleet", &program.to_string_lossy(), &mut script)?;
    Ok(Said::ok(String::from_utf8(script)?))
}

/// Runs a command that says something and ends; with the exit code `trouble` when it cannot.
fn tool<F>(trouble: u8, body: F) -> ExitCode
where
    F: Future<Output = anyhow::Result<Said>> + Send + 'static,
{
    let code = Arc::new(AtomicU8::new(trouble));
    let told = code.clone();
    let ran = process(("RUST_LOG", "off"), Spans::Nowhere, async move |stop| {
        let Some(said) = stop.run_until_cancelled(body).await else {
            eprintln!("error: interrupted; what was asked for may have been done");
            told.store(INTERRUPTED, Ordering::Relaxed);
            return Ok(());
        };
        // What goes wrong is a sentence for a person, not a record of a log.
        let said = said.inspect_err(|error| eprintln!("error: {error:#}"));
        told.store(said.as_ref().map_or(trouble, |said| said.code), Ordering::Relaxed);
        if let Ok(said) = said {
            // Whoever reads may have seen enough.
            let _ = std::io::stdout().write_all(said.text.as_bytes());
        }
        Ok(())
    });
    match code.load(Ordering::Relaxed) {
        0 => ran,
        code => ExitCode::from(code),
    }
}

/// Runs `body` as this process. It logs for people, unless the environment says otherwise.
fn process<B, F>(level: (&str, &str), spans: Spans<'_>, body: B) -> ExitCode
where
    B: FnOnce(CancellationToken) -> F,
    F: Future<Output = anyhow::Result<()>> + Send + 'static,
{
    let defaults = Environment::from([("LOG_FORMAT", "pretty"), level]);
    let environment = defaults.merged(&Environment::from_process());
    let mut reader = Reader::new(&environment);
    let logs = LogSettings::read(&mut reader, "fleet", "fleet");
    match reader.finish(logs) {
        Ok(logs) => runtime::run_process(&logs, spans, body),
        Err(errors) => {
            eprintln!("error: {errors}");
            ExitCode::from(2)
        }
    }
}
