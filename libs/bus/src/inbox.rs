//! One inbox subscription for all requests of the process.
//!
//! async-nats has its own, but never forgets a request that was not answered (nats.rs#1617). Here a [`Ticket`] removes
//! its entry when it is dropped, whatever the reason, so the map holds exactly the requests that are waiting.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_nats::{Client, Message, Subject, Subscriber};
use futures::StreamExt;
use parking_lot::Mutex;
use tokio::sync::oneshot;

type Waiting = Arc<Mutex<HashMap<u64, oneshot::Sender<Message>>>>;

pub(crate) struct Inbox {
    prefix: String,
    next: AtomicU64,
    waiting: Waiting,
}

impl Inbox {
    /// Subscribes; the subscriber has to be handed to [`Self::read`].
    pub(crate) async fn open(client: &Client) -> Result<(Self, Subscriber), async_nats::SubscribeError> {
        let prefix = format!("{}.", client.new_inbox());
        let subscriber = client.subscribe(format!("{prefix}*")).await?;
        Ok((Self { prefix, next: AtomicU64::new(0), waiting: Waiting::default() }, subscriber))
    }

    /// Hands replies to those who wait for them. A late one has nobody and is dropped.
    pub(crate) async fn read(&self, mut subscriber: Subscriber) {
        while let Some(message) = subscriber.next().await {
            let token =
                message.subject.strip_prefix(self.prefix.as_str()).and_then(|token| token.parse().ok());
            let Some(token): Option<u64> = token else { continue };
            let waiting = self.waiting.lock().remove(&token);
            if let Some(waiting) = waiting {
                let _ = waiting.send(message);
            }
        }
    }

    /// A reply subject of its own for one request.
    pub(crate) fn ticket(&self) -> Ticket {
        let token = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = oneshot::channel();
        self.waiting.lock().insert(token, sender);
        let subject = Subject::from(format!("{}{token}", self.prefix));
        Ticket { token, subject, receiver, waiting: Arc::clone(&self.waiting) }
    }

    /// How many requests wait for a reply.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.lock().len()
    }
}

/// The right to one reply.
pub(crate) struct Ticket {
    token: u64,
    pub(crate) subject: Subject,
    receiver: oneshot::Receiver<Message>,
    waiting: Waiting,
}

impl Ticket {
    /// The reply. Never resolves when the inbox is gone; callers have a deadline.
    pub(crate) async fn receive(&mut self) -> Message {
        match (&mut self.receiver).await {
            Ok(message) => message,
            Err(_) => std::future::pending().await,
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.waiting.lock().remove(&self.token);
    }
}
