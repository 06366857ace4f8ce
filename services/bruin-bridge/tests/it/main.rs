//! `bruin-bridge` from outside: one program, because linking costs more than compiling.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::too_many_lines,
    clippy::unwrap_used,
    reason = "a test ends when something is missing"
)]

mod cases;
mod common;
mod lists;
mod login;
mod messages;
mod recordings;
mod settings;
mod subjects;
