//! Results of queries, page by page (spec, "Calls" and Improve). Records stay unparsed.

use contracts::RawFields;
use salesforce::json_of;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use upstream::Response;

/// One page of a result.
#[derive(Debug)]
pub struct Page {
    /// The page as it came.
    pub answer: Box<RawValue>,
    /// What names the next page; `None` when this is the last one.
    pub next: Option<String>,
}

impl Page {
    /// Reads an answer.
    ///
    /// # Errors
    /// When it is no page of records, or does not say how to go on.
    pub fn read(response: &Response) -> Result<Self, &'static str> {
        let answer = json_of(response)?;
        let next = {
            let fields: RawFields<'_> = serde_json::from_str(answer.get()).map_err(|_| "not an object")?;
            records_of(&fields).ok_or("no list of records")?;
            match (fields.get("done").map(RawValue::get), fields.get("nextRecordsUrl")) {
                (Some("false"), Some(url)) => Some(locator(url).ok_or("no usable nextRecordsUrl")?),
                (Some("false"), None) => return Err("not done, but no nextRecordsUrl"),
                _ => None,
            }
        };
        Ok(Self { answer, next })
    }
}

fn records_of<'a>(fields: &RawFields<'a>) -> Option<Vec<&'a RawValue>> {
    serde_json::from_str(fields.get("records")?.get()).ok()
}

/// What follows `/services/data/v42.0/query/`: nothing else of the URL is believed.
fn locator(url: &RawValue) -> Option<String> {
    let url: String = serde_json::from_str(url.get()).ok()?;
    let (_, locator) = url.strip_prefix("/services/data/")?.split_once("/query/")?;
    let usable = !locator.is_empty() && locator.chars().all(|one| one.is_ascii_alphanumeric() || one == '-');
    usable.then(|| locator.to_owned())
}

/// The whole result.
#[derive(Serialize)]
struct Whole<'a> {
    #[serde(rename = "totalSize")]
    total_size: usize,
    done: bool,
    records: Vec<&'a RawValue>,
}

/// The records of all pages as one result; a single page stays as it came.
pub fn join(pages: &[Box<RawValue>]) -> Option<Box<RawValue>> {
    if let [page] = pages {
        return Some(page.clone());
    }
    let mut records = Vec::new();
    for page in pages {
        records.extend(records_of(&serde_json::from_str(page.get()).ok()?)?);
    }
    to_raw_value(&Whole { total_size: records.len(), done: true, records }).ok()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::HeaderMap;

    use super::*;

    fn page(body: &str) -> Result<Page, &'static str> {
        let body = Bytes::from(body.to_owned());
        Page::read(&Response { status: 200, headers: HeaderMap::new(), body, session_refused: false })
    }

    #[test]
    fn a_page_says_whether_and_how_to_go_on() {
        for (body, next) in [
            (r#"{"totalSize":0,"done":true,"records":[]}"#, None),
            (r#"{"records":[{"Name":"S-1"}]}"#, None),
            (
                r#"{"done":false,"records":[],"nextRecordsUrl":"/services/data/v42.0/query/01gD0-2000"}"#,
                Some("01gD0-2000"),
            ),
            (r#"{"done":true,"records":[],"nextRecordsUrl":"/services/data/v42.0/query/01gD0-2000"}"#, None),
        ] {
            let page = page(body).unwrap();
            assert_eq!((page.answer.get(), page.next.as_deref()), (body, next));
        }
        for (body, why) in [
            ("<html>", "not JSON"),
            ("", "not JSON"),
            ("[]", "not an object"),
            ("{}", "no list of records"),
            (r#"{"done":true,"records":{}}"#, "no list of records"),
            (r#"{"done":false,"records":[]}"#, "not done, but no nextRecordsUrl"),
            (r#"{"done":false,"records":[],"nextRecordsUrl":7}"#, "no usable nextRecordsUrl"),
        ] {
            assert_eq!(page(body).unwrap_err(), why, "{body}");
        }
        for url in [
            "https://elsewhere.example/services/data/v42.0/query/01g-2000",
            "//elsewhere.example/query/01g",
            "/services/data/v42.0/query/",
            "/services/data/v42.0/query/../sobjects",
            "/services/data/v42.0/query/01g?q=x",
        ] {
            let body = format!(r#"{{"done":false,"records":[],"nextRecordsUrl":"{url}"}}"#);
            assert_eq!(page(&body).unwrap_err(), "no usable nextRecordsUrl", "{url}");
        }
    }

    #[test]
    fn pages_become_one_result() {
        let raw = |text: &str| RawValue::from_string(text.to_owned()).unwrap();
        let one = raw(r#"{"done":true, "totalSize":1,"records":[{"Name" :"S-1"}]}"#);
        assert_eq!(join(std::slice::from_ref(&one)).unwrap().get(), one.get());
        let pages = [
            raw(r#"{"totalSize":3,"done":false,"nextRecordsUrl":"/x","records":[{"x": 1.50},{"x":2}]}"#),
            raw(r#"{"totalSize":3,"done":true,"records":[{"x":3}]}"#),
        ];
        assert_eq!(
            join(&pages).unwrap().get(),
            r#"{"totalSize":3,"done":true,"records":[{"x": 1.50},{"x":2},{"x":3}]}"#
        );
    }
}
