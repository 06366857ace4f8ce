//! `fleet why <serial>`: what was last decided about a device, from which facts, and what came of it.

use std::path::Path;

use anyhow::bail;
use decisions::{LOOK_BACK, Ledger, ReadError, Story};
use runtime::Environment;
use serde_json::json;

use crate::{cli::Why, place::Place, telling};

/// Reads the ledger and returns what is to be printed. `folder` is where a running fleet leaves its address.
///
/// # Errors
/// When the ledger cannot be reached or tells nothing of the device; says what to do.
pub async fn run(options: &Why, environment: &Environment, folder: &Path) -> anyhow::Result<String> {
    let place = Place::find(options.nats.as_deref(), environment, folder)?;
    let servers = place.servers();
    let ledger = Ledger::stream(place.connect().await?);
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

/// What to do when the ledger cannot be read.
pub(crate) fn explained(error: ReadError, servers: &str) -> anyhow::Error {
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
