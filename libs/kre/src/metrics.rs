//! Rate, errors and duration of the calls to a model.

use std::time::Duration;

use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, IntGauge, Opts, Registry};

/// The metrics of one model. Labels are the method and the name of the gRPC status.
#[derive(Clone)]
pub(crate) struct Metrics {
    calls: IntCounterVec,
    durations: HistogramVec,
    in_flight: IntGauge,
}

impl Metrics {
    pub(crate) fn register(registry: &Registry, model: &str) -> Result<Self, prometheus::Error> {
        let opts = |name: &str, help: &str| Opts::new(name, help).const_label("model", model);
        let durations =
            HistogramOpts::new("kre_call_duration_seconds", "Time of one call to a model, by its status")
                .const_label("model", model)
                .buckets(vec![0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0]);
        let metrics = Self {
            calls: IntCounterVec::new(
                opts(
                    "kre_calls_total",
                    "Calls to a model by gRPC status; BUSY: not sent, too many in flight",
                ),
                &["rpc", "code"],
            )?,
            durations: HistogramVec::new(durations, &["rpc", "code"])?,
            in_flight: IntGauge::with_opts(opts("kre_calls_in_flight", "Calls sent and not answered yet"))?,
        };
        registry.register(Box::new(metrics.calls.clone()))?;
        registry.register(Box::new(metrics.durations.clone()))?;
        registry.register(Box::new(metrics.in_flight.clone()))?;
        Ok(metrics)
    }

    /// Counts a call as in flight until the guard is dropped, also when the caller gives up.
    pub(crate) fn sent(&self) -> InFlight {
        self.in_flight.inc();
        InFlight(self.in_flight.clone())
    }

    pub(crate) fn finished(&self, rpc: &str, code: &str, took: Duration) {
        self.calls.with_label_values(&[rpc, code]).inc();
        self.durations.with_label_values(&[rpc, code]).observe(took.as_secs_f64());
    }

    pub(crate) fn not_sent(&self, rpc: &str, code: &str) {
        self.calls.with_label_values(&[rpc, code]).inc();
    }
}

pub(crate) struct InFlight(IntGauge);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}
