//! The other side of the wire: answers a contract with JSON, for the sandbox and for tests.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use axum::routing::post;
use prost_reflect::{DynamicMessage, MethodDescriptor, ServiceDescriptor};
use serde_json::{Map, Value};
use tonic::Status;
use tonic::server::{Grpc, UnaryService};

use crate::codec::Dynamic;
use crate::contract::SERVICE;
use crate::{Contract, Reading, Unknown, UnusableContract, json};

/// The largest request in bytes.
const LARGEST_REQUEST: usize = 64 << 20;

/// Serves `contract` over HTTP/2: `answer` gets the name of the method and the request as JSON (every scalar written),
/// and gives the response as JSON (what is missing is unset) or a status.
///
/// # Errors
/// When the contract cannot be used.
pub fn router<H, F>(contract: Contract, answer: H) -> Result<Router, UnusableContract>
where
    H: Fn(String, Map<String, Value>) -> F + Send + Sync + 'static,
    F: Future<Output = Result<Map<String, Value>, Status>> + Send + 'static,
{
    let serving = Arc::new(Serving { service: contract.service()?, answer });
    Ok(Router::new().route(&format!("/{SERVICE}/{{rpc}}"), post(serve::<H, F>)).with_state(serving))
}

struct Serving<H> {
    service: ServiceDescriptor,
    answer: H,
}

async fn serve<H, F>(
    State(serving): State<Arc<Serving<H>>>,
    Path(rpc): Path<String>,
    request: Request,
) -> Response
where
    H: Fn(String, Map<String, Value>) -> F + Send + Sync + 'static,
    F: Future<Output = Result<Map<String, Value>, Status>> + Send + 'static,
{
    let method = serving.service.methods().find(|method| method.name() == rpc);
    let Some(method) = method else {
        return Status::unimplemented("Method not found").into_http();
    };
    let codec = Dynamic { reads: method.input() };
    let answering = Answering { serving, method };
    let mut grpc = Grpc::new(codec).max_decoding_message_size(LARGEST_REQUEST);
    grpc.unary(answering, request).await.map(axum::body::Body::new)
}

struct Answering<H> {
    serving: Arc<Serving<H>>,
    method: MethodDescriptor,
}

impl<H, F> UnaryService<DynamicMessage> for Answering<H>
where
    H: Fn(String, Map<String, Value>) -> F + Send + Sync + 'static,
    F: Future<Output = Result<Map<String, Value>, Status>> + Send + 'static,
{
    type Response = DynamicMessage;
    type Future = Pin<Box<dyn Future<Output = Result<tonic::Response<DynamicMessage>, Status>> + Send>>;

    fn call(&mut self, request: tonic::Request<DynamicMessage>) -> Self::Future {
        let answer = (self.serving.answer)(self.method.name().to_owned(), json(request.get_ref()));
        let output = self.method.output();
        Box::pin(async move {
            let reading = Reading { unknown: Unknown::Refused, ..Reading::default() };
            match reading.message(&output, &answer.await?) {
                Ok(message) => Ok(tonic::Response::new(message)),
                Err(error) => Err(Status::unknown(format!("the prepared answer does not fit: {error}"))),
            }
        })
    }
}

/// Checks that `json` is an answer which `rpc` of `contract` can give.
///
/// # Errors
/// Says what does not fit, or that there is no such method.
pub fn check_answer(contract: Contract, rpc: &str, json: &Map<String, Value>) -> Result<(), String> {
    let service = contract.service().map_err(|error| error.to_string())?;
    let method = contract.method(&service, rpc).map_err(|error| error.to_string())?;
    let reading = Reading { unknown: Unknown::Refused, ..Reading::default() };
    reading.message(&method.output(), json).map(drop).map_err(|error| error.to_string())
}
