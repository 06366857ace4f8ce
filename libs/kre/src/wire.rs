//! What comes over the wire, seen before tonic makes statuses of it.

use std::sync::{Arc, OnceLock};

use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use http_body_util::BodyExt;
use tonic::Code;
use tonic::body::Body;

const STATUS: &str = "grpc-status";
/// More about the status. Nobody reads it here, and tonic panics when it is no base64.
const DETAILS: &str = "grpc-status-details-bin";

/// What was said about one call: by the model, or by what stands before it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Said(Arc<Heard>);

#[derive(Debug, Default)]
struct Heard {
    http: OnceLock<StatusCode>,
    grpc: OnceLock<Code>,
}

impl Said {
    /// The status that was said. Others are made up by tonic, many of them `INTERNAL`.
    pub(crate) fn code(&self) -> Option<Code> {
        let by_http = || match *self.0.http.get()? {
            StatusCode::UNAUTHORIZED => Some(Code::Unauthenticated),
            StatusCode::FORBIDDEN => Some(Code::PermissionDenied),
            StatusCode::NOT_FOUND => Some(Code::Unimplemented),
            _ => None,
        };
        self.0.grpc.get().copied().or_else(by_http)
    }

    /// Listens to an answer and takes away what tonic does not bear: what is no gRPC, e.g. a page of a proxy, would be
    /// taken for a message. Without it the HTTP status counts.
    pub(crate) fn hear(&self, mut answer: Response<Body>) -> Response<Body> {
        let _ = self.0.http.set(answer.status());
        self.note(answer.headers_mut());
        let kind = answer.headers().get(header::CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
        if !kind.starts_with(b"application/grpc") {
            return answer.map(|_| Body::empty());
        }
        let said = self.clone();
        answer.map(|body| {
            Body::new(body.map_frame(move |mut frame| {
                if let Some(trailers) = frame.trailers_mut() {
                    said.note(trailers);
                }
                frame
            }))
        })
    }

    /// The status in headers or trailers. The first one counts, as with tonic.
    fn note(&self, fields: &mut HeaderMap) {
        fields.remove(DETAILS);
        if let Some(status) = fields.get(STATUS) {
            let _ = self.0.grpc.set(Code::from_bytes(status.as_bytes()));
        }
    }
}
