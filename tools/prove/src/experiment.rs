//! What an experiment is, how much of it is made, and what it comes to.

use std::fmt;
use std::path::PathBuf;

use futures::future::BoxFuture;

/// A promise of the engine (nats.md, "Promises").
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Promise {
    /// One open ticket for each device and outage kind.
    P1,
    /// Every outage longer than two cycles is acted on once its dependencies are back.
    P2,
    /// No request stays unanswered over rolling restarts.
    P3,
    /// Nothing is executed after the requester's deadline.
    P4,
    /// When the acting replica is killed another takes over within 15 s, and no action is doubled.
    P5,
    /// Memory is flat over a million unanswered requests.
    P6,
    /// When a server is killed or in lame duck mode, recovery takes less than 5 s and no person.
    P7,
    /// Shadow decisions equal the live ones on the same world.
    P8,
}

impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// How much of an experiment is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    /// Seconds: all of them together stay below three minutes, also with debug binaries.
    Short,
    /// What the promises say.
    Full,
}

impl Effort {
    /// One of two, by the effort.
    pub fn pick<T>(self, short: T, full: T) -> T {
        match self {
            Self::Short => short,
            Self::Full => full,
        }
    }
}

/// What an experiment gets.
#[derive(Debug, Clone)]
pub struct Lab {
    /// How much is made.
    pub effort: Effort,
    /// What everything random is made from: the same seed makes the same experiment.
    pub seed: u64,
    /// Where the services' programs are.
    pub binaries: PathBuf,
    /// Where the services' logs go; searched for secrets afterwards.
    pub logs: PathBuf,
}

/// An experiment.
pub trait Experiment: Send + Sync {
    /// Its name on the command line.
    fn name(&self) -> &'static str;

    /// What is done, in a sentence.
    fn about(&self) -> &'static str;

    /// What it proves.
    fn promises(&self) -> &'static [Promise];

    /// Makes it. An error is a verdict too: it could not be made to the end.
    fn run<'a>(&'a self, lab: &'a Lab) -> BoxFuture<'a, anyhow::Result<Outcome>>;
}

/// What an experiment comes to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Outcome {
    /// Figures, in the order in which they are shown.
    pub figures: Vec<(String, String)>,
    /// What must be so, and whether it is.
    pub checks: Vec<Check>,
    /// What was not done, and why.
    pub skipped: Vec<String>,
}

/// Something that must be so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// E.g. `no request is lost`.
    pub what: String,
    /// Whether it is so.
    pub holds: bool,
    /// What was found.
    pub found: String,
}

impl Outcome {
    /// Adds a figure.
    pub fn figure(&mut self, name: &str, value: impl fmt::Display) {
        self.figures.push((name.to_owned(), value.to_string()));
    }

    /// Adds what must be so.
    pub fn check(&mut self, what: impl Into<String>, holds: bool, found: impl fmt::Display) {
        self.checks.push(Check { what: what.into(), holds, found: found.to_string() });
    }

    /// Adds what must be so in time. The short form is a test, also of machines that have more to do: there it is a figure.
    pub fn in_time(
        &mut self,
        effort: Effort,
        what: impl Into<String>,
        holds: bool,
        found: impl fmt::Display,
    ) {
        match effort {
            Effort::Short => self.figure(&what.into(), found),
            Effort::Full => self.check(what, holds, found),
        }
    }

    /// Adds that a count must be zero.
    pub fn none(&mut self, what: impl Into<String>, count: usize) {
        self.check(what, count == 0, measure::figures::count(count));
    }

    /// Adds what was not done, and why.
    pub fn skip(&mut self, what: impl Into<String>) {
        self.skipped.push(what.into());
    }

    /// Whether everything is so.
    pub fn holds(&self) -> bool {
        !self.checks.is_empty() && self.checks.iter().all(|check| check.holds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_holds_when_all_of_it_holds() {
        let mut outcome = Outcome::default();
        assert!(!outcome.holds(), "nothing was proven");
        outcome.none("lost", 0);
        assert!(outcome.holds());
        outcome.in_time(Effort::Short, "at once", false, "1 s");
        assert!(outcome.holds());
        let mut late = outcome.clone();
        late.in_time(Effort::Full, "at once", false, "1 s");
        assert!(!late.holds());
        outcome.none("doubled", 1);
        assert!(!outcome.holds());
    }
}
