//! Cutting a long note into pages.

use crate::note::{MARKER, TRIAGE};

/// A note of fewer characters than this is one note; no page is longer, header and footer included.
pub const PAGE_LIMIT: usize = 1_500;
/// A page is full when its text first exceeds this many characters.
const FULL: usize = 1_000;

/// The pages of a triage or re-open note, to be appended in order (spec `service-outage-monitor`, "Formats" 2 with
/// "Improve" 8).
///
/// Lines are collected until the text exceeds 1,000 characters, or until one more would take the page beyond 1,500;
/// then the page ends with `Triage note: {k}/{n}`, `n` being the real number of pages. Every page but the first starts
/// with the marker and the title of a triage note, so that readers recognise it.
pub fn pages(note: &str) -> Vec<String> {
    if note.chars().count() < PAGE_LIMIT {
        return vec![note.to_owned()];
    }
    let mut digits = 1;
    loop {
        let bodies = split(note, footer_room(digits));
        if bodies.len().to_string().len() <= digits {
            let count = bodies.len();
            return (1..).zip(bodies).map(|(k, body)| format!("{body}Triage note: {k}/{count}")).collect();
        }
        digits += 1;
    }
}

fn footer_room(digits: usize) -> usize {
    "Triage note: /".len() + 2 * digits
}

fn split(note: &str, footer: usize) -> Vec<String> {
    let header = format!("{MARKER}\n{TRIAGE}\n");
    let room = PAGE_LIMIT - footer;
    let mut pages = Vec::new();
    let mut page = String::new();
    let mut length = 0;
    let mut empty = true;
    for line in note.split('\n') {
        for piece in pieces(line, room - header.chars().count() - 1) {
            let piece_length = piece.chars().count() + 1;
            if !empty && (length > FULL || length + piece_length > room) {
                pages.push(std::mem::replace(&mut page, header.clone()));
                length = header.chars().count();
            }
            page.push_str(piece);
            page.push('\n');
            length += piece_length;
            empty = false;
        }
    }
    pages.push(page);
    pages
}

/// A line, or its parts when it alone is longer than a page.
fn pieces(line: &str, limit: usize) -> Vec<&str> {
    let mut rest = line;
    let mut pieces = Vec::new();
    while let Some((at, _)) = rest.char_indices().nth(limit) {
        let (head, tail) = rest.split_at(at);
        pieces.push(head);
        rest = tail;
    }
    pieces.push(rest);
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HEADER: &str = "#*MetTel's IPA*#\nTriage (VeloCloud)\n";

    /// The note that `pages` carry together.
    fn joined(pages: &[String]) -> String {
        let count = pages.len();
        let mut note = String::new();
        for (index, page) in pages.iter().enumerate() {
            let body = page.strip_suffix(&format!("Triage note: {}/{count}", index + 1)).expect("a footer");
            note.push_str(if index == 0 { body } else { body.strip_prefix(HEADER).expect("a header") });
        }
        note.strip_suffix('\n').expect("a line end").to_owned()
    }

    fn note_of(length: usize, line: usize) -> String {
        let mut note = format!("{HEADER}\n");
        while note.len() < length {
            note.push_str(&"x".repeat((length - note.len()).min(line).saturating_sub(1)));
            note.push('\n');
        }
        note.truncate(length - 1);
        note.push('y');
        note
    }

    #[test]
    fn a_note_below_1500_characters_is_one_page_without_footer() {
        let note = note_of(1_499, 60);
        assert_eq!(pages(&note), [note]);
    }

    #[test]
    fn a_note_of_1500_characters_has_two_pages() {
        assert_eq!(pages(&note_of(1_500, 60)).len(), 2);
    }

    #[test]
    fn a_note_of_2340_characters_has_three_pages_and_the_first_ends_when_it_exceeds_1000() {
        let note = note_of(2_340, 60);
        let pages = pages(&note);
        assert_eq!(pages.len(), 3);
        let first = pages[0].strip_suffix("\nTriage note: 1/3").unwrap();
        assert!(first.len() > 999 && first.len() <= 1_000 + 60, "{}", first.len());
        assert_eq!(joined(&pages), note);
    }

    #[test]
    fn a_last_line_that_occurs_earlier_is_not_lost() {
        let note = format!("{}\nInterface GE1\n{}\nInterface GE1", note_of(900, 50), note_of(900, 50));
        assert_eq!(joined(&pages(&note)), note);
    }

    #[test]
    fn more_than_nine_pages_are_numbered_with_the_real_count() {
        let note = note_of(25_000, 80);
        let pages = pages(&note);
        assert!(pages.len() > 9);
        assert!(pages.iter().all(|page| page.chars().count() <= PAGE_LIMIT));
        assert_eq!(joined(&pages), note);
    }

    #[test]
    fn a_line_longer_than_a_page_is_cut() {
        let note = format!("{HEADER}\n{}", "ä".repeat(4_000));
        let pages = pages(&note);
        assert!(pages.iter().all(|page| page.chars().count() <= PAGE_LIMIT));
        assert_eq!(joined(&pages).replace('\n', ""), note.replace('\n', ""));
    }

    proptest! {
        #[test]
        fn no_page_is_too_long_and_nothing_is_lost(lines in prop::collection::vec("[a-zäß ]{0,300}", 1..60)) {
            let note = lines.join("\n");
            let pages = pages(&note);
            prop_assert!(pages.iter().all(|page| page.chars().count() <= PAGE_LIMIT));
            if pages.len() == 1 {
                prop_assert_eq!(&pages[0], &note);
            } else {
                prop_assert_eq!(joined(&pages), note);
            }
        }
    }
}
