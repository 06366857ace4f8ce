//! Stateful simulators of every third party the engine talks to, so that the whole fleet runs with no credentials.
//!
//! - [`world`] is the simulated network and ticketing system: pure state that moves with a clock.
//! - [`bruin`], [`velocloud`], [`digi`] and [`messaging`] speak the third parties' protocols on top of it, exactly as
//!   the bridges call them; [`faults`] strike their answers and [`received`] records every call.
//! - [`control`] breaks, heals, moves time and injects faults; [`page`] shows it all to people.
//!
//! A process of its own runs it as a [`runtime::Service`]; tests and `fleet up` start it with [`Sandbox::start`].

pub mod bruin;
pub mod config;
pub mod control;
pub mod cts;
pub mod digi;
pub mod dri;
pub mod environment;
pub mod faults;
pub mod hawkeye;
pub mod http;
pub mod kre;
pub mod lit;
pub mod messaging;
pub mod page;
pub mod received;
pub mod running;
pub mod salesforce;
pub mod samples;
pub mod sessions;
pub mod velocloud;
pub mod world;

use std::sync::Arc;

pub use config::SandboxOptions;
pub use faults::{Fault, Faults, Mode, ThirdParty};
pub use received::CallLog;
pub use running::{Running, Sandbox, service};
pub use sessions::Sessions;
pub use world::World;

use tokio_util::sync::CancellationToken;

/// What every simulator works on. Clones share it.
#[derive(Clone)]
pub struct Simulation {
    /// The simulated network, tickets, outbox and mailboxes.
    pub world: World,
    /// The faults in force.
    pub faults: Faults,
    /// What was received.
    pub received: CallLog,
    /// How the sandbox was started.
    pub options: Arc<SandboxOptions>,
    /// Logins that are still valid.
    pub sessions: Sessions,
    /// CTS's dispatches.
    pub cts: cts::Records,
    /// LIT's dispatches.
    pub lit: lit::Portal,
    /// What the models behind gRPC shall answer and were asked.
    pub models: kre::Models,
    /// Cancelled when the sandbox stops; what streams without end watches it.
    pub stop: CancellationToken,
}
