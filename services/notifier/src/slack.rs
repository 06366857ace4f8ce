//! `notification.slack.request`: posts texts to the one webhook (spec `notifier`, "Serves" 1, "Slack").
//!
//! Callers wait ten seconds and get an answer within eight: the webhook's status, 500 when it cannot be reached, or 202
//! when the webhook has no time now and the message waits in the [`backlog`].

mod backlog;

use std::sync::Arc;
use std::time::Duration;

use bus::{Call, Reply};
use contracts::notifier::SlackRequest;
use http::header::RETRY_AFTER;
use parking_lot::Mutex;
use runtime::WriteMode;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use upstream::{CallError, Response, Upstream};

use crate::answer_by;
use crate::metrics::{Channel, Metrics, Outcome};
pub use backlog::Pace;
use backlog::{Backlog, Waiting};

/// The longest text that Slack takes, in characters (Improve 15).
const TEXT_LIMIT: usize = 40_000;
/// What stands at the end of a text that was cut.
const CUT_MARK: &str = "\n[cut: the text was too long for Slack]";
/// Before the second attempt to connect; doubled for each further one.
const RECONNECT_AFTER: Duration = Duration::from_millis(500);
/// No webhook is left alone for longer than this, whatever it asks for.
const LONGEST_REST: Duration = Duration::from_secs(300);

/// Posts messages. Clones share the webhook and its backlog.
#[derive(Clone)]
pub struct Slack {
    webhook: Webhook,
    backlog: Backlog,
    mode: WriteMode,
    metrics: Metrics,
}

/// The webhook and when it may be used again.
#[derive(Clone)]
struct Webhook {
    upstream: Upstream,
    /// Set by 429 with `Retry-After`: nobody posts before.
    rest_until: Arc<Mutex<Option<Instant>>>,
}

/// What the webhook made of a message.
enum Posted {
    /// It answered.
    Answered(u16),
    /// It has no time now (429, 5xx); it said after how long it will have.
    Busy { status: u16, retry_after: Option<Duration> },
    /// It did not answer.
    Failed(CallError),
}

impl Slack {
    /// A poster to the webhook which is the base URL of `upstream`, and the task that works off its backlog until
    /// `stop`.
    pub fn new(
        upstream: Upstream,
        pace: Pace,
        mode: WriteMode,
        metrics: Metrics,
        stop: CancellationToken,
    ) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let webhook = Webhook { upstream, rest_until: Arc::default() };
        let (backlog, worker) = backlog::start(webhook.clone(), pace, metrics.clone(), stop);
        (Self { webhook, backlog, mode, metrics }, worker)
    }

    /// Answers one request, always without a body.
    pub async fn post(&self, call: Call<SlackRequest>) -> Reply {
        let began = Instant::now();
        let id = &call.request_id;
        let text = cut(call.request.message);
        let characters = text.chars().count();
        if self.mode == WriteMode::DryRun {
            tracing::info!(request_id = %id, characters, "dry run: Slack message not posted");
            self.metrics.delivered(Channel::Slack, Outcome::DryRun, began.elapsed());
            return Reply::status(200);
        }
        let by = answer_by(call.deadline);
        let posted = match self.webhook.ready_by(by).await {
            Ok(()) => self.webhook.post_by(&text, by).await,
            Err(resting) => Posted::Busy { status: 429, retry_after: Some(resting) },
        };
        let (outcome, reply) = match posted {
            Posted::Answered(status) if (200..300).contains(&status) => {
                tracing::info!(request_id = %id, status, characters, "Slack message posted");
                (Outcome::Delivered, Reply::status(status))
            }
            Posted::Answered(status) => {
                tracing::error!(request_id = %id, status, characters, "Slack message refused");
                (Outcome::Failed, Reply::status(status).not_executed())
            }
            Posted::Busy { status, retry_after } => {
                let waiting = Waiting { text, request_id: id.to_string(), retry_after };
                if self.backlog.put(waiting) {
                    tracing::warn!(request_id = %id, status, characters, "Slack message waits for another attempt");
                    (Outcome::Queued, Reply::status(202))
                } else {
                    tracing::error!(request_id = %id, status, characters, "Slack message not posted: backlog is full");
                    (Outcome::Failed, Reply::status(status).not_executed())
                }
            }
            Posted::Failed(error) => {
                tracing::error!(request_id = %id, characters, %error, "Slack message not posted");
                let reply = Reply::status(500);
                if error.surely_not_executed() {
                    (Outcome::Failed, reply.not_executed())
                } else {
                    (Outcome::Unknown, reply)
                }
            }
        };
        self.metrics.delivered(Channel::Slack, outcome, began.elapsed());
        reply
    }
}

impl Webhook {
    /// Waits until the webhook may be used; the time it must rest when that is too long.
    async fn ready_by(&self, by: Instant) -> Result<(), Duration> {
        while let Some(until) = self.resting() {
            if until >= by {
                return Err(until.duration_since(Instant::now()));
            }
            sleep_until(until).await;
        }
        Ok(())
    }

    fn resting(&self) -> Option<Instant> {
        (*self.rest_until.lock()).filter(|until| *until > Instant::now())
    }

    /// Posts, and tries again to connect as long as there is time: nothing was sent then.
    async fn post_by(&self, text: &str, by: Instant) -> Posted {
        let mut pause = RECONNECT_AFTER;
        loop {
            match self.post(text, by).await {
                Posted::Failed(CallError::Connect(_)) if Instant::now() + pause < by => {
                    sleep(pause).await;
                    pause *= 2;
                }
                posted => return posted,
            }
        }
    }

    async fn post(&self, text: &str, by: Instant) -> Posted {
        let call = upstream::Call::post("")
            .route("webhook")
            .json(&serde_json::json!({ "text": text }))
            .until(by)
            .write();
        match self.upstream.send(call).await {
            Ok(response) if response.status == 429 || response.status >= 500 => {
                let retry_after = retry_after(&response);
                if response.status == 429 {
                    let until = Instant::now() + retry_after.unwrap_or(Duration::from_secs(1));
                    *self.rest_until.lock() = Some(until);
                }
                Posted::Busy { status: response.status, retry_after }
            }
            Ok(response) => Posted::Answered(response.status),
            Err(error) => Posted::Failed(error),
        }
    }
}

/// `Retry-After` in seconds (the form that Slack uses).
fn retry_after(response: &Response) -> Option<Duration> {
    let seconds = response.headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(LONGEST_REST))
}

/// The text, cut with a visible mark when Slack would not take it.
fn cut(text: String) -> String {
    if text.chars().count() <= TEXT_LIMIT {
        return text;
    }
    let kept = TEXT_LIMIT.saturating_sub(CUT_MARK.chars().count());
    text.chars().take(kept).chain(CUT_MARK.chars()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_up_to_the_limit_stay_and_longer_ones_end_with_the_mark() {
        let longest = "é".repeat(TEXT_LIMIT);
        assert_eq!(cut(longest.clone()), longest);
        let short = cut(format!("{longest}x"));
        assert_eq!(short.chars().count(), TEXT_LIMIT);
        assert!(short.ends_with(CUT_MARK) && short.starts_with('é'));
    }
}
