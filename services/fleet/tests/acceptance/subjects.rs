//! One good request for every subject that the six services answer.

use std::collections::BTreeSet;

use sandbox::environment::{INBOX_ACCOUNT, REPORT_RECIPIENT};
use sandbox::world::{
    network::{Edge, Link},
    tickets::{NewTicket, Topic},
};
use serde_json::{Value, json};

use crate::stage::Stage;

/// A subject with an envelope that a service accepts.
pub(crate) struct Sample {
    pub(crate) subject: &'static str,
    pub(crate) envelope: Value,
}

/// Good requests about an edge of the stage that has no ticket yet, and gets one for it.
#[allow(clippy::too_many_lines, reason = "a table")]
pub(crate) fn samples(stage: &Stage) -> Vec<Sample> {
    let new = |edge: &Edge| stage.world().tickets_of(&edge.serial).is_empty();
    let with_digi = |edge: &Edge| edge.links.iter().any(Link::is_digi);
    let edge = stage.edges().into_iter().find(|edge| with_digi(edge) && new(edge)).unwrap();
    let (serial, edge_id) = (edge.serial.as_str(), edge.id);
    let (client, enterprise, site) = (stage.client_of(&edge), stage.enterprise_of(&edge), edge.site);
    let digi = edge.links.iter().find(|link| link.is_digi()).unwrap().logical_id.clone();
    let (host, now) = (stage.host(), stage.clock.now());
    let new = NewTicket {
        client,
        site: Some(site),
        topic: Topic::Outage,
        serials: vec![serial.to_owned()],
        created_by: "Ann Example".to_owned(),
        severity: 2,
        description: None,
    };
    let ticket = stage.world().with_tickets(|tickets| tickets.create(new, now));
    let line = stage.world().ticket(ticket).unwrap().lines[0].id;
    let interval = json!({"start": now - chrono::TimeDelta::hours(1), "end": now});
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
        (
            "alert.request.event.edge",
            json!({"edge": identity, "start_date": interval["start"], "end_date": now}),
        ),
        (
            "alert.request.event.enterprise",
            json!({"host": host, "enterprise_id": enterprise, "start_date": interval["start"], "end_date": now}),
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
        ("customer.cache.get", json!({"filter": {host: [enterprise]}})),
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
    samples
}

/// The subjects that are served now, as the services themselves say it (`$SRV.INFO`).
pub(crate) async fn served(client: &async_nats::Client, services: usize) -> BTreeSet<String> {
    use futures::StreamExt as _;
    let inbox = client.new_inbox();
    let mut answers = client.subscribe(inbox.clone()).await.unwrap();
    client.publish_with_reply("$SRV.INFO", inbox, "".into()).await.unwrap();
    let mut subjects = BTreeSet::new();
    for _ in 0..services {
        let answer = tokio::time::timeout(crate::stage::PATIENCE, answers.next()).await.unwrap().unwrap();
        let info: Value = serde_json::from_slice(&answer.payload).unwrap();
        let endpoints = info["endpoints"].as_array().unwrap().clone();
        subjects.extend(endpoints.iter().map(|endpoint| endpoint["subject"].as_str().unwrap().to_owned()));
    }
    subjects
}
