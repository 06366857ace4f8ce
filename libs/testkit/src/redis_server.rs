//! Real Redis servers.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::{
    ports::Port,
    process::{Process, find},
};

/// How a Redis server is set up. The default keeps nothing over a restart and asks for no password.
#[derive(Debug, Clone, Default)]
pub struct RedisOptions {
    /// The password that clients must give.
    pub password: Option<String>,
    /// Every write is on disk before it is answered, so that it survives [`Redis::kill9`].
    pub durable: bool,
    /// A certificate and its key (PEM files); clients must then use TLS.
    pub tls: Option<(PathBuf, PathBuf)>,
}

/// A Redis server on a free port, killed when dropped.
#[derive(Debug)]
pub struct Redis {
    process: Process,
    port: Port,
    options: RedisOptions,
}

impl Redis {
    /// A plain server.
    ///
    /// # Panics
    /// When no server can be started: `redis-server` must be on PATH, or `REDIS_SERVER_PROGRAM` must name it.
    pub async fn start() -> Self {
        Self::start_with(RedisOptions::default()).await
    }

    /// A server with options.
    ///
    /// # Panics
    /// As [`Redis::start`].
    pub async fn start_with(options: RedisOptions) -> Self {
        match Self::try_start(options).await {
            Ok(server) => server,
            Err(error) => panic!("{error:#}"),
        }
    }

    /// As [`Redis::start_with`], for programs that handle the failure.
    ///
    /// # Errors
    /// When there is no `redis-server` or it does not start.
    pub async fn try_start(options: RedisOptions) -> anyhow::Result<Self> {
        let program = find("REDIS_SERVER_PROGRAM", "redis-server")
            .context("redis-server is not on PATH: install it, or name it in REDIS_SERVER_PROGRAM")?;
        let port = Port::reserve()?;
        let mut process = Process::new("redis", program)?;
        match &options.tls {
            None => process.arg("--port").arg(port.number().to_string()),
            Some((certificate, key)) => {
                process.arg("--port").arg("0").arg("--tls-port").arg(port.number().to_string());
                process.arg("--tls-cert-file").arg(certificate).arg("--tls-key-file").arg(key);
                process.arg("--tls-ca-cert-file").arg(certificate).arg("--tls-auth-clients").arg("no")
            }
        };
        process.arg("--bind").arg("127.0.0.1").arg("--save").arg("");
        process.arg("--appendonly").arg(if options.durable { "yes" } else { "no" });
        process.arg("--appendfsync").arg("always");
        if let Some(password) = &options.password {
            process.arg("--requirepass").arg(password);
        }
        let server = Self { process, port, options };
        server.begin().await?;
        Ok(server)
    }

    async fn begin(&self) -> anyhow::Result<()> {
        self.process.start(|| self.answers()).await
    }

    /// Whether the server answers a PING; not while it still loads its data.
    async fn answers(&self) -> bool {
        if self.options.tls.is_some() {
            // Who it is, and whether to trust it, is for the client to find out.
            return TcpStream::connect(self.port.address()).await.is_ok();
        }
        // Whoever has not said the password is refused for that, also while the data is loaded.
        let (asked, expected) = match &self.options.password {
            Some(password) => (format!("AUTH {password}\r\nPING\r\n"), "+OK\r\n+PONG\r\n"),
            None => ("PING\r\n".to_owned(), "+PONG\r\n"),
        };
        let ping = async {
            let mut stream = TcpStream::connect(self.port.address()).await?;
            stream.write_all(asked.as_bytes()).await?;
            let mut answer = vec![0; expected.len()];
            stream.read_exact(&mut answer).await?;
            std::io::Result::Ok(answer == expected.as_bytes())
        };
        matches!(timeout(Duration::from_secs(1), ping).await, Ok(Ok(true)))
    }

    /// The address for clients, with the password if there is one.
    pub fn url(&self) -> String {
        let scheme = if self.options.tls.is_some() { "rediss" } else { "redis" };
        match &self.options.password {
            Some(password) => format!("{scheme}://:{password}@{}", self.port.address()),
            None => format!("{scheme}://{}", self.port.address()),
        }
    }

    /// The host, for `REDIS_HOSTNAME`.
    pub fn host(&self) -> String {
        self.port.address().ip().to_string()
    }

    /// The port, for `REDIS_PORT`.
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// A connection of its own, to look and to prepare.
    ///
    /// # Panics
    /// When the server cannot be reached.
    pub async fn connection(&self) -> redis::aio::MultiplexedConnection {
        let connected = match redis::Client::open(self.url()) {
            Ok(client) => client.get_multiplexed_async_connection().await,
            Err(error) => Err(error),
        };
        match connected {
            Ok(connection) => connection,
            Err(error) => panic!("cannot connect to the test server: {error}"),
        }
    }

    /// Kills the server without warning (SIGKILL).
    pub fn kill9(&self) {
        self.process.kill();
    }

    /// Starts the server again on the same port; kills it first if it runs.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn restart(&self) {
        self.process.kill();
        if let Err(error) = self.begin().await {
            panic!("{error:#}");
        }
    }

    /// Freezes the server: connections stay, nothing is answered (SIGSTOP).
    ///
    /// # Panics
    /// When it does not run.
    pub fn pause(&self) {
        if let Err(error) = self.process.pause() {
            panic!("{error:#}");
        }
    }

    /// Goes on after [`Redis::pause`].
    ///
    /// # Panics
    /// When it does not run.
    pub fn resume(&self) {
        if let Err(error) = self.process.resume() {
            panic!("{error:#}");
        }
    }
}
