//! NATS and Redis for a fleet on one machine.

use anyhow::Context;
use runtime::Environment;
use testkit::{Nats, NatsOptions, Redis, RedisOptions};

/// The servers a fleet talks over: started here, or configured in the environment. Those started here end with it.
pub struct Servers {
    nats: Option<Nats>,
    redis: Option<Redis>,
}

impl Servers {
    /// Starts a NATS server (with JetStream) unless `NATS_SERVER1` is set, and a Redis server unless `REDIS_HOSTNAME` is.
    ///
    /// # Errors
    /// When a program is missing or does not start; says what to do.
    pub async fn start(environment: Environment) -> anyhow::Result<Self> {
        let nats = if environment.get("NATS_SERVER1").is_some() {
            None
        } else {
            let options = NatsOptions { jetstream: true, ..NatsOptions::default() };
            Some(
                Nats::try_start(options)
                    .await
                    .context("NATS: run scripts/up, which installs what is missing")?,
            )
        };
        let redis = if environment.get("REDIS_HOSTNAME").is_some() {
            None
        } else {
            let server = Redis::try_start(RedisOptions::default()).await;
            Some(server.context("Redis: run scripts/up, which installs what is missing")?)
        };
        Ok(Self { nats, redis })
    }

    /// What services need in their environment to reach the servers that were started here.
    pub fn environment(&self) -> Environment {
        let mut environment = Environment::default();
        if let Some(nats) = &self.nats {
            environment = environment.with("NATS_SERVER1", nats.url());
        }
        if let Some(redis) = &self.redis {
            for prefix in ["REDIS", "REDIS_CUSTOMER_CACHE"] {
                environment = environment
                    .with(format!("{prefix}_HOSTNAME"), redis.host())
                    .with(format!("{prefix}_PORT"), redis.port().to_string());
            }
        }
        environment
    }
}
