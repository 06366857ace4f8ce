//! Acting on one line: what the rules ask for, looked at once more right before it is written (spec "Behaviour" 7 to 10).

use contracts::id::Serial;
use decisions::{Decision, Failure};
use serde_json::{Value, json};
use ticketing::{OutageKind, paging};

use super::{
    Triage,
    documented::Documented,
    events_note,
    lines::{self, Line},
    rules::{self, Task},
};
use crate::{
    action::Action,
    edges::{Device, EdgeRecord},
    hands,
    reads::{Reads, Unanswered},
    rules::{Refusal, Ruling, creation::Title, documentation},
    shell::{because, facts_of, refused},
    slack::text,
};

/// Why the work on a line ended early.
enum Stop {
    /// A rule stopped it.
    Refused(Refusal),
    /// Something could not be read or written; that was reported already.
    Failed,
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Unanswered> for Stop {
    fn from(_: Unanswered) -> Self {
        Self::Failed
    }
}

/// A line with what is known of it.
struct Case<'a> {
    reads: &'a Reads,
    line: &'a Line,
    record: Option<&'a EdgeRecord>,
}

impl Case<'_> {
    fn serial(&self) -> &Serial {
        self.line.serial()
    }

    fn facts(&self) -> Value {
        let newest = self.line.notes.iter().filter_map(|note| note.created).max();
        json!({
            "ticket": self.line.ticket,
            "line": self.line.id,
            "triage_notes": self.line.notes.len(),
            "newest_triage_note": newest,
            "edge": self.record.map(facts_of),
        })
    }
}

impl Triage {
    /// Does for a line what the rules say. Gives the decision when it is to do nothing.
    pub(super) async fn handle(
        &self,
        reads: &Reads,
        line: &Line,
        record: Option<&EdgeRecord>,
    ) -> Option<Decision<Action>> {
        let case = Case { reads, line, record };
        let had_note = !line.notes.is_empty();
        let done = match self.task(line, record) {
            Err(refusal) => Err(refusal.into()),
            Ok(task) => {
                if had_note && !self.shell.is_shadow() {
                    self.shell.metrics.with_triage.inc();
                }
                match task {
                    Task::Document(kind) => self.document(&case, kind).await,
                    Task::TellEvents { .. } => self.tell_events(&case, task).await,
                }
            }
        };
        let (outcome, decision) = match done {
            Ok(()) if self.shell.is_shadow() => ("shadowed", None),
            Ok(()) => ("written", None),
            Err(Stop::Failed) => ("failed", None),
            Err(Stop::Refused(refusal)) => {
                (refusal.rule, Some(refused(case.serial(), case.facts(), refusal)))
            }
        };
        let had_note = if had_note { "yes" } else { "no" };
        self.shell.metrics.triage_lines.with_label_values(&[had_note, outcome]).inc();
        decision
    }

    fn task(&self, line: &Line, record: Option<&EdgeRecord>) -> Ruling<Task> {
        rules::task(&line.notes, record, self.shell.clock.now(), self.config.last_note_interval)
    }

    /// Writes the initial triage note ("Behaviour" 8).
    async fn document(&self, case: &Case<'_>, kind: OutageKind) -> Result<(), Stop> {
        let Some(record) = case.record else { return Ok(()) };
        let (environment, line) = (&self.config.common.environment, case.line);
        let now = self.shell.clock.now();
        let events = case.reads.events(&line.edge.identity, now).await?;
        let device = Device { edge: line.edge.clone(), record: record.clone() };
        let zone = self.config.common.zone;
        let note = documentation::text(Title::Triage, Some(kind), &device, &events, now, zone);
        if !environment.is_production() {
            if environment.0 == "dev" {
                let told = text::note_unwritten(&line.id, line.serial(), &line.ticket, &environment.0, &note);
                self.shell.slack.say(told);
            }
            return Err(not_in_production().into());
        }
        self.look_again(case, Task::Document(kind)).await?;
        let pages = paging::pages(&note);
        for (page, text) in (1..).zip(&pages) {
            let about = format!("triage {page}/{}", pages.len());
            self.append(case, "triage.document", about, text).await?;
        }
        if !self.shell.is_shadow() {
            self.shell.metrics.without_triage.inc();
        }
        Ok(())
    }

    /// Writes down the events of which no note tells yet ("Behaviour" 9), oldest first up to the first failure.
    async fn tell_events(&self, case: &Case<'_>, task: Task) -> Result<(), Stop> {
        let Task::TellEvents { since } = task else { return Ok(()) };
        let (environment, line) = (&self.config.common.environment, case.line);
        let now = self.shell.clock.now();
        let events = case.reads.events_since(&line.edge.identity, since, now).await?;
        let news = |line: &Line| {
            let news = events_note::news(&events, since, &Documented::by(&line.notes));
            if news.is_empty() {
                return Err(Refusal::new("triage.events", format!("no note lacks an event since {since}")));
            }
            Ok(news)
        };
        let found = news(line)?;
        if !environment.is_production() {
            tracing::info!(ticket = %line.ticket, serial = %line.serial(), events = found.len(), "events would be written down");
            let told = text::events_untold(&line.id, line.serial(), &line.ticket, &environment.0);
            self.shell.slack.say(told);
            return Err(not_in_production().into());
        }
        let fresh = self.look_again(case, task).await?;
        let notes = events_note::notes(&news(&fresh)?, self.config.max_events, self.config.common.zone);
        let mut written = 0;
        let mut done = Ok(());
        for (number, text) in (1..).zip(&notes) {
            let about = format!("events {number}/{}", notes.len());
            done = self.append(case, "triage.events", about, text).await;
            if done.is_err() {
                break;
            }
            written += 1;
        }
        if written > 0 && !self.shell.is_shadow() {
            self.shell.metrics.events_notes.inc_by(written);
            self.shell.slack.say(text::events_told(&line.id, line.serial(), &line.ticket));
        }
        done
    }

    /// Looks at the notes again right before writing ("Improve" 10). The line as it is now, if the task still stands.
    async fn look_again(&self, case: &Case<'_>, task: Task) -> Result<Line, Stop> {
        let details = case.reads.fresh_details(&case.line.ticket).await?;
        let line = lines::again(case.line, &details)
            .ok_or_else(|| Refusal::new("triage.line", "the ticket has no line of the serial any more"))?;
        rules::still(task, self.task(&line, case.record))?;
        Ok(line)
    }

    /// Appends a note to the line.
    async fn append(
        &self,
        case: &Case<'_>,
        rule: &'static str,
        about: String,
        text: &str,
    ) -> Result<(), Stop> {
        let action = Action::AppendNote {
            ticket: Some(case.line.ticket.clone()),
            serial: case.serial().clone(),
            lines: vec![case.serial().clone()],
            about,
            text: text.to_owned(),
        };
        let because = because(case.serial(), rule, case.facts());
        let appended = self.shell.hands.append_note(case.reads, because, action).await;
        appended.map(drop).map_err(|failure: Failure| {
            if hands::is_503(&failure) {
                self.shell.metrics.triage_errors.inc();
            }
            Stop::Failed
        })
    }
}

fn not_in_production() -> Refusal {
    Refusal::new("triage.environment", "notes are appended in production only")
}
