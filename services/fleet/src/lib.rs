//! Any subset of the services in one process: the one-command default on one machine, and a fine deployment for a small
//! operator.
//!
//! - [`cli`] is the command line; [`catalogue`] knows the services; [`servers`] starts NATS and Redis where none is
//!   configured; [`supervisor`] runs the services and restarts what crashes; [`table`] shows them live.
//! - [`page`] shows the simulated world and the engine in a browser.
//! - [`up`] is `fleet up`; [`demo`] is `fleet demo`, the engine's story as a program that checks itself; [`why`] is
//!   `fleet why`, which finds the running fleet by its [`beacon`].

pub mod beacon;
pub mod catalogue;
pub mod cli;
pub mod demo;
pub mod page;
pub mod servers;
pub mod supervisor;
pub mod table;
mod telling;
pub mod up;
pub mod why;

use std::{
    io::{IsTerminal, Write},
    process::ExitCode,
};

use clap::Parser;
use runtime::{Environment, LogSettings, Reader, SpanLog, Spans};
use tokio_util::sync::CancellationToken;

use crate::cli::{Cli, Command};

/// Spans which `fleet up` keeps for its page: some minutes of a busy fleet, in about 10 MB.
const SPANS: usize = 20_000;

/// Runs the command line of this process.
pub fn main() -> ExitCode {
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
        Command::Demo(options) => {
            let level = if options.verbose { ("LOG_LEVEL", "INFO") } else { ("RUST_LOG", "off") };
            process(level, Spans::Nowhere, move |stop| demo::run(options, stop))
        }
        Command::Why(options) => process(("RUST_LOG", "off"), Spans::Nowhere, async move |_| {
            // What goes wrong is a sentence for a person, not a record of a log.
            let said = why::run(&options, &Environment::from_process(), &beacon::folder()).await;
            let said = said.inspect_err(|error| eprintln!("error: {error:#}"))?;
            // Whoever reads may have seen enough.
            let _ = std::io::stdout().write_all(said.as_bytes());
            Ok(())
        }),
        Command::List => {
            for service in catalogue::all() {
                println!("{:<30} {}", service.name(), service.about());
            }
            ExitCode::SUCCESS
        }
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
