//! `fleet why <serial>`: what was last decided about a device, from which facts, and what came of it.

use std::{path::Path, time::Duration};

use anyhow::{Context, bail};
use async_nats::{Client, ConnectOptions};
use bus::NatsOptions;
use decisions::{LOOK_BACK, Ledger, ReadError, Story};
use runtime::{Environment, FromEnvironment, Invalid, ProcessSettings, Reader};
use secrecy::ExposeSecret;
use serde_json::json;

use crate::{beacon, cli::Why, telling};

/// How long the server may take to answer.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// Reads the ledger and returns what is to be printed. `folder` is where a running fleet leaves its address.
///
/// # Errors
/// When the ledger cannot be reached or tells nothing of the device; says what to do.
pub async fn run(options: &Why, environment: &Environment, folder: &Path) -> anyhow::Result<String> {
    let nats = nats(options, environment, folder)?;
    let servers = nats.servers.join(",");
    let client = connect(&nats).await.with_context(|| format!("NATS at {servers} does not answer"))?;
    let ledger = Ledger::stream(client);
    let device = options.serial.as_str();
    if options.all {
        let records = ledger.read(Some(device)).await.map_err(|error| explained(error, &servers))?;
        if records.is_empty() {
            bail!("the ledger at {servers} tells nothing of {device}; is the serial right?");
        }
        if options.json {
            return pretty(&json!({"device": device, "records": records}));
        }
        return Ok(telling::history(device, &records));
    }
    let stories: Vec<Story> = ledger.last(device).await.map_err(|error| explained(error, &servers))?;
    if stories.is_empty() {
        bail!(
            "the ledger at {servers} tells nothing of {device} in its last {} hours; is the serial right? \
            --all reads all of it",
            LOOK_BACK.as_secs() / 3_600
        );
    }
    if options.json {
        return pretty(&json!({"device": device, "stories": stories}));
    }
    Ok(telling::last(device, &stories))
}

fn pretty(value: &serde_json::Value) -> anyhow::Result<String> {
    Ok(serde_json::to_string_pretty(value)? + "\n")
}

fn explained(error: ReadError, servers: &str) -> anyhow::Error {
    match error {
        ReadError::NoStream => anyhow::anyhow!(
            "the ledger at {servers} is empty: no monitor has recorded a decision there yet; is it the right server?"
        ),
        ReadError::NoJetStream => anyhow::anyhow!(
            "the NATS server at {servers} has no JetStream: decisions are only in the logs of the monitors \
            (lines with `decision`)"
        ),
        ReadError::Failed(_) => anyhow::Error::new(error).context(format!("NATS at {servers}")),
    }
}

/// The settings of the connection: the command line's address, else the environment's, else a running fleet's.
fn nats(options: &Why, environment: &Environment, folder: &Path) -> anyhow::Result<NatsOptions> {
    struct Shared(ProcessSettings);
    impl FromEnvironment for Shared {
        fn read(env: &mut Reader<'_>) -> Result<Self, Invalid> {
            ProcessSettings::read(env, "fleet", false).map(Self)
        }
    }
    let given = options.nats.clone().or_else(|| environment.get("NATS_SERVER1").map(str::to_owned));
    let Some(url) = given.or_else(|| beacon::seen(folder)) else {
        bail!("where is the ledger? no `fleet up` runs here: give --nats URL, or set NATS_SERVER1");
    };
    let Shared(settings) = environment.clone().with("NATS_SERVER1", url).read()?;
    Ok(settings.nats)
}

async fn connect(nats: &NatsOptions) -> anyhow::Result<Client> {
    let mut options = ConnectOptions::new().name("fleet why").connection_timeout(CONNECT_WITHIN);
    if let Some(file) = &nats.creds_file {
        options = options.credentials_file(file).await?;
    }
    if let (Some(user), Some(password)) = (&nats.user, &nats.password) {
        options = options.user_and_password(user.clone(), password.expose_secret().to_owned());
    }
    if let Some(file) = &nats.ca_file {
        options = options.add_root_certificates(file.clone()).require_tls(true);
    }
    Ok(options.connect(nats.servers.as_slice()).await?)
}
