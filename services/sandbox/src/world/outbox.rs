//! Everything that left the engine for people or devices: mails, Slack messages, SMS and reboots, newest last, bounded.

use std::collections::VecDeque;

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

/// How many of each kind are kept; the totals go on counting.
pub const KEPT: usize = 1_000;

/// A mail that the SMTP server accepted.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Mail {
    /// Number in order of arrival, from 1. Set by [`Outbox::mail`].
    pub number: u64,
    /// When, by the world's clock.
    pub at: DateTime<Utc>,
    /// The envelope's sender.
    pub from: String,
    /// The envelope's recipients.
    pub recipients: Vec<String>,
    /// Decoded subject.
    pub subject: String,
    /// Text body, decoded; empty when there is none.
    pub text: String,
    /// HTML body, decoded.
    pub html: Option<String>,
    /// Attachments and inline images.
    pub attachments: Vec<MailPart>,
    /// The whole message as received.
    #[serde(skip_serializing)]
    pub raw: String,
}

/// An attachment or inline image of a mail.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct MailPart {
    /// File name or content id.
    pub name: String,
    /// Media type as the message says.
    pub content_type: String,
    /// Decoded size in bytes.
    pub size: usize,
    /// Decoded content.
    #[serde(skip_serializing)]
    pub content: Vec<u8>,
}

/// A message posted to the Slack webhook.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct SlackMessage {
    /// Number in order of arrival, from 1. Set by [`Outbox::slack`].
    pub number: u64,
    /// When, by the world's clock.
    pub at: DateTime<Utc>,
    /// The text.
    pub text: String,
}

/// An SMS that the provider queued.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Sms {
    /// Number in order of arrival, from 1. Set by [`Outbox::sms`].
    pub number: u64,
    /// When, by the world's clock.
    pub at: DateTime<Utc>,
    /// Sender.
    pub from: String,
    /// Recipient.
    pub to: String,
    /// The text.
    pub body: String,
}

/// A reboot that the DiGi service was asked for.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Reboot {
    /// Number in order of arrival, from 1. Set by [`Outbox::reboot`].
    pub number: u64,
    /// When, by the world's clock.
    pub at: DateTime<Utc>,
    /// The edge's serial number.
    pub serial: String,
    /// The link's interface; none for an unknown device.
    pub interface: Option<String>,
    /// The unit's MAC (logical id) as asked for.
    pub mac: String,
    /// The ticket given.
    pub ticket: String,
    /// The request id given.
    pub igz_id: Option<String>,
    /// `started`, `aborted` or `unknown device`.
    pub outcome: String,
}

/// A bounded list which knows how many it has ever held.
#[derive(Debug, Clone)]
pub struct Kept<T> {
    items: VecDeque<T>,
    total: u64,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self { items: VecDeque::new(), total: 0 }
    }
}

impl<T> Kept<T> {
    /// The number of the item that is pushed next.
    pub(crate) fn next(&mut self) -> u64 {
        self.total += 1;
        self.total
    }

    /// Adds an item, the oldest may have to go.
    pub(crate) fn push(&mut self, item: T) {
        if self.items.len() >= KEPT {
            self.items.pop_front();
        }
        self.items.push_back(item);
    }

    /// How many there were ever.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Those still kept, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &T> + ExactSizeIterator {
        self.items.iter()
    }

    /// The newest.
    pub fn last(&self) -> Option<&T> {
        self.items.back()
    }
}

/// What was sent.
#[derive(Debug, Clone, Default)]
pub struct Outbox {
    /// Mails.
    pub mails: Kept<Mail>,
    /// Slack messages.
    pub slack: Kept<SlackMessage>,
    /// SMS.
    pub sms: Kept<Sms>,
    /// Reboots, refused ones included.
    pub reboots: Kept<Reboot>,
}

impl Outbox {
    /// Adds a mail and returns its number.
    pub fn mail(&mut self, mut mail: Mail) -> u64 {
        mail.number = self.mails.next();
        self.mails.push(mail);
        self.mails.total
    }

    /// Adds a Slack message and returns its number.
    pub fn slack(&mut self, at: DateTime<Utc>, text: String) -> u64 {
        let number = self.slack.next();
        self.slack.push(SlackMessage { number, at, text });
        number
    }

    /// Adds an SMS and returns its number.
    pub fn sms(&mut self, at: DateTime<Utc>, from: String, to: String, body: String) -> u64 {
        let number = self.sms.next();
        self.sms.push(Sms { number, at, from, to, body });
        number
    }

    /// Adds a reboot and returns its number.
    pub fn reboot(&mut self, mut reboot: Reboot) -> u64 {
        reboot.number = self.reboots.next();
        self.reboots.push(reboot);
        self.reboots.total
    }

    /// Forgets everything, the totals too.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}
