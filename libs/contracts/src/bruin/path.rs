//! Ids that become parts of paths in Bruin.

use std::fmt::Display;

use crate::Rejected;

/// Refuses with `text` an id which names nothing: `""`, `.` and `..` in a path would lead to another resource.
pub(super) fn in_path<T: Display>(id: T, text: &str) -> Result<T, Rejected> {
    if matches!(id.to_string().as_str(), "" | "." | "..") { Err(Rejected::text(text)) } else { Ok(id) }
}
