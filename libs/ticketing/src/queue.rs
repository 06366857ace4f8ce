//! Work queues (task results) to which a line's task is moved.

use std::fmt;

use serde::Serialize;

/// Where a task goes. Bruin knows these by name, exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub enum WorkQueue {
    /// People investigate.
    #[serde(rename = "HNOC Investigate")]
    HnocInvestigate,
    /// The task result which leads to the ASR queue (`ASR Investigate`).
    #[serde(rename = "No Trouble Found - Carrier Issue")]
    CarrierIssue,
    /// The wireless team.
    #[serde(rename = "Wireless Repair Intervention Needed")]
    WirelessRepair,
}

impl WorkQueue {
    /// The name which Bruin knows.
    pub fn name(self) -> &'static str {
        match self {
            Self::HnocInvestigate => "HNOC Investigate",
            Self::CarrierIssue => "No Trouble Found - Carrier Issue",
            Self::WirelessRepair => "Wireless Repair Intervention Needed",
        }
    }

    /// The task a line is at after it was moved there.
    pub fn leads_to(self) -> &'static str {
        match self {
            Self::CarrierIssue => "ASR Investigate",
            Self::HnocInvestigate | Self::WirelessRepair => self.name(),
        }
    }
}

impl fmt::Display for WorkQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queues_are_written_as_bruin_knows_them() {
        for queue in [WorkQueue::HnocInvestigate, WorkQueue::CarrierIssue, WorkQueue::WirelessRepair] {
            assert_eq!(serde_json::to_value(queue).unwrap(), queue.name());
        }
        assert_eq!(WorkQueue::CarrierIssue.leads_to(), "ASR Investigate");
    }
}
