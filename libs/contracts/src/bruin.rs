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

/// Declares subjects: a type, the subject, its effect, how long requesters wait and within which time the bridge
/// answers (below the smallest timeout of its callers), all in seconds.
macro_rules! subjects {
    ($($(#[$doc:meta])* $name:ident: $subject:literal, $effect:ident, wait $wait:literal, answer $answer:literal,
        $request:ty => $reply:ty;)+) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name;

        impl crate::Rpc for $name {
            const SUBJECT: &'static str = $subject;
            const QUEUE: &'static str = crate::bruin::QUEUE;
            const EFFECT: crate::Effect = crate::Effect::$effect;
            const TIMEOUT: std::time::Duration = std::time::Duration::from_secs($wait);
            const ANSWER_WITHIN: std::time::Duration = std::time::Duration::from_secs($answer);
            type Request = $request;
            type Reply = $reply;
        }
    )+};
}
use subjects;

#[cfg(test)]
mod tests;
