//! Models behind gRPC, as the bridges to them need it: one channel, deadlines, statuses and the JSON mapping of proto3.
//!
//! A bridge opens its [`Model`] with a [`Contract`] and a [`Config`], takes one [`Rpc`] for each method, and hands it
//! JSON; what comes back is JSON or a [`CallError`], which knows its reply:
//!
//! - **Channel**: one for the process. It connects with the first call and again whenever it is lost; a model that is
//!   down does not stop the start.
//! - **Deadline**: the smaller one of the setting's (120 s) and the requester's, told to the model as well. No repetitions.
//! - **Limit**: calls in flight are bounded; beyond the bound the reply is a 503.
//! - **JSON**: [`Reading`] turns it into the contract's messages and says which field does not fit; replies come with
//!   every scalar written, see [`json`].
//! - **Trust**: as [`upstream::trusted_roots`]; `UPSTREAM_OVERRIDES` such as `host=grpc://127.0.0.1:5051` lead elsewhere.
//!
//! The contracts are the `.proto` files of this crate. No code is generated from them: messages are dynamic, so a field
//! more in a contract is a line in its file. With the feature `server`, [`server`] answers them (sandbox and tests).

mod channel;
mod codec;
mod config;
mod contract;
mod error;
mod json;
mod metrics;
mod model;
mod reading;
#[cfg(feature = "server")]
pub mod server;
mod wire;

pub use config::Config;
pub use contract::{Contract, UnusableContract};
pub use error::{CallError, OpenError, SURELY_NOT_EXECUTED, code_name, reply_status};
pub use json::json;
pub use model::{Model, Rpc};
pub use reading::{Mismatch, Reading, Unknown};
pub use tonic::{Code, Status};
