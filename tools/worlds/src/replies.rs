//! What the bridges answer, from the sandbox's world: the shapes of their specifications.

use chrono::{DateTime, SecondsFormat, Utc};
use contracts::velocloud;
use sandbox::world::World;
use sandbox::world::network::{Activation, Edge, LinkMode, LinkState, LinkType};
use sandbox::world::tickets::{Ticket, Topic};
use serde_json::{Value, json};

/// `2020-09-29T04:48:55.000Z`.
fn utc(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// `9/25/2020 6:31:54 AM`.
fn us_time(at: DateTime<Utc>) -> String {
    at.format("%-m/%-d/%Y %-I:%M:%S %p").to_string()
}

/// `customer.cache.get`: every edge and every standby.
pub fn cache(world: &World, host: &str) -> Value {
    let now = world.now();
    let mut rows = Vec::new();
    world.network(|network| {
        let Some((_, entry)) = network.host(host) else { return };
        for (enterprise, edge) in network.edges_of_host(entry) {
            let offset = world.inventory(|inventory| {
                inventory.site(edge.site).and_then(|site| match site.time_zone {
                    "Eastern" => Some(-5),
                    "Central" => Some(-6),
                    "Mountain" => Some(-7),
                    "Pacific" => Some(-8),
                    _ => None,
                })
            });
            let kind = |kind| if kind == LinkType::Wired { "WIRED" } else { "WIRELESS" };
            let mode = |mode| if mode == LinkMode::Public { "PUBLIC" } else { "PRIVATE" };
            let configuration = edge.links.iter().map(
                |link| json!({"interfaces": [link.interface], "mode": mode(link.mode), "type": kind(link.kind)}),
            );
            let logical = edge
                .links
                .iter()
                .map(|link| json!({"interface_name": link.interface, "logical_id": link.logical_id}));
            let row = json!({
                "edge": {"host": host, "enterprise_id": enterprise.id, "edge_id": edge.id},
                "edge_name": edge.name,
                "last_contact": utc(edge.last_contact(now).unwrap_or(now)),
                "logical_ids": logical.collect::<Vec<_>>(),
                "serial_number": edge.serial,
                "ha_serial_number": edge.ha_serial(),
                "bruin_client_info": {"client_id": enterprise.client, "client_name": "Client", "site_id": edge.site},
                "site_details": {"tzOffset": offset},
                "links_configuration": configuration.collect::<Vec<_>>(),
            });
            if let (Some(standby), Value::Object(row)) = (edge.ha_serial(), &row) {
                let mut row = row.clone();
                row.insert("serial_number".into(), standby.into());
                row.insert("ha_serial_number".into(), edge.serial.as_str().into());
                rows.push(Value::Object(row));
            }
            rows.push(row);
        }
    });
    Value::Array(rows)
}

/// `get.links.with.edge.info`: a row for each link, one for an edge without links.
pub fn links(world: &World, host: &str) -> Value {
    let mut rows = Vec::new();
    world.network(|network| {
        let Some((_, entry)) = network.host(host) else { return };
        for (enterprise, edge) in network.edges_of_host(entry) {
            let row = |link: Option<&sandbox::world::network::Link>| {
                json!({
                    "host": host, "enterpriseName": enterprise.name, "enterpriseId": enterprise.id,
                    "edgeName": edge.name, "edgeState": edge.state(), "edgeId": edge.id,
                    "edgeSerialNumber": edge.serial, "edgeHASerialNumber": edge.ha_serial(),
                    "displayName": link.map(|link| &link.label), "interface": link.map(|link| &link.interface),
                    "linkState": link.map(|link| edge.link_state(link).name()),
                    "linkId": link.map(|link| link.id),
                    "linkIpAddress": link.map(|link| link.ip.to_string()),
                })
            };
            rows.extend(edge.links.iter().map(|link| row(Some(link))));
            if edge.links.is_empty() {
                rows.push(row(None));
            }
        }
    });
    Value::Array(rows)
}

/// `request.network.enterprise.edges`.
pub fn enterprise_edges(world: &World, host: &str) -> Value {
    let mut rows = Vec::new();
    world.network(|network| {
        let Some((_, entry)) = network.host(host) else { return };
        for (_, edge) in network.edges_of_host(entry) {
            rows.push(json!({
                "host": host, "id": edge.id, "serialNumber": edge.serial, "edgeState": edge.state(),
                "haState": edge.ha_state(), "haSerialNumber": edge.ha_serial(),
            }));
        }
    });
    Value::Array(rows)
}

/// `alert.request.event.edge`, newest first.
pub fn events(world: &World, request: &velocloud::EdgeEventsRequest) -> Value {
    let id = request.edge.edge_id.as_i64().unwrap_or(-1);
    let names = request.filter.clone().unwrap_or_default();
    world.network(|network| {
        let Some((host, _)) = network.host(&request.edge.host) else { return json!([]) };
        let Some(edge) = network.edge(host, id) else { return json!([]) };
        let rows =
            edge.events.iter().rev().filter(|event| names.iter().any(|name| name == event.happening.name()));
        rows.map(|event| {
            json!({
                "event": event.happening.name(), "category": event.happening.category(),
                "eventTime": utc(event.at), "message": event.happening.message(),
            })
        })
        .collect()
    })
}

/// A row of `bruin.ticket.basic.request`.
pub fn basic(ticket: &Ticket, now: DateTime<Utc>) -> Value {
    json!({
        "clientID": ticket.client, "clientName": "Client", "ticketID": ticket.id, "category": "SD-WAN",
        "topic": ticket.topic.title(), "ticketStatus": ticket.status(now).title(),
        "createDate": us_time(ticket.created), "createdBy": ticket.created_by, "severity": ticket.severity,
    })
}

/// `bruin.ticket.basic.request`: newest first.
pub fn tickets(world: &World, body: &Value) -> Value {
    let now = world.now();
    let statuses: Vec<&str> =
        body["ticket_statuses"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let client = body["client_id"].as_i64();
    let serial = body["service_number"].as_str();
    world.read_tickets(|tickets| {
        tickets
            .newest_first()
            .filter(|ticket| {
                ticket.topic == Topic::Outage
                    && client.is_none_or(|client| ticket.client == client)
                    && serial.is_none_or(|serial| ticket.line_of(serial).is_some())
                    && statuses.iter().any(|status| ticket.status(now).named(status))
            })
            .map(|ticket| basic(ticket, now))
            .collect()
    })
}

/// `bruin.ticket.details.request`.
pub fn details(ticket: &Ticket) -> Value {
    let lines = ticket.lines.iter().map(|line| {
        json!({
            "detailID": line.id, "detailValue": line.serial, "detailStatus": line.status(),
            "currentTaskName": line.queue.name,
        })
    });
    let office = |at: DateTime<Utc>| {
        at.with_timezone(&chrono_tz::US::Eastern).format("%Y-%m-%dT%H:%M:%S%.3f%:z").to_string()
    };
    let notes = ticket.notes.iter().map(|note| {
        json!({
            "noteId": note.id, "noteValue": note.value, "serviceNumber": note.serials,
            "createdDate": office(note.at),
        })
    });
    json!({"ticketDetails": lines.collect::<Vec<_>>(), "ticketNotes": notes.collect::<Vec<_>>()})
}

/// `get.digi.recovery.logs`.
pub fn recovery_logs(world: &World) -> Value {
    let logs = world.recovery_logs();
    let rows = logs.iter().map(|log| {
        json!({
            "Id": log.id, "igzID": log.igz_id, "Method": log.method, "VeloSerial": log.serial,
            "TicketID": log.ticket, "Success": log.success,
            "TimestampSTART": utc(log.start), "TimestampEND": log.end.map(utc),
        })
    });
    json!({"Logs": rows.collect::<Vec<_>>(), "Count": logs.len()})
}

/// What is down at each device, by the table of the specification ("Behaviour" 2) read anew: the name of the outage, or
/// `None` for a device that is healthy or documented by its partner.
pub fn documented_outages(world: &World) -> Vec<(String, Option<&'static str>)> {
    let mut devices = Vec::new();
    world.network(|network| {
        for edge in network.edges.iter().filter(|edge| edge.activation == Activation::Activated) {
            let link_down = edge.links.iter().any(|link| edge.link_state(link) == LinkState::Disconnected);
            match &edge.standby {
                None => devices.push((edge.serial.clone(), alone(edge, link_down))),
                Some(standby) => {
                    devices.push((edge.serial.clone(), member(!edge.up, !standby.up, link_down, true)));
                    devices.push((standby.serial.clone(), member(!standby.up, !edge.up, link_down, false)));
                }
            }
        }
    });
    devices
}

fn alone(edge: &Edge, link_down: bool) -> Option<&'static str> {
    match (edge.up, link_down) {
        (false, _) => Some("HARD_DOWN"),
        (true, true) => Some("LINK_DOWN"),
        (true, false) => None,
    }
}

#[allow(clippy::fn_params_excessive_bools, reason = "the columns of the table")]
fn member(offline: bool, partner_offline: bool, link_down: bool, primary: bool) -> Option<&'static str> {
    match (offline, partner_offline, link_down) {
        (true, true, _) => primary.then_some("HA_HARD_DOWN"),
        (_, _, true) => primary.then_some("HA_LINK_DOWN"),
        (true, false, false) => Some("HA_SOFT_DOWN"),
        (false, _, false) => None,
    }
}
