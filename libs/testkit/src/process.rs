//! A server program under test: started, watched, paused, killed.

use std::{
    ffi::OsString,
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use parking_lot::Mutex;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use tempfile::TempDir;

/// Enough for a Python program on a loaded machine.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// A program with its own folder for data and log. Killed when dropped, and also when this process dies.
#[derive(Debug)]
pub(crate) struct Process {
    name: &'static str,
    program: PathBuf,
    args: Vec<OsString>,
    folder: TempDir,
    running: Mutex<Option<Running>>,
}

#[derive(Debug)]
struct Running {
    child: Child,
    /// A shell that kills the child when our end of its standard input closes.
    watchdog: Child,
}

impl Process {
    /// Not started yet.
    pub(crate) fn new(name: &'static str, program: impl Into<PathBuf>) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix(&format!("testkit-{name}-")).tempdir()?;
        Ok(Self { name, program: program.into(), args: Vec::new(), folder, running: Mutex::new(None) })
    }

    pub(crate) fn arg(&mut self, arg: impl Into<OsString>) -> &mut Self {
        self.args.push(arg.into());
        self
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Starts the program and waits until `ready` says yes.
    pub(crate) async fn start<R: Future<Output = bool>>(
        &self,
        mut ready: impl FnMut() -> R,
    ) -> anyhow::Result<()> {
        self.spawn()?;
        let begun = Instant::now();
        loop {
            let answers = ready().await;
            // Looked at after the answer: another program on our port would have made ours end.
            if let Some(status) = self.ended()? {
                bail!("{} ended at start with {status}: {}", self.name, self.log_end());
            }
            if answers {
                return Ok(());
            }
            if begun.elapsed() > READY_WITHIN {
                self.kill();
                bail!("{} is not ready after {READY_WITHIN:?}: {}", self.name, self.log_end());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn spawn(&self) -> anyhow::Result<()> {
        let mut running = self.running.lock();
        if running.is_some() {
            bail!("{} runs already", self.name);
        }
        let log = File::options().create(true).append(true).open(self.folder.path().join("log"))?;
        let child = Command::new(&self.program)
            .args(&self.args)
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {} ({})", self.name, self.program.display()))?;
        let watchdog = Command::new("sh")
            .args(["-c", &format!("read -r _; kill -9 {} 2>/dev/null", child.id())])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start sh")?;
        *running = Some(Running { child, watchdog });
        Ok(())
    }

    fn ended(&self) -> anyhow::Result<Option<std::process::ExitStatus>> {
        match &mut *self.running.lock() {
            Some(running) => Ok(running.child.try_wait()?),
            None => bail!("{} was killed while it started", self.name),
        }
    }

    fn log_end(&self) -> String {
        let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        let lines: Vec<_> = log.lines().rev().take(5).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join(" | ")
    }

    /// Kills it the hard way (SIGKILL) and waits for its end. Does nothing when it does not run.
    pub(crate) fn kill(&self) {
        if let Some(mut running) = self.running.lock().take() {
            // The watchdog first: afterwards the number of the child may belong to another process.
            let _ = running.watchdog.kill();
            let _ = running.watchdog.wait();
            let _ = running.child.kill();
            let _ = running.child.wait();
        }
    }

    /// Sends a signal; an error when it does not run.
    pub(crate) fn signal(&self, signal: Signal) -> anyhow::Result<Pid> {
        let running = self.running.lock();
        let child = running.as_ref().with_context(|| format!("{} does not run", self.name))?;
        let pid = i32::try_from(child.child.id()).ok().and_then(Pid::from_raw).context("no process id")?;
        kill_process(pid, signal).with_context(|| format!("cannot signal {}", self.name))?;
        Ok(pid)
    }

    /// Stops it (SIGSTOP), and waits until all of it stands still: until then its threads may go on working.
    pub(crate) fn pause(&self) -> anyhow::Result<()> {
        let pid = self.signal(Signal::STOP)?;
        // Its end, were it to come instead, is left for the others to find.
        let change = WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        waitid(WaitId::Pid(pid), change).with_context(|| format!("cannot wait for {}", self.name))?;
        Ok(())
    }

    /// Lets it go on after [`Self::pause`].
    pub(crate) fn resume(&self) -> anyhow::Result<()> {
        self.signal(Signal::CONT).map(drop)
    }

    /// Asks it to end (SIGTERM) and waits until it has.
    pub(crate) async fn terminate(&self) -> anyhow::Result<()> {
        self.signal(Signal::TERM)?;
        while self.ended()?.is_none() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.kill();
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A program's path: from an environment variable, or by name on PATH.
pub(crate) fn find(variable: &str, name: &str) -> Option<PathBuf> {
    if let Some(path) = std::env::var_os(variable).filter(|path| !path.is_empty()) {
        return Some(path.into());
    }
    on_path(name)
}

/// A program on PATH.
pub(crate) fn on_path(name: &str) -> Option<PathBuf> {
    let paths = std::env::var_os("PATH")?;
    std::env::split_paths(&paths).map(|folder| folder.join(name)).find(|file| file.is_file())
}
