//! The table: each figure beside its practical limit, and whether the targets are met.

use std::fmt::Write as _;

use measure::page;

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
    before: page::Before,
}

impl Report {
    pub(crate) fn new() -> Self {
        Self { rows: Vec::new(), before: page::Before::now() }
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
        let mut text = format!("{}\n\n", page::machine(&self.before));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_targets_are_met_together_or_not_at_all() {
        let both = Target::all([Target::below("CPU", " s", 0.5, 1.0), Target::at_least("ratio", 0.79, 0.8)]);
        assert_eq!((both.text.as_str(), both.met), ("CPU below 1 s, ratio at least 0.8", false));
    }
}
