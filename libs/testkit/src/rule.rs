//! What a stub third party answers to which calls.

use std::{collections::BTreeMap, time::Duration};

use http::Method;
use regex::Regex;
use serde::{Deserialize, Deserializer, de::Error};
use serde_json::Value;

/// One answer for certain calls, in the shape of the recordings: the first rule that fits a call answers it.
///
/// ```
/// use testkit::Rule;
/// # use serde_json::json;
///
/// let written: Rule = Rule::on("POST", "^/login$").json(&json!({"access_token": "a"})).times(1);
/// let recorded: Rule = serde_json::from_value(json!({
///     "method": "POST", "path": "^/login$", "json": {"access_token": "a"}, "times": 1
/// })).unwrap();
/// ```
#[derive(Debug, Clone, Deserialize)]
pub struct Rule {
    #[serde(default, deserialize_with = "method")]
    method: Option<Method>,
    #[serde(deserialize_with = "regex")]
    path: Regex,
    #[serde(default)]
    query: BTreeMap<String, String>,
    #[serde(default = "ok")]
    pub(crate) status: u16,
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "present")]
    json: Option<Value>,
    #[serde(default)]
    text: Option<String>,
    /// Before the answer, in seconds.
    #[serde(default)]
    delay: f64,
    /// Closes the connection instead of answering.
    #[serde(default, rename = "drop")]
    pub(crate) drops: bool,
    /// How often the rule answers; afterwards the next one does.
    #[serde(default)]
    pub(crate) times: Option<u32>,
    #[serde(skip)]
    pub(crate) end: End,
}

/// How the body of an answer ends.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) enum End {
    #[default]
    Complete,
    /// The connection breaks after the body, although more was announced.
    CutOff,
    /// The body is repeated for ever.
    Never,
}

impl Rule {
    /// Answers `method` on paths that the regular expression finds something in (anchor it with `^` and `$`), with 200 and
    /// nothing.
    pub fn on(method: &str, path: &str) -> Self {
        let method = match Method::try_from(method) {
            Ok(method) => method,
            Err(error) => panic!("method {method}: {error}"),
        };
        let path = match Regex::new(path) {
            Ok(path) => path,
            Err(error) => panic!("path {path}: {error}"),
        };
        Self {
            method: Some(method),
            path,
            query: BTreeMap::new(),
            status: 200,
            headers: BTreeMap::new(),
            json: None,
            text: None,
            delay: 0.0,
            drops: false,
            times: None,
            end: End::Complete,
        }
    }

    /// Only calls with this query parameter, among others.
    #[must_use]
    pub fn query(mut self, name: &str, value: &str) -> Self {
        self.query.insert(name.to_owned(), value.to_owned());
        self
    }

    /// The status.
    #[must_use]
    pub fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// A header of the answer.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.insert(name.to_owned(), value.to_owned());
        self
    }

    /// A JSON body.
    #[must_use]
    pub fn json(mut self, body: &Value) -> Self {
        self.json = Some(body.clone());
        self
    }

    /// A text body.
    #[must_use]
    pub fn text(mut self, body: &str) -> Self {
        self.text = Some(body.to_owned());
        self
    }

    /// Waits before the answer.
    #[must_use]
    pub fn delay(mut self, time: Duration) -> Self {
        self.delay = time.as_secs_f64();
        self
    }

    /// Answers so often only.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    /// Closes the connection instead of answering.
    #[must_use]
    pub fn drops(mut self) -> Self {
        self.drops = true;
        self
    }

    /// Breaks the connection after the body, although more was announced.
    #[must_use]
    pub fn cut_off(mut self) -> Self {
        self.end = End::CutOff;
        self
    }

    /// Repeats the body for ever.
    #[must_use]
    pub fn endless(mut self) -> Self {
        self.end = End::Never;
        self
    }

    pub(crate) fn fits(&self, method: &Method, path: &str, query: &[(String, String)]) -> bool {
        self.times != Some(0)
            && self.method.as_ref().is_none_or(|wanted| wanted == method)
            && self.path.is_match(path)
            && self.query.iter().all(|(name, value)| query.iter().any(|(n, v)| n == name && v == value))
    }

    pub(crate) fn wait(&self) -> Duration {
        Duration::try_from_secs_f64(self.delay).unwrap_or_default()
    }

    /// Body and its content type.
    pub(crate) fn body(&self) -> (Vec<u8>, Option<&'static str>) {
        match (&self.json, &self.text) {
            (Some(json), _) => (json.to_string().into_bytes(), Some("application/json")),
            (None, Some(text)) => (text.clone().into_bytes(), Some("text/plain; charset=utf-8")),
            (None, None) => (Vec::new(), None),
        }
    }

    /// The value of the rule's `Set-Cookie`, without attributes.
    pub(crate) fn sets_cookie(&self) -> Option<&str> {
        let (_, cookie) = self.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("set-cookie"))?;
        cookie.split(';').next().map(str::trim)
    }
}

fn ok() -> u16 {
    200
}

/// Tells `null` from an absent key.
fn present<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(from).map(Some)
}

fn method<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Method>, D::Error> {
    String::deserialize(from)?.parse().map(Some).map_err(D::Error::custom)
}

fn regex<'de, D: Deserializer<'de>>(from: D) -> Result<Regex, D::Error> {
    Regex::new(&String::deserialize(from)?).map_err(D::Error::custom)
}
