//! Any subset of the services in one process: the one-command default on one machine, and a fine deployment for a small
//! operator.
//!
//! - [`cli`] is the command line; [`catalogue`] knows the services; [`servers`] starts NATS and Redis where none is
//!   configured; [`supervisor`] runs the services and restarts what crashes; [`table`] shows them live.
//! - [`up`] is `fleet up`; [`demo`] is `fleet demo`, the engine's story as a program that checks itself.

pub mod catalogue;
pub mod cli;
pub mod demo;
pub mod servers;
pub mod supervisor;
pub mod table;
pub mod up;

use std::{io::IsTerminal, process::ExitCode};

use clap::Parser;
use runtime::{Environment, LogSettings, Reader};
use tokio_util::sync::CancellationToken;

use crate::cli::{Cli, Command};

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let command = Cli::parse().command;
    match command {
        Command::Up(options) => {
            let live = !options.plain && std::io::stdout().is_terminal();
            // A table and log lines on one screen would overwrite each other.
            process(if live { "error" } else { "info" }, move |stop| up::run(options, live, stop))
        }
        Command::Demo(options) => {
            let level = if options.verbose { "info" } else { "off" };
            process(level, move |stop| demo::run(options, stop))
        }
        Command::List => {
            for service in catalogue::all() {
                println!("{:<24} {}", service.name(), service.about());
            }
            ExitCode::SUCCESS
        }
    }
}

/// Runs `body` as this process. It logs for people, unless the environment says otherwise.
fn process<B, F>(level: &str, body: B) -> ExitCode
where
    B: FnOnce(CancellationToken) -> F,
    F: Future<Output = anyhow::Result<()>> + Send + 'static,
{
    let defaults = Environment::from([("LOG_FORMAT", "pretty"), ("RUST_LOG", level)]);
    let environment = defaults.merged(&Environment::from_process());
    let mut reader = Reader::new(&environment);
    let logs = LogSettings::read(&mut reader, "fleet", "fleet");
    match reader.finish(logs) {
        Ok(logs) => runtime::run_process(&logs, None, body),
        Err(errors) => {
            eprintln!("error: {errors}");
            ExitCode::from(2)
        }
    }
}
