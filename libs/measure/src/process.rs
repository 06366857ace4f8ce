//! Programs as processes of their own, and what `/proc` says of them.

use std::fs::File;
use std::future::Future;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use nix::time::ClockId;
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

/// Whatever takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long a program has to end when it is told to.
const STOP: Duration = Duration::from_secs(12);
/// What a helper writes when it can be used; an address may follow.
const READY: &str = "ready";

/// A running program. Killed when dropped.
pub struct Program {
    child: Child,
    pid: u32,
    began: Instant,
}

/// A running service and where it listens. Killed when dropped.
pub struct Service {
    /// Its process.
    pub program: Program,
    /// The port of `/_health`, `/_ready` and `/_jobs`.
    pub http_port: u16,
    /// The port of `/metrics`.
    pub metrics_port: u16,
}

/// What a process has used.
#[derive(Debug, Clone, Copy, Default)]
pub struct Memory {
    /// Resident now, in MB.
    pub resident: f64,
    /// Of that, its share, in MB: pages that several processes map count in parts.
    pub share: f64,
    /// Of the resident ones, those that are its own and no file's, in MB.
    pub anonymous: f64,
    /// The most that was resident so far, in MB.
    pub peak: f64,
}

/// The folder of this program, where cargo puts all others too.
///
/// # Errors
/// When the system does not say it.
pub fn own_folder() -> anyhow::Result<PathBuf> {
    let program = std::env::current_exe().context("where is this program?")?;
    Ok(program.parent().context("this program has no folder")?.to_owned())
}

impl Program {
    /// This program again as a helper; waits until it can be used and returns what it says then (see [`say`]).
    ///
    /// # Errors
    /// When it ends or says nothing.
    pub async fn helper(arguments: &[&str]) -> anyhow::Result<(Self, String)> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(arguments);
        let (program, mut lines) = Self::spawn(command)?;
        let said = timeout(PATIENCE, lines.next_line()).await.context("a helper is not ready")??;
        let said = said.with_context(|| format!("the helper {arguments:?} ended"))?;
        let said =
            said.strip_prefix(READY).with_context(|| format!("a helper says {said:?}"))?.trim().to_owned();
        drain(lines, None);
        Ok((program, said))
    }

    /// This program again, until it ends; returns what it says after being ready.
    ///
    /// # Errors
    /// When it fails or takes too long.
    pub async fn helper_result(arguments: &[&str]) -> anyhow::Result<String> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(arguments);
        let (mut program, mut lines) = Self::spawn(command)?;
        let mut last = String::new();
        while let Some(line) =
            timeout(PATIENCE, lines.next_line()).await.context("a helper takes too long")??
        {
            last = line;
        }
        let status = program.child.wait().await?;
        anyhow::ensure!(status.success(), "the helper {arguments:?} failed");
        Ok(last.strip_prefix(READY).map_or(last.clone(), |said| said.trim().to_owned()))
    }

    fn spawn(mut command: Command) -> anyhow::Result<(Self, Lines<BufReader<ChildStdout>>)> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let began = Instant::now();
        let mut child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
        let stdout = child.stdout.take().context("no standard output")?;
        let pid = child.id().context("no process id")?;
        Ok((Self { child, pid, began }, BufReader::new(stdout).lines()))
    }

    /// When it was started.
    pub fn began(&self) -> Instant {
        self.began
    }

    /// The processor time it has used so far, by all threads, in seconds.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn cpu(&self) -> anyhow::Result<f64> {
        cpu(&self.pid.to_string())
    }

    /// Its memory.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn memory(&self) -> anyhow::Result<Memory> {
        memory(&self.pid.to_string())
    }

    /// Whether it runs still.
    ///
    /// # Errors
    /// When the system does not say it.
    pub fn runs(&mut self) -> anyhow::Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// Ends it as an operator does (SIGTERM) and waits for that.
    ///
    /// # Errors
    /// When it does not end, or not with success.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        self.signal(Signal::TERM)?;
        let status = timeout(STOP, self.child.wait()).await.context("it does not stop")??;
        anyhow::ensure!(status.success(), "it stopped with {status}");
        Ok(())
    }

    /// Kills it without warning (SIGKILL) and waits for its end.
    ///
    /// # Errors
    /// When there is nothing to kill.
    pub async fn kill(mut self) -> anyhow::Result<()> {
        self.signal(Signal::KILL)?;
        self.child.wait().await?;
        Ok(())
    }

    fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        // Not the kept number: that of a process that has ended may be another one's.
        let pid = self.child.id().context("it has ended already")?;
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).context("no process id")?;
        Ok(kill_process(pid, signal)?)
    }

    /// Waits for its end; the exit code, -1 when a signal ended it.
    ///
    /// # Errors
    /// When it runs on after `within`.
    pub async fn ended(mut self, within: Duration) -> anyhow::Result<i32> {
        let status = timeout(within, self.child.wait()).await.context("it runs on")??;
        Ok(status.code().unwrap_or(-1))
    }
}

impl Service {
    /// Starts a service with nothing but `environment`, on free ports, and returns as soon as it listens. What it says
    /// goes to the end of the file `log`, if there is one.
    ///
    /// # Errors
    /// When the program is missing, or ends or says nothing at its start.
    pub async fn start(
        binaries: &Path,
        name: &str,
        environment: &[(String, String)],
        log: Option<&Path>,
    ) -> anyhow::Result<Self> {
        let (program, mut lines, mut log) = launch(binaries, name, environment, log)?;
        loop {
            let line = timeout(PATIENCE, lines.next_line())
                .await
                .with_context(|| format!("{name} does not listen"))??;
            let line = line.with_context(|| format!("{name} ended at its start"))?;
            keep(log.as_mut(), &line);
            if let Some((http_port, metrics_port)) = ports(&line) {
                drain(lines, log);
                return Ok(Self { program, http_port, metrics_port });
            }
        }
    }

    /// Asks `/_ready` until it says yes; returns when that was.
    ///
    /// # Errors
    /// When it does not within two minutes.
    pub async fn until_ready(&self) -> anyhow::Result<Instant> {
        let (began, http) = (Instant::now(), http()?);
        let url = format!("http://127.0.0.1:{}/_ready", self.http_port);
        while began.elapsed() < PATIENCE {
            if let Ok(answer) = http.get(&url).send().await
                && answer.status().is_success()
            {
                return Ok(Instant::now());
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        bail!("a service is not ready after {PATIENCE:?}")
    }

    /// Status and text of a path of its HTTP port.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn get(&self, path: &str) -> anyhow::Result<(u16, String)> {
        let answer = http()?.get(format!("http://127.0.0.1:{}{path}", self.http_port)).send().await?;
        Ok((answer.status().as_u16(), answer.text().await?))
    }

    /// Starts a service that will not get far, without waiting for anything.
    ///
    /// # Errors
    /// When the program is missing.
    pub fn launch(
        binaries: &Path,
        name: &str,
        environment: &[(String, String)],
        log: Option<&Path>,
    ) -> anyhow::Result<Program> {
        let (program, lines, log) = launch(binaries, name, environment, log)?;
        drain(lines, log);
        Ok(program)
    }
}

type Launched = (Program, Lines<BufReader<ChildStdout>>, Option<File>);

fn launch(
    binaries: &Path,
    name: &str,
    environment: &[(String, String)],
    log: Option<&Path>,
) -> anyhow::Result<Launched> {
    let file = binaries.join(name);
    if !file.is_file() {
        bail!("{} is missing: build it, or run the script", file.display());
    }
    let mut command = Command::new(file);
    command.env_clear().envs(environment.iter().map(|(name, value)| (name, value)));
    command.env("HTTP_PORT", "0").env("METRICS_PORT", "0");
    let log = log.map(|log| File::options().create(true).append(true).open(log)).transpose()?;
    if let Some(log) = &log {
        command.stderr(log.try_clone()?);
    }
    let (program, lines) = Program::spawn(command)?;
    Ok((program, lines, log))
}

/// Runs a helper until its work or its standard input ends.
///
/// # Errors
/// What the work ends with.
pub async fn helping(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<ExitCode> {
    let parent_ended = async {
        let mut nothing = [0; 16];
        while matches!(tokio::io::stdin().read(&mut nothing).await, Ok(bytes) if bytes > 0) {}
    };
    tokio::select! {
        result = work => result?,
        () = parent_ended => {}
    }
    // Reading standard input cannot be cut off otherwise.
    std::process::exit(0)
}

/// Says that this helper can be used, or what came out.
pub fn say(text: &str) {
    println!("{READY} {text}");
}

/// Reads on, so that the program never waits for its reader.
fn drain(mut lines: Lines<BufReader<ChildStdout>>, mut log: Option<File>) {
    tokio::spawn(async move {
        while let Ok(Some(line)) = lines.next_line().await {
            keep(log.as_mut(), &line);
        }
    });
}

fn keep(log: Option<&mut File>, line: &str) {
    if let Some(log) = log {
        // A log that cannot be written shows in its absence.
        let _ = writeln!(log, "{line}");
    }
}

fn http() -> anyhow::Result<reqwest::Client> {
    Ok(reqwest::Client::builder().no_proxy().timeout(PATIENCE).build()?)
}

/// HTTP and metrics port of the record that says that a service listens.
fn ports(line: &str) -> Option<(u16, u16)> {
    let record = serde_json::from_str::<serde_json::Value>(line).ok()?;
    let port = |name: &str| record.get(name)?.as_u64()?.try_into().ok();
    Some((port("http_port")?, port("metrics_port").unwrap_or_default()))
}

/// Processor time of a process (`self` is one) by all its threads, those that have ended too, in seconds. By the process'
/// own clock: `/proc` counts in hundredths of a second and cuts the rest.
///
/// # Errors
/// When the process is gone.
pub fn cpu(pid: &str) -> anyhow::Result<f64> {
    let pid = if pid == "self" { nix::unistd::getpid() } else { nix::unistd::Pid::from_raw(pid.parse()?) };
    let used = nix::time::clock_getcpuclockid(pid).and_then(ClockId::now).context("the process is gone")?;
    Ok(Duration::from(used).as_secs_f64())
}

/// Memory of a process (`self` is one).
///
/// # Errors
/// When the process is gone.
pub fn memory(pid: &str) -> anyhow::Result<Memory> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).context("the process is gone")?;
    let shares = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    Ok(Memory {
        resident: megabytes(&status, "VmRSS:").context("no VmRSS")?,
        share: megabytes(&shares, "Pss:").unwrap_or_default(),
        anonymous: megabytes(&status, "RssAnon:").context("no RssAnon")?,
        peak: megabytes(&status, "VmHWM:").context("no VmHWM")?,
    })
}

fn megabytes(text: &str, name: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kilobytes: u32 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(f64::from(kilobytes) * 1_024.0 / 1_000_000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_grows_with_work_and_is_finer_than_a_tick() {
        let before = cpu("self").unwrap();
        let mut work = 0_u64;
        // Far less than a hundredth of a second.
        while cpu("self").unwrap() <= before {
            work = std::hint::black_box(work.wrapping_add(1));
        }
        assert!(cpu(&std::process::id().to_string()).unwrap() > before);
        assert!(cpu("no number").is_err());
    }

    #[test]
    fn memory_is_in_decimal_megabytes() {
        assert_eq!(megabytes("Name:\tx\nVmRSS:\t   15625 kB\n", "VmRSS:"), Some(16.0));
    }

    #[test]
    fn the_ports_are_in_the_record_that_the_servers_listen() {
        let line = r#"{"message":"listening","http_port":4711,"metrics_port":1}"#;
        assert_eq!(ports(line), Some((4711, 1)));
        assert_eq!(ports("starting"), None);
    }
}
