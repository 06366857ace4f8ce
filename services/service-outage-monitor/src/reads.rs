//! Gathering facts: what this monitor asks of other services, and how a failure is told (spec "Requests").

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use bus::{Bus, RequestError};
use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use contracts::{
    Rpc, bruin,
    customer_cache::{CacheFilter, CachedEdge, EdgeIdentity, GetCustomerCache},
    digi,
    id::{ClientId, Id, Serial, TicketId},
    velocloud,
};
use parking_lot::Mutex;
use serde_json::{Value, value::RawValue};
use ticketing::{OpenTicket, TicketDetails, time};
use tokio::sync::OnceCell;

use crate::{
    config::Common,
    edges::{self, EdgeRecord, EdgeRow, LinkRow},
    events::{self, Event},
    slack::Report,
};

/// The statuses of open tickets.
const OPEN: [&str; 3] = ["New", "InProgress", "Draft"];
/// How far back events are looked at for a note.
const EVENTS: TimeDelta = TimeDelta::days(7);

/// What the customer cache answers.
pub enum Cache {
    /// The edges.
    Ready(Vec<CachedEdge>),
    /// The cache is still being built; the text says so.
    Building(String),
    /// Nothing can be said of the edges.
    Unavailable,
}

/// A question that got no answer. It was reported already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unanswered;

/// What a question is about, in a text about its failure.
pub struct About {
    ids: String,
    ticket: Option<TicketId>,
}

impl About {
    /// A ticket alone.
    fn ticket(ticket: &TicketId) -> Self {
        Self { ids: format!("ticket {ticket}"), ticket: Some(ticket.clone()) }
    }
}

impl<T: Into<String>> From<T> for About {
    fn from(ids: T) -> Self {
        Self { ids: ids.into(), ticket: None }
    }
}

/// The answers to one job's questions. Ticket details are asked once for each ticket.
pub struct Reads {
    bus: Bus,
    common: Arc<Common>,
    report: Arc<Report>,
    details: Mutex<HashMap<TicketId, Arc<OnceCell<Arc<TicketDetails>>>>>,
}

impl Reads {
    /// For one job, whose failures go to `report`.
    pub fn new(bus: Bus, common: Arc<Common>, report: Arc<Report>) -> Self {
        Self { bus, common, report, details: Mutex::default() }
    }

    /// Where failures of this job are told.
    pub fn report(&self) -> &Arc<Report> {
        &self.report
    }

    /// Asks, and reports a failure: `what` completes "failed to ...", `about` names the ids.
    async fn ask<R: Rpc>(
        &self,
        request: &R::Request,
        seconds: u64,
        what: &'static str,
        about: impl FnOnce() -> About,
    ) -> Result<R::Reply, Unanswered> {
        let answer = self.bus.request_within::<R>(request, Duration::from_secs(seconds)).await;
        answer.map_err(|error| self.unanswered(what, about(), &self.common.environment.0, &error))
    }

    /// Reports a failed request.
    pub fn unanswered(
        &self,
        what: &'static str,
        about: impl Into<About>,
        environment: &str,
        error: &RequestError,
    ) -> Unanswered {
        let About { ids: about, ticket } = about.into();
        let environment = environment.to_uppercase();
        let text = match error {
            RequestError::Refused { body, .. } => {
                format!(
                    "Failed to {what} {about} in {environment} environment: error {}: {body}",
                    error.status()
                )
            }
            other => format!("Failed to {what} {about} in {environment} environment: {other}"),
        };
        self.report.failed(what, text, ticket.as_ref());
        Unanswered
    }

    /// The cached edges of some hosts.
    pub async fn customer_cache(&self, filter: &CacheFilter) -> Cache {
        let hosts = if filter.filter.is_empty() {
            "all hosts".to_owned()
        } else {
            filter.filter.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
        };
        let answer = match self.bus.exchange::<GetCustomerCache>(filter, Duration::from_secs(60)).await {
            Ok(answer) => answer,
            Err(error) => {
                let environment = &self.common.environment.0;
                self.unanswered("get the customer cache of", hosts, environment, &error);
                return Cache::Unavailable;
            }
        };
        match answer.status {
            Some(202) => Cache::Building(match serde_json::from_str(answer.body()) {
                Ok(Value::String(text)) => text,
                _ => answer.body().to_owned(),
            }),
            Some(200..=299) => match serde_json::from_str::<Vec<&RawValue>>(answer.body()) {
                Ok(rows) => Cache::Ready(rows.iter().filter_map(|row| cached_edge(row)).collect()),
                Err(error) => {
                    tracing::error!(%error, "the customer cache answered no list");
                    Cache::Unavailable
                }
            },
            status => {
                tracing::warn!(status, hosts, "the customer cache has no edges");
                Cache::Unavailable
            }
        }
    }

    /// The records of all edges of a host.
    ///
    /// # Errors
    /// When either list cannot be had.
    pub async fn records(&self, host: &str) -> Result<Vec<EdgeRecord>, Unanswered> {
        let environment = &self.common.environment_name;
        let within = Duration::from_secs(30);
        let request = velocloud::LinksWithEdgeInfoRequest { host: host.to_owned() };
        let rows: Result<Vec<LinkRow>, _> =
            self.bus.request_rows::<velocloud::LinksWithEdgeInfo, _>(&request, within, host).await;
        let rows =
            rows.map_err(|error| self.unanswered("get the links of host", host, environment, &error))?;
        let request =
            velocloud::NetworkEnterpriseEdgesRequest { host: host.to_owned(), enterprise_ids: vec![] };
        let edges: Result<Vec<EdgeRow>, _> =
            self.bus.request_rows::<velocloud::NetworkEnterpriseEdges, _>(&request, within, host).await;
        let edges = edges.map_err(|error| {
            self.unanswered("get the network enterprises of host", host, environment, &error)
        })?;
        Ok(edges::records(rows, &edges))
    }

    /// The events of an edge in the last seven days, newest first.
    pub async fn events(&self, edge: &EdgeIdentity, now: DateTime<Utc>) -> Result<Vec<Event>, Unanswered> {
        let events = self.events_since(edge, now - EVENTS, now).await?;
        Ok(events::newest_first(&events, Tz::UTC))
    }

    /// The events of an edge from a moment to now, as VeloCloud tells them.
    pub async fn events_since(
        &self,
        edge: &EdgeIdentity,
        since: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<Vec<velocloud::Event>, Unanswered> {
        let request = velocloud::EdgeEventsRequest {
            edge: velocloud::EdgeFullId {
                host: edge.host.clone(),
                enterprise_id: Id::Number(edge.enterprise_id),
                edge_id: Id::Number(edge.edge_id),
            },
            start_date: time::stamp(since, Tz::UTC).into(),
            end_date: time::stamp(now, Tz::UTC).into(),
            filter: Some(events::FILTER.map(str::to_owned).to_vec()),
            limit: None,
        };
        let about =
            || format!("edge {} of enterprise {} on {}", edge.edge_id, edge.enterprise_id, edge.host).into();
        self.ask::<velocloud::EdgeEvents>(&request, 180, "get the events of", about).await
    }

    /// The Service Outage tickets of a client in some statuses, of one device or of all.
    pub async fn tickets(
        &self,
        statuses: &[&str],
        client: &ClientId,
        serial: Option<&Serial>,
    ) -> Result<Vec<OpenTicket>, Unanswered> {
        let mut filters = bruin::Filters::from([("client_id".to_owned(), client.clone().into())]);
        if let Some(serial) = serial {
            filters.insert("service_number".to_owned(), serial.clone().into());
        }
        let about = || match serial {
            Some(serial) => format!("client {client} and edge {serial}").into(),
            None => format!("client {client}").into(),
        };
        self.outage_tickets(statuses, filters, about).await
    }

    /// The Service Outage tickets in some statuses that pass further filters.
    async fn outage_tickets(
        &self,
        statuses: &[&str],
        further: bruin::Filters,
        about: impl FnOnce() -> About,
    ) -> Result<Vec<OpenTicket>, Unanswered> {
        let mut filters = bruin::Filters::from([
            ("ticket_topic".to_owned(), "VOO".into()),
            ("product_category".to_owned(), self.common.product_category.as_str().into()),
        ]);
        filters.extend(further);
        let ticket_statuses = statuses.iter().map(|&status| status.to_owned()).collect();
        let request = bruin::BasicTicketsRequest { ticket_statuses, page_size: None, filters };
        let tickets =
            self.ask::<bruin::BasicTickets>(&request, 90, "get the outage tickets of", about).await?;
        Ok(tickets
            .into_iter()
            .filter_map(|ticket| OpenTicket::read(ticket, self.common.bruin_zone))
            .collect())
    }

    /// The open Service Outage tickets of a client.
    pub async fn open_tickets(
        &self,
        client: &ClientId,
        serial: Option<&Serial>,
    ) -> Result<Vec<OpenTicket>, Unanswered> {
        self.tickets(&OPEN, client, serial).await
    }

    /// The open Service Outage tickets of all clients.
    pub async fn all_open_tickets(&self) -> Result<Vec<OpenTicket>, Unanswered> {
        self.outage_tickets(&OPEN, bruin::Filters::default(), || "all clients".into()).await
    }

    /// One ticket.
    pub async fn ticket(&self, ticket: &TicketId) -> Result<OpenTicket, Unanswered> {
        let request = bruin::SingleBasicTicketRequest { ticket_id: ticket.clone() };
        let about = || About::ticket(ticket);
        let found =
            self.ask::<bruin::SingleBasicTicket>(&request, 15, "get the basic info of", about).await?;
        let found = bruin::Ticket { ticket_id: Some(ticket.clone()), ..found };
        OpenTicket::read(found, self.common.bruin_zone).ok_or(Unanswered)
    }

    /// Lines and notes of a ticket, as this job first saw them.
    pub async fn details(&self, ticket: &TicketId) -> Result<Arc<TicketDetails>, Unanswered> {
        let cell = self.details.lock().entry(ticket.clone()).or_default().clone();
        cell.get_or_try_init(|| async { self.fresh_details(ticket).await.map(Arc::new) }).await.cloned()
    }

    /// Forgets a ticket's details, because they were changed.
    pub fn changed(&self, ticket: &TicketId) {
        self.details.lock().remove(ticket);
    }

    /// Lines and notes of a ticket as they are now.
    pub async fn fresh_details(&self, ticket: &TicketId) -> Result<TicketDetails, Unanswered> {
        let request = bruin::TicketDetailsRequest { ticket_id: ticket.clone() };
        let about = || About::ticket(ticket);
        let details = self.ask::<bruin::TicketDetails>(&request, 15, "get the details of", about).await?;
        Ok(TicketDetails::read(details, self.common.bruin_zone))
    }

    /// How many recoveries of the edge DiGi has begun for the ticket since a moment.
    pub async fn reboots_begun(
        &self,
        serial: &Serial,
        ticket: &TicketId,
        since: DateTime<Utc>,
    ) -> Result<usize, Unanswered> {
        let request = digi::RecoveryLogsRequest {
            start_date_time: digi::Parameter::new(time::stamp(since, self.common.zone)),
            size: digi::Parameter::new("999"),
            ..digi::RecoveryLogsRequest::default()
        };
        let about = || About { ids: format!("edge {serial}, ticket {ticket}"), ..About::ticket(ticket) };
        let page =
            self.ask::<digi::RecoveryLogs>(&request, 90, "get the DiGi recovery logs of", about).await?;
        let own = page.logs.iter().filter(|log| {
            log.velo_serial.as_deref() == Some(serial.as_str())
                && log.ticket_id.as_ref().is_some_and(|id| id.to_string() == ticket.to_string())
                && log.started.as_deref().and_then(|at| time::read(at, Tz::UTC)).is_none_or(|at| at >= since)
        });
        // A recovery has several steps, all under the id of its request.
        Ok(own.map(|log| log.igz_id.as_deref()).collect::<HashSet<_>>().len())
    }
}

/// One entry of the cache; one that cannot be read is left out, not the whole list.
fn cached_edge(row: &RawValue) -> Option<CachedEdge> {
    serde_json::from_str(row.get())
        .inspect_err(|error| tracing::warn!(%error, "an entry of the customer cache cannot be read"))
        .ok()
}
