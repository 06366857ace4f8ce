//! `fleet services`: the services that run, as they show themselves (`$SRV.STATS` of the NATS service API).

use std::{fmt::Write, time::Duration};

use anyhow::bail;
use async_nats::Client;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::StreamExt;
use serde::Deserialize;
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use crate::{Said, cli::Services, place::Place, replay::Surroundings};

/// How long all may take to answer, and how long after the last answer another one may come.
const WITHIN: Duration = Duration::from_secs(2);
const QUIET: Duration = Duration::from_millis(300);
/// More answers than these are not read.
const MOST: usize = 10_000;

/// A service's own figures.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Service {
    name: String,
    id: String,
    version: String,
    started: Option<DateTime<Utc>>,
    endpoints: Vec<Endpoint>,
}

/// The figures of one subject.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Endpoint {
    subject: String,
    queue_group: String,
    num_requests: u64,
    num_errors: u64,
    last_error: String,
    /// Nanoseconds.
    processing_time: u64,
}

/// Lists what runs.
///
/// # Errors
/// When NATS does not answer, or nobody does.
pub async fn run(options: &Services, around: &Surroundings) -> anyhow::Result<Said> {
    let place = Place::find(options.nats.as_deref(), &around.environment, &around.folder)?;
    let answers = ask(&place.connect().await?, "$SRV.STATS", |_| false).await?;
    if answers.is_empty() {
        bail!(
            "no service answers at {}: none runs there, or only such as cannot be discovered",
            place.servers()
        );
    }
    if options.json {
        let answers: Vec<Value> =
            answers.iter().filter_map(|answer| serde_json::from_slice(answer).ok()).collect();
        return Ok(Said::ok(serde_json::to_string_pretty(&answers)? + "\n"));
    }
    let mut services = read(&answers);
    services.sort_by(|one, two| (&one.name, &one.id).cmp(&(&two.name, &two.id)));
    Ok(Said::ok(table(&services, options.subjects, Utc::now())))
}

/// Whether somebody who can be discovered serves a subject.
pub(crate) async fn serve(client: &Client, subject: &str) -> bool {
    let mut found = false;
    let serves = |answer: &Bytes| {
        let services = read(std::slice::from_ref(answer));
        found |= services.iter().flat_map(|service| &service.endpoints).any(|known| known.subject == subject);
        found
    };
    let _ = ask(client, "$SRV.INFO", serves).await;
    found
}

fn read(answers: &[Bytes]) -> Vec<Service> {
    answers.iter().filter_map(|answer| serde_json::from_slice(answer).ok()).collect()
}

/// The answers of all to a question of the service API, or those up to one that is `enough`.
async fn ask(
    client: &Client,
    question: &'static str,
    mut enough: impl FnMut(&Bytes) -> bool,
) -> anyhow::Result<Vec<Bytes>> {
    let inbox = client.new_inbox();
    let mut replies = client.subscribe(inbox.clone()).await?;
    client.publish_with_reply(question, inbox, Bytes::new()).await?;
    let end = Instant::now() + WITHIN;
    let mut answers = Vec::new();
    let mut quiet = end;
    while let Ok(Some(reply)) = timeout_at(quiet.min(end), replies.next()).await {
        // Nobody listens.
        if reply.status.is_some() || answers.len() >= MOST {
            break;
        }
        let last = enough(&reply.payload);
        answers.push(reply.payload);
        if last {
            break;
        }
        quiet = Instant::now() + QUIET;
    }
    Ok(answers)
}

fn table(services: &[Service], with_subjects: bool, now: DateTime<Utc>) -> String {
    let mut text = format!(
        "{:<34} {:<9} {:>9} {:>9} {:>10} {:>8} {:>10}\n",
        "service", "version", "up", "subjects", "requests", "errors", "mean ms"
    );
    for service in services {
        let sum = |of: fn(&Endpoint) -> u64| service.endpoints.iter().map(of).sum::<u64>();
        let requests = sum(|endpoint| endpoint.num_requests);
        // Writing to a String can not fail.
        let _ = writeln!(
            text,
            "{:<34} {:<9} {:>9} {:>9} {:>10} {:>8} {:>10}",
            service.name,
            service.version,
            up(service.started, now),
            service.endpoints.len(),
            requests,
            sum(|endpoint| endpoint.num_errors),
            mean(sum(|endpoint| endpoint.processing_time), requests),
        );
        if !with_subjects {
            continue;
        }
        for endpoint in &service.endpoints {
            let _ = write!(
                text,
                "  {:<62} {:>10} {:>8} {:>10}",
                format!("{}  ({})", endpoint.subject, endpoint.queue_group),
                endpoint.num_requests,
                endpoint.num_errors,
                mean(endpoint.processing_time, endpoint.num_requests),
            );
            let error: String = endpoint.last_error.chars().take(80).collect();
            let _ = if error.is_empty() { writeln!(text) } else { writeln!(text, "  {error}") };
        }
    }
    let _ = writeln!(text, "{} services", services.len());
    text
}

fn mean(nanoseconds: u64, requests: u64) -> String {
    match nanoseconds.checked_div(requests) {
        None => "-".to_owned(),
        Some(mean) => format!("{}.{}", mean / 1_000_000, mean / 100_000 % 10),
    }
}

/// E.g. `3 d 4 h`.
fn up(since: Option<DateTime<Utc>>, now: DateTime<Utc>) -> String {
    let Some(span) = since.map(|since| now - since) else { return "-".to_owned() };
    let (days, hours, minutes) = (span.num_days(), span.num_hours() % 24, span.num_minutes() % 60);
    match (days, hours) {
        (0, 0) if minutes == 0 => format!("{} s", span.num_seconds().max(0)),
        (0, 0) => format!("{minutes} min"),
        (0, _) => format!("{hours} h {minutes} m"),
        _ => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_stand_below_each_other_with_their_sums() {
        let endpoint = |subject: &str, requests, errors, last: &str| Endpoint {
            subject: subject.into(),
            queue_group: "digi_bridge".into(),
            num_requests: requests,
            num_errors: errors,
            last_error: last.into(),
            processing_time: requests * 2_500_000,
        };
        let service = Service {
            name: "digi-bridge".into(),
            id: "1".into(),
            version: "0.1.0".into(),
            started: Some("2022-01-31T10:00:00Z".parse().unwrap()),
            endpoints: vec![
                endpoint("digi.reboot", 4, 1, "status 502"),
                endpoint("get.digi.recovery.logs", 0, 0, ""),
            ],
        };
        let now = "2022-02-03T14:30:00Z".parse().unwrap();
        insta::assert_snapshot!(table(&[service], true, now), @r"
        service                            version          up  subjects   requests   errors    mean ms
        digi-bridge                        0.1.0       3 d 4 h         2          4        1        2.5
          digi.reboot  (digi_bridge)                                              4        1        2.5  status 502
          get.digi.recovery.logs  (digi_bridge)                                   0        0          -
        1 services
        ");
    }

    #[test]
    fn an_answer_of_another_implementation_is_read_as_far_as_it_goes() {
        let answers =
            [Bytes::from(r#"{"name": "x", "endpoints": [{"subject": "a"}], "new": 1}"#), "x".into()];
        let services = read(&answers);
        assert_eq!((services.len(), services[0].endpoints[0].subject.as_str()), (1, "a"));
    }
}
