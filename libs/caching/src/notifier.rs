//! Telling people, best effort: a failing notifier never fails a refresh.

use bus::Bus;
use contracts::notifier::{EmailData, EmailRequest, SendEmail, SendSlack, SlackRequest};

/// Tells people what a cache has to tell.
#[derive(Debug, Clone)]
pub struct Notifier {
    bus: Bus,
    service: &'static str,
}

impl Notifier {
    /// For `service`, whose name stands before each Slack text.
    pub fn new(bus: Bus, service: &'static str) -> Self {
        Self { bus, service }
    }

    /// Posts to Slack.
    pub async fn slack(&self, text: &str) {
        let request = SlackRequest::new(format!("[{}] {text}", self.service));
        if let Err(error) = self.bus.request::<SendSlack>(&request).await {
            tracing::warn!(%error, "a Slack message may not have been posted");
        }
    }

    /// Sends an e-mail.
    pub async fn mail(&self, mail: EmailData) {
        if let Err(error) = self.bus.request::<SendEmail>(&EmailRequest { email_data: mail }).await {
            tracing::warn!(%error, "an e-mail may not have been sent");
        }
    }
}
