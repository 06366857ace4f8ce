//! The models behind gRPC: T7, Email Tagger and Repair Tickets, each with a port of its own, as their bridges call them.
//!
//! All three serve `entrypoint.Entrypoint`, so no path tells them apart. Answers come from [`answers`], always the same
//! for the same request, unless one was prepared ([`Models::prepare`], `/control/models`). Every call is kept.

pub mod answers;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ::kre::server::check_answer;
use ::kre::{Code, Contract, Status};
use axum::Router;
use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::Simulation;
use crate::faults::ThirdParty;
use crate::http::guarded;
use crate::world::outbox::Kept;

/// The models.
pub const ALL: [(ThirdParty, Contract); 3] = [
    (ThirdParty::T7, Contract::T7),
    (ThirdParty::EmailTagger, Contract::EmailTagger),
    (ThirdParty::RepairTickets, Contract::RepairTickets),
];

/// How a model answers one of its methods, instead of making an answer of its own.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Prepared {
    /// The response, names as in the contract; a field that is missing is unset. Absent: what the model makes itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub answer: Option<Map<String, Value>>,
    /// The gRPC status, e.g. `UNAVAILABLE`. Absent or `OK`: the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The text that goes with a status other than `OK`.
    pub details: String,
    /// Milliseconds that the model thinks first (real time, not the world's).
    pub latency_ms: u64,
    /// Only for so many calls; absent: until it is cleared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
}

impl Prepared {
    /// This answer.
    pub fn answer(answer: Map<String, Value>) -> Self {
        Self { answer: Some(answer), ..Self::default() }
    }

    /// This gRPC status, e.g. `INTERNAL`.
    pub fn status(code: &str, details: &str) -> Self {
        Self { code: Some(code.to_owned()), details: details.to_owned(), ..Self::default() }
    }

    /// The same after a while.
    #[must_use]
    pub fn after(mut self, latency: Duration) -> Self {
        self.latency_ms = u64::try_from(latency.as_millis()).unwrap_or(u64::MAX);
        self
    }

    /// The same for so many calls only.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }
}

/// A call that a model received.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct ModelCall {
    /// Number in order of arrival among the calls to all models, from 1.
    pub number: u64,
    /// When, by the world's clock.
    pub at: DateTime<Utc>,
    /// Which model.
    pub model: ThirdParty,
    /// The method.
    pub rpc: String,
    /// The request, names as in the contract; messages that were unset are missing.
    #[schema(value_type = Object)]
    pub request: Map<String, Value>,
    /// The gRPC status it was answered with. What was saved has `OK`.
    pub code: &'static str,
}

/// What is prepared and what was received. Clones share it.
#[derive(Clone, Default)]
pub struct Models {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    prepared: BTreeMap<(ThirdParty, String), Prepared>,
    calls: Kept<ModelCall>,
}

/// The contract of a third party that is a model.
pub fn contract(model: ThirdParty) -> Option<Contract> {
    ALL.into_iter().find(|(known, _)| *known == model).map(|(_, contract)| contract)
}

impl Models {
    /// Lets a model answer a method so from now on.
    ///
    /// # Errors
    /// Says what is wrong: no such method, an answer that does not fit the contract, an unknown status.
    pub fn prepare(&self, model: ThirdParty, rpc: &str, prepared: Prepared) -> Result<(), String> {
        let contract = contract(model).ok_or_else(|| format!("{} is no model", model.name()))?;
        check_answer(contract, rpc, prepared.answer.as_ref().unwrap_or(&Map::new()))?;
        if let Some(code) = &prepared.code {
            code_named(code).ok_or_else(|| format!("{code} is no gRPC status"))?;
        }
        self.inner.lock().prepared.insert((model, rpc.to_owned()), prepared);
        Ok(())
    }

    /// Lets a model make its own answers again: to one method, or to all of them.
    pub fn clear(&self, model: ThirdParty, rpc: Option<&str>) {
        let mut inner = self.inner.lock();
        inner.prepared.retain(|(known, method), _| *known != model || rpc.is_some_and(|rpc| rpc != method));
    }

    /// What is prepared for a model, by method.
    pub fn prepared(&self, model: ThirdParty) -> BTreeMap<String, Prepared> {
        let inner = self.inner.lock();
        let of_model = inner.prepared.iter().filter(|((known, _), _)| *known == model);
        of_model.map(|((_, rpc), prepared)| (rpc.clone(), prepared.clone())).collect()
    }

    /// The calls to a model, oldest first; the oldest of very many are gone.
    pub fn calls(&self, model: ThirdParty) -> Vec<ModelCall> {
        self.inner.lock().calls.iter().filter(|call| call.model == model).cloned().collect()
    }

    /// Forgets the calls to all models.
    pub fn forget(&self) {
        self.inner.lock().calls = Kept::default();
    }

    /// The answer to a call, and how it was got.
    async fn answer(
        &self,
        model: ThirdParty,
        rpc: &str,
        request: &Map<String, Value>,
    ) -> Result<Map<String, Value>, Status> {
        let prepared = self.take(model, rpc);
        tokio::time::sleep(Duration::from_millis(prepared.latency_ms)).await;
        match prepared.code.as_deref().and_then(code_named) {
            None | Some(Code::Ok) => match prepared.answer {
                Some(answer) => Ok(answer),
                None => answers::answer(model, rpc, request),
            },
            Some(code) => Err(Status::new(code, prepared.details)),
        }
    }

    /// What holds for the next call; counts down.
    fn take(&self, model: ThirdParty, rpc: &str) -> Prepared {
        let key = (model, rpc.to_owned());
        let prepared = &mut self.inner.lock().prepared;
        let Some(found) = prepared.get_mut(&key) else { return Prepared::default() };
        let taken = found.clone();
        match &mut found.times {
            Some(times) if *times > 1 => *times -= 1,
            Some(_) => drop(prepared.remove(&key)),
            None => {}
        }
        taken
    }
}

fn code_named(name: &str) -> Option<Code> {
    (0..=16).map(Code::from_i32).find(|code| ::kre::code_name(*code) == name)
}

/// The gRPC server of a model.
///
/// # Errors
/// When its contract cannot be used.
pub fn router(simulation: &Simulation, model: ThirdParty, contract: Contract) -> anyhow::Result<Router> {
    let (models, clock) = (simulation.models.clone(), simulation.world.clock().clone());
    let grpc = ::kre::server::router(contract, move |rpc, request| {
        let (models, clock) = (models.clone(), clock.clone());
        async move {
            let answer = models.answer(model, &rpc, &request).await;
            let code = ::kre::code_name(answer.as_ref().map_or_else(Status::code, |_| Code::Ok));
            let calls = &mut models.inner.lock().calls;
            let number = calls.next();
            calls.push(ModelCall { number, at: clock.now(), model, rpc, request, code });
            answer
        }
    })?;
    Ok(guarded(simulation, model, Router::new().fallback_service(grpc)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_a_model_can_answer_is_prepared() {
        let models = Models::default();
        let object = |json: Value| json.as_object().unwrap().clone();
        let prepare = |model, rpc: &str, prepared| models.prepare(model, rpc, prepared);
        let tags = Prepared::answer(object(json!({"prediction": [{"tag_id": 1}]})));
        assert_eq!(prepare(ThirdParty::EmailTagger, "GetPrediction", tags.clone()), Ok(()));
        for (model, rpc, prepared, problem) in [
            (ThirdParty::Bruin, "GetPrediction", tags.clone(), "bruin is no model"),
            (
                ThirdParty::T7,
                "GetPrediction",
                tags,
                "the contract of t7 cannot be used: no method GetPrediction",
            ),
            (
                ThirdParty::T7,
                "Prediction",
                Prepared::answer(object(json!({"assets": []}))),
                "PredictionResponse has no field named assets",
            ),
            (ThirdParty::T7, "Prediction", Prepared::status("BAD", ""), "BAD is no gRPC status"),
        ] {
            assert_eq!(prepare(model, rpc, prepared), Err(problem.to_owned()));
        }
    }

    #[test]
    fn a_prepared_answer_lasts_as_long_as_it_says() {
        let models = Models::default();
        let model = ThirdParty::EmailTagger;
        models.prepare(model, "SaveMetrics", Prepared::status("INTERNAL", "x").times(2)).unwrap();
        models.prepare(model, "GetPrediction", Prepared::status("UNKNOWN", "y")).unwrap();
        let codes: Vec<_> = (0..3).map(|_| models.take(model, "SaveMetrics").code).collect();
        assert_eq!(codes, [Some("INTERNAL".to_owned()), Some("INTERNAL".to_owned()), None]);
        assert_eq!(models.prepared(model).keys().collect::<Vec<_>>(), ["GetPrediction"]);
        models.clear(model, Some("SaveMetrics"));
        assert_eq!(models.take(model, "GetPrediction").details, "y");
        models.clear(model, None);
        assert!(models.prepared(model).is_empty());
    }

    #[test]
    fn every_status_has_its_name() {
        assert_eq!(code_named("OK"), Some(Code::Ok));
        assert_eq!(code_named("UNAUTHENTICATED"), Some(Code::Unauthenticated));
        assert_eq!(code_named("unavailable"), None);
    }
}
