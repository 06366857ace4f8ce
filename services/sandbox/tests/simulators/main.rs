//! Every simulator, the control API and the page, over real sockets.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests are not in test functions"
)]

mod bruin;
mod common;
mod control;
mod digi;
mod dri;
mod faults;
mod hawkeye;
mod large;
mod models;
mod page;
mod salesforce;
mod velocloud;
mod world;
