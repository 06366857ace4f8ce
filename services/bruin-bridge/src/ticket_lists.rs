//! Lists of tickets: by several statuses (subject 1) and all pages of the light list (subject 2).

use std::time::Duration;

use bus::Reply;
use contracts::bruin::{BasicTickets, BasicTicketsRequest, Filter, Filters, Scalar, Tickets, TicketsRequest};
use futures::{StreamExt, stream};
use indexmap::IndexMap;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::time::{Instant, sleep};
use upstream::{Call, CallError};

use crate::bruin::Bruin;
use crate::outcome::{Failures, Fields, Malformed, Success};
use crate::query::{forwarded, with_query};
use crate::subject::Subject;

/// Statuses, or pages after the first, which are asked for at the same time.
const AT_ONCE: usize = 4;
const PAGE_SIZE: u32 = 100;
/// So many pages are asked for at most, whatever Bruin says how many there are: more do not fit into the deadline.
const MOST_PAGES: u64 = 1_000;
/// Pages may be smaller than asked for, but so many times only.
const SMALLER_AT_MOST: u64 = 10;
/// Pauses before the second and the third try of a page.
const PAUSES: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(1)];

type Ticket = Box<RawValue>;

impl Subject for Tickets {
    /// One call for each status (spec, Behaviour 1 with the new rule): 2xx only when every call succeeded, otherwise the
    /// status of the first that failed in the order of the request; the body holds what was collected.
    async fn answer(bruin: &Bruin, request: &TicketsRequest, deadline: Instant) -> Reply {
        let calls = request.ticket_status.iter().map(|status| in_status(bruin, request, status, deadline));
        // Collected first: a stream over borrowed statuses would not be Send for every lifetime.
        let answers: Vec<_> = stream::iter(calls.collect::<Vec<_>>()).buffered(AT_ONCE).collect().await;
        let failed = answers.iter().find_map(|answer| answer.as_ref().err().map(Reply::code));
        let found: Vec<_> = answers.into_iter().flatten().collect();
        let succeeded = found.last().map_or(200, |found| found.status);
        let tickets = found.into_iter().flat_map(|found| found.tickets);
        Reply::json(failed.unwrap_or(succeeded), &without_duplicates(tickets))
    }
}

/// The tickets in one status.
struct Found {
    /// Bruin's status, 2xx.
    status: u16,
    tickets: Vec<Ticket>,
}

async fn in_status(
    bruin: &Bruin,
    request: &TicketsRequest,
    status: &Scalar,
    deadline: Instant,
) -> Result<Found, Reply> {
    let filters = [
        ("ClientId", Some(&request.client_id)),
        ("TicketTopic", Some(&request.ticket_topic)),
        ("ProductCategory", request.category.as_ref()),
        ("TicketId", request.ticket_id.as_ref()),
        ("ServiceNumber", request.service_number.as_ref()),
        ("StartDate", request.start_date.as_ref()),
        ("EndDate", request.end_date.as_ref()),
        ("TicketStatus", Some(&Filter::One(status.clone()))),
    ];
    let filters = filters.into_iter().filter_map(|(name, filter)| Some((name.to_owned(), filter?.clone())));
    let call = with_query(Call::get("/api/Ticket"), filters);
    let response = bruin.read(call, deadline).await.map_err(|error| Failures::STANDARD.no_answer(&error))?;
    if !response.is_success() {
        return Err(Failures::STANDARD.reply(&response));
    }
    let tickets = tickets(&Success::read(&response).fields()?)?;
    Ok(Found { status: response.status, tickets })
}

fn tickets(fields: &Fields<'_>) -> Result<Vec<Ticket>, Malformed> {
    Ok(fields.list("responses")?.into_iter().map(ToOwned::to_owned).collect())
}

/// Each ticket once: at the position of its first occurrence with the content of its last. Tickets without a number are
/// all kept.
fn without_duplicates(tickets: impl Iterator<Item = Ticket>) -> Vec<Ticket> {
    let mut by_id = IndexMap::new();
    for (position, ticket) in tickets.enumerate() {
        let id = Fields::of(&ticket).and_then(|fields| fields.value::<Value>("ticketID"));
        let key = id.map_or_else(|| Err(position), |id| Ok(id.to_string()));
        by_id.insert(key, ticket);
    }
    by_id.into_values().collect()
}

impl Subject for BasicTickets {
    /// All pages joined in order (spec, Behaviour 2 with Improve 8): the first one says how many there are, the others
    /// are fetched a few at a time. A page that fails three times is the outcome of the whole.
    async fn answer(bruin: &Bruin, request: &BasicTicketsRequest, deadline: Instant) -> Reply {
        let list = PagedList { bruin, filters: filters(request), size: page_size(request), deadline };
        match list.collect().await {
            Ok(tickets) => Reply::ok(&tickets),
            Err(failure) => failure,
        }
    }
}

fn page_size(request: &BasicTicketsRequest) -> u32 {
    request.page_size.unwrap_or(PAGE_SIZE)
}

/// What every page is asked with.
fn filters(request: &BasicTicketsRequest) -> Filters {
    let mut filters = forwarded(request.filters.clone());
    // The page's number is added for each page; a filter of that name would contradict it.
    filters.shift_remove("PageNumber");
    filters.insert("TicketStatus".to_owned(), request.ticket_statuses.iter().map(String::as_str).collect());
    filters.insert("PageSize".to_owned(), Scalar::Number(page_size(request).into()).into());
    filters
}

/// The light list of tickets for some filters.
struct PagedList<'a> {
    bruin: &'a Bruin,
    filters: Filters,
    size: u32,
    deadline: Instant,
}

/// One page.
struct Page {
    tickets: Vec<Ticket>,
    /// How many tickets there are on all pages; only the first page's counts.
    total: Option<u64>,
    /// Bruin says that there is nothing on this page, so there is nothing behind it either.
    empty: bool,
}

impl PagedList<'_> {
    async fn collect(&self) -> Result<Vec<Ticket>, Reply> {
        let first = self.page(1).await?;
        let total = first.total.ok_or(Malformed::new("total"))?;
        let pages = pages(total, self.size, first.tickets.len());
        let mut found = Collected::new(total, first);
        let mut rest = stream::iter(2..=pages).map(|number| self.page(number)).buffered(AT_ONCE);
        while found.wants_more() {
            let Some(page) = rest.next().await else { break };
            found.add(page?);
        }
        if found.wants_more() && pages < MOST_PAGES {
            // Pages were shorter than announced: one more, and no further.
            found.add(self.page(pages + 1).await?);
        }
        if found.wants_more() {
            tracing::warn!(total, found = found.tickets.len(), "Bruin announced more tickets than it gave");
        }
        Ok(found.tickets)
    }

    /// A page, tried up to three times.
    async fn page(&self, number: u64) -> Result<Page, Reply> {
        let mut pauses = PAUSES.into_iter();
        loop {
            match self.try_page(number).await {
                Err(Failure { reply, worth_repeating: true }) => match pauses.next() {
                    Some(pause) if Instant::now() + pause < self.deadline => sleep(pause).await,
                    _ => return Err(reply),
                },
                Err(Failure { reply, .. }) => return Err(reply),
                Ok(page) => return Ok(page),
            }
        }
    }

    async fn try_page(&self, number: u64) -> Result<Page, Failure> {
        const FAILURES: Failures = Failures::STANDARD.connection("Connection error in Bruin API. Cause: ");
        let call =
            with_query(Call::get("/api/Ticket/basic"), self.filters.clone()).query("PageNumber", number);
        let response = self.bruin.read(call, self.deadline).await.map_err(|error| Failure {
            worth_repeating: matches!(error, CallError::Connect(_) | CallError::Closed(_)),
            reply: FAILURES.no_answer(&error),
        })?;
        if !response.is_success() {
            return Err(Failure { worth_repeating: true, reply: FAILURES.reply(&response) });
        }
        let page = Page::read(&Success::read(&response));
        page.map_err(|malformed| Failure { worth_repeating: false, reply: malformed.into() })
    }
}

/// Why a page could not be had.
struct Failure {
    reply: Reply,
    worth_repeating: bool,
}

impl Page {
    fn read(answer: &Success) -> Result<Self, Malformed> {
        let fields = answer.fields()?;
        let tickets = tickets(&fields)?;
        let total = match fields.value::<Value>("total") {
            Some(Value::Number(total)) => total.as_i64(),
            Some(Value::String(total)) => total.trim().parse().ok(),
            _ => None,
        };
        let total = total.map(|total: i64| u64::try_from(total).unwrap_or(0));
        let empty = tickets.is_empty() || fields.value::<i64>("currentPageSize") == Some(0);
        Ok(Self { tickets, total, empty })
    }
}

/// What the pages have brought so far.
struct Collected {
    tickets: Vec<Ticket>,
    total: u64,
    ended: bool,
}

impl Collected {
    fn new(total: u64, first: Page) -> Self {
        Self { ended: first.empty, tickets: first.tickets, total }
    }

    fn add(&mut self, page: Page) {
        self.tickets.extend(page.tickets);
        self.ended |= page.empty;
    }

    fn wants_more(&self) -> bool {
        !self.ended && (self.tickets.len() as u64) < self.total
    }
}

/// How many pages there are by the first one's word, within limits: a total may be wrong. Bruin may give smaller pages
/// than asked for.
fn pages(total: u64, size: u32, on_first: usize) -> u64 {
    // Of larger pages than Bruin is known to give nothing is expected.
    let needed = total.div_ceil(u64::from(size.clamp(1, PAGE_SIZE)));
    let limit = needed.saturating_mul(SMALLER_AT_MOST).saturating_add(1).min(MOST_PAGES);
    total.div_ceil((on_first as u64).clamp(1, u64::from(size.max(1)))).min(limit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn raw(value: &Value) -> Ticket {
        serde_json::value::to_raw_value(value).unwrap()
    }

    #[test]
    fn duplicates_keep_the_first_position_and_the_last_content() {
        let tickets = [
            json!({"ticketID": 1, "s": "a"}),
            json!({"ticketID": 2}),
            json!({"a": 1}),
            json!({"ticketID": 1, "s": "b"}),
            json!({"a": 1}),
        ];
        let expected =
            [json!({"ticketID": 1, "s": "b"}), json!({"ticketID": 2}), json!({"a": 1}), json!({"a": 1})];
        let found = without_duplicates(tickets.iter().map(raw));
        assert_eq!(serde_json::to_value(found).unwrap(), json!(expected));
    }

    #[test]
    fn the_first_page_says_how_many_pages_there_are() {
        for (total, size, on_first, expected) in [
            (0, 100, 0, 0),
            (1, 100, 1, 1),
            (100, 100, 100, 1),
            (101, 100, 100, 2),
            (201, 100, 50, 5),
            (5, 2, 0, 5),
            // Bruin gives at most a hundred, whatever is asked for.
            (4_000, 5_000, 100, 40),
            // What only a wrong total can say.
            (1_000, 100, 1, 101),
            (1_000_000, 100, 1, 1_000),
            (u64::MAX, 1, 1, 1_000),
            (u64::MAX, 100, 100, 1_000),
        ] {
            assert_eq!(pages(total, size, on_first), expected, "{total} by {size}");
        }
    }

    #[test]
    fn own_parameters_win_over_filters() {
        let one = |text: &str| Filter::from(text);
        let request = BasicTicketsRequest {
            ticket_statuses: vec!["New".to_owned()],
            page_size: None,
            filters: [("pageNumber", "9"), ("PageSize", "9"), ("TicketStatus", "x"), ("client_id", "1")]
                .map(|(name, value)| (name.to_owned(), one(value)))
                .into(),
        };
        let expected: Filters = [
            ("PageSize".to_owned(), Scalar::Number(100.into()).into()),
            ("TicketStatus".to_owned(), Filter::from_iter(["New"])),
            ("ClientId".to_owned(), one("1")),
        ]
        .into();
        assert_eq!(filters(&request), expected);
    }
}
