//! The work queues of ticket lines, and the task results that lead to them. Names come with stray blanks, as in Bruin.

/// A work queue (Bruin: task).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Queue {
    /// Id of the task.
    pub id: i64,
    /// Name as Bruin sends it.
    pub name: &'static str,
}

/// A result that moves a line to a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaskResult {
    /// `resultTypeId`.
    pub id: i64,
    /// `resultName`; null for one that people cannot choose.
    pub name: Option<&'static str>,
    /// Where it leads.
    pub leads_to: Queue,
}

/// Where a line created by the engine starts.
pub const IPA: Queue = Queue { id: 341, name: "IPA Investigate" };
const HNOC: Queue = Queue { id: 342, name: "HNOC Investigate" };
const ASR: Queue = Queue { id: 343, name: "ASR Investigate" };
const HOLMDEL: Queue = Queue { id: 344, name: "Holmdel NOC Investigate " };
const WIRELESS: Queue = Queue { id: 345, name: "Wireless Repair Intervention Needed" };
const COMPLETED: Queue = Queue { id: 346, name: "Repair Completed" };

/// The results that every line offers.
pub const RESULTS: [TaskResult; 7] = [
    TaskResult { id: 139, name: None, leads_to: HOLMDEL },
    TaskResult { id: 620, name: Some("No Trouble Found - Carrier Issue"), leads_to: ASR },
    TaskResult { id: 621, name: Some("Wireless Repair Intervention Needed "), leads_to: WIRELESS },
    TaskResult { id: 622, name: Some("HNOC Investigate "), leads_to: HNOC },
    TaskResult { id: 623, name: Some("Holmdel NOC Investigate "), leads_to: HOLMDEL },
    TaskResult { id: 624, name: Some(" IPA Investigate"), leads_to: IPA },
    TaskResult { id: 625, name: Some("Repair Completed"), leads_to: COMPLETED },
];

/// The queue a result leads to.
pub fn after_result(id: i64) -> Option<Queue> {
    RESULTS.iter().find(|result| result.id == id).map(|result| result.leads_to)
}
