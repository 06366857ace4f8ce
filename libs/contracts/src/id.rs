//! Identifiers that travel between services, one type each.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An identifier that third parties write as a number or as text. Passed on exactly as it came.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Id {
    /// A number, the usual form.
    Number(i64),
    /// Text, as some callers and some of Bruin's answers have it.
    Text(String),
}

impl Id {
    /// The number, also when it was written as text.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Text(text) => text.trim().parse().ok(),
        }
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => text.fmt(f),
        }
    }
}

impl From<i64> for Id {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<&str> for Id {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

macro_rules! newtype {
    ($(#[$doc:meta] $name:ident($inner:ty);)+) => {$(
        #[$doc]
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl<T: Into<$inner>> From<T> for $name {
            fn from(value: T) -> Self {
                Self(value.into())
            }
        }
    )+};
}

newtype! {
    /// A client (customer) in Bruin.
    ClientId(Id);
    /// A trouble ticket in Bruin.
    TicketId(Id);
    /// A line (detail) of a ticket in Bruin.
    DetailId(Id);
    /// A customer's site in Bruin.
    SiteId(Id);
    /// The serial number of a device, e.g. `VC1234567`; Bruin calls it service number.
    Serial(String);
    /// The name of a link's interface on an edge, e.g. `GE1`.
    LinkInterface(String);
}

impl Serial {
    /// The serial as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl LinkInterface {
    /// The interface as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
