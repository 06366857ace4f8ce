//! The command line of `fleet`.

use clap::{Args, Parser, Subcommand};

/// Runs any subset of the Automation Engine's services in one process.
#[derive(Debug, Parser)]
#[command(name = "fleet", version, about)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run services: all of them and the sandbox, unless some are named.
    ///
    /// Settings of the environment (NATS_SERVER1, REDIS_HOSTNAME, BRUIN_BASE_URL, ...) win over the sandbox's. A NATS
    /// server and a Redis server are started where none is configured.
    Up(Up),
    /// Run the engine's story headless against the sandbox, and print its time line. Exits 0 only if every step
    /// happened.
    Demo(Demo),
    /// Say what was last decided about a device, from which facts, and what came of it; also why nothing was done.
    ///
    /// Reads the decisions' ledger of the `fleet up` that runs on this machine, or of the server that --nats or
    /// NATS_SERVER1 names.
    Why(Why),
    /// List the services with what they are.
    List,
}

/// Options of `fleet up`.
#[derive(Debug, Args)]
pub struct Up {
    /// The services to run, e.g. `bruin-bridge notifier`; none named: all.
    pub services: Vec<String>,
    /// Run no sandbox: every third party must be configured in the environment.
    #[arg(long)]
    pub no_sandbox: bool,
    /// Edges in the simulated network.
    #[arg(long, default_value_t = 200, value_name = "N")]
    pub edges: usize,
    /// Seed of the simulated network: the same seed makes the same network.
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub seed: u64,
    /// Port of the page on 127.0.0.1; 0 takes any free one.
    #[arg(long, default_value_t = 8080, value_name = "PORT")]
    pub port: u16,
    /// No live table: log lines only.
    #[arg(long)]
    pub plain: bool,
}

/// Options of `fleet demo`.
#[derive(Debug, Args)]
pub struct Demo {
    /// Seed of the simulated network.
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub seed: u64,
    /// Show the services' log lines (on standard error) beside the time line.
    #[arg(long)]
    pub verbose: bool,
}

/// Options of `fleet why`.
#[derive(Debug, Args)]
pub struct Why {
    /// The device's serial number.
    pub serial: String,
    /// The NATS server with the ledger, e.g. nats://nats.example.com:4222.
    #[arg(long, value_name = "URL")]
    pub nats: Option<String>,
    /// All that the ledger tells of the device, not only the last cycle.
    #[arg(long)]
    pub all: bool,
    /// The records as JSON, for machines.
    #[arg(long)]
    pub json: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn up_runs_all_with_the_sandbox_by_default() {
        let Command::Up(up) = Cli::parse_from(["fleet", "up"]).command else { panic!("up") };
        assert!(up.services.is_empty() && !up.no_sandbox);
        assert_eq!((up.edges, up.port), (200, 8080));
    }
}
