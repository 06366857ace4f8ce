//! Acting on one line: what the rules ask for, looked at once more right before it is written (spec "Behaviour" 7 to 10).

use chrono::{DateTime, Utc};
use contracts::id::Serial;
use decisions::{Decision, Failure};
use ticketing::{OutageKind, paging};

use super::{
    Triage,
    documented::Documented,
    events_note,
    lines::{self, Line},
    rules::{self, Facts, Known, SecondLook, Task},
};
use crate::{
    action::Action,
    edges::{Device, EdgeRecord},
    hands,
    question::Question,
    reads::{Reads, Unanswered},
    rules::{Next, Refusal, Ruling, creation::Title, documentation},
    seen::Seen,
    shell::{because, refused},
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

    fn facts(&self, now: DateTime<Utc>) -> Facts {
        let notes = Known::of(&self.line.notes);
        Facts {
            ticket: self.line.ticket.clone(),
            line: self.line.id.clone(),
            notes,
            edge: self.record.filter(|_| notes.triage_notes == 0).map(Seen::of),
            now,
            news: None,
            again: None,
        }
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
        let mut facts = case.facts(self.shell.clock.now());
        let done = match rules::task(&facts, self.config.last_note_interval) {
            Err(refusal) => Err(refusal.into()),
            Ok(task) => {
                if had_note && !self.shell.is_shadow() {
                    self.shell.metrics.with_triage.inc();
                }
                match task {
                    Task::Document(kind) => self.document(&case, kind, &mut facts).await,
                    Task::TellEvents { since } => self.tell_events(&case, since, &mut facts).await,
                }
            }
        };
        let (outcome, decision) = match done {
            Ok(()) if self.shell.is_shadow() => ("shadowed", None),
            Ok(()) => ("written", None),
            Err(Stop::Failed) => ("failed", None),
            Err(Stop::Refused(refusal)) => {
                (refusal.rule, Some(refused(case.serial(), &Question::Triage(facts), refusal)))
            }
        };
        let had_note = if had_note { "yes" } else { "no" };
        self.shell.metrics.triage_lines.with_label_values(&[had_note, outcome]).inc();
        decision
    }

    fn decide(&self, facts: &Facts) -> Ruling<Next<Task>> {
        rules::decide(facts, self.config.last_note_interval, &self.config.common.environment)
    }

    /// Writes the initial triage note ("Behaviour" 8).
    async fn document(&self, case: &Case<'_>, kind: OutageKind, facts: &mut Facts) -> Result<(), Stop> {
        let Some(record) = case.record else { return Ok(()) };
        let (environment, line) = (&self.config.common.environment, case.line);
        let now = self.shell.clock.now();
        let events = case.reads.events(&line.edge.identity, now).await?;
        let device = Device { edge: line.edge.clone(), record: record.clone() };
        let zone = self.config.common.zone;
        let note = documentation::text(Title::Triage, Some(kind), &device, &events, now, zone);
        if let Err(refusal) = self.decide(facts) {
            if refusal.rule == rules::ENVIRONMENT && environment.0 == "dev" {
                let told = text::note_unwritten(&line.id, line.serial(), &line.ticket, &environment.0, &note);
                self.shell.slack.say(told);
            }
            return Err(refusal.into());
        }
        self.look_again(case, facts, |_| None).await?;
        let pages = paging::pages(&note);
        for (page, text) in (1..).zip(&pages) {
            let about = format!("triage {page}/{}", pages.len());
            self.append(case, ("triage.document", facts), about, text).await?;
        }
        if !self.shell.is_shadow() {
            self.shell.metrics.without_triage.inc();
        }
        Ok(())
    }

    /// Writes down the events of which no note tells yet ("Behaviour" 9), oldest first up to the first failure.
    async fn tell_events(
        &self,
        case: &Case<'_>,
        since: DateTime<Utc>,
        facts: &mut Facts,
    ) -> Result<(), Stop> {
        let (environment, line) = (&self.config.common.environment, case.line);
        let now = self.shell.clock.now();
        let events = case.reads.events_since(&line.edge.identity, since, now).await?;
        let news = |line: &Line| events_note::news(&events, since, &Documented::by(&line.notes));
        let found = news(line).len();
        facts.news = Some(found);
        if let Err(refusal) = self.decide(facts) {
            if refusal.rule == rules::ENVIRONMENT {
                tracing::info!(ticket = %line.ticket, serial = %line.serial(), events = found, "events would be written down");
                let told = text::events_untold(&line.id, line.serial(), &line.ticket, &environment.0);
                self.shell.slack.say(told);
            }
            return Err(refusal.into());
        }
        let fresh = self.look_again(case, facts, |line| Some(news(line).len())).await?;
        let notes = events_note::notes(&news(&fresh), self.config.max_events, self.config.common.zone);
        let mut written = 0;
        let mut done = Ok(());
        for (number, text) in (1..).zip(&notes) {
            let about = format!("events {number}/{}", notes.len());
            done = self.append(case, ("triage.events", facts), about, text).await;
            if done.is_err() {
                break;
            }
            written += 1;
        }
        if written > 0 && !self.shell.is_shadow() {
            self.shell.metrics.events_notes.inc_by(written);
            // A marker of log searches (`deployment.md` 8.1).
            tracing::info!(ticket = %line.ticket, serial = %line.serial(), line = %line.id, "Triage appended to detail");
            self.shell.slack.say(text::events_told(&line.id, line.serial(), &line.ticket));
        }
        done
    }

    /// Looks at the notes again right before writing ("Improve" 10). The line as it is now, if the task still stands; `news`
    /// counts the events which its notes lack.
    async fn look_again(
        &self,
        case: &Case<'_>,
        facts: &mut Facts,
        news: impl Fn(&Line) -> Option<usize>,
    ) -> Result<Line, Stop> {
        let details = case.reads.fresh_details(&case.line.ticket).await?;
        let line = lines::again(case.line, &details);
        facts.again = Some(SecondLook {
            now: self.shell.clock.now(),
            notes: line.as_ref().map(|line| Known::of(&line.notes)),
            news: line.as_ref().and_then(news),
        });
        self.decide(facts)?;
        line.ok_or(Stop::Failed)
    }

    /// Appends a note to the line.
    async fn append(
        &self,
        case: &Case<'_>,
        (rule, facts): (&'static str, &Facts),
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
        let because = because(case.serial(), rule, &Question::Triage(facts.clone()).facts());
        let appended = self.shell.hands.append_note(case.reads, because, action).await;
        appended.map(drop).map_err(|failure: Failure| {
            if hands::is_503(&failure) {
                self.shell.metrics.triage_errors.inc();
            }
            Stop::Failed
        })
    }
}
