//! The bus over real sockets: real NATS and Redis servers, and peers that speak plain bytes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests stand outside of test functions"
)]

mod connection;
mod dedupe;
mod discovery;
mod interoperation;
mod offload;
mod redis_lock;
mod replier;
mod requester;
mod stop;
mod support;
mod tracing_context;
