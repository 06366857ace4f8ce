//! What tests need beside the code under test, all of it over real sockets.
//!
//! - [`Nats`], [`NatsCluster`], [`Redis`], [`Mongo`]: real servers on free ports, killed when dropped (and when the test
//!   process dies), with `kill9`, `restart` on the same port, `pause` and `resume`.
//! - [`StubUpstream`]: a third party that answers by rules and remembers the calls.
//! - [`Front`]: stands before any server: TLS, and a door that can be shut.
//! - [`StubPeers`]: other services of the fleet that answer by rules and remember the requests.
//! - [`OldPeer`]: a requester and replier that behaves like the existing deployment.
//! - [`malformation`]: what can be wrong with a message.
//! - [`recordings`]: a [`recordings::Stage`] around a service of ours, which it can run ([`recordings::Stage::with`]), and
//!   the recorded exchanges, played against it.
//! - [`run`]: a service of ours in the background of a test; [`settings`]: by which it finds the servers.
//! - [`salesforce`]: the login of the two dispatch systems.
//!
//! Everything here panics with a readable text where a test could do nothing but fail.
#![allow(clippy::panic, reason = "a test kit ends the test")]
#![allow(clippy::missing_panics_doc, reason = "said once, above")]

mod folders;
mod front;
mod hosting;
pub mod malformation;
mod mongo;
mod nats;
mod old_peer;
mod ports;
mod process;
pub mod recordings;
mod redis_server;
mod rule;
pub mod salesforce;
mod stub_peers;
mod stub_upstream;

pub use front::Front;
pub use hosting::{PATIENCE, run, run_at, settings, why_not};
pub use mongo::Mongo;
pub use nats::{Nats, NatsCluster, NatsOptions};
pub use old_peer::{OldPeer, OldReply, Via};
pub use redis_server::{Redis, RedisOptions};
pub use rule::Rule;
pub use stub_peers::{PeerRequest, StubPeers};
pub use stub_upstream::{Hold, Received, StubUpstream};
