//! What the template shows.

use askama::Template;
use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;

use crate::Simulation;
use crate::control::{EdgePage, EdgeView, LinkView, Selection, ThirdPartyView, views as third_parties};
use crate::faults::{Mode, Standing};
use crate::world::network::{Health, LinkState};
use crate::world::outages::OutageCounts;
use crate::world::outbox::{Kept, Mail, Reboot, SlackMessage, Sms};
use crate::world::tickets::Ticket;

/// What the reader looks for.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct PageQuery {
    search: String,
    health: String,
    page: Option<usize>,
}

impl PageQuery {
    pub(super) fn selection(&self, size: usize) -> Selection {
        Selection {
            search: Some(self.search.clone()),
            health: Health::ALL.into_iter().find(|health| health.title() == self.health),
            page: self.page,
            size: Some(size),
            ..Selection::default()
        }
    }

    /// The address of another page of the same search.
    fn address(&self, page: usize) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("search", &self.search).append_pair("health", &self.health);
        query.append_pair("page", &page.to_string());
        format!("/?{}#edges", query.finish())
    }
}

/// A state in the filter.
pub(super) struct Choice {
    title: &'static str,
    count: usize,
    chosen: bool,
}

/// The page.
#[derive(Template)]
#[template(path = "page.html")]
pub(super) struct Page {
    now: DateTime<Utc>,
    seed: u64,
    query: PageQuery,
    choices: Vec<Choice>,
    outages: OutageCounts,
    edges: EdgePage,
    tickets: Vec<Ticket>,
    tickets_total: usize,
    mails: Vec<Mail>,
    mails_total: u64,
    slack: Vec<SlackMessage>,
    slack_total: u64,
    sms: Vec<Sms>,
    sms_total: u64,
    reboots: Vec<Reboot>,
    reboots_total: u64,
    third_parties: Vec<ThirdPartyView>,
}

impl Page {
    pub(super) fn new(
        simulation: &Simulation,
        query: PageQuery,
        edges: EdgePage,
        most_tickets: usize,
        most_messages: usize,
    ) -> Self {
        fn newest<T: Clone>(kept: &Kept<T>, most: usize) -> (Vec<T>, u64) {
            (kept.iter().rev().take(most).cloned().collect(), kept.total())
        }
        let world = &simulation.world;
        let (census, outages) = world.network(|network| (network.census(), network.outages.counts()));
        let choice = |(health, count): (Health, usize)| Choice {
            title: health.title(),
            count,
            chosen: health.title() == query.health,
        };
        let (tickets_total, tickets) = world.read_tickets(|tickets| {
            (tickets.len(), tickets.newest_first().take(most_tickets).cloned().collect())
        });
        let ((mails, mails_total), (slack, slack_total), (sms, sms_total), (reboots, reboots_total)) = world
            .read_outbox(|outbox| {
                (
                    newest(&outbox.mails, most_messages),
                    newest(&outbox.slack, most_messages),
                    newest(&outbox.sms, most_messages),
                    newest(&outbox.reboots, most_messages),
                )
            });
        Self {
            now: world.now(),
            seed: simulation.options.seed,
            choices: census.into_iter().map(choice).collect(),
            query,
            outages,
            edges,
            tickets,
            tickets_total,
            mails,
            mails_total,
            slack,
            slack_total,
            sms,
            sms_total,
            reboots,
            reboots_total,
            third_parties: third_parties(simulation),
        }
    }

    /// `3 min ago`.
    fn ago(&self, at: &DateTime<Utc>) -> String {
        let passed = (self.now - *at).max(TimeDelta::zero());
        match (passed.num_days(), passed.num_hours(), passed.num_minutes()) {
            (days, ..) if days > 0 => format!("{days} d ago"),
            (_, hours, _) if hours > 0 => format!("{hours} h ago"),
            (_, _, minutes) if minutes > 0 => format!("{minutes} min ago"),
            _ => format!("{} s ago", passed.num_seconds()),
        }
    }

    fn status(&self, ticket: &Ticket) -> &'static str {
        ticket.status(self.now).title()
    }

    fn address(&self, page: usize) -> String {
        self.query.address(page)
    }
}

/// `2022-01-31 10:00:00`, UTC.
fn time(at: &DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%S").to_string()
}

impl EdgeView {
    /// The class of the state, for its colour and shape.
    fn class(&self) -> &'static str {
        match self.health {
            Health::Up => "up",
            Health::Degraded => "degraded",
            Health::Down => "down",
            Health::StandbyDown => "standby",
            Health::NeverActivated => "never",
        }
    }

    fn active(&self) -> bool {
        self.health != Health::NeverActivated
    }

    fn device_up(&self) -> bool {
        self.edge_state != Some("OFFLINE")
    }

    fn has_digi(&self) -> bool {
        self.links.iter().any(|link| link.digi)
    }
}

impl LinkView {
    fn class(&self) -> &'static str {
        match self.state {
            LinkState::Stable => "up",
            LinkState::Unstable => "degraded",
            LinkState::Disconnected => "down",
        }
    }
}

impl Standing {
    /// The fault in words.
    fn words(&self) -> String {
        let fault = &self.fault;
        let effect = match fault.mode() {
            Mode::Latency => "slow".to_owned(),
            Mode::RefuseLogins => "logins refused".to_owned(),
            Mode::Status => format!("answers {}", fault.status.unwrap_or(500)),
            Mode::RateLimit => "rate limit".to_owned(),
            Mode::Garbage => "garbage".to_owned(),
            Mode::Reset => "connections reset".to_owned(),
            Mode::LoseAnswer => "answers lost".to_owned(),
            Mode::Truncate => "answers cut off".to_owned(),
        };
        let latency = (fault.latency_ms > 0).then(|| format!(" after {} ms", fault.latency_ms));
        let share = (fault.rate < 1.0).then(|| format!(" for {:.0} % of calls", fault.rate * 100.0));
        let end = fault.until.as_ref().map(|until| format!(" until {}", time(until)));
        std::iter::once(effect).chain(latency).chain(share).chain(end).collect()
    }
}
