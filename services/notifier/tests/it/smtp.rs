//! Delivery of mails over SMTP: attempts, partial acceptance, lost answers, TLS (spec `notifier`, Improve 4, 5, 10).

use crate::stage;

use std::sync::Arc;
use std::time::Duration;

use crate::stage::{MailServers, PATIENCE, call, metrics, until, url};
use contracts::notifier::{EmailData, EmailFile, EmailRequest};
use lettre::transport::smtp::client::{Certificate, TlsParameters};
use notifier::email::{Mailer, smtp::SmtpServer};
use notifier::endpoint::Endpoint;
use notifier::metrics::Metrics;
use prometheus::Registry;
use runtime::{Clock, WriteMode};
use sandbox::faults::Mode;
use sandbox::{Fault, ThirdParty};
use secrecy::SecretString;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

fn server(endpoint: Endpoint) -> SmtpServer {
    SmtpServer::new(endpoint, "bot@example.com", &SecretString::from("secret")).unwrap()
}

fn mailer_in(mode: WriteMode, server: SmtpServer, registry: &Registry) -> Mailer {
    let metrics = Metrics::register(registry).unwrap();
    let clock = Clock::frozen(stage::now());
    Mailer::new(server, "bot@example.com".parse().unwrap(), mode, clock, metrics)
        .pausing(Duration::from_millis(10))
}

fn mailer(server: SmtpServer) -> Mailer {
    mailer_in(WriteMode::Live, server, &Registry::new())
}

fn mail() -> EmailRequest {
    EmailRequest::from(EmailData {
        recipient: "a@example.com, b@example.com".into(),
        subject: "Informe año".into(),
        text: "line\n.hidden dot\n..two\n".into(),
        html: "<b>x</b>".into(),
        images: vec![],
        attachments: vec![EmailFile { name: "r.csv".into(), data: "YSxiCjEsMgo=".into() }],
    })
}

#[tokio::test]
async fn a_mail_arrives_whole_at_all_recipients() {
    let servers = MailServers::start().await;
    let registry = Registry::new();
    let reply = mailer_in(WriteMode::Live, server(servers.smtp_endpoint()), &registry)
        .send(call(mail(), PATIENCE))
        .await;
    assert_eq!((reply.code(), reply.body().is_none()), (200, true));
    let sent = servers.sent();
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].from, "bot@example.com");
    assert_eq!(sent[0].recipients, ["a@example.com", "b@example.com"]);
    assert_eq!(sent[0].subject, "Informe año");
    assert_eq!(sent[0].text.replace("\r\n", "\n").trim_end(), "line\n.hidden dot\n..two");
    assert_eq!(sent[0].html.as_deref(), Some("<b>x</b>"));
    assert_eq!(sent[0].attachments[0].name, "r.csv");
    assert_eq!(sent[0].attachments[0].content, b"a,b\n1,2\n");
    assert!(
        sent[0].raw.contains("@example.com>\r\n")
            && sent[0].raw.contains("Date: Sun, 21 Nov 2021 10:00:00 +0000")
    );
    assert_eq!(
        metrics(&registry, "notifier_deliveries_total"),
        [r#"notifier_deliveries_total{channel="email",outcome="delivered"} 1"#]
    );
}

/// Fault, status answered, recipients of each mail taken, attempts (logins), whether a repetition must be answered from
/// the dedupe store.
#[tokio::test]
async fn failures_are_repeated_where_that_is_safe_and_only_there() {
    let ab = "a@example.com b@example.com";
    let reset = || Fault::new(Mode::Reset);
    let cases = [
        ("login refused", Fault::new(Mode::RefuseLogins), 500, vec![], 1, false),
        ("login busy once", Fault::status(454).on("AUTH").times(1), 200, vec![ab], 2, true),
        ("sender busy always", Fault::status(450).on("MAIL"), 500, vec![], 3, false),
        ("sender refused", Fault::status(550).on("MAIL"), 500, vec![], 1, false),
        ("no recipient accepted", Fault::status(550).on("RCPT"), 500, vec![], 1, false),
        ("one recipient refused", Fault::status(550).on("RCPT b@"), 200, vec!["a@example.com"], 1, true),
        (
            "one recipient busy once",
            Fault::status(450).on("RCPT b@").times(1),
            200,
            vec!["a@example.com", "b@example.com"],
            2,
            true,
        ),
        ("one recipient busy always", Fault::status(450).on("RCPT b@"), 200, vec!["a@example.com"], 3, true),
        ("content busy once", Fault::status(451).on("DATA").times(1), 200, vec![ab], 2, true),
        ("content refused", Fault::status(554).on("DATA"), 500, vec![], 1, false),
        ("connection lost before the content", reset().on("RCPT").times(1), 200, vec![ab], 2, true),
        ("answer to the content lost", Fault::new(Mode::LoseAnswer).on("DATA"), 500, vec![ab], 1, true),
        ("content not answered in full", Fault::new(Mode::Truncate).on("DATA"), 500, vec![ab], 1, true),
        ("answer to the farewell lost", Fault::new(Mode::LoseAnswer).on("QUIT"), 200, vec![ab], 1, true),
        ("farewell refused", Fault::status(500).on("QUIT"), 200, vec![ab], 1, true),
        ("nonsense", Fault::new(Mode::Garbage).on("MAIL").times(1), 200, vec![ab], 2, true),
    ];
    for (name, fault, status, mails, attempts, executed) in cases {
        let servers = MailServers::start().await;
        servers.inject(ThirdParty::Smtp, fault);
        let reply = mailer(server(servers.smtp_endpoint())).send(call(mail(), PATIENCE)).await;
        let sent: Vec<String> = servers.sent().iter().map(|mail| mail.recipients.join(" ")).collect();
        assert_eq!(reply.code(), status, "{name}");
        assert_eq!(sent, mails, "{name}");
        assert_eq!(servers.count(ThirdParty::Smtp, "AUTH"), attempts, "{name}");
        assert_eq!(reply.was_executed(), executed, "{name}");
        assert!(reply.body().is_none(), "{name}");
    }
}

#[tokio::test]
async fn all_attempts_for_a_mail_carry_the_same_message_id() {
    let servers = MailServers::start().await;
    servers.inject(ThirdParty::Smtp, Fault::status(450).on("RCPT b@").times(1));
    mailer(server(servers.smtp_endpoint())).send(call(mail(), PATIENCE)).await;
    let id = |raw: &str| raw.lines().find(|line| line.starts_with("Message-ID:")).unwrap().to_owned();
    let sent = servers.sent();
    assert_eq!(id(&sent[0].raw), id(&sent[1].raw));
    mailer(server(servers.smtp_endpoint())).send(call(mail(), PATIENCE)).await;
    assert_ne!(id(&servers.sent()[2].raw), id(&sent[0].raw));
}

#[tokio::test]
async fn a_dead_or_silent_server_is_a_500_within_the_deadline() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let silent = Endpoint::smtp(Some(&url(&format!("smtp://{address}")))).unwrap();
    let reply = mailer(server(silent.clone())).send(call(mail(), Duration::from_secs(1))).await;
    assert_eq!((reply.code(), reply.was_executed()), (500, false));
    drop(listener);
    let reply = mailer(server(silent)).send(call(mail(), PATIENCE)).await;
    assert_eq!((reply.code(), reply.was_executed()), (500, false));
}

#[tokio::test]
async fn at_most_five_mails_are_handed_over_at_the_same_time() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = Endpoint::smtp(Some(&url(&format!("smtp://{}", listener.local_addr().unwrap())))).unwrap();
    let mailer = Arc::new(mailer(server(endpoint)));
    let mut sends = tokio::task::JoinSet::new();
    for _ in 0..5 {
        let mailer = Arc::clone(&mailer);
        sends.spawn(async move { mailer.send(call(mail(), PATIENCE)).await.code() });
    }
    let mut held = Vec::new();
    for _ in 0..5 {
        held.push(listener.accept().await.unwrap());
    }
    // The sixth finds no place in its time.
    assert_eq!(mailer.send(call(mail(), Duration::from_millis(700))).await.code(), 503);
}

#[tokio::test]
async fn what_is_no_mail_is_refused_before_anything_is_sent() {
    let servers = MailServers::start().await;
    let mut bad = mail();
    bad.email_data.attachments[0].data = "abc".into();
    let reply = mailer(server(servers.smtp_endpoint())).send(call(bad, PATIENCE)).await;
    assert_eq!((reply.code(), reply.was_executed()), (500, false));
    assert_eq!(servers.commands(ThirdParty::Smtp), Vec::<String>::new());
}

#[tokio::test]
async fn a_dry_run_validates_and_sends_nothing() {
    let servers = MailServers::start().await;
    let mailer = mailer_in(WriteMode::DryRun, server(servers.smtp_endpoint()), &Registry::new());
    assert_eq!(mailer.send(call(mail(), PATIENCE)).await.code(), 200);
    let mut bad = mail();
    bad.email_data.recipient = "nobody".into();
    assert_eq!(mailer.send(call(bad, PATIENCE)).await.code(), 500);
    assert_eq!(servers.commands(ThirdParty::Smtp), Vec::<String>::new());
}

#[tokio::test]
async fn a_server_without_starttls_never_sees_the_password() {
    let servers = MailServers::start().await;
    let secure = Endpoint::smtp(Some(&url(&format!("smtp+starttls://{}", servers.smtp)))).unwrap();
    let reply = mailer(server(secure)).send(call(mail(), PATIENCE)).await;
    assert_eq!(reply.code(), 500);
    assert_eq!(servers.count(ThirdParty::Smtp, "AUTH"), 0);
}

/// A server that offers STARTTLS with a certificate for `name` and passes what it decrypts on to `target`.
async fn starttls(name: &str, target: std::net::SocketAddr) -> (std::net::SocketAddr, Vec<u8>) {
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
                let mut stream = BufReader::new(stream);
                stream.write_all(b"220 front\r\n").await.unwrap();
                let mut line = String::new();
                stream.read_line(&mut line).await.unwrap();
                stream.write_all(b"250-front\r\n250 STARTTLS\r\n").await.unwrap();
                stream.read_line(&mut line).await.unwrap();
                stream.write_all(b"220 go ahead\r\n").await.unwrap();
                let Ok(mut secured) = acceptor.accept(stream.into_inner()).await else { return };
                let mut behind = TcpStream::connect(target).await.unwrap();
                // The greeting of the server behind; the client has had one.
                while behind.read_u8().await.unwrap() != b'\n' {}
                let _ = copy_bidirectional(&mut secured, &mut behind).await;
            });
        }
    });
    (address, certificate.to_vec())
}

#[tokio::test]
async fn certificates_are_verified_against_the_name_of_the_real_server() {
    let servers = MailServers::start().await;
    for (name, trusted, status) in
        [("smtp.gmail.com", true, 200), ("smtp.gmail.com", false, 500), ("smtp.example.com", true, 500)]
    {
        let (address, certificate) = starttls(name, servers.smtp).await;
        let endpoint = Endpoint::smtp(Some(&url(&format!("smtp+starttls://{address}")))).unwrap();
        let mut server = server(endpoint);
        if trusted {
            let tls = TlsParameters::builder("smtp.gmail.com".into())
                .add_root_certificate(Certificate::from_der(certificate).unwrap());
            server = server.trusting(tls.build_rustls().unwrap());
        }
        let reply = mailer(server).send(call(mail(), PATIENCE)).await;
        assert_eq!(reply.code(), status, "{name} {trusted}");
    }
    until("the one mail", || servers.sent().len() == 1).await;
    assert_eq!(servers.count(ThirdParty::Smtp, "AUTH"), 1);
}
