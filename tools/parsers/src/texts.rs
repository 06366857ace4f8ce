//! Texts that people and third parties write: times, notes, mails, settings.

use contracts::id::Serial;
use ticketing::note::{self, Note};
use ticketing::paging;

/// Instants in the spellings of the wire.
pub fn times(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    // Years before 0 and after 9999 are written with a sign, which RFC 3339 does not have.
    let has_rfc3339 = |text: &str| text.starts_with(|first: char| first.is_ascii_digit());
    let zone = chrono_tz::US::Eastern;
    let written = ticketing::time::read(text, zone).map(|at| (at, at.to_rfc3339()));
    if let Some((at, text)) = written.filter(|(_, text)| has_rfc3339(text)) {
        assert_eq!(ticketing::time::read(&text, zone), Some(at), "what was written can be read");
    }
    let written = contracts::instant::parse(text).map(|at| (at, at.to_rfc3339()));
    if let Some((at, text)) = written.filter(|(_, text)| has_rfc3339(text)) {
        assert_eq!(contracts::instant::parse(&text), Some(at), "what was written can be read");
    }
}

/// Notes: every question about one, and its pages, of which none is too long and none loses a line.
pub fn notes(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let pages = paging::pages(&text);
    for page in &pages {
        assert!(page.chars().count() <= paging::PAGE_LIMIT, "a page is too long");
    }
    for line in text.split('\n').filter(|line| line.chars().count() < 400) {
        assert!(pages.iter().any(|page| page.contains(line)), "a line is lost");
    }
    let note = Note { text, serials: vec![Serial::from("VC1")], created: None };
    let _ = (note.is_triage(), note.is_reopening(), note.is_autoresolve(), note.is_about_digi());
    let _ = (note.digi_interface(), note.is_asr_forward(), note.is_wireless_forward());
    let _ =
        (note::first_triage([&note]), note::last_reopening([&note]), note::since_last_reopening(&[&note]));
}

/// Mails, also broken ones: whole, with `\n` for every line end, and with a subject of one line.
pub fn mails(bytes: &[u8]) {
    let mail = notifier::mailbox::extract::extract(7, bytes);
    assert!(!mail.subject.contains(['\r', '\n']), "a subject is one line");
    let message = mail.message.unwrap_or_default();
    assert!(!message.contains('\r'), "lines end by \\n");
    if let Ok(text) = std::str::from_utf8(bytes) {
        assert_eq!(message.replace('\n', ""), text.replace(['\r', '\n'], ""), "a mail is whole");
    }
}

/// Settings with a grammar of their own: every part of a text that is taken counts.
pub fn settings(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(overrides) = upstream::Overrides::parse(text) else { return };
    let mut parts = text.split(',').filter(|part| !part.trim().is_empty()).peekable();
    assert_eq!(overrides.is_empty(), parts.peek().is_none(), "only empty text overrides nothing");
    for part in parts {
        let host = part.split('=').next().unwrap_or_default().trim();
        assert!(overrides.get(host).is_some(), "{host} is overridden");
    }
}
