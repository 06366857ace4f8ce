//! The Salesforce organisation of a field-dispatch vendor: what `cts-bridge` and `lit-bridge` have in common (spec
//! `cts-bridge` and `lit-bridge`, "Upstream" and "Improve").
//!
//! - [`Account`]: the settings; [`login`]: the SOAP partner login, which also tells the instance that calls go to.
//! - [`Organisation`]: reads, repeated within the caller's patience, and writes, tried once.
//! - [`Failure`]: why there is no usable answer, and the reply that says so.
//! - [`Ours`]: which of the vendor's dispatches were ordered through this system, by one look into Redis.

pub mod account;
pub mod failure;
pub mod login;
pub mod organisation;
pub mod ours;

pub use account::{Account, Vendor};
pub use failure::Failure;
pub use login::PartnerLogin;
pub use organisation::{Organisation, json_of, read_until};
pub use ours::Ours;

/// What every call but the login carries, besides the session.
pub const PRETTY_PRINT: (&str, &str) = ("X-PrettyPrint", "1");
/// What writes carry, and all calls of Apex REST.
pub const NO_CACHE: (&str, &str) =
    ("Cache-control", "no-cache, no-store, no-transform, max-age=0, only-if-cached");
/// The type of all bodies but uploaded files.
pub const JSON: (&str, &str) = ("Content-Type", "application/json");
