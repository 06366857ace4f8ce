//! The results of tests: the list, and the details of one.

use axum::extract::{Path, RawQuery, State};
use axum::response::Response;
use chrono::{DateTime, NaiveDateTime, Utc};
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::probes::time;
use super::{Page, Query, Refusal, check};
use crate::Simulation;
use crate::http::json as answer;
use crate::world::probes::{Metric, Outcome, Run};

/// `GET testsresults`: newest first, of one probe (`probeFrom`) or of all, from `startDate` to `endDate`.
pub(super) async fn list(
    State(simulation): State<Simulation>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    check(&simulation, &headers)?;
    let query = Query::of(query);
    let window = query.window()?;
    let from = date(&query, "startDate")?;
    let until = date(&query, "endDate")?;
    let now = simulation.world.now();
    Ok(simulation.world.probes(|probes| {
        let runs = probes.runs(query.text("probeFrom"), from, until, now);
        let records = runs.page(window.offset, window.limit).map(|run| summary(&run)).collect();
        Page::of(window, runs.len(), records)
    }))
}

/// `GET testsresults/{id}`: what was measured.
pub(super) async fn one(
    State(simulation): State<Simulation>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    check(&simulation, &headers)?;
    let now = simulation.world.now();
    let found = simulation
        .world
        .probes(|probes| id.parse().ok().and_then(|id| probes.run_by_id(id, now)).map(|run| details(&run)));
    match found {
        Some(details) => Ok(answer(&details)),
        None => Err(Refusal(StatusCode::NOT_FOUND, "no such test result".to_owned())),
    }
}

fn summary(run: &Run<'_>) -> Value {
    let outcome = run.outcome();
    json!({
        "id": run.id.to_string(),
        "date": time(run.at),
        "duration": 60,
        "meshId": 0,
        "mesh": 0,
        "module": run.module(),
        "probeFrom": run.probe.name,
        "probeTo": "192.0.2.8",
        "reasonCause": if outcome == Outcome::Error { "Destination not reachable" } else { "" },
        "status": outcome.name(),
        "testId": run.test_id().to_string(),
        "testOptions": "Destination Servers: 192.0.2.8 Interval: 20 ms",
        "testTag": "Core",
        "testType": run.test.name(),
        "userId": "1",
    })
}

fn details(run: &Run<'_>) -> Value {
    let metric = |metric: Metric| {
        json!({
            "metric": metric.name,
            "pairName": metric.pair,
            "value": metric.value,
            "threshold": metric.threshold,
            "thresholdType": metric.threshold_type,
            "status": metric.status,
        })
    };
    json!({
        "id": run.id.to_string(),
        "date": time(run.at),
        "duration": "60",
        "parameters": "Interval: 20 ms",
        "status": run.outcome().name(),
        "metrics": run.metrics().into_iter().map(metric).collect::<Vec<_>>(),
    })
}

/// `YYYY-MM-DD HH:MM:SS`, also with a fraction or in ISO form, in UTC.
fn date(query: &Query, name: &str) -> Result<Option<DateTime<Utc>>, Refusal> {
    let Some(text) = query.text(name) else { return Ok(None) };
    let text = text.trim().replacen(' ', "T", 1);
    let local = || text.parse::<NaiveDateTime>().map(|time| time.and_utc());
    let read = DateTime::parse_from_rfc3339(&text).map(Into::into).or_else(|_| local());
    read.map(Some).map_err(|_| Refusal::bad(format!("{name} is no date")))
}
