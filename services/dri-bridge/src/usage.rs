//! How often DRI is called: the metric which the existing deployment has.

use prometheus::{IntCounterVec, Opts, Registry};

/// `dri_api_usage_total` by method and route, of the calls that were started (spec, Metrics). Serial numbers are not part
/// of the routes (Improve 8).
#[derive(Clone)]
pub(crate) struct ApiUsage(IntCounterVec);

impl ApiUsage {
    pub(crate) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let opts = Opts::new("dri_api_usage_total", "Calls to the DRI API, logins included");
        let counter = IntCounterVec::new(opts, &["method", "endpoint_"])?;
        registry.register(Box::new(counter.clone()))?;
        Ok(Self(counter))
    }

    pub(crate) fn count(&self, method: &str, route: &str) {
        self.0.with_label_values(&[method, route]).inc();
    }
}
