//! Services of ours in the background of a test.

use std::time::Duration;

use runtime::{Clock, Environment, Hosted, Runnable};

use crate::{Nats, Redis};

/// How long tests wait for what should come at once: 20 s. Nothing waits so long unless it is broken.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The settings by which any service finds these servers, Redis for everything, and takes any free ports.
pub fn settings(nats: &Nats, redis: &Redis) -> [(&'static str, String); 7] {
    let (host, port) = (redis.host(), redis.port().to_string());
    [
        ("NATS_SERVER1", nats.url()),
        ("REDIS_HOSTNAME", host.clone()),
        ("REDIS_PORT", port.clone()),
        ("REDIS_CUSTOMER_CACHE_HOSTNAME", host),
        ("REDIS_CUSTOMER_CACHE_PORT", port),
        ("HTTP_PORT", "0".to_owned()),
        ("METRICS_PORT", "0".to_owned()),
    ]
}

/// Runs a service with nothing but this environment; returns when it has started.
///
/// # Panics
/// When it does not start.
pub async fn run(service: &Runnable, environment: Environment) -> Hosted {
    run_at(service, environment, &Clock::system()).await
}

/// The same at a time of the test's own.
///
/// # Panics
/// When it does not start.
pub async fn run_at(service: &Runnable, environment: Environment, clock: &Clock) -> Hosted {
    let mut hosted = Hosted::start(service, environment, clock.clone());
    match hosted.started().await {
        Ok(_) => hosted,
        Err(error) => panic!("{} does not start: {error:#}", service.name()),
    }
}

/// Why a service does not start in this environment: the error with all its causes.
///
/// # Panics
/// When it does start.
pub async fn why_not(service: &Runnable, environment: Environment) -> String {
    match Hosted::start(service, environment, Clock::system()).started().await {
        Ok(_) => panic!("{} starts", service.name()),
        Err(error) => format!("{error:#}"),
    }
}
