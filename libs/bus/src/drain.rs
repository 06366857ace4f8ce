//! Stopping, and leaving a server that is about to stop, without losing a request.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use crate::core::Core;

/// What is left of the time for refusing work that did not end, flushing and closing.
const CLOSING: Duration = Duration::from_secs(1);
/// How long requests may take to end before the connection moves: with the rest of the move less than the 5 s in which
/// all must answer again (P7). A server in lame duck mode waits 10 s before it begins to close connections.
const MOVE_WITHIN: Duration = Duration::from_secs(3);

impl Core {
    /// Takes no more work, ends what is in flight, flushes the replies, closes. Never takes longer than `within`.
    pub(crate) async fn drain(&self, within: Duration) {
        let end = Instant::now() + within;
        let finish_by = end.checked_sub(CLOSING.min(within / 4)).unwrap_or(end);
        let served = self.served.lock().take();
        let Some(served) = served else {
            // Somebody else is draining already.
            let _ = timeout_at(end, self.stop.cancelled()).await;
            return;
        };
        let fences: Vec<_> = served.iter().map(|served| served.fence(finish_by, None)).collect();
        let _ = timeout_at(finish_by, join_all(fences)).await;
        self.work.close();
        if timeout_at(finish_by, self.work.wait()).await.is_err() {
            tracing::warn!(requests = self.work.len(), "work did not end in time, refusing the rest");
            self.abort.cancel();
            let refused_by = finish_by + (end - finish_by) / 2;
            let _ = timeout_at(refused_by, self.work.wait()).await;
        }
        // Everything that was published has reached the server when this comes back.
        if self.link.usable() {
            let _ = self.round_trip(end).await;
        }
        self.stop.cancel();
        self.link.close().await;
    }

    /// Moves to another server of the cluster because this one announced that it is going to stop. Subscriptions are
    /// fenced first, new requests wait, and those that wait for a reply get a few seconds.
    pub(crate) async fn move_elsewhere(self: &Arc<Self>) {
        if !self.link.has_alternative().await {
            tracing::warn!("no other NATS server is known, staying until the connection ends");
            return;
        }
        if !self.link.begin_move() {
            return;
        }
        let until = Instant::now() + MOVE_WITHIN;
        let (resumes, fences): (Vec<_>, Vec<_>) = self
            .served
            .lock()
            .as_deref()
            .unwrap_or_default()
            .iter()
            .map(|served| {
                let (resume, resumed) = oneshot::channel();
                (resume, served.fence(until, Some(resumed)))
            })
            .unzip();
        let _ = timeout_at(until, join_all(fences)).await;
        self.link.hold(true);
        let quiet = async {
            while self.inbox.waiting() > 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let _ = timeout_at(until, quiet).await;
        let _ = self.round_trip(Instant::now() + CLOSING).await;
        let generation = self.link.generation();
        let _ = self.link.client.force_reconnect().await;
        // What is handed over before that would go down with the old connection.
        let _ = timeout_at(Instant::now() + CLOSING, self.link.lost(generation)).await;
        self.link.hold(false);
        drop(resumes);
        self.link.end_move();
    }
}
