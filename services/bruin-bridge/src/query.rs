//! Query parameters: forwarded filters and their names (spec `bruin-bridge`, "PascalCase rule").

use contracts::bruin::{Filter, Filters};
use upstream::Call;

/// Filters under the names that Bruin knows. Of two which get the same name the last counts.
pub(crate) fn forwarded(filters: Filters) -> Filters {
    filters.into_iter().map(|(name, filter)| (pascal_case(&name), filter)).collect()
}

/// The call with these parameters; several values repeat a parameter.
pub(crate) fn with_query(call: Call, filters: impl IntoIterator<Item = (String, Filter)>) -> Call {
    filters.into_iter().fold(call, |call, (name, filter)| {
        filter.values().iter().fold(call, |call, value| call.query(name.as_str(), value))
    })
}

/// The PascalCase rule of the existing deployment, its odd corners included: words begin with a capital and lose their
/// separators, names in capitals stay, and a one-letter word keeps the separator behind it, because each separator
/// needs a letter in front of it that no earlier separator has used.
pub(crate) fn pascal_case(name: &str) -> String {
    plain_pascal_case(name).unwrap_or_else(|| odd_pascal_case(name))
}

/// The rule for what nearly all names are: words of two or more small letters, joined by one underscore each.
fn plain_pascal_case(name: &str) -> Option<String> {
    let mut out = String::with_capacity(name.len());
    for word in name.split('_') {
        let (first, rest) = word.split_at_checked(1)?;
        if rest.is_empty() || !word.bytes().all(|letter| letter.is_ascii_lowercase()) {
            return None;
        }
        out.push_str(first);
        out.push_str(rest);
        let from = out.len() - word.len();
        out.get_mut(from..=from)?.make_ascii_uppercase();
    }
    Some(out)
}

/// The rule for every name.
fn odd_pascal_case(name: &str) -> String {
    let words = capitalised_words(name);
    if is_upper(&words) || (!words.is_empty() && words.chars().all(char::is_numeric)) {
        return words;
    }
    let mut letters: Vec<char> = words.chars().collect();
    let acronym = is_upper(&letters.iter().take(2).collect::<String>());
    if let (Some(first), false) = (letters.first_mut(), acronym) {
        *first = first.to_lowercase().next().unwrap_or(*first);
    }
    capitalised(&joined(&letters))
}

/// Every word with a capital first letter.
fn capitalised_words(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut inside = false;
    for letter in name.chars() {
        if is_separator(letter) || inside {
            out.push(letter);
        } else {
            out.extend(letter.to_uppercase());
        }
        inside = !is_separator(letter);
    }
    out
}

/// Words joined: `xx_yy` becomes `xxYy`. The letters on both sides of a separator are used up by it.
fn joined(letters: &[char]) -> String {
    let mut out = String::with_capacity(letters.len());
    let mut rest = letters;
    while let Some((&letter, after)) = rest.split_first() {
        out.push(letter);
        rest = after;
        let gap = after.iter().take_while(|letter| is_separator(**letter)).count();
        if is_separator(letter) || gap == 0 {
            continue;
        }
        if let Some((next, behind)) = after.get(gap..).and_then(<[char]>::split_first) {
            out.extend(next.to_uppercase());
            rest = behind;
        }
    }
    out
}

fn capitalised(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn is_separator(letter: char) -> bool {
    letter == '_' || letter == '-' || letter.is_whitespace()
}

/// Whether there is a letter with a case and all such letters are capitals.
fn is_upper(text: &str) -> bool {
    text.chars().any(char::is_uppercase) && !text.chars().any(char::is_lowercase)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn pascal_case_follows_the_rule_with_its_odd_corners() {
        for (name, expected) in [
            ("client_id", "ClientId"),
            ("product_category", "ProductCategory"),
            ("ticket_status", "TicketStatus"),
            ("TicketID", "TicketID"),
            ("clientID", "ClientID"),
            ("start_date", "StartDate"),
            ("some_extraField", "SomeExtraField"),
            ("some-key name", "SomeKeyName"),
            ("two__lines", "TwoLines"),
            ("TICKET", "TICKET"),
            ("123", "123"),
            ("x1y_z2w", "X1yZ2w"),
            ("a__b", "A__B"),
            ("x1_y2", "X1_Y2"),
            ("ab_c_de", "AbC_De"),
            ("id", "Id"),
            ("_id", "_Id"),
            ("id_", "Id_"),
            ("é_àb", "ÉÀb"),
            ("", ""),
            ("___", "___"),
        ] {
            assert_eq!(pascal_case(name), expected, "{name:?}");
        }
    }

    #[test]
    fn two_filters_of_the_same_name_are_one() {
        let filters: Filters =
            [("client_id", "1"), ("x", "2"), ("clientId", "3")].map(|(k, v)| (k.to_owned(), v.into())).into();
        let expected: Filters = [("ClientId", "3"), ("X", "2")].map(|(k, v)| (k.to_owned(), v.into())).into();
        assert_eq!(forwarded(filters), expected);
    }

    proptest! {
        #[test]
        fn words_of_two_letters_or_more_lose_all_separators(words in prop::collection::vec("[a-z]{2,8}", 1..5)) {
            let expected: String = words.iter().map(|word| capitalised(word)).collect();
            prop_assert_eq!(pascal_case(&words.join("_")), expected.clone());
            prop_assert_eq!(odd_pascal_case(&words.join("_")), expected.clone());
            prop_assert_eq!(pascal_case(&words.join("-- ")), expected);
        }

        #[test]
        fn no_letter_is_lost_and_the_first_is_a_capital(name in "\\PC*") {
            let letters = |text: &str| {
                text.chars().filter(|c| !is_separator(*c)).flat_map(char::to_lowercase).collect::<String>()
            };
            // Letters whose capital has another lower case (such as ſ) are no names that anybody uses.
            prop_assume!(name.chars().all(|c| c.to_uppercase().flat_map(char::to_lowercase).eq(c.to_lowercase())));
            prop_assert_eq!(letters(&pascal_case(&name)), letters(&name));
        }

        #[test]
        fn the_short_way_is_the_rule(name in "[a-zé_]{0,12}") {
            if let Some(short) = plain_pascal_case(&name) {
                prop_assert_eq!(short, odd_pascal_case(&name));
            }
        }

        #[test]
        fn a_pascal_name_stays(words in prop::collection::vec("[A-Z][a-z]{1,8}", 1..5)) {
            let name = words.concat();
            prop_assert_eq!(pascal_case(&name), name);
        }
    }
}
