//! The mailboxes that the IMAP server shows: one folder (`[Gmail]/All Mail`) per account.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

/// A mail lying in a mailbox.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredMail {
    /// IMAP UID: unique in its mailbox, ascending, never reused.
    pub uid: u32,
    /// Arrival (IMAP internal date), by the world's clock.
    pub at: DateTime<Utc>,
    /// The flag `\Seen`.
    pub seen: bool,
    /// The whole message; line ends are CRLF.
    pub raw: Vec<u8>,
}

/// One account's mail, oldest first. The sequence number of a mail is its index plus one.
#[derive(Debug, Clone)]
pub struct Mailbox {
    /// The password that opens it.
    pub password: String,
    /// The mails.
    pub mails: Vec<StoredMail>,
    next_uid: u32,
}

/// All mailboxes by account name.
#[derive(Debug, Clone, Default)]
pub struct Mailboxes {
    accounts: BTreeMap<String, Mailbox>,
}

impl Mailboxes {
    /// Opens an empty mailbox, or changes the password of an existing one.
    pub fn open(&mut self, account: &str, password: &str) {
        let empty = || Mailbox { password: String::new(), mails: Vec::new(), next_uid: 100 };
        let mailbox = self.accounts.entry(account.to_owned()).or_insert_with(empty);
        password.clone_into(&mut mailbox.password);
    }

    /// The mailbox of an account.
    pub fn get(&self, account: &str) -> Option<&Mailbox> {
        self.accounts.get(account)
    }

    /// The mailbox of an account, to change flags.
    pub fn get_mut(&mut self, account: &str) -> Option<&mut Mailbox> {
        self.accounts.get_mut(account)
    }

    /// The accounts.
    pub fn accounts(&self) -> impl Iterator<Item = (&str, &Mailbox)> {
        self.accounts.iter().map(|(name, mailbox)| (name.as_str(), mailbox))
    }

    /// Puts a raw message into an account's mailbox; its UID, or `None` when there is no such account.
    /// Bare line feeds become CRLF, as every IMAP server does.
    pub fn deliver(&mut self, account: &str, at: DateTime<Utc>, raw: &str) -> Option<u32> {
        let mailbox = self.accounts.get_mut(account)?;
        let uid = mailbox.next_uid;
        mailbox.next_uid += 1;
        let raw = raw.replace("\r\n", "\n").replace('\n', "\r\n").into_bytes();
        mailbox.mails.push(StoredMail { uid, at, seen: false, raw });
        Some(uid)
    }
}
