//! The table: each figure beside its practical limit, and whether the targets are met.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use anyhow::Context;

/// Where the table begins in the page, and where it ends.
const BEGIN: &str = "<!-- measured: begin -->";
const END: &str = "<!-- measured: end -->";

/// One row.
pub(crate) struct Row {
    /// What was measured, and on what.
    pub(crate) what: String,
    /// What the fleet does.
    pub(crate) ours: String,
    /// What is practically possible; empty when nothing can be compared.
    pub(crate) limit: String,
    /// The first as a part or a multiple of the second.
    pub(crate) ratio: Option<f64>,
    /// The target, and whether it is met.
    pub(crate) target: Option<Target>,
}

/// A figure that must be reached.
pub(crate) struct Target {
    /// E.g. `CPU below 1 s`.
    text: String,
    met: bool,
}

impl Target {
    /// `figure` must be below `bound`.
    pub(crate) fn below(what: &str, unit: &str, figure: f64, bound: f64) -> Self {
        Self { text: format!("{what} below {bound}{unit}"), met: figure < bound }
    }

    /// `figure` must be at least `bound`.
    pub(crate) fn at_least(what: &str, figure: f64, bound: f64) -> Self {
        Self { text: format!("{what} at least {bound}"), met: figure >= bound }
    }

    /// All of them.
    pub(crate) fn all(targets: impl IntoIterator<Item = Self>) -> Self {
        let targets: Vec<Self> = targets.into_iter().collect();
        let texts: Vec<&str> = targets.iter().map(|target| target.text.as_str()).collect();
        Self { text: texts.join(", "), met: targets.iter().all(|target| target.met) }
    }

    fn verdict(&self) -> &'static str {
        if self.met { "met" } else { "**missed**" }
    }
}

/// All rows, told as they come.
pub(crate) struct Report {
    rows: Vec<Row>,
    load_before: String,
}

impl Report {
    pub(crate) fn new() -> Self {
        Self { rows: Vec::new(), load_before: load() }
    }

    pub(crate) fn add(&mut self, row: Row) {
        let limit = if row.limit.is_empty() { String::new() } else { format!("  | limit: {}", row.limit) };
        let ratio = row.ratio.map(|ratio| format!("  | {ratio:.2}")).unwrap_or_default();
        let target = row.target.as_ref();
        let verdict =
            target.map(|target| format!("  | {}: {}", target.text, target.verdict())).unwrap_or_default();
        println!("{}: {}{limit}{ratio}{verdict}", row.what, row.ours);
        self.rows.push(row);
    }

    /// The table in Markdown, with the machine it is from.
    pub(crate) fn table(&self) -> String {
        let mut text = format!("{}\n\n", machine(&self.load_before));
        text.push_str("| what | measured | practical limit | ratio | target |\n");
        text.push_str("| --- | --- | --- | --- | --- |\n");
        for row in &self.rows {
            let ratio = row.ratio.map(|ratio| format!("{ratio:.2}")).unwrap_or_default();
            let target = row.target.as_ref();
            let target =
                target.map(|target| format!("{}: {}", target.text, target.verdict())).unwrap_or_default();
            let _ = writeln!(text, "| {} | {} | {} | {ratio} | {target} |", row.what, row.ours, row.limit);
        }
        text
    }

    /// How many targets are met.
    pub(crate) fn summary(&self) -> String {
        let targets: Vec<&Row> = self.rows.iter().filter(|row| row.target.is_some()).collect();
        let missed = targets.iter().filter(|row| row.target.as_ref().is_some_and(|target| !target.met));
        let missed: Vec<&str> = missed.map(|row| row.what.as_str()).collect();
        match missed.as_slice() {
            [] => format!("all {} targets are met", targets.len()),
            missed => format!("{} of {} targets missed: {}", missed.len(), targets.len(), missed.join("; ")),
        }
    }
}

/// Puts the table into the page, between its markers.
pub(crate) fn write(page: &Path, table: &str) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(page).with_context(|| format!("cannot read {}", page.display()))?;
    let text =
        replaced(&text, table).with_context(|| format!("{} has no {BEGIN} .. {END}", page.display()))?;
    std::fs::write(page, text).with_context(|| format!("cannot write {}", page.display()))
}

fn replaced(page: &str, table: &str) -> Option<String> {
    let (before, rest) = page.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n\n{}\n\n{END}{after}", table.trim()))
}

/// Processor, memory, kernel, servers, date, and what else the machine did.
fn machine(load_before: &str) -> String {
    let file = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.split_once(':'))
            .map(|(_, value)| value.trim().to_owned())
            .unwrap_or_default()
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let gigabytes = field(&file("/proc/meminfo"), "MemTotal").trim_end_matches("kB").trim().parse::<f64>();
    format!(
        "{} on {}, {cores} cores, {:.0} GB, Linux {}; {}; Redis {}. Load of the machine before: {load_before}, after: {}.",
        chrono::Utc::now().format("%Y-%m-%d"),
        field(&file("/proc/cpuinfo"), "model name"),
        gigabytes.unwrap_or_default() / 1e6,
        file("/proc/sys/kernel/osrelease").trim(),
        version("nats-server").replace(": v", " ").replace("nats-server", "NATS server"),
        version("redis-server").split_whitespace().find_map(|word| word.strip_prefix("v=")).unwrap_or("?"),
        load(),
    )
}

fn version(program: &str) -> String {
    let output = Command::new(program).arg("--version").output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}

/// The load of the last minute.
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
    }

    #[test]
    fn several_targets_are_met_together_or_not_at_all() {
        let both = Target::all([Target::below("CPU", " s", 0.5, 1.0), Target::at_least("ratio", 0.79, 0.8)]);
        assert_eq!((both.text.as_str(), both.met), ("CPU below 1 s, ratio at least 0.8", false));
    }
}
