//! `customer-cache` from outside: one program, because linking costs more than compiling.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test ends when something is missing"
)]

mod recordings;
mod refresh;
mod running;
mod sharing;
