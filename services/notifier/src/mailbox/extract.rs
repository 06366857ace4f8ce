//! From the bytes of a mail to what the monitors read (spec `notifier`, "IMAP: Extraction per message", Improve 7, 8).
//!
//! Mails come from anywhere, so nothing here can fail: what cannot be decoded is read as UTF-8, then as Latin-1, and
//! what is missing is empty. One odd mail must not hide the others.

use std::borrow::Cow;
use std::panic::catch_unwind;

use contracts::notifier::MailboxMessage;
use encoding_rs::Encoding as Charset;
use mail_parser::decoders::{base64::base64_decode, quoted_printable::quoted_printable_decode};
use mail_parser::{
    ContentType, Encoding, HeaderName, HeaderValue, Message, MessagePart, MimeHeaders, PartType,
};

use super::allowance::{self, Allowance, Opaque, TooMuch, is_digest, is_mail};

/// Mails within mails are followed so deep.
const MAX_DEPTH: usize = 8;

/// What the monitors get of the mail `raw`, which has this UID in "All Mail".
pub fn extract(uid: u32, raw: &[u8]) -> MailboxMessage {
    let body = read_body(raw).unwrap_or_else(|| {
        tracing::error!(uid, "a mail cannot be read completely; its body is taken as empty");
        String::new()
    });
    let subject = read_subject(raw).unwrap_or_default();
    let message = unified(best_effort(raw).into_owned());
    MailboxMessage { message: Some(message), subject, body, msg_uid: uid.to_string() }
}

/// The body; `None` when it would take too long, or when the parser panics, which arithmetic checks make it do on some
/// broken parts (as of 0.11). A sender must not be able to stop the reading of a mailbox.
fn read_body(raw: &[u8]) -> Option<String> {
    catch_unwind(|| body(raw).ok()).ok().flatten()
}

/// The subject alone, without a look at the parts.
fn read_subject(raw: &[u8]) -> Option<String> {
    catch_unwind(|| allowance::parse_headers(raw).map(|mail| subject(&mail, raw)).unwrap_or_default()).ok()
}

/// The first `Subject`, decoded (RFC 2047) and unfolded.
fn subject(mail: &Message<'_>, raw: &[u8]) -> String {
    let Some(header) =
        mail.parts.first().and_then(|root| root.headers.iter().find(|h| h.name == HeaderName::Subject))
    else {
        return String::new();
    };
    let bytes = raw.get(header.offset_start as usize..header.offset_end as usize).unwrap_or_default();
    match &header.value {
        // Bytes beyond ASCII do not belong in a header. Where they are no UTF-8 either, the parser loses them.
        _ if std::str::from_utf8(bytes).is_err() => unfolded(&best_effort(bytes)),
        HeaderValue::Text(text) => unfolded(text),
        HeaderValue::TextList(texts) => unfolded(&texts.join(" ")),
        _ => String::new(),
    }
}

/// A header value on one line: a line break and the blanks after it become one blank.
fn unfolded(value: &str) -> String {
    let mut lines =
        value.trim().split(['\r', '\n']).map(|line| line.trim_matches([' ', '\t'])).filter(|l| !l.is_empty());
    let mut out = lines.next().unwrap_or_default().to_owned();
    for line in lines {
        out.push(' ');
        out.push_str(line);
    }
    out
}

/// The plain text of the mail: of several parts the first plain one that is no attachment, of a single part its text.
fn body(raw: &[u8]) -> Result<String, TooMuch> {
    let mut allowance = Allowance::default();
    let opaque = Opaque::of(raw);
    let mail = allowance.parse(&opaque)?;
    let Some((mail, root)) = mail.as_ref().and_then(|mail| Some((mail, mail.parts.first()?))) else {
        return Ok(String::new());
    };
    let several = matches!(root.body, PartType::Multipart(_)) || is_mail(root.content_type(), false);
    let text = if several {
        first_plain(mail, raw, root, Place::default(), &mut allowance)?.unwrap_or_default()
    } else {
        // A single part is read as text whatever it says it is; so is one that says that it has parts, but not where they
        // begin.
        decoded(root, raw)
    };
    let mut text = unified(text);
    if text.ends_with('\n') {
        text.pop();
    }
    Ok(text)
}

/// Where a part is.
#[derive(Clone, Copy, Default)]
struct Place {
    depth: usize,
    in_digest: bool,
}

/// The first `text/plain` below `part`, depth first, whose disposition is not `attachment`.
fn first_plain(
    mail: &Message<'_>,
    raw: &[u8],
    part: &MessagePart<'_>,
    Place { depth, in_digest }: Place,
    allowance: &mut Allowance,
) -> Result<Option<String>, TooMuch> {
    if depth > MAX_DEPTH {
        return Ok(None);
    }
    let kind = part.content_type();
    if let PartType::Multipart(ids) = &part.body {
        let below = Place { depth: depth + 1, in_digest: is_digest(kind) };
        for part in ids.iter().filter_map(|id| mail.part(*id)) {
            let found = first_plain(mail, raw, part, below, allowance)?;
            if found.is_some() {
                return Ok(found);
            }
        }
        return Ok(None);
    }
    if is_mail(kind, in_digest) {
        let raw = &transferred(part, raw);
        let opaque = Opaque::of(raw);
        let below = Place { depth: depth + 1, in_digest: false };
        let nested = allowance.parse(&opaque)?;
        // The parser takes a text without a line end for a header, and a mail for one without body.
        let whole = |root: &&MessagePart<'_>| {
            !root.is_encoding_problem || (root.raw_body_offset() as usize) < raw.len()
        };
        return match nested.as_ref().and_then(|nested| Some((nested, nested.parts.first().filter(whole)?))) {
            Some((nested, root)) => first_plain(nested, raw, root, below, allowance),
            // All that there is, though it is no mail.
            None if depth == 0 => Ok(Some(text_of(part, raw))),
            None => Ok(None),
        };
    }
    Ok((is_plain(kind) && !is_attachment(part)).then(|| decoded(part, raw)))
}

fn is_plain(content_type: Option<&ContentType<'_>>) -> bool {
    content_type.is_none_or(|kind| {
        kind.ctype().eq_ignore_ascii_case("text")
            && kind.subtype().is_some_and(|subtype| subtype.eq_ignore_ascii_case("plain"))
    })
}

/// Whether its disposition has the word `attachment` anywhere, as the existing deployment looks for it: in a file's name, too.
fn is_attachment(part: &MessagePart<'_>) -> bool {
    let says = |text: &str| text.to_ascii_lowercase().contains("attachment");
    part.content_disposition().is_some_and(|how| {
        says(how.ctype())
            || how.attributes().unwrap_or_default().iter().any(|attribute| says(&attribute.value))
    })
}

/// The text of a leaf part. Decoded here and not taken from the parser, which puts replacement characters where the
/// existing deployment drops what it cannot decode, and knows only UTF-8 where no charset is given.
fn decoded(part: &MessagePart<'_>, raw: &[u8]) -> String {
    text_of(part, &transferred(part, raw))
}

/// The bytes of a leaf part as they were before they were encoded for the way.
fn transferred<'a>(part: &MessagePart<'_>, raw: &'a [u8]) -> Cow<'a, [u8]> {
    let bytes = raw.get(part.raw_body_offset() as usize..part.raw_end_offset() as usize).unwrap_or_default();
    match encoding(part) {
        Encoding::None => None,
        Encoding::QuotedPrintable => {
            quoted_printable_decode(bytes).or_else(|| quoted_printable_decode(&escaped(bytes)))
        }
        Encoding::Base64 => base64_decode(bytes).or_else(|| base64_decode(&base64_alone(bytes))),
    }
    .map_or(Cow::Borrowed(bytes), Cow::Owned)
}

/// These bytes of a part as text.
fn text_of(part: &MessagePart<'_>, bytes: &[u8]) -> String {
    let charset = part.content_type().and_then(|kind| kind.attribute("charset")).map(str::trim);
    match charset.and_then(|label| Charset::for_label(label.as_bytes())) {
        Some(charset) if !charset_is_ascii(charset) => {
            charset.decode_without_bom_handling(bytes).0.replace(char::REPLACEMENT_CHARACTER, "")
        }
        _ => best_effort(bytes).into_owned(),
    }
}

/// How a part is encoded. Of one that it cannot decode the parser says that it is not; then the header counts.
fn encoding(part: &MessagePart<'_>) -> Encoding {
    let named = part.content_transfer_encoding().unwrap_or_default().trim();
    match part.encoding {
        Encoding::None if named.eq_ignore_ascii_case("quoted-printable") => Encoding::QuotedPrintable,
        Encoding::None if named.eq_ignore_ascii_case("base64") => Encoding::Base64,
        known => known,
    }
}

/// Quoted-printable in which a `=` that begins no escape stands for itself, as senders of unescaped addresses mean it.
fn escaped(bytes: &[u8]) -> Vec<u8> {
    let mut escaped = Vec::with_capacity(bytes.len() + 64);
    let mut rest = bytes;
    while let Some((byte, next)) = rest.split_first() {
        rest = next;
        escaped.push(*byte);
        if *byte == b'=' && !is_escape(rest) {
            escaped.extend_from_slice(b"3D");
        }
    }
    escaped
}

/// Whether a `=` begins an escape, by what follows: two hex digits, or nothing more in its line.
fn is_escape(rest: &[u8]) -> bool {
    if let [first, second, ..] = rest
        && first.is_ascii_hexdigit()
        && second.is_ascii_hexdigit()
    {
        return true;
    }
    let next = rest.iter().find(|byte| !matches!(byte, b' ' | b'\t'));
    matches!(next, None | Some(b'\r' | b'\n'))
}

/// What belongs to base64, up to its padding: relays write their footers below it.
fn base64_alone(bytes: &[u8]) -> Vec<u8> {
    let of_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
    let alone: Vec<u8> = bytes.iter().copied().filter(of_base64).collect();
    let end = alone.iter().position(|byte| *byte == b'=').unwrap_or(alone.len());
    alone.get(..end).unwrap_or_default().to_vec()
}

/// Whether the label means US-ASCII or Latin-1 (which the encoding standard reads alike). Senders that mean UTF-8 write
/// both, hence they are read by best effort.
fn charset_is_ascii(charset: &'static Charset) -> bool {
    charset == encoding_rs::WINDOWS_1252
}

/// UTF-8 where it is, else Latin-1 (in which every byte is a character).
fn best_effort(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => encoding_rs::WINDOWS_1252.decode_without_bom_handling(bytes).0,
    }
}

/// Every line end as `\n`.
fn unified(text: String) -> String {
    if text.contains('\r') { text.replace("\r\n", "\n").replace('\r', "\n") } else { text }
}
