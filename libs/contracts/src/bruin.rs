//! The subjects of bruin-bridge (spec `bruin-bridge`, "Serves"): one file for each topic.
//!
//! Requests are built by requesters from public fields and read by the bridge with [`Request::parse`](crate::Request),
//! which refuses with the texts of the specification. A required field that is null is refused like an absent one
//! (spec, Improve 3 and 9). Replies are typed for what callers read and lenient: one odd value never costs the rest.

mod email;
mod filter;
mod inventory;
mod later;
mod notes;
mod outage;
mod path;
mod tickets;
mod work_queues;

pub use email::*;
pub use filter::{Filter, Filters, Scalar};
pub use inventory::*;
pub use later::*;
pub use notes::*;
pub use outage::*;
pub use tickets::*;
pub use work_queues::*;

/// The queue group of every subject of the bridge.
pub const QUEUE: &str = "bruin_bridge";

#[cfg(test)]
mod tests;
