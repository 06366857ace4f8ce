//! IMAP commands as words, and the searches and sets among them.

use chrono::NaiveDate;

use crate::world::mailbox::StoredMail;

/// A word of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Word {
    /// An atom or a quoted string.
    Text(String),
    /// `(`
    Open,
    /// `)`
    Close,
}

impl Word {
    /// The text; brackets have none.
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Text(text) => text,
            Self::Open | Self::Close => "",
        }
    }
}

/// Splits the arguments of a command. `None` when a quoted string does not end.
pub(super) fn words(arguments: &str) -> Option<Vec<Word>> {
    let mut words = Vec::new();
    let mut rest = arguments.chars().peekable();
    while let Some(&next) = rest.peek() {
        match next {
            ' ' => drop(rest.next()),
            '(' | ')' => {
                rest.next();
                words.push(if next == '(' { Word::Open } else { Word::Close });
            }
            '"' => {
                rest.next();
                let mut text = String::new();
                loop {
                    match rest.next()? {
                        '"' => break,
                        '\\' => text.push(rest.next()?),
                        other => text.push(other),
                    }
                }
                words.push(Word::Text(text));
            }
            _ => {
                // Brackets belong to an item's name, as in BODY.PEEK[HEADER.FIELDS (FROM)].
                let mut text = String::new();
                let mut inside = false;
                while let Some(&next) = rest.peek() {
                    if !inside && matches!(next, ' ' | '(' | ')') {
                        break;
                    }
                    inside = (inside || next == '[') && next != ']';
                    text.push(next);
                    rest.next();
                }
                words.push(Word::Text(text));
            }
        }
    }
    Some(words)
}

/// Numbers of a set such as `1:3,7,9:*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Set(Vec<(u32, u32)>);

impl Set {
    /// Reads a set; `None` when it is none.
    pub(super) fn read(text: &str) -> Option<Self> {
        let number =
            |text: &str| if text == "*" { Some(u32::MAX) } else { text.parse().ok().filter(|n| *n > 0) };
        text.split(',')
            .map(|range| match range.split_once(':') {
                Some((from, to)) => {
                    let (from, to) = (number(from)?, number(to)?);
                    Some((from.min(to), from.max(to)))
                }
                None => number(range).map(|one| (one, one)),
            })
            .collect::<Option<Vec<_>>>()
            .map(Self)
    }

    /// Whether a number is in it; `last` is what `*` means.
    pub(super) fn contains(&self, number: u32, last: u32) -> bool {
        self.0.iter().any(|(from, to)| ((*from).min(last)..=*to).contains(&number))
    }
}

/// A condition of SEARCH.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Key {
    /// Every mail.
    All,
    /// With or without the flag `\Seen`.
    Seen(bool),
    /// Arrived on this day or later.
    Since(NaiveDate),
    /// Arrived before this day.
    Before(NaiveDate),
    /// A header contains the text, in any case.
    Header(String, String),
    /// With one of these UIDs.
    Uid(Set),
}

/// Reads search keys, all of which must hold. `None` for what is not understood.
pub(super) fn search_keys(words: &[Word]) -> Option<Vec<Key>> {
    let mut keys = Vec::new();
    // Parentheses group keys which must all hold; so do keys without.
    let mut words = words.iter().filter_map(|word| match word {
        Word::Text(text) => Some(text.as_str()),
        Word::Open | Word::Close => None,
    });
    while let Some(name) = words.next() {
        keys.push(match name.to_ascii_uppercase().as_str() {
            "ALL" => Key::All,
            "UNSEEN" => Key::Seen(false),
            "SEEN" => Key::Seen(true),
            "SINCE" => Key::Since(date(words.next()?)?),
            "BEFORE" => Key::Before(date(words.next()?)?),
            "FROM" => Key::Header("from".to_owned(), words.next()?.to_owned()),
            "TO" => Key::Header("to".to_owned(), words.next()?.to_owned()),
            "SUBJECT" => Key::Header("subject".to_owned(), words.next()?.to_owned()),
            "HEADER" => Key::Header(words.next()?.to_ascii_lowercase(), words.next()?.to_owned()),
            "UID" => Key::Uid(Set::read(words.next()?)?),
            _ => return None,
        });
    }
    (!keys.is_empty()).then_some(keys)
}

fn date(text: &str) -> Option<NaiveDate> {
    NaiveDate::parse_from_str(text, "%d-%b-%Y").ok()
}

impl Key {
    /// Whether a mail fulfils it.
    pub(super) fn matches(&self, mail: &StoredMail) -> bool {
        match self {
            Self::All => true,
            Self::Seen(seen) => mail.seen == *seen,
            Self::Since(day) => mail.at.date_naive() >= *day,
            Self::Before(day) => mail.at.date_naive() < *day,
            Self::Header(name, part) => header(&mail.raw, name).contains(&part.to_ascii_lowercase()),
            Self::Uid(set) => set.contains(mail.uid, u32::MAX),
        }
    }
}

/// A header's text in lower case, folded lines joined; empty when there is none.
fn header(raw: &[u8], name: &str) -> String {
    let text = String::from_utf8_lossy(raw);
    let mut value = String::new();
    let mut inside = false;
    for line in text.lines().take_while(|line| !line.is_empty()) {
        if line.starts_with([' ', '\t']) {
            if inside {
                value.push_str(line);
            }
        } else {
            let field = line.split_once(':').filter(|(field, _)| field.eq_ignore_ascii_case(name));
            inside = field.is_some();
            value.push_str(field.map_or("", |(_, text)| text));
        }
    }
    value.to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{TimeZone, Utc};

    fn keys(text: &str) -> Option<Vec<Key>> {
        search_keys(&words(text)?)
    }

    fn mail() -> StoredMail {
        let raw = "Subject: a\r\nFrom: Fraud Desk\r\n <FRAUD@example.com>\r\n\r\nFrom: other@example.com\r\n";
        StoredMail {
            uid: 7,
            at: Utc.with_ymd_and_hms(2021, 11, 20, 23, 0, 0).unwrap(),
            seen: false,
            raw: raw.into(),
        }
    }

    #[test]
    fn searches_are_read_with_and_without_brackets() {
        let bare = keys(r#"UNSEEN SINCE 20-Nov-2021 FROM "fraud@example.com""#).unwrap();
        let bracketed = keys(r#"(UNSEEN) (SINCE "20-Nov-2021") (FROM "fraud@example.com")"#).unwrap();
        assert_eq!(bare, bracketed);
        assert!(bare.iter().all(|key| key.matches(&mail())));
        for unreadable in ["", "SINCE yesterday", "FROM", r#"FROM "open"#, "NOVELTY"] {
            assert_eq!(keys(unreadable), None, "{unreadable}");
        }
    }

    #[test]
    fn each_key_excludes_what_it_should() {
        for (text, matches) in [
            ("ALL", true),
            ("SEEN", false),
            ("SINCE 21-Nov-2021", false),
            ("BEFORE 21-Nov-2021", true),
            ("FROM desk", true),
            ("FROM other", false),
            ("SUBJECT A", true),
            ("UID 1:6,8", false),
            ("UID 5:*", true),
        ] {
            assert_eq!(keys(text).unwrap().iter().all(|key| key.matches(&mail())), matches, "{text}");
        }
    }

    #[test]
    fn sets_know_ranges_and_the_last_one() {
        let set = Set::read("1:2,9:*").unwrap();
        assert!(set.contains(2, 20) && !set.contains(3, 20) && set.contains(15, 20));
        assert!(Set::read("30:*").unwrap().contains(20, 20), "a range to * holds the last number at least");
        for none in ["", "a", "0", "1,", "1:"] {
            assert_eq!(Set::read(none), None, "{none}");
        }
    }

    #[test]
    fn item_names_keep_their_brackets() {
        let words = words(r"(UID BODY.PEEK[HEADER.FIELDS (FROM)] FLAGS)").unwrap();
        let texts: Vec<_> = words.iter().map(Word::text).collect();
        assert_eq!(texts, ["", "UID", "BODY.PEEK[HEADER.FIELDS (FROM)]", "FLAGS", ""]);
    }
}
