//! `testkit` from outside: one program, because linking costs more than compiling.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::needless_pass_by_value,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test ends when something is missing"
)]

mod player;
mod servers;
mod stubs;
