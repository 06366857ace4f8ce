//! The service as its callers see it: over NATS and Redis, with the sandbox's mail servers and stubs of Slack and the SMS
//! provider (spec `notifier`, "Serves", "Messaging contract").

use std::sync::Arc;

use crate::stage::{INBOX, MailServers, PASSWORD, PATIENCE, until};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::Utc;
use parking_lot::Mutex;
use runtime::Hosted;
use sandbox::{Fault, ThirdParty};
use serde_json::{Value, json};
use testkit::recordings::Stage;
use testkit::{OldReply, Rule, Via};

const SLACK: &str = "notification.slack.request";
const EMAIL: &str = "notification.email.request";
const READ: &str = "get.email.request";
const MARK: &str = "mark.email.read.request";
const SMS: &str = "notification.sms.request";
const WEBHOOK: &str = "^/services/T000/B000/secret$";

/// Service, servers and callers.
struct Fleet {
    stage: Stage,
    mail: MailServers,
    running: Hosted,
}

impl Fleet {
    async fn start(settings: &[(&str, &str)]) -> Self {
        let (stage, mail) = tokio::join!(Stage::start("notifier"), MailServers::start());
        let overrides = format!(
            "hooks.example.test={stub},sms.example.test={stub},smtp.gmail.com=smtp://{},imap.gmail.com=imap://{}",
            mail.smtp,
            mail.imap,
            stub = stage.upstream.url(),
        );
        let mailboxes = json!({INBOX: PASSWORD}).to_string();
        let mut all = vec![("UPSTREAM_OVERRIDES", &*overrides), ("MONITORABLE_EMAIL_ACCOUNTS", &mailboxes)];
        all.extend_from_slice(settings);
        let running = stage.run(&notifier::service(), &all).await;
        Self { stage, mail, running }
    }

    async fn ask(&self, subject: &str, envelope: Value) -> Value {
        self.stage.requester.request(subject, &envelope, PATIENCE).await.envelope()
    }

    /// The mailbox's clock is frozen, the service's is not: mails must arrive today.
    fn arrive(&self, raw: &str) -> u32 {
        self.mail.arrive(Utc::now(), raw)
    }
}

fn email(attachment: &[u8]) -> Value {
    json!({"recipient": "a@example.com, b@example.com", "subject": "Report", "text": "plain", "html": "<b>x</b>",
           "images": [], "attachments": [{"name": "r.csv", "data": STANDARD.encode(attachment)}], "unknown": 1})
}

const SMS_SETTINGS: [(&str, &str); 4] = [
    ("TELESTAX_URL", "https://sms.example.test/Accounts/AC1/Messages"),
    ("TELESTAX_ACCOUNT_SID", "AC1"),
    ("TELESTAX_AUTH_TOKEN", "token"),
    ("TELESTAX_FROM_PHONE_NUMBER", "15550199999"),
];

#[tokio::test]
async fn every_subject_works_end_to_end() {
    let fleet = Fleet::start(&SMS_SETTINGS).await;
    fleet.stage.upstream.answer(Rule::on("POST", WEBHOOK).text("ok"));
    fleet.stage.upstream.answer(Rule::on("POST", "^/Accounts/AC1/Messages$").json(&json!({"sid": "SM1"})));

    // Extra fields and the old `response_topic` are ignored; Slack and e-mail replies have no body.
    let extra = json!({"request_id": "n1", "message": "hello", "response_topic": "elsewhere", "more": [1]});
    assert_eq!(fleet.ask(SLACK, extra).await, json!({"request_id": "n1", "status": 200}));
    let later = json!({"request_id": "n2", "body": {"email_data": email(b"a,b\n")}});
    assert_eq!(fleet.ask(EMAIL, later).await, json!({"request_id": "n2", "status": 200}));
    assert_eq!(fleet.mail.sent()[0].recipients, ["a@example.com", "b@example.com"]);

    let uid = fleet.arrive("Subject: s\nFrom: fraud@example.com\n\nline1\nline2\n").to_string();
    let read =
        json!({"request_id": "n3", "body": {"email_account": INBOX, "email_filter": ["fraud@example.com"]}});
    let mails = json!([{"message": "Subject: s\nFrom: fraud@example.com\n\nline1\nline2\n", "subject": "s",
                        "body": "line1\nline2", "msg_uid": uid}]);
    assert_eq!(fleet.ask(READ, read).await, json!({"request_id": "n3", "body": mails, "status": 200}));

    let mark = json!({"request_id": "n4", "body": {"msg_uid": uid, "email_account": INBOX}});
    let marked = format!("Successfully marked message {uid} as read");
    assert_eq!(fleet.ask(MARK, mark).await, json!({"request_id": "n4", "body": marked, "status": 200}));

    let sms =
        json!({"request_id": "n5", "body": {"sms_to": "+15550100000", "sms_data": "Dispatch confirmed"}});
    let sent = json!({"status": 200, "body": {"sid": "SM1"}});
    assert_eq!(fleet.ask(SMS, sms).await, json!({"request_id": "n5", "body": sent, "status": 200}));
    fleet.running.stop().await.unwrap();
}

#[tokio::test]
async fn malformed_requests_are_refused_and_reach_nobody() {
    let fleet = Fleet::start(&SMS_SETTINGS).await;
    for (subject, envelope, expected) in [
        (SLACK, json!({"request_id": "a"}), json!({"request_id": "a", "status": 400})),
        (EMAIL, json!({"request_id": "a"}), json!({"request_id": "a", "status": 400})),
        (EMAIL, json!({"request_id": "a", "email_data": ""}), json!({"request_id": "a", "status": 500})),
        (EMAIL, json!({"request_id": "a", "email_data": null}), json!({"request_id": "a", "status": 500})),
        (
            MARK,
            json!({}),
            json!({"request_id": null, "body": "Must include \"body\" in request", "status": 400}),
        ),
        (
            READ,
            json!({"request_id": "a", "body": {"email_account": "x@example.com", "email_filter": null}}),
            json!({"request_id": "a", "status": 400,
                   "body": "Email account x@example.com's password is not in our MONITORABLE_EMAIL_ACCOUNTS dict"}),
        ),
        (
            READ,
            json!({"request_id": "a", "body": {"email_account": INBOX, "email_filter": ""}}),
            json!({"request_id": "a", "status": 200, "body": []}),
        ),
        (
            SMS,
            json!({"request_id": "a", "body": {"sms_to": "1"}}),
            json!({"request_id": "a", "body": null, "status": 400}),
        ),
    ] {
        assert_eq!(fleet.ask(subject, envelope).await, expected, "{subject}");
    }
    for subject in [SLACK, EMAIL, READ, MARK, SMS] {
        for raw in ["hello", "[1,2]", ""] {
            let reply = fleet
                .stage
                .requester
                .request_bytes(subject, raw.into(), Via::Size, PATIENCE)
                .await
                .envelope();
            assert_eq!(
                (&reply["status"], &reply["request_id"]),
                (&json!(400), &Value::Null),
                "{subject} {raw}"
            );
        }
    }
    assert!(fleet.stage.upstream.calls().is_empty() && fleet.mail.sent().is_empty());
}

#[tokio::test]
async fn large_mails_come_in_and_large_mailboxes_go_out_through_redis() {
    let fleet = Fleet::start(&[]).await;
    let report: Vec<u8> = (0..1_500_000_u32).map(|n| b'a' + (n % 26) as u8).collect();
    let reply = fleet.ask(EMAIL, json!({"request_id": "n1", "email_data": email(&report)})).await;
    assert_eq!(reply, json!({"request_id": "n1", "status": 200}));
    assert_eq!(fleet.mail.sent()[0].attachments[0].content, report);

    fleet.arrive(&format!("Subject: big\nFrom: a@example.com\n\n{}", "text\n".repeat(300_000)));
    let read =
        json!({"request_id": "n2", "body": {"email_account": INBOX, "email_filter": ["a@example.com"]}});
    match fleet.stage.requester.request(READ, &read, PATIENCE).await {
        OldReply::Envelope { value, via_redis } => {
            assert!(via_redis);
            assert_eq!(value["body"][0]["body"].as_str().unwrap().len(), 1_500_000 - 1);
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_repeated_request_sends_once_and_gets_the_same_answer() {
    let fleet = Fleet::start(&[]).await;
    fleet.stage.upstream.answer(Rule::on("POST", WEBHOOK).status(201));
    let mail = json!({"request_id": "same", "email_data": email(b"x")});
    let (one, two) = tokio::join!(fleet.ask(EMAIL, mail.clone()), fleet.ask(EMAIL, mail.clone()));
    assert_eq!((&one, &two), (&json!({"request_id": "same", "status": 200}), &one));
    assert_eq!(fleet.ask(EMAIL, mail).await, one);
    assert_eq!(fleet.mail.sent().len(), 1);

    let text = json!({"request_id": "same", "message": "hello"});
    assert_eq!(fleet.ask(SLACK, text.clone()).await["status"], 201);
    assert_eq!(fleet.ask(SLACK, text).await["status"], 201);
    assert_eq!(fleet.stage.upstream.calls().len(), 1);
}

#[tokio::test]
async fn a_repetition_may_try_again_when_surely_nothing_was_sent() {
    let fleet = Fleet::start(&[]).await;
    let text = json!({"request_id": "same", "message": "hello"});
    fleet
        .stage
        .upstream
        .answer(Rule::on("POST", WEBHOOK).status(404).times(1))
        .answer(Rule::on("POST", WEBHOOK));
    assert_eq!(fleet.ask(SLACK, text.clone()).await["status"], 404);
    assert_eq!(fleet.ask(SLACK, text).await["status"], 200);
}

#[tokio::test]
async fn without_all_sms_settings_nobody_serves_sms() {
    let fleet = Fleet::start(&SMS_SETTINGS[..3]).await;
    let sms = json!({"request_id": "n1", "body": {"sms_to": "1", "sms_data": "x"}});
    assert_eq!(fleet.stage.requester.request(SMS, &sms, PATIENCE).await, OldReply::NoResponders);
}

#[tokio::test]
async fn a_dry_run_answers_as_accepted_and_touches_nothing() {
    let fleet = Fleet::start(&[&SMS_SETTINGS[..], &[("WRITE_MODE", "dry-run")]].concat()).await;
    let uid = fleet.arrive("From: a@example.com\n\nx\n");
    for (subject, envelope) in [
        (SLACK, json!({"message": "x"})),
        (EMAIL, json!({"email_data": email(b"x")})),
        (MARK, json!({"body": {"msg_uid": uid, "email_account": INBOX}})),
        (SMS, json!({"body": {"sms_to": "1", "sms_data": "x"}})),
    ] {
        assert_eq!(fleet.ask(subject, envelope).await["status"], 200, "{subject}");
    }
    assert!(
        fleet.stage.upstream.calls().is_empty()
            && fleet.mail.sent().is_empty()
            && fleet.mail.seen().is_empty()
    );
    assert_eq!(fleet.ask(EMAIL, json!({"email_data": {}})).await["status"], 400);
}

#[tokio::test]
async fn a_stop_posts_what_waits_and_ends_in_good_order() {
    let fleet = Fleet::start(&[]).await;
    fleet
        .stage
        .upstream
        .answer(Rule::on("POST", WEBHOOK).status(503).times(1))
        .answer(Rule::on("POST", WEBHOOK));
    assert_eq!(fleet.ask(SLACK, json!({"message": "x"})).await["status"], 202);
    let Fleet { stage, running, .. } = fleet;
    running.stop().await.unwrap();
    until("posted", || stage.upstream.calls().len() == 2).await;
}

#[tokio::test]
async fn with_the_environment_of_the_sandbox_every_channel_ends_in_its_outbox() {
    let (stage, mail) = tokio::join!(Stage::start("notifier"), MailServers::start());
    let environment = mail.sandbox.environment_for("notifier");
    let settings: Vec<(&str, &str)> = environment.iter().map(|(name, value)| (&**name, &**value)).collect();
    let _running = stage.run(&notifier::service(), &settings).await;
    let ask = async |subject, envelope: Value| {
        stage.requester.request(subject, &envelope, PATIENCE).await.envelope()["status"].clone()
    };
    assert_eq!(ask(SLACK, json!({"message": "hello"})).await, 200);
    assert_eq!(ask(EMAIL, json!({"email_data": email(b"x")})).await, 200);
    assert_eq!(
        ask(SMS, json!({"body": {"sms_to": "15550100001", "sms_data": "Dispatch & more"}})).await,
        200
    );
    let outbox = mail.sandbox.world().outbox();
    assert_eq!(outbox.slack.last().unwrap().text, "hello");
    assert_eq!(outbox.mails.last().unwrap().subject, "Report");
    let sms = outbox.sms.last().unwrap();
    assert_eq!((&*sms.to, &*sms.body), ("15550100001", "Dispatch & more"));
}

/// Everything that is logged on this thread, by any library, down to DEBUG.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn logs_hold_no_contents_addresses_numbers_or_secrets() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::DEBUG)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let fleet = Fleet::start(&SMS_SETTINGS).await;
    let uid = fleet.arrive("Subject: topsecret\nFrom: zed@example.com\n\nlineone\n");
    let mail = json!({"recipient": "ann@example.com, nobody", "subject": "topsecret", "html": "htmlbody"});
    let requests = [
        (SLACK, json!({"request_id": "id-slack", "message": "slacktext"})),
        (EMAIL, json!({"request_id": "id-email", "email_data": mail})),
        (
            READ,
            json!({"request_id": "id-read", "body": {"email_account": INBOX, "email_filter": ["zed@example.com"]}}),
        ),
        (MARK, json!({"request_id": "id-mark", "body": {"email_account": INBOX, "msg_uid": uid}})),
        (SMS, json!({"request_id": "id-sms", "body": {"sms_to": "15550100077", "sms_data": "smstext"}})),
    ];
    // Without rules Slack and the provider answer 404.
    for (subject, envelope) in &requests {
        fleet.ask(subject, envelope.clone()).await;
    }
    for third_party in [ThirdParty::Smtp, ThirdParty::Imap] {
        fleet.mail.inject(third_party, Fault::status(554));
    }
    fleet.stage.upstream.down().await;
    for (subject, mut envelope) in requests.clone() {
        envelope["request_id"] = json!("again");
        if subject != SMS {
            fleet.ask(subject, envelope).await;
        }
    }
    let text = String::from_utf8(log.0.lock().clone()).unwrap();
    for (_, envelope) in &requests {
        let id = envelope["request_id"].as_str().unwrap();
        assert!(text.contains(id), "{id} is not to be found: {text}");
    }
    for secret in [
        "slacktext",
        "topsecret",
        "htmlbody",
        "lineone",
        "smstext",
        "ann@",
        "zed@",
        INBOX,
        "15550100077",
        PASSWORD,
        "B000",
        "bot@",
        "QUMxOnRva2Vu",
    ] {
        let line = text.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "{secret}");
    }
}
