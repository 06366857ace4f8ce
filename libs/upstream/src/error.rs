//! What can go wrong with a call, in words that are safe to put into replies and logs.

use std::io;

use thiserror::Error;

use crate::LoginError;

/// Why a call gave no answer. Never holds URLs, headers, bodies or anything else that may be secret.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
pub enum CallError {
    /// No connection: name not found, refused, unreachable, TLS. The text says which.
    #[error("{0}")]
    Connect(String),
    /// No complete answer within the deadline; the call may have been executed.
    #[error("no answer in time")]
    Timeout,
    /// The connection broke before the whole answer came; the call may have been executed.
    #[error("{0}")]
    Closed(String),
    /// The answer is larger than [`crate::Settings::response_limit`].
    #[error("the answer has more than {0} bytes")]
    TooLarge(usize),
    /// There is no session and none could be had.
    #[error("no session: {0}")]
    NoSession(Box<LoginError>),
    /// The deadline passed while the call waited for its turn or for a session; it was not sent.
    #[error("out of time before the call was sent")]
    Deadline,
    /// The call cannot be sent as given.
    #[error("the call cannot be sent: {0}")]
    Invalid(String),
}

/// Why an [`crate::Upstream`] cannot be built.
#[derive(Debug, Error)]
pub enum BuildError {
    /// The CA file cannot be read or holds no certificate.
    #[error("{upstream}: CA file {file}: {reason}")]
    CaFile {
        /// The third party.
        upstream: &'static str,
        /// The file.
        file: String,
        /// Why.
        reason: String,
    },
    /// TLS cannot be set up.
    #[error("{0}: TLS: {1}")]
    Tls(&'static str, String),
    /// Two with the same name and host in one registry.
    #[error("{0}: metrics: {1}")]
    Metrics(&'static str, prometheus::Error),
    /// The base URL is not `http` or `https`, or has no host.
    #[error("{0}: the base URL must be http or https with a host")]
    BaseUrl(&'static str),
}

impl CallError {
    /// Whether the third party cannot have executed the call.
    pub fn surely_not_executed(&self) -> bool {
        match self {
            Self::Connect(_) | Self::NoSession(_) | Self::Deadline | Self::Invalid(_) => true,
            Self::Timeout | Self::Closed(_) | Self::TooLarge(_) => false,
        }
    }

    /// The kind, as a label for metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Connect(_) => "connect",
            Self::Timeout => "timeout",
            Self::Closed(_) => "closed",
            Self::TooLarge(_) => "too_large",
            Self::NoSession(_) => "no_session",
            Self::Deadline => "deadline",
            Self::Invalid(_) => "invalid",
        }
    }

    /// What a failure of the HTTP client means. Its own text is not used: it may hold the URL.
    pub(crate) fn from_client(error: &reqwest::Error) -> Self {
        if error.is_builder() {
            return Self::Invalid("not a valid HTTP request".to_owned());
        }
        if error.is_redirect() {
            return Self::Closed("too many redirects".to_owned());
        }
        if error.is_connect() {
            let late = error.is_timeout().then(|| "no connection in time".to_owned());
            return Self::Connect(late.unwrap_or_else(|| connect_cause(error)));
        }
        if error.is_timeout() {
            return Self::Timeout;
        }
        Self::Closed(closed_cause(error))
    }
}

/// An error and all its causes, outermost first. What an `io::Error` wraps is among them, which `source` leaves out.
fn causes<'a>(error: &'a (dyn std::error::Error + 'static)) -> Vec<&'a (dyn std::error::Error + 'static)> {
    let mut found = vec![error];
    let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    match wrapped {
        Some(inner) => found.extend(causes(inner)),
        None => found.extend(error.source().map(causes).unwrap_or_default()),
    }
    found
}

fn io_kind(error: &(dyn std::error::Error + 'static)) -> Option<io::ErrorKind> {
    let kinds =
        causes(error).into_iter().filter_map(|cause| cause.downcast_ref::<io::Error>()).map(io::Error::kind);
    kinds.filter(|kind| *kind != io::ErrorKind::Other).last()
}

/// Why there is no connection, from the causes of a client's `error`, in words that are safe to show.
pub fn connect_cause(error: &(dyn std::error::Error + 'static)) -> String {
    let tls =
        causes(error).into_iter().find_map(|cause| Some(cause.downcast_ref::<rustls::Error>()?.to_string()));
    if let Some(tls) = tls {
        return format!("TLS: {}", tls.chars().take(200).collect::<String>());
    }
    if causes(error).iter().any(|cause| cause.to_string().starts_with("dns error")) {
        return "the host's name cannot be resolved".to_owned();
    }
    io_kind(error).map_or_else(|| "cannot connect".to_owned(), |kind| format!("cannot connect: {kind}"))
}

fn closed_cause(error: &reqwest::Error) -> String {
    let parse = causes(error)
        .into_iter()
        .filter_map(|cause| cause.downcast_ref::<hyper::Error>())
        .any(|cause| cause.is_parse() || cause.is_parse_status());
    if parse {
        return "the answer is not HTTP".to_owned();
    }
    match io_kind(error) {
        Some(io::ErrorKind::ConnectionReset) => "connection reset by the third party".to_owned(),
        _ => "connection closed before the answer was complete".to_owned(),
    }
}
