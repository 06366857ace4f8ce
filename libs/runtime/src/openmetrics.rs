//! Metrics in the text format of OpenMetrics 1.0.0, and whether a scraper asks for it (spec `00-messaging`, "Metrics server").
//!
//! It differs from the older text format in the names of counters (the family is without `_total`, its samples are with
//! it), in what is escaped, in how bounds of buckets are written, and by its end mark. No timestamps are written: nothing
//! in a process sets any.

use std::fmt::{self, Display, Write as _};

use axum::http::{HeaderMap, header};
use prometheus::proto::{LabelPair, Metric, MetricFamily, MetricType};

/// The content type of what [`encode`] writes.
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Writes families as gathered from a registry.
///
/// # Errors
/// Never: text takes whatever is written.
pub(crate) fn encode(families: &[MetricFamily]) -> Result<String, fmt::Error> {
    let mut text = String::new();
    for family in families {
        write_family(&mut text, family)?;
    }
    text.push_str("# EOF\n");
    Ok(text)
}

fn write_family(text: &mut String, family: &MetricFamily) -> fmt::Result {
    let kind = family.get_field_type();
    let name = match kind {
        MetricType::COUNTER => family.name().strip_suffix("_total").unwrap_or(family.name()),
        _ => family.name(),
    };
    let word = match kind {
        MetricType::COUNTER => "counter",
        MetricType::GAUGE => "gauge",
        MetricType::HISTOGRAM => "histogram",
        MetricType::SUMMARY => "summary",
        MetricType::UNTYPED => "unknown",
    };
    if !family.help().is_empty() {
        writeln!(text, "# HELP {name} {}", Escaped(family.help()))?;
    }
    writeln!(text, "# TYPE {name} {word}")?;
    for metric in family.get_metric() {
        let mut samples = Samples { text: &mut *text, name, labels: metric.get_label() };
        match kind {
            MetricType::COUNTER => samples.write("_total", None, Number(metric.get_counter().get_value()))?,
            MetricType::GAUGE => samples.write("", None, Number(metric.get_gauge().get_value()))?,
            MetricType::HISTOGRAM => write_histogram(&mut samples, metric)?,
            MetricType::SUMMARY => write_summary(&mut samples, metric)?,
            // The library can neither make nor tell the value of one.
            MetricType::UNTYPED => {}
        }
    }
    Ok(())
}

fn write_histogram(samples: &mut Samples<'_>, metric: &Metric) -> fmt::Result {
    let histogram = metric.get_histogram();
    for bucket in histogram.get_bucket().iter().filter(|bucket| bucket.upper_bound() < f64::INFINITY) {
        samples.write("_bucket", Some(("le", bucket.upper_bound())), bucket.cumulative_count())?;
    }
    samples.write("_bucket", Some(("le", f64::INFINITY)), histogram.get_sample_count())?;
    samples.write("_sum", None, Number(histogram.get_sample_sum()))?;
    samples.write("_count", None, histogram.get_sample_count())
}

fn write_summary(samples: &mut Samples<'_>, metric: &Metric) -> fmt::Result {
    let summary = metric.get_summary();
    for quantile in summary.get_quantile() {
        samples.write("", Some(("quantile", quantile.quantile())), Number(quantile.value()))?;
    }
    samples.write("_sum", None, Number(summary.sample_sum()))?;
    samples.write("_count", None, summary.sample_count())
}

/// Where the samples of one metric go: they share its name and labels.
struct Samples<'a> {
    text: &'a mut String,
    name: &'a str,
    labels: &'a [LabelPair],
}

impl Samples<'_> {
    fn write(&mut self, suffix: &str, further: Option<(&str, f64)>, value: impl Display) -> fmt::Result {
        write!(self.text, "{}{suffix}", self.name)?;
        let mut before = "{";
        for label in self.labels {
            write!(self.text, "{before}{}=\"{}\"", label.name(), Escaped(label.value()))?;
            before = ",";
        }
        if let Some((name, bound)) = further {
            write!(self.text, "{before}{name}=\"{}\"", Bound(bound))?;
            before = ",";
        }
        let after = if before == "," { "}" } else { "" };
        writeln!(self.text, "{after} {value}")
    }
}

/// Help and label values alike.
struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for letter in self.0.chars() {
            match letter {
                '\\' => out.write_str(r"\\")?,
                '\n' => out.write_str(r"\n")?,
                '"' => out.write_str(r#"\""#)?,
                other => out.write_char(other)?,
            }
        }
        Ok(())
    }
}

/// The value of a sample.
struct Number(f64);

impl Display for Number {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_infinite() {
            out.write_str(if self.0 > 0.0 { "+Inf" } else { "-Inf" })
        } else {
            Display::fmt(&self.0, out)
        }
    }
}

/// A number that identifies a sample, as a label: written alike by everyone, `1.0` and not `1`, `1e+06` and not `1000000`
/// ("Canonical Numbers").
struct Bound(f64);

impl Display for Bound {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scientific = format!("{:e}", self.0);
        let parts = scientific.split_once('e');
        match parts.and_then(|(digits, power)| Some((digits, power.parse::<i32>().ok()?))) {
            Some((digits, power)) if !(-4..6).contains(&power) => {
                let sign = if power < 0 { '-' } else { '+' };
                write!(out, "{digits}e{sign}{:02}", power.abs())
            }
            Some(_) => write!(out, "{:?}", self.0),
            None => Number(self.0).fmt(out),
        }
    }
}

/// Whether the `Accept` header prefers OpenMetrics to the older text format. Without one nobody does, nor when it likes
/// both alike, unless it names OpenMetrics and has the other only among `*/*`.
pub(crate) fn is_preferred(headers: &HeaderMap) -> bool {
    let accept = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let ranges: Vec<Range<'_>> = accept.flat_map(|value| value.split(',')).filter_map(Range::read).collect();
    let openmetrics = liking(&ranges, "application", "openmetrics-text", "1.0.0");
    openmetrics.0 > 0.0 && openmetrics > liking(&ranges, "text", "plain", "0.0.4")
}

/// How much a format is liked, by the range that fits it most closely; among equal likings the closer fit counts.
fn liking(ranges: &[Range<'_>], kind: &str, subkind: &str, version: &str) -> (f64, u8) {
    let fitting =
        ranges.iter().filter_map(|range| Some((range.fits(kind, subkind, version)?, range.quality)));
    let closest = fitting.max_by(|(one, first), (two, second)| one.cmp(two).then(first.total_cmp(second)));
    closest.map_or((0.0, 0), |(closeness, quality)| (quality, closeness))
}

/// A media range of `Accept` (RFC 9110, 12.5.1).
struct Range<'a> {
    kind: &'a str,
    subkind: &'a str,
    version: Option<&'a str>,
    quality: f64,
}

impl<'a> Range<'a> {
    /// `None` for what is no media range.
    fn read(text: &'a str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let (kind, subkind) = parts.next()?.split_once('/')?;
        let mut range = Self { kind, subkind, version: None, quality: 1.0 };
        for (name, value) in parts.filter_map(|part| part.split_once('=')) {
            let value = value.trim().trim_matches('"');
            match name.trim().to_ascii_lowercase().as_str() {
                "version" => range.version = Some(value),
                "q" => range.quality = value.parse().ok().filter(|quality| (0.0..=1.0).contains(quality))?,
                // The character set is UTF-8 in any case; names that would need other escapes there are none.
                _ => {}
            }
        }
        Some(range)
    }

    /// How closely it fits a format: 3 by its name, 2 by the first half of it, 1 by `*/*`.
    fn fits(&self, kind: &str, subkind: &str, version: &str) -> Option<u8> {
        if self.version.is_some_and(|wanted| wanted != version) {
            return None;
        }
        match (self.kind, self.subkind) {
            ("*", "*") => Some(1),
            (same, "*") if same.eq_ignore_ascii_case(kind) => Some(2),
            (same, also) if same.eq_ignore_ascii_case(kind) && also.eq_ignore_ascii_case(subkind) => Some(3),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;
    use prometheus::proto::{Quantile, Summary};
    use prometheus::{
        Gauge, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, Registry,
    };

    fn registry() -> Registry {
        let registry = Registry::new();
        let calls = Opts::new("calls_total", "Calls by \"name\",\nand C:\\path");
        let calls = IntCounterVec::new(calls, &["name", "outcome"]).unwrap();
        calls.with_label_values(&["a \"b\"\\c\nd", "ok"]).inc_by(3);
        calls.with_label_values(&["ñ", ""]).inc();
        registry.register(Box::new(calls)).unwrap();
        let plain = IntCounter::new("tickets", "Tickets").unwrap();
        registry.register(Box::new(plain)).unwrap();
        for (name, value) in [("free", 0.25), ("limit", f64::INFINITY), ("none", f64::NAN), ("owed", -2.0)] {
            let gauge = Gauge::new(name, "A gauge").unwrap();
            gauge.set(value);
            registry.register(Box::new(gauge)).unwrap();
        }
        let options = HistogramOpts::new("call_seconds", "Durations").buckets(vec![0.005, 1.0, 1e6]);
        let seconds = HistogramVec::new(options, &["name"]).unwrap();
        for value in [0.001, 0.5, 0.5, 2e6] {
            seconds.with_label_values(&["a"]).observe(value);
        }
        registry.register(Box::new(seconds)).unwrap();
        let options = HistogramOpts::new("wait_seconds", "Waits").buckets(vec![10.0]);
        registry.register(Box::new(Histogram::with_opts(options).unwrap())).unwrap();
        registry
    }

    #[test]
    fn every_kind_of_metric_is_written_as_openmetrics_has_it() {
        let expected = r#"# HELP call_seconds Durations
# TYPE call_seconds histogram
call_seconds_bucket{name="a",le="0.005"} 1
call_seconds_bucket{name="a",le="1.0"} 3
call_seconds_bucket{name="a",le="1e+06"} 3
call_seconds_bucket{name="a",le="+Inf"} 4
call_seconds_sum{name="a"} 2000001.001
call_seconds_count{name="a"} 4
# HELP calls Calls by \"name\",\nand C:\\path
# TYPE calls counter
calls_total{name="a \"b\"\\c\nd",outcome="ok"} 3
calls_total{name="ñ",outcome=""} 1
# HELP free A gauge
# TYPE free gauge
free 0.25
# HELP limit A gauge
# TYPE limit gauge
limit +Inf
# HELP none A gauge
# TYPE none gauge
none NaN
# HELP owed A gauge
# TYPE owed gauge
owed -2
# HELP tickets Tickets
# TYPE tickets counter
tickets_total 0
# HELP wait_seconds Waits
# TYPE wait_seconds histogram
wait_seconds_bucket{le="10.0"} 0
wait_seconds_bucket{le="+Inf"} 0
wait_seconds_sum 0
wait_seconds_count 0
# EOF
"#;
        assert_eq!(encode(&registry().gather()).unwrap(), expected);
    }

    #[test]
    fn no_metrics_are_the_end_mark_alone() {
        assert_eq!(encode(&[]).unwrap(), "# EOF\n");
    }

    #[test]
    fn summaries_have_quantiles_and_families_may_lack_help() {
        let mut quantile = Quantile::default();
        quantile.set_quantile(0.5);
        quantile.set_value(7.0);
        let mut summary = Summary::default();
        summary.set_quantile(vec![quantile]);
        summary.set_sample_count(2);
        summary.set_sample_sum(14.0);
        let mut metric = Metric::from_label(Vec::new());
        metric.set_summary(summary);
        let mut family = MetricFamily::default();
        family.set_name("size".to_owned());
        family.set_field_type(MetricType::SUMMARY);
        family.set_metric(vec![metric]);
        let expected = "# TYPE size summary\nsize{quantile=\"0.5\"} 7\nsize_sum 14\nsize_count 2\n# EOF\n";
        assert_eq!(encode(&[family]).unwrap(), expected);
    }

    #[test]
    fn bounds_are_canonical_numbers() {
        for (bound, text) in [
            (0.0, "0.0"),
            (1.0, "1.0"),
            (-1.0, "-1.0"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (2.5e-10, "2.5e-10"),
            (100_000.0, "100000.0"),
            (1_000_000.0, "1e+06"),
            (1_500_000.0, "1.5e+06"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(Bound(bound).to_string(), text);
        }
    }

    #[test]
    fn openmetrics_is_for_those_who_prefer_it() {
        for (accept, openmetrics) in [
            ("", false),
            ("*/*", false),
            ("text/plain", false),
            ("text/html, */*;q=0.1", false),
            ("image/png", false),
            ("application/openmetrics-text", true),
            ("Application/OpenMetrics-Text; Version=1.0.0; charset=utf-8", true),
            ("application/openmetrics-text; version=\"1.0.0\"", true),
            ("application/openmetrics-text; version=0.0.1", false),
            ("application/openmetrics-text; version=2.0.0, text/plain;q=0.1", false),
            // Prometheus 2 and 3.
            (
                "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                 text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                true,
            ),
            (
                "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
                 application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,\
                 text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
                true,
            ),
            ("text/plain;version=0.0.4;q=0.5, application/openmetrics-text;q=0.4", false),
            ("text/plain;q=0.4, application/openmetrics-text; q = 0.5", true),
            // Liked alike: the older one, unless only the newer one is named.
            ("application/openmetrics-text, text/plain", false),
            ("application/openmetrics-text, */*", true),
            ("application/openmetrics-text, text/*", true),
            ("application/openmetrics-text;q=0.5, */*", false),
            // The closest range counts: what is unwanted by name is not wanted by `*/*`.
            ("application/openmetrics-text;q=0, */*", false),
            ("application/openmetrics-text;q=0", false),
            ("text/plain;q=0, */*;q=0.1", true),
            ("application/*", true),
            // What cannot be read counts for nothing.
            ("application/openmetrics-text;q=high", false),
            ("application/openmetrics-text;q=1.5, text/plain;q=0.1", false),
            (";;,/,openmetrics", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
            assert_eq!(is_preferred(&headers), openmetrics, "{accept}");
        }
        assert!(!is_preferred(&HeaderMap::new()));
    }

    #[test]
    fn accept_may_come_in_several_headers() {
        let mut headers = HeaderMap::new();
        headers.append(header::ACCEPT, HeaderValue::from_static("text/plain;q=0.5"));
        headers.append(header::ACCEPT, HeaderValue::from_static("application/openmetrics-text"));
        assert!(is_preferred(&headers));
    }
}
