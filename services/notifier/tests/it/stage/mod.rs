//! What the tests of the notifier share: the sandbox's mail servers, and handlers' calls without a bus.

use std::net::SocketAddr;
use std::time::Duration;

use bus::{Call, RequestId};
use chrono::{DateTime, TimeZone, Utc};
use notifier::endpoint::Endpoint;
use runtime::Clock;
use sandbox::world::outbox::Mail;
use sandbox::{Fault, Running, Sandbox, SandboxOptions, ThirdParty};
use serde_json::{Value, value::RawValue};
use tokio::time::Instant;
use url::Url;

/// A generous limit for what should come at once.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// The mailbox of the tests.
pub(crate) const INBOX: &str = "inbox@example.com";
/// Its password, with characters that a command must quote.
pub(crate) const PASSWORD: &str = r#"se"cr\et"#;

/// A call of a handler that must be answered within `within`.
pub(crate) fn call<Q>(request: Q, within: Duration) -> Call<Q> {
    let id = RawValue::from_string("\"n1\"".to_owned()).unwrap();
    Call { request, request_id: RequestId::from(&*id), deadline: Instant::now() + within, subject: "test" }
}

/// The body of a reply.
pub(crate) fn body(reply: &bus::Reply) -> Value {
    reply.body().map_or(Value::Null, |raw| serde_json::from_str(raw.get()).unwrap())
}

/// The instant at which the clock of the mail servers stands.
pub(crate) fn now() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2021, 11, 21, 10, 0, 0).unwrap()
}

/// The sandbox, of which the mail servers are used. Gone when dropped.
pub(crate) struct MailServers {
    pub(crate) sandbox: Running,
    pub(crate) smtp: SocketAddr,
    pub(crate) imap: SocketAddr,
}

impl MailServers {
    pub(crate) async fn start() -> Self {
        let options = SandboxOptions { edges: 1, clock: Clock::frozen(now()), ..SandboxOptions::default() };
        let sandbox = Sandbox::start(options).await.unwrap();
        sandbox.world().with_mailboxes(|mailboxes| mailboxes.open(INBOX, PASSWORD));
        let (smtp, imap) = (sandbox.addresses().smtp, sandbox.addresses().imap);
        Self { sandbox, smtp, imap }
    }

    pub(crate) fn smtp_endpoint(&self) -> Endpoint {
        Endpoint::smtp(Some(&url(&format!("smtp://{}", self.smtp)))).unwrap()
    }

    pub(crate) fn imap_endpoint(&self) -> Endpoint {
        Endpoint::imap(Some(&url(&format!("imap://{}", self.imap)))).unwrap()
    }

    pub(crate) fn inject(&self, third_party: ThirdParty, fault: Fault) {
        self.sandbox.faults().inject(third_party, fault);
    }

    /// The mails that were taken.
    pub(crate) fn sent(&self) -> Vec<Mail> {
        self.sandbox.world().read_outbox(|outbox| outbox.mails.iter().cloned().collect())
    }

    /// Puts a mail into the mailbox; its UID.
    pub(crate) fn arrive(&self, at: DateTime<Utc>, raw: &str) -> u32 {
        self.sandbox.world().with_mailboxes(|mailboxes| mailboxes.deliver(INBOX, at, raw)).unwrap()
    }

    /// UIDs of the mails that are marked as read.
    pub(crate) fn seen(&self) -> Vec<u32> {
        self.sandbox.world().with_mailboxes(|mailboxes| {
            let mails = &mailboxes.get(INBOX).unwrap().mails;
            mails.iter().filter(|mail| mail.seen).map(|mail| mail.uid).collect()
        })
    }

    /// The commands that a server received, oldest first.
    pub(crate) fn commands(&self, third_party: ThirdParty) -> Vec<String> {
        let mut last = self.sandbox.received().last(Some(third_party), 1_000);
        last.reverse();
        last.into_iter().map(|received| received.method).collect()
    }

    /// How often a server received a command.
    pub(crate) fn count(&self, third_party: ThirdParty, command: &str) -> usize {
        self.commands(third_party).iter().filter(|received| *received == command).count()
    }
}

pub(crate) fn url(text: &str) -> Url {
    Url::parse(text).unwrap()
}

/// Waits for a condition.
pub(crate) async fn until(what: &str, condition: impl Fn() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("never: {what}"));
}

/// The metrics with this beginning.
pub(crate) fn metrics(registry: &prometheus::Registry, beginning: &str) -> Vec<String> {
    let text = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
    text.lines().filter(|line| line.starts_with(beginning)).map(str::to_owned).collect()
}
