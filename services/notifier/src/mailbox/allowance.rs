//! What the MIME parser may be given (mail-parser 0.11). Anyone can send a mail, and three of the parser's habits let a
//! small one stop the process: mails within mails nest without limit, and freeing them needs stack for each level; an
//! encoded mail within a mail is copied once for each level in it; and for each multipart without its boundary, and for
//! each broken piece of an encoded header, the rest is looked through again.
//!
//! So the parser sees no mail within a mail (who wants to read one parses it by itself), and what it would look through
//! is added up before it begins.

use mail_parser::{ContentType, HeaderName, Message, MessageParser};

/// What the parser may look through altogether for one mail, in bytes: half a second. The largest mail that is read may
/// have twenty multiparts, one of a megabyte five hundred.
const MOST: usize = 1 << 29;

/// Headers in which the parser decodes what may be broken; the others it takes as they are.
const DECODED: [&str; 7] = [
    "subject",
    "content-type",
    "content-disposition",
    "content-id",
    "content-description",
    "content-location",
    "content-transfer-encoding",
];

/// Reading the mail would take too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooMuch;

/// What of [`MOST`] is left for a mail and the mails within it.
#[derive(Debug)]
pub(super) struct Allowance {
    left: usize,
}

impl Default for Allowance {
    fn default() -> Self {
        Self { left: MOST }
    }
}

impl Allowance {
    /// The parts of a mail; `None` when it is none.
    ///
    /// # Errors
    /// When that would take too long.
    pub(super) fn parse<'a>(&mut self, opaque: &'a Opaque) -> Result<Option<Message<'a>>, TooMuch> {
        let Opaque { bytes, multiparts } = opaque;
        let work = bytes.len().saturating_mul(1 + multiparts).saturating_add(header_work(bytes));
        self.left = self.left.checked_sub(work).ok_or(TooMuch)?;
        Ok(parser().parse(bytes))
    }
}

/// The headers alone. Where they would take too long, those at the very beginning.
pub(super) fn parse_headers(raw: &[u8]) -> Option<Message<'_>> {
    const BEGINNING: usize = 16 << 10;
    let readable = if header_work(raw) > MOST { raw.get(..BEGINNING).unwrap_or(raw) } else { raw };
    parser().parse_headers(readable)
}

fn parser() -> MessageParser {
    MessageParser::new().with_mime_headers().header_text(HeaderName::Subject)
}

/// A mail in which each other mail looks like any attachment. Every byte keeps its place, and a boundary is changed where
/// it is named and where it stands; the text of a part is to be taken from the mail itself.
#[derive(Debug)]
pub(super) struct Opaque {
    bytes: Vec<u8>,
    /// How often the word is there, which is at least as often as the parser will see one.
    multiparts: usize,
}

impl Opaque {
    /// Hides the words by which the parser knows a mail within a mail: the type of one and that of a digest.
    pub(super) fn of(raw: &[u8]) -> Self {
        let mut opaque = Self { bytes: raw.to_vec(), multiparts: 0 };
        let begins = |at: usize, word: &[u8]| {
            raw.get(at..at + word.len()).is_some_and(|part| part.eq_ignore_ascii_case(word))
        };
        for (at, byte) in raw.iter().enumerate() {
            let hidden: &[u8] = match byte {
                b'm' | b'M' if begins(at, b"message") => b"messagx",
                b'd' | b'D' if begins(at, b"digest") => b"digesx",
                b'm' | b'M' if begins(at, b"multipart") => {
                    opaque.multiparts += 1;
                    continue;
                }
                _ => continue,
            };
            if let Some(place) = opaque.bytes.get_mut(at..at + hidden.len()) {
                place.copy_from_slice(hidden);
            }
        }
        opaque
    }
}

/// Whether a part of an [`Opaque`] mail is a mail: by its type, or because it has none within a digest.
pub(super) fn is_mail(kind: Option<&ContentType<'_>>, in_digest: bool) -> bool {
    kind.map_or(in_digest, |kind| {
        kind.ctype() == "messagx" && matches!(kind.subtype(), Some("rfc822" | "global"))
    })
}

/// Whether a multipart of an [`Opaque`] mail is a digest.
pub(super) fn is_digest(kind: Option<&ContentType<'_>>) -> bool {
    kind.is_some_and(|kind| kind.subtype() == Some("digesx"))
}

/// What is looked through in headers: for each mark of something encoded the rest of its line, folds included. A line has
/// one header at most that the parser reads, wherever it begins.
fn header_work(raw: &[u8]) -> usize {
    raw.chunk_by(|byte, next| *byte != b'\n' || matches!(next, b' ' | b'\t'))
        .filter(|line| has_decoded_header(line))
        .map(|line| marks(line).saturating_mul(line.len()))
        .fold(0, usize::saturating_add)
}

/// Beginnings of encoded words and of encoded or continued attributes.
fn marks(line: &[u8]) -> usize {
    line.windows(2).filter(|pair| matches!(pair, [b'=', b'?'] | [b'*', _])).count()
}

/// Whether one of the [`DECODED`] headers is named. As the parser does, this looks past blanks within a name.
fn has_decoded_header(line: &[u8]) -> bool {
    line.iter().enumerate().filter(|(_, byte)| **byte == b':').any(|(colon, _)| {
        let before = line.get(..colon).unwrap_or_default();
        DECODED.iter().any(|name| {
            let mut letters = before.iter().rev().filter(|byte| !byte.is_ascii_whitespace());
            name.bytes().rev().all(|own| letters.next().is_some_and(|byte| byte.eq_ignore_ascii_case(&own)))
        })
    })
}
