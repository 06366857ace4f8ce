//! When the monitors looked last, and when they look next: what `GET /_jobs` of every service says.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Deserialize;

use crate::supervisor::View;

/// How long one answer may take.
const PATIENCE: Duration = Duration::from_millis(500);

/// A job of a service.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct Job {
    /// The service, see [`crate::supervisor::Instance::label`].
    #[serde(skip)]
    pub(super) service: String,
    /// The job.
    pub(super) id: String,
    /// `every 60 s`, `once`, ...
    plan: String,
    /// When it is due, by the world's clock.
    pub(super) next: Option<DateTime<Utc>>,
    /// Since when it runs.
    pub(super) running_since: Option<DateTime<Utc>>,
    last: Option<Run>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Run {
    outcome: String,
    started: DateTime<Utc>,
    seconds: f64,
}

#[derive(Deserialize)]
struct Report {
    scheduled: Vec<Job>,
}

impl Job {
    /// Whether it is repeated: a cycle.
    pub(super) fn is_cycle(&self) -> bool {
        self.plan != "once"
    }

    /// When its last run began, and how many seconds it took.
    pub(super) fn last(&self) -> Option<(DateTime<Utc>, f64)> {
        self.last.as_ref().map(|run| (run.started, run.seconds))
    }

    /// Whether its last run failed.
    pub(super) fn failed(&self) -> bool {
        self.last.as_ref().is_some_and(|run| run.outcome != "success")
    }

    /// Whether it belongs to a monitored host, by the service's label.
    pub(super) fn watches(&self, host: &str) -> bool {
        self.service.ends_with(host)
    }
}

/// Asks all services.
pub(super) async fn ask(client: &reqwest::Client, views: &[View]) -> Vec<Job> {
    let ask = |view: View| async move {
        let port = view.status().and_then(|status| status.borrow().http_port())?;
        let url = format!("http://127.0.0.1:{port}/_jobs");
        let text = client.get(url).timeout(PATIENCE).send().await.ok()?.bytes().await.ok()?;
        let mut report: Report = serde_json::from_slice(&text).ok()?;
        for job in &mut report.scheduled {
            job.service.clone_from(&view.label);
        }
        Some(report.scheduled)
    };
    let answers = futures::future::join_all(views.iter().cloned().map(ask)).await;
    answers.into_iter().flatten().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_of_a_service_is_read() {
        let text = r#"{"scheduled": [{"id": "monitoring_cycle", "plan": "every 60 s", "next": "2022-01-31T15:01:00.000Z",
            "running_since": null, "runs": 1, "skipped_ticks": 0,
            "last": {"outcome": "success", "started": "2022-01-31T15:00:00.000Z", "seconds": 0.25}}],
            "once_running": [], "once_finished": []}"#;
        let job = serde_json::from_str::<Report>(text).unwrap().scheduled.remove(0);
        assert!(job.is_cycle() && !job.failed());
        assert_eq!(job.last().map(|(_, seconds)| seconds), Some(0.25));
        assert_eq!(job.next.map(|next| next.to_rfc3339()), Some("2022-01-31T15:01:00+00:00".to_owned()));
    }
}
