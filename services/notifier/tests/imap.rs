//! Mailbox reads and marks over IMAP (spec `notifier`, "Serves" 3 and 4, "IMAP", Improve 5 to 9).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may"
)]

mod stage;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

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
use stage::{INBOX, MailServers, PASSWORD, PATIENCE, body, call, now, until, url};
use tokio::io::copy_bidirectional;
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

    let request = of(&["alerts@example.com", "fraud@example.com", "desk"]);
    let (status, mails) = read(
        &mailboxes,
        MailboxRequest { email_filter: request.email_filter[..2].to_vec(), ..request.clone() },
    )
    .await;
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
    let all = MailboxRequest { lookup_days: Some(2), ..request };
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
        let request = MailboxRequest { lookup_days: days, max_messages: most, ..request.clone() };
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
    let request = MailboxRequest { email_account: "x@example.com".into(), ..of(&["a@example.com"]) };
    assert_eq!(read(&mailboxes, request).await, (400, json!(text)));
    let mark = MarkReadRequest { msg_uid: "1".into(), email_account: "x@example.com".into() };
    let reply = mailboxes.mark_read(call(mark, PATIENCE)).await;
    assert_eq!((reply.code(), body(&reply)), (400, json!(text)));
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
