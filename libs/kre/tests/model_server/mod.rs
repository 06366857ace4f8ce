//! A model as the test wants it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::IntoResponse;
use axum::serve::ListenerExt;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use http_body_util::{BodyExt, Full};
use kre::{Code, Contract, Status};
use serde_json::{Map, Value};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// A header or trailer.
pub(crate) type Field = (&'static str, &'static str);

/// What it does with a call.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    /// Answers as the contract has it.
    Message(Map<String, Value>),
    Fails(Code, String),
    /// Never answers.
    Hangs,
    /// 200 with a page for people.
    Page,
    /// The right content type, the wrong content.
    Noise,
    /// The right content type and then nothing, not even a status.
    Nothing,
    /// The right content type with these headers, content and trailers.
    Wire(&'static [Field], &'static [u8], &'static [Field]),
    /// This HTTP status with a text that is no gRPC.
    Http(u16),
}

#[derive(Default)]
struct Seen {
    calls: Vec<(String, Map<String, Value>)>,
    headers: HeaderMap,
    connections: usize,
}

pub(crate) struct ModelServer {
    address: SocketAddr,
    answer: watch::Sender<Answer>,
    seen: Arc<Mutex<Seen>>,
    called: watch::Sender<usize>,
}

impl ModelServer {
    pub(crate) async fn start(contract: Contract) -> Self {
        let (answer, _) = watch::channel(Answer::Message(Map::new()));
        let (called, _) = watch::channel(0);
        let seen = Arc::new(Mutex::new(Seen::default()));
        let (answers, calls, counting) = (answer.clone(), Arc::clone(&seen), called.clone());
        let grpc = kre::server::router(contract, move |rpc, request| {
            calls.lock().unwrap().calls.push((rpc, request));
            counting.send_modify(|count| *count += 1);
            let answer = answers.borrow().clone();
            async move {
                // Whoever hangs goes on hanging, whatever the next call gets.
                match answer {
                    Answer::Message(message) => Ok(message),
                    Answer::Fails(code, details) => Err(Status::new(code, details)),
                    _ => std::future::pending().await,
                }
            }
        });
        let (answers, watching) = (answer.clone(), Arc::clone(&seen));
        let wire = move |request: Request, next: Next| {
            let answer = answers.borrow().clone();
            let mut headers = request.headers().clone();
            if let Some(host) = request.uri().authority() {
                headers.insert("host", host.as_str().parse().unwrap());
            }
            watching.lock().unwrap().headers = headers;
            async move {
                let grpc = |body: Body| ([("content-type", "application/grpc")], body).into_response();
                match answer {
                    Answer::Page => "<html>We will be back shortly</html>".into_response(),
                    Answer::Noise => grpc(Body::from(&b"\0\0\0\0\x03\xff\xff\xff"[..])),
                    Answer::Nothing => grpc(Body::empty()),
                    Answer::Wire(headers, content, trailers) => {
                        let content = Full::new(Bytes::from_static(content));
                        let trailers = (!trailers.is_empty()).then(|| Ok(fields(trailers)));
                        let mut answer = grpc(Body::new(content.with_trailers(async move { trailers })));
                        answer.headers_mut().extend(fields(headers));
                        answer
                    }
                    Answer::Http(status) => {
                        (StatusCode::from_u16(status).unwrap(), "{\"error\": 1}").into_response()
                    }
                    _ => next.run(request).await,
                }
            }
        };
        let router: Router = grpc.unwrap().layer(from_fn(wire));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let counting = Arc::clone(&seen);
        let listener = listener.tap_io(move |_| counting.lock().unwrap().connections += 1);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, answer, seen, called }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn does(&self, answer: Answer) {
        self.answer.send_replace(answer);
    }

    pub(crate) fn answers(&self, message: Map<String, Value>) {
        self.does(Answer::Message(message));
    }

    pub(crate) fn fails(&self, code: Code, details: &str) {
        self.does(Answer::Fails(code, details.to_owned()));
    }

    pub(crate) fn hangs(&self) {
        self.does(Answer::Hangs);
    }

    pub(crate) fn calls(&self) -> Vec<(String, Map<String, Value>)> {
        self.seen.lock().unwrap().calls.clone()
    }

    /// The headers of the last call; `host` is the authority.
    pub(crate) fn headers(&self) -> HeaderMap {
        self.seen.lock().unwrap().headers.clone()
    }

    pub(crate) fn connections(&self) -> usize {
        self.seen.lock().unwrap().connections
    }

    pub(crate) async fn until_called(&self, times: usize) {
        let mut called = self.called.subscribe();
        let called = called.wait_for(|count| *count >= times);
        tokio::time::timeout(Duration::from_secs(20), called).await.unwrap().unwrap();
    }
}

fn fields(fields: &[Field]) -> HeaderMap {
    fields
        .iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
        .collect()
}

/// A server that greets whoever comes and hangs up.
pub(crate) async fn noisy() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.write_all(b"220 mail.example.test ESMTP\r\n").await;
        }
    });
    address
}
