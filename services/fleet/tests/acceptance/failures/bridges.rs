//! Every subject of the bridges to Hawkeye, DRI, CTS, LIT and the models, and of the Hawkeye customer cache, under every
//! trouble: a reply each time, with the status of the specification, and as before once it is over.

use std::{collections::BTreeMap, time::Duration};

use bus::Bus;
use contracts::{Incoming, catalogue};
use futures::future::join_all;
use model_bridges::cases::REPLIES;
use sandbox::{Fault, Mode, ThirdParty, kre::Prepared};
use serde_json::{Value, json};
use testkit::Via;

use crate::{
    stage::{PATIENCE, Stage, assert_no_restarts},
    subjects::{Sample, samples},
};

const SERVICES: [&str; 8] = [
    "hawkeye-bridge",
    "dri-bridge",
    "cts-bridge",
    "lit-bridge",
    "t7-bridge",
    "email-tagger-kre-bridge",
    "repair-tickets-kre-bridge",
    "hawkeye-customer-cache",
];
/// How the subjects of each begin.
const SUBJECTS: [&str; 8] =
    ["hawkeye.", "dri.", "cts.", "lit.", "t7.", "email_tagger.", "rta.", "hawkeye.customer."];
/// How long a requester waits for what is struck. Bridges try until then.
const WITHIN: Duration = Duration::from_secs(4);
/// Longer than any of them waits for a third party.
const NEVER: Duration = Duration::from_secs(600);

/// Something that a third party does to every call.
#[derive(Debug, Clone, Copy)]
enum Trouble {
    /// It answers with this HTTP status.
    Status(u16),
    /// A fault of the sandbox.
    Fault(Mode),
    /// It does not answer.
    Silence,
}

use Trouble::{Silence, Status};

const GARBAGE: Trouble = Trouble::Fault(Mode::Garbage);
const RESET: Trouble = Trouble::Fault(Mode::Reset);
const LOSE_ANSWER: Trouble = Trouble::Fault(Mode::LoseAnswer);
const TRUNCATE: Trouble = Trouble::Fault(Mode::Truncate);

impl Trouble {
    fn fault(self) -> Fault {
        match self {
            Self::Status(status) => Fault::status(status),
            Self::Fault(mode) => Fault::new(mode),
            Self::Silence => Fault::latency(NEVER),
        }
    }
}

/// A service alone with its third party, and good requests on all its subjects.
struct Scene {
    stage: Stage,
    third_party: ThirdParty,
    supervisor: fleet::supervisor::Supervisor,
    bus: Bus,
    samples: Vec<Sample>,
    /// The status of the answer to each.
    usual: BTreeMap<&'static str, Option<u16>>,
}

impl Scene {
    async fn new(service: &str, subjects: &str, third_party: ThirdParty) -> Self {
        let stage = Stage::new().await;
        let supervisor = stage.run(&[service]).await;
        let bus = stage.bus().await;
        let mut samples = samples(&stage);
        samples.retain(|sample| sample.subject.starts_with(subjects) && !is_of_the_cache(sample));
        assert!(!samples.is_empty());
        let mut scene = Self { stage, third_party, supervisor, bus, samples, usual: BTreeMap::new() };
        scene.usual = scene.ask_all().await;
        for (subject, status) in &scene.usual {
            assert!(status.is_some_and(|status| (200..300).contains(&status)), "{subject}: {status:?}");
        }
        scene
    }

    /// Asks all subjects at once: the status of each reply. Each request is a new one.
    async fn ask_all(&self) -> BTreeMap<&'static str, Option<u16>> {
        let ask = async |sample: &Sample| {
            let mut envelope = sample.envelope.clone();
            envelope["request_id"] = json!(format!("{}", rand::random::<u64>()));
            let answer = self.bus.exchange_raw(sample.subject, envelope, WITHIN).await;
            let answer = answer.unwrap_or_else(|error| panic!("{}: no reply: {error}", sample.subject));
            (sample.subject, answer.status)
        };
        join_all(self.samples.iter().map(ask)).await.into_iter().collect()
    }

    /// Strikes all calls whose path contains `path`, once with each trouble: what every subject answers then.
    async fn under(&self, path: &str, troubles: &[(Trouble, u16)]) {
        let faults = self.stage.sandbox.faults();
        for (trouble, expected) in troubles {
            faults.inject(self.third_party, trouble.fault().on(path));
            for (subject, status) in self.ask_all().await {
                assert_eq!(status, Some(*expected), "{subject} under {trouble:?}");
            }
            faults.clear(Some(self.third_party));
            self.recovers(&format!("{trouble:?}")).await;
        }
    }

    /// Waits until all is as before: bridges let a moment pass between two logins.
    async fn recovers(&self, from: &str) {
        let recovered = async { while self.ask_all().await != self.usual {} };
        assert!(tokio::time::timeout(PATIENCE, recovered).await.is_ok(), "no recovery from {from}");
    }

    /// Ends all sessions while the bridge believes in its own: nobody notices.
    async fn without_session(&self) {
        for _ in 0..3 {
            assert!(self.stage.sandbox.sessions().expire(self.third_party) > 0);
            assert_eq!(self.ask_all().await, self.usual);
        }
    }

    /// Asks a subject no more.
    fn forget(&mut self, subject: &str) {
        self.samples.retain(|sample| sample.subject != subject);
        self.usual.remove(subject);
    }

    async fn end(self) {
        assert_no_restarts(&self.supervisor);
        self.supervisor.stop().await;
    }
}

fn is_of_the_cache(sample: &Sample) -> bool {
    sample.subject.starts_with("hawkeye.customer.")
}

#[tokio::test]
async fn hawkeye_does_everything_wrong() {
    let scene = Scene::new("hawkeye-bridge", "hawkeye.", ThirdParty::Hawkeye).await;
    scene.without_session().await;
    let troubles = [
        (Status(302), 500),
        (Status(400), 400),
        (Status(401), 401),
        (Status(403), 403),
        (Status(404), 404),
        (Status(429), 429),
        (Status(500), 500),
        (Status(503), 500),
        (Status(513), 500),
        (GARBAGE, 500),
        (RESET, 500),
        (LOSE_ANSWER, 500),
        (TRUNCATE, 500),
        (Silence, 500),
    ];
    scene.under("/", &troubles).await;
    scene.end().await;
}

#[tokio::test]
async fn dri_does_everything_wrong() {
    let scene = Scene::new("dri-bridge", "dri.", ThirdParty::Dri).await;
    scene.without_session().await;
    let troubles = [
        (Status(400), 400),
        (Status(401), 401),
        (Status(403), 403),
        (Status(404), 404),
        (Status(429), 429),
        (Status(500), 500),
        (Status(503), 503),
        (Status(504), 504),
        (GARBAGE, 500),
        (RESET, 500),
        (LOSE_ANSWER, 500),
        (TRUNCATE, 500),
    ];
    scene.under("/acs/", &troubles).await;

    // One call may take 30 s, and the requesters wait for four times as long.
    scene.stage.sandbox.faults().inject(ThirdParty::Dri, Silence.fault());
    let (old, sample) = (scene.stage.old_peer().await, &scene.samples[0]);
    let reply = old.request(sample.subject, &sample.envelope, PATIENCE).await.envelope();
    assert_eq!(reply["status"], 500, "{reply}");
    scene.stage.sandbox.faults().clear(None);
    scene.recovers("silence").await;
    scene.end().await;
}

/// What both vendors' bridges answer; the login works on.
const SALESFORCE: [(Trouble, u16); 14] = [
    (Status(300), 500),
    (Status(302), 500),
    (Status(400), 500),
    (Status(401), 500),
    (Status(403), 500),
    (Status(404), 500),
    (Status(409), 500),
    (Status(429), 500),
    (Status(500), 500),
    (Status(503), 500),
    (GARBAGE, 503),
    (RESET, 503),
    (LOSE_ANSWER, 503),
    (Silence, 503),
];

#[tokio::test]
async fn cts_does_everything_wrong() {
    let mut scene = Scene::new("cts-bridge", "cts.", ThirdParty::Cts).await;
    scene.without_session().await;
    scene.under("/services/data/", &SALESFORCE).await;
    // An answer without content cannot be cut off.
    scene.forget("cts.dispatch.update");
    scene.under("/services/data/", &[(TRUNCATE, 503)]).await;
    scene.end().await;
}

#[tokio::test]
async fn lit_does_everything_wrong() {
    let scene = Scene::new("lit-bridge", "lit.", ThirdParty::Lit).await;
    scene.without_session().await;
    scene.under("/services/apexrest/", &SALESFORCE).await;
    scene.under("/services/apexrest/", &[(TRUNCATE, 503)]).await;
    scene.end().await;
}

/// What the bridges answer to what is no gRPC, or nothing.
const NO_GRPC: [(Trouble, u16); 12] = [
    (Status(302), 500),
    (Status(400), 500),
    (Status(401), 401),
    (Status(403), 403),
    (Status(404), 404),
    (Status(429), 500),
    (Status(500), 500),
    (Status(503), 500),
    (GARBAGE, 500),
    (RESET, 500),
    (LOSE_ANSWER, 500),
    (Silence, 408),
];

/// A model with these methods refuses, breaks and is silent.
async fn a_model_does_everything_wrong(service: &str, subjects: &str, model: ThirdParty, methods: &[&str]) {
    let scene = Scene::new(service, subjects, model).await;
    assert_eq!(methods.len(), scene.samples.len(), "one method for each subject");
    for (code, expected) in REPLIES {
        for method in methods {
            let refusal = Prepared::status(code, "so it is");
            scene.stage.sandbox.models().prepare(model, method, refusal).unwrap();
        }
        for (subject, status) in scene.ask_all().await {
            assert_eq!(status, Some(expected), "{subject} under {code}");
        }
    }
    scene.stage.sandbox.models().clear(model, None);
    scene.recovers("refusals").await;
    scene.under("/", &NO_GRPC).await;
    scene.end().await;
}

#[tokio::test]
async fn t7_does_everything_wrong() {
    let methods = ["Prediction", "SaveMetrics", "SaveLiveMetrics"];
    a_model_does_everything_wrong("t7-bridge", "t7.", ThirdParty::T7, &methods).await;
}

#[tokio::test]
async fn email_tagger_does_everything_wrong() {
    let (service, methods) = ("email-tagger-kre-bridge", ["GetPrediction", "SaveMetrics"]);
    a_model_does_everything_wrong(service, "email_tagger.", ThirdParty::EmailTagger, &methods).await;
}

#[tokio::test]
async fn repair_tickets_does_everything_wrong() {
    let service = "repair-tickets-kre-bridge";
    let methods = ["GetPrediction", "SaveOutputs", "SaveCreatedTicketsFeedback", "SaveClosedTicketsFeedback"];
    a_model_does_everything_wrong(service, "rta.", ThirdParty::RepairTickets, &methods).await;
}

/// A request in which something is missing or another thing than it should be, and what its contract says to that.
fn refused(sample: &Sample) -> Vec<(Value, u16, Value)> {
    let mut spoiled: Vec<Value> =
        [json!(null), json!(7), json!("x"), json!([]), json!({})].map(|body| json!({"body": body})).into();
    spoiled.push(json!({}));
    let fields: Vec<&String> = sample.envelope["body"].as_object().unwrap().keys().collect();
    for field in fields {
        for value in [None, Some(json!(null)), Some(json!([{}])), Some(json!({"a": 1}))] {
            let mut envelope = sample.envelope.clone();
            let body = envelope["body"].as_object_mut().unwrap();
            match value {
                Some(value) => drop(body.insert(field.clone(), value)),
                None => drop(body.shift_remove(field)),
            }
            spoiled.push(envelope);
        }
    }
    let contract = catalogue::find(sample.subject).unwrap();
    let refusal = |mut envelope: Value| {
        envelope["request_id"] = json!(format!("{}", rand::random::<u64>()));
        let text = envelope.to_string();
        let rejected = contract.check(&Incoming::read(&text).unwrap()).err()?;
        Some((envelope, rejected.status, rejected.body))
    };
    spoiled.into_iter().filter_map(refusal).collect()
}

#[tokio::test]
async fn what_is_missing_or_malformed_is_refused_and_large_requests_are_answered_as_small_ones() {
    let stage = Stage::new().await;
    let supervisor = stage.run(&SERVICES).await;
    let (old, mut samples) = (stage.old_peer().await, samples(&stage));
    samples.retain(|sample| SUBJECTS.iter().any(|subjects| sample.subject.starts_with(subjects)));
    assert_eq!(samples.len(), 21);
    // The caches of the third parties' answers know nothing yet, so whatever is asked shows at the third party.
    let asked = || -> usize {
        let sandbox = &stage.sandbox;
        let models = [ThirdParty::T7, ThirdParty::EmailTagger, ThirdParty::RepairTickets];
        let calls: usize = models.iter().map(|model| sandbox.models().calls(*model).len()).sum();
        let others = ["/testsresults", "/acs/", "/services/data/", "/services/apexrest/"];
        let received = |path: &&str| {
            let parties = [ThirdParty::Hawkeye, ThirdParty::Dri, ThirdParty::Cts, ThirdParty::Lit];
            parties.iter().map(|party| sandbox.received().count(*party, path)).sum::<u64>()
        };
        calls + usize::try_from(others.iter().map(received).sum::<u64>()).unwrap()
    };
    for sample in &samples {
        for payload in ["", "hello", "null", "[1]", "{", "\u{0}", r#"{"is_stored":true}"#] {
            let reply =
                old.request_bytes(sample.subject, payload.into(), Via::Size, PATIENCE).await.envelope();
            assert_eq!(reply["status"], 400, "{} {payload:?}", sample.subject);
        }
        let refused = refused(sample);
        assert!(refused.len() >= 3, "{} is hardly ever refused", sample.subject);
        for (envelope, status, body) in refused {
            let reply = old.request(sample.subject, &envelope, PATIENCE).await.envelope();
            let expected = json!({"request_id": envelope["request_id"], "body": body, "status": status});
            assert_eq!(reply, expected, "{} {envelope}", sample.subject);
        }
    }
    assert_eq!(asked(), 0, "what is refused is not sent");

    for sample in &samples {
        let mut statuses = Vec::new();
        for more in ["", &"x".repeat(1_200_000)] {
            let mut envelope = sample.envelope.clone();
            envelope["request_id"] = json!(format!("{}", rand::random::<u64>()));
            envelope["more"] = json!(more);
            let reply = old.request(sample.subject, &envelope, PATIENCE).await.envelope();
            statuses.push(reply["status"].as_u64().unwrap());
        }
        assert_eq!(statuses[0], statuses[1], "{}", sample.subject);
        assert!((200..300).contains(&statuses[0]), "{}: {statuses:?}", sample.subject);
    }
    assert_no_restarts(&supervisor);
    supervisor.stop().await;
}
