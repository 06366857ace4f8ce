//! Severities of tickets.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How severe a ticket is: 1 High, 2 Medium High, 3 Medium Low, 4 Low.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Severity(pub i64);

impl Severity {
    /// What people call it.
    pub fn name(self) -> &'static str {
        match self.0 {
            1 => "High",
            2 => "Medium High",
            3 => "Medium Low",
            4 => "Low",
            _ => "unknown",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn severities_have_names() {
        assert_eq!(
            [1, 2, 3, 4, 5].map(|n| Severity(n).name()),
            ["High", "Medium High", "Medium Low", "Low", "unknown"]
        );
    }
}
