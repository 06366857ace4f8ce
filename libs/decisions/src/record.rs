//! What the ledger keeps.

use std::{fmt, str::FromStr};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Whether decisions are carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Decisions are carried out.
    #[default]
    Live,
    /// Decisions are recorded; nothing is touched.
    Shadow,
}

impl Mode {
    /// `live` or `shadow`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Shadow => "shadow",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that names no [`Mode`].
#[derive(Debug, thiserror::Error)]
#[error("`live` or `shadow` was expected")]
pub struct ParseModeError;

impl FromStr for Mode {
    type Err = ParseModeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "live" => Ok(Self::Live),
            "shadow" => Ok(Self::Shadow),
            _ => Err(ParseModeError),
        }
    }
}

/// One line of the ledger.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// When it was written.
    pub at: DateTime<Utc>,
    /// The service that decided.
    pub service: String,
    /// Whether the decision is carried out.
    pub mode: Mode,
    /// The device's serial number.
    pub device: String,
    /// The rule that decided.
    pub rule: String,
    /// What is told of the decision.
    #[serde(flatten)]
    pub step: Step,
}

/// What a [`Record`] tells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum Step {
    /// Nothing is done.
    Abstained {
        /// Completes "nothing was done because ...".
        reason: String,
        /// What the rule looked at.
        facts: Value,
    },
    /// An action is about to be carried out (live) or would be (shadow).
    Intent {
        /// The action's name.
        action: String,
        /// What it is done to.
        target: String,
        /// The action's parameters.
        details: Value,
        /// What the rule looked at.
        facts: Value,
    },
    /// What came of an intent.
    Outcome {
        /// The action's name.
        action: String,
        /// What it was done to.
        target: String,
        /// How it ended.
        #[serde(flatten)]
        outcome: Outcome,
    },
}

/// How an action ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// Carried out.
    Done,
    /// A look showed that it had been done already.
    FoundDone,
    /// The third party refused; nothing was changed.
    Refused {
        /// Status of the bridge's reply.
        status: u16,
        /// The beginning of the reply's text.
        reason: String,
    },
    /// Neither the action nor a look gave an answer: it may have been carried out. The next cycle looks again.
    Unknown {
        /// What went wrong.
        reason: String,
    },
}

impl Outcome {
    /// The word in metrics and logs.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::FoundDone => "found_done",
            Self::Refused { .. } => "refused",
            Self::Unknown { .. } => "unknown",
        }
    }
}
