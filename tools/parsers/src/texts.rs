//! Texts that people and third parties write: times, notes, mails, settings.

use contracts::id::Serial;
use ticketing::note::{self, Note};
use ticketing::paging;

/// Instants in the spellings of the wire.
pub fn times(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let zone = chrono_tz::US::Eastern;
    let _ = ticketing::time::read(text, zone);
    if let Some(at) = contracts::instant::parse(text) {
        assert_eq!(contracts::instant::parse(&at.to_rfc3339()), Some(at), "what was written can be read");
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

/// Mails, also broken ones.
pub fn mails(bytes: &[u8]) {
    let mail = notifier::mailbox::extract::extract(7, bytes);
    assert!(serde_json::to_string(&mail).is_ok(), "what was read can be sent");
}

/// Settings with a grammar of their own.
pub fn settings(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let _ = upstream::Overrides::parse(text).map(|overrides| overrides.is_empty());
}
