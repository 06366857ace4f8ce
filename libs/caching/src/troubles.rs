//! Failed requests of one refresh, told together.

use std::collections::{BTreeMap, BTreeSet};

use bus::RequestError;
use parking_lot::Mutex;

/// How many ids a Slack text names.
const NAMED: usize = 10;

/// What failed.
pub trait Cause: Copy + Ord {
    /// What it means, for people.
    fn text(self) -> &'static str;
}

#[derive(Debug, Default)]
struct Tally {
    count: usize,
    ids: BTreeSet<String>,
    first: Vec<String>,
    example: String,
}

/// Collects failed requests, for one text for each cause.
#[derive(Debug)]
pub struct Troubles<C>(Mutex<BTreeMap<C, Tally>>);

impl<C> Default for Troubles<C> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<C: Cause> Troubles<C> {
    /// Notes a failed request about `id`.
    pub fn note(&self, cause: C, id: &str, error: &RequestError) {
        tracing::error!(id, status = error.status(), %error, "{}", cause.text());
        self.count(cause, id, format!("status {}: {error}", error.status()));
    }

    /// Notes something else that was wrong with `id`.
    pub fn say(&self, cause: C, id: &str, reason: &str) {
        tracing::error!(id, reason, "{}", cause.text());
        self.count(cause, id, reason.to_owned());
    }

    fn count(&self, cause: C, id: &str, example: String) {
        let mut tallies = self.0.lock();
        let tally = tallies.entry(cause).or_default();
        tally.count += 1;
        tally.ids.insert(id.to_owned());
        if tally.first.len() < NAMED {
            tally.first.push(id.to_owned());
        }
        if tally.example.is_empty() {
            tally.example = example;
        }
    }

    /// What failed, and for what: by this a refresh can tell whether people know of it already.
    pub fn all(&self) -> BTreeSet<(C, String)> {
        let tallies = self.0.lock();
        tallies.iter().flat_map(|(cause, tally)| tally.ids.iter().map(|id| (*cause, id.clone()))).collect()
    }

    /// One Slack text for each cause.
    pub fn texts(&self, environment: &str) -> Vec<String> {
        let environment = environment.to_uppercase();
        let tallies = self.0.lock();
        let text = |(cause, tally): (&C, &Tally)| {
            let named = tally.first.join(", ");
            let more = if tally.count > tally.first.len() { ", ..." } else { "" };
            format!(
                "[{environment}] {} ({} failed: {named}{more}). First: {}",
                cause.text(),
                tally.count,
                tally.example
            )
        };
        tallies.iter().map(text).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
    enum Failure {
        List,
        Site,
    }

    impl Cause for Failure {
        fn text(self) -> &'static str {
            match self {
                Self::List => "the list could not be claimed",
                Self::Site => "the site of devices could not be claimed",
            }
        }
    }

    #[test]
    fn a_thousand_failures_make_one_text() {
        let troubles = Troubles::default();
        for n in 0..1000 {
            troubles.say(Failure::Site, &format!("VC{n}"), "no site");
        }
        troubles.say(Failure::List, "vco1", "down");
        troubles.say(Failure::List, "vco1", "down again");
        assert_eq!(troubles.all().len(), 1001);
        let texts = troubles.texts("dev");
        assert_eq!(texts.len(), 2);
        assert_eq!(texts[0], "[DEV] the list could not be claimed (2 failed: vco1, vco1). First: down");
        assert!(texts[1].starts_with("[DEV] the site of devices"), "{}", texts[1]);
        assert!(texts[1].contains("(1000 failed: VC0, VC1, VC2, VC3, VC4, VC5, VC6, VC7, VC8, VC9, ...)"));
    }
}
