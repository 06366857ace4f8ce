//! `t7-bridge` from outside: one program, because linking costs more than compiling.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test ends when something is missing"
)]

mod behaviour;
mod bridge;
mod subjects;
