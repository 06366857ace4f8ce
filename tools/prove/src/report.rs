//! One line for each experiment as it ends, and the table of `docs/proof.md`.

use std::time::Duration;

use chrono::{DateTime, Utc};
use measure::{figures::time, page};

use crate::experiment::{Effort, Experiment, Outcome};

/// An experiment that was made.
struct Entry {
    name: &'static str,
    about: &'static str,
    promises: String,
    seed: u64,
    took: Duration,
    /// When it ended.
    made: DateTime<Utc>,
    outcome: Outcome,
}

/// All experiments that were made, told as they end.
pub(crate) struct Report {
    effort: Effort,
    entries: Vec<Entry>,
    before: page::Before,
}

impl Report {
    /// None yet.
    pub(crate) fn new(effort: Effort) -> Self {
        Self { effort, entries: Vec::new(), before: page::Before::now() }
    }

    /// Adds one and prints its line.
    pub(crate) fn add(&mut self, experiment: &dyn Experiment, seed: u64, took: Duration, outcome: Outcome) {
        let promises: Vec<String> = experiment.promises().iter().map(ToString::to_string).collect();
        let entry = Entry {
            name: experiment.name(),
            about: experiment.about(),
            promises: promises.join(", "),
            seed,
            took,
            made: Utc::now(),
            outcome,
        };
        println!("{}", entry.line());
        self.entries.push(entry);
    }

    /// Whether every experiment holds.
    pub(crate) fn holds(&self) -> bool {
        self.entries.iter().all(|entry| entry.outcome.holds())
    }

    /// The table in Markdown, with the machine it is from. Of the table `before` it keeps the rows of experiments that
    /// were not made now.
    pub(crate) fn table(&self, before: &str) -> String {
        let effort = self.effort.pick("Short form: less of everything. ", "");
        let mut text = format!("{effort}{}\n\n", page::machine(&self.before));
        text.push_str("| experiment | proves | figures | what must be so: what was found | verdict |\n");
        text.push_str("| --- | --- | --- | --- | --- |\n");
        for experiment in crate::all() {
            let name = experiment.name();
            let made = self.entries.iter().find(|entry| entry.name == name).map(Entry::row);
            let kept = || before.lines().find(|line| line.starts_with(&beginning(name))).map(str::to_owned);
            if let Some(row) = made.or_else(kept) {
                text.push_str(&row);
                text.push('\n');
            }
        }
        text
    }

    /// How many hold.
    pub(crate) fn summary(&self) -> String {
        let failed: Vec<&str> =
            self.entries.iter().filter(|entry| !entry.outcome.holds()).map(|entry| entry.name).collect();
        match failed.as_slice() {
            [] => format!("all {} experiments hold", self.entries.len()),
            failed => {
                format!("{} of {} experiments fail: {}", failed.len(), self.entries.len(), failed.join(", "))
            }
        }
    }
}

/// How the row of an experiment begins.
fn beginning(name: &str) -> String {
    format!("| **{name}** (")
}

impl Entry {
    fn row(&self) -> String {
        format!(
            "{}{}, seed {}, {}): {} | {} | {} | {} | {} |",
            beginning(self.name),
            self.made.format("%Y-%m-%d %H:%M"),
            self.seed,
            time(self.took),
            cell(self.about),
            self.promises,
            cell(&self.figures("; ")),
            cell(&self.checks()),
            self.verdict()
        )
    }

    fn line(&self) -> String {
        let Self { name, promises, seed, took, .. } = self;
        let proves = if promises.is_empty() { String::new() } else { format!(" [{promises}]") };
        format!(
            "{name}{proves} seed {seed}, {}: {}. {}. Verdict: {}",
            time(*took),
            self.figures("; "),
            self.checks(),
            self.verdict()
        )
    }

    fn figures(&self, between: &str) -> String {
        let shown = self.outcome.figures.iter().map(|(name, value)| format!("{name} {value}"));
        shown.collect::<Vec<_>>().join(between)
    }

    fn checks(&self) -> String {
        let shown = self.outcome.checks.iter().map(|check| {
            let failed = if check.holds { "" } else { " **(fails)**" };
            format!("{}: {}{failed}", check.what, check.found)
        });
        let skipped = self.outcome.skipped.iter().map(|what| format!("skipped: {what}"));
        shown.chain(skipped).collect::<Vec<_>>().join("; ")
    }

    fn verdict(&self) -> &'static str {
        if self.outcome.holds() { "holds" } else { "**fails**" }
    }
}

/// A text inside of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &'static str, outcome: Outcome) -> Entry {
        let (about, promises, made) = ("b", "P1".to_owned(), DateTime::UNIX_EPOCH);
        Entry { name, about, promises, seed: 7, took: Duration::from_secs(2), made, outcome }
    }

    #[test]
    fn rows_of_experiments_that_are_not_made_stay_in_their_order() {
        let report = |names: &[&'static str]| Report {
            entries: names.iter().map(|name| entry(name, Outcome::default())).collect(),
            ..Report::new(Effort::Full)
        };
        let rows = |table: &str| -> Vec<String> {
            let rows = table.lines().filter(|line| line.starts_with("| **"));
            rows.map(|row| row.split_inclusive(')').next().unwrap_or_default().to_owned()).collect()
        };
        let before = report(&["worlds", "scale", "soak"]).table("").replace("seed 7", "seed 6");
        assert_eq!(
            rows(&report(&["hostile", "scale"]).table(&before)),
            [
                "| **worlds** (1970-01-01 00:00, seed 6, 2.00 s)",
                "| **hostile** (1970-01-01 00:00, seed 7, 2.00 s)",
                "| **scale** (1970-01-01 00:00, seed 7, 2.00 s)",
                "| **soak** (1970-01-01 00:00, seed 6, 2.00 s)",
            ]
        );
    }

    #[test]
    fn a_line_has_figures_checks_and_verdict() {
        let mut outcome = Outcome::default();
        outcome.figure("requests", 12);
        outcome.none("lost", 0);
        outcome.check("doubled", false, "2 | 3");
        outcome.skip("c");
        let entry = entry("a", outcome);
        let expected = "a [P1] seed 7, 2.00 s: requests 12. lost: 0; doubled: 2 | 3 **(fails)**; skipped: c. \
                        Verdict: **fails**";
        assert_eq!(entry.line(), expected);
        assert_eq!(cell("2 | 3\n4"), "2 \\| 3 4");
    }
}
