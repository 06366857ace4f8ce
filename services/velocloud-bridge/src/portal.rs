//! How a subject becomes one call to a VCO's portal, and its answer a reply.
//!
//! Each subject says four things ([`Portal`]): which host, which call, what becomes of a success, and what is said about
//! an unknown host. [`Hosts::answer`] does the rest, the same way for all of them.

use std::sync::Arc;
use std::time::Duration;

use bus::Reply;
use contracts::Rpc;
use serde_json::Value;
use upstream::Coalesce;

use crate::outcome::{self, Group, Success};
use crate::raw::Unexpected;
use crate::vco::Vco;

/// Limit of one call, its repetition included (Improve 14).
pub const WITHIN: Duration = Duration::from_secs(60);
/// The same for events, which take long; callers wait 180 s.
pub const EVENTS_WITHIN: Duration = Duration::from_secs(170);

/// One call to the portal. They are all reads by POST.
#[derive(Debug, Clone, PartialEq)]
pub struct Read {
    /// Below `/portal/rest/`, e.g. `/event/getEnterpriseEvents`.
    pub path: &'static str,
    /// The JSON body.
    pub body: Value,
    /// How failures are worded.
    pub group: Group,
    /// The limit.
    pub within: Duration,
}

/// A subject that is answered by one call to one host.
pub trait Portal: Rpc {
    /// The host that is asked.
    fn host(request: &Self::Request) -> &str;

    /// The call.
    fn read(request: &Self::Request) -> Read;

    /// The reply to a success.
    ///
    /// # Errors
    /// When VeloCloud's JSON is not of the expected kind.
    fn finish(request: &Self::Request, success: Success) -> Result<Reply, Unexpected>;

    /// The reply when the host is not configured.
    fn unknown_host(host: &str) -> Reply {
        outcome::unknown_host(host)
    }
}

/// The configured hosts.
pub struct Hosts {
    /// In configured order.
    vcos: Vec<Arc<Vco>>,
    /// Several services ask for the same list of several MB at the same minute; they share one call (Improve 13).
    reads: Coalesce<Reply>,
}

impl Hosts {
    /// Of these VCOs.
    pub fn new(vcos: Vec<Arc<Vco>>) -> Self {
        Self { vcos, reads: Coalesce::new() }
    }

    /// All of them, in configured order.
    pub fn all(&self) -> &[Arc<Vco>] {
        &self.vcos
    }

    /// Answers a request of `R`.
    pub async fn answer<R: Portal>(&self, request: R::Request) -> Reply {
        let host = R::host(&request);
        let Some(vco) = self.vcos.iter().find(|vco| vco.host() == host) else {
            tracing::warn!(subject = R::SUBJECT, host, "a request names a host that is not configured");
            return R::unknown_host(host);
        };
        let read = R::read(&request);
        let key = format!("{host} {} {}", R::SUBJECT, read.body);
        let vco = Arc::clone(vco);
        self.reads.run(key, || async move { ask::<R>(&vco, &request, read).await }).await
    }
}

async fn ask<R: Portal>(vco: &Vco, request: &R::Request, read: Read) -> Reply {
    let path = read.path;
    let group = read.group.clone();
    let success = match outcome::settle(&group, vco.host(), vco.read(read).await) {
        Ok(success) => success,
        Err(reply) => return reply,
    };
    R::finish(request, success).unwrap_or_else(|problem| {
        tracing::error!(host = vco.host(), path, %problem, "VeloCloud's answer is not as expected");
        outcome::unexpected(problem)
    })
}
