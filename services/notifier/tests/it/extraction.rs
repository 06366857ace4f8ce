//! What the monitors read of a mail, also of odd ones (spec `notifier`, "Extraction per message", Improve 7, 8).

use std::sync::mpsc;
use std::thread;

use crate::stage::PATIENCE;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use contracts::notifier::MailboxMessage;
use notifier::mailbox::extract::extract;
use proptest::prelude::*;

fn read(raw: impl AsRef<[u8]>) -> MailboxMessage {
    extract(100, raw.as_ref())
}

fn crlf(text: &str) -> String {
    text.replace('\n', "\r\n")
}

#[test]
fn the_example_of_the_specification() {
    let raw = crlf(
        "Subject: =?utf-8?q?H=C3=A9llo?=\nFrom: fraud@example.com\nContent-Type: text/plain; charset=utf-8\n\nline1\nline2\n",
    );
    assert_eq!(
        read(raw),
        MailboxMessage {
            message: Some("Subject: =?utf-8?q?H=C3=A9llo?=\nFrom: fraud@example.com\nContent-Type: text/plain; charset=utf-8\n\nline1\nline2\n".into()),
            subject: "Héllo".into(),
            body: "line1\nline2".into(),
            msg_uid: "100".into(),
        }
    );
}

#[test]
fn subjects_are_decoded_and_unfolded() {
    for (header, subject) in [
        ("Subject: plain\n", "plain"),
        ("", ""),
        ("Subject:\n", ""),
        ("Subject: first part\n  second part\n\tthird\n", "first part second part third"),
        ("Subject: =?utf-8?B?QcOx?=\n =?utf-8?B?bw==?=\n", "Año"),
        ("Subject: =?iso-8859-1?q?caf=E9?= au lait\n", "café au lait"),
        ("Subject: =?no-such-charset?q?x?= tail\n", "x tail"),
        ("SUBJECT: loud\n", "loud"),
        ("Subject: one\nSubject: two\n", "one"),
    ] {
        let raw = crlf(&format!("From: a@example.com\n{header}\nbody\n"));
        assert_eq!(read(&raw).subject, subject, "{header:?}");
        assert_eq!(read(&raw).body, "body", "{header:?}");
    }
}

#[test]
fn bytes_beyond_ascii_in_a_subject_are_utf8_or_latin1() {
    assert_eq!(read("Subject: Año\r\n\r\nx").subject, "Año");
    assert_eq!(read(b"Subject: A\xf1o\r\n nuevo\r\n\r\nx").subject, "Año nuevo");
}

#[test]
fn single_parts_are_decoded_whatever_they_say_of_themselves() {
    for (headers, body, text) in [
        ("", &b"plain\r\n"[..], "plain"),
        ("Content-Type: text/plain\r\n", "año\r\n".as_bytes(), "año"),
        ("Content-Type: text/plain\r\n", b"a\xf1o\r\n", "año"),
        ("Content-Type: text/plain; charset=iso-8859-1\r\n", b"a\xf1o\r\n", "año"),
        ("Content-Type: text/plain; charset=\"utf-8\"\r\n", b"a\xffb\r\n", "ab"),
        ("Content-Type: text/plain; charset=us-ascii\r\n", "año\r\n".as_bytes(), "año"),
        ("Content-Type: text/plain; charset=no-such\r\n", "año\r\n".as_bytes(), "año"),
        ("Content-Type: text/plain; charset=koi8-r\r\n", b"\xf0\r\n", "П"),
        ("Content-Transfer-Encoding: base64\r\n", b"bGluZTENCmxpbmUyDQo=\r\n", "line1\nline2"),
        (
            "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n",
            b"a=C3=B1o =\r\nnuevo\r\n",
            "año nuevo",
        ),
        (
            "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n",
            b"Caf=C3=A9 rate=5 ok =\r\nhttps://x.example/?id=zz==41=3\r\n",
            "Café rate=5 ok https://x.example/?id=zz=A=3",
        ),
        (
            "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n",
            b"no= 5 a=C3=B1o=",
            "no= 5 año",
        ),
        (
            "Content-Transfer-Encoding: base64\r\n",
            b"bGlu*ZTENCmxpbmUyDQo=\r\n-- \r\nList footer\r\n",
            "line1\nline2",
        ),
        ("Content-Type: text/html; charset=utf-8\r\n", b"<b>x</b>\r\n", "<b>x</b>"),
        ("Content-Type: application/pdf\r\n", b"%PDF\xe9\r\n", "%PDFé"),
        (
            "Content-Type: application/json; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n",
            b"eyJhIjogMX0NCg==\r\n",
            "{\"a\": 1}",
        ),
        (
            "Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: quoted-printable\r\n\
             Content-Disposition: attachment; filename=a.bin\r\n",
            b"a=C3=B1o\r\n",
            "año",
        ),
        ("Content-Type: image/png; name=a.png\r\nContent-ID: <a>\r\n", b"\x89PNG", "‰PNG"),
        ("Content-Type: ;;;\r\n", b"x\r\n", "x"),
    ] {
        let mut raw = format!("Subject: s\r\n{headers}\r\n").into_bytes();
        raw.extend_from_slice(body);
        assert_eq!(read(raw).body, text, "{headers:?}");
    }
}

#[test]
fn line_ends_become_one_kind_and_only_the_last_is_dropped() {
    assert_eq!(read("Subject: s\r\n\r\na\r\nb\n\nc\r\n\r\n").body, "a\nb\n\nc\n");
}

fn multipart(parts: &str) -> String {
    crlf(&format!("Subject: s\nContent-Type: multipart/mixed; boundary=\"b1\"\n\npreamble\n{parts}--b1--\n"))
}

#[test]
fn of_several_parts_the_first_plain_one_that_is_no_attachment_counts() {
    for (parts, text) in [
        (
            "--b1\nContent-Type: text/plain; charset=utf-8\n\nfirst\n--b1\nContent-Type: text/plain\n\nsecond\n",
            "first",
        ),
        (
            "--b1\nContent-Type: text/plain; charset=utf-8\n\nfirst\n\n--b1\nContent-Type: text/html\n\n<b>\n",
            "first",
        ),
        (
            "--b1\nContent-Type: text/plain\nContent-Disposition: attachment; filename=a.txt\n\nno\n--b1\nContent-Type: text/plain\n\nyes\n",
            "yes",
        ),
        (
            "--b1\nContent-Type: text/plain\nContent-Disposition: ATTACHMENT\n\nno\n--b1\n\nno type\n",
            "no type",
        ),
        (
            "--b1\nContent-Type: text/plain\nContent-Disposition: inline; filename=\"attachment1.txt\"\n\nfile\n--b1\nContent-Type: text/plain\n\ntext\n",
            "text",
        ),
        ("--b1\nContent-Type: text/html; charset=utf-8\n\n<b>only</b>\n", ""),
        ("--b1\nContent-Type: text/plain\nContent-Transfer-Encoding: base64\n\nYcOxbw==\n", "año"),
        (
            "--b1\nContent-Type: multipart/alternative; boundary=b2\n\n--b2\nContent-Type: text/plain\n\ndeep\n--b2\nContent-Type: text/html\n\n<b>\n--b2--\n--b1\nContent-Type: text/plain\n\nlate\n",
            "deep",
        ),
        (
            "--b1\nContent-Type: text/html\n\n<b>\n--b1\nContent-Type: message/rfc822\n\nSubject: inner\nContent-Type: text/plain\n\nforwarded\n",
            "forwarded",
        ),
        (
            "--b1\nContent-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nU3ViamVjdDogaW5uZXIKCmVuY29kZWQK\n",
            "encoded",
        ),
        ("--b1\nContent-Type: image/png\nContent-Transfer-Encoding: base64\n\niVBORw0KGgo=\n", ""),
    ] {
        assert_eq!(read(multipart(parts)).body, text, "{parts}");
        assert_eq!(read(multipart(parts)).subject, "s", "{parts}");
    }
}

#[test]
fn a_multipart_without_end_or_boundary_is_still_read() {
    let cut = "Subject: s\r\nContent-Type: multipart/mixed; boundary=b1\r\n\r\n--b1\r\nContent-Type: text/plain\r\n\r\ncut off";
    assert_eq!(read(cut).body, "cut off");
    let none = "Subject: s\r\nContent-Type: multipart/mixed\r\n\r\njust text\r\n";
    assert_eq!(read(none).body, "just text");
}

#[test]
fn a_part_on_which_the_parser_stumbles_costs_the_body_at_most() {
    let raw = "Subject: kept\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\
               Content-Transfer-Encoding: quoted-printable\r\n\r\n?=\r\n--b\r\n";
    let mail = read(raw);
    assert_eq!(mail.subject, "kept");
    assert!(mail.message.unwrap().ends_with("--b\n"));
}

#[test]
fn mails_within_mails_are_read_whatever_words_they_hold() {
    let innermost = "Subject: three\nContent-Type: text/plain; charset=utf-8\n\nMessage digest of the innermost message\n";
    let encoded = BASE64.encode(innermost);
    let digest = format!(
        "Content-Type: multipart/Digest; boundary=\"=_Message_1\"\n\n--=_Message_1\n\n{innermost}--=_Message_1--\n"
    );
    for nested in [
        format!("Content-Type: message/rfc822\n\n{innermost}"),
        format!("Content-Type: MESSAGE/RFC822\nContent-Transfer-Encoding: base64\n\n{encoded}\n"),
        format!("Content-Type: Message/Global\nContent-Disposition: attachment\n\n{innermost}"),
        digest,
    ] {
        let two =
            format!("Subject: two\nContent-Type: multipart/mixed; boundary=b2\n\n--b2\n{nested}--b2--\n");
        let mail = read(multipart(&format!("--b1\nContent-Type: message/rfc822\n\n{two}")));
        assert_eq!(mail.body, "Message digest of the innermost message", "{nested}");
    }
    let only = "Subject: this message\r\nContent-Type: message/rfc822\r\n\r\n";
    let mail = read(format!("{only}{innermost}"));
    assert_eq!(&*mail.subject, "this message");
    assert_eq!(mail.body, "Message digest of the innermost message");
    assert_eq!(read(format!("{only}just a message")).body, "just a message");
}

/// Reads a mail where mails are read in the service, in time and with no more stack than a thread has.
fn survived(raw: String) -> MailboxMessage {
    let (sender, mail) = mpsc::channel();
    let reading = move || sender.send(read(raw)).unwrap();
    thread::Builder::new().stack_size(2 << 20).spawn(reading).unwrap();
    mail.recv_timeout(PATIENCE).expect("read in time")
}

#[test]
fn mails_that_nest_without_end_do_not_use_up_the_stack() {
    let levels = |levels: usize| "Content-Type: message/rfc822\r\n\r\n".repeat(levels);
    let encoded = BASE64.encode(levels(5_000));
    for raw in [
        levels(100_000),
        format!("Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\n{encoded}\r\n"),
    ] {
        let mail = survived(format!("Subject: s\r\n{raw}"));
        assert_eq!((&*mail.subject, &*mail.body), ("s", ""));
    }
}

#[test]
fn what_the_parser_would_look_through_again_and_again_costs_the_body_at_most() {
    let part = "--b\r\nContent-Type: multipart/mixed; boundary=q\r\n\r\n";
    let parts = format!("Content-Type: multipart/mixed; boundary=b\r\n\r\n{}", part.repeat(50_000));
    let attributes: Vec<String> = (0..300_000).map(|n| format!("; a{n}*1=x")).collect();
    let attributes = attributes.concat();
    let attributes = format!("Content-Type: text/plain{attributes}\r\n\r\nx");
    for raw in [parts, attributes] {
        let mail = survived(format!("Subject: s\r\n{raw}"));
        assert_eq!((&*mail.subject, &*mail.body), ("s", ""));
    }
    let words = "=?ab?q?x".repeat(300_000);
    assert_eq!(survived(format!("From: a@example.com\r\nSubject: {words}\r\n\r\nx")).body, "");
}

#[test]
fn no_mail_at_all_is_an_empty_one() {
    let empty = read("");
    assert_eq!((empty.message.as_deref(), &*empty.subject, &*empty.body), (Some(""), "", ""));
    assert_eq!(read(b"\xff\xfe\x00").msg_uid, "100");
}

proptest! {
    #[test]
    fn any_bytes_are_survived(raw in proptest::collection::vec(any::<u8>(), 0..2_000)) {
        let mail = read(&raw);
        prop_assert_eq!(mail.msg_uid, "100");
        prop_assert!(!mail.subject.contains('\n') && !mail.subject.contains('\r'));
        prop_assert!(!mail.body.contains('\r') && !mail.message.unwrap().contains('\r'));
    }

    #[test]
    fn any_mime_soup_is_survived(pieces in proptest::collection::vec(prop_oneof![
        Just("Content-Type: multipart/mixed; boundary=b\r\n".to_owned()), Just("--b\r\n".into()), Just("--b--\r\n".into()),
        Just("\r\n".into()), Just("Content-Type: message/rfc822\r\n".into()), Just("Content-Type: text/plain; charset=x\r\n".into()),
        Just("Content-Transfer-Encoding: base64\r\n".into()), Just("Content-Transfer-Encoding: quoted-printable\r\n".into()),
        Just("Subject: =?utf-8?q?".into()), Just("?=\r\n".into()), "[ -~]{0,20}",
    ], 0..40)) {
        let mail = read(pieces.concat());
        prop_assert!(!mail.subject.contains('\n'));
    }

    /// A plain text that a mail client encoded in base64 comes out as it went in.
    #[test]
    fn encoded_text_comes_out_as_it_went_in(text in "[^\r\n]{0,200}") {
        let data = BASE64.encode(&text);
        let raw = format!("Subject: s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n{data}\r\n");
        prop_assert_eq!(read(raw).body, text.replace(char::REPLACEMENT_CHARACTER, ""));
    }
}
