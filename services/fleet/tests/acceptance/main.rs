//! The fleet as a whole, over real sockets: real NATS and Redis, every service, and the sandbox for every third party.
//!
//! - [`stage`] puts servers, sandbox and services up; [`programs`] runs services as processes of their own; [`subjects`]
//!   has one good request for every subject.
//! - [`discovery`]: `fleet services` lists them all.
//! - [`drop_in`]: each program alone, with nothing but its specification's environment.
//! - [`hostile`]: thousands of malformed messages on every subject.
//! - [`failures`]: what is missing, wrong, full or dead, and that nothing accepted is lost.
//! - [`old_and_new`]: beside services of the existing deployment.
//! - [`shadow`]: a shadow monitor beside its live twin.
//! - [`page`]: what a visitor's browser asks; [`why`] and [`replay`]: the commands that explain.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test ends when something is missing"
)]

mod discovery;
mod drop_in;
mod failures;
mod hostile;
mod old_and_new;
mod page;
mod programs;
mod replay;
mod shadow;
mod stage;
mod subjects;
mod why;
