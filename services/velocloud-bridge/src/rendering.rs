//! Ids in reply texts, in the form that the existing deployment gives them.

use contracts::id::Id;

/// `42`, or `'42'` when it came as text.
pub(crate) fn id(id: &Id) -> String {
    match id {
        Id::Number(number) => number.to_string(),
        Id::Text(text) => format!("'{text}'"),
    }
}

/// `[3, 4]`.
pub(crate) fn ids(list: &[Id]) -> String {
    format!("[{}]", list.iter().map(id).collect::<Vec<_>>().join(", "))
}
