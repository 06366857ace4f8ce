//! Requesters that go on asking, and the account of what they see.
//!
//! They do as the use cases of the engine do: a read that brought nothing is asked again (as in the next cycle), and
//! after a write of unknown outcome they look, once its deadline has passed, before they write again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bus::{Answer, Bus, RequestError};
use chrono::{DateTime, Utc};
use contracts::Rpc;
use contracts::bruin::{AppendNote, AppendNoteRequest, TicketDetails, TicketDetailsRequest};
use contracts::id::{Id, TicketId};
use contracts::velocloud::{LinksWithEdgeInfo, LinksWithEdgeInfoRequest};
use measure::figures::{count, quantile, time};
use parking_lot::Mutex;
use sandbox::World;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::experiment::Outcome;

/// How often something is asked before it counts as lost.
const TRIES: usize = 4;
/// What a deadline may be exceeded by before it counts, on a busy machine.
const SLACK: Duration = Duration::from_millis(500);

/// The account of one kind of requests.
#[derive(Default)]
pub(crate) struct Account(Mutex<Seen>);

/// What was seen so far.
#[derive(Debug, Default, Clone)]
pub(crate) struct Seen {
    /// Requests, repetitions not counted.
    pub(crate) requests: usize,
    /// Attempts that brought no success, by cause.
    pub(crate) failures: BTreeMap<String, usize>,
    /// Requests without success after all attempts.
    pub(crate) lost: usize,
    /// Attempts which took longer than their time limit.
    pub(crate) late: usize,
    /// How long successful attempts took.
    pub(crate) times: Vec<Duration>,
}

impl Account {
    pub(crate) fn seen(&self) -> Seen {
        let mut seen = self.0.lock().clone();
        seen.times.sort_unstable();
        seen
    }

    /// How many requests there were so far.
    pub(crate) fn requests(&self) -> usize {
        self.0.lock().requests
    }

    fn attempt(&self, began: Instant, within: Duration, outcome: &Result<Answer, RequestError>) -> bool {
        let took = began.elapsed();
        let mut seen = self.0.lock();
        if took > within + SLACK {
            seen.late += 1;
        }
        let failure = match outcome {
            Ok(answer) if answer.is_success() => None,
            Ok(answer) => {
                Some(answer.status.map_or("no status".to_owned(), |status| format!("status {status}")))
            }
            Err(error) => Some(error.kind().to_owned()),
        };
        if let Some(failure) = failure {
            *seen.failures.entry(failure).or_default() += 1;
            return false;
        }
        seen.times.push(took);
        true
    }

    /// Asks until there is a success, and keeps account.
    pub(crate) async fn read<R: Rpc>(
        &self,
        bus: &Bus,
        request: &R::Request,
        within: Duration,
    ) -> Option<Answer> {
        self.0.lock().requests += 1;
        for _ in 0..TRIES {
            let began = Instant::now();
            let outcome = bus.exchange::<R>(request, within).await;
            if self.attempt(began, within, &outcome) {
                return outcome.ok();
            }
            // The next cycle comes later; here soon is enough.
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        self.0.lock().lost += 1;
        None
    }
}

impl Seen {
    /// All attempts that brought no success.
    pub(crate) fn failed(&self) -> usize {
        self.failures.values().sum()
    }

    /// `12,345 (p50 1.20 ms, p99 3.40 ms; first attempts in vain: 3 timeout)`.
    pub(crate) fn shown(&self) -> String {
        let mut text = format!(
            "{} (p50 {}, p99 {}",
            count(self.requests),
            time(quantile(&self.times, 50)),
            time(quantile(&self.times, 99))
        );
        if !self.failures.is_empty() {
            let failures: Vec<String> =
                self.failures.iter().map(|(cause, number)| format!("{number} {cause}")).collect();
            text.push_str("; attempts in vain: ");
            text.push_str(&failures.join(", "));
        }
        text.push(')');
        text
    }
}

/// Asks at a steady pace, whatever became of the request before, so that it shows when requests begin to succeed again.
pub(crate) struct Probe {
    failed: Arc<Mutex<Vec<Instant>>>,
    asking: JoinSet<()>,
}

impl Probe {
    /// Starts asking for the details of a ticket, by each bus once in `pace`.
    pub(crate) fn start(buses: &[Bus], ticket: i64, pace: Duration, within: Duration) -> Self {
        let failed: Arc<Mutex<Vec<Instant>>> = Arc::default();
        let mut asking = JoinSet::new();
        for bus in buses {
            let (bus, failed) = (bus.clone(), Arc::clone(&failed));
            asking.spawn(async move {
                let mut tick = tokio::time::interval(pace);
                let mut waiting = JoinSet::new();
                loop {
                    tick.tick().await;
                    let (bus, failed, sent) = (bus.clone(), Arc::clone(&failed), Instant::now());
                    waiting.spawn(async move {
                        let answer = bus.exchange::<TicketDetails>(&details(ticket), within).await;
                        if !answer.is_ok_and(|answer| answer.is_success()) {
                            failed.lock().push(sent);
                        }
                    });
                    while waiting.try_join_next().is_some() {}
                }
            });
        }
        Self { failed, asking }
    }

    /// Stops asking.
    pub(crate) async fn stop(mut self) -> Vec<Instant> {
        self.asking.shutdown().await;
        std::mem::take(&mut *self.failed.lock())
    }
}

/// How long after `event` requests were sent, before `end`, that brought nothing.
pub(crate) fn failing(failed: &[Instant], event: Instant, end: Instant) -> Duration {
    let of_it = failed.iter().filter(|sent| **sent >= event && **sent < end);
    of_it.map(|sent| sent.duration_since(event)).max().unwrap_or_default()
}

/// Small reads, large reads, and writes.
pub(crate) struct Traffic {
    pub(crate) small: Account,
    pub(crate) large: Account,
    pub(crate) writes: Account,
    notes: Notes,
}

/// How much is asked.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// Workers that read the details of tickets, and the pause of each.
    pub(crate) small: (usize, Duration),
    /// Workers that read the links of this host, and the pause of each.
    pub(crate) large: (usize, Duration),
    pub(crate) host: String,
    /// Workers that append notes, and the pause of each.
    pub(crate) writes: (usize, Duration),
    /// The tickets.
    pub(crate) tickets: Vec<i64>,
    /// How long one attempt may take.
    pub(crate) within: Duration,
}

/// The notes that were to be written.
struct Notes {
    next: AtomicUsize,
    /// The ticket, and when the last attempt was due, of each.
    written: Mutex<Vec<Note>>,
}

#[derive(Debug, Clone)]
struct Note {
    ticket: i64,
    text: String,
    due: DateTime<Utc>,
    confirmed: bool,
}

/// What became of the notes.
#[derive(Debug, Default)]
pub(crate) struct Written {
    /// Notes that a requester believes to be there.
    pub(crate) confirmed: usize,
    /// Of these, not there.
    pub(crate) missing: usize,
    /// There more than once.
    pub(crate) doubled: usize,
    /// Written after the requester's deadline.
    pub(crate) after_deadline: usize,
}

impl Traffic {
    /// Starts all workers; they end with `stop`. `buses` are used in turn.
    pub(crate) fn start(plan: &Plan, buses: &[Bus], stop: &CancellationToken) -> (Arc<Self>, JoinSet<()>) {
        let notes = Notes { next: AtomicUsize::new(0), written: Mutex::default() };
        let traffic = Arc::new(Self {
            small: Account::default(),
            large: Account::default(),
            writes: Account::default(),
            notes,
        });
        let mut workers = JoinSet::new();
        let mut buses = buses.iter().cycle().cloned();
        for (kind, (number, pause)) in
            [(Kind::Small, plan.small), (Kind::Large, plan.large), (Kind::Write, plan.writes)]
        {
            for (worker, bus) in (0..number).zip(&mut buses) {
                let (traffic, plan, stop) = (Arc::clone(&traffic), plan.clone(), stop.clone());
                workers.spawn(async move {
                    let mut round = worker;
                    while !stop.is_cancelled() {
                        let ticket =
                            plan.tickets.get(round % plan.tickets.len().max(1)).copied().unwrap_or(1);
                        traffic.ask(kind, &bus, &plan, ticket).await;
                        round += number;
                        tokio::time::sleep(pause).await;
                    }
                });
            }
        }
        (traffic, workers)
    }

    async fn ask(&self, kind: Kind, bus: &Bus, plan: &Plan, ticket: i64) {
        match kind {
            Kind::Small => {
                self.small.read::<TicketDetails>(bus, &details(ticket), plan.within).await;
            }
            Kind::Large => {
                let request = LinksWithEdgeInfoRequest { host: plan.host.clone() };
                // A megabyte takes its time on a busy machine.
                self.large.read::<LinksWithEdgeInfo>(bus, &request, plan.within * 3).await;
            }
            Kind::Write => self.write(bus, ticket, plan.within).await,
        }
    }

    /// Appends a note, as the executor of decisions does: after an unknown outcome it looks first.
    async fn write(&self, bus: &Bus, ticket: i64, within: Duration) {
        let number = self.notes.next.fetch_add(1, Ordering::Relaxed);
        let text = format!("note {number} of the experiment.");
        let mut note = Note { ticket, text: text.clone(), due: Utc::now(), confirmed: false };
        let request = AppendNoteRequest {
            ticket_id: TicketId(Id::Number(ticket)),
            note: text.clone(),
            service_numbers: vec![],
        };
        self.writes.0.lock().requests += 1;
        for _ in 0..TRIES {
            let began = Instant::now();
            note.due = Utc::now() + within;
            let outcome = bus.exchange::<AppendNote>(&request, within).await;
            note.confirmed = self.writes.attempt(began, within, &outcome);
            if !note.confirmed {
                // Until then it may still be carried out.
                tokio::time::sleep(within.saturating_sub(began.elapsed()) + SLACK).await;
                let look = self.small.read::<TicketDetails>(bus, &details(ticket), within).await;
                note.confirmed = look.is_some_and(|answer| answer.body().contains(&text));
            }
            if note.confirmed {
                break;
            }
        }
        if !note.confirmed {
            self.writes.0.lock().lost += 1;
        }
        self.notes.written.lock().push(note);
    }

    /// Compares what the requesters believe with the world.
    pub(crate) fn written(&self, world: &World) -> Written {
        let mut result = Written::default();
        let mut by_ticket: BTreeMap<i64, Vec<Note>> = BTreeMap::new();
        for note in self.notes.written.lock().iter() {
            by_ticket.entry(note.ticket).or_default().push(note.clone());
        }
        for (ticket, notes) in by_ticket {
            let mut there: BTreeMap<String, Vec<DateTime<Utc>>> = BTreeMap::new();
            for note in world.notes(ticket) {
                there.entry(note.value).or_default().push(note.at);
            }
            for note in notes {
                let at = there.get(&note.text).map_or(&[][..], Vec::as_slice);
                result.confirmed += usize::from(note.confirmed);
                result.missing += usize::from(note.confirmed && at.is_empty());
                result.doubled += usize::from(at.len() > 1);
                let slack = chrono::TimeDelta::from_std(SLACK).unwrap_or_default();
                result.after_deadline += usize::from(at.iter().any(|at| *at > note.due + slack));
            }
        }
        result
    }

    /// Figures and checks which every experiment with traffic has.
    pub(crate) fn tell(&self, world: &World, outcome: &mut Outcome) {
        let (small, large, writes) = (self.small.seen(), self.large.seen(), self.writes.seen());
        let written = self.written(world);
        for (name, seen) in [("small reads", &small), ("large reads", &large), ("writes", &writes)] {
            if seen.requests > 0 {
                outcome.figure(name, seen.shown());
            }
        }
        outcome.none("reads lost", small.lost + large.lost);
        outcome.none("slower than their deadline", small.late + large.late + writes.late);
        if writes.requests > 0 {
            outcome.none("writes lost", writes.lost + written.missing);
            outcome.none("writes doubled", written.doubled);
            outcome.none("writes after their deadline", written.after_deadline);
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Small,
    Large,
    Write,
}

fn details(ticket: i64) -> TicketDetailsRequest {
    TicketDetailsRequest { ticket_id: TicketId(Id::Number(ticket)) }
}
