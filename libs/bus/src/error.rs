//! What can go wrong, by operation.

use std::time::Duration;

/// [`Bus::connect`](crate::Bus::connect) failed. The message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Redis does not answer; peers could not exchange large payloads.
    #[error("Redis at {address} does not answer PING: {reason}. Check {check}")]
    Redis {
        /// Host and port.
        address: String,
        /// The cause.
        reason: String,
        /// The settings that stand behind it.
        check: &'static str,
    },
    /// An option cannot be used, e.g. a URL that is none or a file that is missing.
    #[error("{option}: {reason}")]
    Option {
        /// Which one.
        option: &'static str,
        /// Why.
        reason: String,
    },
    /// The metrics of a bus are in the registry already.
    #[error("cannot register metrics: {0}")]
    Metrics(#[from] prometheus::Error),
}

impl ConnectError {
    pub(crate) fn redis(address: String, reason: String) -> Self {
        let refused =
            ["NOAUTH", "WRONGPASS", "AuthenticationFailed"].iter().any(|word| reason.contains(word))
                || reason.to_lowercase().contains("password");
        let check = if refused { "REDIS_PASSWORD" } else { "REDIS_HOSTNAME, REDIS_PORT and that it runs" };
        Self::Redis { address, reason, check }
    }
}

/// A request that brought no success.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RequestError {
    /// The replier answered with another status than 2xx.
    #[error("{subject} answered {}: {body}", .status.map_or_else(|| "without a status".to_owned(), |s| s.to_string()))]
    Refused {
        /// What was asked.
        subject: String,
        /// The reply's status; `None` when null, absent or not an integer.
        status: Option<u16>,
        /// The reply's body, as text, cut to a few hundred characters.
        body: String,
    },
    /// No reply in time. The work may have been done.
    #[error("{subject}: no reply within {within:?}")]
    Timeout {
        /// What was asked.
        subject: String,
        /// The limit.
        within: Duration,
    },
    /// Nobody serves the subject (and nobody began to within the limit).
    #[error("{subject}: nobody serves this subject")]
    NoResponders {
        /// What was asked.
        subject: String,
    },
    /// There is no connection to NATS, or it was lost before the reply came.
    #[error("{subject}: not connected to NATS")]
    Disconnected {
        /// What was asked.
        subject: String,
        /// Whether the request had been sent before.
        sent: bool,
    },
    /// The reply is not a JSON object, or its body does not fit the contract.
    #[error("{subject}: unreadable reply: {reason}")]
    Unreadable {
        /// What was asked.
        subject: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The request cannot be written as JSON, or its subject is none.
    #[error("{subject}: cannot be sent: {reason}")]
    Unwritable {
        /// What was asked.
        subject: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Redis failed while a payload was to be stored or fetched.
    #[error("{subject}: payload store: {reason}")]
    PayloadStore {
        /// What was asked.
        subject: String,
        /// The cause.
        reason: String,
        /// Whether the request had been sent before.
        sent: bool,
    },
    /// The request or its reply is beyond the limit of [`Limits::max_payload_in`](crate::Limits::max_payload_in).
    #[error("{subject}: payload of {bytes} bytes is too large")]
    TooLarge {
        /// What was asked.
        subject: String,
        /// Its size.
        bytes: usize,
        /// Whether it is the reply that is too large.
        sent: bool,
    },
}

impl RequestError {
    /// The status by which rules see this failure: the upstream's for [`Self::Refused`] (503 when it had none), 503 for
    /// every failure of messaging itself (spec `00-messaging`, "What the new requester does").
    pub fn status(&self) -> u16 {
        match self {
            Self::Refused { status: Some(status), .. } => *status,
            _ => 503,
        }
    }

    /// Whether messaging itself failed, i.e. there is no readable reply.
    pub fn is_messaging(&self) -> bool {
        !matches!(self, Self::Refused { .. })
    }

    /// Whether the replier may have done the work. `false` is certain: nothing was delivered.
    pub fn maybe_executed(&self) -> bool {
        match self {
            Self::NoResponders { .. } | Self::Unwritable { .. } => false,
            Self::Disconnected { sent, .. }
            | Self::PayloadStore { sent, .. }
            | Self::TooLarge { sent, .. } => *sent,
            Self::Refused { .. } | Self::Timeout { .. } | Self::Unreadable { .. } => true,
        }
    }

    /// A word for metrics and spans (`error.type`), from a closed list.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Refused { .. } => "refused",
            Self::Timeout { .. } => "timeout",
            Self::NoResponders { .. } => "no_responders",
            Self::Disconnected { .. } => "disconnected",
            Self::Unreadable { .. } => "unreadable",
            Self::Unwritable { .. } => "unwritable",
            Self::PayloadStore { .. } => "payload_store",
            Self::TooLarge { .. } => "too_large",
        }
    }
}

/// [`Bus::serve`](crate::Bus::serve) failed.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The bus is draining or closed.
    #[error("{subject}: the bus is closing")]
    Closing {
        /// What was to be served.
        subject: &'static str,
    },
    /// The subject is served by this bus already.
    #[error("{subject}: is served already by this process")]
    Twice {
        /// What was to be served.
        subject: &'static str,
    },
    /// NATS refused the subscription.
    #[error("{subject}: cannot subscribe: {reason}")]
    Subscribe {
        /// What was to be served.
        subject: &'static str,
        /// The cause.
        reason: String,
    },
}
