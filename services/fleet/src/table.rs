//! The live table of `fleet up`: services, requests, errors and open tickets.

use std::fmt::Write;

use prometheus::proto::MetricFamily;

use crate::supervisor::View;

/// What one service has done so far.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Figures {
    /// Requests answered.
    pub served: f64,
    /// Requests sent.
    pub sent: f64,
    /// Of both, those that ended in 5xx or without a reply.
    pub errors: f64,
}

impl Figures {
    /// Reads the figures from a service's metrics.
    pub fn of(families: &[MetricFamily]) -> Self {
        let mut figures = Self::default();
        for family in families {
            let total = match family.name() {
                "bus_requests_served_total" => &mut figures.served,
                "bus_requests_sent_total" => &mut figures.sent,
                _ => continue,
            };
            let mut errors = 0.0;
            for metric in family.get_metric() {
                let value = metric.get_counter().get_value();
                *total += value;
                let status = metric.get_label().iter().find(|label| label.name() == "status");
                if !status.is_some_and(|status| matches!(status.value(), "2xx" | "3xx" | "4xx")) {
                    errors += value;
                }
            }
            figures.errors += errors;
        }
        figures
    }
}

/// One line of the table.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The service.
    pub label: String,
    /// `starting`, `ready`, or `crashed`.
    pub state: &'static str,
    /// How often it was restarted.
    pub restarts: u32,
    /// What it has done.
    pub figures: Figures,
}

impl Row {
    /// The row of an instance.
    pub fn of(view: &View) -> Self {
        let state = match (&view.host, view.is_started()) {
            (None, _) => "crashed",
            (Some(_), true) => "ready",
            (Some(_), false) => "starting",
        };
        let figures = view.host.as_ref().map(|host| Figures::of(&host.metrics.gather())).unwrap_or_default();
        Self { label: view.label.clone(), state, restarts: view.restarts, figures }
    }
}

/// The table as text. `seconds` lie between `before` (the rows of the last table, perhaps none) and `rows`.
pub fn render(rows: &[Row], before: &[Row], seconds: f64, open_tickets: Option<usize>) -> String {
    let mut text = format!(
        "{:<42} {:<9} {:>9} {:>9} {:>8} {:>8}\n",
        "service", "state", "requests", "per s", "errors", "restarts"
    );
    for row in rows {
        let all = row.figures.served + row.figures.sent;
        let last = before
            .iter()
            .find(|last| last.label == row.label)
            .map_or(all, |last| last.figures.served + last.figures.sent);
        let rate = if seconds > 0.0 { (all - last).max(0.0) / seconds } else { 0.0 };
        // Writing to a String can not fail.
        let _ = writeln!(
            text,
            "{:<42} {:<9} {:>9} {:>9.1} {:>8} {:>8}",
            row.label, row.state, all, rate, row.figures.errors, row.restarts
        );
    }
    let ready = rows.iter().filter(|row| row.state == "ready").count();
    let _ = write!(text, "{ready}/{} services ready", rows.len());
    if let Some(tickets) = open_tickets {
        let _ = write!(text, ", {tickets} open tickets");
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus::{IntCounterVec, Opts, Registry};

    #[test]
    fn figures_are_read_from_the_bus_s_metrics() {
        let registry = Registry::new();
        for name in ["bus_requests_served_total", "bus_requests_sent_total"] {
            let counter = IntCounterVec::new(Opts::new(name, "x"), &["subject", "status"]).unwrap();
            counter.with_label_values(&["a", "2xx"]).inc_by(5);
            counter.with_label_values(&["a", "5xx"]).inc_by(2);
            counter.with_label_values(&["b", "timeout"]).inc();
            registry.register(Box::new(counter)).unwrap();
        }
        assert_eq!(Figures::of(&registry.gather()), Figures { served: 8.0, sent: 8.0, errors: 6.0 });
    }

    #[test]
    fn the_table_shows_rates_since_the_last_one() {
        let row = |served| Row {
            label: "bruin-bridge".into(),
            state: "ready",
            restarts: 0,
            figures: Figures { served, sent: 0.0, errors: 1.0 },
        };
        insta::assert_snapshot!(render(&[row(30.0)], &[row(10.0)], 2.0, Some(3)), @r"
        service                                    state      requests     per s   errors restarts
        bruin-bridge                               ready            30      10.0        1        0
        1/1 services ready, 3 open tickets
        ");
    }
}
