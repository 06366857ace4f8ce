//! Keeps what the page shows up to date, in the background.

use std::time::{Duration, Instant};

use async_nats::ConnectOptions;
use decisions::Record;
use futures::StreamExt;
use runtime::Environment;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{MissedTickBehavior, interval};

use super::{
    Page, engine, jobs,
    ledger::{Ledger, Place},
};

/// How often metrics and jobs are looked at.
const LOOK: Duration = Duration::from_secs(1);
/// Share of the newest second in a third party's calls per second.
const WEIGHT: f64 = 0.25;

/// Starts all watchers; they end with the page's stop.
pub(super) fn start(page: &Page) {
    spawn(page, meters);
    spawn(page, plans);
    spawn(page, world);
    spawn(page, decisions);
}

fn spawn<F: Future<Output = ()> + Send + 'static>(page: &Page, watch: impl FnOnce(Page) -> F) {
    let stop = page.0.stop.clone();
    tokio::spawn(stop.run_until_cancelled_owned(watch(page.clone())));
}

async fn meters(page: Page) {
    let mut tick = interval(LOOK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut received: Option<Vec<u64>> = None;
    loop {
        tick.tick().await;
        page.0.meters.lock().sample(&page.0.sources.services.now(), Instant::now());
        if let Some(simulation) = &page.0.sources.simulation {
            let now = engine::received(simulation);
            let before = received.replace(now.clone()).unwrap_or_else(|| now.clone());
            smooth(&mut page.0.rates.lock(), &before, &now);
        }
        page.changed();
    }
}

/// Adds one second's calls to running means.
#[allow(clippy::cast_precision_loss, reason = "calls of one second")]
fn smooth(rates: &mut Vec<f64>, before: &[u64], now: &[u64]) {
    rates.resize(now.len(), 0.0);
    for ((rate, before), now) in rates.iter_mut().zip(before).zip(now) {
        let fresh = now.saturating_sub(*before) as f64;
        *rate = *rate * (1.0 - WEIGHT) + fresh * WEIGHT;
        // What is next to nothing reads as nothing.
        if *rate < 0.05 {
            *rate = 0.0;
        }
    }
}

async fn plans(page: Page) {
    let client = reqwest::Client::new();
    let mut tick = interval(LOOK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let jobs = jobs::ask(&client, &page.0.sources.services.now()).await;
        *page.0.jobs.lock() = jobs;
    }
}

async fn world(page: Page) {
    let Some(simulation) = page.0.sources.simulation.clone() else { return };
    let mut changes = simulation.world.changes();
    loop {
        match changes.recv().await {
            Ok(_) | Err(RecvError::Lagged(_)) => page.changed(),
            Err(RecvError::Closed) => return,
        }
    }
}

/// Follows the decisions' ledger: every record passes its subject.
async fn decisions(page: Page) {
    let client = match connect(&page.0.sources.environment).await {
        Ok(client) => client,
        Err(error) => {
            tracing::warn!(%error, "the page shows no decisions: the ledger cannot be followed");
            return;
        }
    };
    let mut messages = match client.subscribe("decisions.>").await {
        Ok(messages) => messages,
        Err(error) => {
            tracing::warn!(%error, "the page shows no decisions: the ledger cannot be followed");
            return;
        }
    };
    while let Some(message) = messages.next().await {
        let context = message.headers.as_ref().and_then(|headers| headers.get(decisions::TRACE_CONTEXT));
        let place = context.and_then(|context| Place::of(context.as_str()));
        let records: Vec<Record> = serde_json::Deserializer::from_slice(&message.payload)
            .into_iter()
            .filter_map(Result::ok)
            .collect();
        add(&mut page.0.ledger.lock(), records, place.as_ref());
        page.changed();
    }
}

fn add(ledger: &mut Ledger, records: Vec<Record>, place: Option<&Place>) {
    for record in records {
        ledger.add(record, place.cloned());
    }
}

async fn connect(environment: &Environment) -> anyhow::Result<async_nats::Client> {
    let get = |name: &str| environment.get(name).unwrap_or_default().to_owned();
    let servers = get("NATS_SERVER1");
    let servers: Vec<&str> = servers.split(',').map(str::trim).filter(|server| !server.is_empty()).collect();
    let mut options = ConnectOptions::new().name("fleet page").retry_on_initial_connect();
    if environment.get("NATS_USER").is_some() {
        options = options.user_and_password(get("NATS_USER"), get("NATS_PASSWORD"));
    }
    if environment.get("NATS_CREDS_FILE").is_some() {
        options = options.credentials_file(get("NATS_CREDS_FILE")).await?;
    }
    if environment.get("NATS_CA_FILE").is_some() {
        options = options.add_root_certificates(get("NATS_CA_FILE").into()).require_tls(true);
    }
    Ok(options.connect(servers).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_smooth_and_come_to_rest() {
        let mut rates = Vec::new();
        for _ in 0..30 {
            smooth(&mut rates, &[0], &[10]);
        }
        assert!((rates[0] - 10.0).abs() < 0.1, "{rates:?}");
        for _ in 0..30 {
            smooth(&mut rates, &[10], &[10]);
        }
        assert_eq!(rates, [0.0]);
    }
}
