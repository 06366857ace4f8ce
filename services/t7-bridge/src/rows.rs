//! Rows of task histories: from Bruin's spelling of the keys to that of the model's contract (spec, "Key normalisation").
//! Pure.

use contracts::t7::TicketRow;
use serde_json::Value;

/// The rows with their keys normalised. Of keys that become the same the later one wins; those which the contract does not
/// have are dropped when it is applied.
pub fn normalised(rows: Vec<TicketRow>) -> Value {
    let row = |row: TicketRow| -> Value {
        Value::Object(row.into_iter().map(|(key, value)| (field(&key), value)).collect())
    };
    rows.into_iter().map(row).collect()
}

/// A key with more letters than this is no field of the contract, and what cutting it into words costs grows with the
/// square of its length: a request may not keep the bridge busy for minutes with one key.
const LONGEST: usize = 64;

/// The field that a key stands for, e.g. `note_entered_by` for `Note Entered By`.
pub fn field(key: &str) -> String {
    let letters: Vec<char> = key.chars().filter(|letter| letter.is_alphanumeric()).collect();
    if letters.len() > LONGEST {
        return lower(&letters);
    }
    let mut cased = letters.iter().filter(|letter| letter.is_uppercase() || letter.is_lowercase()).peekable();
    let shouted = cased.peek().is_some() && cased.all(|letter| letter.is_uppercase());
    let number = letters.iter().all(|letter| letter.is_numeric());
    if shouted || number {
        return lower(&letters);
    }
    let letters = without_acronyms(&letters);
    words(&letters).into_iter().map(lower).collect::<Vec<_>>().join("_")
}

fn lower(letters: &[char]) -> String {
    letters.iter().flat_map(|letter| letter.to_lowercase()).collect()
}

/// `HTTPServer` becomes `HttpServer`: of capitals before a capitalised word only the first stays.
fn without_acronyms(letters: &[char]) -> Vec<char> {
    let capital = |at: usize| letters.get(at).is_some_and(|letter| letter.is_uppercase());
    let small = |at: usize| letters.get(at).is_some_and(|letter| letter.is_lowercase());
    // Inside of a run: a capital before and after it; of the run, a small letter comes after its last capital.
    let in_acronym = |at: usize| {
        let end = (at..letters.len()).find(|at| !capital(*at)).unwrap_or(letters.len());
        at > 0 && capital(at - 1) && capital(at) && capital(at + 1) && small(end)
    };
    let written = |(at, letter): (usize, &char)| {
        let lower = letter.to_lowercase().next().filter(|_| in_acronym(at));
        lower.unwrap_or(*letter)
    };
    letters.iter().enumerate().map(written).collect()
}

/// Cuts into words: capitals or digits followed by other letters, and what lies between such words.
fn words(letters: &[char]) -> Vec<&[char]> {
    let mut words = Vec::new();
    let mut between = 0; // where the text begins that is in no word yet
    let mut at = 0;
    while at < letters.len() {
        let Some(end) = word_end(letters, at) else {
            at += 1;
            continue;
        };
        words.extend(letters.get(between..at).filter(|text| !text.is_empty()));
        words.extend(letters.get(at..end));
        (between, at) = (end, end);
    }
    words.extend(letters.get(between..).filter(|text| !text.is_empty()));
    words
}

/// Where the word ends that begins at `start`; `None`: none begins there.
fn word_end(letters: &[char], start: usize) -> Option<usize> {
    let is = |at: usize, kind: fn(&char) -> bool| letters.get(at).is_some_and(kind);
    let head = |letter: &char| letter.is_uppercase() || letter.is_numeric();
    let tail = |letter: &char| !letter.is_uppercase();
    let head_end = (start..letters.len()).find(|at| !is(*at, head)).unwrap_or(letters.len());
    // The head takes what it can, but leaves at least one letter, a digit if need be, to the tail.
    let tail_start = (start + 1..=head_end).rev().find(|at| is(*at, tail))?;
    Some((tail_start..letters.len()).find(|at| !is(*at, tail)).unwrap_or(letters.len()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn keys_become_fields_as_the_specification_says() {
        for (key, expected) in [
            ("Asset", "asset"),
            ("Product", "product"),
            ("EnteredDate", "entered_date"),
            ("Notes", "notes"),
            ("Task Result", "task_result"),
            ("ClientName", "client_name"),
            ("City", "city"),
            ("State", "state"),
            ("Zip", "zip"),
            ("EnteredDate_N", "entered_date_n"),
            ("Note Entered By", "note_entered_by"),
            ("Ticket Entered Date", "ticket_entered_date"),
            ("CallTicketID", "call_ticket_id"),
            ("Initial Note @ Ticket Creation", "initial_note_ticket_creation"),
            ("DetailID", "detail_id"),
            ("Address1", "address1"),
            ("Address2", "address2"),
            ("Site Name", "site_name"),
            ("NoteType", "note_type"),
            ("Note Entered Date", "note_entered_date"),
            ("Task Assigned To", "task_assigned_to"),
            ("Task", "task"),
            ("SLA", "sla"),
            ("Ticket Status", "ticket_status"),
            ("HTTPServerID", "http_server_id"),
            ("HTTPServer", "http_server"),
            ("id2Name", "id_2name"),
            ("SLA_N", "slan"),
            ("ID", "id"),
            ("A1B", "a1b"),
            // Snake case loses its underscores.
            ("task_result", "taskresult"),
            ("asset", "asset"),
            ("notes", "notes"),
            // The corners of the rules.
            ("", ""),
            ("_ @", ""),
            ("2021", "2021"),
            ("12_3", "123"),
            ("aB12", "a_b12"),
            ("a12", "a_12"),
            ("a1", "a1"),
            ("aB1C", "a_b1_c"),
            ("ABc", "abc"),
            ("IsABc", "is_abc"),
            ("XMLHttpURL", "xml_http_url"),
            ("Équipe N", "équipe_n"),
        ] {
            assert_eq!(field(key), expected, "{key:?}");
        }
    }

    #[test]
    fn a_key_too_long_for_any_field_is_not_cut_into_words() {
        let (fits, long) = (format!("A{}", "b".repeat(LONGEST - 2)), "Ab".repeat(LONGEST));
        assert_eq!(field(&format!("{fits}C")), format!("{}_c", fits.to_lowercase()));
        assert_eq!(field(&long), long.to_lowercase());
        // Looked at letter by letter, this one would take hours.
        assert_eq!(field(&format!("a{}", "B".repeat(1_000_000))).len(), 1_000_001);
    }

    #[test]
    fn of_keys_that_become_the_same_the_later_one_wins() {
        let rows = json!([{"Task Result": "old", "Asset": "VC1", "TaskResult": "new"}, {}]);
        let rows = rows.as_array().unwrap().iter().map(|row| row.as_object().unwrap().clone()).collect();
        assert_eq!(normalised(rows), json!([{"task_result": "new", "asset": "VC1"}, {}]));
    }

    proptest! {
        #[test]
        fn any_key_is_survived_and_no_letter_lost(key in "\\PC{0,40}") {
            let letters: String = key.chars().filter(|letter| letter.is_alphanumeric()).flat_map(char::to_lowercase).collect();
            prop_assert_eq!(field(&key).replace('_', ""), letters);
        }
    }
}
