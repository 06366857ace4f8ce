//! What must never reach a log: secrets, tokens, cookies, e-mail addresses, phone numbers (spec `00-messaging`,
//! "Redaction").
//!
//! Two nets, both applied to every log record:
//! - values known to be secret ([`hide`]; every secret setting is hidden as it is read);
//! - patterns: `authorization: ...`, `Bearer ...`, `password=...`, cookies, e-mail addresses, formatted phone numbers.
//!
//! Business keys stay readable: ticket and client ids, serial numbers, instants, addresses of machines.

use std::borrow::Cow;
use std::sync::LazyLock;

use parking_lot::RwLock;
use regex::{Captures, Match, Regex};

/// Stands in a text where something was taken out.
pub const REDACTED: &str = "[redacted]";

/// Shorter secrets are not searched for: they would blacken half of every line.
const SHORTEST: usize = 6;

/// The secrets of this process, longest first so that one which contains another goes whole.
static SECRETS: RwLock<Vec<String>> = RwLock::new(Vec::new());

/// From now on `secret` is taken out of every log record of this process. Ignored when shorter than 6 characters.
pub fn hide(secret: &str) {
    let secret = secret.trim();
    if secret.len() < SHORTEST {
        return;
    }
    let mut secrets = SECRETS.write();
    if !secrets.iter().any(|known| known == secret) {
        let at = secrets.partition_point(|known| known.len() >= secret.len());
        secrets.insert(at, secret.to_owned());
    }
}

/// `text` without anything that must not be logged.
pub fn redact(text: &str) -> Cow<'_, str> {
    let mut text = without_secrets(text);
    if text.len() < SHORTEST {
        return text;
    }
    replace(&mut text, &KEYED, |found: &Captures<'_>| {
        format!("{}{REDACTED}", found.get(1).map_or("", |lead| lead.as_str()))
    });
    replace(&mut text, &SCHEME, |found: &Captures<'_>| {
        let part = |index| found.get(index).map_or("", |part: Match<'_>| part.as_str());
        // "basic checks" is prose: a short word in lower case is no credential.
        if part(2).len() < 16 && part(2).bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'.') {
            return part(0).to_owned();
        }
        format!("{} {REDACTED}", part(1))
    });
    replace(&mut text, &USER_INFO, |_: &Captures<'_>| format!("://{REDACTED}@"));
    replace(&mut text, &JWT, |_: &Captures<'_>| REDACTED.to_owned());
    if text.contains('@') || text.contains("%40") {
        replace(&mut text, &E_MAIL, |_: &Captures<'_>| REDACTED.to_owned());
    }
    replace(&mut text, &PHONE, |_: &Captures<'_>| REDACTED.to_owned());
    text
}

/// Whether a field of this name is never logged, whatever it holds, e.g. `password` or `X-Api-Key`.
pub fn is_secret_name(name: &str) -> bool {
    SECRET_NAME.as_ref().is_some_and(|pattern| pattern.is_match(name))
}

/// The beginning of `text`, redacted and at most `characters` long; for texts of third parties.
pub fn shortened(text: &str, characters: usize) -> String {
    let clean = redact(text);
    match clean.char_indices().nth(characters) {
        None => clean.into_owned(),
        Some((end, _)) => format!("{}...", clean.get(..end).unwrap_or_default()),
    }
}

fn without_secrets(text: &str) -> Cow<'_, str> {
    let mut text = Cow::Borrowed(text);
    for secret in SECRETS.read().iter() {
        if text.contains(secret.as_str()) {
            text = Cow::Owned(text.replace(secret.as_str(), REDACTED));
        }
    }
    text
}

fn replace(text: &mut Cow<'_, str>, pattern: &Pattern, with: impl FnMut(&Captures<'_>) -> String) {
    let Some(pattern) = &**pattern else { return };
    if let Cow::Owned(changed) = pattern.replace_all(text, with) {
        *text = Cow::Owned(changed);
    }
}

type Pattern = LazyLock<Option<Regex>>;

/// The patterns are constants which a test compiles; `None` cannot happen outside of it.
macro_rules! pattern {
    ($(#[$doc:meta])* $name:ident = $($part:expr),+) => {
        $(#[$doc])*
        static $name: Pattern = LazyLock::new(|| Regex::new(concat!($($part),+)).ok());
    };
}

/// Words which name a secret.
macro_rules! secret_words {
    () => {
        r"(?:proxy-)?authorization|password|passwd|passphrase|pwd|(?:client|shared|access)?[_-]?secret(?:[_-]?key)?|(?:x-)?api[_-]?key|access[_-]?key|private[_-]?key|signature|(?:access|refresh|id|auth|session|security|bearer|csrf|xsrf|x-auth)[_-]?token|token|credentials?|(?:set-)?cookie|session[_-]?id|velocloud\.session"
    };
}

pattern! {
    /// `name=value`, `name: value`, `"name": "value"`, with the name's end in group 1 to be kept. A quoted value goes whole
    /// (also when the text was cut before its end), a bare one up to the next separator, cookies all of them.
    KEYED = r#"(?i)((?:"#, secret_words!(), r#")\\?["']?[ \t]*(?:=>|[:=])[ \t]*)"#,
        r#"(?:\\"(?:[^"\\]|\\[^"])*(?:\\"|\\?$)|"(?s:[^"\\]|\\.)*(?:"|\\?$)|'[^']*(?:'|$)|"#,
        r#"\\?["']?(?:bearer|basic|digest|token)[ \t]+[^ \t\r\n,;"'&}]+|\\?["'][^ \t\r\n,;}]*|"#,
        r#"[^ \t\r\n,;"'&})\]]+(?:;[ \t]*[A-Za-z0-9_.-]+=[^ \t\r\n,;"']*)*)"#
}
pattern! {
    /// `Bearer abc`, `Basic abc`: the scheme in group 1 is kept.
    SCHEME = r"(?i-u)\b(bearer|basic|digest)[ \t]+([A-Za-z0-9+/=._~-]{6,})"
}
pattern! {
    /// `scheme://user:password@host`.
    USER_INFO = r#"://[^ \t\r\n/@"']+@"#
}
pattern! {
    /// A JSON web token on its own.
    JWT = r"(?-u)\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*)?"
}
pattern! {
    /// An e-mail address, also URL encoded.
    E_MAIL = r"(?i-u)[a-z0-9._%+'-]*[a-z0-9_%+'-](?:@|%40)[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)+"
}
pattern! {
    /// Phone numbers as people write them: with a country code (`+1 555 010 0123`), or ten digits in groups
    /// (`(555) 010-0123`, `555.010.0123`). Plain digits are ids.
    PHONE = r"(?-u)\+[1-9](?:[ ().-]{0,2}[0-9]){8,14}\b|\([0-9]{3}\) ?[0-9]{3}[ .-]?[0-9]{4}\b|\b(?:1[ .-])?[0-9]{3}(?:-[0-9]{3}-|\.[0-9]{3}\.| [0-9]{3} | [0-9]{3}-)[0-9]{4}\b"
}
pattern! {
    /// A field's name, whole or as the last words of it.
    SECRET_NAME = r"(?i-u)(?:(?:", secret_words!(), r")|(?:^|[._-])(?:e?-?mail(?:[_-]?address)?|phone(?:[_-]?number)?|recipients?|contact(?:[_-]?name)?|note[_-]?text))$"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_compiles() {
        let patterns = [&KEYED, &SCHEME, &USER_INFO, &JWT, &E_MAIL, &PHONE, &SECRET_NAME];
        assert!(patterns.iter().all(|pattern| pattern.is_some()));
    }
}
