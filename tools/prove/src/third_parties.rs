//! Experiment 4: every way in which a third party misbehaves. Replies are as specified and in time, a login is made once
//! for all who need it, nothing is repeated without need, and memory stays bounded.

mod answers;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Context;
use async_nats::Client;
use async_nats::client::RequestErrorKind;
use futures::future::{BoxFuture, join_all};
use measure::figures::time;
use sandbox::world::network::Edge;
use sandbox::{Fault, Mode, ThirdParty};
use serde_json::{Value, json};

use crate::experiment::{Experiment, Lab, Outcome, Promise};
use crate::stage::{PATIENCE, Stage};

/// What a reply may take at most, whatever happens: the smallest time limit of the subjects asked, and some more.
const SLOWEST: Duration = Duration::from_secs(14);
/// What a bridge's memory may grow by over all of it, in MB.
const GROWTH: f64 = 48.0;

/// See the module.
pub(crate) struct ThirdParties;

impl Experiment for ThirdParties {
    fn name(&self) -> &'static str {
        "third-parties"
    }

    fn about(&self) -> &'static str {
        "Bruin, VeloCloud and DiGi are slow, refuse sessions and logins, limit the rate, answer 5xx, reset connections, cut \
         answers off, and send web pages; a stub in Bruin's place answers without end, with wrong content types, and with \
         a certificate of an unknown issuer"
    }

    fn promises(&self) -> &'static [Promise] {
        &[Promise::P3]
    }

    fn run<'a>(&'a self, lab: &'a Lab) -> BoxFuture<'a, anyhow::Result<Outcome>> {
        Box::pin(run(lab))
    }
}

/// A bridge, and what is asked of it: so many different reads at the same time.
struct Bridge {
    service: &'static str,
    party: ThirdParty,
    subject: &'static str,
    bodies: Vec<Value>,
    /// In the paths of the calls that are not logins.
    path: &'static str,
    /// In the paths of logins.
    login: &'static str,
}

/// A misbehaviour and what must come of it.
struct Case {
    name: &'static str,
    fault: Option<Fault>,
    /// All sessions end just before.
    expired: bool,
    /// The statuses of the replies, by bridge: Bruin, VeloCloud, DiGi.
    statuses: [&'static [u64]; 3],
    /// Calls of one request: what is ideal, and what is allowed.
    calls: [(usize, usize); 3],
    /// Logins altogether that are allowed.
    logins: usize,
}

fn cases(requests: usize, full: bool) -> Vec<Case> {
    const GOOD: [&[u64]; 3] = [&[200], &[200], &[200]];
    const ONCE: [(usize, usize); 3] = [(1, 1); 3];
    // VeloCloud's reads are repeated once after what may pass.
    const AGAIN: [(usize, usize); 3] = [(1, 1), (1, 2), (1, 1)];
    const INTERNAL: [&[u64]; 3] = [&[500], &[500], &[500]];
    let strikes = u32::try_from(requests).unwrap_or(u32::MAX);
    let case = |name, fault, statuses, calls| Case {
        name,
        fault: Some(fault),
        expired: false,
        statuses,
        calls,
        logins: 0,
    };
    // VeloCloud is asked ten at a time: the last of fifty requests waits five times as long.
    let latency = if full { Duration::from_secs(2) } else { Duration::from_secs(1) };
    let mut cases = vec![
        case("slow", Fault::latency(latency), GOOD, ONCE),
        Case {
            name: "sessions expire",
            fault: None,
            expired: true,
            statuses: GOOD,
            calls: [(1, 2); 3],
            logins: 1,
        },
        Case {
            name: "logins refused",
            fault: Some(Fault::new(Mode::RefuseLogins)),
            expired: true,
            statuses: [&[401, 500], &[401], &[401, 500]],
            calls: [(1, 1); 3],
            logins: 3,
        },
        case(
            "429 with Retry-After",
            Fault::new(Mode::RateLimit).times(strikes),
            [&[429], &[429], &[500]],
            ONCE,
        ),
        case("503", Fault::status(503), INTERNAL, AGAIN),
        case("resets", Fault::new(Mode::Reset), INTERNAL, AGAIN),
        case("answers cut off", Fault::new(Mode::Truncate), INTERNAL, AGAIN),
        // A page instead of JSON is how VeloCloud asks for a login.
        Case {
            name: "web pages",
            fault: Some(Fault::new(Mode::Garbage)),
            expired: false,
            statuses: [&[500], &[401], &[500]],
            calls: AGAIN,
            logins: 1,
        },
    ];
    if full {
        // Only Bruin's limit of 12 s is short enough to be waited for.
        let fault = Fault::latency(PATIENCE);
        cases.push(case("silence", fault, [&[500], &[], &[]], ONCE));
    }
    cases
}

async fn run(lab: &Lab) -> anyhow::Result<Outcome> {
    let stage = Stage::new(lab, 160).await?;
    let requests = lab.effort.pick(20, 50);
    let bridges = bridges(&stage, requests)?;
    let mut running = Vec::new();
    for bridge in &bridges {
        running.push(stage.start(bridge.service, bridge.service, &[]).await?);
    }
    let options = async_nats::ConnectOptions::new().request_timeout(Some(PATIENCE));
    let client = options.connect(stage.nats_url()).await?;
    let mut outcome = Outcome::default();
    outcome.figure("requests at a time to each bridge", requests);
    for bridge in &bridges {
        let before = ask(&client, bridge, requests).await?;
        outcome.none(format!("{}: refused before", bridge.service), requests - before.with(&[200]));
    }
    let memory: Vec<f64> = running
        .iter()
        .map(|service| Ok(service.program.memory()?.resident))
        .collect::<anyhow::Result<_>>()?;
    let mut slowest = Duration::ZERO;
    let full = lab.effort.pick(false, true);
    for case in cases(requests, full) {
        slowest = slowest.max(strike(&stage, &client, &bridges, &case, requests, &mut outcome).await?);
    }
    let reply = format!("slowest reply below {}", time(SLOWEST));
    outcome.in_time(lab.effort, reply, slowest < SLOWEST, time(slowest));
    for ((service, bridge), before) in running.iter().zip(&bridges).zip(memory) {
        let grown = service.program.memory()?.peak - before;
        let what = format!("{}: memory grows by less than {GROWTH} MB", bridge.service);
        outcome.check(what, grown < GROWTH, format!("{grown:.1} MB"));
    }
    for service in running {
        service.program.stop().await?;
    }
    answers::run(lab, &stage, &client, &mut outcome).await?;
    Ok(outcome)
}

/// Lets a case strike all bridges at the same time; the slowest reply.
async fn strike(
    stage: &Stage,
    client: &Client,
    bridges: &[Bridge],
    case: &Case,
    requests: usize,
    outcome: &mut Outcome,
) -> anyhow::Result<Duration> {
    let concerned =
        bridges.iter().zip(case.statuses).zip(case.calls).filter(|((_, statuses), _)| !statuses.is_empty());
    let struck = concerned.map(|((bridge, statuses), calls)| async move {
        let received = |path: &str| stage.sandbox.received().count(bridge.party, path);
        if let Some(fault) = case.fault.clone() {
            // Logins are struck by refusals of logins only.
            let fault = if fault.mode() == Mode::RefuseLogins { fault } else { fault.on(bridge.path) };
            stage.sandbox.faults().inject(bridge.party, fault);
        }
        if case.expired {
            stage.sandbox.sessions().expire(bridge.party);
        }
        let (calls_before, logins_before) = (received(bridge.path), received(bridge.login));
        let replies = ask(client, bridge, requests).await?;
        stage.sandbox.faults().clear(Some(bridge.party));
        let made = received(bridge.path) - calls_before;
        let logins = received(bridge.login) - logins_before;
        anyhow::Ok((bridge, statuses, calls, replies, usize::try_from(made)?, usize::try_from(logins)?))
    });
    let mut slowest = Duration::ZERO;
    let (mut found, mut right) = (Vec::new(), true);
    for result in join_all(struck).await {
        let (bridge, statuses, (ideal, allowed), replies, made, logins) = result?;
        slowest = slowest.max(replies.slowest);
        // It recovers by itself, at once.
        let again = ask(client, bridge, 1).await?;
        right &= replies.with(statuses) == requests
            && made <= allowed * requests
            && logins <= case.logins
            && again.with(&[200]) == 1;
        let after = if again.with(&[200]) == 1 { "" } else { ", not good afterwards" };
        found.push(format!(
            "{} {:?}, {made} calls of ideally {}, {logins} logins{after}",
            bridge.party.title(),
            replies.statuses,
            ideal * requests
        ));
    }
    let expected: Vec<String> = case.statuses.iter().map(|statuses| format!("{statuses:?}")).collect();
    outcome.check(format!("{}: status {}", case.name, expected.join(", ")), right, found.join(", "));
    Ok(slowest)
}

/// What came.
#[derive(Debug, Default)]
struct Replies {
    statuses: BTreeMap<u64, usize>,
    slowest: Duration,
}

impl Replies {
    fn with(&self, statuses: &[u64]) -> usize {
        statuses.iter().filter_map(|status| self.statuses.get(status)).sum()
    }
}

/// Asks so many different things at the same time.
async fn ask(client: &Client, bridge: &Bridge, requests: usize) -> anyhow::Result<Replies> {
    let asked = bridge.bodies.iter().take(requests).map(|body| exchange(client, bridge.subject, body));
    let mut replies = Replies::default();
    for reply in join_all(asked).await {
        let (status, _, took) = reply?;
        *replies.statuses.entry(status).or_default() += 1;
        replies.slowest = replies.slowest.max(took);
    }
    Ok(replies)
}

/// Status and body of a reply, and how long it took.
async fn exchange(
    client: &Client,
    subject: &'static str,
    body: &Value,
) -> anyhow::Result<(u64, Value, Duration)> {
    let envelope = json!({"request_id": format!("r-{}", rand::random::<u64>()), "body": body});
    let mut began = Instant::now();
    let reply = loop {
        let reply = client.request(subject, envelope.to_string().into()).await;
        match reply {
            // It has just been started.
            Err(error) if error.kind() == RequestErrorKind::NoResponders => {
                tokio::time::sleep(Duration::from_millis(50)).await;
                began = Instant::now();
            }
            reply => break reply.with_context(|| format!("no reply on {subject}"))?,
        }
    };
    let mut reply: Value = serde_json::from_slice(&reply.payload)?;
    let status = reply.get("status").and_then(Value::as_u64).unwrap_or_default();
    Ok((status, reply.get_mut("body").map(Value::take).unwrap_or_default(), began.elapsed()))
}

fn bridges(stage: &Stage, requests: usize) -> anyhow::Result<[Bridge; 3]> {
    let tickets = stage.tickets(requests)?;
    let host = stage.host();
    let edges: Vec<Edge> = stage.edges();
    let enterprise = |edge: &Edge| {
        stage.sandbox.world().network(|network| network.enterprise_of(edge).map(|enterprise| enterprise.id))
    };
    // Different requests, because equal reads share a call.
    let configurations = (0..requests).zip(edges.iter().cycle()).map(|(number, edge)| {
        json!({"host": host, "enterprise_id": enterprise(edge), "edge_id": edge.id, "number": number})
    });
    Ok([
        Bridge {
            service: "bruin-bridge",
            party: ThirdParty::Bruin,
            subject: "bruin.ticket.details.request",
            bodies: tickets.iter().map(|ticket| json!({"ticket_id": ticket})).collect(),
            path: "/details",
            login: "/connect/token",
        },
        Bridge {
            service: "velocloud-bridge",
            party: ThirdParty::VeloCloud,
            subject: "request.links.configuration",
            bodies: configurations.collect(),
            path: "/edge/",
            login: "/login/",
        },
        Bridge {
            service: "digi-bridge",
            party: ThirdParty::Digi,
            subject: "get.digi.recovery.logs",
            bodies: (0..requests)
                .map(|number| json!({"start_date_time": "2022-01-31T10:00:00Z", "size": (100 + number).to_string()}))
                .collect(),
            path: "/Recovery",
            login: "oauth/token",
        },
    ])
}
