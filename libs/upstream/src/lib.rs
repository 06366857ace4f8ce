//! An HTTP client for third parties.
//!
//! A bridge builds one [`Upstream`] for its third party (one per host where there are several) from [`Settings`] and a
//! [`Login`], then sends [`Call`]s and gets a [`Response`] of any status or a [`CallError`]:
//!
//! - **Deadline**: one for the whole call. Waiting for a free place, a login, repetitions and reading count inside it.
//! - **Login**: single flight, ahead of its expiry, once more after a refusal, then the call is repeated once.
//! - **Limits**: calls in flight per host, size of an answer, redirects only where wanted.
//! - **Retries**: reads only, or where a call asks for it and surely nothing was executed.
//! - **Trust**: the system's certificates plus `SSL_CERT_FILE`, `SSL_CERT_DIR` and a CA file.
//! - **Secrecy**: no error, `Debug` text or log line of this crate holds a URL's path, a header, a body or a token.
//!
//! [`Overrides`] send calls elsewhere in development and tests. [`Coalesce`] lets identical reads share one call.

mod call;
mod client;
mod coalesce;
mod error;
mod login;
mod metrics;
mod overrides;
mod response;
mod retry;
mod session;
mod settings;
mod trust;

pub use call::Call;
pub use client::{Answered, Http, Started, Upstream};
pub use coalesce::Coalesce;
pub use error::{BuildError, CallError, connect_cause};
pub use login::{Login, LoginError, NoLogin, Session, basic, bearer};
pub use overrides::{Overrides, OverridesError};
pub use response::Response;
pub use settings::{Retry, Settings};
pub use trust::trusted_roots;
