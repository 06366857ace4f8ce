//! One IMAP session: log in, open "All Mail", search, fetch, flag (spec `notifier`, "IMAP").
//!
//! The protocol is `async-imap`'s; commands are run one by one here because its own `uid_fetch` and `uid_store` do not
//! look at whether the server said OK. Its errors quote what the server sent, mails included, so that none of their
//! texts ever leaves this file.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use async_imap::imap_proto::{AttributeValue, MailboxDatum, Response, Status};
use async_imap::{Client, Session};
use chrono::NaiveDate;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use secrecy::{ExposeSecret, SecretString};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::endpoint::Endpoint;

/// The folder with every mail of a Gmail account, sent and archived ones included.
const FOLDER: &str = "[Gmail]/All Mail";
/// How long the connection, TLS included, may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// How long the farewell may take; its outcome concerns nobody.
const CLOSE_WITHIN: Duration = Duration::from_secs(5);
/// Mails asked for in one FETCH.
const CHUNK: usize = 50;

/// The server of the mailboxes.
#[derive(Debug, Clone)]
pub struct MailServer {
    endpoint: Endpoint,
    /// `None`: no TLS (overrides only).
    tls: Option<Arc<ClientConfig>>,
}

/// What a session was doing when it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Connecting, TLS, greeting.
    Connect,
    /// LOGIN.
    Login,
    /// SELECT.
    Open,
    /// UID SEARCH.
    Search,
    /// UID FETCH.
    Fetch,
    /// UID STORE.
    Store,
}

impl Stage {
    fn name(self) -> &'static str {
        match self {
            Self::Connect => "connecting",
            Self::Login => "the login",
            Self::Open => "opening the folder",
            Self::Search => "the search",
            Self::Fetch => "fetching",
            Self::Store => "marking",
        }
    }
}

/// Why it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The server answered NO or BAD.
    Refused,
    /// No command can hold the sender that is searched for.
    Unsearchable,
    /// The server cannot be reached, or the connection broke.
    Connection,
    /// TLS could not be agreed, e.g. the certificate is not trusted.
    Tls,
    /// What the server sent is no IMAP.
    Unreadable,
    /// No answer in time.
    Timeout,
}

impl Cause {
    fn name(self) -> &'static str {
        match self {
            Self::Refused => "the server refused",
            Self::Unsearchable => "the sender cannot be searched for",
            Self::Connection => "no connection",
            Self::Tls => "the server's certificate or TLS is not acceptable",
            Self::Unreadable => "the server's answer is not understood",
            Self::Timeout => "no answer in time",
        }
    }
}

/// A session that failed. Its text holds nothing that a server sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{} failed: {}", .stage.name(), .cause.name())]
pub struct ImapError {
    /// What was being done.
    pub stage: Stage,
    /// Why it failed.
    pub cause: Cause,
}

impl ImapError {
    /// A failure of `stage`.
    pub fn new(stage: Stage, cause: Cause) -> Self {
        Self { stage, cause }
    }

    /// Whether the session can go on: only this one command failed.
    pub fn leaves_session_usable(self) -> bool {
        matches!(self.cause, Cause::Refused | Cause::Unsearchable)
    }

    fn of(stage: Stage) -> impl Fn(async_imap::error::Error) -> Self {
        use async_imap::error::Error;
        move |error| {
            let cause = match error {
                Error::Bad(_) | Error::No(_) => Cause::Refused,
                Error::Io(error) => cause_of(&error),
                Error::ConnectionLost => Cause::Connection,
                _ => Cause::Unreadable,
            };
            Self::new(stage, cause)
        }
    }
}

fn cause_of(error: &std::io::Error) -> Cause {
    match error.kind() {
        // What async-imap makes of an answer that it cannot parse.
        std::io::ErrorKind::Other => Cause::Unreadable,
        std::io::ErrorKind::InvalidData => Cause::Tls,
        std::io::ErrorKind::TimedOut => Cause::Timeout,
        _ => Cause::Connection,
    }
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send + std::fmt::Debug {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send + std::fmt::Debug> Stream for T {}
type Wire = Box<dyn Stream>;

impl MailServer {
    /// A server whose certificate the system's roots (and `SSL_CERT_FILE`, `SSL_CERT_DIR`) must vouch for.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(endpoint: Endpoint) -> Result<Self, rustls::Error> {
        let mut roots = rustls::RootCertStore::empty();
        if endpoint.secure {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
        Self::trusting(endpoint, roots)
    }

    /// A server whose certificate one of `roots` must vouch for.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn trusting(endpoint: Endpoint, roots: rustls::RootCertStore) -> Result<Self, rustls::Error> {
        if !endpoint.secure {
            return Ok(Self { endpoint, tls: None });
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { endpoint, tls: Some(Arc::new(config)) })
    }

    /// Logs in and opens the folder.
    ///
    /// # Errors
    /// [`ImapError`] with the stage that failed.
    pub async fn open(&self, account: &str, password: &SecretString) -> Result<Folder, ImapError> {
        let client = timeout(CONNECT_WITHIN, self.connect())
            .await
            .map_err(|_| ImapError::new(Stage::Connect, Cause::Timeout))??;
        let mut session = client
            .login(account, password.expose_secret())
            .await
            .map_err(|(error, _client)| ImapError::of(Stage::Login)(error))?;
        session.select(FOLDER).await.map_err(ImapError::of(Stage::Open))?;
        Ok(Folder { session })
    }

    /// A connection whose greeting has been read.
    async fn connect(&self) -> Result<Client<Wire>, ImapError> {
        let failed = |error: std::io::Error| ImapError::new(Stage::Connect, cause_of(&error));
        let tcp = TcpStream::connect(self.endpoint.address()).await.map_err(failed)?;
        // Commands are small and each waits for its answer.
        tcp.set_nodelay(true).map_err(failed)?;
        let wire: Wire = match &self.tls {
            None => Box::new(tcp),
            Some(config) => {
                let name = ServerName::try_from(self.endpoint.name)
                    .map_err(|_| ImapError::new(Stage::Connect, Cause::Tls))?;
                Box::new(TlsConnector::from(Arc::clone(config)).connect(name, tcp).await.map_err(failed)?)
            }
        };
        let mut client = Client::new(wire);
        match client.read_response().await.map_err(failed)? {
            Some(_greeting) => Ok(client),
            None => Err(ImapError::new(Stage::Connect, Cause::Connection)),
        }
    }
}

/// A mail as fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawMail {
    /// Its UID in the folder.
    pub uid: u32,
    /// The whole message.
    pub bytes: Vec<u8>,
}

/// The mails that were asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fetched {
    /// In the order of the mailbox.
    pub mails: Vec<RawMail>,
    /// UIDs of mails that were left out because all together would have been too large. They stay unread.
    pub left_out: Vec<u32>,
    /// UIDs of mails that the server could not deliver though it delivered others.
    pub refused: Vec<u32>,
}

/// An opened folder. At most one for each mailbox at a time, see [`super::Mailboxes`].
#[derive(Debug)]
pub struct Folder {
    session: Session<Wire>,
}

impl Folder {
    /// UIDs of the unread mails of a sender that arrived on `since` or later.
    ///
    /// # Errors
    /// [`ImapError`] at [`Stage::Search`].
    pub async fn search(&mut self, sender: &str, since: NaiveDate) -> Result<BTreeSet<u32>, ImapError> {
        let command =
            search_command(sender, since).ok_or(ImapError::new(Stage::Search, Cause::Unsearchable))?;
        let mut found = BTreeSet::new();
        self.run(Stage::Search, &command, |response| {
            if let Response::MailboxData(MailboxDatum::Search(uids)) = response {
                found.extend(uids);
            }
        })
        .await?;
        Ok(found)
    }

    /// The mails with these UIDs, unread ones stay unread (PEEK). No more than `limit` bytes altogether: what does not
    /// fit is left out, so that one huge mail hides only itself.
    ///
    /// The sizes that the server tells keep it from sending what will not fit. What counts are the bytes that arrive.
    ///
    /// A mail that the server cannot deliver hides only itself, too.
    ///
    /// # Errors
    /// [`ImapError`] at [`Stage::Fetch`]. That the server refused only when it delivered nothing at all.
    pub async fn fetch(&mut self, uids: &BTreeSet<u32>, limit: usize) -> Result<Fetched, ImapError> {
        let uids: Vec<u32> = uids.iter().copied().collect();
        let mut taken = Taken { fetched: Fetched::default(), room: limit };
        for chunk in uids.chunks(CHUNK) {
            let sizes = match self.sizes(chunk).await {
                // A server that tells no sizes at all.
                Err(ImapError { cause: Cause::Refused, .. }) => HashMap::new(),
                sizes => sizes?,
            };
            let mut planned = 0;
            let mut together = Vec::with_capacity(chunk.len());
            // A mail of unknown size may need all the room, so each is asked for when the others have theirs.
            let mut alone = Vec::new();
            for uid in chunk {
                match sizes.get(uid) {
                    None => alone.push([*uid]),
                    Some(size) if *size <= taken.room.saturating_sub(planned) => {
                        planned += size;
                        together.push(*uid);
                    }
                    Some(_) => taken.fetched.left_out.push(*uid),
                }
            }
            for wanted in std::iter::once(&*together).chain(alone.iter().map(<[u32; 1]>::as_slice)) {
                self.fetch_into(&mut taken, wanted).await?;
            }
        }
        let mut fetched = taken.fetched;
        if fetched.mails.is_empty() && !fetched.refused.is_empty() {
            return Err(ImapError::new(Stage::Fetch, Cause::Refused));
        }
        // UIDs ascend in the order of the mailbox.
        fetched.mails.sort_unstable_by_key(|mail| mail.uid);
        fetched.left_out.sort_unstable();
        Ok(fetched)
    }

    /// Fetches into `taken`. Of a FETCH in which one mail fails Gmail delivers the others and says NO in the end: those
    /// that did not arrive are asked for one by one.
    async fn fetch_into(&mut self, taken: &mut Taken, wanted: &[u32]) -> Result<(), ImapError> {
        if !self.fetch_together(taken, wanted).await? {
            let lacking: Vec<u32> = wanted.iter().copied().filter(|uid| !taken.knows(*uid)).collect();
            for uid in lacking {
                // What was refused alone needs no second question.
                let refused = wanted.len() == 1 || !self.fetch_together(taken, &[uid]).await?;
                if refused && !taken.knows(uid) {
                    taken.fetched.refused.push(uid);
                }
            }
        }
        Ok(())
    }

    /// One FETCH into `taken`; whether the server delivered what it could.
    async fn fetch_together(&mut self, taken: &mut Taken, wanted: &[u32]) -> Result<bool, ImapError> {
        if wanted.is_empty() {
            return Ok(true);
        }
        if taken.room == 0 {
            taken.fetched.left_out.extend(wanted);
            return Ok(true);
        }
        let command = format!("UID FETCH {} (UID BODY.PEEK[])", set(wanted));
        let done = self
            .run(Stage::Fetch, &command, |response| {
                if let Response::Fetch(_, attributes) = response
                    && let Some((uid, bytes)) = raw_mail(attributes)
                    && wanted.contains(&uid)
                {
                    taken.take(uid, bytes);
                }
            })
            .await;
        match done {
            Ok(()) => Ok(true),
            Err(ImapError { cause: Cause::Refused, .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn sizes(&mut self, uids: &[u32]) -> Result<HashMap<u32, usize>, ImapError> {
        let mut sizes = HashMap::with_capacity(uids.len());
        self.run(Stage::Fetch, &format!("UID FETCH {} (UID RFC822.SIZE)", set(uids)), |response| {
            if let Response::Fetch(_, attributes) = response {
                let uid = attributes.iter().find_map(uid_of);
                let size = attributes.iter().find_map(|attribute| match attribute {
                    AttributeValue::Rfc822Size(size) => usize::try_from(*size).ok(),
                    _ => None,
                });
                sizes.extend(uid.zip(size));
            }
        })
        .await?;
        Ok(sizes)
    }

    /// Marks a mail as read. One that is read already, or gone, is a success.
    ///
    /// # Errors
    /// [`ImapError`] at [`Stage::Store`].
    pub async fn mark_read(&mut self, uid: u32) -> Result<(), ImapError> {
        self.run(Stage::Store, &format!("UID STORE {uid} +FLAGS (\\Seen)"), |_| {}).await
    }

    /// Closes the folder and logs out. Errors are of no consequence: everything that matters has been answered.
    pub async fn close(mut self) {
        let farewell = async {
            self.session.close().await?;
            self.session.logout().await
        };
        match timeout(CLOSE_WITHIN, farewell).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::debug!(error = %ImapError::of(Stage::Open)(error), "mailbox not closed in order");
            }
            Err(_) => tracing::debug!("mailbox not closed in time"),
        }
    }

    /// Runs a command, shows each response to `on_response` and checks that the server said OK in the end.
    async fn run(
        &mut self,
        stage: Stage,
        command: &str,
        mut on_response: impl FnMut(&Response<'_>),
    ) -> Result<(), ImapError> {
        let sent = self.session.run_command(command).await.map_err(ImapError::of(stage))?;
        loop {
            let received = self.session.read_response().await;
            let received = received.map_err(|error| ImapError::new(stage, cause_of(&error)))?;
            let Some(received) = received else { return Err(ImapError::new(stage, Cause::Connection)) };
            match received.parsed() {
                Response::Done { tag, status: Status::Ok, .. } if *tag == sent => return Ok(()),
                Response::Done { tag, .. } if *tag == sent => {
                    return Err(ImapError::new(stage, Cause::Refused));
                }
                Response::Data { status: Status::Bye, .. } => {
                    return Err(ImapError::new(stage, Cause::Connection));
                }
                response => on_response(response),
            }
        }
    }
}

/// What has arrived of a fetch, and how many bytes more may.
struct Taken {
    fetched: Fetched,
    room: usize,
}

impl Taken {
    /// Whether a mail arrived, be it kept or not.
    fn knows(&self, uid: u32) -> bool {
        self.fetched.mails.iter().any(|mail| mail.uid == uid) || self.fetched.left_out.contains(&uid)
    }

    /// Keeps a mail that arrived, or leaves it out, whatever size it was said to have.
    fn take(&mut self, uid: u32, bytes: &[u8]) {
        if let Some(room) = self.room.checked_sub(bytes.len()) {
            self.room = room;
            self.fetched.mails.push(RawMail { uid, bytes: bytes.to_vec() });
        } else {
            self.fetched.left_out.push(uid);
        }
    }
}

/// The items of a FETCH answer by their names: servers may add others, flags for one, and choose the order.
fn raw_mail<'a>(attributes: &'a [AttributeValue<'_>]) -> Option<(u32, &'a [u8])> {
    let uid = attributes.iter().find_map(uid_of)?;
    let bytes = attributes.iter().find_map(|attribute| match attribute {
        AttributeValue::BodySection { section: None, data: Some(data), .. } => Some(&**data),
        _ => None,
    })?;
    Some((uid, bytes))
}

fn uid_of(attribute: &AttributeValue<'_>) -> Option<u32> {
    match attribute {
        AttributeValue::Uid(uid) => Some(*uid),
        _ => None,
    }
}

fn set(uids: &[u32]) -> String {
    uids.iter().map(u32::to_string).collect::<Vec<_>>().join(",")
}

/// The search of the specification. Dates are days with English month names, in whatever language the host speaks.
/// `None` for a sender that a quoted string of IMAP cannot hold; a line break would even begin another command.
fn search_command(sender: &str, since: NaiveDate) -> Option<String> {
    if !sender.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return None;
    }
    let sender = sender.replace('\\', "\\\\").replace('"', "\\\"");
    Some(format!("UID SEARCH UNSEEN SINCE {} FROM \"{sender}\"", since.format("%d-%b-%Y")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_search_names_the_day_in_english_and_quotes_the_sender() {
        for (day, sender, command) in [
            (
                (2021, 11, 20),
                "fraud@example.com",
                r#"UID SEARCH UNSEEN SINCE 20-Nov-2021 FROM "fraud@example.com""#,
            ),
            ((2022, 2, 1), r#"a"b\c"#, r#"UID SEARCH UNSEEN SINCE 01-Feb-2022 FROM "a\"b\\c""#),
        ] {
            let (year, month, day) = day;
            let day = NaiveDate::from_ymd_opt(year, month, day).unwrap();
            assert_eq!(search_command(sender, day).as_deref(), Some(command));
        }
    }

    #[test]
    fn what_a_quoted_string_cannot_hold_is_no_command() {
        for sender in ["a\r\nb LOGOUT", "josé@example.com", "a\0", "\x7f"] {
            assert_eq!(search_command(sender, NaiveDate::MIN), None, "{sender:?}");
        }
    }

    #[test]
    fn errors_say_what_was_done_and_why_it_failed() {
        let error = ImapError::new(Stage::Login, Cause::Refused);
        assert_eq!(error.to_string(), "the login failed: the server refused");
    }
}
