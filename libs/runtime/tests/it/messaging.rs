//! A service on a real bus: NATS and Redis as processes of their own.

use std::sync::LazyLock;
use std::time::Duration;

use bus::Reply;
use contracts::{Effect, Incoming, Rejected, Request, Rpc};
use runtime::{Clock, Context, Environment, Host, Runnable, Service};
use serde::Serialize;
use serde_json::{Value, json};
use testkit::{Nats, Redis};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

struct Echo;

#[derive(Debug, Serialize)]
struct Word(Value);

impl Request for Word {
    fn parse(incoming: &Incoming<'_>) -> Result<Self, Rejected> {
        incoming.body_as("no word").map(Self)
    }
}

impl Rpc for Echo {
    const SUBJECT: &'static str = "test.echo";
    const QUEUE: &'static str = "echo";
    const EFFECT: Effect = Effect::Read;
    const TIMEOUT: Duration = Duration::from_secs(30);
    const ANSWER_WITHIN: Duration = Duration::from_secs(30);
    type Request = Word;
    type Reply = Value;
}

/// Answers `hello` at once, and `wait` when the test lets it.
struct Echoes;

static ASKED: LazyLock<Notify> = LazyLock::new(Notify::new);
static GO_ON: LazyLock<Notify> = LazyLock::new(Notify::new);

impl Service for Echoes {
    const NAME: &'static str = "echoes";
    const ABOUT: &'static str = "Echoes";
    type Config = ();

    async fn start(ctx: Context, (): ()) -> anyhow::Result<()> {
        let bus = ctx.connect().await?;
        bus.serve::<Echo, _, _>(async |call| {
            if call.request.0 == "wait" {
                ASKED.notify_one();
                GO_ON.notified().await;
            }
            Reply::ok(&call.request.0)
        })
        .await?;
        Ok(())
    }
}

async fn status(port: u16, path: &str) -> (u16, String) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = http.get(format!("http://127.0.0.1:{port}{path}")).send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

async fn until(port: u16, path: &str, expected: u16) -> String {
    loop {
        let (status, body) = status(port, path).await;
        if status == expected {
            return body;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_healthy_once_subscribed_ready_while_connected_and_answers_before_it_stops() {
    let (nats, redis) = (Nats::start().await, Redis::start().await);
    let environment =
        Environment::from_iter(testkit::settings(&nats, &redis)).with("ENVIRONMENT_NAME", "test");
    nats.kill9();
    let host = Host::new(Clock::system(), CancellationToken::new());
    let given = host.clone();
    let run = tokio::spawn(async move { Runnable::of::<Echoes>().run(environment, given).await });
    let listening = host.status().wait_for(|status| status.http.is_some()).await.unwrap().clone();
    let port = listening.http_port().unwrap();

    // Without NATS: the process lives, but nobody may rely on it yet.
    assert_eq!(status(port, "/_health").await, (503, "null".to_owned()));
    assert!(until(port, "/_ready", 503).await.contains("starting"));

    nats.restart().await;
    host.started().await.unwrap();
    assert_eq!(status(port, "/_health").await, (200, "null".to_owned()));
    assert_eq!(until(port, "/_ready", 200).await, r#"{"ready":true,"reasons":[]}"#);

    // NATS lost: not ready, but alive, or the orchestrator would kill the fleet.
    nats.kill9();
    assert_eq!(until(port, "/_ready", 503).await, r#"{"ready":false,"reasons":["not connected to NATS"]}"#);
    assert_eq!(status(port, "/_health").await.0, 200);
    nats.restart().await;
    until(port, "/_ready", 200).await;

    // What is in flight at the stop is answered.
    let client = async_nats::connect(nats.url()).await.unwrap();
    let asking = tokio::spawn(async move {
        let envelope = serde_json::to_vec(&json!({"request_id": "r1", "body": "wait"})).unwrap();
        client.request("test.echo", envelope.into()).await.unwrap().payload
    });
    ASKED.notified().await;
    host.stop.cancel();
    assert!(until(port, "/_ready", 503).await.contains("stopping"));
    GO_ON.notify_one();
    let reply: Value = serde_json::from_slice(&asking.await.unwrap()).unwrap();
    assert_eq!(reply, json!({"request_id": "r1", "body": "wait", "status": 200}));
    run.await.unwrap().unwrap();
}
