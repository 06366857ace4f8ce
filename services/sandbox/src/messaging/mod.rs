//! Mail, Slack and SMS: what the notifier talks to.
//!
//! Slack and SMS are HTTP routers that `running.rs` nests under `/slack` and `/sms` behind [`crate::http::guarded`]
//! (faults and the call log are handled there; the routers answer as usual and write to the outbox).
//! SMTP and IMAP own their listeners: [`wire`] lets faults strike their commands and records them.

pub mod imap;
mod imap_command;
pub mod slack;
pub mod sms;
pub mod smtp;
mod wire;
