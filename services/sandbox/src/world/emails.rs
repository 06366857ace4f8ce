//! E-mails that customers sent to Bruin, as far as the engine touches them: tags, state, links to tickets.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use utoipa::ToSchema;

/// What was done to one e-mail.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Email {
    /// Tags given to it.
    pub tags: BTreeSet<i64>,
    /// Its state, e.g. `Done`.
    pub status: Option<String>,
    /// Tickets it is linked to.
    pub tickets: BTreeSet<i64>,
}

/// All e-mails that were touched, by id. Every id exists.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Emails(pub BTreeMap<i64, Email>);

impl Emails {
    /// Tags an e-mail; false when it has the tag already.
    pub fn tag(&mut self, email: i64, tag: i64) -> bool {
        self.0.entry(email).or_default().tags.insert(tag)
    }

    /// Sets the state.
    pub fn set_status(&mut self, email: i64, status: &str) {
        self.0.entry(email).or_default().status = Some(status.to_owned());
    }

    /// Links an e-mail with a ticket.
    pub fn link(&mut self, email: i64, ticket: i64) {
        self.0.entry(email).or_default().tickets.insert(ticket);
    }
}
