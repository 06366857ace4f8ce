//! JSON as the existing deployment writes it, for places where its text itself matters: queries and texts for people.

use serde::Serialize;

/// A value as JSON with blanks after `,` and `:`, non-ASCII escaped; empty for what cannot be written as JSON.
///
/// ```
/// let set = serde_json::json!({"ParameterNames": ["é"], "Source": 0});
/// assert_eq!(contracts::json_text::spaced(&set), r#"{"ParameterNames": ["\u00e9"], "Source": 0}"#);
/// ```
pub fn spaced<T: Serialize + ?Sized>(value: &T) -> String {
    let mut out = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut out, Spaced);
    match value.serialize(&mut serializer) {
        Ok(()) => String::from_utf8(out).unwrap_or_default(),
        Err(_) => String::new(),
    }
}

struct Spaced;

impl serde_json::ser::Formatter for Spaced {
    fn begin_array_value<W: ?Sized + std::io::Write>(
        &mut self,
        out: &mut W,
        first: bool,
    ) -> std::io::Result<()> {
        out.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_key<W: ?Sized + std::io::Write>(
        &mut self,
        out: &mut W,
        first: bool,
    ) -> std::io::Result<()> {
        out.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_value<W: ?Sized + std::io::Write>(&mut self, out: &mut W) -> std::io::Result<()> {
        out.write_all(b": ")
    }

    fn write_string_fragment<W: ?Sized + std::io::Write>(
        &mut self,
        out: &mut W,
        text: &str,
    ) -> std::io::Result<()> {
        let mut units = [0; 2];
        for letter in text.chars() {
            if letter.is_ascii() {
                write!(out, "{letter}")?;
                continue;
            }
            for unit in letter.encode_utf16(&mut units) {
                write!(out, "\\u{unit:04x}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_texts_are_spaced_and_ascii() {
        let value = json!({"a": ["é", "😀", "\n"], "b": {}, "c": []});
        assert_eq!(spaced(&value), r#"{"a": ["\u00e9", "\ud83d\ude00", "\n"], "b": {}, "c": []}"#);
    }
}
