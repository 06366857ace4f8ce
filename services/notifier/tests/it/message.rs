//! The mails on the wire (spec `notifier`, "SMTP: MIME structure", Improve 10, 11).

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use contracts::notifier::{EmailData, EmailFile};
use mail_parser::MimeHeaders as _;
use notifier::email::message::{ComposeError, Identity, Outgoing, compose};
use proptest::prelude::*;

/// A PNG of one pixel: what counts is how it begins.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00";

fn file(name: &str, content: &[u8]) -> EmailFile {
    EmailFile { name: name.into(), data: STANDARD.encode(content) }
}

fn data() -> EmailData {
    EmailData {
        recipient: "a@example.com, b@example.com".into(),
        subject: "Report".into(),
        text: "plain".into(),
        html: "<b>x</b><img src=\"cid:logo\">".into(),
        images: vec![file("logo", PNG)],
        attachments: vec![file("r.csv", b"a,b\n1,2\n")],
    }
}

fn composed(data: &EmailData) -> Result<Outgoing, ComposeError> {
    let identity = Identity {
        message_id: "<1@example.com>".into(),
        date: SystemTime::UNIX_EPOCH + Duration::from_secs(1_614_593_896),
    };
    compose(data, &"bot@example.com".parse().unwrap(), &identity)
}

/// The content with the random boundaries numbered in the order of their first use.
fn text(mail: &Outgoing) -> String {
    let mut text = String::from_utf8(mail.content.clone()).unwrap();
    let mut number = 0;
    while let Some(start) = text.find("boundary=\"").map(|at| at + "boundary=\"".len()) {
        let end = start + text[start..].find('"').unwrap();
        number += 1;
        let boundary = text[start..end].to_owned();
        text =
            text.replacen("boundary=\"", "boundary: \"", 1).replace(&boundary, &format!("boundary-{number}"));
    }
    text.replace("\r\n", "\n")
}

#[test]
fn a_report_with_image_and_attachment() {
    insta::assert_snapshot!(text(&composed(&data()).unwrap()));
}

#[test]
fn a_mail_beyond_ascii() {
    let mail = EmailData {
        recipient: "Operación <a@example.com>".into(),
        subject: "Año nuevo: wie schön".into(),
        text: "línea 1\nlínea 2\n".into(),
        html: "<p>año</p>".into(),
        images: vec![],
        attachments: vec![file("informe año.json", b"{}"), file("dump", b"\x00\xff")],
    };
    insta::assert_snapshot!(text(&composed(&mail).unwrap()));
}

#[test]
fn recipients_are_split_at_commas_and_doubles_and_empty_pieces_are_dropped() {
    for (list, expected, unusable) in [
        ("a@example.com, b@example.com", vec!["a@example.com", "b@example.com"], 0),
        ("a@example.com,b@example.com ,, ", vec!["a@example.com", "b@example.com"], 0),
        ("a@example.com, A@EXAMPLE.com, a@example.com", vec!["a@example.com"], 0),
        ("Ann <a@example.com>, nobody, x y", vec!["a@example.com"], 2),
    ] {
        let mail = composed(&EmailData { recipient: list.into(), ..data() }).unwrap();
        let found: Vec<String> = mail.recipients.iter().map(ToString::to_string).collect();
        assert_eq!(
            (found, mail.unusable),
            (expected.into_iter().map(String::from).collect(), unusable),
            "{list}"
        );
    }
}

#[test]
fn what_cannot_be_sent_is_refused_with_its_reason() {
    let bad = |change: fn(&mut EmailData)| {
        let mut mail = data();
        change(&mut mail);
        composed(&mail).unwrap_err().to_string()
    };
    assert_eq!(bad(|mail| mail.recipient = " , ".into()), "no usable recipient");
    assert_eq!(bad(|mail| mail.recipient = "nobody".into()), "no usable recipient");
    assert_eq!(
        bad(|mail| mail.images[0].data = STANDARD.encode("no image")),
        "image 1 is of an unknown format"
    );
    assert_eq!(
        bad(|mail| mail.images[0].data = STANDARD.encode("%PDF-1.4")),
        "image 1 is of an unknown format"
    );
    assert_eq!(bad(|mail| mail.images[0].data = "abc".into()), "image 1 is not valid base64");
    assert_eq!(
        bad(|mail| mail.attachments.push(EmailFile { name: "x".into(), data: "a-_=".into() })),
        "attachment 2 is not valid base64"
    );
}

#[test]
fn words_of_a_subject_do_not_run_together() {
    for subject in ["año  nuevo  año", "®  ©", "®\t©", "plain  blanks"] {
        let mail = composed(&EmailData { subject: subject.into(), ..data() }).unwrap();
        let read = mail_parser::MessageParser::default().parse(&mail.content).unwrap();
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(words(read.subject().unwrap()), words(subject));
    }
}

#[test]
fn the_name_of_an_attachment_is_one_parameter() {
    let long = "Service Outage Monitor report of 2021-11-21 for customer 12345, all links.csv";
    let (fitting, one_more) = ("outages-of-2021-11-21-at-10-00.csv", "outages-of-2021-11-21-at-10-00.json");
    let (longest, endless) = ("x".repeat(986), "x".repeat(987));
    for (name, header) in [
        ("r.csv", r#"attachment; filename="r.csv""#.to_owned()),
        // A line of exactly 78 characters, and one more.
        (fitting, format!(r#"attachment; filename="{fitting}""#)),
        (one_more, format!("attachment;\n filename=\"{one_more}\"")),
        (long, format!("attachment;\n filename=\"{long}\"")),
        (r#"a "b" \c;.csv"#, r#"attachment; filename="a \"b\" \\c;.csv""#.to_owned()),
        // Beyond printable ASCII, and beyond what a line can hold, as RFC 2231 has it.
        ("año.csv", "attachment;\n filename*0*=utf-8''a%C3%B1o.csv".to_owned()),
        ("a\tb.csv", "attachment;\n filename*0*=utf-8''a%09b.csv".to_owned()),
        // A line of exactly 998 characters, and one more.
        (&longest, format!("attachment;\n filename=\"{longest}\"")),
        (&endless, format!("attachment;\n filename*0=\"{}\";\n filename*1=", &endless[..60])),
    ] {
        let mail = composed(&EmailData { attachments: vec![file(name, b"x")], ..data() }).unwrap();
        let text = text(&mail);
        assert!(text.contains(&format!("Content-Disposition: {header}")), "{name}: {text}");
        let read = mail_parser::MessageParser::default().parse(&mail.content).unwrap();
        assert_eq!(read.attachments().last().unwrap().attachment_name(), Some(name));
    }
}

#[test]
fn base64_may_be_broken_into_lines() {
    let mut mail = data();
    mail.attachments[0].data = "YSxi\r\nCjEs\nMgo=\n".into();
    assert!(text(&composed(&mail).unwrap()).contains("YSxiCjEsMgo="));
}

#[test]
fn images_are_recognised_by_their_content_whatever_their_name() {
    for (content, kind) in [
        (&b"\x89PNG\r\n\x1a\n\x00\x00\x00\r"[..], "image/png"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF\x00", "image/jpeg"),
        (b"GIF89a\x01\x00\x01\x00", "image/gif"),
        (b"BM\x46\x00\x00\x00\x00\x00", "image/bmp"),
    ] {
        let mail = EmailData { images: vec![file("header.txt", content)], ..data() };
        assert!(text(&composed(&mail).unwrap()).contains(&format!("Content-Type: {kind}\n")), "{kind}");
    }
}

proptest! {
    /// What is written can be read: a mail parser finds texts, names and files as they were given.
    #[test]
    fn any_content_arrives_unchanged(subject in "[^\\p{C}\r\n]{0,80}", body in "[^\\p{Cc}]{0,400}", name in "[^\\p{C}\r\n/]{1,40}",
                                     content in proptest::collection::vec(any::<u8>(), 0..300)) {
        let mail = EmailData { subject: subject.clone(), text: body.clone(), html: body.clone(), images: vec![],
                               attachments: vec![file(&name, &content)], ..data() };
        let mail = composed(&mail).unwrap();
        prop_assert!(mail.content.is_ascii());
        let read = mail_parser::MessageParser::default().parse(&mail.content).unwrap();
        let squeezed = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        prop_assert_eq!(squeezed(read.subject().unwrap_or_default()), squeezed(&subject));
        prop_assert_eq!(squeezed(&read.body_text(0).unwrap_or_default()), squeezed(&body));
        let attached = read.attachments().last().unwrap();
        prop_assert_eq!(attached.contents(), &content[..]);
    }
}
