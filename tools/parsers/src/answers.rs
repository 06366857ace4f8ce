//! Answers of third parties over HTTP.

use bytes::Bytes;
use contracts::RawFields;
use hawkeye_bridge::paging::{LIMIT, Page, Progress};
use http::{HeaderMap, HeaderValue, header};
use serde_json::Value;
use serde_json::value::RawValue;
use upstream::Response;
use velocloud_bridge::raw;

/// A 200 with these bytes; the first line is a cookie as well.
fn response(bytes: &[u8]) -> Response {
    let mut headers = HeaderMap::new();
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    if let Ok(value) = HeaderValue::from_bytes(line) {
        headers.insert(header::SET_COOKIE, value.clone());
        headers.insert(header::CONTENT_TYPE, value);
    }
    Response { status: 200, headers, body: Bytes::copy_from_slice(bytes), session_refused: false }
}

/// Any answer: its text, its cookie, its JSON, which is kept as it came.
pub fn http_answers(bytes: &[u8]) {
    let response = response(bytes);
    let short = response.short_text(20);
    assert!(short.chars().count() <= 21 && !short.contains(['\r', '\n']), "short is short, and one line");
    let _ = (response.cookie("session"), response.content_type(), response.is_html());
    let body = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let Ok(whole) = std::str::from_utf8(body).map(|text| text.trim_matches([' ', '\t', '\r', '\n'])) else {
        return;
    };
    match response.json_raw() {
        Some(json) => assert_eq!(json.get(), whole, "JSON stays as it came"),
        None => assert!(serde_json::from_str::<Value>(whole).is_err(), "JSON is taken"),
    }
}

/// VeloCloud's lists, whose items get their host without being read any further.
pub fn velocloud(bytes: &[u8]) {
    const HOST: &str = "vco1.example.net";
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let _ = raw::is_empty(text);
    let rewritten = [
        raw::host_in_items(text, HOST).ok(),
        raw::host_in_links(text, HOST).ok(),
        raw::edges_with_host(text, HOST).ok().flatten(),
    ];
    let [items, links, edges] = rewritten;
    for (list, within) in [(items, None), (links, Some("link")), (edges, None)] {
        let Some(list) = list else { continue };
        let Ok(items) = raw::items(&list) else { panic!("what was rewritten is no list") };
        for item in items {
            // A tree takes less than the bridge, which reads no values.
            let Ok(item) = serde_json::from_str::<Value>(item.get()) else { continue };
            let place = within.map_or(Some(&item), |field| item.get(field));
            let host = place.and_then(|place| place.get("host")).and_then(Value::as_str);
            assert_eq!(host, Some(HOST), "every item has its host");
        }
    }
    if let (Ok(list), Ok(items)) = (raw::host_in_items(text, HOST), raw::items(text)) {
        assert_eq!(raw::items(&list).map_or(0, |list| list.len()), items.len(), "no item is lost");
    }
}

/// Hawkeye's pages: reading a list comes to an end, whatever it says about itself.
pub fn probes(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(page) = Page::read(text) else { return };
    let mut progress = Progress::default();
    let records = page.records.len() as u64;
    // A total may be of millions, for which millions of pages come.
    for pages in 1..=50 {
        let Ok(more) = progress.count(&page) else {
            assert_eq!((pages, progress.offset()), (1, 0), "only the first page can be refused");
            return;
        };
        assert_eq!(progress.offset(), pages * records, "every record is counted once");
        assert!(!more || (records > 0 && progress.is_short()), "nothing is asked for in vain");
        if !more {
            assert!(records < LIMIT || !progress.is_short(), "full pages are read to the total");
            return;
        }
    }
}

/// What the dispatch vendors and DRI answer.
pub fn dispatches(bytes: &[u8]) {
    let response = response(bytes);
    if let Ok(page) = cts_bridge::records::Page::read(&response) {
        let records = records(&page.answer);
        let twice = cts_bridge::records::join(&[page.answer.clone(), page.answer]);
        let Some(twice) = twice else { panic!("pages are a result") };
        assert_eq!(self::records(&twice), [records.clone(), records].concat(), "no record is lost");
    }
    let _ = cts_bridge::sobjects::created(&response);
    if let Some(object) = response.json_raw() {
        let _ = lit_bridge::answer::dispatch_number(&object);
    }
    let _ = salesforce::login::session(&response.text());
    let _ = dri_bridge::api::pending(response.into());
}

/// The records of a result as they stand in it.
fn records(result: &RawValue) -> Vec<String> {
    let fields: Option<RawFields<'_>> = serde_json::from_str(result.get()).ok();
    let records =
        fields.and_then(|fields| serde_json::from_str::<Vec<&RawValue>>(fields.get("records")?.get()).ok());
    records.into_iter().flatten().map(|record| record.get().to_owned()).collect()
}
