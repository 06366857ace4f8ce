//! What was delivered, how long it took, how the mailbox reads went (spec `notifier`, Improve 16).

use std::time::Duration;

use prometheus::{HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry};

/// How something went out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// A mail.
    Email,
    /// A Slack message.
    Slack,
    /// An SMS.
    Sms,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The third party took it; of a read: done.
    Delivered,
    /// It waits for another attempt in the background.
    Queued,
    /// The request cannot be delivered as it is.
    Invalid,
    /// The third party refused, or could not be reached.
    Failed,
    /// Handed over, but the third party's answer is missing.
    Unknown,
    /// Accepted without being sent (`WRITE_MODE=dry-run`).
    DryRun,
    /// Given up after it had waited in the background.
    Lost,
}

impl Channel {
    fn label(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Slack => "slack",
            Self::Sms => "sms",
        }
    }
}

impl Outcome {
    fn label(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Queued => "queued",
            Self::Invalid => "invalid",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
            Self::DryRun => "dry_run",
            Self::Lost => "lost",
        }
    }
}

/// The notifier's own metrics. Clones share them.
#[derive(Debug, Clone)]
pub struct Metrics {
    deliveries: IntCounterVec,
    seconds: HistogramVec,
    reads: IntCounterVec,
    read_seconds: HistogramVec,
    left_out: IntCounter,
    slack_waiting: IntGauge,
}

impl Metrics {
    /// Registers the metrics.
    ///
    /// # Errors
    /// When they are registered already.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let buckets = vec![0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 80.0];
        let histogram = |name: &str, help: &str| HistogramOpts::new(name, help).buckets(buckets.clone());
        let metrics = Self {
            deliveries: IntCounterVec::new(
                Opts::new("notifier_deliveries_total", "Messages to people, by channel and outcome"),
                &["channel", "outcome"],
            )?,
            seconds: HistogramVec::new(
                histogram("notifier_delivery_seconds", "From the request to its answer, by channel"),
                &["channel"],
            )?,
            reads: IntCounterVec::new(
                Opts::new(
                    "notifier_mailbox_reads_total",
                    "Reads of mailboxes, by the name before the @ and outcome",
                ),
                &["account", "outcome"],
            )?,
            read_seconds: HistogramVec::new(
                histogram(
                    "notifier_mailbox_read_seconds",
                    "Duration of a mailbox read, by the name before the @",
                ),
                &["account"],
            )?,
            left_out: IntCounter::new(
                "notifier_mails_left_out_total",
                "Mails left out of reads because the reply would have become too large, or the server cannot deliver them",
            )?,
            slack_waiting: IntGauge::new(
                "notifier_slack_waiting",
                "Slack messages that wait for another attempt in the background",
            )?,
        };
        registry.register(Box::new(metrics.deliveries.clone()))?;
        registry.register(Box::new(metrics.seconds.clone()))?;
        registry.register(Box::new(metrics.reads.clone()))?;
        registry.register(Box::new(metrics.read_seconds.clone()))?;
        registry.register(Box::new(metrics.left_out.clone()))?;
        registry.register(Box::new(metrics.slack_waiting.clone()))?;
        Ok(metrics)
    }

    /// A request to deliver something was answered after `took`.
    pub fn delivered(&self, channel: Channel, outcome: Outcome, took: Duration) {
        self.count(channel, outcome);
        self.seconds.with_label_values(&[channel.label()]).observe(took.as_secs_f64());
    }

    /// The background did something with a message whose request was answered before.
    pub fn count(&self, channel: Channel, outcome: Outcome) {
        self.deliveries.with_label_values(&[channel.label(), outcome.label()]).inc();
    }

    /// A mailbox was read, or could not be. Only configured mailboxes get here, so the label is bounded; it is cut at
    /// the `@` because addresses do not belong into metrics.
    pub fn mailbox_read(&self, account: &str, outcome: Outcome, took: Duration) {
        let account = account.split('@').next().unwrap_or_default();
        self.reads.with_label_values(&[account, outcome.label()]).inc();
        self.read_seconds.with_label_values(&[account]).observe(took.as_secs_f64());
    }

    /// So many mails were left out of a read.
    pub fn left_out(&self, mails: usize) {
        self.left_out.inc_by(u64::try_from(mails).unwrap_or(u64::MAX));
    }

    /// So many Slack messages wait in the background.
    pub fn slack_waiting(&self, messages: usize) {
        self.slack_waiting.set(i64::try_from(messages).unwrap_or(i64::MAX));
    }
}
