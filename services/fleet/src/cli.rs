//! The command line of `fleet`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};
use contracts::catalogue;

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
    /// Settings of the environment win over the sandbox's, except for those that say where third parties are and how to
    /// log in there (BRUIN_BASE_URL, SLACK_WEBHOOK, ...): the sandbox is in their place, unless --live is given. A NATS
    /// server and a Redis server are started where none is configured.
    Up(Up),
    /// Run one service as the whole of this process, as its own program does: settings come from the environment only.
    Run(Run),
    /// Run the engine's story headless against the sandbox, and print its time line. Exits 0 only if every step
    /// happened.
    Demo(Demo),
    /// Say what was last decided about a device, from which facts, and what came of it; also why nothing was done.
    ///
    /// Reads the decisions' ledger of the `fleet up` that runs on this machine, or of the server that --nats or
    /// NATS_SERVER1 names.
    Why(Why),
    /// Make the recorded decisions again by today's rules, and say which are different and by which facts.
    ///
    /// Reads a recording, or the ledger itself. Exits 0 when all are the same, 1 when some are different, 2 when
    /// something went wrong.
    Replay(Replay),
    /// Make the recorded decisions again with other settings, and say what would have been different: tickets, notes,
    /// forwards.
    ///
    /// Example: fleet whatif --set MONITORING__MAX_AUTORESOLVES_PER_TICKET=1. Exits 0, or 2 when something went wrong.
    Whatif(Whatif),
    /// Write the ledger to a file (JSON lines), for `fleet replay` and `fleet whatif`.
    Record(Record),
    /// Send a request as any service would, and print the reply.
    ///
    /// The reply's body goes to the standard output, its status and time to the standard error. Exits 0 for a status 2xx,
    /// 4 for 4xx, 5 for 5xx, 3 for any other, 1 when there is no reply, 2 when nothing was sent, 130 when it was
    /// interrupted (it may have been carried out).
    Request(Request),
    /// List the services that run, with the figures of their subjects (`$SRV.STATS`).
    Services(Services),
    /// Write the AsyncAPI document of all subjects.
    Asyncapi(Asyncapi),
    /// Print what completes this program's command line in a shell: source <(fleet completions bash).
    Completions(Completions),
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
    /// Ask the third parties that the environment configures, where it does, in place of the simulated ones, and change
    /// nothing at any: WRITE_MODE is dry-run.
    #[arg(long, conflicts_with = "no_sandbox")]
    pub live: bool,
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

/// Options of `fleet run`.
#[derive(Debug, Args)]
pub struct Run {
    /// The service, e.g. `service-outage-monitor`.
    pub service: String,
    /// Check the environment variables and exit: 0 if the service could start, else 2.
    #[arg(long)]
    pub check_config: bool,
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

/// Which decisions.
#[derive(Debug, Clone, Args)]
pub struct Decisions {
    /// The NATS server with the ledger, e.g. nats://nats.example.com:4222.
    #[arg(long, value_name = "URL")]
    pub nats: Option<String>,
    /// Only those about this device.
    #[arg(long, value_name = "SERIAL")]
    pub device: Option<String>,
    /// Of the ledger only the last hours.
    #[arg(long, value_name = "N")]
    pub hours: Option<u32>,
}

/// Options of `fleet record`.
#[derive(Debug, Args)]
pub struct Record {
    /// The file to write; `-` is the standard output.
    pub file: PathBuf,
    /// Which decisions.
    #[command(flatten)]
    pub decisions: Decisions,
}

/// Options of `fleet replay`.
#[derive(Debug, Args)]
pub struct Replay {
    /// A recording made by `fleet record`; `-` is the standard input; none: the ledger.
    pub recording: Option<PathBuf>,
    /// Which decisions.
    #[command(flatten)]
    pub decisions: Decisions,
    /// Tell every difference, not only the first 50.
    #[arg(long)]
    pub all: bool,
    /// The report as JSON, for machines.
    #[arg(long)]
    pub json: bool,
}

/// Options of `fleet whatif`.
#[derive(Debug, Args)]
pub struct Whatif {
    /// A setting of the monitor by the name of its environment variable; may be repeated.
    #[arg(long, value_name = "NAME=VALUE", required = true)]
    pub set: Vec<String>,
    /// What `fleet replay` takes too.
    #[command(flatten)]
    pub replay: Replay,
}

/// Options of `fleet request`.
#[derive(Debug, Args)]
pub struct Request {
    /// The subject, e.g. bruin.ticket.details.request.
    #[arg(add = ArgValueCandidates::new(subjects))]
    pub subject: String,
    /// The parameters as JSON, e.g. '{"ticket_id": 123}'; `-` reads them from the standard input; none: `{}`.
    pub parameters: Option<String>,
    /// Read the parameters from a file.
    #[arg(long, value_name = "FILE", conflicts_with = "parameters")]
    pub body_file: Option<PathBuf>,
    /// How many seconds to wait; by default as long as the subject's contract says.
    #[arg(long, value_name = "SECONDS")]
    pub timeout: Option<f64>,
    /// The NATS server, e.g. nats://nats.example.com:4222.
    #[arg(long, value_name = "URL")]
    pub nats: Option<String>,
    /// Print the whole reply as it came, with its status.
    #[arg(long)]
    pub raw: bool,
}

/// The subjects of the catalogue, for completion.
fn subjects() -> Vec<CompletionCandidate> {
    let first = |doc: &str| doc.lines().next().unwrap_or_default().to_owned();
    let entries = catalogue::all().iter();
    entries.map(|entry| CompletionCandidate::new(entry.subject).help(Some(first(entry.doc).into()))).collect()
}

/// Options of `fleet services`.
#[derive(Debug, Args)]
pub struct Services {
    /// The NATS server, e.g. nats://nats.example.com:4222.
    #[arg(long, value_name = "URL")]
    pub nats: Option<String>,
    /// Every subject with its figures.
    #[arg(long)]
    pub subjects: bool,
    /// The services' own answers as JSON, for machines.
    #[arg(long)]
    pub json: bool,
}

/// Options of `fleet asyncapi`.
#[derive(Debug, Args)]
pub struct Asyncapi {
    /// The file to write; `-` is the standard output.
    #[arg(default_value = "docs/asyncapi.yaml")]
    pub file: PathBuf,
}

/// Options of `fleet completions`.
#[derive(Debug, Args)]
pub struct Completions {
    /// The shell: bash, elvish, fish, powershell or zsh.
    #[arg(value_parser = ["bash", "elvish", "fish", "powershell", "zsh"])]
    pub shell: String,
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
