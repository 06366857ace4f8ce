//! Carries decisions out.

use std::{collections::BTreeMap, fmt, future::Future, sync::Arc};

use chrono::{DateTime, TimeDelta, Utc};
use parking_lot::Mutex;
use prometheus::{IntCounterVec, Opts, Registry};
use serde_json::Value;
use tracing::Instrument;

use crate::{
    decision::{Action, Decision, Verdict},
    ledger::Ledger,
    record::{Mode, Outcome, Record, Settings, Step},
};

/// How often the settings in force are told again, so that they stand in the ledger as long as what was decided with them.
const TELL_SETTINGS: TimeDelta = TimeDelta::hours(1);

/// How often an action is tried when its outcome stays unknown and a look shows that it was not done.
const ATTEMPTS: usize = 2;

/// Why an action was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The third party refused: nothing was changed, surely if the status is below 500.
    #[error("refused with status {status}: {reason}")]
    Refused {
        /// Status of the bridge's reply.
        status: u16,
        /// The beginning of the reply's text.
        reason: String,
    },
    /// Nobody got the request: surely nothing was changed.
    #[error("refused with status {status}: {reason}")]
    Undelivered {
        /// The status as which it counts.
        status: u16,
        /// What went wrong.
        reason: String,
    },
    /// No answer: it may have been carried out.
    #[error("outcome unknown: {reason}")]
    Unknown {
        /// What went wrong.
        reason: String,
    },
}

/// How a decision to act ended well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Carried<T> {
    /// Carried out now.
    Done(T),
    /// A look showed that it had been done already: by us with a lost reply, by a former leader, or by a neighbour.
    Found(T),
    /// Shadow mode: recorded only.
    Shadowed,
}

impl<T> Carried<T> {
    /// What the action or the look brought; `None` in shadow mode.
    pub fn value(self) -> Option<T> {
        match self {
            Self::Done(value) | Self::Found(value) => Some(value),
            Self::Shadowed => None,
        }
    }
}

/// When the executor looks in the third party whether an action was done already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// Before the first attempt too: for what must not be done twice and is not de-duplicated by the third party.
    First,
    /// Only after an unknown outcome, before repeating.
    BeforeRepeat,
    /// Like [`Self::BeforeRepeat`], and once after a refusal with status 500 or above, which is never repeated: a bridge
    /// answers so, too, when the third party is slow, and that may have done it.
    InDoubt,
    /// Never, and an unknown outcome is never repeated.
    Never,
}

/// Carries decisions out, or records them in shadow mode. Cheap to clone.
#[derive(Clone)]
pub struct Executor {
    service: Arc<str>,
    mode: Mode,
    ledger: Ledger,
    now: Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>,
    counts: IntCounterVec,
    settings: Option<Arc<InForce>>,
}

/// The settings in force.
struct InForce {
    id: String,
    values: BTreeMap<String, String>,
    told: Mutex<Option<DateTime<Utc>>>,
}

impl fmt::Debug for Executor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Executor")
            .field("service", &self.service)
            .field("mode", &self.mode)
            .finish_non_exhaustive()
    }
}

impl Executor {
    /// An executor of `service`. `now` is the service's clock. Registers `decisions_total{action,mode,outcome}`.
    ///
    /// # Errors
    /// When the metric is registered already.
    pub fn new(
        service: &str,
        mode: Mode,
        ledger: Ledger,
        now: impl Fn() -> DateTime<Utc> + Send + Sync + 'static,
        metrics: &Registry,
    ) -> Result<Self, prometheus::Error> {
        let counts = IntCounterVec::new(
            Opts::new("decisions_total", "Decisions by action (`none` for abstentions), mode and outcome"),
            &["action", "mode", "outcome"],
        )?;
        metrics.register(Box::new(counts.clone()))?;
        Ok(Self { service: service.into(), mode, ledger, now: Arc::new(now), counts, settings: None })
    }

    /// Decides with these settings: what is set, by the names of the environment, without secrets. Records refer to them.
    #[must_use]
    pub fn with_settings(mut self, values: BTreeMap<String, String>) -> Self {
        let id = Settings::id_of(&values);
        self.settings = Some(Arc::new(InForce { id, values, told: Mutex::default() }));
        self
    }

    /// Writes the settings in force to the ledger, unless that was done in the last hour. For the beginning of a cycle.
    pub async fn tell_settings(&self) {
        let Some(settings) = &self.settings else { return };
        let at = (self.now)();
        {
            let mut told = settings.told.lock();
            if told.is_some_and(|told| (at - told).abs() < TELL_SETTINGS) {
                return;
            }
            *told = Some(at);
        }
        let in_force = Settings {
            id: settings.id.clone(),
            at,
            service: self.service.to_string(),
            mode: self.mode,
            values: settings.values.clone(),
        };
        if !self.ledger.tell(in_force).await {
            *settings.told.lock() = None;
        }
    }

    /// Whether decisions are carried out.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// The ledger, to read what was decided.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Records decisions to do nothing. They are written together, so that a cycle over a large healthy network costs
    /// a few messages.
    pub async fn abstain<A>(&self, decisions: impl IntoIterator<Item = Decision<A>>) {
        let records: Vec<Record> = decisions
            .into_iter()
            .filter_map(|decision| match decision.verdict {
                Verdict::Abstain(reason) => {
                    let step = Step::Abstained { reason, facts: decision.facts };
                    Some(self.record(decision.device, decision.rule, step))
                }
                Verdict::Act(_) => None,
            })
            .collect();
        self.counts
            .with_label_values(&["none", self.mode.as_str(), "abstained"])
            .inc_by(records.len() as u64);
        self.ledger.write_many(records).await;
    }

    /// Carries out one decision: records the intent, `perform`s the action, settles an unknown outcome by `look`ing
    /// (`Some` when the action was done), and records the outcome.
    ///
    /// A decision to abstain is recorded and gives `None`.
    ///
    /// # Errors
    /// [`Failure::Refused`] when the third party refused, [`Failure::Undelivered`] when it was not asked,
    /// [`Failure::Unknown`] when the outcome could not be settled.
    pub async fn carry_out<A, T, P, PF, L, LF>(
        &self,
        decision: Decision<A>,
        when: Look,
        perform: P,
        look: L,
    ) -> Result<Option<Carried<T>>, Failure>
    where
        A: Action,
        P: Fn(A) -> PF + Send,
        PF: Future<Output = Result<T, Failure>> + Send,
        L: Fn() -> LF + Send,
        LF: Future<Output = Result<Option<T>, Failure>> + Send,
        A: Clone,
    {
        let Verdict::Act(action) = decision.verdict else {
            self.abstain([decision]).await;
            return Ok(None);
        };
        let (device, rule) = (decision.device, decision.rule);
        // One span around what is recorded and what is done: from the ledger one finds the requests, and back.
        let span = tracing::info_span!(
            "decision",
            otel.name = format_args!("{} by {rule}", action.name()),
            device,
            rule,
            action = action.name(),
        );
        self.act(device, rule, decision.facts, action, when, perform, look).instrument(span).await
    }

    #[allow(clippy::too_many_arguments, reason = "the body of `carry_out`, in its span")]
    async fn act<A, T, P, PF, L, LF>(
        &self,
        device: String,
        rule: &'static str,
        facts: Value,
        action: A,
        when: Look,
        perform: P,
        look: L,
    ) -> Result<Option<Carried<T>>, Failure>
    where
        A: Action + Clone,
        P: Fn(A) -> PF + Send,
        PF: Future<Output = Result<T, Failure>> + Send,
        L: Fn() -> LF + Send,
        LF: Future<Output = Result<Option<T>, Failure>> + Send,
    {
        let intent = Step::Intent {
            action: action.name().to_owned(),
            target: action.target(),
            details: serde_json::to_value(&action).unwrap_or_default(),
            facts,
        };
        self.ledger.write(self.record(device.clone(), rule, intent)).await;
        if self.mode == Mode::Shadow {
            self.counts.with_label_values(&[action.name(), Mode::Shadow.as_str(), "shadowed"]).inc();
            return Ok(Some(Carried::Shadowed));
        }
        let result = settle(&action, when, perform, look).await;
        let outcome = match &result {
            Ok(Carried::Done(_)) => Outcome::Done,
            Ok(_) => Outcome::FoundDone,
            Err(Failure::Refused { status, reason } | Failure::Undelivered { status, reason }) => {
                Outcome::Refused { status: *status, reason: reason.clone() }
            }
            Err(Failure::Unknown { reason }) => Outcome::Unknown { reason: reason.clone() },
        };
        self.counts.with_label_values(&[action.name(), Mode::Live.as_str(), outcome.as_str()]).inc();
        let step = Step::Outcome { action: action.name().to_owned(), target: action.target(), outcome };
        self.ledger.write(self.record(device, rule, step)).await;
        result.map(Some)
    }

    fn record(&self, device: String, rule: &'static str, step: Step) -> Record {
        Record {
            at: (self.now)(),
            service: self.service.to_string(),
            mode: self.mode,
            device,
            rule: rule.to_owned(),
            settings: self.settings.as_ref().map(|settings| settings.id.clone()).unwrap_or_default(),
            step,
        }
    }
}

/// Performs an action at most [`ATTEMPTS`] times; a repetition only after a look that shows it was not done.
async fn settle<A, T, P, PF, L, LF>(
    action: &A,
    when: Look,
    perform: P,
    look: L,
) -> Result<Carried<T>, Failure>
where
    A: Clone,
    P: Fn(A) -> PF,
    PF: Future<Output = Result<T, Failure>>,
    L: Fn() -> LF,
    LF: Future<Output = Result<Option<T>, Failure>>,
{
    if when == Look::First
        && let Some(found) = look().await?
    {
        return Ok(Carried::Found(found));
    }
    let mut attempt = 1;
    loop {
        let unknown = match perform(action.clone()).await {
            Ok(value) => return Ok(Carried::Done(value)),
            Err(refused @ Failure::Refused { status, .. }) if status >= 500 && when == Look::InDoubt => {
                // Done by us, as after a lost reply; otherwise it stands.
                return look().await.ok().flatten().map(Carried::Done).ok_or(refused);
            }
            Err(refused @ (Failure::Refused { .. } | Failure::Undelivered { .. })) => return Err(refused),
            Err(unknown) => unknown,
        };
        if when == Look::Never {
            return Err(unknown);
        }
        match look().await {
            // The reply was lost, the action was not: it counts as done by us.
            Ok(Some(value)) => return Ok(Carried::Done(value)),
            Ok(None) if attempt < ATTEMPTS => attempt += 1,
            Ok(None) | Err(_) => return Err(unknown),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Serialize;
    use serde_json::json;

    #[derive(Clone, Serialize)]
    struct AppendNote {
        ticket: u32,
    }

    impl Action for AppendNote {
        fn name(&self) -> &'static str {
            "append_note"
        }
        fn target(&self) -> String {
            format!("ticket {}", self.ticket)
        }
    }

    /// A third party whose answers are scripted; it counts what was really done.
    #[derive(Default)]
    struct Scripted {
        answers: Mutex<Vec<Result<(), Failure>>>,
        looks: Mutex<Vec<Result<Option<()>, Failure>>>,
        performed: Mutex<usize>,
    }

    impl Scripted {
        fn new(answers: Vec<Result<(), Failure>>, looks: Vec<Result<Option<()>, Failure>>) -> Self {
            Self { answers: Mutex::new(answers), looks: Mutex::new(looks), performed: Mutex::new(0) }
        }
    }

    fn unknown() -> Failure {
        Failure::Unknown { reason: "no answer".into() }
    }

    fn refused() -> Failure {
        Failure::Refused { status: 400, reason: "no".into() }
    }

    async fn run(
        mode: Mode,
        when: Look,
        script: &Scripted,
    ) -> (Result<Option<Carried<()>>, Failure>, Vec<Record>) {
        let ledger = Ledger::memory();
        let at = DateTime::UNIX_EPOCH;
        let executor = Executor::new("monitor", mode, ledger.clone(), move || at, &Registry::new()).unwrap();
        let decision = Decision::act("VC1", "documentation", json!({"notes": 0}), AppendNote { ticket: 555 });
        let result = executor
            .carry_out(
                decision,
                when,
                |_| async {
                    *script.performed.lock() += 1;
                    script.answers.lock().remove(0)
                },
                || async { script.looks.lock().remove(0) },
            )
            .await;
        (result, ledger.kept())
    }

    fn outcomes(records: &[Record]) -> Vec<&Outcome> {
        records
            .iter()
            .filter_map(|record| match &record.step {
                Step::Outcome { outcome, .. } => Some(outcome),
                _ => None,
            })
            .collect()
    }

    #[tokio::test]
    async fn the_intent_stands_before_the_outcome() {
        let script = Scripted::new(vec![Ok(())], vec![]);
        let (result, records) = run(Mode::Live, Look::BeforeRepeat, &script).await;
        assert_eq!(result, Ok(Some(Carried::Done(()))));
        assert!(matches!(&records[0].step, Step::Intent { action, target, details, .. }
            if action == "append_note" && target == "ticket 555" && details == &json!({"ticket": 555})));
        assert_eq!(outcomes(&records[1..]), [&Outcome::Done]);
    }

    #[tokio::test]
    async fn shadow_mode_records_the_intent_and_touches_nothing() {
        let script = Scripted::default();
        let (result, records) = run(Mode::Shadow, Look::First, &script).await;
        assert_eq!(result, Ok(Some(Carried::Shadowed)));
        assert_eq!(*script.performed.lock(), 0);
        assert_eq!(records.len(), 1);
        assert_eq!(records[0].mode, Mode::Shadow);
    }

    #[tokio::test]
    async fn a_lost_reply_is_settled_by_looking_not_by_repeating() {
        let script = Scripted::new(vec![Err(unknown())], vec![Ok(Some(()))]);
        let (result, records) = run(Mode::Live, Look::BeforeRepeat, &script).await;
        assert_eq!(result, Ok(Some(Carried::Done(()))));
        assert_eq!(*script.performed.lock(), 1);
        assert_eq!(outcomes(&records), [&Outcome::Done]);
    }

    #[tokio::test]
    async fn an_action_that_a_look_does_not_find_is_repeated_once() {
        let script = Scripted::new(vec![Err(unknown()), Err(unknown())], vec![Ok(None), Ok(None)]);
        let (result, records) = run(Mode::Live, Look::BeforeRepeat, &script).await;
        assert_eq!(result, Err(unknown()));
        assert_eq!(*script.performed.lock(), 2);
        assert_eq!(outcomes(&records), [&Outcome::Unknown { reason: "no answer".into() }]);
    }

    #[tokio::test]
    async fn nothing_is_repeated_when_the_look_fails_or_is_not_possible() {
        for (when, looks) in [(Look::BeforeRepeat, vec![Err(unknown())]), (Look::Never, vec![])] {
            let script = Scripted::new(vec![Err(unknown())], looks);
            let (result, _) = run(Mode::Live, when, &script).await;
            assert_eq!(result, Err(unknown()));
            assert_eq!(*script.performed.lock(), 1);
        }
    }

    #[tokio::test]
    async fn what_was_done_before_is_found_and_not_done_again() {
        let script = Scripted::new(vec![], vec![Ok(Some(()))]);
        let (result, records) = run(Mode::Live, Look::First, &script).await;
        assert_eq!(result, Ok(Some(Carried::Found(()))));
        assert_eq!(*script.performed.lock(), 0);
        assert_eq!(outcomes(&records), [&Outcome::FoundDone]);
    }

    #[tokio::test]
    async fn a_refusal_is_final() {
        let script = Scripted::new(vec![Err(refused())], vec![]);
        let (result, records) = run(Mode::Live, Look::BeforeRepeat, &script).await;
        assert_eq!(result, Err(refused()));
        assert_eq!(outcomes(&records), [&Outcome::Refused { status: 400, reason: "no".into() }]);
    }

    #[tokio::test]
    async fn a_refusal_that_says_little_is_looked_into_once_and_never_repeated() {
        let reason = "no answer in time".to_owned();
        let refused = |status| Failure::Refused { status, reason: reason.clone() };
        for (when, answer, looks, done) in [
            (Look::InDoubt, refused(500), vec![Ok(Some(()))], true),
            (Look::InDoubt, refused(500), vec![Ok(None)], false),
            (Look::InDoubt, refused(500), vec![Err(unknown())], false),
            (Look::InDoubt, refused(499), vec![], false),
            (Look::InDoubt, Failure::Undelivered { status: 503, reason: reason.clone() }, vec![], false),
            (Look::BeforeRepeat, refused(500), vec![], false),
            (Look::Never, refused(500), vec![], false),
        ] {
            let script = Scripted::new(vec![Err(answer.clone())], looks);
            let (result, _) = run(Mode::Live, when, &script).await;
            assert_eq!(result, if done { Ok(Some(Carried::Done(()))) } else { Err(answer) }, "{when:?}");
            assert_eq!((*script.performed.lock(), script.looks.lock().len()), (1, 0));
        }
        // What a repetition is answered is looked into, too.
        let script = Scripted::new(vec![Err(unknown()), Err(refused(500))], vec![Ok(None), Ok(Some(()))]);
        let (result, _) = run(Mode::Live, Look::InDoubt, &script).await;
        assert_eq!(result, Ok(Some(Carried::Done(()))));
    }

    #[tokio::test]
    async fn abstentions_keep_their_reason_and_facts() {
        let ledger = Ledger::memory();
        let at = DateTime::UNIX_EPOCH;
        let executor =
            Executor::new("monitor", Mode::Live, ledger.clone(), move || at, &Registry::new()).unwrap();
        executor
            .abstain([Decision::<AppendNote>::abstain(
                "VC1",
                "autoresolve.creator",
                json!({"by": "Ann"}),
                "a person made it",
            )])
            .await;
        let kept = ledger.kept();
        assert_eq!(kept[0].rule, "autoresolve.creator");
        let expected = Step::Abstained { reason: "a person made it".into(), facts: json!({"by": "Ann"}) };
        assert_eq!(kept[0].step, expected);
        let json: Value = serde_json::to_value(&kept[0]).unwrap();
        assert_eq!(json["step"], "abstained");
        assert_eq!(serde_json::from_value::<Record>(json).unwrap(), kept[0]);
    }
}
