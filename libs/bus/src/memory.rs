//! A bus without NATS, for simulations: requests and key-value buckets reach [`Peers`] in the same process.
//!
//! Envelopes, time limits and failures are those of the real bus, so a requester cannot tell the difference; there is no
//! socket and no task, so that thousands of simulated hours pass in a minute, always in the same way.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use contracts::Rpc;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use crate::{Answer, RequestError, State, envelope, offload};

/// A request as it reaches the peers.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The subject.
    pub subject: &'static str,
    /// The whole envelope, JSON.
    pub payload: Bytes,
    /// After this instant nobody waits for the reply any more.
    pub deadline: Instant,
}

/// One access to a key-value bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// The last value of a key, also a deleted one.
    Look {
        /// The key.
        key: String,
    },
    /// The last values of all keys that are not deleted.
    LookAtAll,
    /// A new value; with `None` the key is deleted. With a `revision` only over exactly that one (0: there was none).
    Write {
        /// The key.
        key: String,
        /// Its value.
        value: Option<Bytes>,
        /// The revision to replace.
        revision: Option<u64>,
    },
}

/// A value of a key-value bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The key.
    pub key: String,
    /// The value; `None` when it was deleted.
    pub value: Option<Bytes>,
    /// Grows with each write to the bucket.
    pub revision: u64,
}

/// Key-value buckets as a simulation keeps them.
#[derive(Debug, Default)]
pub struct Shelf(Mutex<Shelved>);

#[derive(Debug, Default)]
struct Shelved {
    revision: u64,
    values: BTreeMap<(&'static str, String), Kept>,
}

impl Shelf {
    /// What [`Peers::keep`] answers.
    ///
    /// # Errors
    /// When another revision is there than the one to be replaced.
    pub fn access(&self, bucket: &'static str, access: Access) -> Result<Vec<Kept>, String> {
        let mut shelved = self.0.lock();
        match access {
            Access::Look { key } => Ok(shelved.values.get(&(bucket, key)).cloned().into_iter().collect()),
            Access::LookAtAll => {
                let all = shelved.values.iter();
                let all = all.filter(|((of, _), kept)| *of == bucket && kept.value.is_some());
                Ok(all.map(|(_, kept)| kept.clone()).collect())
            }
            Access::Write { key, value, revision } => {
                let present = shelved.values.get(&(bucket, key.clone())).map_or(0, |kept| kept.revision);
                if revision.is_some_and(|revision| revision != present) {
                    return Err(format!("the last revision is {present}"));
                }
                shelved.revision += 1;
                let kept = Kept { key: key.clone(), value, revision: shelved.revision };
                shelved.values.insert((bucket, key), kept.clone());
                Ok(vec![kept])
            }
        }
    }
}

/// Everybody else, as a simulation plays them.
pub trait Peers: Send + Sync + 'static {
    /// The envelope of the reply. One that never comes is cut off at the deadline, as a time-out.
    fn answer(&self, asked: Asked) -> BoxFuture<'static, Result<Bytes, RequestError>>;

    /// What an access to a bucket brings: the value(s) looked at, or the one written. A refusal is told in words.
    fn keep(&self, bucket: &'static str, access: Access) -> BoxFuture<'static, Result<Vec<Kept>, String>>;
}

/// See the module.
pub(crate) struct Memory {
    pub(crate) service: String,
    pub(crate) peers: Arc<dyn Peers>,
    pub(crate) state: watch::Sender<State>,
}

impl Memory {
    pub(crate) fn new(service: String, peers: Arc<dyn Peers>) -> Self {
        Self { service, peers, state: watch::Sender::new(State::Connected) }
    }

    pub(crate) async fn exchange<R: Rpc>(
        &self,
        request: &R::Request,
        within: Duration,
    ) -> Result<Answer, RequestError> {
        let subject = || R::SUBJECT.to_owned();
        let parameters = envelope::parameters(request)
            .map_err(|error| RequestError::Unwritable { subject: subject(), reason: error.to_string() })?;
        let payload = envelope::request(&offload::new_id(), &parameters, R::CARRIER);
        self.send(R::SUBJECT, payload, within).await
    }

    async fn send(
        &self,
        subject: &'static str,
        payload: Bytes,
        within: Duration,
    ) -> Result<Answer, RequestError> {
        let deadline = Instant::now() + within;
        let asked = Asked { subject, payload, deadline };
        let reply = timeout_at(deadline, self.peers.answer(asked)).await;
        let reply = reply.map_err(|_| RequestError::Timeout { subject: subject.to_owned(), within })??;
        envelope::answer(reply)
            .map_err(|reason| RequestError::Unreadable { subject: subject.to_owned(), reason })
    }
}

#[cfg(test)]
mod tests {
    use contracts::bruin::{SingleBasicTicket, SingleBasicTicketRequest};
    use serde_json::Value;

    use super::*;
    use crate::Bus;

    struct Echo;

    impl Peers for Echo {
        fn answer(&self, asked: Asked) -> BoxFuture<'static, Result<Bytes, RequestError>> {
            let request: Value = serde_json::from_slice(&asked.payload).unwrap();
            Box::pin(async move {
                match request["body"]["ticket_id"].as_i64() {
                    Some(1) => Ok(Bytes::from(r#"{"body":{"ticketID":1},"status":200}"#)),
                    Some(2) => Ok(Bytes::from(r#"{"body":"no such ticket","status":404}"#)),
                    Some(3) => Ok(Bytes::from("mumble")),
                    _ => std::future::pending().await,
                }
            })
        }

        fn keep(&self, _: &'static str, _: Access) -> BoxFuture<'static, Result<Vec<Kept>, String>> {
            Box::pin(async { Err("no buckets".to_owned()) })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn requests_end_as_over_nats() {
        let bus = Bus::in_memory("test", Arc::new(Echo));
        let ask = |ticket: i64| {
            let bus = bus.clone();
            async move {
                bus.request::<SingleBasicTicket>(&SingleBasicTicketRequest { ticket_id: ticket.into() }).await
            }
        };
        assert_eq!(ask(1).await.unwrap().ticket_id, Some(1.into()));
        assert!(matches!(ask(2).await, Err(RequestError::Refused { status: Some(404), .. })));
        assert!(matches!(ask(3).await, Err(RequestError::Unreadable { .. })));
        let began = Instant::now();
        assert!(matches!(ask(4).await, Err(RequestError::Timeout { .. })));
        assert_eq!(began.elapsed().as_secs(), 30);
        assert!(bus.connected() && bus.client().is_none());
        bus.drain(Duration::ZERO).await;
        assert!(!bus.connected());
    }
}
