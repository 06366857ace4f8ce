//! Values that become query parameters in Bruin.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::id::{ClientId, Serial, SiteId, TicketId};
use crate::{Rejected, fields::Fields, id::Id};

/// One text or number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Scalar {
    /// A text.
    Text(String),
    /// A number, written in decimal.
    Number(serde_json::Number),
}

/// What one query parameter may be: a scalar, or several which become a repeated parameter. Null, booleans and objects
/// are no filters and are refused (spec, Improve 9: dropping one would widen the question).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Filter {
    /// A plain value.
    One(Scalar),
    /// Several values of one parameter.
    Many(Vec<Scalar>),
}

impl Filter {
    /// The values, in order.
    pub fn values(&self) -> &[Scalar] {
        match self {
            Self::One(value) => std::slice::from_ref(value),
            Self::Many(values) => values,
        }
    }
}

impl std::fmt::Display for Scalar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Number(number) => number.fmt(f),
        }
    }
}

impl From<&str> for Scalar {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<Id> for Scalar {
    fn from(id: Id) -> Self {
        match id {
            Id::Number(number) => Self::Number(number.into()),
            Id::Text(text) => Self::Text(text),
        }
    }
}

impl<T: Into<Scalar>> From<T> for Filter {
    fn from(value: T) -> Self {
        Self::One(value.into())
    }
}

impl<T: Into<Scalar>> FromIterator<T> for Filter {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        Self::Many(values.into_iter().map(Into::into).collect())
    }
}

impl From<String> for Scalar {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

macro_rules! ids {
    ($($name:ident),+) => {$(
        impl From<$name> for Scalar {
            fn from(value: $name) -> Self {
                value.0.into()
            }
        }
    )+};
}
ids!(ClientId, SiteId, TicketId, Serial);

/// Further query parameters by the name they have in the request, in order.
pub type Filters = IndexMap<String, Filter>;

/// Everything in `fields` as filters; refused with `text` when one of them is none.
pub(super) fn filters(fields: Fields, text: &str) -> Result<Filters, Rejected> {
    let filters = fields.rest().into_iter().map(|(name, value)| Some((name, usable(value)?)));
    filters.collect::<Option<_>>().ok_or_else(|| Rejected::text(text))
}

fn usable(value: Value) -> Option<Filter> {
    // An empty list would leave its parameter out, which widens the question just like a null.
    if value.as_array().is_some_and(Vec::is_empty) {
        return None;
    }
    serde_json::from_value(value).ok()
}

/// Takes a filter which must be there.
pub(super) fn required(fields: &mut Fields, name: &str, text: &str) -> Result<Filter, Rejected> {
    of(fields.required(name, text)?, text)
}

/// A value as a filter; refused with `text` when it is none.
pub(super) fn of(value: Value, text: &str) -> Result<Filter, Rejected> {
    usable(value).ok_or_else(|| Rejected::text(text))
}
