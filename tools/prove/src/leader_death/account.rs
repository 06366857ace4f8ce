//! What the third parties know of an edge, in a form that runs on other edges and at other times can be compared with.

use sandbox::World;

/// Notes by what they are about; any other is told as it is.
const KINDS: [&str; 6] = [
    "Auto-resolving detail",
    "Offline DiGi interface identified",
    "Changing to Severity",
    "Moving task to: ASR Investigate",
    "Re-opening ticket.",
    "Triage (VeloCloud)",
];

/// All that the third parties know of an edge.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Account {
    /// Its tickets with severity, resolution, queue and notes, and its reboots; sorted, without numbers and times.
    pub lines: Vec<String>,
    /// How many tickets there are.
    pub tickets: usize,
    /// How many notes; of pages there are as many as the edge's links need.
    pub notes: usize,
    /// How many reboots.
    pub reboots: usize,
}

impl Account {
    /// That of the edge with this serial number.
    pub(super) fn of(world: &World, serial: &str) -> Self {
        let mut account = Self::default();
        for ticket in world.tickets_of(serial) {
            account.tickets += 1;
            account.notes += ticket.notes.len();
            let line = ticket.line_of(serial).map_or_else(
                || "without its line".to_owned(),
                |line| format!("resolved: {}, {}", line.resolved, line.queue.name.trim()),
            );
            account.lines.push(format!("a ticket of severity {}, {line}", ticket.severity));
            let notes: Vec<&str> = ticket.notes.iter().map(|note| note.value.as_str()).collect();
            account.lines.extend(told(&notes));
        }
        let reboots: Vec<String> = world.read_outbox(|outbox| {
            let of_it = outbox.reboots.iter().filter(|reboot| reboot.serial == serial);
            of_it.map(|reboot| format!("a reboot: {}", reboot.outcome)).collect()
        });
        account.reboots = reboots.len();
        account.lines.extend(reboots);
        account.lines.sort();
        account
    }

    /// What is in `self` and not in `other`, each as often as it is there more often.
    pub(super) fn without(&self, other: &Self) -> Vec<String> {
        let mut others = other.lines.clone();
        let mut left = Vec::new();
        for line in &self.lines {
            match others.iter().position(|other| other == line) {
                Some(place) => drop(others.swap_remove(place)),
                None => left.push(line.clone()),
            }
        }
        left
    }
}

/// The notes of a ticket. How many pages a note has is a matter of the edge; that each is there once is none.
fn told(notes: &[&str]) -> Vec<String> {
    let (mut all, mut wanted, mut further) = (Vec::new(), Vec::new(), Vec::new());
    for &note in notes {
        let kind = KINDS.into_iter().find(|kind| note.contains(kind)).unwrap_or(note);
        match page(note) {
            Some((1, pages)) => {
                all.push(format!("a note: {kind}, first of its pages"));
                wanted.extend((2..=pages).map(|page| (page, pages)));
            }
            Some(page) => further.push(page),
            None => all.push(format!("a note: {kind}")),
        }
    }
    wanted.sort_unstable();
    further.sort_unstable();
    let whole = if further == wanted { "each once" } else { "not each once" };
    all.push(format!("further pages: {whole}"));
    all
}

/// Which page of how many a note is.
fn page(note: &str) -> Option<(usize, usize)> {
    let (page, pages) = note.lines().last()?.strip_prefix("Triage note: ")?.split_once('/')?;
    Some((page.parse().ok()?, pages.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = "#*MetTel's IPA*#\nTriage (VeloCloud)\nTriage note: 1/3";

    #[test]
    fn pages_are_told_by_whether_each_is_there_once() {
        let (second, third) = ("a\nTriage note: 2/3", "b\nTriage note: 3/3");
        let whole = ["a note: Triage (VeloCloud), first of its pages", "further pages: each once"];
        assert_eq!(told(&[FIRST, second, third]), whole);
        for torn in [&[FIRST, second][..], &[FIRST, second, third, third], &[second, third]] {
            assert!(told(torn).contains(&"further pages: not each once".to_owned()), "{torn:?}");
        }
        assert_ne!(told(&[FIRST, FIRST, second, third]), whole);
        assert_eq!(told(&["by hand"]), ["a note: by hand", "further pages: each once"]);
    }

    #[test]
    fn what_is_there_twice_is_a_difference() {
        let of = |lines: &[&str]| Account {
            lines: lines.iter().map(ToString::to_string).collect(),
            ..Account::default()
        };
        let (once, twice) = (of(&["note", "reboot"]), of(&["note", "note", "reboot"]));
        assert_eq!(twice.without(&once), ["note"]);
        assert!(once.without(&twice).is_empty());
    }
}
