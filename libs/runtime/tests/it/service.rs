//! Services inside of a process, over real HTTP.

use std::sync::LazyLock;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use parking_lot::Mutex;
use reqwest::{Method, StatusCode};
use runtime::{AtStart, Clock, Context, Environment, Host, Hosted, Runnable, Service, Status};
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

fn http() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().unwrap()
}

fn free_ports() -> Environment {
    Environment::from([("HTTP_PORT", "0"), ("METRICS_PORT", "0"), ("ENVIRONMENT_NAME", "test")])
}

/// A run of a service in this process.
struct Run {
    host: Host,
    task: JoinHandle<anyhow::Result<()>>,
    http: reqwest::Client,
}

impl Run {
    fn of<S: Service>(environment: Environment) -> Self {
        Self::on::<S>(environment, Host::new(Clock::system(), CancellationToken::new()))
    }

    fn on<S: Service>(environment: Environment, host: Host) -> Self {
        let given = host.clone();
        let task = tokio::spawn(async move { Runnable::of::<S>().run(environment, given).await });
        Self { host, task, http: http() }
    }

    /// Waits until it listens.
    async fn listening(&self) -> Status {
        let mut status = self.host.status();
        status.wait_for(|status| status.http.is_some()).await.unwrap().clone()
    }

    async fn get(&self, path: &str) -> (StatusCode, String) {
        let port = self.listening().await.http_port().unwrap();
        let answer = self.http.get(format!("http://127.0.0.1:{port}{path}")).send().await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    }

    async fn ready(&self) -> (StatusCode, Value) {
        let (status, body) = self.get("/_ready").await;
        (status, serde_json::from_str(&body).unwrap())
    }

    async fn stop(self) -> anyhow::Result<()> {
        self.host.stop.cancel();
        self.task.await.unwrap()
    }
}

/// Starts, and waits inside of `start` for the test's word.
struct Slow;

static GO_ON: LazyLock<Mutex<Option<oneshot::Receiver<()>>>> = LazyLock::new(Mutex::default);
static LOGGED_IN: LazyLock<tokio::sync::watch::Sender<bool>> = LazyLock::new(Default::default);

impl Service for Slow {
    const NAME: &'static str = "slow";
    const ABOUT: &'static str = "Takes its time";
    const MESSAGING: bool = false;
    type Config = ();

    async fn start(ctx: Context, (): ()) -> anyhow::Result<()> {
        let go_on = GO_ON.lock().take().unwrap();
        go_on.await?;
        ctx.ready_when("logged in", || *LOGGED_IN.borrow());
        Ok(())
    }
}

#[tokio::test]
async fn health_follows_the_start_and_readiness_the_conditions() {
    let (go_on, waits) = oneshot::channel();
    GO_ON.lock().replace(waits);
    let run = Run::of::<Slow>(free_ports());

    assert_eq!(run.get("/_health").await, (StatusCode::SERVICE_UNAVAILABLE, "null".to_owned()));
    let starting = json!({"ready": false, "reasons": ["starting"]});
    assert_eq!(run.ready().await, (StatusCode::SERVICE_UNAVAILABLE, starting));

    go_on.send(()).unwrap();
    run.host.started().await.unwrap();
    assert_eq!(run.get("/_health").await, (StatusCode::OK, "null".to_owned()));
    let waiting = json!({"ready": false, "reasons": ["not logged in"]});
    assert_eq!(run.ready().await, (StatusCode::SERVICE_UNAVAILABLE, waiting));
    assert_eq!(run.host.not_ready(), ["not logged in"]);

    LOGGED_IN.send_replace(true);
    assert_eq!(run.ready().await, (StatusCode::OK, json!({"ready": true, "reasons": []})));

    run.stop().await.unwrap();
}

/// Has routes, a job, a metric, and a task.
struct Full;

impl Service for Full {
    const NAME: &'static str = "full";
    const ABOUT: &'static str = "Has everything";
    const MESSAGING: bool = false;
    type Config = ();

    async fn start(ctx: Context, (): ()) -> anyhow::Result<()> {
        ctx.http(Router::new().route("/one", get(async || "1")));
        ctx.http(Router::new().route("/two", get(async || "2")));
        let counter = prometheus::IntCounter::new("tickets_created", "Tickets")?;
        ctx.metrics.register(Box::new(counter.clone()))?;
        counter.inc();
        ctx.schedule()
            .every("cycle", Duration::from_secs(600), AtStart::Yes, async || anyhow::bail!("no luck"));
        let stop = ctx.stop.clone();
        ctx.spawn("waits for the stop", async move { stop.cancelled().await });
        Ok(())
    }
}

#[tokio::test]
async fn the_http_port_answers_as_the_probes_expect() {
    let run = Run::of::<Full>(free_ports());
    let status = run.host.started().await.unwrap();
    let url = |path: &str| format!("http://127.0.0.1:{}{path}", status.http_port().unwrap());
    let ask = async |method: Method, path: &str| run.http.request(method, url(path)).send().await.unwrap();

    let health = ask(Method::GET, "/_health").await;
    assert_eq!(health.headers()["content-type"], "application/json");
    assert_eq!((health.status().as_u16(), health.text().await.unwrap().as_str()), (200, "null"));
    let probe = ask(Method::HEAD, "/_health").await;
    assert_eq!((probe.status().as_u16(), probe.text().await.unwrap().as_str()), (200, ""));

    let table = [
        (Method::POST, "/_health", 405),
        (Method::DELETE, "/_ready", 405),
        (Method::GET, "/", 404),
        (Method::GET, "/metrics", 404),
        (Method::GET, "/one", 200),
        (Method::GET, "/two", 200),
        (Method::POST, "/two", 405),
    ];
    for (method, path, expected) in table {
        assert_eq!(ask(method.clone(), path).await.status().as_u16(), expected, "{method} {path}");
    }
    run.stop().await.unwrap();
}

#[tokio::test]
async fn every_path_of_the_metrics_port_answers_with_the_metrics() {
    let run = Run::of::<Full>(free_ports());
    let status = run.host.started().await.unwrap();
    for path in ["/metrics", "/", "/anything/else"] {
        let url = format!("http://127.0.0.1:{}{path}", status.metrics_port().unwrap());
        let answer = run.http.get(url).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.headers()["content-type"], "text/plain; version=0.0.4");
        let text = answer.text().await.unwrap();
        assert!(text.contains("\ntickets_created 1\n"), "{text}");
        assert!(text.contains(r#"service_name="full""#), "{text}");
    }
    run.stop().await.unwrap();
}

#[tokio::test]
async fn metrics_are_openmetrics_for_those_who_ask_for_it() {
    let run = Run::of::<Full>(free_ports());
    let status = run.host.started().await.unwrap();
    let url = format!("http://127.0.0.1:{}/metrics", status.metrics_port().unwrap());
    let ask = async |accept: &str| run.http.get(&url).header("accept", accept).send().await.unwrap();

    let answer = ask("application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5").await;
    assert_eq!(answer.status(), StatusCode::OK);
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!(answer.headers()["content-type"], kind);
    let text = answer.text().await.unwrap();
    assert!(text.contains("\n# TYPE tickets_created counter\ntickets_created_total 1\n"), "{text}");
    assert!(text.ends_with("\n# EOF\n"), "{text}");

    let answer = ask("text/plain;version=0.0.4,application/openmetrics-text;version=1.0.0;q=0.5").await;
    assert_eq!(answer.headers()["content-type"], "text/plain; version=0.0.4");
    assert!(answer.text().await.unwrap().contains("\ntickets_created 1\n"));
    run.stop().await.unwrap();
}

#[tokio::test]
async fn one_port_can_serve_both() {
    let port = std::net::TcpListener::bind("0.0.0.0:0").unwrap().local_addr().unwrap().port().to_string();
    let run = Run::of::<Full>(free_ports().with("HTTP_PORT", &port).with("METRICS_PORT", &port));
    let status = run.host.started().await.unwrap();
    assert_eq!(status.http, status.metrics);
    assert!(run.get("/metrics").await.1.contains("tickets_created 1"));
    assert_eq!(run.get("/_health").await.0, StatusCode::OK);
    run.stop().await.unwrap();
}

#[tokio::test]
async fn the_last_run_of_each_job_is_visible() {
    let run = Run::of::<Full>(free_ports());
    run.host.started().await.unwrap();
    let jobs = loop {
        let jobs: Value = serde_json::from_str(&run.get("/_jobs").await.1).unwrap();
        if jobs["scheduled"][0]["runs"] == 1 {
            break jobs;
        }
        tokio::task::yield_now().await;
    };
    let job = &jobs["scheduled"][0];
    assert_eq!((&job["id"], &job["plan"]), (&"cycle".into(), &"every 600 s".into()));
    assert_eq!((&job["last"]["outcome"], &job["last"]["error"]), (&"failure".into(), &"no luck".into()));
    assert!(job["last"]["seconds"].is_number() && job["next"].is_string() && job["running_since"].is_null());
    run.stop().await.unwrap();
}

#[tokio::test]
async fn two_services_live_side_by_side_and_end_one_by_one() {
    let clock = Clock::frozen("2026-03-01T10:00:00Z".parse().unwrap());
    let all = CancellationToken::new();
    let host = || Host::new(clock.clone(), all.child_token());
    let (one, two) = (Run::on::<Full>(free_ports(), host()), Run::on::<Full>(free_ports(), host()));
    let (first, second) = (one.host.started().await.unwrap(), two.host.started().await.unwrap());
    assert_ne!(first.http, second.http);
    let count = |run: &Run| {
        run.host.metrics.gather().iter().filter(|family| family.name() == "tickets_created").count()
    };
    assert_eq!((count(&one), count(&two)), (1, 1));

    one.stop().await.unwrap();
    assert_eq!(two.get("/_health").await.0, StatusCode::OK);
    // The port of the first is free again, so the same settings serve for a restart.
    let port = first.http_port().unwrap().to_string();
    let again = Run::on::<Full>(free_ports().with("HTTP_PORT", port), two.host.again());
    assert_eq!(again.host.started().await.unwrap().http, first.http);

    all.cancel();
    two.task.await.unwrap().unwrap();
    again.task.await.unwrap().unwrap();
}

/// Fails in the way its settings say.
struct Failing;

impl Service for Failing {
    const NAME: &'static str = "failing";
    const ABOUT: &'static str = "Fails";
    const MESSAGING: bool = false;
    type Config = ();

    async fn start(ctx: Context, (): ()) -> anyhow::Result<()> {
        match ctx.env.get("HOW").unwrap() {
            "error" => anyhow::bail!("an error"),
            "panic" => panic!("a panic"),
            "task" => ctx.spawn("background", async { panic!("a panic in a task") }),
            "later" => {
                ctx.fail(anyhow::anyhow!("the first"));
                ctx.fail(anyhow::anyhow!("the second"));
            }
            _ => std::future::pending().await,
        }
        Ok(())
    }
}

#[tokio::test]
async fn a_failing_service_returns_its_error_and_frees_its_ports() {
    let table = [
        ("error", "an error"),
        ("panic", "panic while starting: a panic"),
        ("task", "the task background panicked: a panic in a task"),
        ("later", "the first"),
    ];
    for (how, expected) in table {
        let run = Run::of::<Failing>(free_ports().with("HOW", how));
        let host = run.host.clone();
        let error = run.task.await.unwrap().unwrap_err();
        assert_eq!(error.to_string(), expected);
        assert!(!host.stop.is_cancelled(), "the neighbours go on");
        let status = host.status().borrow().clone();
        assert!(status.ended);
        std::net::TcpListener::bind(status.http.unwrap()).unwrap();
    }
}

#[tokio::test]
async fn a_service_can_be_stopped_while_it_starts() {
    let run = Run::of::<Failing>(free_ports().with("HOW", "never"));
    let status = run.listening().await;
    let host = run.host.clone();
    run.stop().await.unwrap();
    assert_eq!(host.started().await, None);
    std::net::TcpListener::bind(status.http.unwrap()).unwrap();
}

/// Cannot connect: there is no Redis.
struct Lonely;

impl Service for Lonely {
    const NAME: &'static str = "lonely";
    const ABOUT: &'static str = "Looks for its fleet";
    type Config = ();

    async fn start(ctx: Context, (): ()) -> anyhow::Result<()> {
        ctx.connect().await?;
        Ok(())
    }
}

#[tokio::test]
async fn without_redis_the_service_ends_with_a_clear_error() {
    let environment = free_ports().merged(&Environment::from([
        ("NATS_SERVER1", "nats://127.0.0.1:1"),
        ("REDIS_HOSTNAME", "127.0.0.1"),
        ("REDIS_PORT", "1"),
    ]));
    let error = Run::of::<Lonely>(environment).task.await.unwrap().unwrap_err().to_string();
    assert!(error.contains("Redis at 127.0.0.1:1") && error.contains("REDIS_HOSTNAME"), "{error}");
}

#[test]
fn a_runnable_checks_and_describes_its_service() {
    let lonely = Runnable::of::<Lonely>();
    assert_eq!((lonely.name(), lonely.about()), ("lonely", "Looks for its fleet"));
    let message = lonely.check(&Environment::default()).unwrap_err().to_string();
    for name in ["NATS_SERVER1", "REDIS_HOSTNAME", "ENVIRONMENT_NAME"] {
        assert!(message.contains(&format!("{name} is missing")), "{message}");
    }
    let required = lonely.settings().into_iter().filter(|setting| setting.required);
    assert_eq!(
        required.map(|setting| setting.name).collect::<Vec<_>>(),
        ["NATS_SERVER1", "REDIS_HOSTNAME", "ENVIRONMENT_NAME"]
    );
    assert_eq!(format!("{lonely:?}"), r#"Runnable("lonely")"#);
}

#[tokio::test]
async fn a_hosted_service_tells_why_it_did_not_start() {
    let environment = free_ports().with("HOW", "error");
    let mut hosted = Hosted::start(&Runnable::of::<Failing>(), environment, Clock::system());
    assert_eq!(hosted.started().await.unwrap_err().to_string(), "an error");
}

#[tokio::test]
async fn a_hosted_service_ends_by_its_stop_or_when_it_is_dropped() {
    let full = Runnable::of::<Full>();
    let mut hosted = Hosted::start(&full, free_ports(), Clock::system());
    hosted.started().await.unwrap();
    hosted.stop().await.unwrap();

    let mut hosted = Hosted::start(&full, free_ports(), Clock::system());
    hosted.started().await.unwrap();
    let mut status = hosted.host.status();
    drop(hosted);
    let address = status.wait_for(|status| status.ended).await.unwrap().http.unwrap();
    while std::net::TcpListener::bind(address).is_err() {
        tokio::task::yield_now().await;
    }
}
