//! The mail on the wire: MIME structure, recipients, content types (spec `notifier`, "SMTP: MIME structure", Improve
//! 10, 11).

use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use contracts::notifier::{EmailData, EmailFile};
use lettre::message::header::{
    ContentDisposition, ContentId, ContentTransferEncoding, ContentType, Header, HeaderName, HeaderValue,
};
use lettre::message::{Body, Mailbox, Mailboxes, Message, MultiPart, SinglePart};
use lettre::{Address, message::header};

/// A mail ready to be handed to an SMTP server, as often as that takes.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// `MAIL FROM`.
    pub sender: Address,
    /// `RCPT TO`, without doubles; at least one.
    pub recipients: Vec<Address>,
    /// Pieces of the recipient list that are no addresses. They are left out, as a server would refuse them.
    pub unusable: usize,
    /// Headers and content, lines ended by CRLF.
    pub content: Vec<u8>,
}

/// What identifies a mail: the same through all attempts, so that a recipient's server can tell doubles.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The `Message-ID` with its angle brackets.
    pub message_id: String,
    /// The `Date`.
    pub date: SystemTime,
}

/// Why a mail cannot be built. Names no addresses and no contents.
#[derive(Debug, thiserror::Error)]
pub enum ComposeError {
    /// The recipient list holds no usable address.
    #[error("no usable recipient")]
    NoRecipient,
    /// A file is no base64.
    #[error("{kind} {number} is not valid base64")]
    Base64 {
        /// `image` or `attachment`.
        kind: &'static str,
        /// Which one, from 1.
        number: usize,
    },
    /// An image is of no known format.
    #[error("image {number} is of an unknown format")]
    UnknownImage {
        /// Which one, from 1.
        number: usize,
    },
    /// The mail library refused the headers.
    #[error("the mail cannot be built")]
    Build,
}

/// Builds the mail: `related(alternative(text, html), images.., attachments..)`.
///
/// # Errors
/// See [`ComposeError`].
pub fn compose(data: &EmailData, from: &Mailbox, identity: &Identity) -> Result<Outgoing, ComposeError> {
    let (to, unusable) = recipients(&data.recipient);
    if to.is_empty() {
        return Err(ComposeError::NoRecipient);
    }
    let recipients = to.iter().map(|mailbox| mailbox.email.clone()).collect();

    let mut parts = MultiPart::related().multipart(
        MultiPart::alternative()
            .singlepart(SinglePart::plain(data.text.clone()))
            .singlepart(SinglePart::html(data.html.clone())),
    );
    for (number, image) in (1..).zip(&data.images) {
        parts = parts.singlepart(inline(image, number)?);
    }
    for (number, file) in (1..).zip(&data.attachments) {
        parts = parts.singlepart(attached(file, number)?);
    }
    let message = Message::builder()
        .from(from.clone())
        .mailbox(header::To::from(to.into_iter().collect::<Mailboxes>()))
        .subject(encodable(&data.subject))
        .date(identity.date)
        .message_id(Some(identity.message_id.clone()))
        .multipart(parts)
        .map_err(|_| ComposeError::Build)?;
    Ok(Outgoing { sender: from.email.clone(), recipients, unusable, content: message.formatted() })
}

/// The subject, with single blanks when it will be encoded: the mail library loses two in a row between two encoded
/// words, and the words would run together.
fn encodable(subject: &str) -> String {
    if subject.is_ascii() {
        return subject.to_owned();
    }
    subject.split([' ', '\t']).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// The addresses of a list separated by commas with optional blanks: empty pieces and doubles dropped. Also says how
/// many pieces are no addresses.
fn recipients(list: &str) -> (Vec<Mailbox>, usize) {
    let mut found: Vec<Mailbox> = Vec::new();
    let mut unusable = 0;
    for piece in list.split(',').map(str::trim).filter(|piece| !piece.is_empty()) {
        match piece.parse::<Mailbox>() {
            Ok(mailbox) if AsRef::<str>::as_ref(&mailbox.email).is_ascii() => {
                if !found.iter().any(|other| same_address(&other.email, &mailbox.email)) {
                    found.push(mailbox);
                }
            }
            _ => unusable += 1,
        }
    }
    (found, unusable)
}

fn same_address(one: &Address, other: &Address) -> bool {
    AsRef::<str>::as_ref(one).eq_ignore_ascii_case(other.as_ref())
}

/// An image that the HTML refers to as `cid:<name>`. What it is, its content says.
fn inline(image: &EmailFile, number: usize) -> Result<SinglePart, ComposeError> {
    let bytes = decoded(image, "image", number)?;
    let kind = infer::get(&bytes)
        .filter(|kind| kind.matcher_type() == infer::MatcherType::Image)
        .and_then(|kind| ContentType::parse(kind.mime_type()).ok())
        .ok_or(ComposeError::UnknownImage { number })?;
    Ok(SinglePart::builder()
        .header(kind)
        .header(ContentId::from(format!("<{}>", image.name)))
        .body(in_base64(bytes)?))
}

fn attached(file: &EmailFile, number: usize) -> Result<SinglePart, ComposeError> {
    let bytes = decoded(file, "attachment", number)?;
    Ok(SinglePart::builder()
        .header(content_type(&file.name)?)
        .header(FileName::of(&file.name))
        .body(in_base64(bytes)?))
}

/// A line of a mail has at most so many characters, its end not counted (RFC 5322, 2.1.1).
const LONGEST_LINE: usize = 998;
/// And should have no more than these.
const USUAL_LINE: usize = 78;

/// `Content-Disposition: attachment; filename="<name>"`, with the name in one piece. The mail library cuts names beyond
/// some thirty characters into `filename*0=".."` and so on, which not every reader puts together again.
#[derive(Clone)]
struct FileName(HeaderValue);

impl FileName {
    fn of(name: &str) -> Self {
        let quoted = format!(r#"filename="{}""#, name.replace('\\', r"\\").replace('"', r#"\""#));
        let printable = name.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        if !printable || quoted.len() >= LONGEST_LINE {
            return Self(ContentDisposition::attachment(name).display());
        }
        let whole = format!("attachment; {quoted}");
        let fits = Self::name().len() + ": ".len() + whole.len() <= USUAL_LINE;
        let folded = if fits { whole.clone() } else { format!("attachment;\r\n {quoted}") };
        // Safe as it is: printable ASCII only, so that nothing in the name can end the line or the quotes.
        Self(HeaderValue::dangerous_new_pre_encoded(Self::name(), whole, folded))
    }
}

impl Header for FileName {
    fn name() -> HeaderName {
        ContentDisposition::name()
    }

    fn parse(value: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        ContentDisposition::parse(value).map(|known| Self(known.display()))
    }

    fn display(&self) -> HeaderValue {
        self.0.clone()
    }
}

/// The type of an attachment by its file name.
fn content_type(name: &str) -> Result<ContentType, ComposeError> {
    let extension = name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
    let kind = match extension.as_deref() {
        Some("csv") => "text/csv; charset=\"utf-8\"",
        Some("json") => "application/json",
        _ => "application/octet-stream",
    };
    ContentType::parse(kind).map_err(|_| ComposeError::Build)
}

fn decoded(file: &EmailFile, kind: &'static str, number: usize) -> Result<Vec<u8>, ComposeError> {
    // Some encoders break lines. Nothing else beside the alphabet is forgiven.
    let data: Vec<u8> = file.data.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    STANDARD.decode(data).map_err(|_| ComposeError::Base64 { kind, number })
}

fn in_base64(bytes: Vec<u8>) -> Result<Body, ComposeError> {
    Body::new_with_encoding(bytes, ContentTransferEncoding::Base64).map_err(|_| ComposeError::Build)
}
