//! One good request for every subject, about an edge of the world: what tests and experiments ask, and what they spoil.
//!
//! The requests of each third party are in a file with its neighbours; [`About`] is what all of them are about.

mod bruin;
mod caches;
mod dispatches;
mod messaging;
mod models;
mod network;

use std::collections::BTreeMap;

use anyhow::Context;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::running::Running;
use crate::world::dri::{DriDevice, TaskOutcome};
use crate::world::generate::{Oddity, oddity};
use crate::world::network::{Edge, Link};
use crate::world::probes::ProbeOddity;
use crate::world::tickets::{NewTicket, Topic};

/// A subject with an envelope that a service accepts.
#[derive(Debug, Clone)]
pub struct Sample {
    /// The subject.
    pub subject: &'static str,
    /// The request.
    pub envelope: Value,
}

impl Sample {
    /// A request whose parameters are under `body`, as nearly all have them.
    fn of((subject, body): (&'static str, Value)) -> Self {
        Self { subject, envelope: json!({"request_id": "r-1", "body": body}) }
    }
}

/// What the requests are about.
struct About {
    /// The VeloCloud host.
    host: String,
    /// The enterprise there.
    enterprise: i64,
    /// The client in Bruin.
    client: i64,
    /// The edge.
    edge: Edge,
    /// The MAC of its DiGi unit.
    digi: String,
    /// Its ticket in Bruin.
    ticket: i64,
    /// The ticket's line.
    line: i64,
    /// The uid of a probe at Hawkeye that runs tests.
    probe: String,
    /// The Salesforce id and the number of a dispatch at CTS.
    cts: (String, String),
    /// The number of a dispatch at LIT.
    lit: String,
    /// The world's time.
    now: DateTime<Utc>,
}

impl About {
    /// An ordinary edge that has no ticket yet, and gets one, and a dispatch at both vendors. Its device at DRI answers at
    /// once.
    fn new(sandbox: &Running) -> anyhow::Result<Self> {
        let world = sandbox.world();
        let host = sandbox.hosts().first().context("no host")?.clone();
        let mut edges =
            ordinary_edges(sandbox).into_iter().filter(|edge| world.tickets_of(&edge.serial).is_empty());
        let with_digi = |edge: Edge| {
            let digi = edge.links.iter().find(|link: &&Link| link.is_digi())?.logical_id.clone();
            Some((edge, digi))
        };
        let (edge, digi) =
            edges.find_map(with_digi).context("no ordinary edge with a DiGi unit and without tickets")?;
        let owner =
            world.network(|network| network.enterprise_of(&edge).map(|owner| (owner.client, owner.id)));
        let (client, enterprise) = owner.context("an edge without enterprise")?;
        let now = world.now();
        let new = NewTicket {
            client,
            site: Some(edge.site),
            topic: Topic::Outage,
            serials: vec![edge.serial.clone()],
            created_by: "Ann Example".to_owned(),
            severity: 2,
            description: None,
        };
        let ticket = world.with_tickets(|tickets| tickets.create(new, now));
        let created = world.ticket(ticket).context("no ticket")?;
        let line = created.lines.first().context("a ticket without lines")?.id;
        world.set_dri_device(
            &edge.serial,
            DriDevice { outcome: TaskOutcome::Completes, takes: Some(0), parameters: BTreeMap::new() },
        );
        let probe = world.probes(|probes| {
            let ordinary = probes.list().iter().find(|probe| probe.oddity == ProbeOddity::None);
            ordinary.map(|probe| probe.uid.clone())
        });
        let simulation = sandbox.simulation();
        let (cts, lit) = dispatches::ordered(simulation, ticket)?;
        let probe = probe.context("no ordinary probe")?;
        Ok(Self { host, enterprise, client, edge, digi, ticket, line, probe, cts, lit, now })
    }

    fn serial(&self) -> &str {
        &self.edge.serial
    }

    /// An hour ago.
    fn start(&self) -> DateTime<Utc> {
        self.now - TimeDelta::hours(1)
    }
}

/// The ordinary edges which are monitored: in service, alone, with links.
pub fn ordinary_edges(sandbox: &Running) -> Vec<Edge> {
    sandbox.world().network(|network| {
        let ordinary = |(place, edge): &(usize, &Edge)| {
            oddity(*place) == Oddity::None && edge.standby.is_none() && !edge.links.is_empty()
        };
        network.edges.iter().enumerate().filter(ordinary).map(|(_, edge)| edge.clone()).collect()
    })
}

/// Good requests about an ordinary edge that has no ticket yet, and gets one for it: one for every subject.
///
/// # Errors
/// When there is no such edge with a DiGi unit.
pub fn samples(sandbox: &Running) -> anyhow::Result<Vec<Sample>> {
    let about = About::new(sandbox)?;
    let bodies = [
        bruin::tickets(&about),
        bruin::others(&about),
        network::velocloud(&about),
        network::devices(&about),
        caches::all(&about),
        models::all(&about),
        dispatches::all(&about),
        messaging::with_body(),
    ];
    Ok(bodies.into_iter().flatten().map(Sample::of).chain(messaging::top_level()).collect())
}
