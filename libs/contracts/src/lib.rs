//! Every NATS subject of the fleet, once.
//!
//! A subject is a type: it names its queue group, its request and reply types, how long requesters wait and whether
//! answering it changes anything. Requesters call `bus.request::<TicketDetails>(..)`, repliers
//! `bus.serve::<TicketDetails, _, _>(..)`: a wrong field is a compile error on both sides.
//!
//! - [`Rpc`] is the contract of one subject, [`Request`] says how its parameters are read (and refused, with the text
//!   the specification gives), [`Incoming`] is what a replier received.
//! - One module for each replier: its subjects and their wire types.
//! - [`catalogue`] is all of it as data, for tools.
//! - [`json`] reads what old peers really send: `NaN`, lone surrogates, repeated keys.

pub mod bruin;
pub mod catalogue;
pub mod cts;
pub mod customer_cache;
pub mod digi;
mod dispatches;
pub mod dri;
pub mod email_tagger;
mod fields;
pub mod hawkeye;
pub mod hawkeye_customer_cache;
pub mod id;
pub mod incoming;
pub mod instant;
pub mod json;
pub mod json_text;
pub mod lenient;
pub mod lit;
pub mod notifier;
mod raw_fields;
pub mod repair_tickets;
pub mod rows;
mod subjects;
pub mod t7;
pub mod velocloud;

use std::time::Duration;

use serde::{Serialize, de::DeserializeOwned};

pub use incoming::{Incoming, Rejected};
pub use raw_fields::RawFields;

/// The contract of one subject (spec `00-messaging`, "Subject catalogue").
pub trait Rpc: Send + Sync + 'static {
    /// The NATS subject, e.g. `bruin.ticket.details.request`.
    const SUBJECT: &'static str;
    /// The queue group of every replica, old or new, that answers [`Self::SUBJECT`].
    const QUEUE: &'static str;
    /// Whether answering changes something at a third party. Writes are de-duplicated by their `request_id`.
    const EFFECT: Effect;
    /// How long a requester waits unless it says otherwise.
    const TIMEOUT: Duration;
    /// The time within which a replier answers, below the smallest timeout of any known caller.
    const ANSWER_WITHIN: Duration;
    /// Where the parameters lie in the envelope.
    const CARRIER: Carrier = Carrier::Body;
    /// Refusal of what is no JSON object at all (spec `00-messaging`, "Examples" 8), unless the subject has its own text.
    const MALFORMED: &'static str = "request is not a JSON object";

    /// What the requester asks.
    type Request: Request;
    /// What a success (2xx) carries in `body`.
    type Reply: Serialize + DeserializeOwned + Send + 'static;
}

/// Whether a request changes something outside the fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Safe to repeat.
    Read,
    /// Never re-sent blindly; a repeated `request_id` is answered from the dedupe store.
    Write,
}

/// Where the parameters of a request lie in its envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carrier {
    /// Under `body`, as nearly everywhere; replies carry `request_id`, `body` and `status`.
    Body,
    /// Beside `request_id` (the notifier's Slack and e-mail subjects); replies carry `request_id` and `status` only.
    TopLevel,
}

/// The parameters of a subject: how they are written by a requester and read by a replier.
pub trait Request: Serialize + Sized + Send + Sync + 'static {
    /// Reads and validates a received request.
    ///
    /// # Errors
    /// [`Rejected`] with the status and text which the subject's "validation" table gives.
    fn parse(incoming: &Incoming<'_>) -> Result<Self, Rejected>;
}
