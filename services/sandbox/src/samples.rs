//! One good request for every subject, about an edge of the world: what tests and experiments ask, and what they spoil.

use anyhow::Context;
use serde_json::{Value, json};

use crate::environment::{INBOX_ACCOUNT, REPORT_RECIPIENT};
use crate::running::Running;
use crate::world::generate::{Oddity, oddity};
use crate::world::network::{Edge, Link};
use crate::world::tickets::{NewTicket, Topic};

/// A subject with an envelope that a service accepts.
#[derive(Debug, Clone)]
pub struct Sample {
    /// The subject.
    pub subject: &'static str,
    /// The request.
    pub envelope: Value,
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

/// Good requests about an ordinary edge that has no ticket yet, and gets one for it.
///
/// # Errors
/// When there is no such edge with a DiGi unit.
#[allow(clippy::too_many_lines, reason = "a table")]
pub fn samples(sandbox: &Running) -> anyhow::Result<Vec<Sample>> {
    let world = sandbox.world();
    let host = sandbox.hosts().first().context("no host")?;
    let mut edges =
        ordinary_edges(sandbox).into_iter().filter(|edge| world.tickets_of(&edge.serial).is_empty());
    let with_digi = |edge: Edge| {
        let digi = edge.links.iter().find(|link: &&Link| link.is_digi())?.logical_id.clone();
        Some((edge, digi))
    };
    let (edge, digi) =
        edges.find_map(with_digi).context("no ordinary edge with a DiGi unit and without tickets")?;
    let (serial, edge_id, site, now) = (edge.serial.as_str(), edge.id, edge.site, world.now());
    let owner = world.network(|network| network.enterprise_of(&edge).map(|owner| (owner.client, owner.id)));
    let (client, enterprise) = owner.context("an edge without enterprise")?;
    let new = NewTicket {
        client,
        site: Some(site),
        topic: Topic::Outage,
        serials: vec![serial.to_owned()],
        created_by: "Ann Example".to_owned(),
        severity: 2,
        description: None,
    };
    let ticket = world.with_tickets(|tickets| tickets.create(new, now));
    let created = world.ticket(ticket).context("no ticket")?;
    let line = created.lines.first().context("a ticket without lines")?.id;
    let start = now - chrono::TimeDelta::hours(1);
    let interval = json!({"start": start, "end": now});
    let attribute = json!({"client_id": client, "status": "A", "service_number": serial});
    let detail = json!({"ticket_id": ticket, "detail_id": line});
    let identity = json!({"host": host, "enterprise_id": enterprise, "edge_id": edge_id});
    let bodies = [
        (
            "bruin.ticket.request",
            json!({"client_id": client, "ticket_topic": "VOO", "ticket_status": ["In-Progress"]}),
        ),
        (
            "bruin.ticket.basic.request",
            json!({"client_id": client, "ticket_statuses": ["New", "InProgress"]}),
        ),
        ("bruin.single_ticket.basic.request", json!({"ticket_id": ticket})),
        ("bruin.ticket.details.request", json!({"ticket_id": ticket})),
        ("bruin.ticket.overview.request", json!({"ticket_id": ticket})),
        ("bruin.ticket.get.task.history", json!({"ticket_id": ticket})),
        (
            "bruin.ticket.note.append.request",
            json!({"ticket_id": ticket, "note": "hello", "service_numbers": [serial]}),
        ),
        (
            "bruin.ticket.multiple.notes.append.request",
            json!({"ticket_id": ticket, "notes": [{"text": "hello", "service_number": serial}]}),
        ),
        (
            "bruin.ticket.creation.request",
            json!({"clientId": client, "category": "VAS", "services": [{"serviceNumber": serial}],
                "contacts": [{"email": REPORT_RECIPIENT, "type": "ticket"}]}),
        ),
        ("bruin.ticket.creation.outage.request", json!({"client_id": client, "service_number": serial})),
        ("bruin.ticket.status.open", detail.clone()),
        ("bruin.ticket.status.resolve", detail.clone()),
        ("bruin.ticket.unpause", json!({"ticket_id": ticket, "service_number": serial, "detail_id": line})),
        ("bruin.change.ticket.severity", json!({"ticket_id": ticket, "severity": 3, "reason": "calmer"})),
        (
            "bruin.ticket.change.work",
            json!({"ticket_id": ticket, "service_number": serial, "queue_name": "HNOC Investigate"}),
        ),
        (
            "bruin.ticket.detail.get.next.results",
            json!({"ticket_id": ticket, "detail_id": line, "service_number": serial}),
        ),
        ("bruin.inventory.attributes.serial", attribute.clone()),
        ("bruin.inventory.attributes", attribute.clone()),
        ("bruin.inventory.management.status", attribute),
        ("bruin.customer.get.info", json!({"service_number": serial})),
        ("bruin.customer.get.info_by_did", json!({"did": "15550101234"})),
        ("bruin.get.circuit.id", json!({"circuit_id": "CIRCUIT-1"})),
        ("bruin.get.site", json!({"client_id": client, "site_id": site})),
        ("bruin.email.tag.request", json!({"email_id": ticket, "tag_id": 1})),
        ("bruin.mark.email.done", json!({"email_id": 1})),
        ("bruin.link.ticket.email", json!({"ticket_id": ticket, "email_id": 1})),
        ("bruin.get.ticket.contacts", json!({"client_id": client})),
        ("bruin.get.asset.topics", json!({"client_id": client, "service_number": serial})),
        (
            "bruin.notification.email.milestone",
            json!({"ticket_id": ticket, "notification_type": "TicketOpened", "service_number": serial}),
        ),
        (
            "bruin.subscribe.user",
            json!({"ticket_id": ticket, "user_email": REPORT_RECIPIENT, "subscription_type": "1"}),
        ),
        ("bruin.email.status", json!({"email_id": 1, "email_status": "Done"})),
        ("bruin.email.reply", json!({"parent_email_id": 1, "reply_body": "thanks"})),
        (
            "bruin.ticket.detailIds.request",
            json!({"ticket_id": ticket, "detail_id": line, "interfaces": ["GE1"]}),
        ),
        ("bruin.ticket.close", json!({"ticket_id": ticket, "close_note": "done"})),
        ("alert.request.event.edge", json!({"edge": identity, "start_date": start, "end_date": now})),
        (
            "alert.request.event.enterprise",
            json!({"host": host, "enterprise_id": enterprise, "start_date": start, "end_date": now}),
        ),
        ("get.links.with.edge.info", json!({"host": host})),
        ("get.links.metric.info", json!({"host": host, "interval": interval})),
        ("request.enterprises.edges", json!({"host": host, "enterprise_id": enterprise})),
        ("request.enterprises.names", json!({"filter": []})),
        ("request.links.configuration", identity),
        (
            "request.edge.links.series",
            json!({"host": host, "payload": {"enterpriseId": enterprise, "edgeId": edge_id, "interval": interval,
                "metrics": ["bytesTx", "bytesRx"]}}),
        ),
        ("request.network.enterprise.edges", json!({"host": host, "enterprise_ids": [enterprise]})),
        ("request.network.gateway.list", json!({"host": host})),
        (
            "request.gateway.status.metrics",
            json!({"host": host, "gateway_id": 1, "interval": interval, "metrics": ["tunnelCount"]}),
        ),
        ("digi.reboot", json!({"velo_serial": serial, "ticket": ticket, "MAC": digi})),
        ("get.digi.recovery.logs", json!({"start_date_time": "2022-01-31T10:00:00Z", "size": "999"})),
        ("customer.cache.get", json!({"filter": {host.as_str(): [enterprise]}})),
        ("get.email.request", json!({"email_account": INBOX_ACCOUNT, "email_filter": ["ann@example.com"]})),
        ("mark.email.read.request", json!({"msg_uid": "1", "email_account": INBOX_ACCOUNT})),
        ("notification.sms.request", json!({"sms_to": "15550101234", "sms_data": "hello"})),
    ];
    let mut samples: Vec<Sample> = bodies
        .into_iter()
        .map(|(subject, body)| Sample { subject, envelope: json!({"request_id": "r-1", "body": body}) })
        .collect();
    let email = json!({"recipient": REPORT_RECIPIENT, "subject": "hello", "html": "<p>hello</p>", "text": "hello",
        "images": [], "attachments": [{"name": "a.csv", "data": "YSxi"}]});
    samples.extend([
        Sample {
            subject: "notification.slack.request",
            envelope: json!({"request_id": "r-1", "message": "hello"}),
        },
        Sample {
            subject: "notification.email.request",
            envelope: json!({"request_id": "r-1", "email_data": email}),
        },
    ]);
    Ok(samples)
}
