//! The environment variables of a process and how typed settings are read from them.
//!
//! A service implements [`FromEnvironment`] for its configuration. Its [`Reader`] records every problem, so that one
//! message names all variables that are missing or wrong:
//!
//! ```
//! use runtime::{Environment, FromEnvironment, Invalid, Reader};
//! use secrecy::SecretString;
//!
//! struct Config {
//!     base_url: url::Url,
//!     password: SecretString,
//!     interval: std::time::Duration,
//! }
//!
//! impl FromEnvironment for Config {
//!     fn read(env: &mut Reader<'_>) -> Result<Self, Invalid> {
//!         let base_url = env.required_http_url("BASE_URL", "the URL of the third party");
//!         let password = env.secret("PASSWORD", "the password of the third party");
//!         let interval = env.seconds("INTERVAL", 600);
//!         // Only now `?`: everything was looked at.
//!         Ok(Self { base_url: base_url?, password: password?, interval: interval? })
//!     }
//! }
//!
//! let environment = Environment::from([("BASE_URL", "elsewhere")]);
//! let Err(errors) = environment.read::<Config>() else { panic!() };
//! assert!(errors.to_string().contains("BASE_URL is \"elsewhere\": expected the URL of the third party"));
//! assert!(errors.to_string().contains("PASSWORD is missing: expected the password of the third party"));
//! ```

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use serde::de::DeserializeOwned;
use url::Url;

use crate::redact;

/// How much of a wrong value a message shows, in characters.
const SHOWN: usize = 80;

/// A set of environment variables: the process's own, or one made for a test or for one service of several in a process.
#[derive(Clone, Default)]
pub struct Environment(Arc<BTreeMap<String, String>>);

impl Environment {
    /// The variables of this process. Variables which are not UTF-8 are left out.
    pub fn from_process() -> Self {
        std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect()
    }

    /// The value of a variable; `None` when it is absent or empty (spec `architecture`, "Process interface").
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.trim().is_empty())
    }

    /// This environment with one variable set.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.0).insert(name.into(), value.into());
        self
    }

    /// This environment with the variables of `other` set over it.
    #[must_use]
    pub fn merged(mut self, other: &Self) -> Self {
        let variables = Arc::make_mut(&mut self.0);
        variables.extend(other.0.iter().map(|(name, value)| (name.clone(), value.clone())));
        self
    }

    /// The names of all variables that are set.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Reads one group of settings.
    ///
    /// # Errors
    /// All missing and wrong variables at once.
    pub fn read<T: FromEnvironment>(&self) -> Result<T, ConfigErrors> {
        let mut reader = Reader::new(self);
        let value = T::read(&mut reader);
        reader.finish(value)
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        Self(Arc::new(pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect()))
    }
}

impl<K: Into<String>, V: Into<String>, const N: usize> From<[(K, V); N]> for Environment {
    fn from(pairs: [(K, V); N]) -> Self {
        pairs.into_iter().collect()
    }
}

/// Values may be secrets: only the names are shown.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Environment").field(&self.0.keys()).finish()
    }
}

/// Settings that are read from environment variables.
pub trait FromEnvironment: Sized {
    /// Reads every setting first and uses `?` only afterwards, so that all problems are found at once.
    ///
    /// # Errors
    /// [`Invalid`] when any setting is missing or wrong; the reader knows which.
    fn read(env: &mut Reader<'_>) -> Result<Self, Invalid>;
}

/// For services without settings of their own.
impl FromEnvironment for () {
    fn read(_: &mut Reader<'_>) -> Result<Self, Invalid> {
        Ok(())
    }
}

/// A setting is missing or wrong. What and why is recorded in the [`Reader`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a setting is missing or wrong")]
pub struct Invalid(());

/// One variable that is missing or wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The variable.
    pub name: String,
    /// What it should hold.
    pub expected: String,
    /// What is wrong with it; `None` when it is missing.
    pub found: Option<Found>,
}

/// What a wrong variable holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// The value, cut and redacted, and why it does not fit if that is known.
    Value(String, Option<String>),
    /// A secret: neither its value nor a reason that may quote it.
    Secret,
}

impl Problem {
    /// Without secrets, and not longer than an operator reads.
    fn clean(mut self) -> Self {
        if let Some(Found::Value(value, reason)) = &mut self.found {
            *value = redact::shortened(value, SHOWN);
            *reason = reason.as_deref().map(|reason| redact::shortened(reason, SHOWN));
        }
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, expected, found } = self;
        match found {
            None => write!(f, "{name} is missing: expected {expected}"),
            Some(Found::Value(value, None)) => write!(f, "{name} is {value:?}: expected {expected}"),
            Some(Found::Value(value, Some(reason))) => {
                write!(f, "{name} is {value:?}: expected {expected} ({reason})")
            }
            Some(Found::Secret) => write!(f, "{name} is wrong (a secret, not shown): expected {expected}"),
        }
    }
}

/// Every variable that is missing or wrong; its text is one message for the operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.message())]
pub struct ConfigErrors(pub Vec<Problem>);

impl ConfigErrors {
    fn message(&self) -> String {
        let mut message = match self.0.len() {
            1 => "1 environment variable is missing or wrong:".to_owned(),
            count => format!("{count} environment variables are missing or wrong:"),
        };
        for problem in &self.0 {
            message.push_str("\n  ");
            message.push_str(&problem.to_string());
        }
        message
    }
}

/// One setting that a service reads, for `--help`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The variable.
    pub name: String,
    /// What it holds.
    pub expected: String,
    /// Whether the process does not start without it.
    pub required: bool,
    /// The value it has when unset, as text.
    pub default: Option<String>,
}

/// Reads typed settings and records every problem.
pub struct Reader<'a> {
    environment: &'a Environment,
    problems: Vec<Problem>,
    settings: Vec<Setting>,
}

impl<'a> Reader<'a> {
    /// A reader of `environment` that has found no problem yet.
    pub fn new(environment: &'a Environment) -> Self {
        Self { environment, problems: Vec::new(), settings: Vec::new() }
    }

    /// `value` if no problem was recorded, else all of them.
    ///
    /// # Errors
    /// When a problem was recorded, or `value` is [`Invalid`].
    pub fn finish<T>(self, value: Result<T, Invalid>) -> Result<T, ConfigErrors> {
        match value {
            Ok(value) if self.problems.is_empty() => Ok(value),
            // Only now all secrets are known which a wrong value or a reason may hold.
            _ => Err(ConfigErrors(self.problems.into_iter().map(Problem::clean).collect())),
        }
    }

    /// The settings that were asked for so far.
    pub fn settings(&self) -> &[Setting] {
        &self.settings
    }

    /// The raw text of a variable, without recording anything; for settings whose meaning depends on others.
    pub fn peek(&self, name: &str) -> Option<&'a str> {
        self.environment.get(name)
    }

    /// A setting without which the process does not start. `expected` completes "expected ...".
    pub fn required<T: FromStr<Err: fmt::Display>>(
        &mut self,
        name: &str,
        expected: &str,
    ) -> Result<T, Invalid> {
        let value = self.parse(name, expected, true, None)?;
        value.ok_or_else(|| self.missing(name, expected))
    }

    /// A setting which may be absent.
    pub fn optional<T: FromStr<Err: fmt::Display>>(
        &mut self,
        name: &str,
        expected: &str,
    ) -> Result<Option<T>, Invalid> {
        self.parse(name, expected, false, None)
    }

    /// A setting with a default.
    pub fn or<T: FromStr<Err: fmt::Display> + fmt::Display>(
        &mut self,
        name: &str,
        default: T,
        expected: &str,
    ) -> Result<T, Invalid> {
        Ok(self.parse(name, expected, false, Some(default.to_string()))?.unwrap_or(default))
    }

    /// A required secret. Its value is never printed and from now on hidden wherever it turns up in logs.
    pub fn secret(&mut self, name: &str, expected: &str) -> Result<SecretString, Invalid> {
        self.describe(name, expected, true, None);
        match self.environment.get(name) {
            Some(value) => Ok(keep_secret(value)),
            None => Err(self.missing(name, expected)),
        }
    }

    /// A secret which may be absent.
    pub fn optional_secret(&mut self, name: &str, expected: &str) -> Result<Option<SecretString>, Invalid> {
        self.describe(name, expected, false, None);
        Ok(self.environment.get(name).map(keep_secret))
    }

    /// A required setting that is written as JSON.
    pub fn json<T: DeserializeOwned>(&mut self, name: &str, expected: &str) -> Result<T, Invalid> {
        self.required_with(name, expected, parse_json)
    }

    /// A setting that is written as JSON and may be absent.
    pub fn optional_json<T: DeserializeOwned>(
        &mut self,
        name: &str,
        expected: &str,
    ) -> Result<Option<T>, Invalid> {
        self.parse_with(name, expected, false, None, parse_json)
    }

    /// A setting that is written as JSON, with a default (`default` is the text for `--help`).
    pub fn json_or<T: DeserializeOwned>(
        &mut self,
        name: &str,
        default: T,
        expected: &str,
    ) -> Result<T, Invalid> {
        Ok(self.optional_json(name, expected)?.unwrap_or(default))
    }

    /// A time span in seconds, whole or with a fraction, ten years at most, with a default in seconds.
    pub fn seconds(&mut self, name: &str, default: u64) -> Result<Duration, Invalid> {
        let value = self.parse_with(name, SECONDS, false, Some(default.to_string()), parse_seconds)?;
        Ok(value.unwrap_or(Duration::from_secs(default)))
    }

    /// A required time span in seconds, whole or with a fraction, ten years at most.
    pub fn required_seconds(&mut self, name: &str) -> Result<Duration, Invalid> {
        self.required_with(name, SECONDS, parse_seconds)
    }

    /// The pace of a job, with a default in seconds: cut to whole minutes, as the existing deployment does. Below a minute
    /// nothing is left to cut to, and it stays as it is.
    pub fn job_interval(&mut self, name: &str, default: u64) -> Result<Duration, Invalid> {
        self.seconds(name, default).map(whole_minutes)
    }

    /// A number with a default that must lie between two others, both included. `expected` should name them.
    pub fn or_within<T: FromStr<Err: fmt::Display> + fmt::Display + PartialOrd>(
        &mut self,
        name: &str,
        default: T,
        range: RangeInclusive<T>,
        expected: &str,
    ) -> Result<T, Invalid> {
        let value = self.parse_with(name, expected, false, Some(default.to_string()), |text| {
            let value = text.parse().map_err(|error: T::Err| Some(error.to_string()))?;
            if range.contains(&value) { Ok(value) } else { Err(None) }
        })?;
        Ok(value.unwrap_or(default))
    }

    /// A required URL of scheme `http` or `https`, with a host.
    pub fn required_http_url(&mut self, name: &str, expected: &str) -> Result<Url, Invalid> {
        self.required_with(name, expected, http_url)
    }

    /// A switch: `true`/`1` or `false`/`0`, in any case.
    pub fn flag(&mut self, name: &str, default: bool) -> Result<bool, Invalid> {
        let value = self.parse_with(name, "true or false", false, Some(default.to_string()), |text| {
            match text.to_ascii_lowercase().as_str() {
                "true" | "1" => Ok(true),
                "false" | "0" => Ok(false),
                _ => Err(None),
            }
        })?;
        Ok(value.unwrap_or(default))
    }

    /// A comma separated list; blanks around items and empty items are dropped. Absent: empty.
    pub fn list<T: FromStr<Err: fmt::Display>>(
        &mut self,
        name: &str,
        expected: &str,
    ) -> Result<Vec<T>, Invalid> {
        let value = self.parse_with(name, expected, false, None, |text| {
            text.split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty())
                .map(|item| item.parse().map_err(|error: T::Err| Some(error.to_string())))
                .collect()
        })?;
        Ok(value.unwrap_or_default())
    }

    /// Any other form: `parse` gets the text and may give a reason why it does not fit.
    pub fn parse_with<T>(
        &mut self,
        name: &str,
        expected: &str,
        required: bool,
        default: Option<String>,
        parse: impl FnOnce(&str) -> Result<T, Option<String>>,
    ) -> Result<Option<T>, Invalid> {
        self.describe(name, expected, required, default);
        let Some(text) = self.environment.get(name) else { return Ok(None) };
        match parse(text.trim()) {
            Ok(value) => Ok(Some(value)),
            Err(reason) => {
                Err(self.record(name, expected, Some(Found::Value(text.trim().to_owned(), reason))))
            }
        }
    }

    /// Like [`Self::parse_with`] for a setting without which the process does not start.
    pub fn required_with<T>(
        &mut self,
        name: &str,
        expected: &str,
        parse: impl FnOnce(&str) -> Result<T, Option<String>>,
    ) -> Result<T, Invalid> {
        let value = self.parse_with(name, expected, true, None, parse)?;
        value.ok_or_else(|| self.missing(name, expected))
    }

    /// Records that a variable does not fit for a reason only the caller knows, e.g. in the light of another one.
    pub fn reject(&mut self, name: &str, expected: &str) -> Invalid {
        let found = self.environment.get(name).map(|text| Found::Value(text.trim().to_owned(), None));
        self.record(name, expected, found)
    }

    /// Records that a secret does not fit; its value is not shown.
    pub fn reject_secret(&mut self, name: &str, expected: &str) -> Invalid {
        self.record(name, expected, Some(Found::Secret))
    }

    fn parse<T: FromStr<Err: fmt::Display>>(
        &mut self,
        name: &str,
        expected: &str,
        required: bool,
        default: Option<String>,
    ) -> Result<Option<T>, Invalid> {
        self.parse_with(name, expected, required, default, |text| {
            text.parse().map_err(|error: T::Err| Some(error.to_string()))
        })
    }

    fn missing(&mut self, name: &str, expected: &str) -> Invalid {
        self.record(name, expected, None)
    }

    fn record(&mut self, name: &str, expected: &str, found: Option<Found>) -> Invalid {
        if !self.problems.iter().any(|problem| problem.name == name) {
            self.problems.push(Problem { name: name.to_owned(), expected: expected.to_owned(), found });
        }
        Invalid(())
    }

    fn describe(&mut self, name: &str, expected: &str, required: bool, default: Option<String>) {
        if !self.settings.iter().any(|setting| setting.name == name) {
            let (name, expected) = (name.to_owned(), expected.to_owned());
            self.settings.push(Setting { name, expected, required, default });
        }
    }
}

/// Problems hold values that are not redacted yet: only the names are shown.
impl fmt::Debug for Reader<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let problems: Vec<_> = self.problems.iter().map(|problem| &problem.name).collect();
        f.debug_struct("Reader").field("problems", &problems).finish_non_exhaustive()
    }
}

const SECONDS: &str = "a number of seconds";

/// The longest time span of a setting, in seconds: ten years. Whatever is reckoned with it stays within all clocks.
pub const LONGEST_SECONDS: u32 = 10 * 365 * 86_400;

fn parse_seconds(text: &str) -> Result<Duration, Option<String>> {
    let seconds = text.parse::<f64>().map_err(|error| Some(error.to_string()))?;
    if seconds > f64::from(LONGEST_SECONDS) {
        return Err(Some(format!("more than ten years, {LONGEST_SECONDS} s")));
    }
    Duration::try_from_secs_f64(seconds).map_err(|error| Some(error.to_string()))
}

pub(crate) fn http_url(text: &str) -> Result<Url, Option<String>> {
    let url = Url::parse(text).map_err(|error| Some(error.to_string()))?;
    let usable = matches!(url.scheme(), "http" | "https") && url.has_host();
    if usable { Ok(url) } else { Err(Some("not an http or https URL with a host".to_owned())) }
}

fn whole_minutes(interval: Duration) -> Duration {
    let seconds = interval.as_secs();
    if seconds < 60 { interval } else { Duration::from_secs(seconds - seconds % 60) }
}

fn parse_json<T: DeserializeOwned>(text: &str) -> Result<T, Option<String>> {
    serde_json::from_str(text).map_err(|error| Some(error.to_string()))
}

fn keep_secret(value: &str) -> SecretString {
    redact::hide(value);
    SecretString::from(value.to_owned())
}
