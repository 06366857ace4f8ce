//! Asking once for a client's open tickets comes to the same decisions as asking for those of each healthy edge, and does
//! not ask more: on random worlds.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use bus::{
    RequestError,
    memory::{Access, Asked, Kept, Peers},
};
use bytes::Bytes;
use chrono::{TimeDelta, Utc};
use contracts::id::Serial;
use decisions::Verdict;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use proptest::{collection::vec, prelude::*};
use runtime::Clock;
use serde_json::{Value, json};

use super::*;
use crate::sample;

const CLIENT: i64 = 11_111;
const OURS: &str = "Intelygenz Ai";
const TICKETS: &str = "bruin.ticket.basic.request";
const DETAILS: &str = "bruin.ticket.details.request";
/// That an edge has no ticket of ours, by whichever question it was found out.
const NOTHING: &str = "no ticket of ours";

/// A line of a ticket in Bruin: of one of the client's edges (by number), of something else, or of nothing.
#[derive(Debug, Clone)]
struct LineOf {
    edge: Option<usize>,
    resolved: bool,
    /// Bruin gave it no number.
    odd: bool,
}

/// A ticket in Bruin.
#[derive(Debug, Clone)]
struct Ticket {
    creator: Option<&'static str>,
    status: &'static str,
    topic: &'static str,
    /// In which way its row is malformed.
    row: Row,
    lines: Vec<LineOf>,
    /// What is noted of which edge, how many minutes ago.
    notes: Vec<(&'static str, Option<usize>, i64)>,
    details_fail: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Row {
    Whole,
    NoId,
    TextId,
    OddDate,
    NoClient,
}

/// Which questions for tickets fail.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Failing {
    None,
    OfClient,
    OfEdge(usize),
}

#[derive(Debug, Clone)]
struct World {
    /// For each edge: whether it is half of a pair, and whether it is monitored.
    edges: Vec<(bool, bool)>,
    tickets: Vec<Ticket>,
    failing: Failing,
}

fn serial(edge: usize) -> String {
    format!("VC{edge:07}")
}

fn line() -> impl Strategy<Value = LineOf> {
    (
        prop_oneof![8 => (0..14_usize).prop_map(Some), 1 => Just(None)],
        any::<bool>(),
        prop::bool::weighted(0.1),
    )
        .prop_map(|(edge, resolved, odd)| LineOf { edge, resolved, odd })
}

fn ticket() -> impl Strategy<Value = Ticket> {
    let creator = prop_oneof![6 => Just(Some(OURS)), 2 => Just(Some("Ann Example")), 1 => Just(None)];
    let status = prop_oneof![
        3 => Just("New"), 3 => Just("InProgress"), 1 => Just("Draft"), 1 => Just("Resolved"), 1 => Just("Closed")
    ];
    let topic = prop_oneof![6 => Just("VOO"), 1 => Just("VAS")];
    let row = prop_oneof![
        8 => Just(Row::Whole),
        1 => Just(Row::NoId),
        1 => Just(Row::TextId),
        1 => Just(Row::OddDate),
        1 => Just(Row::NoClient)
    ];
    let text = prop_oneof![
        3 => Just("#*MetTel's IPA*#\nTriage (VeloCloud)\n\nOrchestrator Instance: x"),
        1 => Just("#*MetTel's IPA*#\nRe-opening ticket."),
        2 => Just("#*MetTel's IPA*#\nAuto-resolving detail for serial: x"),
        1 => Just("a person's words")
    ];
    let notes = vec((text, prop::option::weighted(0.9, 0..14_usize), 0..240_i64), 0..6);
    (creator, status, topic, row, vec(line(), 0..4), notes, prop::bool::weighted(0.08)).prop_map(
        |(creator, status, topic, row, lines, notes, details_fail)| Ticket {
            creator,
            status,
            topic,
            row,
            lines,
            notes,
            details_fail,
        },
    )
}

fn world() -> impl Strategy<Value = World> {
    let edge = (prop::bool::weighted(0.2), prop::bool::weighted(0.9));
    let failing = prop_oneof![
        8 => Just(Failing::None),
        1 => Just(Failing::OfClient),
        1 => (0..14_usize).prop_map(Failing::OfEdge)
    ];
    (vec(edge, 1..14), prop_oneof![3 => vec(ticket(), 0..5), 1 => vec(ticket(), 0..20)], failing)
        .prop_map(|(edges, tickets, failing)| World { edges, tickets, failing })
}

/// Bruin in memory; keeps count of what it was asked.
struct Bruin {
    world: World,
    clock: Clock,
    asked: Mutex<usize>,
}

impl Bruin {
    fn rows(&self, body: &Value) -> Result<Value, u16> {
        let of = body["service_number"].as_str();
        let fails = match self.world.failing {
            Failing::None => false,
            Failing::OfClient => of.is_none(),
            Failing::OfEdge(edge) => of == Some(&serial(edge)),
        };
        if fails {
            return Err(503);
        }
        let statuses: Vec<&str> =
            body["ticket_statuses"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        let tickets = self.world.tickets.iter().enumerate();
        let rows = tickets.filter(|(_, ticket)| {
            let has_line = |serial_of: &str| {
                ticket.lines.iter().any(|line| line.edge.is_some_and(|edge| serial(edge) == serial_of))
            };
            ticket.topic == "VOO" && statuses.contains(&ticket.status) && of.is_none_or(has_line)
        });
        let rows = rows.map(|(number, ticket)| {
            let mut row = json!({"ticketID": 500 + number, "clientID": CLIENT, "createDate": "1/31/2022 1:30:00 PM",
                "createdBy": ticket.creator, "severity": 2});
            match ticket.row {
                Row::Whole => {}
                Row::NoId => row["ticketID"] = Value::Null,
                Row::TextId => row["ticketID"] = json!(format!("{}", 500 + number)),
                Row::OddDate => row["createDate"] = json!({"when": "yesterday"}),
                Row::NoClient => row["clientID"] = json!([]),
            }
            row
        });
        Ok(rows.collect())
    }

    fn details(&self, body: &Value) -> Result<Value, u16> {
        let id = &body["ticket_id"];
        let id = id.as_u64().or_else(|| id.as_str().and_then(|text| text.parse().ok()));
        let number = usize::try_from(id.unwrap()).unwrap() - 500;
        let ticket = &self.world.tickets[number];
        if ticket.details_fail {
            return Err(500);
        }
        let lines = ticket.lines.iter().enumerate().map(|(place, line)| {
            json!({
                "detailID": (!line.odd).then_some(place), "detailValue": line.edge.map(serial),
                "detailStatus": if line.resolved { "R" } else { "I" },
            })
        });
        let notes = ticket.notes.iter().map(|(text, edge, minutes)| {
            json!({
                "noteId": 1, "noteValue": text, "serviceNumber": edge.map(|edge| vec![serial(edge)]),
                "createdDate": (self.clock.now() - TimeDelta::minutes(*minutes)).to_rfc3339(),
            })
        });
        Ok(json!({"ticketDetails": lines.collect::<Vec<_>>(), "ticketNotes": notes.collect::<Vec<_>>()}))
    }
}

impl Peers for Bruin {
    fn answer(&self, asked: Asked) -> BoxFuture<'static, Result<Bytes, RequestError>> {
        let envelope: Value = serde_json::from_slice(&asked.payload).unwrap();
        let answer = match asked.subject {
            TICKETS => self.rows(&envelope["body"]),
            DETAILS => self.details(&envelope["body"]),
            // Failures are told on Slack.
            _ => Ok(Value::Null),
        };
        if [TICKETS, DETAILS].contains(&asked.subject) {
            *self.asked.lock() += 1;
        }
        let reply = match answer {
            Ok(body) => json!({"body": body, "status": 200}),
            Err(status) => json!({"body": "no", "status": status}),
        };
        Box::pin(async move { Ok(Bytes::from(reply.to_string())) })
    }

    fn keep(&self, _: &'static str, _: Access) -> BoxFuture<'static, Result<Vec<Kept>, String>> {
        Box::pin(async { Err("no buckets".to_owned()) })
    }
}

/// What was decided, and at which cost.
#[derive(Debug)]
struct Decided {
    /// Lines to be resolved: serial and ticket.
    resolve: BTreeSet<(String, String)>,
    /// Why other devices are left alone.
    leave: BTreeMap<String, BTreeSet<String>>,
    requests: usize,
}

/// Why a device is left alone, as it can be compared.
fn reason(rule: &str, text: &str) -> String {
    match rule {
        "autoresolve.ticket" | "autoresolve.creator" | "autoresolve.line" => NOTHING.to_owned(),
        _ => format!("{rule}: {text}"),
    }
}

fn decide(world: &World, once: bool) -> Decided {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let clock = Clock::frozen("2022-01-31T15:00:00Z".parse::<DateTime<Utc>>().unwrap());
        let bruin = Arc::new(Bruin { world: world.clone(), clock: clock.clone(), asked: Mutex::default() });
        let monitor = sample::monitor(bruin.clone(), &clock);
        let whitelist: Vec<Serial> = world
            .edges
            .iter()
            .enumerate()
            .filter(|(_, (_, monitored))| *monitored)
            .map(|(edge, _)| Serial::from(serial(edge)))
            .collect();
        let job = monitor.job("test", Arc::new(whitelist.into_iter().collect()));
        let devices: Vec<Device> = world
            .edges
            .iter()
            .enumerate()
            .map(|(edge, (pair, _))| {
                let mut record = sample::record(&serial(edge));
                record.partner =
                    pair.then(|| sample::partner(sample::STANDBY, crate::edges::State::connected()));
                Device { edge: Arc::new(sample::edge(&serial(edge))), record }
            })
            .collect();
        let client = ClientId::from(CLIENT);
        let judged = if once {
            monitor.judge_client(&job, &client, devices).await
        } else {
            let mut judged = Judged::default();
            let (devices, others): (Vec<Device>, Vec<Device>) =
                devices.into_iter().partition(|device| job.whitelist.contains(device.serial()));
            for device in &others {
                judged.go_on(device, Tickets { unmonitored: true, ..Tickets::default() });
            }
            monitor.judge_each(&job, &client, &devices, &mut judged).await;
            judged
        };
        let resolve: BTreeSet<(String, String)> = judged
            .candidates
            .iter()
            .map(|found| (found.device.serial().to_string(), found.ticket.id.to_string()))
            .collect();
        let mut leave: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for decision in judged.refusals {
            let Verdict::Abstain(text) = &decision.verdict else { panic!("{decision:?}") };
            leave.entry(decision.device.clone()).or_default().insert(reason(decision.rule, text));
        }
        // That one ticket has no line of an edge matters only if no other has.
        let resolved = |device: &str| resolve.iter().any(|(serial, _): &(String, String)| serial == device);
        for (device, reasons) in &mut leave {
            if reasons.len() > 1 || resolved(device) {
                reasons.remove(NOTHING);
            }
        }
        leave.retain(|_, reasons| !reasons.is_empty());
        let requests = *bruin.asked.lock();
        Decided { resolve, leave, requests }
    })
}

/// How many tickets of ours Bruin lists as open, of the client and of its monitored edges.
fn own(world: &World) -> usize {
    let open = |ticket: &&Ticket| {
        ticket.topic == "VOO"
            && ["New", "InProgress", "Draft"].contains(&ticket.status)
            && ticket.row != Row::NoId
    };
    world.tickets.iter().filter(open).filter(|ticket| ticket.creator == Some(OURS)).count()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn one_question_for_a_client_decides_like_one_for_each_edge(world in world()) {
        let (once, each) = (decide(&world, true), decide(&world, false));
        let monitored = world.edges.iter().filter(|(_, monitored)| *monitored).count();
        let details_fail = world.tickets.iter().any(|ticket| ticket.details_fail);

        // With an answer to every question for tickets the same lines are resolved.
        if world.failing == Failing::None {
            prop_assert_eq!(&once.resolve, &each.resolve);
            if !details_fail {
                prop_assert_eq!(&once.leave, &each.leave);
            }
        }
        // Without one nothing is resolved that would not be resolved with it.
        let all = decide(&World { failing: Failing::None, ..world.clone() }, false);
        prop_assert!(once.resolve.is_subset(&all.resolve), "{:?} {:?}", once.resolve, all.resolve);
        // Of each edge it is told what was decided.
        for edge in 0..world.edges.len() {
            let of = serial(edge);
            let resolved = once.resolve.iter().any(|(device, _)| *device == of);
            prop_assert!(resolved || once.leave.contains_key(&of), "nothing is told of {}", of);
        }
        // One question too many only where the client has as many tickets as healthy edges: that shows in the answer.
        let own = own(&world);
        let surplus = usize::from(monitored > 1 && own >= monitored);
        if world.failing == Failing::None && !details_fail {
            prop_assert!(once.requests <= each.requests + surplus, "{} {} {own}", once.requests, each.requests);
        }
    }
}
