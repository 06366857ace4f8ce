//! What the services' metrics say of the last minute: a sample each second, kept for a minute.

use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};

use prometheus::proto::{Metric, MetricFamily, MetricType};

use crate::supervisor::View;

/// Rates and errors are of this span.
const MINUTE: Duration = Duration::from_secs(60);
/// Requests per second are of this span: long enough to be calm, short enough to follow.
const RATE: Duration = Duration::from_secs(10);

/// Totals since the start of one run of a service.
#[derive(Debug, Clone, Default, PartialEq)]
struct Totals {
    served: f64,
    sent: f64,
    /// By subject and kind of failure, of requests sent and served.
    errors: BTreeMap<(String, String), f64>,
    /// Upper bound in seconds and requests up to it, of those served (of a service that serves nothing: sent).
    served_seconds: Vec<(f64, f64)>,
    sent_seconds: Vec<(f64, f64)>,
    third_parties: BTreeMap<String, Calls>,
}

/// What a service has done at a third party.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Calls {
    /// Calls sent.
    pub(super) sent: f64,
    /// Of them, those without a 2xx, 3xx or 404.
    pub(super) failed: f64,
    /// Calls repeated.
    pub(super) repeated: f64,
    /// Logins that worked.
    pub(super) logins: f64,
    /// Logins that failed.
    pub(super) logins_failed: f64,
    /// Sessions held now, and sessions that there could be.
    pub(super) sessions: (f64, f64),
}

/// One service in the last minute.
#[derive(Debug, Clone, Default)]
pub(super) struct Figures {
    /// See [`crate::supervisor::Instance::label`].
    pub(super) label: String,
    /// `starting`, `ready`, `not ready` or `crashed`.
    pub(super) state: &'static str,
    /// Why it is not ready, or crashed last.
    pub(super) reason: String,
    /// Restarts since the start.
    pub(super) restarts: u32,
    /// Requests sent and served per second.
    pub(super) rate: f64,
    /// Requests served per second.
    pub(super) served: f64,
    /// Median and 99th percentile of the time of requests, in milliseconds; `None` without requests.
    pub(super) latency: Option<(f64, f64)>,
    /// Errors by subject and kind.
    pub(super) errors: Vec<(String, String, f64)>,
    /// Its third parties.
    pub(super) third_parties: BTreeMap<String, Calls>,
}

impl Figures {
    /// Errors in the last minute.
    pub(super) fn failed(&self) -> f64 {
        self.errors.iter().map(|(.., count)| count).sum()
    }
}

/// The samples of the last minute.
#[derive(Default)]
pub(super) struct Meters {
    samples: VecDeque<(Instant, Vec<Totals>)>,
    figures: Vec<Figures>,
}

impl Meters {
    /// Takes a sample of all services.
    pub(super) fn sample(&mut self, views: &[View], now: Instant) {
        let gather = |view: &View| {
            view.host.as_ref().map(|host| Totals::of(&host.metrics.gather())).unwrap_or_default()
        };
        let totals: Vec<Totals> = views.iter().map(gather).collect();
        while self.samples.front().is_some_and(|(at, _)| now - *at > MINUTE) {
            self.samples.pop_front();
        }
        let since = |span: Duration| self.samples.iter().find(|(at, _)| now - *at <= span);
        let (minute, recent) = (since(MINUTE), since(RATE));
        let seconds = recent.map_or(0.0, |(at, _)| (now - *at).as_secs_f64());
        let figures = views.iter().zip(&totals).enumerate().map(|(index, (view, totals))| {
            let before = |sample: Option<&(Instant, Vec<Totals>)>| {
                sample.and_then(|(_, all)| all.get(index)).cloned().unwrap_or_default()
            };
            figures(view, totals, &before(minute), &before(recent), seconds)
        });
        let figures = figures.collect();
        self.figures = figures;
        self.samples.push_back((now, totals));
    }

    /// The figures of every service at the last sample.
    pub(super) fn figures(&self) -> &[Figures] {
        &self.figures
    }
}

fn figures(view: &View, now: &Totals, minute: &Totals, recent: &Totals, seconds: f64) -> Figures {
    let waits = view.host.as_ref().map(runtime::Host::not_ready).unwrap_or_default();
    let (state, reason) = match (&view.host, view.is_started()) {
        (None, _) => ("crashed", view.last_error.clone().unwrap_or_default()),
        (Some(_), false) => ("starting", view.last_error.clone().unwrap_or_default()),
        (Some(_), true) if waits.is_empty() => ("ready", String::new()),
        (Some(_), true) => ("not ready", waits.join(", ")),
    };
    let rate = |of: fn(&Totals) -> f64| {
        if seconds > 0.0 { since(of(now), of(recent)) / seconds } else { 0.0 }
    };
    let errors = now.errors.iter().filter_map(|((subject, kind), count)| {
        let key = (subject.clone(), kind.clone());
        let fresh = since(*count, minute.errors.get(&key).copied().unwrap_or_default());
        (fresh > 0.0).then_some((key.0, key.1, fresh))
    });
    let third_parties = now.third_parties.iter().map(|(name, calls)| {
        let before = minute.third_parties.get(name).copied().unwrap_or_default();
        (name.clone(), calls.since(before))
    });
    Figures {
        label: view.label.clone(),
        state,
        reason,
        restarts: view.restarts,
        rate: rate(|totals| totals.served + totals.sent),
        served: rate(|totals| totals.served),
        latency: latency(&now.served_seconds, &minute.served_seconds)
            .or_else(|| latency(&now.sent_seconds, &minute.sent_seconds)),
        errors: errors.collect(),
        third_parties: third_parties.collect(),
    }
}

/// What came on top of `before`; a restarted service counts from zero.
fn since(now: f64, before: f64) -> f64 {
    if now >= before { now - before } else { now }
}

impl Calls {
    fn since(self, before: Self) -> Self {
        Self {
            sent: since(self.sent, before.sent),
            failed: since(self.failed, before.failed),
            repeated: since(self.repeated, before.repeated),
            logins: since(self.logins, before.logins),
            logins_failed: since(self.logins_failed, before.logins_failed),
            sessions: self.sessions,
        }
    }

    /// Both together.
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            sent: self.sent + other.sent,
            failed: self.failed + other.failed,
            repeated: self.repeated + other.repeated,
            logins: self.logins + other.logins,
            logins_failed: self.logins_failed + other.logins_failed,
            sessions: (self.sessions.0 + other.sessions.0, self.sessions.1 + other.sessions.1),
        }
    }
}

impl Totals {
    fn of(families: &[MetricFamily]) -> Self {
        let mut totals = Self::default();
        for family in families {
            for metric in family.get_metric() {
                totals.add(family.name(), family.get_field_type(), metric);
            }
        }
        totals
    }

    fn add(&mut self, name: &str, kind: MetricType, metric: &Metric) {
        let label = |name: &str| {
            let label = metric.get_label().iter().find(|label| label.name() == name);
            label.map_or("", |label| label.value())
        };
        let value = match kind {
            MetricType::GAUGE => metric.get_gauge().get_value(),
            _ => metric.get_counter().get_value(),
        };
        if name == "bus_requests_served_total" || name == "bus_requests_sent_total" {
            let served = name == "bus_requests_served_total";
            *(if served { &mut self.served } else { &mut self.sent }) += value;
            let status = label("status");
            // What a service answers with 5xx counts where it is answered; what is lost counts where it was asked.
            let failed =
                if served { status == "5xx" } else { !matches!(status, "2xx" | "3xx" | "4xx" | "5xx") };
            if failed && value > 0.0 {
                *self.errors.entry((label("subject").to_owned(), status.to_owned())).or_default() += value;
            }
            return;
        }
        match name {
            "bus_serve_duration_seconds" => add_buckets(&mut self.served_seconds, metric),
            "bus_request_duration_seconds" => add_buckets(&mut self.sent_seconds, metric),
            "kre_calls_total" => {
                // The third party has the model's name without the hyphen.
                let calls = self.third_parties.entry(label("model").replace('-', "")).or_default();
                calls.sent += value;
                if label("code") != "OK" {
                    calls.failed += value;
                }
            }
            _ if name.starts_with("upstream_") => {
                let calls = self.third_parties.entry(label("upstream").to_owned()).or_default();
                match name {
                    "upstream_calls_total" => {
                        calls.sent += value;
                        if !matches!(label("outcome"), "2xx" | "3xx") {
                            calls.failed += value;
                        }
                    }
                    "upstream_retries_total" => calls.repeated += value,
                    "upstream_logins_total" if label("outcome") == "ok" => calls.logins += value,
                    "upstream_logins_total" => calls.logins_failed += value,
                    "upstream_logged_in" => {
                        calls.sessions.0 += value;
                        calls.sessions.1 += 1.0;
                    }
                    _ => {}
                }
            }
            _ => {}
        }
    }
}

#[allow(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
fn add_buckets(sum: &mut Vec<(f64, f64)>, metric: &Metric) {
    let histogram = metric.get_histogram();
    let buckets = histogram.get_bucket();
    if sum.is_empty() {
        sum.extend(buckets.iter().map(|bucket| (bucket.upper_bound(), 0.0)));
        sum.push((f64::INFINITY, 0.0));
    }
    let counts = buckets.iter().map(prometheus::proto::Bucket::cumulative_count);
    for ((_, total), count) in sum.iter_mut().zip(counts.chain([histogram.get_sample_count()])) {
        *total += count as f64;
    }
}

/// Median and 99th percentile in milliseconds of what came on top of `before`.
fn latency(now: &[(f64, f64)], before: &[(f64, f64)]) -> Option<(f64, f64)> {
    let before = before.iter().map(|(_, count)| *count).chain(std::iter::repeat(0.0));
    let fresh: Vec<(f64, f64)> =
        now.iter().zip(before).map(|((bound, count), before)| (*bound, since(*count, before))).collect();
    let total = fresh.last().map(|(_, count)| *count).filter(|count| *count > 0.0)?;
    Some((quantile(&fresh, total * 0.5) * 1e3, quantile(&fresh, total * 0.99) * 1e3))
}

/// Interpolates in the bucket in which `rank` lies; of the last, open bucket its lower bound.
fn quantile(buckets: &[(f64, f64)], rank: f64) -> f64 {
    let mut below = (0.0, 0.0);
    for &(bound, count) in buckets {
        if count >= rank {
            let share = if count > below.1 { (rank - below.1) / (count - below.1) } else { 1.0 };
            return if bound.is_finite() { below.0 + (bound - below.0) * share } else { below.0 };
        }
        below = (bound, count);
    }
    below.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry};

    #[test]
    fn errors_count_once_where_they_arise() {
        let registry = Registry::new();
        for name in ["bus_requests_served_total", "bus_requests_sent_total"] {
            let counter = IntCounterVec::new(Opts::new(name, "x"), &["subject", "status"]).unwrap();
            counter.with_label_values(&["a", "2xx"]).inc_by(5);
            counter.with_label_values(&["a", "5xx"]).inc_by(2);
            counter.with_label_values(&["a", "timeout"]).inc();
            registry.register(Box::new(counter)).unwrap();
        }
        let totals = Totals::of(&registry.gather());
        assert_eq!((totals.served, totals.sent), (8.0, 8.0));
        let errors: Vec<_> = totals.errors.iter().map(|((_, kind), count)| (kind.as_str(), *count)).collect();
        assert_eq!(errors, [("5xx", 2.0), ("timeout", 1.0)]);
    }

    #[test]
    fn calls_to_a_model_count_for_its_third_party() {
        let registry = Registry::new();
        let options = Opts::new("kre_calls_total", "x").const_label("model", "email-tagger");
        let counter = IntCounterVec::new(options, &["rpc", "code"]).unwrap();
        counter.with_label_values(&["GetPrediction", "OK"]).inc_by(3);
        counter.with_label_values(&["GetPrediction", "UNAVAILABLE"]).inc();
        registry.register(Box::new(counter)).unwrap();
        let calls = Totals::of(&registry.gather()).third_parties[sandbox::ThirdParty::EmailTagger.name()];
        assert_eq!((calls.sent, calls.failed), (4.0, 1.0));
    }

    #[test]
    fn latencies_are_of_the_requests_on_top() {
        let registry = Registry::new();
        let options = HistogramOpts::new("bus_serve_duration_seconds", "x").buckets(vec![0.001, 0.01, 0.1]);
        let seconds = HistogramVec::new(options, &["subject"]).unwrap();
        registry.register(Box::new(seconds.clone())).unwrap();
        seconds.with_label_values(&["a"]).observe(5.0);
        let before = Totals::of(&registry.gather()).served_seconds;
        for _ in 0..100 {
            seconds.with_label_values(&["b"]).observe(0.005);
        }
        let now = Totals::of(&registry.gather()).served_seconds;
        let (median, high) = latency(&now, &before).unwrap();
        assert!((median - 5.5).abs() < 0.01 && high < 10.0, "{median} {high}");
        assert_eq!(latency(&now, &now), None);
    }

    #[test]
    fn a_restarted_service_counts_from_zero() {
        assert!((since(3.0, 100.0) - 3.0).abs() < f64::EPSILON);
        assert!((since(103.0, 100.0) - 3.0).abs() < f64::EPSILON);
    }
}
