//! How the notifier's requests are read, refused and written (spec `notifier`, "Serves" and "Improve").
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may"
)]

use contracts::{Incoming, Rejected, Request, notifier::*};
use proptest::prelude::*;
use serde_json::{Value, json};

fn parse<R: Request>(envelope: &Value) -> Result<R, Rejected> {
    let text = envelope.to_string();
    R::parse(&Incoming::read(&text).unwrap())
}

fn refused<R: Request>(envelope: &Value) -> (u16, Value) {
    match parse::<R>(envelope) {
        Err(rejected) => (rejected.status, rejected.body),
        Ok(_) => panic!("accepted: {envelope}"),
    }
}

#[test]
fn slack_takes_any_value_in_either_envelope_and_shows_it_as_text() {
    for (envelope, text) in [
        (json!({"message": "[tnba-monitor] hello"}), "[tnba-monitor] hello"),
        (json!({"body": {"message": "later envelope"}}), "later envelope"),
        (json!({"message": "first", "body": {"message": "second"}}), "first"),
        (json!({"message": ["a", 1]}), "['a', 1]"),
        (json!({"message": {"a": null, "it's": [true, 1.5]}}), r#"{'a': None, "it's": [True, 1.5]}"#),
        (json!({"message": 7}), "7"),
        (json!({"message": false}), "False"),
        (json!({"message": ""}), ""),
    ] {
        assert_eq!(parse::<SlackRequest>(&envelope).unwrap().message, text, "{envelope}");
    }
}

#[test]
fn slack_without_a_message_is_refused_without_a_body() {
    for envelope in [
        json!({}),
        json!({"message": null}),
        json!({"body": {}}),
        json!({"body": "text"}),
        json!({"body": {"message": null}}),
    ] {
        assert_eq!(refused::<SlackRequest>(&envelope), (400, Value::Null), "{envelope}");
    }
}

fn mail() -> Value {
    json!({"recipient": "a@example.com, b@example.com", "subject": "Report", "text": "plain", "html": "<b>x</b>",
           "images": [{"name": "logo", "data": "iVBORw0KGgo="}], "attachments": [{"name": "r.csv", "data": "YSxiCjEsMgo="}]})
}

fn mail_with(field: &str, value: Value) -> Value {
    let mut mail = mail();
    mail[field] = value;
    mail
}

fn mail_without(field: &str) -> Value {
    let mut mail = mail();
    mail.as_object_mut().unwrap().remove(field);
    mail
}

#[test]
fn email_is_read_from_either_envelope() {
    for envelope in [json!({"email_data": mail()}), json!({"body": {"email_data": mail()}})] {
        let data = parse::<EmailRequest>(&envelope).unwrap().email_data;
        assert_eq!(data.recipient, "a@example.com, b@example.com");
        assert_eq!(data.images, [EmailFile { name: "logo".into(), data: "iVBORw0KGgo=".into() }]);
        assert_eq!(data.attachments[0].name, "r.csv");
    }
}

#[test]
fn email_takes_missing_text_images_and_attachments_as_empty() {
    for field in ["text", "images", "attachments"] {
        for data in [mail_without(field), mail_with(field, Value::Null)] {
            assert!(parse::<EmailRequest>(&json!({"email_data": data})).is_ok(), "{field}");
        }
    }
}

#[test]
fn email_refusals_follow_the_table() {
    for (envelope, status) in [
        (json!({}), 400),
        (json!({"body": {}}), 400),
        (json!({"email_data": null}), 500),
        (json!({"email_data": ""}), 500),
        (json!({"body": {"email_data": ""}}), 500),
        (json!({"email_data": [mail()]}), 500),
        (json!({"email_data": {}}), 400),
        (json!({"email_data": mail_without("recipient")}), 400),
        (json!({"email_data": mail_without("subject")}), 400),
        (json!({"email_data": mail_without("html")}), 400),
        (json!({"email_data": mail_with("recipient", json!(["a@example.com"]))}), 500),
        (json!({"email_data": mail_with("html", Value::Null)}), 500),
        (json!({"email_data": mail_with("text", json!(1))}), 500),
        (json!({"email_data": mail_with("images", json!("x"))}), 500),
        (json!({"email_data": mail_with("attachments", json!(["x"]))}), 500),
        (json!({"email_data": mail_with("attachments", json!([{"name": "x"}]))}), 400),
        (json!({"email_data": mail_with("attachments", json!([{"name": "x", "data": 1}]))}), 500),
    ] {
        assert_eq!(refused::<EmailRequest>(&envelope), (status, Value::Null), "{envelope}");
    }
}

#[test]
fn line_breaks_in_header_values_are_refused() {
    for (field, value) in [
        ("recipient", json!("a@example.com\r\nBcc: all@example.com")),
        ("subject", json!("x\nBcc: all@example.com")),
        ("images", json!([{"name": "logo\r", "data": ""}])),
        ("attachments", json!([{"name": "a\nb.csv", "data": ""}])),
    ] {
        let envelope = json!({"email_data": mail_with(field, value)});
        assert_eq!(refused::<EmailRequest>(&envelope), (400, Value::Null), "{field}");
    }
}

#[test]
fn mailbox_requests_are_read_with_their_options() {
    let today = json!({"body": {"email_account": "inbox@example.com", "email_filter": ["a@example.com"], "extra": 1}});
    assert_eq!(
        parse::<MailboxRequest>(&today).unwrap(),
        MailboxRequest::new("inbox@example.com", vec!["a@example.com".into()])
    );
    let later =
        json!({"body": {"email_account": "i", "email_filter": [], "lookup_days": 3, "max_messages": 10}});
    let later = parse::<MailboxRequest>(&later).unwrap().wanted().unwrap();
    assert_eq!((later.lookup_days, later.max_messages), (3, Some(10)));
    let nulls = json!({"body": {"email_account": "i", "email_filter": [], "lookup_days": null, "max_messages": null}});
    let nulls = parse::<MailboxRequest>(&nulls).unwrap().wanted().unwrap();
    assert_eq!((nulls.lookup_days, nulls.max_messages), (1, None));
}

#[test]
fn a_text_as_filter_is_taken_character_by_character() {
    for (filter, senders) in [
        (json!(""), vec![]),
        (json!("a"), vec!["a"]),
        (json!("b@a.b"), vec![".", "@", "a", "b"]),
        (json!([]), vec![]),
        (json!(["b@a.b", "b@a.b", ""]), vec!["b@a.b", "b@a.b", ""]),
    ] {
        let request = json!({"body": {"email_account": "i", "email_filter": filter}});
        assert_eq!(parse::<MailboxRequest>(&request).unwrap().wanted().unwrap().senders, senders, "{filter}");
    }
}

#[test]
fn a_null_mailbox_counts_as_present_and_is_named_none() {
    let request = json!({"body": {"email_account": null, "email_filter": ["a"]}});
    assert_eq!(parse::<MailboxRequest>(&request).unwrap().email_account, "None");
}

#[test]
fn mailbox_refusals_have_the_texts_of_the_table() {
    let no_body = "Must include \"body\" in request";
    let fields = "You must include \"email_account\" and \"email_filter\" in the \"body\" field of the response request";
    for (envelope, text) in [
        (json!({}), no_body),
        (json!({"body": null}), no_body),
        (json!({"body": {}}), fields),
        (json!({"body": ["email_account", "email_filter"]}), fields),
        (json!({"body": {"email_account": "i"}}), fields),
        (json!({"body": {"email_filter": []}}), fields),
    ] {
        assert_eq!(refused::<MailboxRequest>(&envelope), (400, json!(text)), "{envelope}");
    }
}

#[test]
fn what_is_wanted_of_a_mailbox_is_refused_only_when_it_is_asked_for() {
    let filter = "\"email_filter\" must be a list of sender addresses";
    let days = "\"lookup_days\" must be a whole number, not negative";
    let most = "\"max_messages\" must be a whole number, not negative";
    for (body, text) in [
        (json!({"email_account": "i", "email_filter": null}), filter),
        (json!({"email_account": "i", "email_filter": {}}), filter),
        (json!({"email_account": "i", "email_filter": [1]}), filter),
        (json!({"email_account": "i", "email_filter": ["a", null], "lookup_days": -1}), filter),
        (json!({"email_account": "i", "email_filter": [], "lookup_days": -1}), days),
        (json!({"email_account": "i", "email_filter": [], "lookup_days": "2"}), days),
        (json!({"email_account": "i", "email_filter": [], "lookup_days": 99_999}), days),
        (json!({"email_account": "i", "email_filter": [], "max_messages": 1.5}), most),
    ] {
        let refusal = parse::<MailboxRequest>(&json!({"body": body})).unwrap().wanted();
        assert_eq!(refusal, Err(Rejected::text(text)), "{body}");
    }
}

#[test]
fn marking_takes_the_uid_as_text_or_number() {
    for uid in [json!("100"), json!(100)] {
        let request = json!({"body": {"msg_uid": uid, "email_account": "inbox@example.com"}});
        assert_eq!(parse::<MarkReadRequest>(&request).unwrap().msg_uid, "100");
    }
}

#[test]
fn marking_refusals_have_the_texts_of_the_table() {
    let no_body = "Must include \"body\" in request";
    let fields =
        "You must include \"msg_uid\" and \"email_account\" in the \"body\" field of the response request";
    for (envelope, text) in [
        (json!({}), no_body),
        (json!({"body": null}), no_body),
        (json!({"body": {}}), fields),
        (json!({"body": ["email_account"]}), fields),
        (json!({"body": {"msg_uid": "1"}}), fields),
        (json!({"body": {"email_account": "inbox@example.com"}}), fields),
    ] {
        assert_eq!(refused::<MarkReadRequest>(&envelope), (400, json!(text)), "{envelope}");
    }
}

#[test]
fn sms_numbers_lose_their_plus() {
    for number in [json!("15550100000"), json!("+15550100000"), json!(15_550_100_000_u64)] {
        let request = json!({"body": {"sms_to": number, "sms_data": "Dispatch confirmed"}});
        assert_eq!(parse::<SmsRequest>(&request).unwrap().sms_to, "15550100000");
    }
}

#[test]
fn sms_without_number_or_text_is_refused_with_a_null_body() {
    for body in [
        json!(null),
        json!([]),
        json!({}),
        json!({"sms_to": "1"}),
        json!({"sms_to": "1", "sms_data": ""}),
        json!({"sms_to": "1", "sms_data": null}),
        json!({"sms_to": null, "sms_data": "x"}),
        json!({"sms_to": [], "sms_data": "x"}),
        json!({"sms_to": "", "sms_data": "x"}),
        json!({"sms_to": "+", "sms_data": "x"}),
        json!({"sms_data": "x"}),
    ] {
        assert_eq!(refused::<SmsRequest>(&json!({"body": body})), (400, Value::Null), "{body}");
    }
    assert_eq!(refused::<SmsRequest>(&json!({})), (400, Value::Null));
}

#[test]
fn old_mailbox_replies_are_read() {
    let reply = json!([{"message": null, "subject": null, "body": "b", "msg_uid": -1, "more": 1}]);
    let read: Vec<MailboxMessage> = serde_json::from_value(reply).unwrap();
    assert_eq!(
        read,
        [MailboxMessage { body: "b".into(), msg_uid: "-1".into(), ..MailboxMessage::default() }]
    );
}

#[test]
fn any_reply_body_means_delivered() {
    for body in [json!(null), json!({"a": [1]}), json!("text")] {
        assert_eq!(serde_json::from_value::<Delivered>(body).unwrap(), Delivered);
    }
}

proptest! {
    /// What a requester writes, the replier reads as the same request.
    #[test]
    fn emails_travel_unchanged(recipient in "[a-z@., ]*", subject in "[^\r\n]*", text in any::<String>(), html in any::<String>(),
                               name in "[^\r\n]*", data in "[A-Za-z0-9+/=]*") {
        let file = EmailFile { name, data };
        let request = EmailRequest::from(EmailData { recipient, subject, text, html, images: vec![file.clone()], attachments: vec![file] });
        let sent = serde_json::to_value(&request).unwrap();
        prop_assert_eq!(parse::<EmailRequest>(&sent).unwrap(), request);
    }
}
