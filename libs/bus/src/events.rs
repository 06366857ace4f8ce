//! What the NATS client tells of its connection, until somebody looks: of a fixed size, however much it tells.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_nats::Event;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::metrics::Metrics;

/// The events since the last look. What matters is kept as a fact, so none is lost in a flood of others; of the errors the
/// last one is kept, and how many there were.
pub(crate) struct Events {
    metrics: Arc<Metrics>,
    came: Notify,
    connected: AtomicBool,
    lame_duck: AtomicBool,
    errors: Mutex<Errors>,
}

/// What went wrong since the last look.
#[derive(Debug, Default)]
pub(crate) struct Errors {
    /// How often.
    pub(crate) count: u64,
    /// The last one.
    pub(crate) last: Option<Event>,
}

impl Events {
    pub(crate) fn new(metrics: Arc<Metrics>) -> Self {
        Self {
            metrics,
            came: Notify::new(),
            connected: AtomicBool::new(false),
            lame_duck: AtomicBool::new(false),
            errors: Mutex::default(),
        }
    }

    /// Takes note of an event. Never blocks: the client's events wait in a short queue and are dropped beyond it.
    pub(crate) fn note(&self, event: Event) {
        match event {
            // One for each dropped message: whoever wants to know reads the counter.
            Event::SlowConsumer(_) => {
                self.metrics.slow_consumer_drops.inc();
                return;
            }
            Event::Connected => self.connected.store(true, Ordering::Release),
            Event::LameDuckMode => self.lame_duck.store(true, Ordering::Release),
            Event::ServerError(_) | Event::ClientError(_) => {
                let mut errors = self.errors.lock();
                errors.count += 1;
                errors.last = Some(event);
            }
            // The client itself says in what state it is.
            Event::Disconnected | Event::Draining | Event::Closed => {}
        }
        self.came.notify_one();
    }

    /// Resolves when something came since it resolved last.
    pub(crate) async fn came(&self) {
        self.came.notified().await;
    }

    /// Whether a connection was made.
    pub(crate) fn take_connected(&self) -> bool {
        self.connected.swap(false, Ordering::AcqRel)
    }

    /// Whether the server announced that it is going to stop.
    pub(crate) fn take_lame_duck(&self) -> bool {
        self.lame_duck.swap(false, Ordering::AcqRel)
    }

    /// What went wrong.
    pub(crate) fn take_errors(&self) -> Errors {
        std::mem::take(&mut *self.errors.lock())
    }
}

#[cfg(test)]
mod tests {
    use async_nats::{ClientError, ServerError};
    use futures::FutureExt;
    use prometheus::Registry;

    use super::*;

    fn events() -> Events {
        Events::new(Arc::new(Metrics::register(&Registry::new()).unwrap()))
    }

    #[test]
    fn dropped_messages_are_counted_and_wake_nobody() {
        let events = events();
        for _ in 0..100_000 {
            events.note(Event::SlowConsumer(7));
        }
        assert_eq!(events.metrics.slow_consumer_drops.get(), 100_000);
        assert!(events.came().now_or_never().is_none());
        assert_eq!(events.take_errors().count, 0);
    }

    #[test]
    fn what_matters_is_not_lost_however_much_comes_besides() {
        let events = events();
        events.note(Event::LameDuckMode);
        events.note(Event::Connected);
        for n in 0..100_000 {
            events.note(Event::ServerError(ServerError::Other(n.to_string())));
        }
        let last = Event::ClientError(ClientError::Other("last".to_owned()));
        events.note(last.clone());
        assert!(events.came().now_or_never().is_some());
        assert!(events.came().now_or_never().is_none(), "one look for all");
        let Errors { count, last: kept } = events.take_errors();
        assert_eq!((count, kept), (100_001, Some(last)));
        assert!(events.take_lame_duck() && events.take_connected());
        assert!(!events.take_lame_duck() && !events.take_connected());
    }
}
