//! Mailbox reads and marks over IMAP (spec `notifier`, "Serves" 3 and 4, "IMAP", Improve 5 to 9).

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use crate::stage::{INBOX, MailServers, PASSWORD, PATIENCE, body, call, now, until, url};
use chrono::{DateTime, TimeDelta, Utc};
use contracts::notifier::{MailboxRequest, MarkReadRequest};
use notifier::endpoint::Endpoint;
use notifier::mailbox::{Mailboxes, imap::MailServer};
use notifier::metrics::Metrics;
use prometheus::Registry;
use runtime::{Clock, WriteMode};
use sandbox::faults::Mode;
use sandbox::{Fault, ThirdParty};
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

fn mailboxes_on(server: MailServer, mode: WriteMode) -> Mailboxes {
    let accounts = HashMap::from([(INBOX.to_owned(), SecretString::from(PASSWORD))]);
    let metrics = Metrics::register(&Registry::new()).unwrap();
    Mailboxes::new(server, accounts, mode, Clock::frozen(now()), metrics)
}

fn mailboxes(servers: &MailServers) -> Mailboxes {
    mailboxes_on(MailServer::new(servers.imap_endpoint()).unwrap(), WriteMode::Live)
}

fn from(sender: &str, subject: &str) -> String {
    format!(
        "Subject: {subject}\nFrom: Desk <{sender}>\nContent-Type: text/plain; charset=utf-8\n\nline1\nline2\n"
    )
}

fn yesterday_midnight() -> DateTime<Utc> {
    now().date_naive().and_hms_opt(0, 0, 0).unwrap().and_utc() - TimeDelta::days(1)
}

fn of(senders: &[&str]) -> MailboxRequest {
    MailboxRequest::new(INBOX, senders.iter().map(ToString::to_string).collect())
}

async fn read(mailboxes: &Mailboxes, request: MailboxRequest) -> (u16, Value) {
    let reply = mailboxes.read(call(request, PATIENCE)).await;
    (reply.code(), body(&reply))
}

/// UIDs of a reply.
async fn uids(mailboxes: &Mailboxes, request: MailboxRequest) -> Vec<String> {
    let (status, mails) = read(mailboxes, request).await;
    assert_eq!(status, 200, "{mails}");
    mails.as_array().unwrap().iter().map(|mail| mail["msg_uid"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn unread_mails_since_yesterday_are_read_and_stay_unread() {
    let servers = MailServers::start().await;
    let old = servers.arrive(yesterday_midnight() - TimeDelta::seconds(1), &from("fraud@example.com", "old"));
    let first = servers.arrive(yesterday_midnight(), &from("fraud@example.com", "=?utf-8?q?H=C3=A9llo?="));
    servers.arrive(now(), &from("other@example.com", "not asked for"));
    let second = servers.arrive(now(), &from("alerts@example.com", "S2"));
    let read_already = servers.arrive(now(), &from("fraud@example.com", "read"));
    servers.sandbox.world().with_mailboxes(|mailboxes| {
        let mails = &mut mailboxes.get_mut(INBOX).unwrap().mails;
        mails.iter_mut().find(|mail| mail.uid == read_already).unwrap().seen = true;
    });
    let mailboxes = mailboxes(&servers);

    let (status, mails) = read(&mailboxes, of(&["alerts@example.com", "fraud@example.com"])).await;
    assert_eq!(status, 200);
    assert_eq!(
        mails[0],
        json!({"message": from("fraud@example.com", "=?utf-8?q?H=C3=A9llo?="), "subject": "Héllo", "body": "line1\nline2",
               "msg_uid": first.to_string()})
    );
    // In the order of the mailbox, not of the senders.
    assert_eq!(mails[1]["msg_uid"], second.to_string());
    assert_eq!(mails.as_array().unwrap().len(), 2);
    // Senders that match the same mails bring each once.
    let request = of(&["alerts@example.com", "fraud@example.com", "desk"]);
    let all = MailboxRequest { lookup_days: Some(json!(2)), ..request };
    assert_eq!(uids(&mailboxes, all).await.len(), 4);
    assert_eq!(servers.seen(), [read_already]);
    assert_ne!(old, first);
}

#[tokio::test]
async fn lookup_days_and_max_messages_widen_and_narrow_the_read() {
    let servers = MailServers::start().await;
    let mut all = Vec::new();
    for days in [3, 2, 1, 0] {
        for sender in ["a@example.com", "b@example.com"] {
            all.push(servers.arrive(now() - TimeDelta::days(days), &from(sender, "x")).to_string());
        }
    }
    let mailboxes = mailboxes(&servers);
    let request = of(&["a@example.com", "b@example.com"]);
    for (days, most, expected) in [
        (None, None, &all[4..]),
        (Some(0), None, &all[6..]),
        (Some(3), None, &all[..]),
        (Some(3), Some(1), &all[..2]),
        (Some(3), Some(0), &all[..0]),
        (Some(3_650), Some(3), &all[..6]),
    ] {
        let (lookup_days, max_messages) = (days.map(Value::from), most.map(Value::from));
        let request = MailboxRequest { lookup_days, max_messages, ..request.clone() };
        assert_eq!(uids(&mailboxes, request).await, expected, "{days:?} {most:?}");
    }
}

#[tokio::test]
async fn nothing_found_and_nobody_asked_for_are_empty_lists() {
    let servers = MailServers::start().await;
    servers.arrive(now(), &from("a@example.com", "x"));
    let mailboxes = mailboxes(&servers);
    assert_eq!(read(&mailboxes, of(&["nobody@example.com"])).await, (200, json!([])));
    let commands = servers.commands(ThirdParty::Imap).len();
    assert_eq!(read(&mailboxes, of(&[])).await, (200, json!([])));
    until("the farewell", || servers.count(ThirdParty::Imap, "LOGOUT") == 1).await;
    let empty_text = MailboxRequest { email_filter: json!(""), ..of(&[]) };
    assert_eq!(read(&mailboxes, empty_text).await, (200, json!([])));
    assert!(servers.commands(ThirdParty::Imap).len() <= commands + 2, "an empty filter needs no session");
}

#[tokio::test]
async fn more_mails_than_fit_into_one_fetch_all_arrive_in_order() {
    let servers = MailServers::start().await;
    let all: Vec<String> = (0..120)
        .map(|n| servers.arrive(now(), &from("a@example.com", &format!("m{n}"))).to_string())
        .collect();
    assert_eq!(uids(&mailboxes(&servers), of(&["a@example.com"])).await, all);
}

#[tokio::test]
async fn one_huge_mail_hides_only_itself() {
    let servers = MailServers::start().await;
    let before = servers.arrive(now(), &from("a@example.com", "before")).to_string();
    servers.arrive(now(), &format!("{}{}", from("a@example.com", "huge"), "x".repeat(25 << 20)));
    let after = servers.arrive(now(), &from("a@example.com", "after")).to_string();
    assert_eq!(uids(&mailboxes(&servers), of(&["a@example.com"])).await, [before, after]);
}

#[tokio::test]
async fn odd_mails_hide_nothing() {
    let servers = MailServers::start().await;
    servers.arrive(now(), "From: a@example.com\n\nno subject\n");
    servers.arrive(now(), "From: a@example.com\nContent-Type: multipart/mixed; boundary=x\n\n--x\nContent-Type: text/html\n\n<b>\n--x--\n");
    let (status, mails) = read(&mailboxes(&servers), of(&["a@example.com"])).await;
    assert_eq!(status, 200);
    assert_eq!((&mails[0]["subject"], &mails[0]["body"]), (&json!(""), &json!("no subject")));
    assert_eq!((&mails[1]["subject"], &mails[1]["body"]), (&json!(""), &json!("")));
}

#[tokio::test]
async fn a_mailbox_that_cannot_be_read_is_a_500_with_the_reason() {
    let refused = |what: &str| format!("The mailbox cannot be read: {what} failed: the server refused");
    for (fault, text) in [
        (Fault::new(Mode::RefuseLogins), refused("the login")),
        (Fault::status(503).on("SELECT"), refused("opening the folder")),
        (Fault::status(400).on("SEARCH"), refused("the search")),
        (Fault::status(503).on("FETCH"), refused("fetching")),
        (
            Fault::new(Mode::Reset).on("SEARCH"),
            "The mailbox cannot be read: the search failed: no connection".into(),
        ),
        (
            Fault::new(Mode::Truncate).on("FETCH"),
            "The mailbox cannot be read: fetching failed: no connection".into(),
        ),
        (
            Fault::new(Mode::Garbage).on("FETCH"),
            "The mailbox cannot be read: fetching failed: the server's answer is not understood".into(),
        ),
    ] {
        let servers = MailServers::start().await;
        servers.arrive(now(), &from("a@example.com", "x"));
        servers.inject(ThirdParty::Imap, fault);
        assert_eq!(read(&mailboxes(&servers), of(&["a@example.com"])).await, (500, json!(text)));
        // During a transition failures can be hidden, as the existing deployment does.
        let lenient = mailboxes(&servers).failures_as_empty(true);
        assert_eq!(read(&lenient, of(&["a@example.com"])).await, (200, json!([])));
        servers.sandbox.faults().clear(None);
        assert_eq!(uids(&mailboxes(&servers), of(&["a@example.com"])).await, ["100"]);
    }
}

#[tokio::test]
async fn a_sender_that_cannot_be_searched_for_hides_no_other() {
    let servers = MailServers::start().await;
    servers.arrive(now(), &from("a@example.com", "x"));
    let other = servers.arrive(now(), &from("b@example.com", "x")).to_string();
    let mailboxes = mailboxes(&servers);
    servers.inject(ThirdParty::Imap, Fault::status(400).on("SEARCH").times(1));
    assert_eq!(uids(&mailboxes, of(&["a@example.com", "b@example.com"])).await, [&*other]);
    // Those that no command can hold do not even reach the server.
    for sender in ["josé@example.com", "a@example.com\r\nA9 LOGOUT"] {
        assert_eq!(uids(&mailboxes, of(&[sender, "b@example.com"])).await, [&*other], "{sender:?}");
    }
    let text = "The mailbox cannot be read: the search failed: the sender cannot be searched for";
    assert_eq!(read(&mailboxes, of(&["josé", "ann\n"])).await, (500, json!(text)));
    let lenient = mailboxes.failures_as_empty(true);
    assert_eq!(read(&lenient, of(&["josé", "ann\n"])).await, (200, json!([])));
}

#[tokio::test]
async fn a_text_as_filter_is_searched_for_character_by_character() {
    let servers = MailServers::start().await;
    let a = servers.arrive(now(), &from("a@x.y", "x")).to_string();
    let z = servers.arrive(now(), &from("z@x.y", "x")).to_string();
    let mailboxes = mailboxes(&servers);
    let filtered = |filter: &str| MailboxRequest { email_filter: json!(filter), ..of(&[]) };
    // The `a` of no other part of "Desk <a@x.y>".
    assert_eq!(uids(&mailboxes, filtered("a")).await, [&*a]);
    assert_eq!(uids(&mailboxes, filtered("az")).await, [a, z]);
}

/// What a server sends to the commands of a session that reads mails: these, with sizes as it tells them.
struct Liar {
    mails: Vec<(u32, Option<usize>, usize)>,
    /// Whether it says BAD to the question for sizes.
    refuses_sizes: bool,
    /// UIDs of mails that it cannot deliver: it says NO after those that it can.
    broken: Vec<u32>,
}

impl Liar {
    /// Serves one session; the sets of UIDs whose mails were asked for.
    async fn serve(self) -> (MailServer, tokio::task::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let session = tokio::spawn(async move {
            let mut stream = BufReader::new(listener.accept().await.unwrap().0);
            stream.write_all(b"* OK ready\r\n").await.unwrap();
            let mut asked = Vec::new();
            let mut line = String::new();
            while stream.read_line(&mut line).await.unwrap() > 0 {
                let (tag, command) = line.trim_end().split_once(' ').unwrap();
                let set = command.strip_prefix("UID FETCH ").and_then(|rest| rest.split_once(' '));
                let mut outcome = "OK";
                let mut answer = String::new();
                if let Some((set, items)) = set {
                    let wanted: Vec<u32> = set.split(',').map(|uid| uid.parse().unwrap()).collect();
                    let mails = self.mails.iter().filter(|(uid, ..)| wanted.contains(uid));
                    if items.contains("RFC822.SIZE") {
                        outcome = if self.refuses_sizes { "BAD" } else { "OK" };
                        for (uid, told, _) in mails {
                            if let (Some(told), false) = (told, self.refuses_sizes) {
                                write!(answer, "* {uid} FETCH (UID {uid} RFC822.SIZE {told})\r\n").unwrap();
                            }
                        }
                    } else {
                        asked.push(set.to_owned());
                        outcome =
                            if wanted.iter().any(|uid| self.broken.contains(uid)) { "NO" } else { "OK" };
                        for (uid, _, size) in mails.filter(|(uid, ..)| !self.broken.contains(uid)) {
                            let mail = "x".repeat(*size);
                            write!(answer, "* {uid} FETCH (UID {uid} BODY[] {{{size}}}\r\n{mail})\r\n")
                                .unwrap();
                        }
                    }
                }
                if command.starts_with("UID SEARCH ") {
                    let all: Vec<String> = self.mails.iter().map(|(uid, ..)| uid.to_string()).collect();
                    write!(answer, "* SEARCH {}\r\n", all.join(" ")).unwrap();
                }
                write!(answer, "{tag} {outcome} done\r\n").unwrap();
                stream.write_all(answer.as_bytes()).await.unwrap();
                if command == "LOGOUT" {
                    break;
                }
                line.clear();
            }
            asked
        });
        let endpoint = Endpoint::imap(Some(&url(&format!("imap://{address}")))).unwrap();
        (MailServer::new(endpoint).unwrap(), session)
    }
}

#[tokio::test]
async fn the_bytes_that_arrive_are_limited_whatever_sizes_are_told() {
    const SIZES: [usize; 5] = [40, 40, 40, 20, 1];
    for (what, mails, sizes, refuses_sizes, arrived, left_out, asked) in [
        (
            "true sizes: what does not fit is not asked for",
            [Some(40), Some(40), Some(40), Some(20), Some(1)],
            SIZES,
            false,
            vec![1, 2, 4],
            vec![3, 5],
            vec!["1,2,4"],
        ),
        ("too small ones", [Some(1); 5], SIZES, false, vec![1, 2, 4], vec![3, 5], vec!["1,2,3,4,5"]),
        (
            "too large ones: one mail hides only itself",
            [Some(40), Some(101), Some(40), Some(20), Some(1)],
            SIZES,
            false,
            vec![1, 3, 4],
            vec![2, 5],
            vec!["1,3,4"],
        ),
        // With the room used up nothing more is asked for.
        ("none", [None; 5], SIZES, false, vec![1, 2, 4], vec![3, 5], vec!["1", "2", "3", "4"]),
        (
            "a refusal to tell them",
            [Some(40); 5],
            SIZES,
            true,
            vec![1, 2, 4],
            vec![3, 5],
            vec!["1", "2", "3", "4"],
        ),
        (
            "one missing: it gets what the others leave",
            [Some(40), None, Some(40), Some(40), Some(20)],
            [40, 40, 40, 40, 20],
            false,
            vec![1, 3, 5],
            vec![2, 4],
            vec!["1,3,5"],
        ),
    ] {
        let mails = (1..).zip(mails).zip(sizes).map(|((uid, told), size)| (uid, told, size)).collect();
        let (server, session) = Liar { mails, refuses_sizes, broken: Vec::new() }.serve().await;
        let mut folder = server.open(INBOX, &SecretString::from(PASSWORD)).await.unwrap();
        let fetched = folder.fetch(&(1..=5).collect(), 100).await.unwrap();
        folder.close().await;
        let uids: Vec<u32> = fetched.mails.iter().map(|mail| mail.uid).collect();
        assert_eq!((uids, fetched.left_out), (arrived, left_out), "{what}");
        assert!(fetched.mails.iter().map(|mail| mail.bytes.len()).sum::<usize>() <= 100, "{what}");
        assert_eq!(session.await.unwrap(), asked, "{what}");
    }
}

#[tokio::test]
async fn a_mail_that_the_server_cannot_deliver_hides_only_itself() {
    let refused = json!("The mailbox cannot be read: fetching failed: the server refused");
    for (broken, told, answer, asked) in [
        (vec![2], Some(40), Ok(vec!["1", "3"]), vec!["1,2,3", "2"]),
        (vec![2], None, Ok(vec!["1", "3"]), vec!["1", "2", "3"]),
        (vec![1, 3], Some(40), Ok(vec!["2"]), vec!["1,2,3", "1", "3"]),
        (vec![1, 2, 3], Some(40), Err(refused), vec!["1,2,3", "1", "2", "3"]),
    ] {
        let mails = [1, 2, 3].map(|uid| (uid, told, 40)).to_vec();
        let (server, session) = Liar { mails, refuses_sizes: false, broken }.serve().await;
        let mailboxes = mailboxes_on(server, WriteMode::Live);
        let (status, body) = read(&mailboxes, of(&["a@example.com"])).await;
        match answer {
            Ok(uids) => {
                assert_eq!(status, 200, "{body}");
                let read: Vec<&str> =
                    body.as_array().unwrap().iter().map(|mail| mail["msg_uid"].as_str().unwrap()).collect();
                assert_eq!(read, uids);
            }
            Err(text) => assert_eq!((status, body), (500, text)),
        }
        assert_eq!(session.await.unwrap(), asked);
    }
}

#[tokio::test]
async fn a_silent_server_is_a_500_within_the_deadline() {
    let servers = MailServers::start().await;
    servers.inject(ThirdParty::Imap, Fault::latency(PATIENCE).on("SELECT"));
    let reply = mailboxes(&servers).read(call(of(&["a@example.com"]), Duration::from_secs(1))).await;
    assert_eq!(
        (reply.code(), body(&reply)),
        (500, json!("The mailbox cannot be read: fetching failed: no answer in time"))
    );
}

#[tokio::test]
async fn unknown_mailboxes_are_refused_by_name() {
    let servers = MailServers::start().await;
    let mailboxes = mailboxes(&servers);
    let text = "Email account x@example.com's password is not in our MONITORABLE_EMAIL_ACCOUNTS dict";
    let elsewhere = |email_filter, lookup_days| MailboxRequest {
        email_account: "x@example.com".into(),
        email_filter,
        lookup_days,
        max_messages: None,
    };
    // Before anything else about the request.
    for (filter, days) in [
        (json!(["a@example.com"]), None),
        (json!(null), None),
        (json!("a@example.com"), None),
        (json!([]), Some(json!(-1))),
    ] {
        assert_eq!(read(&mailboxes, elsewhere(filter, days)).await, (400, json!(text)));
    }
    let mark = MarkReadRequest { msg_uid: "1".into(), email_account: "x@example.com".into() };
    let reply = mailboxes.mark_read(call(mark, PATIENCE)).await;
    assert_eq!((reply.code(), body(&reply)), (400, json!(text)));
    assert_eq!(servers.commands(ThirdParty::Imap), Vec::<String>::new());
}

#[tokio::test]
async fn filters_and_options_of_the_wrong_kind_are_refused() {
    let servers = MailServers::start().await;
    let mailboxes = mailboxes(&servers);
    for (filter, days, text) in [
        (json!(null), None, "\"email_filter\" must be a list of sender addresses"),
        (json!([1]), None, "\"email_filter\" must be a list of sender addresses"),
        (json!([]), Some(json!(-1)), "\"lookup_days\" must be a whole number, not negative"),
    ] {
        let request = MailboxRequest { email_filter: filter, lookup_days: days, ..of(&[]) };
        assert_eq!(read(&mailboxes, request).await, (400, json!(text)));
    }
    assert_eq!(servers.commands(ThirdParty::Imap), Vec::<String>::new());
}

async fn mark(mailboxes: &Mailboxes, uid: &str) -> (u16, Value) {
    let request = MarkReadRequest { msg_uid: uid.into(), email_account: INBOX.into() };
    let reply = mailboxes.mark_read(call(request, PATIENCE)).await;
    (reply.code(), body(&reply))
}

#[tokio::test]
async fn the_mail_with_the_uid_is_marked_and_no_other() {
    let servers = MailServers::start().await;
    servers.arrive(now(), &from("a@example.com", "x"));
    let uid = servers.arrive(now(), &from("a@example.com", "x"));
    let mailboxes = mailboxes(&servers);
    let marked = |uid: &str| (200, json!(format!("Successfully marked message {uid} as read")));
    assert_eq!(mark(&mailboxes, &uid.to_string()).await, marked(&uid.to_string()));
    assert_eq!(servers.seen(), [uid]);
    // Again, and for a mail that is gone: a success.
    assert_eq!(mark(&mailboxes, &uid.to_string()).await, marked(&uid.to_string()));
    assert_eq!(mark(&mailboxes, "4711").await, marked("4711"));
    assert_eq!(servers.seen(), [uid]);
}

#[tokio::test]
async fn what_is_no_single_uid_marks_nothing() {
    let servers = MailServers::start().await;
    servers.arrive(now(), &from("a@example.com", "x"));
    let mailboxes = mailboxes(&servers);
    for uid in ["1:*", "100,101", "None", "", "-1", "0", "100 +FLAGS (\\Deleted)"] {
        assert_eq!(
            mark(&mailboxes, uid).await,
            (500, json!(format!("Failed to mark message {uid} as read")))
        );
    }
    assert_eq!(servers.seen(), Vec::<u32>::new());
    assert_eq!(servers.commands(ThirdParty::Imap), Vec::<String>::new());
}

#[tokio::test]
async fn marks_that_the_server_refuses_are_500_and_may_be_repeated() {
    for fault in [
        Fault::new(Mode::RefuseLogins),
        Fault::status(400).on("STORE"),
        Fault::new(Mode::LoseAnswer).on("STORE"),
    ] {
        let servers = MailServers::start().await;
        servers.inject(ThirdParty::Imap, fault.times(1));
        let uid = servers.arrive(now(), &from("a@example.com", "x")).to_string();
        let mailboxes = mailboxes(&servers);
        let request = MarkReadRequest { msg_uid: uid.clone(), email_account: INBOX.into() };
        let reply = mailboxes.mark_read(call(request, PATIENCE)).await;
        assert_eq!((reply.code(), reply.was_executed()), (500, false));
        assert_eq!(body(&reply), json!(format!("Failed to mark message {uid} as read")));
        assert_eq!(mark(&mailboxes, &uid).await.0, 200);
    }
}

#[tokio::test]
async fn a_dry_run_marks_nothing_but_reads() {
    let servers = MailServers::start().await;
    let uid = servers.arrive(now(), &from("a@example.com", "x")).to_string();
    let mailboxes = mailboxes_on(MailServer::new(servers.imap_endpoint()).unwrap(), WriteMode::DryRun);
    assert_eq!(mark(&mailboxes, &uid).await.0, 200);
    assert_eq!(servers.seen(), Vec::<u32>::new());
    assert_eq!(uids(&mailboxes, of(&["a@example.com"])).await, [uid]);
}

#[tokio::test]
async fn a_mailbox_has_one_session_at_a_time() {
    let servers = MailServers::start().await;
    servers.arrive(now(), &from("a@example.com", "x"));
    servers.inject(ThirdParty::Imap, Fault::latency(Duration::from_millis(5)));
    let mailboxes = Arc::new(mailboxes(&servers));
    let mut reads = tokio::task::JoinSet::new();
    for _ in 0..6 {
        let mailboxes = Arc::clone(&mailboxes);
        reads.spawn(async move { uids(&mailboxes, of(&["a@example.com"])).await.len() });
    }
    assert_eq!(reads.join_all().await, [1; 6]);
    until("all farewells", || servers.count(ThirdParty::Imap, "LOGOUT") == 6).await;
    let commands = servers.commands(ThirdParty::Imap);
    let bounds: Vec<_> = commands.iter().filter(|name| *name == "LOGIN" || *name == "LOGOUT").collect();
    assert!(bounds.chunks(2).all(|pair| pair == ["LOGIN", "LOGOUT"]), "{commands:?}");
}

/// A TLS server with a certificate for `name` in front of `target`; the certificate.
async fn tls_front(
    name: &str,
    target: std::net::SocketAddr,
) -> (std::net::SocketAddr, rustls::RootCertStore) {
    let certified = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    let certificate = certified.cert.der().clone();
    let key = rustls::pki_types::PrivateKeyDer::try_from(certified.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut secured) = acceptor.accept(stream).await else { return };
                let mut behind = TcpStream::connect(target).await.unwrap();
                let _ = copy_bidirectional(&mut secured, &mut behind).await;
            });
        }
    });
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate).unwrap();
    (address, roots)
}

#[tokio::test]
async fn certificates_are_verified_against_the_name_of_the_real_server() {
    let servers = MailServers::start().await;
    for (name, trusted, status) in
        [("imap.gmail.com", true, 200), ("imap.gmail.com", false, 500), ("imap.example.com", true, 500)]
    {
        let (address, roots) = tls_front(name, servers.imap).await;
        let endpoint = Endpoint::imap(Some(&url(&format!("imaps://{address}")))).unwrap();
        let roots = if trusted { roots } else { rustls::RootCertStore::empty() };
        let mailboxes = mailboxes_on(MailServer::trusting(endpoint, roots).unwrap(), WriteMode::Live);
        let (code, answer) = read(&mailboxes, of(&["a@example.com"])).await;
        assert_eq!(code, status, "{name} {trusted}: {answer}");
        if status == 500 {
            let text = "The mailbox cannot be read: connecting failed: the server's certificate or TLS is not acceptable";
            assert_eq!(answer, json!(text));
        }
    }
    assert_eq!(servers.count(ThirdParty::Imap, "LOGIN"), 1);
}
