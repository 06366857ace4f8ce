//! The models: what each was asked, and a prediction that a person sets instead of the model's own.

use askama::Template;
use axum::{
    Form, Router,
    extract::{Path, State},
    routing::post,
};
use chrono::{DateTime, Utc};
use http::HeaderMap;
use sandbox::{Simulation, ThirdParty, kre::Prepared};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    Page,
    actions::{Done, Problem, back, unknown, world},
    times::Now,
};

/// Calls shown.
const CALLS: usize = 8;
/// Characters of a request that are shown.
const REQUEST: usize = 3_000;

/// How the page speaks of a model.
pub(super) struct Manner {
    pub(super) model: ThirdParty,
    /// What it is for.
    pub(super) purpose: &'static str,
    /// The bridge that asks it.
    pub(super) bridge: &'static str,
    /// What to try.
    pub(super) hint: &'static str,
    /// The method that predicts.
    method: &'static str,
    /// What a prediction is about, where it names something: the field's label.
    pub(super) about: Option<&'static str>,
    /// What the values are called.
    pub(super) choice: &'static str,
    /// The values that can be predicted, with what they mean.
    pub(super) choices: &'static [(&'static str, &'static str)],
    /// Whether a prediction has a probability.
    pub(super) rated: bool,
    /// What to ask about: the field's label.
    pub(super) asked: &'static str,
}

/// The models in the order of [`sandbox::kre::ALL`].
pub(super) static MANNERS: [Manner; 3] = [
    Manner {
        model: ThirdParty::T7,
        purpose: "what to do next about a ticket",
        bridge: "t7-bridge",
        hint: "Let T7 predict an action for a device, then ask the bridge about the same device.",
        method: "Prediction",
        about: Some("Serial number"),
        choice: "Action",
        choices: &[
            ("Repair Completed", "Repair Completed"),
            ("Holmdel NOC Investigate", "Holmdel NOC Investigate"),
            ("Wireless Repair Intervention Needed", "Wireless Repair Intervention Needed"),
        ],
        rated: true,
        asked: "Serial number",
    },
    Manner {
        model: ThirdParty::EmailTagger,
        purpose: "what an e-mail is about",
        bridge: "email-tagger-kre-bridge",
        hint: "Ask about “Router is down”, then about “Please send an invoice”: its own rules go by words.",
        method: "GetPrediction",
        about: None,
        choice: "Tag",
        choices: &[("1", "repair"), ("2", "new order"), ("3", "change"), ("4", "billing"), ("5", "other")],
        rated: true,
        asked: "Subject of the e-mail",
    },
    Manner {
        model: ThirdParty::RepairTickets,
        purpose: "which devices an e-mail reports, and whether they are down or bad",
        bridge: "repair-tickets-kre-bridge",
        hint: "Ask about “VC1234567 is down”, then let it predict another class.",
        method: "GetPrediction",
        about: Some("Serial numbers"),
        choice: "Class",
        choices: &[("VOO", "outage (VOO)"), ("VAS", "affecting trouble (VAS)"), ("Other", "other")],
        rated: false,
        asked: "Subject of the e-mail",
    },
];

/// The gRPC statuses with which a button lets a model refuse.
pub(super) const REFUSALS: [&str; 4] = ["UNAVAILABLE", "INTERNAL", "DEADLINE_EXCEEDED", "UNAUTHENTICATED"];

impl Manner {
    fn named(name: &str) -> Result<&'static Self, Problem> {
        let manner = MANNERS.iter().find(|manner| manner.model.name() == name);
        manner.ok_or_else(|| unknown("such model"))
    }

    /// What to ask about, of a device with this serial number.
    pub(super) fn example(&self, serial: &str) -> String {
        if self.model == ThirdParty::T7 { serial.to_owned() } else { format!("{serial} is down") }
    }

    /// The answer that predicts a value.
    fn prediction(&self, form: &Prediction) -> Result<Value, Problem> {
        let about = form.about.trim();
        if self.about.is_some() && about.is_empty() {
            return Err(Problem::refused("say for which serial number"));
        }
        let probability = form.percent.clamp(0.0, 100.0) / 100.0;
        Ok(match self.model {
            ThirdParty::T7 => {
                let result = json!({"name": form.what, "probability": probability});
                json!({"success": true, "asset_predictions": [{"asset": about, "task_results": [result]}]})
            }
            ThirdParty::EmailTagger => {
                let tag: i64 = form.what.parse().map_err(|_| Problem::refused("a tag is a number"))?;
                json!({"success": true, "prediction": [{"tag_id": tag, "probability": probability}]})
            }
            _ => {
                let numbers = about.split([',', ' ']).filter(|number| !number.is_empty());
                json!({
                    "potential_service_numbers": numbers.collect::<Vec<_>>(),
                    "predicted_class": form.what,
                    "filter_flags": {},
                })
            }
        })
    }

    /// What a prepared answer says.
    fn words(&self, prepared: &Prepared) -> String {
        let list = |value: &Value, name: &str| value.get(name).and_then(Value::as_array).cloned();
        let text = |value: &Value, name: &str| match value.get(name) {
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
            None => String::new(),
        };
        let percent = |value: &Value| {
            let probability = value.get("probability").and_then(Value::as_f64).unwrap_or_default();
            format!("{:.0} %", probability * 100.0)
        };
        if let Some(code) = prepared.code.as_deref().filter(|code| *code != "OK") {
            return format!("refuses with {code}");
        }
        let Some(answer) = prepared.answer.clone().map(Value::Object) else {
            return "answers by its own rules".to_owned();
        };
        let said = match self.model {
            ThirdParty::T7 => list(&answer, "asset_predictions").map(|assets| {
                let one = |asset: &Value| {
                    let results = list(asset, "task_results").unwrap_or_default();
                    let results = results.iter().map(|one| format!("{} {}", text(one, "name"), percent(one)));
                    format!("{}: {}", text(asset, "asset"), results.collect::<Vec<_>>().join(", "))
                };
                assets.iter().map(one).collect::<Vec<_>>().join("; ")
            }),
            ThirdParty::EmailTagger => list(&answer, "prediction").map(|tags| {
                let one = |tag: &Value| {
                    let id = text(tag, "tag_id");
                    let title = self.choices.iter().find(|(value, _)| *value == id).map_or("", |(_, it)| *it);
                    format!("tag {id} {title} {}", percent(tag))
                };
                tags.iter().map(one).collect::<Vec<_>>().join(", ")
            }),
            _ => list(&answer, "potential_service_numbers").map(|numbers| {
                let numbers: Vec<&str> = numbers.iter().filter_map(Value::as_str).collect();
                format!("class {}, {}", text(&answer, "predicted_class"), numbers.join(", "))
            }),
        };
        format!("predicts {}", said.unwrap_or_else(|| answer.to_string()))
    }
}

struct PreparedRow {
    method: String,
    words: String,
    times: Option<u32>,
}

struct CallRow {
    number: u64,
    at: DateTime<Utc>,
    method: String,
    about: String,
    code: &'static str,
    request: String,
}

/// What a model does and was asked.
#[derive(Template)]
#[template(path = "model.html")]
pub(super) struct ModelState {
    now: Now,
    name: &'static str,
    title: &'static str,
    prepared: Vec<PreparedRow>,
    total: usize,
    calls: Vec<CallRow>,
}

impl ModelState {
    pub(super) fn new(simulation: &Simulation, manner: &Manner, now: Now) -> Self {
        let calls = simulation.models.calls(manner.model);
        let prepared = simulation.models.prepared(manner.model).into_iter().map(|(method, prepared)| {
            PreparedRow { method, words: manner.words(&prepared), times: prepared.times }
        });
        let shown = calls.iter().rev().take(CALLS).map(|call| CallRow {
            number: call.number,
            at: call.at,
            method: call.rpc.clone(),
            about: about(&call.request),
            code: call.code,
            request: shortened(&call.request),
        });
        Self {
            now,
            name: manner.model.name(),
            title: manner.model.title(),
            prepared: prepared.collect(),
            total: calls.len(),
            calls: shown.collect(),
        }
    }
}

/// What a request is about, by what people know it by.
fn about(request: &Map<String, Value>) -> String {
    let known = ["ticket_id", "assets_to_predict", "asset_id", "subject", "email_id"];
    let email = request.get("email").or_else(|| request.get("original_email")?.get("email"));
    let inside = email.and_then(Value::as_object);
    let found = [Some(request), inside].into_iter().flatten().flat_map(|fields| {
        known.iter().filter_map(|name| match fields.get(*name)? {
            Value::String(text) if text.is_empty() => None,
            Value::String(text) => Some(text.clone()),
            Value::Array(values) => {
                Some(values.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", "))
            }
            other => Some(other.to_string()),
        })
    });
    found.take(3).collect::<Vec<_>>().join(", ")
}

fn shortened(request: &Map<String, Value>) -> String {
    let text = serde_json::to_string_pretty(request).unwrap_or_default();
    match text.char_indices().nth(REQUEST) {
        Some((end, _)) => format!("{}\n… and more", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

pub(super) fn router() -> Router<Page> {
    Router::new()
        .route("/do/model/{model}/prediction", post(predict))
        .route("/do/model/{model}/refusal", post(refuse))
        .route("/do/model/{model}/clear", post(clear))
}

#[derive(Deserialize)]
struct Prediction {
    /// A serial number or several; empty where the prediction names none.
    #[serde(default)]
    about: String,
    /// The value.
    what: String,
    /// How probable it is.
    #[serde(default)]
    percent: f64,
}

async fn predict(
    State(page): State<Page>,
    Path(model): Path<String>,
    headers: HeaderMap,
    Form(form): Form<Prediction>,
) -> Done {
    let (simulation, manner) = (world(&page)?, Manner::named(&model)?);
    let answer = manner.prediction(&form)?.as_object().cloned().unwrap_or_default();
    let prepared = simulation.models.prepare(manner.model, manner.method, Prepared::answer(answer));
    prepared.map_err(Problem::refused)?;
    Ok(back(&page, &headers, &format!("model-{model}")))
}

#[derive(Deserialize)]
struct Refusal {
    code: String,
}

async fn refuse(
    State(page): State<Page>,
    Path(model): Path<String>,
    headers: HeaderMap,
    Form(form): Form<Refusal>,
) -> Done {
    let (simulation, manner) = (world(&page)?, Manner::named(&model)?);
    let refusal = Prepared::status(&form.code, "set on the page");
    simulation.models.prepare(manner.model, manner.method, refusal).map_err(Problem::refused)?;
    Ok(back(&page, &headers, &format!("model-{model}")))
}

/// Lets the model go by its own rules again.
async fn clear(State(page): State<Page>, Path(model): Path<String>, headers: HeaderMap) -> Done {
    let (simulation, manner) = (world(&page)?, Manner::named(&model)?);
    simulation.models.clear(manner.model, None);
    Ok(back(&page, &headers, &format!("model-{model}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sandbox::kre;

    #[test]
    fn every_model_has_its_manner_and_takes_its_predictions() {
        let models = kre::Models::default();
        let said = MANNERS.iter().zip(kre::ALL).map(|(manner, (model, _))| {
            assert_eq!(manner.model, model);
            let (what, _) = manner.choices[0];
            let form = Prediction { about: "VC1, VC2".to_owned(), what: what.to_owned(), percent: 90.0 };
            let answer = manner.prediction(&form).map_err(|problem| problem.1).unwrap();
            let prepared = Prepared::answer(answer.as_object().unwrap().clone());
            models.prepare(model, manner.method, prepared.clone()).unwrap();
            manner.words(&prepared)
        });
        let expected = [
            "predicts VC1, VC2: Repair Completed 90 %",
            "predicts tag 1 repair 90 %",
            "predicts class VOO, VC1, VC2",
        ];
        assert_eq!(said.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn what_cannot_be_predicted_is_refused() {
        let [t7, tagger, _] = &MANNERS;
        let form =
            |about: &str, what: &str| Prediction { about: about.into(), what: what.into(), percent: 1.0 };
        assert!(t7.prediction(&form(" ", "Repair Completed")).is_err());
        assert!(tagger.prediction(&form("", "repair")).is_err());
        for code in REFUSALS {
            let models = kre::Models::default();
            models.prepare(t7.model, t7.method, Prepared::status(code, "")).unwrap();
            assert_eq!(t7.words(&models.prepared(t7.model)[t7.method]), format!("refuses with {code}"));
        }
    }

    #[test]
    fn a_request_is_told_by_what_it_is_about() {
        let of = |request: Value| about(request.as_object().unwrap());
        let asked = json!({"ticket_id": 5, "ticket_rows": [{}], "assets_to_predict": ["VC1", "VC2"]});
        assert_eq!(of(asked), "5, VC1, VC2");
        assert_eq!(of(json!({"email": {"email_id": "7", "subject": "Down", "body": "x"}})), "Down, 7");
        assert_eq!(of(json!({"success": true})), "");
    }
}
