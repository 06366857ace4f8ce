//! Every parser of outside text, as a function of bytes that panics when something does not hold.
//!
//! `fuzz/` feeds them with what libFuzzer thinks of (`scripts/fuzz`), this crate's tests with the corpora under
//! `fuzz/corpus` and mutations of them. A crasher that was found becomes a file of its corpus, and so a test for ever.

#![allow(clippy::panic, clippy::missing_panics_doc, reason = "to panic is what these functions are for")]

mod answers;
mod messages;
mod texts;

pub use answers::{dispatches, http_answers, probes, velocloud};
pub use messages::{envelopes, ledger, models, requests, tickets};
pub use texts::{mails, notes, settings, times};

/// Takes any bytes; panics when the parser behind it breaks a promise.
pub type Parser = fn(&[u8]);

/// All of them, by the names of their fuzz targets and corpora.
pub const ALL: [(&str, Parser); 13] = [
    ("dispatches", dispatches),
    ("envelopes", envelopes),
    ("http_answers", http_answers),
    ("ledger", ledger),
    ("mails", mails),
    ("models", models),
    ("notes", notes),
    ("probes", probes),
    ("requests", requests),
    ("settings", settings),
    ("tickets", tickets),
    ("times", times),
    ("velocloud", velocloud),
];
