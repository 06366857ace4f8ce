//! How each action is carried out, and how one looks whether it was done already (spec "Improve" 12).
//!
//! Every action goes through [`decisions::Executor`]: intent first, outcome afterwards, nothing at all in shadow mode, and
//! after an unknown outcome a look before a repetition. What belongs to [`Work`] is kept there before it is done, so that
//! after a crash the next leader looks for it, too.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bus::{Answer, Bus, RequestError};
use chrono::{DateTime, SubsecRound as _, TimeDelta, Utc};
use contracts::{
    Rpc, bruin, digi,
    id::{DetailId, Id, Serial, TicketId},
};
use decisions::{Carried, Decision, Executor, Failure, Look};
use parking_lot::Mutex;
use runtime::Clock;
use serde_json::Value;
use ticketing::{Note, OpenTicket, TicketDetails, WorkQueue};

use crate::{
    action::{Action, Line},
    config::Common,
    reads::{Reads, Unanswered},
    rules::creation::Creation,
    unfinished::{Begun, Work},
};

/// What came of an action: its value, `None` in shadow mode (the flow goes on as if it had worked), or a failure, which
/// was reported already.
pub type Done<T> = Result<Option<T>, Failure>;

/// How far the clocks of Bruin and DiGi may lie behind ours when we look for what we have just done.
const SKEW: TimeDelta = TimeDelta::seconds(60);
/// When a look for what a former leader began got no answer, it is looked again after so long.
const LOOK_AGAIN: TimeDelta = TimeDelta::seconds(60);

/// Carries actions out.
pub struct Hands {
    bus: Bus,
    executor: Executor,
    common: Arc<Common>,
    clock: Clock,
}

/// On whose account and why something is done.
pub struct Because {
    /// The device.
    pub serial: Serial,
    /// The rule.
    pub rule: &'static str,
    /// What the rule looked at.
    pub facts: Value,
    /// The unfinished work to which it belongs.
    pub work: Option<Arc<Work>>,
}

impl Because {
    /// The same, as a part of unfinished work.
    #[must_use]
    pub fn part_of(self, work: &Arc<Work>) -> Self {
        Self { work: Some(work.clone()), ..self }
    }
}

/// How a ticket covers a device, for callers to act upon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Covered {
    /// How it came to.
    pub creation: Creation,
    /// The ticket; `None` only in shadow mode.
    pub ticket: Option<TicketId>,
}

impl Hands {
    /// Hands which act through `executor`.
    pub fn new(bus: Bus, executor: Executor, common: Arc<Common>, clock: Clock) -> Self {
        Self { bus, executor, common, clock }
    }

    /// The executor, to record decisions to do nothing.
    pub fn executor(&self) -> &Executor {
        &self.executor
    }

    async fn carry_out<T, P, PF, L, LF>(
        &self,
        reads: &Reads,
        because: Because,
        action: Action,
        perform: P,
        when: Look,
        look: L,
    ) -> Done<T>
    where
        T: Send,
        P: Fn(Action) -> PF + Send,
        PF: Future<Output = Result<T, Failure>> + Send,
        L: Fn() -> LF + Send + Sync,
        LF: Future<Output = Result<Option<T>, Unanswered>> + Send,
    {
        let what = decisions::Action::name(&action);
        let target = decisions::Action::target(&action);
        let ticket = action.ticket().cloned();
        let whose = match (&ticket, action.client()) {
            (Some(ticket), _) => format!(", ticket {ticket},"),
            (None, Some(client)) => format!(", client {client},"),
            (None, None) => String::new(),
        };
        let decision = Decision::act(because.serial.as_str(), because.rule, because.facts, action);
        let look =
            || async { look().await.map_err(|_| Failure::Unknown { reason: "the look failed".to_owned() }) };
        let carried = self.executor.carry_out(decision, when, perform, look).await;
        if let Err(failure) = &carried {
            let environment = self.common.environment.0.to_uppercase();
            let text = format!("{what} failed for {target}{whose} in {environment} environment: {failure}");
            reads.report().failed(what, text, ticket.as_ref());
        }
        Ok(carried?.and_then(Carried::value))
    }

    /// Carries out what can be looked for, within so many seconds. A part of unfinished work is done once, whoever began it:
    /// what a former leader began is looked for first, and as long as its request may be under way nothing is repeated.
    async fn carry_out_once<P, PF, L, LF>(
        &self,
        reads: &Reads,
        because: Because,
        action: Action,
        seconds: u64,
        perform: P,
        (when, look): (Look, L),
    ) -> Done<()>
    where
        P: Fn(Action) -> PF + Send + Sync,
        PF: Future<Output = Result<(), Failure>> + Send,
        L: Fn() -> LF + Send + Sync,
        LF: Future<Output = Result<Option<()>, Unanswered>> + Send,
    {
        let Some(work) = because.work.clone() else {
            return self.carry_out(reads, because, action, perform, when, look).await;
        };
        let is_note = matches!(action, Action::AppendNote { .. });
        if work.winds_up() && !is_note && work.deed(&action).is_none() {
            return Err(undone("the outage is over, or another one"));
        }
        let now = self.clock.now();
        let within = Duration::from_secs(seconds);
        let perform = |sent: Action| {
            let (work, request) = (work.clone(), perform(sent.clone()));
            async move {
                // Recording the intent took time, and so did a first request that is repeated.
                if work.sends(&sent, self.clock.now(), within).await {
                    request.await
                } else {
                    let reason = "another replica acts".to_owned();
                    Err(Failure::Undelivered { status: 503, reason })
                }
            }
        };
        // Until when a request of a former leader may be under way.
        let until = match work.begin(&action, now, within).await {
            // Its intent may be missing, because the store was out of reach: what it did is looked for all the same.
            Begun::First if work.resumed => Some(now),
            Begun::First => None,
            Begun::Again(deed) => Some(deed.until),
            Begun::Ended(true) => return Ok(Some(())),
            Begun::Ended(false) => return Err(undone("it failed before")),
            Begun::NotOurs => return Err(undone("another replica acts")),
        };
        let done = match until {
            None => self.carry_out(reads, because, action.clone(), perform, when, look).await,
            Some(until) => match look().await {
                Ok(Some(())) => {
                    let found = || std::future::ready(Ok(Some(())));
                    self.carry_out(reads, because, action.clone(), perform, Look::First, found).await
                }
                Ok(None) if now < until => {
                    work.postpone(until);
                    return Err(undone("a former request may still be under way"));
                }
                Ok(None) if work.winds_up() && !is_note => Err(undone("the outage is over, or another one")),
                Ok(None) => {
                    self.carry_out(reads, because, action.clone(), perform, Look::InDoubt, look).await
                }
                Err(Unanswered) => {
                    work.postpone(now + LOOK_AGAIN);
                    return Err(undone("the look for it failed"));
                }
            },
        };
        work.ended(&action, done.is_ok());
        done
    }

    /// One request that changes something. Its body is not read.
    async fn write<R: Rpc>(&self, request: &R::Request, seconds: u64) -> Result<(), Failure> {
        accepted(self.bus.exchange::<R>(request, Duration::from_secs(seconds)).await).map(drop)
    }

    /// Asks for a ticket. A ticket in progress that appeared after our own lost request counts as new. `system_user` is
    /// whose tickets are our own.
    ///
    /// # Errors
    /// Every status but 2xx, 409, 471, 472 and 473, and no answer.
    pub async fn create(
        &self,
        reads: &Reads,
        because: Because,
        action: Action,
        lost_since: Option<DateTime<Utc>>,
        system_user: &str,
    ) -> Done<Covered> {
        let Action::CreateTicket { client, serial, .. } = &action else { return Ok(None) };
        let (client, serial) = (client.clone(), serial.clone());
        let request = bruin::OutageTicketRequest {
            client_id: client.clone(),
            service_number: bruin::OneOrMany::One(serial.clone()),
            ticket_contact: None,
            interfaces: None,
            get_full_response: None,
        };
        let began = lost_since.unwrap_or_else(|| self.clock.now());
        let attempts = AtomicUsize::new(usize::from(lost_since.is_some()));
        let perform = |_| async {
            let repeated = attempts.fetch_add(1, Ordering::Relaxed) > 0;
            let within = Duration::from_secs(30);
            let answer = self.bus.exchange::<bruin::OutageTicketCreation>(&request, within).await;
            let answer = answer.map_err(|error| failure(&error))?;
            let status = answer.status.unwrap_or(503);
            let covered =
                bruin::OutageTicket::of(status, answer.body()).and_then(|reply| Creation::of(&reply));
            let (creation, ticket) = covered.ok_or_else(|| refused(&answer))?;
            let creation = if repeated && creation == Creation::InProgress {
                self.after_lost_request(reads, &ticket, &serial, began, system_user).await
            } else {
                creation
            };
            Ok(Covered { creation, ticket: Some(ticket) })
        };
        let look = || async {
            let open = reads.open_tickets(&client, Some(&serial)).await?;
            let Some(ticket) = open.into_iter().next() else { return Ok(None) };
            let creation = if is_from_request(&ticket, began, system_user) {
                Creation::New
            } else {
                self.after_lost_request(reads, &ticket.id, &serial, began, system_user).await
            };
            Ok(Some(Covered { creation, ticket: Some(ticket.id) }))
        };
        self.carry_out(reads, because, action, perform, Look::BeforeRepeat, look).await
    }

    /// What our own request, whose reply was lost, has done about a ticket that is in progress now.
    async fn after_lost_request(
        &self,
        reads: &Reads,
        ticket: &TicketId,
        serial: &Serial,
        began: DateTime<Utc>,
        system_user: &str,
    ) -> Creation {
        let Ok(found) = reads.ticket(ticket).await else { return Creation::InProgress };
        // Another device of the job may have seen them before the request.
        let Ok(details) = reads.fresh_details(ticket).await else {
            let new = is_from_request(&found, began, system_user);
            return if new { Creation::New } else { Creation::InProgress };
        };
        // An older ticket may have been unresolved by Bruin. Of that only notes tell: what the engine resolved is open
        // again, or its own ticket has a line that it never documented.
        let notes = details.notes_of(serial);
        let documented = |note: &&&Note| note.is_triage() || note.is_reopening() || note.is_autoresolve();
        match notes.iter().filter(documented).max_by_key(|note| note.created) {
            Some(last) if last.is_autoresolve() => Creation::Reopened,
            // Triage was quicker with the note of our ticket. The rest of what a new one gets is missing. Without allowance
            // for clocks that differ, but Bruin knows whole seconds only: the note may be our own, of a ticket that we had
            // created shortly before this request.
            Some(last)
                if last.is_triage()
                    && is_from_request(&found, began.trunc_subsecs(0) + SKEW, system_user) =>
            {
                Creation::New
            }
            None if is_from_request(&found, began, system_user) => Creation::New,
            None if found.is_by(system_user) => Creation::ReopenedForSite,
            Some(_) | None => Creation::InProgress,
        }
    }

    /// Appends a note. The failure's status says whether Bruin was out of reach (503).
    pub async fn append_note(&self, reads: &Reads, because: Because, action: Action) -> Done<()> {
        let Action::AppendNote { ticket: Some(ticket), lines, mut text, .. } = action.clone() else {
            return self.record_only(reads, because, action).await;
        };
        let begun = because.work.as_ref().and_then(|work| work.deed(&action));
        // Of what a former leader did the intent may be missing.
        let taken_up = because.work.as_ref().filter(|work| work.resumed).and_then(|work| work.entry());
        let taken_up = taken_up.map_or_else(|| self.clock.now(), |entry| entry.since);
        let began = begun.as_ref().map_or(taken_up, |deed| deed.at);
        if let Some(kept) = begun.and_then(|deed| deed.text) {
            text = kept;
        }
        let request = bruin::AppendNoteRequest {
            ticket_id: ticket.clone(),
            note: text.clone(),
            service_numbers: lines.clone(),
        };
        let perform = |_| async { self.write::<bruin::AppendNote>(&request, 15).await };
        let look = || async {
            let details = reads.fresh_details(&ticket).await?;
            let found = details
                .notes
                .iter()
                .any(|note| note.says(&text) && note.created.is_none_or(|created| created >= began - SKEW));
            Ok(found.then_some(()))
        };
        self.carry_out_once(reads, because, action, 15, perform, (Look::InDoubt, look)).await
    }

    /// Opens a line again.
    pub async fn open_line(&self, reads: &Reads, because: Because, line: Line) -> Done<()> {
        let request =
            bruin::TicketLineRequest { ticket_id: line.ticket.clone(), detail_id: line.line.clone() };
        let perform = |_| async {
            // Only exactly 200 is a success.
            let answer =
                accepted(self.bus.exchange::<bruin::OpenTicket>(&request, Duration::from_secs(15)).await)?;
            if answer.status == Some(200) { Ok(()) } else { Err(refused(&answer)) }
        };
        let look = || async { self.line_is(reads, &line, false).await };
        let action = Action::OpenLine(line.clone());
        let done = self.carry_out_once(reads, because, action, 15, perform, (Look::InDoubt, look)).await;
        reads.changed(&line.ticket);
        done
    }

    /// Resolves a line.
    pub async fn resolve_line(&self, reads: &Reads, because: Because, line: Line) -> Done<()> {
        let request = bruin::ResolveTicketRequest {
            ticket_id: line.ticket.clone(),
            detail_id: line.line.clone(),
            interfaces: None,
        };
        let perform = |_| async { self.write::<bruin::ResolveTicket>(&request, 15).await };
        let look = || async { self.line_is(reads, &line, true).await };
        let action = Action::ResolveLine(line.clone());
        let done = self.carry_out_once(reads, because, action, 15, perform, (Look::InDoubt, look)).await;
        reads.changed(&line.ticket);
        done
    }

    async fn line_is(&self, reads: &Reads, line: &Line, resolved: bool) -> Result<Option<()>, Unanswered> {
        let details = reads.fresh_details(&line.ticket).await?;
        let found = details.lines.iter().find(|candidate| candidate.id == line.line);
        Ok(found.filter(|found| found.is_resolved() == resolved).map(|_| ()))
    }

    /// Ends a line's pause. Harmless to fail, so never repeated.
    pub async fn unpause_line(&self, reads: &Reads, because: Because, line: Line) -> Done<()> {
        let request = bruin::UnpauseTicketRequest {
            ticket_id: line.ticket.clone(),
            service_number: Some(line.serial.clone()),
            detail_id: Some(line.line.clone()),
        };
        let perform = |_| async { self.write::<bruin::UnpauseTicket>(&request, 30).await };
        self.carry_out(reads, because, Action::UnpauseLine(line), perform, Look::Never, no_look).await
    }

    /// Changes a ticket's severity.
    pub async fn set_severity(&self, reads: &Reads, because: Because, action: Action) -> Done<()> {
        let Action::SetSeverity { ticket: Some(ticket), level, reason, .. } = action.clone() else {
            return self.record_only(reads, because, action).await;
        };
        let request =
            bruin::TicketSeverityRequest { ticket_id: ticket.clone(), severity: Id::Number(level.0), reason };
        let perform = |_| async { self.write::<bruin::TicketSeverity>(&request, 45).await };
        let look = || async { Ok((reads.ticket(&ticket).await?.severity == Some(level)).then_some(())) };
        self.carry_out_once(reads, because, action, 45, perform, (Look::InDoubt, look)).await
    }

    /// Moves a task to a work queue. `known` are the ticket's lines and notes if they were read just now.
    pub async fn forward(
        &self,
        reads: &Reads,
        because: Because,
        action: Action,
        known: Option<&TicketDetails>,
    ) -> Done<()> {
        let Action::Forward { ticket: Some(ticket), serial, line, queue } = action.clone() else {
            return self.record_only(reads, because, action).await;
        };
        let request = bruin::ChangeWorkQueueRequest {
            ticket_id: ticket.clone(),
            detail_id: line,
            service_number: Some(serial.clone()),
            queue_name: queue.name().to_owned(),
            work_queue_id: None,
        };
        let perform = |_| async { self.write::<bruin::ChangeWorkQueue>(&request, 90).await };
        let known = Mutex::new(known);
        let look = || {
            let known = known.lock().take();
            let (ticket, serial) = (&ticket, &serial);
            async move {
                match known {
                    Some(details) => Ok(in_queue(details, serial, queue)),
                    None => Ok(in_queue(&reads.fresh_details(ticket).await?, serial, queue)),
                }
            }
        };
        // The note or the store that remembers a forward may have failed: the queue tells, too.
        let done = self.carry_out_once(reads, because, action, 90, perform, (Look::First, look)).await;
        reads.changed(&ticket);
        done
    }

    /// Reboots a link by its DiGi unit.
    pub async fn reboot(&self, reads: &Reads, because: Because, action: Action) -> Done<()> {
        let Action::RebootDigi { ticket: Some(ticket), serial, mac, .. } = action.clone() else {
            return self.record_only(reads, because, action).await;
        };
        let (Some(velo_serial), Some(number), Some(mac)) = (
            digi::Parameter::new(serial.as_str()),
            digi::Parameter::new(ticket.to_string()),
            digi::Parameter::new(mac),
        ) else {
            let reason = "the serial or the logical id has control characters".to_owned();
            return Err(Failure::Refused { status: 400, reason });
        };
        let request = digi::RebootRequest { velo_serial, ticket: number, mac };
        // DiGi's log does not name the interface: one recovery more than those of the other links is this one.
        let since = because.work.as_ref().and_then(|work| Some(work.entry()?.since));
        let since = since.unwrap_or_else(|| self.clock.now()) - SKEW;
        let others = because.work.as_ref().map_or(0, |work| work.done("reboot_digi"));
        let perform = |_| async { self.write::<digi::Reboot>(&request, 90).await };
        let look = || async {
            let begun = reads.reboots_begun(&serial, &ticket, since).await?;
            Ok((begun > others).then_some(()))
        };
        self.carry_out_once(reads, because, action, 90, perform, (Look::InDoubt, look)).await
    }

    /// Carries out something of our own, which cannot fail and needs no look.
    pub async fn remember(&self, reads: &Reads, because: Because, action: Action) {
        let perform = |_| async { Ok(()) };
        let _ = self.carry_out(reads, because, action, perform, Look::Never, no_look).await;
    }

    /// Without a ticket there is only something to record: a shadow's prediction. Live, it is a refusal.
    async fn record_only(&self, reads: &Reads, because: Because, action: Action) -> Done<()> {
        let perform =
            |_| async { Err(Failure::Refused { status: 400, reason: "the ticket is not known".to_owned() }) };
        self.carry_out(reads, because, action, perform, Look::Never, no_look).await
    }

    /// A line of a ticket.
    pub fn line(ticket: &TicketId, line: &DetailId, serial: &Serial) -> Line {
        Line { ticket: ticket.clone(), line: line.clone(), serial: serial.clone() }
    }
}

async fn no_look() -> Result<Option<()>, Unanswered> {
    Ok(None)
}

/// Whether a ticket may come from a request of ours: it is no older, and no person created it.
pub(crate) fn is_from_request(ticket: &OpenTicket, began: DateTime<Utc>, system_user: &str) -> bool {
    let is_since = ticket.created.is_some_and(|created| created >= began - SKEW);
    is_since && (ticket.created_by.is_none() || ticket.is_by(system_user))
}

/// A part of unfinished work that is not carried out (now). Nobody needs to be told.
fn undone(reason: &str) -> Failure {
    Failure::Unknown { reason: reason.to_owned() }
}

fn in_queue(details: &TicketDetails, serial: &Serial, queue: WorkQueue) -> Option<()> {
    let task = details.line(serial).and_then(|line| line.task.as_deref());
    (task == Some(queue.leads_to())).then_some(())
}

/// A 2xx answer.
fn accepted(answer: Result<Answer, RequestError>) -> Result<Answer, Failure> {
    let answer = answer.map_err(|error| failure(&error))?;
    if answer.is_success() { Ok(answer) } else { Err(refused(&answer)) }
}

fn refused(answer: &Answer) -> Failure {
    let reason = answer.body().chars().take(300).collect();
    Failure::Refused { status: answer.status.unwrap_or(503), reason }
}

/// A request without an answer: it may have been carried out, unless it surely was not delivered.
fn failure(error: &RequestError) -> Failure {
    if error.maybe_executed() {
        Failure::Unknown { reason: error.to_string() }
    } else {
        Failure::Undelivered { status: error.status(), reason: error.to_string() }
    }
}

/// Whether a failure reads as status 503: Bruin out of reach, or no answer at all.
pub fn is_503(failure: &Failure) -> bool {
    match failure {
        Failure::Unknown { .. } => true,
        Failure::Refused { status, .. } | Failure::Undelivered { status, .. } => *status == 503,
    }
}
