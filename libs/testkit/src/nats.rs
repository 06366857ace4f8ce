//! Real NATS servers.

use std::{fmt::Write as _, path::PathBuf, time::Duration};

use anyhow::{Context, bail};
use futures::future::try_join_all;
use rustix::process::Signal;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::TcpStream,
    time::timeout,
};

use crate::{
    ports::Port,
    process::{Process, find},
};

/// How a NATS server is set up. The default is a plain one without JetStream.
#[derive(Debug, Clone, Default)]
pub struct NatsOptions {
    /// With JetStream, stored in the server's own folder (survives [`Nats::restart`]).
    pub jetstream: bool,
    /// The largest payload in bytes; the server's default is 1 MiB.
    pub max_payload: Option<usize>,
    /// The only user and password.
    pub user: Option<(String, String)>,
    /// A certificate and its key (PEM files); clients must then use TLS.
    pub tls: Option<(PathBuf, PathBuf)>,
}

/// A NATS server on a free port, killed when dropped.
#[derive(Debug)]
pub struct Nats {
    process: Process,
    port: Port,
    monitor: Port,
    options: NatsOptions,
}

/// What makes a server part of a cluster.
struct Member<'a> {
    name: String,
    route: &'a Port,
    routes: &'a [Port],
}

impl Nats {
    /// A plain server.
    ///
    /// # Panics
    /// When no server can be started: `nats-server` must be on PATH, or `NATS_SERVER_PROGRAM` must name it.
    pub async fn start() -> Self {
        Self::start_with(NatsOptions::default()).await
    }

    /// A server with JetStream.
    ///
    /// # Panics
    /// As [`Nats::start`].
    pub async fn start_with_jetstream() -> Self {
        Self::start_with(NatsOptions { jetstream: true, ..NatsOptions::default() }).await
    }

    /// A server with options.
    ///
    /// # Panics
    /// As [`Nats::start`].
    pub async fn start_with(options: NatsOptions) -> Self {
        match Self::try_start(options).await {
            Ok(server) => server,
            Err(error) => panic!("{error:#}"),
        }
    }

    /// As [`Nats::start_with`], for programs that handle the failure.
    ///
    /// # Errors
    /// When there is no `nats-server` or it does not start.
    pub async fn try_start(options: NatsOptions) -> anyhow::Result<Self> {
        let server = Self::prepare(options, Port::reserve()?, None)?;
        server.begin().await?;
        Ok(server)
    }

    fn prepare(options: NatsOptions, port: Port, member: Option<&Member<'_>>) -> anyhow::Result<Self> {
        let program = find("NATS_SERVER_PROGRAM", "nats-server")
            .context("nats-server is not on PATH: install it, or name it in NATS_SERVER_PROGRAM")?;
        let monitor = Port::reserve()?;
        let mut process = Process::new("nats", program)?;
        let file = process.folder().join("nats.conf");
        std::fs::write(&file, config(&options, &port, &monitor, &process, member)?)?;
        process.arg("--config").arg(file);
        Ok(Self { process, port, monitor, options })
    }

    async fn begin(&self) -> anyhow::Result<()> {
        self.process.start(|| self.greets()).await
    }

    /// Whether the server says its INFO line.
    async fn greets(&self) -> bool {
        let greeting = async {
            let stream = TcpStream::connect(self.port.address()).await?;
            let mut line = String::new();
            BufReader::new(stream).read_line(&mut line).await?;
            std::io::Result::Ok(line)
        };
        matches!(timeout(Duration::from_secs(1), greeting).await, Ok(Ok(line)) if line.starts_with("INFO "))
    }

    /// The address for clients, `nats://127.0.0.1:<port>`, without user and password.
    pub fn url(&self) -> String {
        format!("nats://{}", self.port.address())
    }

    /// The port for clients.
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// The monitoring server's address (`/varz`, `/connz`, `/subsz`).
    pub fn monitor_url(&self) -> String {
        format!("http://{}", self.monitor.address())
    }

    /// A connected client.
    ///
    /// # Panics
    /// When it cannot connect.
    pub async fn client(&self) -> async_nats::Client {
        let mut options = async_nats::ConnectOptions::new();
        if let Some((user, password)) = &self.options.user {
            options = options.user_and_password(user.clone(), password.clone());
        }
        match options.connect(self.url()).await {
            Ok(client) => client,
            Err(error) => panic!("cannot connect to the test server: {error}"),
        }
    }

    /// Kills the server without warning (SIGKILL).
    pub fn kill9(&self) {
        self.process.kill();
    }

    /// Ends the server in good order (SIGTERM) and waits for it.
    ///
    /// # Panics
    /// When it does not run.
    pub async fn stop(&self) {
        expect(self.process.terminate().await);
    }

    /// Starts the server again on the same port with the same data; kills it first if it runs.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn restart(&self) {
        self.process.kill();
        expect(self.begin().await);
    }

    /// Freezes the server: connections stay, nothing is answered (SIGSTOP).
    ///
    /// # Panics
    /// When it does not run.
    pub fn pause(&self) {
        expect(self.process.pause());
    }

    /// Goes on after [`Nats::pause`].
    ///
    /// # Panics
    /// When it does not run.
    pub fn resume(&self) {
        expect(self.process.resume());
    }

    /// Lame duck mode: no new connections, the present ones are closed step by step.
    ///
    /// # Panics
    /// When it does not run.
    pub fn lame_duck(&self) {
        expect(self.process.signal(Signal::USR2));
    }
}

/// Several NATS servers in one cluster, with JetStream.
#[derive(Debug)]
pub struct NatsCluster {
    nodes: Vec<Nats>,
}

impl NatsCluster {
    /// `size` servers (3 for JetStream that survives the loss of one), ready when JetStream has a leader.
    ///
    /// # Panics
    /// As [`Nats::start`].
    pub async fn start(size: usize) -> Self {
        expect(Self::try_start(size).await)
    }

    /// As [`NatsCluster::start`], for programs that handle the failure.
    ///
    /// # Errors
    /// When there is no `nats-server`, one does not start, or they find no leader.
    pub async fn try_start(size: usize) -> anyhow::Result<Self> {
        let routes = (0..size).map(|_| Port::reserve()).collect::<anyhow::Result<Vec<_>>>()?;
        let options = NatsOptions { jetstream: true, ..NatsOptions::default() };
        let mut nodes = Vec::new();
        for (index, route) in routes.iter().enumerate() {
            let member = Member { name: format!("n{}", index + 1), route, routes: &routes };
            nodes.push(Nats::prepare(options.clone(), Port::reserve()?, Some(&member))?);
        }
        try_join_all(nodes.iter().map(Nats::begin)).await?;
        // The routes' ports stay taken by the servers; their reservations may go.
        let cluster = Self { nodes };
        cluster.until_led().await?;
        Ok(cluster)
    }

    /// All addresses, comma separated as `NATS_SERVER1` takes them.
    pub fn url(&self) -> String {
        self.nodes.iter().map(Nats::url).collect::<Vec<_>>().join(",")
    }

    /// The servers.
    pub fn nodes(&self) -> &[Nats] {
        &self.nodes
    }

    /// Waits until JetStream has a leader, e.g. after a server was killed.
    ///
    /// # Errors
    /// When there is none after a minute.
    pub async fn until_led(&self) -> anyhow::Result<()> {
        for _ in 0..600 {
            for node in &self.nodes {
                let Ok(client) = async_nats::connect(node.url()).await else { continue };
                let asked = client.request("$JS.API.STREAM.NAMES", "".into());
                if let Ok(Ok(answer)) = timeout(Duration::from_secs(1), asked).await
                    && !answer.payload.windows(7).any(|part| part == b"\"error\"")
                {
                    return Ok(());
                }
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        bail!("the NATS cluster found no JetStream leader")
    }
}

fn config(
    options: &NatsOptions,
    port: &Port,
    monitor: &Port,
    process: &Process,
    member: Option<&Member<'_>>,
) -> anyhow::Result<String> {
    let mut text = format!("listen: \"{}\"\nhttp: \"{}\"\n", port.address(), monitor.address());
    text.push_str("lame_duck_grace_period: \"1s\"\nlame_duck_duration: \"30s\"\n");
    if let Some(bytes) = options.max_payload {
        writeln!(text, "max_payload: {bytes}\nmax_pending: {}", bytes.max(64 * 1024 * 1024))?;
    }
    if let Some((user, password)) = &options.user {
        writeln!(text, "authorization {{ user: {user:?}, password: {password:?} }}")?;
    }
    if let Some((certificate, key)) = &options.tls {
        writeln!(
            text,
            "tls {{ cert_file: \"{}\", key_file: \"{}\" }}",
            certificate.display(),
            key.display()
        )?;
    }
    if options.jetstream {
        writeln!(text, "jetstream {{ store_dir: \"{}\" }}", process.folder().display())?;
    }
    if let Some(member) = member {
        // As operators are told to: a server that froze is left by its neighbours as soon as by its clients.
        text.push_str("ping_interval: \"3s\"\nping_max: 2\n");
        let routes: Vec<_> = member.routes.iter().map(|port| format!("nats://{}", port.address())).collect();
        writeln!(
            text,
            "server_name: {}\ncluster {{ name: testkit, listen: \"{}\", routes: {routes:?} }}",
            member.name,
            member.route.address()
        )?;
    }
    Ok(text)
}

fn expect<T>(outcome: anyhow::Result<T>) -> T {
    match outcome {
        Ok(value) => value,
        Err(error) => panic!("{error:#}"),
    }
}
