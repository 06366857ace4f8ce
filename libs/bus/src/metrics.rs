//! Prometheus metrics of a bus (spec `00-messaging`, "Metrics server"). Labels are subjects and closed lists, never ids.

use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGaugeVec, Opts, Registry,
};

/// Upper bounds of the duration histograms, in seconds: from a cached answer to the longest timeout of the catalogue.
const BUCKETS: [f64; 14] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0];

pub(crate) struct Metrics {
    sent: IntCounterVec,
    sent_seconds: HistogramVec,
    served: IntCounterVec,
    served_seconds: HistogramVec,
    pub(crate) in_flight: IntGaugeVec,
    pub(crate) queued: IntGaugeVec,
    offloads: IntCounterVec,
    offload_bytes: IntCounterVec,
    pub(crate) dedupe_hits: IntCounterVec,
    pub(crate) reconnects: IntCounter,
    pub(crate) slow_consumer_drops: IntCounter,
}

impl Metrics {
    pub(crate) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counters = |name: &str, help: &str, labels: &[&str]| {
            let counters = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(counters.clone()))?;
            Ok::<_, prometheus::Error>(counters)
        };
        let counter = |name: &str, help: &str| {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone()))?;
            Ok::<_, prometheus::Error>(counter)
        };
        let gauges = |name: &str, help: &str| {
            let gauges = IntGaugeVec::new(Opts::new(name, help), &["subject"])?;
            registry.register(Box::new(gauges.clone()))?;
            Ok::<_, prometheus::Error>(gauges)
        };
        let seconds = |name: &str, help: &str| {
            let options = HistogramOpts::new(name, help).buckets(BUCKETS.to_vec());
            let histograms = HistogramVec::new(options, &["subject"])?;
            registry.register(Box::new(histograms.clone()))?;
            Ok::<_, prometheus::Error>(histograms)
        };
        Ok(Self {
            sent: counters(
                "bus_requests_sent_total",
                "Requests sent, by status class or kind of failure",
                &["subject", "status"],
            )?,
            sent_seconds: seconds("bus_request_duration_seconds", "From a request to its reply or failure")?,
            served: counters(
                "bus_requests_served_total",
                "Requests answered, by status class",
                &["subject", "status"],
            )?,
            served_seconds: seconds(
                "bus_serve_duration_seconds",
                "From the arrival of a request to its reply",
            )?,
            in_flight: gauges("bus_requests_in_flight", "Requests being handled")?,
            queued: gauges("bus_requests_queued", "Requests waiting for a free place")?,
            offloads: counters(
                "bus_offloads_total",
                "Payloads handed over through Redis, stored or fetched by this process",
                &["direction"],
            )?,
            offload_bytes: counters(
                "bus_offload_bytes_total",
                "Bytes handed over through Redis",
                &["direction"],
            )?,
            dedupe_hits: counters(
                "bus_dedupe_hits_total",
                "Repeated deliveries of a write that were not executed again",
                &["subject"],
            )?,
            reconnects: counter("bus_reconnects_total", "Connections to NATS made after the first one")?,
            slow_consumer_drops: counter(
                "bus_slow_consumer_drops_total",
                "Messages dropped because this process read too slowly",
            )?,
        })
    }

    pub(crate) fn offloaded(&self, direction: &str, bytes: usize) {
        self.offloads.with_label_values(&[direction]).inc();
        self.offload_bytes.with_label_values(&[direction]).inc_by(bytes as u64);
    }

    /// Counts a request that ended, with its status class or the kind of its failure.
    pub(crate) fn sent(&self, subject: &str, outcome: &str, seconds: f64) {
        self.sent.with_label_values(&[subject, outcome]).inc();
        self.sent_seconds.with_label_values(&[subject]).observe(seconds);
    }

    /// The counters of one served subject, looked up once.
    pub(crate) fn served(&self, subject: &str) -> Served {
        Served {
            classes: CLASSES.map(|class| self.served.with_label_values(&[subject, class])),
            seconds: self.served_seconds.with_label_values(&[subject]),
        }
    }
}

const CLASSES: [&str; 5] = ["2xx", "3xx", "4xx", "5xx", "other"];

/// The label of a status.
pub(crate) fn class(status: u16) -> &'static str {
    CLASSES.get(class_index(status)).copied().unwrap_or("other")
}

fn class_index(status: u16) -> usize {
    match status {
        200..=299 => 0,
        300..=399 => 1,
        400..=499 => 2,
        500..=599 => 3,
        _ => 4,
    }
}

/// What is counted for one served subject.
pub(crate) struct Served {
    classes: [IntCounter; 5],
    seconds: Histogram,
}

impl Served {
    pub(crate) fn count(&self, status: u16, seconds: f64) {
        if let Some(counter) = self.classes.get(class_index(status)) {
            counter.inc();
        }
        self.seconds.observe(seconds);
    }
}
