//! A small world for tests: real NATS and Redis, stub bridges with the specification's sample data, a frozen clock.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, Utc};
use futures::StreamExt;
use runtime::{Clock, Environment, Host};
use serde_json::{Value, json};
use testkit::{Nats, PeerRequest, Redis, StubPeers};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) const SERIAL: &str = "VC1234567";
pub(crate) const HOST: &str = "vco1.example.net";
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) const CACHE: &str = "customer.cache.get";
pub(crate) const LINKS: &str = "get.links.with.edge.info";
pub(crate) const ENTERPRISES: &str = "request.network.enterprise.edges";
pub(crate) const EVENTS: &str = "alert.request.event.edge";
pub(crate) const TICKETS: &str = "bruin.ticket.basic.request";
pub(crate) const TICKET: &str = "bruin.single_ticket.basic.request";
pub(crate) const DETAILS: &str = "bruin.ticket.details.request";
pub(crate) const NOTE: &str = "bruin.ticket.note.append.request";
pub(crate) const CREATE: &str = "bruin.ticket.creation.outage.request";
pub(crate) const OPEN: &str = "bruin.ticket.status.open";
pub(crate) const RESOLVE: &str = "bruin.ticket.status.resolve";
pub(crate) const UNPAUSE: &str = "bruin.ticket.unpause";
pub(crate) const WORK: &str = "bruin.ticket.change.work";
pub(crate) const SEVERITY: &str = "bruin.change.ticket.severity";
pub(crate) const REBOOT: &str = "digi.reboot";
pub(crate) const LOGS: &str = "get.digi.recovery.logs";
pub(crate) const SLACK: &str = "notification.slack.request";

/// Everything that changes something at a third party, and Slack.
pub(crate) const WRITES: [&str; 9] = [NOTE, CREATE, OPEN, RESOLVE, UNPAUSE, WORK, SEVERITY, REBOOT, SLACK];

/// The stage: servers, stubs and the time. The service comes and goes.
pub(crate) struct World {
    pub(crate) nats: Nats,
    pub(crate) redis: Redis,
    pub(crate) peers: StubPeers,
    pub(crate) clock: Clock,
    pub(crate) environment: Environment,
}

/// The service while it runs.
pub(crate) struct Running {
    pub(crate) host: Host,
    run: JoinHandle<anyhow::Result<()>>,
}

impl World {
    /// 10:00 at the site, JetStream, one edge that is up and has no ticket.
    pub(crate) async fn new() -> Self {
        Self::with(Nats::start_with_jetstream().await).await
    }

    pub(crate) async fn with(nats: Nats) -> Self {
        Self::leaving_out(nats, "").await
    }

    /// The same in triage mode, with one open ticket of the edge, 555, which has no notes.
    pub(crate) async fn triage() -> Self {
        Self::triage_leaving_out("").await
    }

    /// [`Self::triage`]; nobody answers `silent`.
    pub(crate) async fn triage_leaving_out(silent: &str) -> Self {
        let mut world = Self::leaving_out(Nats::start_with_jetstream().await, silent).await;
        world.set("ENABLE_TRIAGE_MONITORING", "1");
        world.set("TRIAGE__MONITORED_VELOCLOUD_HOSTS", &json!([HOST]).to_string());
        world.answer(TICKETS, 200, json!([ticket("Ann")])).await;
        world
    }

    /// Nobody answers `silent`.
    pub(crate) async fn leaving_out(nats: Nats, silent: &str) -> Self {
        let redis = Redis::start().await;
        let peers = StubPeers::start_with_redis(&nats.url(), &redis.url()).await;
        let environment = Environment::from_iter(testkit::settings(&nats, &redis))
            .with("ENVIRONMENT_NAME", "automation-example")
            .with("CURRENT_ENVIRONMENT", "production")
            .with("TIMEZONE", "US/Eastern")
            .with("ENABLE_TRIAGE_MONITORING", "0")
            .with("MONITORING__VELOCLOUD_HOST", HOST);
        let clock = Clock::frozen("2022-01-31T15:00:00Z".parse().unwrap());
        let world = Self { nats, redis, peers, clock, environment };
        world.set_the_stage(silent).await;
        world
    }

    /// Stubs and settings for another NATS server, which `self.nats` is already.
    pub(crate) async fn move_to_new_nats(&mut self) {
        self.peers = StubPeers::start_with_redis(&self.nats.url(), &self.redis.url()).await;
        let url = self.nats.url();
        self.set("NATS_SERVER1", &url);
        self.set_the_stage("").await;
    }

    async fn set_the_stage(&self, silent: &str) {
        self.answer(CACHE, 200, json!([cached(SERIAL)])).await;
        for (read, body) in [
            (LINKS, json!([row(SERIAL, "CONNECTED", "GE1", "STABLE")])),
            (ENTERPRISES, json!([enterprise(SERIAL, "UNCONFIGURED")])),
            (EVENTS, json!([])),
            (TICKETS, json!([])),
            (TICKET, json!({"ticketID": 555, "severity": 2})),
            (DETAILS, details("I", &json!([]))),
        ] {
            if read != silent {
                self.answer(read, 200, body).await;
            }
        }
        for write in WRITES.into_iter().filter(|write| *write != silent) {
            let body = if write == CREATE { json!(555) } else { json!({}) };
            self.answer(write, 200, body).await;
        }
    }

    pub(crate) async fn answer(&self, subject: &str, status: u16, body: Value) {
        self.peers.answer(subject, json!({"body": body, "status": status})).await;
    }

    /// Answers a subject which nobody else answers with these bodies one after the other, then with the last for ever.
    pub(crate) async fn answer_in_turn(&self, subject: &'static str, bodies: Vec<Value>) {
        let client = self.nats.client().await;
        let mut requests = client.subscribe(subject).await.unwrap();
        client.flush().await.unwrap();
        tokio::spawn(async move {
            let mut bodies = bodies.into_iter().peekable();
            let mut body = Value::Null;
            while let Some(request) = requests.next().await {
                body = bodies.next().unwrap_or(body);
                let reply = json!({"body": body, "status": 200}).to_string();
                client.publish(request.reply.unwrap(), reply.into()).await.unwrap();
            }
        });
    }

    /// Answers a subject which nobody else answers with what cannot be read. Counts the requests.
    pub(crate) async fn mumble(&self, subject: &'static str) -> Arc<AtomicUsize> {
        let client = self.nats.client().await;
        let mut requests = client.subscribe(subject).await.unwrap();
        client.flush().await.unwrap();
        let asked = Arc::new(AtomicUsize::new(0));
        let count = asked.clone();
        tokio::spawn(async move {
            while let Some(request) = requests.next().await {
                count.fetch_add(1, Ordering::SeqCst);
                client.publish(request.reply.unwrap(), "mumble".into()).await.unwrap();
            }
        });
        asked
    }

    /// The edge's only link is down.
    pub(crate) async fn link_down(&self) {
        self.answer(LINKS, 200, json!([row(SERIAL, "CONNECTED", "GE1", "DISCONNECTED")])).await;
    }

    /// The edge is up again.
    pub(crate) async fn healed(&self) {
        self.answer(LINKS, 200, json!([row(SERIAL, "CONNECTED", "GE1", "STABLE")])).await;
    }

    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.environment = self.environment.clone().with(name, value);
    }

    pub(crate) fn start(&self) -> Running {
        let host = Host::new(self.clock.clone(), CancellationToken::new());
        let (environment, started) = (self.environment.clone(), host.clone());
        let run =
            tokio::spawn(async move { service_outage_monitor::service().run(environment, started).await });
        Running { host, run }
    }

    /// Starts the service and waits for the end of its first cycle.
    pub(crate) async fn first_cycle(&self) -> Running {
        let running = self.start();
        running.finished(1).await;
        running
    }

    /// Redis loses all that it holds, as it does when it starts again.
    pub(crate) async fn empty_redis(&self) {
        let mut redis = self.redis.connection().await;
        redis::cmd("FLUSHALL").exec_async(&mut redis).await.unwrap();
    }

    /// Moves the time.
    pub(crate) fn advance(&self, seconds: u64) {
        assert!(self.clock.advance(Duration::from_secs(seconds)));
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// Waits until so many requests were made on a subject.
    pub(crate) async fn until(&self, subject: &str, count: usize) {
        let enough =
            |requests: &[PeerRequest]| requests.iter().filter(|r| r.subject == subject).count() >= count;
        assert!(
            self.peers.until(PATIENCE, enough).await,
            "{subject}: {count} expected in {:#?}",
            self.subjects()
        );
    }

    /// Waits until a Slack text contains `part`.
    pub(crate) async fn until_said(&self, part: &str) {
        let said = |requests: &[PeerRequest]| {
            let mut texts = requests.iter().filter(|r| r.subject == SLACK);
            texts.any(|r| r.body()["message"].as_str().is_some_and(|text| text.contains(part)))
        };
        assert!(self.peers.until(PATIENCE, said).await, "{part:?} expected in {:#?}", self.bodies(SLACK));
    }

    /// Forgets the requests so far and tells the subjects and bodies of all but Slack, which comes when it likes.
    pub(crate) fn take(&self) -> Vec<(String, Value)> {
        let requests = self.peers.take_requests().into_iter();
        requests.filter(|r| r.subject != SLACK).map(|r| (r.subject.clone(), r.body())).collect()
    }

    pub(crate) fn bodies(&self, subject: &str) -> Vec<Value> {
        self.peers.requests_on(subject).iter().map(PeerRequest::body).collect()
    }

    pub(crate) fn subjects(&self) -> Vec<String> {
        self.peers.requests().into_iter().map(|request| request.subject).collect()
    }

    /// The requests so far that change something.
    pub(crate) fn writes(&self) -> Vec<String> {
        self.subjects().into_iter().filter(|subject| WRITES.contains(&subject.as_str())).collect()
    }
}

impl Running {
    /// Stops the service as a signal does.
    pub(crate) async fn stop(self) {
        self.host.stop.cancel();
        let ended = tokio::time::timeout(PATIENCE, self.run).await;
        ended.expect("it stops").expect("no panic").expect("no error");
    }

    /// The value of a metric, summed over its labels; 0 when there is none.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let text = prometheus::TextEncoder::new().encode_to_string(&self.host.metrics.gather()).unwrap();
        let values = text.lines().filter_map(|line| {
            let rest = line.strip_prefix(name)?;
            let value =
                if rest.starts_with('{') { rest.rsplit_once("} ")?.1 } else { rest.strip_prefix(' ')? };
            value.parse::<f64>().ok()
        });
        values.sum()
    }

    /// Whether a counter stands at `count`.
    pub(crate) fn counted(&self, name: &str, count: u32) -> bool {
        (self.metric(name) - f64::from(count)).abs() < 0.5
    }

    /// Waits until so many runs of jobs (cycles, re-checks, forwards) are over.
    pub(crate) async fn finished(&self, runs: u32) {
        self.exceeds("scheduled_job_runs_total", f64::from(runs) - 0.5).await;
    }

    /// Waits until a metric is above `floor`.
    pub(crate) async fn exceeds(&self, name: &str, floor: f64) {
        self.comes_to(name, |value| value > floor).await;
    }

    /// Waits until no job is under way.
    pub(crate) async fn rests(&self) {
        self.comes_to("scheduled_job_running", |running| running < 0.5).await;
    }

    async fn comes_to(&self, name: &str, there: impl Fn(f64) -> bool) {
        let waiting = async {
            while !there(self.metric(name)) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, waiting).await;
        assert!(waited.is_ok(), "{name} stands at {}", self.metric(name));
    }
}

pub(crate) fn cached(serial: &str) -> Value {
    json!({
        "edge": {"host": HOST, "enterprise_id": 12, "edge_id": 345},
        "edge_name": "Store 7",
        "last_contact": "2022-01-31T10:00:00.000Z",
        "logical_ids": [{"interface_name": "GE1", "logical_id": "00:00:5e:00:53:01:0000"}],
        "serial_number": serial,
        "ha_serial_number": null,
        "bruin_client_info": {"client_id": 11111, "client_name": "Example Corp", "site_id": 222},
        "site_details": {"clientID": 11111, "siteID": "222", "timeZone": "Eastern", "tzOffset": -5},
        "links_configuration": [{"interfaces": ["GE1"], "mode": "PUBLIC", "type": "WIRED"}]
    })
}

pub(crate) fn row(serial: &str, state: &str, interface: &str, link_state: &str) -> Value {
    json!({
        "host": HOST, "enterpriseName": "Example Corp", "enterpriseId": 12, "edgeName": "Store 7",
        "edgeState": state, "edgeId": 345, "edgeSerialNumber": serial, "edgeHASerialNumber": null,
        "displayName": "ACME Cable", "interface": interface, "linkState": link_state, "linkId": 1,
        "linkIpAddress": "192.0.2.7"
    })
}

pub(crate) fn enterprise(serial: &str, ha_state: &str) -> Value {
    json!({"host": HOST, "id": 345, "serialNumber": serial, "haState": ha_state})
}

/// One line, 77, of the sample edge.
pub(crate) fn details(status: &str, notes: &Value) -> Value {
    json!({"ticketDetails": [{"detailID": 77, "detailValue": SERIAL, "detailStatus": status}], "ticketNotes": notes})
}

pub(crate) fn note(body: &str, created: &str) -> Value {
    json!({"noteId": 1, "noteValue": format!("#*MetTel's IPA*#\n{body}"), "serviceNumber": [SERIAL],
        "createdDate": created})
}

/// An open ticket as the light list has it.
pub(crate) fn ticket(created_by: &str) -> Value {
    json!({"ticketID": 555, "clientID": 11111, "createDate": "1/31/2022 1:00:00 PM", "createdBy": created_by,
        "severity": 2})
}

/// An event of a link, at a time of the sample day in UTC.
pub(crate) fn link_event(event: &str, time: &str, interface: &str) -> Value {
    let message = match event {
        "LINK_DEAD" => format!("Link {interface} is now DEAD"),
        _ => format!("Link {interface} is no longer DEAD"),
    };
    json!({"event": event, "category": "NETWORK", "eventTime": format!("2022-01-31T{time}.000Z"), "message": message})
}
