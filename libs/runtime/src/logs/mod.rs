//! Log records: collected from `tracing`, redacted, written to stdout and, where wanted, to Papertrail.
//!
//! - [`record`] makes a [`Record`] of an event and the spans around it; all text passes the redactor there.
//! - [`format`] writes it as `json`, `line` or `pretty`.
//! - [`papertrail`] sends it as syslog over UDP.

pub(crate) mod format;
pub(crate) mod papertrail;
pub(crate) mod record;
#[cfg(test)]
mod tests;

use std::io::{IsTerminal, Write};
use std::time::Duration;

use anyhow::Context as _;
use parking_lot::Mutex;
use tracing::{Event, Level, Subscriber, span};
use tracing_subscriber::filter::{EnvFilter, FilterExt, Targets, filter_fn};
use tracing_subscriber::layer::{Context, Filter, SubscriberExt};
use tracing_subscriber::registry::{LookupSpan, Scope};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry};

use self::format::Style;
use self::papertrail::Papertrail;
use self::record::{Fields, Record, SpanFields};
use crate::settings::{LogFormat, LogSettings};
use crate::telemetry::Telemetry;

/// Libraries whose records an operator does not read at the level of our own.
const CHATTY: [&str; 10] = [
    "async_nats",
    "h2",
    "hyper",
    "hyper_util",
    "mongodb",
    "opentelemetry",
    "opentelemetry_sdk",
    "reqwest",
    "rustls",
    "tower",
];

/// The logs of this process. The subscriber is global and stays; [`Self::finish`] sends what waits.
pub(crate) struct Logs {
    papertrail: Option<Papertrail>,
}

impl Logs {
    /// Installs the process's one subscriber.
    ///
    /// # Errors
    /// When there is one already.
    pub(crate) fn install(settings: &LogSettings, telemetry: Option<&Telemetry>) -> anyhow::Result<Self> {
        let papertrail = settings.papertrail.as_ref().map(|papertrail| {
            Papertrail::start(papertrail.clone(), settings.environment.clone(), format::hostname())
        });
        let papertrail = papertrail.transpose().context("Papertrail")?;
        let colours = settings.format == LogFormat::Pretty && std::io::stdout().is_terminal();
        let style = Style::new(settings.format, settings.environment.clone(), colours);
        let layer =
            LogLayer::new(style, settings.service.clone(), Box::new(std::io::stdout()), papertrail.clone());
        let layer = layer.with_filter(filter(settings)?);
        tracing_subscriber::registry()
            .with(layer)
            .with(telemetry.map(Telemetry::layer))
            .try_init()
            .context("the logs of this process are set up already")?;
        Ok(Self { papertrail })
    }

    /// Sends what waits for Papertrail.
    pub(crate) async fn finish(self, within: Duration) {
        if let Some(papertrail) = self.papertrail {
            let _ = tokio::task::spawn_blocking(move || papertrail.flush(within)).await;
        }
    }
}

type BoxedFilter = Box<dyn Filter<Registry> + Send + Sync>;

/// Which records are written. Spans of level INFO always count: they carry the service's name and the ids of its work.
fn filter(settings: &LogSettings) -> anyhow::Result<BoxedFilter> {
    // The hint matters: without it every record below the level would be looked at instead of being skipped at once.
    let spans = filter_fn(|metadata| metadata.is_span() && *metadata.level() <= Level::INFO)
        .with_max_level_hint(Level::INFO);
    if let Some(directives) = &settings.filter {
        return Ok(Box::new(EnvFilter::try_new(directives).context("RUST_LOG")?.or(spans)));
    }
    let quieter = match settings.level {
        Level::TRACE => Level::DEBUG,
        Level::DEBUG => Level::INFO,
        Level::INFO => Level::WARN,
        level => level,
    };
    let libraries = CHATTY.iter().map(|library| (*library, quieter));
    let targets = Targets::new().with_default(settings.level).with_targets(libraries);
    Ok(Box::new(targets.or(spans)))
}

/// Writes records.
pub(crate) struct LogLayer {
    style: Style,
    /// For records outside of any service's span.
    service: String,
    out: Mutex<Box<dyn Write + Send>>,
    papertrail: Option<Papertrail>,
}

impl LogLayer {
    pub(crate) fn new(
        style: Style,
        service: String,
        out: Box<dyn Write + Send>,
        papertrail: Option<Papertrail>,
    ) -> Self {
        Self { style, service, out: Mutex::new(out), papertrail }
    }

    fn write(&self, record: &Record) {
        let mut text = self.style.write(record);
        text.push('\n');
        // A closed stdout is no reason to stop working, and there is nowhere to say it.
        let _ = self.out.lock().write_all(text.as_bytes());
        if let Some(papertrail) = &self.papertrail {
            papertrail.send(record);
        }
    }
}

impl<S: Subscriber + for<'span> LookupSpan<'span>> Layer<S> for LogLayer {
    fn on_new_span(&self, attributes: &span::Attributes<'_>, id: &span::Id, context: Context<'_, S>) {
        if let Some(span) = context.span(id) {
            let mut fields = SpanFields::with_room();
            attributes.record(&mut fields);
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &span::Id, values: &span::Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<SpanFields>()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut around = Fields::default();
        for span in context.event_scope(event).into_iter().flat_map(Scope::from_root) {
            if let Some(fields) = span.extensions().get::<SpanFields>() {
                around.add_span(fields);
            }
        }
        self.write(&Record::new(event, around, &self.service));
    }
}
