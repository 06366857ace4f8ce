//! The business rules: pure functions from facts to decisions. No I/O, no clock, no logging.
//!
//! A rule that decides to do nothing says why ([`Refusal`]); the shell records both kinds of decision.

pub mod asr;
pub mod autoresolve;
pub mod creation;
pub mod detection;
pub mod digi;
pub mod documentation;
pub mod hnoc;
pub mod severity;

/// Why nothing is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The rule that stopped the work, e.g. `autoresolve.creator`.
    pub rule: &'static str,
    /// Completes "nothing was done because ...".
    pub reason: String,
}

impl Refusal {
    /// A refusal by `rule`.
    pub fn new(rule: &'static str, reason: impl Into<String>) -> Self {
        Self { rule, reason: reason.into() }
    }
}

/// What a rule says: do this, or why nothing is done.
pub type Ruling<T> = Result<T, Refusal>;

/// What a rule says of facts which may not be all it can ask for: the shell gathers facts only as far as they are needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next<T> {
    /// Do this.
    Act(T),
    /// So far nothing speaks against it: look up what is not known yet.
    Ask,
}

/// `CURRENT_ENVIRONMENT`: the gate of all ticket changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment(pub String);

impl Environment {
    /// Whether tickets may be changed.
    pub fn is_production(&self) -> bool {
        self.0 == "production"
    }
}
