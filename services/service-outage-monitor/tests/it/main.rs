//! `service-outage-monitor` from outside: one program, because linking costs more than compiling.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test ends when something is missing"
)]

mod autoresolve;
mod cycle;
mod forwards;
mod leaders;
mod lost_replies;
mod shadow;
mod tickets;
mod triage;
mod triage_trouble;
mod unfinished;
mod world;
