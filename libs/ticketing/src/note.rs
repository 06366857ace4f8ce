//! Notes on tickets: the markers that tell ours from people's, and the recogniser of each kind.
//!
//! Bruin's notes are the memory of what was done to a ticket, so these texts are read by this and other services
//! (spec `service-outage-monitor`, "Formats").

use chrono::{DateTime, Utc};
use contracts::id::Serial;

/// The first line of every note which the engine writes.
pub const MARKER: &str = "#*MetTel's IPA*#";
/// The first line of notes which earlier versions wrote; still read, never written.
pub const OLD_MARKER: &str = "#*Automation Engine*#";
/// The second line of a triage note.
pub const TRIAGE: &str = "Triage (VeloCloud)";
/// The second line of a re-open note.
pub const REOPENING: &str = "Re-opening ticket.";

/// A note of a ticket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Its text.
    pub text: String,
    /// The lines it belongs to; none = the whole ticket (or, from Bruin, null).
    pub serials: Vec<Serial>,
    /// When it was written; unknown when Bruin gave none or something unreadable.
    pub created: Option<DateTime<Utc>>,
}

impl Note {
    /// Whether it belongs to the line of `serial`.
    pub fn concerns(&self, serial: &Serial) -> bool {
        self.serials.contains(serial)
    }

    /// A triage note, one of its further pages, or a note of events.
    pub fn is_triage(&self) -> bool {
        self.is_ours_about(TRIAGE)
    }

    /// A note which documents that the line was re-opened.
    pub fn is_reopening(&self) -> bool {
        self.is_ours_about("Re-opening")
    }

    /// A note which says that the line was resolved by the engine.
    pub fn is_autoresolve(&self) -> bool {
        self.is_ours_about("Auto-resolving detail for serial")
    }

    /// A note about a DiGi unit: a reboot, or a failed one.
    pub fn is_about_digi(&self) -> bool {
        self.text.contains("DiGi")
    }

    /// The interface whose DiGi unit was rebooted: the rest of the first line with `Interface: `, trimmed.
    pub fn digi_interface(&self) -> Option<&str> {
        if !self.is_about_digi() {
            return None;
        }
        self.text
            .lines()
            .find_map(|line| line.split_once("Interface: "))
            .map(|(_, interface)| interface.trim())
    }

    /// Whether it has this text: Bruin may have its own idea of blanks and line ends.
    pub fn says(&self, text: &str) -> bool {
        self.text.split_whitespace().eq(text.split_whitespace())
    }

    /// A note which says that the task went to the ASR queue.
    pub fn is_asr_forward(&self) -> bool {
        self.text.contains("ASR Investigate")
    }

    /// A note which says that the task went to the wireless team.
    pub fn is_wireless_forward(&self) -> bool {
        self.text.contains("Wireless Repair Intervention Needed")
    }

    fn is_ours_about(&self, subject: &str) -> bool {
        [MARKER, OLD_MARKER]
            .iter()
            .filter_map(|marker| self.text.strip_prefix(marker))
            .filter_map(|rest| rest.strip_prefix('\n'))
            .any(|rest| rest.starts_with(subject))
    }
}

/// The creation of the latest of `notes` that is a re-open note, by instant.
pub fn last_reopening<'a>(notes: impl IntoIterator<Item = &'a Note>) -> Option<DateTime<Utc>> {
    notes.into_iter().filter(|note| note.is_reopening()).filter_map(|note| note.created).max()
}

/// The creation of the earliest of `notes` that is a triage note, by instant.
pub fn first_triage<'a>(notes: impl IntoIterator<Item = &'a Note>) -> Option<DateTime<Utc>> {
    notes.into_iter().filter(|note| note.is_triage()).filter_map(|note| note.created).min()
}

/// The notes written since the line was last re-opened; all of them when it never was. A note without a readable date
/// counts as old as soon as there was a re-opening.
pub fn since_last_reopening<'a>(notes: &[&'a Note]) -> Vec<&'a Note> {
    match last_reopening(notes.iter().copied()) {
        None => notes.to_vec(),
        Some(start) => notes
            .iter()
            .copied()
            .filter(|note| note.created.is_some_and(|created| created >= start))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(text: &str) -> Note {
        Note { text: text.into(), serials: vec![Serial::from("VC1")], created: None }
    }

    fn dated(text: &str, at: &str) -> Note {
        Note { created: Some(at.parse().unwrap()), ..note(text) }
    }

    #[test]
    fn notes_are_recognised_by_marker_and_second_line_old_and_new() {
        for marker in [MARKER, OLD_MARKER] {
            assert!(note(&format!("{marker}\nTriage (VeloCloud)\n\nOrchestrator")).is_triage());
            assert!(note(&format!("{marker}\nRe-opening ticket.\n")).is_reopening());
            assert!(note(&format!("{marker}\nRe-opening")).is_reopening());
            assert!(note(&format!("{marker}\nAuto-resolving detail for serial: VC1")).is_autoresolve());
        }
        for other in [
            "Triage (VeloCloud)",
            " #*MetTel's IPA*#\nTriage (VeloCloud)",
            "#*MetTel's IPA*#\n\nTriage (VeloCloud)",
            "#*MetTel's IPA*#Triage (VeloCloud)",
            "#*MetTel's IPA*#\ntriage (velocloud)",
            "#*Somebody*#\nTriage (VeloCloud)",
            "",
        ] {
            assert!(!note(other).is_triage(), "{other}");
        }
        assert!(!note("#*MetTel's IPA*#\nRe-opening ticket.").is_triage());
        assert!(!note("#*MetTel's IPA*#\nTriage (VeloCloud)").is_reopening());
        assert!(!note("See the Auto-resolving detail for serial").is_autoresolve());
    }

    #[test]
    fn digi_asr_and_wireless_notes_are_recognised_by_what_they_contain() {
        let reboot =
            note("#*MetTel's IPA*#\nOffline DiGi interface identified for serial: VC1\nInterface: GE3 \nx");
        assert!(reboot.is_about_digi());
        assert_eq!(reboot.digi_interface(), Some("GE3"));
        assert_eq!(note("#*MetTel's IPA*#\nDiGi reboot failed").digi_interface(), None);
        assert_eq!(note("Interface: GE3").digi_interface(), None);
        assert!(note("Moving task to: ASR Investigate").is_asr_forward());
        assert!(note("Moving task to: Wireless Repair Intervention Needed").is_wireless_forward());
        assert!(!note("Moving task to: HNOC Investigate").is_asr_forward());
    }

    #[test]
    fn notes_are_ordered_by_instant_whatever_the_offset() {
        let earlier = dated("#*MetTel's IPA*#\nTriage (VeloCloud)", "2022-11-06T01:50:00-04:00");
        let later = dated("#*MetTel's IPA*#\nTriage (VeloCloud)", "2022-11-06T01:10:00-05:00");
        assert_eq!(first_triage([&later, &earlier]), earlier.created);
        let reopened = dated("#*MetTel's IPA*#\nRe-opening ticket.", "2022-11-06T01:10:00-05:00");
        let before = dated("#*MetTel's IPA*#\nRe-opening ticket.", "2022-11-06T01:50:00-04:00");
        assert_eq!(last_reopening([&reopened, &before]), reopened.created);
        assert_eq!(last_reopening([&earlier]), None);
    }

    #[test]
    fn a_documentation_cycle_starts_with_the_last_reopening() {
        let old = dated("old", "2022-01-01T00:00:00Z");
        let undated = note("undated");
        let reopened = dated("#*MetTel's IPA*#\nRe-opening ticket.", "2022-01-02T00:00:00Z");
        let new = dated("new", "2022-01-03T00:00:00Z");
        assert_eq!(since_last_reopening(&[&old, &undated, &new]).len(), 3);
        assert_eq!(since_last_reopening(&[&old, &undated, &reopened, &new]), [&reopened, &new]);
    }
}
