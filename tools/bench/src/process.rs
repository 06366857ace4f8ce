//! Programs as processes of their own, and what `/proc` says of them.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

/// Whatever takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(120);
/// What a helper writes when it can be used; an address may follow.
const READY: &str = "ready";

/// A running program. Killed when dropped.
pub(crate) struct Program {
    child: Child,
    pid: u32,
    began: Instant,
}

/// What a process has used.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Memory {
    /// Resident now, in MB.
    pub(crate) resident: f64,
    /// Of that, its share, in MB: pages that several processes map count in parts.
    pub(crate) share: f64,
    /// Of the resident ones, those that are its own and no file's, in MB.
    pub(crate) anonymous: f64,
    /// The most that was resident so far, in MB.
    pub(crate) peak: f64,
}

/// The folder of this program, where cargo puts all others too.
pub(crate) fn own_folder() -> anyhow::Result<PathBuf> {
    let program = std::env::current_exe().context("where is this program?")?;
    Ok(program.parent().context("this program has no folder")?.to_owned())
}

impl Program {
    /// This program again as a helper; waits until it can be used and returns what it says then.
    pub(crate) async fn helper(arguments: &[&str]) -> anyhow::Result<(Self, String)> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(arguments);
        let (program, mut lines) = Self::spawn(command)?;
        let said = timeout(PATIENCE, lines.next_line()).await.context("a helper is not ready")??;
        let said = said.with_context(|| format!("the helper {arguments:?} ended"))?;
        let said =
            said.strip_prefix(READY).with_context(|| format!("a helper says {said:?}"))?.trim().to_owned();
        drain(lines);
        Ok((program, said))
    }

    /// This program again, until it ends; returns what it says after being ready.
    pub(crate) async fn helper_result(arguments: &[&str]) -> anyhow::Result<String> {
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

    /// A service with nothing but `environment`, on free ports; returns the HTTP port as soon as it listens.
    pub(crate) async fn service(
        binaries: &Path,
        name: &str,
        environment: &[(String, String)],
    ) -> anyhow::Result<(Self, u16)> {
        let file = binaries.join(name);
        if !file.is_file() {
            bail!("{} is missing: run scripts/bench", file.display());
        }
        let mut command = Command::new(file);
        command.env_clear().envs(environment.iter().map(|(name, value)| (name, value)));
        command.env("HTTP_PORT", "0").env("METRICS_PORT", "0");
        let (program, mut lines) = Self::spawn(command)?;
        loop {
            let line = timeout(PATIENCE, lines.next_line())
                .await
                .with_context(|| format!("{name} does not listen"))??;
            let line = line.with_context(|| format!("{name} ended at its start"))?;
            if let Some(port) = http_port(&line) {
                drain(lines);
                return Ok((program, port));
            }
        }
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
    pub(crate) fn began(&self) -> Instant {
        self.began
    }

    /// The processor time it has used so far, by all threads, in seconds.
    pub(crate) fn cpu(&self) -> anyhow::Result<f64> {
        cpu(&self.pid.to_string())
    }

    /// Its memory.
    pub(crate) fn memory(&self) -> anyhow::Result<Memory> {
        memory(&self.pid.to_string())
    }

    /// Ends it as an operator does and waits for that.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        let pid =
            i32::try_from(self.pid).ok().and_then(rustix::process::Pid::from_raw).context("no process id")?;
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        timeout(Duration::from_secs(12), self.child.wait()).await.context("it does not stop")??;
        Ok(())
    }
}

/// Runs a helper until its work or its standard input ends.
pub(crate) async fn helping(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<ExitCode> {
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
pub(crate) fn say(text: &str) {
    println!("{READY} {text}");
}

/// Reads on, so that the program never waits for its reader.
fn drain(mut lines: Lines<BufReader<ChildStdout>>) {
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
}

fn http_port(line: &str) -> Option<u16> {
    serde_json::from_str::<serde_json::Value>(line).ok()?.get("http_port")?.as_u64()?.try_into().ok()
}

/// Processor time of a process (`self` is one) in seconds.
pub(crate) fn cpu(pid: &str) -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).context("the process is gone")?;
    let ticks = used_ticks(&stat).context("/proc/<pid>/stat is another one than expected")?;
    let per_second = u32::try_from(rustix::param::clock_ticks_per_second()).context("clock ticks")?;
    Ok(f64::from(ticks) / f64::from(per_second))
}

/// `utime` and `stime`, the 14th and 15th field; the second one is a name in parentheses that may hold anything.
fn used_ticks(stat: &str) -> Option<u32> {
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<u32>().ok();
    Some(next()? + next()?)
}

/// Memory of a process (`self` is one).
pub(crate) fn memory(pid: &str) -> anyhow::Result<Memory> {
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
    fn processor_time_is_read_behind_any_name() {
        let stat = "42 (a (b) c) S 1 42 42 0 -1 4194560 100 0 0 0 17 5 0 0 20 0 5 0 100 1000 200";
        assert_eq!(used_ticks(stat), Some(22));
    }

    #[test]
    fn memory_is_in_decimal_megabytes() {
        assert_eq!(megabytes("Name:\tx\nVmRSS:\t   15625 kB\n", "VmRSS:"), Some(16.0));
    }

    #[test]
    fn the_port_is_in_the_record_that_the_servers_listen() {
        assert_eq!(http_port(r#"{"message":"listening","http_port":4711,"metrics_port":1}"#), Some(4711));
        assert_eq!(http_port("starting"), None);
    }
}
