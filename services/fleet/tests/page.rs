//! The page over HTTP: what it answers without a world, and whom it does not answer. What a visitor does with it is tested
//! in a browser (page-tests).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail by panicking"
)]

use fleet::{
    page::{self, Sources},
    supervisor::Supervisor,
};
use reqwest::{Client, StatusCode, redirect::Policy};
use runtime::{Clock, Environment, SpanLog};
use sandbox::{Running, Sandbox, SandboxOptions};
use tokio_util::sync::{CancellationToken, DropGuard};

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
