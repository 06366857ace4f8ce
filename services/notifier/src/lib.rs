//! The only way out for messages to people: e-mail, Slack, SMS; and the mailboxes that monitors read (spec `notifier`).
//!
//! It composes nothing; it delivers what it is given, once, and says within the caller's time what became of it:
//!
//! - [`email`] sends mails through the delivery account's SMTP server.
//! - [`mailbox`] reads and flags mails over IMAP.
//! - [`slack`] posts to the webhook and keeps what the webhook has no time for.
//! - [`sms`] sends SMS, where the provider's settings are present.
//!
//! Repeated requests are answered by the bus from its dedupe store; a handler that surely sent nothing says so
//! (`not_executed`), so that a repetition may try again.

pub mod config;
pub mod email;
pub mod endpoint;
pub mod mailbox;
pub mod metrics;
pub mod slack;
pub mod sms;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use contracts::notifier::{MarkEmailRead, ReadMailbox, SendEmail, SendSlack, SendSms};
use runtime::{Context, Service};
use tokio::time::Instant;
use upstream::{NoLogin, Settings, Upstream};
use url::Url;

use config::Config;
use email::{Mailer, smtp::SmtpServer};
use endpoint::Endpoint;
use mailbox::{Mailboxes, imap::MailServer};
use metrics::Metrics;
use slack::{Pace, Slack};
use sms::SmsProvider;

/// What a reply needs to get from the handler to the bus before the bus gives up on the handler.
const REPLY_MARGIN: Duration = Duration::from_millis(500);

/// The instant by which a handler must be done, for a call with this deadline.
fn answer_by(deadline: Instant) -> Instant {
    deadline.checked_sub(REPLY_MARGIN).unwrap_or(deadline)
}

/// The service.
#[derive(Debug)]
pub struct Notifier;

runtime::service!(Notifier);

impl Service for Notifier {
    const NAME: &'static str = "notifier";
    const ABOUT: &'static str =
        "The only way out for messages to people: e-mail, Slack, SMS, and mailbox reads";
    type Config = Config;

    async fn start(ctx: Context, config: Config) -> anyhow::Result<()> {
        let metrics = Metrics::register(&ctx.metrics)?;
        let mode = ctx.process.write_mode;
        let overrides = &ctx.process.overrides;

        let smtp = Endpoint::smtp(overrides.get("smtp.gmail.com"))?;
        let sender: &str = config.delivery_account.as_ref();
        let smtp = SmtpServer::new(smtp, sender, &config.delivery_password).context("TLS for SMTP")?;
        let mailer =
            Mailer::new(smtp, config.delivery_account.clone(), mode, ctx.clock.clone(), metrics.clone());
        let mailer = Arc::new(mailer);

        let imap =
            MailServer::new(Endpoint::imap(overrides.get("imap.gmail.com"))?).context("TLS for IMAP")?;
        let mailboxes = Mailboxes::new(imap, config.mailboxes, mode, ctx.clock.clone(), metrics.clone())
            .failures_as_empty(config.hide_mailbox_failures);
        let mailboxes = Arc::new(mailboxes);

        let webhook = http(&ctx, "slack", config.slack_webhook)?;
        let (slack, backlog) = Slack::new(webhook, Pace::default(), mode, metrics.clone(), ctx.stop.clone());
        ctx.spawn("slack backlog", backlog);

        let sms = match config.sms {
            Some(account) => {
                let provider = http(&ctx, "telestax", account.url.clone())?;
                Some(SmsProvider::new(provider, account, mode, metrics))
            }
            None => None,
        };

        let bus = ctx.connect().await?;
        bus.serve::<SendSlack, _, _>(move |call| {
            let slack = slack.clone();
            async move { slack.post(call).await }
        })
        .await?;
        bus.serve::<SendEmail, _, _>(move |call| {
            let mailer = Arc::clone(&mailer);
            async move { mailer.send(call).await }
        })
        .await?;
        let reader = Arc::clone(&mailboxes);
        bus.serve::<ReadMailbox, _, _>(move |call| {
            let mailboxes = Arc::clone(&reader);
            async move { mailboxes.read(call).await }
        })
        .await?;
        bus.serve::<MarkEmailRead, _, _>(move |call| {
            let mailboxes = Arc::clone(&mailboxes);
            async move { mailboxes.mark_read(call).await }
        })
        .await?;
        if let Some(sms) = sms {
            bus.serve::<SendSms, _, _>(move |call| {
                let sms = sms.clone();
                async move { sms.send(call).await }
            })
            .await?;
        } else {
            tracing::info!("SMS are not served: not all TELESTAX_ settings are present");
        }
        Ok(())
    }
}

/// A client of a third party whose one resource is `url`.
fn http(ctx: &Context, name: &'static str, url: Url) -> anyhow::Result<Upstream> {
    let mut settings = Settings::new(name, url);
    settings.overrides = ctx.process.overrides.clone();
    Ok(Upstream::new(settings, NoLogin, &ctx.metrics)?)
}
