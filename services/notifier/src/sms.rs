//! `notification.sms.request`: sends SMS through the provider (spec `notifier`, "Serves" 5, "SMS", Improve 12).

use std::time::Duration;

use bus::{Call, Reply};
use contracts::notifier::{SmsReply, SmsRequest};
use http::header::AUTHORIZATION;
use runtime::WriteMode;
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::time::Instant;
use upstream::{CallError, Response, Upstream, basic};
use url::Url;

use crate::answer_by;
use crate::metrics::{Channel, Metrics, Outcome};

/// Attempts when the provider cannot be reached.
const ATTEMPTS: usize = 2;
/// Between them.
const PAUSE: Duration = Duration::from_secs(15);

/// The account at the provider. All four belong together: without them the subject is not served.
#[derive(Debug, Clone)]
pub struct SmsAccount {
    /// `TELESTAX_URL`: the full address of the account's SMS messages.
    pub url: Url,
    /// `TELESTAX_ACCOUNT_SID`.
    pub account_sid: String,
    /// `TELESTAX_AUTH_TOKEN`.
    pub auth_token: SecretString,
    /// `TELESTAX_FROM_PHONE_NUMBER`.
    pub from: String,
}

/// Sends SMS from the account.
#[derive(Clone)]
pub struct SmsProvider {
    upstream: Upstream,
    account: SmsAccount,
    pause: Duration,
    mode: WriteMode,
    metrics: Metrics,
}

impl SmsProvider {
    /// A sender by `upstream`, whose base URL is the account's.
    pub fn new(upstream: Upstream, account: SmsAccount, mode: WriteMode, metrics: Metrics) -> Self {
        Self { upstream, account, pause: PAUSE, mode, metrics }
    }

    /// Shortens the pause between attempts.
    #[must_use]
    pub fn pausing(mut self, pause: Duration) -> Self {
        self.pause = pause;
        self
    }

    /// Answers one request: the provider's status and answer, 500 with the reason when it cannot be reached.
    pub async fn send(&self, call: Call<SmsRequest>) -> Reply {
        let began = Instant::now();
        let id = &call.request_id;
        let characters = call.request.sms_data.chars().count();
        if self.mode == WriteMode::DryRun {
            tracing::info!(request_id = %id, characters, "dry run: SMS not sent");
            self.metrics.delivered(Channel::Sms, Outcome::DryRun, began.elapsed());
            return Reply::ok(&SmsReply { status: 200, body: json!({"sid": "dry-run", "status": "queued"}) });
        }
        let (outcome, reply) = match self.deliver(&call.request, answer_by(call.deadline)).await {
            Ok(response) => {
                let status = response.status;
                let reply = Reply::json(status, &SmsReply { status, body: answer(&response) });
                if response.is_success() {
                    tracing::info!(request_id = %id, status, characters, "SMS sent");
                    (Outcome::Delivered, reply)
                } else {
                    tracing::error!(request_id = %id, status, characters, "SMS refused");
                    // Of an error within the provider nobody knows what it has sent.
                    if status < 500 {
                        (Outcome::Failed, reply.not_executed())
                    } else {
                        (Outcome::Unknown, reply)
                    }
                }
            }
            Err(error) => {
                tracing::error!(request_id = %id, characters, %error, "SMS not sent");
                let reply = Reply::text(500, &format!("The SMS provider cannot be reached: {error}"));
                if error.surely_not_executed() {
                    (Outcome::Failed, reply.not_executed())
                } else {
                    (Outcome::Unknown, reply)
                }
            }
        };
        self.metrics.delivered(Channel::Sms, outcome, began.elapsed());
        reply
    }

    /// A second attempt only when the first surely sent nothing: an answer that was lost may stand for an SMS that was
    /// not.
    async fn deliver(&self, sms: &SmsRequest, by: Instant) -> Result<Response, CallError> {
        let mut attempt = 1;
        loop {
            let call = upstream::Call::post("")
                .route("messages")
                .secret_header(AUTHORIZATION, basic(&self.account.account_sid, &self.account.auth_token))
                .header("Accept", "text/plain")
                .form(&[("From", &self.account.from), ("To", &sms.sms_to), ("Body", &sms.sms_data)])
                .until(by)
                .write();
            match self.upstream.send(call).await {
                Err(error)
                    if error.surely_not_executed()
                        && attempt < ATTEMPTS
                        && Instant::now() + self.pause < by =>
                {
                    tracing::info!(%error, "SMS will be tried again");
                    tokio::time::sleep(self.pause).await;
                    attempt += 1;
                }
                outcome => return outcome,
            }
        }
    }
}

/// What the provider said: the JSON of an acceptance; a refusal as text, whatever it looks like.
fn answer(response: &Response) -> Value {
    let accepted = if response.is_success() { response.json().ok() } else { None };
    accepted.unwrap_or_else(|| Value::String(response.text().into_owned()))
}
