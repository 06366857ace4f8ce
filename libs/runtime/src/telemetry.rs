//! Spans to an OpenTelemetry collector, and the W3C trace context between services.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use opentelemetry::trace::{TraceContextExt, TracerProvider as _};
use opentelemetry_otlp::WithExportConfig;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter};
use tokio::runtime::Handle;
use tracing::{Level, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;
use url::Url;

use crate::spans::SpanLog;

/// The span which only names the service of its records; it is no operation and is not exported.
pub(crate) const SERVICE_SPAN: &str = "service";

/// The crate whose spans are the calls to third parties; they are of level DEBUG, so that they cost nothing unseen.
const THIRD_PARTIES: &str = "upstream";

/// How long one export may take.
const EXPORT_WITHIN: Duration = Duration::from_secs(5);

/// Whether records can have a trace id at all.
static EXPORTING: AtomicBool = AtomicBool::new(false);

/// Services hand on the trace context they get, whether or not they export spans.
pub(crate) fn install_propagator() {
    opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
}

/// The export of spans of this process.
pub(crate) struct Telemetry(SdkTracerProvider);

impl Telemetry {
    /// Exports to `<endpoint>/v1/traces`. Must be called inside of a tokio runtime, which sends the batches.
    pub(crate) fn start(endpoint: &Url, service: &str, environment: &str) -> anyhow::Result<Self> {
        let url = format!("{}/v1/traces", endpoint.as_str().trim_end_matches('/'));
        let exporter = opentelemetry_otlp::SpanExporter::builder()
            .with_http()
            .with_endpoint(url)
            .with_timeout(EXPORT_WITHIN)
            .build()
            .context("OTEL_EXPORTER_OTLP_ENDPOINT: cannot export spans")?;
        let resource = Resource::builder()
            .with_service_name(service.to_owned())
            .with_attribute(opentelemetry::KeyValue::new(
                "deployment.environment.name",
                environment.to_owned(),
            ))
            .build();
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(OnRuntime { exporter: Arc::new(exporter), runtime: Handle::current() })
            .with_resource(resource)
            .build();
        opentelemetry::global::set_tracer_provider(provider.clone());
        EXPORTING.store(true, Ordering::Relaxed);
        Ok(Self(provider))
    }

    /// Keeps the spans in memory instead, for a process that shows them itself.
    pub(crate) fn keep(spans: SpanLog) -> Self {
        let provider = SdkTracerProvider::builder().with_span_processor(spans).build();
        opentelemetry::global::set_tracer_provider(provider.clone());
        EXPORTING.store(true, Ordering::Relaxed);
        Self(provider)
    }

    /// Turns spans of level INFO and above, and the calls to third parties, into OpenTelemetry's. Events stay in the logs,
    /// where they are redacted.
    pub(crate) fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        let layer = tracing_opentelemetry::layer().with_tracer(self.0.tracer("automation-engine"));
        layer.with_filter(filter_fn(|metadata| {
            let wanted = *metadata.level() <= Level::INFO || metadata.target().starts_with(THIRD_PARTIES);
            metadata.is_span() && wanted && metadata.name() != SERVICE_SPAN
        }))
    }

    /// Sends what is left.
    pub(crate) async fn finish(self, within: Duration) {
        EXPORTING.store(false, Ordering::Relaxed);
        let provider = self.0;
        let flush = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(within));
        match tokio::time::timeout(within, flush).await {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(error))) => tracing::warn!(%error, "cannot export the last spans"),
            Ok(Err(_)) | Err(_) => tracing::warn!("the last spans were not exported in time"),
        }
    }
}

/// The trace and span a record belongs to, when spans are exported.
pub(crate) fn current_trace() -> Option<(String, String)> {
    if !EXPORTING.load(Ordering::Relaxed) {
        return None;
    }
    let context = tracing::Span::current().context();
    let span = context.span().span_context().clone();
    span.is_valid().then(|| (span.trace_id().to_string(), span.span_id().to_string()))
}

/// The batch processor runs on a thread of its own; the HTTP client needs the tokio runtime.
#[derive(Debug)]
struct OnRuntime {
    exporter: Arc<opentelemetry_otlp::SpanExporter>,
    runtime: Handle,
}

impl SpanExporter for OnRuntime {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let exporter = self.exporter.clone();
        let task = self.runtime.spawn(async move { exporter.export(batch).await });
        task.await.unwrap_or_else(|error| Err(OTelSdkError::InternalFailure(error.to_string())))
    }

    fn shutdown_with_timeout(&self, within: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(within)
    }

    fn set_resource(&mut self, resource: &Resource) {
        // Nobody shares the exporter before its first export.
        if let Some(exporter) = Arc::get_mut(&mut self.exporter) {
            exporter.set_resource(resource);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }
}
