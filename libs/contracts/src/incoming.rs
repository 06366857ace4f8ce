//! What a replier received, before it is a typed request.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value, value::RawValue};

use crate::{RawFields, json};

/// A received envelope: its top-level fields, unparsed.
///
/// `request_id` may be any JSON value or absent, `response_topic` and unknown fields are ignored
/// (spec `00-messaging`, "Envelope").
#[derive(Debug, Default)]
pub struct Incoming<'a> {
    fields: RawFields<'a>,
}

impl<'a> Incoming<'a> {
    /// Reads an envelope from text which is known to be legal JSON (see [`json::legal`]). Repeated keys: the last wins.
    ///
    /// # Errors
    /// When the text is not a JSON object.
    pub fn read(text: &'a str) -> Result<Self, serde_json::Error> {
        Ok(Self { fields: serde_json::from_str(text)? })
    }

    /// The value to echo in the reply; `null` when the request has none.
    pub fn request_id(&self) -> &'a RawValue {
        self.field("request_id").unwrap_or(RawValue::NULL)
    }

    /// A top-level field, also when it is `null`.
    pub fn field(&self, name: &str) -> Option<&'a RawValue> {
        self.fields.get(name)
    }

    /// The `body`, also when it is `null`; `None` when the key is absent.
    pub fn body(&self) -> Option<&'a RawValue> {
        self.field("body")
    }

    /// The `body` when it is an object. Absent, null and anything else are treated alike: `None`.
    pub fn body_object(&self) -> Option<Map<String, Value>> {
        json::object(self.body()?)
    }

    /// All top-level fields except `request_id` as an object (requests whose parameters lie beside `request_id`).
    pub fn top_level(&self) -> Map<String, Value> {
        self.fields
            .iter()
            .filter(|(name, _)| *name != "request_id")
            .filter_map(|(name, raw)| Some((name.to_owned(), serde_json::from_str(raw.get()).ok()?)))
            .collect()
    }

    /// The `body` as `T`, by way of a [`Value`] so that repeated keys are harmless.
    ///
    /// # Errors
    /// [`Rejected`] with status 400 and `text` when there is no body or it does not fit.
    pub fn body_as<T: DeserializeOwned>(&self, text: &str) -> Result<T, Rejected> {
        self.body()
            .and_then(|raw| serde_json::from_str::<Value>(raw.get()).ok())
            .and_then(|value| serde_json::from_value(value).ok())
            .ok_or_else(|| Rejected::text(text))
    }
}

/// A request that is refused before anything is done.
#[derive(Debug, Clone, PartialEq)]
pub struct Rejected {
    /// The reply's status, nearly always 400.
    pub status: u16,
    /// The reply's `body`: the subject's text, or null.
    pub body: Value,
}

impl Rejected {
    /// Status 400 with a text.
    pub fn text(text: impl Into<String>) -> Self {
        Self { status: 400, body: Value::String(text.into()) }
    }

    /// Status 400 with a null body.
    pub fn null() -> Self {
        Self { status: 400, body: Value::Null }
    }
}
