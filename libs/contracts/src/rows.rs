//! Lists of which odd elements are left out (spec `customer-cache`, Improve 4): one bad record must
//! not cost the others.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, DeserializeOwned, Deserializer, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// The elements of a list that are objects of the expected kind. What is no list cannot be read at all.
#[derive(Debug)]
pub struct Rows<T> {
    /// In their order.
    pub rows: Vec<T>,
    /// How many elements were left out.
    pub odd: usize,
}

impl<T> Default for Rows<T> {
    fn default() -> Self {
        Self { rows: Vec::new(), odd: 0 }
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Rows<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List<T>(PhantomData<T>);

        impl<'de, T: DeserializeOwned> Visitor<'de> for List<T> {
            type Value = Rows<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut read = Rows::default();
                // As text: of long lists a few fields of each element are wanted, not a tree of all.
                while let Some(item) = list.next_element::<Box<RawValue>>()? {
                    // Serde would take a list for an object whose fields are in order.
                    match item.get().starts_with('{').then(|| serde_json::from_str(item.get())) {
                        Some(Ok(row)) => read.rows.push(row),
                        _ => read.odd += 1,
                    }
                }
                Ok(read)
            }
        }

        deserializer.deserialize_seq(List(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[derive(Debug, serde::Deserialize)]
    struct Row {
        id: i64,
    }

    #[test]
    fn odd_elements_are_left_out_and_counted() {
        let list = json!([{"id": 1}, null, [2], "x", {"id": "y"}, {}, {"id": 3, "more": 1}]);
        let read: Rows<Row> = serde_json::from_value(list).unwrap();
        assert_eq!(read.rows.iter().map(|row| row.id).collect::<Vec<_>>(), [1, 3]);
        assert_eq!(read.odd, 5);
    }

    #[test]
    fn what_is_no_list_cannot_be_read() {
        for body in [json!(null), json!("x"), json!({"id": 1}), json!(5)] {
            assert!(serde_json::from_value::<Rows<Row>>(body.clone()).is_err(), "{body}");
        }
    }
}
