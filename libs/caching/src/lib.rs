//! What the customer caches share. Each crosses a list of devices with Bruin's inventory every few hours, keeps the result
//! in a Redis of its own, and answers requests from it at any time.
//!
//! - [`StoredLists`]: lists in Redis, replaced as a whole, parsed once for each change; [`open`] makes sure that the
//!   Redis is there.
//! - [`refresh_until_done`]: a refresh that is repeated until it succeeds, by one replica at a time; another one takes
//!   over within 15 s when that one dies.
//! - [`Troubles`]: the failures of one refresh, told together; [`Notifier`] tells people, best effort.
//! - [`mail`]: what the caches' mails have in common; [`settings`]: what their environments have.

mod attempts;
pub mod mail;
mod notifier;
pub mod settings;
mod stored;
mod troubles;

pub use attempts::{Attempts, Done, Ended, LEASE, refresh_until_done};
pub use notifier::Notifier;
pub use stored::{Entry, StoredLists, open, read_list, write_list};
pub use troubles::{Cause, Troubles};
