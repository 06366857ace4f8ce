//! The stream of changed parts, one for each open page.

use std::{
    collections::HashMap,
    convert::Infallible,
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

use axum::{
    Form,
    extract::{Path, Query, State},
    response::sse::{Event, KeepAlive, Sse},
};
use futures::{Stream, stream};
use http::StatusCode;
use serde::Deserialize;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::{
    Page,
    parts::{self, Part},
    view::View,
};

/// Changes that come faster are sent together.
const APART: Duration = Duration::from_millis(150);
/// Readers with an open stream at most.
const READERS: usize = 200;

/// Who reads, besides the view.
#[derive(Deserialize)]
pub(super) struct Reader {
    /// A name which the page made up.
    reader: String,
}

/// One open page.
struct Follower {
    page: Page,
    name: String,
    view: watch::Receiver<View>,
    changes: watch::Receiver<u64>,
    sent: HashMap<String, u64>,
    not_before: Instant,
    first: bool,
}

impl Drop for Follower {
    fn drop(&mut self) {
        let mut readers = self.page.0.readers.lock();
        // A page that has reconnected has another channel by now.
        if readers.get(&self.name).is_some_and(|sender| sender.is_closed() || sender.receiver_count() <= 1) {
            readers.remove(&self.name);
        }
    }
}

/// Server-sent events: `parts` with the parts that changed.
pub(super) async fn stream(
    State(page): State<Page>,
    Query(reader): Query<Reader>,
    Query(view): Query<View>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, StatusCode> {
    let receiver = {
        let mut readers = page.0.readers.lock();
        readers.retain(|_, sender| !sender.is_closed());
        if readers.len() >= READERS {
            return Err(StatusCode::SERVICE_UNAVAILABLE);
        }
        let (sender, receiver) = watch::channel(view);
        readers.insert(reader.reader.clone(), sender);
        receiver
    };
    let stop = page.0.stop.clone();
    let follower = Follower {
        changes: page.0.changes.subscribe(),
        page,
        name: reader.reader,
        view: receiver,
        sent: HashMap::new(),
        not_before: Instant::now(),
        first: true,
    };
    let events = stream::unfold(follower, |mut follower| async move {
        let event = follower.next().await?;
        Some((Ok(event), follower))
    });
    let events = futures::StreamExt::take_until(events, stop.cancelled_owned());
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(Duration::from_secs(15))))
}

impl Follower {
    /// Waits for a change and says what became different.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if !std::mem::take(&mut self.first) {
                tokio::select! {
                    // Whoever looks at something else waits for nothing.
                    looked = self.view.changed() => looked.ok()?,
                    changed = async {
                        sleep_until(self.not_before).await;
                        self.changes.changed().await
                    } => changed.ok()?,
                }
            }
            self.not_before = Instant::now() + APART;
            self.changes.mark_unchanged();
            let view = self.view.borrow_and_update().clone();
            let page = self.page.clone();
            // Rendering a large network takes a while; the services' tasks must not wait for it.
            let rendered = tokio::task::spawn_blocking(move || parts::all(&page, &view, true)).await.ok()?;
            let fresh = match rendered {
                Ok(parts) => self.fresh(parts),
                Err(error) => {
                    tracing::error!(%error, "a part of the page cannot be rendered");
                    return None;
                }
            };
            if !fresh.is_empty() {
                return Event::default().event("parts").json_data(fresh).ok();
            }
        }
    }

    /// The parts which this reader does not have.
    fn fresh(&mut self, parts: Vec<Part>) -> Vec<Part> {
        let known = std::mem::take(&mut self.sent);
        let mut fresh = Vec::new();
        for part in parts {
            let mut hasher = DefaultHasher::new();
            part.html.hash(&mut hasher);
            let hash = hasher.finish();
            self.sent.insert(part.id.clone(), hash);
            if known.get(&part.id) != Some(&hash) {
                fresh.push(part);
            }
        }
        fresh
    }
}

/// Turns a reader's eyes to something else; 404: the stream has ended, the page has to open another.
pub(super) async fn look(
    State(page): State<Page>,
    Path(reader): Path<String>,
    Form(view): Form<View>,
) -> StatusCode {
    let readers = page.0.readers.lock();
    match readers.get(&reader) {
        Some(sender) if sender.send(view).is_ok() => StatusCode::NO_CONTENT,
        _ => StatusCode::NOT_FOUND,
    }
}
