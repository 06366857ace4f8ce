//! What the ledger keeps.

use std::{collections::BTreeMap, fmt, str::FromStr};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Whether decisions are carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
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
    /// Which [`Settings`] were in force, by their id; empty when that was not recorded.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub settings: String,
    /// What is told of the decision.
    #[serde(flatten)]
    pub step: Step,
}

/// The settings in force while decisions were made, so that they can be made again (and with others).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// What records call them.
    pub id: String,
    /// When this was written.
    pub at: DateTime<Utc>,
    /// The service that decides.
    pub service: String,
    /// Whether its decisions are carried out.
    pub mode: Mode,
    /// What is set, by the names of the environment. What is not set has its default.
    pub values: BTreeMap<String, String>,
}

impl Settings {
    /// The id of these values: the same values have the same one.
    pub(crate) fn id_of(values: &BTreeMap<String, String>) -> String {
        // FNV-1a: the same on every machine and in every version.
        let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
        for (name, value) in values {
            for byte in name.bytes().chain([0]).chain(value.bytes()).chain([0]) {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            }
        }
        format!("{hash:016x}")
    }
}

/// One line of a recording of the ledger.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
#[allow(clippy::large_enum_variant, reason = "nearly all are records")]
pub enum Entry {
    /// A decision, or what came of it.
    Record(Record),
    /// The settings in force.
    Settings(Settings),
}

impl Entry {
    /// The record, if it is one.
    pub fn record(&self) -> Option<&Record> {
        match self {
            Self::Record(record) => Some(record),
            Self::Settings(_) => None,
        }
    }

    /// Reads a line; `None` when it is none of a ledger.
    pub fn read(line: &[u8]) -> Option<Self> {
        // One after the other: the untagged enum would first make a tree of each line.
        if let Ok(record) = serde_json::from_slice(line) {
            return Some(Self::Record(record));
        }
        serde_json::from_slice(line).ok().map(Self::Settings)
    }
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
