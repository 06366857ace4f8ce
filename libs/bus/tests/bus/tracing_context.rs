//! One trace follows a request through the fleet.

use bus::Reply;
use opentelemetry::trace::{TraceContextExt, TracerProvider};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use serde_json::json;
use tracing::Instrument;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::layer::SubscriberExt;

use crate::support::*;

fn trace_id() -> String {
    tracing::Span::current().context().span().span_context().trace_id().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_works_in_the_trace_of_its_requester() {
    opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
    let provider = SdkTracerProvider::builder().build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
    // The only test of this binary that sets one.
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(layer)).unwrap();
    let world = World::start().await;
    let (client, server) = (world.bus().await, world.bus().await);
    server.serve::<Read, _, _>(async |_| Reply::ok(&trace_id())).await.unwrap();
    server.serve::<Write, _, _>(async |_| Reply::ok(&trace_id())).await.unwrap();
    let outer = tracing::info_span!("outer");
    async {
        let (body, expected) = (any(json!({})), trace_id());
        assert_ne!(expected, "0".repeat(32));
        assert_eq!(client.request::<Read>(&body).await.unwrap(), json!(expected));
        assert_eq!(client.request::<Write>(&body).await.unwrap(), json!(expected));
    }
    .instrument(outer)
    .await;
}
