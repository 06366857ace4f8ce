//! Metrics by the names which the dashboards know (spec "Metrics").

use prometheus::{Gauge, IntCounter, IntCounterVec, Opts, Registry};

/// The metrics of both modes; those of the other mode stay 0.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Tickets created.
    pub tickets: IntCounter,
    /// Lines auto-resolved.
    pub autoresolved: IntCounter,
    /// Lines re-opened by us.
    pub reopened: IntCounter,
    /// Edges with a record, per cycle.
    pub edges: IntCounter,
    /// Documentation notes answered 503.
    pub first_triage_errors: IntCounter,
    /// Minutes of the last complete cycle.
    pub cycle_minutes: Gauge,
    /// Hosts, tickets and edges whose handling failed unexpectedly.
    pub failures: IntCounter,
    /// Triage: lines that had a triage note and were not left alone because of its age.
    pub with_triage: IntCounter,
    /// Triage: initial notes appended.
    pub without_triage: IntCounter,
    /// Triage: notes of events appended.
    pub events_notes: IntCounter,
    /// Triage: failed lists of open tickets.
    pub open_ticket_errors: IntCounter,
    /// Triage: notes answered 503.
    pub triage_errors: IntCounter,
    /// Triage: lines by `had_note` (`yes`, `no`) and `outcome`, a closed list of words and rules.
    pub triage_lines: IntCounterVec,
}

impl Metrics {
    /// Registers all metrics.
    ///
    /// # Errors
    /// When one of them is registered already.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counter = |name: &str, help: &str| -> Result<IntCounter, prometheus::Error> {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone()))?;
            Ok(counter)
        };
        // Nobody counts these any more; dashboards still query them.
        counter("max_retry_error_counter_total", "Never incremented")?;
        counter("temp_cache_error_counter_total", "Never incremented")?;
        counter("monitor_map_error_counter_total", "Never incremented")?;
        let cycle_minutes = Gauge::new("cycle_runtime_gauge", "Minutes of the last complete cycle")?;
        registry.register(Box::new(cycle_minutes.clone()))?;
        let triage_lines = IntCounterVec::new(
            Opts::new(
                "triage_lines_total",
                "Lines looked at by triage, by whether they had a note and what came of it",
            ),
            &["had_note", "outcome"],
        )?;
        registry.register(Box::new(triage_lines.clone()))?;
        Ok(Self {
            tickets: counter("outage_ticket_counter_total", "Tickets created")?,
            autoresolved: counter("autoresolve_counter_total", "Lines auto-resolved")?,
            reopened: counter("reopened_counter_total", "Lines re-opened")?,
            edges: counter("outage_monitoring_edge_counter_total", "Edges looked at")?,
            first_triage_errors: counter(
                "first_triage_error_counter_total",
                "Documentation notes answered 503",
            )?,
            failures: counter(
                "outage_monitoring_failures_total",
                "Hosts, tickets and edges whose handling failed",
            )?,
            cycle_minutes,
            with_triage: counter(
                "tickets_with_triage_counter_total",
                "Lines handled which had a triage note",
            )?,
            without_triage: counter("tickets_without_triage_counter_total", "Initial triage notes appended")?,
            events_notes: counter("triage_note_counter_total", "Events notes appended")?,
            open_ticket_errors: counter("open_ticket_error_counter_total", "Failed lists of open tickets")?,
            triage_errors: counter("triage_error_note_counter_total", "Triage notes answered 503")?,
            triage_lines,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_metrics_of_both_modes_are_there_from_the_start() {
        let registry = Registry::new();
        let _metrics = Metrics::register(&registry).unwrap();
        let text = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
        for name in [
            "outage_ticket_counter_total",
            "autoresolve_counter_total",
            "reopened_counter_total",
            "outage_monitoring_edge_counter_total",
            "first_triage_error_counter_total",
            "max_retry_error_counter_total",
            "temp_cache_error_counter_total",
            "cycle_runtime_gauge",
            "tickets_with_triage_counter_total",
            "tickets_without_triage_counter_total",
            "triage_note_counter_total",
            "open_ticket_error_counter_total",
            "triage_error_note_counter_total",
            "monitor_map_error_counter_total",
        ] {
            assert!(text.contains(&format!("\n{name} 0\n")), "{name}");
        }
    }
}
