//! How monitors act.
//!
//! Rules are pure: they turn facts into a list of decisions. This crate is the one place that carries a decision out
//! (architecture, rule 2):
//!
//! - [`Executor`] writes the intent before and the outcome after each action. When an action's outcome is unknown (a
//!   timeout: it may have been executed) it *looks* in the third party before it repeats. In shadow mode
//!   (`DECISION_MODE=shadow`) it records what it would have done and touches nothing.
//! - [`Decision`] is what a rule decided for one device: an action, or "nothing, because ...".
//! - [`Ledger`] keeps facts, rule, intent and outcome in a JetStream stream when the server has one, else in log lines.
//! - [`Story`] is what it tells of one device: the last decision of each rule.
//! - [`Entry`] is a line of a recording: with the facts and the [`Settings`] in force a decision can be made again.

mod decision;
mod executor;
mod ledger;
mod reading;
mod record;
mod story;

pub use decision::{Action, Decision, Verdict};
pub use executor::{Carried, Executor, Failure, Look};
pub use ledger::{Ledger, STREAM, TRACE_CONTEXT};
pub use reading::{LOOK_BACK, ReadError};
pub use record::{Entry, Mode, Outcome, ParseModeError, Record, Settings, Step};
pub use story::Story;
