//! The world's changes as they happen.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::{Stream, StreamExt};
use tokio_stream::wrappers::BroadcastStream;

use crate::Simulation;
use crate::world::Change;

/// Server-sent events: one `change` per change, its data is JSON; `missed` when the reader was too slow.
#[utoipa::path(
    get, path = "/control/changes", tag = "world",
    responses((status = 200, content_type = "text/event-stream", body = Change)),
)]
pub(super) async fn stream(
    State(simulation): State<Simulation>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let changes = BroadcastStream::new(simulation.world.changes()).map(|change| {
        let event = match change {
            Ok(change) => Event::default().event("change").json_data(change),
            Err(_) => Ok(Event::default().event("missed").data("{}")),
        };
        Ok(event.unwrap_or_default())
    });
    let changes = changes.take_until(simulation.stop.clone().cancelled_owned());
    Sse::new(changes).keep_alive(KeepAlive::new().interval(Duration::from_secs(15)))
}
