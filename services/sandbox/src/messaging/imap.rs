//! The mailbox server: one folder, `[Gmail]/All Mail`, for each account of the world's mailboxes.
//!
//! Enough of IMAP4rev1 for a client that searches, fetches and flags. Each command is a call for
//! [faults](crate::faults), named `LOGIN`, `SELECT`, `SEARCH`, `FETCH`, `STORE`, `CLOSE` or `LOGOUT`.

use std::fmt::Write as _;
use std::io;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::imap_command::{Set, Word, search_keys, words};
use super::wire::{self, Answer, Wire};
use crate::Simulation;
use crate::faults::{Effect, Step, ThirdParty};
use crate::world::mailbox::{Mailbox, StoredMail};

const FOLDER: &str = "[Gmail]/All Mail";

/// Serves connections until `stop`.
pub async fn serve(listener: TcpListener, simulation: Simulation, stop: CancellationToken) {
    wire::serve(listener, simulation, ThirdParty::Imap, stop, dialogue).await;
}

/// How far a client has come.
#[derive(Debug, Default)]
struct Session {
    account: Option<String>,
    /// The folder is open; whether for changes.
    open: Option<Access>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    ReadWrite,
    ReadOnly,
}

/// One command: its tag, its name, what follows.
struct Command {
    tag: String,
    name: String,
    /// Whether it speaks of UIDs instead of sequence numbers.
    by_uid: bool,
    arguments: Vec<Word>,
}

async fn dialogue(mut wire: Wire) -> io::Result<()> {
    wire.send("* OK [CAPABILITY IMAP4rev1 UIDPLUS] sandbox ready\r\n").await?;
    let mut session = Session::default();
    while let Some(line) = read(&mut wire).await? {
        let Some(command) = parse(&line) else {
            wire.send("* BAD command not understood\r\n").await?;
            continue;
        };
        let step = if command.name == "LOGIN" { Step::Login } else { Step::Call };
        let refuse = |effect| refused(&command, effect);
        let execute = |simulation: &Simulation| execute(simulation, &mut session, &command);
        wire.answer(step, &command.name, "", refuse, execute).await?;
        if command.name == "LOGOUT" {
            return Ok(());
        }
    }
    Ok(())
}

/// A command line with its literals put in as quoted strings.
async fn read(wire: &mut Wire) -> io::Result<Option<String>> {
    let Some(mut line) = wire.line().await? else { return Ok(None) };
    while let Some((start, length)) = announced_literal(&line) {
        wire.send("+ go ahead\r\n").await?;
        let literal = wire.exactly(length).await?;
        let literal = String::from_utf8_lossy(&literal).replace('\\', "\\\\").replace('"', "\\\"");
        line.truncate(start);
        let Some(rest) = wire.line().await? else { return Ok(None) };
        let _ = write!(line, "\"{literal}\"{rest}");
    }
    Ok(Some(line))
}

/// Where the `{12}` at the end of a line starts, and its number.
fn announced_literal(line: &str) -> Option<(usize, usize)> {
    let start = line.rfind('{')?;
    let length = line.get(start + 1..)?.strip_suffix('}')?.trim_end_matches('+');
    Some((start, length.parse().ok()?))
}

fn parse(line: &str) -> Option<Command> {
    let (tag, rest) = line.split_once(' ')?;
    let (name, arguments) = rest.split_once(' ').unwrap_or((rest, ""));
    let (by_uid, name, arguments) = match name.to_ascii_uppercase() {
        uid if uid == "UID" => {
            let (name, arguments) = arguments.split_once(' ')?;
            (true, name.to_ascii_uppercase(), arguments)
        }
        name => (false, name, arguments),
    };
    Some(Command { tag: tag.to_owned(), name, by_uid, arguments: words(arguments)? })
}

impl Command {
    fn argument(&self, index: usize) -> &str {
        self.arguments.get(index).map(Word::text).unwrap_or_default()
    }

    /// The final line, after `lines`.
    fn done(&self, mut lines: Vec<u8>, outcome: &str, status: u16) -> Answer {
        lines.extend_from_slice(format!("{} {outcome}\r\n", self.tag).as_bytes());
        Answer { text: lines, status }
    }

    fn ok(&self, lines: impl Into<Vec<u8>>) -> Answer {
        self.done(lines.into(), &format!("OK {} completed", self.name), 200)
    }

    fn no(&self, reason: &str) -> Answer {
        self.done(Vec::new(), &format!("NO {reason}"), 400)
    }

    fn bad(&self, reason: &str) -> Answer {
        self.done(Vec::new(), &format!("BAD {reason}"), 400)
    }
}

fn refused(command: &Command, effect: Effect) -> Answer {
    match effect {
        Effect::RefuseLogin => command.no("[AUTHENTICATIONFAILED] Invalid credentials (Failure)"),
        Effect::Garbage => Answer::line(200, "<html><body>We will be back shortly"),
        Effect::Status(status) if status < 500 => command.no("[UNAVAILABLE] injected fault, try again later"),
        _ => command.no("[CANNOT] injected fault"),
    }
}

fn execute(simulation: &Simulation, session: &mut Session, command: &Command) -> Answer {
    match command.name.as_str() {
        "CAPABILITY" => command.ok("* CAPABILITY IMAP4rev1 UIDPLUS\r\n"),
        "NOOP" | "CHECK" => command.ok(""),
        "LOGOUT" => command.ok("* BYE sandbox\r\n"),
        "LOGIN" => log_in(simulation, session, command),
        _ if session.account.is_none() => command.bad("log in first"),
        "SELECT" | "EXAMINE" => open(simulation, session, command),
        "CLOSE" | "UNSELECT" => {
            session.open = None;
            command.ok("")
        }
        "SEARCH" | "FETCH" | "STORE" => {
            let Some(access) = session.open else { return command.bad("select a folder first") };
            let account = session.account.clone().unwrap_or_default();
            simulation.world.with_mailboxes(|mailboxes| match mailboxes.get_mut(&account) {
                None => command.no("[UNAVAILABLE] the mailbox is gone"),
                Some(mailbox) => match command.name.as_str() {
                    "SEARCH" => search(mailbox, command),
                    "FETCH" => fetch(mailbox, command, access),
                    _ => store(mailbox, command, access),
                },
            })
        }
        _ => command.bad("unknown command"),
    }
}

fn log_in(simulation: &Simulation, session: &mut Session, command: &Command) -> Answer {
    let (account, password) = (command.argument(0), command.argument(1));
    let fits = simulation.world.with_mailboxes(|mailboxes| {
        mailboxes.get(account).is_some_and(|mailbox| mailbox.password == password)
    });
    if !fits {
        return command.no("[AUTHENTICATIONFAILED] Invalid credentials (Failure)");
    }
    session.account = Some(account.to_owned());
    command.ok("* CAPABILITY IMAP4rev1 UIDPLUS\r\n")
}

fn open(simulation: &Simulation, session: &mut Session, command: &Command) -> Answer {
    session.open = None;
    if command.argument(0) != FOLDER {
        return command.no("[NONEXISTENT] no such folder");
    }
    let account = session.account.clone().unwrap_or_default();
    let (count, next) = simulation.world.with_mailboxes(|mailboxes| {
        let mails = mailboxes.get(&account).map(|mailbox| mailbox.mails.as_slice()).unwrap_or_default();
        (mails.len(), mails.last().map_or(1, |mail| mail.uid + 1))
    });
    let (access, word) = match command.name.as_str() {
        "SELECT" => (Access::ReadWrite, "READ-WRITE"),
        _ => (Access::ReadOnly, "READ-ONLY"),
    };
    session.open = Some(access);
    let lines = format!(
        "* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)\r\n* {count} EXISTS\r\n* 0 RECENT\r\n\
         * OK [UIDVALIDITY 1] UIDs valid\r\n* OK [UIDNEXT {next}] next\r\n"
    );
    command.done(lines.into_bytes(), &format!("OK [{word}] {FOLDER} selected"), 200)
}

/// The mails with their sequence numbers.
fn numbered(mailbox: &mut Mailbox) -> impl Iterator<Item = (u32, &mut StoredMail)> {
    (1_u32..).zip(&mut mailbox.mails)
}

fn search(mailbox: &mut Mailbox, command: &Command) -> Answer {
    let Some(keys) = search_keys(&command.arguments) else { return command.bad("search not understood") };
    let mut line = "* SEARCH".to_owned();
    for (number, mail) in numbered(mailbox) {
        if keys.iter().all(|key| key.matches(mail)) {
            let _ = write!(line, " {}", if command.by_uid { mail.uid } else { number });
        }
    }
    line.push_str("\r\n");
    command.ok(line)
}

/// The mails that a command's set means.
fn chosen<'a>(
    mailbox: &'a mut Mailbox,
    command: &Command,
) -> Option<impl Iterator<Item = (u32, &'a mut StoredMail)>> {
    let set = Set::read(command.argument(0))?;
    let by_uid = command.by_uid;
    let last = if by_uid {
        mailbox.mails.last().map_or(0, |mail| mail.uid)
    } else {
        u32::try_from(mailbox.mails.len()).unwrap_or(u32::MAX)
    };
    let chosen = numbered(mailbox)
        .filter(move |(number, mail)| set.contains(if by_uid { mail.uid } else { *number }, last));
    Some(chosen)
}

fn fetch(mailbox: &mut Mailbox, command: &Command, access: Access) -> Answer {
    let items: Vec<String> =
        command.arguments.iter().skip(1).map(|word| word.text().to_ascii_uppercase()).collect();
    let Some(mails) = chosen(mailbox, command) else { return command.bad("set not understood") };
    let mut lines = Vec::new();
    for (number, mail) in mails {
        let whole = items.iter().any(|item| matches!(item.as_str(), "BODY[]" | "RFC822"));
        mail.seen |= whole && access == Access::ReadWrite;
        // Flags are sent unasked, as real servers may do.
        let flags = if mail.seen { "\\Seen" } else { "" };
        lines.extend_from_slice(format!("* {number} FETCH (FLAGS ({flags})").as_bytes());
        if command.by_uid || items.iter().any(|item| item == "UID") {
            lines.extend_from_slice(format!(" UID {}", mail.uid).as_bytes());
        }
        for item in &items {
            let body = |name: &str, bytes: &[u8]| {
                [format!(" {name} {{{}}}\r\n", bytes.len()).as_bytes(), bytes].concat()
            };
            match item.as_str() {
                "" | "UID" | "FLAGS" => {}
                "RFC822.SIZE" => {
                    lines.extend_from_slice(format!(" RFC822.SIZE {}", mail.raw.len()).as_bytes());
                }
                "INTERNALDATE" => {
                    let date = mail.at.format("%d-%b-%Y %H:%M:%S +0000");
                    lines.extend_from_slice(format!(" INTERNALDATE \"{date}\"").as_bytes());
                }
                "BODY[]" | "BODY.PEEK[]" => lines.extend(body("BODY[]", &mail.raw)),
                "RFC822" => lines.extend(body("RFC822", &mail.raw)),
                "BODY.PEEK[HEADER]" | "BODY[HEADER]" => {
                    lines.extend(body("BODY[HEADER]", header_of(&mail.raw)));
                }
                _ => return command.bad("item not understood"),
            }
        }
        lines.extend_from_slice(b")\r\n");
    }
    command.ok(lines)
}

/// Everything up to and with the empty line.
fn header_of(raw: &[u8]) -> &[u8] {
    let end = raw.windows(4).position(|window| window == b"\r\n\r\n").map_or(raw.len(), |at| at + 4);
    raw.get(..end).unwrap_or_default()
}

fn store(mailbox: &mut Mailbox, command: &Command, access: Access) -> Answer {
    if access == Access::ReadOnly {
        return command.no("[READ-ONLY] the folder is open for reading");
    }
    let action = command.argument(1).to_ascii_uppercase();
    let names_seen = command.arguments.iter().skip(2).any(|word| word.text().eq_ignore_ascii_case("\\Seen"));
    let seen = match action.trim_end_matches(".SILENT") {
        "+FLAGS" => names_seen.then_some(true),
        "-FLAGS" => names_seen.then_some(false),
        "FLAGS" => Some(names_seen),
        _ => return command.bad("flags not understood"),
    };
    let Some(mails) = chosen(mailbox, command) else { return command.bad("set not understood") };
    let mut lines = String::new();
    for (number, mail) in mails {
        mail.seen = seen.unwrap_or(mail.seen);
        if !action.ends_with(".SILENT") {
            let flags = if mail.seen { "\\Seen" } else { "" };
            let _ = write!(lines, "* {number} FETCH (FLAGS ({flags}) UID {})\r\n", mail.uid);
        }
    }
    command.ok(lines)
}
