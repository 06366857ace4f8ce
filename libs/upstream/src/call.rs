//! One call to a third party, before it is sent.

use std::{borrow::Cow, fmt, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use serde::Serialize;
use tokio::time::Instant;
use url::Url;

use crate::{CallError, Retry};

/// A call: method, path, parameters, deadline. Built in one expression; mistakes in it (a header value that cannot be
/// sent, a parameter without a place) come out of sending as [`CallError::Invalid`], so nothing is sent then.
///
/// The path is a template. Its places are filled, percent-encoded, by [`Call::segment`], so the same text serves as the
/// `route` label of metrics without ids in it.
///
/// ```
/// # use std::time::Duration;
/// use upstream::Call;
///
/// let call = Call::get("/api/Ticket/{ticket_id}/details")
///     .segment("ticket_id", 12345)
///     .query("TicketStatus", "New")
///     .within(Duration::from_secs(12));
/// assert_eq!(format!("{call:?}"), "GET /api/Ticket/{ticket_id}/details");
/// ```
#[derive(Clone)]
pub struct Call {
    pub(crate) method: Method,
    pub(crate) base: Option<Url>,
    path: Cow<'static, str>,
    route: Option<&'static str>,
    segments: Vec<(&'static str, String)>,
    query: Vec<(String, String)>,
    headers: HeaderMap,
    body: Option<Bytes>,
    invalid: Option<Cow<'static, str>>,
    pub(crate) deadline: Deadline,
    pub(crate) read: bool,
    pub(crate) retry: Option<Retry>,
    pub(crate) anonymous: bool,
    form_query: bool,
}

/// When a call must be over: at an instant, within a time of being sent, whichever is earlier.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Deadline {
    at: Option<Instant>,
    within: Option<Duration>,
}

impl Deadline {
    /// The instant, for a call sent now which may take `most`.
    pub(crate) fn instant(self, most: Duration) -> Instant {
        let latest = Instant::now() + self.within.map_or(most, |within| within.min(most));
        self.at.map_or(latest, |at| at.min(latest))
    }
}

impl Call {
    /// A read by GET.
    pub fn get(path: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Method::GET, path).read()
    }

    /// A POST; a write unless [`Call::read`] says otherwise.
    pub fn post(path: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Method::POST, path)
    }

    /// A PUT; a write unless [`Call::read`] says otherwise.
    pub fn put(path: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Method::PUT, path)
    }

    /// Any method; a write unless [`Call::read`] says otherwise. `path` is appended to the base URL verbatim, except that
    /// `{name}` stands for a segment. A path which is not a constant is counted under the route `other` unless
    /// [`Call::route`] names it.
    pub fn new(method: Method, path: impl Into<Cow<'static, str>>) -> Self {
        Self {
            method,
            base: None,
            path: path.into(),
            route: None,
            segments: Vec::new(),
            query: Vec::new(),
            headers: HeaderMap::new(),
            body: None,
            invalid: None,
            deadline: Deadline::default(),
            read: false,
            retry: None,
            anonymous: false,
            form_query: false,
        }
    }

    /// Goes to another base URL than that of the settings, e.g. the login server's.
    #[must_use]
    pub fn at(mut self, base: &Url) -> Self {
        self.base = Some(base.clone());
        self
    }

    /// Fills `{name}` in the path, percent-encoded.
    #[must_use]
    pub fn segment(mut self, name: &'static str, value: impl fmt::Display) -> Self {
        let value = value.to_string();
        if matches!(value.as_str(), "" | "." | "..") {
            self.invalid = Some(format!("`{name}` cannot be part of a path").into());
        }
        self.segments.push((name, value));
        self
    }

    /// Adds a query parameter; repeat it for arrays.
    #[must_use]
    pub fn query(mut self, name: impl Into<String>, value: impl fmt::Display) -> Self {
        self.query.push((name.into(), value.to_string()));
        self
    }

    /// Writes a blank in the query as `+`, as forms do, for third parties which have always been asked so.
    #[must_use]
    pub fn form_query(mut self) -> Self {
        self.form_query = true;
        self
    }

    /// Sets a header. A value with line breaks or control characters makes the call invalid, it is never sent in part.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl AsRef<str>) -> Self {
        match (HeaderName::try_from(name), HeaderValue::try_from(value.as_ref())) {
            (Ok(name), Ok(value)) => {
                self.headers.insert(name, value);
            }
            _ => self.invalid = Some(format!("header `{}` cannot be sent", name.escape_debug()).into()),
        }
        self
    }

    /// Sets a header whose name and value are constants.
    #[must_use]
    pub fn constant_header(mut self, name: HeaderName, value: &'static str) -> Self {
        self.headers.insert(name, HeaderValue::from_static(value));
        self
    }

    /// Sets a header to a value that no log or error shows, see [`crate::bearer`] and [`crate::basic`].
    #[must_use]
    pub fn secret_header(mut self, name: HeaderName, mut value: HeaderValue) -> Self {
        value.set_sensitive(true);
        self.headers.insert(name, value);
        self
    }

    /// A JSON body; `Content-Type: application/json` unless the call has one already.
    #[must_use]
    pub fn json<T: Serialize + ?Sized>(mut self, body: &T) -> Self {
        if let Ok(text) = serde_json::to_vec(body) {
            self.bytes("application/json", text)
        } else {
            self.invalid = Some("the body cannot be written as JSON".into());
            self
        }
    }

    /// A form body (`application/x-www-form-urlencoded`).
    #[must_use]
    pub fn form(self, fields: &[(&str, &str)]) -> Self {
        let text = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        self.bytes("application/x-www-form-urlencoded", text)
    }

    /// A body of any type; `content_type` counts unless the call has one already.
    #[must_use]
    pub fn bytes(mut self, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        self.headers.entry(header::CONTENT_TYPE).or_insert(HeaderValue::from_static(content_type));
        self.body = Some(body.into());
        self
    }

    /// An empty body with `Content-Length: 0`, for third parties that insist on one.
    #[must_use]
    pub fn empty(mut self) -> Self {
        self.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(0));
        self.body = Some(Bytes::new());
        self
    }

    /// The call is over within `time` of being sent, waiting and repetitions included.
    #[must_use]
    pub fn within(mut self, time: Duration) -> Self {
        self.deadline.within = Some(time);
        self
    }

    /// The call is over at `instant`, e.g. the requester's deadline.
    #[must_use]
    pub fn until(mut self, instant: Instant) -> Self {
        self.deadline.at = Some(instant);
        self
    }

    /// Safe to repeat: the retries of the settings apply.
    #[must_use]
    pub fn read(mut self) -> Self {
        self.read = true;
        self
    }

    /// Changes something: repeated only when surely not executed, and only where [`Call::retry`] asks for it.
    #[must_use]
    pub fn write(mut self) -> Self {
        self.read = false;
        self
    }

    /// Retries of this call, instead of those of the settings.
    #[must_use]
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = Some(retry);
        self
    }

    /// The label in metrics, for paths which are not constants or should be counted together.
    #[must_use]
    pub fn route(mut self, route: &'static str) -> Self {
        self.route = Some(route);
        self
    }

    /// Sent without a session, also when the third party has logins.
    #[must_use]
    pub fn anonymous(mut self) -> Self {
        self.anonymous = true;
        self
    }

    /// The name of the route in metrics and logs: no ids, no secrets.
    pub fn route_name(&self) -> &'static str {
        match (self.route, &self.path) {
            (Some(route), _) => route,
            (None, Cow::Borrowed("")) => "/",
            (None, Cow::Borrowed(path)) => path,
            (None, Cow::Owned(_)) => "other",
        }
    }

    /// The URL before overrides.
    pub(crate) fn url(&self, base: &Url) -> Result<Url, CallError> {
        if let Some(reason) = &self.invalid {
            return Err(CallError::Invalid(reason.to_string()));
        }
        let mut url = self.base.as_ref().unwrap_or(base).clone();
        let path = self.filled_path()?;
        if !path.is_empty() {
            let base = url.path().trim_end_matches('/');
            url.set_path(&[base, "/", path.trim_start_matches('/')].concat());
        }
        if !self.query.is_empty() {
            let mut query = url.query().unwrap_or_default().to_owned();
            for (name, value) in &self.query {
                if !query.is_empty() {
                    query.push('&');
                }
                self.push_encoded(&mut query, name);
                query.push('=');
                self.push_encoded(&mut query, value);
            }
            url.set_query(Some(&query));
        }
        Ok(url)
    }

    /// A blank as `%20`, never as `+` unasked: not every server reads queries as forms.
    fn push_encoded(&self, query: &mut String, text: &str) {
        for part in percent_encoding::utf8_percent_encode(text, UNRESERVED) {
            query.push_str(if self.form_query && part == "%20" { "+" } else { part });
        }
    }

    fn filled_path(&self) -> Result<Cow<'_, str>, CallError> {
        let mut path = Cow::Borrowed(&*self.path);
        for (name, value) in &self.segments {
            let place = format!("{{{name}}}");
            if !path.contains(&place) {
                return Err(CallError::Invalid(format!("the path has no `{place}`")));
            }
            let encoded = percent_encoding::utf8_percent_encode(value, UNRESERVED).to_string();
            path = path.replace(&place, &encoded).into();
        }
        if path.contains('{') {
            return Err(CallError::Invalid("a segment of the path is missing".to_owned()));
        }
        Ok(path)
    }

    pub(crate) fn headers(&self) -> HeaderMap {
        self.headers.clone()
    }

    pub(crate) fn body(&self) -> Option<Bytes> {
        self.body.clone()
    }
}

/// Everything but the unreserved characters of RFC 3986.
const UNRESERVED: &percent_encoding::AsciiSet =
    &percent_encoding::NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Method and route only: parameters, headers and bodies may hold secrets and personal data.
impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.route_name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(call: &Call) -> Result<String, CallError> {
        call.url(&Url::parse("https://api.example.test/base/").unwrap()).map(String::from)
    }

    #[test]
    fn segments_and_queries_are_percent_encoded() {
        let call = Call::get("/t/{id}/n").segment("id", "a/b ?{x}é").query("n", "+1 2").query("n", "&");
        assert_eq!(
            url(&call).unwrap(),
            "https://api.example.test/base/t/a%2Fb%20%3F%7Bx%7D%C3%A9/n?n=%2B1%202&n=%26"
        );
        assert_eq!(call.route_name(), "/t/{id}/n");
    }

    #[test]
    fn a_blank_in_a_query_is_a_plus_where_asked_for_and_never_in_a_path() {
        let call = Call::get("/t/{id}").segment("id", "a b").query("n o", "+1 %20 é").form_query();
        assert_eq!(url(&call).unwrap(), "https://api.example.test/base/t/a%20b?n+o=%2B1+%2520+%C3%A9");
    }

    #[test]
    fn paths_are_appended_verbatim_and_an_empty_path_is_the_base_itself() {
        assert_eq!(url(&Call::post("/api/Ticket/")).unwrap(), "https://api.example.test/base/api/Ticket/");
        assert_eq!(url(&Call::post("")).unwrap(), "https://api.example.test/base/");
        let hook = Url::parse("https://hooks.example.test/services/a/b").unwrap();
        assert_eq!(url(&Call::post("").at(&hook)).unwrap(), "https://hooks.example.test/services/a/b");
    }

    #[test]
    fn what_cannot_be_sent_as_meant_is_not_sent() {
        for call in [
            Call::get("/t/{id}"),
            Call::get("/t").segment("id", 1),
            Call::get("/t/{id}").segment("id", ".."),
            Call::get("/t/{id}").segment("id", ""),
            Call::get("/t").header("VeloSerial", "VC1\r\nEvil: yes"),
            Call::get("/t").header("bad name", "x"),
        ] {
            assert!(matches!(url(&call), Err(CallError::Invalid(_))), "{call:?}");
        }
    }

    #[test]
    fn only_constant_paths_become_labels() {
        assert_eq!(Call::get("/a/{id}").route_name(), "/a/{id}");
        assert_eq!(Call::get(format!("/a/{}", 7)).route_name(), "other");
        assert_eq!(Call::get(format!("/a/{}", 7)).route("/a/{id}").route_name(), "/a/{id}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_earliest_of_all_limits_is_the_deadline() {
        let now = Instant::now();
        let seconds = Duration::from_secs;
        let most = seconds(60);
        assert_eq!(Call::get("/").deadline.instant(most), now + most);
        assert_eq!(Call::get("/").within(seconds(90)).deadline.instant(most), now + most);
        let both = Call::get("/").within(seconds(9)).until(now + seconds(5));
        assert_eq!(both.deadline.instant(most), now + seconds(5));
    }
}
