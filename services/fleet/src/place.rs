//! Where the fleet is that a command is about: the command line's address, else the environment's, else that of the
//! `fleet up` which runs on this machine.

use std::{path::Path, time::Duration};

use anyhow::{Context, bail};
use async_nats::{Client, ConnectOptions};
use bus::{Bus, BusOptions, Limits, NatsOptions, RedisOptions};
use prometheus::Registry;
use runtime::{Environment, FromEnvironment, Invalid, Needs, ProcessSettings, Reader};
use secrecy::ExposeSecret;

use crate::beacon;

/// How long the server may take to answer.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// A fleet's servers.
#[derive(Debug, Clone)]
pub struct Place {
    /// Where NATS is and how to log in.
    pub nats: NatsOptions,
    /// The Redis of large payloads, when it is known.
    pub redis: Option<RedisOptions>,
    /// The largest envelope, in bytes.
    pub max_payload: usize,
}

impl Place {
    /// Finds it. `nats` is the command line's address, `folder` is where a running fleet leaves its own.
    ///
    /// # Errors
    /// When nothing says where it is, or a setting of the environment is wrong.
    pub fn find(nats: Option<&str>, environment: &Environment, folder: &Path) -> anyhow::Result<Self> {
        struct Shared(ProcessSettings);
        impl FromEnvironment for Shared {
            fn read(env: &mut Reader<'_>) -> Result<Self, Invalid> {
                ProcessSettings::read(env, "fleet", Needs::NOTHING).map(Self)
            }
        }
        let running = beacon::seen(folder);
        let given = nats.or_else(|| environment.get("NATS_SERVER1")).map(str::to_owned);
        let Some(url) = given.or_else(|| running.as_ref().map(|running| running.nats.clone())) else {
            bail!("where is the fleet? no `fleet up` runs here: give --nats URL, or set NATS_SERVER1");
        };
        let mut environment = environment.clone().with("NATS_SERVER1", url.as_str());
        if environment.get("REDIS_HOSTNAME").is_none()
            && let Some(running) = running.filter(|running| running.nats == url)
            && let Some((host, port)) = running.redis
        {
            environment = environment.with("REDIS_HOSTNAME", host).with("REDIS_PORT", port.to_string());
        }
        let redis = environment.get("REDIS_HOSTNAME").is_some();
        let Shared(settings) = environment.read()?;
        let ProcessSettings { nats, redis: found, max_payload, .. } = settings;
        Ok(Self { nats, redis: redis.then_some(found), max_payload })
    }

    /// The NATS servers, for texts: without passwords.
    pub fn servers(&self) -> String {
        runtime::redact::redact(&self.nats.servers.join(",")).into_owned()
    }

    /// A connection for one command.
    ///
    /// # Errors
    /// When the server does not answer or refuses.
    pub async fn connect(&self) -> anyhow::Result<Client> {
        let options = &self.nats;
        let mut connection = ConnectOptions::new().name("fleet").connection_timeout(CONNECT_WITHIN);
        if let Some(file) = &options.creds_file {
            connection = connection.credentials_file(file).await?;
        }
        if let (Some(user), Some(password)) = (&options.user, &options.password) {
            connection = connection.user_and_password(user.clone(), password.expose_secret().to_owned());
        }
        if let Some(file) = &options.ca_file {
            connection = connection.add_root_certificates(file.clone()).require_tls(true);
        }
        let client = connection.connect(options.servers.as_slice()).await;
        client.with_context(|| format!("NATS at {} does not answer", self.servers()))
    }

    /// The way on which requests are made as a service makes them.
    ///
    /// # Errors
    /// When the Redis of large payloads is not known, or the bus has wrong options.
    pub async fn bus(&self) -> anyhow::Result<Bus> {
        let Some(redis) = self.redis.clone() else {
            bail!(
                "where is the Redis through which large payloads travel? set REDIS_HOSTNAME (and REDIS_PORT)"
            );
        };
        let limits = Limits { max_payload_in: self.max_payload, ..Limits::default() };
        let options = BusOptions { service: "fleet".to_owned(), nats: self.nats.clone(), redis, limits };
        Ok(Bus::connect(options, &Registry::new()).await?)
    }
}
