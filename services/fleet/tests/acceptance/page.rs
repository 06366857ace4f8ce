//! The page over HTTP: what it answers without a world, and whom it does not answer. What a visitor does with it is tested
//! in a browser (page-tests).

use fleet::{
    page::{self, Sources},
    supervisor::Supervisor,
};
use reqwest::{Client, StatusCode, redirect::Policy};
use runtime::{Clock, Environment, SpanLog};
use sandbox::{
    Running, Sandbox, SandboxOptions, Simulation, ThirdParty,
    world::{
        dri::TaskState,
        probes::{ProbeService, TestKind},
    },
};
use serde_json::json;
use tokio_util::sync::{CancellationToken, DropGuard};

/// The half beside the network.
const CAPABILITIES: &str = "/?show=capabilities";

/// A page without services; dropping it ends it.
struct Stage {
    base: String,
    client: Client,
    sandbox: Option<Running>,
    _stop: DropGuard,
}

impl Stage {
    async fn start(edges: Option<usize>) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let sandbox = match edges {
            Some(edges) => {
                Some(Sandbox::start(SandboxOptions { edges, ..SandboxOptions::default() }).await.unwrap())
            }
            None => None,
        };
        let clock = sandbox.as_ref().map_or_else(Clock::shifted, |sandbox| sandbox.world().clock().clone());
        let stop = CancellationToken::new();
        let sources = Sources {
            simulation: sandbox.as_ref().map(|sandbox| sandbox.simulation().clone()),
            services: Supervisor::start(Vec::new(), &clock).watched(),
            spans: SpanLog::new(10),
            clock,
            // Nobody listens there: the page works without the ledger.
            environment: Environment::from([("NATS_SERVER1", "nats://127.0.0.1:1")]),
        };
        let address = page::start(0, sources, stop.clone()).await.unwrap();
        Self {
            base: format!("http://{address}"),
            client: Client::builder().redirect(Policy::none()).build().unwrap(),
            sandbox,
            _stop: stop.drop_guard(),
        }
    }

    async fn text(&self, path: &str) -> String {
        let answer = self.client.get(format!("{}{path}", self.base)).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        answer.text().await.unwrap()
    }

    /// Presses a button with these fields and returns the page it leads to.
    async fn press(&self, path: &str, fields: &[(&str, &str)]) -> String {
        let from = format!("{}{CAPABILITIES}", self.base);
        let post = self.client.post(format!("{}{path}", self.base)).header("referer", from);
        let answer = post.form(fields).send().await.unwrap();
        let (status, headers) = (answer.status(), answer.headers().clone());
        assert_eq!(status, StatusCode::SEE_OTHER, "{path}: {}", answer.text().await.unwrap());
        let back = headers["location"].to_str().unwrap();
        assert!(back.starts_with(CAPABILITIES), "{path} leads to {back}");
        self.text(back).await
    }

    /// What a button answers that does nothing.
    async fn refused(&self, path: &str, fields: &[(&str, &str)]) -> (StatusCode, String) {
        let answer = self.client.post(format!("{}{path}", self.base)).form(fields).send().await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    }

    fn simulation(&self) -> &Simulation {
        self.sandbox.as_ref().unwrap().simulation()
    }

    fn serial(&self) -> String {
        self.sandbox.as_ref().unwrap().world().network(|network| network.edges[0].serial.clone())
    }
}

#[tokio::test]
async fn without_a_sandbox_the_engine_is_shown_alone() {
    let stage = Stage::start(None).await;
    let html = stage.text("/").await;
    assert!(html.contains("Services") && html.contains("Decisions"));
    assert!(!html.contains("Third parties") && !html.contains("Forward 10 min"));
    let broken = stage.client.post(format!("{}/do/edge/VC1/break", stage.base)).send().await.unwrap();
    assert_eq!(broken.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_button_works_without_script_and_leads_back() {
    let stage = Stage::start(Some(20)).await;
    let serial = stage.serial();
    let from = format!("{}/?device={serial}&search=VC", stage.base);
    let post = stage.client.post(format!("{}/do/edge/{serial}/break", stage.base));
    let answer = post.header("referer", &from).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    let back = answer.headers()["location"].to_str().unwrap().to_owned();
    assert_eq!(back, format!("/?device={serial}&search=VC#device"));
    let html = stage.text(&back).await;
    assert!(html.contains("Heal the edge") && html.contains("The edge goes down"));
}

#[tokio::test]
async fn other_names_and_other_sites_are_refused() {
    let stage = Stage::start(Some(20)).await;
    let rebound = stage.client.get(&stage.base).header("host", "evil.example").send().await.unwrap();
    assert_eq!(rebound.status(), StatusCode::FORBIDDEN);
    let post = stage.client.post(format!("{}/do/heal", stage.base)).header("sec-fetch-site", "cross-site");
    assert_eq!(post.send().await.unwrap().status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_mail_may_do_nothing() {
    let stage = Stage::start(Some(20)).await;
    let world = stage.sandbox.as_ref().unwrap().world();
    world.with_outbox("mail", |outbox| {
        outbox.mail(sandbox::world::outbox::Mail {
            number: 0,
            at: world.now(),
            from: "a@example.com".into(),
            recipients: vec!["b@example.com".into()],
            subject: "<Report>".into(),
            text: String::new(),
            html: Some("<script>alert(1)</script>".into()),
            attachments: Vec::new(),
            raw: String::new(),
        })
    });
    let html = stage.text("/?mail=1").await;
    assert!(html.contains(r#"<iframe sandbox src="/mail/1""#) && html.contains("&#60;Report&#62;"), "{html}");
    let mail = stage.client.get(format!("{}/mail/1", stage.base)).send().await.unwrap();
    let rules = mail.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(rules.starts_with("sandbox; default-src 'none'"), "{rules}");
}

#[tokio::test]
async fn a_change_is_sent_to_who_looks_at_it() {
    let stage = Stage::start(Some(20)).await;
    let serial = stage.serial();
    let events = format!("{}/events?reader=r1&device={serial}", stage.base);
    let mut stream = stage.client.get(events).send().await.unwrap();
    let mut seen = String::new();
    let mut until = async |text: &str| {
        while !seen.contains(text) {
            let chunk = stream.chunk().await.unwrap().expect("the stream goes on");
            seen.push_str(&String::from_utf8_lossy(&chunk));
        }
        seen.clear();
    };
    until("Break the edge").await;
    stage.sandbox.as_ref().unwrap().world().break_edge(&serial).unwrap();
    until("The edge goes down").await;
    let look = stage.client.post(format!("{}/events/r1", stage.base)).form(&[("search", "nothing at all")]);
    assert_eq!(look.send().await.unwrap().status(), StatusCode::NO_CONTENT);
    until("No edge matches").await;
    let gone = stage.client.post(format!("{}/events/other", stage.base)).form(&[("search", "")]);
    assert_eq!(gone.send().await.unwrap().status(), StatusCode::NOT_FOUND);
}

/// The part of a page between two texts.
fn between<'a>(html: &'a str, begin: &str, end: &str) -> &'a str {
    let (_, rest) = html.split_once(begin).expect(begin);
    rest.split_once(end).map_or(rest, |(part, _)| part)
}

#[tokio::test]
async fn the_halves_of_the_page_lead_to_each_other() {
    let stage = Stage::start(Some(20)).await;
    let network = stage.text("/").await;
    assert!(network.contains(r#"<a href="/?show=capabilities" data-load>"#), "{network}");
    assert!(!network.contains(r#"id="probes""#));
    let beside = stage.text(CAPABILITIES).await;
    assert!(beside.contains(r#"<a href="/" data-load>"#) && !beside.contains(r#"id="customers""#));
    assert!(beside.contains(r#"href="/#errors" data-load"#), "the bar leads to the other half");
    for part in ["probes", "model-t7", "model-emailtagger", "model-repairtickets", "dri", "cts-dispatches"] {
        let inside = between(&beside, &format!(r#"<div id="{part}""#), "</section>");
        assert!(inside.len() > 100, "{part}: {inside}");
    }
    let alone = Stage::start(None).await;
    let html = alone.text(CAPABILITIES).await;
    assert!(html.contains("Decisions") && !html.contains("Probes, models"));
    let (status, _) = alone.refused("/do/probe/X/all/fail", &[]).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_probe_fails_and_heals() {
    let stage = Stage::start(Some(20)).await;
    let probe = stage.simulation().world.probes(|probes| probes.list()[1].clone());
    let row = |html: &str| between(html, r#"<li id="probe-2">"#, r#"<li id="probe-"#).to_owned();
    let html = stage.press(&format!("/do/probe/{}/all/fail", probe.serial), &[]).await;
    assert!(html.contains("1 of 24 probes in trouble"));
    assert!(row(&html).contains("fails: it reaches nothing") && row(&html).contains("Heal probe"));
    let down = |service| {
        let of = |probes: &sandbox::world::probes::Probes| probes.list()[1].down(service).since().is_some();
        stage.simulation().world.probes(of)
    };
    assert!(down(ProbeService::NodeToNode) && down(ProbeService::RealService));
    let html = stage.press(&format!("/do/probe/{}/all/heal", probe.serial), &[]).await;
    assert!(html.contains("0 of 24 probes in trouble") && row(&html).contains(">well<"));
    assert!(!down(ProbeService::NodeToNode) && !down(ProbeService::RealService));

    stage.press(&format!("/do/probe/{}/icmp/fail", probe.serial), &[]).await;
    let failing = |probes: &sandbox::world::probes::Probes| probes.list()[1].failing(TestKind::Icmp).since();
    assert!(stage.simulation().world.probes(failing).is_some());
    // A test shows what comes of it in its next run.
    stage.simulation().world.advance(std::time::Duration::from_secs(360));
    let html = row(&stage.text("/?show=capabilities&probe=2").await);
    assert!(
        html.contains("its tests fail") && html.contains("Failed") && html.contains("is the limit"),
        "{html}"
    );
    let other = row(&stage.text(CAPABILITIES).await);
    assert!(!other.contains("is the limit"), "only an opened probe shows its results");

    let html = stage.press(&format!("/do/probe/{}/power/off", probe.serial), &[]).await;
    assert!(row(&html).contains("switched off"));
    for path in ["/do/probe/none/all/fail", "/do/probe/none/mind/fail", "/do/probe/none/icmp/paint"] {
        assert_eq!(stage.refused(path, &[]).await.0, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn probes_are_searched_for() {
    let stage = Stage::start(Some(20)).await;
    let serial = stage.simulation().world.probes(|probes| probes.list()[6].serial.clone());
    let html = stage.text(&format!("/?show=capabilities&search={}", serial.to_lowercase())).await;
    assert!(html.contains("1 match") && html.contains(r#"<li id="probe-7">"#));
    assert!(!html.contains(r#"<li id="probe-1">"#));
    assert!(stage.text("/?show=capabilities&search=nothing+such").await.contains("No probe matches"));
}

#[tokio::test]
async fn a_person_predicts_in_place_of_a_model() {
    let stage = Stage::start(Some(20)).await;
    let models = &stage.simulation().models;
    let state =
        |html: &str, model: &str| between(html, &format!(r#"<div id="model-{model}""#), "</div>").to_owned();
    let html = stage.text(CAPABILITIES).await;
    assert!(state(&html, "t7").contains("T7 answers by its own rules"));
    let fields = [("about", "VC1"), ("what", "Repair Completed"), ("percent", "87")];
    let html = stage.press("/do/model/t7/prediction", &fields).await;
    assert!(state(&html, "t7").contains("predicts VC1: Repair Completed 87 %"), "{html}");
    let answer = models.prepared(ThirdParty::T7)["Prediction"].answer.clone().unwrap();
    let result =
        json!([{"asset": "VC1", "task_results": [{"name": "Repair Completed", "probability": 0.87}]}]);
    assert_eq!(answer["asset_predictions"], result);
    let html = stage.press("/do/model/t7/clear", &[]).await;
    assert!(state(&html, "t7").contains("by its own rules") && models.prepared(ThirdParty::T7).is_empty());

    stage.press("/do/model/emailtagger/refusal", &[("code", "UNAVAILABLE")]).await;
    let refusal = &models.prepared(ThirdParty::EmailTagger)["GetPrediction"];
    assert_eq!(refusal.code.as_deref(), Some("UNAVAILABLE"));
    let html =
        stage.press("/do/model/repairtickets/prediction", &[("about", "VC1,VC2"), ("what", "VAS")]).await;
    assert!(state(&html, "repairtickets").contains("predicts class VAS, VC1, VC2"));
    assert!(state(&html, "emailtagger").contains("refuses with UNAVAILABLE"));
    for (path, fields) in [
        ("/do/model/t7/prediction", [("about", ""), ("what", "Repair Completed")]),
        ("/do/model/emailtagger/prediction", [("about", ""), ("what", "repair")]),
        ("/do/model/emailtagger/refusal", [("code", "TIRED"), ("x", "")]),
    ] {
        assert_eq!(stage.refused(path, &fields).await.0, StatusCode::BAD_REQUEST, "{path}");
    }
    assert_eq!(stage.refused("/do/model/bruin/clear", &[]).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_task_at_dri_is_pending_and_then_complete() {
    let stage = Stage::start(Some(20)).await;
    let (serial, world) = (stage.serial(), &stage.simulation().world);
    assert!(stage.text(CAPABILITIES).await.contains("Nobody has asked for a device yet"));
    let fields = [("serial", serial.as_str()), ("fate", "completes"), ("takes", "60")];
    let html = stage.press("/do/dri", &fields).await;
    assert!(html.contains("its tasks take 60 s") && html.contains("It has no tasks."));
    let task = world.start_dri_task(&serial, vec!["a".into()], std::time::Duration::from_secs(1)).unwrap();
    let tasks = async || {
        let html = stage.text(CAPABILITIES).await;
        between(&html, &format!(r#"<li id="dri-{serial}">"#), "</ul>").to_owned()
    };
    assert!(tasks().await.contains(r#"<span class="ending open">pending</span>"#));
    world.advance(std::time::Duration::from_secs(61));
    assert!(tasks().await.contains(r#"<span class="ending done">complete</span>"#));
    stage.press(&format!("/do/dri/{serial}/rejected"), &[]).await;
    assert_eq!(world.dri_task_state(&serial, task.id), TaskState::Rejected);
    assert!(tasks().await.contains("rejected") && tasks().await.contains("its tasks take 60 s"));
    assert_eq!(stage.refused(&format!("/do/dri/{serial}/burns"), &[]).await.0, StatusCode::NOT_FOUND);
    let fields = [("serial", serial.as_str()), ("fate", "completes"), ("takes", "soon")];
    assert_eq!(stage.refused("/do/dri", &fields).await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn dispatches_are_entered_changed_and_removed() {
    let stage = Stage::start(Some(20)).await;
    let row = |html: &str, number: &str| {
        between(html, &format!(r#"<li id="dispatch-{number}""#), "\n</li>").to_owned()
    };
    for (vendor, first, field, step, status) in [
        ("cts", "Open", "Issue_Summary__c", "schedule", "Scheduled"),
        ("lit", "New Dispatch", "Scope_of_Work", "confirm", "Request Confirmed"),
    ] {
        let fields = [("ticket", "5001"), ("site", "<Main Street>")];
        let html = stage.press(&format!("/do/dispatch/{vendor}/enter"), &fields).await;
        let list = between(&html, &format!(r#"<div id="{vendor}-dispatches""#), "</section>");
        let number = between(list, r#"<li id="dispatch-"#, "\"").to_owned();
        let entered = row(&html, &number);
        assert!(entered.contains("ticket 5001") && entered.contains(first), "{entered}");
        assert!(entered.contains("&#60;Main Street&#62;"), "{entered}");
        let html = stage.press(&format!("/do/dispatch/{vendor}/{number}/{step}"), &[]).await;
        assert!(row(&html, &number).contains(status));
        let change = [("field", field), ("value", "Look at the antenna")];
        stage.press(&format!("/do/dispatch/{vendor}/{number}/change"), &change).await;
        let open = row(&stage.text(&format!("/?show=capabilities&dispatch={number}")).await, &number);
        assert!(open.contains("Look at the antenna"), "{open}");
        for (path, fields, expected) in [
            ("enter", [("ticket", " "), ("site", "")], StatusCode::BAD_REQUEST),
            ("none/remove", [("", ""), ("", "")], StatusCode::NOT_FOUND),
            ("none/explode", [("", ""), ("", "")], StatusCode::NOT_FOUND),
            (&format!("{number}/change"), [("field", "Mood"), ("value", "x")], StatusCode::BAD_REQUEST),
        ] {
            let (status, text) = stage.refused(&format!("/do/dispatch/{vendor}/{path}"), &fields).await;
            assert_eq!(status, expected, "{vendor} {path}: {text}");
        }
        let html = stage.press(&format!("/do/dispatch/{vendor}/{number}/remove"), &[]).await;
        assert!(!html.contains(&number));
    }
}

#[tokio::test]
async fn who_cannot_be_asked_is_said() {
    let stage = Stage::start(Some(20)).await;
    let html = stage.press("/do/ask/probes-down", &[("about", "")]).await;
    let answer = between(&html, r#"<div id="answer-hawkeye""#, "</div>");
    assert!(answer.contains("no answer: ") && answer.contains("hawkeye.probe.request"), "{answer}");
    assert_eq!(stage.refused("/do/ask/riddle", &[("about", "")]).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn what_happens_to_a_probe_is_sent_to_who_looks_at_the_probes() {
    let stage = Stage::start(Some(20)).await;
    let mut stream =
        stage.client.get(format!("{}/events?reader=r1&show=capabilities", stage.base)).send().await.unwrap();
    let mut seen = String::new();
    // The event that says so.
    let mut until = async |text: &str| loop {
        if let Some((event, rest)) = seen.clone().split_once("\n\n") {
            seen = rest.to_owned();
            if event.contains(text) {
                return event.to_owned();
            }
            continue;
        }
        let chunk = stream.chunk().await.unwrap().expect("the stream goes on");
        seen.push_str(&String::from_utf8_lossy(&chunk));
    };
    until("0 of 24 probes in trouble").await;
    let serial = stage.simulation().world.probes(|probes| probes.list()[0].serial.clone());
    stage.simulation().world.trouble_probe(
        &serial,
        sandbox::world::probes::Trouble::Failing(TestKind::Voice),
        true,
    );
    let sent = until("1 of 24 probes in trouble").await;
    assert!(sent.contains("its tests fail"));
    assert!(!sent.contains(r#""id":"model-t7""#), "only what changed is sent");
}
