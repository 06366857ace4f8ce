//! `notification.email.request`: sends mails, each once, or says that it could not (spec `notifier`, "Serves" 2).
//!
//! [`message`] builds the mail, [`smtp`] makes one attempt to deliver it; here several attempts become one outcome
//! within the caller's time.

pub mod message;
pub mod smtp;

use std::time::Duration;

use bus::{Call, Reply};
use contracts::notifier::{EmailData, EmailRequest};
use lettre::Address;
use lettre::message::Mailbox;
use runtime::{Clock, WriteMode};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::answer_by;
use crate::metrics::{Channel, Metrics, Outcome};
use message::{ComposeError, Identity, Outgoing, compose};
use smtp::{Accepted, Again, SmtpError, SmtpServer};

/// Mails handed over at the same time (Improve 5).
const PARALLEL: usize = 5;
/// Attempts for a mail that the server cannot take now (Improve 4).
const ATTEMPTS: usize = 3;
/// Between two attempts.
const PAUSE: Duration = Duration::from_secs(5);

/// Sends mails from the delivery account.
#[derive(Debug)]
pub struct Mailer {
    server: SmtpServer,
    from: Mailbox,
    slots: Semaphore,
    pause: Duration,
    mode: WriteMode,
    clock: Clock,
    metrics: Metrics,
}

/// What became of a mail.
enum Fate {
    /// Accepted for all or some of the recipients; so many were refused.
    Sent { refused: usize, attempts: usize },
    /// Nobody got it.
    Failed(SmtpError),
    /// No place among the parallel sends became free in time.
    Crowded,
}

impl Mailer {
    /// A mailer that sends from `account` by `server`.
    pub fn new(
        server: SmtpServer,
        account: Address,
        mode: WriteMode,
        clock: Clock,
        metrics: Metrics,
    ) -> Self {
        let from = Mailbox::new(None, account);
        Self { server, from, slots: Semaphore::new(PARALLEL), pause: PAUSE, mode, clock, metrics }
    }

    /// Shortens the pause between attempts.
    #[must_use]
    pub fn pausing(mut self, pause: Duration) -> Self {
        self.pause = pause;
        self
    }

    /// Answers one request: 200 when the server took the mail, 500 when it did not. No body, ever.
    pub async fn send(&self, call: Call<EmailRequest>) -> Reply {
        let began = Instant::now();
        let id = &call.request_id;
        let mail = match self.compose(call.request.email_data).await {
            Ok(mail) => mail,
            Err(error) => {
                tracing::warn!(request_id = %id, %error, "e-mail refused");
                self.metrics.delivered(Channel::Email, Outcome::Invalid, began.elapsed());
                return Reply::status(500).not_executed();
            }
        };
        let bytes = mail.content.len();
        let recipients = mail.recipients.len();
        if self.mode == WriteMode::DryRun {
            tracing::info!(request_id = %id, bytes, recipients, "dry run: e-mail not sent");
            self.metrics.delivered(Channel::Email, Outcome::DryRun, began.elapsed());
            return Reply::status(200);
        }
        let (outcome, reply) = match self.deliver(&mail, answer_by(call.deadline)).await {
            Fate::Sent { refused, attempts } => {
                let refused = refused + mail.unusable;
                if refused > 0 {
                    tracing::warn!(request_id = %id, refused, recipients, "e-mail sent, but not to all recipients");
                }
                tracing::info!(request_id = %id, bytes, recipients, attempts, "e-mail sent");
                (Outcome::Delivered, Reply::status(200))
            }
            Fate::Failed(error) if error.again == Again::Unknown => {
                tracing::error!(request_id = %id, bytes, recipients, %error, "e-mail handed over, outcome unknown");
                (Outcome::Unknown, Reply::status(500))
            }
            Fate::Failed(error) => {
                tracing::error!(request_id = %id, bytes, recipients, %error, "e-mail not sent");
                (Outcome::Failed, Reply::status(500).not_executed())
            }
            Fate::Crowded => {
                tracing::error!(request_id = %id, bytes, recipients, "e-mail not sent: too many are being sent");
                (Outcome::Failed, Reply::status(503).not_executed())
            }
        };
        self.metrics.delivered(Channel::Email, outcome, began.elapsed());
        reply
    }

    /// Builds the mail beside the event loop: attachments may have tens of megabytes.
    async fn compose(&self, data: EmailData) -> Result<Outgoing, ComposeError> {
        let from = self.from.clone();
        let identity = Identity { message_id: self.message_id(), date: self.clock.now().into() };
        let composing = tokio::task::spawn_blocking(move || compose(&data, &from, &identity));
        composing.await.unwrap_or(Err(ComposeError::Build))
    }

    /// Up to three attempts; recipients refused for now are tried again alone.
    async fn deliver(&self, mail: &Outgoing, deadline: Instant) -> Fate {
        let Ok(Ok(_slot)) = timeout_at(deadline, self.slots.acquire()).await else { return Fate::Crowded };
        let mut to = mail.recipients.clone();
        let mut refused = 0;
        let mut sent = false;
        let mut attempt = 1;
        loop {
            let failure = match self.server.deliver(mail, &to, deadline).await {
                Ok(Accepted { refused: now_refused, later }) => {
                    sent = true;
                    refused += now_refused;
                    if later.is_empty() {
                        return Fate::Sent { refused, attempts: attempt };
                    }
                    to = later;
                    None
                }
                Err(error) => Some(error),
            };
            let next = Instant::now() + self.pause;
            let may_try_again = failure.is_none_or(|error| error.again == Again::Soon);
            if attempt == ATTEMPTS || !may_try_again || next >= deadline {
                return match failure {
                    Some(error) if !sent => Fate::Failed(error),
                    _ => Fate::Sent { refused: refused + to.len(), attempts: attempt },
                };
            }
            if let Some(error) = failure {
                tracing::info!(%error, attempt, "e-mail will be tried again");
            }
            sleep_until(next).await;
            attempt += 1;
        }
    }

    /// A fresh `Message-ID` at the delivery account's domain (not this host's name, which is nobody's business).
    fn message_id(&self) -> String {
        format!("<{:032x}@{}>", rand::random::<u128>(), self.from.email.domain())
    }
}
