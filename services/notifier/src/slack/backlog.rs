//! Messages that the webhook had no time for: bounded, in order, tried again until they are delivered or too old
//! (spec `notifier`, Improve 4).
//!
//! It lives in memory. At a stop each message gets one more attempt; what is then left is logged and counted as lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::{Posted, Webhook};
use crate::metrics::{Channel, Metrics, Outcome};

/// When and how often the backlog tries.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Messages that may wait at the same time.
    pub places: usize,
    /// Before the first repetition unless the webhook asks for another time; doubled for each further one.
    pub first_pause: Duration,
    /// The longest pause.
    pub longest_pause: Duration,
    /// A message that is older than this after an attempt is given up.
    pub give_up_after: Duration,
    /// How long one attempt may take.
    pub attempt: Duration,
    /// How long the last attempts may take altogether when the service stops.
    pub farewell: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            places: 256,
            first_pause: Duration::from_secs(5),
            longest_pause: Duration::from_secs(60),
            give_up_after: Duration::from_secs(30 * 60),
            attempt: Duration::from_secs(10),
            farewell: Duration::from_secs(2),
        }
    }
}

/// A message that waits.
#[derive(Debug)]
pub(super) struct Waiting {
    /// The text to post.
    pub text: String,
    /// Of the request that brought it, for logs.
    pub request_id: String,
    /// What the webhook asked for.
    pub retry_after: Option<Duration>,
}

/// Where messages are put to wait.
#[derive(Debug, Clone)]
pub(super) struct Backlog {
    sender: mpsc::Sender<Queued>,
    first_pause: Duration,
    length: Length,
}

/// A message in its place.
#[derive(Debug)]
struct Queued {
    since: Instant,
    /// Its first attempt is not made before. Counted from when it came, so that messages wait side by side and not one
    /// after the other.
    not_before: Instant,
    waiting: Waiting,
}

/// How many messages wait, the one under way included.
#[derive(Debug, Clone)]
struct Length {
    messages: Arc<AtomicUsize>,
    places: usize,
    metrics: Metrics,
}

impl Length {
    /// Takes a place; false when there is none.
    fn enter(&self) -> bool {
        let entered = self.messages.fetch_update(Ordering::AcqRel, Ordering::Acquire, |length| {
            (length < self.places).then_some(length + 1)
        });
        if let Ok(before) = entered {
            self.metrics.slack_waiting(before + 1);
        }
        entered.is_ok()
    }

    fn leave(&self) {
        let before = self.messages.fetch_sub(1, Ordering::AcqRel);
        self.metrics.slack_waiting(before.saturating_sub(1));
    }
}

impl Backlog {
    /// Lets a message wait; false when there is no place or the service is stopping.
    pub(super) fn put(&self, waiting: Waiting) -> bool {
        if !self.length.enter() {
            return false;
        }
        let since = Instant::now();
        let not_before = since + waiting.retry_after.unwrap_or(self.first_pause);
        let put = self.sender.try_send(Queued { since, not_before, waiting }).is_ok();
        if !put {
            self.length.leave();
        }
        put
    }
}

/// A backlog and the task that works it off until `stop`.
pub(super) fn start(
    webhook: Webhook,
    pace: Pace,
    metrics: Metrics,
    stop: CancellationToken,
) -> (Backlog, impl Future<Output = ()> + Send + 'static) {
    let (sender, receiver) = mpsc::channel(pace.places.max(1));
    let length = Length { messages: Arc::default(), places: pace.places, metrics: metrics.clone() };
    let worker = Worker { webhook, pace, metrics, receiver, length: length.clone() };
    (Backlog { sender, first_pause: pace.first_pause, length }, worker.run(stop))
}

struct Worker {
    webhook: Webhook,
    pace: Pace,
    metrics: Metrics,
    receiver: mpsc::Receiver<Queued>,
    length: Length,
}

/// What is to be done with a message after an attempt.
enum Next {
    Done,
    TryAgain { retry_after: Option<Duration> },
    GiveUp { reason: String },
}

impl Worker {
    async fn run(mut self, stop: CancellationToken) {
        let mut interrupted = None;
        while let Some(Some(queued)) = stop.run_until_cancelled(self.receiver.recv()).await {
            interrupted = self.deliver(queued, &stop).await;
        }
        self.receiver.close();
        let by = Instant::now() + self.pace.farewell;
        if let Some(waiting) = interrupted {
            self.last_attempt(waiting, by).await;
        }
        while let Some(Queued { waiting, .. }) = self.receiver.recv().await {
            self.last_attempt(waiting, by).await;
        }
    }

    /// Tries until the message is out or given up; gives it back when the service stops.
    async fn deliver(&self, queued: Queued, stop: &CancellationToken) -> Option<Waiting> {
        let Queued { since, not_before: mut due, waiting } = queued;
        let mut pause = self.pace.first_pause;
        loop {
            let rest = self.webhook.resting().unwrap_or(due);
            if stop.run_until_cancelled(sleep_until(due.max(rest))).await.is_none() {
                return Some(waiting);
            }
            match self.attempt(&waiting, Instant::now() + self.pace.attempt).await {
                Next::Done => {}
                Next::TryAgain { .. } if since.elapsed() > self.pace.give_up_after => {
                    self.lost(&waiting, "too old");
                }
                Next::TryAgain { retry_after } => {
                    pause = (pause * 2).min(self.pace.longest_pause);
                    due = Instant::now() + retry_after.unwrap_or(pause);
                    continue;
                }
                Next::GiveUp { reason } => self.lost(&waiting, &reason),
            }
            self.length.leave();
            return None;
        }
    }

    async fn last_attempt(&self, waiting: Waiting, by: Instant) {
        let outcome = self.attempt(&waiting, by).await;
        match outcome {
            Next::Done => {}
            Next::TryAgain { .. } => self.lost(&waiting, "the service stops"),
            Next::GiveUp { reason } => self.lost(&waiting, &reason),
        }
        self.length.leave();
    }

    async fn attempt(&self, waiting: &Waiting, by: Instant) -> Next {
        match self.webhook.post(&waiting.text, by).await {
            Posted::Answered(status) if (200..300).contains(&status) => {
                tracing::info!(request_id = %waiting.request_id, status, "Slack message posted after waiting");
                self.metrics.count(Channel::Slack, Outcome::Delivered);
                Next::Done
            }
            Posted::Answered(status) => Next::GiveUp { reason: format!("refused with status {status}") },
            Posted::Busy { retry_after, .. } => Next::TryAgain { retry_after },
            Posted::Failed(error) if error.surely_not_executed() => Next::TryAgain { retry_after: None },
            // It may have been posted: better once than twice, and not silently.
            Posted::Failed(error) => Next::GiveUp { reason: format!("{error}, it may have been posted") },
        }
    }

    fn lost(&self, waiting: &Waiting, reason: &str) {
        tracing::error!(request_id = %waiting.request_id, reason, "Slack message given up");
        self.metrics.count(Channel::Slack, Outcome::Lost);
    }
}
