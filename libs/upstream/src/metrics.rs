//! Rate, errors and duration of every route, and how logins go.

use std::time::Duration;

use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, IntGauge, Opts, Registry};

/// The metrics of one third party and host. Routes are templates and statuses are classes: no ids in labels.
#[derive(Clone)]
pub(crate) struct Metrics {
    calls: IntCounterVec,
    durations: HistogramVec,
    in_flight: IntGauge,
    retries: IntCounterVec,
    logins: IntCounterVec,
    logged_in: IntGauge,
}

impl Metrics {
    pub(crate) fn register(
        registry: &Registry,
        upstream: &str,
        host: &str,
    ) -> Result<Self, prometheus::Error> {
        let opts = |name: &str, help: &str| {
            Opts::new(name, help).const_label("upstream", upstream).const_label("host", host)
        };
        let durations =
            HistogramOpts::new("upstream_call_duration_seconds", "Time of one call to a third party")
                .const_label("upstream", upstream)
                .const_label("host", host)
                .buckets(vec![0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0]);
        let metrics = Self {
            calls: IntCounterVec::new(
                opts("upstream_calls_total", "Calls to a third party by status class or kind of failure"),
                &["method", "route", "outcome"],
            )?,
            durations: HistogramVec::new(durations, &["method", "route"])?,
            in_flight: IntGauge::with_opts(opts(
                "upstream_calls_in_flight",
                "Calls sent and not answered yet",
            ))?,
            retries: IntCounterVec::new(opts("upstream_retries_total", "Calls repeated"), &["route"])?,
            logins: IntCounterVec::new(opts("upstream_logins_total", "Logins by outcome"), &["outcome"])?,
            logged_in: IntGauge::with_opts(opts("upstream_logged_in", "1 while a session is held"))?,
        };
        registry.register(Box::new(metrics.calls.clone()))?;
        registry.register(Box::new(metrics.durations.clone()))?;
        registry.register(Box::new(metrics.in_flight.clone()))?;
        registry.register(Box::new(metrics.retries.clone()))?;
        registry.register(Box::new(metrics.logins.clone()))?;
        registry.register(Box::new(metrics.logged_in.clone()))?;
        Ok(metrics)
    }

    /// Counts a call as in flight until the guard is dropped, also when the caller gives up.
    pub(crate) fn sent(&self) -> InFlight {
        self.in_flight.inc();
        InFlight(self.in_flight.clone())
    }

    pub(crate) fn finished(&self, method: &str, route: &str, outcome: &str, took: Duration) {
        self.calls.with_label_values(&[method, route, outcome]).inc();
        self.durations.with_label_values(&[method, route]).observe(took.as_secs_f64());
    }

    pub(crate) fn retried(&self, route: &str) {
        self.retries.with_label_values(&[route]).inc();
    }

    /// Counts a login; `held` says whether there is a valid session after it.
    pub(crate) fn login(&self, ok: bool, held: bool) {
        self.logins.with_label_values(&[if ok { "ok" } else { "failed" }]).inc();
        self.logged_in.set(i64::from(held));
    }
}

pub(crate) struct InFlight(IntGauge);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// The label for a status.
pub(crate) fn class(status: u16) -> &'static str {
    match status {
        100..200 => "1xx",
        200..300 => "2xx",
        300..400 => "3xx",
        400..500 => "4xx",
        500..600 => "5xx",
        _ => "other",
    }
}
