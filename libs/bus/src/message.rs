//! What handlers and requesters hold in their hands: [`Call`], [`Reply`], [`Answer`], [`RequestId`].

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use contracts::json;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::value::{RawValue, to_raw_value};
use tokio::time::Instant;

/// The `request_id` of a request, whatever JSON value the sender chose. Echoed unchanged.
#[derive(Debug, Clone)]
pub struct RequestId(Arc<RawValue>);

impl RequestId {
    /// The id as it stood in the envelope.
    pub fn raw(&self) -> &RawValue {
        &self.0
    }

    /// The text, when the id is a string (the usual form).
    pub fn as_str(&self) -> Option<Cow<'_, str>> {
        let raw = self.0.get();
        let plain = raw.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
        match plain.filter(|text| !text.contains('\\')) {
            Some(text) => Some(Cow::Borrowed(text)),
            None => serde_json::from_str(raw).ok().map(Cow::Owned),
        }
    }
}

impl From<&RawValue> for RequestId {
    fn from(raw: &RawValue) -> Self {
        Self(Arc::from(raw.to_owned()))
    }
}

impl std::fmt::Display for RequestId {
    /// For logs: a string without its quotes, anything else as JSON, what no peer of ours sends cut short.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const LONGEST: usize = 64;
        let text = self.as_str().unwrap_or(Cow::Borrowed(self.0.get()));
        if text.len() <= LONGEST {
            return f.write_str(&text);
        }
        match text.char_indices().nth(LONGEST) {
            Some((end, _)) => write!(f, "{}...", text.get(..end).unwrap_or_default()),
            None => f.write_str(&text),
        }
    }
}

/// One request as a handler gets it.
#[derive(Debug, Clone)]
pub struct Call<Q> {
    /// The validated parameters.
    pub request: Q,
    /// The sender's correlation id.
    pub request_id: RequestId,
    /// When the reply must be ready; the bus answers 500 in the handler's stead at this instant.
    pub deadline: Instant,
    /// The subject it came on.
    pub subject: &'static str,
}

/// What a handler answers. The bus adds the `request_id`.
#[derive(Debug, Clone)]
pub struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Option<Box<RawValue>>,
    pub(crate) executed: bool,
}

impl Reply {
    /// Status 200 with `body`.
    pub fn ok<T: Serialize + ?Sized>(body: &T) -> Self {
        Self::json(200, body)
    }

    /// `status` with `body`. A body which cannot be written as JSON becomes a 500.
    pub fn json<T: Serialize + ?Sized>(status: u16, body: &T) -> Self {
        match to_raw_value(body) {
            Ok(raw) => Self::raw(status, raw),
            Err(error) => {
                tracing::error!(%error, "a reply cannot be written as JSON");
                Self::text(500, "the reply cannot be written as JSON")
            }
        }
    }

    /// `status` with a text as the body.
    pub fn text(status: u16, text: &str) -> Self {
        Self::json(status, text)
    }

    /// `status` with a body that is JSON already and is passed on as it is. It must be legal JSON.
    pub fn raw(status: u16, body: Box<RawValue>) -> Self {
        Self { status, body: Some(body), executed: true }
    }

    /// `status` with a null body.
    pub fn status(status: u16) -> Self {
        Self { status, body: None, executed: true }
    }

    /// Says that nothing was changed: a write's reply is not remembered, so that a repeated request is tried again.
    #[must_use]
    pub fn not_executed(mut self) -> Self {
        self.executed = false;
        self
    }

    /// The reply's status.
    pub fn code(&self) -> u16 {
        self.status
    }

    /// The reply's body; `None` is written as null.
    pub fn body(&self) -> Option<&RawValue> {
        self.body.as_deref()
    }

    /// Whether [`Self::not_executed`] was said.
    pub fn was_executed(&self) -> bool {
        self.executed
    }
}

/// A readable reply, whatever its status.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status; `None` when null, absent or not an integer, which counts as a failure.
    pub status: Option<u16>,
    /// The body: a part of `payload` unless that was no legal JSON. Legal JSON, so UTF-8.
    pub(crate) body: Bytes,
    /// The whole envelope as it came over the wire or out of Redis. Old peers may have written `NaN` into it.
    pub payload: Bytes,
}

impl Answer {
    /// Whether the status is 2xx.
    pub fn is_success(&self) -> bool {
        self.status.is_some_and(|status| (200..300).contains(&status))
    }

    /// The body as it came (made legal JSON); `null` when absent.
    pub fn body(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap_or("null")
    }

    /// The body as `T`. Repeated keys are harmless: the last wins.
    ///
    /// # Errors
    /// When the body does not fit.
    pub fn body_as<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        // Straight from the text where that works. By way of a `Value` it also survives repeated keys.
        serde_json::from_slice(&self.body)
            .or_else(|_| serde_json::from_value(serde_json::from_slice::<serde_json::Value>(&self.body)?))
    }

    /// The whole envelope as legal JSON.
    pub fn text(&self) -> String {
        json::legal(&String::from_utf8_lossy(&self.payload)).into_owned()
    }
}
