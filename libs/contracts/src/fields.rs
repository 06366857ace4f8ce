//! Taking the parameters of a request out of its `body`, one by one, each refused with the subject's text.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::{Incoming, Rejected, json};

/// The fields of a `body` which have not been taken yet, in their order.
pub(crate) struct Fields(Map<String, Value>);

impl Fields {
    /// The body of `incoming`. Absent, null and anything but an object are refused with `text`
    /// (spec `bruin-bridge`, "Conventions": the new service treats them alike).
    pub(crate) fn of(incoming: &Incoming<'_>, text: &str) -> Result<Self, Rejected> {
        incoming.body_object().map(Self).ok_or_else(|| Rejected::text(text))
    }

    /// Whether nothing is left.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `name` is there, also when it is null.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Takes a field which must be there and fit. A null is refused as well: nothing useful can be asked with it.
    pub(crate) fn required<T: DeserializeOwned>(&mut self, name: &str, text: &str) -> Result<T, Rejected> {
        match self.0.shift_remove(name) {
            None | Some(Value::Null) => Err(Rejected::text(text)),
            Some(value) => serde_json::from_value(value).map_err(|_| Rejected::text(text)),
        }
    }

    /// Takes a field which must be truthy and fit.
    pub(crate) fn truthy<T: DeserializeOwned>(&mut self, name: &str, text: &str) -> Result<T, Rejected> {
        self.if_truthy(name, text)?.ok_or_else(|| Rejected::text(text))
    }

    /// Takes a field which counts only when it is truthy; refused with `text` when it then does not fit.
    pub(crate) fn if_truthy<T: DeserializeOwned>(
        &mut self,
        name: &str,
        text: &str,
    ) -> Result<Option<T>, Rejected> {
        match self.0.shift_remove(name) {
            Some(value) if json::truthy(&value) => {
                serde_json::from_value(value).map(Some).map_err(|_| Rejected::text(text))
            }
            _ => Ok(None),
        }
    }

    /// Takes a field that may be absent; refused with `text` when it is there and does not fit.
    pub(crate) fn if_present<T: DeserializeOwned>(
        &mut self,
        name: &str,
        text: &str,
    ) -> Result<Option<T>, Rejected> {
        if self.has(name) { self.required(name, text).map(Some) } else { Ok(None) }
    }

    /// Takes a field as it is.
    pub(crate) fn take(&mut self, name: &str) -> Option<Value> {
        self.0.shift_remove(name)
    }

    /// What was not taken.
    pub(crate) fn rest(self) -> Map<String, Value> {
        self.0
    }
}
