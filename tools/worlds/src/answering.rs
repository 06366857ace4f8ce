//! What each subject does to the world and answers. Before something is changed the account looks whether that may be.

use std::time::Duration;

use bytes::Bytes;
use contracts::velocloud;
use sandbox::world::World;
use sandbox::world::inventory::Asset;
use sandbox::world::notes::NewNote;
use sandbox::world::queues::RESULTS;
use sandbox::world::states::RebootOutcome;
use sandbox::world::tickets::{Ticket, TicketError};
use serde_json::{Value, json};

use crate::account::Account;
use crate::replies;

/// How long a DiGi unit reboots.
const REBOOT: Duration = Duration::from_secs(290);

/// A reply.
pub struct Replied {
    status: u16,
    body: Value,
}

impl Replied {
    fn ok(body: Value) -> Self {
        Self { status: 200, body }
    }

    /// A status with a text.
    pub fn text(status: u16, text: &str) -> Self {
        Self { status, body: text.into() }
    }

    /// As it is on the wire.
    pub fn envelope(&self) -> Bytes {
        format!(r#"{{"request_id":null,"body":{},"status":{}}}"#, self.body, self.status).into()
    }

    fn of(done: Result<(), TicketError>) -> Self {
        match done {
            Ok(()) => Self::ok(json!("ok")),
            Err(error) => Self::text(400, &error.to_string()),
        }
    }
}

/// What answers need beside the world.
pub struct Answering {
    host: String,
    cache: Value,
}

impl Answering {
    /// For the edges of a host.
    pub fn new(world: &World, host: &str) -> Self {
        Self { host: host.to_owned(), cache: replies::cache(world, host) }
    }

    /// Does what is asked.
    pub fn answer(&self, world: &World, account: &mut Account, subject: &str, body: &Value) -> Replied {
        match subject {
            "customer.cache.get" => Replied::ok(self.cache.clone()),
            "get.links.with.edge.info" => Replied::ok(replies::links(world, &self.host)),
            "request.network.enterprise.edges" => Replied::ok(replies::enterprise_edges(world, &self.host)),
            "alert.request.event.edge" => {
                match serde_json::from_value::<velocloud::EdgeEventsRequest>(body.clone()) {
                    Ok(request) => Replied::ok(replies::events(world, &request)),
                    Err(error) => Replied::text(400, &error.to_string()),
                }
            }
            "bruin.ticket.basic.request" => Replied::ok(replies::tickets(world, body)),
            "get.digi.recovery.logs" => Replied::ok(replies::recovery_logs(world)),
            "bruin.ticket.creation.outage.request" => create(world, account, body),
            "digi.reboot" => reboot(world, account, body),
            "notification.slack.request" => Replied::ok(Value::Null),
            _ => self.about_ticket(world, account, subject, body),
        }
    }

    #[allow(clippy::unused_self, reason = "reads like its caller")]
    fn about_ticket(&self, world: &World, account: &mut Account, subject: &str, body: &Value) -> Replied {
        let Some(ticket) = body["ticket_id"].as_i64().and_then(|id| world.ticket(id)) else {
            return Replied::text(404, "no such ticket");
        };
        let now = world.now();
        let (id, line) = (ticket.id, body["detail_id"].as_i64());
        let serial = body["service_number"].as_str();
        match subject {
            "bruin.single_ticket.basic.request" => Replied::ok(replies::basic(&ticket, now)),
            "bruin.ticket.details.request" => Replied::ok(replies::details(&ticket)),
            "bruin.ticket.note.append.request" => note(world, account, &ticket, body),
            "bruin.ticket.status.open" | "bruin.ticket.status.resolve" => {
                let resolve = subject.ends_with("resolve");
                let Some(line) = line.and_then(|line| ticket.line(Some(line), None)) else {
                    return Replied::text(400, "no such line");
                };
                if resolve {
                    account.observe(world);
                    account.resolving(now, &ticket, line);
                } else {
                    account.opening(now, &ticket, line);
                }
                let line = line.id;
                Replied::of(world.with_tickets(|tickets| tickets.set_line(id, line, resolve, now)))
            }
            "bruin.ticket.unpause" => {
                Replied::of(world.with_tickets(|tickets| tickets.unpause(id, line, serial, now)))
            }
            "bruin.ticket.change.work" => {
                let queue = body["queue_name"].as_str().unwrap_or_default();
                let result =
                    RESULTS.iter().find(|result| result.name.is_some_and(|name| name.trim() == queue));
                let (Some(result), Some(of)) = (result, ticket.line(line, serial)) else {
                    return Replied::text(400, "no such line or queue");
                };
                account.moving(now, &ticket, of, result);
                let of = of.id;
                let moved =
                    world.with_tickets(|tickets| tickets.give_result(id, Some(of), None, result.id, now));
                Replied::of(moved)
            }
            "bruin.change.ticket.severity" => {
                let level = body["severity"].as_i64().unwrap_or_default();
                account.grading(now, &ticket, level);
                let reason = body["reason"].as_str().unwrap_or_default().to_owned();
                let reason = NewNote { value: reason, ..NewNote::default() };
                Replied::of(world.with_tickets(|tickets| {
                    tickets.set_severity(id, level, now)?;
                    tickets.add_notes(id, &[reason], now).map(drop)
                }))
            }
            other => Replied::text(404, other),
        }
    }
}

fn create(world: &World, account: &mut Account, body: &Value) -> Replied {
    let (client, serial) = (body["client_id"].as_i64().unwrap_or(-1), body["service_number"].as_str());
    let serial = serial.unwrap_or_default().to_owned();
    let asset: Option<Asset> = world.inventory(|inventory| inventory.asset_of(&serial, client).cloned());
    let now = world.now();
    let lines = [(serial.clone(), asset)];
    let done = world.with_tickets(|tickets| tickets.repair(client, &lines, Some("outage"), now));
    let Some(done) = done.into_iter().next() else { return Replied::text(400, "nothing to create") };
    if done.ticket == 0 {
        return Replied::text(503, "ticket 0");
    }
    account.covered(world, &serial, done.ticket, done.code);
    let status = if done.code == 0 { 200 } else { done.code };
    Replied { status, body: done.ticket.into() }
}

fn note(world: &World, account: &mut Account, ticket: &Ticket, body: &Value) -> Replied {
    let value = body["note"].as_str().unwrap_or_default().to_owned();
    let serials: Vec<String> = body["service_numbers"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|serial| serial.as_str().map(str::to_owned))
        .collect();
    let now = world.now();
    account.noting(now, ticket, &serials, &value);
    let note = NewNote { value, serials, ..NewNote::default() };
    Replied::of(world.with_tickets(|tickets| tickets.add_notes(ticket.id, &[note], now).map(drop)))
}

fn reboot(world: &World, account: &mut Account, body: &Value) -> Replied {
    let text = |name: &str| body[name].as_str().unwrap_or_default();
    let (serial, mac) = (text("velo_serial"), text("MAC"));
    account.observe(world);
    account.rebooting(world.now(), serial, mac);
    match world.reboot(serial, mac, text("ticket"), None, REBOOT) {
        RebootOutcome::Started { .. } => Replied::ok(json!([])),
        RebootOutcome::AlreadyRunning => Replied::text(400, "a recovery is running"),
        RebootOutcome::UnknownDevice => Replied::text(404, "unknown device"),
    }
}
