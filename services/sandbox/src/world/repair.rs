//! `POST /api/Ticket/repair`: a new outage ticket, or what Bruin does instead.
//!
//! | outcome | when |
//! | --- | --- |
//! | 409 | an open outage ticket has an unresolved line for the service number |
//! | 471, 472, 473, new | a resolved one (or a resolved line of an open one) has; which, says the [`RepairPolicy`] |
//! | 473 | no ticket of its own, but a resolved one of the same site, and the policy is to join it |
//! | new | otherwise |

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::inventory::Asset;
use super::tickets::{ENGINE, NewTicket, Status, Ticket, Tickets, Topic};

/// What Bruin does about a resolved ticket that covers the service number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnResolved {
    /// Error code 471: nothing; the caller must reopen it.
    #[default]
    LeaveResolved,
    /// Error code 472: reopens the line.
    Reopen,
    /// Error code 473: reopens a resolved ticket of the same site and adds a line to it. One that has a line for the
    /// service number is reopened as by [`Self::Reopen`].
    JoinSite,
    /// Error code 0: creates a new ticket all the same.
    CreateNew,
}

/// The choice of [`OnResolved`]: by service number, else by client, else the default.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct RepairPolicy {
    /// For all others.
    pub default: OnResolved,
    /// By client id.
    pub clients: BTreeMap<i64, OnResolved>,
    /// By service number.
    pub serials: BTreeMap<String, OnResolved>,
    /// Service numbers for which Bruin answers ticket id 0 and creates nothing.
    pub zero: BTreeSet<String>,
}

impl RepairPolicy {
    /// The choice for one service number.
    pub fn of(&self, client: i64, serial: &str) -> OnResolved {
        self.serials.get(serial).or_else(|| self.clients.get(&client)).copied().unwrap_or(self.default)
    }
}

/// What came of one service number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repaired {
    /// The service number.
    pub serial: String,
    /// Its inventory item.
    pub inventory: Option<i64>,
    /// The ticket; 0: Bruin could not create one.
    pub ticket: i64,
    /// 0, 409, 471, 472 or 473.
    pub code: u16,
    /// Text for the code.
    pub message: Option<&'static str>,
}

impl Tickets {
    /// Handles one repair call: service numbers with the client's active inventory item, if any.
    /// All new lines of one call share one ticket.
    pub fn repair(
        &mut self,
        client: i64,
        lines: &[(String, Option<Asset>)],
        description: Option<&str>,
        now: DateTime<Utc>,
    ) -> Vec<Repaired> {
        let mut created = None;
        let one = |(serial, asset): &(String, Option<Asset>)| {
            let (ticket, code) = match asset {
                None => (0, 0),
                Some(_) if self.policy.zero.contains(serial) => (0, 0),
                Some(asset) => self.existing(client, serial, asset.site, now).unwrap_or_else(|| {
                    (self.create_or_join(&mut created, asset, serial, description, now), 0)
                }),
            };
            let message = match code {
                409 => Some("There is an in-progress ticket for this service number"),
                471 => Some("There is a resolved ticket for this service number"),
                472 => Some("A resolved ticket for this service number was unresolved"),
                473 => Some("A resolved ticket of this location was unresolved and the service number added"),
                _ if ticket == 0 => Some("The service number was not found in the client's active inventory"),
                _ => None,
            };
            let inventory = asset.as_ref().map(|asset| asset.inventory);
            Repaired { serial: serial.clone(), inventory, ticket, code, message }
        };
        lines.iter().map(one).collect()
    }

    /// A ticket that Bruin uses instead of creating one, with the code it answers.
    fn existing(&mut self, client: i64, serial: &str, site: i64, now: DateTime<Utc>) -> Option<(i64, u16)> {
        let usable = |ticket: &&Ticket| {
            ticket.topic == Topic::Outage && ticket.client == client && ticket.status(now) != Status::Closed
        };
        let covers = |ticket: &&Ticket| ticket.line_of(serial).is_some_and(|line| !line.resolved);
        if let Some(ticket) = self.of_serial(serial).filter(usable).find(covers) {
            return Some((ticket.id, 409));
        }
        let own = self.of_serial(serial).find(usable).map(|ticket| (ticket.id, ticket.line_of(serial)));
        let own = own.and_then(|(ticket, line)| Some((ticket, line?.id)));
        match (self.policy.of(client, serial), own) {
            (OnResolved::LeaveResolved, Some((ticket, _))) => Some((ticket, 471)),
            (OnResolved::Reopen, Some((ticket, line))) => {
                let _ = self.set_line(ticket, line, false, now);
                Some((ticket, 472))
            }
            (OnResolved::JoinSite, own) => {
                let resolved = |ticket: &&Ticket| usable(ticket) && ticket.status == Status::Resolved;
                let site = self.of_site(site).find(resolved).map(|ticket| ticket.id);
                let ticket = site.or(own.map(|(ticket, _)| ticket))?;
                let line = self.get(ticket).and_then(|ticket| ticket.line_of(serial)).map(|line| line.id);
                let code = if let Some(line) = line {
                    let _ = self.set_line(ticket, line, false, now);
                    472
                } else {
                    self.add_line(ticket, serial, now);
                    473
                };
                // The new line alone unresolves the ticket.
                let _ = self.change(ticket, now, |_| Ok(()));
                Some((ticket, code))
            }
            (OnResolved::CreateNew, _) | (_, None) => None,
        }
    }

    fn create_or_join(
        &mut self,
        created: &mut Option<i64>,
        asset: &Asset,
        serial: &str,
        description: Option<&str>,
        now: DateTime<Utc>,
    ) -> i64 {
        if let Some(ticket) = *created {
            self.add_line(ticket, serial, now);
            return ticket;
        }
        let new = NewTicket {
            client: asset.client,
            site: Some(asset.site),
            topic: Topic::Outage,
            serials: vec![serial.to_owned()],
            created_by: ENGINE.to_owned(),
            severity: 2,
            description: description.map(str::to_owned),
        };
        *created.insert(self.create(new, now))
    }
}
