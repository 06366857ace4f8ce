//! Failed requests of one refresh, told together (spec `customer-cache`, Improve 6).

use std::collections::BTreeMap;

use bus::RequestError;
use parking_lot::Mutex;

/// How many ids a Slack text names.
const NAMED: usize = 10;

/// What failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// `get.links.with.edge.info`; told by host.
    LinkList,
    /// `request.enterprises.edges`; told by enterprise.
    EnterpriseEdges,
    /// `request.links.configuration`; told by serial.
    LinksConfiguration,
    /// `bruin.customer.get.info`; told by serial.
    ClientInfo,
    /// `bruin.inventory.management.status`; told by serial.
    ManagementStatus,
    /// `bruin.get.site`; told by serial.
    SiteDetails,
}

impl Kind {
    fn text(self) -> &'static str {
        match self {
            Self::LinkList => "the links of VeloCloud hosts could not be claimed",
            Self::EnterpriseEdges => {
                "the edges of enterprises could not be claimed: their logical ids are empty"
            }
            Self::LinksConfiguration => "the links configuration of edges could not be claimed: it is empty",
            Self::ClientInfo => {
                "the client of edges could not be claimed from Bruin: their stored entries stay"
            }
            Self::ManagementStatus => {
                "the management status of edges could not be claimed: their stored entries stay"
            }
            Self::SiteDetails => {
                "the site of edges could not be claimed from Bruin: their stored entries stay"
            }
        }
    }
}

#[derive(Debug, Default)]
struct Tally {
    count: usize,
    first: Vec<String>,
    example: String,
}

/// Collects failed requests, for one text for each kind.
#[derive(Debug, Default)]
pub struct Troubles(Mutex<BTreeMap<Kind, Tally>>);

impl Troubles {
    /// Notes a failed request about `id`.
    pub fn note(&self, kind: Kind, id: &str, error: &RequestError) {
        tracing::error!(id, status = error.status(), %error, "{}", kind.text());
        self.count(kind, id, format!("status {}: {error}", error.status()));
    }

    /// Notes something else that was wrong with `id`.
    pub fn say(&self, kind: Kind, id: &str, reason: &str) {
        tracing::error!(id, reason, "{}", kind.text());
        self.count(kind, id, reason.to_owned());
    }

    fn count(&self, kind: Kind, id: &str, example: String) {
        let mut tallies = self.0.lock();
        let tally = tallies.entry(kind).or_default();
        tally.count += 1;
        if tally.first.len() < NAMED {
            tally.first.push(id.to_owned());
        }
        if tally.example.is_empty() {
            tally.example = example;
        }
    }

    /// One Slack text for each kind.
    pub fn texts(&self, environment: &str) -> Vec<String> {
        let environment = environment.to_uppercase();
        let tallies = self.0.lock();
        let text = |(kind, tally): (&Kind, &Tally)| {
            let named = tally.first.join(", ");
            let more = if tally.count > tally.first.len() { ", ..." } else { "" };
            format!(
                "[{environment}] {} ({} failed: {named}{more}). First: {}",
                kind.text(),
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

    #[test]
    fn a_thousand_failures_make_one_text() {
        let troubles = Troubles::default();
        for n in 0..1000 {
            troubles.say(Kind::SiteDetails, &format!("VC{n}"), "no site");
        }
        troubles.say(Kind::LinkList, "vco1", "down");
        let texts = troubles.texts("dev");
        assert_eq!(texts.len(), 2);
        assert!(texts[0].contains("(1 failed: vco1)"), "{}", texts[0]);
        assert!(texts[1].starts_with("[DEV] the site of edges"), "{}", texts[1]);
        assert!(texts[1].contains("(1000 failed: VC0, VC1, VC2, VC3, VC4, VC5, VC6, VC7, VC8, VC9, ...)"));
    }
}
