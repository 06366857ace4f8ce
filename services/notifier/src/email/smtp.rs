//! One delivery attempt over SMTP: connect, secure, log in, hand over, and say what came of it (spec `notifier`,
//! "SMTP").
//!
//! What matters to the caller is whether an attempt may be repeated: never once the content has been handed over
//! and the server's answer to it is missing, because the mail may be out.

use std::future::Future;
use std::time::Duration;

use lettre::Address;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::response::Code;
use secrecy::{ExposeSecret, SecretString};
use tokio::time::{Instant, timeout, timeout_at};

use crate::email::message::Outgoing;
use crate::endpoint::Endpoint;

/// How long the connection and the greeting may take; a server that is reachable needs a fraction of this.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// How long the farewell may take. Nobody waits for it.
const QUIT_WITHIN: Duration = Duration::from_secs(5);

/// The server that takes the mails, and the account they are sent from.
#[derive(Clone)]
pub struct SmtpServer {
    endpoint: Endpoint,
    credentials: Credentials,
    /// `None`: no TLS (overrides only).
    tls: Option<TlsParameters>,
    hello: ClientId,
}

impl std::fmt::Debug for SmtpServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SmtpServer").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

/// What the server said of the recipients of a mail which it took.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Accepted {
    /// Recipients refused for good.
    pub refused: usize,
    /// Recipients refused for now (4xx): worth another attempt.
    pub later: Vec<Address>,
}

/// How far an attempt came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Connecting, greeting.
    Connect,
    /// STARTTLS.
    Secure,
    /// AUTH.
    Login,
    /// MAIL FROM.
    Sender,
    /// RCPT TO: no recipient was accepted.
    Recipients,
    /// DATA.
    Data,
    /// The content and the server's answer to it.
    Content,
}

impl Stage {
    /// A word for logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Secure => "starttls",
            Self::Login => "login",
            Self::Sender => "sender",
            Self::Recipients => "recipients",
            Self::Data => "data",
            Self::Content => "content",
        }
    }
}

/// Whether a failed attempt may be repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    /// The server or the network may do better in a moment. Nothing was sent.
    Soon,
    /// The server's answer is final. Nothing was sent.
    Never,
    /// The content was handed over and no answer came: the mail may be out.
    Unknown,
}

/// A failed attempt. Its text has no server's words in it: they often quote addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("SMTP {} failed: {}", .stage.name(), .code.map_or_else(|| "no answer".to_owned(), |code| format!("status {code}")))]
pub struct SmtpError {
    /// How far it came.
    pub stage: Stage,
    /// The SMTP status, when the server answered.
    pub code: Option<u16>,
    /// Whether to try again.
    pub again: Again,
}

impl SmtpServer {
    /// A server with the account to log in with.
    ///
    /// # Errors
    /// When the system's certificates cannot be used.
    pub fn new(
        endpoint: Endpoint,
        username: &str,
        password: &SecretString,
    ) -> Result<Self, lettre::transport::smtp::Error> {
        let tls =
            if endpoint.secure { Some(TlsParameters::new_rustls(endpoint.name.to_owned())?) } else { None };
        let credentials = Credentials::new(username.to_owned(), password.expose_secret().to_owned());
        Ok(Self { endpoint, credentials, tls, hello: ClientId::default() })
    }

    /// Replaces the trusted certificates.
    #[must_use]
    pub fn trusting(mut self, tls: TlsParameters) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Hands `mail` over for the recipients `to`, finishing before `deadline`.
    ///
    /// # Errors
    /// [`SmtpError`] when no recipient gets it, or perhaps.
    pub async fn deliver(
        &self,
        mail: &Outgoing,
        to: &[Address],
        deadline: Instant,
    ) -> Result<Accepted, SmtpError> {
        let mut connection = self.connect(deadline).await?;
        let outcome = hand_over(&mut connection, mail, to, deadline).await;
        // The mail's fate is known: the farewell concerns nobody (Improve 10), hence not awaited.
        tokio::spawn(async move {
            let _ = timeout(QUIT_WITHIN, connection.abort()).await;
        });
        outcome
    }

    /// A connection that is secured and logged in.
    async fn connect(&self, deadline: Instant) -> Result<AsyncSmtpConnection, SmtpError> {
        let by = deadline.min(Instant::now() + CONNECT_WITHIN);
        let connecting = AsyncSmtpConnection::connect_tokio1(
            self.endpoint.address(),
            Some(CONNECT_WITHIN),
            &self.hello,
            None,
            None,
        );
        let mut connection = step(Stage::Connect, by, connecting).await?;
        if let Some(tls) = &self.tls {
            step(Stage::Secure, by, connection.starttls(tls.clone(), &self.hello)).await?;
        }
        let mechanisms = [Mechanism::Plain, Mechanism::Login];
        let can_log_in = connection.server_info().get_auth_mechanism(&mechanisms).is_some();
        if can_log_in || self.tls.is_some() {
            step(Stage::Login, deadline, connection.auth(&mechanisms, &self.credentials)).await?;
        } else {
            // A mail catcher on the developer's machine. Real servers are spoken to over TLS, see above.
            tracing::debug!("the mail server offers no login; sending without");
        }
        Ok(connection)
    }
}

async fn hand_over(
    connection: &mut AsyncSmtpConnection,
    mail: &Outgoing,
    to: &[Address],
    deadline: Instant,
) -> Result<Accepted, SmtpError> {
    step(Stage::Sender, deadline, connection.command(Mail::new(Some(mail.sender.clone()), Vec::new())))
        .await?;
    let mut accepted = Accepted::default();
    let mut taken = 0;
    let mut last_refusal = None;
    for address in to {
        let command = connection.command(Rcpt::new(address.clone(), Vec::new()));
        match step(Stage::Recipients, deadline, command).await {
            Ok(_) => taken += 1,
            Err(refusal @ SmtpError { code: Some(_), again, .. }) => {
                match again {
                    Again::Soon => accepted.later.push(address.clone()),
                    Again::Never | Again::Unknown => accepted.refused += 1,
                }
                // While one of the recipients may be accepted later, so may the mail.
                let hope = last_refusal.is_some_and(|last: SmtpError| last.again == Again::Soon);
                last_refusal = if hope { last_refusal } else { Some(refusal) };
            }
            Err(failure) => return Err(failure),
        }
    }
    if let (0, Some(refusal)) = (taken, last_refusal) {
        return Err(refusal);
    }
    step(Stage::Data, deadline, connection.command(Data)).await?;
    step(Stage::Content, deadline, connection.message(&mail.content)).await?;
    Ok(accepted)
}

/// Runs one step of the dialogue and classifies its failure.
async fn step<T>(
    stage: Stage,
    deadline: Instant,
    step: impl Future<Output = Result<T, lettre::transport::smtp::Error>>,
) -> Result<T, SmtpError> {
    let no_answer = if stage == Stage::Content { Again::Unknown } else { Again::Soon };
    match timeout_at(deadline, step).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => {
            let code = error.status().map(number);
            let again = match code {
                Some(_) if error.is_permanent() => Again::Never,
                Some(_) => Again::Soon,
                None if error.is_client() => Again::Never,
                None => no_answer,
            };
            Err(SmtpError { stage, code, again })
        }
        Err(_) => Err(SmtpError { stage, code: None, again: no_answer }),
    }
}

fn number(code: Code) -> u16 {
    code.into()
}
