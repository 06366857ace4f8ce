//! What all parts of a bus share.

use std::sync::Arc;
use std::time::Duration;

use async_nats::Subject;
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::connection::{Closed, Link};
use crate::dedupe::Dedupe;
use crate::inbox::Inbox;
use crate::metrics::Metrics;
use crate::offload::PayloadStore;
use crate::options::Limits;
use crate::replier::{Places, Served};
use crate::requester::Backoff;

pub(crate) struct Core {
    pub(crate) service: String,
    pub(crate) limits: Limits,
    pub(crate) link: Link,
    pub(crate) inbox: Inbox,
    pub(crate) store: PayloadStore,
    pub(crate) dedupe: Dedupe,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) places: Places,
    /// What this process serves. Closed (`None`) once draining has begun.
    pub(crate) served: Mutex<Option<Vec<Served>>>,
    /// Requests that were accepted and are not answered yet, with what hands them out.
    pub(crate) work: TaskTracker,
    /// Cancelled when the time for finishing work is over: what is left is refused.
    pub(crate) abort: CancellationToken,
    /// Cancelled when everything ends.
    pub(crate) stop: CancellationToken,
    pub(crate) discovery: crate::discovery::Identity,
}

impl Core {
    /// The largest message that may be sent inline, headers included.
    pub(crate) fn inline_limit(&self) -> usize {
        self.limits.offload_above.min(self.link.client.max_payload())
    }

    /// Resolves when the server has processed everything that was sent before, and everything it sent to us before is
    /// in the hands of its subscription.
    ///
    /// A message to our own inbox does it: the server handles and delivers in order, and so does the client.
    pub(crate) async fn round_trip(&self, until: Instant) -> Result<(), Closed> {
        let mut pauses = Backoff::default();
        let trip = async {
            loop {
                self.link.wait_connected().await?;
                let generation = self.link.generation();
                let mut ticket = self.inbox.ticket();
                if self.link.client.publish(ticket.subject.clone(), Bytes::new()).await.is_err() {
                    return Err(Closed);
                }
                tokio::select! {
                    _ = ticket.receive() => return Ok(()),
                    () = self.link.lost(generation) => pauses.sleep().await,
                }
            }
        };
        timeout_at(until, trip).await.unwrap_or(Err(Closed))
    }

    /// Publishes a reply, waiting for the connection until `until`. A reply that is late is worth nothing.
    pub(crate) async fn publish_reply(&self, to: Subject, payload: Bytes, until: Instant) -> bool {
        if self.link.connected() {
            // The usual case needs no timer, unless the client's own queue is full.
            return timeout_at(until, self.link.client.publish(to, payload))
                .await
                .is_ok_and(|sent| sent.is_ok());
        }
        let send = async {
            self.link.wait_connected().await.is_ok() && self.link.client.publish(to, payload).await.is_ok()
        };
        // Boxed: rare and large.
        timeout_at(until, Box::pin(send)).await.unwrap_or(false)
    }
}

/// `at` as a number of seconds until now.
pub(crate) fn seconds_since(at: Instant) -> f64 {
    Duration::as_secs_f64(&at.elapsed())
}
