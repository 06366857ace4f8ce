//! Reading a list page by page (spec, "Paged fetch"). Pure.

use contracts::{id::Id, lenient};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::failure::Failure;

/// Records asked for at once.
pub const LIMIT: u64 = 100;
/// Pages more than the total needs, for records that come and go meanwhile (Improve 1).
const SPARE_PAGES: u64 = 5;

/// A page of a list, as Hawkeye writes it. The records stay as they came.
#[derive(Debug, Deserialize)]
pub struct Page<'a> {
    /// Only that of the first page matters.
    #[serde(default, deserialize_with = "lenient::or_default")]
    total_count: Option<Id>,
    /// The records.
    #[serde(borrow)]
    pub records: Vec<&'a RawValue>,
}

impl<'a> Page<'a> {
    /// Reads the text of an answer.
    ///
    /// # Errors
    /// When it is no list document.
    pub fn read(text: &'a str) -> Result<Self, Failure> {
        serde_json::from_str(text).map_err(|_| Failure::unexpected("not a list of records"))
    }
}

/// How far a list is read.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Progress {
    received: u64,
    pages: u64,
    total: u64,
}

impl Progress {
    /// The offset of the next page: what was received so far, because a page may be short (Improve 2).
    pub fn offset(&self) -> u64 {
        self.received
    }

    /// Whether no page was read yet.
    pub fn is_empty(&self) -> bool {
        self.pages == 0
    }

    /// Whether fewer records came than the first page announced.
    pub fn is_short(&self) -> bool {
        self.received < self.total
    }

    /// Counts a page; whether there is another one. The total is that of the first page.
    ///
    /// # Errors
    /// When the first page has no usable total.
    pub fn count(&mut self, page: &Page<'_>) -> Result<bool, Failure> {
        if self.pages == 0 {
            let total =
                page.total_count.as_ref().and_then(Id::as_i64).and_then(|total| total.try_into().ok());
            self.total = total.ok_or_else(|| Failure::unexpected("total_count is no number"))?;
        }
        let records = page.records.len() as u64;
        self.pages += 1;
        self.received = self.received.saturating_add(records);
        let most = self.total.div_ceil(LIMIT).saturating_add(SPARE_PAGES);
        Ok(records > 0 && self.received < self.total && self.pages < most)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn page(total: &str, records: usize) -> String {
        let records = vec!["{}"; records].join(",");
        format!(
            r#"{{"total_count":{total},"count":0,"limit":"100","offset":0,"has_more":1,"records":[{records}]}}"#
        )
    }

    /// The offsets asked for, when the pages have so many records; the last size goes on for ever.
    fn offsets(total: &str, sizes: &[usize]) -> Vec<u64> {
        let mut progress = Progress::default();
        let mut offsets = Vec::new();
        for size in sizes.iter().chain(std::iter::repeat(sizes.last().unwrap())) {
            offsets.push(progress.offset());
            let text = page(total, *size);
            if !progress.count(&Page::read(&text).unwrap()).unwrap() {
                break;
            }
        }
        offsets
    }

    #[test]
    fn pages_are_asked_for_until_the_total_is_there() {
        for (total, sizes, expected) in [
            (r#""112""#, &[100, 12][..], &[0, 100][..]),
            ("112", &[100, 12], &[0, 100]),
            (r#""100""#, &[100], &[0]),
            (r#""1""#, &[1], &[0]),
            ("0", &[0], &[0]),
            ("\" 200 \"", &[100, 100], &[0, 100]),
            // Short pages: nothing is skipped.
            ("112", &[60, 50, 2], &[0, 60, 110]),
            // More than announced: it ends.
            ("5", &[100], &[0]),
            ("150", &[100, 100], &[0, 100]),
            // Records that vanished meanwhile: it ends.
            ("300", &[100, 100, 0], &[0, 100, 200]),
        ] {
            assert_eq!(offsets(total, sizes), expected, "{total} {sizes:?}");
        }
    }

    #[test]
    fn tiny_pages_end_after_a_few_more_than_the_total_needs() {
        assert_eq!(offsets("250", &[1]).len(), 3 + 5);
    }

    #[test]
    fn records_stay_as_they_came() {
        let text = r#"{"records":[{"b": 1.50,"a":null}, 7],"total_count":"2"}"#;
        let page = Page::read(text).unwrap();
        assert_eq!(
            page.records.iter().map(|record| record.get()).collect::<Vec<_>>(),
            [r#"{"b": 1.50,"a":null}"#, "7"]
        );
    }

    #[test]
    fn what_is_no_list_document_is_a_failure() {
        for text in ["", "[]", "null", "x", r#"{"total_count":"1"}"#, r#"{"total_count":"1","records":{}}"#] {
            assert_eq!(Page::read(text).unwrap_err().status, 500, "{text}");
        }
        for total in [r#""many""#, "-1", r#""""#, "null", "{}"] {
            let text = page(total, 1);
            assert!(Progress::default().count(&Page::read(&text).unwrap()).is_err(), "{total}");
        }
        assert!(Progress::default().count(&Page::read(r#"{"records":[]}"#).unwrap()).is_err());
    }

    #[test]
    fn the_total_of_the_first_page_counts() {
        let mut progress = Progress::default();
        assert!(progress.count(&Page::read(&page("2", 1)).unwrap()).unwrap());
        assert!(progress.is_short());
        assert!(!progress.count(&Page::read(r#"{"records":[1]}"#).unwrap()).unwrap());
        assert!(!progress.is_short());
    }

    proptest! {
        #[test]
        fn it_always_ends(total in 0_u64..100_000, sizes in proptest::collection::vec(0_usize..130, 1..20)) {
            let pages = offsets(&total.to_string(), &sizes).len() as u64;
            prop_assert!(pages <= total.div_ceil(LIMIT) + SPARE_PAGES);
        }
    }
}
