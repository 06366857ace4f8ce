//! Asking a bridge with a button, as a service would: over NATS, by the subject's contract. Reads only.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use askama::Template;
use axum::{
    Form, Router,
    extract::{Path, State},
    routing::post,
};
use bus::{Answer as BusAnswer, Bus};
use chrono::{DateTime, TimeDelta, Utc};
use contracts::catalogue;
use http::HeaderMap;
use parking_lot::Mutex;
use runtime::Environment;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::{
    Page,
    actions::{Done, back, unknown},
    times::Now,
};
use crate::{beacon, place::Place};

/// An answer is waited for so long at most, whatever its contract allows.
const PATIENCE: Duration = Duration::from_secs(30);
/// A reader without script gets the answer with the page when it comes within this time.
const A_MOMENT: Duration = Duration::from_millis(1_500);
/// Characters of an answer that are shown.
const SHOWN: usize = 6_000;
/// How long before now the results of tests are asked for.
const RESULTS_OF: TimeDelta = TimeDelta::hours(1);

/// What can be asked.
struct Question {
    /// Its name in addresses.
    name: &'static str,
    /// Where the answer stands.
    place: &'static str,
    /// Who answers.
    service: &'static str,
    /// The subject.
    subject: &'static str,
    /// The body of a request about something, at this time of the world.
    body: fn(&str, DateTime<Utc>) -> Value,
}

static QUESTIONS: [Question; 10] = [
    Question {
        name: "probe",
        place: "hawkeye",
        service: "hawkeye-bridge",
        subject: "hawkeye.probe.request",
        body: |serial, _| json!({"serial_number": serial}),
    },
    Question {
        name: "probes-down",
        place: "hawkeye",
        service: "hawkeye-bridge",
        subject: "hawkeye.probe.request",
        body: |_, _| json!({"status": "down"}),
    },
    Question {
        name: "results",
        place: "hawkeye",
        service: "hawkeye-bridge",
        subject: "hawkeye.test.request",
        body: |uid, now| {
            let text = |at: DateTime<Utc>| at.format("%Y-%m-%d %H:%M:%S").to_string();
            json!({"probe_uids": [uid], "interval": {"start": text(now - RESULTS_OF), "end": text(now)}})
        },
    },
    Question {
        name: "probes-cached",
        place: "hawkeye",
        service: "hawkeye-customer-cache",
        subject: "hawkeye.customer.cache.get",
        body: |_, _| json!({}),
    },
    Question {
        name: "t7",
        place: "t7",
        service: "t7-bridge",
        subject: "t7.prediction.request",
        body: |asset, _| {
            let row =
                json!({"Asset": asset, "Task Result": "Repair Completed", "Ticket Status": "In-Progress"});
            json!({"ticket_id": 4_000_001, "ticket_rows": [row], "assets_to_predict": [asset]})
        },
    },
    Question {
        name: "emailtagger",
        place: "emailtagger",
        service: "email-tagger-kre-bridge",
        subject: "email_tagger.prediction.request",
        body: |subject, _| json!({"email": {"email_id": "1", "subject": subject, "body": ""}}),
    },
    Question {
        name: "repairtickets",
        place: "repairtickets",
        service: "repair-tickets-kre-bridge",
        subject: "rta.prediction.request",
        body: |subject, _| json!({"email_id": "1", "subject": subject, "body": ""}),
    },
    Question {
        name: "dri",
        place: "dri",
        service: "dri-bridge",
        subject: "dri.parameters.request",
        body: |serial, _| {
            let names = ["SimInsert", "Providers", "ModemImei"]
                .map(|name| format!("InternetGatewayDevice.DeviceInfo.X_8C192D_lte_info.{name}"));
            json!({"serial_number": serial, "parameter_set": {"ParameterNames": names, "Source": 0}})
        },
    },
    Question {
        name: "cts",
        place: "cts",
        service: "cts-bridge",
        subject: "cts.dispatch.get",
        body: |number, _| dispatches(number),
    },
    Question {
        name: "lit",
        place: "lit",
        service: "lit-bridge",
        subject: "lit.dispatch.get",
        body: |number, _| dispatches(number),
    },
];

/// One dispatch, or all without a number.
fn dispatches(number: &str) -> Value {
    if number.is_empty() { json!({}) } else { json!({"dispatch_number": number}) }
}

/// A question that was asked.
#[derive(Clone)]
struct Asked {
    /// Tells it from a later one at the same place.
    number: u64,
    service: &'static str,
    subject: &'static str,
    about: String,
    at: DateTime<Utc>,
    answer: Option<Answer>,
}

/// What came of it.
#[derive(Clone)]
struct Answer {
    /// `200 OK`, or why there is none.
    headline: String,
    good: bool,
    took: String,
    /// The body, as people read JSON; empty when there is none.
    text: String,
}

/// The last question at each place, and the connection over which they are asked.
#[derive(Default)]
pub(super) struct Asking {
    bus: OnceCell<Bus>,
    asked: Mutex<(u64, BTreeMap<&'static str, Asked>)>,
}

impl Asking {
    fn begin(&self, question: &Question, about: &str, at: DateTime<Utc>) -> u64 {
        let (last, asked) = &mut *self.asked.lock();
        *last += 1;
        let Question { place, service, subject, .. } = *question;
        let fresh = Asked { number: *last, service, subject, about: about.to_owned(), at, answer: None };
        asked.insert(place, fresh);
        *last
    }

    fn end(&self, place: &str, number: u64, answer: Answer) {
        let (_, asked) = &mut *self.asked.lock();
        if let Some(asked) = asked.get_mut(place).filter(|asked| asked.number == number) {
            asked.answer = Some(answer);
        }
    }

    /// Sends the request; what goes wrong is an answer too.
    async fn exchange(&self, environment: &Environment, subject: &str, body: Value) -> Answer {
        let began = Instant::now();
        let limit = catalogue::find(subject).map_or(PATIENCE, |entry| entry.timeout.min(PATIENCE));
        let envelope = json!({"request_id": bus::new_request_id(), "body": body});
        let answer = async {
            let bus = self
                .bus
                .get_or_try_init(async || Place::find(None, environment, &beacon::folder())?.bus().await)
                .await?;
            anyhow::Ok(bus.exchange_raw(subject, envelope, limit).await?)
        };
        // A NATS server that is away is waited for without an end.
        let answer = tokio::time::timeout(limit + Duration::from_secs(1), answer).await;
        let took = format!("{} ms", began.elapsed().as_millis());
        let none = |headline| Answer { headline, good: false, took: took.clone(), text: String::new() };
        match answer {
            Ok(Ok(answer)) => Answer::of(&answer, took),
            Ok(Err(error)) => none(format!("no answer: {error:#}")),
            Err(_) => none("no answer: NATS cannot be reached".to_owned()),
        }
    }
}

impl Answer {
    fn of(answer: &BusAnswer, took: String) -> Self {
        let code = answer.status.and_then(|status| http::StatusCode::from_u16(status).ok());
        let headline = match (answer.status, code.and_then(|code| code.canonical_reason())) {
            // These two say how to go on, not what is there.
            (Some(202), _) => "202: not built yet; ask again soon".to_owned(),
            (Some(204), _) => "204: not there yet; ask again soon".to_owned(),
            (Some(status), Some(reason)) => format!("{status} {reason}"),
            (Some(status), None) => status.to_string(),
            (None, _) => "without a status".to_owned(),
        };
        let body: Value = serde_json::from_str(answer.body()).unwrap_or_default();
        let headline = match entries(&body) {
            Some(1) => format!("{headline}, 1 entry"),
            Some(count) => format!("{headline}, {count} entries"),
            None => headline,
        };
        let text = match body {
            Value::Null => String::new(),
            Value::String(text) => text,
            body => serde_json::to_string_pretty(&body).unwrap_or_default(),
        };
        Self { headline, good: answer.is_success(), took, text: shortened(text) }
    }
}

/// How many entries a list has: the body itself, or the list in it where vendors have theirs.
fn entries(body: &Value) -> Option<usize> {
    let list = ["records", "DispatchList"].into_iter().find_map(|name| body.get(name));
    list.unwrap_or(body).as_array().map(Vec::len)
}

fn shortened(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(SHOWN) {
        text.truncate(end);
        text.push_str("\n… and more");
    }
    text
}

/// The last question at a place, with its answer.
#[derive(Template)]
#[template(path = "answer.html")]
pub(super) struct Reply {
    now: Now,
    place: &'static str,
    asked: Option<Asked>,
}

impl Reply {
    pub(super) fn new(asking: &Asking, place: &'static str, now: Now) -> Self {
        Self { now, place, asked: asking.asked.lock().1.get(place).cloned() }
    }
}

pub(super) fn router() -> Router<Page> {
    Router::new().route("/do/ask/{question}", post(ask))
}

#[derive(Deserialize)]
struct About {
    /// A serial number, a uid, a subject, ..., as the question needs it; may be empty.
    about: String,
}

async fn ask(
    State(page): State<Page>,
    Path(name): Path<String>,
    headers: HeaderMap,
    Form(form): Form<About>,
) -> Done {
    let question = QUESTIONS.iter().find(|question| question.name == name);
    let question = question.ok_or_else(|| unknown("such question"))?;
    let now = page.0.sources.clock.now();
    let about = form.about.trim();
    let number = page.0.asking.begin(question, about, now);
    let body = (question.body)(about, now);
    let asker = page.clone();
    let asked = tokio::spawn(page.0.stop.clone().run_until_cancelled_owned(async move {
        let inner = &asker.0;
        let answer = inner.asking.exchange(&inner.sources.environment, question.subject, body).await;
        inner.asking.end(question.place, number, answer);
        asker.changed();
    }));
    // It goes on by itself when it takes longer.
    let _ = tokio::time::timeout(A_MOMENT, asked).await;
    Ok(back(&page, &headers, &format!("answer-{}", question.place)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use contracts::Incoming;

    #[test]
    fn every_question_fits_the_contract_of_its_subject_and_only_reads() {
        for question in &QUESTIONS {
            let entry = catalogue::find(question.subject).unwrap();
            let body = (question.body)("VC1234567", DateTime::UNIX_EPOCH);
            let envelope = json!({"request_id": "r", "body": body}).to_string();
            let refusal = entry.check(&Incoming::read(&envelope).unwrap()).err();
            assert!(refusal.is_none(), "{}: {:?}", question.name, refusal.map(|refusal| refusal.body));
            assert_eq!(entry.effect, contracts::Effect::Read, "{}", question.name);
        }
    }

    #[test]
    fn an_answer_belongs_to_the_last_question_at_its_place() {
        let asking = Asking::default();
        let [first, .., last] = &QUESTIONS;
        let answer = |headline: &str| Answer {
            headline: headline.to_owned(),
            good: true,
            took: String::new(),
            text: String::new(),
        };
        let old = asking.begin(first, "VC1", DateTime::UNIX_EPOCH);
        let new = asking.begin(first, "VC2", DateTime::UNIX_EPOCH);
        asking.begin(last, "", DateTime::UNIX_EPOCH);
        asking.end("hawkeye", old, answer("old"));
        let headline = || {
            let asked = asking.asked.lock().1.get("hawkeye").cloned().unwrap();
            (asked.about, asked.answer.map(|answer| answer.headline))
        };
        assert_eq!(headline(), ("VC2".to_owned(), None));
        asking.end("hawkeye", new, answer("new"));
        assert_eq!(headline(), ("VC2".to_owned(), Some("new".to_owned())));
    }

    #[test]
    fn a_long_answer_is_cut_between_characters() {
        let text = shortened("é".repeat(SHOWN + 1));
        assert_eq!(text, "é".repeat(SHOWN) + "\n… and more");
        assert_eq!(shortened("é".repeat(SHOWN)), "é".repeat(SHOWN));
    }
}
