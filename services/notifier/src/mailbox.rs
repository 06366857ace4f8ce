//! `get.email.request` and `mark.email.read.request`: the mailboxes that monitors watch (spec `notifier`, "Serves" 3, 4).
//!
//! [`imap`] speaks to the server, [`extract`] makes of a mail's bytes what monitors read, and [`allowance`] keeps a mail
//! from taking the process along.

mod allowance;
pub mod extract;
pub mod imap;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use bus::{Call, Reply, RequestId};
use chrono::{Days, NaiveDate};
use contracts::Rejected;
use contracts::notifier::{MailboxMessage, MailboxRequest, MarkReadRequest, Wanted};
use runtime::{Clock, WriteMode};
use secrecy::SecretString;
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::time::{Instant, timeout_at};

use crate::answer_by;
use crate::metrics::{Metrics, Outcome};
use extract::extract;
use imap::{Cause, Folder, ImapError, MailServer, Stage};

/// The mails of one reply, in bytes as they lie in the mailbox. A reply holds each text up to twice, and requesters
/// take envelopes of 64 MiB.
const READ_LIMIT: usize = 24 << 20;

/// The mailboxes that may be read, with their passwords.
pub type Accounts = HashMap<String, SecretString>;

/// Reads and flags mails in the configured mailboxes.
#[derive(Debug)]
pub struct Mailboxes {
    server: MailServer,
    accounts: HashMap<String, Account>,
    failures_as_empty: bool,
    mode: WriteMode,
    clock: Clock,
    metrics: Metrics,
}

#[derive(Debug)]
struct Account {
    password: SecretString,
    /// Held while there is a session: at most one for each mailbox (Improve 5).
    session: Arc<Mutex<()>>,
}

impl Mailboxes {
    /// Mailboxes on `server`.
    pub fn new(
        server: MailServer,
        accounts: Accounts,
        mode: WriteMode,
        clock: Clock,
        metrics: Metrics,
    ) -> Self {
        let accounts = accounts
            .into_iter()
            .map(|(name, password)| (name, Account { password, session: Arc::default() }))
            .collect();
        Self { server, accounts, failures_as_empty: false, mode, clock, metrics }
    }

    /// Whether a mailbox that cannot be read is answered with 200 and no mails, as the existing deployment does, for a
    /// transition in which the callers' alerts would disturb (Improve 6).
    #[must_use]
    pub fn failures_as_empty(mut self, yes: bool) -> Self {
        self.failures_as_empty = yes;
        self
    }

    /// Answers a read: 200 with the mails, 400 for an unknown mailbox, then for a filter or options of the wrong kind,
    /// 500 when the mailbox cannot be read.
    pub async fn read(&self, call: Call<MailboxRequest>) -> Reply {
        let request = &call.request;
        let Some(account) = self.accounts.get(&request.email_account) else {
            return unknown(&request.email_account);
        };
        let wanted = match request.wanted() {
            Ok(wanted) => wanted,
            Err(Rejected { status, body }) => return Reply::json(status, &body).not_executed(),
        };
        if wanted.senders.is_empty() {
            return Reply::ok::<[MailboxMessage]>(&[]);
        }
        let began = Instant::now();
        let deadline = answer_by(call.deadline);
        let outcome = self.read_before(deadline, account, &call, &wanted).await;
        let outcome_label = if outcome.is_ok() { Outcome::Delivered } else { Outcome::Failed };
        self.metrics.mailbox_read(&request.email_account, outcome_label, began.elapsed());
        match outcome {
            Ok(mails) => {
                tracing::info!(request_id = %call.request_id, mails = mails.len(), "mailbox read");
                Reply::ok(&mails)
            }
            Err(error) => {
                tracing::error!(request_id = %call.request_id, %error, "mailbox cannot be read");
                if self.failures_as_empty {
                    Reply::ok::<[MailboxMessage]>(&[])
                } else {
                    Reply::text(500, &format!("The mailbox cannot be read: {error}"))
                }
            }
        }
    }

    async fn read_before(
        &self,
        deadline: Instant,
        account: &Account,
        call: &Call<MailboxRequest>,
        wanted: &Wanted,
    ) -> Result<Vec<MailboxMessage>, ImapError> {
        let since = self.since(wanted.lookup_days);
        let reading = async |folder: &mut Folder| {
            let uids = search(folder, wanted, since, &call.request_id).await?;
            folder.fetch(&uids, READ_LIMIT).await
        };
        let name = &call.request.email_account;
        let fetched = self.in_session(deadline, Stage::Fetch, name, account, reading).await?;
        if !fetched.left_out.is_empty() {
            tracing::warn!(uids = ?fetched.left_out, "mails left out of a read: together they are too large");
            self.metrics.left_out(fetched.left_out.len());
        }
        if !fetched.refused.is_empty() {
            tracing::warn!(uids = ?fetched.refused, "mails left out of a read: the server cannot deliver them");
            self.metrics.left_out(fetched.refused.len());
        }
        // Beside the event loop: mails may have tens of megabytes.
        let extracting = tokio::task::spawn_blocking(move || {
            fetched.mails.iter().map(|mail| extract(mail.uid, &mail.bytes)).collect()
        });
        extracting.await.map_err(|_| ImapError::new(Stage::Fetch, Cause::Unreadable))
    }

    /// Answers a mark: 200 when the server took it, also for mails read already or gone; 500 when it did not.
    pub async fn mark_read(&self, call: Call<MarkReadRequest>) -> Reply {
        let MarkReadRequest { msg_uid, email_account } = &call.request;
        let Some(account) = self.accounts.get(email_account) else { return unknown(email_account) };
        let failed = || Reply::text(500, &format!("Failed to mark message {msg_uid} as read"));
        // A single UID only: a set such as `1:*` would mark mails that nobody has asked for.
        let uid = msg_uid.parse::<u32>().ok().filter(|uid| *uid > 0);
        let Some(uid) = uid else {
            tracing::warn!(request_id = %call.request_id, "mail not marked as read: its UID is none");
            return failed().not_executed();
        };
        if self.mode == WriteMode::DryRun {
            tracing::info!(request_id = %call.request_id, uid, "dry run: mail not marked as read");
            return marked(uid);
        }
        let deadline = answer_by(call.deadline);
        let marking = async |folder: &mut Folder| folder.mark_read(uid).await;
        match self.in_session(deadline, Stage::Store, email_account, account, marking).await {
            Ok(()) => {
                tracing::info!(request_id = %call.request_id, uid, "mail marked as read");
                marked(uid)
            }
            Err(error) => {
                tracing::error!(request_id = %call.request_id, uid, %error, "mail not marked as read");
                // Marking twice is harmless, so a repeated request may try again.
                failed().not_executed()
            }
        }
    }

    /// Does `work` in a session of this mailbox, alone in it, and is done by `deadline`.
    async fn in_session<T>(
        &self,
        deadline: Instant,
        stage: Stage,
        name: &str,
        account: &Account,
        work: impl AsyncFnOnce(&mut Folder) -> Result<T, ImapError>,
    ) -> Result<T, ImapError> {
        let all = async {
            let turn = Arc::clone(&account.session).lock_owned().await;
            let mut folder = self.server.open(name, &account.password).await?;
            let done = work(&mut folder).await;
            leave(folder, turn);
            done
        };
        timeout_at(deadline, all).await.unwrap_or(Err(ImapError::new(stage, Cause::Timeout)))
    }

    fn since(&self, days: u32) -> NaiveDate {
        let today = self.clock.now().date_naive();
        today.checked_sub_days(Days::new(u64::from(days))).unwrap_or(NaiveDate::MIN)
    }
}

/// What the senders find together. One that cannot be searched for finds nothing, so that it does not hide the mails of
/// the others; when that holds for all, no mail at all would be a wrong answer.
async fn search(
    folder: &mut Folder,
    wanted: &Wanted,
    since: NaiveDate,
    request_id: &RequestId,
) -> Result<BTreeSet<u32>, ImapError> {
    let most = wanted.max_messages.unwrap_or(usize::MAX);
    let mut uids = BTreeSet::new();
    let mut failures = Vec::new();
    for sender in &wanted.senders {
        match folder.search(sender, since).await {
            // UIDs ascend with the time of arrival: the first are the oldest.
            Ok(found) => uids.extend(found.into_iter().take(most)),
            Err(error) if error.leaves_session_usable() => failures.push(error),
            Err(error) => return Err(error),
        }
    }
    let failed = failures.len();
    match failures.pop() {
        Some(error) if failed == wanted.senders.len() => Err(error),
        Some(error) => {
            tracing::warn!(%request_id, failed, of = wanted.senders.len(), %error, "senders left out of a read");
            Ok(uids)
        }
        None => Ok(uids),
    }
}

/// Logs out without letting the caller wait; the mailbox is free for the next session only then.
fn leave(folder: Folder, turn: OwnedMutexGuard<()>) {
    tokio::spawn(async move {
        folder.close().await;
        drop(turn);
    });
}

fn marked(uid: u32) -> Reply {
    Reply::text(200, &format!("Successfully marked message {uid} as read"))
}

fn unknown(account: &str) -> Reply {
    let text = format!("Email account {account}'s password is not in our MONITORABLE_EMAIL_ACCOUNTS dict");
    Reply::text(400, &text).not_executed()
}
