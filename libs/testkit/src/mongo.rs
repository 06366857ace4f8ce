//! Servers that speak MongoDB's protocol: `mongod` where it is installed, else SecantusDB.

use std::{path::PathBuf, time::Duration};

use anyhow::Context;
use tokio::{net::TcpStream, time::timeout};

use crate::{
    folders,
    ports::Port,
    process::{Process, find, on_path},
};

const NONE_FOUND: &str = "no server with MongoDB's protocol found: put `mongod` or `secantusd-py` on PATH, or name one in \
    MONGO_WIRE_SERVER, or run `scripts/test` once (it installs SecantusDB into .venv: `python3 -m venv .venv && \
    .venv/bin/pip install SecantusDB`)";

/// A server with MongoDB's protocol on a free port, killed when dropped. Data survive [`Mongo::restart`].
#[derive(Debug)]
pub struct Mongo {
    process: Process,
    port: Port,
}

impl Mongo {
    /// A server without users.
    ///
    /// # Panics
    /// When there is no such server or it does not start; the text says how to get one.
    pub async fn start() -> Self {
        match Self::try_start().await {
            Ok(server) => server,
            Err(error) => panic!("{error:#}"),
        }
    }

    /// As [`Mongo::start`], for programs that handle the failure.
    ///
    /// # Errors
    /// When there is no such server or it does not start.
    pub async fn try_start() -> anyhow::Result<Self> {
        let program = program().context(NONE_FOUND)?;
        let port = Port::reserve()?;
        let mongod = program.file_name().is_some_and(|name| name.to_string_lossy().starts_with("mongod"));
        let mut process = Process::new("mongo", program)?;
        let data = process.folder().join("data");
        std::fs::create_dir(&data)?;
        process.arg("--port").arg(port.number().to_string());
        if mongod {
            process.arg("--bind_ip").arg("127.0.0.1").arg("--dbpath").arg(data);
        } else {
            process.arg("--host").arg("127.0.0.1").arg("--storage-path").arg(data);
            process.arg("--standalone").arg("--cache-size").arg("64M");
        }
        let server = Self { process, port };
        server.begin().await?;
        Ok(server)
    }

    async fn begin(&self) -> anyhow::Result<()> {
        self.process.start(|| self.listens()).await
    }

    /// Both servers listen only when they can answer.
    async fn listens(&self) -> bool {
        matches!(timeout(Duration::from_secs(1), TcpStream::connect(self.port.address())).await, Ok(Ok(_)))
    }

    /// The address for clients.
    pub fn url(&self) -> String {
        format!("mongodb://{}/?directConnection=true", self.port.address())
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// Kills the server without warning (SIGKILL).
    pub fn kill9(&self) {
        self.process.kill();
    }

    /// Starts the server again on the same port with the same data; ends it in good order first if it runs.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn restart(&self) {
        // Fails only when it does not run, which is as good.
        let _ = self.process.terminate().await;
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

    /// Goes on after [`Mongo::pause`].
    ///
    /// # Panics
    /// When it does not run.
    pub fn resume(&self) {
        if let Err(error) = self.process.resume() {
            panic!("{error:#}");
        }
    }
}

fn program() -> Option<PathBuf> {
    find("MONGO_WIRE_SERVER", "mongod")
        .or_else(|| on_path("secantusd-py"))
        .or_else(|| Some(folders::workspace()?.join(".venv/bin/secantusd-py")).filter(|file| file.is_file()))
}
