//! Calling a model.

use std::sync::Arc;
use std::time::Duration;

use http::uri::PathAndQuery;
use prometheus::Registry;
use prost_reflect::{DynamicMessage, MethodDescriptor, ServiceDescriptor};
use serde_json::{Map, Value};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};
use tonic::client::Grpc;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tower::ServiceExt;
use upstream::Overrides;

use crate::channel::channel;
use crate::codec::Dynamic;
use crate::error::code_name;
use crate::metrics::Metrics;
use crate::wire::Said;
use crate::{CallError, Config, Contract, Mismatch, OpenError, Reading, UnusableContract, json};

/// The largest answer in bytes (spec `t7-bridge`, "Call rules"); larger ones end with `OUT_OF_RANGE`.
const LARGEST_ANSWER: usize = 4 << 20;
/// What remains of the requester's time for the reply, at most and as a part of the whole.
const FOR_THE_REPLY: Duration = Duration::from_millis(200);
const PART_FOR_THE_REPLY: u32 = 10;

/// A model and the channel to it. Cheap to clone.
#[derive(Clone)]
pub struct Model {
    contract: Contract,
    service: ServiceDescriptor,
    channel: Channel,
    places: Arc<Semaphore>,
    deadline: Duration,
    metrics: Metrics,
}

impl Model {
    /// Prepares the channel without connecting. Must be called in a tokio runtime.
    ///
    /// # Errors
    /// When the CA file or the target cannot be used, or `metrics` has a model of this contract already.
    pub fn open(
        contract: Contract,
        config: &Config,
        overrides: &Overrides,
        metrics: &Registry,
    ) -> Result<Self, OpenError> {
        Ok(Self {
            contract,
            service: contract.service()?,
            channel: channel(contract.name(), config, overrides)?,
            places: Arc::new(Semaphore::new(config.in_flight)),
            deadline: config.deadline,
            metrics: Metrics::register(metrics, contract.name())?,
        })
    }

    /// A method by its name in the contract, with the way its requests are read.
    ///
    /// # Errors
    /// When the contract has none of that name.
    pub fn rpc(&self, name: &'static str, reading: Reading) -> Result<Rpc, UnusableContract> {
        let method = self.contract.method(&self.service, name)?;
        let path = format!("/{}/{name}", self.service.full_name());
        let path = PathAndQuery::try_from(path).map_err(|error| self.contract.unusable(error.to_string()))?;
        Ok(Rpc { model: self.clone(), name, method, path, reading })
    }
}

/// One method of a model.
#[derive(Clone)]
pub struct Rpc {
    model: Model,
    name: &'static str,
    method: MethodDescriptor,
    path: PathAndQuery,
    reading: Reading,
}

impl Rpc {
    /// Checks that a request fits the contract, as [`Self::ask`] does.
    ///
    /// # Errors
    /// Names the field that does not fit.
    pub fn check(&self, request: &Map<String, Value>) -> Result<(), Mismatch> {
        self.reading.message(&self.method.input(), request).map(drop)
    }

    /// Asks once, and waits until shortly before `deadline` (the requester's) and at most for the model's own deadline.
    ///
    /// # Errors
    /// [`CallError`]: the request does not fit, the model refused, or there was no (complete) answer in time.
    pub async fn ask(
        &self,
        request: &Map<String, Value>,
        deadline: Instant,
    ) -> Result<Map<String, Value>, CallError> {
        let message = self.reading.message(&self.method.input(), request)?;
        let Self { model: Model { places, metrics, .. }, name, .. } = self;
        let Ok(_place) = places.try_acquire() else {
            metrics.not_sent(name, CallError::Busy.label());
            return Err(CallError::Busy);
        };
        let started = Instant::now();
        let within = time_for(deadline.saturating_duration_since(started)).min(self.model.deadline);
        let in_flight = metrics.sent();
        let said = Said::default();
        let outcome = match timeout_at(started + within, self.send(message, within, &said)).await {
            Ok(Ok(answer)) => Ok(json(&answer)),
            Ok(Err(status)) => Err(CallError::of(&status, said.code())),
            Err(_) => Err(CallError::Deadline),
        };
        drop(in_flight);
        let code = outcome.as_ref().map_or_else(CallError::label, |_| code_name(Code::Ok));
        metrics.finished(name, code, started.elapsed());
        outcome
    }

    async fn send(
        &self,
        message: DynamicMessage,
        within: Duration,
        said: &Said,
    ) -> Result<DynamicMessage, Status> {
        let said = said.clone();
        let channel = self.model.channel.clone().map_response(move |answer| said.hear(answer));
        let mut client = Grpc::new(channel).max_decoding_message_size(LARGEST_ANSWER);
        client.ready().await.map_err(|error| Status::from_error(error.into()))?;
        let mut request = Request::new(message);
        request.set_timeout(within);
        let codec = Dynamic { reads: self.method.output() };
        client.unary(request, self.path.clone(), codec).await.map(tonic::Response::into_inner)
    }
}

/// What a call may take of the time that the requester still waits.
fn time_for(left: Duration) -> Duration {
    left.saturating_sub(FOR_THE_REPLY.min(left / PART_FOR_THE_REPLY))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_of_the_requesters_time_is_kept_for_the_reply() {
        let ms = Duration::from_millis;
        for (left, expected) in [(10_000, 9_800), (125_000, 124_800), (1_000, 900), (50, 45), (0, 0)] {
            assert_eq!(time_for(ms(left)), ms(expected));
        }
    }
}
