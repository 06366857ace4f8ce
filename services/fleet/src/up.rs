//! `fleet up`: services, servers and sandbox in one process, with a live table.

use std::{io::Write, time::Duration};

use anyhow::Context;
use runtime::{Clock, Environment, SpanLog};
use sandbox::{Running, Sandbox, SandboxOptions, environment};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    beacon::{self, Beacon},
    catalogue,
    cli::Up,
    page::{self, Sources},
    servers::Servers,
    supervisor::{Instance, Supervisor},
    table::{self, Row},
};

/// How often a monitor looks, in seconds.
const INTERVAL: &str = "MONITORING__MONITORING_JOB_INTERVAL";
/// How often the live table is drawn.
const REDRAW: Duration = Duration::from_secs(1);
/// How often a plain output tells how things are.
const TELL: Duration = Duration::from_secs(30);
/// How long the services have to start before it is said which have not.
const START: Duration = Duration::from_secs(30);

/// Runs until `stop` is cancelled; `live` draws a table that stands still.
///
/// # Errors
/// When a service is unknown, a server does not start, or the page's port is taken.
pub async fn run(options: Up, live: bool, spans: SpanLog, stop: CancellationToken) -> anyhow::Result<()> {
    let services = catalogue::chosen(&options.services)?;
    let own = own_settings(&options, &Environment::from_process());
    let servers = Servers::start(own.clone()).await?;
    let clock = Clock::shifted();
    let sandbox = if options.no_sandbox { None } else { Some(start_sandbox(&options, &clock).await?) };
    let hosts = sandbox.as_ref().map(|sandbox| sandbox.hosts().to_vec()).unwrap_or_default();
    let instances: Vec<Instance> = services
        .iter()
        .flat_map(|service| {
            let mut environment = environment_of(service.name(), &own, &servers, sandbox.as_ref());
            if sandbox.is_some() && own.get(INTERVAL).is_none() {
                // Who watches wants to see the engine look within seconds.
                environment = environment.with(INTERVAL, "10");
            }
            catalogue::instances(service, &environment, &hosts)
        })
        .collect();
    for instance in &instances {
        instance.runnable.check(&instance.environment).with_context(|| instance.label.clone())?;
    }
    let (began, count) = (Instant::now(), instances.len());
    let supervisor = Supervisor::start(instances, &clock);
    let mut took = None;
    tokio::select! {
        started = supervisor.started(START) => match started {
            Ok(()) => took = Some(began.elapsed()),
            Err(error) => eprintln!("warning: {error}"),
        },
        () = stop.cancelled() => {}
    }
    let ended = CancellationToken::new();
    let _end = ended.clone().drop_guard();
    let sources = Sources {
        simulation: sandbox.as_ref().map(|sandbox| sandbox.simulation().clone()),
        services: supervisor.watched(),
        spans,
        clock: clock.clone(),
        environment: servers.environment().merged(&own),
    };
    let address = page::start(options.port, sources, ended).await?;
    println!("The page:    http://{address}/");
    if let Some(sandbox) = &sandbox {
        println!("Control API: {}/control/openapi.json", sandbox.base_url());
    }
    let servers_environment = servers.environment();
    let nats = servers_environment.get("NATS_SERVER1");
    let redis = servers_environment
        .get("REDIS_HOSTNAME")
        .zip(servers_environment.get("REDIS_PORT").and_then(|port| port.parse().ok()));
    let _beacon = nats.and_then(|url| Beacon::light(&beacon::folder(), url, redis));
    if let Some(url) = nats {
        println!("NATS:        {url}  (fleet why <serial>)");
    }
    let resident = measure::memory("self").ok().map(|memory| memory.resident);
    println!("Services:    {}", started(count, took, resident));
    println!("Ctrl-C stops everything.\n");
    tokio::select! {
        () = watch(&supervisor, sandbox.as_ref(), live) => {}
        () = stop.cancelled() => {}
    }
    println!("\nstopping");
    supervisor.stop().await;
    if let Some(sandbox) = sandbox {
        sandbox.stop().await;
    }
    Ok(())
}

/// E.g. `16 started in 412 ms once the servers were up; 71 MB resident in all`. `took` is absent when not all have started,
/// `resident`, in MB, where the system does not tell it. It is that of this process: page and sandbox are in it.
fn started(services: usize, took: Option<Duration>, resident: Option<f64>) -> String {
    let start = match took {
        Some(took) => format!("{services} started in {} ms once the servers were up", took.as_millis()),
        None => format!("{services}, not all of which have started"),
    };
    match resident {
        Some(resident) => format!("{start}; {resident:.0} MB resident in all"),
        None => start,
    }
}

/// What counts of the settings of this process. Beside a sandbox those of real third parties do not, unless that is asked
/// for, and then nothing is changed there: what happens in a simulated network is nobody's business.
fn own_settings(options: &Up, process: &Environment) -> Environment {
    if options.no_sandbox {
        return process.clone();
    }
    if options.live {
        return process.clone().with("WRITE_MODE", "dry-run");
    }
    let (real, own): (Vec<&str>, Vec<&str>) =
        process.names().partition(|name| environment::OF_THIRD_PARTIES.contains(name));
    if !real.is_empty() {
        eprintln!("note: the sandbox is in the place of {} (--live asks the real ones)", real.join(", "));
    }
    own.into_iter().filter_map(|name| Some((name.to_owned(), process.get(name)?.to_owned()))).collect()
}

/// The environment of one service: the sandbox's, the servers', and over both what is set in this process. The services
/// share the process, so each takes free ports, which are for this machine only unless a setting says otherwise.
pub fn environment_of(
    service: &str,
    own: &Environment,
    servers: &Servers,
    sandbox: Option<&Running>,
) -> Environment {
    let simulated: Environment =
        sandbox.map(|sandbox| sandbox.environment_for(service)).unwrap_or_default().into_iter().collect();
    let servers = servers.environment().with("LISTEN_ADDRESS", "127.0.0.1");
    simulated.merged(&servers).merged(own).with("HTTP_PORT", "0").with("METRICS_PORT", "0")
}

async fn start_sandbox(options: &Up, clock: &Clock) -> anyhow::Result<Running> {
    let sandbox = SandboxOptions {
        clock: clock.clone(),
        edges: options.edges,
        seed: options.seed,
        ..SandboxOptions::default()
    };
    Sandbox::start(sandbox).await.context("the sandbox does not start")
}

/// Shows how the services are, for ever.
async fn watch(supervisor: &Supervisor, sandbox: Option<&Running>, live: bool) {
    let mut before: Vec<Row> = Vec::new();
    let mut at = Instant::now();
    loop {
        let rows: Vec<Row> = supervisor.views().iter().map(Row::of).collect();
        let open = sandbox.map(|sandbox| {
            let now = sandbox.world().now();
            sandbox
                .world()
                .read_tickets(|tickets| tickets.newest_first().filter(|t| t.status(now).is_open()).count())
        });
        let text = table::render(&rows, &before, at.elapsed().as_secs_f64(), open);
        if live {
            // Up over the former table, so that it stands still.
            let up =
                if before.is_empty() { String::new() } else { format!("\x1b[{}A", text.lines().count()) };
            print!("{up}{}", text.replace('\n', "\x1b[K\n"));
        } else {
            print!("{text}");
        }
        // A closed output is no reason to stop the engine.
        let _ = std::io::stdout().flush();
        (before, at) = (rows, Instant::now());
        tokio::time::sleep(if live { REDRAW } else { TELL }).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command};
    use clap::Parser;

    fn counting(arguments: &[&str]) -> Environment {
        let line = ["fleet", "up"].iter().chain(arguments);
        let Command::Up(options) = Cli::parse_from(line).command else { unreachable!() };
        let process = [
            ("SLACK_WEBHOOK", "https://hooks.slack.com/services/T/B/x"),
            ("USERNAME", "ann"),
            ("WRITE_MODE", "live"),
            ("LOG_LEVEL", "DEBUG"),
        ];
        own_settings(&options, &Environment::from(process))
    }

    #[test]
    fn real_third_parties_are_asked_on_demand_only_and_then_nothing_is_changed_there() {
        for (arguments, webhook, mode) in
            [(&[][..], false, "live"), (&["--live"], true, "dry-run"), (&["--no-sandbox"], true, "live")]
        {
            let own = counting(arguments);
            assert_eq!(own.get("SLACK_WEBHOOK").is_some(), webhook, "{arguments:?}");
            assert_eq!(own.get("USERNAME").is_some(), webhook, "{arguments:?}");
            assert_eq!(own.get("WRITE_MODE"), Some(mode), "{arguments:?}");
            assert_eq!(own.get("LOG_LEVEL"), Some("DEBUG"), "{arguments:?}");
        }
    }

    #[test]
    fn the_start_is_told_as_far_as_it_is_known() {
        let took = Some(Duration::from_micros(412_700));
        let all = started(16, took, Some(71.4));
        assert_eq!(all, "16 started in 412 ms once the servers were up; 71 MB resident in all");
        assert_eq!(started(2, None, None), "2, not all of which have started");
    }
}
