//! A table between the markers of a page, and the machine it was measured on.

use std::path::Path;
use std::process::Command;

use anyhow::Context;

/// Where the table begins in the page, and where it ends.
const BEGIN: &str = "<!-- measured: begin -->";
const END: &str = "<!-- measured: end -->";

/// Puts a table into a page, between its markers.
///
/// # Errors
/// When the page cannot be read or written, or has no markers.
pub fn write(page: &Path, table: &str) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(page).with_context(|| format!("cannot read {}", page.display()))?;
    let text =
        replaced(&text, table).with_context(|| format!("{} has no {BEGIN} .. {END}", page.display()))?;
    std::fs::write(page, text).with_context(|| format!("cannot write {}", page.display()))
}

/// The table that stands between the markers of a page.
///
/// # Errors
/// When the page cannot be read, or has no markers.
pub fn read(page: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(page).with_context(|| format!("cannot read {}", page.display()))?;
    let table = parts(&text).map(|(_, table, _)| table.trim().to_owned());
    table.with_context(|| format!("{} has no {BEGIN} .. {END}", page.display()))
}

fn replaced(page: &str, table: &str) -> Option<String> {
    let (before, _, after) = parts(page)?;
    Some(format!("{before}{BEGIN}\n\n{}\n\n{END}{after}", table.trim()))
}

/// What stands before, between and after the markers.
fn parts(page: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = page.split_once(BEGIN)?;
    let (between, after) = rest.split_once(END)?;
    Some((before, between, after))
}

/// What a machine did when the measurements began.
#[derive(Debug, Clone)]
pub struct Before {
    load: String,
    used: Used,
}

impl Before {
    /// Now.
    #[must_use]
    pub fn now() -> Self {
        Self { load: load(), used: used() }
    }
}

/// The processors' time since the machine's start, in ticks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Used {
    all: u64,
    /// In which this machine would have gone on, but others were on its processors.
    stolen: u64,
}

fn used() -> Used {
    read_used(&std::fs::read_to_string("/proc/stat").unwrap_or_default()).unwrap_or_default()
}

/// The first line of `/proc/stat`: user, nice, system, idle, iowait, irq, softirq, steal.
fn read_used(stat: &str) -> Option<Used> {
    let ticks = stat.lines().next()?.strip_prefix("cpu ")?.split_whitespace().take(8);
    let ticks: Vec<u64> = ticks.map(str::parse).collect::<Result<_, _>>().ok()?;
    Some(Used { all: ticks.iter().sum(), stolen: *ticks.get(7)? })
}

/// Processor, memory, kernel, servers, date, and what else the machine did since `before`.
pub fn machine(before: &Before) -> String {
    let file = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.split_once(':'))
            .map(|(_, value)| value.trim().to_owned())
            .unwrap_or_default()
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let (began, ended) = (before.used, used());
    let stolen = 100 * ended.stolen.saturating_sub(began.stolen) / ended.all.saturating_sub(began.all).max(1);
    let gigabytes = field(&file("/proc/meminfo"), "MemTotal").trim_end_matches("kB").trim().parse::<f64>();
    format!(
        "{} on {}, {cores} cores, {:.0} GB, Linux {}; {}; Redis {}. Load of the machine before: {}, after: {}; {stolen} % \
         of the processors' time was taken by other machines.",
        chrono::Utc::now().format("%Y-%m-%d"),
        field(&file("/proc/cpuinfo"), "model name"),
        gigabytes.unwrap_or_default() / 1e6,
        file("/proc/sys/kernel/osrelease").trim(),
        version("nats-server").replace(": v", " ").replace("nats-server", "NATS server"),
        version("redis-server").split_whitespace().find_map(|word| word.strip_prefix("v=")).unwrap_or("?"),
        before.load,
        load(),
    )
}

fn version(program: &str) -> String {
    let output = Command::new(program).arg("--version").output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}

/// The machine's load of the last minute.
fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().next().unwrap_or("?").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stands_between_the_markers_is_replaced() {
        let page = format!("# Page\n{BEGIN}\nold\n{END}\nEnd\n");
        let expected = format!("# Page\n{BEGIN}\n\n| new |\n\n{END}\nEnd\n");
        assert_eq!(replaced(&page, "| new |\n"), Some(expected));
        assert_eq!(replaced("# Page", "x"), None);
        assert_eq!(parts(&page), Some(("# Page\n", "\nold\n", "\nEnd\n")));
    }

    #[test]
    fn what_others_took_of_the_processors_is_known() {
        assert_eq!(read_used("cpu  1 2 3 4 5 6 7 8 9 10\ncpu0 1\n"), Some(Used { all: 36, stolen: 8 }));
        assert_eq!(read_used("cpu  1 2"), None);
        assert_ne!(used(), Used::default());
    }
}
