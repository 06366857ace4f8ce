//! What a third party answered.

use std::{borrow::Cow, fmt};

use bytes::Bytes;
use http::{HeaderMap, header};
use secrecy::SecretString;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

/// An answer, read completely. Any status: what it means is the caller's business.
#[derive(Clone)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// The headers; cookies among them are secrets.
    pub headers: HeaderMap,
    /// The body as received.
    pub body: Bytes,
    /// Whether the third party refused the session, also after the one renewal.
    pub session_refused: bool,
}

impl Response {
    /// Whether the status is 2xx.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The body as text; what is no UTF-8 becomes U+FFFD.
    pub fn text(&self) -> Cow<'_, str> {
        let bytes = self.json_bytes();
        // The usual case is checked many bytes at a time.
        std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
    }

    /// The first `most` characters of the body in one line, for replies and logs about failures. Never use it for
    /// answers to logins.
    pub fn short_text(&self, most: usize) -> String {
        let text = self.text();
        let mut short: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
        if let Some((cut, _)) = short.char_indices().nth(most) {
            short.truncate(cut);
            short.push('…');
        }
        short
    }

    /// The body when it is JSON, unchanged; whatever the content type says. `None` for anything else, also nothing.
    pub fn json_raw(&self) -> Option<Box<RawValue>> {
        serde_json::from_slice(self.json_bytes()).ok()
    }

    /// The body read as `T`, whatever the content type says.
    ///
    /// # Errors
    /// When it is no JSON or does not fit. The error names the place, not the values around it.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(self.json_bytes())
    }

    /// The media type without parameters, in lower case.
    pub fn content_type(&self) -> Option<String> {
        let value = self.headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
        Some(value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
    }

    /// Whether the answer says it is a web page, or looks like one.
    pub fn is_html(&self) -> bool {
        let start = self.json_bytes().trim_ascii_start();
        self.content_type().is_some_and(|kind| kind == "text/html")
            || start.get(..5).is_some_and(|start| start.eq_ignore_ascii_case(b"<html"))
            || start.get(..9).is_some_and(|start| start.eq_ignore_ascii_case(b"<!doctype"))
    }

    /// The value of a cookie that the answer sets. Several `Set-Cookie` headers: the last with that name counts; one set
    /// to nothing (a deletion) is `None`.
    pub fn cookie(&self, name: &str) -> Option<SecretString> {
        self.headers
            .get_all(header::SET_COOKIE)
            .iter()
            .filter_map(|value| cookie::Cookie::parse(value.to_str().ok()?).ok())
            .rfind(|cookie| cookie.name() == name)
            .map(|cookie| cookie.value().to_owned())
            .filter(|value| !value.is_empty())
            .map(SecretString::from)
    }

    /// The body without a byte order mark.
    fn json_bytes(&self) -> &[u8] {
        self.body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&self.body)
    }
}

/// Status and size only: headers and bodies may hold secrets and personal data.
impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "status {} with {} bytes", self.status, self.body.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use secrecy::ExposeSecret;

    fn response(body: &str, headers: &[(&'static str, &str)]) -> Response {
        let headers = headers
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_str(value).unwrap()))
            .collect();
        Response { status: 200, headers, body: Bytes::from(body.to_owned()), session_refused: false }
    }

    #[test]
    fn cookies_are_read_from_several_headers_with_or_without_attributes() {
        let answer = response(
            "",
            &[
                ("set-cookie", "velocloud.message=a=b; Path=/"),
                ("set-cookie", "velocloud.session=old; Path=/"),
                ("set-cookie", "velocloud.session=one-b==;Path=/;HttpOnly"),
                ("set-cookie", "bare=value"),
                ("set-cookie", "gone=; Max-Age=0"),
            ],
        );
        let cookie = |name| answer.cookie(name).map(|value| value.expose_secret().to_owned());
        assert_eq!(cookie("velocloud.session").as_deref(), Some("one-b=="));
        assert_eq!(cookie("bare").as_deref(), Some("value"));
        assert_eq!(cookie("gone"), None);
        assert_eq!(cookie("session"), None);
    }

    #[test]
    fn json_is_read_whatever_the_content_type_says_and_kept_as_it_came() {
        let text = r#"{"id": 1.50, "a":null,"big":123456789012345678901234567890}"#;
        let answer = response(text, &[("content-type", "text/html; charset=utf-8")]);
        assert_eq!(answer.json_raw().unwrap().get(), text);
        assert!(response(&format!("\u{feff}{text}"), &[]).json_raw().is_some());
        for none in ["", "<html>", "{\"a\":1} x", "{"] {
            assert!(response(none, &[]).json_raw().is_none(), "{none}");
        }
    }

    #[test]
    fn web_pages_are_recognised_by_type_or_look() {
        assert!(response("x", &[("content-type", "Text/HTML; charset=utf-8")]).is_html());
        assert!(response("\n <!DOCTYPE html>", &[]).is_html());
        assert!(response("<HTML>", &[]).is_html());
        assert!(!response("[]", &[("content-type", "application/json")]).is_html());
    }

    #[test]
    fn short_texts_are_one_line_of_whole_characters() {
        assert_eq!(response("a\n  é é", &[]).short_text(3), "a é…");
        assert_eq!(response("abc", &[]).short_text(3), "abc");
    }

    #[test]
    fn debug_shows_neither_headers_nor_body() {
        let answer = response("secret", &[("set-cookie", "s=secret")]);
        assert_eq!(format!("{answer:?}"), "status 200 with 6 bytes");
    }
}
