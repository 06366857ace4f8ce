//! The outgoing mail server: takes every mail and puts it into the outbox.
//!
//! Each command is a call for [faults](crate::faults), named by its verb: `AUTH`, `MAIL`, `RCPT <address>`, `DATA` (the
//! whole content; struck after it was received, so that an answer can be lost).

use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mail_parser::{MessageParser, MimeHeaders};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::wire::{self, Answer, Wire};
use crate::Simulation;
use crate::faults::{Effect, Step, ThirdParty};
use crate::world::outbox::{Mail, MailPart};

/// Serves connections until `stop`.
pub async fn serve(listener: TcpListener, simulation: Simulation, stop: CancellationToken) {
    wire::serve(listener, simulation, ThirdParty::Smtp, stop, dialogue).await;
}

/// The mail that is being handed over.
#[derive(Default)]
struct Envelope {
    from: Option<String>,
    recipients: Vec<String>,
}

async fn dialogue(mut wire: Wire) -> io::Result<()> {
    wire.send("220 smtp.sandbox.example ESMTP\r\n").await?;
    let mut envelope = Envelope::default();
    while let Some(line) = wire.line().await? {
        let (verb, rest) = line.split_once(' ').unwrap_or((&line, ""));
        match verb.to_ascii_uppercase().as_str() {
            "EHLO" => {
                let extensions = "250-smtp.sandbox.example\r\n250-SIZE 67108864\r\n250-8BITMIME\r\n250 AUTH PLAIN LOGIN\r\n";
                wire.send(extensions).await?;
            }
            "HELO" => wire.send("250 smtp.sandbox.example\r\n").await?,
            "AUTH" => log_in(&mut wire, rest).await?,
            "MAIL" => {
                let from = address(rest);
                let accepted = Answer::line(250, "250 2.1.0 OK");
                if wire.answer(Step::Call, "MAIL", "", refused, |_| accepted).await? == 250 {
                    envelope = Envelope { from: Some(from), recipients: Vec::new() };
                }
            }
            "RCPT" if envelope.from.is_none() => wire.send("503 5.5.1 MAIL first\r\n").await?,
            "RCPT" => {
                let to = address(rest);
                let accepted = Answer::line(250, "250 2.1.5 OK");
                if wire.answer(Step::Call, "RCPT", &to, refused, |_| accepted).await? == 250 {
                    envelope.recipients.push(to);
                }
            }
            "DATA" if envelope.recipients.is_empty() => wire.send("503 5.5.1 RCPT first\r\n").await?,
            "DATA" => {
                wire.send("354 go ahead\r\n").await?;
                let Some(content) = wire.mail().await? else { return Ok(()) };
                let envelope = std::mem::take(&mut envelope);
                let take = |simulation: &Simulation| {
                    let number = keep(simulation, envelope, &content);
                    Answer::line(250, format!("250 2.0.0 OK queued as {number}"))
                };
                wire.answer(Step::Call, "DATA", "", refused, take).await?;
            }
            "RSET" => {
                envelope = Envelope::default();
                wire.send("250 2.0.0 OK\r\n").await?;
            }
            "NOOP" => wire.send("250 2.0.0 OK\r\n").await?,
            "QUIT" => {
                let bye = Answer::line(221, "221 2.0.0 bye");
                wire.answer(Step::Call, "QUIT", "", refused, |_| bye).await?;
                return Ok(());
            }
            _ => wire.send("502 5.5.2 not implemented\r\n").await?,
        }
    }
    Ok(())
}

/// `AUTH PLAIN` (with or without its initial answer) and `AUTH LOGIN`. Any account may log in.
async fn log_in(wire: &mut Wire, arguments: &str) -> io::Result<()> {
    let mut words = arguments.split_whitespace();
    let mechanism = words.next().unwrap_or_default().to_ascii_uppercase();
    let prompts: &[&str] = match (mechanism.as_str(), words.next()) {
        ("PLAIN", Some(_)) => &[],
        ("PLAIN", None) => &[""],
        ("LOGIN", Some(_)) => &["Password:"],
        ("LOGIN", None) => &["Username:", "Password:"],
        _ => return wire.send("504 5.5.4 unknown mechanism\r\n").await,
    };
    for prompt in prompts {
        wire.send(format!("334 {}\r\n", STANDARD.encode(prompt))).await?;
        if wire.line().await?.is_none() {
            return Ok(());
        }
    }
    let accepted = Answer::line(235, "235 2.7.0 accepted");
    wire.answer(Step::Login, "AUTH", "", refused, |_| accepted).await.map(drop)
}

fn refused(effect: Effect) -> Answer {
    match effect {
        Effect::RefuseLogin => Answer::line(535, "535 5.7.8 username and password not accepted"),
        Effect::Garbage => Answer::line(200, "<html><body>We will be back shortly"),
        Effect::Status(status) if status < 500 => {
            let code = if (420..460).contains(&status) && status != 429 { status } else { 451 };
            Answer::line(code, format!("{code} 4.3.0 injected fault, try again later"))
        }
        Effect::Status(status) => {
            let code = if (550..560).contains(&status) { status } else { 554 };
            Answer::line(code, format!("{code} 5.3.0 injected fault"))
        }
        Effect::Reset | Effect::LoseAnswer | Effect::Truncate => Answer::line(421, "421 4.3.2 closing"),
    }
}

/// The address of `FROM:<a@b> SIZE=1`.
fn address(argument: &str) -> String {
    let path = argument.split_once(':').map_or(argument, |(_, path)| path).trim();
    let path =
        path.strip_prefix('<').and_then(|path| path.split_once('>')).map_or(path, |(inside, _)| inside);
    path.to_owned()
}

/// Puts the mail into the outbox and returns its number.
fn keep(simulation: &Simulation, envelope: Envelope, content: &[u8]) -> u64 {
    let parsed = MessageParser::default().parse(content).unwrap_or_default();
    let html = parsed.html_body.iter().find_map(|part| parsed.part(*part)).filter(|part| part.is_text_html());
    let attachments = parsed
        .attachments()
        .map(|part| MailPart {
            name: part
                .attachment_name()
                .or_else(|| part.content_id())
                .unwrap_or_default()
                .trim_matches(['<', '>'])
                .to_owned(),
            content_type: part.content_type().map_or_else(String::new, |kind| match kind.subtype() {
                Some(subtype) => format!("{}/{subtype}", kind.ctype()),
                None => kind.ctype().to_owned(),
            }),
            size: part.contents().len(),
            content: part.contents().to_vec(),
        })
        .collect();
    let mail = Mail {
        number: 0,
        at: simulation.world.now(),
        from: envelope.from.unwrap_or_default(),
        recipients: envelope.recipients,
        subject: parsed.parts.first().and_then(|_| parsed.subject()).unwrap_or_default().to_owned(),
        text: parsed.body_text(0).unwrap_or_default().into_owned(),
        html: html.and_then(|part| part.text_contents()).map(str::to_owned),
        attachments,
        raw: String::from_utf8_lossy(content).into_owned(),
    };
    simulation.world.with_outbox("mail", |outbox| outbox.mail(mail))
}
