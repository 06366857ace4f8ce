//! What a rule decided.

use serde::Serialize;
use serde_json::Value;

/// Something a monitor does at a third party, through a bridge.
pub trait Action: Serialize + Send + Sync {
    /// What is done, from a closed list, e.g. `append_note`: a metric label and the word in the ledger.
    fn name(&self) -> &'static str;

    /// What it is done to, e.g. `ticket 555 line 77`: two actions of one name and target are the same action.
    fn target(&self) -> String;
}

/// What a rule decided for one device at one moment, and from which facts.
#[derive(Debug, Clone)]
pub struct Decision<A> {
    /// The device's serial number.
    pub device: String,
    /// The rule that decided, named as in the specification, e.g. `autoresolve.grace`.
    pub rule: &'static str,
    /// The facts which the rule looked at: the same facts lead to the same decision.
    pub facts: Value,
    /// To act, or why not.
    pub verdict: Verdict<A>,
}

/// To act, or why not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict<A> {
    /// Do this.
    Act(A),
    /// Do nothing; the reason completes "nothing was done because ...".
    Abstain(String),
}

impl<A> Decision<A> {
    /// A decision to act.
    pub fn act(device: impl Into<String>, rule: &'static str, facts: Value, action: A) -> Self {
        Self { device: device.into(), rule, facts, verdict: Verdict::Act(action) }
    }

    /// A decision to do nothing, with the reason.
    pub fn abstain(
        device: impl Into<String>,
        rule: &'static str,
        facts: Value,
        reason: impl Into<String>,
    ) -> Self {
        Self { device: device.into(), rule, facts, verdict: Verdict::Abstain(reason.into()) }
    }
}
