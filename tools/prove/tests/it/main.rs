//! `prove` from outside.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod ending;
mod leader_death;
mod programs;
