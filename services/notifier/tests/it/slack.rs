//! Slack: the webhook's status, the limit of eight seconds, `Retry-After` and the backlog (spec `notifier`, Improve 1, 2,
//! 4, 15).

use std::time::Duration;

use crate::stage::{PATIENCE, call, metrics, until};
use contracts::notifier::SlackRequest;
use notifier::metrics::Metrics;
use notifier::slack::{Pace, Slack};
use prometheus::Registry;
use runtime::WriteMode;
use testkit::{Rule, StubUpstream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use upstream::{NoLogin, Settings, Upstream};

const PATH: &str = "/services/T000/B000/secret";
const WEBHOOK: &str = "^/services/T000/B000/secret$";

/// Slack with a stub as its webhook.
struct Channel {
    slack: Slack,
    webhook: StubUpstream,
    registry: Registry,
    stop: CancellationToken,
    backlog: JoinHandle<()>,
}

impl Channel {
    async fn open(pace: Pace, mode: WriteMode) -> Self {
        let webhook = StubUpstream::start().await;
        let registry = Registry::new();
        let url = webhook.base().join(PATH).unwrap();
        let upstream = Upstream::new(Settings::new("slack", url), NoLogin, &registry).unwrap();
        let stop = CancellationToken::new();
        let metrics = Metrics::register(&registry).unwrap();
        let (slack, backlog) = Slack::new(upstream, pace, mode, metrics, stop.clone());
        Self { slack, webhook, registry, stop, backlog: tokio::spawn(backlog) }
    }

    async fn post(&self, text: &str, within: Duration) -> bus::Reply {
        self.slack.post(call(SlackRequest::new(text), within)).await
    }

    fn texts(&self) -> Vec<String> {
        self.webhook.calls().iter().map(|call| call.json()["text"].as_str().unwrap().to_owned()).collect()
    }

    fn counted(&self, outcome: &str) -> bool {
        let line = format!(r#"notifier_deliveries_total{{channel="slack",outcome="{outcome}"}} 1"#);
        metrics(&self.registry, "notifier_deliveries_total").contains(&line)
    }
}

fn quick() -> Pace {
    Pace { first_pause: Duration::from_millis(20), ..Pace::default() }
}

#[tokio::test]
async fn the_answer_is_the_status_of_the_webhook_and_has_no_body() {
    for (status, executed) in
        [(200, true), (201, true), (204, true), (302, false), (400, false), (404, false)]
    {
        let channel = Channel::open(quick(), WriteMode::Live).await;
        channel.webhook.answer(Rule::on("POST", WEBHOOK).status(status));
        let reply = channel.post("[tnba-monitor] hello", PATIENCE).await;
        assert_eq!((reply.code(), reply.was_executed()), (status, executed));
        assert!(reply.body().is_none());
        let calls = channel.webhook.calls();
        assert_eq!(calls.len(), 1, "{status}");
        assert_eq!(calls[0].json(), serde_json::json!({"text": "[tnba-monitor] hello"}));
        assert_eq!(calls[0].header("content-type"), Some("application/json"));
    }
}

#[tokio::test]
async fn texts_beyond_the_limit_of_slack_are_cut_visibly() {
    let channel = Channel::open(quick(), WriteMode::Live).await;
    channel.webhook.answer(Rule::on("POST", WEBHOOK));
    channel.post(&"x".repeat(50_000), PATIENCE).await;
    let text = channel.texts().remove(0);
    assert_eq!(text.chars().count(), 40_000);
    assert!(text.ends_with("[cut: the text was too long for Slack]"));
}

#[tokio::test]
async fn an_unreachable_webhook_is_a_500_within_the_deadline_and_may_be_tried_again() {
    let channel = Channel::open(quick(), WriteMode::Live).await;
    channel.webhook.down().await;
    let within = Duration::from_millis(1_500);
    let reply = tokio::time::timeout(within, channel.post("x", within)).await.expect("answered in time");
    assert_eq!((reply.code(), reply.was_executed()), (500, false));
}

#[tokio::test]
async fn a_webhook_that_comes_back_within_the_deadline_gets_the_message() {
    let channel = Channel::open(quick(), WriteMode::Live).await;
    channel.webhook.down().await;
    channel.webhook.answer(Rule::on("POST", WEBHOOK));
    let (reply, ()) = tokio::join!(channel.post("x", PATIENCE), async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        channel.webhook.up().await;
    });
    assert_eq!(reply.code(), 200);
    assert_eq!(channel.texts(), ["x"]);
}

#[tokio::test]
async fn a_lost_answer_is_a_500_and_never_repeated() {
    for rule in [Rule::on("POST", WEBHOOK).drops(), Rule::on("POST", WEBHOOK).delay(PATIENCE)] {
        let channel = Channel::open(quick(), WriteMode::Live).await;
        channel.webhook.answer(rule);
        let reply = channel.post("x", Duration::from_secs(1)).await;
        assert_eq!((reply.code(), reply.was_executed()), (500, true));
        assert!(channel.counted("unknown"));
        assert_eq!(channel.texts(), ["x"]);
    }
}

#[tokio::test]
async fn a_busy_webhook_gets_the_message_later() {
    for status in [429, 500, 503] {
        let channel = Channel::open(quick(), WriteMode::Live).await;
        channel
            .webhook
            .answer(Rule::on("POST", WEBHOOK).status(status).times(3))
            .answer(Rule::on("POST", WEBHOOK));
        let reply = channel.post("x", PATIENCE).await;
        assert_eq!((reply.code(), reply.was_executed()), (202, true), "{status}");
        until("delivered", || channel.counted("delivered")).await;
        assert_eq!(channel.texts(), ["x"; 4], "{status}");
        assert_eq!(metrics(&channel.registry, "notifier_slack_waiting"), ["notifier_slack_waiting 0"]);
    }
}

#[tokio::test]
async fn after_a_429_nobody_posts_before_the_time_it_names() {
    let channel = Channel::open(quick(), WriteMode::Live).await;
    channel
        .webhook
        .answer(Rule::on("POST", WEBHOOK).status(429).header("Retry-After", "1").times(1))
        .answer(Rule::on("POST", WEBHOOK));
    let refused_at = tokio::time::Instant::now();
    assert_eq!(channel.post("first", PATIENCE).await.code(), 202);
    // The second waits for its turn rather than be refused, too.
    assert_eq!(channel.post("second", PATIENCE).await.code(), 200);
    assert!(refused_at.elapsed() >= Duration::from_secs(1));
    until("both posted", || channel.webhook.calls().len() == 3).await;
}

#[tokio::test]
async fn a_message_that_cannot_wait_so_long_joins_the_backlog() {
    let channel = Channel::open(quick(), WriteMode::Live).await;
    channel.webhook.answer(Rule::on("POST", WEBHOOK).status(429).header("Retry-After", "120"));
    assert_eq!(channel.post("first", PATIENCE).await.code(), 202);
    assert_eq!(channel.post("second", PATIENCE).await.code(), 202);
    assert_eq!(channel.texts(), ["first"]);
    assert_eq!(metrics(&channel.registry, "notifier_slack_waiting"), ["notifier_slack_waiting 2"]);
}

#[tokio::test]
async fn messages_wait_side_by_side_for_the_time_that_a_429_names() {
    let channel = Channel::open(quick(), WriteMode::Live).await;
    channel
        .webhook
        .answer(Rule::on("POST", WEBHOOK).status(429).header("Retry-After", "60").times(1))
        .answer(Rule::on("POST", WEBHOOK));
    for text in ["1", "2", "3", "4"] {
        assert_eq!(channel.post(text, Duration::from_secs(1)).await.code(), 202);
    }
    assert_eq!(channel.texts(), ["1"]);
    // The minute is over, once.
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(61)).await;
    tokio::time::resume();
    until("all posted", || channel.webhook.calls().len() == 5).await;
    assert_eq!(channel.texts(), ["1", "1", "2", "3", "4"]);
}

#[tokio::test]
async fn a_full_backlog_answers_with_the_status_of_the_webhook() {
    let pace = Pace { places: 2, first_pause: PATIENCE, ..Pace::default() };
    let channel = Channel::open(pace, WriteMode::Live).await;
    channel.webhook.answer(Rule::on("POST", WEBHOOK).status(503));
    assert_eq!(channel.post("1", PATIENCE).await.code(), 202);
    assert_eq!(channel.post("2", PATIENCE).await.code(), 202);
    let reply = channel.post("3", PATIENCE).await;
    assert_eq!((reply.code(), reply.was_executed()), (503, false));
}

#[tokio::test]
async fn the_backlog_gives_up_what_is_refused_or_too_old_and_counts_it() {
    let pace = Pace { give_up_after: Duration::ZERO, ..quick() };
    for (pace, second) in [(quick(), 404), (pace, 503)] {
        let channel = Channel::open(pace, WriteMode::Live).await;
        channel
            .webhook
            .answer(Rule::on("POST", WEBHOOK).status(503).times(1))
            .answer(Rule::on("POST", WEBHOOK).status(second));
        assert_eq!(channel.post("x", PATIENCE).await.code(), 202);
        until("given up", || channel.counted("lost")).await;
        assert_eq!(channel.texts(), ["x", "x"]);
        assert_eq!(metrics(&channel.registry, "notifier_slack_waiting"), ["notifier_slack_waiting 0"]);
    }
}

#[tokio::test]
async fn at_the_stop_each_waiting_message_gets_one_more_attempt() {
    let pace = Pace { first_pause: PATIENCE, ..Pace::default() };
    let channel = Channel::open(pace, WriteMode::Live).await;
    channel.webhook.answer(Rule::on("POST", WEBHOOK).status(503).times(3)).answer(Rule::on("POST", WEBHOOK));
    for text in ["1", "2", "3"] {
        assert_eq!(channel.post(text, PATIENCE).await.code(), 202);
    }
    channel.stop.cancel();
    let Channel { backlog, webhook, slack, .. } = channel;
    tokio::time::timeout(PATIENCE, backlog).await.unwrap().unwrap();
    let texts: Vec<_> = webhook.calls()[3..].iter().map(|call| call.json()["text"].clone()).collect();
    assert_eq!(texts, ["1", "2", "3"]);
    // Nobody would post what is put to wait now.
    webhook.rules(vec![Rule::on("POST", WEBHOOK).status(503)]);
    assert_eq!(slack.post(call(SlackRequest::new("4"), PATIENCE)).await.code(), 503);
}

#[tokio::test]
async fn a_dry_run_posts_nothing() {
    let channel = Channel::open(quick(), WriteMode::DryRun).await;
    assert_eq!(channel.post("x", PATIENCE).await.code(), 200);
    assert_eq!(channel.texts(), Vec::<String>::new());
    assert!(channel.counted("dry_run"));
}
