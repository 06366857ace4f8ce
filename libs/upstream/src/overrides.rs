//! Where calls to a host really go (`UPSTREAM_OVERRIDES`, architecture "Process interface").

use std::collections::HashMap;

use thiserror::Error;
use url::Url;

/// Base URLs that stand in for hosts in development and tests. Empty in production.
///
/// The host stays the identity in messages, logs and metrics; only the connection goes elsewhere.
///
/// ```
/// use upstream::Overrides;
/// use url::Url;
///
/// let overrides = Overrides::parse("vco1.example.test=http://127.0.0.1:8080/vco1")?;
/// let real = Url::parse("https://vco1.example.test/portal/rest/login?x=1").unwrap();
/// assert_eq!(overrides.apply(&real).as_str(), "http://127.0.0.1:8080/vco1/portal/rest/login?x=1");
/// # Ok::<(), upstream::OverridesError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides(HashMap<String, Url>);

/// Why the text of `UPSTREAM_OVERRIDES` is not understood.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
pub enum OverridesError {
    /// A part without `=`, or with nothing before it.
    #[error("part {0} is not of the form host=base-url")]
    NotAPair(usize),
    /// What follows `=` is no URL with a host.
    #[error("the base URL of `{0}` is not a URL with a host")]
    NotAUrl(String),
    /// One host twice.
    #[error("`{0}` occurs twice")]
    Repeated(String),
}

impl Overrides {
    /// Reads comma separated `host=base-url` pairs. Blanks around the parts are ignored, hosts are case-insensitive,
    /// empty text means no overrides.
    ///
    /// # Errors
    /// [`OverridesError`] names the part that is wrong (base URLs are not repeated in it: they may hold passwords).
    pub fn parse(text: &str) -> Result<Self, OverridesError> {
        let mut hosts = HashMap::new();
        for (index, part) in text.split(',').map(str::trim).enumerate().filter(|(_, part)| !part.is_empty()) {
            let (host, base) = part.split_once('=').ok_or(OverridesError::NotAPair(index + 1))?;
            let host = host.trim().to_ascii_lowercase();
            if host.is_empty() {
                return Err(OverridesError::NotAPair(index + 1));
            }
            let base = Url::parse(base.trim())
                .ok()
                .filter(Url::has_host)
                .ok_or_else(|| OverridesError::NotAUrl(host.clone()))?;
            if hosts.insert(host.clone(), base).is_some() {
                return Err(OverridesError::Repeated(host));
            }
        }
        Ok(Self(hosts))
    }

    /// Adds or replaces one host.
    #[must_use]
    pub fn with(mut self, host: &str, base: Url) -> Self {
        self.0.insert(host.to_ascii_lowercase(), base);
        self
    }

    /// The base URL that stands in for `host`.
    pub fn get(&self, host: &str) -> Option<&Url> {
        self.0.get(host).or_else(|| self.0.get(&host.to_ascii_lowercase()))
    }

    /// Whether nothing is overridden.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// `url` with scheme, host and port of its override, the override's path in front; `url` itself if there is none.
    pub fn apply(&self, url: &Url) -> Url {
        let Some(base) = url.host_str().and_then(|host| self.get(host)) else { return url.clone() };
        let mut there = base.clone();
        let path = format!("{}/{}", base.path().trim_end_matches('/'), url.path().trim_start_matches('/'));
        there.set_path(&path);
        there.set_query(url.query());
        there
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn several_hosts_of_any_protocol_are_read() {
        let overrides =
            Overrides::parse(" a.test=http://127.0.0.1:1/a , SMTP.test=smtp://127.0.0.1:2525,").unwrap();
        assert_eq!(overrides.get("a.test"), Some(&url("http://127.0.0.1:1/a")));
        assert_eq!(overrides.get("smtp.TEST"), Some(&url("smtp://127.0.0.1:2525")));
        assert_eq!(overrides.get("b.test"), None);
        assert!(Overrides::parse("").unwrap().is_empty());
    }

    #[test]
    fn nonsense_is_refused_by_name_and_without_its_value() {
        assert_eq!(Overrides::parse("a.test=http://b,c.test"), Err(OverridesError::NotAPair(2)));
        assert_eq!(Overrides::parse("=http://b"), Err(OverridesError::NotAPair(1)));
        assert_eq!(Overrides::parse("a.test=secret"), Err(OverridesError::NotAUrl("a.test".into())));
        assert_eq!(
            Overrides::parse("a.test=http://b,A.test=http://c"),
            Err(OverridesError::Repeated("a.test".into()))
        );
    }

    #[test]
    fn the_path_of_the_override_comes_first_and_other_hosts_are_left_alone() {
        let overrides =
            Overrides::parse("a.test=http://127.0.0.1:1/vco1/,b.test=http://127.0.0.1:2").unwrap();
        for (from, to) in [
            ("https://a.test/portal/x%20y?q=1%2B2", "http://127.0.0.1:1/vco1/portal/x%20y?q=1%2B2"),
            ("https://b.test:8443/", "http://127.0.0.1:2/"),
            ("https://c.test/x", "https://c.test/x"),
        ] {
            assert_eq!(overrides.apply(&url(from)).as_str(), to);
        }
    }
}
