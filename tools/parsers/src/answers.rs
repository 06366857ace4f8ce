//! Answers of third parties over HTTP.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
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
    assert!(response.short_text(20).chars().count() <= 21, "short is short");
    let _ = (response.cookie("session"), response.content_type(), response.is_html());
    if let Some(json) = response.json_raw() {
        assert!(response.text().contains(json.get()), "JSON stays as it came");
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
    for list in rewritten.into_iter().flatten() {
        assert!(raw::items(&list).is_ok(), "what was rewritten is a list");
    }
    if let (Ok(list), Ok(items)) = (raw::host_in_items(text, HOST), raw::items(text)) {
        assert_eq!(raw::items(&list).map_or(0, |list| list.len()), items.len(), "no item is lost");
    }
}

/// Hawkeye's pages: reading a list comes to an end, whatever it says about itself.
pub fn probes(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(page) = hawkeye_bridge::paging::Page::read(text) else { return };
    let mut progress = hawkeye_bridge::paging::Progress::default();
    let mut pages = 0;
    while pages < 50 && progress.count(&page).is_ok_and(|more| more) {
        pages += 1;
    }
    assert!(progress.is_empty() || progress.offset() >= page.records.len() as u64, "records are counted");
}

/// What the dispatch vendors and DRI answer.
pub fn dispatches(bytes: &[u8]) {
    let response = response(bytes);
    if let Ok(page) = cts_bridge::records::Page::read(&response) {
        assert!(cts_bridge::records::join(&[page.answer]).is_some(), "one page is a result");
    }
    let _ = cts_bridge::sobjects::created(&response);
    if let Some(object) = response.json_raw() {
        let _ = lit_bridge::answer::dispatch_number(&object);
    }
    let _ = salesforce::login::session(&response.text());
    let _ = dri_bridge::api::pending(response.into());
}
